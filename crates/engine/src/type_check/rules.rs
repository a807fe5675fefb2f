//! What must hold of a declaration that is well-formed: every status can be
//! reached and left, timeouts can fire, fields are what they are said to be.

use super::{RESERVED_TRANSITIONS, TypeProblem, problem, read::Problems};
use crate::{
    lifecycle::graph,
    schema::{self, Declared, join},
    suggest,
};
use ringback_filter::Kind;
use ringback_model::{resource::IMPLICIT, type_decl::TypeDecl};
use serde_json::Value;

/// Everything that is wrong.
pub(super) fn check(decl: &TypeDecl) -> Vec<TypeProblem> {
    let mut out = Vec::new();
    if !decl.mirror {
        // What a mirror's source does, no graph says.
        statuses(decl, &mut out);
    }
    transitions(decl, &mut out);
    timeouts(decl, &mut out);
    indexes(decl, &mut out);
    out
}

fn statuses(decl: &TypeDecl, out: &mut Vec<TypeProblem>) {
    let reached = graph::reached(decl, &decl.lifecycle.initial);
    for it in &decl.lifecycle.statuses {
        let at = join("/lifecycle/statuses", it.name.as_str());
        if !reached.contains(&it.name) {
            out.push(problem(
                at,
                format!("no way leads from `{}` to `{}`; add a transition or remove it", decl.lifecycle.initial, it.name),
            ));
        } else if !it.done && !decl.lifecycle.transitions.iter().any(|step| step.from.contains(&it.name)) {
            out.push(problem(
                at,
                format!("nothing leads away from `{}` and it is not `done`; mark it `done: true` or add a transition", it.name),
            ));
        }
    }
}

fn transitions(decl: &TypeDecl, out: &mut Vec<TypeProblem>) {
    for it in &decl.lifecycle.transitions {
        if RESERVED_TRANSITIONS.contains(&it.name.as_str()) {
            let at = join("/lifecycle/transitions", it.name.as_str());
            let path = format!("`{}/{{id}}/{}`", decl.path, it.name);
            out.push(problem(at, format!("{path} is a route of the server's own; give the transition another name")));
        }
    }
}

fn timeouts(decl: &TypeDecl, out: &mut Vec<TypeProblem>) {
    for status in &decl.lifecycle.statuses {
        let Some(timeout) = &status.timeout else { continue };
        let at = format!("{}/timeout/transition", join("/lifecycle/statuses", status.name.as_str()));
        let name = timeout.transition.as_str();
        match decl.transition(name) {
            None => {
                let known = decl.lifecycle.transitions.iter().map(|it| it.name.as_str());
                out.push(problem(at, format!("there is no transition `{name}`{}", suggest::clause(name, known))));
            }
            Some(it) if !it.from.contains(&status.name) => {
                out.push(problem(at, format!("`{name}` is not possible from `{}`; add it to its `from`", status.name)));
            }
            Some(_) => {}
        }
    }
}

/// Lists narrow by the values of an index, newest first: so `created_at` may only come last.
fn indexes(decl: &TypeDecl, out: &mut Vec<TypeProblem>) {
    for (no, index) in decl.indexes.iter().enumerate() {
        for (place, name) in index.iter().enumerate() {
            let at = format!("/indexes/{no}/{place}");
            let last = place + 1 == index.len();
            if index.iter().take(place).any(|it| it == name) {
                out.push(problem(at, format!("`{name}` stands here twice")));
            } else if name == "status" || (name == "created_at" && last) {
            } else if name == "created_at" {
                out.push(problem(at, "`created_at` comes last: lists are ordered by it"));
            } else if IMPLICIT.contains(&name.as_str()) {
                out.push(problem(at, format!("`{name}` can't be indexed; `status`, your own fields, and last `created_at` can")));
            } else {
                match schema::declared(&decl.schema, &[name]) {
                    Declared::As(it) if schema::kind(&decl.schema, it) == Kind::Composite => {
                        out.push(problem(at, format!("`{name}` is an object or a list; only single values can be indexed")));
                    }
                    Declared::Not { known, .. } => {
                        let known = known.into_iter().chain(["status", "created_at"]);
                        out.push(problem(at, format!("`{name}` is not declared in the schema{}", suggest::clause(name, known))));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What the schema says about single fields: those that are kept, those that
/// only transitions set, and the values of those that are left out.
pub(super) fn fields(schema: &Value, mirror: bool, problems: &Problems) -> (Vec<String>, Vec<String>, Vec<(String, Value)>) {
    let (mut immutable, mut read_only, mut defaults) = (Vec::new(), Vec::new(), Vec::new());
    let Some(map) = schema.as_object() else {
        problems.add("/schema", "a schema of fields is a map: `{ type: object, properties: … }`");
        return (immutable, read_only, defaults);
    };
    if map.get("type").is_some_and(|it| it != "object") {
        problems.add("/schema/type", "a resource is an object: write `type: object`");
    }
    let required: Vec<&str> = map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (no, name) in required.iter().enumerate() {
        if IMPLICIT.contains(name) {
            problems.add(format!("/schema/required/{no}"), format!("`{name}` is always there; leave it out"));
        }
    }
    for (name, it) in schema::properties(schema) {
        let at = join("/schema/properties", name);
        if IMPLICIT.contains(&name) {
            problems.add(at, format!("every resource has `{name}` already; leave it out or name the field differently"));
            continue;
        }
        let default = it.get("default").filter(|it| !it.is_null());
        if let Some(it) = default {
            defaults.push((name.to_owned(), it.clone()));
        }
        if it.get("readOnly").and_then(Value::as_bool) == Some(true) {
            if required.contains(&name) && default.is_none() && !mirror {
                problems.add(at.clone(), "it is required, but read-only and without a `default`: nothing could be created");
            }
            read_only.push(name.to_owned());
        }
        nested_read_only(it, &at, problems);
    }
    let kept = map.get("x-immutable");
    for (no, it) in kept.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = format!("/schema/x-immutable/{no}");
        match it.as_str() {
            Some(name) => match schema::declared(schema, &[name]) {
                _ if IMPLICIT.contains(&name) => problems.add(at, format!("`{name}` is the server's to keep; leave it out")),
                Declared::Not { known, .. } => problems.add(at, format!("`{name}` is not declared{}", suggest::clause(name, known))),
                _ => immutable.push(name.to_owned()),
            },
            None => problems.add(at, "expected the name of a field"),
        }
    }
    if kept.is_some_and(|it| !it.is_array()) {
        problems.add("/schema/x-immutable", "expected a list of fields");
    }
    (immutable, read_only, defaults)
}

/// Only whole fields can be kept from clients; a promise inside of one would not be kept.
fn nested_read_only(schema: &Value, at: &str, problems: &Problems) {
    for (name, it) in schema::properties(schema) {
        let at = join(&format!("{at}/properties"), name);
        if it.get("readOnly").and_then(Value::as_bool) == Some(true) {
            problems.add(format!("{at}/readOnly"), "only whole fields can be read-only, not members inside of one");
        }
        nested_read_only(it, &at, problems);
    }
}
