//! Tries of replays: they share the window's slots, its endpoint and its
//! subjects, and touch nothing of what the window itself has to do.
//!
//! A replay that arrives removes a parked exception, and changes nothing else.
//!
//! Not here: what a replay picks, and how often it tries (`replay`).

use super::{ABORT_PAUSE, Window};
use crate::{
    health::{Gate, Notice},
    retry::{self, Next},
};
use ringback_model::{
    Subject, Timestamp,
    delivery::{Attempt, Exception, ExceptionState, Outcome},
    event::Place,
    replay::Only,
    subscription::RevisionNo,
};
use std::sync::Arc;

/// Mean delays before the second, third … try of one delivery by a replay, in seconds. Who replays
/// watches: what fails for minutes is told to him, and stays what it was.
pub const REPLAY_DELAYS: [u32; 3] = [5, 30, 120];

/// What followed from the outcome of a replay's try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// For this delivery, in this replay.
    pub next: Next,
    /// Whether a try was spent.
    pub spent: bool,
    /// The endpoint said 410 a second time: the caller suspends the subscription.
    pub gone: bool,
    /// What somebody has to be told.
    pub notice: Notice,
}

impl Window {
    /// Whether a replay may start a try now.
    ///
    /// Not while it is in the shadow. What the window itself has to start comes first; while that never ends, replays
    /// take turns with it and hold no more than the share of retries. An endpoint that is
    /// left alone is asked by a replay only if nothing else is there to ask it with.
    #[must_use]
    pub fn may_replay(&self, now: Timestamp) -> bool {
        if !self.may_start() || self.not_before().is_some_and(|it| now < it) {
            return false;
        }
        let idle = self.wants(now).is_none();
        match self.gate(now) {
            Gate::Wait(_) => false,
            Gate::Probe => idle,
            Gate::Free => idle || !self.replay_was_last && self.replaying.len() + self.retries_in_flight < self.retries_max(),
        }
    }

    /// When `may_replay` may become true by time alone; a time that has passed means now.
    #[must_use]
    pub fn next_replay(&self) -> Option<Timestamp> {
        if !self.may_start() {
            return None;
        }
        let turn = match &self.endpoint {
            None => Timestamp::from_secs(0),
            // Waits for the end of a try.
            Some(it) => it.turn(self.in_flight())?,
        };
        Some(self.not_before().map_or(turn, |it| it.max(turn)))
    }

    /// Whether a try of this delivery has to wait for another one: of itself, or of its subject.
    #[must_use]
    pub fn is_busy(&self, place: Place, subject: Option<&Subject>, revision: RevisionNo) -> bool {
        let line = || subject.and_then(|it| self.lines.get(it)).is_some_and(|it| it.in_flight > 0);
        self.replaying.contains_key(&place) || self.state_and_flight(place).1 || self.is_ordered(revision) && line()
    }

    /// A replay starts a try of the delivery at `place`, which is not busy.
    pub fn start_replay(&mut self, place: Place, subject: Option<Subject>, now: Timestamp) {
        if matches!(self.gate(now), Gate::Probe) {
            self.probe = Some(place);
        }
        self.started_at = now;
        self.again_at = None;
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_start(now);
        }
        let subject = subject.map(|it| self.intern(it));
        self.replaying.insert(place, subject.clone());
        self.replay_was_last = true;
        self.count_in_flight(subject.as_ref(), true);
        self.refresh_line(subject.as_ref(), now);
    }

    /// A replay's try of the delivery at `place` ended, the `tries`-th that it spends on it.
    /// `None` when none was in flight: nothing is kept then.
    pub fn handle_replayed(
        &mut self,
        place: Place,
        tries: u32,
        attempt: Attempt,
        outcome: &Outcome,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Replayed> {
        let in_flight = self.in_flight();
        let subject = self.end_replay(place)?;
        let started = attempt.at;
        self.attempts.push(attempt);
        self.unsettled_since.get_or_insert(now);
        let free = self.costs_nothing(outcome);
        let next = retry::next(if free { 1 } else { tries }, outcome, &REPLAY_DELAYS, now, jitter);
        if next == Next::Delivered && self.parked(place).is_some() {
            self.touch(place, now);
            self.remove_exception(place);
            if place > self.settled {
                self.done.insert(place);
            }
            self.note_full(now);
        }
        self.refresh_line(subject.as_ref(), now);
        let probe = self.probe.take_if(|it| *it == place).is_some();
        let notice = match &mut self.endpoint {
            Some(it) => it.handle_end(outcome, started, in_flight, probe, now, jitter),
            None => Notice::Nothing,
        };
        let gone = self.note_health(outcome, now);
        let spent = !free && !matches!(next, Next::Hold { .. });
        Some(Replayed { next, spent, gone, notice })
    }

    /// A replay's try ended without a verdict, since it could not be made: as `handle_abort`.
    pub fn handle_replay_abort(&mut self, place: Place, now: Timestamp) {
        let Some(subject) = self.end_replay(place) else { return };
        self.again_at = Some(now + ABORT_PAUSE);
        self.probe.take_if(|it| *it == place);
        self.refresh_line(subject.as_ref(), now);
    }

    fn end_replay(&mut self, place: Place) -> Option<Option<Arc<Subject>>> {
        let subject = self.replaying.remove(&place)?;
        self.count_in_flight(subject.as_ref(), false);
        Some(subject)
    }

    /// The exception at `place`, if it is a parked one.
    #[must_use]
    pub fn parked(&self, place: Place) -> Option<&Exception> {
        self.exception(place).filter(|it| matches!(it.state, ExceptionState::Parked { .. }))
    }

    /// Whether a delivery that a replay picked a moment ago is not its business any more: the window tries it
    /// by itself, or it is not parked any more where only what failed is asked for.
    #[must_use]
    pub fn is_in_other_hands(&self, place: Place, only: Only) -> bool {
        let parked = self.parked(place).is_some();
        !parked && (only == Only::Failed || self.exception(place).is_some())
    }

    /// Whether a replay has a try of this delivery in flight.
    #[must_use]
    pub fn is_replaying(&self, place: Place) -> bool {
        self.replaying.contains_key(&place)
    }
}
