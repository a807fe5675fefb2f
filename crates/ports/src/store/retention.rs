//! Taking away the front of the log, and what hangs on it. When, and how far, the service says.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::event::Seq;

/// Retention.
#[async_trait]
pub trait Retention {
    /// Removes events from the front of the whole log, those with `seq <= to`: about `limit` of them, and fewer when
    /// they are large. Answers the floor of the whole log afterwards; it is `to` when all of them are gone.
    ///
    /// - Change sets go whole: one that `to` cuts stays, and the last one that goes may exceed `limit`.
    /// - The floors (of the log, and of each tenant) move in the same step; they are the last places that went, and never go back.
    /// - Places are never given again: the next event's is after the last one that ever was, also when none is left.
    /// - A publisher's key is free again with its event. Types that were seen stay known, and so do all rows.
    async fn truncate(&self, to: Seq, limit: usize) -> Result<Seq, StoreError>;

    /// Removes attempts and exceptions that lie at or below the floor of their subscription's scope, and skipped ranges
    /// that end there and that the cursor has passed: at most `limit` rows, of the subscriptions from number `from` on, in order;
    /// of many, it looks at some.
    /// Answers the number to go on with; `None` when there is nothing more.
    async fn sweep(&self, from: u32, limit: usize) -> Result<Option<u32>, StoreError>;
}
