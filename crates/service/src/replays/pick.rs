//! What a replay picks of a stretch of the log: gathers what is known of each
//! delivery and asks `engine::replay`.
//!
//! What failed is found through the exceptions, however long the log between them is.

use crate::{Error, Service, deliveries::Known, subscriptions::meets};
use ringback_engine::{
    matching,
    replay::{Facts, Picked, wants},
};
use ringback_filter::Expr;
use ringback_model::{
    delivery::{Exception, ExceptionState},
    event::{Event, Place},
    limits,
    replay::{Only, Replay},
    subscription::{Subscription, types_match},
};
use ringback_ports::store::Slice;

/// Bytes of events that are looked at in one go.
const BYTES_MAX: usize = 1024 * 1024;

/// What was found of a stretch.
#[derive(Debug)]
pub(crate) struct Picks {
    /// Everything up to here was looked at.
    pub(crate) to: Place,
    /// In order of place.
    pub(crate) picked: Vec<Picked>,
    /// How many events or exceptions it took.
    pub(crate) looked_at: usize,
    /// At or below it the log is gone.
    pub(crate) floor: Place,
}

impl Service {
    /// The next stretch of a replay after `after`; it ends where the replay ends at the latest.
    pub(crate) async fn replay_page(&self, subscription: &Subscription, replay: &Replay, after: Place) -> Result<Picks, Error> {
        let found = if replay.only == Only::Failed {
            self.parked_page(subscription, replay, after).await?
        } else {
            self.log_page(subscription, replay, after).await?
        };
        // Asked after the events: what went while they were read is below it.
        let floor = self.inner.store.bounds(&subscription.scope).await?.floor;
        Ok(Picks { floor, ..found })
    }

    async fn log_page(&self, subscription: &Subscription, replay: &Replay, after: Place) -> Result<Picks, Error> {
        let scope = &subscription.scope;
        let slice = Slice { events_max: limits::REPLAY_EVENTS_MAX, bytes_max: BYTES_MAX };
        let events = self.inner.store.events_after(scope, after, slice).await?;
        let to = events.last().map_or(replay.to, |it| it.place(scope)).min(replay.to);
        let events: Vec<_> = events.into_iter().filter(|it| it.place(scope) <= replay.to).collect();
        let looked_at = events.len();
        let condition = self.replay_condition(subscription, replay);
        let events: Vec<_> = events.into_iter().filter(|it| asks_for(replay, condition.as_ref(), it)).collect();
        let places: Vec<Place> = events.iter().map(|it| it.place(scope)).collect();
        let known = if places.is_empty() { Known::default() } else { self.known(subscription, &places).await? };
        let today = subscription.revision().ok_or_else(|| Error::Internal("a subscription without a revision".into()))?;
        let condition = self.filter_of(today, subscription.authority);
        let mut picked = Vec::new();
        for event in events {
            let place = event.place(scope);
            let facts = Facts {
                state: self.state_of(subscription, &event, &known),
                arrived: known.delivered_in(place).is_some(),
                matches: matching::matches(subscription, today, &event) && meets(condition.as_ref(), &event),
            };
            if wants(replay.only, facts) {
                let exception = known.standing(place).and_then(|it| it.exception.as_ref());
                // In the form in which it was owed, if it was.
                let owed = subscription.revision_at(place).filter(|_| self.owes(subscription, &event)).map(|it| it.no);
                let revision = exception.map(|it| it.revision).or(owed).unwrap_or(today.no);
                picked.push(Picked { place, event: event.id, subject: event.subject.clone(), revision });
            }
        }
        Ok(Picks { to, picked, looked_at, floor: 0 })
    }

    async fn parked_page(&self, subscription: &Subscription, replay: &Replay, after: Place) -> Result<Picks, Error> {
        let (no, limit) = (subscription.no, limits::REPLAY_EVENTS_MAX);
        let read = self.inner.dispatcher.exceptions(vec![no], (no, after), limit).await;
        let rows: Vec<Exception> = match read {
            Some(segments) => match segments.all.into_iter().next() {
                Some(segment) => match segment.rows {
                    Some(rows) => rows,
                    None => self.inner.store.exceptions(no, after, limit).await?,
                },
                None => Vec::new(),
            },
            None => self.inner.store.exceptions(no, after, limit).await?,
        };
        let looked_at = rows.len();
        let full = looked_at >= limit;
        let to = rows.last().filter(|_| full).map_or(replay.to, |it| it.place.min(replay.to));
        let condition = self.replay_condition(subscription, replay);
        let mut picked = Vec::new();
        for row in rows.into_iter().filter(|it| it.place <= replay.to && matches!(it.state, ExceptionState::Parked { .. })) {
            let event = self.inner.store.event_at(&subscription.scope, row.place).await?;
            if !event.is_some_and(|it| asks_for(replay, condition.as_ref(), &it)) {
                continue;
            }
            picked.push(Picked { place: row.place, event: row.event, subject: row.subject, revision: row.revision });
        }
        Ok(Picks { to, picked, looked_at, floor: 0 })
    }

    fn replay_condition(&self, subscription: &Subscription, replay: &Replay) -> Option<Expr> {
        self.condition(&replay.types, replay.filter.as_deref()?, subscription.authority)
    }
}

/// Whether the replay itself asks for this event. What was erased is nobody's any more.
fn asks_for(replay: &Replay, condition: Option<&Expr>, event: &Event) -> bool {
    event.erased_at.is_none() && (replay.types.is_empty() || types_match(&replay.types, &event.event_type)) && meets(condition, event)
}
