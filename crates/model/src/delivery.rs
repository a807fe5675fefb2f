//! A delivery, its attempts and their outcomes.
//!
//! A delivery is not a row: it is what (revision, generation, ranges, cursor,
//! window, exceptions, attempts) say of one event and one subscription; see
//! `engine::delivery_state`.

use crate::{
    event::Place,
    ids::{AttemptId, EventId},
    names::Subject,
    subscription::{Generation, RevisionNo},
    time::Timestamp,
};
use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// What came back from one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Delivered {
        /// The status.
        status_code: u16,
    },
    /// Anything else that the endpoint is to blame for.
    Failed {
        /// The status, when there was one.
        status_code: Option<u16>,
        /// One of the stable reasons: `status`, `redirect`, `gone`, `timeout`, `connect`, `tls`, `protocol`, `reset`.
        reason: &'static str,
        /// A floor for the next try, clamped already.
        retry_after: Option<Duration>,
    },
    /// The whole request was written, then the deadline passed: it may have arrived.
    Unknown,
    /// The address is refused or does not resolve: no try is spent.
    Unroutable {
        /// `refused` or `unresolved`, or the policy's finer word.
        reason: &'static str,
    },
}

impl Outcome {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Failed { .. } => "failed",
            Self::Unknown => "unknown",
            Self::Unroutable { .. } => "unroutable",
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Failed { reason, .. } | Self::Unroutable { reason } => Some(reason),
            Self::Unknown => Some("timeout-after-send"),
        }
    }

    /// The status, where one came back.
    #[must_use]
    pub const fn status_code(&self) -> Option<u16> {
        match self {
            Self::Delivered { status_code } => Some(*status_code),
            Self::Failed { status_code, .. } => *status_code,
            Self::Unknown | Self::Unroutable { .. } => None,
        }
    }
}

/// Why a try was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// It was due.
    Schedule,
    /// To ask an endpoint that was left alone whether it works again.
    Probe,
    /// Somebody asked for it now.
    Manual,
    /// It was handed out to whoever pulled.
    Pull,
    /// A replay sent it again.
    Replay,
    /// An example, sent to see whether the endpoint takes it: of no event of the log.
    Test,
}

impl Via {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Probe => "probe",
            Self::Manual => "manual",
            Self::Pull => "pull",
            Self::Replay => "replay",
            Self::Test => "test",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Schedule, Self::Probe, Self::Manual, Self::Pull, Self::Replay, Self::Test].into_iter().find(|it| it.as_str() == text)
    }
}

/// How long the phases of one try took, in milliseconds; `None` for a phase that was not reached or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the name.
    pub dns: Option<u32>,
    /// Connecting.
    pub connect: Option<u32>,
    /// The TLS handshake.
    pub tls: Option<u32>,
    /// From the first byte sent to the first byte of the answer.
    pub first_byte: Option<u32>,
    /// All of it.
    pub total: u32,
}

/// What is kept of a receiver's answer: at most 4 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, as text.
    pub body: String,
    /// Whether there was more.
    pub truncated: bool,
}

/// One try, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The event that was sent.
    pub event: EventId,
    /// Where the event stands for this subscription.
    pub place: Place,
    /// The reader's life in which it was made.
    pub generation: Generation,
    /// From 1, per delivery, over all generations.
    pub n: u32,
    /// When it began.
    pub at: Timestamp,
    /// Why it was made.
    pub via: Via,
    /// `delivered`, `failed`, `unknown`, `unroutable`.
    pub outcome: String,
    /// See `Outcome::reason`.
    pub reason: Option<String>,
    /// See `Outcome::status_code`.
    pub status_code: Option<u16>,
    /// Phases.
    pub timings: Timings,
    /// The address that was called.
    pub peer: Option<String>,
    /// What came back.
    pub response: Option<Excerpt>,
}

impl Attempt {
    /// Whether it succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == "delivered"
    }
}

/// The row of a delivery that did not succeed at first try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Where the event stands for this subscription.
    pub place: Place,
    /// The event.
    pub event: EventId,
    /// Its subject: blocks the later ones of it where order is asked for.
    pub subject: Option<Subject>,
    /// The revision that it was matched under.
    pub revision: RevisionNo,
    /// The reader's life in which it was made.
    pub generation: Generation,
    /// Tries spent.
    pub tries: u32,
    /// What is to be done with it.
    pub state: ExceptionState,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it is parked as `expired`, unless it is over by then; `None` also once somebody asked for a try of it.
    pub expires_at: Option<Timestamp>,
}

/// What is to be done with an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExceptionState {
    /// Try again at this time.
    Retrying {
        /// Not before.
        due_at: Timestamp,
    },
    /// Behind an earlier exception of its subject.
    Held,
    /// No more tries; replayable until retention.
    Parked {
        /// `tries-exhausted`, …
        reason: String,
        /// When.
        at: Timestamp,
    },
}

/// A stretch of the log that a subscription skips by explicit choice: (from, to].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRange {
    /// The reader's life it belongs to.
    pub generation: Generation,
    /// Exclusive.
    pub from: Place,
    /// Inclusive.
    pub to: Place,
    /// `resumed-from-now`, …
    pub why: String,
    /// How many events of it matched, where somebody counted them (`shadow`); 0 elsewhere.
    pub matched: u64,
}

/// The `why` of what was matched, rendered and signed while the subscription was in the shadow, and not sent.
pub const SHADOW: &str = "shadow";

/// The state of a delivery, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Owed, not started.
    Pending,
    /// A try is in flight.
    Delivering,
    /// It arrived.
    Delivered,
    /// A try failed; another is due.
    Retrying,
    /// No more tries.
    Parked,
    /// Skipped by choice.
    Skipped,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Delivering, Self::Delivered, Self::Retrying, Self::Parked, Self::Skipped];

    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Parked => "parked",
            Self::Skipped => "skipped",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}
