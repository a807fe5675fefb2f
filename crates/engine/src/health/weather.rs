//! Whether it is us: most endpoints that worked fail within one minute.
//!
//! Only endpoints that took something in this life of the process are counted.
//! One that never answered says nothing of our network; or else a server whose
//! customers registered many dead addresses would take itself for ill.

use super::{Class, class};
use core::time::Duration;
use ringback_model::{Timestamp, delivery::Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Endpoints that were tried in the last minute, below which nothing is concluded.
pub(super) const ENDPOINTS_MIN: usize = 10;
/// How long an outcome counts.
pub(super) const WITHIN: Duration = Duration::from_secs(60);

/// All endpoints together. See the module.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Endpoints that took something once.
    worked: BTreeSet<u32>,
    /// The last outcome of those of them that were tried within the minute.
    last: BTreeMap<u32, (Timestamp, bool)>,
    /// The same by time, to forget in order.
    by_time: BTreeSet<(Timestamp, u32)>,
    failing: usize,
    frozen: bool,
}

impl Weather {
    /// The endpoint of subscription `no` was tried. Whether `is_us` changed.
    pub fn handle_outcome(&mut self, no: u32, outcome: &Outcome, now: Timestamp) -> bool {
        let fails = match class(outcome) {
            Class::Ok => {
                self.worked.insert(no);
                false
            }
            // Whatever answers is reached.
            Class::Blame => false,
            Class::Endpoint { .. } => true,
            // Refused by policy says nothing; a name that is not known any more may be our resolver.
            Class::Unroutable => outcome.reason() == Some("unresolved"),
        };
        if self.worked.contains(&no) {
            self.forget(no);
            self.last.insert(no, (now, fails));
            self.by_time.insert((now, no));
            self.failing += usize::from(fails);
        }
        self.judge(now)
    }

    /// The subscription is gone.
    pub fn remove(&mut self, no: u32) {
        self.worked.remove(&no);
        self.forget(no);
    }

    /// Whether what fails is likely our own fault.
    #[must_use]
    pub const fn is_us(&self) -> bool {
        self.frozen
    }

    fn forget(&mut self, no: u32) {
        if let Some((at, fails)) = self.last.remove(&no) {
            self.by_time.remove(&(at, no));
            self.failing -= usize::from(fails);
        }
    }

    fn judge(&mut self, now: Timestamp) -> bool {
        while let Some((at, no)) = self.by_time.first().copied().filter(|(at, _)| now.since(*at) >= WITHIN) {
            self.by_time.remove(&(at, no));
            self.forget(no);
        }
        let (tried, failing, before) = (self.last.len(), self.failing, self.frozen);
        if failing * 2 > tried && tried >= ENDPOINTS_MIN {
            self.frozen = true;
        } else if failing * 2 <= tried {
            // Also with few: while it is us little is tried, and each success is news.
            self.frozen = false;
        }
        before != self.frozen
    }
}
