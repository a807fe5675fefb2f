//! Why a request has no answer, or a refusing one.

use crate::Problem;
use std::time::Duration;

/// Why a request did not succeed. `Display` is a whole sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection could be made: nothing was sent.
    #[error(
        "{target} can't be reached: {reason}. Is the server running there? `ringback serve` starts one; --url or RINGBACK_URL names another."
    )]
    Unreachable {
        /// Who was called.
        target: String,
        /// What the system said.
        reason: String,
    },
    /// The connection broke while a request was under way: it may or may not have been carried out.
    #[error(
        "the connection to {target} broke before the answer was complete ({reason}): the request may have been carried out. Look before you send it again."
    )]
    Interrupted {
        /// Who was called.
        target: String,
        /// What the system said.
        reason: String,
    },
    /// No complete answer within the time given: the request may have been carried out.
    #[error("no answer from {target} within {} s: the request may have been carried out. Look before you send it again.", after.as_secs_f64())]
    TimedOut {
        /// Who was called.
        target: String,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is larger than this client reads.
    #[error("the answer of {target} is larger than {} MiB. Ask for less, for instance with a smaller limit.", crate::RESPONSE_BYTES_MAX / (1024 * 1024))]
    TooLarge {
        /// Who was called.
        target: String,
    },
    /// The request can't be written: a header or a path with forbidden characters. Nothing was sent.
    #[error("the request can't be sent: {0}")]
    BadRequest(String),
    /// An answer that isn't what the API promises: something else is listening there.
    #[error("{target} answered something that isn't the Ringback API: {reason}. Is the address right?")]
    BadAnswer {
        /// Who was called.
        target: String,
        /// What was found.
        reason: String,
    },
    /// The server refused, and said why.
    #[error("{0}")]
    Problem(Box<Problem>),
}

impl ClientError {
    /// The refusal, if the server answered one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(it) => Some(it),
            _ => None,
        }
    }

    /// Whether the same *read* may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut { .. } => true,
            Self::Problem(it) => it.retryable || matches!(it.status, 408 | 429 | 502 | 503 | 504),
            Self::TooLarge { .. } | Self::BadRequest(_) | Self::BadAnswer { .. } => false,
        }
    }
}
