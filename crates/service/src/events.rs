//! Events: publish, read one, the ends of the log.
//!
//! Not here: reading the log in order (`feed`, `streams`).

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision};
use bytes::Bytes;
use ringback_model::{
    EventId, EventType, Subject, TenantId, Timestamp,
    event::{Event, EventDraft, Scope},
    key::Authority,
    position::Epoch,
};
use ringback_ports::store::{ChangeSet, Committed};
use std::{collections::BTreeMap, sync::Arc};

/// An event that somebody publishes.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub event_type: EventType,
    /// What it is about.
    pub subject: Option<Subject>,
    /// Compact JSON.
    pub data: Bytes,
    /// The publisher's own key.
    pub key: Option<String>,
    /// When it happened, says the publisher.
    pub occurred_at: Option<Timestamp>,
    /// Whose authority it takes to see it.
    pub audience: Authority,
}

/// What publishing made.
#[derive(Clone, Debug)]
pub struct Published {
    /// One for each that was sent, in order.
    pub events: Vec<PublishedEvent>,
    /// The position after the last new one.
    pub position: String,
    /// The last new one; `None` if every one was a repeat.
    pub last_new: Option<EventId>,
}

/// One published event.
#[derive(Clone, Debug)]
pub struct PublishedEvent {
    /// The event in the log.
    pub event: Arc<Event>,
    /// Whether it was there already.
    pub repeated: bool,
}

/// The ends of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogView {
    /// The first `sequence` that is still there.
    pub first: Option<u64>,
    /// The last one.
    pub last: u64,
    /// What retention has passed.
    pub floor: u64,
    /// The life of the log.
    pub epoch: Epoch,
}

/// Where an event of a publish comes from.
#[derive(Clone)]
enum Item {
    New(usize),
    Same(usize),
    Stored(Arc<Event>),
}

impl Service {
    /// Publishes events: all of them, adjacent in the log, or none.
    ///
    /// # Errors
    /// `TypeOwned`, `EventKeyTaken`, `Forbidden` (an operator's audience).
    pub async fn publish(&self, ctx: &Ctx, events: Vec<NewEvent>, write: Write<Published>) -> Result<Outcome<Published>, Error> {
        let tenant = ctx.tenant()?;
        for event in &events {
            if let Some(owner) = self.owner_of(event.event_type.first_segment()) {
                return Err(Error::TypeOwned { event_type: event.event_type.clone(), owner });
            }
            if event.audience == Authority::Operator {
                ctx.require(Authority::Operator, || "publish events for operators alone".into())?;
            }
        }
        self.write(ctx, write, || async {
            let now = self.now();
            let mut set = ChangeSet::new(tenant.clone(), now);
            let mut items = Vec::with_capacity(events.len());
            let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
            for event in &events {
                let draft = EventDraft {
                    id: self.event_id(),
                    event_type: event.event_type.clone(),
                    timestamp: now,
                    subject: event.subject.clone(),
                    data: event.data.clone(),
                    previous: None,
                    occurred_at: event.occurred_at,
                    key: event.key.clone(),
                    audience: event.audience,
                    of: None,
                };
                if let Some(key) = &event.key {
                    if let Some(at) = keys.get(key.as_str()) {
                        let first = set.events.get(*at).filter(|it| same_content(it, &draft));
                        let Some(_) = first else { return Err(Error::EventKeyTaken { key: key.clone(), by: draft.id }) };
                        items.push(Item::Same(*at));
                        continue;
                    }
                    if let Some(stored) = self.inner.store.event_by_key(tenant, key).await? {
                        if !is_repeat(&draft, &stored) {
                            return Err(Error::EventKeyTaken { key: key.clone(), by: stored.id });
                        }
                        items.push(Item::Stored(stored));
                        continue;
                    }
                    keys.insert(key, set.events.len());
                }
                items.push(Item::New(set.events.len()));
                set.events.push(draft);
            }
            let last = if set.events.is_empty() { self.inner.store.bounds(&ctx.scope).await?.last } else { 0 };
            let (service, scope) = (self.clone(), ctx.scope.clone());
            Ok(Decision::new(set, move |committed: &Committed| {
                let new = |at: usize, repeated| committed.events.get(at).map(|it| PublishedEvent { event: Arc::clone(it), repeated });
                let shown = items.iter().filter_map(|it| match it {
                    Item::New(at) => new(*at, false),
                    Item::Same(at) => new(*at, true),
                    Item::Stored(event) => Some(PublishedEvent { event: Arc::clone(event), repeated: true }),
                });
                Published {
                    events: shown.collect(),
                    position: service.position(&scope, committed.sequence.max(last)),
                    last_new: committed.events.last().map(|it| it.id),
                }
            }))
        })
        .await
    }

    /// Who owns event types that begin with this segment.
    fn owner_of(&self, segment: &str) -> Option<String> {
        if segment == "ringback" {
            return Some("Ringback itself".into());
        }
        let types = self.types();
        types.by_name(segment).map(|it| format!("the type `{}`", it.compiled.decl.name))
    }

    /// One event.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn event(&self, ctx: &Ctx, id: EventId) -> Result<Arc<Event>, Error> {
        let found = self.inner.store.event(&ctx.scope, id).await?;
        // Judged now, not when the event was made (G9).
        found.filter(|it| ctx.authority().covers(it.audience)).ok_or_else(|| Error::NotFound { noun: "event", id: id.to_string() })
    }

    /// The ends of the log of the caller's scope.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_view(&self, ctx: &Ctx) -> Result<LogView, Error> {
        let bounds = self.inner.store.bounds(&ctx.scope).await?;
        Ok(LogView {
            first: (bounds.first <= bounds.last).then_some(bounds.first),
            last: bounds.last,
            floor: bounds.floor,
            epoch: bounds.epoch,
        })
    }

    /// Whether anything that this authority may see declares or has published this event type.
    pub(crate) async fn event_type_known(&self, scope: &Scope, authority: Authority, event_type: &EventType) -> Result<bool, Error> {
        if self.declared_event_types(authority).contains(event_type) {
            return Ok(true);
        }
        if self.types().by_name(event_type.first_segment()).is_some_and(|it| !authority.covers(it.compiled.decl.access.read)) {
            return Ok(false);
        }
        Ok(self.inner.store.event_type_seen(scope, event_type).await?)
    }

    /// All event types that the served types make, in order of type; those that this authority may see.
    pub(crate) fn declared_event_types(&self, authority: Authority) -> Vec<EventType> {
        let mut all = Vec::new();
        for served in self.types().list() {
            let decl = &served.compiled.decl;
            if !authority.covers(decl.access.read) {
                continue;
            }
            all.extend([&decl.events.created, &decl.events.updated, &decl.events.deleted].map(Clone::clone));
            all.extend(decl.lifecycle.transitions.iter().map(|it| it.event.clone()));
        }
        all
    }
}

fn same_content(a: &EventDraft, b: &EventDraft) -> bool {
    a.event_type == b.event_type && a.subject == b.subject && a.data == b.data && a.occurred_at == b.occurred_at && a.audience == b.audience
}

/// Whether `draft` says what `stored` says: encoded at the stored one's place, it has the same bytes.
fn is_repeat(draft: &EventDraft, stored: &Event) -> bool {
    let mut twin = draft.clone();
    twin.id = stored.id;
    twin.timestamp = stored.timestamp;
    let tenant: TenantId = stored.tenant.clone();
    twin.audience == stored.audience && twin.place(tenant, stored.seq, stored.sequence, true).bytes == stored.bytes
}
