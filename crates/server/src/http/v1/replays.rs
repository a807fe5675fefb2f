//! `/v1/replays`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::{ReplayId, SubscriptionId};
use ringback_service::{NewReplay, ReplayView, json};
use ringback_wire::{
    self as wire,
    list::List,
    replay::{CountedView, ReplayView as View},
};

const EXAMPLE: &str = r#"{"subscription":"sub_…","only":"failed","since":"2026-11-23T00:00:00Z"}"#;

/// `POST /v1/replays`: with `dry_run` only a count.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    let asked = wire::NewReplay::read(&json::parse_value(call.json(false, EXAMPLE)?)?)?;
    let new = NewReplay {
        subscription: asked.subscription,
        since: asked.since,
        until: asked.until,
        types: asked.types,
        filter: asked.filter,
        only: asked.only,
        rate_max_per_s: asked.rate_max_per_s,
    };
    if asked.dry_run {
        let counted = call.service().count_replay(&call.ctx, &new).await?;
        let view = CountedView {
            dry_run: true,
            subscription: new.subscription.to_string(),
            only: new.only.as_str(),
            matched: counted.matched,
            gone: counted.gone,
            complete: counted.complete,
        };
        return Ok(Answer::view(StatusCode::OK, &view));
    }
    let (write, finish) = call.write(|made: &ReplayView| {
        let answer = Answer::view(StatusCode::CREATED, &view(made));
        answer.location(&format!("/v1/replays/{}", made.replay.id))
    });
    finish(call.service().create_replay(&call.ctx, new, write).await?)
}

/// `GET /v1/replays`: the last one first.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let query = &call.query;
    let subscription = match query.one("subscription") {
        None => None,
        Some(text) => Some(SubscriptionId::parse(text).map_err(|_| Failure::parameter("subscription", text, "a subscription's id"))?),
    };
    let page = call.service().replays(&call.ctx, subscription.as_ref(), query.limit()?, query.one("after")).await?;
    let data = page.items.iter().map(view).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

/// `GET /v1/replays/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let found = call.service().replay(&call.ctx, id(&call)?).await?;
    Ok(Answer::view(StatusCode::OK, &view(&found)))
}

/// `DELETE /v1/replays/{id}`: ends it; it stays to be looked at.
pub(crate) async fn cancel(mut call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    let (write, finish) = call.write(|made: &ReplayView| Answer::view(StatusCode::OK, &view(made)));
    finish(call.service().cancel_replay(&call.ctx, id, write).await?)
}

fn id(call: &Call) -> Result<ReplayId, Failure> {
    call.id(0, "replay")
}

fn view(it: &ReplayView) -> View {
    View::of(&it.replay, it.subscription.as_str())
}
