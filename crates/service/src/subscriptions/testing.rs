//! A test: an example event, signed and sent to the endpoint now.
//!
//! It has no place in the log (its `sequence` is 0) and no delivery; nothing of
//! it is kept, and the health of the endpoint does not hear of it. So it works
//! while the subscription is paused, suspended or held.

use crate::{Ctx, Error, Service, deliveries::shown, dispatcher::attempt};
use ringback_engine::trials::TrialRefused;
use ringback_model::{
    AttemptId, EventType, ResourceId, Subject, SubscriptionId,
    delivery::{Attempt, Via},
    event::{Event, EventDraft},
    subscription::{Subscription, TypePattern, types_match},
};
use std::sync::{Arc, PoisonError};

/// What is sent where no event type is named and the subscription's own names none.
const NAMELESS: &str = "ringback.test";

/// Says that a test is over, however it ends.
struct Running<'a> {
    service: &'a Service,
    no: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.service.inner.trials.lock().unwrap_or_else(PoisonError::into_inner).end(self.no);
    }
}

impl Service {
    /// Sends an example of an event type to the endpoint of a subscription, as a try of today's revision would be:
    /// its payload form, headers, signature and deadline. Without a type: one that the subscription is for.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (an operator made it), `Conflict` (it is pulled; one is under way), `UnknownEventType`,
    /// `TestsLimited`, `Draining`.
    pub async fn test_subscription(&self, ctx: &Ctx, id: &SubscriptionId, event_type: Option<EventType>) -> Result<Attempt, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        // A try that has begun ends, whoever waits for it.
        self.whole(async move { service.send_test(&ctx, &id, event_type).await }).await
    }

    async fn send_test(&self, ctx: &Ctx, id: &SubscriptionId, event_type: Option<EventType>) -> Result<Attempt, Error> {
        let subscription = self.find_to_change(ctx, id)?;
        let Some(push) = &subscription.push else {
            let detail = format!("{id} is pulled: there is no endpoint to test. Pull it, or give it one with `push.url`.");
            return Err(Error::Conflict { detail });
        };
        if !self.ready() {
            return Err(Error::Draining);
        }
        if let Some(name) = &event_type
            && !self.event_type_known(&subscription.scope, ctx.authority(), name).await?
        {
            let suggestion = self.event_type_meant(&subscription.scope, ctx.authority(), name).await?;
            return Err(Error::UnknownEventType { pointer: "/type".into(), name: name.to_string(), suggestion });
        }
        let event = self.example_event(ctx, &subscription, event_type)?;
        let now = self.now();
        let started = self.inner.trials.lock().unwrap_or_else(PoisonError::into_inner).start(subscription.no, now);
        started.map_err(|why| match why {
            TrialRefused::Running => Error::Conflict { detail: format!("A test of {id} is under way. Wait for its answer.") },
            TrialRefused::TooMany => Error::TestsLimited { retry_after_secs: 1 },
            TrialRefused::Later(secs) => Error::TestsLimited { retry_after_secs: secs },
        })?;
        let _running = Running { service: self, no: subscription.no };
        let revision = subscription.revision().ok_or_else(|| Error::Internal("a subscription without a revision".into()))?;
        let signed = attempt::signed(self, &subscription, push, &event, revision, now).map_err(Error::Internal)?;
        let answered = self.send_as(&subscription, push, signed.request(&subscription, push)).await.map_err(Error::Internal)?;
        let outcome = answered.outcome;
        tracing::debug!(subscription.id = %subscription.id, outcome = outcome.as_str(), "a test of {}: {}", subscription.id, outcome.as_str());
        let attempt = Attempt {
            id: AttemptId::make(now, self.inner.entropy.bits()),
            event: event.id,
            place: 0,
            generation: subscription.generation,
            n: 1,
            at: now,
            via: Via::Test,
            outcome: outcome.as_str().into(),
            reason: outcome.reason().map(Into::into),
            status_code: outcome.status_code(),
            timings: answered.timings,
            peer: answered.peer,
            response: answered.response,
        };
        Ok(shown(ctx, &subscription, attempt))
    }

    /// An event as the catalogue shows it; `{}` is the data of a type of which it shows nothing.
    fn example_event(&self, ctx: &Ctx, subscription: &Arc<Subscription>, wanted: Option<EventType>) -> Result<Event, Error> {
        let entries = self.declared_entries(ctx.authority());
        let patterns = subscription.revision().map(|it| it.types.clone()).unwrap_or_default();
        let broken = |it: ringback_model::names::NameError| Error::Internal(it.to_string());
        let event_type = match wanted {
            Some(it) => it,
            None => {
                let shown = |it: &&ringback_engine::catalogue::Entry| it.example.is_some() && types_match(&patterns, &it.event_type);
                let exact = patterns.iter().find_map(|it| match it {
                    TypePattern::Exact(name) => Some(name.clone()),
                    TypePattern::Below(_) => None,
                });
                match entries.iter().find(shown).map(|it| it.event_type.clone()).or(exact) {
                    Some(it) => it,
                    None => EventType::parse(NAMELESS).map_err(broken)?,
                }
            }
        };
        let data = entries.into_iter().find(|it| it.event_type == event_type).and_then(|it| it.example);
        let data = data.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
        let subject = subscription.subject.clone().or_else(|| {
            let served = self.types().by_name(event_type.first_segment())?;
            let id = ResourceId::parse(data.get("id")?.as_str()?).ok()?;
            Some(Subject::of_resource(&served.compiled.decl.path, &id))
        });
        let draft = EventDraft {
            id: self.event_id(),
            event_type,
            timestamp: self.now(),
            subject,
            data: data.to_string().into(),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: subscription.authority,
            of: None,
        };
        Ok(draft.place(subscription.tenant.clone(), 0, 0, true))
    }
}
