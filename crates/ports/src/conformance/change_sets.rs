//! Cases of `Log::commit`: all or nothing.

use super::make::{
    about, answer, at, before, change, commit, draft, event_type, events, image, key, keyed, of_version, publish, put, resource_id, row,
    scope, stored_type, subject, subscribe, subscription, tenant, tenant_row, type_name,
};
use crate::{
    Store,
    store::{AuditEntry, Change, ChangeSet, CommitError, Committed, Expected, NewAnswer, Refused, StoreError},
};
use bytes::Bytes;
use ringback_model::{
    EventId,
    event::{EventDraft, OfResource, Scope},
    key::Authority,
    limits::EVENTS_PER_CHANGE_SET_MAX,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

#[track_caller]
fn refused(got: Result<Committed, CommitError>) -> Refused {
    match got {
        Err(CommitError::Refused(why)) => why,
        other => panic!("should have been refused, but was {other:?}"),
    }
}

pub async fn all_of_it_is_there_when_commit_returns<S: Store>(store: &Arc<S>) {
    let set = ChangeSet {
        changes: vec![put(row("acme", "1", 1)), Change::Key { key: Box::new(key(1)) }],
        answer: Some(answer(1, b"created")),
        audit: Some(AuditEntry { actor: None, action: "key.create", object: key(1).id.to_string() }),
        ..publish("acme", [draft(1), draft(2)])
    };
    commit(store, set).await;
    assert_eq!(store.resource(&tenant("acme"), &type_name("payment"), &resource_id("1")).await, Ok(Some(row("acme", "1", 1))));
    assert_eq!(store.keys().await, Ok(vec![key(1)]));
    assert_eq!(store.answer(&[1; 32], at(0)).await.unwrap().unwrap().answer, b"created");
    assert_eq!(events(store, &scope("acme")).await.len(), 2);
}

pub async fn places_are_dense_from_one_in_every_count<S: Store>(store: &Arc<S>) {
    let mut n = 0;
    let mut next = |count: u64| {
        n += count;
        (n - count + 1..=n).map(draft)
    };
    for (id, count) in [("acme", 2), ("beta", 3), ("acme", 1), ("acme", 0), ("beta", 1), ("acme", 4)] {
        commit(store, publish(id, next(count))).await;
    }
    let all = events(store, &Scope::All).await;
    assert_eq!(all.iter().map(|it| it.seq).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
    assert_eq!(all.iter().map(|it| it.id).collect::<Vec<_>>(), (1..=11).map(EventId::from_bits).collect::<Vec<_>>());
    for (id, count) in [("acme", 7), ("beta", 4)] {
        let own = events(store, &scope(id)).await;
        assert_eq!(own.iter().map(|it| it.sequence).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        assert!(own.is_sorted_by_key(|it| it.seq), "the tenant's order is the log's");
    }
}

pub async fn the_answer_names_the_places_also_without_events<S: Store>(store: &Arc<S>) {
    assert_eq!(commit(store, change("acme", [])).await.sequence, 0);
    let done = commit(store, publish("acme", [draft(1), draft(2)])).await;
    assert_eq!(done.sequence, 2);
    assert_eq!(done.events.iter().map(|it| (it.seq, it.sequence)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(done.events, events(store, &scope("acme")).await);
    let done = commit(store, change("acme", [put(row("acme", "1", 1))])).await;
    assert_eq!((done.events.len(), done.sequence), (0, 2));
    assert_eq!(commit(store, publish("beta", [draft(3)])).await.sequence, 1);
}

pub async fn the_bytes_are_made_once_with_the_place_in_them<S: Store>(store: &Arc<S>) {
    commit(store, publish("beta", [draft(1)])).await;
    commit(store, publish("acme", [draft(2), about(3, "/payment/\"1\"")])).await;
    let expected = about(3, "/payment/\"1\"").place(tenant("acme"), 3, 2, true);
    let found = store.event(&Scope::All, EventId::from_bits(3)).await.unwrap().unwrap();
    assert_eq!(found.bytes, expected.bytes);
}

pub async fn only_the_last_event_ends_a_set<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=3).map(draft))).await;
    commit(store, publish("acme", [draft(4)])).await;
    let ends: Vec<_> = events(store, &Scope::All).await.iter().map(|it| it.ends_change_set).collect();
    assert_eq!(ends, [false, false, true, true]);
}

pub async fn an_event_reads_back_as_it_was_given<S: Store>(store: &Arc<S>) {
    let full = EventDraft {
        id: EventId::from_bits(u128::MAX),
        event_type: event_type("payment.completed"),
        timestamp: at(3) + Duration::from_micros(7),
        subject: Some(subject("/payment/ü '\"%")),
        data: Bytes::from_static(b"{\"a\":1.50,\"b\":\"\\u00e4\"}"),
        previous: Some(Bytes::from_static(b"{\"status\":null}")),
        occurred_at: Some(at(1)),
        expires_at: Some(at(9)),
        key: Some("order '1'".into()),
        audience: Authority::Operator,
        of: Some(OfResource {
            type_name: type_name("payment"),
            id: resource_id("1"),
            version: 3,
            entered: Some("completed".parse().unwrap()),
            deleted: false,
        }),
    };
    let deleting = EventDraft {
        of: Some(OfResource { type_name: type_name("payment"), id: resource_id("2"), version: 9, entered: None, deleted: true }),
        ..draft(2)
    };
    let drafts = [full, deleting, draft(3)];
    let done = commit(store, publish("acme", drafts.clone())).await;
    for (place, draft) in (1..).zip(drafts) {
        let expected = draft.place(tenant("acme"), place, place, place == 3);
        let read = store.event_at(&Scope::All, place).await.unwrap().unwrap();
        assert_eq!(*read, expected);
        assert_eq!(done.events[place as usize - 1], read);
    }
}

pub async fn a_thousand_events_fit_and_one_more_does_not<S: Store>(store: &Arc<S>) {
    let most = EVENTS_PER_CHANGE_SET_MAX as u64;
    let before = image(store).await;
    let error = store.commit(publish("acme", (1..=most + 1).map(draft))).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(StoreError::Broken(_))), "{error:?}");
    assert_eq!(image(store).await, before);
    assert_eq!(commit(store, publish("acme", (1..=most).map(draft))).await.sequence, most);
}

/// A change of each kind that writes `version` and expects `expected`.
fn versioned(version: u64, expected: Expected) -> Vec<Change> {
    let mut subscription = subscription(1);
    subscription.version = version;
    vec![
        Change::Resource { row: Box::new(row("acme", "1", version)), expected },
        Change::Tenant { tenant: Box::new(tenant_row("acme", version)), expected },
        Change::Subscription { subscription: Box::new(subscription), expected, cursor: Some(0), skipped: Vec::new() },
        Change::Type { stored: Box::new(stored_type("payment", version)), expected },
    ]
}

/// A deletion of each kind.
fn deletions(expected: Expected) -> [Change; 2] {
    [Change::SubscriptionDelete { no: 1, expected }, Change::TypeDelete { name: type_name("payment"), expected }]
}

pub async fn another_version_is_refused_and_named<S: Store>(store: &Arc<S>) {
    commit(store, change("acme", versioned(1, Expected::Absent))).await;
    commit(store, change("acme", versioned(2, Expected::Version(1)))).await;
    for stale in [1, 3] {
        for wrong in versioned(3, Expected::Version(stale)).into_iter().chain(deletions(Expected::Version(stale))) {
            let what = format!("{wrong:?}");
            let set = change("acme", [Change::Key { key: Box::new(key(1)) }, wrong]);
            assert_eq!(refused(store.commit(set).await), Refused::Version { change: 1, found: Some(2) }, "{what}");
        }
    }
    commit(store, change("acme", versioned(3, Expected::Version(2)))).await;
    commit(store, change("acme", deletions(Expected::Version(3)))).await;
}

pub async fn a_missing_row_is_refused<S: Store>(store: &Arc<S>) {
    for wrong in versioned(2, Expected::Version(1)).into_iter().chain(deletions(Expected::Version(1))) {
        let what = format!("{wrong:?}");
        assert_eq!(refused(store.commit(change("acme", [wrong])).await), Refused::Version { change: 0, found: None }, "{what}");
    }
}

pub async fn a_row_that_is_there_is_refused_also_a_deleted_one<S: Store>(store: &Arc<S>) {
    commit(store, change("acme", versioned(1, Expected::Absent))).await;
    let mut gone = row("acme", "2", 1);
    gone.deleted = true;
    commit(store, change("acme", [put(gone)])).await;
    for wrong in versioned(1, Expected::Absent).into_iter().chain([put(row("acme", "2", 1))]) {
        let what = format!("{wrong:?}");
        assert_eq!(refused(store.commit(change("acme", [wrong])).await), Refused::Exists { change: 0 }, "{what}");
    }
    commit(store, change("acme", [put(row("beta", "1", 1)), put(row("acme", "3", 1))])).await;
}

pub async fn a_missing_key_cannot_be_deleted<S: Store>(store: &Arc<S>) {
    let delete = || change("acme", [Change::KeyDelete { id: key(1).id }]);
    assert_eq!(refused(store.commit(delete()).await), Refused::Version { change: 0, found: None });
    commit(store, change("acme", [Change::Key { key: Box::new(key(1)) }])).await;
    commit(store, delete()).await;
    assert_eq!(refused(store.commit(delete()).await), Refused::Version { change: 0, found: None });
}

pub async fn changes_see_what_earlier_changes_of_the_set_wrote<S: Store>(store: &Arc<S>) {
    let twice = versioned(1, Expected::Absent).into_iter().chain(versioned(2, Expected::Version(1)));
    commit(store, change("acme", twice)).await;
    assert_eq!(store.resource(&tenant("acme"), &type_name("payment"), &resource_id("1")).await, Ok(Some(row("acme", "1", 2))));
    let set = change("acme", [put(row("acme", "2", 1)), put(row("acme", "2", 1))]);
    assert_eq!(refused(store.commit(set).await), Refused::Exists { change: 1 });
    let set = change("acme", [put(row("acme", "2", 1)), put(row("acme", "2", 3))]);
    assert_eq!(refused(store.commit(set).await), Refused::Version { change: 1, found: Some(1) });
    // What is deleted makes room, what is written can be deleted.
    let again = deletions(Expected::Version(2)).into_iter().chain(versioned(1, Expected::Absent).into_iter().skip(2));
    commit(store, change("acme", again)).await;
    let fleeting = [Change::Key { key: Box::new(key(1)) }, Change::KeyDelete { id: key(1).id }, Change::KeyDelete { id: key(1).id }];
    assert_eq!(refused(store.commit(change("acme", fleeting)).await), Refused::Version { change: 2, found: None });
    let moved = {
        let mut it = subscription(2);
        it.id = subscription(1).id;
        [Change::SubscriptionDelete { no: 1, expected: Expected::Version(1) }, subscribe(it, Some(0))]
    };
    commit(store, change("acme", moved)).await;
    assert_eq!(store.subscriptions().await.unwrap().iter().map(|it| it.no).collect::<Vec<_>>(), [2]);
}

pub async fn an_event_key_belongs_to_one_event_of_a_tenant<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [keyed(1, "a")])).await;
    let got = store.commit(publish("acme", [keyed(2, "b"), keyed(3, "a")])).await;
    assert_eq!(refused(got), Refused::EventKeyTaken { event: 1, by: EventId::from_bits(1) });
    commit(store, publish("beta", [keyed(4, "a")])).await;
    commit(store, publish("acme", [keyed(5, "A"), keyed(6, "b"), draft(7), draft(8)])).await;
}

pub async fn an_event_key_twice_in_a_set_is_refused<S: Store>(store: &Arc<S>) {
    let got = store.commit(publish("acme", [keyed(1, "a"), keyed(2, "b"), keyed(3, "a")])).await;
    assert_eq!(refused(got), Refused::EventKeyTaken { event: 2, by: EventId::from_bits(1) });
}

pub async fn an_event_id_twice_is_refused<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1)])).await;
    let before = image(store).await;
    for drafts in [vec![draft(2), draft(1)], vec![draft(3), draft(3)]] {
        let error = store.commit(publish("beta", drafts)).await.unwrap_err();
        assert!(matches!(error, CommitError::Store(StoreError::Broken(_))), "{error:?}");
    }
    assert_eq!(image(store).await, before);
}

pub async fn an_answer_is_taken_until_it_expires<S: Store>(store: &Arc<S>) {
    let set = |secs, bytes| ChangeSet { answer: Some(answer(1, bytes)), at: at(secs), ..change("acme", []) };
    commit(store, set(0, b"first")).await;
    assert_eq!(refused(store.commit(set(99, b"second")).await), Refused::AnswerTaken);
    let mut later = set(100, b"third");
    later.answer.as_mut().unwrap().expires_at = at(200);
    commit(store, later).await;
    assert_eq!(store.answer(&[1; 32], at(100)).await.unwrap().unwrap().answer, b"third");
    assert_eq!(refused(store.commit(set(101, b"fourth")).await), Refused::AnswerTaken);
}

pub async fn the_answer_is_made_once_with_the_places<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1)])).await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let answer = NewAnswer {
        answer: Box::new(move |it| {
            counted.fetch_add(1, Ordering::Relaxed);
            format!("{} {}", it.sequence, it.events.iter().map(|it| it.seq.to_string()).collect::<Vec<_>>().join(",")).into_bytes()
        }),
        ..answer(1, b"")
    };
    commit(store, ChangeSet { answer: Some(answer), ..publish("acme", [draft(2), draft(3)]) }).await;
    assert_eq!(store.answer(&[1; 32], at(0)).await.unwrap().unwrap().answer, b"3 2,3");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

pub async fn a_refused_set_makes_no_answer<S: Store>(store: &Arc<S>) {
    let answer = NewAnswer { answer: Box::new(|_| panic!("it was refused")), ..answer(1, b"") };
    let set = ChangeSet { answer: Some(answer), ..change("acme", [put(row("acme", "1", 2))]) };
    assert_eq!(refused(store.commit(set).await), Refused::Version { change: 0, found: None });
    assert_eq!(store.answer(&[1; 32], at(0)).await, Ok(None));
}

pub async fn the_answer_is_refused_before_changes_and_changes_before_events<S: Store>(store: &Arc<S>) {
    commit(store, ChangeSet { answer: Some(answer(1, b"")), ..publish("acme", [keyed(1, "a")]) }).await;
    let wrong =
        |scope| ChangeSet { answer: Some(answer(scope, b"")), changes: vec![put(row("acme", "1", 2))], ..publish("acme", [keyed(2, "a")]) };
    assert_eq!(refused(store.commit(wrong(1)).await), Refused::AnswerTaken);
    assert_eq!(refused(store.commit(wrong(2)).await), Refused::Version { change: 0, found: None });
}

/// A store with a row of everything.
async fn furnish<S: Store>(store: &Arc<S>) {
    let set = ChangeSet {
        changes: versioned(1, Expected::Absent),
        answer: Some(answer(1, b"kept")),
        ..publish("acme", [keyed(1, "a"), of_version(2, "1", 1)])
    };
    commit(store, set).await;
    commit(store, change("acme", [Change::Key { key: Box::new(key(1)) }])).await;
}

/// A change set that would write a row of everything, and whose last change is `last`.
fn ambitious(last: Option<Change>, event: EventDraft, scope: u8) -> ChangeSet {
    let mut changes = versioned(2, before(2));
    changes.extend([
        put(row("beta", "1", 1)),
        Change::Key { key: Box::new(key(2)) },
        Change::KeyDelete { id: key(1).id },
        subscribe(subscription(2), Some(1)),
        Change::TypeDelete { name: type_name("payment"), expected: Expected::Version(2) },
    ]);
    changes.extend(last);
    ChangeSet {
        changes,
        answer: Some(answer(scope, b"new")),
        audit: Some(AuditEntry { actor: None, action: "key.create", object: "x".into() }),
        ..publish("acme", [draft(11), event])
    }
}

pub async fn a_refusal_leaves_no_trace<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let before = image(store).await;
    for (set, why) in [
        (ambitious(Some(put(row("acme", "1", 2))), draft(12), 2), "another version"),
        (ambitious(Some(put(row("beta", "1", 1))), draft(12), 2), "a row that an earlier change wrote"),
        (ambitious(Some(Change::KeyDelete { id: key(3).id }), draft(12), 2), "a missing key"),
        (ambitious(None, keyed(12, "a"), 2), "an event's key"),
        (ambitious(None, draft(12), 1), "an answer"),
    ] {
        refused(store.commit(set).await);
        assert_eq!(image(store).await, before, "{why}");
    }
    // The same with nothing to refuse it: or the cases above would prove nothing.
    commit(store, ambitious(None, draft(12), 2)).await;
    assert_ne!(image(store).await, before);
}

pub async fn a_refusal_leaves_no_gap<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [keyed(1, "a")])).await;
    refused(store.commit(publish("acme", [draft(2), keyed(3, "a")])).await);
    let done = commit(store, publish("acme", [draft(2)])).await;
    assert_eq!((done.events[0].seq, done.events[0].sequence), (2, 2));
}

pub async fn an_answer_that_panics_refuses_its_set_alone<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let before = image(store).await;
    let mut set = ambitious(None, draft(12), 2);
    set.answer = Some(NewAnswer { answer: Box::new(|_| panic!("planted by a test")), ..answer(2, b"") });
    let error = store.commit(set).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(StoreError::Broken(_))), "{error:?}");
    assert_eq!(image(store).await, before);
    commit(store, ambitious(None, draft(12), 2)).await;
}
