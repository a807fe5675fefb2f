//! Tenants.

use crate::{
    Problem,
    read::{Object, Problems, Shape},
};
use ringback_model::{
    limits,
    tenant::{Metadata, Tenant},
};
use serde::Serialize;
use serde_json::Value;

/// A tenant, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantView {
    /// Chosen by the operator.
    pub id: String,
    /// For people.
    pub name: String,
    /// For the operator's programs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: String,
}

impl TenantView {
    /// The view of a tenant.
    #[must_use]
    pub fn of(it: &Tenant) -> Self {
        Self { id: it.id.to_string(), name: it.name.clone(), metadata: it.metadata.clone(), created_at: it.created_at.to_string() }
    }
}

/// The body of `PUT /v1/tenants/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutTenant {
    /// For people; the id if it is left out.
    pub name: Option<String>,
    /// For the operator's programs.
    pub metadata: Metadata,
}

const SHAPE: Shape = Shape {
    members: &["name", "metadata"],
    read_only: &[("id", "It is the last part of the path."), ("created_at", "It is the server's.")],
    paths: &["name", "metadata"],
};

impl PutTenant {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &SHAPE, &mut problems).map(|it| Self {
            name: it.text_of("name", 1, limits::DESCRIPTION_BYTES_MAX, &mut problems).map(Into::into),
            metadata: it.metadata("metadata", &mut problems).unwrap_or_default(),
        });
        problems.finish(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_read_or_refused_whole() {
        assert_eq!(PutTenant::read(&json!({})), Ok(PutTenant::default()));
        let full = PutTenant::read(&json!({"name": "Acme", "metadata": {"plan": "gold"}})).unwrap();
        assert_eq!((full.name.as_deref(), full.metadata.get("plan").map(String::as_str)), (Some("Acme"), Some("gold")));
        let refused = PutTenant::read(&json!({"name": 1, "id": "acme", "metadta": {}})).unwrap_err();
        assert_eq!(refused.errors.iter().map(|it| it.pointer.as_deref().unwrap()).collect::<Vec<_>>(), ["/id", "/metadta", "/name"]);
    }
}
