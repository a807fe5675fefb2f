//! `/v1/tenants`: for operators.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::TenantId;
use ringback_service::{Error, TenantWritten};
use ringback_wire::{PutTenant, TenantView, list::List};

/// `GET /v1/tenants`: in order of id.
pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let page = call.service().tenants(&call.ctx, call.query.limit()?, call.query.one("after"))?;
    let data = page.items.iter().map(TenantView::of).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

/// `GET /v1/tenants/{id}`.
pub(crate) fn get(call: &Call) -> Result<Answer, Failure> {
    let tenant = call.service().tenant(&call.ctx, &call.id(0, "tenant")?)?;
    call.unless_known(tenant.version, || Answer::view(StatusCode::OK, &TenantView::of(&tenant)))
}

/// `PUT /v1/tenants/{id}`: makes it, or changes what is given of it.
pub(crate) async fn put(mut call: Call) -> Result<Answer, Failure> {
    let id = TenantId::parse(call.param(0)).map_err(|it| Failure::parameter("id", &it.text, it.rule))?;
    let if_match = call.if_match()?;
    // A name is enough to make one: no body is an empty one.
    let body = call.json_if_any()?.unwrap_or_else(|| serde_json::json!({}));
    let put = PutTenant::read(&body)?;
    let metadata = body.get("metadata").is_some().then_some(put.metadata);
    let (write, finish) = call.write(|made: &TenantWritten| {
        let status = if made.created { StatusCode::CREATED } else { StatusCode::OK };
        let answer = Answer::view(status, &TenantView::of(&made.tenant)).etag(made.tenant.version);
        if made.created { answer.location(&format!("/v1/tenants/{}", made.tenant.id)) } else { answer }
    });
    let result = call.service().put_tenant(&call.ctx, id.clone(), put.name, metadata, if_match, write).await;
    finish(result.map_err(|it| with_current(&call, &id, it))?)
}

/// A failed precondition shows what is there now.
fn with_current(call: &Call, id: &TenantId, error: Error) -> Error {
    match (error, call.service().tenant(&call.ctx, id)) {
        (Error::PreconditionFailed { current, body: None }, Ok(now)) => {
            Error::PreconditionFailed { current, body: Some(Answer::view(StatusCode::OK, &TenantView::of(&now)).body) }
        }
        (other, _) => other,
    }
}
