//! A sender that answers by a script and remembers what it was asked to send.
//!
//! It knows no time: a request that is held ends when it is released, never by
//! its `timeout`.

use crate::sender::{Answered, Destination, DestinationRefused, PushRequest, Sender};
use async_trait::async_trait;
use core::{fmt, time::Duration};
use ringback_model::{
    delivery::{Outcome, Timings},
    key::Authority,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

type Answer = Arc<dyn Fn(&PushRequest) -> Answered + Send + Sync>;
type Verdict = Arc<dyn Fn(&str, Authority) -> Result<Destination, DestinationRefused> + Send + Sync>;

/// See the module. What decides, in this order: the URL's queue, the closure, 200.
#[derive(Default)]
pub struct ScriptedSender {
    inner: Mutex<Inner>,
    /// Counts every change that somebody may wait for.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    requests: Vec<PushRequest>,
    scripts: BTreeMap<String, VecDeque<Answered>>,
    answer: Option<Answer>,
    verdict: Option<Verdict>,
    held: BTreeSet<String>,
    in_flight: usize,
    in_flight_max: usize,
}

impl ScriptedSender {
    /// Every URL may be called and answers 200.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answers of `url`, after those that are queued for it already.
    pub fn script(&self, url: &str, answers: impl IntoIterator<Item = Answered>) {
        self.inner().scripts.entry(url.to_owned()).or_default().extend(answers);
    }

    /// What answers where no queue does.
    pub fn answer_with(&self, answer: impl Fn(&PushRequest) -> Answered + Send + Sync + 'static) {
        self.inner().answer = Some(Arc::new(answer));
    }

    /// What `vet` says.
    pub fn vet_with(&self, verdict: impl Fn(&str, Authority) -> Result<Destination, DestinationRefused> + Send + Sync + 'static) {
        self.inner().verdict = Some(Arc::new(verdict));
    }

    /// Requests to `url` go out and get no answer until `release`.
    pub fn hold(&self, url: &str) {
        self.inner().held.insert(url.to_owned());
    }

    /// Ends `hold`: every held request of `url` is answered, by what the script says then.
    pub fn release(&self, url: &str) {
        self.inner().held.remove(url);
        self.changed();
    }

    /// Everything that was sent, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<PushRequest> {
        self.inner().requests.clone()
    }

    /// How many requests were sent.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner().requests.len()
    }

    /// Requests without an answer now, and the most there were at one time.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.in_flight, inner.in_flight_max)
    }

    /// Waits until at least `count` requests were sent, then returns them all.
    pub async fn wait_for(&self, count: usize) -> Vec<PushRequest> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let sent = self.requests();
            if sent.len() >= count || changes.changed().await.is_err() {
                return sent;
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|it| *it = it.wrapping_add(1));
    }

    async fn released(&self, url: &str) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if !self.inner().held.contains(url) || changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for ScriptedSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedSender").field("requests", &self.count()).finish_non_exhaustive()
    }
}

/// Counts a request out also when its future is dropped.
struct InFlight<'a>(&'a ScriptedSender);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.inner().in_flight -= 1;
    }
}

#[async_trait]
impl Sender for ScriptedSender {
    async fn vet(&self, url: &str, authority: Authority) -> Result<Destination, DestinationRefused> {
        let verdict = self.inner().verdict.clone();
        verdict.map_or(Ok(Destination::Routable), |verdict| verdict(url, authority))
    }

    async fn send(&self, request: PushRequest) -> Answered {
        {
            let mut inner = self.inner();
            inner.requests.push(request.clone());
            inner.in_flight += 1;
            inner.in_flight_max = inner.in_flight_max.max(inner.in_flight);
        }
        let _in_flight = InFlight(self);
        self.changed();
        self.released(&request.url).await;
        let answer = {
            let mut inner = self.inner();
            if let Some(queued) = inner.scripts.get_mut(&request.url).and_then(VecDeque::pop_front) {
                return queued;
            }
            inner.answer.clone()
        };
        answer.map_or_else(|| answered(status(200)), |answer| answer(&request))
    }
}

/// An answer of which only the outcome matters.
#[must_use]
pub fn answered(outcome: Outcome) -> Answered {
    Answered { outcome, timings: Timings::default(), peer: None, response: None }
}

/// The outcome of an answer with this status.
#[must_use]
pub const fn status(code: u16) -> Outcome {
    match code {
        200..=299 => Outcome::Delivered { status_code: code },
        300..=399 => Outcome::Failed { status_code: Some(code), reason: "redirect", retry_after: None },
        410 => Outcome::Failed { status_code: Some(code), reason: "gone", retry_after: None },
        _ => Outcome::Failed { status_code: Some(code), reason: "status", retry_after: None },
    }
}

/// The outcome of an answer with this status and a `Retry-After`.
#[must_use]
pub const fn status_retry_after(code: u16, after: Duration) -> Outcome {
    Outcome::Failed { status_code: Some(code), reason: "status", retry_after: Some(after) }
}

/// The outcome of a try that brought no answer.
#[must_use]
pub const fn failed(reason: &'static str) -> Outcome {
    Outcome::Failed { status_code: None, reason, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(url: &str) -> PushRequest {
        PushRequest {
            url: url.to_owned(),
            authority: Authority::Tenant,
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
            timeout: Duration::from_secs(20),
        }
    }

    #[tokio::test]
    async fn queue_then_closure_then_200() {
        let sender = ScriptedSender::new();
        sender.script("https://a.example/", [answered(status(503))]);
        assert_eq!(sender.send(request("https://a.example/")).await.outcome, status(503));
        assert_eq!(sender.send(request("https://a.example/")).await.outcome, status(200));
        sender.answer_with(|_| answered(failed("connect")));
        assert_eq!(sender.send(request("https://a.example/")).await.outcome, failed("connect"));
        assert_eq!(sender.count(), 3);
    }

    #[tokio::test]
    async fn a_held_request_is_answered_after_its_release() {
        let sender = Arc::new(ScriptedSender::new());
        sender.hold("https://a.example/");
        let held = tokio::spawn({
            let sender = Arc::clone(&sender);
            async move { sender.send(request("https://a.example/")).await.outcome }
        });
        assert_eq!(sender.wait_for(1).await.len(), 1);
        assert_eq!(sender.in_flight(), (1, 1));
        assert!(!held.is_finished());
        sender.release("https://a.example/");
        assert_eq!(held.await.unwrap(), status(200));
        assert_eq!(sender.in_flight(), (0, 1));
    }

    #[tokio::test]
    async fn vet_says_what_it_was_told() {
        let sender = ScriptedSender::new();
        assert_eq!(sender.vet("https://a.example/", Authority::Tenant).await, Ok(Destination::Routable));
        sender.vet_with(|_, _| Ok(Destination::Unresolved));
        assert_eq!(sender.vet("https://a.example/", Authority::Tenant).await, Ok(Destination::Unresolved));
    }
}
