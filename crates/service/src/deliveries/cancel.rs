//! Cancelling one delivery: it becomes a skipped range of one place.

use super::DeliveryView;
use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, subscriptions::may_change};
use ringback_engine::window::CancelRefused;
use ringback_model::{DeliveryId, delivery::DeliveryState};
use ringback_ports::store::{AuditEntry, ChangeSet};

impl Service {
    /// Skips a delivery that is pending, retrying or parked; durable when this returns. It is not
    /// tried again, unless a replay sends it. One that is skipped already stays so.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (an operator made the subscription), `StarNotPossible` (it is one tenant's), `Conflict` (it is under way or delivered, or the
    /// one delivery of a one-shot), `LimitReached`.
    pub async fn cancel_delivery(&self, ctx: &Ctx, id: DeliveryId, write: Write<DeliveryView>) -> Result<Outcome<DeliveryView>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move {
            let (subscription, event) = service.parts(&ctx, id).await?;
            may_change(&ctx, &subscription)?;
            if subscription.until.is_some() {
                let id = &subscription.id;
                let detail = format!("{id} calls once, and this is its one delivery. Delete the subscription instead, or pause it.");
                return Err(Error::Conflict { detail });
            }
            // Nobody skips a stretch, begins another life or another revision meanwhile.
            let _turn = service.turn_with(&subscription).await;
            let before = service.delivery(&ctx, id).await?;
            match before.state {
                DeliveryState::Skipped => {}
                DeliveryState::Delivered => {
                    let detail = "It was delivered; what the receiver has can't be called back.".into();
                    return Err(Error::Conflict { detail });
                }
                DeliveryState::Pending | DeliveryState::Delivering | DeliveryState::Retrying | DeliveryState::Parked => {
                    match service.inner.dispatcher.cancel(subscription.no, event.place(&subscription.scope)).await {
                        // It is on disk from here on.
                        Some(Ok(stored)) => stored?,
                        Some(Err(CancelRefused::TooMany)) => {
                            let max = ringback_model::limits::SKIPPED_RANGES_MAX;
                            return Err(Error::LimitReached { what: "skipped stretches of one subscription", max });
                        }
                        Some(Err(other)) => return Err(super::conflict(&other)),
                        None if service.ready() => return Err(Error::Overloaded),
                        None => return Err(Error::Draining),
                    }
                }
            }
            let view = service.delivery(&ctx, id).await?;
            service
                .write(&ctx, write, || async {
                    let view = view.clone();
                    let mut set = ChangeSet::new(subscription.tenant.clone(), service.now());
                    set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "delivery.cancel", object: id.to_string() });
                    Ok(Decision::new(set, move |_| view.clone()))
                })
                .await
        })
        .await
    }
}
