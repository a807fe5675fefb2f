//! What each route does, one file per noun.
//!
//! A handler reads the request into values of the model, asks the service, and
//! says what the answer is. It decides nothing.

mod advice;
mod batch;
mod deliveries;
mod erasures;
mod events;
mod keys;
mod log;
mod metrics;
mod replays;
mod resources;
mod status;
mod stream_tickets;
mod subscriptions;
mod tenants;
mod types;
mod watch;

use super::{
    answer::{Answer, Reply},
    call::Call,
    errors::Asked,
    extract,
    failure::Failure,
};
use crate::routes::Op;
use http::StatusCode;
use ringback_service::FeedQuery;
use std::borrow::Cow;

/// Runs the handler of the call's route.
pub(super) async fn run(call: Call) -> Result<Answer, Failure> {
    match call.route.op {
        // Answered before anybody is asked who he is.
        Op::Livez | Op::Readyz | Op::OpenApi | Op::Docs => Ok(Answer::text(StatusCode::OK, "ok")),
        Op::ResourceList if watch::asked(&call)? => watch::page(call).await,
        Op::ResourceList => resources::list(call).await,
        Op::ResourceCreate => resources::create(call).await,
        Op::ResourceGet => resources::get(call).await,
        Op::ResourcePut => resources::put(call).await,
        Op::ResourcePatch => resources::patch(call).await,
        Op::ResourceDelete => resources::delete(call).await,
        Op::ResourceTransition => resources::transition(call).await,
        Op::ResourceStatus => status::get(call).await,
        Op::ResourceEvents => events::of_resource(call).await,
        Op::ResourceVersions => resources::versions(call).await,
        Op::ResourceVersion => resources::version(call).await,
        Op::Batch => batch::run(call).await,
        Op::EventPublish => events::publish(call).await,
        Op::EventFeed => events::feed(call).await,
        Op::EventTypeList => events::catalogue(call).await,
        Op::EventGet => events::get(call).await,
        Op::SubscriptionCreate => subscriptions::create(call).await,
        Op::SubscriptionList => subscriptions::list(call).await,
        Op::SubscriptionGet => subscriptions::get(call).await,
        Op::SubscriptionPatch => subscriptions::patch(call).await,
        Op::SubscriptionDelete => subscriptions::delete(call).await,
        Op::SubscriptionPause => subscriptions::pause(call).await,
        Op::SubscriptionTest => subscriptions::test(call).await,
        Op::SubscriptionResume => subscriptions::resume(call).await,
        Op::SubscriptionPut => subscriptions::put(call).await,
        Op::SubscriptionPull => subscriptions::pull(call).await,
        Op::SubscriptionAck => subscriptions::ack(call).await,
        Op::SubscriptionNack => subscriptions::nack(call).await,
        Op::SubscriptionExtend => subscriptions::extend(call).await,
        Op::SubscriptionSecret => subscriptions::secret(call).await,
        Op::SubscriptionRotateSecret => subscriptions::rotate_secret(call).await,
        Op::SubscriptionSeek => subscriptions::seek(call).await,
        Op::SubscriptionExplain => subscriptions::explain(call).await,
        Op::DeliveryList => deliveries::list(call).await,
        Op::DeliveryGet => deliveries::get(call).await,
        Op::DeliveryAttempts => deliveries::attempts(call).await,
        Op::DeliveryRetry => deliveries::retry(call).await,
        Op::ReplayCreate => replays::create(call).await,
        Op::ReplayList => replays::list(call).await,
        Op::ReplayGet => replays::get(call).await,
        Op::ReplayCancel => replays::cancel(call).await,
        Op::DeliveryCancel => deliveries::cancel(call).await,
        Op::TypeList => types::list(&call),
        Op::TypeGet => types::get(&call),
        Op::TypePut => types::put(call).await,
        Op::TypeDelete => types::delete(call).await,
        Op::TenantList => tenants::list(&call),
        Op::TenantGet => tenants::get(&call),
        Op::TenantPut => tenants::put(call).await,
        Op::KeyList => keys::list(&call),
        Op::KeyCreate => keys::create(call).await,
        Op::KeyGet => keys::get(&call),
        Op::KeyDelete => keys::delete(call).await,
        Op::AdviceGet => advice::get(call).await,
        Op::Metrics => metrics::get(call).await,
        Op::ErasureCreate => erasures::create(call).await,
        Op::ErasureList => erasures::list(call).await,
        Op::LogGet => log::get(call).await,
        Op::LogRelease => log::release(call).await,
        Op::StreamTicketCreate => stream_tickets::create(call).await,
    }
}

/// Opens the stream of the call's route.
pub(super) async fn stream(call: Call, asked: Asked) -> Result<Reply, Failure> {
    let query = FeedQuery { last_event_id: extract::last_event_id(&call.headers).map(Cow::into_owned), ..stream_query(&call).await? };
    let stream = call.service().stream(&call.ctx, &query, call.tag.clone()).await?;
    let who = call.ctx.tenant_text().into();
    Ok(super::stream::answer(call.server, stream, asked, who))
}

/// What a stream of the call's route wants.
async fn stream_query(call: &Call) -> Result<FeedQuery, Failure> {
    match call.route.op {
        Op::ResourceEvents => events::query_of_resource(call).await,
        Op::EventFeed => events::query(call),
        Op::ResourceList => watch::query(call),
        _ => Err(Failure::NotAcceptable),
    }
}
