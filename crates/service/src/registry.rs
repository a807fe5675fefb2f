//! Control objects in memory: few, read on every request, changed seldom.
//!
//! Loaded at the start; each change is committed first and entered here after.

use crate::types::Types;
use ringback_model::{
    KeyId, SubscriptionId, TenantId,
    key::Key,
    subscription::{State, Subscription},
    tenant::Tenant,
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    pub(crate) keys: BTreeMap<KeyId, Key>,
    pub(crate) types: Types,
    subscriptions: BTreeMap<u32, Arc<Subscription>>,
    by_id: BTreeMap<TenantId, BTreeMap<SubscriptionId, u32>>,
}

impl Registry {
    pub(crate) fn new(tenants: Vec<Tenant>, keys: Vec<Key>, subscriptions: Vec<Subscription>, types: Types) -> Self {
        let mut it = Self {
            tenants: tenants.into_iter().map(|it| (it.id.clone(), it)).collect(),
            keys: keys.into_iter().map(|it| (it.id, it)).collect(),
            types,
            subscriptions: BTreeMap::new(),
            by_id: BTreeMap::new(),
        };
        for subscription in subscriptions {
            it.put_subscription(Arc::new(subscription));
        }
        it
    }

    pub(crate) fn put_subscription(&mut self, subscription: Arc<Subscription>) {
        self.by_id.entry(subscription.tenant.clone()).or_default().insert(subscription.id.clone(), subscription.no);
        self.subscriptions.insert(subscription.no, subscription);
    }

    pub(crate) fn remove_subscription(&mut self, no: u32) {
        if let Some(gone) = self.subscriptions.remove(&no)
            && let Some(own) = self.by_id.get_mut(&gone.tenant)
        {
            own.remove(&gone.id);
        }
    }

    pub(crate) fn subscription(&self, tenant: &TenantId, id: &str) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(self.by_id.get(tenant)?.get(id)?)
    }

    pub(crate) fn subscription_no(&self, no: u32) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(&no)
    }

    /// Of one tenant in order of id, or of all.
    pub(crate) fn subscriptions_of<'a>(&'a self, tenant: Option<&TenantId>) -> Box<dyn Iterator<Item = &'a Arc<Subscription>> + 'a> {
        match tenant {
            None => Box::new(self.subscriptions.values()),
            Some(tenant) => {
                let own = self.by_id.get(tenant);
                Box::new(own.into_iter().flat_map(|it| it.values()).filter_map(|no| self.subscriptions.get(no)))
            }
        }
    }

    pub(crate) fn subscription_count(&self, tenant: &TenantId) -> usize {
        self.by_id.get(tenant).map_or(0, BTreeMap::len)
    }

    /// Those that are read or have tries in flight: all that are not done.
    pub(crate) fn live_subscriptions(&self) -> Vec<u32> {
        self.subscriptions.values().filter(|it| it.state != State::Done).map(|it| it.no).collect()
    }
}
