//! Whether what is kept keeps the promises: the checks of `ringback verify`.
//!
//! Each check is a pure question about a little of the data; whoever walks
//! through all of it asks them one after the other (`service::verify`). They are
//! written from the promises, not from the code that keeps them.
//!
//! Not here: reading (`service::verify`), whether a subscription wants an event (`matching`).

use crate::json;
use core::fmt;
use ringback_model::{
    TenantId,
    delivery::SkippedRange,
    event::{Event, Place, Scope, Seq, Sequence},
    odd,
    resource::Resource,
    subscription::Generation,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// P3: places are dense, and change sets are whole.
    Sequence,
    /// An event's bytes say what the log says of it.
    Event,
    /// P2: each event of a resource is one version of it, and each version is an event.
    Version,
    /// P2: a resource is what its last event made of it.
    Resource,
    /// P11: each delivery at or below the cursor has exactly one account of what became of it.
    Conservation,
    /// A row belongs to something that is there.
    Orphan,
    /// The files are what the storage engine wrote.
    Storage,
}

impl Check {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Event => "event",
            Self::Version => "version",
            Self::Resource => "resource",
            Self::Conservation => "conservation",
            Self::Orphan => "orphan",
            Self::Storage => "storage",
        }
    }
}

/// One thing that is not as promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What it is about: an event, a resource, a subscription, a tenant.
    pub object: String,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// A finding.
    pub fn new(check: Check, object: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { check, object: object.to_string(), what: what.into() }
    }
}

/// Looks at the events of the whole log, one after the other.
#[derive(Debug)]
pub struct LogCheck {
    /// The last one; `None` before the first where retention took some.
    seq: Option<Seq>,
    /// Whether the log is there from its beginning.
    whole: bool,
    sequences: BTreeMap<TenantId, Sequence>,
    /// Whose change set has begun and not ended.
    open: Option<TenantId>,
}

impl LogCheck {
    /// One that knows that retention took events at or below `floor`.
    #[must_use]
    pub fn after(floor: Seq) -> Self {
        let whole = floor == 0;
        Self { seq: whole.then_some(0), whole, sequences: BTreeMap::new(), open: None }
    }

    /// What is wrong with the next event.
    pub fn event(&mut self, event: &Event) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut say = |check, what: String| found.push(Finding::new(check, event.id, what));
        if let Some(last) = self.seq
            && event.seq != last + 1
        {
            say(Check::Sequence, format!("it stands at {} of the log, after {last}", event.seq));
        }
        let last = self.sequences.insert(event.tenant.clone(), event.sequence);
        match last {
            Some(last) if event.sequence != last + 1 => {
                say(Check::Sequence, format!("it has sequence {} of {}, after {last}", event.sequence, event.tenant));
            }
            None if self.whole && event.sequence != 1 => {
                say(Check::Sequence, format!("it is the first of {} and has sequence {}", event.tenant, event.sequence));
            }
            _ => {}
        }
        self.seq = Some(event.seq);
        if let Some(open) = &self.open
            && *open != event.tenant
        {
            say(Check::Sequence, format!("it stands inside a change set of {open}"));
        }
        self.open = (!event.ends_change_set).then(|| event.tenant.clone());
        found.extend(bytes(event));
        found
    }

    /// What is wrong with the log once its last event was looked at.
    #[must_use]
    pub fn end(&self) -> Option<Finding> {
        let open = self.open.as_ref()?;
        Some(Finding::new(Check::Sequence, open, "its last change set has no end"))
    }

    /// Tenants that have events.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.sequences.len()
    }
}

/// What is wrong with an event's bytes.
fn bytes(event: &Event) -> Vec<Finding> {
    let wrong = |what: String| Finding::new(Check::Event, event.id, what);
    let Some(value) = odd::comparable(&event.bytes) else { return vec![wrong("its bytes are not JSON".into())] };
    let mut found = Vec::new();
    // Read as it was when it came in: what stands for no value is well-formed.
    if let Err(why) = json::compact(&event.data())
        && event.of.is_none()
    {
        found.push(wrong(format!("its data is no JSON that is taken: {why}")));
    }
    let mut expect = |pointer: &str, want: Value| {
        let got = value.pointer(pointer).cloned().unwrap_or_default();
        if got != want {
            found.push(wrong(format!("its bytes say {pointer} is {got}, the log says {want}")));
        }
    };
    expect("/id", event.id.to_string().into());
    expect("/type", event.event_type.as_str().into());
    expect("/tenant", event.tenant.as_str().into());
    expect("/sequence", event.sequence.into());
    expect("/timestamp", event.timestamp.to_string().into());
    expect("/subject", event.subject.as_ref().map_or(Value::Null, |it| it.as_str().into()));
    if let Some(at) = event.erased_at {
        expect("/erased_at", at.to_string().into());
        expect("/data", Value::Null);
    } else if let Some(of) = &event.of {
        expect("/data/id", of.id.as_str().into());
        expect("/data/type", of.type_name.as_str().into());
        expect("/data/version", of.version.into());
        if let Some(entered) = &of.entered {
            expect("/data/status", entered.as_str().into());
        }
    }
    found
}

/// What is wrong with a resource's row, given the event that made its version (`None` where the log has none).
#[must_use]
pub fn resource(row: &Resource, deleted: bool, made_by: Option<&Event>) -> Option<Finding> {
    let name = name_of(row);
    let Some(event) = made_by else {
        return Some(Finding::new(Check::Resource, name, format!("no event made its version {}", row.version)));
    };
    let was_deleted = event.of.as_ref().is_some_and(|it| it.deleted);
    if was_deleted != deleted {
        let (is, was) = (if deleted { "deleted" } else { "there" }, if was_deleted { "deleted it" } else { "did not delete it" });
        return Some(Finding::new(Check::Resource, name, format!("it is {is}, and {} {was}", event.id)));
    }
    (row.encode() != event.data()).then(|| Finding::new(Check::Resource, name, format!("it is not what {} made of it", event.id)))
}

/// How findings name a resource: tenant, type and id.
#[must_use]
pub fn name_of(it: &Resource) -> String {
    format!("{}: {} {}", it.tenant, it.type_name, it.id)
}

/// What is known of one event that one subscription is owed.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Where the event stands.
    pub place: Place,
    /// The reader's low-water mark.
    pub cursor: Place,
    /// The reader's present life.
    pub generation: Generation,
    /// The last generation in which a try succeeded; those of replays apart.
    pub delivered_in: Option<Generation>,
    /// The last generation in which a replay's try succeeded.
    pub replayed_in: Option<Generation>,
    /// The generation of its exception, if it has one.
    pub exception_of: Option<Generation>,
    /// All skipped ranges of the subscription.
    pub skipped: &'a [SkippedRange],
}

/// P11 for one delivery: what is wrong with it, in words.
///
/// Of this generation there is at most one account: a success, an exception or a
/// skipped range. At or below the cursor there is one, be it of an earlier
/// generation: a seek keeps what is below its target. What a replay delivered is one
/// only where nothing else is: it took the place of the parked exception that it
/// removed, so no exception is beside it.
#[must_use]
pub fn conservation(it: &Account<'_>) -> Option<String> {
    let ranges = |of: &dyn Fn(Generation) -> bool| {
        it.skipped.iter().filter(|range| of(range.generation) && range.from < it.place && it.place <= range.to).count()
    };
    let now = |generation: Generation| generation == it.generation;
    let success = usize::from(it.delivered_in.is_some_and(now));
    let exception = usize::from(it.exception_of.is_some());
    let skipped = ranges(&now);
    let accounts = success + exception + skipped;
    let said = || format!("{success} successes, {exception} exceptions and {skipped} skipped ranges");
    if accounts > 1 {
        return Some(format!("it has {}, and one account is the most", said()));
    }
    let replayed = it.replayed_in.is_some_and(now);
    if replayed && exception > 0 {
        return Some("a replay delivered it, and its exception is still there".into());
    }
    if replayed {
        return None;
    }
    let earlier = it.generation > 1 && (it.delivered_in.is_some() || it.replayed_in.is_some() || ranges(&|of| of < it.generation) > 0);
    if accounts == 0 && it.place <= it.cursor && !earlier {
        return Some(format!("it is at or below the cursor ({}) and has {}: nothing says what became of it", it.cursor, said()));
    }
    None
}

/// Where an event stands for a reader of `scope`, as findings name it.
#[must_use]
pub fn at(event: &Event, scope: &Scope) -> String {
    format!("{} at {}", event.id, event.place(scope))
}

#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;
