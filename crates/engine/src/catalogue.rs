//! Event types: what is declared about them, by types and by files of their own.
//!
//! A file of `events/` declares one event type that is published: its
//! description, the schema of its `data`, an example. Whoever publishes it is
//! held to the schema.
//!
//! Not here: which event types were seen (`ports::store::Log`).

use crate::{
    evolve::shown_schema,
    lifecycle::{self, Violation},
    mirror::{self, Mirrored},
    schema::{self, join},
    type_check::{TypeProblem, problem, read_event},
    types::CompiledType,
};
use jsonschema::Validator;
use ringback_model::{EventId, EventType, ResourceId, StatusName, TenantId, Timestamp, limits, resource::Resource};
use serde_json::Value;

/// A declared event type, ready to be used.
#[derive(Debug)]
pub struct CompiledEvent {
    /// Which.
    pub event_type: EventType,
    /// For people.
    pub description: Option<String>,
    /// JSON Schema 2020-12 of its `data`.
    pub schema: Option<Value>,
    /// A `data` that fits.
    pub example: Option<Value>,
    validator: Option<Validator>,
}

/// What is said about an event type.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which.
    pub event_type: EventType,
    /// For people.
    pub description: Option<String>,
    /// JSON Schema of its `data`.
    pub schema: Option<Value>,
    /// A `data` as it might be.
    pub example: Option<Value>,
}

impl CompiledEvent {
    /// Reads and checks a declaration.
    ///
    /// # Errors
    /// Everything that is wrong with it, with pointers; never empty.
    pub fn load(source: &Value) -> Result<Self, Vec<TypeProblem>> {
        let (event_type, description, schema, example) = read_event(source)?;
        let mut problems = Vec::new();
        if event_type.first_segment() == "ringback" {
            problems.push(problem("/type", "events named `ringback.…` are the server's own; take another name"));
        }
        let mut validator = None;
        if let Some(schema) = &schema {
            match schema::compile(schema) {
                Ok(it) => validator = Some(it),
                Err((pointer, reason)) => problems.push(problem(format!("/schema{pointer}"), reason)),
            }
        }
        let it = Self { event_type, description, schema, example, validator };
        if let Some(example) = &it.example {
            problems.extend(it.judge(example).into_iter().map(|it| problem(format!("/example{}", it.pointer), it.detail)));
        }
        if problems.is_empty() { Ok(it) } else { Err(problems) }
    }

    /// Everything that is wrong with a `data`; nothing where no schema is declared.
    #[must_use]
    pub fn judge(&self, data: &Value) -> Vec<Violation> {
        let Some(validator) = &self.validator else { return Vec::new() };
        let mut wrong = schema::violations(validator, data, "");
        if let Some(schema) = &self.schema {
            schema::suggest(schema, &mut wrong);
        }
        wrong
    }

    /// What it says.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            event_type: self.event_type.clone(),
            description: self.description.clone(),
            schema: self.schema.clone(),
            example: self.example.clone(),
        }
    }
}

/// What is wrong with these declarations beside each other and the types: one declared twice, one that a
/// type makes by itself, too many. The pointer begins with the event type: `/order.shipped/type`.
#[must_use]
pub fn check_all(events: &[&CompiledEvent], types: &[&str]) -> Vec<TypeProblem> {
    let mut problems = Vec::new();
    if events.len() > limits::EVENT_FILES_MAX {
        problems.push(problem("", format!("there are {} event files; a server takes at most {}", events.len(), limits::EVENT_FILES_MAX)));
    }
    for (no, it) in events.iter().enumerate() {
        let at = join("", it.event_type.as_str()) + "/type";
        let segment = it.event_type.first_segment();
        if types.contains(&segment) {
            problems.push(problem(&at, format!("events named `{segment}.…` are made by the type `{segment}`; take another name")));
        }
        if events.iter().take(no).any(|other| other.event_type == it.event_type) {
            problems.push(problem(&at, "another file declares this event type as well"));
        }
    }
    problems
}

/// What a type says about the events that its resources make.
#[must_use]
pub fn of_type(ty: &CompiledType) -> Vec<Entry> {
    let decl = &ty.decl;
    let schema = shown_schema(decl);
    let example = example(ty);
    let entered = |event: &EventType| -> Option<StatusName> {
        if decl.mirror {
            let statuses = decl.lifecycle.statuses.iter();
            return statuses.map(|it| it.name.clone()).find(|it| decl.status_event(it).as_ref() == Some(event));
        }
        let step = decl.lifecycle.transitions.iter().find(|it| it.event == *event)?;
        step.to.first().map(|it| it.status.clone())
    };
    let shown = |event: &EventType| {
        let mut it = example.clone()?;
        if let Some(status) = entered(event) {
            it.status = status;
        }
        it.version = if *event == decl.events.created || decl.mirror { 1 } else { 2 };
        serde_json::from_slice(&it.encode()).ok()
    };
    let all = decl.event_types().into_iter();
    all.map(|it| Entry { example: shown(&it), description: None, schema: Some(schema.clone()), event_type: it }).collect()
}

/// The first example of the type as a resource.
fn example(ty: &CompiledType) -> Option<Resource> {
    let Value::Object(mut body) = ty.decl.examples.first()?.clone() else { return None };
    let (tenant, now, event) = (TenantId::default_tenant(), Timestamp::from_secs(1_767_225_600), EventId::from_bits(0));
    let given = body.get("id").and_then(Value::as_str).map_or_else(|| "123".to_owned(), str::to_owned);
    let id = ResourceId::parse(&given).ok()?;
    if ty.decl.mirror {
        return match mirror::put(ty, tenant, id, None, body, now, event) {
            Ok(Mirrored::Applied(it)) => Some(it.resource),
            _ => None,
        };
    }
    body.shift_remove("id");
    lifecycle::create(ty, tenant, id, body, now, event).ok().map(|it| it.resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn refused(source: Value, want: &[&str]) {
        let got = CompiledEvent::load(&source).expect_err("it should be refused");
        let shown: Vec<_> = got.iter().map(|it| format!("{}: {}", it.pointer, it.reason)).collect();
        assert_eq!(shown, want);
    }

    #[test]
    fn a_declaration_holds_publishers_to_its_schema() {
        let it = CompiledEvent::load(&json!({
            "type": "order.shipped", "description": "It has left the house.",
            "schema": { "type": "object", "required": ["id"], "additionalProperties": false, "properties": { "id": { "type": "string" } } },
            "example": { "id": "7" },
        }))
        .unwrap();
        assert_eq!(it.judge(&json!({ "id": "8" })), []);
        let wrong: Vec<_> = it.judge(&json!({ "idd": 8 })).into_iter().map(|it| it.detail).collect();
        assert_eq!(wrong, ["`idd` is not declared; did you mean `id`?", "`id` is required"]);
        assert_eq!(CompiledEvent::load(&json!({ "type": "a" })).unwrap().judge(&json!(5)), [], "without a schema anything goes");
    }

    #[test]
    fn declarations_that_are_refused() {
        refused(json!({}), &["/type: `type` is missing: the event type, such as `order.shipped`"]);
        refused(json!({ "type": "ringback.x" }), &["/type: events named `ringback.…` are the server's own; take another name"]);
        refused(json!({ "type": "a", "shema": {} }), &["/shema: there is no `shema` here; did you mean `schema`?"]);
        refused(json!({ "type": "a", "schema": { "type": "string" }, "example": 5 }), &["/example: 5 is not of type \"string\""]);
        let it = CompiledEvent::load(&json!({ "type": "payment.x" })).unwrap();
        let problems = check_all(&[&it, &it], &["payment"]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(problems[0].pointer, "/payment.x/type");
    }

    #[test]
    fn examples_of_a_type_fit_the_schema_that_is_shown() {
        let ty = CompiledType::load(&json!({
            "type": "order", "lifecycle": "created -> paid",
            "schema": { "additionalProperties": false, "required": ["amount"], "properties": { "amount": { "type": "integer" } } },
            "examples": [{ "amount": 5 }],
        }))
        .unwrap();
        let all = of_type(&ty);
        assert_eq!(
            all.iter().map(|it| it.event_type.as_str()).collect::<Vec<_>>(),
            ["order.created", "order.paid", "order.updated", "order.deleted"]
        );
        for it in all {
            let validator = schema::compile(&it.schema.unwrap()).unwrap();
            assert_eq!(schema::violations(&validator, &it.example.unwrap(), ""), [], "{}", it.event_type);
        }
    }
}
