//! API keys: made once, shown once, kept as a peppered digest.

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, page::Page};
use ringback_engine::keys;
use ringback_model::{
    KeyId, TenantId, Timestamp,
    event::Scope,
    key::{self, Authority, Key, Role, Scopes},
    limits,
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet};

/// What is wanted of a new key.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its role.
    pub role: Role,
    /// The one tenant of a tenant key; filled from the request when absent.
    pub tenant: Option<TenantId>,
    /// Narrower than its role's, if given.
    pub scopes: Option<Scopes>,
    /// For people.
    pub description: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Requests a second.
    pub rate_max_per_s: Option<u32>,
}

/// What making a key made.
#[derive(Clone, Debug)]
pub struct KeyWritten {
    /// As it is kept.
    pub key: Key,
    /// The key itself: shown once.
    pub text: String,
}

impl Service {
    /// Makes a key. Nobody makes one that may do more than his own.
    ///
    /// # Errors
    /// `Forbidden`, `TenantUnknown`, `LimitReached`, `Field`.
    pub async fn create_key(&self, ctx: &Ctx, new: NewKey, write: Write<KeyWritten>) -> Result<Outcome<KeyWritten>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move { service.create_key_inner(&ctx, new, write).await }).await
    }

    async fn create_key_inner(&self, ctx: &Ctx, new: NewKey, write: Write<KeyWritten>) -> Result<Outcome<KeyWritten>, Error> {
        let _turn = self.inner.locks.turn("keys".into()).await;
        if new.role != Role::Tenant {
            ctx.require(Authority::Operator, || format!("make {} keys", new.role.as_str()))?;
        }
        let now = self.now();
        if new.expires_at.is_some_and(|it| it <= now) {
            return Err(Error::Field {
                pointer: "/expires_at".into(),
                detail: format!("It is {now} now: a key that has expired opens nothing. Give a later time, or leave `expires_at` out."),
            });
        }
        let tenant = match (new.role, new.tenant, &ctx.scope) {
            (Role::Tenant, None, Scope::Tenant(own)) => Some(own.clone()),
            (Role::Tenant, None, Scope::All) => match self.registry().tenants.len() {
                // As everywhere: leaving it out means `default` while that is the only one.
                0 | 1 => Some(TenantId::default_tenant()),
                tenants => return Err(Error::TenantRequired { tenants }),
            },
            (Role::Tenant, Some(named), _) => {
                let own = ctx.authority() == Authority::Operator || ctx.scope == Scope::Tenant(named.clone());
                if !own || !self.registry().tenants.contains_key(&named) {
                    return Err(Error::TenantUnknown { text: named.to_string() });
                }
                Some(named)
            }
            (_, Some(_), _) => {
                return Err(Error::Field {
                    pointer: "/tenant".into(),
                    detail: "Only keys of the role `tenant` belong to a tenant. Leave `tenant` out.".into(),
                });
            }
            (_, None, _) => None,
        };
        let scopes = new.scopes.unwrap_or_else(|| {
            // Unless narrowed, a key has all of its role's; but never more than who makes it.
            let all = Scopes::of_role(new.role);
            if ctx.caller.scopes.has_all(all) {
                all
            } else {
                Scopes::collect(all.list().into_iter().filter(|it| ctx.caller.scopes.has(*it)))
            }
        });
        if !Scopes::of_role(new.role).has_all(scopes) || !ctx.caller.scopes.has_all(scopes) {
            return Err(Error::Field {
                pointer: "/scopes".into(),
                detail: format!("A {} key made with this key may have: {}.", new.role.as_str(), {
                    let may = Scopes::of_role(new.role).list();
                    may.iter().filter(|it| ctx.caller.scopes.has(**it)).map(|it| it.as_str()).collect::<Vec<_>>().join(", ")
                }),
            });
        }
        if self.registry().keys.values().filter(|it| it.tenant == tenant).count() >= limits::KEYS_PER_TENANT_MAX {
            return Err(Error::LimitReached { what: "keys of one tenant", max: limits::KEYS_PER_TENANT_MAX });
        }
        let mut written = self.fresh_key(new.role, tenant, scopes, new.description, new.expires_at, now);
        // Nobody makes a key that may do more than his own.
        let own = ctx.caller.key.and_then(|it| self.registry().keys.get(&it).and_then(|it| it.rate_max_per_s));
        if let (Some(own), Some(asked)) = (own, new.rate_max_per_s)
            && asked > own
        {
            let detail = format!("A key made with this key may make at most {own} requests a second.");
            return Err(Error::Field { pointer: "/rate_max_per_s".into(), detail });
        }
        written.key.rate_max_per_s = new.rate_max_per_s.or(own);
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                set.changes.push(Change::Key { key: Box::new(written.key.clone()) });
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "key.create", object: written.key.id.to_string() });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        self.registry_mut().keys.insert(written.key.id, written.key);
        Ok(outcome)
    }

    fn fresh_key(
        &self,
        role: Role,
        tenant: Option<TenantId>,
        scopes: Scopes,
        description: String,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> KeyWritten {
        let id = KeyId::make(now, self.inner.entropy.bits());
        let mut secret = [0; keys::SECRET_BYTES];
        self.inner.entropy.fill(&mut secret);
        let made = keys::make(id, secret);
        let digest = keys::digest(&self.inner.secrets.pepper, id, &made.secret);
        KeyWritten {
            key: Key { id, role, tenant, scopes, description, expires_at, rate_max_per_s: None, created_at: now, digest },
            text: made.text,
        }
    }

    /// Makes the first operator key when there is no key at all. `keep` puts its text
    /// where the operator finds it, before the key is stored: a crash in between
    /// leaves a text without a key, and the next start makes another.
    ///
    /// # Errors
    /// `Internal` with what `keep` said; the store's errors.
    pub async fn first_key(&self, keep: impl FnOnce(&str) -> Result<(), String>) -> Result<Option<String>, Error> {
        if !self.registry().keys.is_empty() {
            return Ok(None);
        }
        let scopes = Scopes::of_role(Role::Operator);
        let written = self.fresh_key(Role::Operator, None, scopes, "first operator key".into(), None, self.now());
        keep(&written.text).map_err(Error::Internal)?;
        self.store_key_of_server(written.key).await?;
        Ok(Some(written.text))
    }

    /// Makes `text` an operator's key, unless it is one already.
    ///
    /// # Errors
    /// `Unauthenticated` when `text` is no key; the store's errors.
    pub async fn accept_operator_key(&self, text: &str) -> Result<(), Error> {
        let (id, secret) = keys::parse(text).map_err(|it| Error::Unauthenticated(it.into()))?;
        if self.registry().keys.get(&id).is_some_and(|it| keys::matches(&self.inner.secrets.pepper, id, secret, &it.digest)) {
            return Ok(());
        }
        let key = Key {
            id,
            role: Role::Operator,
            tenant: None,
            scopes: Scopes::of_role(Role::Operator),
            description: "given at the start".into(),
            expires_at: None,
            rate_max_per_s: None,
            created_at: self.now(),
            digest: keys::digest(&self.inner.secrets.pepper, id, secret),
        };
        self.store_key_of_server(key).await
    }

    async fn store_key_of_server(&self, key: Key) -> Result<(), Error> {
        let mut set = ChangeSet::new(TenantId::default_tenant(), key.created_at);
        set.changes.push(Change::Key { key: Box::new(key.clone()) });
        set.audit = Some(AuditEntry { actor: None, action: "key.create", object: key.id.to_string() });
        self.inner.store.commit(set).await?;
        self.registry_mut().keys.insert(key.id, key);
        Ok(())
    }

    /// Removes a key; it is refused from the next request on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_key(&self, ctx: &Ctx, id: KeyId, write: Write<()>) -> Result<Outcome<()>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move {
            let _turn = service.inner.locks.turn("keys".into()).await;
            let key = service.key(&ctx, id)?;
            let last = {
                // One that has expired, or may not make keys, opens no door.
                let now = service.now();
                let opens =
                    |it: &Key| it.role == Role::Operator && it.expires_at.is_none_or(|at| at > now) && it.scopes.has(key::Scope::KeysWrite);
                opens(&key) && !service.registry().keys.values().any(|it| it.id != key.id && opens(it))
            };
            if last {
                return Err(Error::Conflict {
                    detail:
                        "This is the last operator key: without it only the socket could make a new one. Make another operator key first."
                            .into(),
                });
            }
            let now = service.now();
            let outcome = service
                .write(&ctx, write, || async {
                    let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                    set.changes.push(Change::KeyDelete { id });
                    set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "key.delete", object: id.to_string() });
                    Ok(Decision::new(set, |_| ()))
                })
                .await?;
            service.registry_mut().keys.remove(&id);
            service.drop_bucket(id);
            // Its streams end now, not when they next have something to say.
            service.inner.keys_gone.send_replace(());
            Ok(outcome)
        })
        .await
    }

    /// One key.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn key(&self, ctx: &Ctx, id: KeyId) -> Result<Key, Error> {
        let found = self.registry().keys.get(&id).filter(|it| sees(ctx, it)).cloned();
        found.ok_or_else(|| Error::NotFound { noun: "key", id: id.to_string() })
    }

    /// Keys in order of id.
    ///
    /// # Errors
    /// `CursorMismatch`.
    pub fn keys(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<Key>, Error> {
        let after = self.id_cursor(ctx, "keys", after)?;
        let registry = self.registry();
        let rows =
            registry.keys.values().filter(|it| sees(ctx, it) && after.as_deref().is_none_or(|at| it.id.to_string().as_str() > at)).cloned();
        Ok(self.id_page(ctx, "keys", rows, limit, |it| it.id.to_string()))
    }
}

/// Operators see all keys of the tenant they named and those of no tenant; others those of their tenant.
pub(crate) fn sees(ctx: &Ctx, key: &Key) -> bool {
    match (&key.tenant, &ctx.scope) {
        (Some(of), Scope::Tenant(named)) => of == named,
        // A gateway names its tenant, or sees none's.
        (Some(_), Scope::All) => ctx.authority() == Authority::Operator,
        (None, _) => ctx.authority() == Authority::Operator,
    }
}
