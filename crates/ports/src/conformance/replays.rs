//! Cases of `Replays`.

use super::make::{at, change, commit, exception, subscribe, subscription, tenant};
use crate::{
    Store,
    store::{Change, CommitError, Expected, Refused, SettleError, Settlement},
};
use ringback_model::{
    ReplayId,
    replay::{Only, Progress, Replay, ReplayState},
    subscription::{Subscription, TypePattern},
};
use std::sync::Arc;

/// Replay number `n` of subscription `no` of `acme`.
fn replay(n: u128, no: u32) -> Replay {
    Replay {
        id: ReplayId::from_bits(n),
        subscription: no,
        tenant: tenant("acme"),
        generation: 1,
        only: Only::Missing,
        types: vec![TypePattern::parse("payment.*").unwrap(), TypePattern::parse("order.paid").unwrap()],
        filter: Some("data.name = \"größer\"".into()),
        since: Some("2026-11-23T00:00:00Z".into()),
        until: None,
        from: 3,
        to: 9,
        rate_max_per_s: Some(7),
        created_at: at(4),
        progress: Progress::beginning(3),
    }
}

fn start(it: Replay) -> Change {
    Change::Replay { replay: Box::new(it) }
}

async fn furnish<S: Store>(store: &Arc<S>) {
    let other = Subscription { tenant: tenant("beta"), scope: super::make::scope("beta"), ..subscription(2) };
    commit(store, change("acme", [subscribe(subscription(1), Some(0)), subscribe(other, Some(0))])).await;
}

pub async fn a_replay_reads_back_as_it_was_given<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let plain = Replay { types: Vec::new(), filter: None, since: None, rate_max_per_s: None, only: Only::All, ..replay(8, 1) };
    for it in [replay(7, 1), plain] {
        commit(store, change("acme", [start(it.clone())])).await;
        assert_eq!(store.replay(it.id).await, Ok(Some(it)));
    }
    assert_eq!(store.replay(ReplayId::from_bits(9)).await, Ok(None));
}

pub async fn an_id_belongs_to_one_replay<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let twice = change("acme", [start(replay(7, 1)), start(replay(7, 1))]);
    assert_eq!(store.commit(twice).await.unwrap_err(), CommitError::Refused(Refused::Exists { change: 1 }));
    assert_eq!(store.replay(ReplayId::from_bits(7)).await, Ok(None), "nothing of a refused set is stored");
    commit(store, change("acme", [start(replay(7, 1))])).await;
    let again = store.commit(change("acme", [start(replay(7, 1))])).await;
    assert_eq!(again.unwrap_err(), CommitError::Refused(Refused::Exists { change: 0 }));
}

pub async fn settlements_say_how_far_it_is<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    commit(store, change("acme", [start(replay(7, 1)), start(replay(8, 1))])).await;
    let mut further = replay(7, 1);
    further.progress =
        Progress { cursor: 5, above: vec![7, 9], again: vec![exception(6)], matched: 4, delivered: 2, parked: 1, ..further.progress };
    // What was asked for stays, whatever is given here.
    let given = Replay { only: Only::All, filter: None, ..further.clone() };
    let settlement = |replays| Settlement { subscription: 1, generation: 1, cursor: 0, replays, ..Settlement::default() };
    for _ in 0..2 {
        store.settle(settlement(vec![given.clone()])).await.unwrap();
        assert_eq!(store.replay(further.id).await, Ok(Some(further.clone())));
    }
    assert_eq!(store.reader(1).await.unwrap().unwrap().replays, [further.clone(), replay(8, 1)]);
    // One of another life is not heard, and one that is not there is not made.
    let late = Settlement { generation: 2, ..settlement(vec![replay(7, 1)]) };
    assert_eq!(store.settle(late).await, Err(SettleError::Fenced));
    store.settle(settlement(vec![replay(9, 1)])).await.unwrap();
    assert_eq!(store.replay(ReplayId::from_bits(9)).await, Ok(None));
    // One that has ended is no more found beside the reader.
    further.progress = Progress {
        state: ReplayState::Cancelled,
        why: Some("asked".into()),
        ended_at: Some(at(77)),
        again: Vec::new(),
        ..further.progress
    };
    store.settle(settlement(vec![further.clone()])).await.unwrap();
    assert_eq!(store.replay(further.id).await, Ok(Some(further)));
    assert_eq!(store.reader(1).await.unwrap().unwrap().replays, [replay(8, 1)]);
}

pub async fn they_come_last_first_and_by_whose_they_are<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let of_beta = |n| Replay { tenant: tenant("beta"), ..replay(n, 2) };
    commit(store, change("acme", [start(replay(5, 1)), start(of_beta(6)), start(replay(7, 1)), start(of_beta(8)), start(replay(9, 1))]))
        .await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    for (whose, no, before, limit, want) in [
        (None, None, None, 9, vec![9, 8, 7, 6, 5]),
        (None, None, Some(8), 2, vec![7, 6]),
        (Some(&acme), None, None, 9, vec![9, 7, 5]),
        (Some(&beta), None, Some(8), 9, vec![6]),
        (None, Some(1), None, 2, vec![9, 7]),
        (Some(&beta), Some(1), None, 9, vec![]),
        (Some(&acme), Some(1), Some(9), 1, vec![7]),
        (None, Some(3), None, 9, vec![]),
        (None, None, None, 0, vec![]),
    ] {
        let read = store.replays(whose, no, before.map(ReplayId::from_bits), limit).await.unwrap();
        assert_eq!(read.iter().map(|it| it.id.bits()).collect::<Vec<_>>(), want, "{whose:?} {no:?} {before:?} {limit}");
    }
}

pub async fn they_go_alone_or_with_their_subscription<S: Store>(store: &Arc<S>) {
    furnish(store).await;
    let other = Replay { tenant: tenant("beta"), ..replay(9, 2) };
    commit(store, change("acme", [start(replay(7, 1)), start(replay(8, 1)), start(other.clone())])).await;
    let gone = ReplayId::from_bits(7);
    for _ in 0..2 {
        commit(store, change("acme", [Change::ReplayDelete { id: gone }])).await;
        assert_eq!(store.replay(gone).await, Ok(None));
    }
    commit(store, change("acme", [Change::SubscriptionDelete { no: 1, expected: Expected::Version(1) }])).await;
    assert_eq!(store.replays(None, None, None, 9).await, Ok(vec![other]));
}
