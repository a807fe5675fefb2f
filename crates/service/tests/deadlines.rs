//! `expires_at`: what is not delivered by then is parked, whatever its subscription does meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{EventId, delivery::ExceptionState};
use ringback_ports::fake::sender::{self, answered};
use ringback_service::{Error, NewEvent, ResumeFrom, Write};
use std::time::Duration;
use world::{World, event, fresh};

const SECOND: Duration = Duration::from_secs(1);

/// Publishes an event that expires in so many seconds.
fn publish(world: &World, secs: u64) -> EventId {
    let it = NewEvent { expires_at: Some(world.now() + Duration::from_secs(secs)), ..event("a.b", None, "1") };
    fresh(world.run(world.service.publish(&world.ctx(), vec![it], Write::plain())).unwrap()).events[0].event.id
}

/// State and reason of every exception of the one subscription, as stored.
fn kept(world: &World) -> Vec<String> {
    world.pass(SECOND);
    let no = world.run(ringback_ports::store::Subscriptions::subscriptions(&*world.store)).unwrap()[0].no;
    let rows = world.run(ringback_ports::store::Deliveries::exceptions(&*world.store, no, 0, 100)).unwrap();
    rows.iter()
        .map(|it| match &it.state {
            ExceptionState::Parked { reason, .. } => format!("parked {reason} after {}", it.tries),
            other => format!("{other:?} after {}", it.tries),
        })
        .collect()
}

#[test]
fn a_failing_delivery_is_given_up_at_its_deadline_and_not_before() {
    let world = World::new();
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![1_000]).view.subscription.id.clone();
    world.sender.answer_with(|_| answered(sender::status(503)));
    let lasting = world.publish("a.b", None, "0").events[0].event.id;
    let event = publish(&world, 5);
    world.pass(4 * SECOND);
    assert_eq!(world.states(&id), ["retrying", "retrying"]);
    world.pass(2 * SECOND);
    assert_eq!(world.sent().iter().filter(|it| **it == event).count(), 1, "the second try would have been later");
    assert!(kept(&world).contains(&"parked expired after 1".to_owned()), "{:?}", kept(&world));
    world.sender.answer_with(|_| answered(sender::status(200)));
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.states(&id), ["delivered", "parked"]);
    assert!(world.sent().iter().filter(|it| **it == lasting).count() > 1);
}

#[test]
fn a_deadline_runs_while_the_subscription_is_paused_and_over_a_crash() {
    let mut world = World::new();
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![1_000]).view.subscription.id.clone();
    world.sender.answer_with(|_| answered(sender::status(503)));
    publish(&world, 60);
    world.pass(2 * SECOND);
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    // One that is not even read before it expires.
    publish(&world, 30);
    world.crash();
    world.pass(58 * SECOND);
    assert_eq!(kept(&world), ["parked expired after 1"], "in the hour of its deadline, not when somebody resumes");
    world.sender.answer_with(|_| answered(sender::status(200)));
    let before = world.sent().len();
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(Duration::from_secs(3_600));
    assert_eq!(kept(&world), ["parked expired after 1", "parked expired after 0"]);
    assert_eq!(world.sent().len(), before, "nothing is tried after its deadline");
    assert_eq!(world.states(&id), ["parked", "parked"]);
}

#[test]
fn whoever_asks_for_a_try_gets_it_after_the_deadline_too() {
    let world = World::new();
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![1_000]).view.subscription.id.clone();
    world.sender.answer_with(|_| answered(sender::status(503)));
    publish(&world, 3);
    world.pass(5 * SECOND);
    let delivery = world.deliveries(&id)[0].id;
    world.sender.answer_with(|_| answered(sender::status(200)));
    fresh(world.run(world.service.retry_delivery(&world.ctx(), delivery, Write::plain())).unwrap());
    world.pass(2 * SECOND);
    assert_eq!(world.states(&id), ["delivered"]);
}

#[test]
fn the_deadline_is_part_of_what_a_key_repeats_and_not_of_the_event() {
    let world = World::new();
    let keyed = |expires| NewEvent { key: Some("k".into()), expires_at: expires, ..event("a.b", None, "1") };
    let publish = |it: NewEvent| world.run(world.service.publish(&world.ctx(), vec![it], Write::plain()));
    let at = Some(world.now() + 60 * SECOND);
    let first = fresh(publish(keyed(at)).unwrap());
    assert!(!String::from_utf8_lossy(&first.events[0].event.bytes).contains("expires_at"));
    assert!(fresh(publish(keyed(at)).unwrap()).events[0].repeated);
    assert!(matches!(publish(keyed(None)), Err(Error::EventKeyTaken { .. })));
    // Over already: kept, and never tried.
    world.subscribe(|_| {});
    world.pass(120 * SECOND);
    assert!(fresh(publish(keyed(at)).unwrap()).events[0].repeated, "a repeat is one however late it comes");
}
