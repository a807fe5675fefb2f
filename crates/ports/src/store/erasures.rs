//! Erasing: what is left of events whose data goes, and what was asked for. What goes, the service says.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::{ErasureId, TenantId, erasure::Erasure, event::Event};
use std::sync::Arc;

/// Erasures.
#[async_trait]
pub trait Erasures {
    /// Erasures of the tenant (of all tenants without one) after `after` in order of id, at most `limit`; with
    /// `running`, only those that are not done.
    async fn erasures(
        &self,
        tenant: Option<&TenantId>,
        after: Option<ErasureId>,
        running: bool,
        limit: usize,
    ) -> Result<Vec<Erasure>, StoreError>;

    /// Puts what `Event::erased` left in the place of events, in one step, and adds to the erasure how many there were.
    ///
    /// - An event that is erased already, or is not there, is passed over. What is left keeps its place.
    /// - The event is found by subject and key no more; its key is free. What it records of a resource (`of`) stays.
    /// - The answers that were kept of its attempts are removed, and its exceptions, of all subscriptions.
    async fn erase(&self, by: ErasureId, left: Vec<Arc<Event>>) -> Result<u64, StoreError>;

    /// Removes what was erased from what a store writes beside its data (a log of writes, a journal).
    /// False while that can't be done yet, since somebody reads there: ask again later.
    async fn scrub(&self) -> Result<bool, StoreError>;
}
