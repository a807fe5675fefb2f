//! What is unfinished of each subject, and who may start because of it.
//!
//! A line is kept for every subject, whatever the order of the revision: an
//! event of an ordered revision waits for *all* earlier unfinished ones of its
//! subject, also for those that an earlier, unordered revision matched.
//! Parked deliveries are not in a line: they release their subject (P5).

use super::{Failed, Fresh, Window};
use ringback_model::{
    Subject, Timestamp,
    delivery::{Exception, ExceptionState},
    event::Place,
    subscription::{Order, RevisionNo},
};
use std::{collections::BTreeSet, sync::Arc};

/// The unfinished deliveries of one subject.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Fresh ones, queued or in flight.
    pub(super) waiting: BTreeSet<Place>,
    /// Exceptions, retrying or held.
    pub(super) failed: BTreeSet<Place>,
    /// How many of both are in flight.
    pub(super) in_flight: usize,
}

impl Line {
    pub(super) fn is_over(&self) -> bool {
        // A replay's try may be all that is there.
        self.waiting.is_empty() && self.failed.is_empty() && self.in_flight == 0
    }

    fn first(&self) -> Option<Place> {
        [self.waiting.first(), self.failed.first()].into_iter().flatten().min().copied()
    }

    fn first_two(&self) -> [Option<Place>; 2] {
        let first = self.first();
        let after = |set: &BTreeSet<Place>| set.iter().find(|it| Some(**it) != first).copied();
        let second = [after(&self.waiting), after(&self.failed)].into_iter().flatten().min();
        [first, second]
    }
}

impl Window {
    /// The one copy of a subject that is kept while something of it is unfinished.
    pub(super) fn intern(&mut self, subject: Subject) -> Arc<Subject> {
        let subject = match self.lines.get_key_value(&subject) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(subject),
        };
        self.lines.entry(Arc::clone(&subject)).or_default();
        subject
    }

    /// A revision that is not known counts as ordered: that only waits more.
    #[must_use]
    pub fn is_ordered(&self, revision: RevisionNo) -> bool {
        self.orders.get(&revision) != Some(&Order::None)
    }

    /// Whether a delivery that is not in flight has to wait for others of its subject.
    fn is_blocked(&self, place: Place, revision: RevisionNo, subject: Option<&Arc<Subject>>) -> bool {
        let Some(line) = subject.and_then(|it| self.lines.get(it)) else { return false };
        self.is_ordered(revision) && (line.in_flight > 0 || line.first() != Some(place))
    }

    /// Makes `ready` or `due` say whether the delivery at `place` may start; releases it if it was held.
    pub(super) fn refresh(&mut self, place: Place, now: Timestamp) {
        if let Some(it) = self.fresh.get(&place) {
            if !it.in_flight && !self.is_planned(place) && !self.is_blocked(place, it.revision, it.subject.as_ref()) {
                self.ready.insert(place);
            } else {
                self.ready.remove(&place);
            }
        } else if let Some(it) = self.exceptions.get(&place) {
            let may_start = !it.in_flight && !self.is_blocked(place, it.row.revision, it.subject.as_ref());
            match (&it.row.state, may_start) {
                (ExceptionState::Retrying { due_at }, true) => {
                    self.due.insert((*due_at, place));
                }
                (ExceptionState::Retrying { due_at }, false) => {
                    self.due.remove(&(*due_at, place));
                }
                // Not written down: a restart finds it first of its subject and releases it again.
                (ExceptionState::Held, true) => {
                    self.set_exception_state(place, ExceptionState::Retrying { due_at: now });
                    self.due.insert((now, place));
                }
                (ExceptionState::Held, false) | (ExceptionState::Parked { .. }, _) => {}
            }
        }
    }

    /// Something of `subject` began, ended or joined: who may start now?
    ///
    /// Of ordered deliveries only the first may; the second may have been the
    /// first until now. All others stay what they are.
    pub(super) fn refresh_line(&mut self, subject: Option<&Arc<Subject>>, now: Timestamp) {
        let Some(subject) = subject else { return };
        let Some(line) = self.lines.get(subject) else { return };
        if line.is_over() {
            self.lines.remove(subject);
            return;
        }
        self.hold_followers(subject, now);
        let Some(line) = self.lines.get(subject) else { return };
        for place in line.first_two().into_iter().flatten() {
            self.refresh(place, now);
        }
    }

    /// A delivery of `subject` starts or ends.
    pub(super) fn count_in_flight(&mut self, subject: Option<&Arc<Subject>>, starts: bool) {
        if let Some(line) = subject.and_then(|it| self.lines.get_mut(it)) {
            line.in_flight = if starts { line.in_flight + 1 } else { line.in_flight.saturating_sub(1) };
        }
    }

    /// Ordered deliveries that are queued behind nothing but exceptions become
    /// held ones, so that they do not keep the cursor back for other subjects.
    ///
    /// Not those behind a fresh one: a restart, which knows only the exceptions,
    /// would take the later one for the first of its subject.
    fn hold_followers(&mut self, subject: &Arc<Subject>, now: Timestamp) {
        while let Some(line) = self.lines.get(subject)
            && let (Some(first), Some(failed)) = (line.waiting.first().copied(), line.failed.first())
            && *failed < first
            && !self.is_planned(first)
            && self.fresh.get(&first).is_some_and(|it| !it.in_flight && self.is_ordered(it.revision))
            && let Some(fresh) = self.remove_fresh(first)
        {
            self.hold_behind(first, fresh, now);
        }
    }

    /// Writes a delivery down as held behind a failed one of its subject.
    fn hold_behind(&mut self, place: Place, fresh: Fresh, now: Timestamp) {
        let row = Exception {
            place,
            event: fresh.event,
            subject: fresh.subject.as_deref().cloned(),
            revision: fresh.revision,
            generation: self.generation,
            tries: 0,
            state: ExceptionState::Held,
            created_at: now,
            expires_at: fresh.expires_at,
        };
        self.insert_exception(Failed { row, subject: fresh.subject, in_flight: false, manual: false, early: false, told: false });
        self.touch(place, now);
        self.note_full(now);
    }

    /// Takes a fresh event out of every index.
    pub(super) fn remove_fresh(&mut self, place: Place) -> Option<Fresh> {
        let fresh = self.fresh.remove(&place)?;
        self.ready.remove(&place);
        self.forget_deadline(place, fresh.expires_at);
        if let Some(line) = fresh.subject.as_ref().and_then(|it| self.lines.get_mut(it)) {
            line.waiting.remove(&place);
        }
        Some(fresh)
    }

    /// Puts an exception into every index but `due`: call `refresh` or `refresh_line` afterwards.
    pub(super) fn insert_exception(&mut self, failed: Failed) {
        let place = failed.row.place;
        let _ = self.remove_exception(place);
        *self.counts.slot(&failed.row.state) += 1;
        if !matches!(failed.row.state, ExceptionState::Parked { .. })
            && let Some(subject) = &failed.subject
        {
            // A line may have ended meanwhile: `or_default` begins it again.
            self.lines.entry(Arc::clone(subject)).or_default().failed.insert(place);
        }
        if !matches!(failed.row.state, ExceptionState::Parked { .. }) {
            self.expiring.extend(failed.row.expires_at.map(|at| (at, place)));
        }
        self.exceptions.insert(place, failed);
    }

    /// Takes an exception out of every index.
    pub(super) fn remove_exception(&mut self, place: Place) -> Option<Failed> {
        let failed = self.exceptions.remove(&place)?;
        *self.counts.slot(&failed.row.state) -= 1;
        if let ExceptionState::Retrying { due_at } = failed.row.state {
            self.due.remove(&(due_at, place));
        }
        self.forget_deadline(place, failed.row.expires_at);
        if let Some(line) = failed.subject.as_ref().and_then(|it| self.lines.get_mut(it)) {
            line.failed.remove(&place);
        }
        Some(failed)
    }

    fn set_exception_state(&mut self, place: Place, state: ExceptionState) {
        if let Some(mut failed) = self.remove_exception(place) {
            failed.row.state = state;
            self.insert_exception(failed);
        }
    }
}
