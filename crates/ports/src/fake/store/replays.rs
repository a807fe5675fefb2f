//! Replays in memory.

use super::MemoryStore;
use crate::store::{Replays, StoreError};
use async_trait::async_trait;
use ringback_model::{ReplayId, TenantId, replay::Replay};

#[async_trait]
impl Replays for MemoryStore {
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        Ok(self.state().replays.get(&id).cloned())
    }

    async fn replays(
        &self,
        tenant: Option<&TenantId>,
        subscription: Option<u32>,
        before: Option<ReplayId>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        let state = self.state();
        let wanted = state.replays.values().rev().filter(|it| {
            before.is_none_or(|before| it.id < before)
                && tenant.is_none_or(|tenant| it.tenant == *tenant)
                && subscription.is_none_or(|no| it.subscription == no)
        });
        Ok(wanted.take(limit).cloned().collect())
    }
}
