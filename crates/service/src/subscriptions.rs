//! Subscriptions: make, edit, pause, resume.
//!
//! An edit freezes the reader, commits, and lets it go on under the new
//! revision: what was matched before keeps its own, bytes included.

use crate::{
    Ctx, Error, Outcome, Service, Write, dispatcher,
    idempotency::Decision,
    own_events::{self, Suspended},
    page::Page,
    resources::IfMatch,
};
use ringback_engine::{lifecycle, window::HealthState};
use ringback_model::{
    ResourceId, Subject, SubscriptionId, TenantId, Timestamp,
    event::{EventDraft, PayloadForm, Place, Scope},
    ids,
    key::Authority,
    limits,
    subscription::{Order, Push, Revision, SealedSecret, State, Subscription, TypePattern, Until},
    tenant::Metadata,
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected, Slice};
use ringback_signature::Secret;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    /// `now`, `start`, a position, an event id, a time.
    pub from: String,
    /// How bodies are written.
    pub payload: PayloadForm,
    /// Which deliveries wait for each other.
    pub order: Order,
    /// How it is pushed.
    pub push: NewPush,
    /// Whether it reads all tenants.
    pub all_tenants: bool,
}

/// How a new subscription is pushed.
#[derive(Clone, Debug)]
pub struct NewPush {
    /// The endpoint.
    pub url: String,
    /// One's own secret, `whsec_…`; made if absent.
    pub secret: Option<String>,
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
}

/// What is to be changed; what is absent stays.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in NewSubscription")]
pub struct SubscriptionPatch {
    pub description: Option<String>,
    pub metadata: Option<Metadata>,
    pub types: Option<Vec<TypePattern>>,
    pub strict: Option<bool>,
    pub payload: Option<PayloadForm>,
    pub order: Option<Order>,
    pub url: Option<String>,
    pub secret: Option<String>,
    pub headers: Option<Vec<(String, String)>>,
    pub timeout_ms: Option<u32>,
    pub concurrency_max: Option<u32>,
    pub rate_max_per_s: Option<Option<u32>>,
    pub delays: Option<Vec<u32>>,
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
    /// Its secret, on creation: shown once.
    pub secret: Option<String>,
    /// Whether it is new.
    pub created: bool,
    /// Whether it is gone.
    pub deleted: bool,
}

/// Where a resumed subscription goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeFrom {
    /// Where it stood.
    Cursor,
    /// At the end of the log; what lies between is skipped.
    Now,
}

/// How the reading of a subscription ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A one-shot that has called, or never will.
    Done,
    /// Its endpoint takes nothing any more.
    Suspended(Suspended),
}

const SKIP_WHY: &str = "resumed-from-now";

impl Service {
    /// Makes a push subscription.
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
        self.whole(async move { service.create_subscription_inner(&ctx, new, write).await }).await
    }

    async fn create_subscription_inner(
        &self,
        ctx: &Ctx,
        new: NewSubscription,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (tenant, scope) = match (&ctx.scope, new.all_tenants) {
            (Scope::Tenant(tenant), false) => (tenant.clone(), ctx.scope.clone()),
            (Scope::Tenant(tenant), true) => {
                ctx.require(Authority::Operator, || "subscribe to all tenants".into())?;
                (tenant.clone(), Scope::All)
            }
            (Scope::All, true) => (TenantId::default_tenant(), Scope::All),
            (Scope::All, false) => return Err(Error::StarNotPossible),
        };
        // Before anything is held: a name may take seconds to resolve.
        self.inner.sender.vet(&new.push.url, ctx.authority()).await.map_err(|refused| Error::Destination { refused })?;
        let _turn = self.inner.locks.turn(format!("{tenant} subscriptions")).await;
        if self.registry().subscription_count(&tenant) >= limits::SUBSCRIPTIONS_PER_TENANT_MAX {
            return Err(Error::LimitReached { what: "subscriptions of one tenant", max: limits::SUBSCRIPTIONS_PER_TENANT_MAX });
        }
        if new.strict {
            self.refuse_unknown_types(&scope, ctx.authority(), &new.types).await?;
        }
        let now = self.now();
        let from = self.first_place(ctx, &tenant, &scope, &new).await?;

        let no = self.free_number();
        let secret = self.secret_of(new.push.secret.as_deref())?;
        let sealed = self.seal_secret(&tenant, no, &secret, now)?;
        let id = ids::prefixed("sub_", now, self.inner.entropy.bits());
        let subscription = Arc::new(Subscription {
            no,
            id: SubscriptionId::parse(&id).map_err(|it| Error::Internal(it.to_string()))?,
            tenant,
            scope,
            authority: ctx.authority(),
            description: new.description,
            metadata: new.metadata,
            strict: new.strict,
            subject: new.subject,
            until: new.until,
            from: new.from,
            state: State::Active,
            push: Push {
                url: new.push.url,
                headers: new.push.headers,
                timeout_ms: new.push.timeout_ms,
                concurrency_max: new.push.concurrency_max,
                rate_max_per_s: new.push.rate_max_per_s,
                delays: new.push.delays,
                secrets: vec![sealed],
            },
            revisions: vec![Revision {
                no: 1,
                from,
                types: new.types,
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
        let written = SubscriptionWritten { view, secret: Some(secret.format()), created: true, deleted: false };
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
        self.registry_mut().put_subscription(subscription);
        self.inner.dispatcher.refresh(no).await;
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
        if !lifecycle::reachable(&served.compiled, status, &wanted) {
            return Err(no_resource(&format!("can't come any more: {id} is {status}. Ask for its status instead.")));
        }
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

    fn secret_of(&self, given: Option<&str>) -> Result<Secret, Error> {
        match given {
            Some(text) => Secret::parse(text)
                .map_err(|it| Error::Field { pointer: "/push/secret".into(), detail: format!("{it}. Leave it out to have one made.") }),
            None => {
                let mut chance = [0; ringback_signature::SECRET_BYTES_DEFAULT];
                self.inner.entropy.fill(&mut chance);
                Ok(Secret::generate(chance))
            }
        }
    }

    fn seal_secret(&self, tenant: &TenantId, no: u32, secret: &Secret, now: Timestamp) -> Result<SealedSecret, Error> {
        let row = no.to_string();
        let at = dispatcher::secret_binding(tenant.as_str(), &row);
        let sealed =
            self.inner.seal.seal(&self.data_key(tenant)?, at, secret.format().as_bytes()).map_err(|it| Error::Internal(it.to_string()))?;
        Ok(SealedSecret { created_at: now, expires_at: None, sealed })
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
            let before = service.find(&ctx, &id)?;
            let _turn = service.turn_with(&before).await;
            let before = service.find_to_change(&ctx, &id)?;
            if_match.check(Some(before.version), || None)?;
            if let Some(types) = &patch.types
                && patch.strict.unwrap_or(before.strict)
            {
                service.refuse_unknown_types(&before.scope, ctx.authority(), types).await?;
            }
            if let Some(url) = &patch.url
                && *url != before.push.url
            {
                service.inner.sender.vet(url, before.authority).await.map_err(|refused| Error::Destination { refused })?;
            }
            let read = service.freeze(&before).await?;
            let result = match service.patched(&before, patch, read) {
                Ok(Some(after)) => service.replace(&ctx, &before, after, "subscription.update", Vec::new(), write).await,
                Ok(None) => service.unchanged(&ctx, &before, write).await,
                Err(why) => Err(why),
            };
            service.inner.dispatcher.refresh(before.no).await;
            result
        })
        .await
    }

    /// The subscription after a patch; `None` when nothing changes.
    fn patched(&self, before: &Subscription, patch: SubscriptionPatch, read: Place) -> Result<Option<Subscription>, Error> {
        let now = self.now();
        let mut after = before.clone();
        after.description = patch.description.unwrap_or(after.description);
        after.metadata = patch.metadata.unwrap_or(after.metadata);
        after.strict = patch.strict.unwrap_or(after.strict);
        after.push.url = patch.url.unwrap_or(after.push.url);
        after.push.headers = patch.headers.unwrap_or(after.push.headers);
        after.push.timeout_ms = patch.timeout_ms.unwrap_or(after.push.timeout_ms);
        after.push.rate_max_per_s = patch.rate_max_per_s.unwrap_or(after.push.rate_max_per_s);
        after.push.concurrency_max = patch.concurrency_max.unwrap_or(after.push.concurrency_max);
        after.push.delays = patch.delays.unwrap_or(after.push.delays);
        if let Some(text) = patch.secret {
            let secret = self.secret_of(Some(&text))?;
            after.push.secrets = vec![self.seal_secret(&before.tenant, before.no, &secret, now)?];
        }
        let current = before.revision().cloned().ok_or_else(|| Error::Internal("a subscription without a revision".into()))?;
        let next = Revision {
            no: current.no + 1,
            from: read,
            types: patch.types.unwrap_or_else(|| current.types.clone()),
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
            return Ok(None);
        }
        after.version += 1;
        after.updated_at = now;
        Ok(Some(after))
    }

    /// Pauses a subscription. Its cursor stays; tries in flight end and settle.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` (a one-shot that is done).
    pub async fn pause(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let before = service.find(&ctx, &id)?;
            let _turn = service.turn_with(&before).await;
            let before = service.find_to_change(&ctx, &id)?;
            match before.state {
                State::Done => Err(Error::NotActive { id, state: before.state }),
                State::Paused | State::Suspended => service.unchanged(&ctx, &before, write).await,
                State::Active => {
                    let after = service.in_state(&before, State::Paused);
                    let result = service.replace(&ctx, &before, after, "subscription.pause", Vec::new(), write).await;
                    service.inner.dispatcher.refresh(before.no).await;
                    result
                }
            }
        })
        .await
    }

    /// Lets a paused or suspended subscription go on.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` (a one-shot that is done).
    pub async fn resume(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        from: ResumeFrom,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let before = service.find(&ctx, &id)?;
            let _turn = service.turn_with(&before).await;
            let before = service.find_to_change(&ctx, &id)?;
            match before.state {
                State::Done => return Err(Error::NotActive { id, state: before.state }),
                State::Active => return service.unchanged(&ctx, &before, write).await,
                State::Paused | State::Suspended => {}
            }
            let mut after = service.in_state(&before, State::Active);
            after.failing = None;
            let mut ranges = Vec::new();
            let mut end = 0;
            if from == ResumeFrom::Now {
                service.freeze(&before).await?;
                end = service.inner.store.bounds(&before.scope).await?.last;
                // Without its reader nobody knows what to keep: better not now than everything after all.
                let plan = service.inner.dispatcher.plan_skip(before.no, end, SKIP_WHY).await;
                ranges = plan.ok_or_else(|| if service.ready() { Error::Overloaded } else { Error::Draining })?;
            }
            let told = match (before.state, from) {
                (State::Suspended, ResumeFrom::Cursor) => vec![service.resumed_event(&before, "cursor", after.updated_at)?],
                (State::Suspended, ResumeFrom::Now) => vec![service.resumed_event(&before, "now", after.updated_at)?],
                _ => Vec::new(),
            };
            let result = service.replace_all(&ctx, &before, after, "subscription.resume", (ranges.clone(), told), write).await;
            if result.is_ok() && from == ResumeFrom::Now {
                service.inner.dispatcher.skip(before.no, ranges, end).await;
            }
            service.inner.dispatcher.refresh(before.no).await;
            result
        })
        .await
    }

    fn in_state(&self, before: &Subscription, state: State) -> Subscription {
        Subscription { state, version: before.version + 1, updated_at: self.now(), ..before.clone() }
    }

    /// Ends the reading of a subscription by itself: a one-shot that is over, an endpoint
    /// that is gone. Tried until it is stored.
    pub(crate) fn end_reading(&self, no: u32, end: End) {
        let service = self.clone();
        tokio::spawn(async move {
            loop {
                match service.end_reading_once(no, end).await {
                    Ok(()) => return,
                    Err(Error::Draining) => return,
                    Err(why) => {
                        tracing::warn!(subscription.no = no, "it could not be ended yet, trying again: {why:?}");
                        service.inner.clock.sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
    }

    async fn end_reading_once(&self, no: u32, end: End) -> Result<(), Error> {
        let state = match end {
            End::Done => State::Done,
            End::Suspended(_) => State::Suspended,
        };
        let Some(before) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        let _turn = self.turn_with(&before).await;
        let Some(before) = self.registry().subscription_no(no).cloned() else { return Ok(()) };
        // A one-shot that has called is done, also if it was paused meanwhile.
        let ends = before.state == State::Active || (state == State::Done && before.state != State::Done);
        if !ends {
            return Ok(());
        }
        let ctx = own_events::self_ctx(&before);
        let action = if state == State::Done { "subscription.done" } else { "subscription.suspend" };
        let mut after = self.in_state(&before, state);
        let mut told = Vec::new();
        if let End::Suspended(why) = end {
            told.push(self.suspended_event(&before, why, after.updated_at)?);
            if let Suspended::Silent(it) = why {
                after.failing = Some(it);
            }
        }
        self.replace_telling(&ctx, &before, after, action, told, Write::plain()).await?;
        tracing::info!(subscription.id = %before.id, "subscription {} is {} now", before.id, state.as_str());
        self.inner.dispatcher.refresh(no).await;
        Ok(())
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
            let before = service.find(&ctx, &id)?;
            let _turn = service.turn_with(&before).await;
            let before = service.find_to_change(&ctx, &id)?;
            if_match.check(Some(before.version), || None)?;
            let view = service.subscription_view(&before).await?;
            let written = SubscriptionWritten { view, secret: None, created: false, deleted: true };
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
        skipped: Vec<ringback_model::delivery::SkippedRange>,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        self.replace_all(ctx, before, after, action, (skipped, Vec::new()), write).await
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
        self.replace_all(ctx, before, after, action, (Vec::new(), told), write).await
    }

    async fn replace_all(
        &self,
        ctx: &Ctx,
        before: &Subscription,
        after: Subscription,
        action: &'static str,
        (skipped, told): (Vec<ringback_model::delivery::SkippedRange>, Vec<EventDraft>),
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let after = Arc::new(after);
        let view = self.subscription_view(&after).await?;
        let written = SubscriptionWritten { view, secret: None, created: false, deleted: false };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = self.control_set(ctx, &after, action, self.now());
                set.events.clone_from(&told);
                set.changes.push(Change::Subscription {
                    subscription: Box::new((*after).clone()),
                    expected: Expected::Version(before.version),
                    cursor: None,
                    skipped: skipped.clone(),
                });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        self.registry_mut().put_subscription(after);
        Ok(outcome)
    }

    /// Answers as a change would that changes nothing.
    async fn unchanged(
        &self,
        ctx: &Ctx,
        subscription: &Arc<Subscription>,
        write: Write<SubscriptionWritten>,
    ) -> Result<Outcome<SubscriptionWritten>, Error> {
        let view = self.subscription_view(subscription).await?;
        let written = SubscriptionWritten { view, secret: None, created: false, deleted: false };
        self.write(ctx, write, || async {
            let written = written.clone();
            Ok(Decision::new(ChangeSet::new(subscription.tenant.clone(), self.now()), move |_| written.clone()))
        })
        .await
    }

    pub(crate) async fn turn_with(&self, subscription: &Subscription) -> crate::locks::Turn<'_> {
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
    pub(crate) fn find(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<Arc<Subscription>, Error> {
        let registry = self.registry();
        let found = match &ctx.scope {
            Scope::Tenant(tenant) => registry.subscription(tenant, id.as_str()),
            Scope::All => registry.subscriptions_of(None).find(|it| it.id == *id),
        };
        // What an operator made over all tenants is not the business of the tenant it is filed under.
        found
            .filter(|it| it.scope != Scope::All || ctx.authority() == Authority::Operator)
            .cloned()
            .ok_or_else(|| Error::NotFound { noun: "subscription", id: id.to_string() })
    }

    /// The subscription, if the caller may change it. What was made with an operator's
    /// authority calls where only operators may call, and is sent what only they may see.
    fn find_to_change(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<Arc<Subscription>, Error> {
        let found = self.find(ctx, id)?;
        ctx.require(found.authority, || "change a subscription that an operator made".into())?;
        Ok(found)
    }

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
            let mut all: Vec<Arc<Subscription>> = registry
                .subscriptions_of(tenant)
                .filter(|it| it.scope != Scope::All || ctx.authority() == Authority::Operator)
                .cloned()
                .collect();
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

    async fn subscription_view(&self, subscription: &Arc<Subscription>) -> Result<SubscriptionView, Error> {
        let views = self.inner.dispatcher.views(vec![subscription.no]).await;
        let view = views.first().map(|(_, it)| it);
        let cursor = self.cursor_of(subscription, view).await?;
        let last = self.inner.store.bounds(&subscription.scope).await?.last;
        Ok(self.view_of(subscription, cursor, last, view))
    }

    async fn cursor_of(&self, subscription: &Subscription, view: Option<&dispatcher::ReaderView>) -> Result<Place, Error> {
        match view {
            Some(view) => Ok(view.cursor),
            None => Ok(self.inner.store.cursor(subscription.no).await?.unwrap_or(0)),
        }
    }

    fn view_of(
        &self,
        subscription: &Arc<Subscription>,
        cursor: Place,
        last: Place,
        view: Option<&dispatcher::ReaderView>,
    ) -> SubscriptionView {
        let health = view.map(|it| it.health);
        SubscriptionView {
            cursor: self.position(&subscription.scope, cursor),
            lag: last.saturating_sub(cursor),
            health: Health {
                state: health.map_or(HealthState::Ok, |it| it.state).as_str(),
                why: health.and_then(|it| it.why).map(Into::into),
                since: health.and_then(|it| it.since).unwrap_or(subscription.created_at),
            },
            subscription: Arc::clone(subscription),
        }
    }
}
