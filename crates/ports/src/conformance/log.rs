//! Cases of reading the log.

use super::make::{ALL, about, at, commit, draft, event_type, events, keyed, of_version, publish, scope, subject, tenant};
use crate::{
    Store,
    store::{Bounds, ChangeSet, Slice},
};
use ringback_model::{
    EventId,
    event::{Event, EventDraft, Place, Scope},
    key::Authority,
};
use std::{sync::Arc, time::Duration};

/// Sets of these sizes, of `acme` and `beta` in turn.
async fn sets<S: Store>(store: &Arc<S>, sizes: &[u64]) {
    let mut n = 0;
    for (at, size) in sizes.iter().enumerate() {
        let id = if at % 2 == 0 { "acme" } else { "beta" };
        commit(store, publish(id, (n + 1..=n + size).map(draft))).await;
        n += size;
    }
}

fn places(events: &[Arc<Event>], scope: &Scope) -> Vec<Place> {
    events.iter().map(|it| it.place(scope)).collect()
}

pub async fn an_empty_log_has_bounds<S: Store>(store: &Arc<S>) {
    for scope in [Scope::All, scope("acme")] {
        let Bounds { first, last, floor, .. } = store.bounds(&scope).await.unwrap();
        assert_eq!((first, last, floor), (1, 0, 0));
        assert!(events(store, &scope).await.is_empty());
        assert_eq!(store.place_before(&scope, at(1_000)).await, Ok(0));
    }
}

pub async fn bounds_are_of_their_scope<S: Store>(store: &Arc<S>) {
    sets(store, &[3, 2, 1]).await;
    let mut epochs = Vec::new();
    for (scope, want) in [(Scope::All, 6), (scope("acme"), 4), (scope("beta"), 2), (scope("nobody"), 0)] {
        let Bounds { first, last, floor, epoch } = store.bounds(&scope).await.unwrap();
        assert_eq!((first, last, floor), (1, want, 0), "{scope:?}");
        epochs.push(epoch);
    }
    assert!(epochs[0] >= 1);
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "a log has one life");
}

pub async fn pages_make_up_the_log_and_never_end_inside_a_set<S: Store>(store: &Arc<S>) {
    sets(store, &[1, 2, 3, 1, 5, 4, 1, 1]).await;
    let one = events(store, &Scope::All).await[0].bytes.len();
    for scope in [Scope::All, scope("acme"), scope("beta")] {
        let whole = events(store, &scope).await;
        for slice in [
            Slice { events_max: 1, ..ALL },
            Slice { events_max: 2, ..ALL },
            Slice { events_max: 7, ..ALL },
            Slice { bytes_max: 1, ..ALL },
            Slice { bytes_max: 4 * one, ..ALL },
            Slice { bytes_max: 5 * one, events_max: 3 },
        ] {
            let (mut read, mut after) = (Vec::new(), 0);
            while let page = store.events_after(&scope, after, slice).await.unwrap()
                && let Some(last) = page.last()
            {
                assert!(last.ends_change_set, "{slice:?} of {scope:?} ended inside of a change set");
                after = last.place(&scope);
                read.extend(page);
            }
            assert_eq!(read, whole, "{slice:?} of {scope:?}");
        }
    }
}

pub async fn a_page_exceeds_its_events_only_by_the_rest_of_a_set<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=2).map(draft))).await;
    commit(store, publish("acme", (3..=6).map(draft))).await;
    commit(store, publish("acme", [draft(7)])).await;
    for (events_max, want) in [(1, 2), (2, 2), (3, 6), (6, 6), (7, 7), (8, 7)] {
        let page = store.events_after(&scope("acme"), 0, Slice { events_max, ..ALL }).await.unwrap();
        assert_eq!(page.len(), want, "{events_max} events wanted");
    }
}

pub async fn the_first_set_of_a_page_is_whole_whatever_its_bytes<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=5).map(draft))).await;
    commit(store, publish("acme", [draft(6)])).await;
    let page = store.events_after(&scope("acme"), 0, Slice { bytes_max: 1, ..ALL }).await.unwrap();
    assert_eq!(page.len(), 5);
}

pub async fn a_later_set_has_to_fit_the_bytes<S: Store>(store: &Arc<S>) {
    for n in 0..4 {
        commit(store, publish("acme", [draft(10 + 2 * n), draft(11 + 2 * n)])).await;
    }
    let one = events(store, &Scope::All).await[0].bytes.len();
    for (bytes_max, want) in [(4 * one - 1, 2), (4 * one, 4), (6 * one - 1, 4), (6 * one, 6)] {
        let page = store.events_after(&scope("acme"), 0, Slice { bytes_max, ..ALL }).await.unwrap();
        assert_eq!(page.len(), want, "{bytes_max} bytes wanted");
    }
}

pub async fn a_page_may_begin_inside_a_set<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=4).map(draft))).await;
    commit(store, publish("acme", [draft(5)])).await;
    let page = store.events_after(&scope("acme"), 2, Slice { events_max: 1, ..ALL }).await.unwrap();
    assert_eq!(places(&page, &scope("acme")), [3, 4]);
    assert!(store.events_after(&scope("acme"), 5, ALL).await.unwrap().is_empty());
    assert!(store.events_after(&scope("acme"), Place::MAX, ALL).await.unwrap().is_empty());
}

pub async fn no_events_wanted_is_none_read<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1)])).await;
    assert!(store.events_after(&Scope::All, 0, Slice { events_max: 0, ..ALL }).await.unwrap().is_empty());
    assert!(store.events_before(&Scope::All, 2, 0).await.unwrap().is_empty());
}

pub async fn events_before_come_last_first<S: Store>(store: &Arc<S>) {
    sets(store, &[3, 2, 3]).await;
    for (scope, before, limit, want) in [
        (Scope::All, 4, 2, vec![3, 2]),
        (Scope::All, Place::MAX, 3, vec![8, 7, 6]),
        (Scope::All, 1, 3, vec![]),
        (Scope::All, 0, 3, vec![]),
        (scope("acme"), 6, 10, vec![5, 4, 3, 2, 1]),
        (scope("beta"), 2, 10, vec![1]),
        (scope("nobody"), 9, 10, vec![]),
    ] {
        let read = store.events_before(&scope, before, limit).await.unwrap();
        assert_eq!(places(&read, &scope), want, "{limit} of {scope:?} before {before}");
        assert!(read.iter().all(|it| scope.holds(&it.tenant)));
    }
}

pub async fn events_of_a_subject_are_of_its_scope_and_in_order<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [about(1, "/a"), draft(2), about(3, "/b"), about(4, "/a")])).await;
    commit(store, publish("beta", [about(5, "/a"), about(6, "/A")])).await;
    commit(store, publish("acme", [about(7, "/a"), about(8, "/a/b")])).await;
    for (scope, after, want) in [
        (scope("acme"), 0, vec![1, 4, 5]),
        (scope("acme"), 1, vec![4, 5]),
        (scope("acme"), 5, vec![]),
        (scope("beta"), 0, vec![1]),
        (scope("nobody"), 0, vec![]),
        (Scope::All, 0, vec![1, 4, 5, 7]),
        (Scope::All, 4, vec![5, 7]),
        (Scope::All, Place::MAX, vec![]),
    ] {
        let read = store.events_of_subject(&scope, &subject("/a"), after, ALL).await.unwrap();
        assert_eq!(places(&read, &scope), want, "{scope:?} after {after}");
        assert!(read.iter().all(|it| it.subject == Some(subject("/a"))));
    }
}

pub async fn events_of_a_subject_may_cut_a_set<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (10..=14).map(|n| about(n, "/a")))).await;
    let one = events(store, &Scope::All).await[0].bytes.len();
    for (slice, want) in [
        (Slice { events_max: 2, ..ALL }, 2),
        (Slice { events_max: 0, ..ALL }, 0),
        (Slice { bytes_max: 1, ..ALL }, 1),
        (Slice { bytes_max: 3 * one, ..ALL }, 3),
        (Slice { bytes_max: 4 * one - 1, ..ALL }, 3),
    ] {
        for scope in [Scope::All, scope("acme")] {
            let read = store.events_of_subject(&scope, &subject("/a"), 0, slice).await.unwrap();
            assert_eq!(read.len(), want, "{slice:?} of {scope:?}");
        }
    }
}

pub async fn an_event_is_found_in_its_scope_only<S: Store>(store: &Arc<S>) {
    let made = commit(store, publish("acme", [draft(1)])).await.events[0].clone();
    commit(store, publish("beta", [draft(2)])).await;
    assert_eq!(store.event(&scope("acme"), made.id).await, Ok(Some(made.clone())));
    assert_eq!(store.event(&Scope::All, made.id).await, Ok(Some(made.clone())));
    assert_eq!(store.event(&scope("beta"), made.id).await, Ok(None));
    assert_eq!(store.event(&scope("nobody"), made.id).await, Ok(None));
    assert_eq!(store.event(&Scope::All, EventId::from_bits(3)).await, Ok(None));
}

pub async fn an_event_is_found_at_its_place<S: Store>(store: &Arc<S>) {
    sets(store, &[1, 2, 1]).await;
    for (scope, place, want) in [
        (Scope::All, 4, Some(4)),
        (Scope::All, 0, None),
        (Scope::All, 5, None),
        (Scope::All, Place::MAX, None),
        (scope("acme"), 2, Some(4)),
        (scope("acme"), 3, None),
        (scope("beta"), 1, Some(2)),
        (scope("nobody"), 1, None),
    ] {
        let found = store.event_at(&scope, place).await.unwrap().map(|it| it.seq);
        assert_eq!(found, want, "{scope:?} at {place}");
    }
}

pub async fn an_event_is_found_by_its_key<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1), keyed(2, "it's")])).await;
    let found = |id: &'static str, key: &'static str| async move { store.event_by_key(&tenant(id), key).await.unwrap().map(|it| it.seq) };
    assert_eq!(found("acme", "it's").await, Some(2));
    assert_eq!(found("acme", "its").await, None);
    assert_eq!(found("beta", "it's").await, None);
}

pub async fn an_event_is_found_by_the_version_it_made<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [about(1, "/payment/1"), of_version(2, "1", 1), of_version(3, "2", 1)])).await;
    commit(store, publish("beta", [of_version(4, "1", 1), of_version(5, "1", 2)])).await;
    commit(store, publish("acme", [of_version(6, "1", 2), of_version(7, "1", 3)])).await;
    for (id, subject_of, version, want) in [
        ("acme", "/payment/1", 1, Some(2)),
        ("acme", "/payment/1", 2, Some(6)),
        ("acme", "/payment/1", 4, None),
        ("acme", "/payment/1", 0, None),
        ("acme", "/payment/2", 1, Some(3)),
        ("beta", "/payment/1", 2, Some(5)),
        ("beta", "/payment/2", 1, None),
        ("nobody", "/payment/1", 1, None),
    ] {
        let found = store.event_of_version(&tenant(id), &subject(subject_of), version).await.unwrap();
        assert_eq!(found.map(|it| it.seq), want, "version {version} of {subject_of} of {id}");
    }
}

pub async fn the_place_before_a_time_never_goes_back<S: Store>(store: &Arc<S>) {
    // Decided at these seconds: the clock steps back twice, so the commit times are 10 10 20 20 20 30.
    let mut n = 0;
    for (id, secs) in [("acme", 10), ("beta", 5), ("acme", 20), ("beta", 12), ("acme", 20), ("beta", 30)] {
        n += 2;
        commit(store, ChangeSet { at: at(secs), ..publish(id, [draft(n), draft(n + 1)]) }).await;
    }
    for (scope, secs, want) in [
        (Scope::All, 0, 0),
        (Scope::All, 10, 0),
        (Scope::All, 11, 4),
        (Scope::All, 20, 4),
        (Scope::All, 21, 10),
        (Scope::All, 30, 10),
        (Scope::All, 31, 12),
        (scope("acme"), 11, 2),
        (scope("acme"), 21, 6),
        (scope("acme"), 99, 6),
        (scope("beta"), 10, 0),
        (scope("beta"), 20, 2),
        (scope("beta"), 30, 4),
        (scope("nobody"), 99, 0),
    ] {
        assert_eq!(store.place_before(&scope, at(secs)).await, Ok(want), "{scope:?} before {secs}");
    }
    let just_after = at(10) + Duration::from_micros(1);
    assert_eq!(store.place_before(&Scope::All, just_after).await, Ok(4));
}

pub async fn a_type_is_seen_in_its_scope_only<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [draft(1), of_version(2, "1", 1)])).await;
    commit(store, publish("beta", [draft(3)])).await;
    commit(store, publish("acme", [draft(4)])).await;
    for (scope, name, want) in [
        (Scope::All, "note.made", true),
        (Scope::All, "payment.updated", true),
        (Scope::All, "note", false),
        (Scope::All, "Note.made", false),
        (scope("acme"), "payment.updated", true),
        (scope("beta"), "payment.updated", false),
        (scope("beta"), "note.made", true),
        (scope("nobody"), "note.made", false),
    ] {
        assert_eq!(store.event_type_seen(&scope, &event_type(name)).await, Ok(want), "{name} in {scope:?}");
    }
}

pub async fn types_that_were_seen_are_listed_by_scope_and_authority<S: Store>(store: &Arc<S>) {
    let secret = |no: u64, name: &str| EventDraft { event_type: event_type(name), audience: Authority::Operator, ..draft(no) };
    let open = |no: u64, name: &str| EventDraft { event_type: event_type(name), ..draft(no) };
    commit(store, publish("acme", [open(1, "b.two"), secret(2, "a.one"), open(3, "b"), secret(4, "c.mixed")])).await;
    commit(store, publish("beta", [open(5, "b.two"), open(6, "B.two")])).await;
    let mut last = publish("acme", [open(7, "c.mixed")]);
    last.at = at(500);
    commit(store, last).await;
    let names = async |of: &Scope, authority, after: Option<&str>, limit| {
        let after = after.map(event_type);
        let found = store.event_types_seen(of, authority, after.as_ref(), limit).await.unwrap();
        found.iter().map(|it| it.event_type.to_string()).collect::<Vec<_>>().join(" ")
    };
    let (acme, beta) = (scope("acme"), scope("beta"));
    assert_eq!(names(&acme, Authority::Operator, None, 9).await, "a.one b b.two c.mixed");
    assert_eq!(names(&acme, Authority::Tenant, None, 9).await, "b b.two c.mixed");
    assert_eq!(names(&beta, Authority::Operator, None, 9).await, "B.two b.two");
    assert_eq!(names(&Scope::All, Authority::Operator, None, 9).await, "B.two a.one b b.two c.mixed");
    assert_eq!(names(&acme, Authority::Operator, Some("b"), 1).await, "b.two");
    assert_eq!(names(&acme, Authority::Tenant, Some("b.two"), 9).await, "c.mixed");
    assert_eq!(names(&scope("nobody"), Authority::Operator, None, 9).await, "");
    // Precise to a minute, and never in the future.
    for (of, name) in [(&acme, "c.mixed"), (&Scope::All, "c.mixed")] {
        let found = store.event_types_seen(of, Authority::Tenant, None, 9).await.unwrap();
        let seen = found.iter().find(|it| it.event_type.as_str() == name).unwrap().last_seen;
        assert!(seen <= at(500) && at(500).since(seen) <= core::time::Duration::from_secs(60), "{seen}");
    }
}
