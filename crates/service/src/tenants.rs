//! Tenants: made by operators, never implicitly.

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, page::Page, resources::IfMatch};
use ringback_model::{
    TenantId,
    event::Scope,
    key::Authority,
    limits,
    tenant::{Metadata, Tenant},
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected};

/// What putting a tenant made.
#[derive(Clone, Debug)]
pub struct TenantWritten {
    /// The tenant.
    pub tenant: Tenant,
    /// Whether it is new.
    pub created: bool,
}

impl Service {
    /// Makes a tenant, or changes what is given of it.
    ///
    /// # Errors
    /// `Forbidden`, preconditions, `LimitReached`.
    pub async fn put_tenant(
        &self,
        ctx: &Ctx,
        id: TenantId,
        name: Option<String>,
        metadata: Option<Metadata>,
        if_match: IfMatch,
        write: Write<TenantWritten>,
    ) -> Result<Outcome<TenantWritten>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move { service.put_tenant_inner(&ctx, id, name, metadata, if_match, write).await }).await
    }

    async fn put_tenant_inner(
        &self,
        ctx: &Ctx,
        id: TenantId,
        name: Option<String>,
        metadata: Option<Metadata>,
        if_match: IfMatch,
        write: Write<TenantWritten>,
    ) -> Result<Outcome<TenantWritten>, Error> {
        ctx.require(Authority::Operator, || "make or change tenants".into())?;
        let _turn = self.inner.locks.turn("tenants".into()).await;
        let before = self.registry().tenants.get(&id).cloned();
        if_match.check(before.as_ref().map(|it| it.version), || None)?;
        let now = self.now();
        let created = before.is_none();
        let (tenant, expected) = match before {
            Some(before) => {
                let expected = Expected::Version(before.version);
                let tenant = Tenant {
                    name: name.unwrap_or(before.name),
                    metadata: metadata.unwrap_or(before.metadata),
                    version: before.version + 1,
                    ..before
                };
                (tenant, expected)
            }
            None => {
                if self.registry().tenants.len() >= limits::TENANTS_MAX {
                    return Err(Error::LimitReached { what: "tenants", max: limits::TENANTS_MAX });
                }
                let tenant = Tenant {
                    data_key: self.inner.seal.new_data_key(id.as_str()),
                    name: name.unwrap_or_else(|| id.to_string()),
                    metadata: metadata.unwrap_or_default(),
                    created_at: now,
                    version: 1,
                    id,
                };
                (tenant, Expected::Absent)
            }
        };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                set.changes.push(Change::Tenant { tenant: Box::new(tenant.clone()), expected });
                let action = if created { "tenant.create" } else { "tenant.update" };
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action, object: tenant.id.to_string() });
                let written = TenantWritten { tenant: tenant.clone(), created };
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        self.registry_mut().tenants.insert(tenant.id.clone(), tenant);
        Ok(outcome)
    }

    /// One tenant; a tenant sees itself alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn tenant(&self, ctx: &Ctx, id: &TenantId) -> Result<Tenant, Error> {
        let found = if sees(ctx, id) { self.registry().tenants.get(id).cloned() } else { None };
        found.ok_or_else(|| Error::NotFound { noun: "tenant", id: id.to_string() })
    }

    /// Tenants in order of id; a tenant sees itself alone.
    ///
    /// # Errors
    /// `CursorMismatch`.
    pub fn tenants(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<Tenant>, Error> {
        let after = self.id_cursor(ctx, "tenants", after)?;
        let registry = self.registry();
        let rows = registry.tenants.values().filter(|it| sees(ctx, &it.id) && after.as_deref().is_none_or(|at| it.id.as_str() > at));
        Ok(self.id_page(ctx, "tenants", rows.cloned(), limit, |it| it.id.to_string()))
    }
}

/// Everybody sees the tenants that they may act for.
fn sees(ctx: &Ctx, id: &TenantId) -> bool {
    match (&ctx.caller.tenant, &ctx.scope) {
        (Some(own), _) => own == id,
        (None, Scope::All) => true,
        // A gateway's or operator's list is the server's, whatever tenant its header names.
        (None, Scope::Tenant(_)) => true,
    }
}
