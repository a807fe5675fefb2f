//! Events are kept for as long as was said, and go in the order of the log.

use crate::evidence::Evidence;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, seq) in &it.removed {
        let Some(made) = it.log.iter().find(|it| it.seq == *seq).map(|it| it.timestamp) else { continue };
        if at.since(made) < it.keep_events {
            wrong.push(format!("event {seq} was made at {made} and gone at {at}, before {:?} were over", it.keep_events));
        }
    }
    if it.removed.windows(2).any(|pair| pair[0].1 + 1 != pair[1].1) {
        wrong.push("the log did not go from its front, one after the other".into());
    }
    wrong
}
