//! Why the service refuses: one list, which the edge turns into problem documents.
//!
//! No status codes and no public sentences here; those are `wire`'s.

use bytes::Bytes;
use ringback_engine::{
    lifecycle::{Refusal, Violation},
    list::ListProblem,
    tickets::TicketProblem,
    type_check::TypeProblem,
};
use ringback_filter::FilterError;
use ringback_model::{EventId, EventType, ResourceId, SubscriptionId, TypeName, key, subscription::State};
use ringback_ports::{
    sender::DestinationRefused,
    store::{CommitError, StoreError},
};

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// No key was sent.
    NoKey,
    /// What was sent does not look like a key.
    Malformed,
    /// It looks like a key, but its check sum is wrong.
    Mistyped,
    /// There is no such key, or its secret is another.
    Unknown,
    /// It was one until a while ago.
    Expired,
    /// No key but a stream ticket was sent, and it opens nothing.
    Ticket(TicketProblem),
}

/// What a caller lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A scope.
    Scope(key::Scope),
    /// The authority of an operator, to do this.
    Operator {
        /// "create payments", …
        what: String,
    },
    /// All that the key might do which an Idempotency-Key was first used with.
    KeyThatWasAnswered,
}

/// A refusal.
#[derive(Debug)]
#[allow(missing_docs, reason = "each field is named after what it holds; the sentences are in `wire`")]
pub enum Error {
    Unauthenticated(WhyNot),
    Forbidden(Needs),
    TenantRequired {
        tenants: usize,
    },
    TenantUnknown {
        text: String,
    },
    /// `*` reads; it cannot be written to, and not everything can be read with it.
    StarNotPossible,
    NotFound {
        noun: &'static str,
        id: String,
    },
    PreconditionFailed {
        current: u64,
        body: Option<Bytes>,
    },
    PreconditionRequired {
        type_name: TypeName,
    },
    /// `If-None-Match: *`, and it is there.
    Exists {
        id: String,
    },
    /// A change of a mirrored resource that isn't its source's.
    Mirrored {
        type_name: TypeName,
    },
    /// One operation of a batch; nothing of the batch was done.
    Operation {
        at: usize,
        error: Box<Error>,
    },
    Lifecycle {
        id: ResourceId,
        refusal: Refusal,
    },
    AlreadyExists {
        noun: &'static str,
        id: String,
        deleted: bool,
    },
    EventKeyTaken {
        key: String,
        by: EventId,
    },
    TypeOwned {
        event_type: EventType,
        owner: String,
    },
    ManagedByFile {
        name: TypeName,
    },
    TypeProblems(Vec<TypeProblem>),
    TypeInUse {
        name: TypeName,
        count: u64,
    },
    /// A new declaration takes away what stored resources use.
    SchemaIncompatible {
        name: TypeName,
        count: u64,
        why: String,
    },
    /// A published event that breaks the schema that is declared for its type; `index` in an array of them.
    EventInvalid {
        index: Option<usize>,
        event_type: EventType,
        violations: Vec<Violation>,
    },
    List(ListProblem),
    /// A filter on events; `pointer` when it stands in a body, not in the query.
    Filter {
        pointer: Option<&'static str>,
        error: FilterError,
    },
    QueryTooExpensive {
        missing_index: String,
        scanned: usize,
        /// The index is declared and does not hold all rows yet.
        filling: bool,
    },
    Parameter {
        parameter: &'static str,
        detail: String,
    },
    Field {
        pointer: String,
        detail: String,
    },
    UnknownEventType {
        pointer: String,
        name: String,
        suggestion: Option<String>,
    },
    Destination {
        pointer: &'static str,
        refused: DestinationRefused,
    },
    CursorMismatch,
    CursorEpoch,
    CursorExpired,
    /// `oldest` is where to begin: a position for `after`, or of versions the number of the first one.
    LogTruncated {
        oldest: String,
    },
    NotActive {
        id: SubscriptionId,
        state: State,
    },
    /// It is pushed: nothing can be pulled from it.
    NotPulled {
        id: SubscriptionId,
    },
    LeaseExpired {
        id: SubscriptionId,
    },
    Conflict {
        detail: String,
    },
    LimitReached {
        what: &'static str,
        max: usize,
    },
    IdempotencyInProgress,
    IdempotencyKeyReused,
    /// Of a key; `retry_after_secs` says when there is room for one more request.
    RateLimited {
        per_s: u32,
        retry_after_secs: u32,
    },
    /// Tests of an endpoint; there is room for one more after `retry_after_secs`.
    TestsLimited {
        retry_after_secs: u32,
    },
    TooManyWaiters {
        /// How many may wait.
        max: usize,
        /// Whether that is one key's share, and not all.
        of_key: bool,
    },
    /// A stream's reader took too long.
    TooSlow,
    Overloaded,
    Draining,
    OutcomeUnknown,
    StorageFull,
    /// For the log, never for a client.
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(it: StoreError) -> Self {
        match it {
            StoreError::Full => Self::StorageFull,
            StoreError::Closed => Self::Draining,
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Unknown => Self::OutcomeUnknown,
            StoreError::Broken(why) => Self::Internal(why),
        }
    }
}

impl From<CommitError> for Error {
    fn from(it: CommitError) -> Self {
        match it {
            CommitError::Overloaded => Self::Overloaded,
            CommitError::Unknown => Self::OutcomeUnknown,
            CommitError::Store(why) => why.into(),
            // A refusal that is still there after several fresh decisions: others are faster.
            CommitError::Refused(_) => Self::Overloaded,
        }
    }
}
