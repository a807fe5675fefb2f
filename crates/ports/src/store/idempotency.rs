//! Answers kept under Idempotency-Keys. They are written by `commit`.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::Timestamp;

/// An answer, as `AnswerFn` made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Hash of what must be equal for a replay.
    pub fingerprint: [u8; 32],
    /// Sealed by the service.
    pub answer: Vec<u8>,
    /// From when on the key is free again.
    pub expires_at: Timestamp,
}

/// Answers.
#[async_trait]
pub trait Answers {
    /// The answer under this scope, unless it expired at or before `now`.
    async fn answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<StoredAnswer>, StoreError>;

    /// Removes at most `limit` answers that expired at or before `now`, those that expired first first; says how many.
    async fn prune_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
