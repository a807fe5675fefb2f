//! The log's ends, as `GET /v1/log` answers them.

use serde::Serialize;

/// The ends of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogView {
    /// The first place that is still there.
    pub first: u64,
    /// The last place; 0 before the first event.
    pub last: u64,
    /// Events at or below it are gone by retention.
    pub floor: u64,
    /// The life of the log: raised by a restore.
    pub epoch: u32,
    /// Whether deliveries wait for a release after a restore.
    pub deliveries_held: bool,
}
