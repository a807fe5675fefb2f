//! What has to be written down, and when.
//!
//! A settlement is taken from the present state: the cursor, the attempts since
//! the last one, and the exceptions of every place that was touched. One is
//! written at a time, so that a later one can never say that the cursor passed
//! an event whose attempt was in an earlier one that failed. Taken back and
//! taken again it says the same or more: writing it twice is writing it once.

use super::Window;
use ringback_model::{
    Timestamp,
    delivery::{Attempt, Exception, SHADOW, SkippedRange},
    event::Place,
    limits,
};

/// What is to be stored in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The low-water mark.
    pub cursor: Place,
    /// Tries that ended.
    pub attempts: Vec<Attempt>,
    /// Exceptions that are new or changed, in order of place.
    pub exceptions: Vec<Exception>,
    /// Places whose exception is over, in order.
    pub removed: Vec<Place>,
    /// Stretches of the shadow that are new or have grown, and deliveries that were cancelled, each a range of one place.
    pub skipped: Vec<SkippedRange>,
}

impl Window {
    /// Whether there is anything to write but a cursor that moved over what does not match.
    #[must_use]
    pub fn pending_settlement(&self) -> bool {
        // What was done out of order takes room until the stored cursor has passed it.
        !self.attempts.is_empty()
            || !self.dirty.is_empty()
            || self.shadow.is_pending()
            || !self.cancelled.is_empty()
            || self.done.first().is_some_and(|it| *it <= self.cursor())
    }

    /// When to take a settlement: at once after 256 completions, else 100 ms
    /// after the first. `None` while there is nothing, or one is being written.
    #[must_use]
    pub fn settle_due(&self) -> Option<Timestamp> {
        if self.settling.is_some() || !self.pending_settlement() {
            return None;
        }
        let since = self.unsettled_since.unwrap_or_default();
        let full = self.urgent || self.attempts.len().max(self.dirty.len()).max(self.shadow.unsettled()) >= limits::SETTLE_COMPLETIONS_MAX;
        let due = if full { since } else { since + limits::SETTLE_AGE_MAX };
        Some(self.settle_after.map_or(due, |it| it.max(due)))
    }

    /// Somebody waits until what is pending is stored: the next settlement is due at once.
    pub const fn hurry(&mut self) {
        self.urgent = true;
    }

    /// How far the cursor is ahead of the stored one. It moves without a
    /// settlement over events that do not match: write it (`take_settlement`) when
    /// this has become much, and at shutdown.
    #[must_use]
    pub fn cursor_lag(&self) -> u64 {
        self.cursor().saturating_sub(self.settled)
    }

    /// What is to be stored now; `None` when there is nothing, or when one is being written.
    ///
    /// Call `handle_settled` or `put_back` afterwards.
    pub fn take_settlement(&mut self) -> Option<Settling> {
        if !self.pending_settlement() && self.cursor_lag() == 0 {
            return None;
        }
        self.take_any_settlement()
    }

    /// As `take_settlement`, also if there is nothing: for what others have to write together with it.
    pub fn take_any_settlement(&mut self) -> Option<Settling> {
        if self.settling.is_some() {
            return None;
        }
        let attempts = core::mem::take(&mut self.attempts);
        let mut exceptions = Vec::new();
        let mut removed = Vec::new();
        for place in core::mem::take(&mut self.dirty) {
            match self.exceptions.get(&place) {
                Some(it) => exceptions.push(it.row.clone()),
                None => removed.push(place),
            }
        }
        self.unsettled_since = None;
        self.urgent = false;
        self.settle_after = None;
        self.settling = Some(attempts.len());
        let mut skipped = self.take_shadowed();
        skipped.append(&mut self.cancelled);
        Some(Settling { cursor: self.cursor(), attempts, exceptions, removed, skipped })
    }

    /// The settlement with this cursor is durable.
    pub fn handle_settled(&mut self, cursor: Place) {
        self.settling = None;
        self.settled = self.settled.max(cursor);
        let above = self.settled.saturating_add(1);
        self.done = self.done.split_off(&above);
        self.done_before = self.done_before.split_off(&above);
    }

    /// The settlement was not stored, or may not have been: it is part of the next one, not before `retry_at`.
    pub fn put_back(&mut self, settling: Settling, retry_at: Timestamp) {
        let Settling { mut attempts, exceptions, removed, skipped, .. } = settling;
        self.settling = None;
        if !attempts.is_empty() || !exceptions.is_empty() || !removed.is_empty() || !skipped.is_empty() {
            self.unsettled_since.get_or_insert(retry_at);
        }
        self.settle_after = Some(retry_at);
        attempts.append(&mut self.attempts);
        self.attempts = attempts;
        let (shadowed, mut cancelled): (Vec<_>, Vec<_>) = skipped.into_iter().partition(|it| it.why == SHADOW);
        cancelled.append(&mut self.cancelled);
        self.cancelled = cancelled;
        self.dirty.extend(exceptions.iter().map(|it| it.place));
        self.dirty.extend(removed);
        self.shadow.put_back(shadowed);
    }

    /// Attempts that are not known to be stored.
    pub(super) fn unsettled_attempts(&self) -> usize {
        self.attempts.len() + self.settling.unwrap_or_default()
    }

    /// The exception of `place` is new, changed or over.
    pub(super) fn touch(&mut self, place: Place, now: Timestamp) {
        self.dirty.insert(place);
        self.unsettled_since.get_or_insert(now);
    }
}
