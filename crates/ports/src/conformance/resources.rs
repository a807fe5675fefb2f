//! Cases of `Resources`.

use super::make::{at, change, commit, draft, fields, of_version, payments, publish, put, resource_id, row, tenant, type_name};
use crate::{
    Store,
    store::{Change, Expected, ResourceKey, ResourceQuery, ResourceRow, Timer},
};
use ringback_model::{ResourceId, Subject, Timestamp};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A payment of `acme` made at `secs`, with these members.
fn made(id: &str, secs: u64, members: Value) -> ResourceRow {
    let mut row = row("acme", id, 1);
    row.resource.created_at = at(secs);
    row.resource.fields = fields(members);
    row
}

async fn write<S: Store>(store: &Arc<S>, rows: impl IntoIterator<Item = ResourceRow>) {
    commit(store, change("acme", rows.into_iter().map(put))).await;
}

async fn ids<S: Store>(store: &Arc<S>, query: ResourceQuery) -> Vec<String> {
    store.resources(query).await.unwrap().iter().map(|it| it.resource.id.to_string()).collect()
}

pub async fn a_row_reads_back_as_it_was_given<S: Store>(store: &Arc<S>) {
    let mut full = row("acme", "a.b_c~d-E", 1);
    full.resource.status = "processing".parse().unwrap();
    full.resource.created_at = Timestamp::from_micros(1);
    full.resource.updated_at = Timestamp::from_micros(-1);
    full.resource.since = at(9) + Duration::from_micros(3);
    full.timer = Some(Timer { due_at: at(60), transition: "fail".parse().unwrap() });
    // The order of members is the publisher's, not the alphabet's.
    full.resource.fields = fields(json!({"z": null, "a": {"y": [true, false, "ü\u{0}\"\\"], "b": {}}, "m": "", "'; --": []}));
    write(store, [full.clone(), row("acme", "2", 1)]).await;
    let read = store.resource(&tenant("acme"), &type_name("payment"), &full.resource.id).await.unwrap().unwrap();
    assert_eq!(read, full);
    assert_eq!(read.resource.encode(), full.resource.encode());
    for (id, kind, name) in [("beta", "payment", "2"), ("acme", "refund", "2"), ("acme", "payment", "3")] {
        assert_eq!(store.resource(&tenant(id), &type_name(kind), &resource_id(name)).await, Ok(None));
    }
}

pub async fn numbers_read_back_exactly<S: Store>(store: &Arc<S>) {
    let mut full = row("acme", "1", 1);
    full.resource.fields = fields(json!({
        "least": i64::MIN, "most": u64::MAX, "zero": 0, "half": 0.5, "one": 1.0, "tiny": 5e-324, "huge": 1.797_693_134_862_315_7e308,
        "a": 0.1 + 0.2, "b": 1.0 / 3.0, "c": 2.225_073_858_507_201e-308, "d": -1.2345678901234567e-7, "e": 9_007_199_254_740_993_u64,
        "f": 123_456_789.123_456_79, "g": 1e23, "h": 8.41e21, "i": 7.0609e-9,
    }));
    write(store, [full.clone()]).await;
    let read = store.resource(&tenant("acme"), &type_name("payment"), &resource_id("1")).await.unwrap().unwrap();
    assert_eq!(read.resource.fields, full.resource.fields);
}

pub async fn a_deleted_row_stays_readable_and_leaves_lists<S: Store>(store: &Arc<S>) {
    write(store, [row("acme", "1", 1), row("acme", "2", 1)]).await;
    let mut gone = row("acme", "1", 2);
    gone.deleted = true;
    write(store, [gone.clone()]).await;
    assert_eq!(store.resource(&tenant("acme"), &type_name("payment"), &resource_id("1")).await, Ok(Some(gone)));
    assert_eq!(ids(store, payments("acme")).await, ["2"]);
}

pub async fn a_list_is_newest_first_then_by_the_bytes_of_the_id<S: Store>(store: &Arc<S>) {
    let rows = [("b", 1), ("a", 2), ("B", 1), ("~", 1), ("10", 1), ("9", 1), ("z", 0)];
    write(store, rows.map(|(id, secs)| made(id, secs, json!({})))).await;
    assert_eq!(ids(store, payments("acme")).await, ["a", "~", "b", "B", "9", "10", "z"]);
    // A change leaves a row where it is.
    let mut changed = made("10", 1, json!({}));
    changed.resource.version = 2;
    write(store, [changed]).await;
    assert_eq!(ids(store, ResourceQuery { limit: 5, ..payments("acme") }).await, ["a", "~", "b", "B", "9"]);
    assert!(ids(store, ResourceQuery { limit: 0, ..payments("acme") }).await.is_empty());
}

pub async fn pages_make_up_the_list<S: Store>(store: &Arc<S>) {
    write(store, (0..30).map(|n| made(&format!("p{n}"), n / 7, json!({"odd": n % 2 == 1})))).await;
    for equal in [Vec::new(), vec![("odd".to_owned(), json!(true))]] {
        let query = ResourceQuery { equal, ..payments("acme") };
        let whole = store.resources(query.clone()).await.unwrap();
        let (mut read, mut after): (Vec<ResourceRow>, Option<(Timestamp, ResourceId)>) = (Vec::new(), None);
        while let page = store.resources(ResourceQuery { limit: 4, after: after.clone(), ..query.clone() }).await.unwrap()
            && let Some(last) = page.last()
        {
            assert!(page.len() <= 4);
            after = Some((last.resource.created_at, last.resource.id.clone()));
            read.extend(page);
        }
        assert_eq!(read, whole);
    }
}

pub async fn a_list_runs_both_ways_within_a_span<S: Store>(store: &Arc<S>) {
    write(store, [("a", 1), ("b", 2), ("c", 2), ("d", 3), ("e", 4)].map(|(id, secs)| made(id, secs, json!({})))).await;
    let oldest = || ResourceQuery { oldest_first: true, ..payments("acme") };
    assert_eq!(ids(store, oldest()).await, ["a", "b", "c", "d", "e"]);
    let after = Some((at(2), resource_id("b")));
    assert_eq!(ids(store, ResourceQuery { after: after.clone(), ..oldest() }).await, ["c", "d", "e"]);
    assert_eq!(ids(store, ResourceQuery { after, ..payments("acme") }).await, ["a"]);
    let span = |from, to| (Some(at(from)), Some(at(to)));
    assert_eq!(ids(store, ResourceQuery { created: span(2, 3), ..oldest() }).await, ["b", "c", "d"]);
    assert_eq!(ids(store, ResourceQuery { created: span(2, 3), limit: 2, ..payments("acme") }).await, ["d", "c"]);
    assert_eq!(ids(store, ResourceQuery { created: (Some(at(4)), None), ..oldest() }).await, ["e"]);
    assert_eq!(ids(store, ResourceQuery { created: (None, Some(at(1))), ..oldest() }).await, ["a"]);
    assert!(ids(store, ResourceQuery { created: span(3, 2), ..oldest() }).await.is_empty());
}

/// An event that makes version `version` of a payment of `acme`.
fn version(id: &str, version: u64, deleted: bool) -> ringback_model::event::EventDraft {
    let no = version * 1_000 + id.bytes().map(u64::from).sum::<u64>();
    let mut it = of_version(no, id, version);
    it.subject = Some(subject(id));
    it.of.as_mut().unwrap().deleted = deleted;
    it
}

fn subject(id: &str) -> Subject {
    Subject::of_resource("/payment", &resource_id(id))
}

pub async fn what_changed_after_a_place_is_said_up_to_a_limit<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [version("1", 1, false), version("2", 1, false), version("1", 2, false)])).await;
    commit(store, publish("beta", [version("9", 1, false)])).await;
    let mut other = version("7", 1, false);
    other.of.as_mut().unwrap().type_name = type_name("refund");
    commit(store, publish("acme", [draft(90_077), other, version("3", 1, false), version("2", 2, true)])).await;
    let changed = async |after, limit| {
        let ids = store.resources_changed_after(&tenant("acme"), &type_name("payment"), after, limit).await.unwrap();
        ids.map(|it| it.into_iter().map(|it| it.to_string()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(changed(0, 10).await.as_deref(), Some("1 2 3"));
    assert_eq!(changed(0, 3).await.as_deref(), Some("1 2 3"));
    assert_eq!(changed(0, 2).await, None);
    assert_eq!(changed(2, 10).await.as_deref(), Some("1 2 3"));
    assert_eq!(changed(3, 10).await.as_deref(), Some("2 3"));
    assert_eq!(changed(6, 10).await.as_deref(), Some("2"));
    assert_eq!(changed(7, 0).await.as_deref(), Some(""));
    let nobody = store.resources_changed_after(&tenant("nobody"), &type_name("payment"), 0, 0).await.unwrap();
    assert_eq!(nobody, Some(BTreeSet::new()));
}

pub async fn resources_are_read_as_they_were_at_a_place<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", [version("1", 1, false), version("2", 1, false), version("1", 2, false)])).await;
    commit(store, publish("beta", [version("3", 1, false)])).await;
    let mut about = draft(90_099); // about the same subject, and no change of it
    about.subject = Some(subject("1"));
    commit(store, publish("acme", [about, version("2", 2, true), version("1", 3, false)])).await;
    let read = async |at| {
        let subjects = [subject("2"), subject("1"), subject("3"), subject("none")];
        let events = store.resources_at(&tenant("acme"), &subjects, at).await.unwrap();
        let mut all: Vec<_> = events.iter().map(|it| it.of.as_ref().map(|of| format!("{} v{}", of.id, of.version)).unwrap()).collect();
        all.sort();
        all.join(", ")
    };
    assert_eq!(read(0).await, "");
    assert_eq!(read(1).await, "1 v1");
    assert_eq!(read(3).await, "1 v2, 2 v1");
    assert_eq!(read(4).await, "1 v2, 2 v1");
    assert_eq!(read(5).await, "1 v2");
    assert_eq!(read(u64::MAX).await, "1 v3");
    assert!(store.resources_at(&tenant("acme"), &[], 5).await.unwrap().is_empty());
}

pub async fn a_list_is_of_one_tenant_and_type<S: Store>(store: &Arc<S>) {
    let mut other_type = row("acme", "3", 1);
    other_type.resource.type_name = type_name("refund");
    write(store, [row("acme", "1", 1), row("beta", "2", 1), other_type]).await;
    assert_eq!(ids(store, payments("acme")).await, ["1"]);
    assert_eq!(ids(store, payments("beta")).await, ["2"]);
    assert!(ids(store, payments("nobody")).await.is_empty());
    assert_eq!(ids(store, ResourceQuery { type_name: type_name("refund"), ..payments("acme") }).await, ["3"]);
    assert!(ids(store, ResourceQuery { type_name: type_name("Refund"), ..payments("acme") }).await.is_empty());
}

/// Rows whose member `v` is of every kind that can be asked for.
async fn kinds<S: Store>(store: &Arc<S>) {
    let values = [
        ("text", json!({"v": "1"})),
        ("upper", json!({"v": "A"})),
        ("lower", json!({"v": "a"})),
        ("int", json!({"v": 1})),
        ("float", json!({"v": 1.0})),
        ("half", json!({"v": 1.5})),
        ("true", json!({"v": true})),
        ("null", json!({"v": null})),
        ("none", json!({"w": 1})),
        ("deep", json!({"v": {"v": 1}})),
        ("most", json!({"v": u64::MAX})),
        ("nearly", json!({"v": u64::MAX - 1})),
        ("precise", json!({"v": 9_007_199_254_740_993_i64})),
        ("rounded", json!({"v": 9_007_199_254_740_992.0})),
        ("least", json!({"v": i64::MIN})),
        ("nul", json!({"v": "a\u{0}b"})),
    ];
    write(store, values.map(|(id, members)| made(id, 0, members))).await;
}

/// A member, a value, and the rows in which they are equal.
type Kind = (&'static str, fn() -> Value, &'static [&'static str]);

const KINDS: &[Kind] = &[
    ("v", || json!("1"), &["text"]),
    ("v", || json!("a"), &["lower"]),
    ("v", || json!("a\u{0}b"), &["nul"]),
    ("v", || json!(""), &[]),
    ("v", || json!(1), &["int", "float"]),
    ("v", || json!(true), &["true"]),
    ("v", || json!(false), &[]),
    ("v", || json!(u64::MAX), &["most"]),
    ("v", || json!(i64::MIN), &["least"]),
    ("v", || json!(9_007_199_254_740_993_i64), &["precise"]),
    ("v", || json!(9_007_199_254_740_992_i64), &["rounded"]),
    ("w", || json!(1), &["none"]),
    ("V", || json!(1), &[]),
    ("x", || json!(1), &[]),
];

#[track_caller]
fn same(mut got: Vec<String>, want: &[&str], what: &str) {
    let mut want: Vec<String> = want.iter().map(ToString::to_string).collect();
    got.sort();
    want.sort();
    assert_eq!(got, want, "{what}");
}

pub async fn equal_narrows_by_value<S: Store>(store: &Arc<S>) {
    kinds(store).await;
    for (name, wanted, want) in KINDS {
        let query = ResourceQuery { equal: vec![((*name).to_owned(), wanted())], ..payments("acme") };
        same(ids(store, query).await, want, &format!("{name} = {}", wanted()));
    }
    let mut done = made("done", 0, json!({"v": 1}));
    done.resource.status = "completed".parse().unwrap();
    write(store, [done]).await;
    let both = |status: &str| ResourceQuery { equal: vec![("status".into(), json!(status)), ("v".into(), json!(1))], ..payments("acme") };
    same(ids(store, both("completed")).await, &["done"], "status and v");
    same(ids(store, both("created")).await, &["int", "float"], "another status and v");
    same(ids(store, both("Created")).await, &[], "a status is written in one way");
}

pub async fn declared_indexes_change_no_list<S: Store>(store: &Arc<S>) {
    kinds(store).await;
    let lists = |all: &[&[&str]]| -> Vec<Vec<String>> { all.iter().map(|it| it.iter().map(ToString::to_string).collect()).collect() };
    for indexes in [
        lists(&[&["v", "created_at"]]),
        lists(&[&["v"], &["w", "v"], &["status", "created_at"], &["status", "v"]]),
        lists(&[&["w"], &["v", "created_at"], &["v"]]),
        lists(&[&["created_at"]]),
        lists(&[]),
    ] {
        for _ in 0..2 {
            store.declare_indexes(&type_name("payment"), &indexes).await.unwrap();
        }
        for (name, wanted, want) in KINDS {
            let query = ResourceQuery { equal: vec![((*name).to_owned(), wanted())], ..payments("acme") };
            same(ids(store, query).await, want, &format!("{name} = {} under {indexes:?}", wanted()));
        }
        let mut added = made("added", 1, json!({"v": "added"}));
        added.deleted = true; // so that the next round may write it again
        let found = store.resource(&tenant("acme"), &type_name("payment"), &resource_id("added")).await.unwrap();
        let expected = found.map_or(Expected::Absent, |it| Expected::Version(it.resource.version));
        commit(store, change("acme", [Change::Resource { row: Box::new(added), expected }])).await;
    }
}

/// An index over rows that are there is filled in slices, while rows are made, changed and deleted beside it.
pub async fn indexes_are_filled_beside_writes<S: Store>(store: &Arc<S>) {
    let v = |n: u64| json!({ "v": format!("v{}", n % 3) });
    for from in (0..2_400).step_by(600) {
        write(store, (from..from + 600).map(|n| made(&format!("r{n:04}"), n % 7, v(n)))).await;
    }
    let mut want: BTreeMap<String, u64> = (0..2_400).map(|n| (format!("r{n:04}"), n % 3)).collect();
    let index = vec![vec!["v".to_owned(), "created_at".to_owned()]];
    store.declare_indexes(&type_name("payment"), &index).await.unwrap();
    let check = async |want: &BTreeMap<String, u64>, when: &str| {
        for value in 0..4 {
            let query = ResourceQuery { equal: vec![("v".into(), json!(format!("v{value}")))], limit: 5_000, ..payments("acme") };
            let mut got = ids(store, query).await;
            got.sort();
            let all: Vec<&String> = want.iter().filter(|it| *it.1 == value).map(|it| it.0).collect();
            assert!(got.iter().eq(all), "v{value} {when}");
        }
    };
    check(&want, "before it is filled").await;
    let to_fill = store.indexes_to_fill().await.unwrap();
    assert!(to_fill.is_empty() || to_fill == [(type_name("payment"), vec!["v".to_owned()])], "{to_fill:?}");
    let (mut round, mut more) = (0, true);
    while more {
        // One that is in the index already, one that is not, and a new one.
        for (id, value) in [(format!("r{:04}", round * 2), 3), (format!("r{:04}", 2_399 - round), 3)] {
            let found = store.resource(&tenant("acme"), &type_name("payment"), &resource_id(&id)).await.unwrap().unwrap();
            let mut row = found.clone();
            row.resource.version += 1;
            row.resource.fields = made("x", 0, json!({ "v": format!("v{value}") })).resource.fields;
            row.deleted = round % 3 == 2;
            let expected = Expected::Version(found.resource.version);
            if row.deleted {
                want.remove(&id)
            } else {
                want.insert(id, value)
            };
            commit(store, change("acme", [Change::Resource { row: Box::new(row), expected }])).await;
        }
        write(store, [made(&format!("n{round:04}"), round % 7, v(round))]).await;
        want.insert(format!("n{round:04}"), round % 3);
        more = store.fill_indexes(150).await.unwrap();
        assert_eq!(more, !store.indexes_to_fill().await.unwrap().is_empty());
        round += 1;
        if round % 4 == 0 {
            check(&want, "while it is filled").await;
        }
        assert!(round < 100, "it comes to an end");
    }
    check(&want, "once it is whole").await;
    store.declare_indexes(&type_name("payment"), &[]).await.unwrap();
    assert_eq!((store.indexes_to_fill().await.unwrap(), store.fill_indexes(1).await.unwrap()), (Vec::new(), false));
    check(&want, "without it").await;
}

pub async fn names_that_look_like_sql_are_only_names<S: Store>(store: &Arc<S>) {
    let names = ["it's", "a\"b", "back\\slash", "a.b", "$", "[0]", "#", "ü", "a b", "'; DROP TABLE resources; --", "a\nb", ""];
    write(store, names.iter().enumerate().map(|(n, name)| made(&format!("r{n}"), 0, json!({*name: "here"})))).await;
    let indexes: Vec<Vec<String>> = names.iter().map(|it| vec![(*it).to_owned()]).collect();
    let check = async |when: &str| {
        for (n, name) in names.iter().enumerate() {
            let query = ResourceQuery { equal: vec![((*name).to_owned(), json!("here"))], ..payments("acme") };
            assert_eq!(ids(store, query).await, [format!("r{n}")], "{name:?} {when}");
        }
    };
    check("without an index").await;
    store.declare_indexes(&type_name("payment"), &indexes[..8]).await.unwrap();
    store.declare_indexes(&type_name("Payment"), &indexes[4..]).await.unwrap();
    check("with one").await;
}

pub async fn counts_are_of_all_tenants_without_deleted_ones<S: Store>(store: &Arc<S>) {
    let mut gone = row("acme", "3", 1);
    gone.deleted = true;
    let mut other_type = row("acme", "3", 1);
    other_type.resource.type_name = type_name("refund");
    write(store, [row("acme", "1", 1), row("acme", "2", 1), row("beta", "1", 1), gone, other_type]).await;
    assert_eq!(store.resource_count(&type_name("payment")).await, Ok(3));
    assert_eq!(store.resource_count(&type_name("nothing")).await, Ok(0));
}

fn timed(tenant_id: &str, id: &str, secs: u64) -> ResourceRow {
    let mut row = row(tenant_id, id, 1);
    row.timer = Some(Timer { due_at: at(secs), transition: "fail".parse().unwrap() });
    row
}

pub async fn timers_are_due_in_order<S: Store>(store: &Arc<S>) {
    assert_eq!(store.next_timer().await, Ok(None));
    let mut refund = timed("acme", "1", 10);
    refund.resource.type_name = type_name("a_refund");
    let rows =
        [timed("beta", "1", 10), timed("acme", "2", 10), timed("acme", "1", 10), timed("acme", "3", 5), timed("acme", "4", 20), refund];
    write(store, rows).await;
    write(store, [row("acme", "5", 1)]).await;
    let due = |secs, limit| async move {
        let due = store.due_timers(at(secs), limit).await.unwrap();
        assert!(due.iter().all(|it| it.timer.transition.as_str() == "fail"));
        due.iter()
            .map(|it| format!("{} {} {} {}", it.timer.due_at.since(at(0)).as_secs(), it.tenant, it.type_name, it.id))
            .collect::<Vec<_>>()
    };
    assert_eq!(store.next_timer().await, Ok(Some(at(5))));
    assert!(due(4, 10).await.is_empty());
    assert_eq!(due(5, 10).await, ["5 acme payment 3"]);
    let at_ten = ["5 acme payment 3", "10 acme a_refund 1", "10 acme payment 1", "10 acme payment 2", "10 beta payment 1"];
    assert_eq!(due(19, 10).await, at_ten);
    assert_eq!(due(19, 3).await, at_ten[..3]);
    assert_eq!(due(20, 10).await.len(), 6);
}

pub async fn a_timer_goes_with_its_row<S: Store>(store: &Arc<S>) {
    write(store, [timed("acme", "1", 10), timed("acme", "2", 20)]).await;
    write(store, [row("acme", "1", 2)]).await;
    assert_eq!(store.next_timer().await, Ok(Some(at(20))));
    let mut later = timed("acme", "2", 30);
    later.resource.version = 2;
    write(store, [later]).await;
    assert!(store.due_timers(at(29), 10).await.unwrap().is_empty());
    assert_eq!(store.due_timers(at(30), 10).await.unwrap().len(), 1);
}

pub async fn pages_of_rows_hold_every_row_once<S: Store>(store: &Arc<S>) {
    assert_eq!(store.resource_rows(None, 9).await, Ok(Vec::new()));
    let mut all = Vec::new();
    for tenant in ["beta", "acme", "zeta"] {
        for id in ["b", "a", "B", "ab"] {
            for kind in ["payment", "order"] {
                let mut it = row(tenant, id, 1);
                it.resource.type_name = type_name(kind);
                it.deleted = id == "ab";
                commit(store, change(tenant, [put(it.clone())])).await;
                all.push(it);
            }
        }
    }
    let key = |it: &ResourceRow| {
        let it = &it.resource;
        ResourceKey { tenant: it.tenant.clone(), type_name: it.type_name.clone(), id: it.id.clone() }
    };
    let sorted = |mut rows: Vec<ResourceRow>| {
        rows.sort_by_key(|it| (it.resource.tenant.clone(), it.resource.type_name.clone(), it.resource.id.clone()));
        rows
    };
    for limit in [1, 5, 24, 100] {
        let mut found = Vec::new();
        loop {
            let page = store.resource_rows(found.last().map(key), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(sorted(found), sorted(all.clone()), "limit {limit}");
    }
}

pub async fn rows_of_a_type_come_in_pages_over_all_tenants<S: Store>(store: &Arc<S>) {
    let of = |tenant_id: &str, id: &str, secs| {
        let mut row = made(id, secs, json!({}));
        row.resource.tenant = tenant(tenant_id);
        row
    };
    let rows = [of("acme", "b", 1), of("acme", "a", 1), of("acme", "c", 0), of("beta", "a", 9), of("beta", "z", 0)];
    let mut gone = of("beta", "gone", 0);
    gone.deleted = true;
    let mut other = of("acme", "x", 0);
    other.resource.type_name = type_name("refund");
    write(store, rows.into_iter().chain([gone, other])).await;
    let mut seen: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let page = store.resources_of_type(&type_name("payment"), after.clone(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.resource.tenant.clone(), last.resource.created_at, last.resource.id.clone()));
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|it| format!("{}/{}", it.resource.tenant, it.resource.id)));
    }
    let (acme, beta): (Vec<_>, Vec<_>) = seen.into_iter().partition(|it| it.starts_with("acme"));
    assert_eq!((acme.join(" ").as_str(), beta.join(" ").as_str()), ("acme/c acme/a acme/b", "beta/z beta/a"));
    assert_eq!(store.resources_of_type(&type_name("nothing"), None, 9).await, Ok(Vec::new()));
}
