//! Looks again and again for what has become too old, see `crate::retention`.

use crate::Service;
use ringback_engine::retention;
use std::sync::Arc;

pub(super) async fn run(service: Service) {
    let pause = retention::pause(service.inner.config.keep_events);
    loop {
        // First a pause: who starts has more urgent things to read.
        let clock = Arc::clone(&service.inner.clock);
        clock.sleep(pause).await;
        if !service.ready() {
            return;
        }
        match service.retain().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "{removed} events were older than is kept, and are removed"),
            Err(why) => tracing::warn!("what is too old could not be removed, trying again: {why:?}"),
        }
    }
}
