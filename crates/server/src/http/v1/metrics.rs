//! `/metrics`: for Prometheus, with an operator's key.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::{HeaderValue, StatusCode, header};
use ringback_service::meters;

/// `GET /metrics`.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let text = call.service().metrics(&call.ctx).await?;
    let mut answer = Answer::empty(StatusCode::OK).with(header::CONTENT_TYPE, HeaderValue::from_static(meters::CONTENT_TYPE));
    answer.body = text.into();
    Ok(answer)
}
