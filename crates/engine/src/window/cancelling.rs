//! Taking one delivery out: somebody does not want it any more.
//!
//! It becomes a skipped range of one place, written in the same settlement that
//! removes its exception and lets the cursor pass it.

use super::Window;
use ringback_model::{Timestamp, delivery::SkippedRange, event::Place};

/// Why a delivery is not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefused {
    /// A try is in flight, or it was handed out.
    #[error("a try of this delivery is in flight: wait for its outcome, then cancel it if it failed")]
    InFlight,
    /// It is delivered or skipped, or nobody's.
    #[error("only a delivery that is pending, retrying or parked can be cancelled")]
    NotPending,
    /// So many stretches are skipped already that no more is remembered.
    #[error("this subscription skips as many stretches as it may: use `seek` to pass over many events at once")]
    TooMany,
}

impl Window {
    /// Skips the delivery at `place`: it is never tried again, unless a replay sends it.
    ///
    /// `ranges_max` bounds the stretches that are remembered. Who asks has seen
    /// that it is owed: of what was not read yet, the window does not know.
    ///
    /// # Errors
    /// See `CancelRefused`; nothing changed then.
    pub fn cancel(&mut self, place: Place, why: &str, ranges_max: usize, now: Timestamp) -> Result<SkippedRange, CancelRefused> {
        let (exception, in_flight) = self.state_and_flight(place);
        if in_flight || self.replaying.contains_key(&place) {
            return Err(CancelRefused::InFlight);
        }
        let unread = place > self.read;
        if exception.is_none() && !self.fresh.contains_key(&place) && (!unread || self.is_settled_already(place)) {
            return Err(CancelRefused::NotPending);
        }
        if self.skipped.len() >= ranges_max {
            return Err(CancelRefused::TooMany);
        }
        let subject = match self.remove_fresh(place) {
            Some(it) => it.subject,
            None => self.remove_exception(place).and_then(|it| {
                self.touch(place, now);
                it.subject
            }),
        };
        let range = SkippedRange { generation: self.generation, from: place.saturating_sub(1), to: place, why: why.to_owned(), matched: 0 };
        self.add_ranges(core::slice::from_ref(&range));
        self.cancelled.push(range.clone());
        self.unsettled_since.get_or_insert(now);
        self.note_full(now);
        self.refresh_line(subject.as_ref(), now);
        if self.ready.is_empty() && self.due.is_empty() {
            // What found the address unroutable is gone; nothing is left to ask it with.
            self.hold = None;
        }
        Ok(range)
    }
}
