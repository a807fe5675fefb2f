//! Conditions from query parameters: `status=completed`, `amount[gte]=1000`.

use crate::{
    IN_VALUES_MAX,
    ast::{Kind, Num, Operand, Term},
    ops::Op,
};
use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// Why a parameter is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not `field`, `field[op]` or `a.b[op]`.
    #[error("a condition is written `field=value` or `field[op]=value`")]
    Malformed,
    /// No such operator.
    #[error("there is no operator `{op}`; there are eq, ne, gt, gte, lt, lte, in and exists")]
    UnknownOp {
        /// What stood between the brackets.
        op: String,
    },
    /// The text is not a value of the declared kind.
    #[error("`{text}` is not {wanted}")]
    Unfit {
        /// The beginning of what was given.
        text: String,
        /// With its article: `an integer`.
        wanted: &'static str,
    },
    /// The declared kind has no such comparison.
    #[error("`{op}` can't be asked of {of}")]
    OpUnfit {
        /// The operator.
        op: &'static str,
        /// With its article: `a boolean`.
        of: &'static str,
    },
    /// Too many values of one `in`.
    #[error("`in` takes at most {IN_VALUES_MAX} values")]
    TooManyValues,
}

/// Takes a parameter's name apart: the path and the operator.
///
/// # Errors
/// `Malformed`, `UnknownOp`.
pub fn split(parameter: &str) -> Result<(Vec<String>, Op), ParseError> {
    let (field, op) = match parameter.split_once('[') {
        None => (parameter, Op::Eq),
        Some((field, rest)) => {
            let op = rest.strip_suffix(']').ok_or(ParseError::Malformed)?;
            (field, Op::parse(op).ok_or_else(|| ParseError::UnknownOp { op: op.chars().take(20).collect() })?)
        }
    };
    let path: Vec<String> = field.split('.').map(ToOwned::to_owned).collect();
    if path.iter().any(|it| it.is_empty() || it.contains(['[', ']'])) { Err(ParseError::Malformed) } else { Ok((path, op)) }
}

/// The condition that `text` means for a member of this kind.
///
/// # Errors
/// `Unfit`, `OpUnfit`, `TooManyValues`.
pub fn term(path: Vec<String>, op: Op, kind: Kind, text: &str) -> Result<Term, ParseError> {
    let operands = match op {
        Op::Exists => vec![operand(Kind::Boolean, text)?],
        _ if kind == Kind::Composite => return Err(ParseError::OpUnfit { op: op.as_str(), of: "an object or a list; ask `exists`" }),
        _ if op.orders() && kind == Kind::Boolean => return Err(ParseError::OpUnfit { op: op.as_str(), of: "a boolean" }),
        Op::In => {
            let texts: Vec<&str> = text.split(',').take(IN_VALUES_MAX + 1).collect();
            if texts.len() > IN_VALUES_MAX {
                return Err(ParseError::TooManyValues);
            }
            texts.into_iter().map(|it| operand(kind, it)).collect::<Result<_, _>>()?
        }
        _ => vec![operand(kind, text)?],
    };
    Ok(Term { path, op, operands })
}

pub(crate) fn operand(kind: Kind, text: &str) -> Result<Operand, ParseError> {
    let unfit = |wanted| ParseError::Unfit { text: text.chars().take(60).collect(), wanted };
    match kind {
        Kind::Text => Ok(Operand::Text(text.to_string())),
        Kind::Any | Kind::Composite => Ok(Operand::Any(text.to_string())),
        Kind::Integer => match number(text) {
            Some(it @ Num::Integer(_)) => Ok(Operand::Number(it)),
            _ => Err(unfit("an integer between -2^63 and 2^64-1")),
        },
        Kind::Number => number(text).map(Operand::Number).ok_or_else(|| unfit("a number")),
        Kind::Boolean => boolean(text).map(Operand::Boolean).ok_or_else(|| unfit("`true` or `false`")),
        Kind::Instant => instant(text).map(Operand::Instant).ok_or_else(|| unfit("an RFC 3339 time such as 2026-11-23T18:24:44Z")),
    }
}

/// By the grammar of JSON: no `+1`, no `inf`, no white space.
pub(crate) fn number(text: &str) -> Option<Num> {
    let first = text.as_bytes().first()?;
    let last = text.as_bytes().last()?;
    if !(first.is_ascii_digit() || *first == b'-') || !last.is_ascii_digit() {
        return None;
    }
    serde_json::from_str::<serde_json::Number>(text).ok().as_ref().and_then(Num::of)
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The instant that an RFC 3339 text means, in nanoseconds since 1970.
#[must_use]
pub fn instant(text: &str) -> Option<i128> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(parameter: &str, kind: Kind, text: &str, want: Result<(&str, Op, Vec<Operand>), &str>) {
        let got = split(parameter).and_then(|(path, op)| term(path, op, kind, text));
        match (got, want) {
            (Ok(it), Ok((field, op, operands))) => assert_eq!((it.field().as_str(), it.op, it.operands), (field, op, operands)),
            (Err(it), Err(want)) => assert_eq!(it.to_string(), want),
            (got, want) => panic!("{parameter}={text}: got {got:?}, want {want:?}"),
        }
    }

    fn int(it: i128) -> Operand {
        Operand::Number(Num::Integer(it))
    }

    #[test]
    fn conditions_are_read() {
        check("status", Kind::Text, "completed", Ok(("status", Op::Eq, vec![Operand::Text("completed".into())])));
        check("amount[gte]", Kind::Integer, "1000", Ok(("amount", Op::Gte, vec![int(1000)])));
        check("amount[lt]", Kind::Integer, "-9223372036854775808", Ok(("amount", Op::Lt, vec![int(i128::from(i64::MIN))])));
        check("amount[in]", Kind::Integer, "1,2", Ok(("amount", Op::In, vec![int(1), int(2)])));
        check("a.b[ne]", Kind::Boolean, "true", Ok(("a.b", Op::Ne, vec![Operand::Boolean(true)])));
        check("a[exists]", Kind::Composite, "false", Ok(("a", Op::Exists, vec![Operand::Boolean(false)])));
        check("price", Kind::Number, "1.5", Ok(("price", Op::Eq, vec![Operand::Number(Num::Double(1.5))])));
        check("at[gt]", Kind::Instant, "1970-01-01T01:00:01+01:00", Ok(("at", Op::Gt, vec![Operand::Instant(1_000_000_000)])));
        check("customer", Kind::Any, "7", Ok(("customer", Op::Eq, vec![Operand::Any("7".into())])));
        check("customer", Kind::Text, "", Ok(("customer", Op::Eq, vec![Operand::Text(String::new())])));
    }

    #[test]
    fn others_are_refused() {
        let many = vec!["1"; IN_VALUES_MAX + 1].join(",");
        let whole = "an integer between -2^63 and 2^64-1";
        check("amount[ge]", Kind::Integer, "1", Err("there is no operator `ge`; there are eq, ne, gt, gte, lt, lte, in and exists"));
        for bad in ["", ".", "a.", "a[gte", "a[gte]x", "[gte]", "a]"] {
            check(bad, Kind::Integer, "1", Err("a condition is written `field=value` or `field[op]=value`"));
        }
        for bad in ["x", "", "1.5", "+1", " 1", "1 ", "1e3", "18446744073709551616", "0x1", "-"] {
            check("amount", Kind::Integer, bad, Err(&alloc::format!("`{bad}` is not {whole}")));
        }
        for bad in ["inf", "NaN", "1e999", "", "1."] {
            check("price", Kind::Number, bad, Err(&alloc::format!("`{bad}` is not a number")));
        }
        check("amount[in]", Kind::Integer, "1,,2", Err(&alloc::format!("`` is not {whole}")));
        check("ok", Kind::Boolean, "1", Err("`1` is not `true` or `false`"));
        check("ok[gt]", Kind::Boolean, "true", Err("`gt` can't be asked of a boolean"));
        check("ok[exists]", Kind::Boolean, "yes", Err("`yes` is not `true` or `false`"));
        check("failure", Kind::Composite, "x", Err("`eq` can't be asked of an object or a list; ask `exists`"));
        check("at", Kind::Instant, "today", Err("`today` is not an RFC 3339 time such as 2026-11-23T18:24:44Z"));
        check("amount[in]", Kind::Integer, &many, Err("`in` takes at most 100 values"));
    }

    proptest! {
        #[test]
        fn nothing_panics(parameter in ".{0,20}", text in ".{0,30}", kind in 0usize..7) {
            let kinds = [Kind::Text, Kind::Integer, Kind::Number, Kind::Boolean, Kind::Instant, Kind::Composite, Kind::Any];
            if let Ok((path, op)) = split(&parameter) {
                let _ = term(path, op, kinds[kind], &text);
            }
        }
    }
}
