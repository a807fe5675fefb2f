//! Everything that a request can fail with: what the service refuses, and what
//! HTTP itself gets wrong. `errors` makes problem documents of it.

use crate::routes::Method;
use ringback_service::{Error, ServedType, json::JsonProblem};
use ringback_wire::Problem;
use std::sync::Arc;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service refuses.
    Service(Error),
    /// Nothing is served there.
    NoSuchRoute { path: String, suggestion: Option<String> },
    /// Something is served there, but not by this method.
    OtherMethods { method: String, allow: Vec<Method> },
    /// A type's resources have no such step.
    NoSuchTransition { ty: Arc<ServedType>, name: String },
    /// An event stream was asked for.
    NotAcceptable,
    /// Answers that nobody reads take all the memory that answers may take.
    AnswersUnread,
    /// A ticket was sent where no stream was asked for.
    TicketNeedsStream,
    /// The request target is longer than we read.
    UriTooLong,
    /// The headers are larger than we read.
    HeadersTooLarge,
    /// The body is larger than we read.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTooSlow { secs: u64 },
    /// HTTP/1.1 without a `Host` header.
    NoHost,
    /// The body broke off.
    BodyBroken,
    /// The body is in a form that this route does not read.
    UnsupportedMediaType { given: Option<String>, patch: bool },
    /// The body is not JSON.
    Malformed(JsonProblem),
    /// The body is JSON, but not what the route reads.
    Body(Box<Problem>),
    /// A query parameter that the route does not have.
    UnknownParameter { name: String, allowed: &'static [&'static str] },
    /// A query parameter that is there twice.
    ParameterTwice { name: String },
    /// A query parameter or header with a value that it cannot have; `expected` completes "should be …".
    Parameter { name: String, given: String, expected: String },
    /// An Idempotency-Key that is none.
    IdempotencyKeyMalformed,
}

impl Failure {
    pub(crate) fn parameter(name: &str, given: &str, expected: impl Into<String>) -> Self {
        Self::Parameter { name: name.into(), given: given.into(), expected: expected.into() }
    }
}

impl From<Error> for Failure {
    fn from(it: Error) -> Self {
        Self::Service(it)
    }
}

impl From<JsonProblem> for Failure {
    fn from(it: JsonProblem) -> Self {
        Self::Malformed(it)
    }
}

impl From<Problem> for Failure {
    fn from(it: Problem) -> Self {
        Self::Body(Box::new(it))
    }
}
