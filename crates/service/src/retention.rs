//! Takes away what is older than is kept, from the front of the log.
//!
//! In this order, each step small and each safe to be the last one before a
//! crash: whoever has not come as far is told, and passes (`subscriptions::overtaken`);
//! whoever reads is warned (`Floors`); then the events go, a few at a time, and
//! the floors move with them; then what hung on them. Resource rows are written
//! with their events, so each is durable long before its event goes.
//!
//! Not here: how far (`engine::retention`), the removing itself (the store).

use crate::{Error, Service};
use ringback_engine::retention;
use ringback_model::{
    TenantId,
    event::{Place, Scope, Seq},
    subscription::State,
};
use ringback_ports::meters::meters;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Events that go in one transaction: some milliseconds of the writer.
const EVENTS_AT_ONCE: usize = 500;
/// Rows of attempts, exceptions and ranges that go in one.
const ROWS_AT_ONCE: usize = 2_000;

/// How far retention goes in this life of the process, known before anything goes: whoever looks at the log
/// asks afterwards whether what it looked at was still whole.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    raised: Mutex<Raised>,
}

#[derive(Debug, Default)]
struct Raised {
    all: Place,
    of: BTreeMap<TenantId, Place>,
}

impl Floors {
    fn raise(&self, all: Seq, of: &BTreeMap<TenantId, Place>) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.all = raised.all.max(all);
        for (tenant, place) in of {
            let floor = raised.of.entry(tenant.clone()).or_default();
            *floor = (*floor).max(*place);
        }
    }

    /// Up to where events of this scope may be gone; 0 if none went since the start.
    pub(crate) fn of(&self, scope: &Scope) -> Place {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        match scope {
            Scope::All => raised.all,
            Scope::Tenant(tenant) => raised.of.get(tenant).copied().unwrap_or(0),
        }
    }
}

impl Service {
    /// Removes what has become too old. How many events went.
    ///
    /// # Errors
    /// The store's, and `Overloaded` while a reader that is overtaken is being loaded: try again later.
    pub(crate) async fn retain(&self) -> Result<u64, Error> {
        let store = &self.inner.store;
        let cutoff = retention::cutoff(self.now(), self.inner.config.keep_events);
        let bounds = store.bounds(&Scope::All).await?;
        let to = retention::target(bounds.floor, bounds.last, store.place_before(&Scope::All, cutoff).await?);
        if to == 0 {
            return Ok(0);
        }
        let places = self.places_at(cutoff).await?;
        self.overtake_all(to, &places).await?;
        self.inner.floors.raise(to, &places);
        let mut floor = bounds.floor;
        while floor < to && self.ready() {
            let next = store.truncate(to, EVENTS_AT_ONCE).await?;
            if next <= floor {
                break;
            }
            meters().events_removed.inc_by(next - floor);
            floor = next;
        }
        let mut from = Some(0);
        while let Some(no) = from.filter(|_| self.ready()) {
            from = store.sweep(no, ROWS_AT_ONCE).await?;
        }
        Ok(floor - bounds.floor)
    }

    /// Where the front that is too old ends in the log of each tenant.
    async fn places_at(&self, cutoff: ringback_model::Timestamp) -> Result<BTreeMap<TenantId, Place>, Error> {
        let tenants: Vec<TenantId> = self.registry().tenants.keys().cloned().collect();
        let mut places = BTreeMap::new();
        for tenant in tenants {
            let scope = Scope::Tenant(tenant.clone());
            let bounds = self.inner.store.bounds(&scope).await?;
            let too_old = self.inner.store.place_before(&scope, cutoff).await?;
            places.insert(tenant, retention::target(bounds.floor, bounds.last, too_old));
        }
        Ok(places)
    }

    /// Has everybody pass who has not come as far.
    async fn overtake_all(&self, all: Seq, places: &BTreeMap<TenantId, Place>) -> Result<(), Error> {
        let subscriptions: Vec<_> = self.registry().subscriptions_of(None).cloned().collect();
        let nos = subscriptions.iter().map(|it| it.no).collect();
        let views: BTreeMap<u32, _> = self.inner.dispatcher.views(nos).await.into_iter().collect();
        for it in subscriptions {
            let floor = match &it.scope {
                Scope::All => all,
                Scope::Tenant(tenant) => places.get(tenant).copied().unwrap_or(0),
            };
            let overtaken = match views.get(&it.no) {
                Some(view) => retention::overtakes(floor, view.cursor, view.first_exception),
                None => {
                    let first = self.inner.store.exceptions(it.no, 0, 1).await?.first().map(|it| it.place);
                    // One that is done reads no more: only its exceptions are left.
                    let cursor =
                        if it.state == State::Done { Place::MAX } else { self.inner.store.cursor(it.no).await?.unwrap_or(Place::MAX) };
                    retention::overtakes(floor, cursor, first)
                }
            };
            if overtaken {
                self.overtake(it.no, floor).await?;
            }
        }
        Ok(())
    }
}
