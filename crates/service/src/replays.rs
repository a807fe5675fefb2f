//! Replays: sending again what somebody asks for, by time, type and condition.
//!
//! A replay is a temporary reader. It is stored when it is asked for; from there
//! the dispatcher takes it on, and its progress is written in the settlements of
//! its subscription, together with what it did: after a crash it goes on where
//! that says, and what was in flight is sent again.
//!
//! Not here: which deliveries it picks (`pick`, `engine::replay`), its tries (`dispatcher::replays`).

pub(crate) mod pick;

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, page::Page, subscriptions::may_see};
use ringback_engine::tokens::PageKey;
use ringback_model::{
    ReplayId, SubscriptionId, Timestamp,
    event::{Place, Scope},
    key::Authority,
    limits,
    replay::{Only, Progress, Replay, ReplayState},
    subscription::{State, Subscription, TypePattern},
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet};
use std::sync::Arc;

/// What is wanted of a replay.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in `model::replay::Replay`")]
pub struct NewReplay {
    pub subscription: SubscriptionId,
    pub since: Option<String>,
    pub until: Option<String>,
    pub types: Vec<TypePattern>,
    pub filter: Option<String>,
    pub only: Only,
    pub rate_max_per_s: Option<u32>,
}

/// A replay, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayView {
    /// As it is kept.
    pub replay: Replay,
    /// The id of its subscription.
    pub subscription: SubscriptionId,
}

/// What a replay would pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Deliveries.
    pub matched: u64,
    /// Events of its stretch that retention took.
    pub gone: u64,
    /// Whether all of its stretch was looked at.
    pub complete: bool,
}

impl Service {
    /// Begins a replay; stored when this returns. It goes on whenever its subscription is active.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (an operator made the subscription), `Conflict` (it is pulled, or a one-shot), `NotActive` (done),
    /// `Field`, `Filter`, `LogTruncated`, cursor errors, `LimitReached`.
    pub async fn create_replay(&self, ctx: &Ctx, new: NewReplay, write: Write<ReplayView>) -> Result<Outcome<ReplayView>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move {
            let (_turn, subscription) = service.turn_to_change(&ctx, &new.subscription).await?;
            let replay = service.planned(&ctx, &subscription, &new).await?;
            let kept = service.inner.store.replays(None, Some(subscription.no), None, usize::MAX).await?;
            let (running, ended): (Vec<_>, Vec<_>) = kept.into_iter().partition(|it| it.progress.state == ReplayState::Running);
            if running.len() >= limits::REPLAYS_RUNNING_MAX {
                return Err(Error::LimitReached { what: "replays of one subscription that run", max: limits::REPLAYS_RUNNING_MAX });
            }
            let room = limits::REPLAYS_KEPT_MAX.saturating_sub(running.len() + 1);
            let view = ReplayView { replay: replay.clone(), subscription: subscription.id.clone() };
            let outcome = service
                .write(&ctx, write, || async {
                    let mut set = ChangeSet::new(subscription.tenant.clone(), replay.created_at);
                    set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "replay.create", object: replay.id.to_string() });
                    // The oldest that have ended make room.
                    set.changes.extend(ended.iter().skip(room).map(|it| Change::ReplayDelete { id: it.id }));
                    set.changes.push(Change::Replay { replay: Box::new(replay.clone()) });
                    let view = view.clone();
                    Ok(Decision::new(set, move |_| view.clone()))
                })
                .await?;
            if matches!(outcome, Outcome::Fresh(_)) {
                // Whoever reads it after a restart finds it in the store.
                service.inner.dispatcher.replay(subscription.no, replay).await;
            }
            Ok(outcome)
        })
        .await
    }

    /// Counts what a replay would pick now, of the first `REPLAY_COUNTED_MAX` events of its stretch.
    ///
    /// # Errors
    /// As `create_replay`.
    pub async fn count_replay(&self, ctx: &Ctx, new: &NewReplay) -> Result<Counted, Error> {
        let subscription = self.find_to_change(ctx, &new.subscription)?;
        let replay = self.planned(ctx, &subscription, new).await?;
        let (mut at, mut matched, mut looked_at) = (replay.from, 0, 0);
        while at < replay.to && looked_at < limits::REPLAY_COUNTED_MAX {
            let page = self.replay_page(&subscription, &replay, at).await?;
            matched += page.picked.len() as u64;
            looked_at += page.looked_at;
            at = page.to;
        }
        Ok(Counted { matched, gone: replay.progress.gone, complete: at >= replay.to })
    }

    /// The replay that is asked for, if it can be.
    async fn planned(&self, ctx: &Ctx, subscription: &Arc<Subscription>, new: &NewReplay) -> Result<Replay, Error> {
        let id = &subscription.id;
        if subscription.push.is_none() {
            let detail = format!("{id} is pulled: nothing is sent to it. `POST /v1/subscriptions/{id}/seek` hands events out again.");
            return Err(Error::Conflict { detail });
        }
        if subscription.until.is_some() {
            let detail = format!("{id} calls once. `POST /v1/deliveries/{{id}}/retry` tries that again.");
            return Err(Error::Conflict { detail });
        }
        if subscription.state == State::Done {
            return Err(Error::NotActive { id: id.clone(), state: subscription.state });
        }
        self.check_filter(&new.types, new.filter.as_deref(), ctx.authority())?;
        let bounds = self.inner.store.bounds(&subscription.scope).await?;
        let floor = bounds.floor.max(self.inner.floors.of(&subscription.scope));
        let begun = subscription.revisions.first().map_or(0, |it| it.from);
        let (from, gone) = match &new.since {
            // From where it was owed something.
            None => (begun.max(floor), floor.saturating_sub(begun)),
            Some(text) => {
                let place = self.replay_end(&subscription.scope, ctx.authority(), text, "since").await?;
                let asked = match text.parse::<Timestamp>() {
                    // A time before all that is left asks for what has gone, too.
                    Ok(time) => self.inner.store.place_before(&subscription.scope, time).await?,
                    Err(_) => place,
                };
                (place.max(floor), if asked < floor { floor.saturating_sub(begun.max(asked)) } else { 0 })
            }
        };
        let to = match &new.until {
            None => bounds.last,
            Some(text) => self.replay_end(&subscription.scope, ctx.authority(), text, "until").await?.min(bounds.last),
        };
        if to < from && new.until.is_some() && new.since.is_some() {
            let detail = "`until` lies before `since`: there is nothing between them.".into();
            return Err(Error::Field { pointer: "/until".into(), detail });
        }
        let now = self.now();
        Ok(Replay {
            id: ReplayId::make(now, self.inner.entropy.bits()),
            subscription: subscription.no,
            tenant: subscription.tenant.clone(),
            generation: subscription.generation,
            only: new.only,
            types: new.types.clone(),
            filter: new.filter.clone(),
            since: new.since.clone(),
            until: new.until.clone(),
            from,
            to: to.max(from),
            rate_max_per_s: new.rate_max_per_s,
            created_at: now,
            progress: Progress { gone, ..Progress::beginning(from) },
        })
    }

    /// The place that an end of a replay means; what is wrong with it stands in the body.
    async fn replay_end(&self, scope: &Scope, authority: Authority, text: &str, name: &'static str) -> Result<Place, Error> {
        self.place_of(scope, authority, text, name).await.map_err(|it| match it {
            Error::Parameter { parameter, detail } => Error::Field { pointer: format!("/{parameter}"), detail },
            other => other,
        })
    }

    /// A replay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replay(&self, ctx: &Ctx, id: ReplayId) -> Result<ReplayView, Error> {
        let missing = || Error::NotFound { noun: "replay", id: id.to_string() };
        let replay = self.inner.store.replay(id).await?.ok_or_else(missing)?;
        self.shown_replay(ctx, replay).ok_or_else(missing)
    }

    /// The replay with its subscription, if the caller may see that.
    fn shown_replay(&self, ctx: &Ctx, replay: Replay) -> Option<ReplayView> {
        let subscription = self.registry().subscription_no(replay.subscription).cloned()?;
        may_see(ctx, &subscription).then(|| ReplayView { replay, subscription: subscription.id.clone() })
    }

    /// Replays, the last one first; of one subscription if it is named.
    ///
    /// # Errors
    /// `NotFound` (the subscription), cursor errors.
    pub async fn replays(
        &self,
        ctx: &Ctx,
        subscription: Option<&SubscriptionId>,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ReplayView>, Error> {
        let no = subscription.map(|it| self.find(ctx, it)).transpose()?.map(|it| it.no);
        let route = ["replays", subscription.map_or("", SubscriptionId::as_str)];
        let mut before = match self.page_key(ctx, &route, after)? {
            None => None,
            Some(PageKey::Id(text)) => Some(text.parse::<ReplayId>().map_err(|_| Error::CursorMismatch)?),
            Some(_) => return Err(Error::CursorMismatch),
        };
        let tenant = match &ctx.scope {
            Scope::Tenant(it) => Some(it),
            Scope::All => None,
        };
        let mut items: Vec<ReplayView> = Vec::new();
        loop {
            // Some may not be shown to this caller: then the page is filled from what follows.
            let rows = self.inner.store.replays(tenant, no, before, limit + 1).await?;
            let more = rows.len() > limit;
            for row in rows {
                if items.len() == limit {
                    let last = items.last().map_or_else(String::new, |it| it.replay.id.to_string());
                    return Ok(Page { items, next_cursor: Some(self.page_cursor(ctx, &route, &PageKey::Id(last))) });
                }
                before = Some(row.id);
                items.extend(self.shown_replay(ctx, row));
            }
            if !more {
                return Ok(Page { items, next_cursor: None });
            }
        }
    }

    /// Ends a replay: it starts nothing more, and what is in flight ends by itself. Durable when this
    /// returns. One that has ended stays what it is.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (an operator made the subscription).
    pub async fn cancel_replay(&self, ctx: &Ctx, id: ReplayId, write: Write<ReplayView>) -> Result<Outcome<ReplayView>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move {
            let found = service.replay(&ctx, id).await?;
            let (_turn, subscription) = service.turn_to_change(&ctx, &found.subscription).await?;
            let mut view = service.replay(&ctx, id).await?;
            if view.replay.progress.state == ReplayState::Running {
                match service.inner.dispatcher.cancel_replay(subscription.no, id).await {
                    Some(stored) => stored?,
                    None if service.ready() => return Err(Error::Overloaded),
                    None => return Err(Error::Draining),
                }
                view = service.replay(&ctx, id).await?;
            }
            service
                .write(&ctx, write, || async {
                    let view = view.clone();
                    let mut set = ChangeSet::new(subscription.tenant.clone(), service.now());
                    set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "replay.cancel", object: id.to_string() });
                    Ok(Decision::new(set, move |_| view.clone()))
                })
                .await
        })
        .await
    }
}
