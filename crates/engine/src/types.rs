//! A declared type, ready to be used: its schemas and expressions compiled.
//!
//! Compiling finds what only compiling can find: a schema that is none, an
//! expression that names what is not declared, a default, a timeout's input or
//! an example that breaks its own schema.
//!
//! Not here: the form of a type file and the graph of statuses (`type_check`).

use crate::{
    expr::{Expr, Scope},
    lifecycle::{self, Refusal, Violation},
    mirror,
    schema::{self, Declared, join},
    suggest,
    type_check::{TypeProblem, problem},
};
use jsonschema::Validator;
use ringback_model::{
    EventId, ResourceId, TenantId, Timestamp, TransitionName,
    resource::IMPLICIT,
    type_decl::{Transition, TypeDecl},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A type and everything that is compiled from it. Shared by all requests.
#[derive(Debug)]
pub struct CompiledType {
    /// What was declared.
    pub decl: TypeDecl,
    fields: Validator,
    steps: BTreeMap<TransitionName, Step>,
}

/// What is compiled from a transition.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) input: Option<Validator>,
    pub(crate) guard: Option<Expr>,
    /// One for each branch of `to`.
    pub(crate) when: Vec<Option<Expr>>,
    pub(crate) set: Vec<(String, Expr)>,
}

impl CompiledType {
    /// Compiles the schemas and expressions of `decl`.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with a pointer into the declaration; never empty.
    pub fn compile(decl: TypeDecl) -> Result<Self, Vec<TypeProblem>> {
        let mut problems = Vec::new();
        let fields = match schema::compile(&decl.schema) {
            Ok(it) => it,
            Err((pointer, reason)) => return Err(vec![problem(format!("/schema{pointer}"), reason)]),
        };
        check_defaults(&decl, &mut problems);
        let steps = decl.lifecycle.transitions.iter().filter_map(|it| Some((it.name.clone(), step(&decl, it, &mut problems)?))).collect();
        let compiled = Self { decl, fields, steps };
        if problems.is_empty() {
            compiled.check_timeouts(&mut problems);
            compiled.check_examples(&mut problems);
        }
        if problems.is_empty() { Ok(compiled) } else { Err(problems) }
    }

    /// Checks a declaration and compiles it: `type_check::check` and `compile` in one step.
    ///
    /// # Errors
    /// As these two.
    pub fn load(source: &Value) -> Result<Self, Vec<TypeProblem>> {
        crate::type_check::load(source)
    }

    pub(crate) fn step(&self, name: &TransitionName) -> Option<&Step> {
        self.steps.get(name)
    }

    /// Makes numbers what they are declared to be and judges the fields.
    pub(crate) fn judge(&self, fields: Map<String, Value>) -> Result<Map<String, Value>, Vec<Violation>> {
        match judge(&self.decl.schema, &self.fields, Value::Object(fields))? {
            Value::Object(it) => Ok(it),
            _ => Ok(Map::new()),
        }
    }

    /// Fills in what an input leaves out, makes its numbers what they are declared to be, and judges it.
    pub(crate) fn judge_input(declared: &Value, validator: &Validator, mut input: Value) -> Result<Value, Vec<Violation>> {
        if let Value::Object(members) = &mut input {
            for (name, it) in schema::properties(declared) {
                if let Some(default) = it.get("default").filter(|_| !members.contains_key(name)) {
                    members.insert(name.to_owned(), default.clone());
                }
            }
        }
        judge(declared, validator, input)
    }

    /// A timeout's transition must accept the timeout's input: nobody is there to correct it.
    fn check_timeouts(&self, problems: &mut Vec<TypeProblem>) {
        for status in &self.decl.lifecycle.statuses {
            let Some(timeout) = &status.timeout else { continue };
            let at = format!("{}/timeout", join("/lifecycle/statuses", status.name.as_str()));
            let Some(transition) = self.decl.transition(timeout.transition.as_str()) else { continue };
            let step = self.step(&transition.name);
            match (&transition.input, step.and_then(|it| it.input.as_ref()), &timeout.input) {
                (Some(declared), Some(validator), input) => {
                    let given = input.clone().unwrap_or_else(|| Value::Object(Map::new()));
                    for it in Self::judge_input(declared, validator, given).err().unwrap_or_default() {
                        problems.push(problem(
                            format!("{at}/input{}", it.pointer),
                            format!("`{}` could not be taken with this input: {}", transition.name, it.detail),
                        ));
                    }
                }
                (None, _, Some(_)) => {
                    problems.push(problem(format!("{at}/input"), format!("`{}` takes no input; leave `input` out", transition.name)));
                }
                _ => {}
            }
        }
    }

    fn check_examples(&self, problems: &mut Vec<TypeProblem>) {
        let (Ok(tenant), Ok(id)) = (TenantId::parse("default"), ResourceId::parse("example")) else { return };
        for (no, example) in self.decl.examples.iter().enumerate() {
            let at = format!("/examples/{no}");
            let Value::Object(body) = example else {
                problems.push(problem(at, "an example is the body of a creation: a map of fields"));
                continue;
            };
            let mut body = body.clone();
            let (now, event) = (Timestamp::from_secs(0), EventId::from_bits(0));
            let made = if self.decl.mirror {
                body.shift_remove("id");
                mirror::put(self, tenant.clone(), id.clone(), None, body, now, event).map(drop)
            } else {
                lifecycle::take_id(&mut body).and_then(|_| lifecycle::create(self, tenant.clone(), id.clone(), body, now, event)).map(drop)
            };
            match made {
                Ok(()) => {}
                Err(Refusal::Invalid(all)) => problems.extend(all.into_iter().map(|it| problem(format!("{at}{}", it.pointer), it.detail))),
                Err(Refusal::ReadOnly { pointer, detail }) => problems.push(problem(format!("{at}{pointer}"), detail)),
                Err(_) => problems.push(problem(at, "it could not be created")),
            }
        }
    }
}

fn judge(declared: &Value, validator: &Validator, mut value: Value) -> Result<Value, Vec<Violation>> {
    let mut wrong = Vec::new();
    schema::normalise(declared, declared, &mut value, "", &mut wrong);
    wrong.extend(schema::violations(validator, &value, ""));
    schema::suggest(declared, &mut wrong);
    if wrong.is_empty() { Ok(value) } else { Err(wrong) }
}

/// Each default must be what its own schema takes.
fn check_defaults(decl: &TypeDecl, problems: &mut Vec<TypeProblem>) {
    if decl.defaults.is_empty() {
        return;
    }
    // The same schema with nothing required judges each default where it will stand.
    let mut loose = decl.schema.clone();
    if let Value::Object(it) = &mut loose {
        for keyword in ["required", "dependentRequired", "dependentSchemas", "minProperties", "allOf", "anyOf", "oneOf", "not", "if"] {
            it.remove(keyword);
        }
    }
    let Ok(validator) = schema::compile(&loose) else { return };
    for (name, default) in &decl.defaults {
        let alone = Value::Object([(name.clone(), default.clone())].into_iter().collect());
        let at = join("", name);
        for it in schema::violations(&validator, &alone, "").into_iter().filter(|it| it.pointer.starts_with(&at)) {
            problems.push(problem(format!("{}/default", join("/schema/properties", name)), it.detail));
        }
    }
}

fn step(decl: &TypeDecl, it: &Transition, problems: &mut Vec<TypeProblem>) -> Option<Step> {
    let at = join("/lifecycle/transitions", it.name.as_str());
    let before = problems.len();
    let mut input = None;
    if let Some(schema) = &it.input {
        match schema::compile(schema) {
            Ok(it) => input = Some(it),
            Err((pointer, reason)) => problems.push(problem(format!("{at}/input{pointer}"), reason)),
        }
    }
    let scope = Scope { this: &decl.schema, input: it.input.as_ref() };
    let mut expression =
        |pointer: String, source: &str| Expr::compile(source, scope).map_err(|it| problems.push(problem(pointer, it))).ok();
    let guard = it.guard.as_ref().and_then(|it| expression(format!("{at}/guard"), it));
    let when =
        it.to.iter().enumerate().map(|(no, it)| it.when.as_ref().and_then(|it| expression(format!("{at}/to/{no}/when"), it))).collect();
    let set = it.set.iter().filter_map(|(name, it)| Some((name.clone(), expression(join(&format!("{at}/set"), name), it)?))).collect();
    for (name, _) in &it.set {
        let pointer = join(&format!("{at}/set"), name);
        if IMPLICIT.contains(&name.as_str()) {
            let reason = if name == "status" { "`to` says which status is entered" } else { "this member is kept by the server" };
            problems.push(problem(pointer, reason));
        } else if decl.immutable.contains(name) {
            problems.push(problem(pointer, format!("`{name}` is declared in `x-immutable`: no transition can set it")));
        } else if let Declared::Not { known, .. } = schema::declared(&decl.schema, &[name]) {
            problems.push(problem(pointer, format!("`{name}` is not declared in the schema{}", suggest::clause(name, known))));
        }
    }
    (problems.len() == before).then_some(Step { input, guard, when, set })
}
