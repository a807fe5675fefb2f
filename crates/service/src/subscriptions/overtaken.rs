//! Subscriptions that retention overtakes: what they pass unread, and the
//! exceptions that go with their events, are announced with a count before the
//! floor moves (P4). A crash in between announces it again.

use super::Also;
use crate::{Error, Service, Write, own_events};
use ringback_engine::retention;
use ringback_model::{
    event::Place,
    limits,
    subscription::{State, Subscription},
};
use ringback_ports::meters::meters;

/// Why a stretch was skipped.
const WHY: &str = "retention";

impl Service {
    /// Has the reader of a subscription pass `floor`, and says so.
    ///
    /// # Errors
    /// The store's; `Overloaded` while the reader is being loaded. Nothing may be removed then.
    pub(crate) async fn overtake(&self, no: u32, floor: Place) -> Result<(), Error> {
        let service = self.clone();
        self.whole(async move {
            let Some(before) = service.registry().subscription_no(no).cloned() else { return Ok(()) };
            let _turn = service.turn_with(&before).await;
            let Some(before) = service.registry().subscription_no(no).cloned() else { return Ok(()) };
            let done = service.pass_floor(&before, floor).await;
            service.inner.dispatcher.refresh(no).await;
            done
        })
        .await
    }

    async fn pass_floor(&self, before: &Subscription, floor: Place) -> Result<(), Error> {
        let dispatcher = &self.inner.dispatcher;
        let is_read = dispatcher.freeze(before.no).await.is_some();
        let (ranges, exceptions) = if is_read {
            let plan = dispatcher.plan_skip(before.no, floor, WHY).await;
            let below = dispatcher.below(before.no, floor).await;
            plan.zip(below).ok_or_else(|| if self.ready() { Error::Overloaded } else { Error::Draining })?
        } else if before.state == State::Done {
            let all = self.inner.store.exceptions(before.no, 0, limits::EXCEPTIONS_MAX).await?;
            (Vec::new(), all.iter().filter(|it| it.place <= floor).count())
        } else {
            return Err(if self.ready() { Error::Overloaded } else { Error::Draining });
        };
        let unread = retention::unread(&ranges);
        if unread == 0 && exceptions == 0 {
            // What is in flight was announced, and ends first; what came back from there goes now.
            if is_read {
                dispatcher.drop_below(before.no, floor).await;
            }
            return Ok(());
        }
        let now = self.now();
        let told = vec![self.truncated_event(before, unread, exceptions, floor, now)?];
        let also = Also { skipped: ranges.clone(), told, ..Also::default() };
        // Nothing that its owner sees of the subscription changes: the version stays.
        let ctx = own_events::self_ctx(before);
        self.replace_with(&ctx, before, before.clone(), "subscription.truncate", also, Write::plain()).await?;
        meters().events_truncated.inc_by(unread.saturating_add(exceptions as u64));
        if is_read {
            dispatcher.skip(before.no, ranges, floor).await;
            dispatcher.drop_below(before.no, floor).await;
        }
        tracing::warn!(
            subscription.id = %before.id,
            "retention overtook {}: {unread} events of its log were not read in time, and {exceptions} deliveries were given up",
            before.id
        );
        Ok(())
    }
}
