//! Cases of `Retention`.

use super::make::{
    about, at, attempt, change, commit, draft, event_type, events, exception, keyed, of_version, payments, publish, put, row, scope,
    subject, subscribe, subscription, success, tenant,
};
use crate::{
    Store,
    store::{Bounds, Change, ChangeSet, Expected, Settlement},
};
use ringback_model::{
    delivery::SkippedRange,
    event::{Place, Scope},
    key::Authority,
    subscription::Subscription,
};
use std::sync::Arc;

/// Sets of `acme` (1–3), `beta` (4–5), `acme` (6), `beta` (7).
async fn furnish<S: Store>(store: &Arc<S>) {
    for (n, id, events) in [(0, "acme", 1..=3), (1, "beta", 4..=5), (2, "acme", 6..=6), (3, "beta", 7..=7)] {
        commit(store, ChangeSet { at: at(10 * n), ..publish(id, events.map(draft)) }).await;
    }
}

async fn ends<S: Store>(store: &Arc<S>, scope: &Scope) -> (Place, Place, Place) {
    let Bounds { first, last, floor, .. } = store.bounds(scope).await.unwrap();
    (first, last, floor)
}

async fn kept<S: Store>(store: &Arc<S>, scope: &Scope) -> Vec<Place> {
    events(store, scope).await.iter().map(|it| it.place(scope)).collect()
}

pub async fn the_front_goes_in_whole_change_sets<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.truncate(7, 0).await, Ok(0), "none is none");
    assert_eq!(store.truncate(0, 10).await, Ok(0));
    assert_eq!(store.truncate(7, 1).await, Ok(3), "the rest of a set goes with its first");
    assert_eq!(kept(store, &Scope::All).await, [4, 5, 6, 7]);
    assert_eq!(store.truncate(6, 3).await, Ok(6), "two sets are three events");
    assert_eq!(kept(store, &Scope::All).await, [7]);
    assert_eq!(kept(store, &scope("beta")).await, [3]);
    assert!(kept(store, &scope("acme")).await.is_empty());
}

pub async fn a_change_set_that_the_end_cuts_stays<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.truncate(2, 10).await, Ok(0));
    assert_eq!(store.truncate(4, 10).await, Ok(3));
    assert_eq!(kept(store, &Scope::All).await, [4, 5, 6, 7]);
}

pub async fn floors_move_with_the_log_and_never_back<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.truncate(5, 10).await, Ok(5));
    assert_eq!(ends(store, &Scope::All).await, (6, 7, 5));
    assert_eq!(ends(store, &scope("acme")).await, (4, 4, 3));
    assert_eq!(ends(store, &scope("beta")).await, (3, 3, 2));
    assert_eq!(ends(store, &scope("nobody")).await, (1, 0, 0));
    assert_eq!(store.truncate(1, 10).await, Ok(5));
    assert_eq!(ends(store, &Scope::All).await, (6, 7, 5));
}

pub async fn places_are_never_given_again<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.truncate(Place::MAX, 100).await, Ok(7));
    assert_eq!(ends(store, &Scope::All).await, (8, 7, 7));
    assert_eq!(ends(store, &scope("acme")).await, (5, 4, 4));
    assert_eq!(store.place_before(&Scope::All, at(1_000)).await, Ok(0), "none is still there");
    let made = commit(store, ChangeSet { at: at(1), ..publish("acme", [draft(8)]) }).await;
    assert_eq!((made.sequence, made.events[0].seq, made.events[0].sequence), (5, 8, 5));
    assert_eq!(store.place_before(&Scope::All, at(30)).await, Ok(0), "commit times do not fall either");
    assert_eq!(store.place_before(&Scope::All, at(31)).await, Ok(8));
}

pub async fn a_key_is_free_again_with_its_event<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [keyed(1, "k")])).await;
    commit(store, publish("acme", [draft(2)])).await;
    store.truncate(1, 10).await.unwrap();
    assert_eq!(store.event_by_key(&tenant("acme"), "k").await, Ok(None));
    commit(store, publish("acme", [keyed(3, "k")])).await;
    let found = store.event_by_key(&tenant("acme"), "k").await.unwrap();
    assert_eq!(found.map(|it| it.id), Some(draft(3).id));
}

pub async fn types_that_were_seen_stay_known<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    store.truncate(7, 100).await.unwrap();
    for scope in [Scope::All, scope("acme"), scope("beta")] {
        assert_eq!(store.event_type_seen(&scope, &event_type("note.made")).await, Ok(true));
        let seen = store.event_types_seen(&scope, Authority::Tenant, None, 10).await.unwrap();
        assert_eq!(seen.iter().map(|it| it.event_type.as_str()).collect::<Vec<_>>(), ["note.made"]);
    }
    assert_eq!(store.event_type_seen(&scope("nobody"), &event_type("note.made")).await, Ok(false));
}

pub async fn what_stands_below_is_found_no_more<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [of_version(1, "1", 1), about(2, "/x")])).await;
    commit(store, publish("acme", [of_version(3, "1", 2)])).await;
    store.truncate(2, 10).await.unwrap();
    let (acme, all) = (scope("acme"), super::make::ALL);
    assert_eq!(store.event(&acme, draft(1).id).await, Ok(None));
    assert_eq!(store.event_at(&acme, 2).await, Ok(None));
    assert_eq!(store.event_of_version(&tenant("acme"), &subject("/payment/1"), 1).await, Ok(None));
    assert!(store.event_of_version(&tenant("acme"), &subject("/payment/1"), 2).await.unwrap().is_some());
    assert_eq!(store.events_of_subject(&acme, &subject("/payment/1"), 0, all).await.unwrap().len(), 1);
    assert!(store.events_of_subject(&acme, &subject("/x"), 0, all).await.unwrap().is_empty());
    assert_eq!(store.events_before(&acme, Place::MAX, 10).await.unwrap().len(), 1);
    assert!(store.resources_at(&tenant("acme"), &[subject("/payment/1")], 2).await.unwrap().is_empty());
}

pub async fn rows_and_cursors_stay<S: Store>(store: &Arc<S>) {
    let mut set = change("acme", [put(row("acme", "1", 1)), subscribe(subscription(1), Some(0))]);
    set.events = vec![of_version(1, "1", 1)];
    commit(store, set).await;
    store.truncate(1, 10).await.unwrap();
    assert_eq!(store.resources(payments("acme")).await.unwrap().len(), 1);
    assert_eq!(store.cursor(1).await, Ok(Some(0)), "who moves cursors is the service");
}

/// Subscription 1 of `acme` and subscription 2 of everybody, with an attempt and an exception at each place.
async fn furnish_readers<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let star = Subscription { scope: Scope::All, ..subscription(2) };
    commit(store, change("acme", [subscribe(subscription(1), Some(0)), subscribe(star, Some(0))])).await;
    for (no, last, cursor) in [(1, 4, 4), (2, 7, 7)] {
        let attempts = (1..=last).map(|it| if it % 2 == 0 { success(it, it, 1) } else { attempt(it, it, 1) }).collect();
        let exceptions = (1..=last).map(exception).collect();
        let it = Settlement { subscription: no, generation: 1, cursor, attempts, exceptions, ..Settlement::default() };
        store.settle(it).await.unwrap();
    }
}

async fn left<S: Store>(store: &Arc<S>, no: u32) -> (Vec<Place>, Vec<Place>) {
    let attempts = store.attempt_summaries(no, 0, Place::MAX).await.unwrap().iter().map(|it| it.place).collect();
    (attempts, store.exceptions(no, 0, 100).await.unwrap().iter().map(|it| it.place).collect())
}

pub async fn sweeping_takes_what_lies_at_or_below_the_floor<S: Store>(store: &Arc<S>) {
    furnish_readers(store).await;
    assert_eq!(store.sweep(0, 100).await, Ok(None));
    assert_eq!(left(store, 1).await, (vec![1, 2, 3, 4], vec![1, 2, 3, 4]), "there is no floor yet");
    store.truncate(5, 100).await.unwrap();
    assert_eq!(store.sweep(0, 100).await, Ok(None));
    assert_eq!(left(store, 1).await, (vec![4], vec![4]), "three of acme went");
    assert_eq!(left(store, 2).await, (vec![6, 7], vec![6, 7]));
}

pub async fn a_sweep_is_bounded_and_goes_on<S: Store>(store: &Arc<S>) {
    furnish_readers(store).await;
    store.truncate(7, 100).await.unwrap();
    let (mut from, mut rounds) = (0, 0);
    while let Some(next) = store.sweep(from, 3).await.unwrap() {
        (from, rounds) = (next, rounds + 1);
        assert!(rounds < 20, "it comes to an end");
    }
    assert!(rounds >= 7, "22 rows, three at a time, are not {rounds} rounds");
    assert_eq!(left(store, 1).await, (vec![], vec![]));
    assert_eq!(left(store, 2).await, (vec![], vec![]));
    assert_eq!(store.sweep(3, 3).await, Ok(None), "those before `from` are left alone");
}

pub async fn a_range_that_the_cursor_has_not_passed_stays<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    commit(store, change("acme", [subscribe(subscription(1), Some(0))])).await;
    let range = |from, to| SkippedRange { generation: 1, from, to, why: "retention".into(), matched: 0 };
    let next = Subscription { version: 2, ..subscription(1) };
    let skipping = Change::Subscription {
        subscription: Box::new(next),
        expected: Expected::Version(1),
        cursor: None,
        skipped: vec![range(0, 1), range(1, 3), range(3, 4)],
    };
    commit(store, change("acme", [skipping])).await;
    let settle = |cursor| Settlement { subscription: 1, generation: 1, cursor, ..Settlement::default() };
    store.settle(settle(1)).await.unwrap();
    store.truncate(3, 100).await.unwrap();
    store.sweep(0, 100).await.unwrap();
    assert_eq!(store.reader(1).await.unwrap().unwrap().skipped, [range(1, 3), range(3, 4)]);
    store.settle(settle(3)).await.unwrap();
    store.sweep(0, 100).await.unwrap();
    assert_eq!(store.reader(1).await.unwrap().unwrap().skipped, [range(3, 4)]);
}
