//! Starting tries and hearing what came of them.

use super::{Failed, Fresh, Window};
use crate::{
    fair::Wants,
    health::{Class, Endpoint, Gate, Notice, class},
    oauth,
    retry::{self, Next},
};
use core::time::Duration;
use ringback_model::{
    EventId, Timestamp,
    delivery::{Attempt, Exception, ExceptionState, Outcome, Via},
    event::Place,
    subscription::RevisionNo,
};

/// How long a reader whose address cannot be called waits before it asks again.
pub const UNROUTABLE_RECHECK: Duration = Duration::from_secs(3_600);

/// How long a reader waits of which a try could not even be made: its event could not be read, or not be signed.
pub const ABORT_PAUSE: Duration = Duration::from_secs(1);

/// The least time between two 410s that suspend a subscription.
pub const GONE_APART: Duration = Duration::from_secs(60);

/// The most that retries hold of the slots while fresh work waits, in percent; at least one slot.
pub const RETRY_SHARE_PERCENT: usize = 30;

/// A try to start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Where the event stands.
    pub place: Place,
    /// The event.
    pub event: EventId,
    /// The revision to render it with.
    pub revision: RevisionNo,
    /// Tries spent before, and this one. A try that found the address unroutable
    /// was not spent: the next one carries its number again.
    pub try_no: u32,
    /// Why.
    pub via: Via,
}

/// What followed from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// For this delivery.
    pub next: Next,
    /// The endpoint said 410 a second time: the caller suspends the subscription.
    pub gone: bool,
    /// What somebody has to be told.
    pub notice: Notice,
}

/// Why a delivery is not tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefused {
    /// The subscription is not read.
    #[error("the subscription is not active: resume it first")]
    NotActive,
    /// A try is in flight.
    #[error("a try of this delivery is in flight: wait for its outcome")]
    InFlight,
    /// It waits for an earlier one.
    #[error("this delivery waits behind an earlier one of its subject: retry that one, which releases this one")]
    Held,
    /// It is delivered, skipped, waiting for its first try, or nobody's.
    #[error("only a delivery that is retrying or parked can be tried now")]
    NotFailed,
}

/// What is started next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    Fresh(Place),
    Retry(Place),
    /// The one that asks whether the endpoint works again: fresh or a retry.
    Probe(Place),
}

/// A reader that waits because its address cannot be called.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) why: &'static str,
    pub(super) since: Timestamp,
    pub(super) resume_at: Timestamp,
}

impl Window {
    /// The next try to start now, if any. Ask until `None`.
    ///
    /// Fresh events start in order of the log; retries once due, the oldest
    /// first. While both wait they take turns, and retries hold at most
    /// `RETRY_SHARE_PERCENT` of the slots. While the address is known to be
    /// unroutable one try an hour asks it again; an endpoint that is left alone is
    /// asked with the oldest that is pending, due or not. Nothing starts while as
    /// many attempts as the window has events are not stored yet.
    pub fn poll_start(&mut self, now: Timestamp) -> Option<Start> {
        self.start(self.pick(false, now)?, now)
    }

    /// As `poll_start`, but no retries: they hold their share of all slots.
    pub fn poll_start_fresh(&mut self, now: Timestamp) -> Option<Start> {
        self.start(self.pick(true, now)?, now)
    }

    /// What `poll_start` has to start now.
    #[must_use]
    pub fn wants(&self, now: Timestamp) -> Option<Wants> {
        match self.pick(true, now) {
            Some(_) => Some(Wants::Fresh),
            None => self.pick(false, now).map(|_| Wants::Retries),
        }
    }

    fn pick(&self, fresh_only: bool, now: Timestamp) -> Option<Pick> {
        if !self.may_start() || self.not_before().is_some_and(|it| now < it) {
            return None;
        }
        match self.gate(now) {
            Gate::Wait(_) => return None,
            Gate::Probe => return self.oldest_pending(now),
            Gate::Free => {}
        }
        let fresh = self.ready.first().copied();
        let retry = self.due.first().filter(|(due_at, _)| *due_at <= now && !fresh_only).map(|(_, place)| *place);
        match (fresh, retry) {
            (Some(fresh), Some(_)) if self.retry_was_last || self.retries_in_flight >= self.retries_max() => Some(Pick::Fresh(fresh)),
            (_, Some(retry)) => Some(Pick::Retry(retry)),
            (Some(fresh), None) => Some(Pick::Fresh(fresh)),
            (None, None) => None,
        }
    }

    /// What an endpoint is asked with: what somebody asked for, else the first of the log.
    fn oldest_pending(&self, now: Timestamp) -> Option<Pick> {
        let may_start = |place: &Place| self.due.iter().any(|(due_at, it)| it == place && *due_at <= now);
        if let Some(place) = self.asked.filter(|it| self.exceptions.get(it).is_some_and(|it| it.manual) && may_start(it)) {
            return Some(Pick::Probe(place));
        }
        let retry = self.due.iter().map(|(_, place)| *place).min();
        [self.ready.first().copied(), retry].into_iter().flatten().min().map(Pick::Probe)
    }

    pub(super) fn gate(&self, now: Timestamp) -> Gate {
        self.endpoint.as_ref().map_or(Gate::Free, |it| it.gate(self.in_flight(), now))
    }

    fn start(&mut self, pick: Pick, now: Timestamp) -> Option<Start> {
        let start = match pick {
            Pick::Fresh(place) => self.start_fresh(place),
            Pick::Retry(place) => self.start_retry(place, now),
            Pick::Probe(place) => {
                let start = if self.fresh.contains_key(&place) { self.start_fresh(place) } else { self.start_retry(place, now) };
                self.probe = Some(place);
                start.map(|it| Start { via: if it.via == Via::Manual { it.via } else { Via::Probe }, ..it })
            }
        }?;
        self.started_at = now;
        self.again_at = None;
        self.replay_was_last = false;
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_start(now);
        }
        let subject = self
            .fresh
            .get(&start.place)
            .map(|it| &it.subject)
            .or_else(|| self.exceptions.get(&start.place).map(|it| &it.subject))
            .and_then(Clone::clone);
        self.count_in_flight(subject.as_ref(), true);
        self.refresh_line(subject.as_ref(), now);
        Some(start)
    }

    fn start_fresh(&mut self, place: Place) -> Option<Start> {
        self.ready.remove(&place);
        let it = self.fresh.get_mut(&place)?;
        it.in_flight = true;
        self.fresh_in_flight += 1;
        self.retry_was_last = false;
        Some(Start { place, event: it.event, revision: it.revision, try_no: 1, via: Via::Schedule })
    }

    fn start_retry(&mut self, place: Place, now: Timestamp) -> Option<Start> {
        let it = self.exceptions.get_mut(&place)?;
        if let ExceptionState::Retrying { due_at } = it.row.state {
            self.due.remove(&(due_at, place));
            it.early = due_at > now;
        }
        it.in_flight = true;
        self.retries_in_flight += 1;
        self.retry_was_last = true;
        let via = if it.manual { Via::Manual } else { Via::Schedule };
        Some(Start { place, event: it.row.event, revision: it.row.revision, try_no: it.row.tries.saturating_add(1), via })
    }

    pub(super) fn retries_max(&self) -> usize {
        (self.limits.concurrency_max.saturating_mul(RETRY_SHARE_PERCENT) / 100).max(1)
    }

    /// Whether anything may start but for its own time.
    pub(super) fn may_start(&self) -> bool {
        // While the address is unroutable, one try at a time asks it.
        let slots = if self.hold.is_some() { 1 } else { self.limits.concurrency_max.max(1) };
        self.active
            && !self.shadow.is_on()
            && self.leases.is_none()
            && self.in_flight() < slots
            && self.unsettled_attempts() < self.limits.events_max
    }

    /// When `poll_start` has something by time alone.
    pub(super) fn next_start(&self) -> Option<Timestamp> {
        if !self.may_start() {
            return None;
        }
        let pending = !self.ready.is_empty() || !self.due.is_empty();
        let turn = match &self.endpoint {
            None => None,
            // Waits for the end of a try.
            Some(it) => Some(it.turn(self.in_flight())?),
        };
        if !self.is_closed() {
            // It is asked with whatever there is, due or not.
            let at = turn.max(self.not_before());
            return at.filter(|_| pending);
        }
        let by_time = match self.not_before() {
            Some(at) if !self.ready.is_empty() => Some(at),
            Some(at) => self.oldest_due().map(|it| it.max(at)),
            None if !self.ready.is_empty() && turn.is_some_and(|it| it > self.started_at) => turn,
            None => self.oldest_due(),
        }?;
        Some(turn.map_or(by_time, |it| it.max(by_time)))
    }

    /// Before this nothing starts.
    pub(super) fn not_before(&self) -> Option<Timestamp> {
        self.hold.as_ref().map(|it| it.resume_at).max(self.again_at)
    }

    fn is_closed(&self) -> bool {
        self.endpoint.as_ref().is_none_or(Endpoint::is_closed)
    }

    /// A try ended with `outcome`: keeps `attempt`, and decides what follows.
    ///
    /// `jitter` is in 0..1. `None` when no try of this place is in flight:
    /// nothing is kept then.
    pub fn handle_outcome(&mut self, place: Place, attempt: Attempt, outcome: &Outcome, now: Timestamp, jitter: f64) -> Option<Effect> {
        let in_flight = self.in_flight();
        let (tries, due_at) = self.end_try(place)?;
        let started = attempt.at;
        self.attempts.push(attempt);
        self.unsettled_since.get_or_insert(now);
        let free = self.costs_nothing(outcome);
        let next = if free {
            // Not its fault: nobody pays for it with a try.
            let drawn = retry::delay(&self.limits.delays, tries.max(1), jitter).unwrap_or(UNROUTABLE_RECHECK);
            Next::RetryAt(now + drawn.max(retry::floor(outcome)))
        } else {
            retry::next(tries.saturating_add(1), outcome, &self.limits.delays, now, jitter)
        };
        let next = match (next, due_at) {
            // It was asked before its time: nothing was spent, and its time stands, unless the receiver
            // asked for patience. The schedule's own delay was not for this try.
            (Next::RetryAt(_) | Next::Park { .. }, Some(due_at)) => Next::RetryAt(due_at.max(now + retry::floor(outcome))),
            (next, _) => next,
        };
        let spent = u32::from(!free && due_at.is_none());
        match next {
            Next::Delivered => self.succeeded(place, now),
            Next::RetryAt(due_at) => self.failed(place, ExceptionState::Retrying { due_at }, spent, now),
            Next::Park { reason } => self.failed(place, ExceptionState::Parked { reason: reason.into(), at: now }, spent, now),
            Next::Hold { .. } => self.returned(place, now),
        }
        let probe = self.probe.take_if(|it| *it == place).is_some();
        let notice = match &mut self.endpoint {
            Some(it) => it.handle_end(outcome, started, in_flight, probe, now, jitter),
            None => Notice::Nothing,
        };
        let gone = self.note_health(outcome, now);
        Some(Effect { next, gone, notice })
    }

    /// Whether nobody pays for this with a try: it is us, or no token was to be had, so that the endpoint wasn't asked.
    pub(super) fn costs_nothing(&self, outcome: &Outcome) -> bool {
        let frozen = self.endpoint.as_ref().is_some_and(Endpoint::is_frozen) && matches!(class(outcome), Class::Endpoint { .. });
        frozen || oauth::is_of_token(outcome)
    }

    /// A try ended without a verdict, since it could not be made: it was not spent. Whatever was in its
    /// way is in the way of others, too, so nothing starts for `ABORT_PAUSE`.
    pub fn handle_abort(&mut self, place: Place, now: Timestamp) {
        if self.end_try(place).is_some() {
            self.again_at = Some(now + ABORT_PAUSE);
            self.probe.take_if(|it| *it == place);
            self.returned(place, now);
        }
    }

    /// Marks the try of `place` as over; the tries spent before it, and when it is
    /// due if it was made before that.
    fn end_try(&mut self, place: Place) -> Option<(u32, Option<Timestamp>)> {
        let (subject, before) = if let Some(it) = self.fresh.get_mut(&place).filter(|it| it.in_flight) {
            it.in_flight = false;
            self.fresh_in_flight -= 1;
            (it.subject.clone(), (0, None))
        } else {
            let it = self.exceptions.get_mut(&place).filter(|it| it.in_flight)?;
            it.in_flight = false;
            self.retries_in_flight -= 1;
            let early = core::mem::take(&mut it.early);
            let due_at = match it.row.state {
                ExceptionState::Retrying { due_at } if early => Some(due_at),
                _ => None,
            };
            (it.subject.clone(), (it.row.tries, due_at))
        };
        self.count_in_flight(subject.as_ref(), false);
        Some(before)
    }

    pub(super) fn succeeded(&mut self, place: Place, now: Timestamp) {
        self.shadow.note_delivered(place);
        let subject = if let Some(fresh) = self.remove_fresh(place) {
            fresh.subject
        } else {
            self.touch(place, now);
            self.remove_exception(place).and_then(|it| it.subject)
        };
        if place > self.settled {
            self.done.insert(place);
        }
        self.note_full(now);
        self.refresh_line(subject.as_ref(), now);
    }

    pub(super) fn failed(&mut self, place: Place, state: ExceptionState, spent: u32, now: Timestamp) {
        let subject = if let Some(Fresh { event, subject, revision, expires_at, .. }) = self.remove_fresh(place) {
            let row = Exception {
                place,
                event,
                subject: subject.as_deref().cloned(),
                revision,
                generation: self.generation,
                tries: spent,
                state,
                created_at: now,
                expires_at,
            };
            self.insert_exception(Failed { row, subject: subject.clone(), in_flight: false, manual: false, early: false, told: false });
            subject
        } else if let Some(mut it) = self.remove_exception(place) {
            let subject = it.subject.clone();
            it.row.tries = it.row.tries.saturating_add(spent);
            it.row.state = state;
            it.manual = false;
            // What retention has announced is over, however its last try ended.
            if !it.told {
                self.insert_exception(it);
            }
            subject
        } else {
            None
        };
        self.touch(place, now);
        self.note_full(now);
        self.refresh(place, now);
        self.refresh_line(subject.as_ref(), now);
    }

    /// The try was not spent: the delivery is where it was before.
    pub(super) fn returned(&mut self, place: Place, now: Timestamp) {
        let subject = self
            .fresh
            .get(&place)
            .map(|it| &it.subject)
            .or_else(|| self.exceptions.get(&place).map(|it| &it.subject))
            .and_then(Clone::clone);
        self.refresh(place, now);
        self.refresh_line(subject.as_ref(), now);
        if self.shadow.is_on() {
            self.unread(now);
        }
    }

    /// Keeps how it went; whether this was the second 410.
    pub(super) fn note_health(&mut self, outcome: &Outcome, now: Timestamp) -> bool {
        if let Outcome::Unroutable { reason } = outcome {
            let since = self.hold.as_ref().map_or(now, |it| it.since);
            self.hold = Some(Hold { why: reason, since, resume_at: now + UNROUTABLE_RECHECK });
            return false;
        }
        // Something answered, or tried to: the address can be called.
        self.hold = None;
        let Some(reason) = outcome.reason() else {
            if self.failing.take().is_some() || self.ok_since.is_none() {
                self.ok_since = Some(now);
            }
            self.gone_at = None;
            return false;
        };
        let since = self.failing.map_or(now, |(_, since)| since);
        self.failing = Some((reason, since));
        if reason != "gone" {
            return false;
        }
        let first = *self.gone_at.get_or_insert(now);
        now.since(first) >= GONE_APART
    }

    /// Keeps since when there are as many exceptions as may be.
    pub(super) fn note_full(&mut self, now: Timestamp) {
        if self.exceptions.len() < self.limits.exceptions_max {
            self.full_since = None;
        } else {
            self.full_since.get_or_insert(now);
        }
    }

    /// Asks an unroutable address, or an endpoint that is left alone, again now.
    pub fn recheck(&mut self, now: Timestamp) {
        if let Some(it) = &mut self.endpoint {
            it.recheck(now);
        }
        if let Some(hold) = &mut self.hold {
            hold.resume_at = hold.resume_at.min(now);
        }
    }

    /// Makes a retrying or parked delivery due now. A parked one gets one more
    /// try; if that fails and none are left, it is parked again.
    ///
    /// Also asks an unroutable address again now.
    ///
    /// # Errors
    /// See `RetryRefused`; nothing changed then.
    pub fn retry_now(&mut self, place: Place, now: Timestamp) -> Result<(), RetryRefused> {
        if !self.active || self.shadow.is_on() {
            return Err(RetryRefused::NotActive);
        }
        match self.state_and_flight(place) {
            (_, true) => return Err(RetryRefused::InFlight),
            _ if self.is_replaying(place) => return Err(RetryRefused::InFlight),
            (None, false) => return Err(RetryRefused::NotFailed),
            (Some(ExceptionState::Held), false) => return Err(RetryRefused::Held),
            (Some(ExceptionState::Retrying { .. } | ExceptionState::Parked { .. }), false) => {}
        }
        let Some(mut it) = self.remove_exception(place) else { return Err(RetryRefused::NotFailed) };
        let subject = it.subject.clone();
        it.row.state = ExceptionState::Retrying { due_at: now };
        // Whoever asks wants it however late it is.
        it.row.expires_at = None;
        it.manual = true;
        self.asked = Some(place);
        self.insert_exception(it);
        self.touch(place, now);
        self.recheck(now);
        // A parked one stands in its line again, before what came after it.
        self.refresh(place, now);
        self.refresh_line(subject.as_ref(), now);
        Ok(())
    }

    pub(super) fn state_and_flight(&self, place: Place) -> (Option<&ExceptionState>, bool) {
        match (self.exceptions.get(&place), self.fresh.get(&place)) {
            (Some(it), _) => (Some(&it.row.state), it.in_flight),
            (None, Some(it)) => (None, it.in_flight),
            (None, None) => (None, false),
        }
    }
}
