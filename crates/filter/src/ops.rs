//! How a member is compared.

/// An operator, as it stands between brackets in a query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Equal; what a parameter without brackets means.
    Eq,
    /// There, and not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Equal to one of several.
    In,
    /// There (`true`) or missing (`false`).
    Exists,
    /// Begins with; written `= "text*"` in an expression.
    Prefix,
    /// There, and does not begin with; written `!= "text*"`.
    NotPrefix,
}

impl Op {
    /// All operators that a query parameter may have.
    pub const ALL: [Self; 8] = [Self::Eq, Self::Ne, Self::Gt, Self::Gte, Self::Lt, Self::Lte, Self::In, Self::Exists];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::In => "in",
            Self::Exists => "exists",
            Self::Prefix => "= \"…*\"",
            Self::NotPrefix => "!= \"…*\"",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// Whether it asks for an order, which not every kind of value has.
    #[must_use]
    pub const fn orders(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Lt | Self::Lte)
    }
}
