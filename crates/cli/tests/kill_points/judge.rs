//! What must be true when everything is over: pure questions to what was seen.
//!
//! Each judge answers sentences, one for each violation, and has a planted fault
//! in `kill_points.rs` that it must see. They know the promises, and nothing of
//! how the server keeps them.

use super::script::{DEAD, READERS};
use axum::body::Bytes;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The answer to a step.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    /// The event that it names.
    pub(crate) event: Option<String>,
    /// That event as it was read right afterwards.
    pub(crate) event_bytes: Option<Bytes>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// A delivery, as the API tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) reader: String,
    pub(crate) event: String,
    pub(crate) state: String,
}

/// A POST that an endpoint got, and what it answered.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) reader: String,
    pub(crate) event: String,
    pub(crate) body: Vec<u8>,
    pub(crate) signed: bool,
    pub(crate) status: u16,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// By tenant, in the order of the feed.
    pub(crate) feeds: BTreeMap<String, Vec<Value>>,
    /// Each event's own bytes, by id.
    pub(crate) bytes: BTreeMap<String, Vec<u8>>,
    /// By tenant and path.
    pub(crate) resources: BTreeMap<(String, String), Value>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) receipts: Vec<Receipt>,
    /// The first sequence that is owed to each reader.
    pub(crate) begins: BTreeMap<String, u64>,
    /// Type and subject of every event that the script makes, by tenant.
    pub(crate) expected: BTreeMap<String, Vec<(String, String)>>,
    /// Subscriptions of the first tenant, keys of the server.
    pub(crate) counts: (usize, usize),
    /// Processes that did not end in good order.
    pub(crate) crashes: usize,
    /// What was wrong while looking.
    pub(crate) broken: Vec<String>,
}

pub(crate) fn all(seen: &Seen) -> Vec<String> {
    let mut found = seen.broken.clone();
    found.extend(dense(seen));
    found.extend(once(seen));
    found.extend(folds(seen));
    found.extend(conserved(seen));
    found.extend(received(seen));
    found
}

fn text<'a>(event: &'a Value, member: &str) -> &'a str {
    event[member].as_str().unwrap_or_default()
}

/// P3: sequences are dense from 1, ids are unique, and no subject's time goes back (it is that of the decision, so
/// neighbours decided at the same time may stand the other way round); a page says what the event itself says.
fn dense(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for (tenant, feed) in &seen.feeds {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        for (event, n) in feed.iter().zip(1_u64..) {
            if event["sequence"] != json!(n) {
                found.push(format!("order: {tenant}: event {n} of the feed has sequence {}", event["sequence"]));
            }
            if !ids.insert(text(event, "id")) {
                found.push(format!("order: {tenant}: {} is there twice", event["id"]));
            }
            let (subject, at) = (text(event, "subject"), text(event, "timestamp"));
            if subject.starts_with("/payment/") && before.insert(subject, at) > Some(at) {
                found.push(format!("order: {tenant}: {} is older than the event of {subject} before it", event["id"]));
            }
            let own = seen.bytes.get(text(event, "id")).and_then(|it| serde_json::from_slice::<Value>(it).ok());
            if own.as_ref() != Some(event) {
                found.push(format!("order: {tenant}: the feed and the event itself differ: {event} and {own:?}"));
            }
        }
    }
    found
}

/// What the server says of itself (`ringback.*`): nobody asked for it, and no reader of the script named it.
fn is_own(event: &Value) -> bool {
    text(event, "type").starts_with("ringback.")
}

/// Each step took effect once, whatever it took to get its answer.
fn once(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (tenant, expected) in &seen.expected {
        let mut left: Vec<(&str, &str)> = expected.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        for event in seen.feeds.get(tenant).into_iter().flatten().filter(|it| !is_own(it)) {
            let this = (text(event, "type"), text(event, "subject"));
            match left.iter().position(|it| *it == this) {
                Some(at) => drop(left.swap_remove(at)),
                None => found.push(format!("effect: {tenant}: nobody asked for {this:?} this often")),
            }
        }
        found.extend(left.into_iter().map(|it| format!("effect: {tenant}: {it:?} is missing")));
    }
    // every, ticks, dead, once · the operator's first key and one that was kept.
    if seen.counts != (4, 2) {
        found.push(format!("effect: there are {:?} subscriptions and keys, not (4, 2)", seen.counts));
    }
    found
}

/// P2: a resource is the fold of its events, version by version, and `previous` says what each changed.
fn folds(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut now: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (tenant, feed) in &seen.feeds {
        for event in feed.iter().filter(|it| text(it, "type").starts_with("payment.")) {
            let at = (tenant.clone(), text(event, "subject").to_owned());
            let data = &event["data"];
            let before = now.get(&at);
            let version = before.map_or(1, |it| it["version"].as_u64().unwrap_or(0) + 1);
            if data["version"] != json!(version) {
                found.push(format!("fold: {at:?}: {} makes version {}, not {version}", event["id"], data["version"]));
            }
            let deleted = text(event, "type") == "payment.deleted";
            let changed = before.filter(|_| !deleted).map(|before| changed(before, data));
            if changed.as_ref() != event.get("previous") {
                found.push(format!("fold: {at:?}: `previous` of {} is {:?}, not {changed:?}", event["id"], event.get("previous")));
            }
            now.insert(at, if deleted { json!({ "version": version }) } else { data.clone() });
        }
    }
    now.retain(|_, it| it.get("id").is_some());
    for at in now.keys().chain(seen.resources.keys()).collect::<BTreeSet<_>>() {
        if now.get(at) != seen.resources.get(at) {
            found.push(format!("fold: {at:?} is {:?}, and its events make {:?}", seen.resources.get(at), now.get(at)));
        }
    }
    found
}

/// The members that differ, with what they were.
fn changed(before: &Value, after: &Value) -> Value {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names.into_iter().filter(|it| !["version", "updated_at"].contains(&it.as_str()) && before.get(*it) != after.get(*it));
    Value::Object(differ.map(|it| (it.clone(), before.get(it).cloned().unwrap_or_default())).collect())
}

/// P4, P11: each event that a reader is owed has one delivery, in a state that is an end; there are no others.
fn conserved(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (reader, tenant, prefix, from_start, subject) in READERS {
        let begins = if *from_start { 1 } else { seen.begins.get(*reader).copied().unwrap_or(u64::MAX) };
        let feed = seen.feeds.get(*tenant).into_iter().flatten();
        let owed = feed.filter(|it| {
            !is_own(it)
                && it["sequence"].as_u64() >= Some(begins)
                && text(it, "type").starts_with(prefix)
                && subject.is_none_or(|subject| text(it, "subject") == subject)
        });
        let owed: BTreeSet<&str> = owed.map(|it| text(it, "id")).collect();
        if owed.is_empty() {
            found.push(format!("owed: {reader}: the script owes it nothing, so nothing is proven"));
        }
        let mut listed: BTreeMap<&str, &str> = BTreeMap::new();
        for it in seen.deliveries.iter().filter(|it| it.reader == *reader) {
            if listed.insert(&it.event, &it.state).is_some() {
                found.push(format!("owed: {reader}: {} has two deliveries", it.event));
            }
        }
        let end = if *reader == DEAD { "parked" } else { "delivered" };
        for id in &owed {
            match listed.remove(id) {
                Some(state) if state == end => {}
                other => found.push(format!("owed: {reader}: {id} is {other:?}, not {end}")),
            }
        }
        found.extend(listed.into_iter().map(|(id, state)| format!("owed: {reader}: {id} is {state} and isn't owed")));
    }
    found
}

/// P4, P8: what is said to be delivered was received, signed, with the same bytes each time; and no oftener than
/// crashes excuse. An endpoint that takes nothing was tried.
fn received(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut taken: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut tried: BTreeMap<(&str, &str), &[u8]> = BTreeMap::new();
    for it in &seen.receipts {
        let at = (it.reader.as_str(), it.event.as_str());
        if !it.signed {
            found.push(format!("receipt: {at:?}: the signature is not that of the body"));
        }
        if *tried.entry(at).or_insert(&it.body) != it.body.as_slice() {
            found.push(format!("receipt: {at:?}: two tries had different bytes"));
        }
        let own = seen.bytes.get(&it.event);
        if it.reader == "thin" {
            let id = serde_json::from_slice::<Value>(&it.body).map(|it| text(&it, "id").to_owned());
            if own.is_none() || id.ok().as_ref() != Some(&it.event) {
                found.push(format!("receipt: {at:?}: the body is of another event"));
            }
        } else if own.map(Vec::as_slice) != Some(it.body.as_slice()) {
            found.push(format!("receipt: {at:?}: the body is not what the API answers"));
        }
        if it.status == 200 {
            *taken.entry(at).or_default() += 1;
        }
    }
    for it in &seen.deliveries {
        let at = (it.reader.as_str(), it.event.as_str());
        if it.state == "delivered" && !taken.contains_key(&at) {
            found.push(format!("receipt: {at:?} is said to be delivered, and nobody got it"));
        }
        if it.state == "parked" && !tried.contains_key(&at) {
            found.push(format!("receipt: {at:?} is parked, and was never tried"));
        }
    }
    for (at, times) in taken {
        if times > 1 + seen.crashes {
            found.push(format!("receipt: {at:?} was taken {times} times, with {} crashes", seen.crashes));
        }
    }
    found
}
