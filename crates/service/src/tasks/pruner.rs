//! Removes kept answers whose Idempotency-Key is free again, a slice at a time.

use crate::Service;
use std::{sync::Arc, time::Duration};

const EVERY: Duration = Duration::from_secs(300);

pub(super) async fn run(service: Service) {
    while service.ready() {
        match service.prune_answers().await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::debug!(removed, "removed {removed} kept answers that were past their day");
                continue;
            }
            Err(why) => tracing::warn!("kept answers could not be pruned: {why}"),
        }
        let clock = Arc::clone(&service.inner.clock);
        clock.sleep(EVERY).await;
    }
}
