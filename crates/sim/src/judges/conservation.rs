//! P11: at or below the cursor each matching event has exactly one of a success,
//! an exception, a skipped range; above it at most one. A seek keeps what an earlier
//! life has dealt with at or below its target. What a replay delivered is an account only where there is
//! no other, and has no exception beside it. After every crash, too.

use crate::evidence::Evidence;
use std::collections::BTreeSet;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for snapshot in &it.snapshots {
        for reader in &snapshot.readers {
            let (subscription, cursor) = (&reader.subscription, reader.state.cursor);
            let exceptions: BTreeSet<_> = reader.state.exceptions.iter().map(|it| it.place).collect();
            for event in reader.owed(&snapshot.log) {
                let place = event.place(&subscription.scope);
                if place <= reader.floor {
                    // `obligations` asks what became of it.
                    continue;
                }
                let success = usize::from(reader.delivered.contains(&place));
                let exception = usize::from(exceptions.contains(&place));
                let skipped = reader.skipped(place);
                let all = success + exception + skipped;
                // It took the place of the parked exception that it removed.
                let replayed = reader.replayed.contains(&place);
                let before =
                    place <= it.sought_to(subscription) && (reader.delivered_before.contains(&place) || reader.skipped_before(place));
                if all > 1 || replayed && exception > 0 || (all == 0 && place <= cursor && !before && !replayed) {
                    wrong.push(format!(
                        "at {}: {} has {success} successes, {exception} exceptions and {skipped} skipped ranges for {} at {place}, its cursor is at {cursor}",
                        snapshot.at, subscription.id, event.id
                    ));
                }
            }
        }
    }
    wrong
}
