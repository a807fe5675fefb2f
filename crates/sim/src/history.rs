//! What the players and the seams saw: the only thing, beside what the store
//! holds in the end, that judges look at.

use bytes::Bytes;
use core::time::Duration;
use ringback_model::{
    EventId, ResourceId, StatusName, SubscriptionId, TenantId, Timestamp,
    delivery::SkippedRange,
    event::{Place, Scope},
    resource::Version,
    subscription::{Generation, Subscription},
};
use ringback_ports::{Clock, fake::ManualClock, store::Settlement};
use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

/// One request to publish, with all its repetitions.
#[derive(Clone, Debug)]
pub struct Publish {
    /// For whom.
    pub tenant: TenantId,
    /// A number in the data of each event: no two events of a run share one.
    pub markers: Vec<u64>,
    /// Whether a try may have been stored although nobody was told.
    pub maybe: bool,
    /// What was answered: id and bytes of each event.
    pub acked: Option<Vec<(EventId, Bytes)>>,
}

/// A change of a resource that was acknowledged.
#[derive(Clone, Debug)]
pub struct Written {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: ResourceId,
    /// The version it made.
    pub version: Version,
    /// The event it made.
    pub event: EventId,
    /// The answer's body.
    pub body: Bytes,
}

/// A request that was repeated under its Idempotency-Key after it had been answered.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Who, and what.
    pub what: String,
    /// The first answer.
    pub first: Vec<u8>,
    /// The second; `None` if it was done again.
    pub again: Option<Vec<u8>>,
}

/// A subscription, as whoever made it knows it.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// Whose.
    pub tenant: TenantId,
    /// Over all tenants.
    pub all: bool,
    /// Its secret, once it is known.
    pub secret: Option<String>,
    /// Its id, once it is known.
    pub id: Option<SubscriptionId>,
    /// The most that was ever asked for.
    pub concurrency_max: usize,
    /// Until when what it wants, or in which order, was last edited.
    pub edited_at: Option<Timestamp>,
    /// It was deleted, or may have been.
    pub deleted: bool,
    /// It was pulled for a while, or is, or may have been.
    pub pulled: bool,
}

/// What one feed reader was given: pages of (event, bytes).
#[derive(Clone, Debug)]
pub struct Feed {
    /// Who reads.
    pub name: String,
    /// Whose events.
    pub scope: Scope,
    /// Whether it reads as an operator.
    pub operator: bool,
    /// Only types that begin so.
    pub prefix: Option<String>,
    /// Only of this subject.
    pub subject: Option<String>,
    /// Its pages, empty ones left out.
    pub pages: Vec<Vec<(EventId, Bytes)>>,
    /// Whether it read to the end after everything was over.
    pub finished: bool,
    /// When it asked for its last page: what was durable by then, it has seen.
    pub asked_last: Timestamp,
    /// Retention took what it would have read next: another one begins after it.
    pub cut: bool,
}

/// How a wait for a status ended.
#[derive(Clone, Debug)]
pub struct Waited {
    /// Whose resource.
    pub tenant: TenantId,
    /// Which.
    pub id: ResourceId,
    /// Awaited.
    pub until: Vec<StatusName>,
    /// When it was asked.
    pub began: Timestamp,
    /// When it was answered.
    pub ended: Timestamp,
    /// The status and version that were answered.
    pub answer: (StatusName, Version),
}

/// Events that were handed out to a worker.
#[derive(Clone, Debug)]
pub struct Handed {
    /// Who pulled.
    pub worker: String,
    /// From what.
    pub subscription: SubscriptionId,
    /// What it was given.
    pub events: Vec<(EventId, Bytes)>,
    /// When they were handed out.
    pub from: Timestamp,
    /// What the service's clock showed then.
    pub shown: Timestamp,
    /// Until when, by the service's clock, nobody else may have each: its lease, or the moment in which its end was asked for.
    pub until: BTreeMap<EventId, Timestamp>,
}

/// An ack that was sent.
#[derive(Clone, Debug)]
pub struct AckSent {
    /// Of what.
    pub subscription: SubscriptionId,
    /// Which events.
    pub events: Vec<EventId>,
    /// Those that the answer called late: settled, parked, or of an earlier life.
    pub late: Vec<EventId>,
    /// When it was answered, if it was.
    pub answered: Option<Timestamp>,
}

/// A condition of a list, as a filter and as a plain question.
pub type Condition = (Option<&'static str>, fn(&serde_json::Value) -> bool);

/// The conditions of those who keep lists of orders.
pub const CONDITIONS: [Condition; 5] = [
    (None, |_| true),
    (Some("status = \"paid\""), |it| it["status"] == "paid"),
    (Some("status IN (\"shipped\", \"returned\")"), |it| it["status"] == "shipped" || it["status"] == "returned"),
    (Some("amount >= 500"), |it| it["amount"].as_i64().is_some_and(|it| it >= 500)),
    (Some("note = \"note 1\""), |it| it["note"] == "note 1"),
];

/// What somebody saw who keeps a list by listing once and following the changes.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Who.
    pub name: String,
    /// Whose resources.
    pub tenant: TenantId,
    /// The condition, by its place in `CONDITIONS`.
    pub condition: usize,
    /// Each time that it began anew.
    pub lists: Vec<Listed>,
    /// Whether the last one was followed to the end of the log after everything was over.
    pub finished: bool,
}

/// One list, and what was told after it.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Its rows.
    pub rows: Vec<Bytes>,
    /// The changes: kind, event, resource.
    pub changes: Vec<(String, EventId, Bytes)>,
}

/// A delivery that somebody asked to be tried now.
#[derive(Clone, Debug)]
pub struct Manual {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// The event.
    pub event: EventId,
    /// When it was asked for.
    pub at: Timestamp,
}

/// A replay that somebody asked for.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// When it was asked for.
    pub at: Timestamp,
}

/// Something that went wrong inside.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// When it was said.
    pub at: Timestamp,
    /// What.
    pub why: String,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Running,
    /// We crashed.
    Cut,
    /// With this status.
    Answered(u16),
    /// The endpoint took it; we were never told.
    Lost,
    /// Otherwise.
    Failed(&'static str),
    /// It did not leave.
    Unroutable,
}

/// One try, as the network saw it.
#[derive(Clone, Debug)]
pub struct Try {
    /// In which life of the service.
    pub life: usize,
    /// Where to.
    pub url: String,
    /// `webhook-id`.
    pub event: EventId,
    /// When it left.
    pub started: Timestamp,
    /// What the service's clock showed then.
    pub shown: Timestamp,
    /// What the clock on the machine's wall showed then.
    pub wall: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What the endpoint saw.
    pub headers: Vec<(String, String)>,
    /// What the endpoint saw.
    pub body: Bytes,
    /// Whether the endpoint got it and was content.
    pub taken: bool,
    /// Whether the endpoint got it.
    pub arrived: bool,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// How it ended.
    pub end: End,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct History {
    /// Publishers.
    pub publishes: Vec<Publish>,
    /// Writers.
    pub writes: Vec<Written>,
    /// Repeated requests.
    pub replays: Vec<Replay>,
    /// Subscribers.
    pub subscribed: Vec<Subscribed>,
    /// Feed readers.
    pub feeds: Vec<Feed>,
    /// Status waiters.
    pub waits: Vec<Waited>,
    /// Workers, what they were given.
    pub handed: Vec<Handed>,
    /// Workers, what they said was done.
    pub acks: Vec<AckSent>,
    /// Those who keep lists.
    pub watched: Vec<Watched>,
    /// When the clock stepped, and by how much.
    pub steps: Vec<(Timestamp, Duration)>,
    /// Manual tries.
    pub manual: Vec<Manual>,
    /// Replays.
    pub replayed: Vec<Replayed>,
    /// Internal errors.
    pub troubles: Vec<Trouble>,
    /// The network.
    pub tries: Vec<Try>,
    /// Settlements, when they became durable.
    pub settlements: Vec<(Timestamp, Settlement)>,
    /// When each event became durable, by `seq`.
    pub durable_at: BTreeMap<u64, Timestamp>,
    /// The last stored form of each subscription ever stored.
    pub subscriptions: BTreeMap<u32, Subscription>,
    /// All stored forms of each, and when they became durable.
    pub versions: BTreeMap<u32, Vec<(Timestamp, Subscription)>>,
    /// Every stretch that was ever skipped, by subscription.
    pub skipped: BTreeMap<u32, Vec<SkippedRange>>,
    /// Where each life of a reader began that a seek began, by subscription and generation.
    pub sought: BTreeMap<(u32, Generation), Place>,
    /// When we crashed.
    pub crashes: Vec<Timestamp>,
    /// Requests of players that were answered.
    pub answered: u64,
    /// Players that never came to an end.
    pub unfinished: Vec<String>,
}

/// Keeps the history and the trace of a run.
#[derive(Debug)]
pub struct Journal {
    clock: Arc<ManualClock>,
    start: Timestamp,
    trace: Mutex<Vec<String>>,
    history: Mutex<History>,
}

impl Journal {
    /// An empty one.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        let start = clock.now();
        Self { clock, start, trace: Mutex::default(), history: Mutex::default() }
    }

    /// Adds a line to the trace.
    pub fn say(&self, what: impl Display) {
        let at = self.clock.now().since(self.start);
        let line = format!("{:>6}.{:06} {what}", at.as_secs(), at.subsec_micros());
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Reads or adds to the history.
    pub fn with<T>(&self, what: impl FnOnce(&mut History) -> T) -> T {
        what(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The trace so far.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
