//! The merchant that does what most integrations do: the call says *that*
//! something happened, the fetch says what, and sometimes an action follows.
//! It gets thin events, fetches the version each points at, and refunds one
//! payment in ten.

use super::inbox::{Call, Inbox};
use crate::demo::{
    http::{Answer, Ask, Client},
    ledger::{Event, Image, Ledger, Written, payment_path},
    pace,
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use std::{sync::Arc, time::Duration};

/// How long it holds back after a request that failed.
const AGAIN: Duration = Duration::from_millis(100);
/// How often it tries before it gives up and says so: about a minute.
const TRIES_MAX: u32 = 600;

/// Called back, then asking.
#[derive(Debug)]
pub(in crate::demo) struct Both {
    pub(in crate::demo) inbox: Arc<Inbox>,
    client: Client,
    ledger: Arc<Ledger>,
}

impl Both {
    pub(in crate::demo) const fn new(inbox: Arc<Inbox>, client: Client, ledger: Arc<Ledger>) -> Self {
        Self { inbox, client, ledger }
    }

    /// Its way of asking.
    pub(in crate::demo) const fn client(&self) -> &Client {
        &self.client
    }

    /// Its route.
    pub(in crate::demo) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/webhook/payment", post(called)).with_state(Arc::clone(self))
    }

    /// Fetches what a thin event points at, and acts on it.
    async fn follow_up(&self, event: &Event) {
        let Some((payment, version)) = event.change() else { return };
        let Some(path) = event.data.url.as_deref().and_then(path_of) else {
            return self.ledger.complain(format!("the thin event {} points nowhere", event.id));
        };
        let Some(fetched) = self.insist(|| Ask::get(path)).await.and_then(|it| it.json::<Image>()) else { return };
        if fetched.version != version {
            return self.ledger.complain(format!("{path} answered version {} instead of {version}", fetched.version));
        }
        self.inbox.merchant.saw(payment, version);
        if event.is_outcome() {
            self.inbox.merchant.knows_outcome(payment, event.at());
        }
        if payment.is_multiple_of(10) && fetched.status.as_deref() == Some("completed") {
            self.refund(payment, fetched.amount.unwrap_or(1)).await;
        }
    }

    /// Refunds all of every second one, half of the others.
    async fn refund(&self, payment: u64, amount: u64) {
        let back = if payment.is_multiple_of(20) { amount } else { amount.div_ceil(2) };
        let path = format!("{}/refund", payment_path(payment));
        // The key makes it one refund, however often the request has to be sent.
        let key = format!("refund-{payment}");
        let body = format!(r#"{{"amount":{back}}}"#);
        if let Some(refunded) = self.insist(|| Ask::post(&path, &key, Some(body.clone()))).await.and_then(|it| it.json::<Image>()) {
            self.ledger.acknowledge((payment, refunded.version), Written::Step);
        }
    }

    /// Asks until it is answered; a refusal is an answer that should not have come.
    async fn insist<'a>(&self, ask: impl Fn() -> Ask<'a>) -> Option<Answer> {
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            match self.client.ask(ask()).await {
                Ok(answer) if answer.good() => return Some(answer),
                Ok(answer) => {
                    self.inbox.merchant.learned_nothing();
                    last = answer.complaint();
                    if !again(answer.status) {
                        break;
                    }
                }
                Err(why) => last = why.to_string(),
            }
            pace::sleep(AGAIN).await;
        }
        self.ledger.complain(format!("{} could not do {:?}: {last}", self.inbox.merchant.name, ask()));
        None
    }
}

/// True if the same request may succeed later.
pub(in crate::demo) const fn again(status: u16) -> bool {
    // 409: the first one of this Idempotency-Key is still running.
    status >= 500 || matches!(status, 408 | 409 | 425 | 429)
}

/// The path of an absolute URL.
fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..))
}

async fn called(State(it): State<Arc<Both>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    it.inbox.merchant.meter.request();
    let Some(id) = it.inbox.verify(&headers, &body) else { return StatusCode::UNAUTHORIZED };
    match it.inbox.take(id, &body) {
        Call::Forged => StatusCode::UNAUTHORIZED,
        Call::Repeated => StatusCode::NO_CONTENT,
        Call::News(event) => {
            // Answer first, work later: the caller's time isn't ours to spend.
            let busy = it.inbox.merchant.busy();
            tokio::spawn(async move {
                it.follow_up(&event).await;
                drop(busy);
            });
            StatusCode::NO_CONTENT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_path() {
        assert_eq!(path_of("http://127.0.0.1:7464/payment/demo-1/versions/3"), Some("/payment/demo-1/versions/3"));
        assert_eq!(path_of("http://127.0.0.1:7464"), None);
        assert_eq!(path_of("/payment/1"), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!([500, 503, 429, 409].into_iter().all(again));
        assert!(![200, 304, 400, 401, 404, 422].into_iter().any(again));
    }
}
