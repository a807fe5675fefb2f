//! Subscriptions: make, edit, pause, resume. `seek` begins another life.
//!
//! An edit freezes the reader, commits, and lets it go on under the new
//! revision: what was matched before keeps its own, bytes included.

mod access;
mod end;
mod filter;
mod overtaken;
mod pausing;
mod seek;
mod show;
mod signing;
mod state;
mod testing;

pub(crate) use end::End;
pub(crate) use filter::{condition, meets};
pub use pausing::{ResumeFrom, Waits};
pub use signing::{SigningKeys, SigningPatch};

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, locks::Turn, resources::IfMatch};
use ringback_model::{
    ResourceId, Subject, SubscriptionId, TenantId, Timestamp,
    auth::{Access, AccessGiven},
    delivery::SkippedRange,
    event::{EventDraft, PayloadForm, Place, Scope},
    ids,
    key::Authority,
    limits,
    subscription::{DELAYS_DEFAULT, MapPatch, Order, Push, Revision, Signing, State, Subscription, TypePattern, Until},
    tenant::Metadata,
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected, Slice};
use std::{collections::BTreeMap, sync::Arc};

/// What is wanted of a new subscription.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// For people.
    pub description: String,
    /// For programs.
    pub metadata: Metadata,
    /// Event types; empty = all.
    pub types: Vec<TypePattern>,
    /// Whether an exact type that nothing declares or has published is refused.
    pub strict: bool,
    /// Only about this.
    pub subject: Option<Subject>,
    /// Once, when this is reached.
    pub until: Option<Until>,
    /// Only events that meet this condition.
    pub filter: Option<String>,
    /// `now`, `start`, a position, an event id, a time.
    pub from: String,
    /// How bodies are written.
    pub payload: PayloadForm,
    /// Which deliveries wait for each other.
    pub order: Order,
    /// How it is pushed; `None` if it is pulled.
    pub push: Option<NewPush>,
    /// Whether it reads all tenants.
    pub all_tenants: bool,
    /// `Active`, `Paused` or `Shadow`; `None` is active for a new one, and as it is for one that is there.
    pub state: Option<State>,
}

/// How a new subscription is pushed.
#[derive(Clone, Debug)]
pub struct NewPush {
    /// The endpoint.
    pub url: String,
    /// One's own secret; made if absent.
    pub secret: Option<String>,
    /// How to sign.
    pub signing: Signing,
    /// Static headers.
    pub headers: Vec<(String, String)>,
    /// Deadline of one attempt.
    pub timeout_ms: u32,
    /// Tries in flight.
    pub concurrency_max: u32,
    /// Tries a second.
    pub rate_max_per_s: Option<u32>,
    /// Mean delays, in seconds.
    pub delays: Vec<u32>,
    /// As whom it comes.
    pub access: AccessGiven,
}

/// What is to be changed; what is absent stays.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in NewSubscription")]
pub struct SubscriptionPatch {
    pub description: Option<String>,
    pub metadata: Option<MapPatch>,
    pub types: Option<Vec<TypePattern>>,
    pub filter: Option<Option<String>>,
    pub strict: Option<bool>,
    pub payload: Option<PayloadForm>,
    pub order: Option<Order>,
    pub url: Option<String>,
    pub secret: Option<String>,
    pub headers: Option<MapPatch>,
    pub timeout_ms: Option<u32>,
    pub concurrency_max: Option<u32>,
    pub rate_max_per_s: Option<Option<u32>>,
    pub delays: Option<Vec<u32>>,
    pub signing: SigningPatch,
    pub access: AccessGiven,
    /// It is pulled from now on; nothing else of `push` is given then.
    pub pulled: bool,
    pub state: Option<State>,
}

impl SubscriptionPatch {
    /// Whether it says anything about how it is pushed.
    const fn is_about_push(&self) -> bool {
        self.url.is_some()
            || self.signing.says_something()
            || self.secret.is_some()
            || self.headers.is_some()
            || self.access.auth.is_some()
            || self.timeout_ms.is_some()
            || self.concurrency_max.is_some()
            || self.rate_max_per_s.is_some()
            || self.delays.is_some()
    }

    /// The patch after which a subscription is as `new` says.
    fn whole(new: NewSubscription) -> Self {
        let all = |it: BTreeMap<String, String>| Some(MapPatch::Replace(it));
        let mut out = Self {
            description: Some(new.description),
            metadata: all(new.metadata),
            types: Some(new.types),
            filter: Some(new.filter),
            strict: Some(new.strict),
            payload: Some(new.payload),
            order: Some(new.order),
            pulled: new.push.is_none(),
            state: new.state,
            ..Self::default()
        };
        if let Some(push) = new.push {
            out.url = Some(push.url);
            out.secret = push.secret;
            out.headers = all(push.headers.into_iter().collect());
            out.timeout_ms = Some(push.timeout_ms);
            out.concurrency_max = Some(push.concurrency_max);
            out.rate_max_per_s = Some(push.rate_max_per_s);
            out.delays = Some(push.delays);
            out.signing = SigningPatch::whole(push.signing);
            out.access = push.access;
        }
        out
    }
}

/// A subscription, to be shown.
#[derive(Clone, Debug)]
pub struct SubscriptionView {
    /// As it is kept.
    pub subscription: Arc<Subscription>,
    /// Its low-water mark, as a position.
    pub cursor: String,
    /// Events of its scope after that.
    pub lag: u64,
    /// When the first of them was made; `None` where it was not looked up.
    pub oldest_at: Option<Timestamp>,
    /// Events that were matched in the shadow, in this life of the reader; `None` if it never was.
    pub shadowed: Option<u64>,
    /// How its endpoint does.
    pub health: Health,
}

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `ok`, `failing`, `unroutable`.
    pub state: &'static str,
    /// Why, if not ok.
    pub why: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// What a write of a subscription made.
#[derive(Clone, Debug)]
pub struct SubscriptionWritten {
    /// The subscription.
    pub view: SubscriptionView,
    /// Its new secret, on creation and when it becomes pushed: shown once.
    pub secret: Option<String>,
    /// Whether it is new.
    pub created: bool,
    /// Whether it is gone.
    pub deleted: bool,
    /// Events of its log that it passes over: of one that is resumed. Its filter is not applied.
    pub skipped: Option<u64>,
    /// What waits: of one that is paused.
    pub waits: Option<Waits>,
}

/// What happens together with a change.
#[derive(Default)]
struct Also {
    /// Stretches that are skipped.
    skipped: Vec<SkippedRange>,
    /// A new secret, to be shown.
    secret: Option<String>,
    /// Where its next life begins.
    cursor: Option<Place>,
    /// Events that tell of it.
    told: Vec<EventDraft>,
    /// How much is passed over, to be shown.
    passed: Option<u64>,
    /// What waits, to be shown.
    waits: Option<Waits>,
}

impl Service {
    /// Makes a subscription.
    ///
    /// # Errors
    /// `Destination`, `UnknownEventType`, `Field`, `Parameter`, `LimitReached`, `Forbidden`.
    pub async fn create_subscription(
        &self,
        ctx: &Ctx,
        new: NewSubscription,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move {
            let (tenant, scope) = owner_of(&ctx, new.all_tenants)?;
            // Before anything is held: a name may take seconds to resolve.
            service.vet_all(new.push.as_ref(), None, ctx.authority()).await?;
            let _turn = service.inner.locks.turn(format!("{tenant} subscriptions")).await;
            let id = ids::prefixed("sub_", service.now(), service.inner.entropy.bits());
            let id = SubscriptionId::parse(&id).map_err(|it| Error::Internal(it.to_string()))?;
            service.create_held(&ctx, (tenant, scope, id), new, write).await
        })
        .await
    }

    /// Makes the subscription of this id, or makes it what `new` says.
    ///
    /// `from` is where a new one begins. `tenant`, `subject` and `until` of one that is there are for good.
    ///
    /// # Errors
    /// Preconditions, and as `create_subscription`.
    pub async fn put_subscription(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        new: NewSubscription,
        if_match: IfMatch,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (tenant, scope) = owner_of(&ctx, new.all_tenants)?;
            let known = service.registry().subscription(&tenant, id.as_str()).cloned();
            service.vet_all(new.push.as_ref(), known.as_deref(), ctx.authority()).await?;
            let _turn = service.inner.locks.turn(format!("{tenant} subscriptions")).await;
            let known = service.registry().subscription(&tenant, id.as_str()).cloned();
            let Some(known) = known else {
                if_match.check(None, || None)?;
                return service.create_held(&ctx, (tenant, scope, id), new, write).await;
            };
            let _turn = service.turn_with(&known).await;
            let before = service.find_to_change(&ctx, &id)?;
            if_match.check(Some(before.version), || None)?;
            let fixed = |pointer: &str| Error::Field {
                pointer: pointer.into(),
                detail: format!(
                    "`{}` is fixed when a subscription is made. Choose another id to make another one.",
                    pointer.trim_start_matches('/')
                ),
            };
            if before.scope != scope {
                return Err(fixed("/tenant"));
            }
            if before.subject != new.subject {
                return Err(fixed("/subject"));
            }
            if before.until != new.until {
                return Err(fixed("/until"));
            }
            service.patch_held(&ctx, &before, SubscriptionPatch::whole(new), write).await
        })
        .await
    }

    /// Refuses an endpoint that may not be called, unless it is what it was before.
    async fn vet_all(&self, push: Option<&NewPush>, before: Option<&Subscription>, authority: Authority) -> Result<(), Error> {
        let Some(push) = push else { return Ok(()) };
        let token_url = push.access.auth.as_ref().and_then(|it| it.token_url.as_deref());
        self.vet(Some(&push.url), before.and_then(Subscription::url), "/push/url", authority).await?;
        self.vet(token_url, before.and_then(Subscription::token_url), "/push/auth/token_url", authority).await
    }

    async fn vet(&self, url: Option<&str>, before: Option<&str>, pointer: &'static str, authority: Authority) -> Result<(), Error> {
        let Some(url) = url.filter(|it| before != Some(*it)) else { return Ok(()) };
        self.inner.sender.vet(url, authority).await.map(drop).map_err(|refused| Error::Destination { pointer, refused })
    }

    /// Makes a subscription; the turn of the tenant's subscriptions is held.
    async fn create_held(
        &self,
        ctx: &Ctx,
        (tenant, scope, id): (TenantId, Scope, SubscriptionId),
        new: NewSubscription,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        if self.registry().subscription_count(&tenant) >= limits::SUBSCRIPTIONS_PER_TENANT_MAX {
            return Err(Error::LimitReached { what: "subscriptions of one tenant", max: limits::SUBSCRIPTIONS_PER_TENANT_MAX });
        }
        if new.strict {
            self.refuse_unknown_types(&scope, ctx.authority(), &new.types).await?;
        }
        self.check_filter(&new.types, new.filter.as_deref(), ctx.authority())?;
        let now = self.now();
        let from = self.first_place(ctx, &tenant, &scope, &new).await?;
        let state = new.state.unwrap_or(State::Active);
        state::check(state, new.push.is_some(), new.until.is_some())?;

        let no = self.free_number();
        let mut shown = None;
        let push = match new.push {
            None => None,
            Some(push) => {
                let key = self.new_key((&tenant, no), push.secret.as_deref(), push.signing, "/push/secret", now)?;
                shown = key.shown;
                let all = MapPatch::Replace(push.headers.into_iter().collect());
                let (headers, access) = self.access_after((&tenant, no), None, None, Some(&all), push.access)?;
                Some(Push {
                    url: push.url,
                    headers,
                    timeout_ms: push.timeout_ms,
                    concurrency_max: push.concurrency_max,
                    rate_max_per_s: push.rate_max_per_s,
                    delays: push.delays,
                    signing: push.signing,
                    secrets: vec![key.sealed],
                    access,
                })
            }
        };
        let subscription = Arc::new(Subscription {
            no,
            id,
            tenant,
            scope,
            authority: ctx.authority(),
            description: new.description,
            metadata: new.metadata,
            strict: new.strict,
            subject: new.subject,
            until: new.until,
            from: new.from,
            state,
            push,
            revisions: vec![Revision {
                no: 1,
                from,
                types: new.types,
                filter: new.filter,
                payload: new.payload,
                order: new.order,
                public_url: self.inner.config.public_url.clone(),
            }],
            generation: 1,
            created_at: now,
            updated_at: now,
            version: 1,
            failing: None,
        });
        let last = self.inner.store.bounds(&subscription.scope).await?.last;
        let view = self.view_of(&subscription, from, last, None);
        let written = SubscriptionWritten { view, secret: shown, created: true, deleted: false, skipped: None, waits: None };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = self.control_set(ctx, &subscription, "subscription.create", now);
                set.changes.push(Change::Subscription {
                    subscription: Box::new((*subscription).clone()),
                    expected: Expected::Absent,
                    cursor: Some(from),
                    skipped: Vec::new(),
                });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        // What was answered from an earlier request was stored by that one, and not as this one.
        if matches!(outcome, Outcome::Fresh(_)) {
            self.registry_mut().put_subscription(subscription);
            self.inner.dispatcher.refresh(no).await;
        }
        Ok(outcome)
    }

    /// Where a new reader begins.
    async fn first_place(&self, ctx: &Ctx, tenant: &TenantId, scope: &Scope, new: &NewSubscription) -> Result<Place, Error> {
        let place = self.place_of(scope, ctx.authority(), &new.from, "from").await?;
        let Some(until) = &new.until else { return Ok(place) };
        let no_resource = |why: &str| Error::Field { pointer: "/until".into(), detail: format!("`until` {why}") };
        if *scope == Scope::All {
            return Err(no_resource("awaits one resource, and over all tenants a `subject` names several. Name the `tenant`."));
        }
        let subject = new
            .subject
            .as_ref()
            .ok_or_else(|| no_resource("needs a `subject`: the resource whose status is awaited, such as `/payment/123`."))?;
        let served = self.types().route(subject.as_str()).and_then(|(served, rest)| Some((served, rest.strip_prefix('/')?.to_owned())));
        let (served, id) = served
            .ok_or_else(|| no_resource("awaits the status of a resource, and `subject` is not the path of one, such as `/payment/123`."))?;
        let id = ResourceId::parse(&id).map_err(|_| no_resource("needs a `subject` that is the path of one resource."))?;
        // What the caller may not read is not there, whatever its status.
        self.require_seen(ctx, &served, &id)?;
        let wanted = self.until_statuses(&served, until).map_err(|it| match it {
            Error::Parameter { detail, .. } => Error::Field { pointer: "/until".into(), detail },
            other => other,
        })?;
        // The end of the log is taken first, then the resource: whatever is reached in
        // between lies above the place, so that nothing falls between the two.
        let end = self.inner.store.bounds(scope).await?.last;
        let row = self.inner.store.resource(tenant, &served.compiled.decl.name, &id).await?.filter(|it| !it.deleted);
        let Some(row) = row else {
            return Err(Error::NotFound { noun: "resource", id: format!("{}/{id}", served.compiled.decl.name) });
        };
        let status = &row.resource.status;
        if wanted.contains(status) {
            // It has: deliver the event by which it did.
            return Ok(self.entered_at(scope, subject, status).await?.map_or(end, |it| it - 1));
        }
        // Where none of them can be reached any more, its reader finds that out and it is done:
        // as it would be if the resource had gone there a moment after the subscription was made.
        Ok(end)
    }

    /// Where a resource last entered `status`.
    async fn entered_at(&self, scope: &Scope, subject: &Subject, status: &ringback_model::StatusName) -> Result<Option<Place>, Error> {
        let (mut after, mut found) = (0, None);
        loop {
            let slice = Slice { events_max: 1_000, bytes_max: limits::PAGE_BYTES_MAX };
            let events = self.inner.store.events_of_subject(scope, subject, after, slice).await?;
            let Some(last) = events.last() else { return Ok(found) };
            after = last.place(scope);
            let entered = events.iter().rev().find(|it| it.of.as_ref().and_then(|it| it.entered.as_ref()) == Some(status));
            found = entered.map(|it| it.place(scope)).or(found);
        }
    }

    async fn refuse_unknown_types(&self, scope: &Scope, authority: Authority, types: &[TypePattern]) -> Result<(), Error> {
        for (at, pattern) in types.iter().enumerate() {
            let TypePattern::Exact(name) = pattern else { continue };
            if !self.event_type_known(scope, authority, name).await? {
                let suggestion = self.event_type_meant(scope, authority, name).await?;
                return Err(Error::UnknownEventType { pointer: format!("/types/{at}"), name: name.to_string(), suggestion });
            }
        }
        Ok(())
    }

    fn free_number(&self) -> u32 {
        loop {
            #[expect(clippy::cast_possible_truncation, reason = "32 of 128 bits of chance")]
            let no = self.inner.entropy.bits() as u32;
            if no != 0 && self.registry().subscription_no(no).is_none() {
                return no;
            }
        }
    }

    fn control_set(&self, ctx: &Ctx, subscription: &Subscription, action: &'static str, now: Timestamp) -> ChangeSet {
        let mut set = ChangeSet::new(subscription.tenant.clone(), now);
        set.audit = Some(AuditEntry { actor: ctx.caller.key, action, object: subscription.id.to_string() });
        set
    }

    /// Changes a subscription. `subject`, `until` and `from` are for good.
    ///
    /// # Errors
    /// `NotFound`, preconditions, and as `create_subscription`.
    pub async fn patch_subscription(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        patch: SubscriptionPatch,
        if_match: IfMatch,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            if_match.check(Some(before.version), || None)?;
            service.vet(patch.url.as_deref(), before.url(), "/push/url", before.authority).await?;
            let token_url = patch.access.auth.as_ref().and_then(|it| it.token_url.as_deref());
            service.vet(token_url, before.token_url(), "/push/auth/token_url", before.authority).await?;
            service.patch_held(&ctx, &before, patch, write).await
        })
        .await
    }

    /// Changes a subscription whose turn is held, so that what is changed is what is there.
    async fn patch_held(
        &self,
        ctx: &Ctx,
        before: &Arc<Subscription>,
        patch: SubscriptionPatch,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        if let Some(types) = &patch.types
            && patch.strict.unwrap_or(before.strict)
            && before.revision().is_none_or(|it| it.types != *types)
        {
            self.refuse_unknown_types(&before.scope, ctx.authority(), types).await?;
        }
        if let Some(current) = before.revision().filter(|_| patch.types.is_some() || patch.filter.is_some()) {
            let filter = patch.filter.as_ref().map_or(current.filter.as_deref(), Option::as_deref);
            self.check_filter(patch.types.as_ref().unwrap_or(&current.types), filter, before.authority)?;
        }
        let read = self.freeze(before).await?;
        if let Err(why) = self.leave_shadow(before, &patch).await {
            self.inner.dispatcher.refresh(before.no).await;
            return Err(why);
        }
        let result = match self.patched(before, patch, read) {
            Ok((Some(after), secret)) => {
                if after.token_url().is_none() {
                    self.inner.tokens.forget(before.no);
                }
                let told = self.told_of_state(before, &after)?;
                let also = Also { secret, told, ..Also::default() };
                self.replace_with(ctx, before, after, "subscription.update", also, write).await
            }
            Ok((None, _)) => self.unchanged(ctx, before, Also::default(), write).await,
            Err(why) => Err(why),
        };
        self.inner.dispatcher.refresh(before.no).await;
        result
    }

    /// The subscription after a patch, and its secret if it has a new one; `None` when nothing changes.
    fn patched(
        &self,
        before: &Subscription,
        mut patch: SubscriptionPatch,
        read: Place,
    ) -> Result<(Option<Subscription>, Option<String>), Error> {
        let now = self.now();
        let mut after = before.clone();
        let mut shown = None;
        if patch.pulled {
            after.push = None;
        } else if patch.is_about_push() {
            let mut push = match after.push.take() {
                Some(push) => push,
                None => {
                    let url = patch.url.clone().ok_or_else(|| Error::Field {
                        pointer: "/push/url".into(),
                        detail: "It is a pull subscription. To have it pushed, give `push.url`: the address to call.".into(),
                    })?;
                    let signing = patch.signing.apply(Signing::default());
                    let secret = patch.secret.take();
                    let key = self.new_key((&before.tenant, before.no), secret.as_deref(), signing, "/push/secret", now)?;
                    shown = key.shown;
                    Push {
                        url,
                        headers: Vec::new(),
                        timeout_ms: limits::ATTEMPT_TIMEOUT_MS.2,
                        concurrency_max: limits::CONCURRENCY_DEFAULT,
                        rate_max_per_s: None,
                        delays: DELAYS_DEFAULT.to_vec(),
                        signing,
                        secrets: vec![key.sealed],
                        access: Access::default(),
                    }
                }
            };
            (push.headers, push.access) =
                self.access_after((&before.tenant, before.no), Some(&push), patch.url.as_deref(), patch.headers.as_ref(), patch.access)?;
            push.url = patch.url.unwrap_or(push.url);
            push.timeout_ms = patch.timeout_ms.unwrap_or(push.timeout_ms);
            push.concurrency_max = patch.concurrency_max.unwrap_or(push.concurrency_max);
            push.rate_max_per_s = patch.rate_max_per_s.unwrap_or(push.rate_max_per_s);
            push.delays = patch.delays.unwrap_or(push.delays);
            let other = patch.secret.filter(|it| !self.signs_with(before, &push, it));
            push.signing = self.resigned(before, &push, patch.signing, other.is_some())?;
            if let Some(text) = other {
                push.secrets = vec![self.new_key((&before.tenant, before.no), Some(&text), push.signing, "/push/secret", now)?.sealed];
            }
            after.push = Some(push);
        }
        after.description = patch.description.unwrap_or(after.description);
        if let Some(metadata) = patch.metadata {
            after.metadata = counted(metadata.apply(&after.metadata), "/metadata", limits::METADATA_ENTRIES_MAX)?;
        }
        after.strict = patch.strict.unwrap_or(after.strict);
        state::change(&mut after, patch.state)?;
        let current = before.revision().cloned().ok_or_else(|| Error::Internal("a subscription without a revision".into()))?;
        let next = Revision {
            no: current.no + 1,
            from: read,
            types: patch.types.unwrap_or_else(|| current.types.clone()),
            filter: patch.filter.unwrap_or_else(|| current.filter.clone()),
            payload: patch.payload.unwrap_or(current.payload),
            order: patch.order.unwrap_or(current.order),
            // `thin` bodies point at the public URL, so a new one is a new revision.
            public_url: self.inner.config.public_url.clone(),
        };
        let same = Revision { no: current.no, from: current.from, ..next.clone() } == current;
        if !same {
            if after.revisions.len() >= limits::REVISIONS_MAX {
                return Err(Error::LimitReached { what: "revisions of a subscription", max: limits::REVISIONS_MAX });
            }
            after.revisions.push(next);
        }
        if after == *before {
            return Ok((None, None));
        }
        after.version += 1;
        after.updated_at = now;
        Ok((Some(after), shown))
    }

    fn in_state(&self, before: &Subscription, state: State) -> Subscription {
        Subscription { state, version: before.version + 1, updated_at: self.now(), ..before.clone() }
    }

    /// Removes a subscription, with what is known of its deliveries.
    ///
    /// # Errors
    /// `NotFound`, preconditions.
    pub async fn delete_subscription(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        if_match: IfMatch,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            if_match.check(Some(before.version), || None)?;
            let view = service.subscription_view(&before).await?;
            let written = SubscriptionWritten { view, secret: None, created: false, deleted: true, skipped: None, waits: None };
            let now = service.now();
            let outcome = service
                .write(&ctx, write, || async {
                    let mut set = service.control_set(&ctx, &before, "subscription.delete", now);
                    set.changes.push(Change::SubscriptionDelete { no: before.no, expected: Expected::Version(before.version) });
                    let written = written.clone();
                    Ok(Decision::new(set, move |_| written.clone()))
                })
                .await?;
            service.registry_mut().remove_subscription(before.no);
            service.inner.tokens.forget(before.no);
            service.inner.dispatcher.refresh(before.no).await;
            Ok(outcome)
        })
        .await
    }

    /// Stores a changed subscription and enters it into the registry.
    async fn replace(
        &self,
        ctx: &Ctx,
        before: &Subscription,
        after: Subscription,
        action: &'static str,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        self.replace_with(ctx, before, after, action, Also::default(), write).await
    }

    /// As `replace`, with events that tell of it.
    pub(crate) async fn replace_telling(
        &self,
        ctx: &Ctx,
        before: &Subscription,
        after: Subscription,
        action: &'static str,
        told: Vec<EventDraft>,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        self.replace_with(ctx, before, after, action, Also { told, ..Also::default() }, write).await
    }

    /// As `replace`, with what happens beside.
    async fn replace_with(
        &self,
        ctx: &Ctx,
        before: &Subscription,
        after: Subscription,
        action: &'static str,
        also: Also,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let Also { skipped, secret, cursor, told, passed, waits } = also;
        let after = Arc::new(after);
        let view = match cursor {
            // The reader is still where it was.
            Some(cursor) => self.view_of(&after, cursor, self.inner.store.bounds(&after.scope).await?.last, None),
            None => self.subscription_view(&after).await?,
        };
        let written = SubscriptionWritten { view, secret, created: false, deleted: false, skipped: passed, waits };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = self.control_set(ctx, &after, action, self.now());
                set.events.clone_from(&told);
                set.changes.push(Change::Subscription {
                    subscription: Box::new((*after).clone()),
                    expected: Expected::Version(before.version),
                    cursor,
                    skipped: skipped.clone(),
                });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        if matches!(outcome, Outcome::Fresh(_)) {
            self.registry_mut().put_subscription(after);
        }
        Ok(outcome)
    }

    /// Answers as a change would that changes nothing.
    async fn unchanged(
        &self,
        ctx: &Ctx,
        subscription: &Arc<Subscription>,
        also: Also,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let view = self.subscription_view(subscription).await?;
        let Also { passed, waits, .. } = also;
        let written = SubscriptionWritten { view, secret: None, created: false, deleted: false, skipped: passed, waits };
        self.write(ctx, write, || async {
            let written = written.clone();
            Ok(Decision::new(ChangeSet::new(subscription.tenant.clone(), self.now()), move |_| written.clone()))
        })
        .await
    }

    pub(crate) async fn turn_with(&self, subscription: &Subscription) -> Turn<'_> {
        self.inner.locks.turn(format!("subscription {}", subscription.no)).await
    }

    /// Stops the reading of the log; where it stood.
    async fn freeze(&self, subscription: &Subscription) -> Result<Place, Error> {
        match self.inner.dispatcher.freeze(subscription.no).await {
            Some(read) => Ok(read),
            None => Ok(self.inner.store.cursor(subscription.no).await?.unwrap_or(0)),
        }
    }

    /// The subscription, if the caller may see it.
    ///
    /// # Errors
    /// `NotFound`; `StarNotPossible` where several tenants have one of that id.
    pub(crate) fn find(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<Arc<Subscription>, Error> {
        let registry = self.registry();
        let found = match &ctx.scope {
            Scope::Tenant(tenant) => registry.subscription(tenant, id.as_str()),
            Scope::All => {
                let mut all = registry.subscriptions_of(None).filter(|it| it.id == *id);
                let first = all.next();
                // Ids that somebody chose are one tenant's own.
                if all.next().is_some() {
                    return Err(Error::StarNotPossible);
                }
                first
            }
        };
        found.filter(|it| may_see(ctx, it)).cloned().ok_or_else(|| Error::NotFound { noun: "subscription", id: id.to_string() })
    }

    /// The subscription, if the caller may change it. What was made with an operator's
    /// authority calls where only operators may call, and is sent what only they may see.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `StarNotPossible` where it is one tenant's and the request is about all of them.
    pub(crate) fn find_to_change(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<Arc<Subscription>, Error> {
        let found = self.find(ctx, id)?;
        may_change(ctx, &found)?;
        Ok(found)
    }

    /// As `find_to_change`, with a turn: what is changed is what is there.
    pub(crate) async fn turn_to_change(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<(Turn<'_>, Arc<Subscription>), Error> {
        let before = self.find_to_change(ctx, id)?;
        let turn = self.turn_with(&before).await;
        // Whoever had the turn before may have changed it.
        Ok((turn, self.find_to_change(ctx, id)?))
    }
}

/// Whether a subscription of the caller's tenant is shown to it: what an operator
/// made over all tenants is not the business of the tenant it is filed under.
pub(crate) fn may_see(ctx: &Ctx, it: &Subscription) -> bool {
    ctx.scope.holds(&it.tenant) && (it.scope != Scope::All || ctx.authority() == Authority::Operator)
}

/// `*` reads; what is one tenant's is changed in that tenant's name, so that the log of
/// changes, the limits and the keys of repeated requests are that tenant's.
pub(crate) fn one_tenants(ctx: &Ctx, it: &Subscription) -> Result<(), Error> {
    if ctx.scope == Scope::All && it.scope != Scope::All { Err(Error::StarNotPossible) } else { Ok(()) }
}

/// Refuses to change, or have sent, what only an operator may, and what is one tenant's under `*`.
pub(crate) fn may_change(ctx: &Ctx, it: &Subscription) -> Result<(), Error> {
    ctx.require(it.authority, || "change a subscription that an operator made".into())?;
    one_tenants(ctx, it)
}

/// Who owns a new subscription, and whose events it reads.
fn owner_of(ctx: &Ctx, all_tenants: bool) -> Result<(TenantId, Scope), Error> {
    match (&ctx.scope, all_tenants) {
        (Scope::Tenant(tenant), false) => Ok((tenant.clone(), ctx.scope.clone())),
        (Scope::Tenant(tenant), true) => {
            ctx.require(Authority::Operator, || "subscribe to all tenants".into())?;
            Ok((tenant.clone(), Scope::All))
        }
        (Scope::All, true) => Ok((TenantId::default_tenant(), Scope::All)),
        (Scope::All, false) => Err(Error::StarNotPossible),
    }
}

/// Refuses a map that has become too large.
fn counted(map: BTreeMap<String, String>, pointer: &str, max: usize) -> Result<BTreeMap<String, String>, Error> {
    if map.len() <= max {
        return Ok(map);
    }
    let detail = format!("There would be {} entries; at most {max} are possible. Remove some with `null`.", map.len());
    Err(Error::Field { pointer: pointer.into(), detail })
}
