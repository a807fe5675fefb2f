//! Who asks, for which tenant, and whether they may.

use crate::{
    Service,
    error::{Error, Needs, WhyNot},
};
use ringback_engine::keys::{self, KeyProblem};
use ringback_model::{
    KeyId, TenantId,
    event::Scope,
    key::{self, Authority, Role, Scopes},
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key; `None` for the operator's socket.
    pub key: Option<KeyId>,
    /// Its role.
    pub role: Role,
    /// What it may do.
    pub scopes: Scopes,
    /// The one tenant of a tenant key.
    pub tenant: Option<TenantId>,
}

impl Caller {
    /// Whoever can open the operator's socket.
    #[must_use]
    pub fn socket_operator() -> Self {
        Self { key: None, role: Role::Operator, scopes: Scopes::of_role(Role::Operator), tenant: None }
    }

    /// With whose authority it acts.
    #[must_use]
    pub const fn authority(&self) -> Authority {
        self.role.authority()
    }
}

/// Who asks for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ctx {
    /// Who.
    pub caller: Caller,
    /// For whom.
    pub scope: Scope,
}

impl Ctx {
    /// With whose authority it acts.
    #[must_use]
    pub const fn authority(&self) -> Authority {
        self.caller.authority()
    }

    /// The one tenant.
    ///
    /// # Errors
    /// `StarNotPossible` when the request is about all of them.
    pub fn tenant(&self) -> Result<&TenantId, Error> {
        match &self.scope {
            Scope::Tenant(it) => Ok(it),
            Scope::All => Err(Error::StarNotPossible),
        }
    }

    /// The tenant's id, or `*`.
    #[must_use]
    pub fn tenant_text(&self) -> &str {
        self.scope.as_str()
    }

    /// Refuses who acts with less than `needed`.
    pub(crate) fn require(&self, needed: Authority, what: impl FnOnce() -> String) -> Result<(), Error> {
        if self.authority().covers(needed) { Ok(()) } else { Err(Error::Forbidden(Needs::Operator { what: what() })) }
    }
}

impl From<KeyProblem> for WhyNot {
    fn from(it: KeyProblem) -> Self {
        match it {
            KeyProblem::NotAKey => Self::Malformed,
            KeyProblem::Mistyped => Self::Mistyped,
        }
    }
}

impl Service {
    /// Who holds this key.
    ///
    /// # Errors
    /// `Unauthenticated`, with the reason.
    pub fn authenticate(&self, key_text: &str) -> Result<Caller, Error> {
        let (id, secret) = keys::parse(key_text).map_err(|it| Error::Unauthenticated(it.into()))?;
        let unknown = Error::Unauthenticated(WhyNot::Unknown);
        let Some(key) = self.registry().keys.get(&id).cloned() else { return Err(unknown) };
        if !keys::matches(&self.inner.secrets.pepper, id, secret, &key.digest) {
            return Err(unknown);
        }
        if key.expires_at.is_some_and(|at| at <= self.now()) {
            return Err(Error::Unauthenticated(WhyNot::Expired));
        }
        Ok(Caller { key: Some(id), role: key.role, scopes: key.scopes, tenant: key.tenant })
    }

    /// Whether who was let in would be let in now: for an answer that comes long
    /// after the question, since authorisation is judged when it is read (G9).
    ///
    /// # Errors
    /// `Unauthenticated`, when the key was deleted or has expired in the meantime.
    pub fn still(&self, caller: &Caller) -> Result<(), Error> {
        let Some(id) = caller.key else { return Ok(()) };
        match self.registry().keys.get(&id) {
            None => Err(Error::Unauthenticated(WhyNot::Unknown)),
            Some(key) if key.expires_at.is_some_and(|at| at <= self.now()) => Err(Error::Unauthenticated(WhyNot::Expired)),
            Some(_) => Ok(()),
        }
    }

    /// For whom a caller asks, and whether it may.
    ///
    /// Leaving the tenant out means `default` while that is the only one.
    ///
    /// # Errors
    /// `Forbidden`, `TenantRequired`, `TenantUnknown`, `StarNotPossible`.
    pub fn ctx(&self, caller: Caller, tenant: Option<&str>, needs: key::Scope, star_allowed: bool) -> Result<Ctx, Error> {
        let scope = match (&caller.tenant, tenant) {
            // A tenant's key has its tenant; naming another one is asking for something that isn't there.
            (Some(own), None) => Scope::Tenant(own.clone()),
            (Some(own), Some(named)) if named == own.as_str() => Scope::Tenant(own.clone()),
            (Some(_), Some(named)) => return Err(Error::TenantUnknown { text: named.into() }),
            (None, Some("*")) if caller.role == Role::Operator => {
                if !star_allowed {
                    return Err(Error::StarNotPossible);
                }
                Scope::All
            }
            (None, Some(named)) => match self.registry().tenants.get_key_value(named) {
                Some((id, _)) => Scope::Tenant(id.clone()),
                None => return Err(Error::TenantUnknown { text: named.into() }),
            },
            (None, None) => {
                let tenants = self.registry().tenants.len();
                if tenants > 1 {
                    return Err(Error::TenantRequired { tenants });
                }
                Scope::Tenant(TenantId::default_tenant())
            }
        };
        if !caller.scopes.has(needs) {
            return Err(Error::Forbidden(Needs::Scope(needs)));
        }
        Ok(Ctx { caller, scope })
    }

    /// For requests that are about no tenant: tenants, types, and an operator's keys.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn server_ctx(&self, caller: Caller, needs: key::Scope) -> Result<Ctx, Error> {
        if !caller.scopes.has(needs) {
            return Err(Error::Forbidden(Needs::Scope(needs)));
        }
        let scope = caller.tenant.clone().map_or(Scope::All, Scope::Tenant);
        Ok(Ctx { caller, scope })
    }
}
