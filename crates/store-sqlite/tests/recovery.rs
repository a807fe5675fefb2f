//! What a process leaves behind when it ends without a word, and who may open it afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use ringback_model::event::Scope;
use ringback_ports::{
    conformance::make::{ALL, attempt, change, draft, events, image, keyed, publish, put, row, subscribe, subscription},
    store::{Change, Control, Deliveries, Log, Settlement},
};
use ringback_store_sqlite::{OpenError, Options, SqliteStore};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

fn open(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir, Options::default()).unwrap())
}

/// A bit of everything.
async fn work(store: &Arc<SqliteStore>) {
    store.commit(publish("acme", [keyed(1, "a"), draft(2)])).await.unwrap();
    store.commit(change("acme", [put(row("acme", "1", 1)), subscribe(subscription(1), Some(0))])).await.unwrap();
    store.commit(publish("beta", (3..=9).map(draft))).await.unwrap();
    let settlement = Settlement { subscription: 1, generation: 1, cursor: 1, attempts: vec![attempt(2, 2, 1)], ..Settlement::default() };
    store.settle(settlement).await.unwrap();
    store.meta_once("pepper", vec![1, 2, 3]).await.unwrap();
    store.commit(publish("acme", [draft(10)])).await.unwrap();
}

/// The files as they are this moment, as a killed process would leave them.
fn as_killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["ringback.db", "ringback.db-wal"] {
        fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    work(&store).await;
    let killed = as_killed(dir.path());
    let again = open(killed.path());
    assert_eq!(image(&again).await, image(&store).await);
    assert_eq!(again.meta("pepper").await, Ok(Some(vec![1, 2, 3])));
    // And the places go on where they were.
    let done = again.commit(publish("acme", [draft(11)])).await.unwrap();
    assert_eq!((done.events[0].seq, done.events[0].sequence), (11, 4));
}

#[tokio::test]
async fn a_log_that_was_cut_anywhere_holds_whole_change_sets() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut images = vec![image(&store).await];
    for set in 0..6_u64 {
        let first = 1 + set * 10;
        let mut it = publish("acme", (first..=first + set).map(draft));
        it.changes.push(put(row("acme", &(set + 1).to_string(), 1)));
        store.commit(it).await.unwrap();
        images.push(image(&store).await);
    }
    let wal = fs::read(dir.path().join("ringback.db-wal")).unwrap();
    let mut seen = Vec::new();
    for cut in (0..=wal.len()).step_by(wal.len() / 48).chain([wal.len()]) {
        let killed = as_killed(dir.path());
        fs::write(killed.path().join("ringback.db-wal"), &wal[..cut]).unwrap();
        let again = open(killed.path());
        let found = image(&again).await;
        let Some(sets) = images.iter().position(|it| *it == found) else { panic!("cut at {cut}: a state that never was\n{found}") };
        let next = again.commit(publish("acme", [draft(1_000)])).await.unwrap();
        let kept = events(&again, &Scope::All).await;
        assert_eq!(kept.last().unwrap().id, next.events[0].id);
        seen.push(sets);
    }
    assert!(seen.is_sorted(), "a longer log never holds less: {seen:?}");
    assert_eq!(seen.last(), Some(&6), "the whole log holds everything");
    seen.dedup();
    assert!(seen.len() > 4, "the cuts fell into too few places: {seen:?}");
}

#[tokio::test]
async fn opening_again_finds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    work(&store).await;
    let before = image(&store).await;
    drop(store); // without close
    let store = open(dir.path());
    assert_eq!(image(&store).await, before);
    store.close().await;
    let store = open(dir.path());
    assert_eq!(image(&store).await, before);
    let heard = Arc::new(Mutex::new(0));
    let count = Arc::clone(&heard);
    store.listen(Arc::new(move |events: &[_]| *count.lock().unwrap() += events.len()));
    store.commit(publish("acme", [draft(11)])).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), 1, "what was heard in an earlier life is not told again");
}

#[tokio::test]
async fn dropping_a_store_stores_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut asked = Vec::new();
    for n in 1..=20 {
        let store = Arc::clone(&store);
        asked.push(tokio::spawn(async move { store.commit(publish("acme", [draft(n)])).await.is_ok() }));
    }
    for it in asked {
        assert!(it.await.unwrap());
    }
    drop(store);
    assert_eq!(open(dir.path()).events_after(&Scope::All, 0, ALL).await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_second_one_is_refused_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let options = Options { lock_wait: Duration::from_millis(1), ..Options::default() };
    let error = SqliteStore::open(dir.path(), options).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    let text = error.to_string();
    for part in [&format!("process {}", std::process::id()), "--lock-wait", &dir.path().display().to_string()] {
        assert!(text.contains(part), "{text}");
    }
    store.commit(publish("acme", [draft(1)])).await.unwrap();
    store.close().await;
    SqliteStore::open(dir.path(), Options::default()).unwrap();
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("made/on/the/way");
    let store = open(&dir);
    work(&store).await;
    assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["lock", "ringback.db", "ringback.db-shm", "ringback.db-wal"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = SqliteStore::open(&dir.path().join("file"), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("--data"), "{error}");
}

#[tokio::test]
async fn a_deleted_resource_keeps_its_id_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut gone = row("acme", "1", 1);
    gone.deleted = true;
    open(dir.path()).commit(change("acme", [put(gone)])).await.unwrap();
    let again = open(dir.path());
    again.commit(change("acme", [put(row("acme", "1", 1))])).await.unwrap_err();
    let change_it = Change::Resource { row: Box::new(row("acme", "1", 2)), expected: ringback_ports::store::Expected::Version(1) };
    again.commit(change("acme", [change_it])).await.unwrap();
}
