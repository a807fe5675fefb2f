//! Does what was asked to be erased, see `crate::erasures`: at the start what a crash
//! left, and from then on what a hint tells of.

use crate::Service;
use std::{sync::Arc, time::Duration};

/// After something that should not have failed, and while somebody reads old pages.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn run(service: Service) {
    while service.ready() {
        match service.erase_pending().await {
            Ok(true) => service.inner.erasure_hint.notified().await,
            Ok(false) => service.inner.clock.sleep_until(service.now() + PAUSE).await,
            Err(why) => {
                tracing::warn!("an erasure could not go on, trying again: {why:?}");
                let clock = Arc::clone(&service.inner.clock);
                clock.sleep(PAUSE).await;
            }
        }
    }
}
