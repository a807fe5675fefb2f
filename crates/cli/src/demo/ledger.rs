//! The truth, kept apart from those who act: what was acknowledged to the
//! demo's writers, what the log says in the end, and what each receiver got.
//!
//! The judge trusts nobody's counters. He reads the whole feed after the last
//! write and compares it, event by event, with what was acknowledged and with
//! what arrived.

use super::{
    http::{Ask, Client},
    stats,
};
use ringback_model::time::Timestamp;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Refusals and failures that are kept to be shown.
const COMPLAINTS_MAX: usize = 5;

/// The demo's payments are `demo-1`, `demo-2`, … so that a newcomer who joins
/// in may take any other id.
pub(super) fn payment_number(id: &str) -> Option<u64> {
    id.strip_prefix("demo-")?.parse().ok()
}

/// The path of payment `number`.
pub(super) fn payment_path(number: u64) -> String {
    format!("/payment/demo-{number}")
}

/// A change of a payment: its number, and the version that the change made.
pub(super) type Change = (u64, u32);

/// What the writers were told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    acknowledged: BTreeSet<Change>,
    created: u64,
    done: u64,
    complaints: Vec<String>,
    complaints_count: u64,
}

/// How far the writers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Changes that were acknowledged.
    pub(super) acknowledged: u64,
    /// Payments that were created.
    pub(super) created: u64,
    /// Payments whose outcome was written.
    pub(super) done: u64,
}

impl Ledger {
    /// A 2xx came for this change.
    pub(super) fn acknowledge(&self, change: Change, written: Written) {
        let mut inner = self.lock();
        if inner.acknowledged.insert(change) {
            match written {
                Written::Creation => inner.created += 1,
                Written::Outcome => inner.done += 1,
                Written::Step => {}
            }
        }
    }

    /// Something that must not happen happened; the demo will end with failure.
    pub(super) fn complain(&self, what: String) {
        let mut inner = self.lock();
        inner.complaints_count += 1;
        if inner.complaints.len() < COMPLAINTS_MAX {
            inner.complaints.push(what);
        }
    }

    /// What was complained about, the first few in words, and how often in all.
    pub(super) fn complaints(&self) -> (Vec<String>, u64) {
        let inner = self.lock();
        (inner.complaints.clone(), inner.complaints_count)
    }

    pub(super) fn progress(&self) -> Progress {
        let inner = self.lock();
        Progress { acknowledged: inner.acknowledged.len() as u64, created: inner.created, done: inner.done }
    }

    /// Every change that was acknowledged.
    pub(super) fn acknowledged(&self) -> BTreeSet<Change> {
        self.lock().acknowledged.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a write did to its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Creation,
    /// A status on the way, or after the outcome.
    Step,
    Outcome,
}

/// An event, read from the feed or received: the members that the demo needs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) timestamp: String,
    pub(super) data: Image,
}

/// An event's data: a payment, or what `thin` has in its place.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Image {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) version: u32,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) amount: Option<u64>,
}

impl Event {
    /// When the server decided the change.
    pub(super) fn at(&self) -> Timestamp {
        self.timestamp.parse().unwrap_or_default()
    }

    /// Which change of which of the demo's payments this is.
    pub(super) fn change(&self) -> Option<Change> {
        Some((payment_number(&self.data.id)?, self.data.version))
    }

    /// True for the event by which a payment's outcome became known.
    pub(super) fn is_outcome(&self) -> bool {
        matches!(self.kind.as_str(), "payment.completed" | "payment.failed")
    }
}

/// The feed, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Feed {
    cursor: Option<String>,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Event>,
    cursor: String,
    #[serde(default)]
    has_more: bool,
}

impl Feed {
    /// Reads on to the end of the feed, from the very start at first.
    pub(super) async fn catch_up(&mut self, client: &Client) -> Result<(), String> {
        loop {
            let after = self.cursor.as_deref().unwrap_or("start");
            let path = format!("/v1/events?types=payment.*&limit=1000&after={after}");
            let answer = client.ask(Ask::get(&path)).await.map_err(|it| it.to_string())?;
            if !answer.good() {
                return Err(answer.complaint());
            }
            let page: Page = answer.json().ok_or("a page of the feed that isn't one")?;
            self.events.extend(page.data);
            self.cursor = Some(page.cursor);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Everything read so far.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }
}

/// What the judge found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Changes that were acknowledged to the demo's writers, or stand in the log by another's hand.
    pub(super) acknowledged: u64,
    /// Of these, those that every receiver got.
    pub(super) delivered: u64,
    /// Of these, those that the log hasn't, or that a receiver didn't get: a few in words.
    pub(super) lost_examples: Vec<String>,
    /// How often a status changed after creation.
    pub(super) statuses: u64,
    /// `λ`: changes a second of one payment until its outcome was known.
    pub(super) rate: f64,
    /// When each payment's outcome was decided.
    pub(super) outcomes: BTreeMap<u64, Timestamp>,
}

impl Verdict {
    /// How many are lost.
    pub(super) const fn lost(&self) -> u64 {
        self.acknowledged - self.delivered
    }
}

/// Compares the log with what was acknowledged and with what each receiver got.
pub(super) fn judge(log: &[Event], acknowledged: &BTreeSet<Change>, receivers: &[(&str, BTreeSet<String>)]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut in_log = BTreeSet::new();
    let mut born = BTreeMap::new();
    let (mut changes_while_open, mut open) = (0_u64, Duration::ZERO);
    let lose = |verdict: &mut Verdict, what: String| {
        if verdict.lost_examples.len() < COMPLAINTS_MAX {
            verdict.lost_examples.push(what);
        }
    };

    for event in log {
        verdict.acknowledged += 1;
        let missing: Vec<&str> = receivers.iter().filter(|(_, got)| !got.contains(&event.id)).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            verdict.delivered += 1;
        } else {
            lose(&mut verdict, format!("{} {} of {} never reached: {}", event.kind, event.id, event.data.id, missing.join(", ")));
        }
        let Some((payment, version)) = event.change() else { continue };
        in_log.insert((payment, version));
        if version == 1 {
            born.insert(payment, event.at());
            continue;
        }
        verdict.statuses += 1;
        if !verdict.outcomes.contains_key(&payment) {
            changes_while_open += 1;
        }
        if event.is_outcome() {
            verdict.outcomes.insert(payment, event.at());
            open += event.at().since(born.get(&payment).copied().unwrap_or(event.at()));
        }
    }
    for (payment, version) in acknowledged.difference(&in_log) {
        verdict.acknowledged += 1;
        lose(&mut verdict, format!("{} version {version} was acknowledged and is not in the log", payment_path(*payment)));
    }
    verdict.rate = stats::rate(changes_while_open, open);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, kind: &str, payment: u64, version: u32, second: u32) -> Event {
        Event {
            id: id.to_owned(),
            kind: kind.to_owned(),
            timestamp: format!("2026-11-23T18:24:{second:02}.000000Z"),
            data: Image { id: format!("demo-{payment}"), version, ..Image::default() },
        }
    }

    fn log() -> Vec<Event> {
        vec![
            event("evt_1", "payment.created", 1, 1, 10),
            event("evt_2", "payment.processing", 1, 2, 11),
            event("evt_3", "payment.completed", 1, 3, 14),
            event("evt_4", "payment.refunded", 1, 4, 20),
        ]
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|it| (*it).to_owned()).collect()
    }

    const ALL: [&str; 4] = ["evt_1", "evt_2", "evt_3", "evt_4"];

    #[test]
    fn nothing_is_lost_when_everybody_has_everything() {
        let acknowledged = (1..=4).map(|version| (1, version)).collect();
        let verdict = judge(&log(), &acknowledged, &[("a", ids(&ALL)), ("b", ids(&ALL))]);
        assert_eq!((verdict.acknowledged, verdict.delivered, verdict.lost()), (4, 4, 0));
        assert_eq!(verdict.statuses, 3);
        // Two changes in the four seconds until the outcome; the refund is later.
        assert!((verdict.rate - 0.5).abs() < 1e-9);
        assert_eq!(verdict.outcomes.get(&1).map(ToString::to_string).as_deref(), Some("2026-11-23T18:24:14.000000Z"));
    }

    #[test]
    fn an_event_that_one_receiver_lacks_is_lost() {
        let acknowledged = (1..=4).map(|version| (1, version)).collect();
        let verdict = judge(&log(), &acknowledged, &[("a", ids(&ALL)), ("b", ids(&["evt_1", "evt_2", "evt_4"]))]);
        assert_eq!((verdict.delivered, verdict.lost()), (3, 1));
        assert_eq!(verdict.lost_examples, ["payment.completed evt_3 of demo-1 never reached: b"]);
    }

    #[test]
    fn an_acknowledged_change_that_the_log_lacks_is_lost() {
        let acknowledged = (1..=5).map(|version| (1, version)).collect();
        let verdict = judge(&log(), &acknowledged, &[("a", ids(&ALL))]);
        assert_eq!((verdict.acknowledged, verdict.delivered, verdict.lost()), (5, 4, 1));
        assert_eq!(verdict.lost_examples, ["/payment/demo-1 version 5 was acknowledged and is not in the log"]);
    }

    #[test]
    fn what_others_wrote_must_arrive_too() {
        let mut log = log();
        log.push(Event { data: Image { id: "123".into(), version: 1, ..Image::default() }, ..event("evt_5", "payment.created", 0, 1, 30) });
        let acknowledged = (1..=4).map(|version| (1, version)).collect();
        let verdict = judge(&log, &acknowledged, &[("a", ids(&ALL))]);
        assert_eq!((verdict.acknowledged, verdict.delivered), (5, 4));
    }

    #[test]
    fn a_change_counts_once_however_often_it_is_acknowledged() {
        let ledger = Ledger::default();
        ledger.acknowledge((1, 1), Written::Creation);
        ledger.acknowledge((1, 1), Written::Creation);
        ledger.acknowledge((1, 2), Written::Outcome);
        assert_eq!(ledger.progress(), Progress { acknowledged: 2, created: 1, done: 1 });
    }

    #[test]
    fn only_the_demos_own_payments_have_numbers() {
        for (id, want) in [("demo-17", Some(17)), ("123", None), ("demo-x", None), ("demo-", None)] {
            assert_eq!(payment_number(id), want, "{id}");
        }
    }
}
