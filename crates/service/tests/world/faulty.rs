//! The memory store with something in its way: what fails, what is slow, and
//! how often it was asked. Everything else goes through unchanged.

use async_trait::async_trait;
use ringback_model::{
    ErasureId, EventId, EventType, ReplayId, ResourceId, Subject, TenantId, Timestamp, TypeName,
    delivery::{Attempt, Exception},
    erasure::Erasure,
    event::{Event, Place, Scope, Seq},
    key::{Authority, Key},
    replay::Replay,
    resource::Version,
    subscription::Subscription,
    tenant::Tenant,
};
use ringback_ports::{
    fake::store::MemoryStore,
    store::{
        Answers, AttemptSummary, Bounds, ChangeSet, CommitError, Committed, Control, Deliveries, DueTimer, Erasures, Listener, Log,
        ReaderAccount, ReaderState, Replays, ResourceKey, ResourceQuery, ResourceRow, Resources, Retention, SeenType, SettleError,
        Settlement, Slice, StoreError, StoredAnswer, StoredType, Subscriptions,
    },
};
use std::collections::BTreeSet;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use tokio::sync::watch;

/// Indexes that are not filled, and so many slices until they are.
pub type ToFill = (Vec<(TypeName, Vec<String>)>, usize);

/// See the module.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<MemoryStore>,
    /// `settle` says that the disk is full.
    pub settle_fails: AtomicBool,
    /// Erasing answers that there is no room.
    pub erase_fails: AtomicBool,
    /// `reader` fails so many times.
    pub reader_fails: AtomicUsize,
    /// Lists are without end: this row again and again, older each time.
    pub endless: Mutex<Option<ResourceRow>>,
    /// `declare_indexes` fails.
    pub declare_fails: AtomicBool,
    /// Indexes that are not filled, and so many slices until they are.
    pub to_fill: Mutex<ToFill>,
    /// How often each was asked.
    pub settles: AtomicUsize,
    pub readers: AtomicUsize,
    pub due_timers: AtomicUsize,
    /// Reads of resource rows, and of anything that a reader of resources could ask.
    pub reads: AtomicUsize,
    /// Rows were read, and their answer waits for `hold_rows(false)`.
    rows_held: watch::Sender<bool>,
    /// Settlements are stored, and their answer waits for `hold_settled(false)`.
    settled_held: watch::Sender<bool>,
    /// Commits go on by themselves, as a writer's queue does, and wait for `release`.
    held: watch::Sender<bool>,
    /// Pages of the log were read, and their answer waits for `release_pages`.
    pages_held: watch::Sender<bool>,
    /// Pages that wait.
    pub pages: AtomicUsize,
}

impl FaultyStore {
    pub fn new(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner,
            settle_fails: AtomicBool::default(),
            erase_fails: AtomicBool::default(),
            reader_fails: AtomicUsize::default(),
            endless: Mutex::default(),
            declare_fails: AtomicBool::default(),
            to_fill: Mutex::default(),
            settles: AtomicUsize::default(),
            readers: AtomicUsize::default(),
            due_timers: AtomicUsize::default(),
            reads: AtomicUsize::default(),
            rows_held: watch::Sender::new(false),
            settled_held: watch::Sender::new(false),
            held: watch::Sender::new(false),
            pages_held: watch::Sender::new(false),
            pages: AtomicUsize::default(),
        }
    }

    pub fn hold_commits(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub fn hold_settled(&self, held: bool) {
        self.settled_held.send_replace(held);
    }

    pub fn hold_rows(&self, held: bool) {
        self.rows_held.send_replace(held);
    }

    pub fn hold_pages(&self, held: bool) {
        self.pages_held.send_replace(held);
    }
}

async fn free(gate: &watch::Sender<bool>) {
    let _ = gate.subscribe().wait_for(|held| !held).await;
}

fn broken() -> StoreError {
    StoreError::Broken("planted".into())
}

#[async_trait]
impl Log for FaultyStore {
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError> {
        if !*self.held.borrow() {
            return self.inner.commit(set).await;
        }
        // Whoever asked may go away: the writer has it all the same.
        let (gate, inner) = (self.held.clone(), Arc::clone(&self.inner));
        let going = tokio::spawn(async move {
            free(&gate).await;
            inner.commit(set).await
        });
        going.await.unwrap_or(Err(CommitError::Unknown))
    }

    fn listen(&self, listener: Listener) {
        self.inner.listen(listener);
    }

    async fn bounds(&self, scope: &Scope) -> Result<Bounds, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        self.inner.bounds(scope).await
    }

    async fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let page = self.inner.events_after(scope, after, slice).await;
        if *self.pages_held.borrow() {
            self.pages.fetch_add(1, SeqCst);
            free(&self.pages_held).await;
            self.pages.fetch_sub(1, SeqCst);
        }
        page
    }

    async fn events_before(&self, scope: &Scope, before: Place, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.inner.events_before(scope, before, limit).await
    }

    async fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        self.inner.events_of_subject(scope, subject, after, slice).await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Arc<Event>>, StoreError> {
        self.inner.event(scope, id).await
    }

    async fn event_at(&self, scope: &Scope, place: Place) -> Result<Option<Arc<Event>>, StoreError> {
        self.inner.event_at(scope, place).await
    }

    async fn event_by_key(&self, tenant: &TenantId, key: &str) -> Result<Option<Arc<Event>>, StoreError> {
        self.inner.event_by_key(tenant, key).await
    }

    async fn event_of_version(&self, tenant: &TenantId, subject: &Subject, version: Version) -> Result<Option<Arc<Event>>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        self.inner.event_of_version(tenant, subject, version).await
    }

    async fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, StoreError> {
        self.inner.place_before(scope, time).await
    }

    async fn event_type_seen(&self, scope: &Scope, event_type: &EventType) -> Result<bool, StoreError> {
        self.inner.event_type_seen(scope, event_type).await
    }

    async fn event_types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        after: Option<&EventType>,
        limit: usize,
    ) -> Result<Vec<SeenType>, StoreError> {
        self.inner.event_types_seen(scope, authority, after, limit).await
    }
}

#[async_trait]
impl Resources for FaultyStore {
    async fn resource(&self, tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        let row = self.inner.resource(tenant, type_name, id).await;
        free(&self.rows_held).await;
        row
    }

    async fn resources(&self, query: ResourceQuery) -> Result<Vec<ResourceRow>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        if let Some(row) = &*self.endless.lock().unwrap() {
            let from = query.after.map_or(row.resource.created_at, |(at, _)| at).as_micros();
            let rows = (1..=i64::try_from(query.limit).unwrap()).map(|at| {
                let mut row = row.clone();
                row.resource.created_at = Timestamp::from_micros(from - at);
                row
            });
            return Ok(rows.collect());
        }
        self.inner.resources(query).await
    }

    async fn resources_changed_after(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        after: Place,
        limit: usize,
    ) -> Result<Option<BTreeSet<ResourceId>>, StoreError> {
        self.inner.resources_changed_after(tenant, type_name, after, limit).await
    }

    async fn resources_at(&self, tenant: &TenantId, subjects: &[Subject], at: Place) -> Result<Vec<Arc<Event>>, StoreError> {
        self.inner.resources_at(tenant, subjects, at).await
    }

    async fn resource_count(&self, type_name: &TypeName) -> Result<u64, StoreError> {
        self.inner.resource_count(type_name).await
    }

    async fn resources_of_type(
        &self,
        type_name: &TypeName,
        after: Option<(TenantId, Timestamp, ResourceId)>,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        self.inner.resources_of_type(type_name, after, limit).await
    }

    async fn declare_indexes(&self, type_name: &TypeName, indexes: &[Vec<String>]) -> Result<(), StoreError> {
        if self.declare_fails.load(SeqCst) {
            return Err(broken());
        }
        self.inner.declare_indexes(type_name, indexes).await
    }

    async fn indexes_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, StoreError> {
        Ok(self.to_fill.lock().unwrap().0.clone())
    }

    async fn fill_indexes(&self, rows: usize) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        {
            let mut it = self.to_fill.lock().unwrap();
            it.1 = it.1.saturating_sub(1);
            if it.1 == 0 {
                it.0.clear();
            }
        }
        self.inner.fill_indexes(rows).await?;
        Ok(!self.indexes_to_fill().await?.is_empty())
    }

    async fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, StoreError> {
        self.inner.resource_rows(after, limit).await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        self.due_timers.fetch_add(1, SeqCst);
        // A task that never waits would never let a test fail.
        tokio::task::yield_now().await;
        self.inner.due_timers(now, limit).await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_timer().await
    }
}

#[async_trait]
impl Deliveries for FaultyStore {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        self.settles.fetch_add(1, SeqCst);
        if self.settle_fails.load(SeqCst) {
            return Err(StoreError::Full.into());
        }
        let stored = self.inner.settle(settlement).await;
        free(&self.settled_held).await;
        stored
    }

    async fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, StoreError> {
        self.readers.fetch_add(1, SeqCst);
        if self.reader_fails.try_update(SeqCst, SeqCst, |it| it.checked_sub(1)).is_ok() {
            return Err(broken());
        }
        self.inner.reader(subscription).await
    }

    async fn cursor(&self, subscription: u32) -> Result<Option<Place>, StoreError> {
        self.inner.cursor(subscription).await
    }

    async fn exceptions(&self, subscription: u32, after: Place, limit: usize) -> Result<Vec<Exception>, StoreError> {
        self.inner.exceptions(subscription, after, limit).await
    }

    async fn exception(&self, subscription: u32, place: Place) -> Result<Option<Exception>, StoreError> {
        self.inner.exception(subscription, place).await
    }

    async fn attempts(&self, subscription: u32, event: EventId) -> Result<Vec<Attempt>, StoreError> {
        self.inner.attempts(subscription, event).await
    }

    async fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, StoreError> {
        self.inner.attempt_summaries(subscription, from, to).await
    }

    async fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, StoreError> {
        self.inner.account(subscription, from, to).await
    }

    async fn accounted(&self) -> Result<Vec<u32>, StoreError> {
        self.inner.accounted().await
    }
}

#[async_trait]
impl Replays for FaultyStore {
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.inner.replay(id).await
    }

    async fn replays(
        &self,
        tenant: Option<&TenantId>,
        subscription: Option<u32>,
        before: Option<ReplayId>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        self.inner.replays(tenant, subscription, before, limit).await
    }
}

#[async_trait]
impl Erasures for FaultyStore {
    async fn erasures(
        &self,
        tenant: Option<&TenantId>,
        after: Option<ErasureId>,
        running: bool,
        limit: usize,
    ) -> Result<Vec<Erasure>, StoreError> {
        self.inner.erasures(tenant, after, running, limit).await
    }

    async fn erase(&self, by: ErasureId, left: Vec<Arc<Event>>) -> Result<u64, StoreError> {
        if self.erase_fails.load(SeqCst) {
            return Err(StoreError::Full);
        }
        self.inner.erase(by, left).await
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        self.inner.scrub().await
    }
}

#[async_trait]
impl Retention for FaultyStore {
    async fn truncate(&self, to: Seq, limit: usize) -> Result<Seq, StoreError> {
        self.inner.truncate(to, limit).await
    }

    async fn sweep(&self, from: u32, limit: usize) -> Result<Option<u32>, StoreError> {
        self.inner.sweep(from, limit).await
    }
}

#[async_trait]
impl Subscriptions for FaultyStore {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        self.inner.subscriptions().await
    }
}

#[async_trait]
impl Control for FaultyStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.inner.tenants().await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.inner.keys().await
    }

    async fn types(&self) -> Result<Vec<StoredType>, StoreError> {
        self.inner.types().await
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.meta(name).await
    }

    async fn meta_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.inner.meta_once(name, value).await
    }

    async fn deliveries_held(&self) -> Result<bool, StoreError> {
        self.inner.deliveries_held().await
    }
}

#[async_trait]
impl Answers for FaultyStore {
    async fn answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
        self.inner.answer(scope, now).await
    }

    async fn prune_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.prune_answers(now, limit).await
    }
}
