//! Whether something meets a condition.

use crate::{
    ast::{Num, Operand, Term},
    ops::Op,
    parse,
};
use alloc::string::String;
use core::cmp::Ordering;
use serde_json::{Map, Value};

/// What is found in a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'a> {
    /// A JSON value; `null` is missing.
    Value(&'a Value),
    /// A string that is kept in another form.
    Text(&'a str),
    /// An integer that is kept in another form.
    Integer(i128),
    /// An instant, in nanoseconds since 1970.
    Instant(i128),
}

/// Something that can be asked for its members.
pub trait Fields {
    /// The member at this path, names from outside in; `None` when it is missing.
    fn field(&self, path: &[String]) -> Option<Found<'_>>;

    /// How the member at this path is written, if it, or something in it, stands for no value. Only for people.
    fn verbatim(&self, _path: &[String]) -> Option<String> {
        None
    }
}

impl Fields for Map<String, Value> {
    fn field(&self, path: &[String]) -> Option<Found<'_>> {
        walk(self, path)
    }
}

/// The member at `path`, through objects only.
#[must_use]
pub fn walk<'a>(members: &'a Map<String, Value>, path: &[String]) -> Option<Found<'a>> {
    let (first, rest) = path.split_first()?;
    let found = rest.iter().try_fold(members.get(first)?, |it, name| it.as_object()?.get(name))?;
    Some(Found::Value(found))
}

/// Whether two JSON values are equal: numbers by their value (1 and 1.0 are), the rest as written.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (Num::of(a), Num::of(b)) {
            (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b))),
        _ => a == b,
    }
}

impl Term {
    /// Whether `fields` meets this condition. A missing member meets only `exists` = false.
    #[must_use]
    pub fn matches(&self, fields: &impl Fields) -> bool {
        let found = fields.field(&self.path).filter(|it| !matches!(it, Found::Value(Value::Null)));
        if self.op == Op::Exists {
            return self.operands.first() == Some(&Operand::Boolean(found.is_some()));
        }
        let Some(found) = found else { return false };
        if let (Op::Prefix | Op::NotPrefix, Some(Operand::Text(prefix))) = (self.op, self.operands.first()) {
            let text = match found {
                Found::Value(Value::String(it)) => Some(it.as_str()),
                Found::Text(it) => Some(it),
                _ => None,
            };
            return text.is_some_and(|it| it.starts_with(prefix.as_str())) == (self.op == Op::Prefix);
        }
        let compared = self.operands.first().and_then(|it| compare(found, it));
        match self.op {
            Op::Eq => compared == Some(Ordering::Equal),
            Op::Ne => compared != Some(Ordering::Equal),
            Op::Gt => compared == Some(Ordering::Greater),
            Op::Gte => matches!(compared, Some(Ordering::Greater | Ordering::Equal)),
            Op::Lt => compared == Some(Ordering::Less),
            Op::Lte => matches!(compared, Some(Ordering::Less | Ordering::Equal)),
            Op::In => self.operands.iter().any(|it| compare(found, it) == Some(Ordering::Equal)),
            Op::Exists | Op::Prefix | Op::NotPrefix => false,
        }
    }
}

/// `None` when the two have no order: they are of different kinds.
fn compare(found: Found<'_>, operand: &Operand) -> Option<Ordering> {
    match (found, operand) {
        (Found::Value(Value::String(it)), Operand::Text(text) | Operand::Any(text)) => Some(it.as_str().cmp(text)),
        (Found::Value(Value::String(it)), Operand::Instant(at)) => Some(parse::instant(it)?.cmp(at)),
        (Found::Value(Value::Number(it)), Operand::Number(number)) => Num::of(it)?.compare(*number),
        (Found::Value(Value::Number(it)), Operand::Any(text)) => Num::of(it)?.compare(parse::number(text)?),
        (Found::Value(Value::Bool(it)), Operand::Boolean(wanted)) => equality(*it, *wanted),
        (Found::Value(Value::Bool(it)), Operand::Any(text)) => equality(*it, parse::boolean(text)?),
        (Found::Text(it), Operand::Text(text) | Operand::Any(text)) => Some(it.cmp(text.as_str())),
        (Found::Integer(it), Operand::Number(number)) => Num::Integer(it).compare(*number),
        (Found::Integer(it), Operand::Any(text)) => Num::Integer(it).compare(parse::number(text)?),
        (Found::Instant(it), Operand::Instant(at)) => Some(it.cmp(at)),
        (Found::Instant(it), Operand::Any(text)) => Some(it.cmp(&parse::instant(text)?)),
        _ => None,
    }
}

/// Booleans are equal or not; neither is less.
fn equality(a: bool, b: bool) -> Option<Ordering> {
    (a == b).then_some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ast::Kind,
        parse::{split, term},
    };
    use proptest::prelude::*;
    use serde_json::json;

    #[track_caller]
    fn check(value: Value, kind: Kind, parameter: &str, text: &str, want: bool) {
        let (path, op) = split(parameter).unwrap();
        let term = term(path, op, kind, text).unwrap();
        assert_eq!(term.matches(value.as_object().unwrap()), want, "{value} {parameter}={text}");
    }

    #[test]
    fn integers_compare_exactly() {
        let big = json!({ "n": 9_007_199_254_740_993_u64 });
        check(big.clone(), Kind::Integer, "n", "9007199254740993", true);
        check(big.clone(), Kind::Integer, "n", "9007199254740992", false);
        check(big.clone(), Kind::Integer, "n[gt]", "9007199254740992", true);
        check(json!({ "n": u64::MAX }), Kind::Integer, "n[gt]", "-1", true);
        check(json!({ "n": i64::MIN }), Kind::Integer, "n[lte]", "-9223372036854775808", true);
        check(json!({ "n": 5.0 }), Kind::Integer, "n", "5", true);
        check(json!({ "n": 1.5 }), Kind::Number, "n[lt]", "2", true);
    }

    #[test]
    fn strings_compare_by_code_point() {
        check(json!({ "s": "Zebra" }), Kind::Text, "s[lt]", "apple", true);
        check(json!({ "s": "\u{ffff}" }), Kind::Text, "s[lt]", "\u{10000}", true);
        check(json!({ "s": "10" }), Kind::Text, "s[lt]", "9", true);
    }

    #[test]
    fn date_times_compare_as_instants() {
        let at = json!({ "at": "2026-11-23T18:24:44Z" });
        check(at.clone(), Kind::Instant, "at", "2026-11-23T20:24:44.000+02:00", true);
        check(at.clone(), Kind::Instant, "at[gt]", "2026-11-23T20:24:43.999999999+02:00", true);
        check(json!({ "at": "soon" }), Kind::Instant, "at[gt]", "2026-11-23T20:24:44Z", false);
    }

    #[test]
    fn missing_and_null_match_nothing() {
        for value in [json!({}), json!({ "a": null })] {
            for parameter in ["a", "a[ne]", "a[gt]", "a[lte]", "a[in]"] {
                check(value.clone(), Kind::Text, parameter, "x", false);
            }
            check(value.clone(), Kind::Text, "a[exists]", "false", true);
            check(value.clone(), Kind::Text, "a[exists]", "true", false);
            check(value, Kind::Text, "a.b[ne]", "x", false);
        }
    }

    #[test]
    fn other_operators() {
        check(json!({ "a": "x" }), Kind::Text, "a[ne]", "y", true);
        check(json!({ "a": "x" }), Kind::Text, "a[in]", "y,x", true);
        check(json!({ "a": "x" }), Kind::Text, "a[in]", "y,z", false);
        check(json!({ "a": { "b": true } }), Kind::Boolean, "a.b", "true", true);
        check(json!({ "a": { "b": true } }), Kind::Boolean, "a.b[ne]", "true", false);
        check(json!({ "a": { "b": true } }), Kind::Composite, "a[exists]", "true", true);
        check(json!({ "a": ["x"] }), Kind::Text, "a.0", "x", false);
    }

    #[test]
    fn what_is_not_declared_is_read_as_what_is_found() {
        check(json!({ "a": 7 }), Kind::Any, "a", "7", true);
        check(json!({ "a": 7 }), Kind::Any, "a[gt]", "x", false);
        check(json!({ "a": 7 }), Kind::Any, "a[ne]", "x", true);
        check(json!({ "a": "7" }), Kind::Any, "a", "7", true);
        check(json!({ "a": true }), Kind::Any, "a", "true", true);
        check(json!({ "a": [1] }), Kind::Any, "a", "1", false);
    }

    proptest! {
        #[test]
        fn an_order_is_an_order(a: i64, b: u64) {
            let row = json!({ "n": a });
            let row = row.as_object().unwrap();
            let judge = |op: &str| {
                let (path, op) = split(op).unwrap();
                term(path, op, Kind::Integer, &alloc::format!("{b}")).unwrap().matches(row)
            };
            prop_assert_eq!(judge("n[lt]"), i128::from(a) < i128::from(b));
            prop_assert_eq!(judge("n[lt]"), !judge("n[gte]"));
            prop_assert_eq!(judge("n[gt]"), !judge("n[lte]"));
            prop_assert_eq!(judge("n[eq]"), !judge("n[ne]"));
        }
    }
}
