//! The present images of resources that are asked for, in memory.
//!
//! Thousands may ask for one resource that does not change; they cost one read
//! of the store together, and share its bytes. The images are kept true by the
//! commits themselves:
//!
//! - from before a change set is handed to the store until its fate is known,
//!   the resources that it changes are *marked*: who asks meanwhile reads the
//!   store, and what he finds is not kept;
//! - the store's listener, which hears every transaction in commit order before
//!   anybody is answered, replaces the image by the one in the event, and takes
//!   that mark away. So whoever is woken by a change finds it here, in memory.
//!
//! An image is therefore never older than what the store would have said at the
//! moment of asking. Bounded in bytes; what was not asked for longest goes first.
//!
//! They also know when resources of a type last changed, for lists (`list_tags`).
//!
//! Not here: rows as writes need them, with their timers (those read the store).

use bytes::Bytes;
use ringback_model::{
    ResourceId, StatusName, TenantId, Timestamp, TypeName,
    event::Event,
    limits,
    resource::{Resource, Version},
};
use ringback_ports::store::{Change, ChangeSet, CommitError, Committed, StoreError};
use std::{
    collections::BTreeMap,
    ops::Bound,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::OnceCell;

/// What an image takes besides its bytes: its key twice, and the maps.
const OVERHEAD_BYTES: usize = 512;

/// A resource as its readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: ResourceId,
    pub(crate) tenant: TenantId,
    pub(crate) status: StatusName,
    pub(crate) version: Version,
    /// When the status was entered.
    pub(crate) since: Timestamp,
    /// Its public bytes, shared by all who are answered with them.
    pub(crate) body: Bytes,
    /// Bytes that it keeps in memory: `body` may be a part of its event.
    held: usize,
}

impl Image {
    pub(crate) fn of(resource: Resource) -> Self {
        let body = resource.encode();
        Self {
            held: body.len(),
            body,
            id: resource.id,
            tenant: resource.tenant,
            status: resource.status,
            version: resource.version,
            since: resource.since,
        }
    }

    /// The image after `event`; `None` when the event alone does not say it.
    fn after(&self, event: &Event) -> Option<Self> {
        let of = event.of.as_ref().filter(|it| !it.deleted && it.version == self.version + 1)?;
        let (status, since) = match &of.entered {
            Some(entered) => (entered.clone(), event.timestamp),
            None => (self.status.clone(), self.since),
        };
        Some(Self { status, since, version: of.version, body: event.data(), held: event.bytes.len(), ..self.clone() })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Images {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Arc<str>, Kept>,
    /// Keys by when they were last asked for.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: usize,
    /// Reads of the store that others may join.
    flights: BTreeMap<Arc<str>, Arc<Flight>>,
    /// Resources that are being written: a mark for each change whose fate is not known.
    marked: BTreeMap<Arc<str>, Vec<u128>>,
    /// When something of a tenant and type last changed, as it was counted.
    changed: BTreeMap<Arc<str>, u64>,
    /// The same for all that are not in `changed`.
    changed_floor: u64,
    changes: u64,
}

#[derive(Debug)]
struct Kept {
    image: Arc<Image>,
    used: u64,
}

/// One read of the store. Who is first reads; when he goes away, the next one does.
type Flight = OnceCell<Option<Arc<Image>>>;

fn key(tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Arc<str> {
    // No name holds a NUL, so no two resources share a key.
    format!("{tenant}\0{type_name}\0{id}").into()
}

/// What the keys of all resources of a tenant and type begin with.
fn all_of(tenant: &TenantId, type_name: &TypeName) -> Arc<str> {
    format!("{tenant}\0{type_name}\0").into()
}

impl Images {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(limits::IMAGES_BYTES_MAX)
    }

    fn of(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), bytes_max })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image of a resource; `None` when there is none. `load` asks the store.
    pub(crate) async fn read<F>(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        id: &ResourceId,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<Image>>, StoreError>
    where
        F: Future<Output = Result<Option<Image>, StoreError>>,
    {
        let key = key(tenant, type_name, id);
        let joined = {
            let mut inner = self.inner();
            if inner.marked.contains_key(&key) {
                // Between the commit and its announcement only the store knows.
                None
            } else if let Some(image) = inner.used(&key) {
                return Ok(Some(image));
            } else {
                let flight = Arc::clone(inner.flights.entry(Arc::clone(&key)).or_default());
                Some(Joined { images: self, key: Arc::clone(&key), flight })
            }
        };
        let Some(joined) = joined else { return Ok(load().await?.map(Arc::new)) };
        let image = joined.flight.get_or_try_init(|| async { Ok(load().await?.map(Arc::new)) }).await?.clone();
        let mut inner = self.inner();
        // A flight that is no longer listed began before a change: its answer is for those who
        // had asked by then, and for nobody after.
        if inner.flights.get(&key).is_some_and(|it| Arc::ptr_eq(it, &joined.flight)) {
            inner.flights.remove(&key);
            if let Some(image) = &image {
                inner.keep(key, Arc::clone(image), self.bytes_max);
            }
        }
        drop(inner);
        Ok(image)
    }

    /// What is raised by every change of a resource of this tenant and type, before the change is
    /// answered to anybody. `None` while one is being written: then only the store knows.
    pub(crate) fn stamp(&self, tenant: &TenantId, type_name: &TypeName) -> Option<u64> {
        let all = all_of(tenant, type_name);
        let inner = self.inner();
        let writing = inner.marked.range::<str, _>((Bound::Included(&*all), Bound::Unbounded)).next();
        if writing.is_some_and(|(key, _)| key.starts_with(&*all)) {
            return None;
        }
        Some(inner.changed.get(&all).copied().unwrap_or(inner.changed_floor))
    }

    /// Marks what `set` changes, until the listener has heard of it or `Writing` ends.
    /// `None` when it changes no resource.
    pub(crate) fn begin(self: &Arc<Self>, set: &ChangeSet) -> Option<Writing> {
        let mut marks = Vec::new();
        for change in &set.changes {
            let Change::Resource { row, .. } = change else { continue };
            let it = &row.resource;
            let event = set.events.iter().find(|event| {
                event.of.as_ref().is_some_and(|of| of.version == it.version && of.id == it.id && of.type_name == it.type_name)
            });
            // Without an event nobody announces the change: the mark stays until its end.
            marks.push((key(&it.tenant, &it.type_name, &it.id), event.map(|it| it.id.bits())));
        }
        if marks.is_empty() {
            return None;
        }
        let mut inner = self.inner();
        let marks: Vec<_> = marks
            .into_iter()
            .map(|(key, mark)| {
                let mark = mark.unwrap_or_else(|| inner.fresh_mark());
                inner.flights.remove(&key);
                inner.marked.entry(Arc::clone(&key)).or_default().push(mark);
                (key, mark)
            })
            .collect();
        drop(inner);
        Some(Writing { images: Arc::clone(self), marks, nothing_stored: false })
    }

    /// Takes a transaction's events, in commit order, before anybody is answered or woken.
    pub(crate) fn hear(&self, events: &[Arc<Event>]) {
        if events.iter().all(|it| it.of.is_none()) {
            return;
        }
        let mut inner = self.inner();
        for event in events {
            let Some(of) = &event.of else { continue };
            let key = key(&event.tenant, &of.type_name, &of.id);
            inner.unmark(&key, event.id.bits());
            inner.change(all_of(&event.tenant, &of.type_name));
            inner.flights.remove(&key);
            let Some(before) = inner.kept.get(&key).map(|it| Arc::clone(&it.image)) else { continue };
            inner.forget(&key);
            if let Some(after) = before.after(event) {
                inner.keep(key, Arc::new(after), self.bytes_max);
            }
        }
    }
}

impl Inner {
    /// The image that is kept under `key`, which counts as asked for now.
    fn used(&mut self, key: &Arc<str>) -> Option<Arc<Image>> {
        let kept = self.kept.get_mut(key)?;
        self.by_use.remove(&kept.used);
        self.uses += 1;
        kept.used = self.uses;
        self.by_use.insert(self.uses, Arc::clone(key));
        Some(Arc::clone(&kept.image))
    }

    fn keep(&mut self, key: Arc<str>, image: Arc<Image>, bytes_max: usize) {
        self.forget(&key);
        self.bytes += weight(&image);
        self.uses += 1;
        self.by_use.insert(self.uses, Arc::clone(&key));
        self.kept.insert(key, Kept { image, used: self.uses });
        while self.bytes > bytes_max {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            let oldest = Arc::clone(oldest);
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Arc<str>) {
        if let Some(gone) = self.kept.remove(key) {
            self.by_use.remove(&gone.used);
            self.bytes = self.bytes.saturating_sub(weight(&gone.image));
        }
    }

    /// Something of this tenant and type has changed, or may have.
    fn change(&mut self, all: Arc<str>) {
        self.changes += 1;
        if self.changed.len() >= limits::LIST_STAMPS_MAX && !self.changed.contains_key(&all) {
            // Of all that are forgotten it is said that they changed just now.
            self.changed.clear();
            self.changed_floor = self.changes;
        }
        self.changed.insert(all, self.changes);
    }

    /// A mark that no event has: those are random, and far above.
    fn fresh_mark(&mut self) -> u128 {
        self.uses += 1;
        u128::from(self.uses)
    }

    /// Takes a mark away; whether it was still there.
    fn unmark(&mut self, key: &Arc<str>, mark: u128) -> bool {
        let Some(marks) = self.marked.get_mut(key) else { return false };
        let before = marks.len();
        marks.retain(|it| *it != mark);
        let was_there = marks.len() < before;
        if marks.is_empty() {
            self.marked.remove(key);
        }
        was_there
    }
}

fn weight(image: &Image) -> usize {
    OVERHEAD_BYTES + image.held
}

/// Somebody who waits for a read of the store, or does it.
struct Joined<'a> {
    images: &'a Images,
    key: Arc<str>,
    flight: Arc<Flight>,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut inner = self.images.inner();
        // Counted under the lock, where all joining happens: the map's own and ours.
        let last = inner.flights.get(&self.key).is_some_and(|it| Arc::ptr_eq(it, &self.flight) && Arc::strong_count(it) == 2);
        if last {
            inner.flights.remove(&self.key);
        }
    }
}

/// A change set on its way to the disk.
#[derive(Debug)]
pub(crate) struct Writing {
    images: Arc<Images>,
    marks: Vec<(Arc<str>, u128)>,
    nothing_stored: bool,
}

impl Writing {
    /// Commits, and goes on doing so when whoever asked goes away: until the fate of the change
    /// is known, nobody may be answered from memory.
    pub(crate) fn commit(
        self,
        commit: impl Future<Output = Result<Committed, CommitError>> + Send + 'static,
    ) -> impl Future<Output = Result<Committed, CommitError>> {
        Whole(Some(Box::pin(async move {
            // The whole of it moves in here: its end is the end of the marks.
            let mut writing = self;
            let committed = commit.await;
            writing.nothing_stored = matches!(committed, Err(CommitError::Refused(_) | CommitError::Overloaded));
            committed
        })))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut inner = self.images.inner();
        for (key, mark) in &self.marks {
            // Unheard of, and perhaps stored all the same: the store is asked again.
            if inner.unmark(key, *mark) && !self.nothing_stored {
                inner.forget(key);
                inner.flights.remove(key);
                if let Some((all, _)) = key.rsplit_once('\0') {
                    inner.change(format!("{all}\0").into());
                }
            }
        }
    }
}

/// A future that is run to its end, also when it is dropped before.
struct Whole<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for Whole<T> {
    type Output = T;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(running) = &mut self.0 else { return Poll::Pending };
        let done = running.as_mut().poll(cx);
        if done.is_ready() {
            self.0 = None;
        }
        done
    }
}

impl<T: Send + 'static> Drop for Whole<T> {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests;
