//! Decides what a creation, a transition, a patch and a deletion do.
//!
//! A decision is a pure function of the type, the present image, what was asked
//! for, who asks, and the time: the new image, the event that records it, and
//! the timer that holds from now on; or a refusal that says what is possible
//! instead. Whoever asks again after a conflict gets a fresh decision.
//!
//! The members of an expression's map, and the values that `set` gives, come
//! from the image before the step. A `set` whose value is `null` removes the field.
//!
//! Not here: who may create, patch and delete (`service`), whether a timer has
//! come due, and where images and events are kept.

pub(crate) mod graph;
#[cfg(test)]
mod tests;

pub use graph::{event_names, next, next_events, reachable, retry_after, until_statuses};

use crate::{
    expr::{EvalError, Expr, Given, Scope},
    patch as merge_patch,
    schema::{self, join},
    suggest::did_you_mean,
    types::{CompiledType, Step},
};
use bytes::Bytes;
use ringback_filter::same;
use ringback_model::{
    EventId, EventType, ResourceId, StatusName, Subject, TenantId, Timestamp, TransitionName,
    event::{EventDraft, OfResource},
    key::Authority,
    limits,
    resource::{IMPLICIT, Resource, push_value},
    type_decl::{Transition, TypeDecl},
};
use serde_json::{Map, Value};

/// Who takes a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A customer, or a gateway acting for one.
    Tenant,
    /// Whoever runs the server.
    Operator,
    /// A timeout: may take every transition.
    System,
}

impl Actor {
    /// Whether it may do what takes `needed`.
    #[must_use]
    pub fn covers(self, needed: Authority) -> bool {
        match self {
            Self::Tenant => Authority::Tenant.covers(needed),
            Self::Operator | Self::System => true,
        }
    }
}

impl From<Authority> for Actor {
    fn from(it: Authority) -> Self {
        match it {
            Authority::Tenant => Self::Tenant,
            Authority::Operator => Self::Operator,
        }
    }
}

/// When the timeout of a status is due, and the transition that it then takes.
pub type Timer = (Timestamp, TransitionName);

/// What is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The new image (the last one, when it is deleted).
    pub resource: Resource,
    /// The event that records it: its `data` is the encoded image.
    pub event: EventDraft,
    /// The timer that holds from now on.
    pub timer: Option<Timer>,
    /// Whether the resource is gone.
    pub deleted: bool,
}

/// One way in which a value breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the body, as a JSON pointer.
    pub pointer: String,
    /// The keyword of the schema: `required`, `type`, `minimum` …
    pub code: String,
    /// What is wrong there.
    pub detail: String,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body, or the image that would come of it, breaks the type's schema. Never empty.
    Invalid(Vec<Violation>),
    /// The input of a transition breaks its schema. Never empty.
    InputInvalid(Vec<Violation>),
    /// A member that the client may not set, or not set again.
    ReadOnly {
        /// Where in the body.
        pointer: String,
        /// Why, and what to do instead.
        detail: String,
    },
    /// The type has no such transition.
    NoSuchTransition {
        /// What was asked for.
        requested: String,
        /// The one that may have been meant.
        suggestion: Option<TransitionName>,
    },
    /// The transition needs more authority than the caller has.
    Forbidden {
        /// What was asked for.
        requested: TransitionName,
        /// What it takes.
        needs: Authority,
    },
    /// The transition is not possible from the present status.
    NotAllowed {
        /// What was asked for.
        requested: TransitionName,
        /// The present status.
        current: StatusName,
        /// Where it is possible.
        from: Vec<StatusName>,
        /// What this actor can do now.
        allowed: Vec<TransitionName>,
    },
    /// The guard does not hold, or an expression of the transition has no value.
    Guard {
        /// What was asked for.
        requested: TransitionName,
        /// The expression as declared.
        expression: String,
        /// Why it does not hold, for a reader.
        explanation: String,
    },
}

pub(crate) fn violation(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Violation {
    Violation { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
}

/// Takes the client's own id out of the body of a creation.
///
/// # Errors
/// `Invalid` when there is one that is not a resource id.
pub fn take_id(body: &mut Map<String, Value>) -> Result<Option<ResourceId>, Refusal> {
    let Some(given) = body.shift_remove("id") else { return Ok(None) };
    let Some(text) = given.as_str() else {
        return Err(Refusal::Invalid(vec![violation("/id", "type", "an id is a string, such as `\"123\"`")]));
    };
    ResourceId::parse(text).map(Some).map_err(|why| Refusal::Invalid(vec![violation("/id", "format", why.to_string())]))
}

/// A new resource. An `id` in the body is not looked at: take it out with `take_id`.
///
/// # Errors
/// `ReadOnly`, `Invalid`.
pub fn create(
    ty: &CompiledType,
    tenant: TenantId,
    id: ResourceId,
    mut body: Map<String, Value>,
    now: Timestamp,
    event_id: EventId,
) -> Result<Decided, Refusal> {
    let decl = &ty.decl;
    body.shift_remove("id");
    for name in body.keys() {
        if IMPLICIT.contains(&name.as_str()) {
            let detail = match name.as_str() {
                "status" => format!("a new {} is `{}`; transitions change its status", decl.name, decl.lifecycle.initial),
                _ => format!("`{name}` is given by the server; leave it out"),
            };
            return Err(Refusal::ReadOnly { pointer: join("", name), detail });
        }
        if decl.read_only.contains(name) {
            let detail = format!("`{name}` is read-only: {}", who_sets(decl, name));
            return Err(Refusal::ReadOnly { pointer: join("", name), detail });
        }
    }
    for (name, default) in &decl.defaults {
        if !body.contains_key(name) {
            body.insert(name.clone(), default.clone());
        }
    }
    let resource = Resource {
        id,
        type_name: decl.name.clone(),
        tenant,
        status: decl.lifecycle.initial.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
        since: now,
        fields: ty.judge(body).map_err(Refusal::Invalid)?,
    };
    let timer = timer(decl, &resource.status, now);
    let entered = Some(resource.status.clone());
    decide(decl, None, resource, &decl.events.created, entered, timer, now, event_id)
}

/// A step of the lifecycle. No input is as good as an empty one.
///
/// # Errors
/// All but `ReadOnly`. Asked in this order: is there such a transition, may this
/// actor take it, is it possible from here, its input, its guard, the new image.
pub fn transition(
    ty: &CompiledType,
    row: &Resource,
    name: &str,
    input: Option<Value>,
    actor: Actor,
    now: Timestamp,
    event_id: EventId,
) -> Result<Decided, Refusal> {
    let decl = &ty.decl;
    let (Some(it), Some(step)) = (decl.transition(name), decl.transition(name).and_then(|it| ty.step(&it.name))) else {
        let known = decl.lifecycle.transitions.iter().map(|it| it.name.as_str());
        let suggestion = did_you_mean(name, known).and_then(|it| decl.transition(it)).map(|it| it.name.clone());
        return Err(Refusal::NoSuchTransition { requested: ringback_model::names::excerpt(name, 80), suggestion });
    };
    if !actor.covers(it.by) {
        return Err(Refusal::Forbidden { requested: it.name.clone(), needs: it.by });
    }
    if !it.from.contains(&row.status) {
        return Err(Refusal::NotAllowed {
            requested: it.name.clone(),
            current: row.status.clone(),
            from: it.from.clone(),
            allowed: next(ty, &row.status, actor),
        });
    }
    let input = checked_input(it, step, input)?;
    let scope = Scope { this: &decl.schema, input: it.input.as_ref() };
    let mut this = image(row);
    for (name, default) in &decl.defaults {
        // One that was created before the field was declared counts with its default.
        this.entry(name.clone()).or_insert_with(|| default.clone());
    }
    let given = Given::new(scope, this, input);
    let refuse = |expression: &Expr, explanation: String| Refusal::Guard {
        requested: it.name.clone(),
        expression: expression.source().to_owned(),
        explanation,
    };
    if let Some(guard) = &step.guard {
        match guard.holds(&given) {
            Ok(true) => {}
            Ok(false) => return Err(refuse(guard, guard.explain(&given))),
            Err(why) => return Err(refuse(guard, why.to_string())),
        }
    }
    let to = branch(it, step, &given, &refuse)?;
    let mut fields = row.fields.clone();
    for (name, expression) in &step.set {
        match expression.value(&given).map_err(|why| refuse(expression, why.to_string()))? {
            Value::Null => {
                fields.shift_remove(name);
            }
            value => {
                fields.insert(name.clone(), value);
            }
        }
    }
    let resource = Resource {
        status: to.clone(),
        version: row.version + 1,
        updated_at: now,
        since: now,
        fields: ty.judge(fields).map_err(Refusal::Invalid)?,
        ..row.clone()
    };
    let timer = timer(decl, &to, now);
    decide(decl, Some(row), resource, &it.event, Some(to), timer, now, event_id)
}

/// A merge-patch (RFC 7396). `None` when nothing changes. `timer` is the present
/// one; it is kept, since the status stays.
///
/// # Errors
/// `ReadOnly`, `Invalid`. A member that may not be changed may be sent as it is.
pub fn patch(
    ty: &CompiledType,
    row: &Resource,
    timer: Option<Timer>,
    merge_patch: Value,
    now: Timestamp,
    event_id: EventId,
) -> Result<Option<Decided>, Refusal> {
    let decl = &ty.decl;
    let Value::Object(mut patch) = merge_patch else {
        return Err(Refusal::Invalid(vec![violation("", "type", "a merge-patch is an object with the members to change")]));
    };
    let present = image(row);
    for name in IMPLICIT {
        let Some(given) = patch.shift_remove(name) else { continue };
        if present.get(name).is_some_and(|it| same_or_instant(it, &given)) {
            continue;
        }
        let detail = match name {
            "status" => "transitions change the status; ask `status` for those that are possible now".to_owned(),
            _ => format!("`{name}` is kept by the server; leave it out"),
        };
        return Err(Refusal::ReadOnly { pointer: join("", name), detail });
    }
    let mut fields = row.fields.clone();
    merge_patch::merge(&mut fields, &patch);
    for name in patch.keys() {
        let changed = match (row.fields.get(name), fields.get(name)) {
            (Some(was), Some(is)) => !same(was, is),
            (was, is) => was.is_some() != is.is_some(),
        };
        if !changed {
            continue;
        }
        let detail = if decl.read_only.contains(name) {
            format!("`{name}` is read-only: {}", who_sets(decl, name))
        } else if decl.immutable.contains(name) {
            format!("`{name}` keeps the value it was created with")
        } else {
            continue;
        };
        return Err(Refusal::ReadOnly { pointer: join("", name), detail });
    }
    let fields = ty.judge(fields).map_err(Refusal::Invalid)?;
    if merge_patch::previous(&row.fields, &fields).is_empty() {
        return Ok(None);
    }
    let resource = Resource { version: row.version + 1, updated_at: now, fields, ..row.clone() };
    decide(decl, Some(row), resource, &decl.events.updated, None, timer, now, event_id).map(Some)
}

/// A deletion: the event's `data` is the last image with its version raised.
#[must_use]
pub fn delete(ty: &CompiledType, row: &Resource, now: Timestamp, event_id: EventId) -> Decided {
    let resource = Resource { version: row.version + 1, updated_at: now, ..row.clone() };
    let event = event(&ty.decl, &resource, &ty.decl.events.deleted, None, None, true, now, event_id);
    Decided { resource, event, timer: None, deleted: true }
}

/// The timer of a status that is entered at `now`.
fn timer(decl: &TypeDecl, status: &StatusName, now: Timestamp) -> Option<Timer> {
    let timeout = decl.status(status)?.timeout.as_ref()?;
    Some((now + timeout.after, timeout.transition.clone()))
}

/// The input as declared. A transition without one takes nothing, `null` or `{}`.
fn checked_input(it: &Transition, step: &Step, input: Option<Value>) -> Result<Option<Value>, Refusal> {
    let input = input.filter(|it| !it.is_null());
    match (&it.input, &step.input) {
        (Some(declared), Some(validator)) => {
            let given = input.unwrap_or_else(|| Value::Object(Map::new()));
            CompiledType::judge_input(declared, validator, given).map(Some).map_err(Refusal::InputInvalid)
        }
        _ if input.as_ref().is_none_or(|it| it.as_object().is_some_and(Map::is_empty)) => Ok(None),
        _ => Err(Refusal::InputInvalid(vec![violation("", "input", format!("`{}` takes no input; send no body", it.name))])),
    }
}

/// The first branch whose condition holds.
fn branch(it: &Transition, step: &Step, given: &Given, refuse: &impl Fn(&Expr, String) -> Refusal) -> Result<StatusName, Refusal> {
    let mut last = None;
    for (branch, when) in it.to.iter().zip(&step.when) {
        let holds = match when {
            None => Ok(true),
            Some(when) => when.holds(given).map_err(|why: EvalError| refuse(when, why.to_string())),
        };
        if holds? {
            return Ok(branch.status.clone());
        }
        last = when.as_ref();
    }
    Err(match last {
        Some(when) => refuse(when, format!("no branch of `to` holds; {}", when.explain(given))),
        None => Refusal::Guard { requested: it.name.clone(), expression: String::new(), explanation: "it leads nowhere".into() },
    })
}

/// Which transitions set a read-only field, for a sentence.
fn who_sets(decl: &TypeDecl, name: &str) -> String {
    let steps: Vec<String> =
        decl.lifecycle.transitions.iter().filter(|it| it.set.iter().any(|it| it.0 == name)).map(|it| format!("`{}`", it.name)).collect();
    if steps.is_empty() { "the server keeps it".into() } else { format!("only {} can set it", steps.join(" and ")) }
}

/// Equal as values; times as instants, so that a copy in another notation is no change.
fn same_or_instant(a: &Value, b: &Value) -> bool {
    let at = |it: &Value| it.as_str().and_then(|it| it.parse::<Timestamp>().ok());
    same(a, b) || at(a).is_some_and(|it| Some(it) == at(b))
}

/// All members of a resource, as an expression sees them.
fn image(row: &Resource) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in [
        ("id", Value::from(row.id.as_str())),
        ("type", Value::from(row.type_name.as_str())),
        ("tenant", Value::from(row.tenant.as_str())),
        ("status", Value::from(row.status.as_str())),
        ("version", Value::from(row.version)),
        ("created_at", Value::from(row.created_at.to_string())),
        ("updated_at", Value::from(row.updated_at.to_string())),
    ] {
        out.insert(name.to_owned(), value);
    }
    out.extend(row.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    out
}

/// Puts a decision together, if the new image keeps the limits.
#[expect(clippy::too_many_arguments, reason = "one place where all parts of a decision meet")]
pub(crate) fn decide(
    decl: &TypeDecl,
    old: Option<&Resource>,
    resource: Resource,
    event_type: &EventType,
    entered: Option<StatusName>,
    timer: Option<Timer>,
    now: Timestamp,
    event_id: EventId,
) -> Result<Decided, Refusal> {
    let previous = old.map(|old| {
        let mut changed = Map::new();
        if old.status != resource.status {
            changed.insert("status".to_owned(), Value::from(old.status.as_str()));
        }
        changed.extend(merge_patch::previous(&old.fields, &resource.fields));
        let mut out = Vec::with_capacity(64);
        push_value(&mut out, &Value::Object(changed));
        Bytes::from(out)
    });
    let event = event(decl, &resource, event_type, previous, entered, false, now, event_id);
    // A patch or a `set` adds to what is there; without a limit a resource could grow for ever.
    if event.data.len() > limits::RESOURCE_BYTES_MAX {
        let detail = format!("it would have {} bytes; a resource has at most {}", event.data.len(), limits::RESOURCE_BYTES_MAX);
        return Err(Refusal::Invalid(vec![violation("", "size", detail)]));
    }
    if let Some((name, _)) = resource.fields.iter().find(|it| schema::depth(it.1) >= limits::JSON_DEPTH_MAX) {
        let detail = format!("it would be nested more than {} levels deep", limits::JSON_DEPTH_MAX);
        return Err(Refusal::Invalid(vec![violation(join("", name), "depth", detail)]));
    }
    Ok(Decided { resource, event, timer, deleted: false })
}

#[expect(clippy::too_many_arguments, reason = "one place where all parts of an event meet")]
pub(crate) fn event(
    decl: &TypeDecl,
    resource: &Resource,
    event_type: &EventType,
    previous: Option<Bytes>,
    entered: Option<StatusName>,
    deleted: bool,
    now: Timestamp,
    id: EventId,
) -> EventDraft {
    EventDraft {
        id,
        event_type: event_type.clone(),
        timestamp: now,
        subject: Some(Subject::of_resource(&decl.path, &resource.id)),
        data: resource.encode(),
        previous,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: decl.access.read,
        of: Some(OfResource {
            type_name: resource.type_name.clone(),
            id: resource.id.clone(),
            version: resource.version,
            entered,
            deleted,
        }),
    }
}
