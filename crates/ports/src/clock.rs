//! Time as a seam. Only the wiring of the command line has a real one.

use async_trait::async_trait;
use core::time::Duration;
use ringback_model::Timestamp;

/// Where the service gets time from.
#[async_trait]
pub trait Clock: Send + Sync + core::fmt::Debug {
    /// The present moment, UTC.
    fn now(&self) -> Timestamp;

    /// Returns when `now() >= at`; at once if that is so already.
    async fn sleep_until(&self, at: Timestamp);

    /// Returns after `by`, measured monotonically.
    async fn sleep(&self, by: Duration) {
        self.sleep_until(self.now() + by).await;
    }
}

/// Runs `what` until `at`; `None` when the time came first.
pub async fn until<T>(clock: &dyn Clock, at: Timestamp, what: impl Future<Output = T> + Send) -> Option<T> {
    tokio::select! {
        biased;
        out = what => Some(out),
        () = clock.sleep_until(at) => None,
    }
}
