//! Erasures: data that is taken out of the log, and of what was made from it.

use crate::{
    ids::{ErasureId, EventId},
    names::{Subject, TenantId},
    time::Timestamp,
};

/// What an erasure is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One event.
    Event(EventId),
    /// Everything about a subject: its events, and the resource, if it is one.
    Subject(Subject),
    /// Everything of the tenant.
    Tenant,
}

impl Target {
    /// One word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Subject(_) => "subject",
            Self::Tenant => "tenant",
        }
    }
}

/// An erasure that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// Whose data.
    pub tenant: TenantId,
    /// What; `None` once it is done, for that says too much itself.
    pub target: Option<Target>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How many events it has erased.
    pub erased: u64,
}

impl Erasure {
    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.target.is_none()
    }
}
