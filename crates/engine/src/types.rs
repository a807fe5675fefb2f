//! A declared type, ready to be used: its schemas and expressions compiled.

use crate::type_check::TypeProblem;
use ringback_model::type_decl::TypeDecl;
use serde_json::Value;

/// A type and everything that is compiled from it. Shared by all requests.
#[derive(Debug)]
pub struct CompiledType {
    /// What was declared.
    pub decl: TypeDecl,
}

impl CompiledType {
    /// Compiles the schemas and expressions of `decl`.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with a pointer into the declaration.
    pub fn compile(decl: TypeDecl) -> Result<Self, Vec<TypeProblem>> {
        Ok(Self { decl })
    }

    /// Checks a declaration and compiles it: `type_check::check` and `compile` in one step.
    ///
    /// # Errors
    /// As these two.
    pub fn load(source: &Value) -> Result<Self, Vec<TypeProblem>> {
        Self::compile(crate::type_check::check(source)?)
    }
}
