//! `/v1/keys`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_service::{KeyWritten, NewKey, json};
use ringback_wire::{self as wire, KeyView, list::List};

/// `GET /v1/keys`: in order of id.
pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let page = call.service().keys(&call.ctx, call.query.limit()?, call.query.one("after"))?;
    let data = page.items.iter().map(|it| KeyView::of(it, None, None)).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

/// `GET /v1/keys/{id}`.
pub(crate) fn get(call: &Call) -> Result<Answer, Failure> {
    let key = call.service().key(&call.ctx, call.id(0, "key")?)?;
    Ok(Answer::view(StatusCode::OK, &KeyView::of(&key, None, None)))
}

/// `POST /v1/keys`: the only answer that shows the key itself.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    let body = json::parse_value(call.json(false, r#"{"role":"tenant","tenant":"acme"}"#)?)?;
    let wire::NewKey { role, tenant, scopes, description, expires_at, rate_max_per_s } = wire::NewKey::read(&body)?;
    // Scopes that were not given are for the service to choose: never more than the maker's.
    let scopes = body.get("scopes").is_some_and(|it| !it.is_null()).then_some(scopes);
    let (write, finish) = call.write(|made: &KeyWritten| {
        Answer::view(StatusCode::CREATED, &KeyView::of(&made.key, None, Some(made.text.clone())))
            .location(&format!("/v1/keys/{}", made.key.id))
            .secret()
    });
    finish(call.service().create_key(&call.ctx, NewKey { role, tenant, scopes, description, expires_at, rate_max_per_s }, write).await?)
}

/// `DELETE /v1/keys/{id}`.
pub(crate) async fn delete(mut call: Call) -> Result<Answer, Failure> {
    let id = call.id(0, "key")?;
    let (write, finish) = call.write(|(): &()| Answer::empty(StatusCode::NO_CONTENT));
    finish(call.service().delete_key(&call.ctx, id, write).await?)
}
