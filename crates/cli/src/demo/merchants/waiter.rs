//! The merchant that waits: one request a payment, answered when it is done.

use super::{Merchant, Payment, Status};
use crate::demo::{
    http::{Ask, Client, NoAnswer},
    pace,
};
use std::{sync::Arc, time::Duration};

/// Seconds that one request may wait.
const WAIT_SECS: u64 = 30;
/// How long it holds back after a request that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// Waits for the outcome of payments.
#[derive(Debug)]
pub(in crate::demo) struct Waiter {
    pub(in crate::demo) merchant: Arc<Merchant>,
    client: Client,
}

impl Waiter {
    pub(in crate::demo) const fn new(merchant: Arc<Merchant>, client: Client) -> Self {
        Self { merchant, client }
    }

    /// Begins to wait for `payment`.
    pub(in crate::demo) fn follow(self: &Arc<Self>, payment: Payment) {
        let it = Arc::clone(self);
        let busy = it.merchant.busy();
        tokio::spawn(async move {
            it.wait_until_done(&payment).await;
            drop(busy);
        });
    }

    async fn wait_until_done(&self, payment: &Payment) {
        let path = format!("{}/status?wait={WAIT_SECS}&until=done", payment.path);
        loop {
            let ask = Ask::get(&path).patience(Duration::from_secs(WAIT_SECS + 10));
            match self.client.ask(ask).await {
                Ok(answer) if answer.good() => match answer.json::<Status>() {
                    Some(status) if status.done => {
                        self.merchant.saw(payment.number, status.version);
                        self.merchant.knows_outcome(payment.number, status.since.parse().unwrap_or_default());
                        return;
                    }
                    // The time was up; nothing is lost by asking on.
                    _ => {
                        self.merchant.learned_nothing();
                        continue;
                    }
                },
                Err(NoAnswer::Refused(_)) => {}
                Ok(_) | Err(_) => self.merchant.learned_nothing(),
            }
            pace::sleep(AGAIN).await;
        }
    }
}
