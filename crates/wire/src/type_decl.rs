//! Declared types, as `GET /v1/types` lists them.

use ringback_model::type_decl::TypeDecl;
use serde::Serialize;
use serde_json::Value;

/// A type in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypeView {
    /// Its name.
    #[serde(rename = "type")]
    pub name: String,
    /// Where its resources are.
    pub path: String,
    /// `file` (read-only over HTTP) or `api`.
    pub managed_by: &'static str,
    /// All statuses.
    pub statuses: Vec<String>,
    /// Those in which the awaited outcome is known.
    pub done: Vec<String>,
    /// All transitions.
    pub transitions: Vec<String>,
    /// All event types that it makes, each once.
    pub events: Vec<String>,
    /// Whether its truth lives elsewhere; left out when it doesn't.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub mirror: bool,
    /// Bodies that create one.
    pub examples: Vec<Value>,
}

impl TypeView {
    /// The view of a declaration; `from_file` if it comes from `--types`.
    #[must_use]
    pub fn of(it: &TypeDecl, from_file: bool) -> Self {
        let lifecycle = &it.lifecycle;
        Self {
            name: it.name.to_string(),
            path: it.path.clone(),
            managed_by: if from_file { "file" } else { "api" },
            statuses: lifecycle.statuses.iter().map(|it| it.name.to_string()).collect(),
            done: lifecycle.statuses.iter().filter(|it| it.done).map(|it| it.name.to_string()).collect(),
            transitions: lifecycle.transitions.iter().map(|it| it.name.to_string()).collect(),
            events: it.event_types().iter().map(ToString::to_string).collect(),
            mirror: it.mirror,
            examples: it.examples.clone(),
        }
    }
}
