//! `MemoryStore`: a complete store in ordered maps behind one mutex.
//!
//! It keeps every promise of `ports::store` but one: nothing of it outlives the
//! process. It takes the plainest way everywhere (scans, undo steps), so that
//! it can be the judge of stores that don't.
//!
//! Not here: the rules themselves; they are the doc comments of `ports::store`.

mod deliveries;
mod erasures;
mod idempotency;
mod log;
mod replays;
mod resources;
mod retention;
mod subscriptions;
mod tenants;

use crate::store::{AuditEntry, CommitError, Listener, ResourceRow, StoredAnswer, StoredType};
use ringback_model::{
    ErasureId, EventId, EventType, KeyId, ReplayId, ResourceId, TenantId, Timestamp, TypeName,
    delivery::{Attempt, Exception, SkippedRange},
    erasure::Erasure,
    event::{Event, Place, Seq, Sequence},
    key::Key,
    replay::Replay,
    subscription::{Generation, Subscription},
    tenant::Tenant,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A store that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    /// Held over a whole commit, so that the listener hears transactions in their order.
    commits: Mutex<Commits>,
}

#[derive(Default)]
struct Commits {
    listener: Option<Listener>,
    planted: VecDeque<CommitError>,
}

#[derive(Clone, Default)]
struct State {
    events: BTreeMap<Seq, Stored>,
    last_commit: Option<Timestamp>,
    by_sequence: BTreeMap<(TenantId, Sequence), Seq>,
    by_id: BTreeMap<EventId, Seq>,
    by_key: BTreeMap<(TenantId, String), Seq>,
    resources: BTreeMap<(TenantId, TypeName, ResourceId), ResourceRow>,
    tenants: BTreeMap<TenantId, Tenant>,
    keys: BTreeMap<KeyId, Key>,
    types: BTreeMap<TypeName, StoredType>,
    readers: BTreeMap<u32, Reader>,
    replays: BTreeMap<ReplayId, Replay>,
    answers: BTreeMap<[u8; 32], StoredAnswer>,
    meta: BTreeMap<String, Vec<u8>>,
    erasures: BTreeMap<ErasureId, Erasure>,
    audit: Vec<Audited>,
    /// Whether deliveries are held back.
    held: bool,
    /// What retention took: up to where, of the whole log and of each tenant.
    floor: Seq,
    floors: BTreeMap<TenantId, Sequence>,
    /// The types of what it took: when last seen, and whether tenants might see any.
    forgotten: BTreeMap<(TenantId, EventType), (Timestamp, bool)>,
}

#[derive(Clone)]
struct Stored {
    event: Arc<Event>,
    committed_at: Timestamp,
}

/// A subscription, and all that is known of its reader.
#[derive(Clone)]
struct Reader {
    subscription: Subscription,
    cursor: Place,
    skipped: BTreeMap<(Place, Generation, Place), SkippedRange>,
    exceptions: BTreeMap<Place, Exception>,
    attempts: BTreeMap<(Place, u32), Attempt>,
}

/// A row of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Whose control object it was.
    pub tenant: TenantId,
    /// When the change was decided.
    pub at: Timestamp,
    /// Who did what.
    pub entry: AuditEntry,
}

impl MemoryStore {
    /// Forgets the rows of resources that `keep` refuses, as no store may: a planted bug for those who judge.
    pub fn forget_resources(&self, keep: impl Fn(&ResourceRow) -> bool) {
        self.state().resources.retain(|_, row| keep(row));
    }

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next commit fail with `error` and leave no trace. Several are taken one after the other.
    pub fn fail_next_commit(&self, error: CommitError) {
        self.commits().planted.push_back(error);
    }

    /// A store that holds what this one holds now, and hears nothing of what comes: for models of a disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()), commits: Mutex::default() }
    }

    /// The audit trail, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Audited> {
        self.state().audit.clone()
    }

    // A poisoned lock means that a test panicked elsewhere; what is in here is whole,
    // because a change set is undone before anything that may panic is let out.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl core::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MemoryStore").field("events", &self.state().events.len()).finish_non_exhaustive()
    }
}
