//! Handing events out to whoever pulls, and hearing what became of them.
//!
//! A hand-out is a try like any other: the event is in flight until it is
//! acknowledged, and a lease that ends without that is a try that failed. So
//! order, settlements, exceptions and the cursor are those of a push
//! subscription, and a subscription may change from one to the other in between.
//!
//! Leases are in memory alone. After a restart there are none, and what was not
//! settled is offered again. An ack needs no lease: it settles what its token
//! names, however late, unless that is settled or parked already.
//!
//! What a lease ended on may have killed whoever held it. It is handed out
//! alone from then on, so that it takes no others with it when it is parked.

use super::Window;
use ringback_model::{
    AttemptId, EventId, Timestamp,
    delivery::{Attempt, ExceptionState, Timings, Via},
    event::Place,
    limits,
    subscription::RevisionNo,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

#[cfg(test)]
mod tests;

/// Which pull an event was handed out by; from chance.
pub type LeaseId = u64;

/// Why a hand-out failed.
const LEASE_EXPIRED: &str = "lease-expired";
const NACKED: &str = "nacked";
const EXHAUSTED: &str = "tries-exhausted";

/// An event that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Where it stands.
    pub place: Place,
    /// Its id.
    pub event: EventId,
    /// The revision to render it with.
    pub revision: RevisionNo,
    /// How often it was handed out or tried, this time included.
    pub try_no: u32,
}

/// What an ack of one event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// It is settled now.
    Settled,
    /// It was settled, skipped or parked already.
    Late,
}

/// What a nack or an extension of one event found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nacked {
    /// The lease held: it was done.
    Done,
    /// It is settled, skipped or parked.
    Late,
    /// The lease is over, and it is not settled.
    Expired,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    by: LeaseId,
    until: Timestamp,
    since: Timestamp,
}

/// What is handed out.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<Place, Lease>,
    ends: BTreeSet<(Timestamp, Place)>,
    /// Exceptions on which a lease ended: each is handed out by itself.
    alone: BTreeSet<Place>,
    alone_was_last: bool,
    /// How many events whoever pulls now asks for.
    demand: usize,
}

impl Window {
    // ---- Push and pull ----

    /// Whether it is pulled.
    #[must_use]
    pub const fn is_pulled(&self) -> bool {
        self.leases.is_some()
    }

    /// The subscription is pulled from now on, or pushed.
    ///
    /// Becoming pulled, what is retrying can be handed out at once: the waiting was
    /// for the endpoint. Tries in flight end and settle. Becoming pushed, leases are
    /// void without a try being spent, and delayed nacks keep their time.
    pub fn set_pulled(&mut self, pulled: bool, now: Timestamp) {
        if pulled == self.is_pulled() {
            return;
        }
        if pulled {
            self.leases = Some(Leases::default());
            self.hold = None;
            self.failing = None;
            self.gone_at = None;
            let waiting: Vec<Place> = self.exceptions.iter().filter(|(_, it)| is_waiting(&it.row.state, now)).map(|(at, _)| *at).collect();
            for place in waiting {
                let Some(mut it) = self.remove_exception(place) else { continue };
                it.row.state = ExceptionState::Retrying { due_at: now };
                self.insert_exception(it);
                self.touch(place, now);
                self.refresh(place, now);
            }
        } else {
            let held: Vec<Place> = self.leases.iter().flat_map(|it| it.held.keys().copied()).collect();
            for place in held {
                self.end_lease(place);
                self.returned(place, now);
            }
            self.leases = None;
        }
    }

    /// The window of a subscription that is pulled was made anew after a restart: on which
    /// events leases ended is not known any more, so all that failed are handed out one by one.
    pub fn restore_pulled(&mut self) {
        let alone = self.exceptions.iter().filter(|(_, it)| it.row.tries > 0).map(|(place, _)| *place).collect();
        self.leases = Some(Leases { alone, ..Leases::default() });
    }

    /// How many events whoever pulls now asks for: nothing is read beyond that.
    pub fn set_demand(&mut self, demand: usize) {
        if let Some(leases) = &mut self.leases {
            leases.demand = demand;
        }
    }

    /// How many more events are worth reading.
    pub(super) fn asked_for(&self) -> usize {
        match &self.leases {
            None => usize::MAX,
            Some(leases) => leases.demand.saturating_sub(self.ready.len()),
        }
    }

    // ---- Handing out ----

    /// Hands out at most `limit` events until `until`, to the pull `by`.
    ///
    /// What failed before and is due comes first, the oldest first, then what is
    /// fresh, in order of the log. An event on which a lease ended is handed out
    /// alone, in turns with the others. Of an ordered subject there is at most one.
    pub fn lease(&mut self, limit: usize, by: LeaseId, until: Timestamp, now: Timestamp) -> Vec<Leased> {
        let Some(leases) = &self.leases else { return Vec::new() };
        if !self.active || self.unsettled_attempts() >= self.limits.events_max || limit == 0 {
            return Vec::new();
        }
        let due = || self.due.range(..=(now, Place::MAX)).map(|(_, place)| *place);
        let alone = due().find(|it| leases.alone.contains(it));
        let others: Vec<Place> = due().filter(|it| !leases.alone.contains(it)).take(limit).collect();
        let anything_else = !others.is_empty() || !self.ready.is_empty();
        let mut out = Vec::new();
        if let Some(place) = alone.filter(|_| !leases.alone_was_last || !anything_else) {
            out.extend(self.start_lease(place, by, until, now));
            self.note_alone(true);
            return out;
        }
        for place in others {
            // It may wait for one of its subject that was handed out just now.
            if self.exceptions.get(&place).is_some_and(|it| self.is_due(place, &it.row.state)) {
                out.extend(self.start_lease(place, by, until, now));
            }
        }
        while out.len() < limit
            && let Some(place) = self.ready.first().copied()
            && let Some(leased) = self.start_lease(place, by, until, now)
        {
            out.push(leased);
        }
        self.note_alone(false);
        out
    }

    fn is_due(&self, place: Place, state: &ExceptionState) -> bool {
        matches!(state, ExceptionState::Retrying { due_at } if self.due.contains(&(*due_at, place)))
    }

    fn note_alone(&mut self, alone: bool) {
        if let Some(leases) = &mut self.leases {
            leases.alone_was_last = alone;
        }
    }

    fn start_lease(&mut self, place: Place, by: LeaseId, until: Timestamp, now: Timestamp) -> Option<Leased> {
        let leases = self.leases.as_mut()?;
        let (leased, subject) = if let Some(it) = self.fresh.get_mut(&place) {
            self.ready.remove(&place);
            it.in_flight = true;
            self.fresh_in_flight += 1;
            (Leased { place, event: it.event, revision: it.revision, try_no: 1 }, it.subject.clone())
        } else {
            let it = self.exceptions.get_mut(&place)?;
            if let ExceptionState::Retrying { due_at } = it.row.state {
                self.due.remove(&(due_at, place));
            }
            it.in_flight = true;
            self.retries_in_flight += 1;
            let try_no = it.row.tries.saturating_add(1);
            (Leased { place, event: it.row.event, revision: it.row.revision, try_no }, it.subject.clone())
        };
        leases.held.insert(place, Lease { by, until, since: now });
        leases.ends.insert((until, place));
        self.count_in_flight(subject.as_ref(), true);
        self.refresh_line(subject.as_ref(), now);
        Some(leased)
    }

    /// Ends the lease of `place`, if there is one: what comes of it is the caller's.
    fn end_lease(&mut self, place: Place) -> Option<Lease> {
        let leases = self.leases.as_mut()?;
        let lease = leases.held.remove(&place)?;
        leases.ends.remove(&(lease.until, place));
        let subject = if let Some(it) = self.fresh.get_mut(&place) {
            it.in_flight = false;
            self.fresh_in_flight -= 1;
            it.subject.clone()
        } else if let Some(it) = self.exceptions.get_mut(&place) {
            it.in_flight = false;
            self.retries_in_flight -= 1;
            it.subject.clone()
        } else {
            None
        };
        self.count_in_flight(subject.as_ref(), false);
        Some(lease)
    }

    // ---- Hearing ----

    /// The next lease that ended without an ack, if any: call `handle_lease_end` for it. Ask until `None`.
    #[must_use]
    pub fn poll_lease_end(&self, now: Timestamp) -> Option<Place> {
        self.leases.as_ref()?.ends.first().filter(|(until, _)| *until <= now).map(|(_, place)| *place)
    }

    /// When a lease ends, or something becomes due that whoever pulls waits for.
    pub(super) fn next_lease_end(&self) -> Option<Timestamp> {
        let leases = self.leases.as_ref()?;
        let due = self.oldest_due().filter(|_| leases.demand > 0 && self.active);
        [leases.ends.first().map(|(until, _)| *until), due].into_iter().flatten().min()
    }

    /// The lease of `place` is over without an ack: the try failed.
    pub fn handle_lease_end(&mut self, place: Place, id: AttemptId, now: Timestamp) {
        let Some(lease) = self.end_lease(place) else { return };
        self.fail(place, lease, id, LEASE_EXPIRED, now, now);
        if let Some(leases) = &mut self.leases {
            leases.alone.insert(place);
        }
    }

    /// The event at `place` was acknowledged. Whether a lease holds does not matter.
    pub fn handle_ack(&mut self, place: Place, event: EventId, id: AttemptId, now: Timestamp) -> Acked {
        if self.is_planned(place) {
            // It is about to be skipped, which is an end as well.
            return Acked::Late;
        }
        let tries = match (self.exceptions.get(&place), self.fresh.get(&place)) {
            (Some(it), _) if matches!(it.row.state, ExceptionState::Parked { .. }) => return Acked::Late,
            (Some(it), _) => it.row.tries,
            (None, Some(_)) => 0,
            // After a restart an ack may be faster than the reader.
            (None, None) if place > self.read && !self.is_done(place) && !self.is_skipped(place) => 0,
            (None, None) => return Acked::Late,
        };
        if self.is_tried_by_push(place) {
            // A push began before it was pulled: its outcome decides.
            return Acked::Late;
        }
        let since = self.end_lease(place).map_or(now, |it| it.since);
        self.attempts.push(self.attempt(place, event, tries, id, (since, now), None));
        self.unsettled_since.get_or_insert(now);
        self.succeeded(place, now);
        self.forget_alone(place);
        Acked::Settled
    }

    /// Whoever has the lease `by` gives the event back: it is handed out again after `delay`.
    pub fn handle_nack(&mut self, place: Place, by: LeaseId, delay: Duration, id: AttemptId, now: Timestamp) -> Nacked {
        match self.lease_of(place, by, now) {
            Nacked::Done => {}
            other => return other,
        }
        let Some(lease) = self.end_lease(place) else { return Nacked::Expired };
        self.forget_alone(place);
        self.fail(place, lease, id, NACKED, now + delay, now);
        Nacked::Done
    }

    /// The lease `by` of the event lasts until `until` instead.
    pub fn extend(&mut self, place: Place, by: LeaseId, until: Timestamp, now: Timestamp) -> Nacked {
        let found = self.lease_of(place, by, now);
        if found == Nacked::Done
            && let Some(leases) = &mut self.leases
            && let Some(lease) = leases.held.get_mut(&place)
        {
            leases.ends.remove(&(lease.until, place));
            lease.until = until;
            leases.ends.insert((until, place));
        }
        found
    }

    /// The event did not reach whoever pulled: the try was not spent.
    pub fn take_back(&mut self, place: Place, by: LeaseId, now: Timestamp) {
        let held = self.leases.as_ref().and_then(|it| it.held.get(&place));
        if held.is_some_and(|it| it.by == by) {
            self.end_lease(place);
            self.returned(place, now);
        }
    }

    /// Whether the lease `by` of the event holds, without changing anything.
    #[must_use]
    pub fn lease_of(&self, place: Place, by: LeaseId, now: Timestamp) -> Nacked {
        let lease = self.leases.as_ref().and_then(|it| it.held.get(&place));
        if lease.is_some_and(|it| it.by == by && it.until > now) {
            return Nacked::Done;
        }
        let parked = self.exceptions.get(&place).is_some_and(|it| matches!(it.row.state, ExceptionState::Parked { .. }));
        let unfinished = self.fresh.contains_key(&place) || self.exceptions.contains_key(&place) || place > self.read;
        if parked || !unfinished || self.is_done(place) || self.is_skipped(place) { Nacked::Late } else { Nacked::Expired }
    }

    /// The event at `place`, while it is not settled.
    #[must_use]
    pub fn event_of(&self, place: Place) -> Option<EventId> {
        self.fresh.get(&place).map(|it| it.event).or_else(|| self.exceptions.get(&place).map(|it| it.row.event))
    }

    /// Events that are handed out now.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.leases.as_ref().map_or(0, |it| it.held.len())
    }

    fn is_tried_by_push(&self, place: Place) -> bool {
        let in_flight = self.fresh.get(&place).is_some_and(|it| it.in_flight) || self.exceptions.get(&place).is_some_and(|it| it.in_flight);
        in_flight && self.leases.as_ref().is_none_or(|it| !it.held.contains_key(&place))
    }

    pub(super) fn forget_alone(&mut self, place: Place) {
        if let Some(leases) = &mut self.leases {
            leases.alone.remove(&place);
        }
    }

    fn fail(&mut self, place: Place, lease: Lease, id: AttemptId, reason: &'static str, due_at: Timestamp, now: Timestamp) {
        let Some(event) = self.event_of(place) else { return };
        let tries = self.exceptions.get(&place).map_or(0, |it| it.row.tries);
        self.attempts.push(self.attempt(place, event, tries, id, (lease.since, now), Some(reason)));
        let state = if tries.saturating_add(1) >= limits::PULL_TRIES_MAX {
            ExceptionState::Parked { reason: EXHAUSTED.into(), at: now }
        } else {
            ExceptionState::Retrying { due_at }
        };
        self.failed(place, state, 1, now);
    }

    fn attempt(
        &self,
        place: Place,
        event: EventId,
        tries: u32,
        id: AttemptId,
        (at, end): (Timestamp, Timestamp),
        failed: Option<&str>,
    ) -> Attempt {
        let total = u32::try_from(end.since(at).as_millis()).unwrap_or(u32::MAX);
        Attempt {
            id,
            event,
            place,
            generation: self.generation,
            n: tries.saturating_add(1),
            at,
            via: Via::Pull,
            outcome: if failed.is_some() { "failed" } else { "delivered" }.into(),
            reason: failed.map(Into::into),
            status_code: None,
            timings: Timings { total, ..Timings::default() },
            peer: None,
            response: None,
        }
    }
}

fn is_waiting(state: &ExceptionState, now: Timestamp) -> bool {
    matches!(state, ExceptionState::Retrying { due_at } if *due_at > now)
}
