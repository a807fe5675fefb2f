//! The way out as a seam: `egress` is the real one.

use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use ringback_model::{
    delivery::{Excerpt, Outcome, Timings},
    key::Authority,
};

/// One signed POST, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// As the subscription has it; parsed and vetted again by the sender.
    pub url: String,
    /// With whose authority the subscription was made.
    pub authority: Authority,
    /// All headers but `host` and `content-length`, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The exact bytes that were signed.
    pub body: Bytes,
    /// Deadline of the whole attempt, reading the answer included.
    pub timeout: Duration,
}

/// What one try brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The verdict.
    pub outcome: Outcome,
    /// Phases.
    pub timings: Timings,
    /// The address that was called.
    pub peer: Option<String>,
    /// What is kept of the answer.
    pub response: Option<Excerpt>,
}

/// A destination that may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{for_operator}")]
pub struct DestinationRefused {
    /// Stable word for the kind of refusal: `scheme`, `userinfo`, `host`, `port`, `address`, …
    pub reason: &'static str,
    /// What is wrong and what to do next, for whoever runs the server: may name addresses.
    pub for_operator: String,
    /// The same for a tenant: never an address that we resolved.
    pub for_tenant: String,
}

/// What is known of a destination when it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It may be called now.
    Routable,
    /// Its name does not resolve now; that may change, so it is accepted.
    Unresolved,
}

/// What one try brought, with what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// As of any try; nothing of it is secret but the excerpt.
    pub answered: Answered,
    /// The body, as far as it was read (`limits::RESPONSE_READ_BYTES_MAX`); empty where there was no answer.
    pub body: Bytes,
}

/// Calls endpoints.
#[async_trait]
pub trait Sender: Send + Sync + core::fmt::Debug {
    /// Whether `url` may be registered by `authority`. Resolves its name.
    async fn vet(&self, url: &str, authority: Authority) -> Result<Destination, DestinationRefused>;

    /// Tries once. Never panics, never takes longer than `timeout` (and a little),
    /// never sends again once a byte left.
    async fn send(&self, request: PushRequest) -> Answered;

    /// As `send`, for what is meant for us: the body of the answer is part of it, whoever may see excerpts.
    /// The answer may be secret (a token) and is for nobody else's eyes.
    async fn ask(&self, request: PushRequest) -> Reply {
        let answered = self.send(request).await;
        let body = answered.response.as_ref().map(|it| Bytes::from(it.body.clone())).unwrap_or_default();
        Reply { answered, body }
    }
}
