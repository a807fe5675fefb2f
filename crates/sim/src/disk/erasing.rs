//! Erasing, as the disk has it: at once, and never lost. What a crash leaves of an erasure is for the service's own tests.

use super::Disk;
use async_trait::async_trait;
use ringback_model::{ErasureId, TenantId, erasure::Erasure, event::Event};
use ringback_ports::store::{Erasures, StoreError};
use std::sync::Arc;

#[async_trait]
impl Erasures for Disk {
    async fn erasures(
        &self,
        tenant: Option<&TenantId>,
        after: Option<ErasureId>,
        running: bool,
        limit: usize,
    ) -> Result<Vec<Erasure>, StoreError> {
        self.reading().await?.erasures(tenant, after, running, limit).await
    }

    async fn erase(&self, by: ErasureId, left: Vec<Arc<Event>>) -> Result<u64, StoreError> {
        self.reading().await?.erase(by, left).await
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        self.reading().await?.scrub().await
    }
}
