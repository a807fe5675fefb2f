//! What an endpoint sees, and what is said of it: through crashes, failures and edits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    ResourceId, Timestamp,
    delivery::DeliveryState,
    event::{PayloadForm, payload},
    subscription::{Order, State, TypePattern, Until},
};
use ringback_ports::{
    fake::sender::{self, answered},
    sender::Answered,
};
use ringback_service::{IfMatch, ResumeFrom, SubscriptionPatch, Write};
use ringback_signature::{Headers, Secret, TOLERANCE_SECS, verify};
use serde_json::json;
use std::time::Duration;
use world::{URL, World, fresh, header};

fn failed(reason: &'static str) -> Answered {
    answered(sender::failed(reason))
}

fn status(code: u16) -> Answered {
    answered(sender::status(code))
}

fn status_retry_after(code: u16, after: Duration) -> Answered {
    answered(sender::status_retry_after(code, after))
}

#[test]
fn an_event_arrives_signed_over_its_exact_public_bytes() {
    let world = World::new();
    let made = world.subscribe(|it| it.push.as_mut().unwrap().headers = vec![("x-env".into(), "prod".into())]);
    let published = world.publish("a.b", Some("/thing/1"), "{\"n\":1.50}");
    world.quiet();
    let requests = world.sender.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.body, published.events[0].event.bytes);
    assert_eq!(request.body, payload(&published.events[0].event, PayloadForm::Full, ""));
    assert_eq!(header(&request.headers, "content-type"), "application/json");
    assert_eq!(header(&request.headers, "user-agent"), "Ringback/test");
    assert_eq!(header(&request.headers, "x-env"), "prod");
    let secret = Secret::parse(&made.secret.unwrap()).unwrap();
    let headers = Headers {
        id: Some(header(&request.headers, "webhook-id")),
        timestamp: Some(header(&request.headers, "webhook-timestamp")),
        signature: Some(header(&request.headers, "webhook-signature")),
    };
    verify(headers, &request.body, &[&secret], world.now().as_secs(), TOLERANCE_SECS).unwrap();
    world.pass(Duration::from_secs(1));
    let id = &made.view.subscription.id;
    let all = world.deliveries(id);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].state, all[0].tries), (DeliveryState::Delivered, 1));
    assert_eq!(world.run(world.service.attempts(&world.ctx(), all[0].id)).unwrap().len(), 1);
}

#[test]
fn only_what_matches_and_lies_after_the_beginning_is_sent() {
    let world = World::new();
    world.publish("a.before", None, "1");
    let made = world.subscribe(|_| {});
    world.publish("b.other", None, "2");
    let wanted = world.publish("a.b", None, "3").events[0].event.id;
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [wanted]);
    assert_eq!(world.states(&made.view.subscription.id), ["delivered"]);
    let view = world.run(world.service.subscription(&world.ctx(), &made.view.subscription.id)).unwrap();
    assert_eq!(view.lag, 0);
}

#[test]
fn from_start_reads_what_was_there() {
    let world = World::new();
    let first = world.publish("a.before", None, "1").events[0].event.id;
    world.subscribe(|it| it.from = "start".into());
    world.quiet();
    assert_eq!(world.sent(), [first]);
}

#[test]
fn a_failed_delivery_is_tried_again_when_due_with_the_same_id_and_bytes() {
    let world = World::new();
    world.sender.script(URL, [failed("connect"), status(500), status(200)]);
    let made = world.subscribe(|_| {});
    let id = made.view.subscription.id.clone();
    world.publish("a.b", None, "{}");
    world.pass(Duration::from_millis(200));
    assert_eq!(world.states(&id), ["retrying"]);
    let due = world.deliveries(&id)[0].due_at.unwrap();
    assert!(due > world.now());
    let before = world.sender.count();
    world.pass(due.since(world.now()).saturating_sub(Duration::from_micros(1)));
    assert_eq!(world.sender.count(), before, "no try before it is due");
    world.pass(Duration::from_secs(300));
    let requests = world.sender.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|it| it.body == requests[0].body));
    assert!(requests.iter().all(|it| header(&it.headers, "webhook-id") == header(&requests[0].headers, "webhook-id")));
    assert_ne!(header(&requests[2].headers, "webhook-timestamp"), header(&requests[0].headers, "webhook-timestamp"));
    assert_ne!(header(&requests[2].headers, "webhook-signature"), header(&requests[0].headers, "webhook-signature"));
    let all = world.deliveries(&id);
    assert_eq!((all[0].state, all[0].tries), (DeliveryState::Delivered, 3));
    let attempts = world.run(world.service.attempts(&world.ctx(), all[0].id)).unwrap();
    assert_eq!(attempts.iter().map(|it| it.outcome.as_str()).collect::<Vec<_>>(), ["failed", "failed", "delivered"]);
}

#[test]
fn retry_after_is_a_floor() {
    let world = World::new();
    world.sender.script(URL, [status_retry_after(503, Duration::from_secs(3_600)), status(200)]);
    world.subscribe(|_| {});
    world.publish("a.b", None, "{}");
    world.pass(Duration::from_secs(3_599));
    assert_eq!(world.sender.count(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.sender.count(), 2);
}

#[test]
fn tries_end_in_parking_and_a_parked_delivery_can_be_tried_again() {
    let world = World::new();
    world.sender.answer_with(|_| status(500));
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.publish("a.b", None, "{}");
    world.pass(Duration::from_secs(3_000));
    let all = world.deliveries(&id);
    assert_eq!((all[0].state, all[0].tries, all[0].reason.as_deref()), (DeliveryState::Parked, 4, Some("tries-exhausted")));
    assert_eq!(world.sender.count(), 4);
    world.sender.answer_with(|_| status(200));
    fresh(world.run(world.service.retry_delivery(&world.ctx(), all[0].id, Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.states(&id), ["delivered"]);
    assert!(world.run(world.service.retry_delivery(&world.ctx(), all[0].id, Write::plain())).is_err(), "it is delivered");
}

#[test]
fn a_crash_loses_nothing_that_is_owed() {
    let mut world = World::new();
    world.sender.script(URL, [failed("connect")]);
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.publish("a.retrying", None, "1");
    world.pass(Duration::from_millis(200));
    world.sender.hold(URL);
    world.publish("a.in-flight", None, "2");
    world.quiet();
    world.crash();
    world.publish("a.after", None, "3");
    world.sender.release(URL);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.states(&id), ["delivered", "delivered", "delivered"]);
}

#[test]
fn what_was_settled_is_not_sent_again_after_a_crash() {
    let mut world = World::new();
    world.subscribe(|_| {});
    for n in 0..50 {
        world.publish("a.b", None, &n.to_string());
    }
    world.pass(Duration::from_millis(500));
    assert_eq!(world.sender.count(), 50);
    world.crash();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sender.count(), 50);
}

#[test]
fn a_subject_waits_for_its_earlier_event_and_no_other_does() {
    let world = World::new();
    world.sender.script(URL, [failed("connect")]);
    let id = world.subscribe(|it| it.order = Order::Subject).view.subscription.id.clone();
    let first = world.publish("a.b", Some("/x/1"), "1").events[0].event.id;
    world.pass(Duration::from_millis(1));
    let second = world.publish("a.b", Some("/x/1"), "2").events[0].event.id;
    let other = world.publish("a.b", Some("/x/2"), "3").events[0].event.id;
    world.pass(Duration::from_millis(500));
    assert_eq!(world.sent(), [first, other]);
    assert_eq!(world.states(&id), ["retrying", "pending", "delivered"]);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sent(), [first, other, first, second]);
    assert_eq!(world.states(&id), ["delivered", "delivered", "delivered"]);
}

#[test]
fn pausing_keeps_the_cursor_and_resuming_goes_on_or_skips() {
    let mut world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    world.publish("a.b", None, "1");
    world.publish("a.b", None, "2");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sender.count(), 0);
    assert_eq!(world.states(&id), ["pending", "pending"]);
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 2);

    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    world.publish("a.b", None, "3");
    world.pass(Duration::from_secs(1));
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Now, Write::plain())).unwrap());
    world.publish("a.b", None, "4");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 3);
    assert_eq!(world.states(&id), ["delivered", "delivered", "skipped", "delivered"]);
    world.crash();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.sender.count(), 3);
    assert_eq!(world.states(&id), ["delivered", "delivered", "skipped", "delivered"]);
}

#[test]
fn an_edit_counts_for_later_events_and_what_failed_keeps_its_bytes() {
    let world = World::new();
    world.sender.script(URL, [failed("connect")]);
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.pass(Duration::from_millis(200));
    let patch = SubscriptionPatch {
        types: Some(vec![TypePattern::parse("c.*").unwrap()]),
        payload: Some(PayloadForm::Thin),
        ..SubscriptionPatch::default()
    };
    let edited = fresh(world.run(world.service.patch_subscription(&world.ctx(), &id, patch, IfMatch::None, Write::plain())).unwrap());
    assert_eq!(edited.view.subscription.revisions.len(), 2);
    world.publish("a.b", None, "2");
    world.publish("c.d", None, "3");
    world.pass(Duration::from_secs(60));
    let requests = world.sender.requests();
    assert_eq!(requests.len(), 3, "one failed, its retry, and the new type");
    assert_eq!(requests[2].body, requests[0].body, "what was matched before keeps its bytes");
    assert!(String::from_utf8_lossy(&requests[1].body).contains("\"url\":\"https://api.example.com/v1/events/evt_"));
}

#[test]
fn two_410s_apart_suspend() {
    let world = World::new();
    world.sender.answer_with(|_| failed("gone"));
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![120, 120, 120]).view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.pass(Duration::from_secs(2_000));
    let view = world.run(world.service.subscription(&world.ctx(), &id)).unwrap();
    assert_eq!(view.subscription.state, State::Suspended);
    assert!(world.sender.count() < 4, "{}", world.sender.count());
}

#[test]
fn a_one_shot_calls_once_when_the_status_is_reached() {
    let mut world = World::new();
    let ty = world.ty("order");
    let body = json!({ "id": "1", "amount": 5 }).as_object().cloned().unwrap();
    fresh(world.run(world.service.create_resource(&world.ctx(), &ty, body, Write::plain())).unwrap());
    let one_shot = |world: &World| {
        world.subscribe(|it| {
            it.types = Vec::new();
            it.subject = Some("/order/1".parse().unwrap());
            it.until = Some(Until::Done);
        })
    };
    let early = one_shot(&world).view.subscription.id.clone();
    let id = ResourceId::parse("1").unwrap();
    let step = |world: &World, name: &str| {
        fresh(
            world.run(world.service.transition(&world.ctx(), &world.ty("order"), &id, name, None, IfMatch::None, Write::plain())).unwrap(),
        )
    };
    step(&world, "pay");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 0);
    world.crash();
    let shipped = step(&world, "ship").event.unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [shipped]);
    let state = |world: &World, id| world.run(world.service.subscription(&world.ctx(), id)).unwrap().subscription.state;
    assert_eq!(state(&world, &early), State::Done);
    // Also when it was reached already: no race between looking and subscribing.
    let late = one_shot(&world).view.subscription.id.clone();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [shipped, shipped]);
    assert_eq!(state(&world, &late), State::Done);
}

#[test]
fn a_status_timeout_fires_when_due_also_after_a_crash() {
    let mut world = World::new();
    let body = json!({ "id": "1" }).as_object().cloned().unwrap();
    let ty = world.ty("order");
    fresh(world.run(world.service.create_resource(&world.ctx(), &ty, body, Write::plain())).unwrap());
    world.pass(Duration::from_secs(899));
    let id = ResourceId::parse("1").unwrap();
    let status = |world: &World| {
        let view = world.run(world.service.resource(&world.ctx(), &world.ty("order"), &id)).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&view.body).unwrap();
        value["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(&world), "created");
    world.crash();
    let before: Timestamp = world.now();
    world.pass(Duration::from_secs(2));
    assert_eq!(status(&world), "expired", "{before}");
}

#[test]
fn draining_settles_what_is_in_flight() {
    let mut world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.run(async { world.service.drain(Duration::from_secs(5)).await });
    let sent = world.sender.count();
    world.crash();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), sent.max(1), "settled before the end: not sent again");
    assert_eq!(world.states(&id), ["delivered"]);
}
