//! A disk model under the store seam: what was not synced is lost in a crash.
//!
//! Change sets and settlements gather in a queue. One sync at a time takes what
//! has gathered, lasts for a while, and applies it in order to a `MemoryStore`;
//! a little later the listener hears of it and everybody gets an answer. Reads
//! see what was applied. A crash in between loses what waits, and decides by
//! chance whether the sync under way had reached the disk.
//!
//! Nothing here runs by itself: `next` says when something is to happen, and
//! `tick` makes it happen.

mod control;
mod erasing;

use crate::{
    chance::Chance,
    history::Journal,
    machine::Machine,
    plant::Plant,
    swarm::{DiskFault, Swarm},
};
use async_trait::async_trait;
use core::{fmt, future::Future, time::Duration};
use futures_util::FutureExt;
use ringback_model::{
    EventId, EventType, ReplayId, ResourceId, Subject, TenantId, Timestamp, TypeName,
    delivery::{Attempt, Exception, ExceptionState, SkippedRange, Via},
    event::{Event, Place, Scope, Seq},
    key::Authority,
    replay::Replay,
    resource::Version,
    subscription::{Generation, Order, State, Subscription},
};
use ringback_ports::{
    Clock,
    fake::{ManualClock, MemoryStore},
    store::{
        AttemptSummary, Bounds, Change, ChangeSet, CommitError, Committed, Deliveries, DueTimer, Listener, Log, NewAnswer, ReaderAccount,
        ReaderState, Replays, ResourceKey, ResourceQuery, ResourceRow, Resources, Retention, SeenType, SettleError, Settlement, Slice,
        StoreError, Subscriptions,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

type CommitReply = oneshot::Sender<Result<Committed, CommitError>>;
type SettleReply = oneshot::Sender<Result<(), SettleError>>;

enum Job {
    Commit(Box<ChangeSet>, CommitReply),
    Settle(Box<Settlement>, SettleReply),
}

/// What a sync brought, before anybody has heard of it.
#[derive(Default)]
struct Applied {
    heard: Vec<Arc<Event>>,
    answers: Vec<Answer>,
}

enum Answer {
    Commit(CommitReply, Result<Committed, CommitError>),
    Settle(SettleReply, Result<(), SettleError>),
}

#[derive(Default)]
struct Inner {
    queue: Vec<Job>,
    syncing: Vec<Job>,
    sync_at: Option<Timestamp>,
    applied: Applied,
    announce_at: Option<Timestamp>,
    listener: Option<Listener>,
    /// Nothing may be written any more: the process is about to stop.
    stopped: bool,
    unknown_at: Option<Timestamp>,
    /// The world is made.
    begun: bool,
    settled: u64,
    /// `AckBeforeSync`: what a crash finds.
    image: Option<MemoryStore>,
    calm: bool,
}

/// What retention took, for the judges: it was there.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Events.
    pub events: BTreeMap<Seq, Arc<Event>>,
    /// When, by the service's clock, which went.
    pub removed: Vec<(Timestamp, Seq)>,
    /// How far it was asked to go.
    pub asked: Seq,
    /// What is known of readers, by the subscription's number.
    pub readers: BTreeMap<u32, Swept>,
}

impl Archive {
    /// Where the floor of a scope would be if no more had gone than was asked for.
    fn asked_floor(&self, scope: &Scope) -> Place {
        self.events.range(..=self.asked).filter(|(_, it)| scope.holds(&it.tenant)).map(|(_, it)| it.place(scope)).max().unwrap_or(0)
    }
}

/// What retention took of a reader, or may yet take.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Ranges that it skipped.
    pub skipped: Vec<SkippedRange>,
    /// Places with a success, and of which generation.
    pub delivered: BTreeSet<(Place, Generation)>,
}

/// See the module.
pub struct Disk {
    clock: Arc<ManualClock>,
    machine: Arc<Machine>,
    chance: Chance,
    journal: Arc<Journal>,
    plant: Option<Plant>,
    sync_ms: u64,
    slow_reads: u64,
    faults: Vec<(Timestamp, Timestamp, DiskFault)>,
    memory: Mutex<Arc<MemoryStore>>,
    archive: Mutex<Archive>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

/// What a future of `MemoryStore` answers: it never waits.
pub fn at_once<T>(what: impl Future<Output = T>) -> T {
    what.now_or_never().expect("a MemoryStore does not wait")
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(
        seed: u64,
        swarm: &Swarm,
        (clock, machine): (Arc<ManualClock>, Arc<Machine>),
        journal: Arc<Journal>,
        plant: Option<Plant>,
    ) -> Self {
        let start = clock.now();
        let faults = swarm.disk_faults.iter().map(|(from, to, fault)| (start + *from, start + *to, *fault)).collect();
        let inner = Inner { unknown_at: swarm.unknown_at.map(|it| start + it), ..Inner::default() };
        Self {
            clock,
            machine,
            chance: Chance::new(seed, "disk"),
            journal,
            plant,
            sync_ms: swarm.sync_ms,
            slow_reads: swarm.slow_reads,
            faults,
            memory: Mutex::new(Arc::default()),
            archive: Mutex::default(),
            inner: Mutex::new(inner),
        }
    }

    /// What retention took.
    pub fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is durable.
    #[must_use]
    pub fn memory(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// The world is made: from here on it may stop with the fate of a write open.
    pub fn arm(&self) {
        self.inner().begun = true;
    }

    /// From here on there are no faults.
    pub fn mend(&self) {
        let mut inner = self.inner();
        inner.calm = true;
        inner.unknown_at = None;
    }

    fn unknown_now(&self, now: Timestamp) -> bool {
        let mut inner = self.inner();
        inner.begun && inner.unknown_at.take_if(|it| *it <= now).is_some()
    }

    fn fault(&self) -> Option<DiskFault> {
        let now = self.clock.now();
        if self.inner().calm {
            return None;
        }
        self.faults.iter().find(|(from, to, _)| *from <= now && now < *to).map(|it| it.2)
    }

    /// Whether reads may have failed between these times.
    #[must_use]
    pub fn was_broken(&self, from: Timestamp, to: Timestamp) -> bool {
        self.faults.iter().any(|it| it.2 == DiskFault::Broken && it.0 <= to && from <= it.1)
    }

    /// Whether the process has to stop, as nothing can be written safely.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.inner().stopped
    }

    /// Whether a sync is under way; whether one is through and nobody has heard.
    #[must_use]
    pub fn syncing(&self) -> (bool, bool) {
        let inner = self.inner();
        (!inner.syncing.is_empty(), inner.announce_at.is_some())
    }

    /// How many settlements became durable.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.inner().settled
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn idle(&self) -> bool {
        let inner = self.inner();
        inner.queue.is_empty() && inner.syncing.is_empty() && inner.announce_at.is_none()
    }

    /// When something is to happen.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let inner = self.inner();
        [inner.sync_at, inner.announce_at].into_iter().flatten().min()
    }

    /// Makes happen what is due.
    pub fn tick(&self, now: Timestamp) {
        let announce = {
            let mut inner = self.inner();
            inner.announce_at.take_if(|it| *it <= now).map(|_| std::mem::take(&mut inner.applied))
        };
        if let Some(applied) = announce {
            self.announce(applied);
            self.begin();
        }
        let jobs = {
            let mut inner = self.inner();
            inner.sync_at.take_if(|it| *it <= now).map(|_| std::mem::take(&mut inner.syncing))
        };
        if let Some(jobs) = jobs {
            self.sync(jobs, now);
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), StoreError> {
        {
            let mut inner = self.inner();
            if inner.stopped {
                return Err(StoreError::Closed);
            }
            inner.queue.push(job);
        }
        self.begin();
        Ok(())
    }

    /// Starts a sync of what has gathered, unless one is under way.
    fn begin(&self) {
        let slow = self.fault() == Some(DiskFault::Slow);
        let mut inner = self.inner();
        if inner.queue.is_empty() || !inner.syncing.is_empty() || inner.announce_at.is_some() || inner.sync_at.is_some() {
            return;
        }
        inner.syncing = std::mem::take(&mut inner.queue);
        let last = if slow { 3_000 } else { self.sync_ms };
        let now = self.clock.now();
        inner.sync_at = Some(now + self.chance.duration(0, last));
        if self.has(Plant::AckBeforeSync) && !inner.syncing.is_empty() {
            let image = self.memory().copy();
            inner.image = Some(image);
            let jobs = std::mem::take(&mut inner.syncing);
            drop(inner);
            let applied = self.apply(jobs, now);
            self.announce(applied);
        }
    }

    fn sync(&self, jobs: Vec<Job>, now: Timestamp) {
        self.inner().image = None;
        if jobs.is_empty() {
            self.begin();
            return;
        }
        let unknown = self.unknown_now(now);
        if self.fault() == Some(DiskFault::Full) {
            self.journal.say(format_args!("disk: full, {} refused", jobs.len()));
            let answers = jobs.into_iter().map(|it| refuse(it, &CommitError::Store(StoreError::Full))).collect();
            self.later(Applied { heard: Vec::new(), answers }, now);
            return;
        }
        if unknown {
            let kept = self.chance.per_mille(500);
            self.journal.say(format_args!("disk: the fate of {} is not known (kept: {kept})", jobs.len()));
            let mut inner = self.inner();
            inner.stopped = true;
            let waiting = std::mem::take(&mut inner.queue);
            drop(inner);
            let mut answers = Vec::new();
            let mut replies = Vec::new();
            for job in jobs {
                let (job, reply) = split(job);
                replies.push(reply);
                if kept {
                    drop(self.apply(vec![job], now));
                }
            }
            answers.extend(replies.into_iter().map(|it| it.refused(&CommitError::Unknown)));
            answers.extend(waiting.into_iter().map(|it| refuse(it, &CommitError::Store(StoreError::Closed))));
            self.later(Applied { heard: Vec::new(), answers }, now);
            return;
        }
        let applied = self.apply(jobs, now);
        self.later(applied, now);
    }

    fn later(&self, applied: Applied, now: Timestamp) {
        let wait = if self.chance.per_mille(600) { Duration::ZERO } else { self.chance.duration(0, 2) };
        let mut inner = self.inner();
        inner.applied = applied;
        inner.announce_at = Some(now + wait);
    }

    /// Writes the jobs to the disk, in order.
    fn apply(&self, jobs: Vec<Job>, now: Timestamp) -> Applied {
        let memory = self.memory();
        let mut applied = Applied::default();
        let count = jobs.len();
        for job in jobs {
            match job {
                Job::Commit(mut set, reply) => {
                    self.spoil(&mut set);
                    let kept: Vec<_> = set
                        .changes
                        .iter()
                        .filter_map(|it| match it {
                            Change::Subscription { subscription, skipped, cursor, .. } => {
                                Some(((**subscription).clone(), skipped.clone(), *cursor))
                            }
                            _ => None,
                        })
                        .collect();
                    let done = at_once(memory.commit(*set));
                    if let Ok(committed) = &done {
                        applied.heard.extend(committed.events.iter().map(Arc::clone));
                        self.journal.with(|it| {
                            it.durable_at.extend(committed.events.iter().map(|event| (event.seq, now)));
                            for (subscription, skipped, cursor) in kept {
                                if let Some(cursor) = cursor {
                                    it.sought.entry((subscription.no, subscription.generation)).or_insert(cursor);
                                }
                                it.skipped.entry(subscription.no).or_default().extend(skipped);
                                it.versions.entry(subscription.no).or_default().push((now, subscription.clone()));
                                it.subscriptions.insert(subscription.no, subscription);
                            }
                        });
                    }
                    applied.answers.push(Answer::Commit(reply, done));
                }
                Job::Settle(settlement, reply) => {
                    let told = (*settlement).clone();
                    let settlement = self.spoil_settlement(*settlement);
                    let done = at_once(memory.settle(settlement));
                    if done.is_ok() {
                        self.journal.with(|it| {
                            it.skipped.entry(told.subscription).or_default().extend(told.skipped.iter().cloned());
                            it.settlements.push((now, told));
                        });
                        self.inner().settled += 1;
                    }
                    applied.answers.push(Answer::Settle(reply, done));
                }
            }
        }
        let last = applied.heard.last().map_or_else(String::new, |it| format!(", the log ends at {}", it.seq));
        self.journal.say(format_args!("disk: synced {count}{last}"));
        applied
    }

    fn announce(&self, applied: Applied) {
        let listener = self.inner().listener.clone();
        if let Some(listener) = listener
            && !applied.heard.is_empty()
        {
            let lost = self.has(Plant::PlacesOutOfOrder) || (self.has(Plant::HintLost) && self.chance.per_mille(300));
            if !lost {
                listener(&self.without_deadlines(applied.heard));
            }
        }
        for answer in applied.answers {
            // Whoever asked may have gone away.
            match answer {
                Answer::Commit(reply, it) => drop(reply.send(it)),
                Answer::Settle(reply, it) => drop(reply.send(it)),
            }
        }
    }

    /// Everything that is not on the disk is gone. The sync under way may have reached it, or not.
    pub fn crash(&self) {
        let (syncing, image) = {
            let mut inner = self.inner();
            let syncing = std::mem::take(&mut inner.syncing);
            let image = inner.image.take();
            let (calm, begun, settled, unknown_at) = (inner.calm, inner.begun, inner.settled, inner.unknown_at);
            *inner = Inner { calm, begun, settled, unknown_at, ..Inner::default() };
            (syncing, image)
        };
        if let Some(image) = image {
            *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(image);
        }
        if self.has(Plant::RebuiltAfterTruncation) {
            let all = Slice { events_max: usize::MAX, bytes_max: usize::MAX };
            let kept = at_once(self.memory().events_after(&Scope::All, 0, all)).unwrap_or_default();
            let of: BTreeSet<_> = kept.iter().filter_map(|it| Some((it.tenant.clone(), it.of.as_ref()?.id.clone()))).collect();
            self.memory().forget_resources(|row| of.contains(&(row.resource.tenant.clone(), row.resource.id.clone())));
        }
        if !syncing.is_empty() && self.chance.per_mille(400) {
            self.journal.say(format_args!("disk: {} reached it although nobody heard", syncing.len()));
            drop(self.apply(syncing, self.clock.now()));
        }
    }

    // ---- Reading ----

    async fn reading(&self) -> Result<Arc<MemoryStore>, StoreError> {
        self.dawdle().await;
        if self.fault() == Some(DiskFault::Broken) && self.chance.per_mille(500) {
            return Err(StoreError::Broken("a planned read error".into()));
        }
        Ok(self.memory())
    }

    /// Lets time pass before or after a read, now and then.
    async fn dawdle(&self) {
        if !self.inner().calm && self.chance.per_mille(self.slow_reads) {
            let most = if self.fault() == Some(DiskFault::Slow) { 400 } else { 6 };
            let until = self.clock.now() + self.chance.duration(0, most);
            self.clock.sleep_until(until).await;
        }
    }

    // ---- Planted bugs ----

    fn spoil(&self, set: &mut ChangeSet) {
        match self.plant {
            Some(Plant::RowForgotten) => {
                let seldom = self.chance.per_mille(100);
                if seldom && !set.events.is_empty() {
                    set.changes.retain(|it| !matches!(it, Change::Resource { .. }));
                }
            }
            Some(Plant::AnswerNotKept) => set.answer = None,
            Some(Plant::AnswerChanged) => {
                if let Some(answer) = set.answer.take() {
                    let told = answer.answer;
                    let other = move |it: &Committed| told(&Committed { sequence: it.sequence + 1, ..it.clone() });
                    set.answer = Some(NewAnswer { answer: Box::new(other), ..answer });
                }
            }
            Some(Plant::DoneNotStored) => {
                set.changes.retain(|it| !matches!(it, Change::Subscription { subscription, .. } if subscription.state == State::Done))
            }
            Some(Plant::DroppedWhenPaused) => {
                for change in &mut set.changes {
                    if let Change::Subscription { subscription, cursor, skipped, .. } = change
                        && subscription.state == State::Active
                        && subscription.version > 1
                        && skipped.is_empty()
                    {
                        let last = at_once(self.memory().bounds(&subscription.scope)).map_or(0, |it| it.last);
                        *cursor = Some(last);
                    }
                }
            }
            _ => {}
        }
    }

    fn spoil_settlement(&self, mut settlement: Settlement) -> Settlement {
        match self.plant {
            Some(Plant::ExceptionLost) => settlement.exceptions.clear(),
            Some(Plant::ShadowLost) => settlement.skipped.clear(),
            Some(Plant::ReplayLeavesException) => {
                let replayed =
                    |place: &Place| settlement.attempts.iter().any(|it| it.place == *place && it.via == Via::Replay && it.succeeded());
                let removed = core::mem::take(&mut settlement.removed);
                settlement.removed = removed.into_iter().filter(|it| !replayed(it)).collect();
            }
            Some(Plant::CursorPastInFlight) => {
                let scope = self.journal.with(|it| it.subscriptions.get(&settlement.subscription).map(|it| it.scope.clone()));
                if let Some(scope) = scope {
                    settlement.cursor = at_once(self.memory().bounds(&scope)).map_or(settlement.cursor, |it| it.last);
                }
            }
            _ => {}
        }
        settlement
    }

    fn without_deadlines(&self, mut events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
        if self.has(Plant::DeadlineForgotten) {
            events.iter_mut().for_each(|it| Arc::make_mut(it).expires_at = None);
        }
        events
    }

    fn spoil_page(&self, page: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
        let mut page = self.without_deadlines(page);
        if self.has(Plant::PageCutInsideSet) {
            let inside = page.len() >= 2 && page.iter().rev().nth(1).is_some_and(|it| !it.ends_change_set);
            if inside {
                page.pop();
            }
        }
        if self.has(Plant::PlacesOutOfOrder)
            && page.len() >= 2
            && let Some(event) = page.get(page.len() - 2)
        {
            let at = self.journal.with(|it| it.durable_at.get(&event.seq).copied());
            if at.is_some_and(|at| at + Duration::from_secs(1) > self.clock.now()) {
                page.remove(page.len() - 2);
            }
        }
        page
    }
}

enum Reply {
    Commit(CommitReply),
    Settle(SettleReply),
}

impl Reply {
    fn refused(self, why: &CommitError) -> Answer {
        match self {
            Self::Commit(reply) => Answer::Commit(reply, Err(why.clone())),
            Self::Settle(reply) => {
                let why = match why {
                    CommitError::Store(why) => why.clone(),
                    CommitError::Overloaded => StoreError::Overloaded,
                    CommitError::Unknown => StoreError::Unknown,
                    other => StoreError::Broken(other.to_string()),
                };
                Answer::Settle(reply, Err(SettleError::Store(why)))
            }
        }
    }
}

/// The job with a reply that nobody reads, and its own reply.
fn split(job: Job) -> (Job, Reply) {
    match job {
        Job::Commit(set, reply) => (Job::Commit(set, oneshot::channel().0), Reply::Commit(reply)),
        Job::Settle(it, reply) => (Job::Settle(it, oneshot::channel().0), Reply::Settle(reply)),
    }
}

fn refuse(job: Job, why: &CommitError) -> Answer {
    split(job).1.refused(why)
}

#[async_trait]
impl Log for Disk {
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError> {
        if !self.inner().calm && self.chance.per_mille(5) {
            return Err(CommitError::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Commit(Box::new(set), reply))?;
        answer.await.unwrap_or(Err(CommitError::Unknown))
    }

    fn listen(&self, listener: Listener) {
        self.inner().listener = Some(listener);
    }

    async fn bounds(&self, scope: &Scope) -> Result<Bounds, StoreError> {
        let out = self.reading().await?.bounds(scope).await;
        self.dawdle().await;
        if self.has(Plant::FloorForgotten) { out.map(|it| Bounds { floor: self.archive().asked_floor(scope), ..it }) } else { out }
    }

    async fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let scope = if self.has(Plant::TenantFilterMissing) { &Scope::All } else { scope };
        let out = self.reading().await?.events_after(scope, after, slice).await;
        self.dawdle().await;
        out.map(|it| self.spoil_page(it))
    }

    async fn events_before(&self, scope: &Scope, before: Place, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let out = self.reading().await?.events_before(scope, before, limit).await;
        self.dawdle().await;
        out
    }

    async fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let out = self.reading().await?.events_of_subject(scope, subject, after, slice).await;
        self.dawdle().await;
        out
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Arc<Event>>, StoreError> {
        self.reading().await?.event(scope, id).await
    }

    async fn event_at(&self, scope: &Scope, place: Place) -> Result<Option<Arc<Event>>, StoreError> {
        self.reading().await?.event_at(scope, place).await
    }

    async fn event_by_key(&self, tenant: &TenantId, key: &str) -> Result<Option<Arc<Event>>, StoreError> {
        let out = self.reading().await?.event_by_key(tenant, key).await;
        self.dawdle().await;
        out
    }

    async fn event_of_version(&self, tenant: &TenantId, subject: &Subject, version: Version) -> Result<Option<Arc<Event>>, StoreError> {
        self.reading().await?.event_of_version(tenant, subject, version).await
    }

    async fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, StoreError> {
        self.reading().await?.place_before(scope, time).await
    }

    async fn event_type_seen(&self, scope: &Scope, event_type: &EventType) -> Result<bool, StoreError> {
        self.reading().await?.event_type_seen(scope, event_type).await
    }

    async fn event_types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        after: Option<&EventType>,
        limit: usize,
    ) -> Result<Vec<SeenType>, StoreError> {
        self.reading().await?.event_types_seen(scope, authority, after, limit).await
    }
}

#[async_trait]
impl Resources for Disk {
    async fn resource(&self, tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        let out = self.reading().await?.resource(tenant, type_name, id).await;
        self.dawdle().await;
        out
    }

    async fn resources(&self, query: ResourceQuery) -> Result<Vec<ResourceRow>, StoreError> {
        self.reading().await?.resources(query).await
    }

    async fn resources_changed_after(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        after: Place,
        limit: usize,
    ) -> Result<Option<BTreeSet<ResourceId>>, StoreError> {
        if self.has(Plant::ListForgetsChanges) {
            return Ok(Some(BTreeSet::new()));
        }
        self.reading().await?.resources_changed_after(tenant, type_name, after, limit).await
    }

    async fn resources_at(&self, tenant: &TenantId, subjects: &[Subject], at: Place) -> Result<Vec<Arc<Event>>, StoreError> {
        self.reading().await?.resources_at(tenant, subjects, at).await
    }

    async fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, StoreError> {
        self.reading().await?.resource_rows(after, limit).await
    }

    async fn resource_count(&self, type_name: &TypeName) -> Result<u64, StoreError> {
        self.reading().await?.resource_count(type_name).await
    }

    async fn resources_of_type(
        &self,
        type_name: &TypeName,
        after: Option<(TenantId, Timestamp, ResourceId)>,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        self.reading().await?.resources_of_type(type_name, after, limit).await
    }

    async fn declare_indexes(&self, type_name: &TypeName, indexes: &[Vec<String>]) -> Result<(), StoreError> {
        self.memory().declare_indexes(type_name, indexes).await
    }

    async fn indexes_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, StoreError> {
        self.memory().indexes_to_fill().await
    }

    async fn fill_indexes(&self, rows: usize) -> Result<bool, StoreError> {
        self.memory().fill_indexes(rows).await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        let out = self.reading().await?.due_timers(now, limit).await;
        self.dawdle().await;
        out
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        let out = self.reading().await?.next_timer().await;
        self.dawdle().await;
        out
    }
}

#[async_trait]
impl Deliveries for Disk {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        if self.has(Plant::SettleStuck) && self.inner().calm {
            return core::future::pending().await;
        }
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Settle(Box::new(settlement), reply))?;
        answer.await.unwrap_or(Err(SettleError::Store(StoreError::Closed)))
    }

    async fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, StoreError> {
        let memory = self.reading().await?;
        let mut out = memory.reader(subscription).await?;
        self.dawdle().await;
        if let Some(state) = &mut out {
            match self.plant {
                Some(Plant::OldGenerationCounts) => {
                    let tried = memory.attempt_summaries(subscription, state.cursor, Place::MAX - 1).await?;
                    let failed = |place| state.exceptions.iter().any(|it| it.place == place);
                    let done = tried.iter().filter(|it| it.succeeded_in.is_some() && !failed(it.place));
                    state.delivered_above = done.map(|it| it.place).collect();
                }
                Some(Plant::SkipsForgotten) => state.skipped.clear(),
                Some(Plant::CursorMovedBack) => {
                    state.cursor = state.cursor.saturating_sub(3);
                    state.delivered_above.clear();
                }
                Some(Plant::DueTooEarly) => {
                    for it in &mut state.exceptions {
                        if let ExceptionState::Retrying { due_at } = &mut it.state {
                            *due_at = (*due_at).min(self.clock.now());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(out)
    }

    async fn cursor(&self, subscription: u32) -> Result<Option<Place>, StoreError> {
        self.reading().await?.cursor(subscription).await
    }

    async fn exceptions(&self, subscription: u32, after: Place, limit: usize) -> Result<Vec<Exception>, StoreError> {
        self.reading().await?.exceptions(subscription, after, limit).await
    }

    async fn exception(&self, subscription: u32, place: Place) -> Result<Option<Exception>, StoreError> {
        self.reading().await?.exception(subscription, place).await
    }

    async fn attempts(&self, subscription: u32, event: EventId) -> Result<Vec<Attempt>, StoreError> {
        self.reading().await?.attempts(subscription, event).await
    }

    async fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, StoreError> {
        let out = self.reading().await?.attempt_summaries(subscription, from, to).await;
        self.dawdle().await;
        out
    }

    async fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, StoreError> {
        self.reading().await?.account(subscription, from, to).await
    }

    async fn accounted(&self) -> Result<Vec<u32>, StoreError> {
        self.reading().await?.accounted().await
    }
}

#[async_trait]
impl Replays for Disk {
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.reading().await?.replay(id).await
    }

    async fn replays(
        &self,
        tenant: Option<&TenantId>,
        subscription: Option<u32>,
        before: Option<ReplayId>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        self.reading().await?.replays(tenant, subscription, before, limit).await
    }
}

#[async_trait]
impl Retention for Disk {
    async fn truncate(&self, to: Seq, limit: usize) -> Result<Seq, StoreError> {
        let memory = self.reading().await?;
        let all = Slice { events_max: usize::MAX, bytes_max: usize::MAX };
        let before = memory.events_after(&Scope::All, 0, all).await?;
        {
            let mut archive = self.archive();
            archive.asked = archive.asked.max(to);
        }
        let to = if self.has(Plant::FloorPassesTooMuch) || self.has(Plant::FloorForgotten) { Seq::MAX } else { to };
        let floor = memory.truncate(to, limit).await?;
        self.journal.say(format_args!("disk: the log begins after {floor}"));
        let (now, mut archive) = (self.machine.now(), self.archive());
        for event in before.into_iter().filter(|it| it.seq <= floor) {
            archive.removed.push((now, event.seq));
            archive.events.insert(event.seq, event);
        }
        Ok(floor)
    }

    async fn sweep(&self, from: u32, limit: usize) -> Result<Option<u32>, StoreError> {
        let memory = self.reading().await?;
        for subscription in memory.subscriptions().await? {
            let state = memory.reader(subscription.no).await?.unwrap_or_default();
            let tried = memory.attempt_summaries(subscription.no, 0, Place::MAX - 1).await?;
            let mut archive = self.archive();
            let swept = archive.readers.entry(subscription.no).or_default();
            for it in state.skipped {
                if !swept.skipped.contains(&it) {
                    swept.skipped.push(it);
                }
            }
            swept.delivered.extend(tried.iter().filter_map(|it| Some((it.place, it.succeeded_in?))));
        }
        memory.sweep(from, limit).await
    }
}

#[async_trait]
impl Subscriptions for Disk {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut all = self.reading().await?.subscriptions().await?;
        for it in &mut all {
            match self.plant {
                Some(Plant::OrderForgotten) => it.revisions.iter_mut().for_each(|it| it.order = Order::None),
                Some(Plant::ConcurrencyForgotten) => it.push.iter_mut().for_each(|it| it.concurrency_max = 200),
                _ => {}
            }
        }
        Ok(all)
    }
}
