//! Cases of `Log::listen`.

use super::make::{change, commit, draft, publish, put, row};
use crate::Store;
use ringback_model::{
    EventId,
    event::{Event, Scope},
};
use std::sync::{Arc, Mutex};

/// Listens, and keeps the numbers of what was heard.
fn ear<S: Store>(store: &Arc<S>) -> Arc<Mutex<Vec<u64>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    store.listen(Arc::new(move |events: &[Arc<Event>]| notes.lock().unwrap().extend(events.iter().map(|it| it.seq))));
    heard
}

pub async fn it_hears_every_event_once_in_order_before_commit_returns<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1)])).await;
    let heard = ear(store);
    commit(store, publish("acme", [draft(2), draft(3)])).await;
    assert_eq!(*heard.lock().unwrap(), [2, 3], "earlier transactions are not told again, later ones at once");
    commit(store, publish("beta", [draft(4)])).await;
    commit(store, change("acme", [put(row("acme", "1", 1))])).await;
    commit(store, publish("acme", [draft(5)])).await;
    assert_eq!(*heard.lock().unwrap(), [2, 3, 4, 5]);
}

pub async fn what_it_hears_can_be_read<S: Store>(store: &Arc<S>) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    store.listen(Arc::new(move |events: &[Arc<Event>]| {
        for event in events {
            tell.send(Arc::clone(event)).unwrap();
        }
    }));
    let reader = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for n in 1..=20_u64 {
                let event = told.recv().await.unwrap();
                assert_eq!(event.id, EventId::from_bits(u128::from(n)));
                let read = store.event_at(&Scope::All, event.seq).await.unwrap();
                assert_eq!(read, Some(event), "it was told before it could be read");
            }
        })
    };
    for n in 1..=20 {
        commit(store, publish("acme", [draft(n)])).await;
    }
    reader.await.unwrap();
}

pub async fn a_refused_set_is_not_heard<S: Store>(store: &Arc<S>) {
    let heard = ear(store);
    let mut set = publish("acme", [draft(1)]);
    set.changes.push(put(row("acme", "1", 2)));
    store.commit(set).await.unwrap_err();
    assert!(heard.lock().unwrap().is_empty());
}

pub async fn a_new_one_replaces_the_old_one<S: Store>(store: &Arc<S>) {
    let old = ear(store);
    commit(store, publish("acme", [draft(1)])).await;
    let new = ear(store);
    commit(store, publish("acme", [draft(2)])).await;
    assert_eq!(*old.lock().unwrap(), [1]);
    assert_eq!(*new.lock().unwrap(), [2]);
}
