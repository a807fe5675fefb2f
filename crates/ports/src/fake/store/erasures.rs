//! Erasing, in memory.

use super::MemoryStore;
use crate::store::{Erasures, StoreError};
use async_trait::async_trait;
use ringback_model::{ErasureId, TenantId, erasure::Erasure, event::Event};
use std::sync::Arc;

#[async_trait]
impl Erasures for MemoryStore {
    async fn erasures(
        &self,
        tenant: Option<&TenantId>,
        after: Option<ErasureId>,
        running: bool,
        limit: usize,
    ) -> Result<Vec<Erasure>, StoreError> {
        let state = self.state();
        let wanted = state.erasures.values().filter(|it| {
            tenant.is_none_or(|tenant| it.tenant == *tenant) && after.is_none_or(|after| it.id > after) && !(running && it.is_done())
        });
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn erase(&self, by: ErasureId, left: Vec<Arc<Event>>) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut erased = 0;
        for event in left {
            let Some(seq) = state.by_id.get(&event.id).copied() else { continue };
            let Some(stored) = state.events.get_mut(&seq).filter(|it| it.event.erased_at.is_none()) else { continue };
            let before = core::mem::replace(&mut stored.event, Arc::clone(&event));
            if let Some(key) = &before.key {
                state.by_key.remove(&(before.tenant.clone(), key.clone()));
            }
            for reader in state.readers.values_mut().filter(|it| it.subscription.scope.holds(&event.tenant)) {
                let place = event.place(&reader.subscription.scope);
                reader.exceptions.remove(&place);
                for (_, attempt) in reader.attempts.range_mut((place, 0)..=(place, u32::MAX)) {
                    attempt.response = None;
                }
            }
            erased += 1;
        }
        if let Some(it) = state.erasures.get_mut(&by) {
            it.erased += erased;
        }
        Ok(erased)
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}
