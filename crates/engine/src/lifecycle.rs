//! Decides what a creation, a transition, a patch and a deletion do.

use crate::types::CompiledType;
use core::time::Duration;
use ringback_model::{
    EventId, EventType, ResourceId, StatusName, TenantId, Timestamp, TransitionName,
    event::EventDraft,
    key::Authority,
    resource::Resource,
    subscription::Until,
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

/// Takes the client's own id out of the body of a creation.
///
/// # Errors
/// `Invalid` when there is one that is not a resource id.
pub fn take_id(body: &mut Map<String, Value>) -> Result<Option<ResourceId>, Refusal> {
    let _ = body;
    Ok(None)
}

/// A new resource.
///
/// # Errors
/// `ReadOnly`, `Invalid`.
pub fn create(
    ty: &CompiledType,
    tenant: TenantId,
    id: ResourceId,
    body: Map<String, Value>,
    now: Timestamp,
    event_id: EventId,
) -> Result<Decided, Refusal> {
    let _ = (ty, tenant, id, body, now, event_id);
    Err(Refusal::Invalid(Vec::new()))
}

/// A step of the lifecycle.
///
/// # Errors
/// All but `ReadOnly`.
pub fn transition(
    ty: &CompiledType,
    row: &Resource,
    name: &str,
    input: Option<Value>,
    actor: Actor,
    now: Timestamp,
    event_id: EventId,
) -> Result<Decided, Refusal> {
    let _ = (ty, row, name, input, actor, now, event_id);
    Err(Refusal::Invalid(Vec::new()))
}

/// A merge-patch (RFC 7396). `None` when nothing changes. `timer` is the present
/// one; it is kept, since the status stays.
///
/// # Errors
/// `ReadOnly`, `Invalid`.
pub fn patch(
    ty: &CompiledType,
    row: &Resource,
    timer: Option<Timer>,
    merge_patch: Value,
    now: Timestamp,
    event_id: EventId,
) -> Result<Option<Decided>, Refusal> {
    let _ = (ty, row, timer, merge_patch, now, event_id);
    Err(Refusal::Invalid(Vec::new()))
}

/// A deletion: the event's `data` is the last image with its version raised.
#[must_use]
pub fn delete(ty: &CompiledType, row: &Resource, now: Timestamp, event_id: EventId) -> Decided {
    let _ = (ty, row, now, event_id);
    unimplemented!()
}

/// The transitions that `actor` can take from `status`, in the order of the file.
#[must_use]
pub fn next(ty: &CompiledType, status: &StatusName, actor: Actor) -> Vec<TransitionName> {
    let _ = (ty, status, actor);
    Vec::new()
}

/// The events of these transitions, each once.
#[must_use]
pub fn next_events(ty: &CompiledType, status: &StatusName, actor: Actor) -> Vec<EventType> {
    let _ = (ty, status, actor);
    Vec::new()
}

/// Every event type that resources of this type can make, each once.
#[must_use]
pub fn event_names(ty: &CompiledType) -> Vec<EventType> {
    let _ = ty;
    Vec::new()
}

/// Whether a resource in `from` is in one of `targets`, or can still get there.
#[must_use]
pub fn reachable(ty: &CompiledType, from: &StatusName, targets: &[StatusName]) -> bool {
    let _ = (ty, from, targets);
    false
}

/// The statuses that end a wait.
#[must_use]
pub fn until_statuses(ty: &CompiledType, until: &Until) -> Vec<StatusName> {
    let _ = (ty, until);
    Vec::new()
}

/// How long a poller should wait before it asks again, in the bounds of `poll`.
#[must_use]
pub fn retry_after(ty: &CompiledType, since: Timestamp, now: Timestamp) -> Duration {
    let _ = (since, now);
    ty.decl.poll.min
}
