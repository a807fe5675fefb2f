//! What `/metrics` shows. What is counted as it happens is counted there; what
//! stands somewhere is asked for now.
//!
//! Not here: names and meanings (`ringback_ports::meters`).

use crate::{Ctx, Error, Service};
use ringback_model::{event::Scope, key::Authority};
use ringback_ports::meters::meters;
use std::collections::BTreeMap;

/// For gauges: beyond 2⁶³ nobody counts.
fn gauge(it: u64) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX)
}

impl Service {
    /// All metrics, in the text form of Prometheus.
    ///
    /// # Errors
    /// `Forbidden` for whoever is no operator; the store's.
    pub async fn metrics(&self, ctx: &Ctx) -> Result<String, Error> {
        ctx.require(Authority::Operator, || "read the metrics of the whole server".into())?;
        let (meters, now) = (meters(), self.now());
        let found = self.inner.dispatcher.figures().await.unwrap_or_default();
        for (health, count) in found.health {
            meters.subscriptions.with_label_values(&[health]).set(gauge(count));
        }
        for (state, count) in [("retrying", found.retrying), ("held", found.held), ("parked", found.parked)] {
            meters.exceptions.with_label_values(&[state]).set(gauge(count));
        }
        meters.oldest_due_seconds.set(found.oldest_due.map_or(0, |it| gauge(now.since(it).as_secs())));
        meters.slots.set(gauge(self.inner.config.slots as u64));
        meters.slots_in_use.set(gauge(found.slots_in_use));
        meters.deliveries_held.set(i64::from(self.deliveries_held()));
        meters.waiters.set(gauge(self.inner.waker.waiting() as u64));
        let mut lasts: BTreeMap<Scope, u64> = BTreeMap::new();
        let mut backlog = 0_u64;
        for (scope, cursor) in found.cursors {
            let last = match lasts.get(&scope) {
                Some(last) => *last,
                None => {
                    let last = self.inner.store.bounds(&scope).await?.last;
                    *lasts.entry(scope).or_insert(last)
                }
            };
            backlog = backlog.saturating_add(last.saturating_sub(cursor));
        }
        meters.backlog_events.set(gauge(backlog));
        let bounds = self.inner.store.bounds(&Scope::All).await?;
        meters.log_events.set(gauge(bounds.last - bounds.floor));
        Ok(meters.text())
    }
}
