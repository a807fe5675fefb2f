//! Conditions made of conditions.

use crate::{
    ast::{Num, Operand, Term},
    eval::Fields,
    ops::Op,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::{self, Write as _};

/// A checked expression. Two-valued: each part is met or it isn't.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// One condition.
    Term(Term),
    /// All of them; none is always met.
    All(Vec<Expr>),
    /// At least one of them.
    Any(Vec<Expr>),
    /// The opposite: met where the inner one is not, missing members included.
    Not(Box<Expr>),
}

impl Expr {
    /// What everything meets.
    #[must_use]
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Whether everything meets it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(all) if all.is_empty())
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut all = Vec::new();
        for it in [self, other] {
            match it {
                Self::All(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        match <[Self; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => Self::All(all),
        }
    }

    /// Whether `fields` meets it.
    #[must_use]
    pub fn matches(&self, fields: &impl Fields) -> bool {
        match self {
            Self::Term(it) => it.matches(fields),
            Self::All(all) => all.iter().all(|it| it.matches(fields)),
            Self::Any(any) => any.iter().any(|it| it.matches(fields)),
            Self::Not(it) => !it.matches(fields),
        }
    }

    /// Conditions each of which must be met: what a planner may look at.
    pub fn conjuncts(&self) -> impl Iterator<Item = &Term> {
        let (one, all) = match self {
            Self::Term(it) => (Some(it), &[][..]),
            Self::All(all) => (None, all.as_slice()),
            Self::Any(_) | Self::Not(_) => (None, &[][..]),
        };
        one.into_iter().chain(all.iter().filter_map(|it| match it {
            Self::Term(it) => Some(it),
            _ => None,
        }))
    }

    /// All conditions in it, wherever they stand.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'a>(&'a self, out: &mut Vec<&'a Term>) {
        match self {
            Self::Term(it) => out.push(it),
            Self::All(all) | Self::Any(all) => all.iter().for_each(|it| it.collect(out)),
            Self::Not(it) => it.collect(out),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, inside: bool) -> fmt::Result {
        match self {
            Self::Term(it) => write!(f, "{it}"),
            Self::Not(it) => {
                f.write_str("NOT ")?;
                it.write(f, true)
            }
            Self::All(all) | Self::Any(all) => {
                let word = if matches!(self, Self::All(_)) { " AND " } else { " OR " };
                if inside {
                    f.write_char('(')?;
                }
                for (at, it) in all.iter().enumerate() {
                    if at > 0 {
                        f.write_str(word)?;
                    }
                    it.write(f, true)?;
                }
                if inside {
                    f.write_char(')')?;
                }
                Ok(())
            }
        }
    }
}

/// The one spelling of an expression: equal texts are equal expressions.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.path.iter().enumerate() {
            if at > 0 {
                f.write_char('.')?;
            }
            if is_plain(name) { f.write_str(name)? } else { quoted(f, name, false)? }
        }
        let sign = match self.op {
            Op::Eq | Op::Prefix => "=",
            Op::Ne | Op::NotPrefix => "!=",
            Op::Gt => ">",
            Op::Gte => ">=",
            Op::Lt => "<",
            Op::Lte => "<=",
            Op::Exists if self.operands.first() == Some(&Operand::Boolean(false)) => return f.write_str(":* IS FALSE"),
            Op::Exists => return f.write_str(":*"),
            Op::In => {
                f.write_str(" IN (")?;
                for (at, it) in self.operands.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    operand(f, it, false)?;
                }
                return f.write_char(')');
            }
        };
        write!(f, " {sign} ")?;
        self.operands.first().map_or(Ok(()), |it| operand(f, it, matches!(self.op, Op::Prefix | Op::NotPrefix)))
    }
}

/// Whether a name may stand in a path without quotes.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic() || it == b'_' || it == b'$')
        && bytes.all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'$' | b'-'))
        && !matches!(name, "AND" | "OR" | "NOT" | "IN")
}

fn operand(f: &mut fmt::Formatter<'_>, it: &Operand, star: bool) -> fmt::Result {
    match it {
        Operand::Text(it) => quoted(f, it, star),
        Operand::Number(Num::Integer(it)) => write!(f, "{it}"),
        // Always as a double: 5.0 and 5 are two operands that compare alike.
        Operand::Number(Num::Double(it)) => write!(f, "{it:?}"),
        Operand::Boolean(it) => write!(f, "{it}"),
        Operand::Instant(at) => match jiff::Timestamp::from_nanosecond(*at) {
            Ok(at) => write!(f, "\"{at}\""),
            Err(_) => write!(f, "\"{at}\""),
        },
        // From a query parameter: the value that is found decides how it is read.
        Operand::Any(it) => {
            f.write_char('~')?;
            quoted(f, it, star)
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str, star: bool) -> fmt::Result {
    f.write_char('"')?;
    for it in text.chars() {
        if matches!(it, '"' | '\\' | '*') {
            f.write_char('\\')?;
        }
        f.write_char(it)?;
    }
    f.write_str(if star { "*\"" } else { "\"" })
}

impl Term {
    /// The condition as it is written.
    #[must_use]
    pub fn written(&self) -> String {
        alloc::format!("{self}")
    }
}
