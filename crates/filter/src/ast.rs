//! A condition, as it is judged.

use crate::ops::Op;
use alloc::{string::String, vec::Vec};
use core::cmp::Ordering;

/// What kind of value a member is declared to hold: decides how text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A string that stands for an instant (format `date-time`).
    Instant,
    /// An object or an array: there or missing, nothing else can be asked.
    Composite,
    /// Nothing is declared: the value that is found decides.
    Any,
}

/// A number, integers exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    /// −2⁶³ to 2⁶⁴−1.
    Integer(i128),
    /// A finite double.
    Double(f64),
}

impl Num {
    /// The number that JSON holds.
    #[must_use]
    pub fn of(number: &serde_json::Number) -> Option<Self> {
        if let Some(it) = number.as_i64() {
            Some(Self::Integer(i128::from(it)))
        } else if let Some(it) = number.as_u64() {
            Some(Self::Integer(i128::from(it)))
        } else {
            number.as_f64().filter(|it| it.is_finite()).map(Self::Double)
        }
    }

    /// Integers exactly; as doubles when one of the two is not an integer.
    #[must_use]
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_double().partial_cmp(&b.as_double()),
        }
    }

    fn as_double(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "other numbers compare as doubles: the rule")]
            Self::Integer(it) => it as f64,
            Self::Double(it) => it,
        }
    }
}

/// What a member is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A string.
    Text(String),
    /// A number.
    Number(Num),
    /// `true` or `false`.
    Boolean(bool),
    /// Nanoseconds since 1970.
    Instant(i128),
    /// Text that is read as the value that is found: number, boolean or string.
    Any(String),
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The member: its name, or the names on the way to it. Never empty.
    pub path: Vec<String>,
    /// How it is compared.
    pub op: Op,
    /// With what: one operand, for `in` one to `IN_VALUES_MAX`; for `exists` a boolean.
    pub operands: Vec<Operand>,
}

impl Term {
    /// The path as it is written: `metadata.order`.
    #[must_use]
    pub fn field(&self) -> String {
        self.path.join(".")
    }
}
