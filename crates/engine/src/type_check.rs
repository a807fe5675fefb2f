//! Reads a type declaration, short or full form, strictly.
//!
//! Whoever writes a type file learns here, and not from their customers, what
//! is wrong with it: every problem has a pointer and says what would be right.
//! A declaration that passes can be served; nothing is checked again later.
//!
//! Not here: reading YAML or JSON text (the command line, the edge), and what
//! a type then decides (`lifecycle`).

mod lifecycle;
mod mirror;
mod read;
mod rules;
#[cfg(test)]
mod tests;

use crate::{suggest, types::CompiledType};
use core::time::Duration;
use read::{Problems, Reader};
use ringback_model::{
    EventType, TypeName,
    key::Authority,
    limits,
    type_decl::{Access, ChangeEvents, Poll, TypeDecl},
};
use serde_json::{Value, json};

/// One thing that is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeProblem {
    /// Where: a JSON pointer into the declaration, `` for all of it.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

pub(crate) fn problem(pointer: impl Into<String>, reason: impl Into<String>) -> TypeProblem {
    TypeProblem { pointer: pointer.into(), reason: reason.into() }
}

/// First segments of paths that the server has for itself.
pub const RESERVED_SEGMENTS: [&str; 10] =
    ["v1", "in", "livez", "readyz", "metrics", "docs", "console", "errors", "openapi.json", ".well-known"];

/// Names below `{path}/{id}/` that are not transitions.
pub const RESERVED_TRANSITIONS: [&str; 4] = ["status", "events", "versions", "restore"];

const MEMBERS: [&str; 12] =
    ["type", "path", "id", "schema", "lifecycle", "events", "indexes", "access", "poll", "require_if_match", "mirror", "examples"];

/// Reads a declaration.
///
/// # Errors
/// Everything that is wrong with it; never empty.
pub fn check(source: &Value) -> Result<TypeDecl, Vec<TypeProblem>> {
    load(source).map(|it| it.decl)
}

/// Reads a declaration and keeps what was compiled while checking it.
pub(crate) fn load(source: &Value) -> Result<CompiledType, Vec<TypeProblem>> {
    let problems = Problems::default();
    let decl = declaration(source, &problems);
    match decl {
        Some(decl) if problems.is_empty() => {
            let mut all = rules::check(&decl);
            match CompiledType::compile(decl) {
                Ok(compiled) if all.is_empty() => Ok(compiled),
                Ok(_) => Err(all),
                Err(more) => {
                    all.extend(more);
                    Err(all)
                }
            }
        }
        _ => Err(problems.or("", "this is not a type declaration")),
    }
}

/// What a declaration of an event type says: its type, description, schema and example.
type EventParts = (EventType, Option<String>, Option<Value>, Option<Value>);

/// Reads the declaration of an event type; schema and example are not looked into.
pub(crate) fn read_event(source: &Value) -> Result<EventParts, Vec<TypeProblem>> {
    let problems = Problems::default();
    let read = event_parts(source, &problems);
    match read {
        Some(parts) if problems.is_empty() => Ok(parts),
        _ => Err(problems.or("", "this is not a declaration of an event type")),
    }
}

fn event_parts(source: &Value, problems: &Problems) -> Option<EventParts> {
    let top = Reader::new(source, problems).members(&["type", "description", "schema", "example"])?;
    let event_type = top.required("type", "the event type, such as `order.shipped`").and_then(|it| it.name::<EventType>());
    let description = top.optional("description").and_then(|it| it.text());
    if description.as_ref().is_some_and(|it| it.len() > limits::DESCRIPTION_BYTES_MAX) {
        problems.add("/description", format!("a description has at most {} bytes", limits::DESCRIPTION_BYTES_MAX));
    }
    let value = |name| top.optional(name).map(|it: Reader<'_>| it.value().clone());
    Some((event_type?, description, value("schema"), value("example")))
}

/// What is wrong with these types beside each other: too many, a name twice,
/// a path that is another's or its beginning. The pointer is the type's name
/// and the member: `/payment/path`.
#[must_use]
pub fn check_all(types: &[&TypeDecl]) -> Vec<TypeProblem> {
    let mut problems = Vec::new();
    if types.len() > limits::TYPES_MAX {
        problems.push(problem("", format!("there are {} types; a server has at most {}", types.len(), limits::TYPES_MAX)));
    }
    for (no, it) in types.iter().enumerate() {
        for other in types.iter().take(no) {
            let (a, b) = (it.path.as_str(), other.path.as_str());
            if it.name == other.name {
                problems.push(problem(format!("/{}/type", it.name), format!("another type is named `{}` as well", it.name)));
            } else if a == b {
                problems.push(problem(format!("/{}/path", it.name), format!("`{a}` is the path of `{}` as well", other.name)));
            } else if begins(a, b) || begins(b, a) {
                let reason = format!("`{a}` and `{b}` (of `{}`) can't be told apart: one begins with the other", other.name);
                problems.push(problem(format!("/{}/path", it.name), reason));
            }
        }
    }
    problems
}

/// Whether `path` begins with `prefix`, in whole segments.
fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|it| it.starts_with('/'))
}

fn declaration(source: &Value, problems: &Problems) -> Option<TypeDecl> {
    let bytes = serde_json::to_string(source).map_or(0, |it| it.len());
    if bytes > limits::TYPE_FILE_BYTES_MAX {
        problems.add("", format!("it has {bytes} bytes; a declaration has at most {}", limits::TYPE_FILE_BYTES_MAX));
        return None;
    }
    let top = Reader::new(source, problems).members(&MEMBERS)?;
    let name = top.required("type", "its name, such as `type: payment`").and_then(|it| it.name::<TypeName>());
    let path = top.optional("path").map(|it| it.text().filter(|text| path(&it, text)));
    let id_prefix = top.optional("id").map(|it| id_prefix(&it));
    let schema = top.optional("schema").map(|it| it.value().clone());
    let lifecycle_at = top.required("lifecycle", "`lifecycle: created -> paid -> shipped | cancelled`, or the full form");
    let name = name?;
    let lifecycle = lifecycle_at.and_then(|it| lifecycle::read(&it, &name));
    let events = change_events(top.optional("events"), &name);
    let indexes = top.optional("indexes").map_or_else(Vec::new, |it| indexes(&it));
    let access = access(top.optional("access"));
    let poll = poll(top.optional("poll"));
    let require_if_match = top.optional("require_if_match").and_then(|it| it.boolean()).unwrap_or(false);
    let mirror = top.optional("mirror").and_then(|it| it.boolean()).unwrap_or(false);
    let examples = top.optional("examples").map_or_else(Vec::new, |it| examples(&it));
    if name.as_str() == "ringback" {
        problems.add("/type", "events named `ringback.…` are the server's own; take another name");
    }
    let schema = schema.unwrap_or_else(|| json!({ "type": "object" }));
    let path = match path {
        Some(it) => it?,
        None => default_path(&name, problems),
    };
    let id_prefix = match id_prefix {
        Some(it) => it?,
        None => format!("{}_", name.as_str().chars().filter(char::is_ascii_alphanumeric).take(3).collect::<String>().to_lowercase()),
    };
    let (immutable, read_only, defaults) = rules::fields(&schema, mirror, problems);
    let decl = TypeDecl {
        name,
        path,
        id_prefix,
        immutable,
        read_only,
        defaults,
        schema,
        lifecycle: lifecycle?,
        events: events?,
        indexes,
        access,
        poll,
        require_if_match,
        mirror,
        examples,
        source: source.clone(),
    };
    Some(if mirror { mirror::mirrored(decl, problems) } else { decl })
}

fn default_path(name: &TypeName, problems: &Problems) -> String {
    if RESERVED_SEGMENTS.contains(&name.as_str()) {
        problems.add("/type", format!("its path would be `/{name}`, which is the server's own; give another `path`"));
    }
    format!("/{name}")
}

/// Whether `text` can be a path; says what is wrong when it can't.
fn path(at: &Reader<'_>, text: &str) -> bool {
    let segments: Vec<&str> = text.strip_prefix('/').map_or_else(Vec::new, |it| it.split('/').collect());
    let good = |it: &&str| {
        !it.is_empty()
            && *it != "."
            && *it != ".."
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
    };
    if !(1..=3).contains(&segments.len()) || !segments.iter().all(good) {
        at.wrong("a path has 1 to 3 segments of A-Z a-z 0-9 . _ ~ -, such as `/payment` or `/shop/orders`");
    } else if text.len() > limits::TYPE_PATH_BYTES_MAX {
        at.wrong(format!("a path has at most {} bytes", limits::TYPE_PATH_BYTES_MAX));
    } else if let Some(first) = segments.first().filter(|it| RESERVED_SEGMENTS.contains(it)) {
        at.wrong(format!("`/{first}` is the server's own (so are {}); take another path", RESERVED_SEGMENTS.join(", ")));
    } else {
        return true;
    }
    false
}

fn id_prefix(at: &Reader<'_>) -> Option<String> {
    let it = at.members(&["prefix"])?;
    let it = it.required("prefix", "what generated ids begin with, such as `pay_`")?;
    let text = it.text()?;
    let good = !text.is_empty()
        && text.len() <= limits::ID_PREFIX_BYTES_MAX
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'~' | b'-'));
    if !good {
        it.wrong(format!("a prefix has 1 to {} of A-Z a-z 0-9 . _ ~ -", limits::ID_PREFIX_BYTES_MAX));
    }
    good.then_some(text)
}

fn change_events(at: Option<Reader<'_>>, name: &TypeName) -> Option<ChangeEvents> {
    let given = match at {
        Some(it) => Some(it.members(&["created", "updated", "deleted"])?),
        None => None,
    };
    let event = |member: &str| match given.as_ref().and_then(|it| it.optional(member)) {
        Some(it) => event_name(&it, name),
        None => EventType::parse(&format!("{name}.{member}")).ok(),
    };
    // All three are read before one that is wrong ends it, so that each is told.
    let (created, updated, deleted) = (event("created"), event("updated"), event("deleted"));
    Some(ChangeEvents { created: created?, updated: updated?, deleted: deleted? })
}

/// An event's name; its first segment must be the type's.
fn event_name(at: &Reader<'_>, name: &TypeName) -> Option<EventType> {
    let it = at.name::<EventType>()?;
    if it.first_segment() != name.as_str() {
        at.wrong(format!("the events of this type begin with `{name}.`; `{}` belongs to somebody else", it.first_segment()));
        return None;
    }
    Some(it)
}

fn indexes(at: &Reader<'_>) -> Vec<Vec<String>> {
    let (indexes_max, fields_max) = limits::INDEXES_MAX;
    let mut out = Vec::new();
    for it in at.items(indexes_max, "indexes") {
        let fields: Vec<String> = it.items(fields_max, "fields").into_iter().filter_map(|it| it.text()).collect();
        if fields.is_empty() {
            it.wrong("an index is a list of fields, such as `[customer, created_at]`");
        } else if out.contains(&fields) {
            it.wrong("this index is declared twice");
        }
        out.push(fields);
    }
    out
}

fn access(at: Option<Reader<'_>>) -> Access {
    let mut out = Access { read: Authority::Tenant, create: Authority::Operator, update: Authority::Operator, delete: Authority::Operator };
    if let Some(given) = at.and_then(|it| it.members(&["read", "create", "update", "delete"])) {
        for (name, slot) in [("read", &mut out.read), ("create", &mut out.create), ("update", &mut out.update), ("delete", &mut out.delete)]
        {
            if let Some(it) = given.optional(name).and_then(|it| it.authority()) {
                *slot = it;
            }
        }
    }
    out
}

fn poll(at: Option<Reader<'_>>) -> Poll {
    let mut out = Poll { min: Duration::from_secs(1), max: Duration::from_secs(60) };
    let Some(at) = at else { return out };
    let Some(given) = at.members(&["min", "max"]) else { return out };
    for (name, slot) in [("min", &mut out.min), ("max", &mut out.max)] {
        if let Some(it) = given.optional(name).and_then(|it| it.duration(limits::POLL_SECS_MAX)) {
            *slot = it;
        }
    }
    if out.min > out.max {
        at.wrong(format!("`min` ({} s) is above `max` ({} s)", out.min.as_secs(), out.max.as_secs()));
    }
    out
}

fn examples(at: &Reader<'_>) -> Vec<Value> {
    at.items(limits::EXAMPLES_MAX, "examples").into_iter().map(|it| it.value().clone()).collect()
}

/// The clause that names what is known, for members that are not.
fn known_members(given: &str, known: &[&str]) -> String {
    let clause = suggest::clause(given, known.iter().copied());
    if clause.is_empty() { format!("; here may stand {}", known.join(", ")) } else { clause }
}
