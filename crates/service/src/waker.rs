//! Wakes those who wait, and only those whom it concerns.
//!
//! A wake-up is a hint, never data: who is woken looks again. A ticket is taken
//! *before* looking, so that a change between looking and waiting is not missed.
//!
//! Those who wait in one room are woken in the order in which they came, so that
//! the same run gives the same order (a `watch` channel draws lots).

use ringback_model::{Subject, TenantId, event::Event, event::Scope};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WakeOn {
    /// Any event of this scope.
    Scope(Scope),
    /// An event about this subject.
    Subject(TenantId, Subject),
}

/// Where those wait who wait for the same.
#[derive(Debug, Default)]
struct Room {
    /// Raised by every hint: what came between two looks is seen.
    hints: AtomicU64,
    notify: Notify,
}

impl Room {
    fn hint(&self) {
        self.hints.fetch_add(1, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
}

/// Who waits for what.
#[derive(Debug)]
pub(crate) struct Waker {
    rooms: Mutex<BTreeMap<WakeOn, Arc<Room>>>,
    waiting: tokio::sync::Semaphore,
}

/// A place among those who wait. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    on: WakeOn,
    waker: Arc<Waker>,
    room: Option<Arc<Room>>,
    seen: u64,
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
        let room = Arc::clone(rooms.entry(on.clone()).or_default());
        let seen = room.hints.load(Ordering::SeqCst);
        Ticket { on, waker: Arc::clone(self), room: Some(room), seen }
    }

    /// Hints at all whom one of these events concerns.
    pub(crate) fn wake(&self, events: &[Arc<Event>]) {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.is_empty() || events.is_empty() {
            return;
        }
        let hint = |on: &WakeOn| {
            if let Some(room) = rooms.get(on) {
                room.hint();
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
            room.hint();
        }
    }
}

impl Ticket {
    /// Returns when something happened since the ticket was taken or since the last call.
    pub(crate) async fn woken(&mut self) {
        let Some(room) = &self.room else { return };
        loop {
            // Made before looking: a hint in between wakes it.
            let notified = room.notify.notified();
            let hints = room.hints.load(Ordering::SeqCst);
            if hints != self.seen {
                self.seen = hints;
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut rooms = self.waker.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        self.room = None;
        // One count is the map's own: nobody else waits here.
        if rooms.get(&self.on).is_some_and(|room| Arc::strong_count(room) == 1) {
            rooms.remove(&self.on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hint_between_looking_and_waiting_is_not_missed() {
        let waker = Waker::new(10);
        let on = WakeOn::Scope(Scope::All);
        let mut ticket = waker.ticket(on.clone());
        waker.wake_all();
        waker.wake_all();
        ticket.woken().await;
        // Both hints are one wake-up, and the next one is waited for.
        let waiting = tokio::spawn(async move { ticket.woken().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        waker.wake_all();
        waiting.await.unwrap();
        assert!(waker.rooms.lock().unwrap().is_empty(), "the last one out closes the room");
    }

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_came() {
        let waker = Waker::new(100);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..50)
            .map(|no| {
                let (mut ticket, woken) = (waker.ticket(WakeOn::Scope(Scope::All)), Arc::clone(&woken));
                tokio::spawn(async move {
                    ticket.woken().await;
                    woken.lock().unwrap().push(no);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        waker.wake_all();
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }
}
