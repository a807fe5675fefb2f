//! Subscriptions in memory.

use super::MemoryStore;
use crate::store::{StoreError, Subscriptions};
use async_trait::async_trait;
use ringback_model::subscription::Subscription;

#[async_trait]
impl Subscriptions for MemoryStore {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut all: Vec<Subscription> = self.state().readers.values().map(|it| it.subscription.clone()).collect();
        all.sort_by(|a, b| (&a.tenant, a.created_at, &a.id).cmp(&(&b.tenant, b.created_at, &b.id)));
        Ok(all)
    }
}
