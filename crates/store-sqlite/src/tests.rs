//! What the conformance suite cannot ask for: transactions that fail, full queues, statements that need an index.

use super::*;
use ringback_model::event::Scope;
use ringback_ports::{
    conformance::make::{self, at, change, draft, events, image, publish, put, row, subscribe, subscription},
    store::{ChangeSet, CommitError, Committed, Control, Deliveries, Log, Refused, SettleError, Settlement, StoreError},
};
use rusqlite::ffi;
use std::{
    pin::{Pin, pin},
    sync::mpsc,
    task::{Context, Poll, Waker},
};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// A store whose COMMITs can be made to fail, and what it said when it died.
struct Planted {
    store: Arc<SqliteStore>,
    commit: writer::Planted,
    fatal: Arc<Mutex<Vec<String>>>,
    dir: tempfile::TempDir,
}

fn planted(options: Options) -> Planted {
    let dir = tempfile::tempdir().unwrap();
    let fatal: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&fatal);
    let options = Options { on_fatal: Arc::new(move |why| told.lock().unwrap().push(why)), ..options };
    let mut commit = None;
    let store = SqliteStore::open_with(dir.path(), options, |it| commit = Some(Arc::clone(&it.planted))).unwrap();
    Planted { store: Arc::new(store), commit: commit.unwrap(), fatal, dir }
}

/// A store whose writer waits in the listener, after its first transaction, until it is let go.
fn held_up(options: Options) -> (Planted, mpsc::Sender<()>, Arc<Mutex<Vec<usize>>>) {
    let it = planted(options);
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let transactions: Arc<Mutex<Vec<usize>>> = Arc::default();
    let notes = Arc::clone(&transactions);
    it.store.listen(Arc::new(move |events: &[_]| {
        notes.lock().unwrap().push(events.len());
        let _ = wait.lock().unwrap().recv(); // an error when it was let go for good
    }));
    (it, go, transactions)
}

fn poll<F: Future + ?Sized>(it: Pin<&mut F>) -> Poll<F::Output> {
    it.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits until the writer is in the listener.
fn await_first(transactions: &Mutex<Vec<usize>>) {
    while transactions.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
}

fn settlement() -> Settlement {
    Settlement { subscription: 1, generation: 1, cursor: 1, ..Settlement::default() }
}

#[test]
fn what_gathers_while_one_is_written_is_one_transaction() {
    let (it, go, transactions) = held_up(Options::default());
    let commit = |n| Box::pin(it.store.commit(publish("acme", [draft(n)])));
    let mut first = commit(1);
    assert!(poll(first.as_mut()).is_pending());
    await_first(&transactions);
    let mut rest: Vec<_> = (2..=50).map(commit).collect();
    // A refused one and a settlement ride along.
    let mut refused = Box::pin(it.store.commit(change("acme", [put(row("acme", "1", 2))])));
    let mut settled = pin!(it.store.settle(settlement()));
    assert!(rest.iter_mut().all(|it| poll(it.as_mut()).is_pending()));
    assert!(poll(refused.as_mut()).is_pending() && poll(settled.as_mut()).is_pending());
    drop(go);
    runtime().block_on(async {
        assert_eq!(first.await.unwrap().sequence, 1);
        for (sequence, commit) in (2..).zip(rest) {
            assert_eq!(commit.await.unwrap().sequence, sequence);
        }
        assert_eq!(refused.await.unwrap_err(), CommitError::Refused(Refused::Version { change: 0, found: None }));
        assert_eq!(settled.await, Err(SettleError::Fenced));
    });
    assert_eq!(*transactions.lock().unwrap(), [1, 49]);
}

#[test]
fn a_full_queue_refuses_commits_at_once_and_lets_settlements_wait() {
    let (it, go, transactions) = held_up(Options { queue_jobs_max: 2, ..Options::default() });
    let commit = |n| Box::pin(it.store.commit(publish("acme", [draft(n)])));
    let (mut first, mut second, mut third, mut fourth) = (commit(1), commit(2), commit(3), commit(4));
    assert!(poll(first.as_mut()).is_pending());
    await_first(&transactions);
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending());
    assert!(matches!(poll(fourth.as_mut()), Poll::Ready(Err(CommitError::Overloaded))));
    let mut settled = pin!(it.store.settle(settlement()));
    assert!(poll(settled.as_mut()).is_pending());
    drop(go);
    runtime().block_on(async {
        for commit in [first, second, third] {
            commit.await.unwrap();
        }
        assert_eq!(settled.await, Err(SettleError::Fenced));
        it.store.commit(publish("acme", [draft(4)])).await.unwrap();
    });
}

#[test]
fn too_many_bytes_in_the_queue_are_refused() {
    let (it, go, transactions) = held_up(Options { queue_bytes_max: 100_000, ..Options::default() });
    let large = |n| {
        let mut event = draft(n);
        event.data = format!("\"{}\"", "x".repeat(30_000)).into();
        Box::pin(it.store.commit(publish("acme", [event])))
    };
    let (mut first, mut second) = (large(1), large(2));
    assert!(poll(first.as_mut()).is_pending());
    await_first(&transactions);
    assert!(matches!(poll(second.as_mut()), Poll::Ready(Err(CommitError::Overloaded))));
    drop(go);
    runtime().block_on(async {
        first.await.unwrap();
        large(2).await.unwrap();
        large(3).await.unwrap();
    });
}

fn assert_unknown(got: Result<Committed, CommitError>) {
    assert!(matches!(got, Err(CommitError::Unknown)), "{got:?}");
}

#[test]
fn an_io_error_of_a_commit_ends_it_all() {
    let (it, go, transactions) = held_up(Options::default());
    let commit = |n| it.store.commit(publish("acme", [draft(n)]));
    let (mut one, mut two, mut three) = (commit(1), commit(2), commit(3));
    let mut refused = it.store.commit(change("acme", [put(row("acme", "1", 2))]));
    assert!(poll(one.as_mut()).is_pending());
    await_first(&transactions);
    assert!([&mut two, &mut three, &mut refused].into_iter().all(|it| poll(it.as_mut()).is_pending()));
    *it.commit.lock().unwrap() = Some(ffi::SQLITE_IOERR_FSYNC);
    drop(go);
    runtime().block_on(async {
        one.await.unwrap();
        assert_unknown(two.await);
        assert_unknown(three.await);
        assert_unknown(refused.await); // by what may not have been stored
        assert_eq!(commit(4).await.unwrap_err(), CommitError::Store(StoreError::Closed), "nothing is written after it");
        assert_eq!(it.store.settle(settlement()).await, Err(SettleError::Store(StoreError::Closed)));
        assert_eq!(*transactions.lock().unwrap(), [1], "nobody hears of it");
        let told = it.fatal.lock().unwrap().clone();
        assert_eq!(told.len(), 1, "{told:?}");
        // What was acknowledged before is there, and the next start finds it.
        assert_eq!(events(&it.store, &Scope::All).await.len(), 1);
    });
    drop(it.store);
    let again = Arc::new(SqliteStore::open(it.dir.path(), Options::default()).unwrap());
    assert_eq!(runtime().block_on(events(&again, &Scope::All)).len(), 1);
}

#[test]
fn a_full_disk_is_answered_and_life_goes_on() {
    let it = planted(Options::default());
    runtime().block_on(async {
        it.store.commit(publish("acme", [draft(1)])).await.unwrap();
        let before = image(&it.store).await;
        *it.commit.lock().unwrap() = Some(ffi::SQLITE_FULL);
        let late = ChangeSet { at: at(50), ..publish("beta", [draft(2)]) };
        assert_eq!(it.store.commit(late).await.unwrap_err(), CommitError::Store(StoreError::Full));
        assert_eq!(image(&it.store).await, before);
        // Its places were not used up, its tenant's number neither, and time did not pass.
        let done = it.store.commit(publish("beta", [draft(2)])).await.unwrap();
        assert_eq!((done.events[0].seq, done.events[0].sequence), (2, 1));
        assert_eq!(it.store.place_before(&Scope::All, at(50)).await, Ok(2));
        assert!(it.fatal.lock().unwrap().is_empty());
    });
}

#[test]
fn a_data_file_that_may_not_grow_is_a_full_disk() {
    let it = planted(Options { pages_max: Some(60), ..Options::default() });
    let large = |n| {
        let mut event = draft(n);
        event.data = format!("\"{}\"", "x".repeat(50_000)).into();
        publish("acme", [event])
    };
    runtime().block_on(async {
        let mut kept = 0;
        let error = loop {
            match it.store.commit(large(kept + 1)).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
            assert!(kept < 1_000);
        };
        assert!(kept > 0);
        assert_eq!(error, CommitError::Store(StoreError::Full));
        assert_eq!(events(&it.store, &Scope::All).await.len() as u64, kept, "reads go on");
        let next = it.store.commit(publish("acme", [draft(5_000)])).await;
        assert!(matches!(next, Ok(_) | Err(CommitError::Store(StoreError::Full))), "{next:?}");
        kept += u64::from(next.is_ok());
        assert!(it.fatal.lock().unwrap().is_empty(), "it is no reason to stop");
        it.store.close().await;
        let again = Arc::new(SqliteStore::open(it.dir.path(), Options::default()).unwrap());
        let done = again.commit(large(9_000)).await.unwrap();
        assert_eq!(done.sequence, kept + 1);
    });
}

#[test]
fn a_listener_that_panics_takes_nobody_with_it() {
    let it = planted(Options::default());
    it.store.listen(Arc::new(|_: &[_]| panic!("planted by a test")));
    runtime().block_on(async {
        it.store.commit(publish("acme", [draft(1)])).await.unwrap();
        it.store.commit(publish("acme", [draft(2)])).await.unwrap();
        assert!(it.fatal.lock().unwrap().is_empty());
    });
}

#[test]
fn a_caller_that_goes_away_takes_nothing_back() {
    let (it, go, transactions) = held_up(Options::default());
    {
        let mut gone = pin!(it.store.commit(publish("acme", [draft(1)])));
        assert!(poll(gone.as_mut()).is_pending());
        await_first(&transactions);
        let mut queued = pin!(it.store.commit(publish("acme", [draft(2)])));
        assert!(poll(queued.as_mut()).is_pending());
    }
    drop(go);
    runtime().block_on(async {
        assert_eq!(it.store.commit(publish("acme", [draft(3)])).await.unwrap().sequence, 3);
    });
}

#[test]
fn closing_does_what_is_queued_and_then_nothing() {
    let (it, go, transactions) = held_up(Options::default());
    let store = &it.store;
    let mut first = pin!(store.commit(publish("acme", [draft(1)])));
    assert!(poll(first.as_mut()).is_pending());
    await_first(&transactions);
    let mut queued = pin!(store.commit(publish("acme", [draft(2)])));
    assert!(poll(queued.as_mut()).is_pending());
    let mut close = pin!(store.close());
    assert!(poll(close.as_mut()).is_pending());
    let late = runtime().block_on(store.commit(publish("acme", [draft(3)])));
    assert_eq!(late.unwrap_err(), CommitError::Store(StoreError::Closed));
    drop(go);
    runtime().block_on(async {
        close.await;
        store.close().await;
        assert_eq!(first.await.unwrap().sequence, 1);
        assert_eq!(queued.await.unwrap().sequence, 2);
        assert_eq!(store.tenants().await, Err(StoreError::Closed));
        assert_eq!(store.meta_once("a", vec![1]).await, Err(StoreError::Closed));
        // All that was written is in the data file, and the directory is free.
        assert_eq!(it.dir.path().join("ringback.db-wal").metadata().map_or(0, |it| it.len()), 0);
        let again = Arc::new(SqliteStore::open(it.dir.path(), Options::default()).unwrap());
        assert_eq!(events(&again, &Scope::All).await.len(), 2);
    });
}

#[test]
fn the_write_ahead_log_stays_small() {
    let it = planted(Options::default());
    let large = |n: u64| {
        let mut event = draft(n);
        event.data = format!("\"{}\"", "x".repeat(900_000)).into();
        publish("acme", [event])
    };
    runtime().block_on(async {
        for n in 1..=60 {
            it.store.commit(large(n)).await.unwrap();
        }
        let bytes = it.dir.path().join("ringback.db-wal").metadata().unwrap().len();
        assert!(bytes < 30_000_000, "54 MB were written, and {bytes} bytes of them are still in the WAL");
        assert_eq!(events(&it.store, &Scope::All).await.len(), 60);
    });
}

#[test]
fn the_settings_that_durability_rests_on_are_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    File::create(&path).unwrap();
    let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, -16_000).unwrap();
    prepare_for_writing(&conn, &Options::default()).unwrap();
    for (pragma, want) in [
        ("page_size", "16384"),
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "0"),
        ("wal_autocheckpoint", "0"),
        ("temp_store", "2"),
    ] {
        let got = conn
            .pragma_query_value(None, pragma, |row| {
                row.get::<_, rusqlite::types::Value>(0).map(|it| match it {
                    rusqlite::types::Value::Integer(it) => it.to_string(),
                    rusqlite::types::Value::Text(it) => it,
                    other => format!("{other:?}"),
                })
            })
            .unwrap();
        assert_eq!(got, want, "{pragma}");
    }
    assert!(conn.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE).unwrap());
}

/// The plan of every statement that a page, a look-up or the writer needs, with many rows to choose between.
#[test]
fn no_statement_of_a_route_reads_a_whole_table() {
    let it = planted(Options::default());
    runtime().block_on(async {
        let (payment, lists) = (make::type_name("payment"), vec![vec!["customer".into(), "created_at".into()], vec!["status".into()]]);
        ringback_ports::store::Resources::declare_indexes(&*it.store, &payment, &lists).await.unwrap();
        it.store.commit(publish("acme", (1..=500).map(draft))).await.unwrap();
        it.store.commit(change("acme", (0..500).map(|n| put(row("acme", &format!("r{n}"), 1))))).await.unwrap();
        it.store.commit(change("acme", [subscribe(subscription(1), Some(0))])).await.unwrap();
    });
    let conn = connect(&it.dir.path().join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY, -100).unwrap();
    let plan = |sql: &str| {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().unwrap();
        rows.join(" | ")
    };
    let list = |equal: &[(&str, &str)]| {
        let equal = equal.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value))).collect();
        let query = ringback_ports::store::ResourceQuery { equal, after: Some((at(1), make::resource_id("a"))), ..make::payments("acme") };
        let no = query.equal.first().map(|it| if it.0 == "customer" { 1 } else { 2 });
        let listing = no.map(|no| crate::listings::Listing { no, values: vec![rusqlite::types::Value::Null] });
        resources::list_sql(&query, 1, listing.as_ref()).0
    };
    for (sql, index) in [
        (log::EVENTS_AFTER_ALL.to_owned(), "INTEGER PRIMARY KEY"),
        (log::EVENTS_AFTER_TENANT.to_owned(), "events_sequence"),
        (log::SUBJECT_ALL.to_owned(), "COVERING INDEX events_subject"),
        (log::SUBJECT_TENANT.to_owned(), "events_subject"),
        (log::OF_VERSION.to_owned(), "events_subject"),
        (resources::CHANGED_AFTER.to_owned(), "events_sequence"),
        (resources::RESOURCE_AT.to_owned(), "events_subject"),
        (list(&[]), "resources_list"),
        (
            list(&[("customer", "c")]),
            "SEARCH listed_1 USING PRIMARY KEY (owner=? AND k0=? AND (made,name)<(?,?)) | SEARCH resources USING INDEX resources_id",
        ),
        (
            list(&[("status", "created")]),
            "SEARCH listed_2 USING PRIMARY KEY (owner=? AND k0=? AND (made,name)<(?,?)) | SEARCH resources USING INDEX resources_id",
        ),
        (resources::DUE.to_owned(), "resources_timer"),
        (resources::NEXT.to_owned(), "resources_timer"),
        (resources::COUNT.to_owned(), "resources_list"),
        (resources::OF_TYPE.to_owned(), "resources_list"),
    ] {
        let plan = plan(&sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN events") && !plan.contains("SCAN r"), "{sql}\n{plan}");
    }
}
