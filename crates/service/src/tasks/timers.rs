//! Fires status timeouts when they are due, also those that fell due while we
//! were down. A timer is a column of its resource's row, so it commits with the
//! status that set it and survives whatever happens to this task.

use crate::{Error, Service, resources::earliest};
use std::{sync::Arc, time::Duration};

/// Timers that are fired before looking again.
const SLICE: usize = 100;
/// Timers of types that are not served, which are passed over to find the others.
const ORPHANS_MAX: usize = 10_000;
/// The longest sleep: a missed hint costs no more than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After something that should not have failed, and while there are orphans.
const PAUSE: Duration = Duration::from_secs(1);

/// What one look found.
struct Looked {
    /// Timers of types that are not served. They stay due: their type may be served again.
    orphans: usize,
    /// Whether there may be more to fire.
    more: bool,
}

pub(super) async fn run(service: Service) {
    let mut orphans = 0;
    while service.ready() {
        let failed = match slice(&service, SLICE + orphans).await {
            Ok(looked) => {
                if orphans == 0 && looked.orphans > 0 {
                    tracing::warn!("there are status timeouts of types that are not served: they wait until these are");
                }
                orphans = looked.orphans;
                if looked.more {
                    continue;
                }
                false
            }
            Err(why) => {
                tracing::warn!("status timeouts could not be fired, trying again: {why:?}");
                true
            }
        };
        let clock = Arc::clone(&service.inner.clock);
        let hint = Arc::clone(&service.inner.timer_hint);
        let at = if failed || orphans > 0 {
            // The earliest timer is due already and stays so: going by it would spin.
            clock.now() + PAUSE
        } else {
            let next = service.inner.store.next_timer().await.ok().flatten();
            let latest = clock.now() + LOOK_AGAIN;
            earliest(next, Some(latest)).unwrap_or(latest)
        };
        tokio::select! {
            biased;
            () = hint.notified() => {}
            () = clock.sleep_until(at) => {}
        }
    }
}

/// Fires what is due among the first `limit` timers.
async fn slice(service: &Service, limit: usize) -> Result<Looked, Error> {
    let due = service.inner.store.due_timers(service.now(), limit).await?;
    let full = due.len() == limit;
    let types = service.types();
    let (mut orphans, mut fired) = (0, false);
    for timer in &due {
        if types.by_name(timer.type_name.as_str()).is_none() {
            orphans += 1;
            continue;
        }
        fired = true;
        match service.fire(timer).await {
            // Deleted or changed meanwhile: nothing happens.
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(why) => return Err(why),
        }
    }
    let orphans = orphans.min(ORPHANS_MAX);
    Ok(Looked { orphans, more: full && (fired || limit < SLICE + orphans) })
}
