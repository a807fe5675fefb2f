//! Fills the indexes that were declared over rows that were there already, a slice
//! at a time, so that no write waits for more than one of them.

use crate::Service;
use std::{sync::Arc, time::Duration};

/// Rows of one slice: some ten milliseconds of the writer.
const SLICE: usize = 2_000;
/// After something that should not have failed.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn run(service: Service) {
    while service.ready() {
        match service.fill_indexes(SLICE).await {
            Ok(true) => {}
            Ok(false) => service.inner.index_hint.notified().await,
            Err(why) => {
                tracing::warn!("an index could not be filled, trying again: {why:?}");
                let clock = Arc::clone(&service.inner.clock);
                clock.sleep(PAUSE).await;
            }
        }
    }
}
