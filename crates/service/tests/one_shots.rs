//! One-shots in the corners that the simulation (`crates/sim`) found.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::subscription::{State, TypePattern, Until};
use ringback_service::{IfMatch, ResumeFrom, Write};
use serde_json::json;
use std::time::Duration;
use world::{World, fresh};

#[test]
fn what_types_leave_out_ends_the_waiting_all_the_same() {
    let world = World::new();
    for id in ["1", "2"] {
        world.create("order", json!({ "id": id }));
    }
    let sub = |id: &str| {
        let made = world.subscribe(|it| {
            it.types = vec![TypePattern::parse("order.shipped").unwrap()];
            it.subject = Some(format!("/order/{id}").parse().unwrap());
            it.until = Some(Until::Statuses(vec!["shipped".parse().unwrap()]));
        });
        made.view.subscription.id.clone()
    };
    let (deleted, expired) = (sub("1"), sub("2"));
    fresh(
        world
            .run(world.service.delete_resource(&world.ctx(), &world.ty("order"), &"1".parse().unwrap(), IfMatch::None, Write::plain()))
            .unwrap(),
    );
    world.pass(Duration::from_secs(1));
    assert_eq!(world.view(&deleted).subscription.state, State::Done);
    assert_eq!(world.view(&expired).subscription.state, State::Active);
    world.pass(Duration::from_secs(1_000));
    assert_eq!(world.view(&expired).subscription.state, State::Done);
    assert_eq!(world.sender.count(), 0);
}

/// After a crash its cursor lies before the stretch that was skipped: a page reaches into it.
#[test]
fn what_was_skipped_is_not_what_it_waits_for() {
    let mut world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let id = world.one_shot("/ticket/1", Until::Done).view.subscription.id.clone();
    world.create("ticket", json!({ "id": "2" }));
    world.quiet();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    let sold = world.step("ticket", "1", "sell").unwrap().event.unwrap();
    world.quiet();
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Now, Write::plain())).unwrap());
    world.crash();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.sent(), world.view(&id).subscription.state), (vec![], State::Active), "{sold} was skipped");
    let returned = world.step("ticket", "1", "return").unwrap().event.unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [returned]);
    assert_eq!(world.view(&id).subscription.state, State::Done);
}

/// Whether the resource went another way before the subscription was made or after makes no difference.
#[test]
fn what_can_no_more_be_reached_is_done_from_the_start() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    world.step("ticket", "1", "sell").unwrap();
    world.step("ticket", "1", "return").unwrap();
    let made = world.one_shot("/ticket/1", Until::Statuses(vec!["void".parse().unwrap()]));
    world.pass(Duration::from_secs(1));
    let view = world.view(&made.view.subscription.id);
    assert_eq!((view.subscription.state, view.lag, world.sender.count()), (State::Done, 0, 0));
}
