//! A replay: a temporary reader over a part of a subscription's log, which sends
//! again what somebody asked for.
//!
//! Not here: what it picks and when it sends (`engine::replay`).

use crate::{
    delivery::Exception,
    event::Place,
    ids::ReplayId,
    names::TenantId,
    subscription::{Generation, TypePattern},
    time::Timestamp,
};
use alloc::{string::String, vec::Vec};

/// What a replay picks of the events between its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Deliveries that are parked.
    Failed,
    /// What matches today and was never delivered.
    Missing,
    /// What matches today, whether it was delivered or not.
    All,
}

impl Only {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failed, Self::Missing, Self::All];

    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::All => "all",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// It goes on whenever its subscription is active.
    Running,
    /// It has looked at everything, and nothing of it is left to be tried.
    Done,
    /// Somebody ended it, or the subscription was sought elsewhere.
    Cancelled,
}

impl ReplayState {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Cancelled].into_iter().find(|it| it.as_str() == text)
    }
}

/// A replay as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its id; later ones sort later.
    pub id: ReplayId,
    /// Of which subscription (`Subscription::no`).
    pub subscription: u32,
    /// Who owns that.
    pub tenant: TenantId,
    /// The reader's life in which it was asked for; another life ends it.
    pub generation: Generation,
    /// What it picks.
    pub only: Only,
    /// Event types, beside those of the subscription; empty = all.
    pub types: Vec<TypePattern>,
    /// A condition on the event, beside the subscription's, as it was written.
    pub filter: Option<String>,
    /// Where it was asked to begin, as it was said.
    pub since: Option<String>,
    /// Where it was asked to end, as it was said.
    pub until: Option<String>,
    /// It looks at what lies after this place …
    pub from: Place,
    /// … and up to this one.
    pub to: Place,
    /// Tries a second, at most; as fast as the endpoint takes them if `None`.
    pub rate_max_per_s: Option<u32>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How far it is; written by settlements, together with what it did.
    pub progress: Progress,
}

/// How far a replay is, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// One word.
    pub state: ReplayState,
    /// Why it was cancelled.
    pub why: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its low-water mark: at or below it, nothing is left but `again`.
    pub cursor: Place,
    /// Places above the cursor with which it is through, in order.
    pub above: Vec<Place>,
    /// What failed and is tried again, in order of place; all of them `Retrying`.
    pub again: Vec<Exception>,
    /// Picked so far.
    pub matched: u64,
    /// Arrived.
    pub delivered: u64,
    /// Given up by this replay: what it was before, it still is.
    pub parked: u64,
    /// Events of its stretch that retention had removed before it came to them; whether it would have picked them nobody knows.
    pub gone: u64,
}

impl Progress {
    /// Of one that begins after `from`.
    #[must_use]
    pub const fn beginning(from: Place) -> Self {
        Self {
            state: ReplayState::Running,
            why: None,
            ended_at: None,
            cursor: from,
            above: Vec::new(),
            again: Vec::new(),
            matched: 0,
            delivered: 0,
            parked: 0,
            gone: 0,
        }
    }
}
