//! Decides what a mirrored resource becomes when its source speaks.
//!
//! The source numbers its changes: `source_version` rises with each change of a
//! row. What is not above the stored number is old news, whatever it says, so
//! that retries and relays that overtake each other are harmless: any order of
//! the same messages, each any number of times, ends in the same image.
//!
//! A deletion is such a message too. It leaves the number behind, also of a row
//! that was never seen here, so that a change which it has overtaken does not
//! bring the row back; a higher number does, because the source has it again.
//!
//! Not here: who may write, and preconditions (`service::mirror`).

use crate::{
    lifecycle::{self, Decided, Refusal, violation},
    schema::join,
    suggest,
    types::CompiledType,
};
use ringback_model::{
    EventId, ResourceId, StatusName, TenantId, Timestamp, limits,
    resource::{IMPLICIT, Resource},
};
use serde_json::{Map, Value};

/// The member that the source's number is kept in.
pub const SOURCE_VERSION: &str = "source_version";

/// What is stored of a resource, if anything is.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its last image.
    pub resource: &'a Resource,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Stored<'_> {
    fn source_version(&self) -> Option<u64> {
        self.resource.fields.get(SOURCE_VERSION).and_then(Value::as_u64)
    }
}

/// What a message of the source does.
#[derive(Clone, Debug, PartialEq)]
pub enum Mirrored {
    /// It is not above what is stored: nothing.
    Stale,
    /// This is to be stored.
    Applied(Box<Decided>),
}

/// The source says what the resource is.
///
/// # Errors
/// `Invalid`, `ReadOnly`. A message that is stale is not looked at any further.
pub fn put(
    ty: &CompiledType,
    tenant: TenantId,
    id: ResourceId,
    stored: Option<Stored<'_>>,
    mut body: Map<String, Value>,
    now: Timestamp,
    event_id: EventId,
) -> Result<Mirrored, Refusal> {
    let decl = &ty.decl;
    let source_version = source_version(&body)?;
    if stored.and_then(|it| it.source_version()).is_some_and(|it| source_version <= it) {
        return Ok(Mirrored::Stale);
    }
    take_own_id(&id, &mut body)?;
    let status = take_status(ty, &mut body)?;
    if let Some(name) = body.keys().find(|it| IMPLICIT.contains(&it.as_str())) {
        let detail = format!("`{name}` is kept by the server; leave it out");
        return Err(Refusal::ReadOnly { pointer: join("", name), detail });
    }
    body.shift_remove(SOURCE_VERSION);
    let mut fields = Map::with_capacity(body.len() + 1);
    fields.insert(SOURCE_VERSION.to_owned(), source_version.into());
    fields.extend(body);
    for (name, default) in &decl.defaults {
        fields.entry(name.clone()).or_insert_with(|| default.clone());
    }
    let fields = ty.judge(fields).map_err(Refusal::Invalid)?;
    // One that was deleted begins anew; only its versions go on, since they name events.
    let live = stored.filter(|it| !it.deleted).map(|it| it.resource);
    let entered = live.is_none_or(|it| it.status != status);
    let resource = Resource {
        id,
        type_name: decl.name.clone(),
        tenant,
        status: status.clone(),
        version: stored.map_or(0, |it| it.resource.version) + 1,
        created_at: live.map_or(now, |it| it.created_at),
        updated_at: now,
        since: live.filter(|_| !entered).map_or(now, |it| it.since),
        fields,
    };
    let event_type = match decl.status_event(&status) {
        Some(it) if entered => it,
        _ => decl.events.updated.clone(),
    };
    let decided = lifecycle::decide(decl, live, resource, &event_type, entered.then_some(status), None, now, event_id)?;
    Ok(Mirrored::Applied(Box::new(decided)))
}

/// The source says that the row is gone, as its change number `source_version`.
#[must_use]
pub fn delete(
    ty: &CompiledType,
    tenant: TenantId,
    id: ResourceId,
    stored: Option<Stored<'_>>,
    source_version: u64,
    now: Timestamp,
    event_id: EventId,
) -> Mirrored {
    if stored.and_then(|it| it.source_version()).is_some_and(|it| source_version <= it) {
        return Mirrored::Stale;
    }
    let decl = &ty.decl;
    let mut resource = match stored {
        Some(it) => Resource { version: it.resource.version + 1, updated_at: now, ..it.resource.clone() },
        None => Resource {
            id,
            type_name: decl.name.clone(),
            tenant,
            status: decl.lifecycle.initial.clone(),
            version: 1,
            created_at: now,
            updated_at: now,
            since: now,
            fields: Map::new(),
        },
    };
    resource.fields.insert(SOURCE_VERSION.to_owned(), source_version.into());
    let event = lifecycle::event(decl, &resource, &decl.events.deleted, None, None, true, now, event_id);
    Mirrored::Applied(Box::new(Decided { resource, event, timer: None, deleted: true }))
}

fn source_version(body: &Map<String, Value>) -> Result<u64, Refusal> {
    let wrong = |code: &str, detail: String| Refusal::Invalid(vec![violation("/source_version", code, detail)]);
    let Some(given) = body.get(SOURCE_VERSION) else {
        let why = "`source_version` is required: a number that your database raises with each change of the row";
        return Err(wrong("required", why.into()));
    };
    given
        .as_u64()
        .filter(|it| *it <= limits::SOURCE_VERSION_MAX)
        .ok_or_else(|| wrong("type", format!("a source_version is a whole number from 0 to {}", limits::SOURCE_VERSION_MAX)))
}

/// Whoever sends a whole row sends its id too: it must be the one of the path.
fn take_own_id(id: &ResourceId, body: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(given) = body.shift_remove("id") else { return Ok(()) };
    let same = match &given {
        Value::String(it) => it == id.as_str(),
        Value::Number(it) => it.to_string() == id.as_str(),
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(Refusal::Invalid(vec![violation("/id", "const", format!("the path names `{id}`; send that id, or none"))]))
    }
}

/// A type of one status needs none said.
fn take_status(ty: &CompiledType, body: &mut Map<String, Value>) -> Result<StatusName, Refusal> {
    let all = &ty.decl.lifecycle.statuses;
    let known = || all.iter().map(|it| it.name.as_str());
    let wrong = |code: &str, detail: String| Refusal::Invalid(vec![violation("/status", code, detail)]);
    let Some(given) = body.shift_remove("status") else {
        return match all.as_slice() {
            [only] => Ok(only.name.clone()),
            _ => Err(wrong("required", format!("`status` is required: one of {}", known().collect::<Vec<_>>().join(", ")))),
        };
    };
    let Some(text) = given.as_str() else { return Err(wrong("type", "a status is a string".into())) };
    all.iter().find(|it| it.name.as_str() == text).map(|it| it.name.clone()).ok_or_else(|| {
        let text = ringback_model::names::excerpt(text, 60);
        let meant = suggest::did_you_mean(&text, known()).map_or_else(String::new, |it| format!(" Did you mean `{it}`?"));
        wrong("enum", format!("`{text}` is none of {}.{meant}", known().collect::<Vec<_>>().join(", ")))
    })
}

#[cfg(test)]
mod tests;
