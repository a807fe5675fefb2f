//! The merchants: five ways to learn of the same payments, and a neighbour.
//!
//! What they have in common is here: what each knows, what it cost, and how
//! late it was. How each learns is in its own file.

pub(super) mod both;
pub(super) mod called_back;
pub(super) mod inbox;
pub(super) mod neighbour;
pub(super) mod poller;
pub(super) mod waiter;

use super::{
    ledger::Verdict,
    pace,
    stats::{self, Spread},
    timeline::{Axis, Timeline},
    wire::Meter,
};
use ringback_model::time::Timestamp;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Delays that the live view's median looks back on.
const RECENT: usize = 400;

/// A payment that was just created, as handed to the merchants.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) number: u64,
    pub(super) path: String,
    /// When its creation was acknowledged.
    pub(super) created: Instant,
}

/// The answer of `{path}/{id}/status`: what a merchant needs of it.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) done: bool,
    pub(super) version: u32,
    pub(super) since: String,
}

/// One merchant's notebook.
#[derive(Debug)]
pub(super) struct Merchant {
    pub(super) name: String,
    pub(super) meter: Arc<Meter>,
    start: Instant,
    busy: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    useless: u64,
    /// Which versions of each payment it has seen, as bits.
    seen: BTreeMap<u64, u32>,
    /// When it knew each payment's outcome.
    known: BTreeMap<u64, Timestamp>,
    recent: std::collections::VecDeque<u32>,
    timeline: Timeline,
}

/// One merchant's line of the final table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sum {
    pub(super) requests: u64,
    pub(super) useless: u64,
    pub(super) bytes: u64,
    pub(super) known_after: Option<Spread>,
    pub(super) never_seen: u64,
}

/// One merchant's line while it goes on.
#[derive(Clone, Debug)]
pub(super) struct Glance {
    pub(super) requests: u64,
    pub(super) useless: u64,
    pub(super) known_after: Option<Duration>,
    pub(super) timeline: Timeline,
}

impl Merchant {
    /// A merchant who knows nothing yet; timelines begin at `start`.
    pub(super) fn new(name: impl Into<String>, start: Instant) -> Arc<Self> {
        Arc::new(Self { name: name.into(), meter: Arc::default(), start, busy: AtomicU64::new(0), notes: Mutex::default() })
    }

    /// A request or a call brought nothing new.
    pub(super) fn learned_nothing(&self) {
        self.notes().useless += 1;
    }

    /// This version of this payment was seen.
    pub(super) fn saw(&self, payment: u64, version: u32) {
        *self.notes().seen.entry(payment).or_default() |= 1_u32.checked_shl(version).unwrap_or(0);
    }

    /// The outcome, decided at `decided`, is known now. Only the first time counts.
    pub(super) fn knows_outcome(&self, payment: u64, decided: Timestamp) {
        let at = pace::wall();
        let since_start = self.start.elapsed();
        let micros = u32::try_from(at.since(decided).as_micros()).unwrap_or(u32::MAX);
        let mut notes = self.notes();
        if notes.known.contains_key(&payment) {
            return;
        }
        notes.known.insert(payment, at);
        notes.timeline.add(since_start, f64::from(micros));
        notes.recent.push_back(micros);
        if notes.recent.len() > RECENT {
            notes.recent.pop_front();
        }
    }

    /// Marks it as having something to do until the guard goes.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// True while it has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// How it stands now, and its timeline within `axis`.
    pub(super) fn glance(&self, axis: Axis) -> Glance {
        let notes = self.notes();
        let recent: Vec<u32> = notes.recent.iter().copied().collect();
        Glance {
            requests: self.meter.requests(),
            useless: notes.useless,
            known_after: stats::spread(&recent).map(|it| it.p50),
            timeline: notes.timeline.within(axis),
        }
    }

    /// How it stands in the end, measured against what the log says.
    pub(super) fn sum(&self, truth: &Verdict) -> Sum {
        let notes = self.notes();
        let delays: Vec<u32> = truth
            .outcomes
            .iter()
            .filter_map(|(payment, decided)| notes.known.get(payment).map(|known| known.since(*decided)))
            .map(|it| u32::try_from(it.as_micros()).unwrap_or(u32::MAX))
            .collect();
        // Version 1 is the creation, of which every merchant is told.
        let seen: u64 = notes.seen.values().map(|bits| u64::from((bits >> 2).count_ones())).sum();
        Sum {
            requests: self.meter.requests(),
            useless: notes.useless,
            bytes: self.meter.bytes(),
            known_after: stats::spread(&delays),
            never_seen: truth.statuses.saturating_sub(seen),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a merchant has something to do.
#[derive(Debug)]
pub(super) struct Busy(Arc<Merchant>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notebook_counts_each_status_once_and_each_outcome_at_its_first() {
        let merchant = Merchant::new("tests", pace::now());
        for (payment, version) in [(1, 1), (1, 3), (1, 3), (2, 2), (2, 3)] {
            merchant.saw(payment, version);
        }
        let decided = Timestamp::from_micros(pace::wall().as_micros() - 5_000);
        merchant.knows_outcome(1, decided);
        let truth = Verdict { statuses: 5, outcomes: [(1, decided)].into(), ..Verdict::default() };
        let sum = merchant.sum(&truth);
        assert_eq!(sum.never_seen, 2);
        let first = sum.known_after.expect("one outcome").max;
        assert!(first >= Duration::from_millis(5));
        merchant.knows_outcome(1, decided);
        assert_eq!(merchant.sum(&truth).known_after.expect("one outcome").max, first);
    }

    #[test]
    fn work_is_over_when_all_of_it_is() {
        let merchant = Merchant::new("tests", pace::now());
        let (one, two) = (merchant.busy(), merchant.busy());
        drop(one);
        assert!(merchant.is_busy());
        drop(two);
        assert!(!merchant.is_busy());
    }
}
