//! Pull subscriptions: hand out, acknowledge, give back, hold longer.
//!
//! What is handed out to whom is decided in the window of the reader; here the
//! events are fetched, tokens made and read, and ids turned into places.

use crate::{
    Ctx, Error, Service,
    dispatcher::{Heard, PullRefused, Said, SayRefused, Verb},
};
use bytes::Bytes;
use ringback_engine::{ack::AckToken, tokens::TokenError};
use ringback_model::{
    EventId, SubscriptionId, Timestamp,
    event::{self, Place},
    limits,
    subscription::{State, Subscription},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How often something is said of events that were handed out, while seeks come between.
const SAID_TRIES_MAX: usize = 8;

/// What a pull asks for.
#[derive(Clone, Copy, Debug)]
pub struct PullQuery {
    /// At most so many events.
    pub limit: usize,
    /// How long to wait for a first one.
    pub wait: Duration,
    /// How long to hold what is handed out.
    pub lease: Duration,
}

/// What a pull is handed.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The events, as the subscription's payload form writes them.
    pub events: Vec<Bytes>,
    /// How often each was handed out or tried, this time included; where that is more than once.
    pub tries: Vec<(EventId, u32)>,
    /// What acknowledges them.
    pub ack: String,
    /// Until when they are held for whoever has that.
    pub lease_until: Timestamp,
    /// Events of the scope that are not settled, filter not applied.
    pub lag: u64,
}

/// What an ack, a nack or an extension did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How many events it was done for.
    pub settled: usize,
    /// Those that were settled or parked already.
    pub late: Vec<EventId>,
    /// Of an extension: until when they are held now.
    pub lease_until: Option<Timestamp>,
}

/// What is said of events that were handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// They are done.
    Ack,
    /// Hand them out again, after this.
    Nack {
        /// Not before.
        delay: Duration,
    },
    /// Hold them so much longer from now on.
    Extend {
        /// How long.
        lease: Duration,
    },
}

impl Service {
    /// Hands out events to whoever asks, and waits for a first one if there is none.
    ///
    /// # Errors
    /// `NotFound`, `NotActive`, `NotPulled`, `TooManyWaiters`.
    pub async fn pull(&self, ctx: &Ctx, id: &SubscriptionId, query: PullQuery) -> Result<Pulled, Error> {
        let subscription = self.find_to_change(ctx, id)?;
        if subscription.push.is_some() {
            return Err(not_pulled(&subscription));
        }
        if subscription.state != State::Active {
            return Err(Error::NotActive { id: id.clone(), state: subscription.state });
        }
        let _admitted = if query.wait.is_zero() { None } else { Some(self.inner.waker.admit(ctx.caller.key)?) };
        let deadline = self.now() + query.wait;
        let batch = match self.inner.dispatcher.pull(subscription.no, query.limit, query.lease, deadline).await {
            Some(Ok(batch)) => batch,
            Some(Err(PullRefused::TooMany)) => return Err(Error::TooManyWaiters { max: limits::PULLS_WAITING_MAX, of_key: false }),
            Some(Err(PullRefused::NotPulled)) | None => return Err(self.why_not_read(ctx, id)),
        };
        // From here on it is a promise: what is not answered is given back at once.
        let mut unanswered = GiveBack { service: self, no: subscription.no, said: None };
        let take_back = |places| Said { generation: batch.generation, lease: batch.lease, places, verb: Verb::TakeBack };
        unanswered.said = Some(take_back(batch.items.iter().map(|(it, _)| (it.place, it.event)).collect()));
        // It may have been changed while this one waited: what is handed out now is written as it says now.
        let subscription = self.find_to_change(ctx, id)?;
        let (mut events, mut tries, mut places, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut too_much = Vec::new();
        for (leased, event) in &batch.items {
            let event = match event {
                _ if bytes >= limits::PAGE_BYTES_MAX => None,
                Some(event) => Some(Arc::clone(event)),
                None => self.inner.store.event_at(&subscription.scope, leased.place).await?,
            };
            let revision = subscription.revision_no(leased.revision).or_else(|| subscription.revision());
            let (Some(event), Some(revision)) = (event, revision) else {
                too_much.push((leased.place, leased.event));
                continue;
            };
            let body = event::payload(&event, revision.payload, &revision.public_url);
            bytes += body.len();
            events.push(body);
            places.push(leased.place);
            if leased.try_no > 1 {
                tries.push((leased.event, leased.try_no));
            }
        }
        places.sort_unstable();
        let view = self.subscription_view(&subscription).await?;
        let token = AckToken { subscription: subscription.no, generation: batch.generation, lease: batch.lease, places };
        let ack = self.inner.secrets.position.ack(subscription.scope.as_str(), self.inner.epoch, &token);
        unanswered.said = (!too_much.is_empty()).then(|| take_back(too_much));
        Ok(Pulled { events, tries, ack, lease_until: batch.until, lag: view.lag })
    }

    /// Acknowledges events that were handed out, gives them back, or holds them longer.
    ///
    /// `events` names some of those of the token; `None` means all. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`, `NotPulled`, `LeaseExpired` (not of an ack), `Field` (a token or an event that is none of ours).
    pub async fn settle_pulled(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        ack: &str,
        events: Option<&[EventId]>,
        word: Word,
    ) -> Result<Settled, Error> {
        let subscription = self.find_to_change(ctx, id)?;
        if subscription.push.is_some() {
            return Err(not_pulled(&subscription));
        }
        let token = self.inner.secrets.position.read_ack(ack, subscription.scope.as_str(), self.inner.epoch).map_err(|it| match it {
            TokenError::Epoch => Error::CursorEpoch,
            TokenError::Unreadable | TokenError::Mismatch => unreadable(),
        })?;
        if token.subscription != subscription.no {
            return Err(unreadable());
        }
        let places = self.places_of(&subscription, &token, events).await?;
        let verb = match word {
            Word::Ack => Verb::Ack,
            Word::Nack { delay } => Verb::Nack(delay),
            Word::Extend { lease } => Verb::Extend(lease),
        };
        for _ in 0..SAID_TRIES_MAX {
            let said = Said { generation: token.generation, lease: token.lease, places: places.clone(), verb };
            return match self.inner.dispatcher.say(subscription.no, said).await {
                Some(Ok(Heard { settled, late, until })) => Ok(Settled { settled, late, lease_until: until }),
                // A seek came between. The next life knows that this is late, or what became of it.
                Some(Err(SayRefused::Fenced)) => continue,
                Some(Err(SayRefused::Expired)) => Err(Error::LeaseExpired { id: subscription.id.clone() }),
                Some(Err(SayRefused::Store(why))) => Err(why.into()),
                Some(Err(SayRefused::NotPulled)) | None => Err(self.why_not_read(ctx, id)),
            };
        }
        Err(SayRefused::Fenced.into())
    }

    /// Why a subscription that was there a moment ago is not pulled from.
    fn why_not_read(&self, ctx: &Ctx, id: &SubscriptionId) -> Error {
        if !self.ready() {
            return Error::Draining;
        }
        match self.find_to_change(ctx, id) {
            Err(why) => why,
            Ok(it) if it.push.is_some() => not_pulled(&it),
            Ok(it) if it.state != State::Active => Error::NotActive { id: id.clone(), state: it.state },
            // Its reader could not be loaded, and is tried again.
            Ok(_) => Error::Overloaded,
        }
    }

    /// Where the events stand that are meant, each with its id.
    async fn places_of(
        &self,
        subscription: &Subscription,
        token: &AckToken,
        events: Option<&[EventId]>,
    ) -> Result<Vec<(Place, EventId)>, Error> {
        let mut known: BTreeMap<Place, EventId> = self.inner.dispatcher.events_of(subscription.no, token.places.clone()).await;
        let Some(wanted) = events else {
            let mut out = Vec::with_capacity(token.places.len());
            for place in &token.places {
                let id = match known.remove(place) {
                    Some(id) => Some(id),
                    // Settled already, or handed out before a restart. Below the floor of the log nothing is left to say.
                    None => self.inner.store.event_at(&subscription.scope, *place).await?.map(|it| it.id),
                };
                out.extend(id.map(|id| (*place, id)));
            }
            return Ok(out);
        };
        let of_token: BTreeSet<Place> = token.places.iter().copied().collect();
        let by_id: BTreeMap<EventId, Place> = known.into_iter().map(|(place, id)| (id, place)).collect();
        let mut out = BTreeMap::new();
        for (at, id) in wanted.iter().enumerate() {
            let place = match by_id.get(id) {
                Some(place) => Some(*place),
                None => self.inner.store.event(&subscription.scope, *id).await?.map(|it| it.place(&subscription.scope)),
            };
            let place = place.filter(|it| of_token.contains(it)).ok_or_else(|| Error::Field {
                pointer: format!("/events/{at}"),
                detail: format!(
                    "{id} was not handed out with this `ack`. Name events of the same answer, or leave `events` out to mean all."
                ),
            })?;
            out.insert(place, *id);
        }
        Ok(out.into_iter().collect())
    }
}

/// Gives events back that were handed out and are not answered.
struct GiveBack<'a> {
    service: &'a Service,
    no: u32,
    said: Option<Said>,
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        if let Some(said) = self.said.take() {
            let (dispatcher, no) = (self.service.inner.dispatcher.clone(), self.no);
            tokio::spawn(async move { dispatcher.say(no, said).await });
        }
    }
}

fn not_pulled(subscription: &Subscription) -> Error {
    Error::NotPulled { id: subscription.id.clone() }
}

fn unreadable() -> Error {
    Error::Field {
        pointer: "/ack".into(),
        detail: "`ack` is not a token that a pull of this subscription answered. Send back the `ack` of the answer as it was received."
            .into(),
    }
}

impl From<SayRefused> for Error {
    fn from(it: SayRefused) -> Self {
        match it {
            SayRefused::Store(why) => why.into(),
            SayRefused::NotPulled | SayRefused::Expired | SayRefused::Fenced => {
                Self::Conflict { detail: "The subscription was changed at the same moment. Pull again.".into() }
            }
        }
    }
}
