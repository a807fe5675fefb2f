//! The conditions of a list: `?status=completed&amount[gte]=1000`.

use crate::types::CompiledType;
pub use ringback_filter::Term;
use ringback_model::{resource::Resource, type_decl::TypeDecl};
use serde_json::Value;

/// A query parameter that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListProblem {
    /// As it was sent.
    pub parameter: String,
    /// The public code: `bad-parameter`.
    pub code: &'static str,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// Reads the conditions. `params` are the parameters that are left when the
/// route has taken its own (`limit`, `after` …), percent-decoded.
///
/// # Errors
/// The first one that names no declared field or operator, or whose text does not fit.
pub fn terms(ty: &CompiledType, params: &[(String, String)]) -> Result<Vec<Term>, ListProblem> {
    let _ = (ty, params);
    Ok(Vec::new())
}

/// How the store can help.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Members that a declared index finds by these values; empty when none serves.
    pub equal: Vec<(String, Value)>,
}

/// What of `terms` a declared index serves. All terms are still to be checked with `matches`.
#[must_use]
pub fn plan(decl: &TypeDecl, terms: &[Term]) -> Plan {
    let _ = (decl, terms);
    Plan::default()
}

/// The index that would serve `terms`, as it would stand in the type file: `[customer, created_at]`.
#[must_use]
pub fn missing_index(decl: &TypeDecl, terms: &[Term]) -> String {
    let _ = (decl, terms);
    String::new()
}

/// Whether `resource` meets all conditions.
#[must_use]
pub fn matches(terms: &[Term], resource: &Resource) -> bool {
    let _ = (terms, resource);
    true
}
