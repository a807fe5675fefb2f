//! One try: render, sign the exact bytes, send, say what came back.

use super::Done;
use crate::Service;
use bytes::Bytes;
use ringback_engine::{fair::Held, window::Start};
use ringback_model::{
    AttemptId, Timestamp,
    delivery::{Attempt, Outcome},
    event::Event,
    payload::{self, Rendered},
    subscription::{Generation, Push, Revision, Subscription},
};
use ringback_ports::sender::PushRequest;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// What a try needs.
pub(super) struct Job {
    pub(super) subscription: Arc<Subscription>,
    pub(super) generation: Generation,
    pub(super) start: Start,
    /// The slot that it holds.
    pub(super) held: Held,
    /// The event, if the window still holds it.
    pub(super) event: Option<Arc<Event>>,
}

/// What a try brought.
pub(super) struct Came {
    pub(super) attempt: Attempt,
    pub(super) outcome: Outcome,
    /// It told of ourselves (`ringback.*`): what becomes of it is not told again.
    pub(super) own: bool,
}

/// Says that the try is over, also when it broke: a slot is never leaked.
struct Report {
    no: u32,
    generation: Generation,
    place: u64,
    held: Option<Held>,
    started: Timestamp,
    came: Option<Box<Came>>,
    out: mpsc::UnboundedSender<Done>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let Self { no, generation, place, started, .. } = *self;
        if let Some(held) = self.held.take() {
            let _ = self.out.send(Done::Tried { no, generation, place, held, started, came: self.came.take() });
        }
    }
}

pub(super) fn spawn(service: Service, job: Job, out: mpsc::UnboundedSender<Done>) {
    let (no, generation, place) = (job.subscription.no, job.generation, job.start.place);
    tokio::spawn(async move {
        let (held, started) = (Some(job.held.clone()), service.now());
        let mut report = Report { no, generation, place, held, started, came: None, out };
        match run(&service, job).await {
            Ok(came) => report.came = Some(Box::new(came)),
            Err(why) => tracing::warn!(subscription.no = no, "a try could not be made, trying again: {why}"),
        }
    });
}

async fn run(service: &Service, job: Job) -> Result<Came, String> {
    let Job { subscription, generation, start, event, held: _ } = job;
    let event = match event {
        Some(event) => event,
        None => service
            .inner
            .store
            .event_at(&subscription.scope, start.place)
            .await
            .map_err(|it| it.to_string())?
            .ok_or_else(|| format!("event {} is not in the log any more", start.event))?,
    };
    if event.erased_at.is_some() {
        // A crash came between the erasing and its being heard.
        service.inner.dispatcher.forget(vec![event]).await;
        return Err("its event is erased".into());
    }
    let revision = subscription.revision_no(start.revision).ok_or("its revision is gone")?;
    let push = subscription.push.as_ref().ok_or("it is pulled now")?;
    let at = service.now();
    let request = signed(service, &subscription, push, &event, revision, at)?.request(&subscription, push);
    let answered = service.send_as(&subscription, push, request).await?;
    let outcome = answered.outcome;
    let attempt = Attempt {
        id: AttemptId::make(at, service.inner.entropy.bits()),
        event: event.id,
        place: start.place,
        generation,
        n: start.try_no,
        at,
        via: start.via,
        outcome: outcome.as_str().into(),
        reason: outcome.reason().map(Into::into),
        status_code: outcome.status_code(),
        timings: answered.timings,
        peer: answered.peer,
        response: answered.response,
    };
    tracing::debug!(
        subscription.id = %subscription.id,
        event.id = %event.id,
        attempt = start.try_no,
        outcome = outcome.as_str(),
        "attempt {} of {} for {}: {}",
        start.try_no,
        event.id,
        subscription.id,
        outcome.as_str(),
    );
    let own = event.event_type.first_segment() == "ringback";
    Ok(Came { attempt, outcome, own })
}

/// What is sent of an event.
pub(crate) struct Signed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// Makes all of a request but the sending; whether that went well. What is in the shadow shows by it that it would work.
pub(super) fn try_out(service: &Service, subscription: &Subscription, event: &Event, revision: &Revision, at: Timestamp) -> bool {
    let made = match &subscription.push {
        Some(push) => signed(service, subscription, push, event, revision, at).map(drop),
        None => Err("it is pulled now".into()),
    };
    if let Err(why) = &made {
        tracing::warn!(subscription.id = %subscription.id, "what is in the shadow could not be signed, and waits: {why}");
    }
    made.is_ok()
}

impl Signed {
    /// The request of one try.
    pub(crate) fn request(self, subscription: &Subscription, push: &Push) -> PushRequest {
        PushRequest {
            url: push.url.clone(),
            authority: subscription.authority,
            headers: self.headers,
            body: self.body,
            timeout: Duration::from_millis(u64::from(push.timeout_ms)),
        }
    }
}

/// Renders an event as the revision says, and signs exactly those bytes with the time of this try.
pub(crate) fn signed(
    service: &Service,
    subscription: &Subscription,
    push: &Push,
    event: &Event,
    revision: &Revision,
    at: Timestamp,
) -> Result<Signed, String> {
    let Rendered { body, content_type, headers: form } = payload::render(event, revision.payload, &revision.public_url);
    let mut headers =
        vec![("content-type".to_owned(), content_type.to_owned()), ("user-agent".to_owned(), service.inner.config.user_agent.clone())];
    let signature = service.signed_headers(subscription, push, event, &body, at)?;
    headers.extend(signature.into_iter().chain(form).map(|(name, value)| (name.to_owned(), value)));
    headers.extend(push.headers.iter().cloned());
    headers.extend(service.secret_headers(subscription, push)?);
    Ok(Signed { headers, body })
}
