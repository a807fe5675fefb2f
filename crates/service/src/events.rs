//! Events: publish, read, follow.

use crate::{
    Ctx, Error, Outcome, Service, Write,
    batch::{ALONE, Ahead},
    idempotency::Decision,
    tail,
    waker::WakeOn,
};
use bytes::Bytes;
use ringback_model::{
    EventId, EventType, Subject, TenantId, Timestamp,
    event::{Event, EventDraft, Place, Scope},
    key::Authority,
    limits,
    subscription::{TypePattern, types_match},
};
use ringback_ports::store::{ChangeSet, Committed, Slice};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Events that one answer looks at before it says how far it came.
const SCANNED_MAX: usize = 20_000;

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

/// How a feed is asked for.
#[derive(Clone, Debug, Default)]
pub struct FeedQuery {
    /// Where to start; the beginning if absent.
    pub after: Option<String>,
    /// Only these types; all if empty.
    pub types: Vec<TypePattern>,
    /// Only about this.
    pub subject: Option<Subject>,
    /// At most so many, and the rest of the last change set.
    pub limit: usize,
    /// How long to wait for a first one.
    pub wait: Duration,
}

/// A page of a feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// The position that was scanned to, also when nothing matched (G6).
    pub cursor: String,
    /// Whether there is more to scan now.
    pub has_more: bool,
    /// Events of the scope after `cursor`, filter not applied.
    pub lag: u64,
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

    /// A page of the log, or with `wait` the next events once there are any.
    ///
    /// # Errors
    /// `Parameter`, cursor errors, `LogTruncated`, `TooManyWaiters`.
    pub async fn feed(&self, ctx: &Ctx, query: FeedQuery) -> Result<FeedPage, Error> {
        let mut place = self.place_of(&ctx.scope, ctx.authority(), query.after.as_deref().unwrap_or("start"), "after").await?;
        if query.wait.is_zero() {
            let (events, scanned) = self.scan(ctx, &query, place).await?;
            return self.feed_page(ctx, events, scanned).await;
        }
        let deadline = self.now() + query.wait;
        let _admitted = self.inner.waker.admit(ctx.caller.key)?;
        let on = match (&ctx.scope, &query.subject) {
            (Scope::Tenant(tenant), Some(subject)) => WakeOn::Subject(tenant.clone(), subject.clone()),
            (scope, _) => WakeOn::Scope(scope.clone(), query.types.clone()),
        };
        // Taken before reading: an event in between is not missed.
        let mut ticket = self.inner.waker.ticket(on);
        loop {
            let (events, scanned) = self.scan(ctx, &query, place).await?;
            if !events.is_empty() || !self.ready() {
                return self.feed_page(ctx, events, scanned).await;
            }
            if scanned > place {
                // A long stretch without a match: go on, do not wait.
                place = scanned;
                if self.now() < deadline {
                    continue;
                }
            }
            if ringback_ports::clock::until(self.clock(), deadline, ticket.woken()).await.is_none() {
                // Also what woke nobody here moves the position.
                let (events, scanned) = self.scan(ctx, &query, place).await?;
                return self.feed_page(ctx, events, scanned).await;
            }
        }
    }

    async fn feed_page(&self, ctx: &Ctx, events: Vec<Arc<Event>>, scanned: Place) -> Result<FeedPage, Error> {
        let lag = self.inner.store.bounds(&ctx.scope).await?.last.saturating_sub(scanned);
        Ok(FeedPage { events, cursor: self.position(&ctx.scope, scanned), has_more: lag > 0, lag })
    }

    /// Matching events after `from`, and how far the log was looked at. Never ends inside a change set (G5).
    async fn scan(&self, ctx: &Ctx, query: &FeedQuery, from: Place) -> Result<(Vec<Arc<Event>>, Place), Error> {
        let authority = ctx.authority();
        let wanted = |event: &Event| {
            authority.covers(event.audience)
                && (query.types.is_empty() || types_match(&query.types, &event.event_type))
                && query.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
        };
        if let Some(subject) = &query.subject {
            return self.scan_subject(ctx, query, subject, from, wanted).await;
        }
        let slice = Slice { events_max: query.limit.clamp(100, limits::PAGE_ITEMS_MAX), bytes_max: limits::PAGE_BYTES_MAX };
        let (mut found, mut scanned, mut bytes) = (Vec::new(), from, 0);
        let mut looked_at = 0;
        loop {
            let events = tail::read(&*self.inner.store, &self.inner.tail, &ctx.scope, scanned, slice).await?;
            if events.is_empty() {
                return Ok((found, scanned));
            }
            for event in events {
                scanned = event.place(&ctx.scope);
                looked_at += 1;
                let ends = event.ends_change_set;
                if wanted(&event) {
                    bytes += event.bytes.len();
                    found.push(event);
                }
                if ends && (found.len() >= query.limit || bytes >= limits::PAGE_BYTES_MAX || looked_at >= SCANNED_MAX) {
                    return Ok((found, scanned));
                }
            }
        }
    }

    async fn scan_subject(
        &self,
        ctx: &Ctx,
        query: &FeedQuery,
        subject: &Subject,
        from: Place,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<(Vec<Arc<Event>>, Place), Error> {
        let scope = &ctx.scope;
        // Asked first: what is appended while the index is read is above it and comes next time.
        let last = self.inner.store.bounds(scope).await?.last;
        let (mut found, mut scanned) = (Vec::new(), from);
        let (mut looked_at, mut bytes) = (0, 0);
        loop {
            let slice = Slice { events_max: query.limit, bytes_max: limits::PAGE_BYTES_MAX.saturating_sub(bytes) };
            let events = self.inner.store.events_of_subject(scope, subject, scanned, slice).await?;
            let Some(newest) = events.last().cloned() else { return Ok((found, last.max(scanned))) };
            scanned = newest.place(scope);
            looked_at += events.len();
            bytes += events.iter().map(|it| it.bytes.len()).sum::<usize>();
            found.extend(events.into_iter().filter(|it| wanted(it)));
            if !newest.ends_change_set {
                // The index cuts change sets; read on in the log to the end of this one.
                let rest = self.inner.store.events_after(scope, scanned, Slice { events_max: 1, bytes_max: 1 }).await?;
                scanned = rest.last().map_or(scanned, |it| it.place(scope));
                found.extend(rest.into_iter().filter(|it| wanted(it)));
            }
            if found.len() >= query.limit || looked_at >= SCANNED_MAX || bytes >= limits::PAGE_BYTES_MAX {
                return Ok((found, scanned));
            }
        }
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
