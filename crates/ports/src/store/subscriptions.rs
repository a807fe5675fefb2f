//! Subscriptions at rest. They are few and read at the start; changes come through `commit`.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::subscription::Subscription;

/// Subscriptions.
#[async_trait]
pub trait Subscriptions {
    /// All of them, in order of (tenant, created_at, id).
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError>;
}
