//! One subscription's reader: what it has read, what is being tried, what
//! is to be tried again, and what has to be written down.
//!
//! A pure state machine. Events are *offered* in log order; `poll_start` says
//! which try to start now; `handle_outcome` hears what came of it;
//! `take_settlement` gives what is to be stored in one step, and `next_timeout`
//! when to ask again. One call too many is harmless. After a crash a new window
//! is made from what the settlements left, and goes on from there.
//!
//! A subscription that is pulled has the same window: what it hands out is in
//! flight until it is acknowledged (`leasing`).
//!
//! Every event is *fresh* (queued or in flight for the first time), *done*, or an
//! *exception*. Only fresh ones keep the cursor back, and they, with what was done
//! out of order, are the window that `WINDOW_EVENTS_MAX` bounds. Each fresh event
//! may become an exception, so it reserves one of `EXCEPTIONS_MAX`.
//!
//! Not here: reading the log and sending (`service::dispatcher`), whether an event
//! matches (`matching`), how long to wait (`retry`), fairness between subscriptions.

mod cancelling;
mod expiring;
mod leasing;
mod lines;
mod replaying;
mod retaining;
mod settling;
mod shadow;
mod trying;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use crate::delivery_state::InWindow;
pub use cancelling::CancelRefused;
pub use expiring::EXPIRED;
pub use leasing::{Acked, LeaseId, Leased, Nacked};
pub use replaying::{REPLAY_DELAYS, Replayed};
pub use settling::Settling;
pub use trying::{ABORT_PAUSE, Effect, GONE_APART, RETRY_SHARE_PERCENT, RetryRefused, Start, UNROUTABLE_RECHECK};

use crate::health::{Endpoint, Rules};
use leasing::Leases;
use lines::Line;
use ringback_model::{
    EventId, Subject, Timestamp,
    delivery::{Attempt, Exception, ExceptionState, SkippedRange},
    event::Place,
    limits,
    subscription::{DELAYS_DEFAULT, Failing, Generation, Order, Push, Revision, RevisionNo},
};
use shadow::Shadow;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};
use trying::Hold;

/// Where a reader stands, as a restart finds it in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// The low-water mark.
    pub cursor: Place,
    /// All exceptions of the subscription.
    pub exceptions: Vec<Exception>,
    /// Places above the cursor with a successful attempt of the current generation.
    pub delivered_above: Vec<Place>,
    /// All skipped ranges; those of other generations are ignored.
    pub skipped: Vec<SkippedRange>,
}

/// What bounds a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tries in flight at once; at least one.
    pub concurrency_max: usize,
    /// Mean delays before the second, third … try, in seconds.
    pub delays: Vec<u32>,
    /// Events held at once (queued, in flight for the first time, done out of order), and attempts not yet stored.
    pub events_max: usize,
    /// Exceptions, parked ones included; at the limit the reader stops.
    pub exceptions_max: usize,
    /// What the health of the endpoint goes by; `None` when it is not looked after.
    pub rules: Option<Rules>,
}

impl Limits {
    /// Those of a subscription: pushed, or (`None`) pulled.
    #[must_use]
    pub fn of_either(push: Option<&Push>) -> Self {
        push.map_or_else(Self::pulled, Self::of)
    }

    /// Those of one that is pulled: whoever pulls decides how much is in flight.
    #[must_use]
    pub fn pulled() -> Self {
        Self {
            concurrency_max: limits::LEASES_MAX,
            // For a push that began before it was pulled.
            delays: DELAYS_DEFAULT.to_vec(),
            events_max: limits::LEASES_MAX,
            exceptions_max: limits::EXCEPTIONS_MAX,
            rules: None,
        }
    }

    /// Those of one that is pushed.
    #[must_use]
    pub fn of(push: &Push) -> Self {
        let concurrency_max = usize::try_from(push.concurrency_max).unwrap_or(usize::MAX);
        Self {
            concurrency_max,
            rules: Some(Rules { concurrency_max, rate_max_per_s: push.rate_max_per_s }),
            delays: push.delays.clone(),
            events_max: limits::WINDOW_EVENTS_MAX,
            exceptions_max: limits::EXCEPTIONS_MAX,
        }
    }
}

/// A matching event, as it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub event: EventId,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The revision under which it matched.
    pub revision: RevisionNo,
    /// From when on it is not delivered any more.
    pub expires_at: Option<Timestamp>,
}

/// How the last tries went; for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// One word.
    pub state: HealthState,
    /// The last failure's reason, `exceptions-full`, or the reason why the address cannot be called.
    pub why: Option<&'static str>,
    /// Since when; `None` while this window has seen no try and no limit.
    pub since: Option<Timestamp>,
}

/// One word for how the last tries went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// The last try arrived, or none was made.
    Ok,
    /// The last try failed, or the reader is stopped by too many exceptions.
    Failing,
    /// Most tries failed: it is left alone for a while, then asked again.
    Open,
    /// It is asked, one try at a time, whether it works again.
    Probing,
    /// The address cannot be called; the reader waits for the hourly check.
    Unroutable,
}

impl HealthState {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Open => "open",
            Self::Probing => "probing",
            Self::Unroutable => "unroutable",
        }
    }
}

/// How many exceptions there are; for display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// A try failed, another is due.
    pub retrying: usize,
    /// Waiting behind an earlier one of the same subject.
    pub held: usize,
    /// Given up.
    pub parked: usize,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn all(self) -> usize {
        self.retrying + self.held + self.parked
    }

    const fn slot(&mut self, state: &ExceptionState) -> &mut usize {
        match state {
            ExceptionState::Retrying { .. } => &mut self.retrying,
            ExceptionState::Held => &mut self.held,
            ExceptionState::Parked { .. } => &mut self.parked,
        }
    }
}

/// An event that was never tried to the end: it keeps the cursor back.
#[derive(Clone, Debug)]
struct Fresh {
    event: EventId,
    subject: Option<Arc<Subject>>,
    revision: RevisionNo,
    expires_at: Option<Timestamp>,
    in_flight: bool,
}

/// An exception and what a row does not say of it.
#[derive(Clone, Debug)]
struct Failed {
    row: Exception,
    subject: Option<Arc<Subject>>,
    in_flight: bool,
    /// Somebody asked for the next try.
    manual: bool,
    /// The try in flight was made before it was due: it spends nothing.
    early: bool,
    /// It was announced that its event goes while its try was in flight: that try is the last one.
    told: bool,
}

/// One subscription's reader. See the module.
#[derive(Debug)]
pub struct Window {
    generation: Generation,
    limits: Limits,
    orders: BTreeMap<RevisionNo, Order>,
    active: bool,

    /// Everything at or below it was offered.
    read: Place,
    /// The cursor as the store has it.
    settled: Place,
    fresh: BTreeMap<Place, Fresh>,
    /// Fresh events that may start.
    ready: BTreeSet<Place>,
    /// Delivered by this window above `settled`.
    done: BTreeSet<Place>,
    /// Delivered before a restart, above `settled`: stored already, so not part of the window's share.
    done_before: BTreeSet<Place>,
    exceptions: BTreeMap<Place, Failed>,
    counts: Counts,
    /// Retrying exceptions that may start once they are due.
    due: BTreeSet<(Timestamp, Place)>,
    /// Deadlines of what is fresh, retrying or held.
    expiring: BTreeSet<(Timestamp, Place)>,
    /// What is unfinished of each subject.
    lines: BTreeMap<Arc<Subject>, Line>,
    /// Ranges of this generation: from (exclusive) → to (inclusive).
    skipped: BTreeMap<Place, Place>,
    /// What `plan_skip` said, until it is done or given up.
    planned: BTreeMap<Place, Place>,

    /// What matches and is not sent.
    shadow: Shadow,

    /// What was handed out to whoever pulls; `None` while it is pushed.
    leases: Option<Leases>,

    fresh_in_flight: usize,
    retries_in_flight: usize,
    retry_was_last: bool,

    endpoint: Option<Endpoint>,
    /// The try that asks an endpoint whether it works again.
    probe: Option<Place>,
    /// The last one that somebody asked for.
    asked: Option<Place>,
    /// When the last try started.
    started_at: Timestamp,
    hold: Option<Hold>,
    /// A try could not even be made: nothing starts before this.
    again_at: Option<Timestamp>,
    failing: Option<(&'static str, Timestamp)>,
    ok_since: Option<Timestamp>,
    gone_at: Option<Timestamp>,
    full_since: Option<Timestamp>,

    /// Tries of replays that are in flight.
    replaying: BTreeMap<Place, Option<Arc<Subject>>>,
    replay_was_last: bool,

    attempts: Vec<Attempt>,
    /// Deliveries that were cancelled, not stored yet.
    cancelled: Vec<SkippedRange>,
    /// Places whose exception is new, changed or over.
    dirty: BTreeSet<Place>,
    unsettled_since: Option<Timestamp>,
    /// Somebody waits for the next settlement.
    urgent: bool,
    /// A write failed: not before this time.
    settle_after: Option<Timestamp>,
    /// Attempts of the settlement that is being written.
    settling: Option<usize>,
}

impl Window {
    /// A window over what the store knows of a reader. It is active; see `set_active`.
    ///
    /// `revisions` are all of the subscription's; see `set_revisions`.
    #[must_use]
    pub fn new(resume: Resume, generation: Generation, limits: Limits, revisions: &[Revision], now: Timestamp) -> Self {
        let endpoint = limits.rules.map(|rules| Endpoint::new(rules, None));
        let mut it = Self {
            generation,
            limits,
            orders: revisions.iter().map(|it| (it.no, it.order)).collect(),
            active: true,
            read: resume.cursor,
            settled: resume.cursor,
            fresh: BTreeMap::new(),
            ready: BTreeSet::new(),
            done: BTreeSet::new(),
            done_before: resume.delivered_above.into_iter().filter(|it| *it > resume.cursor).collect(),
            exceptions: BTreeMap::new(),
            counts: Counts::default(),
            due: BTreeSet::new(),
            expiring: BTreeSet::new(),
            lines: BTreeMap::new(),
            skipped: BTreeMap::new(),
            planned: BTreeMap::new(),
            shadow: Shadow::new(&resume.skipped, generation),
            leases: None,
            fresh_in_flight: 0,
            retries_in_flight: 0,
            retry_was_last: false,
            endpoint,
            probe: None,
            asked: None,
            started_at: now,
            hold: None,
            again_at: None,
            failing: None,
            ok_since: None,
            gone_at: None,
            full_since: None,
            replaying: BTreeMap::new(),
            replay_was_last: false,
            attempts: Vec::new(),
            cancelled: Vec::new(),
            dirty: BTreeSet::new(),
            unsettled_since: None,
            urgent: false,
            settle_after: None,
            settling: None,
        };
        it.add_ranges(&resume.skipped);
        for row in resume.exceptions {
            let subject = row.subject.clone().map(|subject| it.intern(subject));
            it.insert_exception(Failed { row, subject, in_flight: false, manual: false, early: false, told: false });
        }
        // Which one is first of its subject is known only now.
        let places: Vec<_> = it.exceptions.keys().copied().collect();
        for place in places {
            it.refresh(place, now);
        }
        it.lines.retain(|_, line| !line.is_over());
        it.note_full(now);
        it
    }

    // ---- Reading ----

    /// The read position: everything at or below it was offered.
    #[must_use]
    pub const fn read(&self) -> Place {
        self.read
    }

    /// How many more matching events it takes now.
    ///
    /// Zero while it is not active, while the address cannot be called, while the
    /// endpoint is left alone and something is pending, and while there are too
    /// many exceptions.
    #[must_use]
    pub fn room(&self) -> usize {
        if !self.active {
            return 0;
        }
        if self.shadow.is_on() {
            return self.shadow.room();
        }
        if self.hold.is_some() {
            return 0;
        }
        if self.endpoint.as_ref().is_some_and(|it| !it.is_closed()) {
            // Left alone, it is read one event, to have something to ask with.
            let nothing = self.fresh.is_empty() && self.counts.retrying + self.counts.held == 0;
            return usize::from(nothing && self.exceptions.len() < self.limits.exceptions_max);
        }
        let window = self.limits.events_max.saturating_sub(self.fresh.len() + self.done.len());
        let exceptions = self.limits.exceptions_max.saturating_sub(self.exceptions.len() + self.fresh.len());
        window.min(exceptions).min(self.asked_for())
    }

    /// Offers the next event of the scope: `matched` when it is owed, `None` when it does not match.
    ///
    /// False when it is owed and there is no room: nothing changed, offer it again
    /// later. A place at or below the read position is taken already.
    #[must_use]
    pub fn offer(&mut self, place: Place, matched: Option<Offer>, now: Timestamp) -> bool {
        if place <= self.read {
            return true;
        }
        if let Some(offer) = matched
            && !self.is_settled_already(place)
        {
            if self.room() == 0 {
                return false;
            }
            if self.shadow.is_on() {
                self.shadowed(place, now);
            } else {
                self.take(place, offer, now);
            }
        }
        self.read = place;
        true
    }

    /// Moves the read position over a stretch in which nothing matches.
    pub fn advance_read(&mut self, to: Place) {
        self.read = self.read.max(to);
    }

    fn is_settled_already(&self, place: Place) -> bool {
        self.is_done(place) || self.exceptions.contains_key(&place) || self.fresh.contains_key(&place) || self.is_skipped(place)
    }

    fn take(&mut self, place: Place, offer: Offer, now: Timestamp) {
        let subject = offer.subject.clone().map(|it| self.intern(it));
        let Offer { event, revision, expires_at, .. } = offer;
        let fresh = Fresh { event, subject: subject.clone(), revision, expires_at, in_flight: false };
        self.expiring.extend(expires_at.map(|at| (at, place)));
        if let Some(line) = subject.as_ref().and_then(|it| self.lines.get_mut(it)) {
            line.waiting.insert(place);
        }
        self.fresh.insert(place, fresh);
        self.refresh(place, now);
        self.refresh_line(subject.as_ref(), now);
    }

    // ---- Skipping ----

    /// The ranges to skip so that nothing at or below `end` is owed any more,
    /// but for what is in flight and what is an exception.
    ///
    /// Store the ranges, then call `skip`; or `set_active`, if they were not stored. In
    /// between the window must not be offered anything, and what is in the ranges stays what
    /// it is: it does not start, is not acknowledged, and is not held behind a try that fails.
    #[must_use]
    pub fn plan_skip(&mut self, end: Place, why: &str) -> Vec<SkippedRange> {
        let ranges = self.gaps(end, why, true);
        self.planned = ranges.iter().map(|it| (it.from, it.to)).collect();
        let planned = &self.planned;
        self.ready.retain(|place| !in_one_of(planned, *place));
        ranges
    }

    /// Whether it is about to be skipped.
    fn is_planned(&self, place: Place) -> bool {
        in_one_of(&self.planned, place)
    }

    /// What was planned to be skipped is not.
    fn forget_plan(&mut self, now: Timestamp) {
        for (from, to) in core::mem::take(&mut self.planned) {
            let again: Vec<_> = self.fresh.range(from + 1..=to).map(|(place, it)| (*place, it.subject.clone())).collect();
            for (place, subject) in again {
                self.refresh(place, now);
                self.refresh_line(subject.as_ref(), now);
            }
        }
    }

    /// The ranges of the reader's next life if it begins at `target`: those of this one below
    /// it, and what was not settled there. Exceptions stay; of what is in flight nobody will hear.
    #[must_use]
    pub fn plan_seek(&self, target: Place, why: &str) -> Vec<SkippedRange> {
        let generation = self.generation + 1;
        let kept = self.skipped.iter().filter(|(from, _)| **from < target);
        let kept = kept.map(|(from, to)| SkippedRange { generation, from: *from, to: *to.min(&target), why: why.to_owned(), matched: 0 });
        let new = self.gaps(target, why, false).into_iter().map(|it| SkippedRange { generation, ..it });
        kept.chain(new).collect()
    }

    /// What lies between the cursor and `end` and is neither settled, nor an exception, nor (if asked for) in flight.
    fn gaps(&self, end: Place, why: &str, keep_in_flight: bool) -> Vec<SkippedRange> {
        let from = self.cursor();
        let in_flight = self.fresh.range(from + 1..).filter(move |(_, it)| it.in_flight && keep_in_flight).map(|(place, _)| *place);
        let exceptions = self.exceptions.range(from + 1..).map(|(place, _)| *place);
        let done = self.done.range(from + 1..).chain(self.done_before.range(from + 1..)).copied();
        let kept = in_flight.chain(exceptions).chain(done).map(|it| (it - 1, it));
        let mut kept: Vec<_> = kept.chain(self.skipped.iter().map(|(from, to)| (*from, *to))).collect();
        kept.sort_unstable();
        kept.push((end, end));
        let mut ranges = Vec::new();
        let mut at = from;
        for (kept_from, kept_to) in kept {
            let to = kept_from.min(end);
            if to > at {
                ranges.push(SkippedRange { generation: self.generation, from: at, to, why: why.to_owned(), matched: 0 });
            }
            at = at.max(kept_to);
        }
        ranges
    }

    /// Skips `ranges` of a plan, which are stored by now, and reads on after `end`.
    ///
    /// Exceptions are kept; what is in flight ends and settles.
    pub fn skip(&mut self, ranges: &[SkippedRange], end: Place, now: Timestamp) {
        self.planned.clear();
        self.add_ranges(ranges);
        let generation = self.generation;
        let mut subjects = Vec::new();
        for range in ranges.iter().filter(|it| it.generation == generation && it.from < it.to) {
            let queued: Vec<_> =
                self.fresh.range(range.from + 1..=range.to).filter(|(_, it)| !it.in_flight).map(|(place, _)| *place).collect();
            subjects.extend(queued.into_iter().filter_map(|place| self.remove_fresh(place)?.subject));
        }
        // Only when all are gone: a line that is looked at in between might hold one that is skipped.
        for subject in &subjects {
            self.refresh_line(Some(subject), now);
        }
        self.read = self.read.max(end);
        // What found the address unroutable may have been skipped; then nothing is left to ask it with.
        self.hold = None;
    }

    fn add_ranges(&mut self, ranges: &[SkippedRange]) {
        for range in ranges.iter().filter(|it| it.generation == self.generation && it.from < it.to) {
            // Overlapping ranges become one, so that one look suffices.
            let (mut from, mut to) = (range.from, range.to);
            while let Some((other_from, other_to)) = self.skipped.range(..=to).next_back().map(|(from, to)| (*from, *to)) {
                if other_to < from {
                    break;
                }
                self.skipped.remove(&other_from);
                (from, to) = (from.min(other_from), to.max(other_to));
            }
            self.skipped.insert(from, to);
        }
    }

    /// Whether it lies in a skipped range of this generation.
    #[must_use]
    pub fn is_skipped(&self, place: Place) -> bool {
        in_one_of(&self.skipped, place)
    }

    // ---- Changing ----

    /// Whether new tries start. What is in flight ends and settles either way.
    ///
    /// Becoming active again asks the address again at once.
    pub fn set_active(&mut self, active: bool, now: Timestamp) {
        if active && !self.active {
            self.gone_at = None;
            if let Some(it) = &mut self.endpoint {
                it.reset();
            }
            self.recheck(now);
        }
        self.active = active;
        self.forget_plan(now);
    }

    /// Whether new tries start.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Limits count from the next try.
    pub fn set_limits(&mut self, limits: Limits) {
        match (&mut self.endpoint, limits.rules) {
            (Some(it), Some(rules)) => it.set_rules(rules),
            (it, rules) => *it = rules.map(|rules| Endpoint::new(rules, None)),
        }
        self.limits = limits;
    }

    /// What was announced of a failing endpoint before a restart.
    pub fn set_failing(&mut self, failing: Failing) {
        if let Some(it) = &mut self.endpoint {
            it.set_failing(failing);
        }
    }

    /// Whether what fails now is likely our own fault: then nothing is decided
    /// against the endpoint, and no try is spent.
    pub fn set_frozen(&mut self, frozen: bool, now: Timestamp) {
        if let Some(it) = &mut self.endpoint {
            it.set_frozen(frozen, now);
        }
    }

    /// The endpoint is another one.
    pub fn reset_endpoint(&mut self, now: Timestamp) {
        if let Some(it) = &mut self.endpoint {
            it.reset();
        }
        self.recheck(now);
    }

    /// The revisions after an edit; call it before anything is offered under a new one.
    /// What was offered before keeps its own.
    pub fn set_revisions(&mut self, revisions: &[Revision]) {
        self.orders.extend(revisions.iter().map(|it| (it.no, it.order)));
    }

    // ---- Display ----

    /// The low-water mark: every event at or below it is settled here; the store follows by settlements.
    #[must_use]
    pub fn cursor(&self) -> Place {
        self.fresh.first_key_value().map_or(self.read, |(first, _)| self.read.min(first - 1))
    }

    /// The life of the reader that this window belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Where this place stands in the window; for `delivery_state`.
    #[must_use]
    pub fn state_of(&self, place: Place) -> Option<InWindow> {
        if let Some(it) = self.fresh.get(&place) {
            return Some(if it.in_flight { InWindow::InFlight } else { InWindow::Queued });
        }
        if self.exceptions.get(&place).is_some_and(|it| it.in_flight) {
            return Some(InWindow::InFlight);
        }
        self.is_done(place).then_some(InWindow::Done)
    }

    fn is_done(&self, place: Place) -> bool {
        self.done.contains(&place) || self.done_before.contains(&place)
    }

    /// The exception at this place: newer than the store's.
    #[must_use]
    pub fn exception(&self, place: Place) -> Option<&Exception> {
        self.exceptions.get(&place).map(|it| &it.row)
    }

    /// All exceptions, in order of place: newer than the store's.
    pub fn exceptions(&self) -> impl Iterator<Item = &Exception> {
        self.exceptions.values().map(|it| &it.row)
    }

    /// Those of them after `place`.
    pub fn exceptions_after(&self, place: Place) -> impl Iterator<Item = &Exception> {
        self.exceptions.range((Bound::Excluded(place), Bound::Unbounded)).map(|(_, it)| &it.row)
    }

    /// Tries in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.fresh_in_flight + self.retries_in_flight + self.replaying.len()
    }

    /// Events that were read and wait for their first try.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.fresh.len() - self.fresh_in_flight
    }

    /// Exceptions by state.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// When the earliest retry is due.
    #[must_use]
    pub fn oldest_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How the last tries went.
    #[must_use]
    pub fn health(&self) -> Health {
        if let Some(hold) = &self.hold {
            Health { state: HealthState::Unroutable, why: Some(hold.why), since: Some(hold.since) }
        } else if let Some((waits, why, since)) = self.endpoint.as_ref().and_then(Endpoint::breaker) {
            Health { state: if waits { HealthState::Open } else { HealthState::Probing }, why: Some(why), since: Some(since) }
        } else if let Some(since) = self.full_since {
            Health { state: HealthState::Failing, why: Some("exceptions-full"), since: Some(since) }
        } else if let Some((why, since)) = self.failing {
            Health { state: HealthState::Failing, why: Some(why), since: Some(since) }
        } else {
            Health { state: HealthState::Ok, why: None, since: self.ok_since }
        }
    }

    /// When to ask again (`poll_expired`, `poll_start`, then `settle_due`), if nothing happens before.
    ///
    /// Ask `poll_start` until it answers `None` first: what it would start now has no time.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        [self.next_expiry(), self.next_start(), self.next_lease_end(), self.settle_due()].into_iter().flatten().min()
    }
}

/// Whether one of these ranges (from, exclusive → to, inclusive), which don't overlap, holds this place.
fn in_one_of(ranges: &BTreeMap<Place, Place>, place: Place) -> bool {
    ranges.range(..place).next_back().is_some_and(|(_, to)| place <= *to)
}
