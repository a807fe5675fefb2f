//! Reads a type declaration, short or full form, strictly.

use ringback_model::type_decl::TypeDecl;
use serde_json::Value;

/// One thing that is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeProblem {
    /// Where: a JSON pointer into the declaration, `` for all of it.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// Reads a declaration.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file; never empty.
pub fn check(source: &Value) -> Result<TypeDecl, Vec<TypeProblem>> {
    let _ = source;
    Err(Vec::new())
}

/// What is wrong with these types beside each other: too many, a name twice,
/// a path that is another's or its beginning. The pointer is the type's name.
#[must_use]
pub fn check_all(types: &[&TypeDecl]) -> Vec<TypeProblem> {
    let _ = types;
    Vec::new()
}
