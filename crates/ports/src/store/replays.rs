//! Replays at rest. They are made by `commit` and move on by settlements.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::{ReplayId, TenantId, replay::Replay};

/// Replays.
#[async_trait]
pub trait Replays {
    /// The replay of this id.
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError>;

    /// Replays made before `before` (all, if it is `None`), last one first, at most `limit`.
    ///
    /// - With a tenant, only of subscriptions that it owns; with a subscription, only of that one.
    async fn replays(
        &self,
        tenant: Option<&TenantId>,
        subscription: Option<u32>,
        before: Option<ReplayId>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError>;
}
