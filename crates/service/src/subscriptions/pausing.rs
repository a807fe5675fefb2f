//! Pause and resume: what waits meanwhile, and what is passed over by choice (P7).

use super::{Also, SubscriptionWritten, state::in_the_shadow};
use crate::{Ctx, Error, Outcome, Service, Write};
use ringback_engine::retention;
use ringback_model::{
    SubscriptionId,
    subscription::{State, Subscription},
};
use std::sync::Arc;

/// Why a stretch is skipped by a resume.
const SKIP_WHY: &str = "resumed-from-now";

/// Where a resumed subscription goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeFrom {
    /// Where it stood.
    Cursor,
    /// At the end of the log; what lies between is skipped.
    Now,
}

/// What waits while a subscription is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Events of its log that it has not come to; its filter is not applied.
    pub events: u64,
    /// Deliveries that failed and are tried again, and those behind them.
    pub retries: u64,
}

impl Service {
    /// Pauses a subscription. Its cursor stays; tries in flight end and settle.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` (a one-shot that is done).
    pub async fn pause(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            match before.state {
                State::Done => Err(Error::NotActive { id, state: before.state }),
                State::Shadow => Err(in_the_shadow(&before)),
                State::Paused | State::Suspended => {
                    let also = Also { waits: Some(service.waits(&before).await?), ..Also::default() };
                    service.unchanged(&ctx, &before, also, write).await
                }
                State::Active => {
                    let after = service.in_state(&before, State::Paused);
                    let also = Also { waits: Some(service.waits(&before).await?), ..Also::default() };
                    let result = service.replace_with(&ctx, &before, after, "subscription.pause", also, write).await;
                    service.inner.dispatcher.refresh(before.no).await;
                    result
                }
            }
        })
        .await
    }

    /// Lets a paused or suspended subscription go on.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` (a one-shot that is done).
    pub async fn resume(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        from: ResumeFrom,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            match before.state {
                State::Done => return Err(Error::NotActive { id, state: before.state }),
                State::Shadow => return Err(in_the_shadow(&before)),
                State::Active => {
                    let also = Also { passed: Some(0), ..Also::default() };
                    return service.unchanged(&ctx, &before, also, write).await;
                }
                State::Paused | State::Suspended => {}
            }
            let mut after = service.in_state(&before, State::Active);
            after.failing = None;
            let mut ranges = Vec::new();
            let mut end = 0;
            if from == ResumeFrom::Now {
                service.freeze(&before).await?;
                end = service.inner.store.bounds(&before.scope).await?.last;
                // Without its reader nobody knows what to keep: better not now than everything after all.
                let plan = service.inner.dispatcher.plan_skip(before.no, end, SKIP_WHY).await;
                ranges = plan.ok_or_else(|| if service.ready() { Error::Overloaded } else { Error::Draining })?;
            }
            let told = match (before.state, from) {
                (State::Suspended, ResumeFrom::Cursor) => vec![service.resumed_event(&before, "cursor", after.updated_at)?],
                (State::Suspended, ResumeFrom::Now) => vec![service.resumed_event(&before, "now", after.updated_at)?],
                _ => Vec::new(),
            };
            let passed = Some(retention::unread(&ranges));
            let also = Also { skipped: ranges.clone(), told, passed, ..Also::default() };
            let result = service.replace_with(&ctx, &before, after, "subscription.resume", also, write).await;
            if result.is_ok() && from == ResumeFrom::Now {
                service.inner.dispatcher.skip(before.no, ranges, end).await;
            }
            service.inner.dispatcher.refresh(before.no).await;
            result
        })
        .await
    }

    /// What a subscription that is not active has before it.
    async fn waits(&self, subscription: &Arc<Subscription>) -> Result<Waits, Error> {
        let views = self.inner.dispatcher.views(vec![subscription.no]).await;
        let view = views.first().map(|(_, it)| it);
        let cursor = self.cursor_of(subscription, view).await?;
        let last = self.inner.store.bounds(&subscription.scope).await?.last;
        let retries = view.map_or(0, |it| it.counts.retrying + it.counts.held);
        Ok(Waits { events: last.saturating_sub(cursor), retries: retries as u64 })
    }
}
