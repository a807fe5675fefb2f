//! Tokens for endpoints behind OAuth2 (client credentials): fetched through the one way
//! out, kept in memory, refreshed early, by one try at a time of each subscription.
//!
//! What to do when is `engine::oauth`'s; a token is never stored and never logged.

use crate::Service;
use bytes::Bytes;
use ringback_engine::oauth::{self, Known, Step};
use ringback_model::{
    auth::Auth,
    delivery::{Outcome, Timings},
    limits,
    subscription::{Push, Subscription},
};
use ringback_ports::sender::{Answered, PushRequest};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What is known for one subscription, and for which `push.auth`.
#[derive(Debug, Default)]
struct Kept {
    auth: Auth,
    known: Known,
}

/// The tokens of all subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_no: Mutex<BTreeMap<u32, Arc<tokio::sync::Mutex<Kept>>>>,
}

impl Tokens {
    fn of(&self, no: u32) -> Arc<tokio::sync::Mutex<Kept>> {
        Arc::clone(self.by_no.lock().unwrap_or_else(PoisonError::into_inner).entry(no).or_default())
    }

    /// It is gone, or needs none any more.
    pub(crate) fn forget(&self, no: u32) {
        self.by_no.lock().unwrap_or_else(PoisonError::into_inner).remove(&no);
    }
}

/// Why a try has no `authorization`.
enum NoCredential {
    /// No token was given; the try comes to this.
    Outcome(Outcome),
    /// It could not be made.
    Broken(String),
}

impl Service {
    /// Sends one try as whom its subscription comes. One for which no token is given ends before its endpoint is called.
    ///
    /// # Errors
    /// When its secrets can't be opened.
    pub(crate) async fn send_as(&self, of: &Subscription, push: &Push, mut request: PushRequest) -> Result<Answered, String> {
        let at = self.now();
        let authorization = match self.authorization(of, push).await {
            Ok(it) => it,
            Err(NoCredential::Broken(why)) => return Err(why),
            Err(NoCredential::Outcome(outcome)) => {
                let total = u32::try_from(self.now().since(at).as_millis()).unwrap_or(u32::MAX);
                return Ok(Answered { outcome, timings: Timings { total, ..Timings::default() }, peer: None, response: None });
            }
        };
        request.headers.extend(authorization.clone().map(|it| ("authorization".to_owned(), it)));
        let answered = self.inner.sender.send(request).await;
        if let (Some(it), Some(401)) = (&authorization, answered.outcome.status_code()) {
            self.token_refused(of, it).await;
        }
        Ok(answered)
    }

    /// The `authorization` of a try; `None` where it needs none.
    async fn authorization(&self, of: &Subscription, push: &Push) -> Result<Option<String>, NoCredential> {
        let Auth::ClientCredentials { token_url, client_id, client_secret, scope } = &push.access.auth else {
            return self.fixed_authorization(of, &push.access.auth).map_err(NoCredential::Broken);
        };
        let kept = self.inner.tokens.of(of.no);
        // Whoever comes meanwhile waits for this one's answer, and uses it.
        let mut kept = kept.lock().await;
        if kept.auth != push.access.auth {
            *kept = Kept { auth: push.access.auth.clone(), known: Known::default() };
        }
        let fallback = match kept.known.step(self.now()) {
            Step::Use(text) => return Ok(Some(bearer(&text))),
            Step::Fail(outcome) => return Err(NoCredential::Outcome(outcome)),
            Step::Fetch { fallback } => fallback,
        };
        let authorization = self.client_authorization(of, client_id, client_secret).map_err(NoCredential::Broken)?;
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = PushRequest {
            url: token_url.clone(),
            authority: of.authority,
            headers: vec![
                header("content-type", "application/x-www-form-urlencoded"),
                header("accept", "application/json"),
                header("user-agent", &self.inner.config.user_agent),
                header("authorization", &authorization),
            ],
            body: Bytes::from(oauth::body(scope.as_deref())),
            timeout: Duration::from_millis(u64::from(limits::TOKEN_TIMEOUT_MS.min(push.timeout_ms))),
        };
        let reply = self.inner.sender.ask(request).await;
        let now = self.now();
        let token = match &reply.answered.outcome {
            Outcome::Delivered { .. } => oauth::read(&reply.body, now),
            _ => None,
        };
        match token {
            Some(token) => {
                let authorization = bearer(&token.text);
                tracing::debug!(subscription.id = %of.id, "a token was fetched, good until {}", token.expires_at);
                kept.known = Known { token: Some(token), failed: None };
                Ok(Some(authorization))
            }
            None => {
                let outcome = oauth::outcome(&reply.answered.outcome);
                tracing::warn!(subscription.id = %of.id, reason = outcome.reason(), "no token was given");
                kept.known.failed = Some((now, outcome.clone()));
                fallback.map(|text| Some(bearer(&text))).ok_or(NoCredential::Outcome(outcome))
            }
        }
    }

    /// An endpoint answered 401: the token that it was shown may have been taken back.
    async fn token_refused(&self, of: &Subscription, authorization: &str) {
        if of.token_url().is_none() {
            return;
        }
        let kept = self.inner.tokens.of(of.no);
        let mut kept = kept.lock().await;
        if let Some(text) = authorization.strip_prefix("Bearer ") {
            kept.known.handle_refused(text, self.now());
        }
    }
}

fn bearer(text: &str) -> String {
    format!("Bearer {text}")
}
