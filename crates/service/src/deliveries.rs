//! Deliveries: what became of which event for which subscription.
//!
//! There is no table of deliveries. A list walks the log (newest first) or the
//! exceptions, and `engine::delivery_state` says of each what state it is in.

mod cancel;
mod search;

pub use search::DeliveryQuery;

use crate::{
    Ctx, Error, Outcome, Service, Write,
    dispatcher::{Segment, Segments, Standing, Standings},
    idempotency::Decision,
    page::Page,
    subscriptions::{may_see, meets, one_tenants},
    types::ServedType,
};
use ringback_engine::{
    delivery_state::{Facts, InWindow, delivery_state},
    matching,
    tokens::PageKey,
    window::RetryRefused,
};
use ringback_model::{
    DeliveryId, EventId, EventType, StatusName, Subject, SubscriptionId, Timestamp,
    delivery::{Attempt, DeliveryState, Exception, ExceptionState, SkippedRange},
    event::{Event, Place, Scope},
    key::Authority,
    subscription::{Generation, State, Subscription},
};
use ringback_ports::store::{AttemptSummary, ChangeSet};
use std::{collections::BTreeMap, sync::Arc};

/// Events or exceptions that one page looks at.
const SCANNED_MAX: usize = 20_000;
/// Readers that one page asks about one event.
const READERS_MAX: usize = 2_000;
/// Events that are in memory at once: they may be large.
const EVENTS_AT_ONCE: usize = 64;
/// Exceptions that are in memory at once.
const ROWS_AT_ONCE: usize = 1_000;

/// A delivery, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "CONTRACT section 4 has the meaning of each")]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub subscription: SubscriptionId,
    pub event: EventId,
    pub event_type: EventType,
    pub subject: Option<Subject>,
    pub state: DeliveryState,
    pub reason: Option<String>,
    pub tries: u32,
    pub due_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_attempt: Option<Attempt>,
}

/// What is known of one reader, for a stretch of its log.
#[derive(Default)]
pub(crate) struct Known {
    cursor: Place,
    skipped: Vec<SkippedRange>,
    standings: BTreeMap<Place, Standing>,
    summaries: BTreeMap<Place, AttemptSummary>,
}

impl Known {
    pub(crate) const fn cursor(&self) -> Place {
        self.cursor
    }

    pub(crate) fn skipped(&self) -> &[SkippedRange] {
        &self.skipped
    }

    /// The latest life of the reader in which the event at this place arrived.
    pub(crate) fn delivered_in(&self, place: Place) -> Option<Generation> {
        self.summaries.get(&place).and_then(AttemptSummary::delivered_in)
    }

    pub(crate) fn standing(&self, place: Place) -> Option<&Standing> {
        self.standings.get(&place)
    }
}

impl Service {
    /// Deliveries: of a subscription (newest event first), of an event, or, with
    /// neither, those that did not succeed at first try.
    ///
    /// # Errors
    /// `NotFound`, cursor errors.
    pub async fn deliveries(&self, ctx: &Ctx, query: DeliveryQuery) -> Result<Page<DeliveryView>, Error> {
        let binding = query.binding();
        let binding = binding.as_str();
        match (&query.subscription, query.event) {
            (subscription, Some(event)) => {
                let event = self.event(ctx, event).await?;
                let id = event.id.to_string();
                let route = ["deliveries of event", &id, subscription.as_ref().map_or("", SubscriptionId::as_str), binding];
                self.deliveries_of_event(ctx, &route, event, subscription.as_ref(), &query).await
            }
            (Some(id), None) => {
                let subscription = self.find(ctx, id)?;
                let route = ["deliveries", id.as_str(), binding];
                match query.state {
                    // These are exceptions, and there are few of them however long the log is.
                    Some(DeliveryState::Retrying | DeliveryState::Parked) => {
                        self.exceptions_page(ctx, &route, vec![subscription], &query).await
                    }
                    _ => self.deliveries_of_subscription(ctx, &route, &subscription, &query).await,
                }
            }
            (None, None) => {
                let all = {
                    let registry = self.registry();
                    let tenant = match &ctx.scope {
                        Scope::Tenant(it) => Some(it),
                        Scope::All => None,
                    };
                    // Not by `find`, which would ask for the registry again while it is held here.
                    registry.subscriptions_of(tenant).filter(|it| may_see(ctx, it)).cloned().collect()
                };
                self.exceptions_page(ctx, &["deliveries", "", binding], all, &query).await
            }
        }
    }

    /// In order of subscription.
    async fn deliveries_of_event(
        &self,
        ctx: &Ctx,
        route: &[&str],
        event: Arc<Event>,
        subscription: Option<&SubscriptionId>,
        query: &DeliveryQuery,
    ) -> Result<Page<DeliveryView>, Error> {
        let mut at = match self.page_key(ctx, route, query.after.as_deref())? {
            None => 0,
            Some(PageKey::Place(no)) => no,
            Some(_) => return Err(Error::CursorMismatch),
        };
        let candidates: Vec<Arc<Subscription>> = match subscription {
            Some(id) => vec![self.find(ctx, id)?],
            None => {
                let registry = self.registry();
                let all = registry.subscriptions_of(None).filter(|it| match it.scope {
                    // An operator's subscription over all tenants is not shown to one of them.
                    Scope::All => ctx.authority() == Authority::Operator,
                    Scope::Tenant(_) => true,
                });
                all.cloned().collect()
            }
        };
        // A place means something in the log of its scope alone; and most want other events.
        let candidates = if query.is_of(&event) { candidates } else { Vec::new() };
        let mut owing: Vec<_> =
            candidates.into_iter().filter(|it| u64::from(it.no) > at && it.scope.holds(&event.tenant) && self.owes(it, &event)).collect();
        owing.sort_by_key(|it| it.no);
        let mut items = Vec::new();
        for (looked_at, subscription) in owing.iter().enumerate() {
            if items.len() == query.limit || looked_at >= READERS_MAX {
                return Ok(Page { items, next_cursor: Some(self.page_cursor(ctx, route, &PageKey::Place(at))) });
            }
            at = u64::from(subscription.no);
            let known = self.known(subscription, &[event.place(&subscription.scope)]).await?;
            items.extend(self.view_delivery(ctx, subscription, &event, &known).filter(|it| query.wants(it)));
        }
        Ok(Page { items, next_cursor: None })
    }

    async fn deliveries_of_subscription(
        &self,
        ctx: &Ctx,
        route: &[&str],
        subscription: &Arc<Subscription>,
        query: &DeliveryQuery,
    ) -> Result<Page<DeliveryView>, Error> {
        let scope = &subscription.scope;
        let mut before = match self.page_key(ctx, route, query.after.as_deref())? {
            None => match query.until {
                None => Place::MAX >> 1,
                Some(until) => self.inner.store.place_before(scope, until + search::COMMITTED_WITHIN).await?.saturating_add(1),
            },
            Some(PageKey::Place(it)) => it,
            Some(_) => return Err(Error::CursorMismatch),
        };
        let mut begin = subscription.revisions.first().map_or(0, |it| it.from);
        if let Some(since) = query.since {
            // What was committed before was made before.
            begin = begin.max(self.inner.store.place_before(scope, since).await?);
        }
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let events = self.inner.store.events_before(scope, before, EVENTS_AT_ONCE).await?;
            let events: Vec<_> = events.into_iter().take_while(|it| it.place(scope) > begin).collect();
            if events.is_empty() {
                return Ok(Page { items, next_cursor: None });
            }
            let places: Vec<Place> = events.iter().map(|it| it.place(scope)).collect();
            let known = self.known(subscription, &places).await?;
            for event in events {
                if items.len() == query.limit || looked_at >= SCANNED_MAX {
                    return Ok(Page { items, next_cursor: Some(self.page_cursor(ctx, route, &PageKey::Place(before))) });
                }
                before = event.place(scope);
                looked_at += 1;
                if query.is_of(&event) {
                    items.extend(self.view_delivery(ctx, subscription, &event, &known).filter(|it| query.wants(it)));
                }
            }
        }
    }

    /// Exceptions of several subscriptions, in order of subscription, then place.
    async fn exceptions_page(
        &self,
        ctx: &Ctx,
        route: &[&str],
        mut subscriptions: Vec<Arc<Subscription>>,
        query: &DeliveryQuery,
    ) -> Result<Page<DeliveryView>, Error> {
        let mut at = match self.page_key(ctx, route, query.after.as_deref())? {
            None => (0, 0),
            Some(PageKey::Id(text)) => split_key(&text).ok_or(Error::CursorMismatch)?,
            Some(_) => return Err(Error::CursorMismatch),
        };
        subscriptions.sort_by_key(|it| it.no);
        let mut items: Vec<DeliveryView> = Vec::new();
        let mut looked_at = 0;
        let next = |at: (u32, Place)| Some(self.page_cursor(ctx, route, &PageKey::Id(format!("{}:{}", at.0, at.1))));
        loop {
            let left: Vec<&Arc<Subscription>> = subscriptions.iter().filter(|it| (it.no, Place::MAX) > at).collect();
            let Some(first) = left.first() else { return Ok(Page { items, next_cursor: None }) };
            let nos = left.iter().map(|it| it.no).collect();
            let found = match self.inner.dispatcher.exceptions(nos, at, ROWS_AT_ONCE).await {
                Some(found) => found,
                // Nothing is read any more: the store knows of all.
                None => Segments { all: vec![Segment { no: first.no, rows: None, cut: false }], more: true },
            };
            let mut more = found.more;
            for Segment { no, rows, mut cut } in found.all {
                let Some(subscription) = left.iter().find(|it| it.no == no) else { continue };
                let rows = match rows {
                    Some(rows) => rows,
                    None => {
                        looked_at += 1;
                        let after = if no == at.0 { at.1 } else { 0 };
                        let rows = self.inner.store.exceptions(no, after, ROWS_AT_ONCE).await?;
                        cut = rows.len() == ROWS_AT_ONCE;
                        rows
                    }
                };
                let places: Vec<Place> = rows.iter().filter(|it| may_be(it, query.state)).map(|it| it.place).collect();
                let mut known = if places.is_empty() { Known::default() } else { self.standings(subscription, &places).await? };
                for row in rows {
                    if items.len() == query.limit || looked_at >= SCANNED_MAX {
                        return Ok(Page { items, next_cursor: next(at) });
                    }
                    at = (no, row.place);
                    looked_at += 1;
                    if !may_be(&row, query.state) {
                        continue;
                    }
                    let Some(event) = self.inner.store.event_at(&subscription.scope, row.place).await? else { continue };
                    if !query.is_of(&event) {
                        continue;
                    }
                    // One by one: between two exceptions may lie any number of deliveries that went well.
                    self.add_attempts(subscription, row.place.saturating_sub(1), row.place, &mut known).await?;
                    items.extend(self.view_delivery(ctx, subscription, &event, &known).filter(|it| query.wants(it)));
                }
                if cut {
                    more = true;
                    break;
                }
                at = (no, Place::MAX);
            }
            if !more {
                return Ok(Page { items, next_cursor: None });
            }
        }
    }

    /// Gathers what is known of these places of a subscription's log, which lie close together.
    pub(crate) async fn known(&self, subscription: &Subscription, places: &[Place]) -> Result<Known, Error> {
        let from = places.iter().min().copied().unwrap_or(0).saturating_sub(1);
        let to = places.iter().max().copied().unwrap_or(0);
        let mut known = self.standings(subscription, places).await?;
        self.add_attempts(subscription, from, to, &mut known).await?;
        Ok(known)
    }

    /// Where these places stand, without their attempts.
    async fn standings(&self, subscription: &Subscription, places: &[Place]) -> Result<Known, Error> {
        // The window is asked before the store: what it forgets in between is stored by then.
        if let Some(Standings { cursor, skipped, rows }) = self.inner.dispatcher.standings(subscription.no, places.to_vec()).await {
            let standings = places.iter().copied().zip(rows).collect();
            return Ok(Known { cursor, skipped, standings, summaries: BTreeMap::new() });
        }
        let state = self.inner.store.reader(subscription.no).await?.unwrap_or_default();
        let standings = state.exceptions.into_iter().map(|it| (it.place, Standing { in_window: None, exception: Some(it) })).collect();
        Ok(Known { cursor: state.cursor, skipped: state.skipped, standings, summaries: BTreeMap::new() })
    }

    async fn add_attempts(&self, subscription: &Subscription, from: Place, to: Place, known: &mut Known) -> Result<(), Error> {
        let summaries = self.inner.store.attempt_summaries(subscription.no, from, to).await?;
        known.summaries.extend(summaries.into_iter().map(|it| (it.place, it)));
        Ok(())
    }

    /// The delivery of this event to this subscription; `None` when nothing is owed.
    /// Nor is one of an event that the caller may not see.
    pub(crate) fn view_delivery(&self, ctx: &Ctx, subscription: &Subscription, event: &Event, known: &Known) -> Option<DeliveryView> {
        if !ctx.authority().covers(event.audience) {
            return None;
        }
        let place = event.place(&subscription.scope);
        let standing = known.standings.get(&place);
        let exception = standing.and_then(|it| it.exception.as_ref());
        let summary = known.summaries.get(&place);
        let state = self.state_of(subscription, event, known)?;
        let erased = event.erased_at.is_some() && state == DeliveryState::Skipped;
        let exception = exception.filter(|_| !erased);
        let parked = exception.and_then(|it| match &it.state {
            ExceptionState::Parked { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let parked = if erased { Some("erased".to_owned()) } else { parked };
        let due_at = exception.and_then(|it| match &it.state {
            ExceptionState::Retrying { due_at } => Some(*due_at),
            _ => None,
        });
        let last_attempt = summary.map(|it| shown(ctx, subscription, it.last.clone()));
        let failed = last_attempt.as_ref().filter(|_| state != DeliveryState::Delivered).and_then(|it| it.reason.clone());
        let in_range = |it: &&SkippedRange| it.generation == subscription.generation && it.from < place && place <= it.to;
        let skipped = known.skipped.iter().find(in_range).filter(|_| state == DeliveryState::Skipped).map(|it| it.why.clone());
        let done_now = u32::from(standing.and_then(|it| it.in_window) == Some(InWindow::Done));
        Some(DeliveryView {
            id: self.inner.secrets.delivery.encode(subscription.no, place),
            subscription: subscription.id.clone(),
            event: event.id,
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            state,
            reason: skipped.or(parked).or(failed),
            tries: exception.map_or(0, |it| it.tries).max(summary.map_or(0, |it| it.count)).max(done_now),
            due_at,
            created_at: event.timestamp,
            last_attempt,
        })
    }

    /// The state of the delivery of this event; `None` when nothing is owed.
    pub(crate) fn state_of(&self, subscription: &Subscription, event: &Event, known: &Known) -> Option<DeliveryState> {
        let place = event.place(&subscription.scope);
        let standing = known.standings.get(&place);
        delivery_state(&Facts {
            place,
            cursor: known.cursor,
            generation: subscription.generation,
            // Above where a one-shot has ended nothing is owed, whatever it waited for.
            matches: self.owes(subscription, event) && (subscription.state != State::Done || place <= known.cursor),
            in_window: standing.and_then(|it| it.in_window),
            exception: standing.and_then(|it| it.exception.as_ref()),
            skipped: &known.skipped,
            delivered_in: known.delivered_in(place),
            erased: event.erased_at.is_some(),
        })
    }

    /// Whether the subscription wants this event at all.
    pub(crate) fn owes(&self, subscription: &Subscription, event: &Event) -> bool {
        let place = event.place(&subscription.scope);
        let begun = subscription.revisions.first().is_some_and(|it| it.from < place);
        let matches = subscription.revision_at(place).is_some_and(|it| {
            matching::was_owed(subscription, it, event) && meets(self.filter_of(it, subscription.authority).as_ref(), event)
        });
        let awaited = subscription.until.is_none() || subscription.subject.is_none();
        let awaited = awaited || self.awaited(subscription).is_some_and(|(_, statuses)| matching::one_shot(event, &statuses));
        begun && matches && awaited
    }

    /// What a one-shot waits for: the type of its resource, and the statuses. `None` if
    /// it is none, or its type is not served.
    pub(crate) fn awaited(&self, subscription: &Subscription) -> Option<(Arc<ServedType>, Vec<StatusName>)> {
        let (until, subject) = (subscription.until.as_ref()?, subscription.subject.as_ref()?);
        let (served, _) = self.types().route(subject.as_str())?;
        let statuses = self.until_statuses(&served, until).ok()?;
        Some((served, statuses))
    }

    /// The subscription and the event of a delivery id, if the caller may see both.
    async fn parts(&self, ctx: &Ctx, id: DeliveryId) -> Result<(Arc<Subscription>, Arc<Event>), Error> {
        let missing = || Error::NotFound { noun: "delivery", id: id.to_string() };
        let (no, place) = self.inner.secrets.delivery.decode(id).ok_or_else(missing)?;
        let subscription = self.registry().subscription_no(no).cloned().ok_or_else(missing)?;
        if !may_see(ctx, &subscription) {
            return Err(missing());
        }
        let event = self.inner.store.event_at(&subscription.scope, place).await?.ok_or_else(missing)?;
        if !ctx.authority().covers(event.audience) {
            return Err(missing());
        }
        Ok((subscription, event))
    }

    /// One delivery.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delivery(&self, ctx: &Ctx, id: DeliveryId) -> Result<DeliveryView, Error> {
        let (subscription, event) = self.parts(ctx, id).await?;
        let known = self.known(&subscription, &[event.place(&subscription.scope)]).await?;
        self.view_delivery(ctx, &subscription, &event, &known).ok_or_else(|| Error::NotFound { noun: "delivery", id: id.to_string() })
    }

    /// The attempts of a delivery, first one first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attempts(&self, ctx: &Ctx, id: DeliveryId) -> Result<Vec<Attempt>, Error> {
        let (subscription, event) = self.parts(ctx, id).await?;
        let all = self.inner.store.attempts(subscription.no, event.id).await?;
        Ok(all.into_iter().map(|it| shown(ctx, &subscription, it)).collect())
    }

    /// Tries a delivery now that is retrying or parked; durable when this returns. Of a pull
    /// subscription it can be handed out at once. A one-shot that is done is active until it is over.
    ///
    /// # Errors
    /// `NotFound`, `NotActive`, `Conflict` (it is in flight, delivered, or waits behind another).
    pub async fn retry_delivery(&self, ctx: &Ctx, id: DeliveryId, write: Write<DeliveryView>) -> Result<Outcome<DeliveryView>, Error> {
        let (subscription, event) = self.parts(ctx, id).await?;
        one_tenants(ctx, &subscription)?;
        let place = event.place(&subscription.scope);
        let not_active = || Error::NotActive { id: subscription.id.clone(), state: subscription.state };
        if subscription.state != State::Active && subscription.state != State::Done {
            return Err(not_active());
        }
        match self.inner.dispatcher.retry_now(subscription.no, place).await {
            // The wish is on disk from here on.
            Some(Ok(stored)) => stored?,
            Some(Err(RetryRefused::NotActive)) | None => return Err(not_active()),
            Some(Err(other)) => return Err(conflict(&other)),
        }
        if subscription.state == State::Done {
            // A one-shot is active again until what it was asked for is over.
            self.reopen(&subscription).await?;
        }
        let view = self.delivery(ctx, id).await?;
        self.write(ctx, write, || async {
            let view = view.clone();
            Ok(Decision::new(ChangeSet::new(subscription.tenant.clone(), self.now()), move |_| view.clone()))
        })
        .await
    }
}

/// What the engine refuses, as a sentence.
fn conflict(why: &impl core::fmt::Display) -> Error {
    let mut detail = why.to_string();
    if let Some(first) = detail.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    detail.push('.');
    Error::Conflict { detail }
}

/// An attempt as the caller may see it. What an operator made may call private addresses:
/// which they are, and what they answered, is for operators.
pub(crate) fn shown(ctx: &Ctx, subscription: &Subscription, attempt: Attempt) -> Attempt {
    if ctx.authority().covers(subscription.authority) { attempt } else { Attempt { peer: None, response: None, ..attempt } }
}

/// Whether a delivery with this exception can be in the state that is asked for.
fn may_be(row: &Exception, wanted: Option<DeliveryState>) -> bool {
    match wanted {
        Some(DeliveryState::Parked) => matches!(row.state, ExceptionState::Parked { .. }),
        Some(DeliveryState::Retrying) => matches!(row.state, ExceptionState::Retrying { .. }),
        Some(DeliveryState::Skipped) => false,
        None | Some(DeliveryState::Pending | DeliveryState::Delivering | DeliveryState::Delivered) => true,
    }
}

fn split_key(text: &str) -> Option<(u32, Place)> {
    let (no, place) = text.split_once(':')?;
    Some((no.parse().ok()?, place.parse().ok()?))
}
