//! Readings that end by themselves, and one-shots that begin again for one more try.

use crate::{
    Ctx, Error, Service, Write,
    own_events::{self, Suspended},
};
use ringback_model::{
    event::Scope,
    subscription::{State, Subscription},
};
use std::time::Duration;

/// How the reading of a subscription ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A one-shot that has called, or never will.
    Done,
    /// Its endpoint takes nothing any more.
    Suspended(Suspended),
}

impl Service {
    /// Ends the reading of a subscription by itself: a one-shot that is over, an endpoint
    /// that is gone. Tried until it is stored.
    pub(crate) fn end_reading(&self, no: u32, end: End) {
        let service = self.clone();
        tokio::spawn(async move {
            loop {
                match service.end_reading_once(no, end).await {
                    Ok(()) => return,
                    Err(Error::Draining) => return,
                    Err(why) => {
                        tracing::warn!(subscription.no = no, "it could not be ended yet, trying again: {why:?}");
                        service.inner.clock.sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
    }

    /// A one-shot that is done tries a delivery again: it is active until that is over.
    pub(crate) async fn reopen(&self, subscription: &Subscription) -> Result<(), Error> {
        let (service, no) = (self.clone(), subscription.no);
        self.whole(async move {
            let Some(before) = service.registry().subscription_no(no).cloned() else { return Ok(()) };
            let _turn = service.turn_with(&before).await;
            let Some(before) = service.registry().subscription_no(no).cloned() else { return Ok(()) };
            if before.state == State::Done {
                let ctx = Ctx { caller: crate::Caller::socket_operator(), scope: Scope::Tenant(before.tenant.clone()) };
                let after = service.in_state(&before, State::Active);
                service.replace(&ctx, &before, after, "subscription.reopen", Write::plain()).await?;
                service.inner.dispatcher.refresh(no).await;
            }
            Ok(())
        })
        .await
    }

    async fn end_reading_once(&self, no: u32, end: End) -> Result<(), Error> {
        let state = match end {
            End::Done => State::Done,
            End::Suspended(_) => State::Suspended,
        };
        let Some(before) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        let _turn = self.turn_with(&before).await;
        let Some(before) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        // A one-shot that has called is done, also if it was paused meanwhile.
        let ends = before.state == State::Active || (state == State::Done && before.state != State::Done);
        if !ends {
            return Ok(());
        }
        let ctx = own_events::self_ctx(&before);
        let action = if state == State::Done { "subscription.done" } else { "subscription.suspend" };
        let mut after = self.in_state(&before, state);
        let mut told = Vec::new();
        if let End::Suspended(why) = end {
            told.push(self.suspended_event(&before, why, after.updated_at)?);
            if let Suspended::Silent(it) = why {
                after.failing = Some(it);
            }
        }
        self.replace_telling(&ctx, &before, after, action, told, Write::plain()).await?;
        tracing::info!(subscription.id = %before.id, "subscription {} is {} now", before.id, state.as_str());
        self.inner.dispatcher.refresh(no).await;
        Ok(())
    }
}
