//! Cases of `Deliveries`.

use super::make::{at, attempt, change, commit, draft, exception, image, publish, subscribe, subscription, success};
use crate::{
    Store,
    store::{AttemptSummary, ReaderAccount, ReaderState, SettleError, Settlement},
};
use ringback_model::{
    delivery::{Attempt, Exception, ExceptionState, Excerpt, SkippedRange, Timings, Via},
    event::{Place, Scope},
    subscription::Subscription,
};
use std::sync::Arc;

/// Events 1 to 9 of `acme`, and subscription 1, which has read none.
async fn furnish<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=9).map(draft))).await;
    commit(store, change("acme", [subscribe(subscription(1), Some(0))])).await;
}

fn settlement(cursor: Place) -> Settlement {
    Settlement { subscription: 1, generation: 1, cursor, ..Settlement::default() }
}

async fn settle<S: Store>(store: &Arc<S>, settlement: Settlement) {
    store.settle(settlement).await.expect("nothing fences this settlement");
}

async fn state<S: Store>(store: &Arc<S>) -> ReaderState {
    store.reader(1).await.unwrap().unwrap()
}

/// Starts the next generation of subscription 1 at `cursor`.
async fn seek<S: Store>(store: &Arc<S>, cursor: Place) {
    let it = store.subscriptions().await.unwrap().remove(0);
    let next = Subscription { version: it.version + 1, generation: it.generation + 1, ..it };
    commit(store, change("acme", [subscribe(next, Some(cursor))])).await;
}

pub async fn a_settlement_is_there_when_it_returns<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let full = Attempt {
        via: Via::Manual,
        outcome: "unknown".into(),
        timings: Timings { dns: None, connect: Some(2), tls: Some(u32::MAX), first_byte: None, total: 0 },
        peer: None,
        response: Some(Excerpt {
            headers: vec![("content-type".into(), "text/plain".into()), ("a".into(), "ü\"".into())],
            body: "no\u{0} 'thanks'".into(),
            truncated: true,
        }),
        ..attempt(2, 2, 1)
    };
    settle(
        store,
        Settlement {
            attempts: vec![success(1, 1, 1), full.clone(), success(4, 4, 1)],
            exceptions: vec![exception(2), exception(3)],
            ..settlement(3)
        },
    )
    .await;
    assert_eq!(
        state(store).await,
        ReaderState { cursor: 3, exceptions: vec![exception(2), exception(3)], delivered_above: vec![4], ..ReaderState::default() }
    );
    assert_eq!(store.cursor(1).await, Ok(Some(3)));
    assert_eq!(store.attempts(1, draft(2).id).await, Ok(vec![full]));
    settle(store, Settlement { removed: vec![2, 8], ..settlement(4) }).await;
    assert_eq!(state(store).await, ReaderState { cursor: 4, exceptions: vec![exception(3)], ..ReaderState::default() });
}

pub async fn nobody_and_another_generation_are_fenced<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.settle(Settlement { subscription: 2, ..settlement(1) }).await, Err(SettleError::Fenced));
    assert_eq!(store.settle(Settlement { generation: 2, ..settlement(1) }).await, Err(SettleError::Fenced));
    seek(store, 0).await;
    assert_eq!(store.settle(settlement(1)).await, Err(SettleError::Fenced));
    settle(store, Settlement { generation: 2, ..settlement(1) }).await;
}

pub async fn a_fenced_settlement_leaves_no_trace<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, Settlement { exceptions: vec![exception(1)], ..settlement(1) }).await;
    seek(store, 1).await;
    let before = image(store).await;
    let late = Settlement { attempts: vec![success(2, 2, 1)], exceptions: vec![exception(3)], removed: vec![1], ..settlement(5) };
    assert_eq!(store.settle(late).await, Err(SettleError::Fenced));
    assert_eq!(image(store).await, before);
}

pub async fn the_cursor_never_moves_backwards<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, settlement(7)).await;
    settle(store, Settlement { attempts: vec![attempt(3, 3, 1)], exceptions: vec![exception(3)], ..settlement(2) }).await;
    assert_eq!(store.cursor(1).await, Ok(Some(7)));
    assert_eq!(store.exception(1, 3).await, Ok(Some(exception(3))), "the rest is stored");
    assert_eq!(store.attempts(1, draft(3).id).await.unwrap().len(), 1, "the rest is stored");
}

pub async fn settling_twice_is_settling_once<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, Settlement { exceptions: vec![exception(5)], ..settlement(1) }).await;
    let it = Settlement {
        attempts: vec![success(1, 1, 1), attempt(2, 2, 1), attempt(2, 2, 2)],
        exceptions: vec![exception(2)],
        removed: vec![5],
        ..settlement(2)
    };
    settle(store, it.clone()).await;
    let once = image(store).await;
    settle(store, it).await;
    assert_eq!(image(store).await, once);
}

pub async fn a_stretch_that_is_skipped_grows<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let range = |from, to, why: &str, matched| SkippedRange { generation: 1, from, to, why: why.into(), matched };
    let skipped = vec![range(1, 3, "shadow", 2), range(5, 6, "shadow", 1)];
    settle(store, Settlement { skipped: skipped.clone(), ..settlement(6) }).await;
    assert_eq!(state(store).await.skipped, skipped);
    let grown = vec![range(5, 8, "shadow", 3), range(5, 7, "sought", 0)];
    settle(store, Settlement { skipped: grown, ..settlement(8) }).await;
    let all = [range(1, 3, "shadow", 2), range(5, 7, "sought", 0), range(5, 8, "shadow", 3)];
    assert_eq!(state(store).await.skipped, all);
    // One that comes late is no longer than what is there.
    settle(store, Settlement { skipped: vec![range(5, 8, "shadow", 3)], ..settlement(8) }).await;
    assert_eq!(state(store).await.skipped, all);
}

pub async fn what_is_there_is_written_over<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, Settlement { attempts: vec![attempt(2, 2, 1)], exceptions: vec![exception(2)], ..settlement(2) }).await;
    let parked = Exception { tries: 2, state: ExceptionState::Parked { reason: "tries-exhausted".into(), at: at(9) }, ..exception(2) };
    settle(store, Settlement { attempts: vec![success(2, 2, 1)], exceptions: vec![parked.clone()], ..settlement(2) }).await;
    assert_eq!(store.exception(1, 2).await, Ok(Some(parked)));
    assert_eq!(store.attempts(1, draft(2).id).await, Ok(vec![success(2, 2, 1)]));
}

pub async fn delivered_above_is_of_the_cursor_and_the_generation<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let attempts = vec![success(7, 7, 1), success(2, 2, 1), success(5, 5, 1), attempt(6, 6, 1), success(5, 5, 2), attempt(7, 7, 2)];
    settle(store, Settlement { attempts, ..settlement(3) }).await;
    assert_eq!(state(store).await.delivered_above, [5, 7]);
    settle(store, settlement(5)).await;
    assert_eq!(state(store).await.delivered_above, [7]);
    seek(store, 1).await;
    assert!(state(store).await.delivered_above.is_empty(), "what an earlier generation delivered does not count");
    let again = Attempt { generation: 2, ..success(5, 5, 3) };
    settle(store, Settlement { generation: 2, attempts: vec![again], ..settlement(1) }).await;
    assert_eq!(state(store).await.delivered_above, [5]);
}

pub async fn another_life_removes_exceptions_above_where_it_begins<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, Settlement { exceptions: [2, 4, 5, 9].map(exception).to_vec(), ..settlement(9) }).await;
    seek(store, 4).await;
    let left = state(store).await;
    assert_eq!((left.cursor, left.exceptions.iter().map(|it| it.place).collect::<Vec<_>>()), (4, vec![2, 4]));
    // An edit that moves no cursor keeps them.
    let it = store.subscriptions().await.unwrap().remove(0);
    let edited = Subscription { version: it.version + 1, description: "new".into(), ..it };
    commit(store, change("acme", [subscribe(edited, None)])).await;
    assert_eq!(state(store).await.exceptions.len(), 2);
}

pub async fn attempts_of_an_earlier_life_are_not_written_over<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    settle(store, Settlement { attempts: vec![attempt(5, 5, 1), success(5, 5, 2)], ..settlement(9) }).await;
    seek(store, 0).await;
    let first = Attempt { id: ringback_model::AttemptId::from_bits(77), generation: 2, ..success(5, 5, 1) };
    // Twice is once.
    for _ in 0..2 {
        settle(store, Settlement { generation: 2, attempts: vec![first.clone()], ..settlement(5) }).await;
    }
    let kept = store.attempts(1, first.event).await.unwrap();
    assert_eq!(kept, [attempt(5, 5, 1), success(5, 5, 2), Attempt { n: 3, ..first }]);
}

pub async fn attempts_of_replays_and_others_keep_beside_each_other<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let replayed = |id, n, it: Attempt| Attempt { id: ringback_model::AttemptId::from_bits(id), via: Via::Replay, n, ..it };
    settle(store, Settlement { attempts: vec![attempt(5, 5, 1)], ..settlement(9) }).await;
    let first = replayed(71, 1, attempt(5, 5, 1));
    let second = replayed(72, 2, attempt(5, 5, 1));
    // Twice is once.
    for _ in 0..2 {
        settle(store, Settlement { attempts: vec![first.clone(), second.clone()], ..settlement(9) }).await;
    }
    // The schedule knows nothing of them, and counts on.
    let manual = Attempt { via: Via::Manual, ..success(5, 5, 2) };
    settle(store, Settlement { attempts: vec![manual.clone()], ..settlement(9) }).await;
    let kept = store.attempts(1, manual.event).await.unwrap();
    assert_eq!(kept, [attempt(5, 5, 1), Attempt { n: 2, ..first }, Attempt { n: 3, ..second }, Attempt { n: 4, ..manual }]);
}

pub async fn what_a_replay_delivered_is_counted_apart<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let replayed = |it: Attempt| Attempt { via: Via::Replay, ..it };
    let attempts = vec![success(2, 2, 1), replayed(success(2, 2, 2)), replayed(success(7, 7, 1)), replayed(attempt(8, 8, 1))];
    settle(store, Settlement { attempts, ..settlement(3) }).await;
    let sums = store.attempt_summaries(1, 0, 9).await.unwrap();
    let seen: Vec<_> = sums.iter().map(|it| (it.place, it.succeeded_in, it.replayed_in, it.delivered_in())).collect();
    assert_eq!(seen, [(2, Some(1), Some(1), Some(1)), (7, None, Some(1), Some(1)), (8, None, None, None)]);
    assert_eq!(state(store).await.delivered_above, [7], "a delivery that it arrived by is one");
}

pub async fn a_settlement_may_skip<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let range = |from, to| ringback_model::delivery::SkippedRange { generation: 1, from, to, why: "cancelled".into(), matched: 0 };
    settle(store, Settlement { exceptions: vec![exception(5)], ..settlement(9) }).await;
    let it = Settlement { removed: vec![5], skipped: vec![range(4, 5), range(1, 2)], ..settlement(9) };
    for _ in 0..2 {
        settle(store, it.clone()).await;
        let now = state(store).await;
        assert_eq!((now.skipped, now.exceptions), (vec![range(1, 2), range(4, 5)], vec![]));
    }
    let late = Settlement { generation: 2, skipped: vec![range(6, 7)], ..settlement(9) };
    assert_eq!(store.settle(late).await, Err(SettleError::Fenced));
    assert_eq!(state(store).await.skipped.len(), 2);
}

pub async fn exceptions_come_in_order_of_place<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    commit(store, change("acme", [subscribe(subscription(2), Some(0))])).await;
    let exceptions = [8, 3, 5, 9, 4].map(exception).to_vec();
    settle(store, Settlement { exceptions, ..settlement(9) }).await;
    settle(store, Settlement { subscription: 2, exceptions: vec![exception(6)], ..settlement(9) }).await;
    for (after, limit, want) in [
        (0, 10, vec![3, 4, 5, 8, 9]),
        (4, 2, vec![5, 8]),
        (3, 10, vec![4, 5, 8, 9]),
        (9, 10, vec![]),
        (0, 0, vec![]),
        (Place::MAX, 1, vec![]),
    ] {
        let read = store.exceptions(1, after, limit).await.unwrap();
        assert_eq!(read, want.into_iter().map(exception).collect::<Vec<_>>(), "{limit} after {after}");
    }
    assert_eq!(state(store).await.exceptions.iter().map(|it| it.place).collect::<Vec<_>>(), [3, 4, 5, 8, 9]);
    assert_eq!(store.exception(1, 5).await, Ok(Some(exception(5))));
    assert_eq!(store.exception(1, 6).await, Ok(None));
}

pub async fn every_state_of_an_exception_reads_back<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let states = [
        ExceptionState::Retrying { due_at: at(77) },
        ExceptionState::Held,
        ExceptionState::Parked { reason: "it's over".into(), at: at(78) },
    ];
    for (place, state) in (1..).zip(states) {
        let it = Exception { state, subject: None, revision: 3, tries: 0, ..exception(place) };
        settle(store, Settlement { exceptions: vec![it.clone()], ..settlement(0) }).await;
        assert_eq!(store.exception(1, place).await, Ok(Some(it)));
    }
}

pub async fn attempts_come_in_order_of_n<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    commit(store, change("acme", [subscribe(subscription(2), Some(0))])).await;
    settle(store, Settlement { attempts: vec![success(2, 2, 3), attempt(2, 2, 1)], ..settlement(0) }).await;
    settle(store, Settlement { attempts: vec![attempt(2, 2, 2), attempt(3, 3, 1)], ..settlement(0) }).await;
    settle(store, Settlement { subscription: 2, attempts: vec![attempt(2, 2, 9)], ..settlement(0) }).await;
    assert_eq!(store.attempts(1, draft(2).id).await, Ok(vec![attempt(2, 2, 1), attempt(2, 2, 2), success(2, 2, 3)]));
    assert_eq!(store.attempts(1, draft(4).id).await, Ok(Vec::new()));
    assert_eq!(store.attempts(1, draft(99).id).await, Ok(Vec::new()));
}

pub async fn attempts_of_an_event_outside_the_scope_are_none<S: Store>(store: &Arc<S>) {
    // `beta`'s event 11 is its first and stands at 10 in the log; `acme`'s event 1 is its first.
    furnish(store).await;
    commit(store, publish("beta", [draft(11)])).await;
    let everybody = Subscription { scope: Scope::All, ..subscription(2) };
    commit(store, change("acme", [subscribe(everybody, Some(0))])).await;
    settle(store, Settlement { attempts: vec![attempt(1, 1, 1)], ..settlement(0) }).await;
    settle(store, Settlement { subscription: 2, attempts: vec![attempt(10, 11, 1)], ..settlement(0) }).await;
    assert_eq!(store.attempts(1, draft(11).id).await, Ok(Vec::new()));
    assert_eq!(store.attempts(1, draft(1).id).await, Ok(vec![attempt(1, 1, 1)]));
    assert_eq!(store.attempts(2, draft(11).id).await, Ok(vec![attempt(10, 11, 1)]));
}

pub async fn summaries_are_of_the_places_asked_for<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let attempts = vec![attempt(2, 2, 1), success(2, 2, 2), attempt(2, 2, 3), attempt(3, 3, 1), success(5, 5, 1)];
    settle(store, Settlement { attempts, ..settlement(0) }).await;
    seek(store, 0).await;
    let again = Attempt { generation: 2, ..success(5, 5, 2) };
    settle(store, Settlement { generation: 2, attempts: vec![again.clone()], ..settlement(0) }).await;
    let two = AttemptSummary { place: 2, count: 3, last: attempt(2, 2, 3), succeeded_in: Some(1), replayed_in: None };
    let three = AttemptSummary { place: 3, count: 1, last: attempt(3, 3, 1), succeeded_in: None, replayed_in: None };
    let five = AttemptSummary { place: 5, count: 2, last: again, succeeded_in: Some(2), replayed_in: None };
    for (from, to, want) in [
        (0, 9, vec![&two, &three, &five]),
        (2, 5, vec![&three, &five]),
        (1, 2, vec![&two]),
        (3, 4, vec![]),
        (5, 3, vec![]),
        (0, Place::MAX, vec![&two, &three, &five]),
        (Place::MAX, Place::MAX, vec![]),
    ] {
        let read = store.attempt_summaries(1, from, to).await.unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), want, "({from}, {to}]");
    }
}

pub async fn an_unknown_subscription_has_nothing<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    assert_eq!(store.reader(2).await, Ok(None));
    assert_eq!(store.cursor(2).await, Ok(None));
    assert_eq!(store.exceptions(2, 0, 9).await, Ok(Vec::new()));
    assert_eq!(store.exception(2, 1).await, Ok(None));
    assert_eq!(store.attempts(2, draft(1).id).await, Ok(Vec::new()));
    assert_eq!(store.attempt_summaries(2, 0, 9).await, Ok(Vec::new()));
}

pub async fn an_account_is_of_the_places_asked_for<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let range = ringback_model::delivery::SkippedRange { generation: 1, from: 6, to: 8, why: "resumed-from-now".into(), matched: 0 };
    let it = store.subscriptions().await.unwrap().remove(0);
    let next = Subscription { version: it.version + 1, ..it };
    let mut set = change("acme", [subscribe(next.clone(), None)]);
    if let Some(crate::store::Change::Subscription { skipped, .. }) = set.changes.first_mut() {
        skipped.push(range.clone());
    }
    commit(store, set).await;
    settle(
        store,
        Settlement {
            attempts: vec![success(1, 1, 1), attempt(2, 2, 1), attempt(2, 2, 2), success(5, 5, 1)],
            exceptions: vec![exception(2), exception(4)],
            ..settlement(3)
        },
    )
    .await;
    let account = store.account(1, 1, 4).await.unwrap().unwrap();
    let attempts = store.attempt_summaries(1, 1, 4).await.unwrap();
    assert_eq!(attempts.len(), 1);
    let want =
        ReaderAccount { subscription: next, cursor: 3, exceptions: vec![exception(2), exception(4)], attempts, skipped: vec![range] };
    assert_eq!(account, want);
    let nothing = store.account(1, 4, 4).await.unwrap().unwrap();
    assert_eq!((nothing.exceptions.len(), nothing.attempts.len(), nothing.cursor), (0, 0, 3));
    assert_eq!(store.account(1, 4, Place::MAX).await.unwrap().unwrap().attempts.len(), 1);
    assert_eq!(store.account(2, 0, Place::MAX).await, Ok(None));
}

pub async fn whoever_has_rows_is_accounted<S: Store>(store: &Arc<S>) {
    assert_eq!(store.accounted().await, Ok(Vec::new()));
    furnish(store).await;
    commit(store, change("acme", [subscribe(subscription(7), Some(0))])).await;
    settle(store, Settlement { attempts: vec![success(1, 1, 1)], exceptions: vec![exception(2)], ..settlement(3) }).await;
    assert_eq!(store.accounted().await, Ok(vec![1, 7]));
}
