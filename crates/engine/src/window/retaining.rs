//! What retention takes from under a window: exceptions whose events go.
//!
//! Not here: what was not read yet; that is skipped like any other stretch (`plan_skip`, `skip`).

use super::Window;
use ringback_model::{Timestamp, event::Place};

impl Window {
    /// How many exceptions lie at or below `floor` that were not announced yet.
    ///
    /// One that is in flight is among them: its row goes with its event, so a crash before its try ends would
    /// leave nothing that knows of it.
    #[must_use]
    pub fn below(&self, floor: Place) -> usize {
        self.exceptions.range(..=floor).filter(|(_, it)| !it.told).count()
    }

    /// The event at `place` is gone: nothing is owed of it any more. False while it is in flight: that ends first, ask again.
    pub fn forget(&mut self, place: Place, now: Timestamp) -> bool {
        if self.fresh.get(&place).is_some_and(|it| it.in_flight) || self.exceptions.get(&place).is_some_and(|it| it.in_flight) {
            return false;
        }
        let subject = if let Some(fresh) = self.remove_fresh(place) {
            fresh.subject
        } else if let Some(failed) = self.remove_exception(place) {
            self.touch(place, now);
            failed.subject
        } else {
            return true;
        };
        self.note_full(now);
        self.hold = None;
        self.refresh_line(subject.as_ref(), now);
        true
    }

    /// The first exception.
    #[must_use]
    pub fn first_exception(&self) -> Option<Place> {
        self.exceptions.first_key_value().map(|(place, _)| *place)
    }

    /// The exceptions at or below `floor` are over, without a delivery. How many there were.
    ///
    /// What is in flight ends first, and is over then, delivered or not.
    pub fn drop_below(&mut self, floor: Place, now: Timestamp) -> usize {
        self.exceptions.range_mut(..=floor).filter(|(_, it)| it.in_flight).for_each(|(_, it)| it.told = true);
        let gone: Vec<Place> = self.exceptions.range(..=floor).filter(|(_, it)| !it.in_flight).map(|(place, _)| *place).collect();
        let mut subjects = Vec::new();
        for place in &gone {
            self.touch(*place, now);
            subjects.extend(self.remove_exception(*place).and_then(|it| it.subject));
        }
        // Only when all are gone: else the next one of a subject that goes too would be released.
        for subject in &subjects {
            self.refresh_line(Some(subject), now);
        }
        if !gone.is_empty() {
            self.note_full(now);
            // What the address was to be asked with may be gone.
            self.hold = None;
        }
        gone.len()
    }
}
