//! What the service asks of a store.
//!
//! Written for SQLite and PostgreSQL: each method is one atomic step, nothing
//! leaks a transaction, and a refused change set never touches its neighbours.

pub mod deliveries;
pub mod erasures;
pub mod idempotency;
pub mod log;
pub mod replays;
pub mod resources;
pub mod retention;
pub mod subscriptions;
pub mod tenants;

pub use deliveries::{AttemptSummary, Deliveries, ReaderAccount, ReaderState, SettleError, Settlement};
pub use erasures::Erasures;
pub use idempotency::{Answers, StoredAnswer};
pub use log::{
    AnswerFn, AuditEntry, Bounds, Change, ChangeSet, CommitError, Committed, Expected, Listener, Log, NewAnswer, Refused, SeenType, Slice,
};
pub use replays::Replays;
pub use resources::{DueTimer, ResourceKey, ResourceQuery, ResourceRow, Resources, Timer};
pub use retention::Retention;
pub use subscriptions::Subscriptions;
pub use tenants::{Control, StoredType};

/// Everything that the service asks of one store.
pub trait Store:
    Log + Resources + Deliveries + Replays + Subscriptions + Control + Answers + Retention + Erasures + Send + Sync + core::fmt::Debug + 'static
{
}

impl<
    T: Log
        + Resources
        + Deliveries
        + Replays
        + Subscriptions
        + Control
        + Answers
        + Retention
        + Erasures
        + Send
        + Sync
        + core::fmt::Debug
        + 'static,
> Store for T
{
}

/// A store that cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room. Reads go on.
    #[error("the disk that holds the data directory is full")]
    Full,
    /// The store is closing down.
    #[error("the store is closed")]
    Closed,
    /// The writer's queue is full; nothing was stored. Try again later.
    #[error("the writer has more to do than it can: try again in a moment")]
    Overloaded,
    /// The fate of what was to be stored is not known. The store is closing down.
    #[error("it is not known whether the change was stored")]
    Unknown,
    /// A broken row, an I/O error: the message is for the log, never for a client.
    #[error("storage failed: {0}")]
    Broken(String),
}
