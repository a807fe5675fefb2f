//! Resources: make, read, change, list.
//!
//! Every change is decided by `engine::lifecycle` on the row as it is, and
//! committed with the version that it was decided on: whoever was slower
//! decides again.

use crate::{
    Ctx, Error, Outcome, Service, Write,
    batch::{ALONE, Ahead},
    idempotency::{Decision, Left},
    images::Image,
    types::ServedType,
    waker::WakeOn,
};
use bytes::Bytes;
use ringback_engine::{
    lifecycle::{self, Actor, Decided},
    tokens::PageKey,
};
use ringback_model::{
    EventId, ResourceId, Subject, TenantId, Timestamp,
    event::Scope,
    ids, limits,
    resource::{Resource, Version},
};
use ringback_ports::store::{Change, ChangeSet, Committed, Expected, ResourceRow, Slice, Timer};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLockReadGuard;

/// The header If-Match, or If-None-Match, as versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// Not sent.
    #[default]
    None,
    /// `*`: anything that exists.
    Any,
    /// One of these. Entity tags that are not ours match nothing.
    Versions(Vec<Version>),
}

impl IfMatch {
    /// Refuses what is at another version; `body` makes what is there now.
    pub(crate) fn check(&self, found: Option<Version>, body: impl FnOnce() -> Option<Bytes>) -> Result<(), Error> {
        let holds = match self {
            Self::None => true,
            Self::Any => found.is_some(),
            Self::Versions(any) => found.is_some_and(|it| any.contains(&it)),
        };
        if holds { Ok(()) } else { Err(Error::PreconditionFailed { current: found.unwrap_or(0), body: body() }) }
    }

    /// Whether `version` is one of these: as If-None-Match asks.
    #[must_use]
    pub fn matches(&self, version: Version) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Versions(any) => any.contains(&version),
        }
    }
}

/// What a write of a resource made.
#[derive(Clone, Debug)]
pub struct Written {
    /// The resource afterwards (its last image, when it was deleted).
    pub body: Bytes,
    /// Its id.
    pub id: ResourceId,
    /// Its version.
    pub version: Version,
    /// Whether it is new.
    pub created: bool,
    /// Whether it is gone.
    pub deleted: bool,
    /// The event; `None` when nothing changed.
    pub event: Option<EventId>,
    /// The position after it.
    pub position: String,
    /// Whether what the source of a mirrored resource said was news; `true` for every other write.
    pub applied: bool,
}

/// A resource, to be shown.
#[derive(Clone, Debug)]
pub struct ResourceView {
    /// Its public bytes.
    pub body: Bytes,
    /// Its version: the ETag.
    pub version: Version,
    /// Its owner.
    pub tenant: TenantId,
}

/// A page of resources, or of versions of one.
#[derive(Clone, Debug)]
pub struct ResourcePage {
    /// Their public bytes.
    pub rows: Vec<Bytes>,
    /// Where the next page starts.
    pub next_cursor: Option<String>,
}

/// What a change is decided on.
#[derive(Debug)]
pub(crate) enum Step {
    Transition { name: String, input: Option<Value>, actor: Actor },
    Patch(Value),
    Delete,
}

impl Service {
    /// Makes a resource.
    ///
    /// # Errors
    /// `Forbidden`, `Lifecycle`, `AlreadyExists`, `Mirrored`.
    pub async fn create_resource(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        body: Map<String, Value>,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        self.create(ctx, ty, body, false, write).await
    }

    /// Makes a resource as `If-None-Match: *` asks for it: one that is there is a failed precondition.
    ///
    /// # Errors
    /// As `create_resource`, but `Exists`.
    pub async fn create_resource_if_absent(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        body: Map<String, Value>,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        self.create(ctx, ty, body, true, write).await
    }

    async fn create(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        mut body: Map<String, Value>,
        if_absent: bool,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        let (_gate, ty) = self.hold_type(ty).await?;
        self.may_create(ctx, &ty)?;
        let tenant = ctx.tenant()?;
        let made = self.take_id(&ty, &mut body)?;
        self.write(ctx, write, || async {
            match self.decide_creation(tenant, &ty, &made, &body, &ALONE).await {
                Err(Error::AlreadyExists { id, deleted: false, .. }) if if_absent => Err(Error::Exists { id }),
                other => other,
            }
        })
        .await
        .inspect(|_| self.inner.timer_hint.notify_one())
    }

    pub(crate) fn may_create(&self, ctx: &Ctx, ty: &ServedType) -> Result<(), Error> {
        let decl = &ty.compiled.decl;
        ctx.require(decl.access.create, || format!("create resources of the type `{}`", decl.name))
    }

    /// The id that a creation's body gives, or a new one.
    pub(crate) fn take_id(&self, ty: &ServedType, body: &mut Map<String, Value>) -> Result<ResourceId, Error> {
        let chosen = lifecycle::take_id(body).map_err(|refusal| Error::Lifecycle { id: nobody(), refusal })?;
        if let Some(id) = chosen {
            return Ok(id);
        }
        let text = ids::prefixed(&ty.compiled.decl.id_prefix, self.now(), self.inner.entropy.bits());
        ResourceId::parse(&text).map_err(|it| Error::Internal(it.to_string()))
    }

    pub(crate) async fn decide_creation(
        &self,
        tenant: &TenantId,
        ty: &ServedType,
        made: &ResourceId,
        body: &Map<String, Value>,
        ahead: &Ahead,
    ) -> Result<Decision<Written>, Error> {
        let decl = &ty.compiled.decl;
        if decl.mirror {
            return Err(Error::Mirrored { type_name: decl.name.clone() });
        }
        if let Some(there) = self.row_ahead(tenant, ty, made, ahead).await? {
            return Err(Error::AlreadyExists { noun: "resource", id: made.to_string(), deleted: there.deleted });
        }
        let decided = lifecycle::create(&ty.compiled, tenant.clone(), made.clone(), body.clone(), self.now(), self.event_id())
            .map_err(|refusal| Error::Lifecycle { id: made.clone(), refusal })?;
        Ok(self.resource_decision(tenant, decided, Expected::Absent))
    }

    /// A row as the operations before this one will have left it.
    pub(crate) async fn row_ahead(
        &self,
        tenant: &TenantId,
        ty: &ServedType,
        id: &ResourceId,
        ahead: &Ahead,
    ) -> Result<Option<ResourceRow>, Error> {
        let name = &ty.compiled.decl.name;
        match ahead.row(name, id) {
            Some(row) => Ok(Some(row.clone())),
            None => Ok(self.inner.store.resource(tenant, name, id).await?),
        }
    }

    /// Changes members of a resource by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, preconditions, `Lifecycle`.
    pub async fn patch_resource(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        patch: Value,
        if_match: IfMatch,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        let step = Step::Patch(patch);
        self.may_change(ctx, ty, id, &step)?;
        self.change(ctx, ty, id, step, if_match, write).await
    }

    /// Deletes a resource. Its id stays taken.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, preconditions.
    pub async fn delete_resource(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        if_match: IfMatch,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        self.may_change(ctx, ty, id, &Step::Delete)?;
        self.change(ctx, ty, id, Step::Delete, if_match, write).await
    }

    /// Takes a step of the lifecycle.
    ///
    /// # Errors
    /// `NotFound`, preconditions, `Lifecycle`.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    pub async fn transition(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        name: &str,
        input: Option<Value>,
        if_match: IfMatch,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        let step = Step::Transition { name: name.into(), input, actor: Actor::from(ctx.authority()) };
        self.may_change(ctx, ty, id, &step)?;
        self.change(ctx, ty, id, step, if_match, write).await
    }

    /// Whether the caller may take such a step; whose a transition is, the engine knows.
    pub(crate) fn may_change(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId, step: &Step) -> Result<(), Error> {
        let decl = &ty.compiled.decl;
        self.require_seen(ctx, ty, id)?;
        match step {
            Step::Transition { .. } => Ok(()),
            Step::Patch(_) => ctx.require(decl.access.update, || format!("change resources of the type `{}`", decl.name)),
            Step::Delete => ctx.require(decl.access.delete, || format!("delete resources of the type `{}`", decl.name)),
        }
    }

    async fn change(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        step: Step,
        if_match: IfMatch,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        let tenant = ctx.tenant()?;
        let _turn = self.inner.locks.turn(turn_name(tenant, ty, id)).await;
        let (_gate, ty) = self.hold_type(ty).await?;
        let ty = &*ty;
        self.write(ctx, write, || self.decide_change(tenant, ty, id, &step, &if_match, &ALONE))
            .await
            .inspect(|_| self.inner.timer_hint.notify_one())
    }

    pub(crate) async fn decide_change(
        &self,
        tenant: &TenantId,
        ty: &ServedType,
        id: &ResourceId,
        step: &Step,
        if_match: &IfMatch,
        ahead: &Ahead,
    ) -> Result<Decision<Written>, Error> {
        let decl = &ty.compiled.decl;
        if decl.mirror {
            return Err(Error::Mirrored { type_name: decl.name.clone() });
        }
        if decl.require_if_match && *if_match == IfMatch::None {
            return Err(Error::PreconditionRequired { type_name: decl.name.clone() });
        }
        let row = self.row_ahead(tenant, ty, id, ahead).await?.filter(|it| !it.deleted).ok_or_else(|| no_such(ty, id))?;
        let before = &row.resource;
        if_match.check(Some(before.version), || Some(before.encode()))?;
        self.decide(tenant, ty, &row, step).await
    }

    /// Keeps types as they are until a write is over, and says how this one is by now: it may
    /// have been put again, or be gone, since the request was routed.
    pub(crate) async fn hold_type(&self, ty: &ServedType) -> Result<(RwLockReadGuard<'_, ()>, Arc<ServedType>), Error> {
        let gate = self.inner.types_gate.read().await;
        let decl = &ty.compiled.decl;
        match self.types().by_name(decl.name.as_str()).filter(|it| it.compiled.decl.path == decl.path) {
            Some(now) => Ok((gate, now)),
            None => Err(Error::NotFound { noun: "type", id: decl.name.to_string() }),
        }
    }

    async fn decide(&self, tenant: &TenantId, ty: &ServedType, row: &ResourceRow, step: &Step) -> Result<Decision<Written>, Error> {
        let before = &row.resource;
        let (now, event) = (self.now(), self.event_id());
        let kept = row.timer.as_ref().map(|it| (it.due_at, it.transition.clone()));
        let refused = |refusal| Error::Lifecycle { id: before.id.clone(), refusal };
        let decided = match step {
            Step::Transition { name, input, actor } => {
                lifecycle::transition(&ty.compiled, before, name, input.clone(), *actor, now, event).map_err(refused)?
            }
            Step::Patch(patch) => match lifecycle::patch(&ty.compiled, before, kept, patch.clone(), now, event).map_err(refused)? {
                Some(decided) => decided,
                None => return self.nothing_changed(tenant, before).await,
            },
            Step::Delete => lifecycle::delete(&ty.compiled, before, now, event),
        };
        let left = (decided.resource.status != before.status).then(|| Left {
            type_name: before.type_name.clone(),
            status: before.status.clone(),
            stayed: now.since(before.since),
        });
        let mut decision = self.resource_decision(tenant, decided, Expected::Version(before.version));
        decision.left.extend(left);
        Ok(decision)
    }

    pub(crate) async fn nothing_changed(&self, tenant: &TenantId, before: &Resource) -> Result<Decision<Written>, Error> {
        let service = self.clone();
        let scope = Scope::Tenant(tenant.clone());
        // Where the log ends is where its reader finds this state.
        let last = self.inner.store.bounds(&scope).await?.last;
        let (body, id, version) = (before.encode(), before.id.clone(), before.version);
        let shown = body.clone();
        let decision = Decision::new(ChangeSet::new(tenant.clone(), self.now()), move |_: &Committed| Written {
            body: body.clone(),
            id: id.clone(),
            version,
            created: false,
            deleted: false,
            event: None,
            position: service.position(&scope, last),
            applied: true,
        });
        Ok(decision.about(shown))
    }

    pub(crate) fn resource_decision(&self, tenant: &TenantId, decided: Decided, expected: Expected) -> Decision<Written> {
        let Decided { resource, event, timer, deleted } = decided;
        let body = event.data.clone();
        let shown = body.clone();
        let (id, version, created) = (resource.id.clone(), resource.version, expected == Expected::Absent);
        let mut set = ChangeSet::new(tenant.clone(), event.timestamp);
        let timer = timer.map(|(due_at, transition)| Timer { due_at, transition });
        set.changes.push(Change::Resource { row: Box::new(ResourceRow { resource, deleted, timer }), expected });
        let event_id = event.id;
        set.events.push(event);
        let service = self.clone();
        let scope = Scope::Tenant(tenant.clone());
        Decision::new(set, move |committed: &Committed| Written {
            body: body.clone(),
            id: id.clone(),
            version,
            created,
            deleted,
            event: Some(event_id),
            position: service.position(&scope, committed.sequence),
            applied: true,
        })
        .about(shown)
    }

    /// A timer that is due: takes its transition as `system`, unless the status has changed meanwhile.
    pub(crate) async fn fire(&self, due: &ringback_ports::store::DueTimer) -> Result<(), Error> {
        let Some(ty) = self.types().by_name(due.type_name.as_str()) else { return Ok(()) };
        let caller = crate::Caller::socket_operator();
        let ctx = Ctx { caller, scope: Scope::Tenant(due.tenant.clone()) };
        let _turn = self.inner.locks.turn(turn_name(&due.tenant, &ty, &due.id)).await;
        let (_gate, ty) = self.hold_type(&ty).await?;
        self.write(&ctx, Write::plain(), || async {
            let row = self.live_row(&due.tenant, &ty, &due.id).await?;
            if row.timer.as_ref() != Some(&due.timer) {
                return self.nothing_changed(&due.tenant, &row.resource).await;
            }
            let timeout = ty.compiled.decl.status(&row.resource.status).and_then(|it| it.timeout.as_ref());
            let input = timeout.filter(|it| it.transition == due.timer.transition).and_then(|it| it.input.clone());
            let step = Step::Transition { name: due.timer.transition.to_string(), input, actor: Actor::System };
            match self.decide(&due.tenant, &ty, &row, &step).await {
                // A guard that no longer holds: the timeout has had its moment.
                Err(Error::Lifecycle { .. }) => self.timer_over(&due.tenant, row).await,
                other => other,
            }
        })
        .await?;
        Ok(())
    }

    async fn timer_over(&self, tenant: &TenantId, mut row: ResourceRow) -> Result<Decision<Written>, Error> {
        row.timer = None;
        let expected = Expected::Version(row.resource.version);
        let mut decision = self.nothing_changed(tenant, &row.resource).await?;
        decision.set.changes.push(Change::Resource { row: Box::new(row), expected });
        Ok(decision)
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::make(self.now(), self.inner.entropy.bits())
    }

    /// Resources that the caller may not read are not there.
    pub(crate) fn require_seen(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId) -> Result<(), Error> {
        if ctx.authority().covers(ty.compiled.decl.access.read) { Ok(()) } else { Err(no_such(ty, id)) }
    }

    async fn live_row(&self, tenant: &TenantId, ty: &ServedType, id: &ResourceId) -> Result<ResourceRow, Error> {
        match self.inner.store.resource(tenant, &ty.compiled.decl.name, id).await? {
            Some(row) if !row.deleted => Ok(row),
            _ => Err(no_such(ty, id)),
        }
    }

    /// The image of a resource that the caller may read; with `*`, of whichever tenant has it.
    /// From memory, where it is there: asking for what does not change asks the store once.
    pub(crate) async fn seen(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId) -> Result<Arc<Image>, Error> {
        self.require_seen(ctx, ty, id)?;
        let tenants = match &ctx.scope {
            Scope::Tenant(tenant) => vec![tenant.clone()],
            Scope::All => self.registry().tenants.keys().cloned().collect(),
        };
        let type_name = &ty.compiled.decl.name;
        for tenant in &tenants {
            let load = || async move {
                let row = self.inner.store.resource(tenant, type_name, id).await?;
                Ok(row.filter(|it| !it.deleted).map(|it| Image::of(it.resource)))
            };
            if let Some(image) = self.inner.images.read(tenant, type_name, id, load).await? {
                return Ok(image);
            }
        }
        Err(no_such(ty, id))
    }

    /// A resource as it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn resource(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId) -> Result<ResourceView, Error> {
        let image = self.seen(ctx, ty, id).await?;
        Ok(ResourceView { body: image.body.clone(), version: image.version, tenant: image.tenant.clone() })
    }

    /// A resource once it is at none of these versions; `None` when `wait` ends before.
    ///
    /// # Errors
    /// `NotFound` (also when it is deleted meanwhile), `TooManyWaiters`.
    pub async fn resource_wait(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        differs_from: &IfMatch,
        wait: Duration,
    ) -> Result<Option<ResourceView>, Error> {
        let ctx = &self.narrowed(ctx, ty, id, wait).await?;
        self.wait_on_subject(ctx, ty, id, wait, || async {
            let view = self.resource(ctx, ty, id).await?;
            Ok(Some(view).filter(|it| !differs_from.matches(it.version)))
        })
        .await
    }

    /// Who waits with `*` waits for the tenant that has the resource: not every event of the
    /// server concerns it, and not every tenant has to be asked again.
    pub(crate) async fn narrowed(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId, wait: Duration) -> Result<Ctx, Error> {
        if wait.is_zero() || ctx.scope != Scope::All {
            return Ok(ctx.clone());
        }
        let tenant = self.seen(ctx, ty, id).await?.tenant.clone();
        Ok(Ctx { caller: ctx.caller.clone(), scope: Scope::Tenant(tenant) })
    }

    /// Looks, and looks again whenever something happens to the resource, until
    /// `look` answers something or `wait` is over.
    pub(crate) async fn wait_on_subject<T, F>(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        wait: Duration,
        look: impl Fn() -> F,
    ) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Option<T>, Error>> + Send,
    {
        if wait.is_zero() {
            return look().await;
        }
        let deadline = self.now() + wait;
        let _admitted = self.inner.waker.admit(ctx.caller.key)?;
        let on = match &ctx.scope {
            Scope::Tenant(tenant) => WakeOn::Subject(tenant.clone(), Subject::of_resource(&ty.compiled.decl.path, id)),
            Scope::All => WakeOn::Scope(Scope::All, Vec::new()),
        };
        // Taken before looking: a change in between is not missed.
        let mut ticket = self.inner.waker.ticket(on);
        loop {
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            if !self.ready() || ringback_ports::clock::until(self.clock(), deadline, ticket.woken()).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// The versions of a resource, first one first.
    ///
    /// # Errors
    /// `NotFound`, cursor errors; `LogTruncated` when retention has passed where the page begins.
    pub async fn resource_versions(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<ResourcePage, Error> {
        let seen = self.seen(ctx, ty, id).await?;
        let scope = Scope::Tenant(seen.tenant.clone());
        let subject = Subject::of_resource(&ty.compiled.decl.path, id);
        let route = [ty.compiled.decl.path.as_str(), "versions", id.as_str()];
        let floor = self.inner.store.bounds(&scope).await?.floor.max(self.inner.floors.of(&scope));
        let mut from = match self.page_key(ctx, &route, after)? {
            // All that is there.
            None => floor,
            Some(PageKey::Place(it)) => it,
            Some(_) => return Err(Error::CursorMismatch),
        };
        let (mut rows, mut bytes): (Vec<Bytes>, usize) = (Vec::new(), 0);
        let slice = Slice { events_max: limit.clamp(100, limits::PAGE_ITEMS_MAX), bytes_max: limits::PAGE_BYTES_MAX };
        loop {
            let events = self.inner.store.events_of_subject(&scope, &subject, from, slice).await?;
            // Asked afterwards: a floor that moves while the page is made is no silent skip either.
            if from < floor.max(self.inner.floors.of(&scope)) {
                let oldest = self.oldest_version(&scope, &subject).await?.unwrap_or(seen.version);
                return Err(Error::LogTruncated { oldest: oldest.to_string() });
            }
            if events.is_empty() {
                return Ok(ResourcePage { rows, next_cursor: None });
            }
            for event in events {
                if rows.len() == limit || bytes >= limits::PAGE_BYTES_MAX {
                    return Ok(ResourcePage { rows, next_cursor: Some(self.page_cursor(ctx, &route, &PageKey::Place(from))) });
                }
                from = event.place(&scope);
                if event.of.is_some() {
                    bytes += event.bytes.len();
                    rows.push(event.data());
                }
            }
        }
    }

    /// One version of a resource: it *is* the event that made it. Also of deleted ones,
    /// so that a `thin` delivery can be followed.
    ///
    /// # Errors
    /// `NotFound`, `LogTruncated` with the oldest version that is still there.
    pub async fn resource_version(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId, version: Version) -> Result<Bytes, Error> {
        self.require_seen(ctx, ty, id)?;
        let subject = Subject::of_resource(&ty.compiled.decl.path, id);
        let tenants: Vec<TenantId> = match &ctx.scope {
            Scope::Tenant(tenant) => vec![tenant.clone()],
            Scope::All => self.registry().tenants.keys().cloned().collect(),
        };
        for tenant in tenants {
            if let Some(event) = self.inner.store.event_of_version(&tenant, &subject, version).await? {
                return Ok(event.data());
            }
            if let Some(row) = self.inner.store.resource(&tenant, &ty.compiled.decl.name, id).await? {
                return self.kept_version(&tenant, &subject, &row.resource, version).await;
            }
        }
        Err(Error::NotFound { noun: "version", id: format!("{id}/versions/{version}") })
    }
}

impl Service {
    /// A version whose event is not there: the present one is in the row, others went by retention or never were.
    async fn kept_version(&self, tenant: &TenantId, subject: &Subject, row: &Resource, version: Version) -> Result<Bytes, Error> {
        if version == row.version {
            return Ok(row.encode());
        }
        let scope = Scope::Tenant(tenant.clone());
        if version == 0 || version > row.version || self.inner.store.bounds(&scope).await?.floor == 0 {
            return Err(Error::NotFound { noun: "version", id: format!("{}/versions/{version}", row.id) });
        }
        let oldest = self.oldest_version(&scope, subject).await?.unwrap_or(row.version);
        Err(Error::LogTruncated { oldest: oldest.to_string() })
    }

    /// The first version of a resource whose event is there.
    async fn oldest_version(&self, scope: &Scope, subject: &Subject) -> Result<Option<Version>, Error> {
        let oldest = self.inner.store.events_of_subject(scope, subject, 0, Slice { events_max: 1, bytes_max: 1 }).await?;
        Ok(oldest.first().and_then(|it| it.of.as_ref()).map(|it| it.version))
    }
}

/// The id of a resource that has none yet, in a refusal.
fn nobody() -> ResourceId {
    ResourceId::parse("new").unwrap_or_else(|_| unreachable!("`new` is an id"))
}

/// What those take turns at who change one resource.
pub(crate) fn turn_name(tenant: &TenantId, ty: &ServedType, id: &ResourceId) -> String {
    format!("{tenant}{}/{id}", ty.compiled.decl.path)
}

fn no_such(ty: &ServedType, id: &ResourceId) -> Error {
    // The type's name is public; which ids exist is the tenant's.
    Error::NotFound { noun: "resource", id: format!("{}/{id}", ty.compiled.decl.name) }
}

/// When the earliest of two moments is.
pub(crate) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
