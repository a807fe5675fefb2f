//! The merchant that asks: every open payment, every `T`, until it is done.

use super::{Merchant, Payment, Status};
use crate::demo::{
    http::{Ask, Client},
    pace,
};
use std::{sync::Arc, time::Duration};

/// Asks about payments every so often.
#[derive(Debug)]
pub(in crate::demo) struct Poller {
    pub(in crate::demo) merchant: Arc<Merchant>,
    client: Client,
    every: Duration,
}

impl Poller {
    pub(in crate::demo) const fn new(merchant: Arc<Merchant>, client: Client, every: Duration) -> Self {
        Self { merchant, client, every }
    }

    /// How often it asks.
    pub(in crate::demo) const fn every(&self) -> Duration {
        self.every
    }

    /// Begins to ask about `payment`.
    pub(in crate::demo) fn follow(self: &Arc<Self>, payment: Payment) {
        let it = Arc::clone(self);
        let busy = it.merchant.busy();
        tokio::spawn(async move {
            it.ask_until_done(&payment).await;
            drop(busy);
        });
    }

    async fn ask_until_done(&self, payment: &Payment) {
        let path = format!("{}/status", payment.path);
        let (mut next, mut known) = (payment.created, 1);
        loop {
            // A question that got no answer isn't asked again before its time, and
            // one that was late doesn't shift the others.
            next += self.every;
            pace::sleep_until(next).await;
            let status = match self.client.ask(Ask::get(&path)).await {
                Ok(answer) if answer.good() => answer.json::<Status>(),
                // Nothing went over the wire: this isn't a useless request, it is none.
                Err(crate::demo::http::NoAnswer::Refused(_)) => continue,
                Ok(_) | Err(_) => None,
            };
            let Some(status) = status else {
                self.merchant.learned_nothing();
                continue;
            };
            if status.version == known {
                self.merchant.learned_nothing();
            } else {
                known = status.version;
                self.merchant.saw(payment.number, known);
            }
            if status.done {
                self.merchant.knows_outcome(payment.number, status.since.parse().unwrap_or_default());
                return;
            }
        }
    }
}
