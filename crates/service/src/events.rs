//! Events: publish, read one.
//!
//! Not here: reading the log in order (`feed`, `streams`).

use crate::{
    Ctx, Error, Outcome, Service, Write,
    batch::{ALONE, Ahead},
    idempotency::Decision,
};
use bytes::Bytes;
use ringback_model::{
    EventId, EventType, Subject, TenantId, Timestamp,
    event::{Event, EventDraft},
    key::Authority,
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
    /// From when on it is not delivered any more: what is still owed then is parked as `expired`.
    pub expires_at: Option<Timestamp>,
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
    /// `TypeOwned`, `EventKeyTaken`, `EventInvalid`, `Forbidden` (an operator's audience).
    pub async fn publish(&self, ctx: &Ctx, events: Vec<NewEvent>, write: Write<Published>) -> Result<Outcome<Published>, Error> {
        self.may_publish(ctx, &events)?;
        self.write(ctx, write, || self.decide_publish(ctx, &events, &ALONE)).await
    }

    /// Whether the caller may publish these at all.
    pub(crate) fn may_publish(&self, ctx: &Ctx, events: &[NewEvent]) -> Result<(), Error> {
        ctx.tenant()?;
        for event in events {
            if let Some(owner) = self.owner_of(event.event_type.first_segment()) {
                return Err(Error::TypeOwned { event_type: event.event_type.clone(), owner });
            }
            if event.audience == Authority::Operator {
                ctx.require(Authority::Operator, || "publish events for operators alone".into())?;
            }
        }
        self.judge_events(events)
    }

    pub(crate) async fn decide_publish(&self, ctx: &Ctx, events: &[NewEvent], ahead: &Ahead) -> Result<Decision<Published>, Error> {
        let tenant = ctx.tenant()?;
        let now = self.now();
        let mut set = ChangeSet::new(tenant.clone(), now);
        let mut items = Vec::with_capacity(events.len());
        let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
        for event in events {
            let draft = EventDraft {
                id: self.event_id(),
                event_type: event.event_type.clone(),
                timestamp: now,
                subject: event.subject.clone(),
                data: event.data.clone(),
                previous: None,
                occurred_at: event.occurred_at,
                expires_at: event.expires_at,
                key: event.key.clone(),
                audience: event.audience,
                of: None,
            };
            if let Some(key) = &event.key {
                if let Some(by) = ahead.event_of_key(key) {
                    return Err(Error::EventKeyTaken { key: key.clone(), by });
                }
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
}

fn same_content(a: &EventDraft, b: &EventDraft) -> bool {
    a.event_type == b.event_type
        && a.subject == b.subject
        && a.data == b.data
        && a.occurred_at == b.occurred_at
        && a.expires_at == b.expires_at
        && a.audience == b.audience
}

/// Whether `draft` says what `stored` says: encoded at the stored one's place, it has the same bytes.
fn is_repeat(draft: &EventDraft, stored: &Event) -> bool {
    let mut twin = draft.clone();
    twin.id = stored.id;
    twin.timestamp = stored.timestamp;
    let tenant: TenantId = stored.tenant.clone();
    twin.audience == stored.audience
        && twin.expires_at == stored.expires_at
        && twin.place(tenant, stored.seq, stored.sequence, true).bytes == stored.bytes
}
