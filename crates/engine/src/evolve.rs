//! What a new declaration of a type takes away from the old one.
//!
//! Additions pass. What is removed or narrowed is named here, from the two
//! declarations alone; whether anything that is stored uses it, only a look at
//! the rows can say: `misfits` judges one of them.
//!
//! Not here: which rows there are, and what is done about them (`service::types`).

use crate::{
    schema::{self, join},
    type_check::{TypeProblem, problem},
    types::CompiledType,
};
use ringback_model::{TransitionName, resource::Resource, type_decl::TypeDecl};
use serde_json::{Map, Value};

/// Why no stored resource could go on under the new declaration, whatever it holds.
#[must_use]
pub fn uproots(old: &TypeDecl, new: &TypeDecl) -> Option<String> {
    if old.path != new.path {
        return Some(format!("its path changes from `{}` to `{}`, which is part of every event", old.path, new.path));
    }
    match (old.mirror, new.mirror) {
        (false, true) => Some("it becomes a mirror, whose resources have a `source_version`".into()),
        (true, false) => Some("it is a mirror no more, and its resources have a `source_version`".into()),
        _ => None,
    }
}

/// Everything that the new declaration takes away or narrows, with pointers into it; empty when it only adds.
#[must_use]
pub fn narrowings(old: &TypeDecl, new: &TypeDecl) -> Vec<TypeProblem> {
    let mut out = Vec::new();
    if let Some(why) = uproots(old, new) {
        out.push(problem(if old.path == new.path { "/mirror" } else { "/path" }, why));
    }
    for it in old.lifecycle.statuses.iter().filter(|it| new.status(&it.name).is_none()) {
        out.push(problem(join("/lifecycle/statuses", it.name.as_str()), format!("the status `{}` is gone", it.name)));
    }
    for it in old.lifecycle.statuses.iter().filter_map(|it| it.timeout.as_ref()) {
        if new.transition(it.transition.as_str()).is_none() {
            let at = join("/lifecycle/transitions", it.transition.as_str());
            out.push(problem(at, format!("the transition `{}` is gone, and timeouts that run will take it", it.transition)));
        }
    }
    narrower(&old.schema, &new.schema, &mut out);
    out
}

/// Whether every value that fits the old schema fits the new one; where that can't be seen, it is said to be changed.
fn narrower(old: &Value, new: &Value, out: &mut Vec<TypeProblem>) {
    if old == new {
        return;
    }
    let empty = Map::new();
    let members = |it: &Value| it.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let (had, has) = (members(old), members(new));
    for (name, was) in &had {
        let at = join("/schema/properties", name);
        match has.get(name) {
            Some(is) if loosened(was) == loosened(is) => {}
            Some(_) => out.push(problem(at, format!("`{name}` is declared in another way"))),
            None => out.push(problem(at, format!("`{name}` is not declared any more"))),
        }
    }
    let closed = |it: &Value| it.get("additionalProperties") == Some(&Value::Bool(false));
    if !closed(old) {
        // It took any member, so it may have taken one of this name.
        for name in has.keys().filter(|it| !had.contains_key(*it)) {
            out.push(problem(join("/schema/properties", name), format!("`{name}` is declared now, and could hold anything before")));
        }
    }
    let required = |it: &Value| it.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in required(new).iter().filter(|it| !required(old).contains(it)).filter_map(Value::as_str) {
        out.push(problem("/schema/required", format!("`{name}` is required now")));
    }
    let rest = |it: &Value| {
        let mut rest = it.as_object().unwrap_or(&empty).clone();
        for keyword in ["properties", "required", "x-immutable", "title", "description", "examples", "$comment"] {
            rest.shift_remove(keyword);
        }
        rest
    };
    let (mut before, mut after) = (rest(old), rest(new));
    for it in [&mut before, &mut after] {
        // A resource is an object, said or not.
        if it.get("type").is_some_and(|it| it == "object") {
            it.shift_remove("type");
        }
    }
    if !closed(new) && after.get("additionalProperties").is_none_or(|it| *it == Value::Bool(true)) {
        // Opened, or as open as it was.
        before.shift_remove("additionalProperties");
        after.shift_remove("additionalProperties");
    }
    if before != after {
        out.push(problem("/schema", "the rules for all of it are others"));
    }
}

/// A member's schema without what refuses nothing.
fn loosened(schema: &Value) -> Value {
    let mut it = schema.clone();
    if let Value::Object(it) = &mut it {
        for keyword in ["description", "title", "default", "readOnly", "examples", "deprecated", "$comment"] {
            it.shift_remove(keyword);
        }
    }
    it
}

/// Why a stored resource could not go on under the new declaration: one short reason for each thing of it
/// that is gone or refused, without anything of what it holds. Empty when it fits.
#[must_use]
pub fn misfits(new: &CompiledType, row: &Resource, timer: Option<&TransitionName>) -> Vec<String> {
    let mut out = Vec::new();
    if new.decl.status(&row.status).is_none() {
        out.push(format!("the status `{}` is gone", row.status));
    }
    if let Some(gone) = timer.filter(|it| new.decl.transition(it.as_str()).is_none()) {
        out.push(format!("the transition `{gone}`, which a running timeout will take, is gone"));
    }
    if let Err(all) = new.judge(row.fields.clone()) {
        for it in all {
            let reason = format!("`{}` breaks `{}`", it.pointer, it.code);
            if !out.contains(&reason) {
                out.push(reason);
            }
        }
    }
    out
}

/// What rows were found to break, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    rows: u64,
    reasons: Vec<(String, u64)>,
}

/// Reasons that are told apart; the rest are told by their number alone.
const REASONS_MAX: usize = 20;

impl Tally {
    /// Counts one row with these reasons; none is a row that fits.
    pub fn add(&mut self, reasons: Vec<String>) {
        self.rows += u64::from(!reasons.is_empty());
        for reason in reasons {
            if let Some(it) = self.reasons.iter_mut().find(|it| it.0 == reason) {
                it.1 += 1;
            } else if self.reasons.len() < REASONS_MAX {
                self.reasons.push((reason, 1));
            }
        }
    }

    /// Rows that don't fit.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// `the status `paid` is gone (2), `/amount` breaks `minimum` (1)`.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.reasons.iter().map(|(reason, count)| format!("{reason} ({count})")).collect::<Vec<_>>().join(", ")
    }
}

/// The schema of a resource as it is shown: its own fields with the implicit ones.
#[must_use]
pub(crate) fn shown_schema(decl: &TypeDecl) -> Value {
    let mut schema = decl.schema.clone();
    let Value::Object(map) = &mut schema else { return schema };
    let statuses: Vec<&str> = decl.lifecycle.statuses.iter().map(|it| it.name.as_str()).collect();
    let implicit = serde_json::json!({
        "id": { "type": "string" }, "type": { "const": decl.name.as_str() }, "tenant": { "type": "string" },
        "status": { "enum": statuses }, "version": { "type": "integer", "minimum": 1 },
        "created_at": { "type": "string", "format": "date-time" }, "updated_at": { "type": "string", "format": "date-time" },
    });
    let own: Map<String, Value> = schema::properties(&decl.schema).map(|(name, it)| (name.to_owned(), it.clone())).collect();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    if let Value::Object(implicit) = implicit {
        required.extend(implicit.keys().cloned().map(Value::from));
        properties.extend(implicit);
    }
    if own.is_empty() && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".into(), Value::Bool(true));
    }
    properties.extend(own);
    required.extend(decl.schema.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
    map.insert("properties".into(), Value::Object(properties));
    map.insert("required".into(), Value::Array(required));
    map.shift_remove("x-immutable");
    schema
}

#[cfg(test)]
mod tests;
