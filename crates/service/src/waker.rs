//! Wakes those who wait, and only those whom it concerns.
//!
//! A wake-up is a hint, never data: who is woken looks again. A ticket is taken
//! *before* looking, so that a change between looking and waiting is not missed.

use ringback_model::{Subject, TenantId, event::Event, event::Scope};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WakeOn {
    /// Any event of this scope.
    Scope(Scope),
    /// An event about this subject.
    Subject(TenantId, Subject),
}

/// Who waits for what.
#[derive(Debug)]
pub(crate) struct Waker {
    rooms: Mutex<BTreeMap<WakeOn, watch::Sender<()>>>,
    waiting: tokio::sync::Semaphore,
}

/// A place among those who wait. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    on: WakeOn,
    waker: Arc<Waker>,
    receiver: Option<watch::Receiver<()>>,
}

impl Waker {
    pub(crate) fn new(waiters_max: usize) -> Arc<Self> {
        Arc::new(Self { rooms: Mutex::new(BTreeMap::new()), waiting: tokio::sync::Semaphore::new(waiters_max) })
    }

    /// A permit to wait at all; `None` when too many do.
    pub(crate) fn admit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.waiting.try_acquire().ok()
    }

    /// From here on, no event that concerns `on` is missed.
    pub(crate) fn ticket(self: &Arc<Self>, on: WakeOn) -> Ticket {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = rooms.entry(on.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Ticket { on, waker: Arc::clone(self), receiver: Some(receiver) }
    }

    /// Hints at all whom one of these events concerns.
    pub(crate) fn wake(&self, events: &[Arc<Event>]) {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.is_empty() || events.is_empty() {
            return;
        }
        let hint = |on: &WakeOn| {
            if let Some(room) = rooms.get(on) {
                room.send_replace(());
            }
        };
        let mut tenants = BTreeSet::new();
        for event in events {
            if let Some(subject) = &event.subject {
                hint(&WakeOn::Subject(event.tenant.clone(), subject.clone()));
            }
            tenants.insert(&event.tenant);
        }
        for tenant in tenants {
            hint(&WakeOn::Scope(Scope::Tenant(tenant.clone())));
        }
        hint(&WakeOn::Scope(Scope::All));
    }

    /// Wakes everybody: we are closing.
    pub(crate) fn wake_all(&self) {
        for room in self.rooms.lock().unwrap_or_else(PoisonError::into_inner).values() {
            room.send_replace(());
        }
    }
}

impl Ticket {
    /// Returns when something happened since the ticket was taken or since the last call.
    pub(crate) async fn woken(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender lives in the room for as long as this ticket does.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut rooms = self.waker.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        self.receiver = None;
        if rooms.get(&self.on).is_some_and(|room| room.receiver_count() == 0) {
            rooms.remove(&self.on);
        }
    }
}
