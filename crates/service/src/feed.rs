//! Reads the log in order, for whoever asks: pages, long-polls and streams of
//! events, and of the changes of a type's resources (watches).
//!
//! All of them look at the same slices of the log through a *lens*, which says
//! what of it is wanted; so they share positions, and one may go on where another
//! stopped. What may be seen is judged at each look, never when it was asked
//! for (G9).
//!
//! Not here: what a change means to a watch (`engine::watch`), streams that stay
//! open (`streams`).

use crate::{Ctx, Error, Service, tail, waker::WakeOn};
use ringback_engine::{
    event_filter::{EventFields, EventSchema},
    list, matching,
    tokens::Binding,
    watch::{self, Change, Was},
};
use ringback_filter::Expr;
use ringback_model::{
    Subject, SubscriptionId, TypeName,
    event::{Event, Place, Scope},
    key::Authority,
    limits,
    subscription::{Subscription, TypePattern, types_match},
};
use ringback_ports::store::Slice;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// Events that one answer looks at before it says how far it came.
const SCANNED_MAX: usize = 20_000;

/// How a feed is asked for.
#[derive(Clone, Debug, Default)]
pub struct FeedQuery {
    /// Where to start; the beginning if absent.
    pub after: Option<String>,
    /// The id that a stream saw last: goes before `after`.
    pub last_event_id: Option<String>,
    /// Only these types; all if empty.
    pub types: Vec<TypePattern>,
    /// Only about this.
    pub subject: Option<Subject>,
    /// Only events that meet this.
    pub filter: Option<String>,
    /// Only what this subscription wants.
    pub subscription: Option<SubscriptionId>,
    /// Not events, but the changes of resources.
    pub watch: Option<WatchQuery>,
    /// At most so many, and the rest of the last change set.
    pub limit: usize,
    /// How long to wait for a first one.
    pub wait: Duration,
}

/// Which resources are watched.
#[derive(Clone, Debug)]
pub struct WatchQuery {
    /// Of this type.
    pub type_name: TypeName,
    /// Only those that meet this.
    pub filter: Option<String>,
    /// Conditions on fields, as a list takes them: `amount[gte]` and `1000`.
    pub params: Vec<(String, String)>,
}

/// A page of a feed.
#[derive(Debug)]
pub struct FeedPage {
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// The position that was scanned to, also when nothing matched (G6).
    pub cursor: String,
    /// Whether there is more to scan now.
    pub has_more: bool,
    /// Events of the scope after `cursor`, filter not applied.
    pub lag: u64,
    /// Pages are large: few are made at once.
    pub turn: PageTurn,
}

/// A page of a watch.
#[derive(Debug)]
pub struct WatchPage {
    /// The changes, each with its event.
    pub changes: Vec<(Change, Arc<Event>)>,
    /// See `FeedPage`.
    pub cursor: String,
    /// See `FeedPage`.
    pub has_more: bool,
    /// See `FeedPage`.
    pub lag: u64,
    /// See `FeedPage`.
    pub turn: PageTurn,
}

/// A turn to make a page; the next in line has it when this is dropped.
#[derive(Debug)]
pub struct PageTurn(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

/// Something of the log that is wanted, and in a watch what it means.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) event: Arc<Event>,
    pub(crate) change: Option<Change>,
}

/// What one look at the log brought.
pub(crate) struct Look {
    pub(crate) found: Vec<Found>,
    /// How far it went.
    pub(crate) scanned: Place,
    /// Whether it went to the end.
    pub(crate) to_the_end: bool,
    turn: PageTurn,
}

/// How much one look may bring.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// What of the log is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Lens {
    types: Vec<TypePattern>,
    subject: Option<Subject>,
    filter: Option<Expr>,
    subscription: Option<SubscriptionId>,
    watch: Option<WatchLens>,
}

#[derive(Clone, Debug)]
struct WatchLens {
    type_name: TypeName,
    conditions: Expr,
    binding: Option<Binding>,
    /// Whether the filter asks for the one member that an event does not keep the old value of.
    asks_updated_at: bool,
}

/// What of a subscription a look needs.
type Wanting = Option<Arc<Subscription>>;

/// What a lens says of an event.
enum Verdict {
    No,
    Yes(Option<Change>),
    /// It depends on the version before; whether it matches now.
    AskBefore(bool),
}

impl Lens {
    /// What positions that it makes are bound to.
    pub(crate) fn binding(&self) -> Option<Binding> {
        self.watch.as_ref().and_then(|it| it.binding)
    }

    /// Who looks through it is woken by this.
    pub(crate) fn wakes_on(&self, scope: &Scope) -> WakeOn {
        match (scope, &self.subject) {
            (Scope::Tenant(tenant), Some(subject)) => WakeOn::Subject(tenant.clone(), subject.clone()),
            (scope, _) => WakeOn::Scope(scope.clone(), self.types.clone()),
        }
    }

    fn judge(&self, authority: Authority, wanting: &Wanting, event: &Event) -> Verdict {
        if !authority.covers(event.audience) {
            return Verdict::No;
        }
        if let Some(watch) = &self.watch {
            return watch.judge(event);
        }
        let wanted = (self.types.is_empty() || types_match(&self.types, &event.event_type))
            && self.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
            && self.filter.as_ref().is_none_or(|it| it.matches(&EventFields::of(event)))
            && wanting.as_ref().is_none_or(|it| it.revision().is_some_and(|rev| matching::matches(it, rev, event)));
        if wanted { Verdict::Yes(None) } else { Verdict::No }
    }
}

impl WatchLens {
    fn judge(&self, event: &Event) -> Verdict {
        let Some(of) = event.of.as_ref().filter(|it| it.type_name == self.type_name) else { return Verdict::No };
        if event.erased_at.is_some() {
            // Nobody knows whether it was in the list. To delete what isn't there does nothing.
            return if of.deleted { Verdict::Yes(Some(Change::Delete)) } else { Verdict::No };
        }
        if self.conditions.is_everything() {
            // Everything is in the list: no image has to be looked at.
            let was = if of.version > 1 { Was::In } else { Was::Out };
            return watch::judge(was, true, of.deleted).map_or(Verdict::No, |it| Verdict::Yes(Some(it)));
        }
        let Some(images) = watch::images(event) else { return Verdict::No };
        let is = self.matches(&images.after);
        let Some(before) = images.before else {
            return watch::judge(Was::Out, is, of.deleted).map_or(Verdict::No, |it| Verdict::Yes(Some(it)));
        };
        if self.asks_updated_at {
            return Verdict::AskBefore(is);
        }
        let was = if self.matches(&before) { Was::In } else { Was::Out };
        watch::judge(was, is, of.deleted).map_or(Verdict::No, |it| Verdict::Yes(Some(it)))
    }

    fn matches(&self, image: &serde_json::Map<String, serde_json::Value>) -> bool {
        self.conditions.matches(image)
    }
}

impl Service {
    /// A page of the log, or with `wait` the next events once there are any.
    ///
    /// # Errors
    /// `Parameter`, cursor errors, `LogTruncated`, `TooManyWaiters`, `NotFound` (the subscription).
    pub async fn feed(&self, ctx: &Ctx, query: FeedQuery) -> Result<FeedPage, Error> {
        let (look, binding) = self.follow(ctx, query).await?;
        let lag = self.lag(&ctx.scope, look.scanned).await?;
        let events = look.found.into_iter().map(|it| it.event).collect();
        Ok(FeedPage { events, cursor: self.position_under(&ctx.scope, look.scanned, binding), has_more: lag > 0, lag, turn: look.turn })
    }

    /// A page of what became of a type's resources, or with `wait` the next changes once there are any.
    ///
    /// # Errors
    /// As of `feed`, and `List` for conditions that do not fit the type.
    pub async fn watch(&self, ctx: &Ctx, query: FeedQuery) -> Result<WatchPage, Error> {
        let (look, binding) = self.follow(ctx, query).await?;
        let lag = self.lag(&ctx.scope, look.scanned).await?;
        let changes = look.found.into_iter().filter_map(|it| Some((it.change?, it.event))).collect();
        Ok(WatchPage { changes, cursor: self.position_under(&ctx.scope, look.scanned, binding), has_more: lag > 0, lag, turn: look.turn })
    }

    async fn follow(&self, ctx: &Ctx, query: FeedQuery) -> Result<(Look, Option<Binding>), Error> {
        let lens = self.lens(ctx, &query)?;
        let binding = lens.binding();
        let mut place = self.begins_at(ctx, &lens, &query, "start").await?;
        let room = Room { items: query.limit, bytes: limits::PAGE_BYTES_MAX };
        if query.wait.is_zero() {
            return Ok((self.look(ctx, &lens, room, place).await?, binding));
        }
        let deadline = self.now() + query.wait;
        let _admitted = self.inner.waker.admit(ctx.caller.key)?;
        // Taken before looking: an event in between is not missed.
        let mut ticket = self.inner.waker.ticket(lens.wakes_on(&ctx.scope));
        loop {
            let look = self.look(ctx, &lens, room, place).await?;
            if !look.found.is_empty() || !self.ready() {
                return Ok((look, binding));
            }
            let moved = look.scanned > place;
            place = look.scanned;
            // Who waits makes no page.
            drop(look);
            if moved && self.now() < deadline {
                // A long stretch without a match: go on, do not wait.
                continue;
            }
            if ringback_ports::clock::until(self.clock(), deadline, ticket.woken()).await.is_none() {
                // Also what woke nobody here moves the position.
                return Ok((self.look(ctx, &lens, room, place).await?, binding));
            }
        }
    }

    /// Events of the scope after this place.
    pub(crate) async fn lag(&self, scope: &Scope, place: Place) -> Result<u64, Error> {
        Ok(self.inner.store.bounds(scope).await?.last.saturating_sub(place))
    }

    /// What a query wants to see.
    pub(crate) fn lens(&self, ctx: &Ctx, query: &FeedQuery) -> Result<Lens, Error> {
        let mut types = query.types.as_slice();
        let subscription = query.subscription.as_ref().map(|id| self.find(ctx, id)).transpose()?;
        if let (true, Some(wanted)) = (types.is_empty(), subscription.as_ref().and_then(|it| it.revision())) {
            types = &wanted.types;
        }
        let served = self.types().list();
        let seen = || served.iter().map(|it| &it.compiled).filter(|it| ctx.authority().covers(it.decl.access.read));
        let filter = match &query.filter {
            None => None,
            Some(text) => Some(EventSchema::of(types, seen()).filter(text).map_err(|error| Error::Filter { pointer: None, error })?),
        };
        let watch = match &query.watch {
            None => None,
            Some(WatchQuery { type_name, filter, params }) => {
                let compiled = seen()
                    .find(|it| it.decl.name == *type_name)
                    .ok_or_else(|| Error::NotFound { noun: "type", id: type_name.to_string() })?;
                let conditions = list::conditions(compiled, filter.as_deref(), params).map_err(Error::List)?;
                Some(WatchLens {
                    type_name: type_name.clone(),
                    binding: list::watch_binding(&compiled.decl, &conditions),
                    asks_updated_at: conditions.terms().iter().any(|it| it.path.first().is_some_and(|it| it == "updated_at")),
                    conditions,
                })
            }
        };
        Ok(Lens { types: query.types.clone(), subject: query.subject.clone(), filter, subscription: query.subscription.clone(), watch })
    }

    /// Where a query starts; `default` when it does not say.
    pub(crate) async fn begins_at(&self, ctx: &Ctx, lens: &Lens, query: &FeedQuery, default: &str) -> Result<Place, Error> {
        let (after, parameter) = match (&query.last_event_id, &query.after) {
            (Some(id), _) => (id.as_str(), "Last-Event-ID"),
            (None, Some(after)) => (after.as_str(), "after"),
            (None, None) => (default, "after"),
        };
        if after == "settled" {
            let Some(id) = &lens.subscription else {
                return Err(Error::Parameter {
                    parameter,
                    detail: "`after=settled` is where a subscription stands: name it with `subscription=sub_…`.".into(),
                });
            };
            let subscription = self.find(ctx, id)?;
            if subscription.scope != ctx.scope {
                return Err(Error::Parameter {
                    parameter,
                    detail: "This subscription reads all tenants. Ask with `Ringback-Tenant: *`.".into(),
                });
            }
            let settled = self.settled(&subscription).await?;
            return self.above_floor(&ctx.scope, settled, self.inner.store.bounds(&ctx.scope).await?);
        }
        self.place_under(&ctx.scope, ctx.authority(), after, parameter, lens.binding()).await
    }

    /// What is wanted of the log after `from`, and how far it was looked at. Never ends inside a change set (G5).
    pub(crate) async fn look(&self, ctx: &Ctx, lens: &Lens, room: Room, from: Place) -> Result<Look, Error> {
        let wanting = match &lens.subscription {
            Some(id) => Some(self.find(ctx, id)?),
            None => None,
        };
        if let Some(watch) = &lens.watch {
            // It may be gone by now, or no longer be for everybody's eyes.
            let types = self.types();
            let seen = types.by_name(watch.type_name.as_str()).filter(|it| ctx.authority().covers(it.compiled.decl.access.read));
            if seen.is_none() {
                return Err(Error::NotFound { noun: "type", id: watch.type_name.to_string() });
            }
        }
        let turn = PageTurn(Arc::clone(&self.inner.pages).acquire_owned().await.ok());
        if let Some(subject) = &lens.subject {
            return self.look_at_subject(ctx, lens, &wanting, subject, room, from, turn).await;
        }
        let slice = Slice { events_max: room.items.clamp(100, limits::PAGE_ITEMS_MAX), bytes_max: room.bytes };
        let mut it = Look { found: Vec::new(), scanned: from, to_the_end: false, turn };
        let (mut bytes, mut looked_at) = (0, 0);
        loop {
            let events = tail::read(&*self.inner.store, &self.inner.tail, &ctx.scope, it.scanned, slice).await?;
            let next = events.first().map(|it| it.place(&ctx.scope));
            if next != Some(it.scanned + 1) {
                self.still_there(&ctx.scope, it.scanned)?;
            }
            if events.is_empty() {
                it.to_the_end = true;
                return Ok(it);
            }
            for event in events {
                it.scanned = event.place(&ctx.scope);
                looked_at += 1;
                let ends = event.ends_change_set;
                if let Some(found) = self.through(ctx, lens, &wanting, event).await? {
                    bytes += found.event.bytes.len();
                    it.found.push(found);
                }
                if ends && (it.found.len() >= room.items || bytes >= room.bytes || looked_at >= SCANNED_MAX) {
                    return Ok(it);
                }
            }
        }
    }

    /// Refuses what was read after this place if retention may have taken some of it: never a silent skip (G4).
    fn still_there(&self, scope: &Scope, after: Place) -> Result<(), Error> {
        let floor = self.inner.floors.of(scope);
        if after < floor { Err(self.truncated(scope, floor)) } else { Ok(()) }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the question")]
    async fn look_at_subject(
        &self,
        ctx: &Ctx,
        lens: &Lens,
        wanting: &Wanting,
        subject: &Subject,
        room: Room,
        from: Place,
        turn: PageTurn,
    ) -> Result<Look, Error> {
        let scope = &ctx.scope;
        // Asked first: what is appended while the index is read is above it and comes next time.
        let last = self.inner.store.bounds(scope).await?.last;
        let mut it = Look { found: Vec::new(), scanned: from, to_the_end: false, turn };
        let (mut looked_at, mut bytes) = (0, 0);
        loop {
            let slice = Slice { events_max: room.items, bytes_max: room.bytes.saturating_sub(bytes) };
            let mut events = self.inner.store.events_of_subject(scope, subject, it.scanned, slice).await?;
            self.still_there(scope, it.scanned)?;
            let Some(newest) = events.last() else {
                it.scanned = last.max(it.scanned);
                it.to_the_end = true;
                return Ok(it);
            };
            it.scanned = newest.place(scope);
            if !newest.ends_change_set {
                // The index cuts change sets; read on in the log to the end of this one.
                let rest = self.inner.store.events_after(scope, it.scanned, Slice { events_max: 1, bytes_max: 1 }).await?;
                it.scanned = rest.last().map_or(it.scanned, |it| it.place(scope));
                events.extend(rest);
            }
            looked_at += events.len();
            for event in events {
                bytes += event.bytes.len();
                it.found.extend(self.through(ctx, lens, wanting, event).await?);
            }
            if it.found.len() >= room.items || looked_at >= SCANNED_MAX || bytes >= room.bytes {
                return Ok(it);
            }
        }
    }

    /// What the lens shows of an event.
    async fn through(&self, ctx: &Ctx, lens: &Lens, wanting: &Wanting, event: Arc<Event>) -> Result<Option<Found>, Error> {
        let change = match lens.judge(ctx.authority(), wanting, &event) {
            Verdict::No => return Ok(None),
            Verdict::Yes(change) => change,
            Verdict::AskBefore(is) => match self.judge_by_version_before(lens, is, &event).await? {
                None => return Ok(None),
                some => some,
            },
        };
        Ok(Some(Found { event, change }))
    }

    async fn judge_by_version_before(&self, lens: &Lens, is: bool, event: &Event) -> Result<Option<Change>, Error> {
        let (Some(watch), Some(of), Some(subject)) = (&lens.watch, &event.of, &event.subject) else { return Ok(None) };
        let before = self.inner.store.event_of_version(&event.tenant, subject, of.version.saturating_sub(1)).await?;
        let was = match before.as_deref().and_then(watch::images) {
            None => Was::Unknown,
            Some(images) if watch.matches(&images.after) => Was::In,
            Some(_) => Was::Out,
        };
        Ok(watch::judge(was, is, of.deleted))
    }
}
