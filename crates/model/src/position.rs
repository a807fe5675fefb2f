//! What `after` of a feed may say, once it has been understood.
//!
//! Not here: the signed token itself (`engine::position`), which needs a key.

use crate::{event::Place, ids::EventId, time::Timestamp};

/// The life of a log between two restores, from 1. A position of another epoch is 410 `cursor-epoch`.
pub type Epoch = u32;

/// Where a feed starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Before the first event.
    Start,
    /// After the last event.
    Now,
    /// After this place (of the reader's scope).
    Place(Place),
    /// After this event.
    Event(EventId),
    /// Before the first event committed at or after this time.
    Time(Timestamp),
}
