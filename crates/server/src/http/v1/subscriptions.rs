//! `/v1/subscriptions`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::{SubscriptionId, event::Scope, key};
use ringback_service::{Ctx, Error, NewPush, NewSubscription, ResumeFrom, SubscriptionPatch, SubscriptionView, SubscriptionWritten, json};
use ringback_wire::{
    self as wire, Resume,
    list::List,
    sentences::{self, fields},
    subscription::{From, Health},
};

/// `GET /v1/subscriptions`: in order of id.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let page = call.service().subscriptions(&call.ctx, call.query.limit()?, call.query.one("after")).await?;
    let data = page.items.iter().map(|it| view(it, None)).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

/// `POST /v1/subscriptions`: the only answer that shows the secret.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    const EXAMPLE: &str = r#"{"types":["payment.*"],"push":{"url":"https://yourapp.com/webhook"}}"#;
    let new = wire::NewSubscription::read(&json::parse_value(call.json(false, EXAMPLE)?)?)?;
    let (ctx, all_tenants) = scope(&call, new.scope.as_ref())?;
    let from = match new.from {
        From::Now => "now".to_owned(),
        From::Start => "start".to_owned(),
        From::Position(text) => text,
    };
    let new = NewSubscription {
        description: new.description,
        metadata: new.metadata,
        types: new.types,
        strict: new.strict,
        subject: new.subject,
        until: new.until,
        from: from.clone(),
        payload: new.payload,
        order: new.order,
        push: NewPush {
            url: new.push.url,
            secret: new.push.secret,
            headers: new.push.headers,
            timeout_ms: new.push.timeout_ms,
            concurrency_max: new.push.concurrency_max,
            rate_max_per_s: new.push.rate_max_per_s,
            delays: new.push.delays,
        },
        all_tenants,
    };
    let (write, finish) = call.write(move |made: &SubscriptionWritten| {
        let it = &made.view;
        Answer::view(StatusCode::CREATED, &view(it, made.secret.clone()))
            .etag(it.subscription.version)
            .location(&format!("/v1/subscriptions/{}", it.subscription.id))
            .secret()
    });
    finish(call.service().create_subscription(&ctx, new, write).await?)
}

/// Whose events a new subscription reads: the request's tenant's, or those that the body names.
fn scope(call: &Call, named: Option<&Scope>) -> Result<(Ctx, bool), Failure> {
    match (named, &call.ctx.scope) {
        (None, _) => Ok((call.ctx.clone(), false)),
        (Some(Scope::All), _) => Ok((call.ctx.clone(), true)),
        (Some(named), own) if named == own => Ok((call.ctx.clone(), false)),
        (Some(Scope::Tenant(named)), Scope::All) => {
            let caller = call.ctx.caller.clone();
            Ok((call.service().ctx(caller, Some(named.as_str()), key::Scope::SubscriptionsWrite, false)?, false))
        }
        (Some(Scope::Tenant(named)), Scope::Tenant(own)) => {
            let detail =
                format!("The request is about the tenant `{own}`, and the body names `{named}`. Leave `tenant` out, or name it alike.");
            Err(sentences::fields_refused(vec![fields::invalid("/tenant", &detail)]).into())
        }
    }
}

/// `GET /v1/subscriptions/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let found = call.service().subscription(&call.ctx, &id(&call)?).await?;
    call.unless_known(found.subscription.version, || Answer::view(StatusCode::OK, &view(&found, None)))
}

/// `PATCH /v1/subscriptions/{id}`: a merge patch.
pub(crate) async fn patch(mut call: Call) -> Result<Answer, Failure> {
    let (service, id, if_match) = (call.service(), id(&call)?, call.if_match()?);
    let read = wire::PatchSubscription::read(&json::parse_value(call.json(true, r#"{"types":["payment.*"]}"#)?)?)?;
    let before = service.subscription(&call.ctx, &id).await?.subscription;
    let patch = SubscriptionPatch {
        description: read.description,
        metadata: read.metadata.map(|it| it.apply_to_metadata(&before.metadata)).transpose()?,
        types: read.types,
        strict: read.strict,
        payload: read.payload,
        order: read.order,
        url: read.url,
        secret: None,
        headers: read.headers.map(|it| it.apply_to_headers(&before.push.headers)).transpose()?,
        timeout_ms: read.timeout_ms,
        concurrency_max: read.concurrency_max,
        rate_max_per_s: read.rate_max_per_s,
        delays: read.delays,
    };
    let (write, finish) = call.write(written);
    let result = service.patch_subscription(&call.ctx, &id, patch, if_match, write).await;
    finish(with_current(&call, &id, result).await?)
}

/// `DELETE /v1/subscriptions/{id}`.
pub(crate) async fn delete(mut call: Call) -> Result<Answer, Failure> {
    let (id, if_match) = (id(&call)?, call.if_match()?);
    let (write, finish) = call.write(written);
    let result = call.service().delete_subscription(&call.ctx, &id, if_match, write).await;
    finish(with_current(&call, &id, result).await?)
}

/// `POST /v1/subscriptions/{id}/pause`.
pub(crate) async fn pause(mut call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    call.no_body()?;
    let (write, finish) = call.write(written);
    finish(call.service().pause(&call.ctx, &id, write).await?)
}

/// `POST /v1/subscriptions/{id}/resume`: no body goes on where it stood.
pub(crate) async fn resume(mut call: Call) -> Result<Answer, Failure> {
    let id = id(&call)?;
    let from = match Resume::read(call.json_if_any()?.as_ref())? {
        Resume::Cursor => ResumeFrom::Cursor,
        Resume::Now => ResumeFrom::Now,
    };
    let (write, finish) = call.write(written);
    finish(call.service().resume(&call.ctx, &id, from, write).await?)
}

fn id(call: &Call) -> Result<SubscriptionId, Failure> {
    call.id(0, "subscription")
}

/// A failed precondition shows what is there now.
async fn with_current<T>(call: &Call, id: &SubscriptionId, result: Result<T, Error>) -> Result<T, Failure> {
    match result {
        Err(Error::PreconditionFailed { current, body: None }) if current > 0 => {
            let now = call.service().subscription(&call.ctx, id).await?;
            let body = serde_json::to_vec(&view(&now, None)).unwrap_or_default();
            Err(Error::PreconditionFailed { current, body: Some(body.into()) }.into())
        }
        other => Ok(other?),
    }
}

fn written(made: &SubscriptionWritten) -> Answer {
    if made.deleted {
        return Answer::empty(StatusCode::NO_CONTENT);
    }
    Answer::view(StatusCode::OK, &view(&made.view, None)).etag(made.view.subscription.version)
}

fn view(it: &SubscriptionView, secret: Option<String>) -> wire::SubscriptionView {
    let health = Health { state: it.health.state, why: it.health.why.clone(), since: it.health.since.to_string() };
    wire::SubscriptionView::of(&it.subscription, it.cursor.clone(), it.lag, health, secret)
}
