//! Whose turn it is: tries in flight, shared between tenants, then between a
//! tenant's subscriptions.
//!
//! What is shared is slot time: how long a try holds one of the slots. Everybody
//! has a clock that runs while his tries hold slots; the one whose clock shows
//! least is next. That is deficit round robin with a quantum of nothing, without
//! its rounds: an endpoint that holds a slot for 20 seconds comes once where one
//! that takes 20 ms comes a thousand times. A try is charged in advance by what
//! the last ones took, and set right at its end, so that a slow endpoint does not
//! start many before the first has ended.
//!
//! - While somebody waits who holds less than his share (a quarter of the slots for a
//!   tenant, a twentieth for a subscription), nobody above his own starts. What is idle
//!   is lent, but for an eighth of the slots: they are free when somebody comes.
//! - Retries hold at most 30 % of all slots while fresh events wait anywhere, and at most 30 %
//!   of their tenant's share while his own do: endpoints that are down don't starve those of the
//!   same tenant that are well. Those of a tenant who borrows for fresh events may have to wait until he holds less.
//! - Tries to one host (name and port) have a limit, whoever they are for.
//!
//! Not here: how much one endpoint takes (`health`), which event is next (`window`).

#[cfg(test)]
mod tests;

use core::time::Duration;
use ringback_model::TenantId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A tenant's share of the slots, in percent.
pub const TENANT_SHARE_PERCENT: usize = 25;
/// A subscription's share, in percent.
pub const SUBSCRIPTION_SHARE_PERCENT: usize = 5;
/// What retries hold of all slots while fresh events wait, in percent.
pub const RETRIES_SHARE_PERCENT: usize = 30;
/// Slots that are not lent: one in so many.
pub const RESERVE: usize = 8;
/// What one host holds of all slots, in percent, and at least.
pub const HOST_SHARE_PERCENT: usize = 25;
/// See `HOST_SHARE_PERCENT`.
pub const HOST_SLOTS_MIN: usize = 64;
/// What tries hold of the slots while the failures are our own, in percent.
pub const FROZEN_PERCENT: usize = 10;

/// What a first try is charged in advance.
const COST_FIRST_US: u64 = 20_000;

/// What a subscription has to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// An event that was not tried yet, or a probe; maybe retries too.
    Fresh,
    /// Retries alone.
    Retries,
}

/// Who may start one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The subscription.
    pub no: u32,
    /// Retries hold their share: only a fresh one.
    pub fresh_only: bool,
}

/// A try that holds a slot: what `handle_ended` has to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    no: u32,
    host: Arc<str>,
    retry: bool,
    charged: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    used: usize,
    retries_used: usize,
    retry_was_last: bool,
    clock: u64,
    /// The same for its retries alone: they have a share of their own, and take turns in it.
    retry_clock: u64,
    /// The clock of the subscription that was last granted: those that come are not before it.
    floor: u64,
    fresh: BTreeSet<(u64, u32)>,
    retries: BTreeSet<(u64, u32)>,
    members: usize,
}

#[derive(Debug)]
struct Subscription {
    tenant: TenantId,
    host: Arc<str>,
    used: usize,
    clock: u64,
    cost: u64,
    wants: Option<Wants>,
    /// Waits for its host.
    blocked: bool,
    /// Gone, but tries are in flight.
    gone: bool,
}

#[derive(Debug, Default)]
struct Host {
    used: usize,
    blocked: BTreeSet<u32>,
}

/// The slots, and who waits for one.
#[derive(Debug)]
pub struct Fair {
    slots: usize,
    frozen: bool,
    used: usize,
    retries_used: usize,
    retry_was_last: bool,
    floor: u64,
    retry_floor: u64,
    tenants: BTreeMap<TenantId, Tenant>,
    subscriptions: BTreeMap<u32, Subscription>,
    hosts: BTreeMap<Arc<str>, Host>,
    /// Tenants with something fresh to start by clock, and those with retries by theirs.
    fresh: BTreeSet<(u64, TenantId)>,
    retries: BTreeSet<(u64, TenantId)>,
}

impl Fair {
    /// Nobody, over so many slots (at least one).
    #[must_use]
    pub const fn new(slots: usize) -> Self {
        Self {
            slots: if slots == 0 { 1 } else { slots },
            frozen: false,
            used: 0,
            retries_used: 0,
            retry_was_last: false,
            floor: 0,
            retry_floor: 0,
            tenants: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            hosts: BTreeMap::new(),
            fresh: BTreeSet::new(),
            retries: BTreeSet::new(),
        }
    }

    /// Tries in flight.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// While what fails is our own fault, a tenth of the slots keeps trying.
    pub const fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// A subscription came, or its host is another one. It wants nothing yet.
    pub fn put(&mut self, no: u32, tenant: &TenantId, host: &str) {
        let host: Arc<str> = host.into();
        match self.subscriptions.get_mut(&no) {
            Some(it) if !it.gone && it.host == host => {}
            Some(it) => {
                it.gone = false;
                it.blocked = false;
                let before = core::mem::replace(&mut it.host, host);
                if let Some(host) = self.hosts.get_mut(&before) {
                    host.blocked.remove(&no);
                }
                self.tidy_host(&before);
                self.list(no);
            }
            None => {
                let (clock, retry_clock) = (self.floor, self.retry_floor);
                let of = self.tenants.entry(tenant.clone()).or_insert_with(|| Tenant { clock, retry_clock, ..Tenant::default() });
                of.members += 1;
                let it = Subscription {
                    tenant: tenant.clone(),
                    host,
                    used: 0,
                    clock: of.floor,
                    cost: COST_FIRST_US,
                    wants: None,
                    blocked: false,
                    gone: false,
                };
                self.subscriptions.insert(no, it);
            }
        }
    }

    /// The subscription is gone. Its tries in flight end as usual.
    pub fn remove(&mut self, no: u32) {
        self.set_wants(no, None);
        if let Some(it) = self.subscriptions.get_mut(&no) {
            it.gone = true;
            let host = Arc::clone(&it.host);
            if let Some(of) = self.hosts.get_mut(&host) {
                of.blocked.remove(&no);
            }
            self.tidy_host(&host);
        }
        self.forget_if_over(no);
    }

    /// What it has to start now.
    pub fn set_wants(&mut self, no: u32, wants: Option<Wants>) {
        let Some(it) = self.subscriptions.get(&no).filter(|it| it.wants != wants && !it.gone) else { return };
        let came = it.wants.is_none() && it.used == 0;
        let host = Arc::clone(&it.host);
        self.unlist(no);
        if let Some(it) = self.subscriptions.get_mut(&no) {
            it.wants = wants;
            if came && let Some(of) = self.tenants.get_mut(&it.tenant) {
                // Who did nothing has not saved anything up.
                it.clock = it.clock.max(of.floor);
                if of.used == 0 && of.fresh.is_empty() && of.retries.is_empty() {
                    of.clock = of.clock.max(self.floor);
                    of.retry_clock = of.retry_clock.max(self.retry_floor);
                }
            }
        }
        self.list(no);
        if wants.is_none() {
            // Its turn at the host is somebody else's.
            if let Some(it) = self.subscriptions.get_mut(&no) {
                it.blocked = false;
            }
            if let Some(of) = self.hosts.get_mut(&host) {
                of.blocked.remove(&no);
            }
            self.unblock_one(&host);
        }
    }

    /// Who may start one try now. The same again until it is told what came of it:
    /// `handle_started`, or `set_wants` when there was nothing to start.
    #[must_use]
    pub fn poll(&mut self) -> Option<Grant> {
        loop {
            let slots = if self.frozen { (self.slots * FROZEN_PERCENT / 100).max(1) } else { self.slots };
            if self.used >= slots {
                return None;
            }
            let retries_share = share(slots, RETRIES_SHARE_PERCENT);
            // Where their share is all that there is (one slot), they take turns.
            let not_their_turn = retries_share >= slots && self.retry_was_last;
            let fresh_only = !self.fresh.is_empty() && (self.retries_used >= retries_share || not_their_turn);
            let may_borrow = self.used < slots - slots / RESERVE;
            let (tenant_share, own_share) = (share(slots, TENANT_SHARE_PERCENT), share(slots, SUBSCRIPTION_SHARE_PERCENT));
            let no = self.least(fresh_only, tenant_share, (tenant_share, own_share)).or_else(|| {
                // The last of few slots is nobody's reserve.
                if may_borrow || slots < RESERVE { self.least(fresh_only, tenant_share, (usize::MAX, usize::MAX)) } else { None }
            })?;
            if self.is_host_full(no) {
                self.block(no);
                continue;
            }
            return Some(Grant { no, fresh_only });
        }
    }

    /// The one to start whose clocks show least, of tenants and subscriptions that hold less than `below`.
    fn least(&self, fresh_only: bool, tenant_share: usize, below: (usize, usize)) -> Option<u32> {
        let find = |order: &BTreeSet<(u64, TenantId)>, may: &dyn Fn(&Tenant) -> bool, of_tenant: fn(&Tenant) -> &BTreeSet<(u64, u32)>| {
            order.iter().find_map(|(_, id)| {
                let of = self.tenants.get(id).filter(|it| it.used < below.0 && may(it))?;
                let holds_less = |it: &&(u64, u32)| self.subscriptions.get(&it.1).is_some_and(|it| it.used < below.1);
                of_tenant(of).iter().find(holds_less).map(|(_, no)| *no)
            })
        };
        let retries_share = share(tenant_share, RETRIES_SHARE_PERCENT);
        let may_retry = |it: &Tenant| {
            let not_their_turn = retries_share >= tenant_share && it.retry_was_last;
            it.fresh.is_empty() || (it.retries_used < retries_share && !not_their_turn)
        };
        // Retries first, since they can't take more than their share from what is fresh.
        let retries = if fresh_only { None } else { find(&self.retries, &may_retry, |it| &it.retries) };
        retries.or_else(|| find(&self.fresh, &|_| true, |it| &it.fresh))
    }

    /// A try of this subscription started.
    #[must_use]
    pub fn handle_started(&mut self, no: u32, retry: bool) -> Held {
        self.unlist(no);
        self.used += 1;
        self.retries_used += usize::from(retry);
        self.retry_was_last = retry;
        let Some(it) = self.subscriptions.get_mut(&no) else {
            return Held { no, host: "".into(), retry, charged: 0 };
        };
        it.used += 1;
        it.clock += it.cost;
        let held = Held { no, host: Arc::clone(&it.host), retry, charged: it.cost };
        self.hosts.entry(Arc::clone(&held.host)).or_default().used += 1;
        if let Some(of) = self.tenants.get_mut(&it.tenant) {
            of.used += 1;
            of.retries_used += usize::from(retry);
            of.retry_was_last = retry;
            of.floor = of.floor.max(it.clock - it.cost);
            self.floor = self.floor.max(of.clock);
            of.clock += it.cost;
            if retry {
                self.retry_floor = self.retry_floor.max(of.retry_clock);
                of.retry_clock += it.cost;
            }
        }
        self.list(no);
        held
    }

    /// It gave its slot back after `time`.
    pub fn handle_ended(&mut self, held: &Held, time: Duration) {
        let no = held.no;
        self.unlist(no);
        self.used = self.used.saturating_sub(1);
        self.retries_used = self.retries_used.saturating_sub(usize::from(held.retry));
        let took = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(3_600_000_000);
        if let Some(it) = self.subscriptions.get_mut(&no) {
            it.used = it.used.saturating_sub(1);
            it.clock = (it.clock + took).saturating_sub(held.charged);
            it.cost = ((it.cost * 3 + took) / 4).max(1);
            if let Some(of) = self.tenants.get_mut(&it.tenant) {
                of.used = of.used.saturating_sub(1);
                of.retries_used = of.retries_used.saturating_sub(usize::from(held.retry));
                of.clock = (of.clock + took).saturating_sub(held.charged);
                if held.retry {
                    of.retry_clock = (of.retry_clock + took).saturating_sub(held.charged);
                }
            }
        }
        if let Some(host) = self.hosts.get_mut(&held.host) {
            host.used = host.used.saturating_sub(1);
        }
        self.list(no);
        self.unblock_one(&held.host);
        self.forget_if_over(no);
    }

    fn is_host_full(&self, no: u32) -> bool {
        let most = share(self.slots, HOST_SHARE_PERCENT).max(HOST_SLOTS_MIN);
        self.subscriptions.get(&no).and_then(|it| self.hosts.get(&it.host)).is_some_and(|it| it.used >= most)
    }

    fn block(&mut self, no: u32) {
        self.unlist(no);
        if let Some(it) = self.subscriptions.get_mut(&no) {
            it.blocked = true;
            self.hosts.entry(Arc::clone(&it.host)).or_default().blocked.insert(no);
        }
    }

    /// The one of those that wait for this host whose clock shows least.
    fn unblock_one(&mut self, host: &Arc<str>) {
        let next = self
            .hosts
            .get(host)
            .and_then(|of| of.blocked.iter().copied().min_by_key(|no| (self.subscriptions.get(no).map(|it| it.clock), *no)));
        if let Some(no) = next {
            if let Some(of) = self.hosts.get_mut(host) {
                of.blocked.remove(&no);
            }
            if let Some(it) = self.subscriptions.get_mut(&no) {
                it.blocked = false;
            }
            self.list(no);
        }
        self.tidy_host(host);
    }

    fn tidy_host(&mut self, host: &Arc<str>) {
        if self.hosts.get(host).is_some_and(|it| it.used == 0 && it.blocked.is_empty()) {
            self.hosts.remove(host);
        }
    }

    fn forget_if_over(&mut self, no: u32) {
        let Some(it) = self.subscriptions.get(&no).filter(|it| it.gone && it.used == 0) else { return };
        let tenant = it.tenant.clone();
        self.subscriptions.remove(&no);
        if let Some(of) = self.tenants.get_mut(&tenant) {
            of.members = of.members.saturating_sub(1);
            if of.members == 0 {
                self.fresh.remove(&(of.clock, tenant.clone()));
                self.retries.remove(&(of.retry_clock, tenant.clone()));
                self.tenants.remove(&tenant);
            }
        }
    }

    /// Takes it, and its tenant, out of the orders, before a clock or a wish changes.
    fn unlist(&mut self, no: u32) {
        let Some(it) = self.subscriptions.get(&no) else { return };
        let Some(of) = self.tenants.get_mut(&it.tenant) else { return };
        of.fresh.remove(&(it.clock, no));
        of.retries.remove(&(it.clock, no));
        self.fresh.remove(&(of.clock, it.tenant.clone()));
        self.retries.remove(&(of.retry_clock, it.tenant.clone()));
    }

    /// Puts both back where they belong now.
    fn list(&mut self, no: u32) {
        let Some(it) = self.subscriptions.get(&no) else { return };
        let Some(of) = self.tenants.get_mut(&it.tenant) else { return };
        match it.wants.filter(|_| !it.blocked && !it.gone) {
            Some(Wants::Fresh) => of.fresh.insert((it.clock, no)),
            Some(Wants::Retries) => of.retries.insert((it.clock, no)),
            None => false,
        };
        if !of.fresh.is_empty() {
            self.fresh.insert((of.clock, it.tenant.clone()));
        }
        if !of.retries.is_empty() {
            self.retries.insert((of.retry_clock, it.tenant.clone()));
        }
    }
}

/// So many percent of `slots`; at least one.
const fn share(slots: usize, percent: usize) -> usize {
    let it = slots * percent / 100;
    if it == 0 { 1 } else { it }
}
