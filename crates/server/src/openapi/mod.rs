//! The OpenAPI 3.1 document of what is served: the route table, what
//! `operation` says of each route, and the declared types.
//!
//! Who asks decides what is in it. A tenant sees what tenants may do; an
//! operator sees everything. It can't say what isn't so: the tests of the
//! routes compare every answer with it, and run every example.
//!
//! Not here: the page to be read (`page`), who asks (`http::server`).

mod common;
pub mod examples;
mod fields;
mod operation;
pub mod page;

use crate::routes::{About, Op, ROUTES, Route};
use operation::{Body, Content, Good, Operation, Tag};
use ringback_model::{
    key::Authority,
    type_decl::{Transition, TypeDecl},
};
use ringback_wire::{
    ErrorCode,
    schemas::{self, named},
    sse,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the document begins with.
const INTRODUCTION: &str = "You ask, I answer. Or: I'll call you.\n\nAsk for a resource or its status, wait for it, follow the log of everything that happened, or be called back: all of it over one durable log, so the answers never disagree.\n\n**Keys**: `Authorization: Bearer rbk_…`, or the key as user name (`curl -u $RINGBACK_KEY:`). **Bodies** are JSON; one that begins with `{` or `[` is read as JSON also without a content type. **Times** are RFC 3339, UTC. **Errors** are RFC 9457 problem documents: `code` is for programs, `detail` says what to do next. `HEAD` is wherever `GET` is. Send `X-Request-Id` to name a request.";

/// The document, as a caller with this authority sees it.
#[must_use]
pub fn document(types: &[&TypeDecl], authority: Authority, public_url: &str) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut shown = BTreeSet::new();
    let recorded = examples::recorded();
    for route in ROUTES {
        if !route.path.starts_with("{path}") {
            let Some(it) = operation::of_server(route.op).filter(|_| concerns(route, authority)) else { continue };
            let it = if route.params.names().contains(&"dry_run") { it.tried() } else { it };
            shown.insert(it.tag.name().to_owned());
            let name = it.tag.name().to_owned();
            let written =
                write(route, route.path, &it, &name, camel(&format!("{:?}", route.op)), None, &examples::of_server(route, &recorded));
            paths.entry(route.path.to_owned()).or_default().insert(route.method.as_str().to_lowercase(), written);
            continue;
        }
        for ty in types {
            for transition in steps(route, ty) {
                if !may(route.op, ty, transition, authority) {
                    continue;
                }
                let Some(it) = operation::of_type(route.op, ty, transition) else { continue };
                let it = if route.params.names().contains(&"dry_run") { it.tried() } else { it };
                shown.insert(ty.name.to_string());
                let path = route.path.replace("{path}", &ty.path);
                let path = transition.map_or_else(|| path.clone(), |it| path.replace("{transition}", it.name.as_str()));
                let id = match transition {
                    None => format!("{}.{}", ty.name, camel(format!("{:?}", route.op).trim_start_matches("Resource"))),
                    Some(it) => format!("{}.step.{}", ty.name, it.name),
                };
                let examples = examples::of_type(route, ty, transition, authority);
                let written = write(route, &path, &it, ty.name.as_str(), id, Some(ty), &examples);
                paths.entry(path).or_default().insert(route.method.as_str().to_lowercase(), written);
            }
        }
    }
    let seen: Vec<_> = types.iter().filter(|it| shown.contains(it.name.as_str())).collect();
    let mut components: BTreeMap<String, Value> = schemas::all().into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    components.extend(seen.iter().flat_map(|it| fields::schemas(it)));
    let headers: Map<_, _> = common::HEADERS.iter().filter_map(|it| Some(((*it).to_owned(), common::header(it)?))).collect();
    let of_types = seen.iter().map(|it| json!({ "name": it.name.as_str(), "description": about(it) }));
    let ours = Tag::OURS.iter().filter(|it| shown.contains(it.1)).map(|it| json!({ "name": it.1, "description": it.2 }));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringback", "version": env!("CARGO_PKG_VERSION"), "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "security": [{ "bearer": [] }, { "basic": [] }],
        "tags": of_types.chain(ours).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The key: `rbk_…`." },
                "basic": { "type": "http", "scheme": "basic", "description": "The key as user name, no password." },
            },
            "parameters": common::header_parameters(),
            "headers": headers,
            "schemas": components,
        },
    });
    say_problems_once(&mut document);
    keep_what_is_used(&mut document);
    document
}

/// Most routes can be refused in the same ways: each way is written once, and referred to.
fn say_problems_once(document: &mut Value) {
    let mut once: Vec<(String, Value)> = Vec::new();
    let operations = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(|it| it.values_mut());
    for operation in operations.filter_map(Value::as_object_mut).flat_map(|it| it.values_mut()) {
        for (status, it) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
            if it.pointer("/content/application~1problem+json").is_none() {
                continue;
            }
            let known = once.iter().find(|(_, known)| known == it).map(|(name, _)| name.clone());
            let name = known.unwrap_or_else(|| {
                let nth = once.iter().filter(|(name, _)| name.starts_with(status.as_str())).count() + 1;
                once.push((format!("{status}.{nth}"), it.clone()));
                format!("{status}.{nth}")
            });
            *it = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    once.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("responses".into(), once.into_iter().collect::<Map<_, _>>().into());
    }
}

/// What a type is, under its heading.
fn about(ty: &TypeDecl) -> String {
    let steps: Vec<_> = ty
        .lifecycle
        .transitions
        .iter()
        .map(|it| {
            let to: BTreeSet<_> = it.to.iter().map(|it| it.status.as_str()).collect();
            let from: Vec<_> = it.from.iter().map(|it| it.as_str()).collect();
            format!("`{}`: {} → {}", it.name, from.join(", "), to.into_iter().collect::<Vec<_>>().join(" or "))
        })
        .collect();
    let done: Vec<_> = ty.lifecycle.statuses.iter().filter(|it| it.done).map(|it| format!("`{}`", it.name)).collect();
    let described = ty.schema.get("description").and_then(Value::as_str).map_or_else(String::new, |it| format!("{it}\n\n"));
    format!("{described}Begins as `{}`; done when {}. Steps: {}.", ty.lifecycle.initial, done.join(", "), steps.join("; "))
}

/// Whether a route of ours is for callers with this authority.
fn concerns(route: &Route, authority: Authority) -> bool {
    authority == Authority::Operator || route.needs.is_none_or(|it| it.for_tenants())
}

/// Whether callers with this authority may do that with resources of a type.
fn may(op: Op, ty: &TypeDecl, transition: Option<&Transition>, authority: Authority) -> bool {
    let only_its_source_writes = matches!(op, Op::ResourceCreate | Op::ResourcePatch | Op::ResourceTransition);
    if (ty.mirror && only_its_source_writes) || (!ty.mirror && op == Op::ResourcePut) {
        return false;
    }
    let needed = match op {
        Op::ResourcePut => ty.access.create,
        Op::ResourceCreate => ty.access.create,
        Op::ResourcePatch => ty.access.update,
        Op::ResourceDelete => ty.access.delete,
        Op::ResourceTransition => match transition {
            Some(it) => it.by.max(ty.access.read),
            None => return false,
        },
        _ => ty.access.read,
    };
    authority.covers(needed)
}

/// The transitions of a route that stands for all of them; `None` for any other.
fn steps<'a>(route: &Route, ty: &'a TypeDecl) -> Vec<Option<&'a Transition>> {
    match route.op {
        Op::ResourceTransition => ty.lifecycle.transitions.iter().map(Some).collect(),
        _ => vec![None],
    }
}

fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn write(route: &Route, path: &str, it: &Operation, tag: &str, id: String, ty: Option<&TypeDecl>, examples: &[examples::Example]) -> Value {
    let mut out = json!({ "operationId": id, "tags": [tag], "summary": it.summary });
    let Some(members) = out.as_object_mut() else { return out };
    let mut text = it.text.clone();
    match route.needs {
        Some(scope) => {
            text.push_str(&format!("\n\nNeeds the scope `{scope}`."));
            members.insert("security".into(), json!([{ "bearer": [scope.as_str()] }, { "basic": [scope.as_str()] }]));
        }
        None => drop(members.insert("security".into(), json!([]))),
    }
    members.insert("description".into(), text.trim().into());
    let parameters = parameters(route, path, it, ty, examples);
    if !parameters.is_empty() {
        members.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = request_body(it, examples) {
        members.insert("requestBody".into(), body);
    }
    members.insert("responses".into(), responses(route, it, examples));
    out
}

fn parameters(route: &Route, path: &str, it: &Operation, ty: Option<&TypeDecl>, examples: &[examples::Example]) -> Vec<Value> {
    let written = |name: &str, place: &str, description: &str, schema: &Value| {
        let given: Map<_, _> = examples
            .iter()
            .filter_map(|it| Some((it.name.clone(), json!({ "value": typed(schema, &it.parameters.iter().find(|it| it.0 == name)?.1) }))))
            .collect();
        let mut out = json!({ "name": name, "in": place, "description": description, "schema": schema });
        if let Some(members) = out.as_object_mut() {
            if place == "path" {
                members.insert("required".into(), true.into());
            }
            if !given.is_empty() {
                members.insert("examples".into(), given.into());
            }
        }
        out
    };
    let mut all = Vec::new();
    for name in path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')) {
        if let Some((description, schema)) = common::path_parameter(route.path, name) {
            all.push(written(name, "path", &description, &schema));
        }
    }
    for name in route.params.names() {
        let of_mirrors = *name == "source_version" && ty.is_some_and(|it| !it.mirror);
        if of_mirrors {
            continue;
        }
        if let Some((description, schema)) = common::query_parameter(route.op, name) {
            all.push(written(name, "query", description, &schema));
        }
    }
    if let (crate::routes::Params::AndFields(taken), Some(ty)) = (route.params, ty) {
        for (name, schema) in fields::conditions(ty).into_iter().filter(|it| !taken.contains(&it.0.as_str())) {
            all.push(written(&name, "query", &format!("Only those whose `{name}` is this; `{name}[gte]` and the like compare."), &schema));
        }
    }
    all.extend(common::request_headers(route, it).into_iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    all
}

/// A value of a parameter as the JSON that its schema speaks of.
fn typed(schema: &Value, text: &str) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

fn request_body(it: &Operation, examples: &[examples::Example]) -> Option<Value> {
    let (schema, required, patch) = match &it.body {
        Body::None | Body::Empty => return None,
        Body::Optional(schema) => (schema, false, false),
        Body::Needed(schema) => (schema, true, false),
        Body::Patch(schema) => (schema, true, true),
    };
    let given: Map<_, _> = examples.iter().filter_map(|it| Some((it.name.clone(), json!({ "value": it.body.clone()? })))).collect();
    let mut media = json!({ "schema": schema });
    if let (Some(members), false) = (media.as_object_mut(), given.is_empty()) {
        members.insert("examples".into(), given.into());
    }
    let mut content = json!({ "application/json": media });
    if let (Some(members), true) = (content.as_object_mut(), patch) {
        members.insert("application/merge-patch+json".into(), json!({ "schema": schema }));
    }
    Some(json!({ "required": required, "content": content }))
}

fn responses(route: &Route, it: &Operation, examples: &[examples::Example]) -> Value {
    let mut all: BTreeMap<String, Value> =
        it.answers.iter().map(|good| (good.status.to_string(), good_response(route, good, examples))).collect();
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in common::codes(route, it) {
        by_status.entry(code.status()).or_default().push(code);
    }
    all.extend(by_status.into_iter().map(|(status, codes)| (status.to_string(), problem_response(route, status, &codes))));
    json!(all)
}

fn good_response(route: &Route, good: &Good, examples: &[examples::Example]) -> Value {
    let mut names: Vec<&str> = good.headers.to_vec();
    if route.method.writes() && common::keeps_answers(route.op) {
        names.push("Idempotency-Replayed");
    }
    let mut out = json!({ "description": good.says, "headers": headers(route, &names) });
    let (kind, schema) = match &good.content {
        Content::Nothing => return out,
        Content::Json(schema) | Content::JsonOrStream(schema) => ("application/json", schema.clone()),
        Content::Text => ("text/plain", json!({ "type": "string" })),
        Content::Html => ("text/html", json!({ "type": "string" })),
    };
    let given: Map<_, _> = examples
        .iter()
        .filter(|it| it.status == good.status)
        .filter_map(|it| Some((it.name.clone(), json!({ "value": it.answer.clone()? }))))
        .collect();
    let mut media = json!({ "schema": schema });
    if let (Some(members), false) = (media.as_object_mut(), given.is_empty()) {
        members.insert("examples".into(), given.into());
    }
    if let Some(members) = out.as_object_mut() {
        let mut content = Map::from_iter([(kind.to_owned(), media)]);
        if matches!(good.content, Content::JsonOrStream(_)) {
            let frames = "Server-sent events, one a change: `id` is a position, `data` JSON on one line.";
            content.insert(sse::MEDIA_TYPE.into(), json!({ "schema": { "type": "string", "description": frames } }));
        }
        members.insert("content".into(), content.into());
    }
    out
}

fn problem_response(route: &Route, status: u16, codes: &[ErrorCode]) -> Value {
    let mut names = Vec::new();
    if status == 401 {
        names.push("WWW-Authenticate");
    }
    if codes.iter().any(|it| it.retryable()) {
        names.push("Retry-After");
    }
    let each: Vec<_> = codes.iter().map(|it| it.as_str()).collect();
    let words: Vec<_> = codes.iter().map(|it| format!("`{it}`")).collect();
    json!({
        "description": format!("{}.", words.join(", ")),
        "headers": headers(route, &names),
        "content": { "application/problem+json": { "schema": {
            "allOf": [named("Problem"), { "properties": { "code": { "enum": each } } }]
        } } },
    })
}

/// Those named, and those that every answer of the route has.
fn headers(route: &Route, names: &[&str]) -> Value {
    let keyed: &[&str] = if route.about == About::Nobody { &[] } else { &["RateLimit", "RateLimit-Policy", "Ringback-Tenant"] };
    let all = names.iter().copied().chain(keyed.iter().copied()).chain(["X-Request-Id"]);
    all.map(|it| (it.to_owned(), json!({ "$ref": format!("#/components/headers/{it}") }))).collect::<Map<_, _>>().into()
}

/// Takes out what nothing refers to: who sees fewer routes sees fewer schemas.
fn keep_what_is_used(document: &mut Value) {
    loop {
        let text = document.to_string();
        let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) else { return };
        let mut removed = false;
        for room in ["schemas", "headers", "parameters"] {
            let Some(all) = components.get_mut(room).and_then(Value::as_object_mut) else { continue };
            let before = all.len();
            all.retain(|name, _| {
                let to = format!("#/components/{room}/{name}");
                text.contains(&format!("{to}\"")) || text.contains(&format!("{to}/"))
            });
            removed |= all.len() < before;
        }
        if !removed {
            return;
        }
    }
}

/// The document as it is committed: indented, with a line break at its end.
#[must_use]
pub fn text(document: &Value) -> String {
    let mut out = serde_json::to_string_pretty(document).unwrap_or_default();
    out.push('\n');
    out
}
