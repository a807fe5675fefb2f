//! Cases of `Answers`.

use super::make::{answer, at, change, commit};
use crate::{Store, store::StoredAnswer};
use std::{sync::Arc, time::Duration};

pub async fn an_answer_is_kept_until_it_expires<S: Store>(store: &Arc<S>) {
    let mut set = change("acme", []);
    set.answer = Some(answer(1, b"sealed \x00\xff"));
    commit(store, set).await;
    let kept = StoredAnswer { fingerprint: [1; 32], answer: b"sealed \x00\xff".to_vec(), expires_at: at(100) };
    let just_before = at(100) - Duration::from_micros(1);
    assert_eq!(store.answer(&[1; 32], just_before).await, Ok(Some(kept)));
    assert_eq!(store.answer(&[1; 32], at(100)).await, Ok(None));
    assert_eq!(store.answer(&[2; 32], at(0)).await, Ok(None));
}

pub async fn pruning_removes_what_expired_first_and_no_more<S: Store>(store: &Arc<S>) {
    for (scope, expires_at) in [(1, 10), (2, 9), (3, 8), (4, 11)] {
        let mut set = change("acme", []);
        set.answer = Some(answer(scope, b"x"));
        set.answer.as_mut().unwrap().expires_at = at(expires_at);
        commit(store, set).await;
    }
    assert_eq!(store.prune_answers(at(7), 10).await, Ok(0));
    assert_eq!(store.prune_answers(at(10), 2).await, Ok(2));
    assert!(store.answer(&[1; 32], at(9)).await.unwrap().is_some());
    assert_eq!(store.prune_answers(at(10), 2).await, Ok(1));
    assert_eq!(store.prune_answers(at(10), 2).await, Ok(0));
    assert!(store.answer(&[4; 32], at(10)).await.unwrap().is_some());
    for scope in [1, 2, 3] {
        assert_eq!(store.answer(&[scope; 32], at(0)).await, Ok(None));
    }
}
