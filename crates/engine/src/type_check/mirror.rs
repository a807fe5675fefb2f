//! What is different when a type is a mirror: its truth lives elsewhere.
//!
//! A mirror takes what its source says, so whatever would make a choice of its
//! own (a transition, a timeout, a field that may not change) is refused here,
//! rather than being there without effect. Every resource of it has one member
//! more: `source_version`.

use super::read::Problems;
use crate::{mirror::SOURCE_VERSION, schema::join};
use ringback_model::{limits, type_decl::TypeDecl};
use serde_json::{Map, Value, json};

/// Makes a mirror of a declaration that was read like any other.
pub(super) fn mirrored(mut decl: TypeDecl, problems: &Problems) -> TypeDecl {
    if decl.source.pointer("/lifecycle/transitions").is_some_and(|it| !it.is_null()) {
        problems.add("/lifecycle/transitions", "a mirror has none: its status comes with each PUT; leave `transitions` out");
    }
    for status in decl.lifecycle.statuses.iter().filter(|it| it.timeout.is_some()) {
        let at = format!("{}/timeout", join("/lifecycle/statuses", status.name.as_str()));
        problems.add(at, "a mirror changes only when its source does; leave the timeout to the source");
    }
    for status in &decl.lifecycle.statuses {
        if decl.status_event(&status.name).is_none() {
            problems.add("/lifecycle", format!("`{}.{}` is too long for an event", decl.name, status.name));
        }
    }
    if decl.source.pointer("/events/created").is_some_and(|it| !it.is_null()) {
        problems.add("/events/created", "a mirror's first event is named after its status, as every other; leave `created` out");
    }
    if decl.require_if_match {
        problems.add("/require_if_match", "a mirror is guarded by `source_version`; leave `require_if_match` out");
    }
    if !decl.immutable.is_empty() {
        problems.add("/schema/x-immutable", "a mirror takes what its source says; leave `x-immutable` out");
    }
    if decl.schema.pointer("/properties/source_version").is_some() {
        problems.add("/schema/properties/source_version", "every mirrored resource has `source_version` already; leave it out");
    }
    decl.lifecycle.transitions.clear();
    // `readOnly` says that clients don't set a field; of a mirror they set none.
    decl.read_only.clear();
    if let Value::Object(schema) = &mut decl.schema {
        declare_source_version(schema);
    }
    decl
}

/// Filters, indexes and documents see it as a field like any other.
fn declare_source_version(schema: &mut Map<String, Value>) {
    if !schema.contains_key("properties") && !schema.contains_key("additionalProperties") {
        // An open schema stays one: naming one field says nothing about the others.
        schema.insert("additionalProperties".into(), Value::Bool(true));
    }
    let declared = json!({
        "type": "integer", "minimum": 0, "maximum": limits::SOURCE_VERSION_MAX,
        "description": "Raised by the source with each change; what is not above it is not applied.",
    });
    if let Value::Object(properties) = schema.entry("properties").or_insert_with(|| json!({})) {
        properties.shift_insert(0, SOURCE_VERSION.into(), declared);
    }
    if let Value::Array(required) = schema.entry("required").or_insert_with(|| json!([])) {
        required.push(SOURCE_VERSION.into());
    }
}
