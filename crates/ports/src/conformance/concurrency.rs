//! Cases in which many ask at once: whatever the order turns out to be, it is one order.

use super::make::{
    ALL, answer, attempt, change, commit, draft, events, keyed, publish, put, resource_id, row, scope, subscribe, subscription, tenant,
    type_name,
};
use crate::{
    Store,
    store::{ChangeSet, CommitError, Committed, Refused, Settlement, Slice},
};
use ringback_model::event::{Event, Scope};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::task::JoinSet;

const TENANTS: [&str; 3] = ["acme", "beta", "default"];

/// Commits all of `sets` at once; the answers in the order of the sets.
async fn all_at_once<S: Store>(store: &Arc<S>, sets: Vec<ChangeSet>) -> Vec<Result<Committed, CommitError>> {
    let mut tasks = JoinSet::new();
    for (at, set) in sets.into_iter().enumerate() {
        let store = Arc::clone(store);
        tasks.spawn(async move { (at, store.commit(set).await) });
    }
    let done: BTreeMap<_, _> = tasks.join_all().await.into_iter().collect();
    done.into_values().collect()
}

/// Set number `set` of a case: 1 to 4 events.
fn some(set: u64) -> ChangeSet {
    let first = 1_000 + set * 10;
    publish(TENANTS[set as usize % 3], (first..=first + set % 4).map(draft))
}

/// That the log is one order: dense, adjacent, and what the answers said.
async fn judge<S: Store>(store: &Arc<S>, answers: impl Iterator<Item = &Committed>) {
    let log = events(store, &Scope::All).await;
    for (seq, event) in (1..).zip(&log) {
        assert_eq!(event.seq, seq, "a gap in the log");
    }
    for id in TENANTS {
        let own = events(store, &scope(id)).await;
        for (sequence, event) in (1..).zip(&own) {
            assert_eq!(event.sequence, sequence, "a gap in {id}'s log");
        }
        assert!(own.is_sorted_by_key(|it| it.seq), "{id}'s order is the log's");
    }
    let mut told = 0;
    for answer in answers {
        let Some(first) = answer.events.first() else { continue };
        told += answer.events.len();
        let at = first.seq as usize - 1;
        assert_eq!(log[at..at + answer.events.len()], answer.events[..], "events of a set are adjacent, and as the answer said");
        assert!(answer.events.windows(2).all(|it| it[0].sequence + 1 == it[1].sequence));
        assert_eq!(answer.events.last().unwrap().sequence, answer.sequence);
    }
    assert_eq!(told, log.len(), "nothing is in the log that nobody was told of");
}

pub async fn commits_are_dense_and_adjacent<S: Store>(store: &Arc<S>) {
    let answers = all_at_once(store, (0..200).map(some).collect()).await;
    let answers: Vec<_> = answers.into_iter().map(|it| it.expect("nothing refuses these")).collect();
    judge(store, answers.iter()).await;
}

pub async fn refused_sets_never_touch_their_neighbours<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [keyed(1, "taken")])).await;
    commit(store, change("acme", [put(row("acme", "1", 1))])).await;
    let doomed = |set: u64| match set % 4 {
        1 => Some(put(row("acme", "1", 1))),
        2 => Some(put(row("acme", "1", 5))),
        _ => None,
    };
    let sets = (0..200).map(|n| {
        let mut set = some(n);
        set.changes.push(put(row("beta", &format!("n{n}"), 1)));
        set.changes.extend(doomed(n));
        if n % 4 == 3 {
            set.tenant = tenant("acme");
            set.events.push(keyed(500 + n, "taken"));
        }
        set
    });
    let answers = all_at_once(store, sets.collect()).await;
    let mut kept = vec![Committed { events: vec![store.event_at(&Scope::All, 1).await.unwrap().unwrap()], sequence: 1 }];
    for (n, answer) in (0..).zip(answers) {
        match (n % 4, answer) {
            (0, Ok(it)) => kept.push(it),
            (1, Err(CommitError::Refused(Refused::Exists { change: 1 }))) => (),
            (2, Err(CommitError::Refused(Refused::Version { change: 1, found: Some(1) }))) => (),
            (3, Err(CommitError::Refused(Refused::EventKeyTaken { .. }))) => (),
            (_, other) => panic!("set {n} was answered {other:?}"),
        }
        let there = store.resource(&tenant("beta"), &type_name("payment"), &resource_id(&format!("n{n}"))).await.unwrap();
        assert_eq!(there.is_some(), n % 4 == 0, "the row of set {n}");
    }
    judge(store, kept.iter()).await;
}

pub async fn one_of_many_wins_a_version<S: Store>(store: &Arc<S>) {
    commit(store, change("acme", [put(row("acme", "1", 1))])).await;
    for version in 2..10 {
        let sets =
            (0..20).map(|n| ChangeSet { changes: vec![put(row("acme", "1", version))], ..publish("acme", [draft(version * 100 + n)]) });
        let answers = all_at_once(store, sets.collect()).await;
        assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1, "version {version}");
        for lost in answers.into_iter().filter_map(Result::err) {
            assert_eq!(lost, CommitError::Refused(Refused::Version { change: 0, found: Some(version) }));
        }
    }
    assert_eq!(events(store, &scope("acme")).await.len(), 8);
}

pub async fn one_of_many_wins_a_key_and_an_answer<S: Store>(store: &Arc<S>) {
    for round in 0..8_u8 {
        let base = u64::from(round) * 100;
        let answers = all_at_once(store, (0..20).map(|n| publish("acme", [keyed(base + n, &format!("k{round}"))])).collect()).await;
        let won: Vec<_> = answers.iter().flatten().map(|it| it.events[0].id).collect();
        assert_eq!(won.len(), 1);
        for lost in answers.into_iter().filter_map(Result::err) {
            assert_eq!(lost, CommitError::Refused(Refused::EventKeyTaken { event: 0, by: won[0] }));
        }
        let sets = (50..70).map(|n| ChangeSet { answer: Some(answer(round, b"x")), ..publish("beta", [draft(base + n)]) });
        let answers = all_at_once(store, sets.collect()).await;
        assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1);
        for lost in answers.into_iter().filter_map(Result::err) {
            assert_eq!(lost, CommitError::Refused(Refused::AnswerTaken));
        }
    }
}

pub async fn the_listener_hears_all_of_them_in_order<S: Store>(store: &Arc<S>) {
    let heard: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
    let notes = Arc::clone(&heard);
    store.listen(Arc::new(move |events: &[Arc<Event>]| notes.lock().unwrap().extend_from_slice(events)));
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let (store, heard) = (Arc::clone(store), Arc::clone(&heard));
        tasks.spawn(async move {
            let mut set = some(n);
            if n % 5 == 0 {
                set.changes.push(put(row("acme", "missing", 2)));
            }
            if let Ok(done) = store.commit(set).await {
                let heard = heard.lock().unwrap();
                for event in &done.events {
                    assert!(heard.iter().any(|it| it.id == event.id), "commit returned before the listener heard");
                }
            }
        });
    }
    tasks.join_all().await;
    let log = events(store, &Scope::All).await;
    assert_eq!(*heard.lock().unwrap(), log);
}

pub async fn a_reader_that_follows_misses_nothing<S: Store>(store: &Arc<S>) {
    let follow = |scope: Scope, total: usize| {
        let store = Arc::clone(store);
        async move {
            let (mut after, mut read) = (0, 0);
            while read < total {
                let page = store.events_after(&scope, after, Slice { events_max: 3, ..ALL }).await.unwrap();
                for event in &page {
                    assert_eq!(event.place(&scope), after + 1, "it passed a place that was filled later");
                    after += 1;
                }
                assert!(page.last().is_none_or(|it| it.ends_change_set), "a page ended inside of a change set");
                read += page.len();
                tokio::task::yield_now().await;
            }
        }
    };
    let sets: Vec<_> = (0..120).map(some).collect();
    let count = |id: Option<&str>| sets.iter().filter(|it| id.is_none_or(|id| it.tenant.as_str() == id)).map(|it| it.events.len()).sum();
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(Scope::All, count(None)));
    tasks.spawn(follow(scope("beta"), count(Some("beta"))));
    for answer in all_at_once(store, sets).await {
        answer.expect("nothing refuses these");
    }
    tasks.join_all().await;
}

pub async fn settlements_ride_along<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=100).map(draft))).await;
    commit(store, change("acme", (1..=5).map(|no| subscribe(subscription(no), Some(0))))).await;
    let mut tasks = JoinSet::new();
    for place in 1..=100 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let settlement = Settlement {
                subscription: u32::try_from(place % 5 + 1).unwrap(),
                generation: if place % 10 == 9 { 2 } else { 1 },
                cursor: place,
                attempts: vec![attempt(place, place, 1)],
                ..Settlement::default()
            };
            let done = store.settle(settlement).await;
            assert_eq!(done.is_ok(), place % 10 != 9);
        });
    }
    let answers = all_at_once(store, (0..50).map(some).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    tasks.join_all().await;
    for no in 1..=5_u32 {
        let settled: Vec<u64> = (1..=100).filter(|it| it % 5 + 1 == u64::from(no) && it % 10 != 9).collect();
        let tried: Vec<u64> = store.attempt_summaries(no, 0, 100).await.unwrap().iter().map(|it| it.place).collect();
        assert_eq!(tried, settled);
        assert_eq!(store.cursor(no).await.unwrap(), settled.last().copied());
    }
}
