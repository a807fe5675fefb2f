//! The newest events, in memory, and the way to read the log that uses them.
//!
//! The writer hands every durable transaction to `Tail::push` before it answers
//! anybody, so a reader that is caught up never touches the disk. The tail is
//! bounded; who has fallen off it reads pages from the store, and the two are
//! the same events in the same order.

use ringback_model::{
    TenantId,
    event::{Event, Place, Scope},
};
use ringback_ports::{
    Store,
    meters::meters,
    store::{Slice, StoreError},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Events that the tail keeps at most.
const EVENTS_MAX: usize = 16_384;
/// Bytes of events that the tail keeps at most.
const BYTES_MAX: usize = 24 * 1024 * 1024;

/// The newest events of the log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    all: VecDeque<Arc<Event>>,
    by_tenant: BTreeMap<TenantId, VecDeque<Arc<Event>>>,
    bytes: usize,
}

/// What a slice of the tail is.
pub(crate) enum Tailed {
    /// These events, and whether there are more of them in the tail.
    Events(Vec<Arc<Event>>),
    /// The tail does not reach back so far (or never saw this scope): ask the store.
    Ask,
}

impl Tail {
    /// Takes a transaction's events, in order.
    pub(crate) fn push(&self, events: &[Arc<Event>]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            // Everything here counts on dense places. Whoever missed a transaction (a listener
            // that broke off) starts afresh, and its readers ask the store.
            if inner.all.back().is_some_and(|last| last.seq + 1 != event.seq) {
                *inner = Inner::default();
            }
            inner.bytes += event.bytes.len();
            inner.by_tenant.entry(event.tenant.clone()).or_default().push_back(Arc::clone(event));
            inner.all.push_back(Arc::clone(event));
        }
        while inner.all.len() > EVENTS_MAX || inner.bytes > BYTES_MAX {
            let Some(oldest) = inner.all.pop_front() else { break };
            inner.bytes = inner.bytes.saturating_sub(oldest.bytes.len());
            // Both queues are in log order, so the oldest of all is the oldest of its tenant.
            let emptied = inner.by_tenant.get_mut(&oldest.tenant).is_some_and(|own| {
                own.pop_front();
                own.is_empty()
            });
            if emptied {
                inner.by_tenant.remove(&oldest.tenant);
            }
        }
    }

    /// Puts what is left of erased events in their places.
    pub(crate) fn replace(&self, left: &[Arc<Event>]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for event in left {
            let mut freed = None;
            let Inner { all, by_tenant, .. } = &mut *inner;
            for queue in core::iter::once(all).chain(by_tenant.get_mut(&event.tenant)) {
                // In order of the log.
                let Ok(at) = queue.binary_search_by(|it| it.seq.cmp(&event.seq)) else { continue };
                if let Some(it) = queue.get_mut(at) {
                    freed = Some(it.bytes.len());
                    *it = Arc::clone(event);
                }
            }
            if let Some(freed) = freed {
                inner.bytes = (inner.bytes + event.bytes.len()).saturating_sub(freed);
            }
        }
    }

    /// The events of `scope` after `after`, as `Log::events_after` would answer them.
    pub(crate) fn after(&self, scope: &Scope, after: Place, slice: Slice) -> Tailed {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match scope {
            Scope::All => &inner.all,
            Scope::Tenant(tenant) => match inner.by_tenant.get(tenant) {
                Some(own) => own,
                None => return Tailed::Ask,
            },
        };
        // Places are dense, so the first one tells whether anything is missing
        // and where the slice begins.
        let Some(first) = queue.front().map(|it| it.place(scope)) else { return Tailed::Ask };
        if after + 1 < first {
            return Tailed::Ask;
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut whole = true;
        for event in queue.iter().skip(skip) {
            if whole && !events.is_empty() && (events.len() >= slice.events_max || bytes >= slice.bytes_max) {
                break;
            }
            bytes += event.bytes.len();
            whole = event.ends_change_set;
            events.push(Arc::clone(event));
        }
        Tailed::Events(events)
    }
}

impl Tail {
    /// Whether all events of `scope` after `after` are in the tail.
    pub(crate) fn covers(&self, scope: &Scope, after: Place) -> bool {
        matches!(self.after(scope, after, Slice { events_max: 1, bytes_max: 1 }), Tailed::Events(_))
    }
}

/// Reads the log: from memory where the tail reaches, else from the store.
pub(crate) async fn read(store: &dyn Store, tail: &Tail, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
    match tail.after(scope, after, slice) {
        Tailed::Events(events) => {
            meters().tail_reads.with_label_values(&["memory"]).inc();
            Ok(events)
        }
        Tailed::Ask => {
            meters().tail_reads.with_label_values(&["store"]).inc();
            store.events_after(scope, after, slice).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ringback_model::{EventId, EventType, Timestamp, event::EventDraft, key::Authority};

    fn event(tenant: &str, seq: u64, sequence: u64, ends: bool) -> Arc<Event> {
        let draft = EventDraft {
            id: EventId::from_bits(u128::from(seq)),
            event_type: EventType::parse("a.b").unwrap(),
            timestamp: Timestamp::from_secs(0),
            subject: None,
            data: Bytes::from_static(b"1"),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        };
        Arc::new(draft.place(TenantId::parse(tenant).unwrap(), seq, sequence, ends))
    }

    fn show(tail: &Tail, scope: &Scope, after: Place, events_max: usize) -> String {
        match tail.after(scope, after, Slice { events_max, bytes_max: usize::MAX }) {
            Tailed::Ask => "ask".into(),
            Tailed::Events(it) => format!("{:?}", it.iter().map(|it| it.place(scope)).collect::<Vec<_>>()),
        }
    }

    #[test]
    fn a_slice_never_ends_inside_a_change_set_and_gaps_ask_the_store() {
        let tail = Tail::default();
        tail.push(&[event("a", 5, 2, true), event("b", 6, 1, true), event("a", 7, 3, false), event("a", 8, 4, true)]);
        let a = Scope::Tenant(TenantId::parse("a").unwrap());
        assert_eq!(show(&tail, &a, 0, 10), "ask");
        assert_eq!(show(&tail, &a, 1, 10), "[2, 3, 4]");
        assert_eq!(show(&tail, &a, 1, 2), "[2, 3, 4]");
        assert_eq!(show(&tail, &a, 1, 1), "[2]");
        assert_eq!(show(&tail, &a, 4, 1), "[]");
        assert_eq!(show(&tail, &Scope::All, 3, 10), "ask");
        assert_eq!(show(&tail, &Scope::All, 4, 10), "[5, 6, 7, 8]");
        assert_eq!(show(&tail, &Scope::Tenant(TenantId::parse("c").unwrap()), 0, 10), "ask");
    }

    #[test]
    fn after_a_gap_the_tail_starts_afresh() {
        let tail = Tail::default();
        tail.push(&[event("a", 1, 1, true), event("b", 2, 1, true)]);
        tail.push(&[event("a", 4, 3, true)]);
        let a = Scope::Tenant(TenantId::parse("a").unwrap());
        assert_eq!(show(&tail, &a, 1, 10), "ask", "2 was missed");
        assert_eq!(show(&tail, &a, 2, 10), "[3]");
        assert_eq!(show(&tail, &Scope::Tenant(TenantId::parse("b").unwrap()), 0, 10), "ask");
        assert_eq!(show(&tail, &Scope::All, 2, 10), "ask");
    }

    #[test]
    fn the_tail_is_bounded() {
        let tail = Tail::default();
        for at in 1..=(EVENTS_MAX as u64 + 10) {
            tail.push(&[event("a", at, at, true)]);
        }
        let a = Scope::Tenant(TenantId::parse("a").unwrap());
        assert_eq!(show(&tail, &a, 9, 1), "ask");
        assert_eq!(show(&tail, &a, 10, 1), "[11]");
    }
}
