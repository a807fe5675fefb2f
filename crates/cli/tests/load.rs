//! A start with a long log that everybody is owed, and a minute of too much.
//!
//! What is owed is a cursor for each subscription, so a start must cost nothing
//! that grows with the log. In `cargo test` both are small, and statuses, counts and
//! memory are asserted; `cargo xtask proof --load 10000000` asks for the numbers of
//! the promise, of the release build, and has the time asserted, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use ringback_client::Client;
use ringback_model::{EventId, EventType, TenantId, Timestamp, event::EventDraft, event::Scope, key::Authority};
use ringback_ports::store::{ChangeSet, Log as _};
use ringback_store_sqlite::{Options, SqliteStore};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::Server;
use tokio::task::JoinSet;

/// A start may take so long, where time is asserted.
const START_MAX: Duration = Duration::from_secs(2);
/// The most memory that a start may take, in KiB.
const START_KIB_MAX: u64 = 150 * 1024;
/// Resident memory at its highest, given too much.
const PEAK_KIB_MAX: u64 = 700 * 1024;
/// Events in one change set: as many as there may be.
const AT_ONCE: u64 = 1_000;
/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(120);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "a start is measured by the machine's clock")]
fn clock() -> Instant {
    Instant::now()
}

/// Makes subscriptions to everything from the start, at an endpoint where nobody listens.
async fn subscribe(server: &Server, count: u64) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::new();
    for _ in 0..16 {
        let (api, next) = (server.api().timeout(DEADLINE), Arc::clone(&next));
        all.spawn(async move {
            loop {
                let no = next.fetch_add(1, Ordering::SeqCst);
                if no as u64 >= count {
                    return;
                }
                let body = json!({ "types": ["load.*"], "from": "start", "push": { "url": format!("http://127.0.0.1:9/{no}") } });
                api.post("/v1/subscriptions", Some(&body)).await.unwrap();
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// Appends small events, as the writer does, without a server.
async fn append(data: &Path, count: u64) {
    let store = Arc::new(SqliteStore::open(data, Options { lock_wait: Duration::from_secs(10), ..Options::default() }).unwrap());
    let last = store.bounds(&Scope::All).await.unwrap().last;
    let begun = store.event_at(&Scope::All, last).await.unwrap().unwrap().timestamp;
    let mut all = JoinSet::new();
    for set in 0..count.div_ceil(AT_ONCE) {
        let mut change = ChangeSet::new(TenantId::default_tenant(), begun);
        change.events = (set * AT_ONCE..count.min((set + 1) * AT_ONCE)).map(|no| small(no, begun)).collect();
        let store = Arc::clone(&store);
        all.spawn(async move { store.commit(change).await.unwrap() });
        while all.len() > 16 {
            all.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    store.close().await;
}

fn small(no: u64, at: Timestamp) -> EventDraft {
    EventDraft {
        id: EventId::make(at, u128::from(no)),
        event_type: EventType::parse("load.small").unwrap(),
        timestamp: at,
        subject: None,
        data: Bytes::from(format!("{{\"n\":{no}}}")),
        previous: None,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: Authority::Tenant,
        of: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_costs_nothing_that_grows_with_what_is_owed() {
    let subscriptions = number("RINGBACK_LOAD_SUBSCRIPTIONS").unwrap_or(300);
    let events = number("RINGBACK_LOAD_EVENTS").unwrap_or(30_000);
    let mut server = Server::start().await;
    subscribe(&server, subscriptions).await;
    // What is appended says the time of this one.
    assert_eq!(publish(&server.api(), "first", 10).await.0, StatusCode::CREATED);
    assert_eq!(server.terminate(), Some(0));
    append(&server.data(), events).await;

    let begun = clock();
    server.restart().await;
    let api = server.api().timeout(DEADLINE);
    let log = api.get("/v1/log").await.unwrap();
    let took = begun.elapsed();
    assert!(log["last"]["sequence"].as_u64().or_else(|| log["last"].as_u64()).is_none_or(|it| it >= events), "{log}");
    // Everybody is read to meanwhile, and the log goes on.
    for no in 0..20 {
        assert_eq!(publish(&api, &format!("after-{no}"), 10).await.0, StatusCode::CREATED);
    }
    let peak = server.peak_memory_kib();
    let size = std::fs::metadata(server.data().join("ringback.db")).unwrap().len() >> 20;
    println!(
        "load: {events} events ({size} MiB) owed to {subscriptions} subscriptions: up after {} ms, at most {} MiB",
        took.as_millis(),
        peak / 1024
    );
    // The goal is asserted where the whole load is asked for. It is missed today: reading on for everybody at once
    // takes more than the start itself, as docs/promises.md says.
    let most = if number("RINGBACK_LOAD_EVENTS").is_some() { START_KIB_MAX } else { PEAK_KIB_MAX };
    assert!(peak < most, "{peak} KiB");
    assert!(number("RINGBACK_LOAD_EVENTS").is_none() || took < START_MAX, "{took:?}");
}

async fn publish(api: &Client, key: &str, bytes: usize) -> (StatusCode, HeaderMap) {
    let body = json!({ "type": "app.flood", "key": key, "data": { "text": "x".repeat(bytes) } }).to_string();
    let answer = api.request_within(DEADLINE, Method::POST, "/v1/events", HeaderMap::new(), Bytes::from(body)).await.unwrap();
    (answer.status, answer.headers)
}

/// How many of the flood are in the log.
async fn count(api: &Client) -> usize {
    let (mut found, mut after) = (0, "start".to_owned());
    loop {
        let page: Value = api.get(&format!("/v1/events?types=app.flood&limit=50&after={after}")).await.unwrap();
        found += page["data"].as_array().unwrap().len();
        after = page["cursor"].as_str().unwrap().to_owned();
        if page["has_more"] == false {
            return found;
        }
    }
}

/// Many times as many as can be taken at once, over and over: each that is refused asks again at once, which is
/// what no client should do.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_goes_on_is_shed_and_over_when_it_ends() {
    let seconds = number("RINGBACK_LOAD_SECS");
    let server = Server::start().await;
    let begun = clock();
    let statuses = Arc::new(std::sync::Mutex::new(BTreeMap::<u16, usize>::new()));
    let mut all = JoinSet::new();
    for who in 0..400 {
        let (api, statuses) = (server.api().timeout(DEADLINE), Arc::clone(&statuses));
        all.spawn(async move {
            let mut no = 0;
            while no < 2 || seconds.is_some_and(|it| begun.elapsed() < Duration::from_secs(it)) {
                let (status, headers) = publish(&api, &format!("flood-{who}-{no}"), 300_000).await;
                *statuses.lock().unwrap().entry(status.as_u16()).or_default() += 1;
                match status {
                    StatusCode::CREATED => {}
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                        assert!(headers.contains_key("retry-after"), "{status} says when to come back");
                    }
                    other => panic!("{other} is no answer to too much"),
                }
                no += 1;
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let ended = clock();
    let api = server.api();
    assert_eq!(publish(&api, "after", 10).await.0, StatusCode::CREATED, "it goes on at once");
    let recovered = ended.elapsed();
    let statuses = statuses.lock().unwrap().clone();
    let (made, asked): (usize, usize) = (statuses.get(&201).copied().unwrap_or(0), statuses.values().sum());
    println!(
        "flood: {asked} writes of 300 kB in {} s, {statuses:?}; the next one was made after {} ms; at most {} MiB",
        begun.elapsed().as_secs(),
        recovered.as_millis(),
        server.peak_memory_kib() / 1024
    );
    assert_eq!(count(&api).await, made + 1, "what was acknowledged is there, and nothing else");
    assert!(made > 0 && made < asked, "some, and not all: {statuses:?}");
    assert!(server.peak_memory_kib() < PEAK_KIB_MAX, "{} KiB", server.peak_memory_kib());
    assert!(seconds.is_none() || recovered < Duration::from_secs(5), "{recovered:?}");
}
