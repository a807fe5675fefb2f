//! A declared type, checked: what `engine::type_check` makes of a type file.
//!
//! Values only. Expressions and schemas are kept as written here;
//! `engine::lifecycle` compiles them.

use crate::{
    key::Authority,
    names::{EventType, StatusName, TransitionName, TypeName},
};
use alloc::{string::String, vec::Vec};
use core::time::Duration;
use serde_json::Value;

/// A declared kind of resource: schema, lifecycle, path.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDecl {
    /// Unique on a server; the first segment of its events.
    pub name: TypeName,
    /// `/payment`: one to three segments, no slash at the end.
    pub path: String,
    /// What generated ids begin with, its underscore included.
    pub id_prefix: String,
    /// JSON Schema 2020-12 of the fields (`{"type":"object"}` when none was given).
    pub schema: Value,
    /// Fields that keep the value they were created with.
    pub immutable: Vec<String>,
    /// Fields that only transitions may set.
    pub read_only: Vec<String>,
    /// Values of fields that a creation leaves out.
    pub defaults: Vec<(String, Value)>,
    /// Statuses and steps.
    pub lifecycle: Lifecycle,
    /// Names of the events of creation, patch and deletion.
    pub events: ChangeEvents,
    /// Declared indexes: lists of field names.
    pub indexes: Vec<Vec<String>>,
    /// Who may do what.
    pub access: Access,
    /// Bounds of the `Retry-After` that a status answers.
    pub poll: Poll,
    /// Whether PATCH, DELETE and transitions without `If-Match` are refused (428).
    pub require_if_match: bool,
    /// Whether its truth lives elsewhere: then the only writes are PUT and DELETE with a
    /// `source_version`, there are no transitions, and `schema` has the member `source_version`.
    pub mirror: bool,
    /// Bodies that create one; shown in documents.
    pub examples: Vec<Value>,
    /// The declaration as it was given, for `GET /v1/types/{name}`.
    pub source: Value,
}

/// The statuses of a type and the steps between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle {
    /// The status of a new resource.
    pub initial: StatusName,
    /// In the order of the file.
    pub statuses: Vec<Status>,
    /// In the order of the file.
    pub transitions: Vec<Transition>,
}

/// One status.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its name.
    pub name: StatusName,
    /// Whether the outcome that people wait for is known here.
    pub done: bool,
    /// What happens by itself when a resource stays here.
    pub timeout: Option<Timeout>,
}

/// A transition that fires by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeout {
    /// Counted from when the status was entered.
    pub after: Duration,
    /// The transition that is then taken, as `system`.
    pub transition: TransitionName,
    /// Its input.
    pub input: Option<Value>,
}

/// A named step.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// `POST {path}/{id}/{name}`.
    pub name: TransitionName,
    /// Where it may be taken.
    pub from: Vec<StatusName>,
    /// Where it leads: the first branch whose `when` holds. A branch without one is last.
    pub to: Vec<Branch>,
    /// The event that it makes.
    pub event: EventType,
    /// Whose authority it needs.
    pub by: Authority,
    /// JSON Schema of its input; `None` takes no input.
    pub input: Option<Value>,
    /// CEL over `self` and `input`; false is 409 `guard-failed`.
    pub guard: Option<String>,
    /// Fields that it sets, each by a CEL expression.
    pub set: Vec<(String, String)>,
}

/// One way a transition may lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// CEL over `self` and `input` (before `set`); `None` always holds.
    pub when: Option<String>,
    /// The status it leads to.
    pub status: StatusName,
}

/// Names of the events that are not transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeEvents {
    /// Made by POST.
    pub created: EventType,
    /// Made by PATCH.
    pub updated: EventType,
    /// Made by DELETE.
    pub deleted: EventType,
}

/// Who may do what with resources of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// See them and their events.
    pub read: Authority,
    /// Make them.
    pub create: Authority,
    /// Patch them.
    pub update: Authority,
    /// Delete them.
    pub delete: Authority,
}

/// Bounds of the `Retry-After` that a status answers while it is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The least.
    pub min: Duration,
    /// The most.
    pub max: Duration,
}

impl TypeDecl {
    /// The declaration of a status.
    #[must_use]
    pub fn status(&self, name: &StatusName) -> Option<&Status> {
        self.lifecycle.statuses.iter().find(|it| it.name == *name)
    }

    /// Whether `name` is a status in which the awaited outcome is known.
    #[must_use]
    pub fn is_done(&self, name: &StatusName) -> bool {
        self.status(name).is_some_and(|it| it.done)
    }

    /// The event of a mirrored resource that comes to `status`.
    #[must_use]
    pub fn status_event(&self, status: &StatusName) -> Option<EventType> {
        EventType::parse(&alloc::format!("{}.{status}", self.name)).ok()
    }

    /// Every event type that resources of this type make, each once: creation first (of a mirror:
    /// its statuses), then the transitions in the order of the file, change, deletion.
    #[must_use]
    pub fn event_types(&self) -> Vec<EventType> {
        let mut all: Vec<EventType> = Vec::new();
        if self.mirror {
            all.extend(self.lifecycle.statuses.iter().filter_map(|it| self.status_event(&it.name)));
        } else {
            all.push(self.events.created.clone());
            all.extend(self.lifecycle.transitions.iter().map(|it| it.event.clone()));
        }
        all.extend([self.events.updated.clone(), self.events.deleted.clone()]);
        let mut once: Vec<EventType> = Vec::with_capacity(all.len());
        for it in all {
            if !once.contains(&it) {
                once.push(it);
            }
        }
        once
    }

    /// The declaration of a transition.
    #[must_use]
    pub fn transition(&self, name: &str) -> Option<&Transition> {
        self.lifecycle.transitions.iter().find(|it| it.name.as_str() == name)
    }
}
