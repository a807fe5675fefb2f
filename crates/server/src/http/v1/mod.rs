//! What each route does, one file per noun.
//!
//! A handler reads the request into values of the model, asks the service, and
//! says what the answer is. It decides nothing.

mod advice;
mod batch;
mod deliveries;
mod events;
mod keys;
mod log;
mod resources;
mod status;
mod subscriptions;
mod tenants;
mod types;

use super::{answer::Answer, call::Call, failure::Failure};
use crate::routes::Op;
use http::StatusCode;

/// Runs the handler of the call's route.
pub(super) async fn run(call: Call) -> Result<Answer, Failure> {
    match call.route.op {
        // Answered before anybody is asked who he is.
        Op::Livez | Op::Readyz => Ok(Answer::text(StatusCode::OK, "ok")),
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
        Op::SubscriptionResume => subscriptions::resume(call).await,
        Op::SubscriptionPut => subscriptions::put(call).await,
        Op::SubscriptionPull => subscriptions::pull(call).await,
        Op::SubscriptionAck => subscriptions::ack(call).await,
        Op::SubscriptionNack => subscriptions::nack(call).await,
        Op::SubscriptionExtend => subscriptions::extend(call).await,
        Op::SubscriptionSeek => subscriptions::seek(call).await,
        Op::DeliveryList => deliveries::list(call).await,
        Op::DeliveryGet => deliveries::get(call).await,
        Op::DeliveryAttempts => deliveries::attempts(call).await,
        Op::DeliveryRetry => deliveries::retry(call).await,
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
        Op::LogGet => log::get(call).await,
        Op::LogRelease => log::release(call).await,
    }
}
