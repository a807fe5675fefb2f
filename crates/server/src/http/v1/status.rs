//! `{path}/{id}/status`.

use super::resources::id;
use crate::http::{answer::Answer, call::Call, conditional, failure::Failure};
use core::time::Duration;
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, header};
use ringback_service::{StatusQuery, StatusView};
use ringback_wire::{
    self as wire,
    status::{Subscribe, parse_until},
};

/// `GET {path}/{id}/status`: now, once it differs, or once it is one of `until`.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let (service, ty, id) = (call.service(), call.ty()?, id(&call)?);
    let until = match call.query.one("until") {
        None => None,
        Some(text) => Some(parse_until(text).map_err(|rule| Failure::parameter("until", text, rule))?),
    };
    let known = conditional::if_none_match(&call.headers)?;
    let mut wait = call.query.wait(&call.headers)?;
    if until.is_none() && known.is_none() {
        // Without a condition there is nothing to wait for.
        wait = Duration::ZERO;
    }
    let view = call
        .waiting(wait, |wait| {
            let (service, ctx, ty, id) = (&service, &call.ctx, &ty, &id);
            let query = StatusQuery { if_none_match: known.clone(), until: until.clone(), wait };
            async move { service.status(ctx, ty, id, query).await }.boxed()
        })
        .await?;
    if let Some(view) = view {
        return Ok(shown(&view));
    }
    // Nothing has changed: the caller is told when to ask again, and no more.
    let now = service.status(&call.ctx, &ty, &id, StatusQuery::default()).await?;
    Ok(match now {
        Some(now) if known.is_some_and(|it| it.matches(now.version)) => {
            paced(Answer::empty(StatusCode::NOT_MODIFIED).etag(now.version), &now)
        }
        Some(now) => shown(&now),
        None => Answer::empty(StatusCode::NOT_MODIFIED),
    })
}

fn shown(it: &StatusView) -> Answer {
    let view = wire::StatusView {
        id: it.id.to_string(),
        status: it.status.to_string(),
        done: it.done,
        version: it.version,
        since: it.since.to_string(),
        next: it.next.iter().map(ToString::to_string).collect(),
        events: it.events.iter().map(ToString::to_string).collect(),
        subscribe: Subscribe::to(it.subject.as_str()),
    };
    paced(Answer::view(StatusCode::OK, &view).etag(it.version), it)
}

/// Says when to ask again, while it is not done.
fn paced(answer: Answer, it: &StatusView) -> Answer {
    match it.retry_after {
        // Whole seconds are all that the header holds; never sooner than asked.
        Some(after) => answer.with(header::RETRY_AFTER, HeaderValue::from(after.as_millis().div_ceil(1_000).max(1) as u64)),
        None => answer,
    }
}
