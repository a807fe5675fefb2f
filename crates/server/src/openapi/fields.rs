//! The schemas of a declared type's resources, bodies and inputs.
//!
//! A type declares a schema of its own fields; a resource has ours beside them.
//! What is shown for answers may say less than what is checked, never more.

use super::operation::{fields_name, input_name, new_name, patch_name, row_name};
use ringback_model::type_decl::{Transition, TypeDecl};
use ringback_wire::schemas::time;
use serde_json::{Map, Value, json};

/// Every schema of a type, by its name in the document.
pub(super) fn schemas(ty: &TypeDecl) -> Vec<(String, Value)> {
    let mut all = vec![
        // Where references of the declared schema lead to; taken out of the document if there are none.
        (fields_name(ty), moved(&ty.schema, &fields_name(ty))),
        (row_name(ty), row(ty)),
        (new_name(ty), new(ty)),
        (patch_name(ty), patch(ty)),
    ];
    for it in &ty.lifecycle.transitions {
        if let Some(input) = &it.input {
            all.push((input_name(ty, it), moved(input, &input_name(ty, it))));
        }
    }
    all
}

/// The members that every resource has.
fn implicit(ty: &TypeDecl) -> Map<String, Value> {
    let statuses: Vec<_> = ty.lifecycle.statuses.iter().map(|it| it.name.as_str()).collect();
    let members = json!({
        "id": { "type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$" },
        "type": { "type": "string", "const": ty.name.as_str() },
        "tenant": { "type": "string" },
        "status": { "type": "string", "enum": statuses },
        "version": { "type": "integer", "minimum": 1 },
        "created_at": time("When it was made."),
        "updated_at": time("When it was last changed."),
    });
    match members {
        Value::Object(it) => it,
        _ => Map::new(),
    }
}

/// A resource, as it is answered.
fn row(ty: &TypeDecl) -> Value {
    let mut properties = implicit(ty);
    let mut required: Vec<Value> = properties.keys().map(|it| Value::from(it.as_str())).collect();
    properties.extend(own(ty));
    // Of a mirrored row that was deleted before it came, nothing is known but that.
    if !ty.mirror {
        required.extend(strings(ty, "required"));
    }
    let mut out = json!({ "type": "object", "required": required, "properties": properties });
    carry(ty, &mut out);
    out
}

/// A body that makes one: without what only the server and transitions set.
fn new(ty: &TypeDecl) -> Value {
    if ty.mirror {
        return said(ty);
    }
    let mut properties = Map::new();
    let chosen = json!({ "type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$", "not": { "enum": [".", ".."] }, "description": "Chosen by you; made, if it is left out." });
    properties.insert("id".into(), chosen);
    properties.extend(own(ty).into_iter().filter(|(name, _)| !ty.read_only.contains(name)));
    let required: Vec<_> = strings(ty, "required")
        .into_iter()
        .filter(|it| !it.as_str().is_some_and(|it| ty.read_only.iter().any(|known| known == it)))
        .collect();
    let mut out = json!({ "type": "object", "properties": properties });
    if let (false, Some(members)) = (required.is_empty(), out.as_object_mut()) {
        members.insert("required".into(), required.into());
    }
    carry(ty, &mut out);
    out
}

/// What the source of a mirrored resource says.
fn said(ty: &TypeDecl) -> Value {
    let mut properties: Map<_, _> = implicit(ty).into_iter().filter(|it| it.0 == "status").collect();
    properties.extend(own(ty));
    let mut required = vec![Value::from("source_version"), Value::from("status")];
    required.extend(strings(ty, "required").into_iter().filter(|it| it != "source_version"));
    let mut out = json!({ "type": "object", "required": required, "properties": properties });
    carry(ty, &mut out);
    out
}

/// A merge patch: `null` for what may go. What is fixed may be there too, as it is.
fn patch(ty: &TypeDecl) -> Value {
    let fixed = |name: &String| ty.read_only.contains(name) || ty.immutable.contains(name);
    let required = strings(ty, "required");
    let patched = |(name, schema): (String, Value)| {
        let schema = merged(schema);
        let schema = if fixed(&name) {
            json!({ "allOf": [schema], "description": "Fixed: only as it is." })
        } else if required.iter().any(|it| it.as_str() == Some(&name)) {
            schema
        } else {
            json!({ "anyOf": [schema, { "type": "null" }] })
        };
        (name, schema)
    };
    let properties: Map<_, _> = own(ty).into_iter().map(patched).collect();
    let mut out = json!({ "type": "object", "properties": properties });
    carry(ty, &mut out);
    // Of other members, too, a part may be sent, or `null`.
    if let Some(members) = out.as_object_mut().filter(|it| it.get("additionalProperties").is_some_and(Value::is_object)) {
        members.shift_remove("additionalProperties");
    }
    out
}

/// What can be said of a member of a patch: a nested object is merged too, so no more than that it is one.
fn merged(schema: Value) -> Value {
    let object = |it: &Value| it.as_str() == Some("object");
    let Some(kind) = schema.get("type") else {
        return if schema.get("properties").is_some() { json!({ "type": "object" }) } else { json!({}) };
    };
    let nested = object(kind) || kind.as_array().is_some_and(|it| it.iter().any(object));
    if nested { json!({ "type": kind }) } else { schema }
}

/// The declared fields, their references led to where the schema stands in the document.
fn own(ty: &TypeDecl) -> Map<String, Value> {
    let declared = ty.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    declared.map(|(name, it)| (name.clone(), moved(it, &fields_name(ty)))).collect()
}

/// What holds for the whole object and can be said beside our members as well.
fn carry(ty: &TypeDecl, out: &mut Value) {
    let Some(members) = out.as_object_mut() else { return };
    for name in ["title", "description", "additionalProperties"] {
        // Which other members those are depends on patterns, and ours may fit them.
        if name == "additionalProperties" && ty.schema.get("patternProperties").is_some() {
            continue;
        }
        if let Some(it) = ty.schema.get(name) {
            members.insert(name.into(), moved(it, &fields_name(ty)));
        }
    }
}

fn strings(ty: &TypeDecl, name: &str) -> Vec<Value> {
    ty.schema.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A schema whose references into itself lead to the component `at`.
///
/// Names that a schema gives to itself and its parts (`$id`, `$anchor` …) mean nothing
/// where it stands now, so they go, and with them what refers to them: that says less.
fn moved(schema: &Value, at: &str) -> Value {
    moved_part(schema, at, true)
}

/// `root`: whether `#` means the whole of it here, and not a part that has an `$id` of its own.
fn moved_part(schema: &Value, at: &str, root: bool) -> Value {
    let members = match schema {
        Value::Object(it) => it,
        Value::Array(all) => return all.iter().map(|it| moved_part(it, at, root)).collect(),
        other => return other.clone(),
    };
    let below = |part: &Value| moved_part(part, at, root && !part.get("$id").is_some_and(Value::is_string));
    let mut out = Map::new();
    for (name, it) in members {
        let it = match (name.as_str(), it) {
            ("$id" | "$schema" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef", Value::String(_)) => continue,
            ("$ref", Value::String(target)) => match target.strip_prefix('#').filter(|it| root && (it.is_empty() || it.starts_with('/'))) {
                Some(rest) => format!("#/components/schemas/{at}{rest}").into(),
                None => continue,
            },
            // Values, not schemas.
            ("const" | "default" | "enum" | "examples", it) => it.clone(),
            // Schemas by names that are no keywords.
            ("properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas", Value::Object(named)) => {
                named.iter().map(|(name, it)| (name.clone(), below(it))).collect()
            }
            (_, part) => below(part),
        };
        out.insert(name.clone(), it);
    }
    out.into()
}

/// Fields that are conditions of a list: those that hold one plain value.
pub(super) fn conditions(ty: &TypeDecl) -> Vec<(String, Value)> {
    let plain = |schema: &Value| {
        let known = |it: &Value| it.as_str().is_some_and(|it| matches!(it, "string" | "integer" | "number" | "boolean"));
        match schema.get("type") {
            Some(Value::Array(all)) => all.iter().all(known),
            Some(one) => known(one),
            None => false,
        }
    };
    let mut all: Vec<(String, Value)> = implicit(ty).into_iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "tenant")).collect();
    all.extend(own(ty).into_iter().filter(|(_, schema)| plain(schema)));
    all
}

/// An input to show: one that a timeout takes, one that the schema gives, or a small one that fits.
pub(super) fn input_example(ty: &TypeDecl, it: &Transition) -> Option<Value> {
    let timeouts = ty.lifecycle.statuses.iter().filter_map(|it| it.timeout.as_ref());
    let of_timeout = timeouts.filter(|timeout| timeout.transition == it.name).find_map(|it| it.input.clone());
    of_timeout.or_else(|| sample(it.input.as_ref()?))
}

/// A patch to show: of the first field that may change.
pub(super) fn patch_example(ty: &TypeDecl) -> Option<Value> {
    let changes = |name: &String| !ty.read_only.contains(name) && !ty.immutable.contains(name);
    own(ty).into_iter().filter(|it| changes(&it.0)).find_map(|(name, schema)| Some(json!({ name: sample(&schema)? })))
}

/// A small value that the schema takes; `None` where that can't be told easily.
fn sample(schema: &Value) -> Option<Value> {
    if let Some(it) = schema.get("examples").and_then(|it| it.get(0)).or_else(|| schema.get("const")).or_else(|| schema.get("default")) {
        return Some(it.clone());
    }
    if let Some(it) = schema.get("enum").and_then(|it| it.get(0)) {
        return Some(it.clone());
    }
    if ["allOf", "anyOf", "oneOf", "not", "if", "$ref", "pattern", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"]
        .iter()
        .any(|it| schema.get(*it).is_some())
    {
        return None;
    }
    let bound = |name| schema.get(name).and_then(Value::as_i64);
    match schema.get("type")?.as_str()? {
        "integer" | "number" => Some(bound("minimum").unwrap_or(1).min(bound("maximum").unwrap_or(i64::MAX)).into()),
        "boolean" => Some(true.into()),
        "string" => {
            let (least, most) = (bound("minLength").unwrap_or(0), bound("maxLength").unwrap_or(i64::MAX));
            (least <= 4 && most >= 4).then(|| "text".into())
        }
        "object" => {
            let mut out = Map::new();
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                out.insert(name.to_owned(), sample(schema.get("properties")?.get(name)?)?);
            }
            Some(out.into())
        }
        _ => None,
    }
}
