//! `/v1/log`: its ends, and letting deliveries go after a restore.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_service::LogView;
use ringback_wire as wire;

/// `GET /v1/log`: the ends of the log that the caller reads.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    Ok(answer(&call.service().log_view(&call.ctx).await?))
}

/// `POST /v1/log/release`: lets deliveries go that were held since a restore.
pub(crate) async fn release(mut call: Call) -> Result<Answer, Failure> {
    call.no_body()?;
    let (write, finish) = call.write(answer);
    finish(call.service().release_deliveries(&call.ctx, write).await?)
}

fn answer(log: &LogView) -> Answer {
    let view = wire::LogView {
        // While it is empty, the first place is the next one.
        first: log.first.unwrap_or(log.last + 1),
        last: log.last,
        floor: log.floor,
        epoch: log.epoch,
        deliveries_held: log.deliveries_held,
    };
    Answer::view(StatusCode::OK, &view)
}
