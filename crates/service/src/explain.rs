//! Why an event was, was not, or is not yet delivered to a subscription: gathers
//! what is known and asks `engine::explain`.

use crate::{Ctx, DeliveryView, Error, Service};
use ringback_engine::{
    delivery_state::InWindow,
    explain::{Explained, Facts, explain},
};
use ringback_model::{EventId, SubscriptionId};

impl Service {
    /// Explains what became of an event for a subscription; with the delivery, if there is one.
    ///
    /// # Errors
    /// `NotFound` for a subscription or an event that the caller may not see.
    pub async fn explain(&self, ctx: &Ctx, id: &SubscriptionId, event: EventId) -> Result<(Explained, Option<DeliveryView>), Error> {
        let subscription = self.find(ctx, id)?;
        let event = self.event(ctx, event).await?;
        // A place means something in the log of its scope alone.
        let in_scope = subscription.scope.holds(&event.tenant);
        let place = event.place(&subscription.scope);
        let known = if in_scope { Some(self.known(&subscription, &[place]).await?) } else { None };
        let delivery = known.as_ref().and_then(|known| self.view_delivery(ctx, &subscription, &event, known));
        let filter = subscription.revision_at(place).and_then(|it| self.filter_of(it, subscription.authority));
        let awaited = self.awaited(&subscription).map(|(_, statuses)| statuses);
        let views = self.inner.dispatcher.views(vec![subscription.no]).await;
        let standing = known.as_ref().and_then(|it| it.standing(place));
        let explained = explain(&Facts {
            subscription: &subscription,
            event: &event,
            filter: filter.as_ref(),
            awaited: awaited.as_deref(),
            state: delivery.as_ref().map(|it| it.state),
            cursor: known.as_ref().map_or(0, |it| it.cursor()),
            exception: standing.and_then(|it| it.exception.as_ref()).filter(|_| {
                // While its try is in flight, what the last one left says nothing.
                standing.and_then(|it| it.in_window) != Some(InWindow::InFlight)
            }),
            skipped: known.as_ref().map_or(&[], |it| it.skipped()),
            health: views.first().map(|(_, it)| it.health),
            held: self.deliveries_held(),
            tries: delivery.as_ref().map_or(0, |it| it.tries),
        });
        Ok((explained, delivery))
    }
}
