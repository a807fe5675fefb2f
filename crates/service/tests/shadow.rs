//! In the shadow what matches is rendered, signed, counted and skipped, and nothing is sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod world;

use ringback_model::{
    SubscriptionId,
    subscription::{Order, State, Until},
};
use ringback_ports::fake::sender::{answered, status};
use ringback_service::{Error, IfMatch, ResumeFrom, SubscriptionPatch, SubscriptionWritten, Write};
use std::time::Duration;
use world::{URL, World, fresh};

fn to(world: &World, id: &SubscriptionId, state: State) -> Result<SubscriptionWritten, Error> {
    let patch = SubscriptionPatch { state: Some(state), ..SubscriptionPatch::default() };
    world.run(world.service.patch_subscription(&world.ctx(), id, patch, IfMatch::None, Write::plain())).map(fresh)
}

fn publish(world: &World, n: usize) {
    for _ in 0..n {
        world.publish("a.b", Some("/a/1"), "{}");
    }
    world.quiet();
}

#[track_caller]
fn check(world: &World, id: &SubscriptionId, states: &str, shadowed: Option<u64>) {
    world.quiet();
    assert_eq!(world.states(id).join(" "), states);
    assert_eq!(world.view(id).shadowed, shadowed);
}

#[test]
fn nothing_is_sent_and_everything_is_counted() {
    let mut world = World::new();
    let id = world.subscribe(|it| it.state = Some(State::Shadow)).view.subscription.id.clone();
    check(&world, &id, "", Some(0));
    publish(&world, 3);
    assert_eq!((world.sender.count(), world.view(&id).lag), (0, 0));
    check(&world, &id, "skipped skipped skipped", Some(3));
    let delivery = world.deliveries(&id).remove(0);
    assert_eq!(delivery.reason.as_deref(), Some("shadow"));
    world.pass(Duration::from_secs(1));
    world.crash();
    publish(&world, 1);
    check(&world, &id, "skipped skipped skipped skipped", Some(4));
    assert_eq!(world.sender.count(), 0);
}

#[test]
fn switching_over_loses_and_repeats_nothing() {
    let mut world = World::new();
    let id = world.subscribe(|it| it.order = Order::Subject).view.subscription.id.clone();
    publish(&world, 1);
    to(&world, &id, State::Shadow).unwrap();
    publish(&world, 2);
    assert_eq!(to(&world, &id, State::Active).unwrap().view.subscription.state, State::Active);
    // Whatever was counted is on disk by now: a crash doesn't make it anything else.
    world.crash();
    publish(&world, 1);
    check(&world, &id, "delivered skipped skipped delivered", Some(2));
    assert_eq!(world.sender.count(), 2);
}

#[test]
fn what_failed_before_waits_in_the_shadow() {
    let world = World::new();
    world.sender.script(URL, [answered(status(500))]);
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    publish(&world, 1);
    to(&world, &id, State::Shadow).unwrap();
    publish(&world, 1);
    world.pass(Duration::from_secs(3_600));
    check(&world, &id, "retrying skipped", Some(1));
    assert_eq!(world.sender.count(), 1);
    to(&world, &id, State::Active).unwrap();
    world.pass(Duration::from_secs(1));
    check(&world, &id, "delivered skipped", Some(1));
}

#[test]
fn pause_and_resume_leave_open_what_is_meant() {
    let world = World::new();
    let id = world.subscribe(|it| it.state = Some(State::Shadow)).view.subscription.id.clone();
    let pause = world.run(world.service.pause(&world.ctx(), &id, Write::plain()));
    let resume = world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain()));
    assert!(matches!(pause, Err(Error::Conflict { .. })) && matches!(resume, Err(Error::Conflict { .. })));
    to(&world, &id, State::Paused).unwrap();
    publish(&world, 1);
    check(&world, &id, "pending", None);
    to(&world, &id, State::Shadow).unwrap();
    check(&world, &id, "skipped", Some(1));
}

#[test]
fn it_is_for_what_is_sent_more_than_once() {
    let world = World::new();
    let id = world.subscribe(|it| it.push = None).view.subscription.id.clone();
    assert!(matches!(to(&world, &id, State::Shadow), Err(Error::Field { pointer, .. }) if pointer == "/state"));
    world.create("order", serde_json::json!({ "id": "1" }));
    let once = world.one_shot("/order/1", Until::Statuses(vec!["shipped".parse().unwrap()])).view.subscription.id.clone();
    assert!(matches!(to(&world, &once, State::Shadow), Err(Error::Field { pointer, .. }) if pointer == "/state"));
    let pushed = world.subscribe(|it| it.state = Some(State::Shadow)).view.subscription.id.clone();
    let patch = SubscriptionPatch { pulled: true, ..SubscriptionPatch::default() };
    let pulled = world.run(world.service.patch_subscription(&world.ctx(), &pushed, patch, IfMatch::None, Write::plain()));
    assert!(matches!(&pulled, Err(Error::Field { pointer, .. }) if pointer == "/state"), "{pulled:?}");
}

#[test]
fn a_seek_goes_back_and_then_it_is_sent() {
    let world = World::new();
    let id = world.subscribe(|it| it.state = Some(State::Shadow)).view.subscription.id.clone();
    publish(&world, 2);
    to(&world, &id, State::Active).unwrap();
    fresh(world.run(world.service.seek(&world.ctx(), &id, "start".into(), IfMatch::None, Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    check(&world, &id, "delivered delivered", None);
}

#[test]
fn a_backlog_is_gone_through() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    to(&world, &id, State::Paused).unwrap();
    publish(&world, 700);
    to(&world, &id, State::Shadow).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.view(&id).shadowed, world.view(&id).lag, world.sender.count()), (Some(700), 0, 0));
}
