//! JSON Schemas of fields and inputs: compiling them, judging values, and what
//! they declare about a member.
//!
//! Nothing is fetched: a reference may point into the same schema only. Formats
//! are checked. Patterns run in linear time, so that no body can make one slow.

use crate::{lifecycle::Violation, schema_cost, suggest::did_you_mean};
use jsonschema::{Draft, PatternOptions, Validator, error::ValidationErrorKind};
use ringback_filter::Kind;
use ringback_model::{limits, names::excerpt};
use serde_json::{Map, Number, Value};

/// Compiles a schema.
///
/// # Errors
/// A pointer into the schema and what is wrong there.
pub(crate) fn compile(schema: &Value) -> Result<Validator, (String, String)> {
    if let Some(said) = schema.get("$schema") {
        let known = said.as_str().is_some_and(|it| it.trim_end_matches('#') == "https://json-schema.org/draft/2020-12/schema");
        if !known {
            return Err(("/$schema".into(), "schemas are read as JSON Schema 2020-12; leave `$schema` out".into()));
        }
    }
    schema_cost::check(schema).map_err(|it| (String::new(), it))?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|it| (it.instance_path().as_str().to_owned(), excerpt(&it.to_string(), 300)))
}

/// Everything that is wrong with `value`, at most `VIOLATIONS_MAX`; pointers begin with `at`.
pub(crate) fn violations(validator: &Validator, value: &Value, at: &str) -> Vec<Violation> {
    if validator.is_valid(value) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for error in validator.iter_errors(value) {
        let pointer = format!("{at}{}", error.instance_path().as_str());
        let code = error.kind().keyword().to_owned();
        match error.kind() {
            // Point at the member itself, not at the object that it is missing from or too much in.
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                out.push(Violation { pointer: join(&pointer, name), code, detail: format!("`{name}` is required") });
            }
            ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected.iter().take(limits::VIOLATIONS_MAX) {
                    let detail = format!("`{}` is not declared", excerpt(name, 60));
                    out.push(Violation { pointer: join(&pointer, name), code: code.clone(), detail });
                }
            }
            _ => out.push(Violation { pointer, code, detail: excerpt(&error.to_string(), 300) }),
        }
        if out.len() >= limits::VIOLATIONS_MAX {
            out.truncate(limits::VIOLATIONS_MAX);
            break;
        }
    }
    out
}

/// Adds what may have been meant to violations by members that are not declared.
pub(crate) fn suggest(root: &Value, violations: &mut [Violation]) {
    let known: Vec<&str> = properties(root).map(|it| it.0).collect();
    for it in violations.iter_mut().filter(|it| matches!(it.code.as_str(), "additionalProperties" | "unevaluatedProperties")) {
        let name = it.pointer.strip_prefix('/').filter(|it| !it.contains('/')).map(unescape);
        if let Some(meant) = name.and_then(|it| did_you_mean(&it, known.iter().copied())) {
            it.detail.push_str(&format!("; did you mean `{meant}`?"));
        }
    }
}

/// A pointer one step further, escaped as RFC 6901 wants it.
#[must_use]
pub(crate) fn join(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// The members that a schema declares itself, in its order.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, it)| (name.as_str(), it))
}

/// What a schema says about a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Declared<'a> {
    /// It has this schema.
    As(&'a Value),
    /// It may be there, and nothing is said about it.
    Open,
    /// It is not declared; these are, at the place where the path leaves the schema.
    Not {
        /// The name that is not declared.
        name: &'a str,
        /// Those that are.
        known: Vec<&'a str>,
    },
}

/// Follows `path` from `root` through objects.
pub(crate) fn declared<'a>(root: &'a Value, path: &[&'a str]) -> Declared<'a> {
    let mut node = root;
    for name in path {
        node = match member_of(root, node, name) {
            Declared::As(next) => next,
            other => return other,
        };
    }
    Declared::As(node)
}

/// What the schema at `node` says about its member `name`.
pub(crate) fn member_of<'a>(root: &'a Value, node: &'a Value, name: &'a str) -> Declared<'a> {
    deref(root, node).map_or(Declared::Open, |it| member(it, name))
}

fn member<'a>(schema: &'a Map<String, Value>, name: &'a str) -> Declared<'a> {
    let known = || schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|it| it.0.as_str()).collect::<Vec<_>>();
    if let Some(it) = schema.get("properties").and_then(|it| it.get(name)) {
        return Declared::As(it);
    }
    let scalar = schema.get("type").is_some_and(|it| !types(it).any(|it| it == "object"));
    match schema.get("additionalProperties") {
        _ if scalar => Declared::Not { name, known: Vec::new() },
        _ if schema.contains_key("patternProperties") => Declared::Open,
        Some(Value::Bool(false)) => Declared::Not { name, known: known() },
        Some(it @ Value::Object(_)) => Declared::As(it),
        Some(_) => Declared::Open,
        None if ["allOf", "anyOf", "oneOf", "if", "dependentSchemas", "$dynamicRef"].iter().any(|it| schema.contains_key(*it)) => {
            Declared::Open
        }
        None if schema.contains_key("properties") => Declared::Not { name, known: known() },
        None => Declared::Open,
    }
}

fn types(it: &Value) -> impl Iterator<Item = &str> {
    let one = it.as_str().into_iter();
    one.chain(it.as_array().into_iter().flatten().filter_map(Value::as_str)).filter(|it| *it != "null")
}

/// The schema that `node` stands for; `None` when it says nothing, or leads too far.
fn deref<'a>(root: &'a Value, mut node: &'a Value) -> Option<&'a Map<String, Value>> {
    for _ in 0..8 {
        let it = node.as_object()?;
        match it.get("$ref").and_then(Value::as_str) {
            None => return Some(it),
            Some(to) => node = root.pointer(to.strip_prefix('#')?)?,
        }
    }
    None
}

/// What kind of value a schema declares.
pub(crate) fn kind(root: &Value, schema: &Value) -> Kind {
    let Some(schema) = deref(root, schema) else { return Kind::Any };
    let Some(declared) = schema.get("type") else {
        let options = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).or(schema.get("const").map(core::slice::from_ref));
        return match options {
            Some(all) if !all.is_empty() && all.iter().all(Value::is_string) => Kind::Text,
            _ => Kind::Any,
        };
    };
    let mut all = types(declared);
    match (all.next(), all.next()) {
        (Some("string"), None) if schema.get("format").and_then(Value::as_str) == Some("date-time") => Kind::Instant,
        (Some("string"), None) => Kind::Text,
        (Some("integer"), None) => Kind::Integer,
        (Some("number"), None) => Kind::Number,
        (Some("boolean"), None) => Kind::Boolean,
        (Some("object" | "array"), None) => Kind::Composite,
        _ => Kind::Any,
    }
}

/// Makes numbers what they are declared to be: `5.0` where an integer is
/// declared becomes 5, so that an expression may count with it.
///
/// A whole number beyond −2⁶³…2⁶⁴−1 where an integer is declared is refused: it
/// would not be exact. (A reader of JSON without arbitrary precision makes a
/// double of such a literal; this finds it again.)
pub(crate) fn normalise(root: &Value, schema: &Value, value: &mut Value, at: &str, out: &mut Vec<Violation>) {
    match value {
        Value::Number(number) if kind(root, schema) == Kind::Integer => {
            if let Some(double) = number.as_f64().filter(|it| number.is_f64() && it.fract() == 0.0) {
                match exact(double) {
                    Some(it) => *number = it,
                    None => out.push(Violation {
                        pointer: at.to_owned(),
                        code: "type".into(),
                        detail: format!("{double:e} is beyond what an integer can be: -2^63 to 2^64-1"),
                    }),
                }
            }
        }
        Value::Object(members) => {
            let Some(schema) = deref(root, schema) else { return };
            for (name, value) in members {
                if let Declared::As(next) = member(schema, name) {
                    normalise(root, next, value, &join(at, name), out);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = deref(root, schema).and_then(|it| it.get("items")) else { return };
            for (no, value) in items.iter_mut().enumerate() {
                normalise(root, schema, value, &format!("{at}/{no}"), out);
            }
        }
        _ => {}
    }
}

/// The integer that a whole double stands for, if it is in range.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first; both bounds are exact doubles")]
fn exact(double: f64) -> Option<Number> {
    const LEAST: f64 = -9_223_372_036_854_775_808.0;
    const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
    const END: f64 = 18_446_744_073_709_551_616.0;
    if (LEAST..SIGNED_END).contains(&double) {
        Some((double as i64).into())
    } else if (SIGNED_END..END).contains(&double) {
        Some((double as u64).into())
    } else {
        None
    }
}

/// How deep a value is nested: a scalar is 0.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(depth).max().unwrap_or(0),
        Value::Object(all) => 1 + all.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
