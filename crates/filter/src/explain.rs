//! Why something meets a condition, or doesn't: clause by clause, for people.

use crate::{
    eval::{Fields, Found},
    expr::Expr,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde_json::Value;

/// One condition of an expression, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// As it is written.
    pub clause: String,
    /// Whether it is met. Under `NOT`, what is not met lets the whole be met.
    pub matched: bool,
    /// What was found: `` `data.amount` is 500 ``.
    pub why: String,
}

/// The characters of a value that are shown.
const SHOWN_MAX: usize = 80;

impl Expr {
    /// What each condition in it says of `fields`, in the order in which they are written.
    #[must_use]
    pub fn explain(&self, fields: &impl Fields) -> Vec<Clause> {
        let one = |it: &&crate::Term| {
            let why = match fields.field(&it.path).filter(|it| !matches!(it, Found::Value(Value::Null))) {
                None => format!("`{}` is missing", it.field()),
                Some(found) => {
                    let odd = fields.verbatim(&it.path).map(|it| format!("{} (which stands for no value, and equals nothing)", cut(it)));
                    format!("`{}` is {}", it.field(), odd.unwrap_or_else(|| shown(found)))
                }
            };
            Clause { clause: it.to_string(), matched: it.matches(fields), why }
        };
        self.terms().iter().map(one).collect()
    }
}

fn shown(found: Found<'_>) -> String {
    let text = match found {
        Found::Value(it) => it.to_string(),
        Found::Text(it) => Value::from(it).to_string(),
        Found::Integer(it) => it.to_string(),
        Found::Instant(it) => jiff::Timestamp::from_nanosecond(it).map_or_else(|_| it.to_string(), |at| at.to_string()),
    };
    cut(text)
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
