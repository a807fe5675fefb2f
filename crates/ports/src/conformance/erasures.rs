//! Cases of `Erasures`.

use super::make::{
    about, at, attempt, change, commit, draft, erasure, event_id, exception, keyed, of_version, publish, scope, subject, subscribe,
    subscription, tenant,
};
use crate::{
    Store,
    store::{Change, Settlement, Slice},
};
use ringback_model::{
    delivery::Excerpt,
    erasure::{Erasure, Target},
    event::{Event, Scope},
    subscription::Subscription,
};
use std::sync::Arc;

const ALL: Slice = Slice { events_max: 100, bytes_max: usize::MAX };

async fn left<S: Store>(store: &Arc<S>, n: u64) -> Arc<Event> {
    Arc::new(store.event(&Scope::All, event_id(n)).await.unwrap().unwrap().erased(at(9)))
}

async fn ask<S: Store>(store: &Arc<S>, it: &Erasure) {
    commit(store, change("acme", [Change::Erasure { erasure: Box::new(it.clone()) }])).await;
}

pub async fn erasures_read_back_and_are_listed<S: Store>(store: &Arc<S>) {
    let one = erasure(1, "acme", Some(Target::Subject(subject("/payment/1"))));
    let two = erasure(2, "beta", Some(Target::Event(event_id(7))));
    let three = erasure(3, "acme", Some(Target::Tenant));
    for it in [&one, &two, &three] {
        ask(store, it).await;
    }
    assert_eq!(store.erasures(None, None, false, 10).await.unwrap(), [one.clone(), two.clone(), three.clone()]);
    assert_eq!(store.erasures(None, Some(one.id), false, 1).await.unwrap(), [two]);
    assert_eq!(store.erasures(Some(&tenant("acme")), None, false, 10).await.unwrap(), [one.clone(), three.clone()]);
    let done = Erasure { target: None, ..one.clone() };
    ask(store, &done).await;
    assert_eq!(store.erasures(Some(&tenant("acme")), None, true, 10).await.unwrap(), [three]);
    assert_eq!(store.erasures(None, None, false, 1).await.unwrap(), [done], "written again, it is the same one");
}

pub async fn what_is_left_keeps_its_place_and_is_found_by_id_alone<S: Store>(store: &Arc<S>) {
    let made = of_version(2, "1", 1);
    commit(store, publish("acme", [keyed(1, "k"), made, about(3, "/thing/1")])).await;
    ask(store, &erasure(1, "acme", Some(Target::Tenant))).await;
    let gone = [left(store, 1).await, left(store, 2).await, left(store, 3).await];
    assert_eq!(store.erase(erasure(1, "acme", None).id, gone.to_vec()).await, Ok(3));
    assert_eq!(store.events_after(&scope("acme"), 0, ALL).await.unwrap(), gone);
    assert_eq!(store.event(&Scope::All, event_id(1)).await.unwrap().as_deref(), Some(&*gone[0]));
    assert!(store.event(&Scope::All, event_id(2)).await.unwrap().unwrap().of.is_some(), "versions stay dense");
    assert_eq!(store.event_by_key(&tenant("acme"), "k").await.unwrap(), None);
    for it in ["/payment/1", "/thing/1"] {
        assert_eq!(store.events_of_subject(&scope("acme"), &subject(it), 0, ALL).await.unwrap(), []);
    }
    assert_eq!(store.event_of_version(&tenant("acme"), &subject("/payment/1"), 1).await.unwrap(), None);
    // The key is free again.
    commit(store, publish("acme", [keyed(4, "k")])).await;
    assert_eq!(store.bounds(&scope("acme")).await.unwrap().last, 4);
}

pub async fn erasing_twice_is_erasing_once<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=3).map(draft))).await;
    let it = erasure(1, "acme", Some(Target::Tenant));
    ask(store, &it).await;
    let gone = vec![left(store, 1).await, left(store, 2).await];
    assert_eq!(store.erase(it.id, gone.clone()).await, Ok(2));
    let later: Vec<_> = gone.iter().map(|it| Arc::new(Event { erased_at: Some(at(99)), ..(**it).clone() })).collect();
    assert_eq!(store.erase(it.id, later).await, Ok(0));
    assert_eq!(store.events_after(&scope("acme"), 0, ALL).await.unwrap()[..2], gone[..]);
    let nobodys = Arc::new(Event { id: event_id(77), ..(*gone[0]).clone() });
    assert_eq!(store.erase(it.id, vec![nobodys]).await, Ok(0));
    assert_eq!(store.erasures(None, None, false, 10).await.unwrap()[0].erased, 2);
    assert!(store.scrub().await.is_ok());
}

pub async fn what_hung_on_erased_events_goes_and_nothing_else<S: Store>(store: &Arc<S>) {
    commit(store, publish("beta", [draft(9)])).await;
    commit(store, publish("acme", (1..=2).map(draft))).await;
    for (no, scope) in [(1, scope("acme")), (2, Scope::All)] {
        let it = Subscription { scope, ..subscription(no) };
        commit(store, change("acme", [subscribe(it, Some(0))])).await;
    }
    let response = Some(Excerpt { headers: Vec::new(), body: "it says who".into(), truncated: false });
    // Events 1 and 2 are at places 1 and 2 of acme, and at 2 and 3 of all.
    for (no, places) in [(1, [1, 2]), (2, [2, 3])] {
        let attempts = places.iter().zip([1, 2]).map(|(place, n)| {
            let mut it = attempt(*place, n, 1);
            it.response.clone_from(&response);
            it
        });
        let settlement = Settlement {
            subscription: no,
            generation: 1,
            cursor: 3,
            attempts: attempts.collect(),
            exceptions: places.iter().map(|it| exception(*it)).collect(),
            removed: vec![],
            ..Settlement::default()
        };
        store.settle(settlement).await.unwrap();
    }
    ask(store, &erasure(1, "acme", Some(Target::Tenant))).await;
    store.erase(erasure(1, "acme", None).id, vec![left(store, 1).await]).await.unwrap();
    for (no, gone, kept) in [(1, 1, 2), (2, 2, 3)] {
        let rows: Vec<_> = store.exceptions(no, 0, 10).await.unwrap().iter().map(|it| it.place).collect();
        assert_eq!(rows, [kept]);
        let attempts = store.attempts(no, event_id(1)).await.unwrap();
        assert_eq!((attempts.len(), attempts[0].place, &attempts[0].response), (1, gone, &None), "that it was tried is kept");
        assert_eq!(store.attempts(no, event_id(2)).await.unwrap()[0].response, response);
    }
}
