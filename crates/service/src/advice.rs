//! What polling costs and brings each key, and which endpoints had better pull.
//!
//! Counted by `engine::advice`, which is told here: by the edge who was shown
//! what, by the store's listener what changed when.

use crate::{Ctx, Error, Service, keys, types::ServedType};
use ringback_engine::advice::{self, Asked, Figures, Of, Watcher};
use ringback_model::{
    ResourceId, TenantId,
    event::{Event, Scope},
    limits,
    resource::Version,
    subscription::State,
};
use ringback_ports::Clock;
use std::sync::{Arc, Mutex, PoisonError};

/// An endpoint that pulling would serve better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The subscription's id.
    pub subscription: String,
    /// Its owner; `*` for one over all tenants.
    pub tenant: String,
    /// What is wrong.
    pub why: String,
}

/// What is advised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdviceView {
    /// What each key's polls cost and brought, in order of key and route.
    pub pollers: Vec<Figures>,
    /// Endpoints that fail or lag.
    pub endpoints: Vec<Endpoint>,
    /// Whether there were too few polls to advise anything.
    pub too_little_data: bool,
}

/// A resource that somebody was shown, as the edge knows it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its type.
    pub ty: &'a ServedType,
    /// Its id.
    pub id: &'a ResourceId,
    /// The rest of the route's template: `/{id}/status`.
    pub rest: &'a str,
    /// The version that was shown or confirmed.
    pub version: Option<Version>,
    /// Whether the question was ready to wait.
    pub waited: bool,
}

impl Service {
    /// Notes that a key was shown a resource. The socket's questions are a person's, and not noted.
    pub fn shown(&self, ctx: &Ctx, it: Shown<'_>) {
        let (Some(key), Scope::Tenant(tenant)) = (ctx.caller.key, &ctx.scope) else { return };
        let decl = &it.ty.compiled.decl;
        let route = format!("{}{}", decl.path, it.rest);
        let of = Of { tenant: tenant.clone(), type_name: decl.name.clone(), id: it.id.clone() };
        let asked = Asked { key, route: &route, of, version: it.version, waited: it.waited };
        self.inner.watcher.lock().unwrap_or_else(PoisonError::into_inner).asked(asked, self.now());
    }

    /// What is advised, out of the last `hours`: to a tenant about its own keys, to an operator about all.
    ///
    /// # Errors
    /// The store's.
    pub async fn advice(&self, ctx: &Ctx, hours: u32) -> Result<AdviceView, Error> {
        let (pollers, too_little_data) = {
            let registry = self.registry();
            let sees = |id| registry.keys.get(&id).is_some_and(|it| keys::sees(ctx, it));
            let it = self.inner.watcher.lock().unwrap_or_else(PoisonError::into_inner).advice(hours, self.now(), sees);
            (it.pollers, it.too_little_data)
        };
        let mut endpoints = Vec::new();
        let mut after = None;
        for _ in 0..limits::SUBSCRIPTIONS_PER_TENANT_MAX / limits::PAGE_ITEMS_MAX {
            let page = self.subscriptions(ctx, limits::PAGE_ITEMS_MAX, after.as_deref()).await?;
            for it in page.items.iter().filter(|it| it.subscription.state == State::Active) {
                if let Some(why) = advice::had_better_pull(it.health.state, it.health.why.as_deref(), it.lag) {
                    let tenant = it.subscription.scope.as_str().to_owned();
                    endpoints.push(Endpoint { subscription: it.subscription.id.to_string(), tenant, why });
                }
            }
            after = page.next_cursor;
            if after.is_none() {
                break;
            }
        }
        Ok(AdviceView { pollers, endpoints, too_little_data })
    }
}

/// Tells the watcher what changed, from the store's listener.
pub(crate) fn hear(watcher: &Mutex<Watcher>, clock: &Arc<dyn Clock>, events: &[Arc<Event>]) {
    if events.iter().all(|it| it.of.is_none()) {
        return;
    }
    let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
    if watcher.is_idle() {
        return;
    }
    let now = clock.now();
    for event in events {
        let Some(of) = &event.of else { continue };
        let tenant: TenantId = event.tenant.clone();
        let at = Of { tenant, type_name: of.type_name.clone(), id: of.id.clone() };
        watcher.changed(&at, of.version, of.entered.is_some(), now);
    }
}
