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
    /// Bodies that create one.
    pub examples: Vec<Value>,
}

impl TypeView {
    /// The view of a declaration; `from_file` if it comes from `--types`.
    #[must_use]
    pub fn of(it: &TypeDecl, from_file: bool) -> Self {
        let lifecycle = &it.lifecycle;
        let mut events = Vec::new();
        let made = [&it.events.created, &it.events.updated, &it.events.deleted]
            .into_iter()
            .chain(lifecycle.transitions.iter().map(|it| &it.event));
        for event in made {
            if !events.iter().any(|known| known == event.as_str()) {
                events.push(event.to_string());
            }
        }
        Self {
            name: it.name.to_string(),
            path: it.path.clone(),
            managed_by: if from_file { "file" } else { "api" },
            statuses: lifecycle.statuses.iter().map(|it| it.name.to_string()).collect(),
            done: lifecycle.statuses.iter().filter(|it| it.done).map(|it| it.name.to_string()).collect(),
            transitions: lifecycle.transitions.iter().map(|it| it.name.to_string()).collect(),
            events,
            examples: it.examples.clone(),
        }
    }
}
