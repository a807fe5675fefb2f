//! Resources from making to deletion: pages and conditions of lists, versions,
//! preconditions, waiting, timeouts, types that change under running requests,
//! and answers that are given twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    ResourceId, TypeName,
    delivery::DeliveryState,
    event::Scope,
    key::{self, Authority},
    resource::Version,
    subscription::Until,
};
use ringback_ports::store::{Answers, Log};
use ringback_service::{
    Begin, Ctx, DeliveryQuery, Error, FeedQuery, IfMatch, ListPage, ListQuery, Outcome, StatusQuery, Write, Written, lifecycle::Refusal,
};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};
use world::{URL, World, fresh};

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn patch(world: &World, ctx: &Ctx, of: &str, patch: Value, if_match: IfMatch) -> Result<Written, Error> {
    world.run(world.service.patch_resource(ctx, &world.ty("ticket"), &id(of), patch, if_match, Write::plain())).map(fresh)
}

fn delete(world: &World, of: &str, if_match: IfMatch) -> Result<Written, Error> {
    world.run(world.service.delete_resource(&world.ctx(), &world.ty("ticket"), &id(of), if_match, Write::plain())).map(fresh)
}

fn asked<'a>(params: &'a [(String, String)], limit: usize, after: Option<&'a str>) -> ListQuery<'a> {
    ListQuery { params, limit, after, ..ListQuery::default() }
}

fn list(world: &World, params: &[(&str, &str)], limit: usize, after: Option<&str>) -> Result<ListPage, Error> {
    let params: Vec<_> = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    world.run(world.service.list_resources(&world.ctx(), &world.ty("ticket"), asked(&params, limit, after)))
}

fn ids(page: &ListPage) -> Vec<String> {
    page.rows.iter().map(|it| json(it)["id"].as_str().unwrap().to_owned()).collect()
}

fn walk(world: &World, params: &[(&str, &str)], limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = list(world, params, limit, after.as_deref()).unwrap();
        assert!(page.rows.len() <= limit);
        all.extend(ids(&page));
        match page.next_cursor {
            None => return all,
            next => after = next,
        }
    }
}

#[test]
fn a_list_is_newest_first_and_its_pages_join() {
    let world = World::new();
    for n in 0..7 {
        if n % 2 == 0 {
            // Others share a moment: their ids break the tie.
            world.clock.advance(Duration::from_secs(1));
        }
        world.create("ticket", json!({ "id": format!("t{n}"), "seat": n, "zone": if n < 3 { "a" } else { "b" } }));
    }
    let all = ["t6", "t5", "t4", "t3", "t2", "t1", "t0"];
    for limit in [1, 2, 3, 7, 100] {
        assert_eq!(walk(&world, &[], limit), all, "{limit}");
        assert_eq!(walk(&world, &[("zone", "a")], limit), ["t2", "t1", "t0"], "{limit}");
        assert_eq!(walk(&world, &[("seat[gte]", "2"), ("seat[lt]", "5")], limit), ["t4", "t3", "t2"], "{limit}");
        assert_eq!(walk(&world, &[("zone", "b"), ("seat[in]", "1,3,6")], limit), ["t6", "t3"], "{limit}");
        assert!(walk(&world, &[("zone", "c")], limit).is_empty());
    }
    delete(&world, "t3", IfMatch::None).unwrap();
    assert_eq!(walk(&world, &[("zone", "b")], 2), ["t6", "t5", "t4"]);
    assert_eq!(walk(&world, &[("status", "open"), ("zone", "a")], 2), ["t2", "t1", "t0"]);
    assert!(walk(&world, &[("status", "sold")], 2).is_empty());
}

#[test]
fn a_cursor_is_for_the_same_list_of_the_same_tenant() {
    let world = World::new();
    for n in 0..3 {
        world.create("ticket", json!({ "id": format!("t{n}"), "zone": "a" }));
    }
    let cursor = list(&world, &[("zone", "a")], 1, None).unwrap().next_cursor.unwrap();
    assert_eq!(ids(&list(&world, &[("zone", "a")], 1, Some(&cursor)).unwrap()), ["t1"]);
    assert!(matches!(list(&world, &[], 1, Some(&cursor)), Err(Error::CursorMismatch)));
    assert!(matches!(list(&world, &[("zone", "b")], 1, Some(&cursor)), Err(Error::CursorMismatch)));
    for hostile in ["", "x", "AQEAAAABAAAAAAAAAAKqodDVYlLenympJ-rI1wXT", &"A".repeat(600)] {
        assert!(matches!(list(&world, &[], 1, Some(hostile)), Err(Error::Parameter { parameter: "after", .. })), "{hostile}");
    }
    world.put_tenant("acme");
    let acme = world.operator_ctx("acme");
    let params = [("zone".to_owned(), "a".to_owned())];
    let refused = world.run(world.service.list_resources(&acme, &world.ty("ticket"), asked(&params, 1, Some(&cursor))));
    assert!(matches!(refused, Err(Error::Parameter { .. })));
}

#[test]
fn a_list_that_looks_at_too_much_says_which_index_is_missing() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "seat": 1, "zone": "a" }));
    let row = {
        let store = &*world.store;
        let ty = world.ty("ticket");
        let scope = world.ctx();
        world.run(ringback_ports::store::Resources::resource(store, scope.tenant().unwrap(), &ty.compiled.decl.name, &id("1"))).unwrap()
    };
    *world.faulty.endless.lock().unwrap() = row;
    match list(&world, &[("seat", "2")], 10, None) {
        Err(Error::QueryTooExpensive { missing_index, scanned, .. }) => {
            assert_eq!(missing_index, "[seat, created_at]");
            assert!((100_000..102_000).contains(&scanned), "{scanned}");
        }
        other => panic!("{other:?}"),
    }
    // What needs no search is not too expensive, however long the list is.
    let page = list(&world, &[], 1_000, None).unwrap();
    assert_eq!((page.rows.len(), page.next_cursor.is_some()), (1_000, true));
    assert_eq!(list(&world, &[("seat", "1")], 1_000, None).unwrap().rows.len(), 1_000);
}

#[test]
fn one_answer_is_bounded_in_bytes_whatever_its_limit() {
    let world = World::new();
    let note = "x".repeat(900_000);
    let ty = world.ty("order");
    for n in 0..14 {
        world.create("order", json!({ "id": format!("o{n:02}"), "note": note }));
    }
    let page = world.run(world.service.list_resources(&world.ctx(), &ty, asked(&[], 1_000, None))).unwrap();
    assert!((8..=10).contains(&page.rows.len()), "{}", page.rows.len());
    let rest = world.run(world.service.list_resources(&world.ctx(), &ty, asked(&[], 1_000, page.next_cursor.as_deref()))).unwrap();
    assert_eq!((page.rows.len() + rest.rows.len(), rest.next_cursor), (14, None));

    for n in 0..14 {
        let note = json!({ "note": format!("{n:02}{note}") });
        world.run(world.service.patch_resource(&world.ctx(), &ty, &id("o00"), note, IfMatch::None, Write::plain())).unwrap();
    }
    let (mut versions, mut pages, mut after) = (0, 0, None);
    loop {
        let page = world.run(world.service.resource_versions(&world.ctx(), &ty, &id("o00"), 1_000, after.as_deref())).unwrap();
        (versions, pages) = (versions + page.rows.len(), pages + 1);
        match page.next_cursor {
            None => break,
            next => after = next,
        }
    }
    assert_eq!(versions, 15);
    assert!(pages >= 2, "{pages}");

    let (mut events, mut after) = (0, None);
    loop {
        let query = FeedQuery { after, subject: Some("/order/o00".parse().unwrap()), limit: 1_000, ..FeedQuery::default() };
        let page = world.run(world.service.feed(&world.ctx(), query)).unwrap();
        let bytes: usize = page.events.iter().map(|it| it.bytes.len()).sum();
        assert!(bytes < 12 * 1024 * 1024, "{bytes}");
        events += page.events.len();
        if !page.has_more {
            break;
        }
        after = Some(page.cursor);
    }
    assert_eq!(events, 15);
}

#[test]
fn versions_are_the_events_that_made_them() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "seat": 1 }));
    patch(&world, &world.ctx(), "1", json!({ "seat": 2 }), IfMatch::None).unwrap();
    // What somebody publishes about it is no version of it.
    world.publish("x.note", Some("/ticket/1"), "7");
    world.step("ticket", "1", "sell").unwrap();
    let ty = world.ty("ticket");
    let page = |limit, after: Option<&str>| world.run(world.service.resource_versions(&world.ctx(), &ty, &id("1"), limit, after)).unwrap();
    let seen: Vec<_> = page(10, None).rows.iter().map(|it| json(it)["version"].clone()).collect();
    assert_eq!(seen, [1, 2, 3]);
    let first = page(2, None);
    assert_eq!(first.rows.len(), 2);
    let second = page(2, first.next_cursor.as_deref());
    assert_eq!((second.rows.len(), second.next_cursor.is_none()), (1, true));
    let version = |n: Version| world.run(world.service.resource_version(&world.ctx(), &ty, &id("1"), n));
    assert_eq!(json(&version(2).unwrap())["seat"], 2);
    assert_eq!(json(&version(2).unwrap())["status"], "open");
    for n in [0, 4, Version::MAX] {
        assert!(matches!(version(n), Err(Error::NotFound { .. })), "{n}");
    }
    delete(&world, "1", IfMatch::None).unwrap();
    assert_eq!(json(&version(4).unwrap())["status"], "sold", "also of a deleted one, for thin deliveries to follow");
}

#[test]
fn a_patch_that_changes_nothing_makes_no_version_and_no_event() {
    let world = World::new();
    let made = world.create("ticket", json!({ "id": "1", "seat": 1, "zone": "a" }));
    let same = patch(&world, &world.ctx(), "1", json!({ "seat": 1, "nothing": null }), IfMatch::None).unwrap();
    assert_eq!((same.version, same.event, same.body, same.position), (1, None, made.body, made.position));
    let other = patch(&world, &world.ctx(), "1", json!({ "seat": 2 }), IfMatch::None).unwrap();
    assert_eq!(other.version, 2);
    assert_ne!(other.event, None);
}

#[test]
fn preconditions_are_judged_on_what_is_there() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "seat": 1 }));
    let ctx = world.ctx();
    match patch(&world, &ctx, "1", json!({ "seat": 2 }), IfMatch::Versions(vec![7])) {
        Err(Error::PreconditionFailed { current: 1, body: Some(body) }) => assert_eq!(json(&body)["seat"], 1),
        other => panic!("{other:?}"),
    }
    // Before anything else of the request is judged.
    let invalid = patch(&world, &ctx, "1", json!({ "seat": "x" }), IfMatch::Versions(vec![7]));
    assert!(matches!(invalid, Err(Error::PreconditionFailed { .. })));
    assert_eq!(patch(&world, &ctx, "1", json!({ "seat": 2 }), IfMatch::Versions(vec![9, 1])).unwrap().version, 2);
    assert_eq!(patch(&world, &ctx, "1", json!({ "seat": 3 }), IfMatch::Any).unwrap().version, 3);
    assert!(matches!(delete(&world, "1", IfMatch::Versions(Vec::new())), Err(Error::PreconditionFailed { current: 3, .. })));
    assert!(matches!(delete(&world, "2", IfMatch::Any), Err(Error::NotFound { .. })));
    assert!(delete(&world, "1", IfMatch::Versions(vec![3])).unwrap().deleted);
}

#[test]
fn a_deleted_id_stays_taken() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let last = delete(&world, "1", IfMatch::None).unwrap();
    assert_eq!((last.version, json(&last.body)["version"].clone()), (2, json!(2)));
    let body = json!({ "id": "1" }).as_object().cloned().unwrap();
    match world.run(world.service.create_resource(&world.ctx(), &world.ty("ticket"), body, Write::plain())) {
        Err(Error::AlreadyExists { id, deleted: true, .. }) => assert_eq!(id, "1"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(delete(&world, "1", IfMatch::None), Err(Error::NotFound { .. })));
    assert!(matches!(world.step("ticket", "1", "sell"), Err(Error::NotFound { .. })));
    assert!(matches!(patch(&world, &world.ctx(), "1", json!({}), IfMatch::None), Err(Error::NotFound { .. })));
}

#[test]
fn two_that_change_one_resource_take_turns() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "seat": 0 }));
    let all: Vec<_> = (1..=20)
        .map(|seat| {
            let (service, ctx, ty) = (world.service.clone(), world.ctx(), world.ty("ticket"));
            world.spawn(async move {
                service.patch_resource(&ctx, &ty, &id("1"), json!({ "seat": seat }), IfMatch::None, Write::plain()).await.map(fresh)
            })
        })
        .collect();
    let mut versions: Vec<_> = all.into_iter().map(|it| world.run(it).unwrap().unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    let same: Vec<_> = (0..20)
        .map(|_| {
            let (service, ctx, ty) = (world.service.clone(), world.ctx(), world.ty("ticket"));
            let body = json!({ "id": "one" }).as_object().cloned().unwrap();
            world.spawn(async move { service.create_resource(&ctx, &ty, body, Write::plain()).await })
        })
        .collect();
    let made = same.into_iter().map(|it| world.run(it).unwrap());
    assert_eq!(made.filter(Result::is_ok).count(), 1);
}

#[test]
fn another_tenants_resource_is_not_there_and_a_star_finds_it() {
    let world = World::new();
    world.put_tenant("acme");
    world.put_tenant("globex");
    let ty = world.ty("ticket");
    let acme = world.tenant_ctx("acme");
    let body = json!({ "id": "1" }).as_object().cloned().unwrap();
    fresh(world.run(world.service.create_resource(&acme, &ty, body, Write::plain())).unwrap());
    let globex = world.tenant_ctx("globex");
    let gone = |it: Result<(), Error>| assert!(matches!(it, Err(Error::NotFound { .. })), "{it:?}");
    gone(world.run(world.service.resource(&globex, &ty, &id("1"))).map(drop));
    gone(world.run(world.service.status(&globex, &ty, &id("1"), StatusQuery::default())).map(drop));
    gone(world.run(world.service.resource_versions(&globex, &ty, &id("1"), 10, None)).map(drop));
    gone(world.run(world.service.resource_version(&globex, &ty, &id("1"), 1)).map(drop));
    gone(patch(&world, &globex, "1", json!({ "seat": 1 }), IfMatch::None).map(drop));
    gone(world.run(world.service.delete_resource(&globex, &ty, &id("1"), IfMatch::None, Write::plain())).map(drop));
    gone(world.run(world.service.transition(&globex, &ty, &id("1"), "sell", None, IfMatch::None, Write::plain())).map(drop));
    assert!(world.run(world.service.list_resources(&globex, &ty, asked(&[], 10, None))).unwrap().rows.is_empty());
    let star = world.operator_ctx("*");
    assert_eq!(world.run(world.service.resource(&star, &ty, &id("1"))).unwrap().tenant.as_str(), "acme");
    assert!(world.run(world.service.resource_version(&star, &ty, &id("1"), 1)).is_ok());
    assert!(matches!(world.run(world.service.list_resources(&star, &ty, asked(&[], 10, None))), Err(Error::StarNotPossible)));
    assert!(matches!(patch(&world, &star, "1", json!({}), IfMatch::None), Err(Error::StarNotPossible)));
    // A waiter over all tenants wakes for the one that has it.
    let waiting = world.spawn({
        let (service, ty) = (world.service.clone(), ty.clone());
        let query = StatusQuery { until: Some(Until::Done), wait: Duration::from_secs(30), ..StatusQuery::default() };
        async move { service.status(&star, &ty, &id("1"), query).await }
    });
    world.quiet();
    assert!(!waiting.is_finished());
    fresh(world.run(world.service.transition(&acme, &ty, &id("1"), "sell", None, IfMatch::None, Write::plain())).unwrap());
    world.quiet();
    assert!(waiting.is_finished());
}

#[test]
fn what_only_operators_may_read_is_not_there_for_tenants() {
    let world = World::new();
    world.create("dossier", json!({ "id": "1" }));
    let (ty, tenant) = (world.ty("dossier"), world.tenant_ctx("default"));
    assert!(matches!(world.run(world.service.resource(&tenant, &ty, &id("1"))), Err(Error::NotFound { .. })));
    assert!(matches!(world.run(world.service.resource_version(&tenant, &ty, &id("1"), 1)), Err(Error::NotFound { .. })));
    assert!(world.run(world.service.list_resources(&tenant, &ty, asked(&[], 10, None))).unwrap().rows.is_empty());
    let close = world.run(world.service.transition(&tenant, &ty, &id("1"), "closed", None, IfMatch::None, Write::plain()));
    assert!(matches!(close, Err(Error::NotFound { .. })), "not forbidden: it is not there");
    assert!(world.run(world.service.feed(&tenant, FeedQuery { limit: 10, ..FeedQuery::default() })).unwrap().events.is_empty());
    let names = |ctx: &Ctx| world.service.types_page(ctx, 10, None).unwrap().items.len();
    assert_eq!((names(&tenant), names(&world.ctx())), (2, 3));
}

fn status_later(world: &World, of: &str, query: StatusQuery) -> tokio::task::JoinHandle<Result<Option<String>, Error>> {
    let (service, ctx, ty, of) = (world.service.clone(), world.ctx(), world.ty("ticket"), id(of));
    let later = world.spawn(async move { service.status(&ctx, &ty, &of, query).await.map(|it| it.map(|it| it.status.to_string())) });
    world.quiet();
    later
}

#[test]
fn a_wait_ends_with_what_it_waited_for() {
    let world = World::new();
    let wait = Duration::from_secs(30);
    let until = |until: Until| StatusQuery { until: Some(until), wait, ..StatusQuery::default() };
    let sold = || Until::Statuses(vec!["sold".parse().unwrap()]);
    for of in ["1", "2", "3", "4", "5"] {
        world.create("ticket", json!({ "id": of }));
    }
    // Reached.
    let later = status_later(&world, "1", until(Until::Done));
    patch(&world, &world.ctx(), "1", json!({ "seat": 4 }), IfMatch::None).unwrap();
    world.quiet();
    assert!(!later.is_finished(), "another change of it ends nothing");
    world.step("ticket", "1", "sell").unwrap();
    world.quiet();
    assert!(later.is_finished(), "no time has to pass");
    assert_eq!(world.run(later).unwrap().unwrap().as_deref(), Some("sold"));
    // Not reachable any more.
    let later = status_later(&world, "2", until(sold()));
    world.step("ticket", "2", "cancel").unwrap();
    world.quiet();
    assert_eq!(world.run(later).unwrap().unwrap().as_deref(), Some("void"));
    // Gone.
    let later = status_later(&world, "3", until(sold()));
    delete(&world, "3", IfMatch::None).unwrap();
    world.quiet();
    assert!(matches!(world.run(later).unwrap(), Err(Error::NotFound { .. })));
    // The time is over: the present status.
    let later = status_later(&world, "4", until(sold()));
    world.pass(Duration::from_secs(29));
    assert!(!later.is_finished());
    world.pass(Duration::from_secs(2));
    assert_eq!(world.run(later).unwrap().unwrap().as_deref(), Some("open"));
    // If-None-Match: when it differs, else nothing.
    let known = |version| StatusQuery { if_none_match: Some(IfMatch::Versions(vec![version])), wait, ..StatusQuery::default() };
    let later = status_later(&world, "5", known(1));
    patch(&world, &world.ctx(), "5", json!({ "seat": 4 }), IfMatch::None).unwrap();
    world.quiet();
    assert_eq!(world.run(later).unwrap().unwrap().as_deref(), Some("open"));
    let later = status_later(&world, "5", known(2));
    world.pass(Duration::from_secs(31));
    assert_eq!(world.run(later).unwrap().unwrap(), None);
    // Without anything to wait for, `wait` does nothing.
    let later = status_later(&world, "5", StatusQuery { wait, ..StatusQuery::default() });
    assert!(later.is_finished());
}

#[test]
fn waiters_are_few_enough_and_let_go_when_we_close() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let query = || StatusQuery { until: Some(Until::Done), wait: Duration::from_secs(60), ..StatusQuery::default() };
    let all: Vec<_> = (0..100).map(|_| status_later(&world, "1", query())).collect();
    let refused = status_later(&world, "1", query());
    assert!(matches!(world.run(refused).unwrap(), Err(Error::TooManyWaiters { max: 100, of_key: false })));
    all[0].abort();
    world.quiet();
    let again = status_later(&world, "1", query());
    assert!(!again.is_finished(), "who goes away gives the place back");
    let service = world.service.clone();
    let drained = world.spawn(async move { service.drain(Duration::from_secs(1)).await });
    world.quiet();
    assert!(again.is_finished() && drained.is_finished());
    assert!(all.iter().all(tokio::task::JoinHandle::is_finished));
}

#[test]
fn timeouts_of_types_that_are_not_served_wait_and_hold_up_no_others() {
    let mut world = World::new();
    for n in 0..150 {
        world.create("order", json!({ "id": format!("o{n}") }));
    }
    let others = ringback_service::CompiledType::load(&json!({
        "type": "offer",
        "lifecycle": {
            "initial": "made",
            "statuses": { "made": { "timeout": { "after": "20m", "transition": "lapse" } }, "lapsed": { "done": true } },
            "transitions": { "lapse": { "from": ["made"], "to": "lapsed" } },
        },
    }));
    world.crash_and_start_with(vec![others.unwrap()]);
    world.create("offer", json!({ "id": "1" }));
    let before = world.faulty.due_timers.load(SeqCst);
    world.pass(Duration::from_secs(1_199));
    let asked = world.faulty.due_timers.load(SeqCst) - before;
    assert!(asked < 2_000, "asked {asked} times: it spins");
    world.pass(Duration::from_secs(3));
    let status = |world: &World, of: &str, name: &str| {
        let ty = world.ty(name);
        world.run(world.service.status(&world.ctx(), &ty, &id(of), StatusQuery::default())).unwrap().unwrap().status.to_string()
    };
    assert_eq!(status(&world, "1", "offer"), "lapsed");
    // Served again, they are taken at once: their time was fixed when the status was entered.
    world.crash();
    world.pass(Duration::from_secs(3));
    for n in 0..150 {
        assert_eq!(status(&world, &format!("o{n}"), "order"), "expired");
    }
}

#[test]
fn a_timeout_that_lost_the_race_does_nothing() {
    let world = World::new();
    world.create("order", json!({ "id": "1" }));
    world.create("order", json!({ "id": "2" }));
    world.step("order", "1", "pay").unwrap();
    let ty = world.ty("order");
    fresh(world.run(world.service.delete_resource(&world.ctx(), &ty, &id("2"), IfMatch::None, Write::plain())).unwrap());
    let last = world.run(world.store.bounds(&Scope::All)).unwrap().last;
    world.pass(Duration::from_secs(2_000));
    assert_eq!(world.run(world.store.bounds(&Scope::All)).unwrap().last, last, "no event");
}

fn put_type(world: &World, source: Value) -> Result<(), Error> {
    let name: TypeName = source["type"].as_str().unwrap().parse().unwrap();
    let ctx = world.server_ctx();
    world.run(world.service.put_type(&ctx, name, source, IfMatch::None, Write::plain())).map(drop)
}

fn later<T: Send + 'static>(
    world: &World,
    what: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> tokio::task::JoinHandle<Result<T, Error>> {
    let task = world.spawn(what);
    world.quiet();
    task
}

#[test]
fn a_type_does_not_go_while_a_resource_of_it_comes() {
    let world = World::new();
    put_type(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived" })).unwrap();
    let ty = world.ty("parcel");
    // The resource is decided and on its way to the disk.
    world.faulty.hold_commits(true);
    let create = later(&world, {
        let (service, ctx, ty) = (world.service.clone(), world.ctx(), ty.clone());
        async move { service.create_resource(&ctx, &ty, json!({ "id": "1" }).as_object().cloned().unwrap(), Write::plain()).await }
    });
    let delete = later(&world, {
        let (service, ctx, name) = (world.service.clone(), world.server_ctx(), ty.compiled.decl.name.clone());
        async move { service.delete_type(&ctx, &name, IfMatch::None, Write::plain()).await }
    });
    let narrow = later(&world, {
        let (service, ctx, name) = (world.service.clone(), world.server_ctx(), ty.compiled.decl.name.clone());
        let source = json!({ "type": "parcel", "lifecycle": "packed -> gone" });
        async move { service.put_type(&ctx, name, source, IfMatch::None, Write::plain()).await }
    });
    world.faulty.hold_commits(false);
    world.run(create).unwrap().unwrap();
    assert!(matches!(world.run(delete).unwrap(), Err(Error::TypeInUse { count: 1, .. })));
    assert!(matches!(world.run(narrow).unwrap(), Err(Error::SchemaIncompatible { count: 1, .. })));
    assert_eq!(world.step("parcel", "1", "arrived").unwrap().version, 2);
}

#[test]
fn who_knew_a_type_that_is_gone_makes_nothing_of_it() {
    let world = World::new();
    put_type(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived" })).unwrap();
    let old = world.ty("parcel");
    let name = old.compiled.decl.name.clone();
    let create = |world: &World| {
        let body = json!({ "id": "1" }).as_object().cloned().unwrap();
        world.run(world.service.create_resource(&world.ctx(), &old, body, Write::plain())).map(fresh)
    };
    world.run(world.service.delete_type(&world.server_ctx(), &name, IfMatch::None, Write::plain())).unwrap();
    assert!(matches!(create(&world), Err(Error::NotFound { .. })));
    // Put again otherwise, it is the new declaration that decides.
    put_type(&world, json!({ "type": "parcel", "lifecycle": "packed -> gone" })).unwrap();
    assert_eq!(json(&create(&world).unwrap().body)["status"], "packed");
}

#[test]
fn a_type_that_is_stored_is_served_whatever_becomes_of_its_indexes() {
    let world = World::new();
    world.faulty.declare_fails.store(true, SeqCst);
    put_type(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived" })).unwrap();
    world.create("parcel", json!({ "id": "1" }));
    // The next put finds what it must find.
    put_type(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived | lost" })).unwrap();
    world.step("parcel", "1", "lost").unwrap();
}

#[test]
fn no_list_relies_on_an_index_that_is_being_filled() {
    let world = World::new();
    let with_index = json!({ "type": "parcel", "lifecycle": "sent -> arrived", "indexes": [["seat", "created_at"]],
        "schema": { "type": "object", "properties": { "seat": { "type": "integer" } } } });
    put_type(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived", "schema": with_index["schema"] })).unwrap();
    world.create("parcel", json!({ "id": "1", "seat": 1 }));
    let name = world.ty("parcel").compiled.decl.name.clone();
    let row = world.run(ringback_ports::store::Resources::resource(&*world.store, world.ctx().tenant().unwrap(), &name, &id("1"))).unwrap();
    *world.faulty.to_fill.lock().unwrap() = (vec![(name, vec!["seat".into()])], usize::MAX);
    put_type(&world, with_index).unwrap();
    *world.faulty.endless.lock().unwrap() = row;
    let params = [("seat".to_owned(), "2".to_owned())];
    let seats = || world.run(world.service.list_resources(&world.ctx(), &world.ty("parcel"), asked(&params, 10, None)));
    match seats() {
        Err(Error::QueryTooExpensive { missing_index, filling: true, .. }) => assert_eq!(missing_index, "[seat, created_at]"),
        other => panic!("{other:?}"),
    }
    // The task fills it, and lists use it from then on: the store is asked for what the index finds.
    world.faulty.to_fill.lock().unwrap().1 = 3;
    world.quiet();
    assert!(world.faulty.to_fill.lock().unwrap().0.is_empty());
    world.faulty.endless.lock().unwrap().take();
    assert_eq!(seats().unwrap().rows.len(), 0);
}

const SCOPE: [u8; 32] = [1; 32];
const PRINT: [u8; 32] = [2; 32];

fn begin(world: &World, print: [u8; 32]) -> Result<Begin, Error> {
    world.run(world.service.begin(&world.ctx(), SCOPE, print))
}

fn go(world: &World) -> Write<Written> {
    match begin(world, PRINT).unwrap() {
        Begin::Go(permit) => Write::recorded(permit, |made: &Written| made.body.to_vec()),
        Begin::Replay(_) => panic!("it was answered already"),
    }
}

#[test]
fn an_answer_is_given_again_also_after_a_crash_and_lies_sealed() {
    let mut world = World::new();
    let write = go(&world);
    assert!(matches!(begin(&world, PRINT), Err(Error::IdempotencyInProgress)));
    let body = json!({ "id": "1", "zone": "canary" }).as_object().cloned().unwrap();
    let made = fresh(world.run(world.service.create_resource(&world.ctx(), &world.ty("ticket"), body, write)).unwrap());
    world.crash();
    match begin(&world, PRINT).unwrap() {
        Begin::Replay(bytes) => assert_eq!(bytes, made.body),
        Begin::Go(_) => panic!("it was answered"),
    }
    assert!(matches!(begin(&world, [3; 32]), Err(Error::IdempotencyKeyReused)));
    let kept = world.run(world.store.answer(&SCOPE, world.now())).unwrap().unwrap();
    assert!(!kept.answer.windows(6).any(|it| it == b"canary"));
    world.clock.advance(Duration::from_secs(24 * 3600));
    assert!(matches!(begin(&world, [3; 32]), Ok(Begin::Go(_))), "after a day the key is free");
}

#[test]
fn a_refusal_is_not_kept() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let ty = world.ty("ticket");
    let attempt = |world: &World| {
        let write = go(world);
        world.run(world.service.transition(&world.ctx(), &ty, &id("1"), "return", None, IfMatch::None, write))
    };
    assert!(matches!(attempt(&world), Err(Error::Lifecycle { refusal: Refusal::NotAllowed { .. }, .. })));
    world.step("ticket", "1", "sell").unwrap();
    assert!(matches!(attempt(&world), Ok(Outcome::Fresh(_))));
}

#[test]
fn who_went_away_and_asks_again_is_told_what_was_done() {
    // The first request's connection breaks while its change is on the way to the disk.
    for decided_before in [true, false] {
        let world = World::new();
        world.create("ticket", json!({ "id": "1" }));
        world.faulty.hold_commits(true);
        let sell = |world: &World, write: Write<Written>| {
            let (service, ctx, ty) = (world.service.clone(), world.ctx(), world.ty("ticket"));
            world.spawn(async move { service.transition(&ctx, &ty, &id("1"), "sell", None, IfMatch::None, write).await })
        };
        let first = sell(&world, go(&world));
        world.quiet();
        first.abort();
        world.quiet();
        // The same again, with the same key: nothing is stored yet, so it runs.
        let write = go(&world);
        let second = if decided_before {
            let second = sell(&world, write);
            world.quiet();
            world.faulty.hold_commits(false);
            second
        } else {
            world.faulty.hold_commits(false);
            world.quiet();
            sell(&world, write)
        };
        match world.run(second).unwrap() {
            Ok(Outcome::Replayed(bytes)) => assert_eq!(json(&bytes)["status"], "sold"),
            // Both were on their way: this one may have been written first.
            Ok(Outcome::Fresh(made)) if decided_before => assert_eq!(json(&made.body)["status"], "sold"),
            other => panic!("{decided_before}: {other:?}"),
        }
        assert_eq!(world.run(world.store.bounds(&Scope::All)).unwrap().last, 2, "it was sold once");
    }
}

#[test]
fn a_gateway_acts_with_the_authority_of_a_tenant() {
    let world = World::new();
    let gateway = ringback_service::Caller {
        role: key::Role::Gateway,
        scopes: key::Scopes::of_role(key::Role::Gateway),
        ..ringback_service::Caller::socket_operator()
    };
    let ctx = world.service.ctx(gateway, Some("default"), key::Scope::ResourcesWrite, true).unwrap();
    assert_eq!(ctx.authority(), Authority::Tenant);
    let body = || json!({ "id": "1" }).as_object().cloned().unwrap();
    let make = |name: &str| world.run(world.service.create_resource(&ctx, &world.ty(name), body(), Write::plain())).map(drop);
    assert!(matches!(make("order"), Err(Error::Forbidden(_))));
    assert!(make("ticket").is_ok());
    let ty = world.ty("ticket");
    let step = |name: &str| world.run(world.service.transition(&ctx, &ty, &id("1"), name, None, IfMatch::None, Write::plain()));
    assert!(step("sell").is_ok());
    assert!(matches!(step("return"), Err(Error::Lifecycle { refusal: Refusal::Forbidden { .. }, .. })));
}

#[test]
fn one_subject_has_deliveries_of_all_its_events() {
    let world = World::new();
    let made = world.subscribe(|it| {
        it.types = Vec::new();
        it.push.as_mut().unwrap().url = URL.into();
        it.subject = Some("/ticket/1".parse().unwrap());
    });
    world.create("ticket", json!({ "id": "1" }));
    world.create("ticket", json!({ "id": "2" }));
    world.step("ticket", "1", "sell").unwrap();
    world.pass(Duration::from_secs(1));
    let query = DeliveryQuery { subscription: Some(made.view.subscription.id.clone()), limit: 10, ..DeliveryQuery::default() };
    let all = world.run(world.service.deliveries(&world.ctx(), query)).unwrap().items;
    assert_eq!(all.iter().map(|it| it.event_type.as_str()).collect::<Vec<_>>(), ["ticket.sold", "ticket.created"]);
    assert!(all.iter().all(|it| it.state == DeliveryState::Delivered));
}
