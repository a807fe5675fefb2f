//! Subscriptions as they are shown: where they stand, and how they do.

use super::{Health, SubscriptionView, may_see};
use crate::{Ctx, Error, Service, dispatcher, page::Page};
use ringback_engine::window::HealthState;
use ringback_model::{
    SubscriptionId,
    event::{Place, Scope},
    subscription::{State, Subscription},
};
use ringback_ports::store::Slice;
use std::{collections::BTreeMap, sync::Arc};

impl Service {
    /// One subscription.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn subscription(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<SubscriptionView, Error> {
        let found = self.find(ctx, id)?;
        self.subscription_view(&found).await
    }

    /// Subscriptions in order of id (with `*`: of tenant, then id).
    ///
    /// # Errors
    /// `CursorMismatch`.
    pub async fn subscriptions(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<SubscriptionView>, Error> {
        let after = self.id_cursor(ctx, "subscriptions", after)?;
        let name = |it: &Arc<Subscription>| format!("{}/{}", it.tenant, it.id);
        let page = {
            let registry = self.registry();
            let tenant = match &ctx.scope {
                Scope::Tenant(it) => Some(it),
                Scope::All => None,
            };
            let mut all: Vec<Arc<Subscription>> = registry.subscriptions_of(tenant).filter(|it| may_see(ctx, it)).cloned().collect();
            all.sort_by_cached_key(name);
            let rows = all.into_iter().filter(|it| after.as_ref().is_none_or(|at| name(it) > *at));
            self.id_page(ctx, "subscriptions", rows, limit, name)
        };
        let views: BTreeMap<u32, dispatcher::ReaderView> =
            self.inner.dispatcher.views(page.items.iter().map(|it| it.no).collect()).await.into_iter().collect();
        let mut items = Vec::with_capacity(page.items.len());
        let mut ends: BTreeMap<Scope, Place> = BTreeMap::new();
        for subscription in page.items {
            let last = match ends.get(&subscription.scope) {
                Some(last) => *last,
                None => {
                    let last = self.inner.store.bounds(&subscription.scope).await?.last;
                    ends.insert(subscription.scope.clone(), last);
                    last
                }
            };
            let view = views.get(&subscription.no);
            let cursor = self.cursor_of(&subscription, view).await?;
            items.push(self.view_of(&subscription, cursor, last, view));
        }
        Ok(Page { items, next_cursor: page.next_cursor })
    }

    pub(crate) async fn subscription_view(&self, subscription: &Arc<Subscription>) -> Result<SubscriptionView, Error> {
        let views = self.inner.dispatcher.views(vec![subscription.no]).await;
        let view = views.first().map(|(_, it)| it);
        let cursor = self.cursor_of(subscription, view).await?;
        let last = self.inner.store.bounds(&subscription.scope).await?.last;
        let mut shown = self.view_of(subscription, cursor, last, view);
        if shown.lag > 0 {
            let slice = Slice { events_max: 1, bytes_max: 1 };
            let first = crate::tail::read(&*self.inner.store, &self.inner.tail, &subscription.scope, cursor, slice).await?;
            shown.oldest_at = first.first().map(|it| it.timestamp);
        }
        Ok(shown)
    }

    /// Up to where everything is settled for it: its low-water mark.
    pub(crate) async fn settled(&self, subscription: &Subscription) -> Result<Place, Error> {
        let views = self.inner.dispatcher.views(vec![subscription.no]).await;
        self.cursor_of(subscription, views.first().map(|(_, it)| it)).await
    }

    pub(super) async fn cursor_of(&self, subscription: &Subscription, view: Option<&dispatcher::ReaderView>) -> Result<Place, Error> {
        match view {
            Some(view) => Ok(view.cursor),
            None => Ok(self.inner.store.cursor(subscription.no).await?.unwrap_or(0)),
        }
    }

    pub(super) fn view_of(
        &self,
        subscription: &Arc<Subscription>,
        cursor: Place,
        last: Place,
        view: Option<&dispatcher::ReaderView>,
    ) -> SubscriptionView {
        let health = view.map(|it| it.health);
        SubscriptionView {
            cursor: self.position(&subscription.scope, cursor),
            // What is done reads no more, and so has nothing before it.
            lag: if subscription.state == State::Done { 0 } else { last.saturating_sub(cursor) },
            oldest_at: None,
            shadowed: view.map(|it| it.shadowed).filter(|it| *it > 0 || subscription.state == State::Shadow),
            health: Health {
                state: health.map_or(HealthState::Ok, |it| it.state).as_str(),
                why: health.and_then(|it| it.why).map(Into::into),
                since: health.and_then(|it| it.since).unwrap_or(subscription.created_at),
            },
            subscription: Arc::clone(subscription),
        }
    }
}
