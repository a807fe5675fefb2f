//! Memory for answers that are made and not yet written: one budget for all
//! connections, shared between those whom the answers are for.
//!
//! A client that asks for pages and does not read them costs each page until its
//! connection is cut for standing still. So what an answer holds is counted until
//! the last byte is written, and beyond the budget the next one is refused
//! before it is made. Small answers count for nothing: their connections cost more.
//!
//! It is counted for a tenant. Nobody is given more while he holds as much as is
//! left for all others: alone he comes to half of it, and whoever holds nothing
//! finds room. Answers of moderate size have a reserve of their own beyond that.
//!
//! Events that streams hold are in memory once, however many streams hold them, and
//! are counted once.
//!
//! Not here: when a connection stands still for too long (`http::deadline`).

use bytes::Bytes;
use ringback_model::{
    event::Event,
    limits::{ANSWER_BYTES_FREE, ANSWER_BYTES_MODERATE},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: usize,
    by: BTreeMap<Arc<str>, Share>,
    /// How many hold an event, by where it is in memory.
    events: BTreeMap<usize, usize>,
}

/// What one tenant holds.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    events: BTreeMap<usize, usize>,
}

/// A part of it, given back when this is dropped.
#[derive(Debug)]
struct Held {
    budget: Arc<Budget>,
    who: Arc<str>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used().give_back(&self.who, self.bytes);
    }
}

/// An event that is held for somebody until this is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    budget: Arc<Budget>,
    who: Arc<str>,
    event: Arc<Event>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (at, bytes) = (address(&self.event), self.event.bytes.len());
        let mut used = self.budget.used();
        let used = &mut *used;
        if one_less(&mut used.events, at) {
            used.bytes = used.bytes.saturating_sub(bytes);
        }
        if let Some(share) = used.by.get_mut(&self.who)
            && one_less(&mut share.events, at)
        {
            share.bytes = share.bytes.saturating_sub(bytes);
        }
        used.forget(&self.who);
    }
}

/// Where it is, which is nowhere else while somebody has it.
fn address(event: &Arc<Event>) -> usize {
    Arc::as_ptr(event).addr()
}

/// Counts one holder more; whether it is the first.
fn one_more(events: &mut BTreeMap<usize, usize>, at: usize) -> bool {
    let holders = events.entry(at).or_default();
    *holders += 1;
    *holders == 1
}

/// Counts one holder less; whether it was the last.
fn one_less(events: &mut BTreeMap<usize, usize>, at: usize) -> bool {
    let Some(holders) = events.get_mut(&at) else { return false };
    *holders = holders.saturating_sub(1);
    let last = *holders == 0;
    if last {
        events.remove(&at);
    }
    last
}

impl Used {
    fn share(&mut self, who: &Arc<str>) -> &mut Share {
        self.by.entry(Arc::clone(who)).or_default()
    }

    fn take(&mut self, who: &Arc<str>, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        let share = self.share(who);
        share.bytes = share.bytes.saturating_add(bytes);
    }

    fn give_back(&mut self, who: &Arc<str>, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(share) = self.by.get_mut(who) {
            share.bytes = share.bytes.saturating_sub(bytes);
        }
        self.forget(who);
    }

    /// Who holds nothing is not remembered.
    fn forget(&mut self, who: &Arc<str>) {
        if self.by.get(who).is_some_and(|it| it.bytes == 0 && it.events.is_empty()) {
            self.by.remove(who);
        }
    }

    fn of(&self, who: &str) -> usize {
        self.by.get(who).map_or(0, |it| it.bytes)
    }
}

/// Bytes that hold something for as long as anybody has them.
struct Kept<T> {
    bytes: Bytes,
    _kept: T,
}

impl<T> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// These bytes, which keep `kept` until they are written and dropped.
pub(super) fn keeping<T: Send + 'static>(bytes: Bytes, kept: T) -> Bytes {
    Bytes::from_owner(Kept { bytes, _kept: kept })
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: Mutex::default() })
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is left for `who`: asked before an answer is made.
    pub(crate) fn has_room(&self, who: &str) -> bool {
        let used = self.used();
        used.of(who) < self.max.saturating_sub(used.bytes)
    }

    /// Counts `bytes` until they are written; `None` when they do not fit any more.
    pub(crate) fn hold(self: &Arc<Self>, who: &Arc<str>, bytes: Bytes) -> Option<Bytes> {
        if bytes.len() <= ANSWER_BYTES_FREE {
            return Some(bytes);
        }
        let mut used = self.used();
        let after = used.bytes.checked_add(bytes.len())?;
        let fits = after <= self.max && used.of(who) < self.max.saturating_sub(used.bytes);
        let reserved = bytes.len() <= ANSWER_BYTES_MODERATE && after <= self.max.saturating_add(self.max / 8);
        if !fits && !reserved {
            return None;
        }
        used.take(who, bytes.len());
        drop(used);
        Some(self.held(who, bytes))
    }

    /// Counts `bytes` until they are written, also beyond the budget.
    pub(crate) fn hold_anyway(self: &Arc<Self>, who: &Arc<str>, bytes: Bytes) -> Bytes {
        if bytes.len() <= ANSWER_BYTES_FREE {
            return bytes;
        }
        self.used().take(who, bytes.len());
        self.held(who, bytes)
    }

    fn held(self: &Arc<Self>, who: &Arc<str>, bytes: Bytes) -> Bytes {
        let held = Held { budget: Arc::clone(self), who: Arc::clone(who), bytes: bytes.len() };
        keeping(bytes, held)
    }

    /// Counts an event that a stream holds, unless it is counted already.
    pub(super) fn lend(self: &Arc<Self>, who: &Arc<str>, event: Arc<Event>) -> Lent {
        let (at, bytes) = (address(&event), event.bytes.len());
        let mut used = self.used();
        if one_more(&mut used.events, at) {
            used.bytes = used.bytes.saturating_add(bytes);
        }
        let share = used.share(who);
        if one_more(&mut share.events, at) {
            share.bytes = share.bytes.saturating_add(bytes);
        }
        drop(used);
        Lent { budget: Arc::clone(self), who: Arc::clone(who), event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringback_model::{EventId, EventType, TenantId, Timestamp, event::EventDraft, key::Authority};

    const UNIT: usize = ANSWER_BYTES_MODERATE + 1;

    fn of(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    fn who(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    fn event(len: usize) -> Arc<Event> {
        let draft = EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("a.b").expect("a type"),
            timestamp: Timestamp::from_secs(0),
            subject: None,
            data: Bytes::from(format!("\"{}\"", "x".repeat(len))),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        };
        Arc::new(draft.place(TenantId::default_tenant(), 1, 1, true))
    }

    #[test]
    fn what_is_held_counts_until_the_last_copy_is_gone() {
        let (budget, a) = (Budget::new(4 * UNIT), who("a"));
        let first = budget.hold(&a, of(2 * UNIT)).expect("it fits");
        assert!(!budget.has_room("a") && budget.has_room("b"));
        assert!(budget.hold(&a, of(UNIT)).is_none(), "as much is left for others");
        let part = first.slice(1..2);
        drop(first);
        assert!(budget.hold(&a, of(UNIT)).is_none(), "a part of it is still to be written");
        drop(part);
        let second = budget.hold(&a, of(4 * UNIT)).expect("all of it is free again");
        assert!(!budget.has_room("a") && !budget.has_room("b"));
        assert_eq!(budget.hold(&a, of(ANSWER_BYTES_FREE)).map(|it| it.len()), Some(ANSWER_BYTES_FREE), "small ones count for nothing");
        let third = budget.hold_anyway(&a, of(9 * UNIT));
        drop(second);
        assert!(!budget.has_room("b"));
        drop(third);
        let used = budget.used();
        assert_eq!((used.bytes, used.by.len()), (0, 0));
    }

    #[test]
    fn who_takes_all_that_he_can_leaves_room_for_others() {
        let budget = Budget::new(64 * UNIT);
        let mut held = Vec::new();
        for name in ["a", "b", "c"] {
            let before = held.len();
            while let Some(more) = budget.hold(&who(name), of(UNIT)) {
                held.push(more);
            }
            assert!(held.len() - before >= 8, "{name} got {}", held.len() - before);
            assert!(!budget.has_room(name) && budget.has_room("somebody else"));
        }
    }

    #[test]
    fn moderate_answers_have_a_reserve() {
        let (budget, a) = (Budget::new(64 * UNIT), who("a"));
        let all = budget.hold_anyway(&a, of(64 * UNIT));
        assert!(!budget.has_room("b"));
        let mut held = Vec::new();
        while let Some(more) = budget.hold(&a, of(ANSWER_BYTES_MODERATE)) {
            held.push(more);
        }
        assert_eq!(held.len(), 8, "an eighth of it");
        assert!(budget.hold(&who("b"), of(UNIT)).is_none(), "it is for moderate ones alone");
        drop(all);
    }

    #[test]
    fn an_event_counts_once_however_many_hold_it() {
        let (budget, a, b) = (Budget::new(64 * UNIT), who("a"), who("b"));
        let (one, two) = (event(UNIT), event(2 * UNIT));
        let (n, m) = (one.bytes.len(), two.bytes.len());
        let mut lent: Vec<Lent> = (0..1_000).map(|_| budget.lend(&a, Arc::clone(&one))).collect();
        let other = budget.lend(&b, Arc::clone(&one));
        let second = budget.lend(&a, Arc::clone(&two));
        let counted = |budget: &Budget| {
            let used = budget.used();
            (used.bytes, used.of("a"), used.of("b"))
        };
        assert_eq!(counted(&budget), (n + m, n + m, n));
        drop(lent.split_off(1));
        assert_eq!(counted(&budget), (n + m, n + m, n));
        drop(lent);
        assert_eq!(counted(&budget), (n + m, m, n));
        drop((other, second));
        assert_eq!(counted(&budget), (0, 0, 0));
        let used = budget.used();
        assert!(used.by.is_empty() && used.events.is_empty());
    }

    #[test]
    fn a_length_that_overflows_does_not_fit() {
        let (budget, a) = (Budget::new(usize::MAX), who("a"));
        budget.used().bytes = usize::MAX - 1;
        assert!(budget.hold(&a, of(UNIT)).is_none());
    }
}
