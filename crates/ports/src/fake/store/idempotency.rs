//! Answers kept under Idempotency-Keys, in memory.

use super::MemoryStore;
use crate::store::{Answers, StoreError, StoredAnswer};
use async_trait::async_trait;
use ringback_model::Timestamp;

#[async_trait]
impl Answers for MemoryStore {
    async fn answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.state().answers.get(scope).filter(|it| it.expires_at > now).cloned())
    }

    async fn prune_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.state();
        let mut expired: Vec<(Timestamp, [u8; 32])> =
            state.answers.iter().filter(|(_, it)| it.expires_at <= now).map(|(scope, it)| (it.expires_at, *scope)).collect();
        expired.sort_unstable();
        expired.truncate(limit);
        for (_, scope) in &expired {
            state.answers.remove(scope);
        }
        Ok(expired.len())
    }
}
