//! The conditions of a list: `?status=completed&amount[gte]=1000`, or
//! `?filter=status = "completed" AND amount >= 1000`.
//!
//! Reads them by what the type declares, says which of them a declared index
//! serves, and judges resources. An index narrows what the store looks at; what
//! belongs to the list is always decided here.
//!
//! Not here: the order of a list and its pages (`service`), the words of
//! conditions themselves (`ringback-filter`).

use crate::{
    schema::{self, Declared},
    suggest,
    tokens::{Binding, binding},
    types::CompiledType,
};
use ringback_filter::{Fields, FilterError, Found, Kind, Num, Op, Operand, Schema, parse_expression, walk};
use ringback_model::{
    Timestamp, limits,
    names::excerpt,
    resource::{IMPLICIT, Resource},
    type_decl::TypeDecl,
};
use serde_json::Value;

pub use ringback_filter::{Expr, Term};

/// Parameters of lists that mean something else: a field of such a name can't
/// be asked for as a parameter.
pub const RESERVED: [&str; 9] = ["after", "fields", "filter", "limit", "min_position", "sort", "ticket", "wait", "watch"];

/// Why the conditions of a list are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListProblem {
    /// A query parameter that names no field, or whose text does not fit.
    Parameter {
        /// As it was sent.
        parameter: String,
        /// What is wrong, and what would be right.
        detail: String,
    },
    /// The parameter `filter`.
    Filter(FilterError),
}

/// Reads the conditions: `filter`, and `params`, the parameters that are left when
/// the route has taken its own (`limit`, `after` …). All are percent-decoded.
///
/// # Errors
/// The first one that names no declared field or operator, or whose text does
/// not fit; also when there are more than `FILTER_TERMS_MAX`.
pub fn conditions(ty: &CompiledType, filter: Option<&str>, params: &[(String, String)]) -> Result<Expr, ListProblem> {
    let mut out = Vec::new();
    for (parameter, text) in params {
        let problem = |detail: String| ListProblem::Parameter { parameter: excerpt(parameter, 100), detail };
        if out.len() >= limits::FILTER_TERMS_MAX {
            return Err(problem(format!("a list takes at most {} conditions", limits::FILTER_TERMS_MAX)));
        }
        let (path, op) = ringback_filter::split(parameter).map_err(|it| problem(it.to_string()))?;
        let kind = kind(&ty.decl, &path).map_err(&problem)?;
        let term = ringback_filter::term(path, op, kind, text).map_err(|it| problem(it.to_string()))?;
        ringback_filter::possible(&term, &ResourceSchema(&ty.decl)).map_err(&problem)?;
        out.push(Expr::Term(term));
    }
    let asked = match filter {
        None => Expr::everything(),
        Some(text) => filter_of(&ty.decl, text).map_err(ListProblem::Filter)?,
    };
    Ok(asked.and(Expr::All(out)))
}

/// Reads a filter on resources of this type.
///
/// # Errors
/// As the language's, and for members that the type does not have.
pub fn filter_of(decl: &TypeDecl, text: &str) -> Result<Expr, FilterError> {
    parse_expression(text)?.check(&ResourceSchema(decl))
}

/// What a position is bound to that a list or watch of this type made under these
/// conditions: another filter would miss what this one left out. `None` for all of them.
#[must_use]
pub fn watch_binding(decl: &TypeDecl, conditions: &Expr) -> Option<Binding> {
    (!conditions.is_everything()).then(|| binding(&["watch", decl.name.as_str(), &spelled(conditions)]))
}

/// The conditions as text, the same in whichever order they were asked.
#[must_use]
pub fn spelled(conditions: &Expr) -> String {
    match conditions {
        Expr::All(all) => {
            let mut parts: Vec<String> = all.iter().map(ToString::to_string).collect();
            parts.sort();
            parts.join(" AND ")
        }
        one => one.to_string(),
    }
}

/// What the members of a type's resources hold.
struct ResourceSchema<'a>(&'a TypeDecl);

impl Schema for ResourceSchema<'_> {
    fn kind(&self, path: &[String]) -> Result<Kind, String> {
        match path {
            // As parameters these names mean something else; in a filter nothing can be mistaken.
            [name] if RESERVED.contains(&name.as_str()) => declared_kind(self.0, path),
            _ => kind(self.0, path),
        }
    }

    /// Statuses are the type's own, and a status that resources have can't be removed from it.
    fn possible(&self, path: &[String], text: &str) -> Result<(), String> {
        let all = || self.0.lifecycle.statuses.iter().map(|it| it.name.as_str());
        if path != ["status"] || all().any(|it| it == text) {
            return Ok(());
        }
        let listed = all().take(20).collect::<Vec<_>>().join(", ");
        let meant = suggest::clause(text, all());
        Err(format!("a {} is never `{}`; its statuses are {listed}{meant}", self.0.name, excerpt(text, 60)))
    }
}

/// What kind of value a member holds.
pub(crate) fn kind(decl: &TypeDecl, path: &[String]) -> Result<Kind, String> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        [name] if RESERVED.contains(name) => return Err(format!("`{name}` can't be asked for here; use `filter`")),
        _ => {}
    }
    declared_kind(decl, path)
}

pub(crate) fn declared_kind(decl: &TypeDecl, path: &[String]) -> Result<Kind, String> {
    kind_under(decl, "", path, "neither a parameter here nor a field")
}

/// What kind of value a member holds that is asked for as `prefix` and its path. `not` is what it is said to be if there is none.
pub(crate) fn kind_under(decl: &TypeDecl, prefix: &str, path: &[String], not: &str) -> Result<Kind, String> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["version"] => return Ok(Kind::Integer),
        ["created_at" | "updated_at"] => return Ok(Kind::Instant),
        [name] if IMPLICIT.contains(name) => return Ok(Kind::Text),
        [name, ..] if IMPLICIT.contains(name) => return Err(format!("`{prefix}{name}` has no members")),
        _ => {}
    }
    match schema::declared(&decl.schema, &names) {
        Declared::As(it) => Ok(schema::kind(&decl.schema, it)),
        Declared::Open => Ok(Kind::Any),
        Declared::Not { name, known } => {
            // The very name, not one that is spelled like it further out.
            let at = names.iter().position(|it| core::ptr::eq(*it, name)).unwrap_or_default();
            let outer = names.get(..at).unwrap_or_default();
            let outer: String = outer.iter().map(|it| format!("{it}.")).collect();
            let all = known.into_iter().chain(if at == 0 { IMPLICIT.as_slice() } else { &[] }.iter().copied());
            let meant = suggest::did_you_mean(name, all).map_or_else(String::new, |it| format!("; did you mean `{prefix}{outer}{it}`?"));
            Err(format!("`{prefix}{}` is {not} of {}{meant}", excerpt(&format!("{outer}{name}"), 100), decl.name))
        }
    }
}

/// How the store can help.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Members that a declared index finds by these values; empty when none serves.
    pub equal: Vec<(String, Value)>,
    /// The span of `created_at`, its ends included, in which everything lies that meets the conditions.
    pub created: (Option<Timestamp>, Option<Timestamp>),
}

/// What of the conditions a declared index serves: of the indexes whose members
/// (`created_at` at the end apart) are all asked to equal one value, the one
/// with the most. Those in `unfilled` (their members, `created_at` at the end
/// apart) serve nothing yet. All conditions are still to be checked with `matches`.
#[must_use]
pub fn plan(decl: &TypeDecl, conditions: &Expr, unfilled: &[Vec<String>]) -> Plan {
    let bound: Vec<(String, Value)> = conditions.conjuncts().filter_map(equal).collect();
    let mut best: Vec<(String, Value)> = Vec::new();
    for index in &decl.indexes {
        let fields: Vec<&String> = index.iter().filter(|it| *it != "created_at").collect();
        if unfilled.iter().any(|it| it.iter().eq(fields.iter().copied())) {
            continue;
        }
        let found: Option<Vec<_>> = fields.into_iter().map(|name| bound.iter().find(|it| it.0 == *name).cloned()).collect();
        if let Some(found) = found.filter(|it| it.len() > best.len()) {
            best = found;
        }
    }
    Plan { equal: best, created: span(conditions) }
}

/// The span of `created_at` that the conditions leave: rounded outwards to whole microseconds.
fn span(conditions: &Expr) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut from, mut to) = (None, None);
    for term in conditions.conjuncts().filter(|it| matches!(it.path.as_slice(), [name] if name == "created_at")) {
        let [Operand::Instant(nanos)] = term.operands.as_slice() else { continue };
        let micros = |it: i128| i64::try_from(it).ok().map(Timestamp::from_micros);
        let (down, up) = (micros(nanos.div_euclid(1_000)), micros(-(-nanos).div_euclid(1_000)));
        if matches!(term.op, Op::Eq | Op::Gt | Op::Gte) {
            from = from.max(down);
        }
        if matches!(term.op, Op::Eq | Op::Lt | Op::Lte) {
            to = match (to, up) {
                (Some(a), Some(b)) => Some(core::cmp::min::<Timestamp>(a, b)),
                (a, b) => a.or(b),
            };
        }
    }
    (from, to)
}

/// A term that asks one member of the resource to equal one value that an index can hold.
fn equal(term: &Term) -> Option<(String, Value)> {
    let ([name], Op::Eq, [operand]) = (term.path.as_slice(), term.op, term.operands.as_slice()) else { return None };
    let value = match operand {
        Operand::Text(it) => Value::from(it.as_str()),
        Operand::Boolean(it) => Value::from(*it),
        Operand::Number(Num::Integer(it)) => Value::from(i64::try_from(*it).ok()?),
        // One instant has many spellings, and what is not declared may be of any kind.
        Operand::Number(Num::Double(_)) | Operand::Instant(_) | Operand::Any(_) => return None,
    };
    // The store knows the status and the fields; the other implicit members it does not index.
    (name == "status" || !IMPLICIT.contains(&name.as_str())).then(|| (name.clone(), value))
}

/// The members of the index that will serve the conditions once it is filled.
#[must_use]
pub fn index_to_come(decl: &TypeDecl, conditions: &Expr, unfilled: &[Vec<String>]) -> Option<String> {
    let whole = plan(decl, conditions, &[]).equal;
    let names: Vec<&str> = whole.iter().map(|it| it.0.as_str()).collect();
    (whole.len() > plan(decl, conditions, unfilled).equal.len()).then(|| format!("[{}, created_at]", names.join(", ")))
}

/// The index that would serve the conditions, as it would stand in the type file:
/// `[customer, created_at]`. When no term asks for equality there is none, and
/// the sentence says so.
#[must_use]
pub fn missing_index(decl: &TypeDecl, conditions: &Expr) -> String {
    let (_, fields_max) = limits::INDEXES_MAX;
    let served = plan(decl, conditions, &[]).equal;
    let mut fields: Vec<String> = Vec::new();
    for (name, _) in conditions.conjuncts().filter_map(equal) {
        if !fields.contains(&name) && fields.len() + 1 < fields_max {
            fields.push(name);
        }
    }
    if fields.is_empty() || fields.iter().all(|name| served.iter().any(|it| it.0 == *name)) {
        return "none serves this: ask for one value of a field, such as `status=…`, or narrow it by more of them".into();
    }
    fields.push("created_at".into());
    format!("[{}]", fields.join(", "))
}

/// Whether `resource` meets all conditions.
#[must_use]
pub fn matches(conditions: &Expr, resource: &Resource) -> bool {
    conditions.matches(&Members(resource))
}

/// A resource's members, the implicit ones included.
pub(crate) struct Members<'a>(pub(crate) &'a Resource);

impl Fields for Members<'_> {
    fn field(&self, path: &[String]) -> Option<Found<'_>> {
        let it = self.0;
        let nanos = |at: ringback_model::Timestamp| Found::Instant(i128::from(at.as_micros()) * 1_000);
        let [name] = path else { return walk(&it.fields, path) };
        Some(match name.as_str() {
            "id" => Found::Text(it.id.as_str()),
            "type" => Found::Text(it.type_name.as_str()),
            "tenant" => Found::Text(it.tenant.as_str()),
            "status" => Found::Text(it.status.as_str()),
            "version" => Found::Integer(i128::from(it.version)),
            "created_at" => nanos(it.created_at),
            "updated_at" => nanos(it.updated_at),
            _ => return walk(&it.fields, path),
        })
    }
}

#[cfg(test)]
mod tests;
