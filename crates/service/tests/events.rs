//! Publishing and reading the log: keys and repeats, arrays, feeds in all their
//! forms, what a page may not cut, and whose log it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{EventId, Subject, Timestamp, event::Scope, key::Authority, subscription::TypePattern};
use ringback_ports::store::Log;
use ringback_service::{Ctx, Error, FeedPage, FeedQuery, Needs, NewEvent, Published, Write};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;
use world::{World, event, fresh};

fn keyed(key: &str, data: &str) -> NewEvent {
    NewEvent { key: Some(key.into()), ..event("a.b", Some("/x/1"), data) }
}

fn publish(world: &World, ctx: &Ctx, events: Vec<NewEvent>) -> Result<Published, Error> {
    world.run(world.service.publish(ctx, events, Write::plain())).map(fresh)
}

fn feed(world: &World, ctx: &Ctx, query: FeedQuery) -> Result<FeedPage, Error> {
    world.run(world.service.feed(ctx, query))
}

fn page(limit: usize, after: Option<String>) -> FeedQuery {
    FeedQuery { limit, after, ..FeedQuery::default() }
}

fn later(world: &World, query: FeedQuery) -> JoinHandle<Result<FeedPage, Error>> {
    let (service, ctx) = (world.service.clone(), world.ctx());
    let task = world.spawn(async move { service.feed(&ctx, query).await });
    world.quiet();
    task
}

/// All events after `after`, by pages of `limit`, each checked for where it ends.
fn walk(world: &World, query: &FeedQuery) -> Vec<EventId> {
    let (mut all, mut after) = (Vec::new(), query.after.clone());
    loop {
        let page = feed(world, &world.ctx(), FeedQuery { after, ..query.clone() }).unwrap();
        if query.types.is_empty() && query.subject.is_none() {
            assert!(page.events.last().is_none_or(|it| it.ends_change_set), "cut inside a change set (G5)");
        }
        all.extend(page.events.iter().map(|it| it.id));
        if !page.has_more {
            assert_eq!(page.lag, 0);
            return all;
        }
        after = Some(page.cursor);
    }
}

#[test]
fn the_same_key_and_content_is_a_repeat_and_other_content_is_refused() {
    let world = World::new();
    let ctx = world.ctx();
    let first = publish(&world, &ctx, vec![keyed("k", "{\"n\":1}")]).unwrap();
    assert!(!first.events[0].repeated);
    let stored = first.events[0].event.id;
    assert_eq!(first.last_new, Some(stored));
    world.clock.advance(Duration::from_secs(5));
    let again = publish(&world, &ctx, vec![keyed("k", "{\"n\":1}")]).unwrap();
    assert_eq!((again.events[0].event.id, again.events[0].repeated, again.last_new), (stored, true, None));
    assert_eq!(again.position, first.position, "nothing is after it");
    let other = |edit: &dyn Fn(&mut NewEvent)| {
        let mut it = keyed("k", "{\"n\":1}");
        edit(&mut it);
        match publish(&world, &ctx, vec![it]) {
            Err(Error::EventKeyTaken { key, by }) => assert_eq!((key.as_str(), by), ("k", stored)),
            other => panic!("{other:?}"),
        }
    };
    other(&|it| it.data = "{\"n\":1.0}".to_owned().into());
    other(&|it| it.event_type = "a.c".parse().unwrap());
    other(&|it| it.subject = None);
    other(&|it| it.occurred_at = Some(Timestamp::from_secs(0)));
    other(&|it| it.audience = Authority::Operator);
    // A key is its tenant's.
    world.put_tenant("acme");
    let acme = publish(&world, &world.operator_ctx("acme"), vec![keyed("k", "{\"n\":2}")]).unwrap();
    assert!(!acme.events[0].repeated);
}

#[test]
fn an_array_is_all_or_nothing_and_says_which_were_repeats() {
    let world = World::new();
    let ctx = world.ctx();
    publish(&world, &ctx, vec![keyed("k1", "1")]).unwrap();
    let made = publish(&world, &ctx, vec![keyed("k2", "2"), keyed("k1", "1"), event("a.b", None, "3"), keyed("k2", "2")]).unwrap();
    assert_eq!(made.events.iter().map(|it| it.repeated).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(made.events.iter().map(|it| it.event.sequence).collect::<Vec<_>>(), [2, 1, 3, 2]);
    assert_eq!(made.last_new, Some(made.events[2].event.id));
    let last = world.run(world.store.bounds(&Scope::All)).unwrap().last;
    for refused in [
        vec![event("a.b", None, "4"), keyed("k1", "other")],
        vec![keyed("k3", "1"), keyed("k3", "2")],
        vec![event("a.b", None, "4"), event("order.paid", None, "{}")],
    ] {
        assert!(publish(&world, &ctx, refused).is_err());
    }
    assert_eq!(world.run(world.store.bounds(&Scope::All)).unwrap().last, last, "nothing of it is there");
}

#[test]
fn two_publishers_with_one_key_make_one_event() {
    let world = World::new();
    let all: Vec<_> = (0..10)
        .map(|_| {
            let (service, ctx) = (world.service.clone(), world.ctx());
            world.spawn(async move { service.publish(&ctx, vec![keyed("k", "1")], Write::plain()).await.map(fresh) })
        })
        .collect();
    let made: Vec<_> = all.into_iter().map(|it| world.run(it).unwrap().unwrap()).collect();
    assert_eq!(made.iter().filter(|it| !it.events[0].repeated).count(), 1);
    assert!(made.iter().all(|it| it.events[0].event.id == made[0].events[0].event.id));
}

#[test]
fn names_that_are_owned_are_not_published_to() {
    let world = World::new();
    for owned in ["order.paid", "order.anything", "order", "ringback.log.restored", "ringback"] {
        assert!(matches!(publish(&world, &world.ctx(), vec![event(owned, None, "1")]), Err(Error::TypeOwned { .. })), "{owned}");
    }
    assert!(publish(&world, &world.ctx(), vec![event("orders.paid", None, "1")]).is_ok());
    let secret = NewEvent { audience: Authority::Operator, ..event("a.b", None, "1") };
    let refused = publish(&world, &world.tenant_ctx("default"), vec![secret]);
    assert!(matches!(refused, Err(Error::Forbidden(Needs::Operator { .. }))));
    let refused = publish(&world, &world.operator_ctx("*"), vec![event("a.b", None, "1")]);
    assert!(matches!(refused, Err(Error::StarNotPossible)));
}

#[test]
fn pages_join_to_the_log_and_never_cut_a_change_set() {
    let world = World::new();
    let mut wanted = Vec::new();
    for size in [1, 3, 1, 7, 2] {
        let events = (0..size).map(|n| event("a.b", Some("/x/1"), &n.to_string())).collect();
        wanted.extend(publish(&world, &world.ctx(), events).unwrap().events.iter().map(|it| it.event.id));
    }
    for limit in [1, 2, 3, 5, 14, 1_000] {
        assert_eq!(walk(&world, &page(limit, None)), wanted, "{limit}");
        let about = FeedQuery { subject: Some("/x/1".parse().unwrap()), ..page(limit, None) };
        assert_eq!(walk(&world, &about), wanted, "{limit}");
        assert!(walk(&world, &FeedQuery { subject: Some("/x/2".parse().unwrap()), ..page(limit, None) }).is_empty());
    }
    let first = feed(&world, &world.ctx(), page(2, None)).unwrap();
    assert_eq!((first.events.len(), first.has_more, first.lag), (4, true, 10), "the rest of one change set comes with it");
}

#[test]
fn memory_and_disk_answer_the_same() {
    let mut world = World::new();
    let wanted: Vec<_> = (0..30).map(|n| world.publish("a.b", None, &n.to_string()).events[0].event.id).collect();
    assert_eq!(walk(&world, &page(7, None)), wanted);
    world.crash();
    // Nothing of it is in memory now; then some of it is.
    assert_eq!(walk(&world, &page(7, None)), wanted);
    let more: Vec<_> = (0..5).map(|n| world.publish("a.b", None, &n.to_string()).events[0].event.id).collect();
    assert_eq!(walk(&world, &page(7, None)), [wanted, more].concat());
}

#[test]
fn the_cursor_is_what_was_looked_at_also_when_nothing_matched() {
    let world = World::new();
    for n in 0..250 {
        world.publish("a.b", None, &n.to_string());
    }
    let wanted = world.publish("c.d", None, "1").events[0].event.id;
    world.publish("a.b", None, "2");
    let of = |types: &str, after| FeedQuery { types: vec![TypePattern::parse(types).unwrap()], ..page(10, after) };
    let none = feed(&world, &world.ctx(), of("x.*", None)).unwrap();
    assert_eq!((none.events.len(), none.lag, none.has_more), (0, 0, false));
    let one = feed(&world, &world.ctx(), of("c.*", None)).unwrap();
    assert_eq!(one.events.iter().map(|it| it.id).collect::<Vec<_>>(), [wanted]);
    assert_eq!(one.lag, 0);
    let about = FeedQuery { subject: Some("/none".parse().unwrap()), ..page(10, None) };
    assert_eq!(feed(&world, &world.ctx(), about).unwrap().cursor, none.cursor);
    // Its cursor is good for any other feed of the tenant.
    let next = world.publish("x.y", None, "3").events[0].event.id;
    assert_eq!(walk(&world, &page(10, Some(none.cursor))), [next]);
}

#[test]
fn after_takes_all_its_forms() {
    let world = World::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        ids.push(world.publish("a.b", None, &n.to_string()).events[0].event.id);
    }
    let after = |text: &str| feed(&world, &world.ctx(), page(10, Some(text.to_owned())));
    let count = |text: &str| after(text).unwrap().events.len();
    assert_eq!(count("start"), 5);
    assert_eq!(count("now"), 0);
    assert_eq!(count(&ids[1].to_string()), 3);
    assert_eq!(count("1970-01-01T00:00:00Z"), 5);
    assert_eq!(count("2999-01-01T00:00:00Z"), 0);
    assert_eq!(count(&world.now().to_string()), 1, "that of this very moment is after it");
    let second = world.run(world.service.event(&world.ctx(), ids[1])).unwrap().timestamp;
    assert_eq!(count(&second.to_string()), 4);
    for bad in ["", "yesterday", "evt_", "42", "-1", "AQEAAAABAAAAAAAAAAKqodDVYlLenympJ-rI1wXT"] {
        assert!(matches!(after(bad), Err(Error::Parameter { parameter: "after", .. })), "{bad}");
    }
    let nobody = EventId::from_bits(7).to_string();
    assert!(matches!(after(&nobody), Err(Error::NotFound { noun: "event", .. })));
    // A page cursor is no position.
    for _ in 0..2 {
        world.subscribe(|_| {});
    }
    let cursor = world.run(world.service.subscriptions(&world.ctx(), 1, None)).unwrap().next_cursor.unwrap();
    assert!(matches!(after(&cursor), Err(Error::CursorMismatch)));
}

#[test]
fn a_long_poll_ends_with_the_first_match_or_a_moved_cursor() {
    let world = World::new();
    world.publish("a.b", None, "1");
    let wait = Duration::from_secs(30);
    let of = |types: &str| FeedQuery { types: vec![TypePattern::parse(types).unwrap()], wait, ..page(10, Some("now".into())) };
    let polling = later(&world, of("c.*"));
    let before = feed(&world, &world.ctx(), page(10, Some("now".into()))).unwrap().cursor;
    world.publish("a.b", None, "2");
    world.quiet();
    assert!(!polling.is_finished(), "what does not match ends nothing");
    let wanted = world.publish("c.d", None, "3").events[0].event.id;
    world.quiet();
    assert!(polling.is_finished(), "no time has to pass");
    assert_eq!(world.run(polling).unwrap().unwrap().events[0].id, wanted);

    for query in [of("x.*"), FeedQuery { subject: Some("/none".parse().unwrap()), wait, ..page(10, Some("now".into())) }] {
        let polling = later(&world, query);
        world.publish("a.b", Some("/other"), "4");
        world.pass(Duration::from_secs(29));
        assert!(!polling.is_finished());
        world.pass(Duration::from_secs(2));
        let page = world.run(polling).unwrap().unwrap();
        assert_eq!((page.events.len(), page.lag, page.has_more), (0, 0, false), "it has moved over what did not match");
        assert_ne!(page.cursor, before);
    }
    // What is there already is answered at once; so is everything when we close.
    let at_once = later(&world, FeedQuery { wait, ..page(10, None) });
    assert!(at_once.is_finished());
    let polling = later(&world, of("x.*"));
    let service = world.service.clone();
    world.run(async move { service.drain(Duration::from_secs(1)).await });
    world.quiet();
    assert!(polling.is_finished());
}

#[test]
fn a_long_poll_of_one_subject_wakes_for_it() {
    let world = World::new();
    let query = FeedQuery { subject: Some(Subject::parse("/x/1").unwrap()), wait: Duration::from_secs(30), ..page(10, Some("now".into())) };
    let polling = later(&world, query);
    world.publish("a.b", Some("/x/2"), "1");
    world.quiet();
    assert!(!polling.is_finished());
    let wanted = world.publish("a.b", Some("/x/1"), "1").events[0].event.id;
    world.quiet();
    let page = world.run(polling).unwrap().unwrap();
    assert_eq!(page.events.iter().map(|it| it.id).collect::<Vec<_>>(), [wanted]);
}

#[test]
fn another_tenants_log_is_not_there() {
    let world = World::new();
    world.put_tenant("acme");
    let (acme, other) = (world.operator_ctx("acme"), world.tenant_ctx("default"));
    let made = publish(&world, &acme, vec![keyed("k", "1")]).unwrap();
    let id = made.events[0].event.id;
    assert!(matches!(world.run(world.service.event(&other, id)), Err(Error::NotFound { .. })));
    assert!(feed(&world, &other, page(10, None)).unwrap().events.is_empty());
    assert!(matches!(feed(&world, &other, page(10, Some(id.to_string()))), Err(Error::NotFound { .. })));
    assert!(matches!(feed(&world, &other, page(10, Some(made.position.clone()))), Err(Error::Parameter { .. })));
    assert_eq!(world.run(world.service.log_view(&other)).unwrap().last, 0, "nor does its volume show");
    // An operator reads them all, and by one.
    world.publish_in("default", event("a.c", None, "2"));
    let star = world.operator_ctx("*");
    let all = feed(&world, &star, page(10, None)).unwrap();
    assert_eq!(all.events.iter().map(|it| it.tenant.to_string()).collect::<Vec<_>>(), ["acme", "default"]);
    assert!(world.run(world.service.event(&star, id)).is_ok());
    // Positions of `*` are for `*`.
    assert!(matches!(feed(&world, &acme, page(10, Some(all.cursor))), Err(Error::Parameter { .. })));
    assert!(matches!(feed(&world, &star, page(10, Some(made.position))), Err(Error::Parameter { .. })));
}

#[test]
fn what_is_for_operators_is_never_shown_to_tenants() {
    let world = World::new();
    let secret = NewEvent { audience: Authority::Operator, ..event("a.b", Some("/x/1"), "1") };
    let id = publish(&world, &world.ctx(), vec![secret]).unwrap().events[0].event.id;
    let tenant = world.tenant_ctx("default");
    for query in [page(10, None), FeedQuery { subject: Some("/x/1".parse().unwrap()), ..page(10, None) }] {
        assert!(feed(&world, &tenant, query.clone()).unwrap().events.is_empty());
        assert_eq!(feed(&world, &world.ctx(), query).unwrap().events.len(), 1);
    }
    assert!(matches!(world.run(world.service.event(&tenant, id)), Err(Error::NotFound { .. })));
    assert!(matches!(feed(&world, &tenant, page(10, Some(id.to_string()))), Err(Error::NotFound { .. })), "nor that there is one");
    // Nor pushed: neither of the types named, nor when all are.
    let query = world.tenant_subscription("default");
    world.pass(Duration::from_secs(1));
    publish(&world, &world.ctx(), vec![NewEvent { audience: Authority::Operator, ..event("a.b", None, "1") }]).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.sender.count(), world.states(&query).len()), (0, 0));
}

#[test]
fn one_change_set_larger_than_a_page_comes_whole() {
    let world = World::new();
    let events: Vec<_> = (0..1_000).map(|n| event("a.b", None, &n.to_string())).collect();
    let made = publish(&world, &world.ctx(), events).unwrap();
    let first = feed(&world, &world.ctx(), page(10, None)).unwrap();
    assert_eq!((first.events.len(), first.has_more), (1_000, false));
    assert_eq!(first.cursor, made.position);
    let sequences: Vec<_> = first.events.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, (1..=1_000).collect::<Vec<_>>());
}

#[test]
fn a_position_of_a_write_is_where_a_reader_goes_on() {
    let world = World::new();
    let made = world.create("ticket", json!({ "id": "1" }));
    let sold = world.step("ticket", "1", "sell").unwrap();
    let after = walk(&world, &page(10, Some(made.position)));
    assert_eq!(after, [sold.event.unwrap()]);
    assert!(walk(&world, &page(10, Some(sold.position))).is_empty());
}
