//! One replay: which events it picks, what it has to send, and how far it is.
//!
//! A temporary reader with a cursor and exceptions of its own. It is offered the
//! log page by page, `wants` says which deliveries it picks, `poll_start` which
//! of them to try now. Whether a slot is free is the window's business
//! (`window::replaying`), and what an outcome means is, too.
//!
//! After a crash, a new one is made from what was stored: it goes on from its
//! low-water mark, and what was in flight is sent again.

use crate::retry::Next;
use core::time::Duration;
use ringback_model::{
    EventId, Subject, Timestamp,
    delivery::{DeliveryState, Exception, ExceptionState},
    event::Place,
    limits,
    replay::{Only, Replay, ReplayState},
    subscription::RevisionNo,
};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// So far over events that it does not want, and it is written down.
const CURSOR_LAG_MAX: u64 = 10_000;

/// What is known of a delivery that a replay may pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What state it is in; `None` when nothing was ever owed.
    pub state: Option<DeliveryState>,
    /// Whether it arrived in any life of the reader, by whatever try.
    pub arrived: bool,
    /// Whether the subscription, as it is today, matches the event.
    pub matches: bool,
}

/// Whether a replay picks this delivery.
///
/// What is still to come by itself is left alone, whatever is asked for.
#[must_use]
pub fn wants(only: Only, it: Facts) -> bool {
    let settled = match it.state {
        Some(DeliveryState::Pending | DeliveryState::Delivering | DeliveryState::Retrying) => return false,
        Some(DeliveryState::Delivered | DeliveryState::Parked | DeliveryState::Skipped) | None => it.state,
    };
    match only {
        Only::Failed => settled == Some(DeliveryState::Parked),
        Only::Missing => it.matches && !it.arrived && settled != Some(DeliveryState::Delivered),
        Only::All => it.matches,
    }
}

/// A delivery that was picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// Where the event stands.
    pub place: Place,
    /// The event.
    pub event: EventId,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The revision to render it with.
    pub revision: RevisionNo,
}

/// A try to start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What is sent.
    pub picked: Picked,
    /// Tries that this replay spent on it before, and this one.
    pub try_no: u32,
}

/// A delivery that this replay has not done with.
#[derive(Clone, Debug)]
struct Item {
    picked: Picked,
    tries: u32,
    /// Not before this time.
    due_at: Timestamp,
    /// When it first failed.
    failed_at: Option<Timestamp>,
    in_flight: bool,
}

/// One replay that runs. See the module.
#[derive(Debug)]
pub struct Run {
    row: Replay,
    read: Place,
    /// Picked, by place: fresh, in flight or waiting to be tried again.
    items: BTreeMap<Place, Item>,
    /// Done with, above the low-water mark.
    above: BTreeSet<Place>,
    /// When the next try is in its turn, by rate.
    next_at: Timestamp,
    /// The low-water mark as it is stored.
    saved: Place,
    dirty: bool,
}

impl Run {
    /// A replay as the store has it.
    #[must_use]
    pub fn new(row: Replay) -> Self {
        let progress = &row.progress;
        let item = |it: &Exception| {
            let due_at = match it.state {
                ExceptionState::Retrying { due_at } => due_at,
                ExceptionState::Held | ExceptionState::Parked { .. } => it.created_at,
            };
            let picked = Picked { place: it.place, event: it.event, subject: it.subject.clone(), revision: it.revision };
            (it.place, Item { picked, tries: it.tries, due_at, failed_at: Some(it.created_at), in_flight: false })
        };
        Self {
            read: progress.cursor,
            items: progress.again.iter().map(item).collect(),
            above: progress.above.iter().copied().collect(),
            next_at: Timestamp::from_secs(0),
            saved: progress.cursor,
            dirty: false,
            row,
        }
    }

    /// What was asked for, and how far it was when it was last written down.
    #[must_use]
    pub const fn row(&self) -> &Replay {
        &self.row
    }

    /// Everything at or below it was looked at.
    #[must_use]
    pub const fn read(&self) -> Place {
        self.read
    }

    /// Whether it goes on.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.row.progress.state, ReplayState::Running)
    }

    /// Whether it wants to look at more.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        let again = self.items.values().filter(|it| it.failed_at.is_some()).count();
        self.is_running()
            && self.read < self.row.to
            && self.items.len() - again < limits::REPLAY_EVENTS_MAX
            && self.items.len() < limits::REPLAY_RETRIES_MAX
    }

    /// It has looked at everything up to `to`, and picked these. Those that it is through with, or has already, are left out.
    pub fn handle_page(&mut self, to: Place, picked: Vec<Picked>) {
        if !self.is_running() {
            return;
        }
        for it in picked {
            if it.place <= self.read || self.above.contains(&it.place) || self.items.contains_key(&it.place) {
                continue;
            }
            let item = Item { tries: 0, due_at: Timestamp::from_secs(0), failed_at: None, in_flight: false, picked: it };
            self.items.insert(item.picked.place, item);
        }
        self.read = self.read.max(to.min(self.row.to));
        self.note();
    }

    /// The next try to start now, which is then in flight. `is_busy` says that one has to wait,
    /// `is_ordered` that a revision asks for order by subject.
    ///
    /// In order of the log; where order is asked for, those of a subject never go past each other.
    pub fn poll_start(
        &mut self,
        now: Timestamp,
        is_ordered: impl Fn(RevisionNo) -> bool,
        is_busy: impl Fn(&Picked) -> bool,
    ) -> Option<Start> {
        let place = self.next_item(now, is_ordered, is_busy)?;
        let item = self.items.get_mut(&place)?;
        item.in_flight = true;
        if let Some(per_s) = self.row.rate_max_per_s {
            let apart = Duration::from_secs_f64(1.0 / f64::from(per_s.max(1)));
            self.next_at = self.next_at.max(now) + apart;
        }
        Some(Start { picked: item.picked.clone(), try_no: item.tries.saturating_add(1) })
    }

    /// What `poll_start` has to start.
    #[must_use]
    pub fn peek(&self, now: Timestamp, is_ordered: impl Fn(RevisionNo) -> bool, is_busy: impl Fn(&Picked) -> bool) -> Option<&Picked> {
        let place = self.next_item(now, is_ordered, is_busy)?;
        self.items.get(&place).map(|it| &it.picked)
    }

    fn next_item(&self, now: Timestamp, is_ordered: impl Fn(RevisionNo) -> bool, is_busy: impl Fn(&Picked) -> bool) -> Option<Place> {
        if !self.is_running() || now < self.next_at {
            return None;
        }
        self.first_of_lines(is_ordered).find(|it| it.due_at <= now && !is_busy(&it.picked)).map(|it| it.picked.place)
    }

    /// What is not in flight and has nobody of its subject before it, where order is asked for.
    fn first_of_lines(&self, is_ordered: impl Fn(RevisionNo) -> bool) -> impl Iterator<Item = &Item> {
        let mut before: BTreeSet<&Subject> = BTreeSet::new();
        self.items.values().filter(move |it| {
            let passes = it.picked.subject.as_ref().is_some_and(|subject| !before.insert(subject));
            !(it.in_flight || passes && is_ordered(it.picked.revision))
        })
    }

    /// When to ask `poll_start` again by time alone; `None` when only what happens can change its answer.
    #[must_use]
    pub fn next_timeout(&self, now: Timestamp, is_ordered: impl Fn(RevisionNo) -> bool) -> Option<Timestamp> {
        if !self.is_running() {
            return None;
        }
        self.first_of_lines(is_ordered).map(|it| it.due_at.max(self.next_at)).filter(|at| *at > now).min()
    }

    /// The try of the delivery at `place` ended; `spent` says whether it counts.
    pub fn handle_outcome(&mut self, place: Place, next: Next, spent: bool, now: Timestamp) {
        let Some(item) = self.items.get_mut(&place) else {
            // Cancelled meanwhile: what arrived, arrived.
            if next == Next::Delivered && self.row.progress.state == ReplayState::Cancelled {
                self.row.progress.delivered += 1;
                self.row.progress.matched += 1;
                self.dirty = true;
            }
            return;
        };
        item.in_flight = false;
        item.tries = item.tries.saturating_add(u32::from(spent));
        match next {
            Next::Delivered => {
                self.row.progress.delivered += 1;
                self.finish(place);
            }
            Next::RetryAt(due_at) => {
                item.due_at = due_at;
                item.failed_at.get_or_insert(now);
            }
            Next::Park { .. } => {
                self.row.progress.parked += 1;
                self.finish(place);
            }
            // Not spent, and the window waits until the address can be called.
            Next::Hold { .. } => {}
        }
        self.dirty = true;
    }

    /// The try of the delivery at `place` ended without a verdict.
    pub fn handle_abort(&mut self, place: Place) {
        if let Some(it) = self.items.get_mut(&place) {
            it.in_flight = false;
        }
    }

    /// The delivery at `place` is not to be replayed any more: it is in other hands, or gone.
    pub fn drop_item(&mut self, place: Place) {
        if self.items.get(&place).is_some_and(|it| !it.in_flight) {
            self.finish(place);
            self.dirty = true;
        }
    }

    /// Events at or below `floor` are not in the log any more. What it had not read of them, and what it had
    /// picked there, is counted as gone. What is in flight ends first: ask again after that.
    pub fn handle_floor(&mut self, floor: Place) {
        if !self.is_running() {
            return;
        }
        let end = floor.min(self.row.to);
        let mut gone = end.saturating_sub(self.read);
        self.read = self.read.max(end);
        let lost: Vec<Place> = self.items.range(..=floor).filter(|(_, it)| !it.in_flight).map(|(place, _)| *place).collect();
        for place in lost {
            gone += 1;
            self.finish(place);
        }
        if gone > 0 {
            self.row.progress.gone += gone;
            self.dirty = true;
        }
    }

    fn finish(&mut self, place: Place) {
        self.items.remove(&place);
        self.above.insert(place);
        self.note();
    }

    /// Ends it. What is in flight ends by itself.
    pub fn cancel(&mut self, why: &str, now: Timestamp) {
        if self.is_running() {
            self.count();
            self.row.progress.state = ReplayState::Cancelled;
            self.row.progress.why = Some(why.to_owned());
            self.row.progress.ended_at = Some(now);
            self.row.progress.cursor = self.cursor();
            // What is left undone is not picked any more.
            let left = self.items.len() as u64;
            self.row.progress.matched = self.row.progress.matched.saturating_sub(left);
            self.items.clear();
            self.above.clear();
            self.dirty = true;
        }
    }

    /// Ends it when it has looked at everything and nothing is left to be tried.
    pub fn end_if_through(&mut self, now: Timestamp) {
        if self.is_running() && self.read >= self.row.to && self.items.is_empty() {
            self.row.progress.state = ReplayState::Done;
            self.row.progress.ended_at = Some(now);
            self.dirty = true;
        }
    }

    /// Whether there is something to write down.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What is to be written down.
    pub fn take(&mut self) -> Replay {
        if self.is_running() || self.row.progress.state == ReplayState::Done {
            self.count();
            let cursor = self.cursor();
            self.above = self.above.split_off(&cursor.saturating_add(1));
            let row = &mut self.row.progress;
            row.cursor = cursor;
            row.above = self.above.iter().copied().collect();
            let generation = self.row.generation;
            let again = self.items.values().filter_map(|it| {
                let created_at = it.failed_at?;
                Some(Exception {
                    place: it.picked.place,
                    event: it.picked.event,
                    subject: it.picked.subject.clone(),
                    revision: it.picked.revision,
                    generation,
                    tries: it.tries,
                    state: ExceptionState::Retrying { due_at: it.due_at },
                    created_at,
                    // Whoever replays wants it however late it is.
                    expires_at: None,
                })
            });
            row.again = again.collect();
        } else {
            let row = &mut self.row.progress;
            row.above.clear();
            row.again.clear();
        }
        self.saved = self.row.progress.cursor;
        self.dirty = false;
        self.row.clone()
    }

    /// What was taken was not stored, or may not have been.
    pub const fn put_back(&mut self) {
        self.dirty = true;
    }

    /// At or below it nothing is left but what failed and is tried again.
    fn cursor(&self) -> Place {
        let first = self.items.values().find(|it| it.failed_at.is_none()).map(|it| it.picked.place - 1);
        first.unwrap_or(self.read)
    }

    /// Picked is what came of it, and what is left.
    fn count(&mut self) {
        let row = &mut self.row.progress;
        row.matched = row.delivered + row.parked + self.items.len() as u64;
    }

    fn note(&mut self) {
        self.dirty |= self.cursor().saturating_sub(self.saved) > CURSOR_LAG_MAX;
    }
}
