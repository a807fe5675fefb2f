//! Idle connections, kept for the next request to the same destination.
//!
//! Bounded per destination, in all, and in age. Whoever takes one vets its peer again;
//! the name is not resolved again for it, since the address that was vetted is the one
//! that is called, and a receiver that moves is followed when the connection is too old.
//! Operator and tenant never share one: what may be called differs.

use crate::{
    call::Live,
    limits,
    target::{Host, Scheme, Target},
};
use ringback_model::key::Authority;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::time::Instant;

/// What a connection may be used for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    scheme: Scheme,
    host: Host,
    port: u16,
    authority: Authority,
}

impl Key {
    /// The key of requests to `target` with this authority.
    #[must_use]
    pub(crate) fn new(target: &Target, authority: Authority) -> Self {
        Self { scheme: target.scheme, host: target.host.clone(), port: target.port, authority }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Per destination, the one that became idle last at the end.
    idle: BTreeMap<Key, Vec<Idle>>,
    count: usize,
    swept: bool,
}

#[derive(Debug)]
struct Idle {
    live: Live,
    since: Instant,
}

impl Idle {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < limits::IDLE_AGE_MAX
            && now.saturating_duration_since(self.live.born) < limits::CONNECTION_AGE_MAX
    }
}

impl Pool {
    /// The connection that became idle last: it is the least likely to have been closed.
    pub(crate) fn take(&self, key: &Key) -> Option<Live> {
        let now = Instant::now();
        let mut inner = self.inner();
        let idle = inner.idle.get_mut(key)?;
        let before = idle.len();
        let found = core::iter::from_fn(|| idle.pop()).find(|it| it.is_fresh(now));
        let after = idle.len();
        if after == 0 {
            inner.idle.remove(key);
        }
        inner.count = inner.count.saturating_sub(before - after);
        found.map(|it| it.live)
    }

    /// Keeps `live` if there is room; else it is closed.
    pub(crate) fn put(self: &Arc<Self>, key: Key, live: Live) {
        let now = Instant::now();
        let idle = Idle { live, since: now };
        if !idle.is_fresh(now) {
            return;
        }
        let mut inner = self.inner();
        if inner.count >= limits::IDLE_MAX {
            return;
        }
        let same = inner.idle.entry(key).or_default();
        if same.len() >= limits::IDLE_PER_DESTINATION_MAX {
            return;
        }
        same.push(idle);
        inner.count += 1;
        if !core::mem::replace(&mut inner.swept, true) {
            drop(inner);
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Idle connections now.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.inner().count
    }

    /// Closes what is too old; whether anything is left.
    fn expire(&self) -> bool {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.idle.retain(|_, idle| {
            idle.retain(|it| it.is_fresh(now));
            !idle.is_empty()
        });
        inner.count = inner.idle.values().map(Vec::len).sum();
        inner.swept = inner.count > 0;
        inner.swept
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes old connections until there are none, so that a quiet server holds none open.
async fn sweep(pool: Weak<Pool>) {
    loop {
        #[expect(clippy::disallowed_methods, reason = "paces the closing of idle connections; nothing is owed")]
        tokio::time::sleep(limits::IDLE_AGE_MAX).await;
        if !pool.upgrade().is_some_and(|it| it.expire()) {
            return;
        }
    }
}
