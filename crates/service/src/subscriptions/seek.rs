//! Seek: a reader goes on somewhere else in the log, in a life of its own.
//!
//! The window is emptied; what was delivered in the life before counts no more
//! above the new place, nor do exceptions there. What a seek forwards passes is
//! skipped, said so in ranges. Everything above the place is read under the
//! present revision, whatever was matched there before.

use super::{Also, Error, SubscriptionWritten};
use crate::{Ctx, Outcome, Service, Write, resources::IfMatch};
use ringback_model::{
    SubscriptionId,
    event::Place,
    subscription::{State, Subscription},
};

/// Why a stretch is skipped by a seek.
const WHY: &str = "sought";

impl Service {
    /// Goes on at `to`: `start`, `now`, a position, an event id, a time.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` (done), `Conflict` (a one-shot), preconditions, and as `from` of a new subscription.
    pub async fn seek(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        to: String,
        if_match: IfMatch,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            if_match.check(Some(before.version), || None)?;
            if before.state == State::Done {
                return Err(Error::NotActive { id, state: before.state });
            }
            if before.until.is_some() {
                let detail =
                    format!("{id} waits for one status and is done then; it has no other place to go on at. Make another subscription.");
                return Err(Error::Conflict { detail });
            }
            let target = service.place_of(&before.scope, ctx.authority(), &to, "to").await?;
            // What has happened in this life is stored first: the next one knows nothing of it.
            let halted = service.inner.dispatcher.halt(before.no, target, WHY).await;
            let result = match halted {
                Some(Ok(skipped)) => {
                    let after = sought(&before, target, service.now());
                    let also = Also { skipped, cursor: Some(target), ..Also::default() };
                    service.replace_with(&ctx, &before, after, "subscription.seek", also, write).await
                }
                Some(Err(why)) => Err(why.into()),
                None if service.ready() => Err(Error::Overloaded),
                None => Err(Error::Draining),
            };
            service.inner.dispatcher.refresh(before.no).await;
            result
        })
        .await
    }
}

/// The subscription in its next life.
fn sought(before: &Subscription, target: Place, now: ringback_model::Timestamp) -> Subscription {
    let mut after = before.clone();
    after.generation += 1;
    if let Some(mut current) = after.revisions.pop() {
        // Older ones are for the exceptions that they left at or below the place.
        after.revisions.retain(|it| it.from < target);
        current.from = current.from.min(target);
        after.revisions.push(current);
    }
    after.version += 1;
    after.updated_at = now;
    after
}
