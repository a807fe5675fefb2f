//! The types that are served: those of the files, and those that were put.

use crate::{Ctx, Error, Outcome, Service, StartError, Write, idempotency::Decision, page::Page, resources::IfMatch};
use ringback_engine::{
    catalogue::{self, CompiledEvent},
    evolve::{self, Tally},
    type_check,
    types::CompiledType,
};
use ringback_model::{
    EventType, TenantId, Timestamp, TypeName,
    key::Authority,
    limits,
    subscription::{State, Subscription},
    type_decl::TypeDecl,
};
use ringback_ports::store::{AuditEntry, Change, ChangeSet, Expected, Store, StoreError, StoredType};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A type, ready to be served.
#[derive(Debug)]
pub struct ServedType {
    /// What was declared, with its schemas and expressions compiled.
    pub compiled: CompiledType,
    /// Whether a file declares it: then it is read-only over HTTP.
    pub from_file: bool,
    /// Raised by every change; the ETag.
    pub version: u64,
    /// When it was last put, or its file last changed.
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

    /// The event types that files declare, if they fit beside these types.
    pub(crate) fn beside(&self, events: Vec<CompiledEvent>) -> Result<DeclaredEvents, StartError> {
        let names: Vec<&str> = self.0.keys().map(TypeName::as_str).collect();
        let problems = catalogue::check_all(&events.iter().collect::<Vec<_>>(), &names);
        match problems.first() {
            None => Ok(events.into_iter().map(|it| (it.event_type.clone(), it)).collect()),
            Some(first) => Err(StartError::Types(format!("{}: {}", first.pointer, first.reason))),
        }
    }

    /// Whether these are the types of the same moment.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn without(&self, name: &TypeName) -> Self {
        let mut all = (*self.0).clone();
        all.remove(name);
        Self(Arc::new(all))
    }
}

/// A type that a file declares.
#[derive(Debug)]
pub struct FileType {
    /// The file's name, for whoever has to change it.
    pub file: String,
    /// What it declares.
    pub compiled: CompiledType,
}

/// What files declare.
#[derive(Debug, Default)]
pub struct Declared {
    /// Types.
    pub types: Vec<FileType>,
    /// Event types that are published.
    pub events: Vec<CompiledEvent>,
}

/// The event types that files declare, by name.
pub(crate) type DeclaredEvents = BTreeMap<EventType, CompiledEvent>;

/// Joins the types of files with those that were put, and keeps what files declare now, so that the next
/// start can see what has changed. A file wins over what was put under its name.
///
/// # Errors
/// `TypesChanged` when stored resources use what a file has taken away, or their type's file is gone.
pub(crate) async fn at_start(store: &dyn Store, files: Vec<FileType>, now: Timestamp) -> Result<Types, StartError> {
    let stored = store.types().await?;
    let mut all = BTreeMap::new();
    for it in &stored {
        if files.iter().any(|file| file.compiled.decl.name == it.name) {
            continue;
        }
        if it.from_file {
            gone_with_its_file(store, it, now).await?;
            continue;
        }
        let compiled = compile(&it.source).map_err(|why| {
            StartError::Types(format!(
                "the stored type `{}` no longer loads: {}",
                it.name,
                why.first().map_or_else(String::new, |it| format!("{}: {}", it.pointer, it.reason))
            ))
        })?;
        let served = ServedType { compiled, from_file: false, version: it.version, updated_at: it.updated_at };
        all.insert(it.name.clone(), Arc::new(served));
    }
    for FileType { file, compiled } in files {
        let name = compiled.decl.name.clone();
        let before = stored.iter().find(|it| it.name == name);
        let kept = keep_file(store, &file, &compiled, before, now).await?;
        all.insert(name, Arc::new(ServedType { compiled, from_file: true, version: kept.version, updated_at: kept.updated_at }));
    }
    let decls: Vec<_> = all.values().map(|it| &it.compiled.decl).collect();
    let problems = type_check::check_all(&decls);
    if let Some(first) = problems.first() {
        return Err(StartError::Types(format!("{}: {}", first.pointer, first.reason)));
    }
    Ok(Types(Arc::new(all)))
}

/// The types of data that is only looked at: those of files, and for the rest what was last declared.
pub(crate) fn assemble(files: Vec<CompiledType>, stored: Vec<StoredType>) -> Result<Types, StartError> {
    let mut all = BTreeMap::new();
    for it in stored.into_iter().filter(|it| files.iter().all(|file| file.decl.name != it.name)) {
        let compiled = compile(&it.source).map_err(|_| StartError::Types(format!("the stored type `{}` no longer loads", it.name)))?;
        all.insert(it.name, Arc::new(ServedType { compiled, from_file: it.from_file, version: it.version, updated_at: it.updated_at }));
    }
    for compiled in files {
        let served = ServedType { from_file: true, version: 1, updated_at: Timestamp::from_secs(0), compiled };
        all.insert(served.compiled.decl.name.clone(), Arc::new(served));
    }
    Ok(Types(Arc::new(all)))
}

/// A type whose file is not there any more: nothing is left of it but its events, or the server does not start.
async fn gone_with_its_file(store: &dyn Store, before: &StoredType, now: Timestamp) -> Result<(), StartError> {
    let name = &before.name;
    let count = store.resource_count(name).await?;
    if count > 0 {
        return Err(StartError::TypesChanged(format!(
            "no file declares the type `{name}` any more, and {} of it {} stored. Put its file back (`ringback types check` says whether it fits), or delete these resources first",
            resources(count),
            if count == 1 { "is" } else { "are" },
        )));
    }
    let mut set = ChangeSet::new(TenantId::default_tenant(), now);
    set.changes.push(Change::TypeDelete { name: name.clone(), expected: Expected::Version(before.version) });
    set.audit = Some(AuditEntry { actor: None, action: "type.delete", object: name.to_string() });
    keep(store, set, name).await;
    if let Err(why) = store.declare_indexes(name, &[]).await {
        tracing::warn!(type_name = %name, "the indexes of {name}, which nobody declares any more, are still there: {why}");
    }
    Ok(())
}

/// Keeps what a file declares now; `before` is what was declared under its name.
async fn keep_file(
    store: &dyn Store,
    file: &str,
    compiled: &CompiledType,
    before: Option<&StoredType>,
    now: Timestamp,
) -> Result<StoredType, StartError> {
    let (name, source) = (&compiled.decl.name, &compiled.decl.source);
    if let Some(same) = before.filter(|it| it.from_file && it.source == *source) {
        return Ok(same.clone());
    }
    if let Some(before) = before.filter(|it| it.source != *source) {
        let old = compile(&before.source).ok();
        if let Some((_, why)) = stranded(store, old.as_ref().map(|it| &it.decl), compiled).await? {
            return Err(StartError::TypesChanged(format!(
                "{file}: the declaration of `{name}` has changed, and what is stored doesn't fit it: {why}. Keep the old meaning, change those resources first, or declare a new type; `ringback types check --against` shows what a change takes away"
            )));
        }
    }
    let version = before.map_or(0, |it| it.version) + 1;
    let stored = StoredType { name: name.clone(), source: source.clone(), version, updated_at: now, from_file: true };
    let mut set = ChangeSet::new(TenantId::default_tenant(), now);
    let expected = before.map_or(Expected::Absent, |it| Expected::Version(it.version));
    set.changes.push(Change::Type { stored: Box::new(stored.clone()), expected });
    set.audit = Some(AuditEntry { actor: None, action: "type.file", object: name.to_string() });
    keep(store, set, name).await;
    Ok(stored)
}

/// Without room on the disk the server starts all the same; the next start then compares with an older declaration.
async fn keep(store: &dyn Store, set: ChangeSet, name: &TypeName) {
    if let Err(why) = store.commit(set).await {
        tracing::warn!(type_name = %name, "what is declared of {name} was not kept, the next start tries again: {why}");
    }
}

/// Rows that are in memory at once while they are judged.
const ROWS_AT_ONCE: usize = 500;

/// Why resources that are stored could not go on under a new declaration, with their number; `None` when they
/// all can. Rows are looked at only when the two declarations alone don't say that nothing was taken away;
/// without an old one they always are.
async fn stranded(store: &dyn Store, old: Option<&TypeDecl>, new: &CompiledType) -> Result<Option<(u64, String)>, StoreError> {
    let name = &new.decl.name;
    if let Some(old) = old {
        if evolve::narrowings(old, &new.decl).is_empty() {
            return Ok(None);
        }
        if let Some(why) = evolve::uproots(old, &new.decl) {
            let count = store.resource_count(name).await?;
            return Ok(
                (count > 0).then(|| (count, format!("{why}; {} of it {} stored", resources(count), if count == 1 { "is" } else { "are" })))
            );
        }
    }
    let mut tally = Tally::default();
    let mut after = None;
    loop {
        let page = store.resources_of_type(name, after, ROWS_AT_ONCE).await?;
        let Some(last) = page.last().map(|it| &it.resource) else { break };
        after = Some((last.tenant.clone(), last.created_at, last.id.clone()));
        for row in &page {
            tally.add(evolve::misfits(new, &row.resource, row.timer.as_ref().map(|it| &it.transition)));
        }
    }
    Ok((tally.rows() > 0).then(|| (tally.rows(), format!("{} would break it: {}", resources(tally.rows()), tally.reasons()))))
}

fn resources(count: u64) -> String {
    if count == 1 { "1 resource".into() } else { format!("{count} resources") }
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
    /// `ManagedByFile`, `TypeProblems`, `SchemaIncompatible` (stored resources use what it takes away), preconditions.
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
        if let Some(before) = &before
            && let Some((count, why)) = stranded(&*self.inner.store, Some(&before.compiled.decl), &compiled).await?
        {
            return Err(Error::SchemaIncompatible { name, count, why });
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
        let mut problems = type_check::check_all(&others);
        if self.inner.events_declared.keys().any(|it| it.first_segment() == name.as_str()) {
            problems.push(type_check::TypeProblem {
                pointer: "/type".into(),
                reason: format!("a file declares events named `{name}.…` that are published; take another name"),
            });
        }
        if !problems.is_empty() {
            return Err(Error::TypeProblems(problems));
        }
        let written = TypeWritten { served: Some(Arc::clone(&served)), created: before.is_none() };
        let stored = StoredType { name: name.clone(), source, version, updated_at: now, from_file: false };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), now);
                set.changes.push(Change::Type { stored: Box::new(stored.clone()), expected });
                set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "type.put", object: name.to_string() });
                let written = written.clone();
                Ok(Decision::new(set, move |_| written.clone()))
            })
            .await?;
        // It is stored by now; without its indexes lists take longer, until the next start.
        if let Err(why) = self.declare_indexes(&name, &served.compiled.decl.indexes).await {
            tracing::warn!(type_name = %name, "the indexes of {name} were not made, the next start makes them: {why}");
        }
        self.registry_mut().types = types;
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
        self.declare_indexes(&name, &[]).await?;
        let types = self.types().without(&name);
        self.registry_mut().types = types;
        Ok(outcome)
    }
}
