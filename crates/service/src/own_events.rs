//! What we tell ourselves: `ringback.*` events about subscriptions whose
//! endpoints fail and deliveries that are parked, so that a human can be told.
//!
//! They are ordinary events of the tenant whose subscription they are about, for
//! eyes that may see that subscription. They never reach the subscription that
//! they are about (`engine::matching`), and their own deliveries make none.

use crate::{Ctx, Error, Service, Write};
use ringback_engine::health::SUSPEND_AFTER;
use ringback_model::{
    EventId, EventType, Subject, Timestamp,
    event::{EventDraft, Place, Scope},
    subscription::{Failing, State, Subscription},
};
use ringback_ports::store::ChangeSet;
use serde_json::json;
use std::time::Duration;

/// All own events that exist, and what they say.
pub(crate) const OWN_EVENTS: [(&str, &str); 6] = [
    ("ringback.delivery.parked", "deliveries of a subscription were given up"),
    ("ringback.log.restored", "the log goes on from a backup"),
    ("ringback.subscription.failing", "nothing has arrived at an endpoint for a while"),
    ("ringback.subscription.resumed", "a subscription was let go on"),
    ("ringback.subscription.suspended", "a subscription was stopped by us"),
    ("ringback.subscription.truncated", "events went by retention before a subscription was done with them"),
];

/// Tries to write one down before it is given up: it is news, and news age.
const WRITES_MAX: u32 = 30;

/// Why a subscription was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspended {
    /// Its endpoint said 410 twice.
    Gone,
    /// Nothing arrived for days.
    Silent(Failing),
}

/// Deliveries that were parked within a minute.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    /// How many.
    pub(crate) count: u64,
    /// The event of the last one, and why it was parked.
    pub(crate) last: EventId,
    pub(crate) reason: String,
}

impl Service {
    fn own_event(
        &self,
        event_type: &'static str,
        about: &Subscription,
        more: serde_json::Value,
        now: Timestamp,
    ) -> Result<EventDraft, Error> {
        let broken = |it: ringback_model::names::NameError| Error::Internal(it.to_string());
        let mut data = json!({ "subscription": about.id.as_str(), "description": about.description });
        if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        Ok(EventDraft {
            id: self.event_id(),
            event_type: EventType::parse(event_type).map_err(broken)?,
            timestamp: now,
            subject: Some(Subject::parse(&format!("/v1/subscriptions/{}", about.id)).map_err(broken)?),
            data: data.to_string().into(),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            // What an operator made is nobody else's business.
            audience: about.authority,
            of: None,
        })
    }

    /// It failed for so long.
    fn failing_event(&self, about: &Subscription, failing: Failing, now: Timestamp) -> Result<EventDraft, Error> {
        let more = json!({ "since": failing.since.to_string(), "tries": failing.tries, "suspended_after_s": SUSPEND_AFTER.as_secs() });
        self.own_event("ringback.subscription.failing", about, more, now)
    }

    /// It is suspended.
    pub(crate) fn suspended_event(&self, about: &Subscription, why: Suspended, now: Timestamp) -> Result<EventDraft, Error> {
        let more = match why {
            Suspended::Gone => json!({ "why": "gone" }),
            Suspended::Silent(it) => json!({ "why": "no-success", "since": it.since.to_string(), "tries": it.tries }),
        };
        self.own_event("ringback.subscription.suspended", about, more, now)
    }

    /// It goes on after it was suspended.
    pub(crate) fn resumed_event(&self, about: &Subscription, from: &'static str, now: Timestamp) -> Result<EventDraft, Error> {
        self.own_event("ringback.subscription.resumed", about, json!({ "from": from }), now)
    }

    /// Retention overtook it: so many places of its log were not read, so many exceptions go with their events.
    pub(crate) fn truncated_event(
        &self,
        about: &Subscription,
        unread: u64,
        exceptions: usize,
        floor: Place,
        now: Timestamp,
    ) -> Result<EventDraft, Error> {
        let count = unread.saturating_add(u64::try_from(exceptions).unwrap_or(u64::MAX));
        let more = json!({ "count": count, "unread": unread, "exceptions": exceptions, "floor": floor });
        self.own_event("ringback.subscription.truncated", about, more, now)
    }

    /// Writes down, and announces, that nothing arrives (`Some`), or that something does again.
    pub(crate) fn note_failing(&self, no: u32, failing: Option<Failing>) {
        let service = self.clone();
        tokio::spawn(async move {
            for _ in 0..WRITES_MAX {
                match service.note_failing_once(no, failing).await {
                    Ok(()) | Err(Error::Draining) => return,
                    Err(why) => tracing::warn!(subscription.no = no, "its failing could not be written down yet, trying again: {why:?}"),
                }
                service.inner.clock.sleep(Duration::from_secs(1)).await;
            }
        });
    }

    async fn note_failing_once(&self, no: u32, failing: Option<Failing>) -> Result<(), Error> {
        let Some(before) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        let _turn = self.turn_with(&before).await;
        let Some(before) = self.registry().subscription_no(no).cloned().filter(|it| it.state == State::Active && it.failing != failing)
        else {
            return Ok(());
        };
        let now = self.now();
        let events = failing.map(|it| self.failing_event(&before, it, now)).transpose()?.into_iter().collect();
        // Nothing that its owner sees of the subscription changes: the version stays.
        let after = Subscription { failing, ..(*before).clone() };
        let action = if failing.is_some() { "subscription.failing" } else { "subscription.recovered" };
        self.replace_telling(&self_ctx(&before), &before, after, action, events, Write::plain()).await?;
        if let Some(it) = failing {
            tracing::warn!(subscription.id = %before.id, "nothing has arrived at {} since {}, in {} tries", before.id, it.since, it.tries);
        } else {
            tracing::info!(subscription.id = %before.id, "{} takes events again", before.id);
        }
        Ok(())
    }

    /// Announces parked deliveries.
    pub(crate) fn note_parked(&self, no: u32, parked: Parked) {
        let service = self.clone();
        tokio::spawn(async move {
            for _ in 0..WRITES_MAX {
                match service.note_parked_once(no, &parked).await {
                    Ok(()) | Err(Error::Draining) => return,
                    Err(why) => tracing::warn!(subscription.no = no, "parked deliveries could not be announced yet, trying again: {why:?}"),
                }
                service.inner.clock.sleep(Duration::from_secs(1)).await;
            }
        });
    }

    async fn note_parked_once(&self, no: u32, parked: &Parked) -> Result<(), Error> {
        let Some(about) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        let now = self.now();
        let more = json!({ "count": parked.count, "last_event": parked.last.to_string(), "reason": parked.reason });
        let mut set = ChangeSet::new(about.tenant.clone(), now);
        set.events.push(self.own_event("ringback.delivery.parked", &about, more, now)?);
        self.inner.store.commit(set).await?;
        Ok(())
    }
}

/// With whose authority we change a subscription by ourselves.
pub(crate) fn self_ctx(about: &Subscription) -> Ctx {
    Ctx { caller: crate::Caller::socket_operator(), scope: Scope::Tenant(about.tenant.clone()) }
}
