//! The types that are served: those of the files, and those that were put.

use crate::{Ctx, Error, Outcome, Service, StartError, Write, idempotency::Decision, page::Page, resources::IfMatch};
use ringback_engine::{type_check, types::CompiledType};
use ringback_model::{
    TenantId, Timestamp, TypeName,
    key::Authority,
    limits,
    subscription::{State, Subscription},
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected, StoredType};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A type, ready to be served.
#[derive(Debug)]
pub struct ServedType {
    /// What was declared, with its schemas and expressions compiled.
    pub compiled: CompiledType,
    /// Whether a file declares it: then it is read-only over HTTP.
    pub from_file: bool,
    /// Raised by every change; the ETag. 1 for files.
    pub version: u64,
    /// When it was last put; the start for files.
    pub updated_at: Timestamp,
}

/// All types at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Types(Arc<BTreeMap<TypeName, Arc<ServedType>>>);

impl Types {
    /// The type of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<ServedType>> {
        self.0.get(name).cloned()
    }

    /// The type whose declared path `path` begins with, in whole segments, and the rest of it.
    #[must_use]
    pub fn route<'a>(&self, path: &'a str) -> Option<(Arc<ServedType>, &'a str)> {
        // No declared path is another's prefix, so at most one fits.
        self.0.values().find_map(|it| {
            let rest = path.strip_prefix(it.compiled.decl.path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (Arc::clone(it), rest))
        })
    }

    /// In order of name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<ServedType>> {
        self.0.values().cloned().collect()
    }

    fn without(&self, name: &TypeName) -> Self {
        let mut all = (*self.0).clone();
        all.remove(name);
        Self(Arc::new(all))
    }
}

/// Joins the types of files with those that were put. A file wins over what was put under its name.
pub(crate) fn assemble(files: Vec<CompiledType>, stored: Vec<StoredType>) -> Result<Types, StartError> {
    let mut all = BTreeMap::new();
    for it in stored {
        let compiled = compile(&it.source).map_err(|why| {
            StartError::Types(format!(
                "the stored type `{}` no longer loads: {}",
                it.name,
                why.first().map_or_else(String::new, |it| format!("{}: {}", it.pointer, it.reason))
            ))
        })?;
        let served = ServedType { compiled, from_file: false, version: it.version, updated_at: it.updated_at };
        all.insert(it.name, Arc::new(served));
    }
    for compiled in files {
        let name = compiled.decl.name.clone();
        all.insert(name, Arc::new(ServedType { compiled, from_file: true, version: 1, updated_at: Timestamp::from_secs(0) }));
    }
    let decls: Vec<_> = all.values().map(|it| &it.compiled.decl).collect();
    let problems = type_check::check_all(&decls);
    if let Some(first) = problems.first() {
        return Err(StartError::Types(format!("{}: {}", first.pointer, first.reason)));
    }
    Ok(Types(Arc::new(all)))
}

fn compile(source: &Value) -> Result<CompiledType, Vec<type_check::TypeProblem>> {
    CompiledType::compile(type_check::check(source)?)
}

/// What putting or deleting a type made.
#[derive(Clone, Debug)]
pub struct TypeWritten {
    /// The type; `None` when it was deleted.
    pub served: Option<Arc<ServedType>>,
    /// Whether it is new.
    pub created: bool,
}

impl Service {
    /// All types at this moment.
    #[must_use]
    pub fn types(&self) -> Types {
        self.registry().types.clone()
    }

    /// Types in order of name: those whose resources the caller may read.
    ///
    /// # Errors
    /// `CursorMismatch`.
    pub fn types_page(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<Arc<ServedType>>, Error> {
        let after = self.id_cursor(ctx, "types", after)?;
        let all = self.types().list();
        let rows = all.into_iter().filter(|it| {
            let decl = &it.compiled.decl;
            ctx.authority().covers(decl.access.read) && after.as_deref().is_none_or(|at| decl.name.as_str() > at)
        });
        Ok(self.id_page(ctx, "types", rows, limit, |it| it.compiled.decl.name.to_string()))
    }

    /// Makes or replaces a type.
    ///
    /// # Errors
    /// `ManagedByFile`, `TypeProblems`, `Conflict` (with other types), `TypeInUse` (a new path
    /// or lifecycle would strand resources), preconditions.
    pub async fn put_type(
        &self,
        ctx: &Ctx,
        name: TypeName,
        source: Value,
        if_match: IfMatch,
        write: Write<TypeWritten>,
    ) -> Result<Outcome<TypeWritten>, Error> {
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move { service.put_type_inner(&ctx, name, source, if_match, write).await }).await
    }

    async fn put_type_inner(
        &self,
        ctx: &Ctx,
        name: TypeName,
        source: Value,
        if_match: IfMatch,
        write: Write<TypeWritten>,
    ) -> Result<Outcome<TypeWritten>, Error> {
        ctx.require(Authority::Operator, || "change types".into())?;
        let _turn = self.inner.locks.turn("types".into()).await;
        // No resource comes while it is counted whether there are any.
        let _gate = self.inner.types_gate.write().await;
        let before = self.types().by_name(name.as_str());
        if before.as_ref().is_some_and(|it| it.from_file) {
            return Err(Error::ManagedByFile { name });
        }
        if_match.check(before.as_ref().map(|it| it.version), || None)?;
        if before.is_none() && self.types().0.len() >= limits::TYPES_MAX {
            return Err(Error::LimitReached { what: "types", max: limits::TYPES_MAX });
        }
        let compiled = compile(&source).map_err(Error::TypeProblems)?;
        if compiled.decl.name != name {
            return Err(Error::Field {
                pointer: "/type".into(),
                detail: format!("The path names `{name}`, the body `{}`. Send them alike.", compiled.decl.name),
            });
        }
        if let Some(before) = &before {
            self.refuse_stranding(&before.compiled, &compiled).await?;
        }
        let (version, expected) = match &before {
            Some(it) => (it.version + 1, Expected::Version(it.version)),
            None => (1, Expected::Absent),
        };
        let now = self.now();
        let served = Arc::new(ServedType { compiled, from_file: false, version, updated_at: now });
        let types = {
            let mut all = (*self.types().0).clone();
            all.insert(name.clone(), Arc::clone(&served));
            Types(Arc::new(all))
        };
        let others: Vec<_> = types.0.values().map(|it| &it.compiled.decl).collect();
        let problems = type_check::check_all(&others);
        if !problems.is_empty() {
            return Err(Error::TypeProblems(problems));
        }
        let written = TypeWritten { served: Some(Arc::clone(&served)), created: before.is_none() };
        let stored = StoredType { name: name.clone(), source, version, updated_at: now };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                set.changes.push(Change::Type { stored: Box::new(stored.clone()), expected });
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "type.put", object: name.to_string() });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        self.registry_mut().types = types;
        // It is stored and served by now; without its indexes lists take longer, until the next start.
        if let Err(why) = self.inner.store.declare_indexes(&name, &served.compiled.decl.indexes).await {
            tracing::warn!(type_name = %name, "the indexes of {name} were not made, the next start makes them: {why}");
        }
        self.tell_one_shots(&served).await;
        Ok(outcome)
    }

    /// One-shots that did not know what they wait for may know now.
    async fn tell_one_shots(&self, served: &ServedType) {
        let path = served.compiled.decl.path.as_str();
        let waits = |it: &Subscription| {
            it.until.is_some()
                && it.state != State::Done
                && it.subject.as_ref().is_some_and(|it| it.as_str().strip_prefix(path).is_some_and(|it| it.starts_with('/')))
        };
        let all: Vec<u32> = self.registry().subscriptions_of(None).filter(|it| waits(it)).map(|it| it.no).collect();
        for no in all {
            self.inner.dispatcher.refresh(no).await;
        }
    }

    /// A change that takes away what stored resources may be using is refused.
    async fn refuse_stranding(&self, before: &CompiledType, after: &CompiledType) -> Result<(), Error> {
        let (old, new) = (&before.decl, &after.decl);
        let lost = old.path != new.path || old.lifecycle.statuses.iter().any(|it| new.status(&it.name).is_none());
        if lost || old.schema != new.schema {
            let count = self.inner.store.resource_count(&old.name).await?;
            let narrowed = lost || !widens(&old.schema, &new.schema);
            if count > 0 && narrowed {
                return Err(Error::TypeInUse { name: old.name.clone(), count });
            }
        }
        Ok(())
    }

    /// Removes a type that was put, once no resource uses it.
    ///
    /// # Errors
    /// `ManagedByFile`, `TypeInUse`, `NotFound`, preconditions.
    pub async fn delete_type(
        &self,
        ctx: &Ctx,
        name: &TypeName,
        if_match: IfMatch,
        write: Write<TypeWritten>,
    ) -> Result<Outcome<TypeWritten>, Error> {
        let (service, ctx, name) = (self.clone(), ctx.clone(), name.clone());
        self.whole(async move { service.delete_type_inner(&ctx, name, if_match, write).await }).await
    }

    async fn delete_type_inner(
        &self,
        ctx: &Ctx,
        name: TypeName,
        if_match: IfMatch,
        write: Write<TypeWritten>,
    ) -> Result<Outcome<TypeWritten>, Error> {
        ctx.require(Authority::Operator, || "change types".into())?;
        let _turn = self.inner.locks.turn("types".into()).await;
        // No resource comes while it is counted whether there are any.
        let _gate = self.inner.types_gate.write().await;
        let Some(before) = self.types().by_name(name.as_str()) else {
            return Err(Error::NotFound { noun: "type", id: name.to_string() });
        };
        if before.from_file {
            return Err(Error::ManagedByFile { name });
        }
        if_match.check(Some(before.version), || None)?;
        let count = self.inner.store.resource_count(&name).await?;
        if count > 0 {
            return Err(Error::TypeInUse { name, count });
        }
        let now = self.now();
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                set.changes.push(Change::TypeDelete { name: name.clone(), expected: Expected::Version(before.version) });
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "type.delete", object: name.to_string() });
                Ok(Decision::new(set, |_| TypeWritten { served: None, created: false }))
            })
            .await?;
        self.inner.store.declare_indexes(&name, &[]).await?;
        let types = self.types().without(&name);
        self.registry_mut().types = types;
        Ok(outcome)
    }
}

/// Whether every property of the old schema stands unchanged in the new one, and nothing new is required.
fn widens(old: &Value, new: &Value) -> bool {
    let properties = |it: &Value| it.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required = |it: &Value| it.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let strip = |it: &Value| {
        let mut rest = it.as_object().cloned().unwrap_or_default();
        rest.remove("properties");
        rest.remove("required");
        rest
    };
    let (had, has) = (properties(old), properties(new));
    had.iter().all(|(name, schema)| has.get(name) == Some(schema))
        && required(new).iter().all(|it| required(old).contains(it))
        && strip(old) == strip(new)
}
