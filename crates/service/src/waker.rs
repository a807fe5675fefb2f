//! Wakes those who wait, and only those whom it concerns.
//!
//! A wake-up is a hint, never data: who is woken looks again. A ticket is taken
//! *before* looking, so that a change between looking and waiting is not missed.
//!
//! Those who wait in one room are woken in the order in which they came, so that
//! the same run gives the same order (a `watch` channel draws lots).

use crate::Error;
use ringback_model::{
    EventType, KeyId, Subject, TenantId, TypeName,
    event::Event,
    event::Scope,
    subscription::{TypePattern, types_match},
};
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
    /// An event of this scope and of one of these types; of any, if there are none.
    Scope(Scope, Vec<TypePattern>),
    /// An event about this subject.
    Subject(TenantId, Subject),
    /// A change of a resource of this type.
    Type(TenantId, TypeName),
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
    waiting: Mutex<Waiting>,
    waiters_max: usize,
    waiters_per_key_max: usize,
}

/// How many wait.
#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    by_key: BTreeMap<KeyId, usize>,
}

/// Leave to wait, or to hold a stream open. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Admitted {
    waker: Arc<Waker>,
    key: Option<KeyId>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut waiting = self.waker.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all = waiting.all.saturating_sub(1);
        if let Some(key) = self.key
            && let Some(own) = waiting.by_key.get_mut(&key)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                waiting.by_key.remove(&key);
            }
        }
    }
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
    pub(crate) fn new(waiters_max: usize, waiters_per_key_max: usize) -> Arc<Self> {
        Arc::new(Self { rooms: Mutex::default(), waiting: Mutex::default(), waiters_max, waiters_per_key_max })
    }

    /// Leave to wait at all, counted for this key (`None`: the operator's socket, which has no
    /// share of its own) and for all together.
    ///
    /// # Errors
    /// `TooManyWaiters`, and which of the two limits it was.
    pub(crate) fn admit(self: &Arc<Self>, key: Option<KeyId>) -> Result<Admitted, Error> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.all >= self.waiters_max {
            return Err(Error::TooManyWaiters { max: self.waiters_max, of_key: false });
        }
        if let Some(key) = key {
            let own = waiting.by_key.entry(key).or_default();
            if *own >= self.waiters_per_key_max {
                return Err(Error::TooManyWaiters { max: self.waiters_per_key_max, of_key: true });
            }
            *own += 1;
        }
        waiting.all += 1;
        Ok(Admitted { waker: Arc::clone(self), key })
    }

    /// How many wait, or hold a stream open.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).all
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
        let (mut subjects, mut types) = (BTreeSet::new(), BTreeSet::new());
        let mut scopes: BTreeMap<Scope, BTreeSet<&EventType>> = BTreeMap::new();
        for event in events {
            if let Some(subject) = &event.subject
                && subjects.insert((&event.tenant, subject))
                && let Some(room) = rooms.get(&WakeOn::Subject(event.tenant.clone(), subject.clone()))
            {
                room.hint();
            }
            if let Some(of) = &event.of
                && types.insert((&event.tenant, &of.type_name))
                && let Some(room) = rooms.get(&WakeOn::Type(event.tenant.clone(), of.type_name.clone()))
            {
                room.hint();
            }
            for scope in [Scope::Tenant(event.tenant.clone()), Scope::All] {
                scopes.entry(scope).or_default().insert(&event.event_type);
            }
        }
        for (scope, made) in scopes {
            // Rooms of one scope are neighbours, the one without types first.
            for (on, room) in rooms.range(WakeOn::Scope(scope.clone(), Vec::new())..) {
                let WakeOn::Scope(of, types) = on else { break };
                if *of != scope {
                    break;
                }
                if types.is_empty() || made.iter().any(|it| types_match(types, it)) {
                    room.hint();
                }
            }
        }
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
    use ringback_model::{EventId, Timestamp, event::EventDraft, key::Authority};
    use std::sync::atomic::AtomicUsize;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn event(of: &str, event_type: &str, subject: Option<&str>) -> Arc<Event> {
        let draft = EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse(event_type).unwrap(),
            timestamp: Timestamp::from_secs(0),
            subject: subject.map(|it| Subject::parse(it).unwrap()),
            data: bytes::Bytes::from_static(b"1"),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        };
        Arc::new(draft.place(tenant(of), 1, 1, true))
    }

    fn on_subject(of: &str, subject: &str) -> WakeOn {
        WakeOn::Subject(tenant(of), Subject::parse(subject).unwrap())
    }

    fn on_types(scope: Scope, types: &[&str]) -> WakeOn {
        WakeOn::Scope(scope, types.iter().map(|it| TypePattern::parse(it).unwrap()).collect())
    }

    /// Whether a ticket has been woken by now.
    fn woken(ticket: &mut Ticket) -> bool {
        use futures_util::FutureExt;
        ticket.woken().now_or_never().is_some()
    }

    #[tokio::test]
    async fn a_hint_between_looking_and_waiting_is_not_missed() {
        let waker = Waker::new(10, 10);
        let on = on_types(Scope::All, &[]);
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
        let waker = Waker::new(100, 100);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..50)
            .map(|no| {
                let (mut ticket, woken) = (waker.ticket(on_types(Scope::All, &[])), Arc::clone(&woken));
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

    #[test]
    fn only_those_whom_it_concerns_are_woken() {
        let waker = Waker::new(100, 100);
        let acme = || Scope::Tenant(tenant("acme"));
        let mut tickets: Vec<(&str, Ticket)> = [
            ("subject", on_subject("acme", "/order/1")),
            ("another subject", on_subject("acme", "/order/2")),
            ("another tenant's subject", on_subject("beta", "/order/1")),
            ("tenant", on_types(acme(), &[])),
            ("type", on_types(acme(), &["order.paid"])),
            ("prefix", on_types(acme(), &["a.b", "order.*"])),
            ("another type", on_types(acme(), &["order.shipped", "b.*"])),
            ("another tenant", on_types(Scope::Tenant(tenant("beta")), &[])),
            ("another tenant's type", on_types(Scope::Tenant(tenant("acmf")), &["order.paid"])),
            ("all", on_types(Scope::All, &[])),
            ("all of a type", on_types(Scope::All, &["order.paid"])),
            ("all of another type", on_types(Scope::All, &["b.*"])),
        ]
        .into_iter()
        .map(|(name, on)| (name, waker.ticket(on)))
        .collect();
        waker.wake(&[event("acme", "order.paid", Some("/order/1")), event("acme", "c.d", None)]);
        let heard: Vec<_> = tickets.iter_mut().filter_map(|(name, it)| woken(it).then_some(*name)).collect();
        assert_eq!(heard, ["subject", "tenant", "type", "prefix", "all", "all of a type"]);
        drop(tickets);
        assert!(waker.rooms.lock().unwrap().is_empty(), "an empty room is no room");
    }

    #[tokio::test]
    async fn of_ten_thousand_who_wait_one_change_wakes_one() {
        let waker = Waker::new(20_000, 20_000);
        let (looked, wakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..10_000 {
            let mut ticket = waker.ticket(on_subject("acme", &format!("/order/{n}")));
            let (looked, wakes) = (Arc::clone(&looked), Arc::clone(&wakes));
            tasks.spawn(async move {
                // Counts how often the task itself is run after its first look, not only what it is told.
                let mut polls = 0;
                let woken = ticket.woken();
                tokio::pin!(woken);
                core::future::poll_fn(|cx| {
                    polls += 1;
                    if polls == 1 { &looked } else { &wakes }.fetch_add(1, Ordering::Relaxed);
                    woken.as_mut().poll(cx)
                })
                .await;
            });
        }
        while looked.load(Ordering::Relaxed) < 10_000 {
            tokio::task::yield_now().await;
        }
        waker.wake(&[event("acme", "order.paid", Some("/order/77"))]);
        for _ in 0..1_000 {
            // A turn of the scheduler runs dozens of tasks that are awake: all of them had theirs.
            tokio::task::yield_now().await;
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1, "one is woken, and the others are not even looked at");
        tasks.abort_all();
    }

    #[tokio::test]
    async fn a_thousand_who_wait_for_one_all_know() {
        let waker = Waker::new(20_000, 20_000);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let mut ticket = waker.ticket(on_subject("acme", "/order/1"));
            tasks.spawn(async move { ticket.woken().await });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        waker.wake(&[event("acme", "order.paid", Some("/order/1"))]);
        for _ in 0..1_000 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }

    #[test]
    fn places_are_counted_for_a_key_and_in_all() {
        let waker = Waker::new(3, 2);
        let key = |n: u128| Some(KeyId::from_bits(n));
        let shown = |it: Result<Admitted, Error>| match it {
            Ok(_) => "in".to_owned(),
            Err(Error::TooManyWaiters { max, of_key }) => format!("{max} {of_key}"),
            Err(other) => format!("{other:?}"),
        };
        let first = waker.admit(key(1)).unwrap();
        let _second = waker.admit(key(1)).unwrap();
        assert_eq!(shown(waker.admit(key(1))), "2 true", "a key has its share");
        let _third = waker.admit(key(2)).unwrap();
        assert_eq!(shown(waker.admit(key(3))), "3 false");
        assert_eq!(shown(waker.admit(None)), "3 false", "the socket is counted, too");
        drop(first);
        assert_eq!(shown(waker.admit(None)), "in");
        assert_eq!(shown(waker.admit(key(1))), "in");
        assert_eq!(waker.waiting.lock().unwrap().by_key.len(), 2);
    }
}
