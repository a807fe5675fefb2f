//! Deadlines: what is not delivered when its event's `expires_at` comes is parked as `expired`.
//!
//! They run whether or not anything may start, so also while the subscription is
//! paused or its endpoint is left alone. What is in flight then ends first: it may
//! arrive. An event that was not read yet is parked when it is offered.
//!
//! Not here: when to ask (`next_timeout` of the window), who announces it (`service::dispatcher`).

use super::Window;
use ringback_model::{EventId, Timestamp, delivery::ExceptionState, event::Place};

/// Why such a delivery is parked.
pub const EXPIRED: &str = "expired";

impl Window {
    /// Parks what is past its deadline, and says what that was. Ask before `poll_start` and `lease`.
    ///
    /// Not what is in flight, nor what is about to be skipped, nor what waits behind an earlier one of its
    /// subject that was not tried yet: ask again when that is over. A deadline is over from its moment on.
    pub fn poll_expired(&mut self, now: Timestamp) -> Vec<(Place, EventId)> {
        let mut parked = Vec::new();
        // In a shadow nothing is owed.
        while !self.is_shadow() {
            let over: Vec<Place> =
                self.expiring.range(..=(now, Place::MAX)).map(|(_, place)| *place).filter(|it| self.may_expire(*it)).collect();
            if over.is_empty() {
                break;
            }
            for place in over {
                let Some(event) = self.event_of(place) else { continue };
                self.forget_alone(place);
                self.failed(place, ExceptionState::Parked { reason: EXPIRED.into(), at: now }, 0, now);
                parked.push((place, event));
            }
        }
        if !parked.is_empty() {
            // What the address was to be asked with may be gone.
            self.hold = None;
        }
        parked
    }

    /// When `poll_expired` has something next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        if self.is_shadow() {
            return None;
        }
        self.expiring.iter().find(|(_, place)| self.may_expire(*place)).map(|(at, _)| *at)
    }

    fn may_expire(&self, place: Place) -> bool {
        let (in_flight, revision, subject) = match (self.fresh.get(&place), self.exceptions.get(&place)) {
            (Some(it), _) => (it.in_flight, it.revision, it.subject.as_ref()),
            (None, Some(it)) => (it.in_flight, it.row.revision, it.subject.as_ref()),
            (None, None) => return false,
        };
        // A restart knows only the exceptions: whoever asks for a try of this one would take it for the first of its subject.
        let waiting = || subject.and_then(|it| self.lines.get(it)).and_then(|it| it.waiting.first().copied());
        let behind = self.is_ordered(revision) && waiting().is_some_and(|first| first < place);
        !in_flight && !behind && !self.is_planned(place)
    }

    /// Its delivery is over, or another row says when.
    pub(super) fn forget_deadline(&mut self, place: Place, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.expiring.remove(&(at, place));
        }
    }
}
