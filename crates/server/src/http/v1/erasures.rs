//! `/v1/erasures`: for operators.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::erasure::Erasure;
use ringback_service::{Wanted, json};
use ringback_wire::{ErasureView, NewErasure, list::List};

/// `POST /v1/erasures`: written down when it is answered, done soon after.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    let body = json::parse_value(call.json(false, r#"{"subject":"/payment/123"}"#)?)?;
    let wanted = match NewErasure::read(&body)? {
        NewErasure::Subject(it) => Wanted::Subject(it),
        NewErasure::Event(it) => Wanted::Event(it),
        NewErasure::Key(it) => Wanted::Key(it),
        NewErasure::Tenant(it) => Wanted::Tenant(it),
    };
    let (write, finish) = call.write(|made: &Erasure| Answer::view(StatusCode::ACCEPTED, &ErasureView::of(made)));
    finish(call.service().erase(&call.ctx, wanted, write).await?)
}

/// `GET /v1/erasures`: the first one first.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let page = call.service().erasures(&call.ctx, call.query.limit()?, call.query.one("after")).await?;
    let data = page.items.iter().map(ErasureView::of).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}
