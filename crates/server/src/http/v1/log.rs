//! `/v1/log`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_wire::LogView;

/// `GET /v1/log`: the ends of the log that the caller reads.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let log = call.service().log_view(&call.ctx).await?;
    let view = LogView {
        // While it is empty, the first place is the next one.
        first: log.first.unwrap_or(log.last + 1),
        last: log.last,
        floor: log.floor,
        epoch: log.epoch,
        deliveries_held: false,
    };
    Ok(Answer::view(StatusCode::OK, &view))
}
