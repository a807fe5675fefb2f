//! Data that is taken out: what is left, who hears of it, and what a crash in between does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    EventId, Subject, Timestamp,
    erasure::Erasure,
    event::{Event, Scope},
};
use ringback_ports::{
    fake::sender::{self, answered},
    store::{Deliveries as _, Erasures as _, Log as _, Resources as _, Slice},
};
use ringback_service::{Error, FeedQuery, ListQuery, NewEvent, Wanted, WatchQuery, Write, verify::verify};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use world::{World, event, fresh};

const ALL: Slice = Slice { events_max: usize::MAX, bytes_max: usize::MAX };
const SECOND: Duration = Duration::from_secs(1);

fn subject(text: &str) -> Wanted {
    Wanted::Subject(Subject::parse(text).unwrap())
}

fn try_erase(world: &World, wanted: Wanted) -> Result<Erasure, Error> {
    world.run(world.service.erase(&world.operator_ctx("default"), wanted, Write::plain())).map(fresh)
}

/// Erases, and waits until it is done.
fn erase(world: &World, wanted: Wanted) -> u64 {
    let id = try_erase(world, wanted).unwrap().id;
    world.pass(SECOND);
    let all = erasures(world);
    let it = all.iter().find(|it| it.id == id).unwrap();
    assert!(it.is_done(), "{it:?}");
    it.erased
}

fn erasures(world: &World) -> Vec<Erasure> {
    world.run(world.store.erasures(None, None, false, 100)).unwrap()
}

fn log(world: &World) -> Vec<Arc<Event>> {
    world.run(world.store.events_after(&Scope::All, 0, ALL)).unwrap()
}

/// Whether anything in the log or in rows says `canary`.
fn says(world: &World, canary: &str) -> bool {
    let log = log(world).iter().any(|it| format!("{it:?}{}", String::from_utf8_lossy(&it.bytes)).contains(canary));
    let rows = world.run(world.store.resource_rows(None, 1_000)).unwrap();
    log || rows.iter().any(|it| format!("{it:?}").contains(canary))
}

fn feed(world: &World, query: FeedQuery) -> Vec<Arc<Event>> {
    world.run(world.service.feed(&world.ctx(), FeedQuery { limit: 100, ..query })).unwrap().events
}

fn clean(world: &World) {
    let report = world.run(verify(&*world.store, world::types())).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

fn body(it: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    it.as_object().unwrap().clone()
}

fn published(world: &World, about: &str, data: &str, key: Option<&str>) -> EventId {
    let it = NewEvent { key: key.map(Into::into), ..event("a.b", Some(about), data) };
    fresh(world.run(world.service.publish(&world.ctx(), vec![it], Write::plain())).unwrap()).events[0].event.id
}

#[test]
fn an_event_is_gone_but_for_its_place() {
    let world = World::new();
    let first = published(&world, "/person/anna", "{\"who\":\"anna\"}", Some("anna-1"));
    let second = published(&world, "/person/bert", "\"bert\"", None);
    assert_eq!(erase(&world, Wanted::Key("anna-1".into())), 1);
    assert!(!says(&world, "anna") && says(&world, "bert"));
    let left = world.run(world.service.event(&world.ctx(), first)).unwrap();
    let text = String::from_utf8_lossy(&left.bytes).into_owned();
    assert!(text.starts_with(&format!("{{\"id\":\"{first}\",\"type\":\"a.b\",\"timestamp\":\"")), "{text}");
    assert!(text.contains("\"tenant\":\"default\",\"sequence\":1,\"data\":null,\"erased_at\":\"2026-"), "{text}");
    // Feeds show it, from memory and from the store; what is about somebody else is as it was.
    let sequences = |query| feed(&world, query).iter().map(|it| it.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(FeedQuery::default()), [1, 2]);
    assert_eq!(sequences(FeedQuery { filter: Some("data.who = \"anna\"".into()), ..FeedQuery::default() }), [0_u64; 0]);
    assert_eq!(sequences(FeedQuery { subject: Subject::parse("/person/anna").ok(), ..FeedQuery::default() }), [0_u64; 0]);
    assert_eq!(feed(&world, FeedQuery::default())[1].id, second);
    // Twice is once, and the key is free.
    assert_eq!(erase(&world, Wanted::Event(first)), 0);
    assert!(matches!(try_erase(&world, Wanted::Key("anna-1".into())), Err(Error::NotFound { noun: "event", .. })));
    assert!(published(&world, "/person/carl", "1", Some("anna-1")) != first);
    clean(&world);
}

#[test]
fn nothing_of_it_is_delivered_any_more() {
    let world = World::new();
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![60, 60]).view.subscription.id.clone();
    published(&world, "/person/anna", "\"anna arrived\"", None);
    world.pass(SECOND);
    world.sender.answer_with(|_| answered(sender::status(503)));
    published(&world, "/person/anna", "\"anna failed\"", None);
    world.pass(SECOND);
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    published(&world, "/person/anna", "\"anna waits\"", None);
    let kept = published(&world, "/person/bert", "\"bert\"", None);
    assert_eq!(world.states(&id), ["delivered", "retrying", "pending", "pending"]);
    assert_eq!(erase(&world, subject("/person/anna")), 3);
    world.pass(SECOND);
    assert_eq!(world.states(&id), ["delivered", "skipped", "skipped", "pending"]);
    assert_eq!(world.deliveries(&id)[1].reason.as_deref(), Some("erased"));
    let (_, explained) = world.run(world.service.explain(&world.ctx(), &id, log(&world)[1].id)).map(|it| (it.1, it.0)).unwrap();
    assert!(format!("{explained:?}").contains("erased"), "{explained:?}");
    let before = world.sent().len();
    world.sender.answer_with(|_| answered(sender::status(200)));
    fresh(world.run(world.service.resume(&world.ctx(), &id, ringback_service::ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.sent()[before..], [kept]);
    assert_eq!(world.states(&id), ["delivered", "skipped", "skipped", "delivered"]);
    clean(&world);
}

#[test]
fn a_try_that_is_in_flight_ends_and_is_not_made_again() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.sender.hold(world::URL);
    world.sender.script(world::URL, [answered(sender::status(503))]);
    published(&world, "/person/anna", "1", None);
    world.quiet();
    assert_eq!(world.states(&id), ["delivering"]);
    erase(&world, subject("/person/anna"));
    world.sender.release(world::URL);
    world.pass(Duration::from_secs(3_600));
    assert_eq!((world.sent().len(), world.states(&id)), (1, vec!["skipped"]));
    let no = world.run(ringback_ports::store::Subscriptions::subscriptions(&*world.store)).unwrap()[0].no;
    assert_eq!(world.run(world.store.exceptions(no, 0, 10)).unwrap(), []);
    clean(&world);
}

#[test]
fn a_resource_is_deleted_first_so_that_lists_and_watches_hear_of_it() {
    let world = World::new();
    let (ctx, ty) = (world.ctx(), world.ty("ticket"));
    world.create("ticket", json!({ "id": "anna", "seat": 4711 }));
    world.create("ticket", json!({ "id": "bert", "seat": 1 }));
    world.step("ticket", "anna", "sell").unwrap();
    let list = |limit| {
        let query = ListQuery { filter: None, params: &[], sort: None, fields: None, limit, after: None };
        world.run(world.service.list_resources(&ctx, &ty, query)).unwrap()
    };
    let before = list(10);
    assert_eq!(before.rows.len(), 2);
    assert_eq!(erase(&world, subject("/ticket/anna")), 3, "created, sold, deleted");
    assert!(!says(&world, "4711"));
    assert_eq!(list(10).rows.len(), 1);
    let anna = "anna".parse().unwrap();
    assert!(matches!(world.run(world.service.resource(&ctx, &ty, &anna)), Err(Error::NotFound { .. })));
    assert!(world.run(world.service.resource_version(&ctx, &ty, &anna, 1)).is_err());
    // A watch that was away meanwhile, with a filter and without one.
    for filter in [None, Some("seat > 5".to_owned())] {
        let watch = WatchQuery { type_name: ty.compiled.decl.name.clone(), filter, params: Vec::new() };
        let query = FeedQuery { watch: Some(watch), limit: 10, ..FeedQuery::default() };
        let page = world.run(world.service.watch(&ctx, query)).unwrap();
        let last = page.changes.last().unwrap();
        assert_eq!(last.0.as_str(), "delete");
        assert_eq!(last.1.image(), "{\"id\":\"anna\",\"type\":\"ticket\",\"tenant\":\"default\",\"version\":3}");
    }
    // The id stays taken, and erasing it again is harmless.
    assert!(world.run(world.service.create_resource(&ctx, &ty, body(json!({ "id": "anna", "seat": 1 })), Write::plain())).is_err());
    assert_eq!(erase(&world, subject("/ticket/anna")), 0);
    clean(&world);
}

#[test]
fn the_event_of_the_present_version_is_not_erased_alone() {
    let world = World::new();
    world.create("ticket", json!({ "id": "anna", "seat": 4711 }));
    let made = log(&world)[0].id;
    assert!(matches!(try_erase(&world, Wanted::Event(made)), Err(Error::Conflict { .. })));
    world.step("ticket", "anna", "sell").unwrap();
    assert_eq!(erase(&world, Wanted::Event(made)), 1);
    assert!(world.run(world.service.resource(&world.ctx(), &world.ty("ticket"), &"anna".parse().unwrap())).is_ok());
    clean(&world);
}

#[test]
fn a_crash_in_the_middle_is_gone_on_from() {
    let mut world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    for n in 0..250 {
        published(&world, "/person/anna", &format!("\"anna {n}\""), None);
    }
    world.create("ticket", json!({ "id": "anna", "seat": 1 }));
    world.faulty.erase_fails.store(true, SeqCst);
    let asked = [subject("/person/anna"), subject("/ticket/anna")].map(|it| try_erase(&world, it).unwrap().id);
    world.pass(SECOND);
    assert!(says(&world, "anna 249"));
    world.crash();
    world.faulty.erase_fails.store(false, SeqCst);
    world.pass(Duration::from_secs(10));
    let all = erasures(&world);
    for (id, erased) in [(asked[0], 250), (asked[1], 2)] {
        let it = all.iter().find(|it| it.id == id).unwrap();
        assert_eq!((it.erased, it.is_done()), (erased, true));
    }
    assert!(!says(&world, "anna 2"));
    fresh(world.run(world.service.resume(&world.ctx(), &id, ringback_service::ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sent().len(), 0);
    clean(&world);
}

#[test]
fn a_tenant_is_erased_with_all_that_is_its_own() {
    let world = World::new();
    world.put_tenant("acme");
    let (acme, operator) = (world.tenant_ctx("acme"), world.operator_ctx("acme"));
    let subscription = world.tenant_subscription("acme");
    let ty = world.ty("order");
    fresh(world.run(world.service.create_resource(&operator, &ty, body(json!({ "id": "o1", "amount": 4711 })), Write::plain())).unwrap());
    world.publish_in("acme", event("a.b", Some("/person/anna"), "\"anna\""));
    world.publish_in("default", event("a.b", Some("/person/bert"), "\"bert\""));
    let ask = |ctx, named: &str| world.run(world.service.erase(ctx, Wanted::Tenant(named.into()), Write::plain()));
    assert!(matches!(ask(&operator, "globex"), Err(Error::Field { .. })), "it has to be named twice");
    assert!(matches!(ask(&acme, "acme"), Err(Error::Forbidden(_))), "and not by itself");
    fresh(ask(&operator, "acme").unwrap());
    world.pass(Duration::from_secs(10));
    assert!(erasures(&world).iter().all(Erasure::is_done));
    assert!(!says(&world, "anna") && !says(&world, "4711") && says(&world, "bert"));
    assert!(matches!(world.run(world.service.subscription(&operator, &subscription)), Err(Error::NotFound { .. })));
    let mine = world.run(world.store.events_after(&operator.scope, 0, ALL)).unwrap();
    assert!(mine.iter().all(|it| it.erased_at > Some(Timestamp::from_secs(0))), "{mine:?}");
    // It goes on, empty.
    world.publish_in("acme", event("a.b", None, "1"));
    clean(&world);
}
