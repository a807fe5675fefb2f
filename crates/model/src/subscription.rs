//! A subscription: a filter over the log and a position in it.
//!
//! Not here: matching and reading (`engine::window`, `engine::matching`).

use crate::{
    auth::Access,
    event::{PayloadForm, Place, Scope},
    key::Authority,
    names::{EventType, StatusName, Subject, SubscriptionId, TenantId},
    tenant::Metadata,
    time::Timestamp,
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

pub use crate::signing::{SealedSecret, Signing};

/// The life of a reader between two seeks, from 1.
pub type Generation = u32;

/// The number of a revision, from 1.
pub type RevisionNo = u32;

/// A subscription as it is kept. Its cursor moves by settlements and is kept apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// A small number that stores and delivery ids use; unique for good, given by the service.
    pub no: u32,
    /// Unique within its tenant.
    pub id: SubscriptionId,
    /// Who owns it. An operator's subscription over all tenants is owned by `default`.
    pub tenant: TenantId,
    /// Whose events it reads.
    pub scope: Scope,
    /// With whose authority it was made: what it may see and which addresses it may call.
    pub authority: Authority,
    /// For people.
    pub description: String,
    /// For programs.
    pub metadata: Metadata,
    /// Whether unknown exact event types are refused.
    pub strict: bool,
    /// Only events of this subject.
    pub subject: Option<Subject>,
    /// With `subject`: deliver once, when one of these statuses is reached.
    pub until: Option<Until>,
    /// Where it was asked to begin, as it was said: `now`, `start`, a position.
    pub from: String,
    /// Whether it is read.
    pub state: State,
    /// How it is pushed; `None` for one that is pulled.
    pub push: Option<Push>,
    /// All revisions, oldest first; never empty. The last is the current one.
    pub revisions: Vec<Revision>,
    /// The current generation.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// Raised by every edit; the ETag.
    pub version: u64,
    /// What was announced of an endpoint to which nothing arrives.
    pub failing: Option<Failing>,
}

/// How long nothing has arrived at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first try after the last success failed.
    pub since: Timestamp,
    /// Tries since then.
    pub tries: u32,
    /// How often that was announced.
    pub announced: u8,
}

/// What is matched and how it is written, from a place on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// From 1.
    pub no: RevisionNo,
    /// Events after this place (and up to the next revision's) belong to it.
    pub from: Place,
    /// Event types; empty = all (but `ringback.*`).
    pub types: Vec<TypePattern>,
    /// A condition on the event, as it was written.
    pub filter: Option<String>,
    /// How the body is written.
    pub payload: PayloadForm,
    /// Which deliveries wait for each other.
    pub order: Order,
    /// The public URL that `thin` bodies point at; no slash at its end.
    pub public_url: String,
}

/// An exact event type, or a prefix `a.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypePattern {
    /// This one.
    Exact(EventType),
    /// All below these segments; kept without the `.*`.
    Below(EventType),
}

impl TypePattern {
    /// Reads `payment.completed` or `payment.*`.
    ///
    /// # Errors
    /// When the text, without its `.*`, is not an event type.
    pub fn parse(text: &str) -> Result<Self, crate::names::NameError> {
        match text.strip_suffix(".*") {
            Some(prefix) => EventType::parse(prefix).map(Self::Below),
            None => EventType::parse(text).map(Self::Exact),
        }
    }

    /// Whether `event_type` is meant. `a.*` means what lies below `a`, not `a` itself.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self {
            Self::Exact(it) => it == event_type,
            Self::Below(prefix) => event_type.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.')),
        }
    }

    /// The first segment that it names.
    #[must_use]
    pub fn first_segment(&self) -> &str {
        match self {
            Self::Exact(it) | Self::Below(it) => it.first_segment(),
        }
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(it) => write!(f, "{it}"),
            Self::Below(it) => write!(f, "{it}.*"),
        }
    }
}

/// Whether an event type is among `types`: empty means all but `ringback.*`, which must be named.
#[must_use]
pub fn types_match(types: &[TypePattern], event_type: &EventType) -> bool {
    if types.is_empty() { event_type.first_segment() != "ringback" } else { types.iter().any(|it| it.matches(event_type)) }
}

/// Which statuses end a one-shot subscription or a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Any status declared `done`.
    Done,
    /// One of these.
    Statuses(Vec<StatusName>),
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Statuses(all) => {
                for (at, it) in all.iter().enumerate() {
                    if at > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{it}")?;
                }
                Ok(())
            }
        }
    }
}

/// Which deliveries wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// None.
    None,
    /// Those of one subject (P5).
    Subject,
}

impl Order {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Subject => "subject",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Subject].into_iter().find(|it| it.as_str() == text)
    }
}

/// Whether a subscription is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Active,
    /// Its owner stopped it; the cursor stays.
    Paused,
    /// It is read, and what matches is rendered, signed and counted, but not sent: see `engine::window`.
    Shadow,
    /// We stopped it because its endpoint said 410 twice, or because nothing arrived for days; the cursor stays.
    Suspended,
    /// A one-shot that has called, or never will.
    Done,
}

impl State {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Shadow => "shadow",
            Self::Suspended => "suspended",
            Self::Done => "done",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Shadow, Self::Suspended, Self::Done].into_iter().find(|it| it.as_str() == text)
    }
}

/// How a subscription is pushed. Changes count from the next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// As it was given; `egress` parses it again at each dial.
    pub url: String,
    /// Static headers, lower-case names.
    pub headers: Vec<(String, String)>,
    /// Deadline of one whole attempt.
    pub timeout_ms: u32,
    /// Tries in flight at once.
    pub concurrency_max: u32,
    /// Tries a second, at most; as fast as it takes them if `None`.
    pub rate_max_per_s: Option<u32>,
    /// Mean delays before the second, third … try, in seconds; one more try than entries.
    pub delays: Vec<u32>,
    /// How requests are signed.
    pub signing: Signing,
    /// Signing keys, newest first; never empty.
    pub secrets: Vec<SealedSecret>,
    /// As whom it comes, and the static headers that are secret.
    pub access: Access,
}

/// Changes of a map of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapPatch {
    /// Remove all.
    Clear,
    /// Set (`Some`) or remove (`None`) these.
    Merge(BTreeMap<String, Option<String>>),
    /// Exactly these.
    Replace(BTreeMap<String, String>),
}

impl MapPatch {
    /// The map after the changes.
    #[must_use]
    pub fn apply(&self, map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let changes = match self {
            Self::Clear => return BTreeMap::new(),
            Self::Replace(all) => return all.clone(),
            Self::Merge(changes) => changes,
        };
        let mut out = map.clone();
        for (name, change) in changes {
            match change {
                Some(value) => out.insert(name.clone(), value.clone()),
                None => out.remove(name),
            };
        }
        out
    }
}

/// The schedule when none is given (CONTRACT 5): mean delays in seconds, 15 tries in about 75 hours.
pub const DELAYS_DEFAULT: [u32; 14] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 43_200, 43_200, 43_200, 43_200];

impl Subscription {
    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// The revision that an event at `place` belongs to.
    #[must_use]
    pub fn revision_at(&self, place: Place) -> Option<&Revision> {
        self.revisions.iter().rev().find(|it| it.from < place).or_else(|| self.revisions.first())
    }

    /// The revision of this number.
    #[must_use]
    pub fn revision_no(&self, no: RevisionNo) -> Option<&Revision> {
        self.revisions.iter().find(|it| it.no == no)
    }

    /// Tries before a delivery is parked, the first one included.
    #[must_use]
    pub fn tries_max(&self) -> u32 {
        match &self.push {
            Some(push) => u32::try_from(push.delays.len()).unwrap_or(u32::MAX).saturating_add(1),
            None => crate::limits::PULL_TRIES_MAX,
        }
    }

    /// Where the tokens are fetched that it comes with; nowhere when it needs none.
    #[must_use]
    pub fn token_url(&self) -> Option<&str> {
        self.push.as_ref().and_then(|it| it.access.auth.token_url())
    }

    /// Where it is pushed to; nowhere when it is pulled.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.push.as_ref().map(|it| it.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patterns: &[&str], event_type: &str, want: bool) {
        let patterns: Vec<_> = patterns.iter().filter_map(|it| TypePattern::parse(it).ok()).collect();
        let event_type = EventType::parse(event_type).unwrap_or_else(|_| unreachable!());
        assert_eq!(types_match(&patterns, &event_type), want);
    }

    #[test]
    fn patterns_mean_whole_segments() {
        check(&["payment.*"], "payment.completed", true);
        check(&["payment.*"], "payment.a.b", true);
        check(&["payment.*"], "payment", false);
        check(&["payment.*"], "payments.completed", false);
        check(&["payment"], "payment", true);
        check(&[], "anything", true);
        check(&[], "ringback.delivery.parked", false);
        check(&["ringback.*"], "ringback.delivery.parked", true);
        assert!(TypePattern::parse("*").is_err());
        assert!(TypePattern::parse(".*").is_err());
    }
}
