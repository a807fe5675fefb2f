//! `/v1/deliveries`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::{DeliveryId, EventId, Subject, SubscriptionId, delivery::DeliveryState};
use ringback_service::{DeliveryQuery, DeliveryView};
use ringback_wire::{self as wire, AttemptView, list::List};

/// `GET /v1/deliveries`: of a subscription, of an event, or those that did not succeed at first try.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let query = &call.query;
    let states = || DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    let query = DeliveryQuery {
        subscription: parameter(&call, "subscription", |it| SubscriptionId::parse(it).ok(), || "a subscription's id".into())?,
        event: parameter(&call, "event", |it| it.parse::<EventId>().ok(), || "an event's id, `evt_` and 26 characters".into())?,
        state: parameter(&call, "state", DeliveryState::parse, || format!("one of: {}", states()))?,
        status_code: parameter(
            &call,
            "status_code",
            |it| it.parse::<u16>().ok().filter(|it| (100..=999).contains(it)),
            || "a status code, 100 to 999".into(),
        )?,
        types: super::events::types(&call)?,
        subject: parameter(&call, "subject", |it| Subject::parse(it).ok(), || "a subject, such as `/payment/123`".into())?,
        since: parameter(&call, "since", |it| wire::read::parse_time(it).ok(), || TIME.into())?,
        until: parameter(&call, "until", |it| wire::read::parse_time(it).ok(), || TIME.into())?,
        limit: query.limit()?,
        after: query.one("after").map(Into::into),
    };
    let page = call.service().deliveries(&call.ctx, query).await?;
    let data = page.items.iter().map(view).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

const TIME: &str = "an RFC 3339 time, such as `2026-11-23T18:00:00Z`";

fn parameter<T>(
    call: &Call,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    expected: impl FnOnce() -> String,
) -> Result<Option<T>, Failure> {
    let Some(text) = call.query.one(name) else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| Failure::parameter(name, text, expected()))
}

/// `GET /v1/deliveries/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let found = call.service().delivery(&call.ctx, id(&call)?).await?;
    Ok(Answer::view(StatusCode::OK, &view(&found)))
}

/// `GET /v1/deliveries/{id}/attempts`: the first one first.
pub(crate) async fn attempts(call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    let attempts = call.service().attempts(&call.ctx, id).await?;
    Ok(Answer::view(StatusCode::OK, &List::whole(attempts.iter().map(|it| AttemptView::of(it, id)).collect())))
}

/// `POST /v1/deliveries/{id}/retry`: now, whatever is due.
pub(crate) async fn retry(mut call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    call.no_body()?;
    let (write, finish) = call.write(|made: &DeliveryView| Answer::view(StatusCode::ACCEPTED, &view(made)));
    finish(call.service().retry_delivery(&call.ctx, id, write).await?)
}

/// `POST /v1/deliveries/{id}/cancel`: never, unless somebody replays it.
pub(crate) async fn cancel(mut call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    call.no_body()?;
    let (write, finish) = call.write(|made: &DeliveryView| Answer::view(StatusCode::OK, &view(made)));
    finish(call.service().cancel_delivery(&call.ctx, id, write).await?)
}

fn id(call: &Call) -> Result<DeliveryId, Failure> {
    call.id(0, "delivery")
}

pub(super) fn view(it: &DeliveryView) -> wire::DeliveryView {
    wire::DeliveryView {
        id: it.id.to_string(),
        subscription: it.subscription.to_string(),
        event: it.event.to_string(),
        event_type: it.event_type.to_string(),
        subject: it.subject.as_ref().map(ToString::to_string),
        state: it.state.as_str(),
        reason: it.reason.clone(),
        tries: it.tries,
        due_at: it.due_at.map(|it| it.to_string()),
        created_at: it.created_at.to_string(),
        last_attempt: it.last_attempt.as_ref().map(|attempt| Box::new(AttemptView::of(attempt, it.id))),
    }
}
