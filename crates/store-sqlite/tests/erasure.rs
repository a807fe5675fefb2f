//! Erased bytes are gone from the files, also where rows moved and indexes split.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use ringback_model::{erasure::Target, event::Scope};
use ringback_ports::{
    conformance::make::{about, at, change, commit, erasure, of_version, publish, put, row, scope, subject},
    store::{Change, ChangeSet, Erasures, Expected, Log, Resources, Slice},
};
use ringback_store_sqlite::{Options, SqliteStore};
use std::{path::Path, sync::Arc};

const CANARY: &str = "canary-4711-anna";
const EVENTS: u64 = 600;

/// In which files the canary is.
fn found(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let times = bytes.windows(CANARY.len()).filter(|it| *it == CANARY.as_bytes()).count();
        if times > 0 {
            found.push(format!("{} times in {}", times, entry.file_name().to_string_lossy()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_what_was_erased_is_left_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
    let long = "x".repeat(30_000);
    for n in 1..=EVENTS {
        // Of different sizes, so that some reach over many pages, about subjects that split the index.
        let filler = if n % 50 == 0 { long.as_str() } else { "y" };
        let mut event = about(n, &format!("/person/{}-{CANARY}", n % 97));
        event.data = format!("{{\"who\":\"{CANARY}\",\"n\":{n},\"filler\":\"{filler}\"}}").into();
        event.key = (n % 3 == 0).then(|| format!("{CANARY}-{n}"));
        let mut other = about(10_000 + n, &format!("/thing/{n}"));
        other.data = format!("{{\"n\":{n},\"filler\":\"{filler}\"}}").into();
        commit(&store, publish("acme", [event, other])).await;
    }
    // A resource that grew, shrank and was deleted.
    let mut made = row("acme", "p1", 1);
    for version in 1..=20 {
        let size = if version % 2 == 0 { 9_000 } else { 10 };
        made.resource.version = version;
        made.resource.fields.insert("who".into(), format!("{CANARY} {}", "z".repeat(size)).into());
        made.deleted = version == 20;
        let mut event = of_version(20_000 + version, "p1", version);
        event.data = format!("{{\"who\":\"{CANARY}\"}}").into();
        let set = ChangeSet { events: vec![event], ..change("acme", [put(made.clone())]) };
        commit(&store, set).await;
    }
    let target = Some(Target::Subject(subject(&format!("/person/{CANARY}"))));
    commit(&store, change("acme", [Change::Erasure { erasure: Box::new(erasure(1, "acme", target)) }])).await;
    assert!(!found(dir.path()).is_empty(), "it is there before");

    let mut after = 0;
    loop {
        let events = store.events_after(&scope("acme"), after, Slice { events_max: 100, bytes_max: usize::MAX }).await.unwrap();
        let Some(last) = events.last() else { break };
        after = last.sequence;
        let left = events.iter().filter(|it| String::from_utf8_lossy(&it.bytes).contains(CANARY)).map(|it| Arc::new(it.erased(at(9))));
        store.erase(erasure(1, "acme", None).id, left.collect()).await.unwrap();
    }
    let mut row = store.resource(&made.resource.tenant, &made.resource.type_name, &made.resource.id).await.unwrap().unwrap();
    row.resource.fields.clear();
    commit(&store, change("acme", [Change::Resource { row: Box::new(row), expected: Expected::Version(20) }])).await;
    commit(&store, change("acme", [Change::Erasure { erasure: Box::new(erasure(1, "acme", None)) }])).await;
    while !store.scrub().await.unwrap() {}
    assert_eq!(found(dir.path()), Vec::<String>::new(), "while it is open");
    assert_eq!(store.bounds(&Scope::All).await.unwrap().last, 2 * EVENTS + 20);
    store.close().await;
    assert_eq!(found(dir.path()), Vec::<String>::new(), "and when it is closed");
}
