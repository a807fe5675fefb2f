//! The log: committing change sets, reading events.

use super::{StoreError, resources::ResourceRow, tenants::StoredType};
use async_trait::async_trait;
use ringback_model::{
    EventId, EventType, KeyId, ReplayId, Subject, TenantId, Timestamp, TypeName,
    delivery::SkippedRange,
    erasure::Erasure,
    event::{Event, EventDraft, Place, Scope},
    key::{Authority, Key},
    position::Epoch,
    replay::Replay,
    resource::Version,
    subscription::Subscription,
    tenant::Tenant,
};
use std::sync::Arc;

/// What one request, timer, poll run or webhook commits: of one tenant, all or nothing (P2).
#[derive(Debug)]
pub struct ChangeSet {
    /// Whose it is.
    pub tenant: TenantId,
    /// When it was decided.
    pub at: Timestamp,
    /// Rows that change, in this order.
    pub changes: Vec<Change>,
    /// Events that are made, in this order: 0 to 1,000. They become adjacent (G1).
    pub events: Vec<EventDraft>,
    /// The answer to keep under the request's Idempotency-Key.
    pub answer: Option<NewAnswer>,
    /// The audit row; every change of a control object has one.
    pub audit: Option<AuditEntry>,
}

impl ChangeSet {
    /// An empty one.
    #[must_use]
    pub const fn new(tenant: TenantId, at: Timestamp) -> Self {
        Self { tenant, at, changes: Vec::new(), events: Vec::new(), answer: None, audit: None }
    }
}

/// One row that changes, with what it must find.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Writes a resource row (also a deleted one, which keeps its id taken).
    Resource {
        /// The row afterwards.
        row: Box<ResourceRow>,
        /// `Absent`, or the version before.
        expected: Expected,
    },
    /// Writes a tenant.
    Tenant {
        /// The row afterwards.
        tenant: Box<Tenant>,
        /// `Absent`, or the version before.
        expected: Expected,
    },
    /// Writes a key.
    Key {
        /// The row afterwards.
        key: Box<Key>,
    },
    /// Removes a key; refused as `Version` with `found: None` when there is none.
    KeyDelete {
        /// Which.
        id: KeyId,
    },
    /// Writes a subscription.
    Subscription {
        /// The row afterwards. Unique by (tenant, id) and by `no`.
        subscription: Box<Subscription>,
        /// `Absent`, or the version before.
        expected: Expected,
        /// Sets the cursor, also backwards, and removes the exceptions above it and those in `skipped`
        /// (of a try that ended after the stretches were chosen): given on creation and with a new
        /// generation, else `None`.
        cursor: Option<Place>,
        /// Stretches to skip, added to those that are there. They do not move the cursor: the reader walks over them.
        skipped: Vec<SkippedRange>,
    },
    /// Writes a replay; refused as `Exists` when there is one of this id.
    Replay {
        /// The row.
        replay: Box<Replay>,
    },
    /// Removes a replay. One that is not there stays so.
    ReplayDelete {
        /// Which.
        id: ReplayId,
    },
    /// Removes a subscription with its cursor, exceptions, ranges, attempts and replays.
    SubscriptionDelete {
        /// Which.
        no: u32,
        /// The version before.
        expected: Expected,
    },
    /// Writes a type.
    Type {
        /// The row afterwards.
        stored: Box<StoredType>,
        /// `Absent`, or the version before.
        expected: Expected,
    },
    /// Holds all deliveries back, or lets them go. Twice is the same as once.
    Hold {
        /// Whether they are held back afterwards.
        held: bool,
    },
    /// Writes an erasure, by its id.
    Erasure {
        /// The row afterwards.
        erasure: Box<Erasure>,
    },
    /// Removes a type.
    TypeDelete {
        /// Which.
        name: TypeName,
        /// The version before.
        expected: Expected,
    },
}

/// What a change must find, else the whole change set is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No row (a deleted resource's row counts as one).
    Absent,
    /// The row at this version.
    Version(Version),
}

/// Who changed which control object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The key that asked; `None` for the socket and for ourselves.
    pub actor: Option<KeyId>,
    /// `subscription.create`, `key.delete`, …
    pub action: &'static str,
    /// The object's id.
    pub object: String,
}

/// Makes the bytes of an idempotent answer once the events have their places.
pub type AnswerFn = Box<dyn FnOnce(&Committed) -> Vec<u8> + Send>;

/// An answer to keep under an Idempotency-Key.
pub struct NewAnswer {
    /// Hash of (tenant, method, path, key).
    pub scope: [u8; 32],
    /// Hash of what must be equal for a replay.
    pub fingerprint: [u8; 32],
    /// From when on the key is free again.
    pub expires_at: Timestamp,
    /// Called once, inside the commit.
    pub answer: AnswerFn,
}

impl core::fmt::Debug for NewAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NewAnswer").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What a commit made.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The events, with their places, in order.
    pub events: Vec<Arc<Event>>,
    /// The tenant's last `sequence` after this change set.
    pub sequence: Place,
}

/// Why a change set was not committed. Nothing of it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `changes[change]` expected another version, or a row where there is none (`found: None`).
    Version {
        /// Which change.
        change: usize,
        /// What is there.
        found: Option<Version>,
    },
    /// `changes[change]` expected no row, and there is one; or a subscription's id or `no` belongs to another.
    Exists {
        /// Which change.
        change: usize,
    },
    /// `events[event].key` belongs to an event already.
    EventKeyTaken {
        /// Which event of the change set.
        event: usize,
        /// The event that has the key.
        by: EventId,
    },
    /// The idempotency scope has an answer that has not expired.
    AnswerTaken,
}

/// A commit that did not happen, or of which we do not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A precondition did not hold; nothing was stored.
    #[error("the change set was refused: {0:?}")]
    Refused(Refused),
    /// The writer's queue is full; nothing was stored. Try again later.
    #[error("the writer has more to do than it can: try again in a moment")]
    Overloaded,
    /// The transaction's fate is not known: ask again with the same Idempotency-Key.
    #[error("it is not known whether the change was stored")]
    Unknown,
    /// Nothing was stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much a read of the log may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Events; exceeded only by the rest of a change set (G5).
    pub events_max: usize,
    /// Bytes; the first change set is read whole whatever its size.
    pub bytes_max: usize,
}

/// The ends of a scope's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first place that is still there; `last + 1` when none is.
    pub first: Place,
    /// The last place that was ever given; 0 when nothing was ever written.
    pub last: Place,
    /// Events at or below it are gone by retention; 0 while it took none.
    pub floor: Place,
    /// The life of the log.
    pub epoch: Epoch,
}

/// Hears of every transaction's events, in log order, after they are durable (G2).
pub type Listener = Arc<dyn Fn(&[Arc<Event>]) + Send + Sync>;

/// An event type of which there were events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenType {
    /// Which.
    pub event_type: EventType,
    /// When the last one was stored, or up to a minute before that.
    pub last_seen: Timestamp,
}

/// The log.
#[async_trait]
pub trait Log {
    /// Stores a change set: all of it durable when this returns `Ok` (P1), or nothing.
    ///
    /// - Events get adjacent `seq` and `sequence` in commit order, each dense from 1 (P3, G1).
    /// - Versions, keys and idempotency scopes are checked in the same step; a refusal
    ///   leaves no trace and does not touch the change sets that are committed with it.
    /// - An expired idempotency answer does not count, and is replaced.
    /// - Changes see the rows that earlier changes of the same set wrote.
    /// - Of several reasons to refuse, the answer's is said first, then the first change's, then the first event's.
    /// - More than 1,000 events, an event id that is in the log, and an `AnswerFn` that panics are `Broken`: no trace, too.
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError>;

    /// Makes `listener` hear of every later transaction: once for each, after it is
    /// durable and before any `commit` in it returns. There is one listener; a new one replaces it.
    fn listen(&self, listener: Listener);

    /// The ends of the log. A tenant without events has `last = 0`.
    async fn bounds(&self, scope: &Scope) -> Result<Bounds, StoreError>;

    /// Events after `after`, in order, as many as `slice` allows; never ends inside a change set.
    async fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Events before `before`, last first, at most `limit`.
    async fn events_before(&self, scope: &Scope, before: Place, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Events of one subject after `after`, in order; `slice` as in `events_after`, change sets may be cut.
    async fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError>;

    /// The event of this id, if it is in the scope.
    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Arc<Event>>, StoreError>;

    /// The event at this place.
    async fn event_at(&self, scope: &Scope, place: Place) -> Result<Option<Arc<Event>>, StoreError>;

    /// The event that was published with this key.
    async fn event_by_key(&self, tenant: &TenantId, key: &str) -> Result<Option<Arc<Event>>, StoreError>;

    /// The event that made version `version` of the resource with this subject.
    async fn event_of_version(&self, tenant: &TenantId, subject: &Subject, version: Version) -> Result<Option<Arc<Event>>, StoreError>;

    /// The last place whose commit time is before `time`; 0 if there is none that is still there.
    ///
    /// Each transaction stores max(previous, now) as its commit time, so this is monotone in `time`.
    async fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, StoreError>;

    /// Whether any event of this type was ever stored in the scope, also one that retention took.
    async fn event_type_seen(&self, scope: &Scope, event_type: &EventType) -> Result<bool, StoreError>;

    /// The types of events of the scope, each once, in order of type (by bytes), those after `after`, at most `limit`.
    ///
    /// - Also types of which retention took all events.
    /// - Only types of which some event's audience is covered by `authority`.
    /// - With `Scope::All`, what was last seen in any tenant.
    async fn event_types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        after: Option<&EventType>,
        limit: usize,
    ) -> Result<Vec<SeenType>, StoreError>;
}
