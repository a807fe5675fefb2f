//! Sentences about one place of a request: the entries of a problem's `errors`.

use super::{did_you_mean, listed, shown};
use crate::FieldProblem;

/// Something about the place at `pointer`; `detail` is a whole sentence.
#[must_use]
pub fn place(pointer: &str, code: &'static str, detail: impl Into<String>) -> FieldProblem {
    FieldProblem { pointer: Some(pointer.to_owned()), parameter: None, code, detail: detail.into() }
}

/// Something about a query parameter or header; `detail` is a whole sentence.
#[must_use]
pub fn parameter(name: &str, code: &'static str, detail: impl Into<String>) -> FieldProblem {
    FieldProblem { pointer: None, parameter: Some(name.to_owned()), code, detail: detail.into() }
}

/// How a place is called in a sentence: its pointer, or "the body".
fn named(pointer: &str) -> String {
    if pointer.is_empty() { "The body".to_owned() } else { format!("`{}`", shown(pointer)) }
}

fn range(min: usize, max: usize) -> String {
    if min == 0 { format!("at most {max}") } else { format!("{min} to {max}") }
}

/// A value that breaks a rule which `detail` states whole.
#[must_use]
pub fn invalid(pointer: &str, detail: &str) -> FieldProblem {
    place(pointer, "invalid", detail)
}

/// A member that there is not; `meant` is a dotted path.
#[must_use]
pub fn unknown_field(pointer: &str, meant: Option<&str>) -> FieldProblem {
    let meant = meant.map_or_else(|| ".".to_owned(), |it| format!("; did you mean `{it}`?"));
    place(pointer, "unknown-field", format!("`{}`: no such field here{meant}", shown(pointer)))
}

/// A member that is needed; `what` says what it is for.
#[must_use]
pub fn required(pointer: &str, what: &str) -> FieldProblem {
    place(pointer, "required", format!("`{}` is required: {what}.", shown(pointer)))
}

/// A value of another kind; `expected` and `found` are such as "a string", "a number".
#[must_use]
pub fn wrong_type(pointer: &str, expected: &str, found: &str) -> FieldProblem {
    place(pointer, "invalid", format!("{} should be {expected}, and is {found}.", named(pointer)))
}

/// A value that is not among these.
#[must_use]
pub fn not_one_of(pointer: &str, given: &str, known: &[&str]) -> FieldProblem {
    let meant = did_you_mean(crate::suggest::suggest(given, known.iter().copied()));
    place(pointer, "invalid", format!("{} should be one of: {}; `{}` is none.{meant}", named(pointer), listed(known), shown(given)))
}

/// A name or time that breaks its grammar; `rule` completes "should be …".
#[must_use]
pub fn malformed(pointer: &str, given: &str, rule: &str) -> FieldProblem {
    place(pointer, "invalid", format!("{} should be {rule}; `{}` isn't.", named(pointer), shown(given)))
}

/// A number outside its range.
#[must_use]
pub fn out_of_range(pointer: &str, given: &str, min: u64, max: u64) -> FieldProblem {
    // What is cut to a smaller number has no bound of its own.
    let span = if max == u64::from(u32::MAX) { format!("{min} on") } else { format!("{min} to {max}") };
    place(pointer, "invalid", format!("{} should be a whole number from {span}, and is {}.", named(pointer), shown(given)))
}

/// A text that is too short or too long, in bytes.
#[must_use]
pub fn wrong_length(pointer: &str, bytes: usize, min: usize, max: usize) -> FieldProblem {
    place(pointer, "invalid", format!("{} should have {} bytes, and has {bytes}.", named(pointer), range(min, max)))
}

/// A list or map with too few or too many entries.
#[must_use]
pub fn wrong_count(pointer: &str, count: usize, min: usize, max: usize) -> FieldProblem {
    place(pointer, "invalid", format!("{} should have {} entries, and has {count}.", named(pointer), range(min, max)))
}

/// A member that only the server sets; `next` is a whole sentence on how to get what is meant.
#[must_use]
pub fn read_only(pointer: &str, next: &str) -> FieldProblem {
    place(pointer, "read-only-field", format!("`{}` can't be set here. {next}", shown(pointer)))
}

/// A header that is ours to write.
#[must_use]
pub fn header_reserved(pointer: &str, name: &str) -> FieldProblem {
    place(
        pointer,
        "invalid",
        format!("The header `{}` is written by the server and can't be set. Use a name of your own, such as `x-env`.", shown(name)),
    )
}

/// A header whose name or value HTTP does not allow.
#[must_use]
pub fn header_malformed(pointer: &str, name: &str) -> FieldProblem {
    place(
        pointer,
        "invalid",
        format!(
            "The header `{}` isn't one of HTTP: names are letters, digits and `-`, values are printable ASCII without spaces around them.",
            shown(name)
        ),
    )
}

/// The same header twice, in different case.
#[must_use]
pub fn header_twice(pointer: &str, name: &str) -> FieldProblem {
    place(pointer, "invalid", format!("The header `{}` is here twice: names don't depend on case. Send it once.", shown(name)))
}

/// A member that makes sense only beside another.
#[must_use]
pub fn needs(pointer: &str, other: &str) -> FieldProblem {
    place(pointer, "invalid", format!("`{}` works only together with `{other}`.", shown(pointer)))
}

/// A secret that is none; `why` is a clause such as "a secret begins with `whsec_`".
#[must_use]
pub fn secret_malformed(pointer: &str, why: &str) -> FieldProblem {
    place(pointer, "invalid", format!("`{pointer}`: {why}. Leave it out to get one."))
}

/// A scope that the role cannot have.
#[must_use]
pub fn scope_beyond_role(pointer: &str, scope: &str, role: &str) -> FieldProblem {
    place(pointer, "invalid", format!("A {role} key can't have the scope `{scope}`. Leave it out, or make an operator key."))
}
