//! `/v1/advice`.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::limits;
use ringback_wire::advice::{AdviceView, DeliveriesView, EndpointView, InsteadView, PollerView, RequestsView, StalenessView, parse_window};

/// `GET /v1/advice`: what the caller's keys' polls cost and brought, and which endpoints had better pull.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let hours = match call.query.one("window") {
        None => limits::ADVICE_HOURS_MAX,
        Some(text) => parse_window(text, limits::ADVICE_HOURS_MAX).map_err(|rule| Failure::parameter("window", text, rule))?,
    };
    let advice = call.service().advice(&call.ctx, hours).await?;
    let millis = |it: core::time::Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    let pollers = advice.pollers.iter().map(|it| PollerView {
        key: it.key.to_string(),
        route: it.route.clone(),
        polls: it.polls,
        useless: it.useless,
        staleness_ms: StalenessView { p50: it.staleness_p50.map(millis), p95: it.staleness_p95.map(millis) },
        missed: it.missed,
        instead: InsteadView { long_poll: RequestsView { requests: it.long_polls }, push: DeliveriesView { deliveries: it.pushes } },
    });
    let view = AdviceView {
        window: format!("{hours}h"),
        pollers: pollers.collect(),
        endpoints: advice
            .endpoints
            .into_iter()
            .map(|it| EndpointView { subscription: it.subscription, tenant: it.tenant, why: it.why })
            .collect(),
        too_little_data: advice.too_little_data,
    };
    Ok(Answer::view(StatusCode::OK, &view))
}
