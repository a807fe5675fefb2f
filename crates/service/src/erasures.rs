//! Taking data out for good: of an event, of a subject, of a tenant.
//!
//! What was asked for is written down first, with who asked; then a task does it,
//! in small steps among everybody else's writes, each of which may be the last one
//! before a crash: the next start goes on, and twice is once. A resource is deleted
//! before its events go, so that lists and watches hear of it like of any deletion.
//! What is owed of an erased event is owed no more (`engine::matching`).
//!
//! Not here: what is left of an event (`model::event`), how bytes are removed (the store).

use crate::{
    Caller, Ctx, Error, IfMatch, Outcome, Service, Write, idempotency::Decision, page::Page, resources::turn_name, types::ServedType,
};
use ringback_engine::{lifecycle, tokens::PageKey};
use ringback_model::{
    ErasureId, EventId, ResourceId, Subject, TenantId,
    erasure::{Erasure, Target},
    event::{Event, Scope},
    key::Authority,
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected, ResourceKey, ResourceRow, Slice};
use std::sync::Arc;

/// Events that one step erases: some milliseconds of the writer, and a look at every reader for each.
const STEP: Slice = Slice { events_max: 100, bytes_max: 4 * 1024 * 1024 };
/// Rows that are looked at at once.
const ROWS_AT_ONCE: usize = 500;
/// Erasures that are taken up at once.
const ERASURES_AT_ONCE: usize = 100;

/// What somebody wants to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One event.
    Event(EventId),
    /// The event that was published with this key.
    Key(String),
    /// All about a subject.
    Subject(Subject),
    /// All of a tenant, which is the one that is named with the request, too.
    Tenant(String),
}

impl Service {
    /// Has something erased. It is written down when this returns, and done soon after.
    ///
    /// # Errors
    /// `Forbidden` for whoever is no operator; `NotFound` (an event), `Conflict` for the event that made the present
    /// version of a resource, `Field` for another tenant than the one that is named.
    pub async fn erase(&self, ctx: &Ctx, wanted: Wanted, write: Write<Erasure>) -> Result<Outcome<Erasure>, Error> {
        ctx.require(Authority::Operator, || "erase anything".into())?;
        let tenant = ctx.tenant()?.clone();
        let target = self.erasure_target(ctx, &tenant, wanted).await?;
        let now = self.now();
        let id = ErasureId::make(now, self.inner.entropy.bits());
        let erasure = Erasure { id, tenant: tenant.clone(), target: Some(target), created_at: now, erased: 0 };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(tenant.clone(), now);
                set.changes.push(Change::Erasure { erasure: Box::new(erasure.clone()) });
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "erasure.create", object: id.to_string() });
                let made = erasure.clone();
                Ok(Decision::new(set, move |_| made.clone()))
            })
            .await?;
        self.inner.erasure_hint.notify_one();
        Ok(outcome)
    }

    /// Erasures of the caller's tenant, or of all, the first one first.
    ///
    /// # Errors
    /// `Forbidden`, cursor errors.
    pub async fn erasures(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<Erasure>, Error> {
        ctx.require(Authority::Operator, || "see what was erased".into())?;
        let route = ["erasures"];
        let after = match self.page_key(ctx, &route, after)? {
            None => None,
            Some(PageKey::Id(it)) => Some(it.parse::<ErasureId>().map_err(|_| Error::CursorMismatch)?),
            Some(_) => return Err(Error::CursorMismatch),
        };
        let tenant = match &ctx.scope {
            Scope::Tenant(it) => Some(it),
            Scope::All => None,
        };
        let mut items = self.inner.store.erasures(tenant, after, false, limit.saturating_add(1)).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|it| self.page_cursor(ctx, &route, &PageKey::Id(it.id.to_string())));
        Ok(Page { items, next_cursor })
    }

    async fn erasure_target(&self, ctx: &Ctx, tenant: &TenantId, wanted: Wanted) -> Result<Target, Error> {
        let (found, id) = match wanted {
            Wanted::Subject(it) => return Ok(Target::Subject(it)),
            Wanted::Tenant(named) if named == tenant.as_str() => return Ok(Target::Tenant),
            Wanted::Tenant(named) => {
                let detail = format!(
                    "`{named}` is not the tenant of this request, which is {tenant}. To erase all of a tenant name it twice: here, and in the header `Ringback-Tenant`."
                );
                return Err(Error::Field { pointer: "/tenant".into(), detail });
            }
            Wanted::Event(id) => (self.inner.store.event(&ctx.scope, id).await?, id.to_string()),
            Wanted::Key(key) => (self.inner.store.event_by_key(tenant, &key).await?, key),
        };
        let event = found.ok_or(Error::NotFound { noun: "event", id })?;
        if let (Some(of), Some(subject)) = (&event.of, &event.subject) {
            // Its row would go on saying what the event said.
            let row = self.inner.store.resource(tenant, &of.type_name, &of.id).await?;
            if row.is_some_and(|it| it.resource.version == of.version) {
                return Err(Error::Conflict {
                    detail: format!(
                        "This event made the present version of `{subject}`, and the resource says the same. Erase all of it with `{{\"subject\":\"{subject}\"}}`, or change the resource first."
                    ),
                });
            }
        }
        Ok(Target::Event(event.id))
    }

    /// Does what was asked for and is not done. Whether all of it is.
    ///
    /// # Errors
    /// The store's: what was not done is taken up again.
    pub(crate) async fn erase_pending(&self) -> Result<bool, Error> {
        let pending = self.inner.store.erasures(None, None, true, ERASURES_AT_ONCE).await?;
        let all = pending.len() < ERASURES_AT_ONCE;
        for erasure in &pending {
            if !self.ready() || !self.erase_one(erasure).await? {
                return Ok(false);
            }
        }
        Ok(all)
    }

    async fn erase_one(&self, erasure: &Erasure) -> Result<bool, Error> {
        let Some(target) = &erasure.target else { return Ok(true) };
        let tenant = &erasure.tenant;
        let scope = Scope::Tenant(tenant.clone());
        match target {
            Target::Event(id) => {
                let event = self.inner.store.event(&scope, *id).await?;
                self.erase_events(erasure, event.into_iter().collect()).await?;
            }
            Target::Subject(subject) => {
                if let Some((served, id)) = self.resource_of(subject) {
                    self.erase_resource(tenant, &served, &id).await?;
                }
                loop {
                    // What is erased is not found any more, so the first ones are always the next ones.
                    let events = self.inner.store.events_of_subject(&scope, subject, 0, STEP).await?;
                    if events.is_empty() {
                        break;
                    }
                    self.erase_events(erasure, events).await?;
                }
            }
            Target::Tenant => {
                self.erase_control(tenant).await?;
                self.erase_resources(tenant).await?;
                let bounds = self.inner.store.bounds(&scope).await?;
                let mut after = bounds.floor;
                while after < bounds.last && self.ready() {
                    let events = self.inner.store.events_after(&scope, after, STEP).await?;
                    let Some(last) = events.last().map(|it| it.sequence) else { break };
                    self.erase_events(erasure, events).await?;
                    after = last;
                }
                if !self.ready() {
                    return Ok(false);
                }
            }
        }
        if !self.inner.store.scrub().await? {
            // Somebody reads where old pages lie: it is done when they are gone.
            return Ok(false);
        }
        let mut set = ChangeSet::new(tenant.clone(), self.now());
        let kept = self.inner.store.erasures(Some(tenant), None, true, usize::MAX >> 1).await?;
        let erased = kept.iter().find(|it| it.id == erasure.id).map_or(erasure.erased, |it| it.erased);
        set.changes.push(Change::Erasure { erasure: Box::new(Erasure { target: None, erased, ..erasure.clone() }) });
        self.inner.store.commit(set).await?;
        // What the row said of its target lies in the pages before.
        self.inner.store.scrub().await?;
        tracing::info!(erasure.id = %erasure.id, erased, "erasure {} is done: {erased} events", erasure.id);
        Ok(true)
    }

    async fn erase_events(&self, erasure: &Erasure, events: Vec<Arc<Event>>) -> Result<(), Error> {
        let now = self.now();
        let left: Vec<Arc<Event>> = events.iter().filter(|it| it.erased_at.is_none()).map(|it| Arc::new(it.erased(now))).collect();
        if !left.is_empty() {
            self.inner.store.erase(erasure.id, left.clone()).await?;
        }
        // Also after a crash, of what was erased before it: memory does not know.
        let gone: Vec<Arc<Event>> = events.into_iter().filter(|it| it.erased_at.is_some()).chain(left).collect();
        self.inner.tail.replace(&gone);
        self.inner.dispatcher.forget(gone).await;
        Ok(())
    }

    /// The resource that a subject names, if its type is served.
    fn resource_of(&self, subject: &Subject) -> Option<(Arc<ServedType>, ResourceId)> {
        let (served, _) = self.types().route(subject.as_str())?;
        let id = subject.as_str().strip_prefix(served.compiled.decl.path.as_str())?.strip_prefix('/')?;
        Some((served, ResourceId::parse(id).ok()?))
    }

    /// Deletes a resource that is there, as anybody might, then empties its row. The id stays taken.
    async fn erase_resource(&self, tenant: &TenantId, served: &ServedType, id: &ResourceId) -> Result<(), Error> {
        let _turn = self.inner.locks.turn(turn_name(tenant, served, id)).await;
        let name = &served.compiled.decl.name;
        let Some(row) = self.inner.store.resource(tenant, name, id).await? else { return Ok(()) };
        if !row.deleted {
            let decided = lifecycle::delete(&served.compiled, &row.resource, self.now(), self.event_id());
            let decision = self.resource_decision(tenant, decided, Expected::Version(row.resource.version));
            self.inner.store.commit(decision.set).await?;
        }
        let row = self.inner.store.resource(tenant, name, id).await?;
        match row.filter(|it| it.deleted) {
            Some(row) => self.empty_row(row).await,
            None => Ok(()),
        }
    }

    async fn empty_row(&self, mut row: ResourceRow) -> Result<(), Error> {
        if row.resource.fields.is_empty() {
            return Ok(());
        }
        row.resource.fields.clear();
        let mut set = ChangeSet::new(row.resource.tenant.clone(), self.now());
        let expected = Expected::Version(row.resource.version);
        set.changes.push(Change::Resource { row: Box::new(row), expected });
        self.inner.store.commit(set).await?;
        Ok(())
    }

    async fn erase_resources(&self, tenant: &TenantId) -> Result<(), Error> {
        let mut after: Option<ResourceKey> = None;
        while self.ready() {
            let page = self.inner.store.resource_rows(after.take(), ROWS_AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let it = &last.resource;
            after = Some(ResourceKey { tenant: it.tenant.clone(), type_name: it.type_name.clone(), id: it.id.clone() });
            for row in page.into_iter().filter(|it| it.resource.tenant == *tenant) {
                let served = self.types().by_name(row.resource.type_name.as_str());
                match served {
                    Some(served) => self.erase_resource(tenant, &served, &row.resource.id).await?,
                    None if row.deleted => self.empty_row(row).await?,
                    // A type that is there while it has resources is served.
                    None => tracing::warn!("a resource of the type `{}`, which is not served, is left", row.resource.type_name),
                }
            }
        }
        Ok(())
    }

    /// Subscriptions and keys of the tenant, and what is said of it.
    async fn erase_control(&self, tenant: &TenantId) -> Result<(), Error> {
        let ctx = Ctx { caller: Caller::socket_operator(), scope: Scope::Tenant(tenant.clone()) };
        let of_server = Ctx { scope: Scope::All, ..ctx.clone() };
        let gone = |result: Result<(), Error>| match result {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        };
        let subscriptions: Vec<_> = self.registry().subscriptions_of(Some(tenant)).map(|it| it.id.clone()).collect();
        for id in subscriptions {
            gone(self.delete_subscription(&ctx, &id, IfMatch::None, Write::plain()).await.map(|_| ()))?;
        }
        let keys: Vec<_> = self.registry().keys.values().filter(|it| it.tenant.as_ref() == Some(tenant)).map(|it| it.id).collect();
        for id in keys {
            gone(self.delete_key(&of_server, id, Write::plain()).await.map(|_| ()))?;
        }
        let name = Some(tenant.to_string());
        self.put_tenant(&of_server, tenant.clone(), name, Some(Default::default()), IfMatch::None, Write::plain()).await?;
        Ok(())
    }
}
