//! Replays beside a window: reading for them, starting their tries, hearing what
//! came of those.
//!
//! Of one subscription one replay runs at a time, the oldest; the others wait. Its
//! progress is part of the subscription's settlements, so that what arrived and
//! how far it is can never disagree.
//!
//! Not here: what is picked (`crate::replays::pick`), how it goes on (`engine::replay`),
//! when a replay may have a slot (`engine::window::replaying`).

use super::{Dispatcher, Done, STORE_PAUSE, attempt, handle::CancelledReplay, pull::Waiter, reader::Reader};
use crate::{Error, replays::pick::Picks};
use ringback_engine::{
    fair::Wants,
    replay::{Picked, Run},
    window::{Start, Window},
};
use ringback_model::{ReplayId, Timestamp, delivery::Via, event::Place, replay::Replay, subscription::Generation};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// What a reader keeps of replays.
#[derive(Debug, Default)]
pub(super) struct Replaying {
    /// The oldest first.
    pub(super) runs: Vec<Run>,
    /// Which replay has a try of this place in flight.
    pub(super) flying: BTreeMap<Place, ReplayId>,
    /// A page is being read for the one that runs.
    paging: bool,
}

impl Replaying {
    /// As the store has them: those of another life have ended with it.
    pub(super) fn new(rows: Vec<Replay>, generation: Generation, now: Timestamp) -> Self {
        let mut it = Self::default();
        for row in rows {
            it.add(row, generation, now);
        }
        it
    }

    /// Ends all of them. What is in flight ends by itself.
    pub(super) fn end_all(&mut self, why: &str, now: Timestamp) {
        self.runs.iter_mut().for_each(|it| it.cancel(why, now));
    }

    /// At or below it the log is gone.
    pub(super) fn handle_floor(&mut self, floor: Place) {
        self.runs.iter_mut().for_each(|it| it.handle_floor(floor));
    }

    fn add(&mut self, row: Replay, generation: Generation, now: Timestamp) {
        if self.runs.iter().any(|it| it.row().id == row.id) {
            return;
        }
        let other_life = row.generation != generation;
        let mut run = Run::new(row);
        if other_life {
            run.cancel("sought", now);
        }
        self.runs.push(run);
    }

    /// Whether something of it is to be written down.
    pub(super) fn is_dirty(&self) -> bool {
        self.runs.iter().any(Run::is_dirty)
    }

    /// What is to be written down now.
    pub(super) fn take(&mut self) -> Vec<Replay> {
        self.runs.iter_mut().filter(|it| it.is_dirty()).map(Run::take).collect()
    }

    /// It was not stored, or may not have been.
    pub(super) fn put_back(&mut self, ids: &[ReplayId]) {
        self.runs.iter_mut().filter(|it| ids.contains(&it.row().id)).for_each(Run::put_back);
    }

    /// What was taken is stored: those that have ended are only at rest from now on.
    pub(super) fn forget_ended(&mut self) {
        let flying = &self.flying;
        self.runs.retain(|it| it.is_running() || it.is_dirty() || flying.values().any(|id| *id == it.row().id));
    }

    fn running(&self) -> Option<&Run> {
        self.runs.iter().find(|it| it.is_running())
    }

    fn running_mut(&mut self) -> Option<&mut Run> {
        self.runs.iter_mut().find(|it| it.is_running())
    }
}

/// What may start now, if a slot is free.
fn peek<'a>(window: &Window, run: &'a Run, now: Timestamp) -> Option<&'a Picked> {
    run.peek(now, |no| window.is_ordered(no), |it| window.is_busy(it.place, it.subject.as_ref(), it.revision))
}

impl Reader {
    /// What it has to start: of its own, else of a replay.
    pub(super) fn wants(&self, now: Timestamp) -> Option<Wants> {
        let replay = || {
            let run = self.replaying.running()?;
            (self.window.may_replay(now) && peek(&self.window, run, now).is_some()).then_some(Wants::Retries)
        };
        self.window.wants(now).or_else(replay)
    }

    /// When a replay may have something to start by time alone.
    pub(super) fn next_replay(&self, now: Timestamp) -> Option<Timestamp> {
        let run = self.replaying.running()?;
        let window = self.window.next_replay()?;
        if peek(&self.window, run, now).is_some() {
            return Some(window).filter(|at| *at > now);
        }
        Some(run.next_timeout(now, |no| self.window.is_ordered(no))?.max(window))
    }

    /// Whether anything is to be written down, but for a cursor that moved over what does not match.
    pub(super) fn has_pending(&self) -> bool {
        self.window.pending_settlement() || self.replaying.is_dirty()
    }
}

impl Dispatcher {
    /// A replay was stored: it waits for its turn.
    pub(super) fn add_replay(&mut self, no: u32, row: Replay, now: Timestamp) {
        if let Some(reader) = self.readers.get_mut(&no) {
            reader.replaying.add(row, reader.window.generation(), now);
            self.ready.insert(no);
        }
    }

    pub(super) fn cancel_replay(&mut self, no: u32, id: ReplayId, reply: oneshot::Sender<CancelledReplay>, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no) else {
            let _ = reply.send(None);
            return;
        };
        if let Some(run) = reader.replaying.runs.iter_mut().find(|it| it.row().id == id) {
            run.cancel("asked", now);
        }
        let (stored, is_stored) = oneshot::channel();
        self.when_stored(no, Waiter::Stored(stored));
        let _ = reply.send(Some(is_stored));
    }

    /// Ends a replay that is through, leaves out what is in other hands, and has the next page read.
    pub(super) fn replay_on(&mut self, no: u32, now: Timestamp) {
        let draining = self.draining.is_some();
        let Some(reader) = self.readers.get_mut(&no) else { return };
        let window = &reader.window;
        let Some(run) = reader.replaying.running_mut() else { return };
        while let Some(place) = peek(window, run, now).map(|it| it.place).filter(|it| window.is_in_other_hands(*it, run.row().only)) {
            run.drop_item(place);
        }
        run.end_if_through(now);
        if draining || reader.frozen || reader.replaying.paging || !window.is_active() || window.is_shadow() {
            return;
        }
        let Some(run) = reader.replaying.running().filter(|it| it.wants_more()) else { return };
        let (service, out, generation) = (self.service.clone(), self.done_out.clone(), window.generation());
        let (subscription, row, after) = (reader.subscription.clone(), run.row().clone(), run.read());
        reader.replaying.paging = true;
        tokio::spawn(async move {
            let picks = service.replay_page(&subscription, &row, after).await;
            let _ = out.send(Done::Picked { no, generation, id: row.id, picks });
        });
    }

    pub(super) fn handle_picked(&mut self, no: u32, generation: Generation, id: ReplayId, picks: Result<Picks, Error>, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.generation() == generation) else { return };
        reader.replaying.paging = false;
        match picks {
            Ok(Picks { to, picked, floor, .. }) => {
                if let Some(run) = reader.replaying.runs.iter_mut().find(|it| it.row().id == id) {
                    run.handle_floor(floor);
                    run.handle_page(to, picked);
                }
                self.ready.insert(no);
            }
            Err(why) => {
                tracing::warn!(subscription.id = %reader.subscription.id, "a page could not be read for a replay, trying again: {why:?}");
                self.timers.insert((now + STORE_PAUSE, no));
            }
        }
    }

    /// Starts a replay's try, if one may start now; what the window has to start itself comes before it.
    pub(super) fn start_replay(&mut self, no: u32, now: Timestamp) -> bool {
        let Some(reader) = self.readers.get_mut(&no) else { return false };
        let window = &mut reader.window;
        if !window.may_replay(now) {
            return false;
        }
        let Some(run) = reader.replaying.runs.iter_mut().find(|it| it.is_running()) else { return false };
        if peek(window, run, now).is_none_or(|it| window.is_in_other_hands(it.place, run.row().only)) {
            return false;
        }
        let start = run.poll_start(now, |no| window.is_ordered(no), |it| window.is_busy(it.place, it.subject.as_ref(), it.revision));
        let Some(start) = start else { return false };
        let Picked { place, event, subject, revision } = start.picked;
        window.start_replay(place, subject, now);
        reader.replaying.flying.insert(place, run.row().id);
        let held = self.fair.handle_started(no, true);
        let job = attempt::Job {
            subscription: reader.subscription.clone(),
            generation: window.generation(),
            start: Start { place, event, revision, try_no: start.try_no, via: Via::Replay },
            held,
            event: None,
        };
        attempt::spawn(self.service.clone(), job, self.done_out.clone());
        true
    }

    /// A replay's try is over.
    pub(super) fn handle_replayed(&mut self, no: u32, place: Place, came: Option<attempt::Came>, now: Timestamp) {
        let floor = self.readers.get(&no).map_or(0, |it| self.service.inner.floors.of(&it.subscription.scope));
        let Some(reader) = self.readers.get_mut(&no) else { return };
        let id = reader.replaying.flying.remove(&place);
        let run = reader.replaying.runs.iter_mut().find(|it| Some(it.row().id) == id);
        let Some(came) = came else {
            // The event could not be read, or the try broke.
            reader.window.handle_replay_abort(place, now);
            if let Some(run) = run {
                run.handle_abort(place);
                run.handle_floor(floor);
            }
            self.ready.insert(no);
            return;
        };
        let attempt::Came { attempt, outcome, .. } = came;
        let jitter = self.service.inner.entropy.fraction();
        let tries = attempt.n;
        super::count_try(&attempt, &outcome);
        if let Some(replayed) = reader.window.handle_replayed(place, tries, attempt, &outcome, now, jitter) {
            if let Some(run) = run {
                run.handle_outcome(place, replayed.next, replayed.spent, now);
                run.handle_floor(floor);
            }
            self.heed(no, replayed.notice, replayed.gone);
        }
        if self.weather.handle_outcome(no, &outcome, now) {
            self.weather_changed(now);
        }
        self.ready.insert(no);
    }
}
