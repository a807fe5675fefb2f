//! The log in memory: change sets are written row by row and undone when one is refused.

use super::{Audited, MemoryStore, Reader, State, Stored};
use crate::store::{
    Bounds, Change, ChangeSet, CommitError, Committed, Expected, Listener, Log, NewAnswer, Refused, SeenType, Slice, StoreError,
    StoredAnswer,
};
use async_trait::async_trait;
use ringback_model::{
    EventId, EventType, Subject, TenantId, Timestamp,
    event::{Event, EventDraft, Place, Scope, Seq},
    key::Authority,
    limits::EVENTS_PER_CHANGE_SET_MAX,
    resource::Version,
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Takes one step back.
type Undo = Box<dyn FnOnce(&mut State)>;

/// Writes (`Some`) or removes (`None`) a row of the map that `map` finds, and remembers how to undo it.
fn put<K, V>(state: &mut State, undo: &mut Vec<Undo>, map: fn(&mut State) -> &mut BTreeMap<K, V>, key: K, value: Option<V>)
where
    K: Ord + Clone + 'static,
    V: 'static,
{
    let rows = map(state);
    let before = match value {
        Some(value) => rows.insert(key.clone(), value),
        None => rows.remove(&key),
    };
    undo.push(Box::new(move |state| {
        match before {
            Some(before) => map(state).insert(key, before),
            None => map(state).remove(&key),
        };
    }));
}

/// Whether a row at `found` is what `expected` asks for.
fn check(change: usize, expected: Expected, found: Option<Version>) -> Result<(), CommitError> {
    match (expected, found) {
        (Expected::Absent, None) => Ok(()),
        (Expected::Absent, Some(_)) => Err(CommitError::Refused(Refused::Exists { change })),
        (Expected::Version(wanted), found) if found == Some(wanted) => Ok(()),
        (Expected::Version(_), found) => Err(CommitError::Refused(Refused::Version { change, found })),
    }
}

impl State {
    fn last_seq(&self) -> Seq {
        self.events.last_key_value().map_or(self.floor, |(seq, _)| *seq)
    }

    fn last_sequence(&self, tenant: &TenantId) -> Place {
        let newest = self.by_sequence.range((tenant.clone(), 0)..=(tenant.clone(), Place::MAX)).next_back();
        newest.map_or_else(|| self.floor_of(&Scope::Tenant(tenant.clone())), |((_, it), _)| *it)
    }

    /// What retention took of this scope.
    pub(super) fn floor_of(&self, scope: &Scope) -> Place {
        match scope {
            Scope::All => self.floor,
            Scope::Tenant(tenant) => self.floors.get(tenant).copied().unwrap_or(0),
        }
    }

    fn commit(&mut self, set: ChangeSet, undo: &mut Vec<Undo>) -> Result<Committed, CommitError> {
        if set.events.len() > EVENTS_PER_CHANGE_SET_MAX {
            return Err(StoreError::Broken(format!(
                "a change set of {} events; {EVENTS_PER_CHANGE_SET_MAX} are the most",
                set.events.len()
            ))
            .into());
        }
        if let Some(answer) = &set.answer
            && self.answers.get(&answer.scope).is_some_and(|it| it.expires_at > set.at)
        {
            return Err(CommitError::Refused(Refused::AnswerTaken));
        }
        for (at, change) in set.changes.into_iter().enumerate() {
            self.change(at, change, undo)?;
        }
        let committed = self.append(set.tenant.clone(), set.at, set.events, undo)?;
        if let Some(NewAnswer { scope, fingerprint, expires_at, answer }) = set.answer {
            let answer = catch_unwind(AssertUnwindSafe(|| answer(&committed)))
                .map_err(|_| StoreError::Broken("making the answer to keep panicked".into()))?;
            put(self, undo, |it| &mut it.answers, scope, Some(StoredAnswer { fingerprint, answer, expires_at }));
        }
        if let Some(entry) = set.audit {
            self.audit.push(Audited { tenant: set.tenant, at: set.at, entry });
            undo.push(Box::new(|it| {
                it.audit.pop();
            }));
        }
        Ok(committed)
    }

    fn change(&mut self, at: usize, change: Change, undo: &mut Vec<Undo>) -> Result<(), CommitError> {
        match change {
            Change::Resource { row, expected } => {
                let key = (row.resource.tenant.clone(), row.resource.type_name.clone(), row.resource.id.clone());
                check(at, expected, self.resources.get(&key).map(|it| it.resource.version))?;
                put(self, undo, |it| &mut it.resources, key, Some(*row));
            }
            Change::Tenant { tenant, expected } => {
                check(at, expected, self.tenants.get(&tenant.id).map(|it| it.version))?;
                put(self, undo, |it| &mut it.tenants, tenant.id.clone(), Some(*tenant));
            }
            Change::Key { key } => put(self, undo, |it| &mut it.keys, key.id, Some(*key)),
            Change::KeyDelete { id } => {
                if !self.keys.contains_key(&id) {
                    return Err(CommitError::Refused(Refused::Version { change: at, found: None }));
                }
                put(self, undo, |it| &mut it.keys, id, None);
            }
            Change::Subscription { subscription, expected, cursor, skipped } => {
                let no = subscription.no;
                let is_namesake = |it: &Reader| it.subscription.id == subscription.id && it.subscription.tenant == subscription.tenant;
                let numbered = self.readers.get(&no);
                if numbered.is_some_and(|it| !is_namesake(it)) || self.readers.iter().any(|(other, it)| *other != no && is_namesake(it)) {
                    return Err(CommitError::Refused(Refused::Exists { change: at }));
                }
                check(at, expected, numbered.map(|it| it.subscription.version))?;
                let mut reader = numbered.cloned().unwrap_or_else(|| Reader {
                    subscription: (*subscription).clone(),
                    cursor: 0,
                    skipped: BTreeMap::new(),
                    exceptions: BTreeMap::new(),
                    attempts: BTreeMap::new(),
                });
                reader.subscription = *subscription;
                if let Some(cursor) = cursor {
                    reader.cursor = cursor;
                    let passed = |place: Place| skipped.iter().any(|it| it.from < place && place <= it.to);
                    reader.exceptions.retain(|place, _| *place <= cursor && !passed(*place));
                }
                reader.skipped.extend(skipped.into_iter().map(|it| ((it.from, it.generation, it.to), it)));
                put(self, undo, |it| &mut it.readers, no, Some(reader));
            }
            Change::Replay { replay } => {
                if self.replays.contains_key(&replay.id) {
                    return Err(CommitError::Refused(Refused::Exists { change: at }));
                }
                put(self, undo, |it| &mut it.replays, replay.id, Some(*replay));
            }
            Change::ReplayDelete { id } => put(self, undo, |it| &mut it.replays, id, None),
            Change::SubscriptionDelete { no, expected } => {
                check(at, expected, self.readers.get(&no).map(|it| it.subscription.version))?;
                let own: Vec<_> = self.replays.values().filter(|it| it.subscription == no).map(|it| it.id).collect();
                for id in own {
                    put(self, undo, |it| &mut it.replays, id, None);
                }
                put(self, undo, |it| &mut it.readers, no, None);
            }
            Change::Type { stored, expected } => {
                check(at, expected, self.types.get(&stored.name).map(|it| it.version))?;
                put(self, undo, |it| &mut it.types, stored.name.clone(), Some(*stored));
            }
            Change::Hold { held } => {
                let before = core::mem::replace(&mut self.held, held);
                undo.push(Box::new(move |it| it.held = before));
            }
            Change::Erasure { erasure } => {
                let id = erasure.id;
                let before = self.erasures.insert(id, *erasure);
                undo.push(Box::new(move |it| {
                    match before {
                        Some(before) => it.erasures.insert(id, before),
                        None => it.erasures.remove(&id),
                    };
                }));
            }
            Change::TypeDelete { name, expected } => {
                check(at, expected, self.types.get(&name).map(|it| it.version))?;
                put(self, undo, |it| &mut it.types, name, None);
            }
        }
        Ok(())
    }

    fn append(&mut self, tenant: TenantId, at: Timestamp, drafts: Vec<EventDraft>, undo: &mut Vec<Undo>) -> Result<Committed, CommitError> {
        let committed_at = self.last_commit.map_or(at, |it| it.max(at));
        let mut sequence = self.last_sequence(&tenant);
        let mut events = Vec::with_capacity(drafts.len());
        let count = drafts.len();
        for (at, draft) in drafts.into_iter().enumerate() {
            if let Some(key) = &draft.key
                && let Some(by) = self.by_key.get(&(tenant.clone(), key.clone())).and_then(|seq| self.events.get(seq))
            {
                return Err(CommitError::Refused(Refused::EventKeyTaken { event: at, by: by.event.id }));
            }
            if self.by_id.contains_key(&draft.id) {
                return Err(StoreError::Broken(format!("{} is in the log already", draft.id)).into());
            }
            sequence += 1;
            let seq = self.last_seq() + 1;
            let event = Arc::new(draft.place(tenant.clone(), seq, sequence, at + 1 == count));
            put(self, undo, |it| &mut it.by_id, event.id, Some(seq));
            put(self, undo, |it| &mut it.by_sequence, (tenant.clone(), sequence), Some(seq));
            if let Some(key) = &event.key {
                put(self, undo, |it| &mut it.by_key, (tenant.clone(), key.clone()), Some(seq));
            }
            put(self, undo, |it| &mut it.events, seq, Some(Stored { event: Arc::clone(&event), committed_at }));
            events.push(event);
        }
        if !events.is_empty() {
            let before = self.last_commit.replace(committed_at);
            undo.push(Box::new(move |it| it.last_commit = before));
        }
        Ok(Committed { events, sequence })
    }

    /// The events of `scope` with `after < place < before`, in order.
    pub(super) fn places(&self, scope: &Scope, after: Place, before: Place) -> Box<dyn DoubleEndedIterator<Item = (Place, &Stored)> + '_> {
        let Some(from) = after.checked_add(1).filter(|it| *it < before) else { return Box::new(core::iter::empty()) };
        match scope {
            Scope::All => Box::new(self.events.range(from..before).map(|(seq, it)| (*seq, it))),
            Scope::Tenant(tenant) => Box::new(
                self.by_sequence
                    .range((tenant.clone(), from)..(tenant.clone(), before))
                    .filter_map(|((_, place), seq)| self.events.get(seq).map(|it| (*place, it))),
            ),
        }
    }

    fn in_scope(&self, scope: &Scope, seq: Option<&Seq>) -> Option<Arc<Event>> {
        self.events.get(seq?).filter(|it| scope.holds(&it.event.tenant)).map(|it| Arc::clone(&it.event))
    }

    /// Where the event of this id stands for a reader of `scope`.
    pub(super) fn place_of(&self, scope: &Scope, id: EventId) -> Option<Place> {
        self.in_scope(scope, self.by_id.get(&id)).map(|it| it.place(scope))
    }
}

#[async_trait]
impl Log for MemoryStore {
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError> {
        let mut commits = self.commits();
        if let Some(error) = commits.planted.pop_front() {
            return Err(error);
        }
        let mut undo = Vec::new();
        let mut state = self.state();
        let done = state.commit(set, &mut undo);
        if done.is_err() {
            while let Some(step) = undo.pop() {
                step(&mut state);
            }
        }
        drop(state);
        if let (Ok(committed), Some(listener)) = (&done, &commits.listener)
            && !committed.events.is_empty()
        {
            listener(&committed.events);
        }
        done
    }

    fn listen(&self, listener: Listener) {
        self.commits().listener = Some(listener);
    }

    async fn bounds(&self, scope: &Scope) -> Result<Bounds, StoreError> {
        let state = self.state();
        let last = match scope {
            Scope::All => state.last_seq(),
            Scope::Tenant(tenant) => state.last_sequence(tenant),
        };
        let floor = state.floor_of(scope);
        Ok(Bounds { first: floor + 1, last, floor, epoch: 1 })
    }

    async fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let state = self.state();
        let mut page = Vec::new();
        let mut set = Vec::new();
        let mut bytes = 0;
        for (_, stored) in state.places(scope, after, Place::MAX) {
            if page.len() >= slice.events_max {
                break;
            }
            bytes += stored.event.bytes.len();
            if bytes > slice.bytes_max && !page.is_empty() {
                break;
            }
            set.push(Arc::clone(&stored.event));
            if stored.event.ends_change_set {
                page.append(&mut set);
            }
        }
        Ok(page)
    }

    async fn events_before(&self, scope: &Scope, before: Place, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        Ok(self.state().places(scope, 0, before).rev().take(limit).map(|(_, it)| Arc::clone(&it.event)).collect())
    }

    async fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let mut bytes = 0;
        let mut page = Vec::new();
        for (_, stored) in self.state().places(scope, after, Place::MAX).filter(|(_, it)| it.event.subject.as_ref() == Some(subject)) {
            bytes += stored.event.bytes.len();
            if page.len() >= slice.events_max || (bytes > slice.bytes_max && !page.is_empty()) {
                break;
            }
            page.push(Arc::clone(&stored.event));
        }
        Ok(page)
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Arc<Event>>, StoreError> {
        let state = self.state();
        Ok(state.in_scope(scope, state.by_id.get(&id)))
    }

    async fn event_at(&self, scope: &Scope, place: Place) -> Result<Option<Arc<Event>>, StoreError> {
        let Some(after) = place.checked_sub(1) else { return Ok(None) };
        Ok(self.state().places(scope, after, place.saturating_add(1)).next().map(|(_, it)| Arc::clone(&it.event)))
    }

    async fn event_by_key(&self, tenant: &TenantId, key: &str) -> Result<Option<Arc<Event>>, StoreError> {
        let state = self.state();
        Ok(state.in_scope(&Scope::All, state.by_key.get(&(tenant.clone(), key.to_owned()))))
    }

    async fn event_of_version(&self, tenant: &TenantId, subject: &Subject, version: Version) -> Result<Option<Arc<Event>>, StoreError> {
        let scope = Scope::Tenant(tenant.clone());
        let made = |it: &Event| it.subject.as_ref() == Some(subject) && it.of.as_ref().is_some_and(|of| of.version == version);
        Ok(self.state().places(&scope, 0, Place::MAX).find(|(_, it)| made(&it.event)).map(|(_, it)| Arc::clone(&it.event)))
    }

    async fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, StoreError> {
        Ok(self.state().places(scope, 0, Place::MAX).rev().find(|(_, it)| it.committed_at < time).map_or(0, |(place, _)| place))
    }

    async fn event_type_seen(&self, scope: &Scope, event_type: &EventType) -> Result<bool, StoreError> {
        let state = self.state();
        let forgotten = state.forgotten.keys().any(|(tenant, it)| scope.holds(tenant) && it == event_type);
        Ok(forgotten || state.places(scope, 0, Place::MAX).any(|(_, it)| it.event.event_type == *event_type))
    }

    async fn event_types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        after: Option<&EventType>,
        limit: usize,
    ) -> Result<Vec<SeenType>, StoreError> {
        let state = self.state();
        let mut seen: BTreeMap<EventType, (Timestamp, bool)> = BTreeMap::new();
        for (_, it) in state.places(scope, 0, Place::MAX) {
            let (last, shown) = seen.entry(it.event.event_type.clone()).or_insert((it.committed_at, false));
            *last = (*last).max(it.committed_at);
            *shown |= authority.covers(it.event.audience);
        }
        for ((_, event_type), (at, open)) in state.forgotten.iter().filter(|((tenant, _), _)| scope.holds(tenant)) {
            let (last, shown) = seen.entry(event_type.clone()).or_insert((*at, false));
            *last = (*last).max(*at);
            *shown |= *open || authority == Authority::Operator;
        }
        let wanted = seen.into_iter().filter(|(event_type, (_, shown))| *shown && after.is_none_or(|it| event_type.as_str() > it.as_str()));
        Ok(wanted.take(limit).map(|(event_type, (last_seen, _))| SeenType { event_type, last_seen }).collect())
    }
}
