//! P2, P3, P11, as `ringback verify` asks for them: after each crash and at the end it finds nothing.

use crate::evidence::Evidence;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    it.snapshots.iter().flat_map(|snapshot| snapshot.verified.iter().map(|what| format!("at {}: {what}", snapshot.at))).collect()
}
