//! Subscriptions when things happen at once: edits while a page is read,
//! one-shots at the end of their life, loading that fails, a full disk, and who
//! may see and change what.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    Subject, SubscriptionId,
    delivery::DeliveryState,
    event::Scope,
    key::Authority,
    subscription::{Order, State, TypePattern, Until},
};
use ringback_ports::{
    fake::sender::{self, answered},
    sender::Answered,
};
use ringback_service::{DeliveryQuery, Error, IfMatch, Needs, PullQuery, ResumeFrom, SubscriptionPatch, Write};
use serde_json::json;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};
use world::{URL, World, event, fresh, subscription};

fn status(code: u16) -> Answered {
    answered(sender::status(code))
}

fn types(names: &[&str]) -> SubscriptionPatch {
    SubscriptionPatch { types: Some(names.iter().map(|it| TypePattern::parse(it).unwrap()).collect()), ..SubscriptionPatch::default() }
}

fn publish_many(world: &World, event_type: &str, count: usize) {
    let mut left = count;
    while left > 0 {
        let now = left.min(1_000);
        let events = (0..now).map(|_| event(event_type, None, "1")).collect();
        fresh(world.run(world.service.publish(&world.ctx(), events, Write::plain())).unwrap());
        left -= now;
    }
}

#[test]
fn a_page_that_was_under_way_at_an_edit_is_read_again_under_the_new_revision() {
    let mut world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    let wanted = world.publish("c.d", None, "1").events[0].event.id;
    // After a start the event is not in memory: it comes as a page.
    world.crash();
    world.faulty.hold_pages(true);
    world.quiet();
    assert_eq!(world.faulty.pages.load(SeqCst), 1);
    let patch = world.spawn({
        let (service, ctx, id) = (world.service.clone(), world.ctx(), id.clone());
        async move { service.patch_subscription(&ctx, &id, types(&["c.*"]), IfMatch::None, Write::plain()).await }
    });
    // The edit begins before the page is there, and is committed after it.
    world.faulty.hold_commits(true);
    world.quiet();
    world.faulty.hold_pages(false);
    world.quiet();
    world.faulty.hold_commits(false);
    fresh(world.run(patch).unwrap().unwrap());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [wanted], "it lies above the edit, so the new revision matches it");
    assert_eq!(world.states(&id), ["delivered"]);
}

#[test]
fn a_one_shot_calls_once_although_a_page_brings_two_that_would_do() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let id = world.one_shot("/ticket/1", Until::Done).view.subscription.id.clone();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    let sold = world.step("ticket", "1", "sell").unwrap().event.unwrap();
    world.step("ticket", "1", "return").unwrap();
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [sold]);
    assert_eq!(world.view(&id).subscription.state, State::Done);
    assert_eq!(world.states(&id), ["delivered"], "nothing else is owed by one that is done");
}

#[test]
fn a_one_shot_that_had_called_when_we_crashed_is_done_and_does_not_call_again() {
    for answer in [200, 500] {
        let mut world = World::new();
        world.sender.answer_with(move |_| status(answer));
        world.create("ticket", json!({ "id": "1" }));
        let id = world.one_shot("/ticket/1", Until::Done).view.subscription.id.clone();
        let sold = world.step("ticket", "1", "sell").unwrap().event.unwrap();
        world.quiet();
        // Whatever became of it is settled, but not yet that it is done.
        world.faulty.hold_commits(true);
        world.pass(Duration::from_secs(3_000));
        let tries = world.sent();
        assert!(tries.iter().all(|it| *it == sold));
        assert_eq!(world.view(&id).subscription.state, State::Active);
        world.crash();
        world.faulty.hold_commits(false);
        world.step("ticket", "1", "return").unwrap();
        world.pass(Duration::from_secs(3_000));
        assert_eq!(world.sent(), tries, "{answer}");
        assert_eq!(world.view(&id).subscription.state, State::Done, "{answer}");
        assert_eq!(world.states(&id), [if answer == 200 { "delivered" } else { "parked" }]);
    }
}

#[test]
fn a_one_shot_ends_without_a_call_when_its_status_cannot_come_any_more() {
    let mut world = World::new();
    for id in ["1", "2", "3"] {
        world.create("ticket", json!({ "id": id }));
    }
    let sold = Until::Statuses(vec!["sold".parse().unwrap()]);
    let seen = world.one_shot("/ticket/1", sold.clone()).view.subscription.id.clone();
    let unseen = world.one_shot("/ticket/2", sold.clone()).view.subscription.id.clone();
    let deleted = world.one_shot("/ticket/3", sold).view.subscription.id.clone();
    world.step("ticket", "1", "cancel").unwrap();
    world.quiet();
    assert_eq!(world.view(&seen).subscription.state, State::Done);
    // The same when we die between seeing it and writing it down, with the cursor past it.
    world.faulty.hold_commits(true);
    let service = world.service.clone();
    let cancelled = world.spawn({
        let (service, ctx, ty) = (service.clone(), world.ctx(), world.ty("ticket"));
        async move { service.transition(&ctx, &ty, &"2".parse().unwrap(), "cancel", None, IfMatch::None, Write::plain()).await }
    });
    world.quiet();
    world.faulty.hold_commits(false);
    world.run(cancelled).unwrap().unwrap();
    world.faulty.hold_commits(true);
    world.quiet();
    let drained = world.spawn(async move { service.drain(Duration::from_secs(1)).await });
    world.pass(Duration::from_secs(3));
    world.run(drained).unwrap();
    world.crash();
    world.faulty.hold_commits(false);
    let ty = world.ty("ticket");
    fresh(world.run(world.service.delete_resource(&world.ctx(), &ty, &"3".parse().unwrap(), IfMatch::None, Write::plain())).unwrap());
    world.pass(Duration::from_secs(60));
    assert_eq!(world.view(&unseen).subscription.state, State::Done);
    assert_eq!(world.view(&deleted).subscription.state, State::Done);
    assert_eq!(world.sender.count(), 0);
}

#[test]
fn a_one_shot_that_is_paused_while_it_calls_is_done_all_the_same() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let id = world.one_shot("/ticket/1", Until::Done).view.subscription.id.clone();
    world.sender.hold(URL);
    world.step("ticket", "1", "sell").unwrap();
    world.quiet();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    world.sender.release(URL);
    world.pass(Duration::from_secs(5));
    let resumed = world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain()));
    assert!(matches!(resumed, Err(Error::NotActive { state: State::Done, .. })), "{resumed:?}");
    assert_eq!(world.sender.count(), 1);
}

#[test]
fn a_one_shot_whose_type_is_not_served_waits_and_delivers_nothing_else() {
    let mut world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let id = world.one_shot("/ticket/1", Until::Done).view.subscription.id.clone();
    world.crash_and_start_with(Vec::new());
    world.publish("x.note", Some("/ticket/1"), "1");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sender.count(), 0);
    world.crash();
    let sold = world.step("ticket", "1", "sell").unwrap().event.unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sent(), [sold]);
    assert_eq!(world.view(&id).subscription.state, State::Done);
}

#[test]
fn what_a_one_shot_may_wait_for() {
    let world = World::new();
    world.put_tenant("acme");
    let acme = world.operator_ctx("acme");
    let make = |ctx: &ringback_service::Ctx, subject: &str, until: Until, all_tenants: bool| {
        let mut new = subscription(URL);
        new.types = Vec::new();
        new.subject = Some(Subject::parse(subject).unwrap());
        new.until = Some(until);
        new.all_tenants = all_tenants;
        world.run(world.service.create_subscription(ctx, new, Write::plain()))
    };
    let body = |id: &str| json!({ "id": id }).as_object().cloned().unwrap();
    for name in ["ticket", "dossier"] {
        fresh(world.run(world.service.create_resource(&acme, &world.ty(name), body("1"), Write::plain())).unwrap());
    }
    // What a tenant may not read is not there for it, whatever its status.
    let tenant = world.tenant_ctx("acme");
    for id in ["1", "2"] {
        let refused = make(&tenant, &format!("/dossier/{id}"), Until::Done, false);
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    }
    assert!(make(&acme, "/dossier/1", Until::Done, false).is_ok());
    assert!(make(&tenant, "/ticket/1", Until::Done, false).is_ok());
    // Ids are unique within a tenant: over all of them a subject names no one resource.
    let refused = make(&world.operator_ctx("*"), "/ticket/1", Until::Done, true);
    assert!(matches!(&refused, Err(Error::Field { pointer, .. }) if pointer == "/until"), "{refused:?}");
    for subject in ["/ticket", "/ticket/1/2", "/nothing/1", "ticket"] {
        assert!(matches!(make(&acme, subject, Until::Done, false), Err(Error::Field { .. })), "{subject}");
    }
    let unknown = Until::Statuses(vec!["lost".parse().unwrap()]);
    assert!(matches!(make(&acme, "/ticket/1", unknown, false), Err(Error::Field { .. })));
}

#[test]
fn a_reader_that_was_loaded_late_is_not_loaded_twice() {
    let mut world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.sender.hold(URL);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 1);
    world.faulty.reader_fails.store(1, SeqCst);
    world.crash();
    world.quiet();
    // An edit loads it before the clock does.
    let patch = SubscriptionPatch { description: Some("new".into()), ..SubscriptionPatch::default() };
    fresh(world.run(world.service.patch_subscription(&world.ctx(), &id, patch, IfMatch::None, Write::plain())).unwrap());
    world.quiet();
    assert_eq!(world.sender.count(), 2, "once more after the crash");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.sender.count(), 2, "and not again while that is under way");
    world.sender.release(URL);
    world.pass(Duration::from_secs(10));
    assert_eq!((world.sender.count(), world.states(&id)), (2, vec!["delivered"]));
}

#[test]
fn a_store_that_cannot_settle_is_left_alone_for_a_while() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.quiet();
    world.faulty.settle_fails.store(true, SeqCst);
    let before = world.faulty.settles.load(SeqCst);
    // Nothing matches; only the cursor moves, far enough to be written down.
    publish_many(&world, "b.other", 10_500);
    world.quiet();
    world.quiet();
    let asked = world.faulty.settles.load(SeqCst) - before;
    assert!((1..=2).contains(&asked), "asked {asked} times within one moment");
    world.pass(Duration::from_secs(5));
    let asked = world.faulty.settles.load(SeqCst) - before;
    assert!((3..=8).contains(&asked), "asked {asked} times in five seconds");
    world.faulty.settle_fails.store(false, SeqCst);
    world.pass(Duration::from_secs(2));
    let cursor = world.run(ringback_ports::store::Deliveries::cursor(&*world.store, world.view(&id).subscription.no)).unwrap();
    assert!(cursor.unwrap() > 10_000);
}

#[test]
fn closing_with_a_store_that_cannot_settle_ends_without_a_storm() {
    let world = World::new();
    world.subscribe(|_| {});
    world.publish("a.b", None, "1");
    world.quiet();
    assert_eq!(world.sender.count(), 1);
    world.faulty.settle_fails.store(true, SeqCst);
    let before = world.faulty.settles.load(SeqCst);
    let service = world.service.clone();
    let drained = world.spawn(async move { service.drain(Duration::from_secs(5)).await });
    world.pass(Duration::from_secs(10));
    assert!(drained.is_finished());
    let asked = world.faulty.settles.load(SeqCst) - before;
    assert!((1..=10).contains(&asked), "asked {asked} times");
}

#[test]
fn a_blocked_subject_does_not_hold_events_in_memory_that_wait_for_days() {
    // What waits behind a failed one is an exception: it is read again when its time comes.
    let world = World::new();
    world.sender.answer_with(|_| status(500));
    let id = world.subscribe(|it| it.order = Order::Subject).view.subscription.id.clone();
    for n in 0..20 {
        world.publish("a.b", Some("/x/1"), &n.to_string());
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 1);
    world.sender.answer_with(|_| status(200));
    world.pass(Duration::from_secs(120));
    assert_eq!(world.states(&id), vec!["delivered"; 20]);
    let bodies: Vec<_> = world.sender.requests().iter().skip(1).map(|it| it.body.clone()).collect();
    assert_eq!(bodies.len(), 20);
}

#[test]
fn what_an_operator_made_is_not_changed_with_less_authority() {
    let world = World::new();
    world.put_tenant("acme");
    let operator = world.operator_ctx("acme");
    let tenant = world.tenant_ctx("acme");
    let made = fresh(world.run(world.service.create_subscription(&operator, subscription(URL), Write::plain())).unwrap());
    let id = made.view.subscription.id.clone();
    // Its URL was vetted with an operator's authority and it is sent an operator's events.
    let patch = SubscriptionPatch { url: Some("https://tenant.example/".into()), ..SubscriptionPatch::default() };
    let run = |patch: SubscriptionPatch| world.run(world.service.patch_subscription(&tenant, &id, patch, IfMatch::None, Write::plain()));
    assert!(matches!(run(patch), Err(Error::Forbidden(Needs::Operator { .. }))));
    let pause = world.run(world.service.pause(&tenant, &id, Write::plain()));
    assert!(matches!(pause, Err(Error::Forbidden(Needs::Operator { .. }))), "{pause:?}");
    let delete = world.run(world.service.delete_subscription(&tenant, &id, IfMatch::None, Write::plain()));
    assert!(matches!(delete, Err(Error::Forbidden(Needs::Operator { .. }))), "{delete:?}");
    // It is in the tenant's list all the same.
    assert_eq!(world.run(world.service.subscriptions(&tenant, 10, None)).unwrap().items.len(), 1);

    let secret = ringback_service::NewEvent { audience: Authority::Operator, ..event("a.secret", None, "1") };
    world.sender.answer_with(|_| Answered { peer: Some("10.2.0.7:443".into()), ..status(500) });
    fresh(world.run(world.service.publish(&operator, vec![secret], Write::plain())).unwrap());
    fresh(world.run(world.service.publish(&operator, vec![event("a.b", None, "1")], Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    let list = |ctx, query: DeliveryQuery| world.run(world.service.deliveries(ctx, DeliveryQuery { limit: 10, ..query })).unwrap().items;
    for query in [DeliveryQuery::default(), DeliveryQuery { subscription: Some(id.clone()), ..DeliveryQuery::default() }] {
        assert_eq!(list(&operator, query.clone()).len(), 2);
        let seen = list(&tenant, query);
        assert_eq!(seen.iter().map(|it| it.event_type.as_str()).collect::<Vec<_>>(), ["a.b"]);
        assert_eq!(seen[0].last_attempt.as_ref().unwrap().peer, None, "a resolved address is not shown");
        let attempts = world.run(world.service.attempts(&tenant, seen[0].id)).unwrap();
        assert!(attempts.iter().all(|it| it.peer.is_none() && it.response.is_none()));
        let attempts = world.run(world.service.attempts(&operator, seen[0].id)).unwrap();
        assert!(attempts.iter().all(|it| it.peer.is_some()));
    }
}

#[test]
fn subscriptions_over_all_tenants_are_an_operators() {
    let world = World::new();
    world.put_tenant("acme");
    let all = || {
        let mut new = subscription(URL);
        new.all_tenants = true;
        new
    };
    let tenant = world.tenant_ctx("default");
    let refused = world.run(world.service.create_subscription(&tenant, all(), Write::plain()));
    assert!(matches!(refused, Err(Error::Forbidden(Needs::Operator { .. }))), "{refused:?}");
    let made = fresh(world.run(world.service.create_subscription(&world.operator_ctx("*"), all(), Write::plain())).unwrap());
    assert_eq!(made.view.subscription.scope, Scope::All);
    let id = made.view.subscription.id.clone();
    assert!(matches!(world.run(world.service.subscription(&tenant, &id)), Err(Error::NotFound { .. })));
    let of = |tenant: &str, data: &str| {
        let ctx = world.operator_ctx(tenant);
        fresh(world.run(world.service.publish(&ctx, vec![event("a.b", None, data)], Write::plain())).unwrap()).events[0].event.id
    };
    let (first, second) = (of("acme", "1"), of("default", "2"));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [first, second]);
    // Neither the deliveries nor the subscription show themselves to a tenant.
    let query = DeliveryQuery { event: Some(second), limit: 10, ..DeliveryQuery::default() };
    assert!(world.run(world.service.deliveries(&tenant, query.clone())).unwrap().items.is_empty());
    let shown = world.run(world.service.deliveries(&world.operator_ctx("default"), query)).unwrap().items;
    assert_eq!(shown.len(), 1);
    assert!(matches!(world.run(world.service.delivery(&tenant, shown[0].id)), Err(Error::NotFound { .. })));
}

#[test]
fn under_all_tenants_one_tenants_subscription_is_read_and_not_changed() {
    let world = World::new();
    world.put_tenant("acme");
    let (acme, star) = (world.operator_ctx("acme"), world.operator_ctx("*"));
    let made = fresh(world.run(world.service.create_subscription(&acme, subscription(URL), Write::plain())).unwrap());
    let id = made.view.subscription.id.clone();
    assert_eq!(world.run(world.service.subscription(&star, &id)).unwrap().subscription.id, id);
    let refused = |it: Result<(), Error>| assert!(matches!(it, Err(Error::StarNotPossible)), "{it:?}");
    let none = || IfMatch::None;
    let patch = SubscriptionPatch { description: Some("mine".into()), ..SubscriptionPatch::default() };
    refused(world.run(world.service.patch_subscription(&star, &id, patch, none(), Write::plain())).map(drop));
    refused(world.run(world.service.pause(&star, &id, Write::plain())).map(drop));
    refused(world.run(world.service.resume(&star, &id, ResumeFrom::Now, Write::plain())).map(drop));
    refused(world.run(world.service.seek(&star, &id, "start".into(), none(), Write::plain())).map(drop));
    refused(world.run(world.service.rotate_secret(&star, &id, None, None, none(), Write::plain())).map(drop));
    refused(world.run(world.service.delete_subscription(&star, &id, none(), Write::plain())).map(drop));
    let query = PullQuery { limit: 1, wait: Duration::ZERO, lease: Duration::from_secs(60) };
    refused(world.run(world.service.pull(&star, &id, query)).map(drop));
    assert_eq!(world.run(world.service.subscription(&acme, &id)).unwrap().subscription.version, made.view.subscription.version);
}

#[test]
fn an_id_that_two_tenants_chose_is_not_guessed_at() {
    let world = World::new();
    let id = SubscriptionId::parse("billing").unwrap();
    for tenant in ["acme", "globex"] {
        world.put_tenant(tenant);
        let ctx = world.operator_ctx(tenant);
        fresh(world.run(world.service.put_subscription(&ctx, &id, subscription(URL), IfMatch::None, Write::plain())).unwrap());
        assert_eq!(world.run(world.service.subscription(&ctx, &id)).unwrap().subscription.tenant.as_str(), tenant);
    }
    let asked = world.run(world.service.subscription(&world.operator_ctx("*"), &id));
    assert!(matches!(asked, Err(Error::StarNotPossible)), "{asked:?}");
    // A delivery's own id says whose it is.
    let event =
        fresh(world.run(world.service.publish(&world.operator_ctx("acme"), vec![event("a.b", None, "1")], Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    let query = DeliveryQuery { event: Some(event.events[0].event.id), limit: 10, ..DeliveryQuery::default() };
    let seen = world.run(world.service.deliveries(&world.operator_ctx("*"), query)).unwrap().items;
    let star = world.operator_ctx("*");
    assert_eq!(world.run(world.service.delivery(&star, seen[0].id)).unwrap().id, seen[0].id);
    let cancelled = world.run(world.service.cancel_delivery(&star, seen[0].id, Write::plain()));
    assert!(matches!(cancelled, Err(Error::StarNotPossible)), "{cancelled:?}");
    let retried = world.run(world.service.retry_delivery(&star, seen[0].id, Write::plain()));
    assert!(matches!(retried, Err(Error::StarNotPossible)), "{retried:?}");
}

#[test]
fn a_tenants_subscriptions_are_nobody_elses() {
    let world = World::new();
    world.put_tenant("acme");
    world.put_tenant("globex");
    let (acme, globex) = (world.tenant_ctx("acme"), world.tenant_ctx("globex"));
    let made = fresh(world.run(world.service.create_subscription(&acme, subscription(URL), Write::plain())).unwrap());
    let id = made.view.subscription.id.clone();
    let gone = |it: Result<(), Error>| assert!(matches!(it, Err(Error::NotFound { .. })), "{it:?}");
    gone(world.run(world.service.subscription(&globex, &id)).map(drop));
    gone(world.run(world.service.pause(&globex, &id, Write::plain())).map(drop));
    gone(world.run(world.service.resume(&globex, &id, ResumeFrom::Now, Write::plain())).map(drop));
    gone(world.run(world.service.delete_subscription(&globex, &id, IfMatch::None, Write::plain())).map(drop));
    gone(world.run(world.service.patch_subscription(&globex, &id, types(&["a.*"]), IfMatch::None, Write::plain())).map(drop));
    let query = DeliveryQuery { subscription: Some(id.clone()), limit: 10, ..DeliveryQuery::default() };
    gone(world.run(world.service.deliveries(&globex, query)).map(drop));
    let of = |ctx| fresh(world.run(world.service.publish(ctx, vec![event("a.b", None, "1")], Write::plain())).unwrap()).events[0].event.id;
    let (mine, other) = (of(&acme), of(&globex));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [mine]);
    let delivery = world.run(world.service.deliveries(&acme, DeliveryQuery { event: Some(mine), limit: 10, ..DeliveryQuery::default() }));
    let delivery = delivery.unwrap().items[0].id;
    gone(world.run(world.service.delivery(&globex, delivery)).map(drop));
    gone(world.run(world.service.attempts(&globex, delivery)).map(drop));
    gone(world.run(world.service.retry_delivery(&globex, delivery, Write::plain())).map(drop));
    // One's subscription and another's event: their places mean different logs.
    let both = DeliveryQuery { subscription: Some(id), event: Some(other), limit: 10, ..DeliveryQuery::default() };
    assert!(world.run(world.service.deliveries(&world.operator_ctx("*"), both)).unwrap().items.is_empty());
}

#[test]
fn a_position_that_a_subscription_begins_at_is_its_tenants() {
    let world = World::new();
    world.put_tenant("acme");
    let first = world.operator_ctx("default");
    let position = fresh(world.run(world.service.publish(&first, vec![event("a.b", None, "1")], Write::plain())).unwrap()).position;
    fresh(world.run(world.service.publish(&first, vec![event("a.c", None, "2")], Write::plain())).unwrap());
    let from = |ctx: &ringback_service::Ctx| {
        let mut new = subscription(URL);
        new.from = position.clone();
        world.run(world.service.create_subscription(ctx, new, Write::plain()))
    };
    assert!(matches!(from(&world.operator_ctx("acme")), Err(Error::Parameter { parameter: "from", .. })));
    fresh(from(&first).unwrap());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 1, "what was published after it, alone");
}

#[test]
fn an_exact_type_that_nobody_makes_is_refused_with_a_suggestion() {
    let world = World::new();
    let make = |ctx: &ringback_service::Ctx, name: &str, strict: bool| {
        let mut new = subscription(URL);
        new.types = vec![TypePattern::parse(name).unwrap()];
        new.strict = strict;
        world.run(world.service.create_subscription(ctx, new, Write::plain())).map(drop)
    };
    let operator = world.ctx();
    match make(&operator, "order.payd", true) {
        Err(Error::UnknownEventType { pointer, suggestion, .. }) => {
            assert_eq!((pointer.as_str(), suggestion.as_deref()), ("/types/0", Some("order.paid")));
        }
        other => panic!("{other:?}"),
    }
    assert!(make(&operator, "order.payd", false).is_ok());
    assert!(make(&operator, "order.paid", true).is_ok());
    assert!(make(&operator, "dossier.closed", true).is_ok());
    // A tenant is not told what there is that it may not see.
    match make(&world.tenant_ctx("default"), "dossier.closd", true) {
        Err(Error::UnknownEventType { suggestion, .. }) => assert_eq!(suggestion, None),
        other => panic!("{other:?}"),
    }
    assert!(matches!(make(&world.tenant_ctx("default"), "dossier.closed", true), Err(Error::UnknownEventType { .. })));
}

#[test]
fn deliveries_have_pages_by_whatever_they_are_asked() {
    let world = World::new();
    world.sender.answer_with(|it| status(if it.url.ends_with("bad") { 500 } else { 200 }));
    let ids: Vec<_> = (0..5)
        .map(|at| {
            world.subscribe(|it| {
                it.push.as_mut().unwrap().url = format!("https://example.com/{}", if at % 2 == 0 { "bad" } else { "good" });
                it.push.as_mut().unwrap().delays = vec![10];
            })
        })
        .map(|it| it.view.subscription.id.clone())
        .collect();
    let events: Vec<_> = (0..4).map(|n| world.publish("a.b", None, &n.to_string()).events[0].event.id).collect();
    world.pass(Duration::from_secs(600));
    let walk = |query: DeliveryQuery, limit: usize| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = world.run(world.service.deliveries(&world.ctx(), DeliveryQuery { limit, after, ..query.clone() })).unwrap();
            assert!(page.items.len() <= limit);
            all.extend(page.items.into_iter().map(|it| (it.subscription, it.event, it.state)));
            match page.next_cursor {
                None => return all,
                next => after = next,
            }
        }
    };
    let state = |state| DeliveryQuery { state: Some(state), ..DeliveryQuery::default() };
    for (query, count) in [
        (DeliveryQuery::default(), 12),
        (state(DeliveryState::Parked), 12),
        (state(DeliveryState::Retrying), 0),
        (state(DeliveryState::Delivered), 0),
        (DeliveryQuery { event: Some(events[1]), ..DeliveryQuery::default() }, 5),
        (DeliveryQuery { event: Some(events[1]), ..state(DeliveryState::Parked) }, 3),
        (DeliveryQuery { subscription: Some(ids[0].clone()), ..DeliveryQuery::default() }, 4),
        (DeliveryQuery { subscription: Some(ids[0].clone()), ..state(DeliveryState::Parked) }, 4),
        (DeliveryQuery { subscription: Some(ids[1].clone()), ..state(DeliveryState::Parked) }, 0),
        (DeliveryQuery { subscription: Some(ids[1].clone()), ..state(DeliveryState::Delivered) }, 4),
        (DeliveryQuery { subscription: Some(ids[1].clone()), event: Some(events[0]), ..DeliveryQuery::default() }, 1),
    ] {
        let whole = walk(query.clone(), 1_000);
        assert_eq!(whole.len(), count, "{query:?}");
        for limit in [1, 2, 3] {
            assert_eq!(walk(query.clone(), limit), whole, "{query:?} by {limit}");
        }
    }
    // A cursor of one list is none of another.
    let page = world.run(world.service.deliveries(&world.ctx(), DeliveryQuery { limit: 1, ..DeliveryQuery::default() })).unwrap();
    let other = DeliveryQuery { limit: 1, after: page.next_cursor, ..state(DeliveryState::Parked) };
    assert!(matches!(world.run(world.service.deliveries(&world.ctx(), other)), Err(Error::CursorMismatch)));
}

#[test]
fn a_list_of_deliveries_does_not_read_whole_readers_for_every_row() {
    let world = World::new();
    // Every second event fails: with more, the endpoint would be left alone.
    world.sender.answer_with(|request| {
        let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        status(if event["data"].as_u64().unwrap().is_multiple_of(2) { 500 } else { 200 })
    });
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![10]).view.subscription.id.clone();
    for n in 0..60 {
        world.publish("a.b", None, &n.to_string());
    }
    world.pass(Duration::from_secs(600));
    let before = world.faulty.readers.load(SeqCst);
    for (query, count) in [(DeliveryQuery::default(), 30), (DeliveryQuery { subscription: Some(id), ..DeliveryQuery::default() }, 60)] {
        let page = world.run(world.service.deliveries(&world.ctx(), DeliveryQuery { limit: 100, ..query })).unwrap();
        assert_eq!(page.items.len(), count);
    }
    let asked = world.faulty.readers.load(SeqCst) - before;
    assert!(asked <= 2, "asked {asked} times");
}

#[test]
fn subscriptions_have_pages_and_their_cursors_are_their_tenants() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|_| world.subscribe(|_| {}).view.subscription.id.clone()).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.run(world.service.subscriptions(&world.ctx(), 2, after.as_deref())).unwrap();
        seen.extend(page.items.iter().map(|it| it.subscription.id.clone()));
        match page.next_cursor {
            None => break,
            next => after = next,
        }
    }
    let mut wanted = ids;
    wanted.sort();
    assert_eq!(seen, wanted);
    world.put_tenant("acme");
    let cursor = world.run(world.service.subscriptions(&world.operator_ctx("default"), 2, None)).unwrap().next_cursor;
    let refused = world.run(world.service.subscriptions(&world.operator_ctx("acme"), 2, cursor.as_deref()));
    assert!(matches!(refused, Err(Error::Parameter { parameter: "after", .. })), "{refused:?}");
}

#[test]
fn an_edit_that_changes_nothing_raises_no_version_and_versions_are_checked() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    let patch = |patch: SubscriptionPatch, if_match: IfMatch| {
        world.run(world.service.patch_subscription(&world.ctx(), &id, patch, if_match, Write::plain()))
    };
    assert_eq!(fresh(patch(types(&["a.*"]), IfMatch::None).unwrap()).view.subscription.version, 1);
    assert!(matches!(patch(types(&["b.*"]), IfMatch::Versions(vec![2])), Err(Error::PreconditionFailed { current: 1, .. })));
    assert_eq!(fresh(patch(types(&["b.*"]), IfMatch::Versions(vec![1])).unwrap()).view.subscription.version, 2);
    let stale = IfMatch::Versions(vec![1]);
    assert!(matches!(
        world.run(world.service.delete_subscription(&world.ctx(), &id, stale, Write::plain())),
        Err(Error::PreconditionFailed { current: 2, .. })
    ));
    fresh(world.run(world.service.delete_subscription(&world.ctx(), &id, IfMatch::Any, Write::plain())).unwrap());
    assert!(matches!(world.run(world.service.subscription(&world.ctx(), &id)), Err(Error::NotFound { .. })));
    world.publish("b.c", None, "1");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 0, "nobody is called any more");
}
