//! `/v1/subscriptions`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use futures_util::FutureExt;
use http::StatusCode;
use ringback_model::{EventId, SubscriptionId, event::Scope, key, signing::Signing};
use ringback_service::{
    Clause, Ctx, Error, NewPush, NewSubscription, PullQuery, ResumeFrom, SigningKeys, SigningPatch, SubscriptionPatch, SubscriptionView,
    SubscriptionWritten, Word, json,
};
use ringback_wire::{
    self as wire, AttemptView, ClauseView, ExplainedView, Resume, Settle, SettledView, WaitsView,
    list::List,
    pull::PulledView,
    sentences::{self, fields},
    signing::{Rotate, SigningKeysView},
    subscription::{From, Health},
};
use std::time::Duration;

/// `GET /v1/subscriptions`: in order of id.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let page = call.service().subscriptions(&call.ctx, call.query.limit()?, call.query.one("after")).await?;
    let data = page.items.iter().map(|it| view(it, None)).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

const EXAMPLE: &str = r#"{"types":["payment.*"],"push":{"url":"https://yourapp.com/webhook"}}"#;

/// `POST /v1/subscriptions`: the only answer that shows the secret.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    let (ctx, new) = new_subscription(&call)?;
    let (write, finish) = call.write(written);
    finish(call.service().create_subscription(&ctx, new, write).await?)
}

/// `PUT /v1/subscriptions/{id}`: makes it, or makes it what the body says.
pub(crate) async fn put(mut call: Call) -> Result<Answer, Failure> {
    let (id, if_match) = (id(&call)?, call.if_match()?);
    let (ctx, new) = new_subscription(&call)?;
    let (write, finish) = call.write(written);
    let result = call.service().put_subscription(&ctx, &id, new, if_match, write).await;
    finish(with_current(&call, &id, result).await?)
}

/// The body that says all of a subscription, and on whose behalf it is made.
fn new_subscription(call: &Call) -> Result<(Ctx, NewSubscription), Failure> {
    let new = wire::NewSubscription::read(&json::parse_value(call.json(false, EXAMPLE)?)?)?;
    let (ctx, all_tenants) = scope(call, new.scope.as_ref())?;
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
        filter: new.filter,
        from,
        payload: new.payload,
        order: new.order,
        push: new.push.map(|push| NewPush {
            url: push.url,
            secret: push.secret,
            signing: push.signing.apply(Signing::default()),
            headers: push.headers,
            timeout_ms: push.timeout_ms,
            concurrency_max: push.concurrency_max,
            rate_max_per_s: push.rate_max_per_s,
            delays: push.delays,
            access: push.access,
        }),
        all_tenants,
        state: new.state,
    };
    Ok((ctx, new))
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
    let patch = SubscriptionPatch {
        description: read.description,
        metadata: read.metadata,
        types: read.types,
        filter: read.filter,
        strict: read.strict,
        payload: read.payload,
        order: read.order,
        url: read.url,
        secret: None,
        headers: read.headers,
        timeout_ms: read.timeout_ms,
        concurrency_max: read.concurrency_max,
        rate_max_per_s: read.rate_max_per_s,
        delays: read.delays,
        signing: signing(read.signing),
        access: read.access,
        pulled: read.pulled,
        state: read.state,
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

/// `POST /v1/subscriptions/{id}/test`: an example is sent now; the attempt.
pub(crate) async fn test(call: Call) -> Result<Answer, Failure> {
    let test = wire::Test::read(call.json_if_any()?.as_ref())?;
    let attempt = call.service().test_subscription(&call.ctx, &id(&call)?, test.event_type).await?;
    Ok(Answer::view(StatusCode::OK, &AttemptView::of_test(&attempt)))
}

/// `POST /v1/subscriptions/{id}/seek`: goes on somewhere else in the log.
pub(crate) async fn seek(mut call: Call) -> Result<Answer, Failure> {
    let (id, if_match) = (id(&call)?, call.if_match()?);
    let seek = wire::Seek::read(&json::parse_value(call.json(false, r#"{"to":"start"}"#)?)?)?;
    let (write, finish) = call.write(written);
    let result = call.service().seek(&call.ctx, &id, seek.to, if_match, write).await;
    finish(with_current(&call, &id, result).await?)
}

/// `POST /v1/subscriptions/{id}/pull`: hands out events, or waits for a first one.
pub(crate) async fn pull(call: Call) -> Result<Answer, Failure> {
    let (service, id) = (call.service(), id(&call)?);
    let asked = wire::Pull::read(call.json_if_any()?.as_ref())?;
    let query = PullQuery { limit: asked.limit, wait: Duration::ZERO, lease: Duration::from_secs(asked.lease.into()) };
    let pulled = call
        .waiting(Duration::from_secs(asked.wait.into()), |wait| {
            let (service, ctx, id, query) = (service.clone(), &call.ctx, id.clone(), PullQuery { wait, ..query });
            async move { service.pull(ctx, &id, query).await }.boxed()
        })
        .await?;
    let view = PulledView {
        tries: pulled.tries.iter().map(|(id, tries)| (id.to_string(), *tries)).collect(),
        ack: pulled.ack,
        lease_until: pulled.lease_until.to_string(),
        lag: pulled.lag,
    };
    // Who was handed something twice would do it twice.
    Ok(Answer::json(StatusCode::OK, view.bytes(pulled.events.iter().map(AsRef::as_ref))).secret())
}

/// `POST /v1/subscriptions/{id}/ack`.
pub(crate) async fn ack(call: Call) -> Result<Answer, Failure> {
    let said = Settle::ack(&json::parse_value(call.json(false, r#"{"ack":"…"}"#)?)?)?;
    settle(&call, &said, Word::Ack).await
}

/// `POST /v1/subscriptions/{id}/nack`.
pub(crate) async fn nack(call: Call) -> Result<Answer, Failure> {
    let said = Settle::nack(&json::parse_value(call.json(false, r#"{"ack":"…","delay":60}"#)?)?)?;
    settle(&call, &said, Word::Nack { delay: said.time }).await
}

/// `POST /v1/subscriptions/{id}/extend`.
pub(crate) async fn extend(call: Call) -> Result<Answer, Failure> {
    let said = Settle::extend(&json::parse_value(call.json(false, r#"{"ack":"…","lease":60}"#)?)?)?;
    settle(&call, &said, Word::Extend { lease: said.time }).await
}

async fn settle(call: &Call, said: &Settle, word: Word) -> Result<Answer, Failure> {
    let did = call.service().settle_pulled(&call.ctx, &id(call)?, &said.ack, said.events.as_deref(), word).await?;
    let view = SettledView {
        settled: did.settled,
        late: did.late.iter().map(ToString::to_string).collect(),
        lease_until: did.lease_until.map(|it| it.to_string()),
    };
    Ok(Answer::view(StatusCode::OK, &view))
}

/// `GET /v1/subscriptions/{id}/secret`: the keys that it signs with, without what is secret of them.
pub(crate) async fn secret(call: Call) -> Result<Answer, Failure> {
    let found = call.service().signing_keys(&call.ctx, &id(&call)?)?;
    Ok(keys(&found))
}

/// `POST /v1/subscriptions/{id}/rotate-secret`: the only answer that shows the new secret.
pub(crate) async fn rotate_secret(mut call: Call) -> Result<Answer, Failure> {
    let (service, id, if_match) = (call.service(), id(&call)?, call.if_match()?);
    let Rotate { secret, overlap } = Rotate::read(call.json_if_any()?.as_ref())?;
    let (write, finish) = call.write(keys);
    let result = service.rotate_secret(&call.ctx, &id, secret, overlap, if_match, write).await;
    finish(with_current(&call, &id, result).await?)
}

fn keys(it: &SigningKeys) -> Answer {
    let answer = Answer::view(StatusCode::OK, &SigningKeysView::of(&it.keys, it.secret.clone(), it.at)).etag(it.version);
    if it.secret.is_some() { answer.secret() } else { answer }
}

fn signing(it: wire::signing::SigningPatch) -> SigningPatch {
    SigningPatch { algorithm: it.algorithm, profile: it.profile, webhook_id: it.webhook_id }
}

/// `GET /v1/subscriptions/{id}/explain?event=`: why it was, was not, or is not yet delivered.
pub(crate) async fn explain(call: Call) -> Result<Answer, Failure> {
    let given = call.query.one("event").unwrap_or_default();
    let event = given.parse::<EventId>().map_err(|_| Failure::parameter("event", given, "an event's id, `evt_` and 26 characters"))?;
    let (explained, delivery) = call.service().explain(&call.ctx, &id(&call)?, event).await?;
    let clause = |it: Clause| ClauseView { clause: it.clause, matched: it.matched, why: it.why };
    let view = ExplainedView {
        verdict: explained.verdict,
        clauses: explained.clauses.into_iter().map(clause).collect(),
        delivery: delivery.as_ref().map(super::deliveries::view),
    };
    Ok(Answer::view(StatusCode::OK, &view))
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
    let it = &made.view;
    let status = if made.created { StatusCode::CREATED } else { StatusCode::OK };
    let shown = wire::SubscriptionView {
        skipped: made.skipped,
        waits: made.waits.map(|it| WaitsView { events: it.events, retries: it.retries }),
        ..view(it, made.secret.clone())
    };
    let answer = Answer::view(status, &shown).etag(it.subscription.version);
    let answer = if made.created { answer.location(&format!("/v1/subscriptions/{}", it.subscription.id)) } else { answer };
    if made.secret.is_some() { answer.secret() } else { answer }
}

fn view(it: &SubscriptionView, secret: Option<String>) -> wire::SubscriptionView {
    let health = Health { state: it.health.state, why: it.health.why.clone(), since: it.health.since.to_string() };
    let oldest_at = it.oldest_at.map(|it| it.to_string());
    wire::SubscriptionView {
        oldest_at,
        shadowed: it.shadowed,
        ..wire::SubscriptionView::of(&it.subscription, it.cursor.clone(), it.lag, health, secret)
    }
}
