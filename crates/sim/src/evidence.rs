//! What judges look at: what the store holds, and what was seen.

use crate::{
    disk::{Archive, Disk, at_once},
    history::{History, Trouble, Try},
};
use ringback_model::{
    EventId, StatusName, TenantId, Timestamp, TypeName,
    delivery::{ExceptionState, Via},
    event::{Event, Place, Scope, Seq},
    subscription::{Generation, State, Subscription, Until, types_match},
};
use ringback_ports::{
    fake::MemoryStore,
    store::{Control, Deliveries, Log, ReaderState, ResourceQuery, ResourceRow, Resources, Slice, Subscriptions},
};
use ringback_service::{CompiledType, verify::verify};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

/// One subscription, as the store has it.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The subscription.
    pub subscription: Subscription,
    /// Where its reader stands.
    pub state: ReaderState,
    /// Places with a successful attempt of the present generation.
    pub delivered: BTreeSet<Place>,
    /// Retention took what lies at or below it.
    pub floor: Place,
    /// Places that a replay of the present generation delivered.
    pub replayed: BTreeSet<Place>,
    /// Places with a successful attempt of an earlier one.
    pub delivered_before: BTreeSet<Place>,
}

impl Reader {
    /// Whether it chose not to have this event.
    #[must_use]
    pub fn skipped(&self, place: Place) -> usize {
        let generation = self.subscription.generation;
        self.state.skipped.iter().filter(|it| it.generation == generation && it.from < place && place <= it.to).count()
    }

    /// Whether it chose so in an earlier life.
    #[must_use]
    pub fn skipped_before(&self, place: Place) -> bool {
        self.state.skipped.iter().any(|it| it.generation < self.subscription.generation && it.from < place && place <= it.to)
    }

    /// The events that it is owed, those that it skipped included.
    pub fn owed<'a>(&'a self, log: &'a [Arc<Event>]) -> Vec<&'a Arc<Event>> {
        let mut owed: Vec<_> = log.iter().filter(|it| wants(&self.subscription, it)).collect();
        if self.subscription.until.is_some() {
            // A one-shot is owed the first one that it did not skip.
            let first = owed.iter().position(|it| self.skipped(it.place(&self.subscription.scope)) == 0);
            owed.truncate(first.map_or(owed.len(), |it| it + 1));
        }
        owed
    }
}

/// The statuses that a one-shot waits for.
#[must_use]
pub fn awaited(until: &Until) -> Vec<StatusName> {
    match until {
        Until::Done => ["shipped", "expired"].iter().filter_map(|it| StatusName::parse(it).ok()).collect(),
        Until::Statuses(all) => all.clone(),
    }
}

/// Whether the subscription wants this event, in the plainest words.
#[must_use]
pub fn wants(subscription: &Subscription, event: &Event) -> bool {
    let place = event.place(&subscription.scope);
    let begun = subscription.revisions.first().is_some_and(|it| it.from < place);
    let Some(revision) = subscription.revisions.iter().rev().find(|it| it.from < place) else { return false };
    let entered = event.of.as_ref().and_then(|it| it.entered.as_ref());
    begun
        && (subscription.scope == Scope::All || event.tenant == subscription.tenant)
        && subscription.authority >= event.audience
        && subscription.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
        && types_match(&revision.types, &event.event_type)
        && subscription.until.as_ref().is_none_or(|it| entered.is_some_and(|entered| awaited(it).contains(entered)))
}

/// Whether the subscription, in some form that it had, wants such events, wherever they stand: what a replay may send.
#[must_use]
pub fn may_want(subscription: &Subscription, event: &Event) -> bool {
    (subscription.scope == Scope::All || event.tenant == subscription.tenant)
        && subscription.authority >= event.audience
        && subscription.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
        && subscription.revisions.iter().any(|it| types_match(&it.types, &event.event_type))
}

/// What the store held at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// The log then.
    pub log: Vec<Arc<Event>>,
    /// All readers.
    pub readers: Vec<Reader>,
    /// What `ringback verify` says of it.
    pub verified: Vec<String>,
}

/// Everything.
#[derive(Debug)]
pub struct Evidence {
    /// The log, whole.
    pub log: Vec<Arc<Event>>,
    /// Rows, deleted ones included.
    pub rows: Vec<ResourceRow>,
    /// After each crash, and at the end.
    pub snapshots: Vec<Snapshot>,
    /// Internal errors that no fault explains.
    pub unexplained: Vec<Trouble>,
    /// What did not come to an end.
    pub stuck: Option<String>,
    /// Tries in flight in all.
    pub slots: usize,
    /// What was seen.
    pub history: History,
    /// How long events are kept.
    pub keep_events: Duration,
    /// When retention took which event.
    pub removed: Vec<(Timestamp, Seq)>,
    /// What retention took, of each scope.
    pub floors: BTreeMap<Scope, Place>,
    by_id: BTreeMap<EventId, usize>,
    /// Tries that were written down, and whether a replay made them: by subscription number, event and start.
    written: BTreeMap<(u32, EventId, Timestamp), bool>,
}

impl Deref for Evidence {
    type Target = History;
    fn deref(&self) -> &History {
        &self.history
    }
}

impl Evidence {
    /// Puts it together.
    #[must_use]
    pub fn new(
        log: Vec<Arc<Event>>,
        rows: Vec<ResourceRow>,
        snapshots: Vec<Snapshot>,
        history: History,
        unexplained: Vec<Trouble>,
        stuck: Option<String>,
        slots: usize,
    ) -> Self {
        let attempts = history.settlements.iter().flat_map(|(_, of)| of.attempts.iter().map(|it| (of.subscription, it)));
        let written = attempts.map(|(no, it)| ((no, it.event, it.at), it.via == Via::Replay)).collect();
        let by_id = log.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
        Self {
            log,
            rows,
            snapshots,
            unexplained,
            stuck,
            slots,
            history,
            keep_events: Duration::ZERO,
            removed: Vec::new(),
            floors: BTreeMap::new(),
            by_id,
            written,
        }
    }

    /// What retention took of a scope's log, at the end.
    #[must_use]
    pub fn floor_of(&self, scope: &Scope) -> Place {
        self.floors.get(scope).copied().unwrap_or(0)
    }

    /// The event of this id.
    #[must_use]
    pub fn event(&self, id: EventId) -> Option<&Arc<Event>> {
        self.by_id.get(&id).map(|at| &self.log[*at])
    }

    /// Whether it was announced that retention overtakes this subscription at this place, at `by` at the latest.
    #[must_use]
    pub fn truncated(&self, subscription: &Subscription, place: Place, by: Timestamp) -> bool {
        let about = format!("/v1/subscriptions/{}", subscription.id);
        self.log.iter().any(|it| {
            let said = it.event_type.as_str() == "ringback.subscription.truncated"
                && it.tenant == subscription.tenant
                && it.subject.as_ref().is_some_and(|it| it.as_str() == about);
            let data = || serde_json::from_slice::<serde_json::Value>(&it.data()).unwrap_or_default();
            let when = self.history.durable_at.get(&it.seq).copied().unwrap_or(it.timestamp);
            said && when <= by && data()["floor"].as_u64().is_some_and(|floor| place <= floor)
        })
    }

    /// The readers at the end.
    #[must_use]
    pub fn readers(&self) -> &[Reader] {
        self.snapshots.last().map_or(&[], |it| &it.readers)
    }

    /// The subscription whose endpoint has the number `record`, as it was last stored.
    #[must_use]
    pub fn subscription(&self, record: usize) -> Option<&Subscription> {
        self.history.subscriptions.values().find(|it| self.record(it) == Some(record))
    }

    /// The number of a subscription's endpoint; `None` if it never was pushed.
    #[must_use]
    pub fn record(&self, subscription: &Subscription) -> Option<usize> {
        let forms = self.history.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        forms.iter().find_map(|(_, it)| record_of(it.url()?))
    }

    /// Where its present life began: what stands at or below that may have been dealt with in an earlier one.
    #[must_use]
    pub fn sought_to(&self, subscription: &Subscription) -> Place {
        self.history.sought.get(&(subscription.no, subscription.generation)).copied().unwrap_or(0)
    }

    /// Whether it was ever pulled.
    #[must_use]
    pub fn was_pulled(&self, subscription: &Subscription) -> bool {
        let forms = self.history.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        forms.iter().any(|(_, it)| it.push.is_none())
    }

    /// Whether something happened in between that ends all leases of a subscription, or may have: a crash, an edit.
    #[must_use]
    pub fn leases_ended(&self, subscription: &Subscription, from: Timestamp, to: Timestamp) -> bool {
        let within = |at: &Timestamp| from <= *at && *at <= to;
        let forms = self.history.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        self.history.crashes.iter().any(within) || forms.iter().any(|(at, _)| within(at))
    }

    /// Tries by (subscriber's number, event), in the order in which they started.
    #[must_use]
    pub fn tries_of(&self) -> BTreeMap<(usize, EventId), Vec<&Try>> {
        let mut out: BTreeMap<_, Vec<&Try>> = BTreeMap::new();
        for it in &self.history.tries {
            if let Some(record) = record_of(&it.url) {
                out.entry((record, it.event)).or_default().push(it);
            }
        }
        out
    }

    /// Whether a replay made this try: it says so where it was written down. One that a crash kept from
    /// being written down may have been a replay's, if one was asked for before.
    #[must_use]
    pub fn may_be_replay(&self, subscription: &Subscription, it: &Try) -> bool {
        let asked = || self.history.replayed.iter().any(|one| one.subscription == subscription.id && one.at <= it.started);
        self.written.get(&(subscription.no, it.event, it.shown)).copied().unwrap_or_else(asked)
    }

    /// As `tries_of`, without those that replays made, or may have.
    #[must_use]
    pub fn own_tries_of(&self) -> BTreeMap<(usize, EventId), Vec<&Try>> {
        let mut out = self.tries_of();
        for ((record, _), tries) in &mut out {
            if let Some(subscription) = self.subscription(*record) {
                tries.retain(|it| !self.may_be_replay(subscription, it));
            }
        }
        out
    }

    /// Whether somebody asked for a try of this delivery between these times.
    #[must_use]
    pub fn asked_for(&self, subscription: &Subscription, event: EventId, from: Timestamp, to: Timestamp) -> bool {
        self.history.manual.iter().any(|it| it.subscription == subscription.id && it.event == event && from <= it.at && it.at <= to)
    }
}

impl Evidence {
    /// Whether this try asked an endpoint that was left alone: it says so where it was
    /// written down, and no other try to that endpoint was in flight when it left. One
    /// that a crash kept from being written down may have been.
    #[must_use]
    pub fn is_probe(&self, subscription: &Subscription, it: &Try) -> bool {
        let of = |one: &&Try| one.life == it.life && record_of(&one.url) == record_of(&it.url);
        let alone = !self.history.tries.iter().filter(of).any(|other| {
            let other_is_it = other.event == it.event && other.started == it.started;
            !other_is_it && other.started <= it.started && other.ended.is_none_or(|ended| ended > it.started)
        });
        let attempts =
            self.history.settlements.iter().filter(|(_, it)| it.subscription == subscription.no).flat_map(|(_, it)| &it.attempts);
        let written: Vec<Via> = attempts.filter(|one| one.event == it.event && one.at == it.shown).map(|one| one.via).collect();
        alone && written.iter().all(|via| *via == Via::Probe)
    }
}

/// `https://acme.example/7/2`: 7.
#[must_use]
pub fn record_of(url: &str) -> Option<usize> {
    url.split('/').nth(3)?.parse().ok()
}

/// The whole log, with what retention took of it.
#[must_use]
pub fn log(disk: &Disk) -> Vec<Arc<Event>> {
    let slice = Slice { events_max: usize::MAX, bytes_max: usize::MAX };
    let mut all = disk.archive().events.clone();
    let kept = at_once(disk.memory().events_after(&Scope::All, 0, slice)).unwrap_or_default();
    all.extend(kept.into_iter().map(|it| (it.seq, it)));
    all.into_values().collect()
}

/// Rows of all resources that the store or the log knows.
#[must_use]
pub fn rows(memory: &MemoryStore, log: &[Arc<Event>]) -> Vec<ResourceRow> {
    let mut out = BTreeMap::new();
    for event in log {
        if let Some(of) = &event.of
            && let Ok(Some(row)) = at_once(memory.resource(&event.tenant, &of.type_name, &of.id))
        {
            out.insert((event.tenant.clone(), of.id.clone()), row);
        }
    }
    let Ok(type_name) = TypeName::parse("order") else { return Vec::new() };
    let tenants: Vec<TenantId> = at_once(memory.tenants()).unwrap_or_default().into_iter().map(|it| it.id).collect();
    for tenant in tenants {
        let query = ResourceQuery {
            tenant,
            type_name: type_name.clone(),
            equal: Vec::new(),
            created: (None, None),
            oldest_first: false,
            after: None,
            limit: usize::MAX,
        };
        for row in at_once(memory.resources(query)).unwrap_or_default() {
            out.insert((row.resource.tenant.clone(), row.resource.id.clone()), row);
        }
    }
    out.into_values().collect()
}

fn readers(memory: &MemoryStore, archive: &Archive) -> Vec<Reader> {
    let all = at_once(memory.subscriptions()).unwrap_or_default();
    let read = |subscription: Subscription| {
        let mut state = at_once(memory.reader(subscription.no)).ok().flatten()?;
        let tried = at_once(memory.attempt_summaries(subscription.no, 0, Place::MAX - 1)).unwrap_or_default();
        let of =
            |which: &dyn Fn(Generation) -> bool| tried.iter().filter(|it| it.succeeded_in.is_some_and(which)).map(|it| it.place).collect();
        let mut delivered: BTreeSet<Place> = of(&|it| it == subscription.generation);
        let replayed = tried.iter().filter(|it| it.replayed_in == Some(subscription.generation)).map(|it| it.place).collect();
        let delivered_before = of(&|it| it < subscription.generation);
        let floor = at_once(memory.bounds(&subscription.scope)).ok()?.floor;
        if let Some(swept) = archive.readers.get(&subscription.no) {
            let gone = swept.skipped.iter().filter(|it| it.to <= floor && !state.skipped.contains(it)).cloned();
            let gone: Vec<_> = gone.collect();
            state.skipped.extend(gone);
            delivered.extend(swept.delivered.iter().filter(|it| it.0 <= floor && it.1 == subscription.generation).map(|it| it.0));
        }
        Some(Reader { subscription, state, delivered, replayed, delivered_before, floor })
    };
    all.into_iter().filter_map(read).collect()
}

/// What the store holds now.
#[must_use]
pub fn snapshot(disk: &Disk, types: Vec<CompiledType>, at: Timestamp) -> Snapshot {
    let memory = &*disk.memory();
    let verified = match at_once(verify(memory, types)) {
        Ok(report) => {
            let unchecked = report.unchecked.into_iter().map(|it| format!("not checked: {it}"));
            report.findings.into_iter().map(|it| format!("{}: {}: {}", it.check.as_str(), it.object, it.what)).chain(unchecked).collect()
        }
        Err(why) => vec![format!("it can't be read: {why}")],
    };
    let archive = disk.archive().clone();
    Snapshot { at, log: log(disk), readers: readers(memory, &archive), verified }
}

/// What is still to be done, if anything.
#[must_use]
pub fn left_to_do(disk: &Disk) -> Option<String> {
    let memory = &*disk.memory();
    if let Ok(Some(at)) = at_once(memory.next_timer()) {
        return Some(format!("a status timeout at {at}"));
    }
    let (log, archive) = (log(disk), disk.archive().clone());
    for reader in readers(memory, &archive) {
        let (subscription, state) = (&reader.subscription, &reader.state);
        if subscription.state != State::Active {
            continue;
        }
        if let Some(it) = state.replays.first() {
            return Some(format!("{}: {} still runs: {:?}", subscription.id, it.id, it.progress));
        }
        if let Some(it) = state.exceptions.iter().find(|it| !matches!(it.state, ExceptionState::Parked { .. })) {
            return Some(format!("{}: {:?}", subscription.id, it));
        }
        for event in reader.owed(&log) {
            let place = event.place(&subscription.scope);
            let done = reader.replayed.contains(&place)
                || reader.delivered.contains(&place)
                || reader.skipped(place) > 0
                || state.exceptions.iter().any(|it| it.place == place);
            if place > state.cursor.max(reader.floor) && !done {
                return Some(format!("{}: {} at {place} is owed, the cursor is at {}", subscription.id, event.id, state.cursor));
            }
        }
    }
    None
}
