//! Fires status timeouts when they are due, also those that fell due while we
//! were down. A timer is a column of its resource's row, so it commits with the
//! status that set it and survives whatever happens to this task.

use crate::{Error, Service, resources::earliest};
use std::{sync::Arc, time::Duration};

/// Timers that are fired before looking again.
const SLICE: usize = 100;
/// The longest sleep: a missed hint costs no more than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After something that should not have failed.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(service: Service) {
    while service.ready() {
        let pause = match slice(&service).await {
            Ok(true) => continue,
            Ok(false) => LOOK_AGAIN,
            Err(why) => {
                tracing::warn!("status timeouts could not be fired, trying again: {why:?}");
                PAUSE
            }
        };
        let clock = Arc::clone(&service.inner.clock);
        let hint = Arc::clone(&service.inner.timer_hint);
        let next = service.inner.store.next_timer().await.ok().flatten();
        let at = earliest(next, Some(clock.now() + pause)).unwrap_or_else(|| clock.now() + pause);
        // An error leaves a due timer due: wait a little, or this would spin.
        let at = if pause == PAUSE { clock.now() + PAUSE } else { at };
        tokio::select! {
            biased;
            () = hint.notified() => {}
            () = clock.sleep_until(at) => {}
        }
    }
}

/// Fires one slice; whether there may be more.
async fn slice(service: &Service) -> Result<bool, Error> {
    let due = service.inner.store.due_timers(service.now(), SLICE).await?;
    let full = due.len() == SLICE;
    for timer in &due {
        match service.fire(timer).await {
            // Deleted or changed meanwhile: nothing happens.
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(full)
}
