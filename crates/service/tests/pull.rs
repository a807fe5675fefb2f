//! Pull subscriptions: hand out, acknowledge, lease, order, wait, seek, and the change from push to pull and back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    EventId, Subject, SubscriptionId,
    delivery::{DeliveryState, Outcome, Via},
    event::PayloadForm,
    subscription::{MapPatch, Order, State, Until},
};
use ringback_ports::fake::sender::answered;
use ringback_service::{Error, IfMatch, PullQuery, Pulled, ResumeFrom, Settled, SubscriptionPatch, Word, Write};
use std::time::Duration;
use world::{URL, World, fresh, subscription};

const LEASE: Duration = Duration::from_secs(30);

impl World {
    fn pull_subscription(&self) -> SubscriptionId {
        self.subscribe(|it| it.push = None).view.subscription.id.clone()
    }

    fn try_pull(&self, id: &SubscriptionId, limit: usize) -> Result<Pulled, Error> {
        let query = PullQuery { limit, wait: Duration::ZERO, lease: LEASE };
        self.run(self.service.pull(&self.ctx(), id, query))
    }

    fn pull(&self, id: &SubscriptionId, limit: usize) -> Pulled {
        self.try_pull(id, limit).unwrap()
    }

    fn say(&self, id: &SubscriptionId, ack: &str, events: Option<&[EventId]>, word: Word) -> Result<Settled, Error> {
        self.run(self.service.settle_pulled(&self.ctx(), id, ack, events, word))
    }

    fn ack(&self, id: &SubscriptionId, pulled: &Pulled) -> Settled {
        self.say(id, &pulled.ack, None, Word::Ack).unwrap()
    }

    fn change(&self, id: &SubscriptionId, patch: SubscriptionPatch) -> ringback_service::SubscriptionWritten {
        fresh(self.run(self.service.patch_subscription(&self.ctx(), id, patch, IfMatch::None, Write::plain())).unwrap())
    }

    fn to_pull(&self, id: &SubscriptionId) {
        self.change(id, SubscriptionPatch { pulled: true, ..SubscriptionPatch::default() });
    }

    fn to_push(&self, id: &SubscriptionId) {
        let made = self.change(id, SubscriptionPatch { url: Some(URL.into()), ..SubscriptionPatch::default() });
        assert!(made.secret.is_some_and(|it| it.starts_with("whsec_")), "its new secret is shown once");
    }

    fn seek(&self, id: &SubscriptionId, to: &str) -> Result<ringback_service::SubscriptionWritten, Error> {
        self.run(self.service.seek(&self.ctx(), id, to.into(), IfMatch::None, Write::plain())).map(fresh)
    }

    fn publish_n(&self, count: usize) -> Vec<EventId> {
        (0..count).map(|n| self.publish("a.b", Some(&format!("/s/{}", n % 3)), &n.to_string()).events[0].event.id).collect()
    }
}

fn ids(pulled: &Pulled) -> Vec<EventId> {
    pulled
        .events
        .iter()
        .map(|it| serde_json::from_slice::<serde_json::Value>(it).unwrap()["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

fn failing() -> Outcome {
    Outcome::Failed { status_code: Some(500), reason: "status", retry_after: None }
}

#[test]
fn what_is_acked_is_settled_and_survives_a_crash() {
    let mut world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(5);
    let pulled = world.pull(&id, 3);
    assert_eq!(ids(&pulled), events[..3]);
    assert_eq!((pulled.tries.clone(), pulled.lag, pulled.lease_until), (vec![], 5, world.now() + LEASE));
    let event = world.run(world.service.event(&world.ctx(), events[0])).unwrap();
    assert_eq!(pulled.events[0], event.bytes, "byte for byte the event");
    assert_eq!(world.ack(&id, &pulled), Settled { settled: 3, late: vec![], lease_until: None });
    // Durable when it returned.
    world.crash();
    assert_eq!(ids(&world.pull(&id, 10)), events[3..]);
    assert_eq!(world.ack(&id, &pulled), Settled { settled: 0, late: events[..3].to_vec(), lease_until: None });
    let attempts = world.run(world.service.attempts(&world.ctx(), world.deliveries(&id)[0].id)).unwrap();
    assert_eq!((attempts.len(), attempts[0].via, attempts[0].succeeded()), (1, Via::Pull, true));
    assert_eq!(world.states(&id), ["delivered", "delivered", "delivered", "delivering", "delivering"]);
}

/// What is being written counts as pending: who comes meanwhile must not wait for a settlement after it.
#[test]
fn who_comes_while_a_settlement_is_written_is_answered_with_it() {
    let world = World::new();
    let id = world.pull_subscription();
    world.publish_n(2);
    let pulled = world.pull(&id, 1);
    world.faulty.hold_settled(true);
    let ack = || {
        let (service, ctx, id, ack) = (world.service.clone(), world.ctx(), id.clone(), pulled.ack.clone());
        world.spawn(async move { service.settle_pulled(&ctx, &id, &ack, None, Word::Ack).await })
    };
    let first = ack();
    world.pass(Duration::from_secs(1));
    let second = ack();
    let seek = {
        let (service, ctx, id) = (world.service.clone(), world.ctx(), id.clone());
        world.spawn(async move { service.seek(&ctx, &id, "now".into(), IfMatch::None, Write::plain()).await })
    };
    world.pass(Duration::from_secs(1));
    assert!(!first.is_finished() && !second.is_finished() && !seek.is_finished(), "nothing is known to be stored");
    world.faulty.hold_settled(false);
    world.pass(Duration::from_secs(1));
    assert!(first.is_finished() && second.is_finished() && seek.is_finished(), "all of it is stored");
    assert_eq!(world.run(first).unwrap().unwrap().settled, 1);
    assert_eq!(world.run(second).unwrap().unwrap().late.len(), 1);
    fresh(world.run(seek).unwrap().unwrap());
    world.publish_n(1);
    assert_eq!(world.pull(&id, 10).events.len(), 1, "and it goes on");
}

#[test]
fn a_token_holds_over_a_restart_and_a_lease_does_not() {
    let mut world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(4);
    let pulled = world.pull(&id, 4);
    world.crash();
    // Nobody has pulled yet: the reader has not even looked at these.
    assert!(matches!(world.say(&id, &pulled.ack, None, Word::Extend { lease: LEASE }), Err(Error::LeaseExpired { .. })));
    assert!(matches!(world.say(&id, &pulled.ack, None, Word::Nack { delay: Duration::ZERO }), Err(Error::LeaseExpired { .. })));
    let one = world.say(&id, &pulled.ack, Some(&events[1..2]), Word::Ack).unwrap();
    assert_eq!(one, Settled { settled: 1, late: vec![], lease_until: None });
    let again = world.pull(&id, 10);
    assert_eq!(ids(&again), [events[0], events[2], events[3]], "what was not settled is offered again");
    assert_eq!(world.ack(&id, &pulled), Settled { settled: 3, late: vec![events[1]], lease_until: None }, "by the old token");
    assert_eq!(world.ack(&id, &again).late, [events[0], events[2], events[3]]);
    assert_eq!(world.pull(&id, 10).events.len(), 0);
    world.crash();
    assert_eq!(world.view(&id).lag, 0);
}

#[test]
fn an_ended_lease_counts_and_its_event_is_handed_out_alone() {
    let world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(3);
    let first = world.pull(&id, 2);
    world.pass(LEASE);
    assert_eq!(world.states(&id), ["retrying", "retrying", "pending"]);
    let alone = world.pull(&id, 10);
    assert_eq!((ids(&alone), alone.tries.clone()), (vec![events[0]], vec![(events[0], 2)]));
    assert_eq!(ids(&world.pull(&id, 10)), [events[2]], "others in turn");
    // An ack counts however late, by whoever has the token.
    assert_eq!(world.ack(&id, &first).settled, 2);
    assert_eq!(world.ack(&id, &alone).late, [events[0]]);
}

#[test]
fn fifteen_hand_outs_without_an_ack_park_it() {
    let mut world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(1);
    for n in 1..=15 {
        let pulled = world.pull(&id, 10);
        assert_eq!(ids(&pulled), events);
        if n == 7 {
            world.say(&id, &pulled.ack, None, Word::Nack { delay: Duration::ZERO }).unwrap();
            // The count survives.
            world.crash();
        } else {
            world.pass(LEASE);
        }
    }
    let parked = &world.deliveries(&id)[0];
    assert_eq!((parked.state, parked.reason.as_deref(), parked.tries), (DeliveryState::Parked, Some("tries-exhausted"), 15));
    assert_eq!(world.pull(&id, 10).events.len(), 0);
    // A person looks at it, mends the worker, and tries again.
    fresh(world.run(world.service.retry_delivery(&world.ctx(), parked.id, Write::plain())).unwrap());
    let last = world.pull(&id, 10);
    assert_eq!((ids(&last), last.tries.clone()), (events.clone(), vec![(events[0], 16)]));
    assert_eq!(world.ack(&id, &last).settled, 1);
    assert_eq!(world.states(&id), ["delivered"]);
}

#[test]
fn a_nack_puts_off_and_an_extension_holds() {
    let mut world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(2);
    let pulled = world.pull(&id, 2);
    let delay = Duration::from_secs(600);
    assert_eq!(world.say(&id, &pulled.ack, Some(&events[..1]), Word::Nack { delay }).unwrap().settled, 1);
    world.pass(Duration::from_secs(20));
    let extended = world.say(&id, &pulled.ack, None, Word::Extend { lease: LEASE }).unwrap();
    assert_eq!(extended, Settled { settled: 1, late: vec![events[0]], lease_until: Some(world.now() + LEASE) });
    world.pass(Duration::from_secs(20));
    assert_eq!(world.pull(&id, 10).events.len(), 0, "one is put off, the other held");
    world.crash();
    assert_eq!(ids(&world.pull(&id, 10)), [events[1]], "a restart keeps the delay");
    world.pass(delay);
    let due = world.pull(&id, 10);
    assert_eq!(due.tries.len(), 1);
    let nobody = world.say(&id, &due.ack, Some(&[EventId::from_bits(1)]), Word::Ack);
    assert!(matches!(nobody, Err(Error::Field { ref pointer, .. }) if pointer == "/events/0"), "{nobody:?}");
    assert!(matches!(world.say(&id, "nonsense", None, Word::Ack), Err(Error::Field { ref pointer, .. }) if pointer == "/ack"));
}

#[test]
fn a_subject_is_held_while_one_of_its_events_is_leased() {
    let world = World::new();
    let made = world.subscribe(|it| {
        it.push = None;
        it.order = Order::Subject;
    });
    let id = made.view.subscription.id.clone();
    let events = world.publish_n(6);
    let a = world.pull(&id, 10);
    assert_eq!(ids(&a), events[..3], "one of each subject");
    assert_eq!(world.pull(&id, 10).events.len(), 0, "another worker finds nothing");
    world.say(&id, &a.ack, Some(&events[1..2]), Word::Ack).unwrap();
    assert_eq!(ids(&world.pull(&id, 10)), events[4..5]);
    world.pass(LEASE);
    assert_eq!(ids(&world.pull(&id, 10)), events[..1], "in order also after a failure");
}

#[test]
fn who_came_later_and_waits_less_is_answered_first() {
    let world = World::new();
    let id = world.pull_subscription();
    let wait = |secs| {
        let (service, ctx, id) = (world.service.clone(), world.ctx(), id.clone());
        let query = PullQuery { limit: 10, wait: Duration::from_secs(secs), lease: LEASE };
        let asked = world.spawn(async move { service.pull(&ctx, &id, query).await });
        world.quiet();
        asked
    };
    let (long, short, none) = (wait(60), wait(5), wait(0));
    assert!(none.is_finished() && !short.is_finished() && !long.is_finished());
    world.pass(Duration::from_secs(5));
    assert!(short.is_finished() && !long.is_finished());
    assert_eq!(world.run(short).unwrap().unwrap().events.len(), 0);
    world.pass(Duration::from_secs(55));
    assert!(long.is_finished());
}

#[test]
fn who_waits_is_woken_and_time_ends() {
    let world = World::new();
    let id = world.pull_subscription();
    let wait = |secs| {
        let (service, ctx, id) = (world.service.clone(), world.ctx(), id.clone());
        let query = PullQuery { limit: 10, wait: Duration::from_secs(secs), lease: LEASE };
        world.spawn(async move { service.pull(&ctx, &id, query).await })
    };
    let (short, long, longest) = (wait(5), wait(60), wait(60));
    world.pass(Duration::from_secs(5));
    assert!(short.is_finished() && !long.is_finished());
    assert_eq!(world.run(short).unwrap().unwrap().events.len(), 0);
    let events = world.publish_n(1);
    world.quiet();
    assert_eq!(ids(&world.run(long).unwrap().unwrap()), events);
    assert!(!longest.is_finished(), "only one is given it");
    // Its lease ends: the other one gets it.
    world.pass(LEASE);
    assert_eq!(ids(&world.run(longest).unwrap().unwrap()), events);
    // Who goes away is given nothing.
    let gone = wait(60);
    world.quiet();
    gone.abort();
    world.quiet();
    let more = world.publish_n(1);
    world.quiet();
    assert_eq!(ids(&world.pull(&id, 10)), more);
    // Deleting wakes who waits.
    let last = wait(60);
    world.quiet();
    fresh(world.run(world.service.delete_subscription(&world.ctx(), &id, IfMatch::None, Write::plain())).unwrap());
    assert!(matches!(world.run(last).unwrap(), Err(Error::NotFound { .. })));
}

#[test]
fn pausing_answers_who_waits_and_acks_go_on() {
    let world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(1);
    let pulled = world.pull(&id, 1);
    let (service, ctx, other) = (world.service.clone(), world.ctx(), id.clone());
    let query = PullQuery { limit: 10, wait: Duration::from_secs(60), lease: LEASE };
    let waiting = world.spawn(async move { service.pull(&ctx, &other, query).await });
    world.quiet();
    fresh(world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap());
    assert_eq!(world.run(waiting).unwrap().unwrap().events.len(), 0);
    assert!(matches!(world.try_pull(&id, 1), Err(Error::NotActive { .. })));
    assert_eq!(world.ack(&id, &pulled).settled, 1);
    world.publish_n(3);
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Now, Write::plain())).unwrap());
    assert_eq!(world.pull(&id, 10).events.len(), 0, "skipped by choice");
    assert_eq!(world.states(&id), ["delivered", "skipped", "skipped", "skipped"]);
    assert_eq!(world.deliveries(&id)[0].event, events[0]);
}

#[test]
fn push_to_pull_and_back_loses_and_repeats_nothing() {
    let world = World::new();
    world.sender.answer_with(|_| answered(failing()));
    let id = world.subscribe(|_| ()).view.subscription.id.clone();
    let events = world.publish_n(3);
    world.quiet();
    assert_eq!(world.states(&id), ["retrying"; 3]);
    assert!(matches!(world.try_pull(&id, 1), Err(Error::NotPulled { .. })));
    world.to_pull(&id);
    // What waited for the endpoint can be had at once, with its tries.
    let pulled = world.pull(&id, 10);
    assert_eq!(ids(&pulled), events);
    assert_eq!(pulled.tries, events.iter().map(|it| (*it, 2)).collect::<Vec<_>>());
    world.say(&id, &pulled.ack, Some(&events[..1]), Word::Ack).unwrap();
    world.say(&id, &pulled.ack, Some(&events[1..2]), Word::Nack { delay: Duration::from_secs(3_600) }).unwrap();
    let due_at = world.deliveries(&id)[1].due_at;
    let sent = world.sender.count();
    world.sender.answer_with(|_| answered(Outcome::Delivered { status_code: 200 }));
    world.to_push(&id);
    world.quiet();
    assert!(matches!(world.say(&id, &pulled.ack, None, Word::Ack), Err(Error::NotPulled { .. })));
    assert_eq!(world.deliveries(&id)[1].due_at, due_at, "a delayed nack keeps its time");
    assert_eq!(world.sent()[sent..], events[2..], "the lease is void: it is pushed");
    // And the time after which a settlement is written.
    world.pass(Duration::from_secs(3_601));
    assert_eq!(world.sent()[sent..], [events[2], events[1]]);
    assert_eq!(world.states(&id), ["delivered"; 3]);
    let tries: Vec<u32> = world.deliveries(&id).iter().map(|it| it.tries).collect();
    assert_eq!(tries, [2, 3, 2], "a void lease costs no try");
}

#[test]
fn a_push_in_flight_ends_after_the_change_to_pull() {
    let world = World::new();
    world.sender.hold(URL);
    let id = world.subscribe(|_| ()).view.subscription.id.clone();
    let events = world.publish_n(1);
    world.quiet();
    world.to_pull(&id);
    assert_eq!(world.pull(&id, 10).events.len(), 0, "it is in the air");
    world.sender.release(URL);
    world.quiet();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.states(&id), world.sent()), (vec!["delivered"], events));
}

#[test]
fn seek_begins_another_life() {
    let mut world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(6);
    let pulled = world.pull(&id, 4);
    world.say(&id, &pulled.ack, Some(&events[..2]), Word::Ack).unwrap();
    world.say(&id, &pulled.ack, Some(&events[2..3]), Word::Nack { delay: Duration::from_secs(9_000) }).unwrap();
    // Back: all of it again, also what was acked or put off.
    let back = world.seek(&id, "start").unwrap();
    assert_eq!((back.view.lag, back.view.subscription.generation), (6, 2));
    assert_eq!(
        world.say(&id, &pulled.ack, None, Word::Ack).unwrap(),
        Settled { settled: 0, late: events[..4].to_vec(), lease_until: None }
    );
    assert!(matches!(world.say(&id, &pulled.ack, None, Word::Extend { lease: LEASE }), Err(Error::LeaseExpired { .. })));
    world.crash();
    let again = world.pull(&id, 10);
    assert_eq!((ids(&again), again.tries.len()), (events.clone(), 0));
    world.say(&id, &again.ack, Some(&events[..1]), Word::Ack).unwrap();
    // Forwards: what lies between is skipped, and said so.
    world.seek(&id, &events[3].to_string()).unwrap();
    assert_eq!(world.states(&id), ["delivered", "skipped", "skipped", "skipped", "pending", "pending"]);
    world.crash();
    assert_eq!(ids(&world.pull(&id, 10)), events[4..]);
    world.seek(&id, "now").unwrap();
    assert_eq!((world.pull(&id, 10).events.len(), world.view(&id).lag), (0, 0));
    assert_eq!(world.states(&id), ["delivered", "skipped", "skipped", "skipped", "skipped", "skipped"]);
    assert!(matches!(world.seek(&id, "yesterday"), Err(Error::Parameter { .. })));
}

#[test]
fn seek_of_a_push_subscription_sends_again_and_reads_under_the_present_revision() {
    let world = World::new();
    let id = world.subscribe(|_| ()).view.subscription.id.clone();
    let events = world.publish_n(2);
    world.publish("c.d", None, "1");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), events);
    let all = vec![ringback_model::subscription::TypePattern::parse("c.*").unwrap()];
    world.change(&id, SubscriptionPatch { types: Some(all), payload: Some(PayloadForm::Thin), ..SubscriptionPatch::default() });
    world.seek(&id, "start").unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 3, "the event that now matches, and not those that did");
    let thin = world.sender.requests()[2].body.clone();
    assert!(String::from_utf8(thin.to_vec()).unwrap().contains("\"url\""));
    assert_eq!(world.view(&id).lag, 0);
}

#[test]
fn a_one_shot_can_be_pulled() {
    let world = World::new();
    world.create("order", serde_json::json!({ "id": "1" }));
    world.create("order", serde_json::json!({ "id": "2" }));
    let one_shot = |subject: &str| {
        let made = world.subscribe(|it| {
            it.push = None;
            it.types = vec![];
            it.subject = Some(Subject::parse(subject).unwrap());
            it.until = Some(Until::Done);
            it.from = "start".into();
        });
        made.view.subscription.id.clone()
    };
    let (first, second) = (one_shot("/order/1"), one_shot("/order/2"));
    world.step("order", "1", "pay").unwrap();
    assert_eq!(world.pull(&first, 10).events.len(), 0);
    world.step("order", "1", "ship").unwrap();
    let pulled = world.pull(&first, 10);
    assert_eq!(pulled.events.len(), 1);
    assert_eq!(world.view(&first).subscription.state, State::Active, "until it is acknowledged");
    world.ack(&first, &pulled);
    world.quiet();
    assert_eq!(world.view(&first).subscription.state, State::Done);
    // At once if it has, whatever `from` says.
    let late = one_shot("/order/1");
    assert_eq!(world.pull(&late, 10).events, pulled.events);
    // It can't come any more: done without a delivery, though nobody pulls.
    assert_eq!(world.view(&second).subscription.state, State::Active);
    let order = world.ty("order");
    let two = ringback_model::ResourceId::parse("2").unwrap();
    fresh(world.run(world.service.delete_resource(&world.ctx(), &order, &two, IfMatch::None, Write::plain())).unwrap());
    world.quiet();
    assert_eq!(world.view(&second).subscription.state, State::Done);
    assert!(world.deliveries(&second).is_empty());
}

#[test]
fn a_parked_call_of_a_one_shot_that_is_done_can_be_tried_again() {
    let mut world = World::new();
    world.sender.answer_with(|_| answered(failing()));
    world.create("order", serde_json::json!({ "id": "1" }));
    let made = world.subscribe(|it| {
        it.types = vec![];
        it.subject = Some(Subject::parse("/order/1").unwrap());
        it.until = Some(Until::Done);
        it.push.as_mut().unwrap().delays = vec![1];
    });
    let id = made.view.subscription.id.clone();
    world.step("order", "1", "pay").unwrap();
    world.step("order", "1", "ship").unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!((world.states(&id), world.view(&id).subscription.state), (vec!["parked"], State::Done));
    for crash in [false, true] {
        if crash {
            world.crash();
            world.sender.answer_with(|_| answered(Outcome::Delivered { status_code: 200 }));
        }
        let before = world.sender.count();
        let parked = world.deliveries(&id)[0].id;
        fresh(world.run(world.service.retry_delivery(&world.ctx(), parked, Write::plain())).unwrap());
        world.pass(Duration::from_secs(60));
        assert_eq!(world.sender.count(), before + 1);
        assert_eq!(world.states(&id), [if crash { "delivered" } else { "parked" }]);
        assert_eq!(world.view(&id).subscription.state, State::Done, "done again");
    }
}

#[test]
fn a_wish_to_try_again_is_on_disk_when_it_is_answered() {
    let mut world = World::new();
    world.sender.answer_with(|_| answered(failing()));
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![1]).view.subscription.id.clone();
    world.publish_n(1);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.states(&id), ["parked"]);
    world.sender.hold(URL);
    let parked = world.deliveries(&id)[0].id;
    fresh(world.run(world.service.retry_delivery(&world.ctx(), parked, Write::plain())).unwrap());
    let sent = world.sender.count();
    world.crash();
    world.sender.release(URL);
    world.pass(Duration::from_secs(1));
    assert!(world.sender.count() > sent, "the next life tries it");
}

#[test]
fn put_makes_changes_and_repeats() {
    let world = World::new();
    let id = SubscriptionId::parse("ledger").unwrap();
    let put = |edit: &dyn Fn(&mut ringback_service::NewSubscription)| {
        let mut new = subscription(URL);
        edit(&mut new);
        world.run(world.service.put_subscription(&world.ctx(), &id, new, IfMatch::None, Write::plain())).map(fresh)
    };
    let made = put(&|_| ()).unwrap();
    assert!(made.created && made.secret.is_some());
    assert_eq!(made.view.subscription.id, id);
    let again = put(&|_| ()).unwrap();
    assert!(!again.created && again.secret.is_none());
    assert_eq!(again.view.subscription.version, 1, "the same once more changes nothing");
    let changed = put(&|it| {
        it.metadata = [("team".to_owned(), "billing".to_owned())].into();
        it.payload = PayloadForm::Thin;
    })
    .unwrap();
    assert_eq!((changed.view.subscription.version, changed.view.subscription.revisions.len()), (2, 2));
    assert_eq!(put(&|it| it.push = None).unwrap().view.subscription.push, None);
    let fixed = put(&|it| it.subject = Subject::parse("/order/1").ok());
    assert!(matches!(fixed, Err(Error::Field { ref pointer, .. }) if pointer == "/subject"), "{fixed:?}");
}

#[test]
fn two_patches_at_once_lose_nothing() {
    let world = World::new();
    let id = world.pull_subscription();
    let patch = |name: &str| {
        let (service, ctx, id) = (world.service.clone(), world.ctx(), id.clone());
        let metadata = Some(MapPatch::Merge([(name.to_owned(), Some("1".to_owned()))].into()));
        let patch = SubscriptionPatch { metadata, ..SubscriptionPatch::default() };
        world.spawn(async move { service.patch_subscription(&ctx, &id, patch, IfMatch::None, Write::plain()).await })
    };
    let all: Vec<_> = ["a", "b", "c"].into_iter().map(patch).collect();
    for it in all {
        world.run(it).unwrap().unwrap();
    }
    let names: Vec<String> = world.view(&id).subscription.metadata.keys().cloned().collect();
    assert_eq!(names, ["a", "b", "c"]);
    let many = (0..51).map(|n| (format!("k{n}"), Some(String::new()))).collect();
    let patch = SubscriptionPatch { metadata: Some(MapPatch::Merge(many)), ..SubscriptionPatch::default() };
    let refused = world.run(world.service.patch_subscription(&world.ctx(), &id, patch, IfMatch::None, Write::plain()));
    assert!(matches!(refused, Err(Error::Field { ref pointer, .. }) if pointer == "/metadata"), "{refused:?}");
}

#[test]
fn a_pulled_subscription_tells_its_lag_and_the_oldest() {
    let world = World::new();
    let id = world.pull_subscription();
    assert_eq!(world.view(&id).oldest_at, None);
    let at = world.now();
    world.publish_n(2);
    world.pass(Duration::from_secs(100));
    world.publish_n(1);
    let view = world.view(&id);
    assert_eq!((view.lag, view.oldest_at, view.health.state), (3, Some(at), "ok"));
}

/// A seek ends the life of the reader that a pull waits at: the pull goes on waiting in the next one.
#[test]
fn who_waits_while_somebody_seeks_is_answered_in_the_next_life() {
    let world = World::new();
    let id = world.pull_subscription();
    let events = world.publish_n(3);
    let pulled = world.pull(&id, 10);
    world.ack(&id, &pulled);
    let (service, ctx, of) = (world.service.clone(), world.ctx(), id.clone());
    let query = PullQuery { limit: 10, wait: Duration::from_secs(60), lease: LEASE };
    let waiting = world.spawn(async move { service.pull(&ctx, &of, query).await });
    world.quiet();
    world.seek(&id, "start").unwrap();
    world.quiet();
    assert!(waiting.is_finished(), "there is something for it now");
    assert_eq!(ids(&world.run(waiting).unwrap().unwrap()), events);
}

/// Whatever else happens to a subscription that is there, nobody is told that it isn't.
#[test]
fn pulls_acks_and_seeks_at_once_are_all_answered() {
    let world = World::new();
    let id = world.pull_subscription();
    for _ in 0..20 {
        world.publish_n(3);
        let pulled = world.pull(&id, 1);
        let (mut pulls, mut acks, mut seeks) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..10 {
            let (service, ctx, of) = (world.service.clone(), world.ctx(), id.clone());
            seeks.push(world.spawn(async move {
                let to = if n % 2 == 0 { "start" } else { "now" };
                service.seek(&ctx, &of, to.into(), IfMatch::None, Write::plain()).await
            }));
            for wait in [0, 1] {
                let (service, ctx, of) = (world.service.clone(), world.ctx(), id.clone());
                let query = PullQuery { limit: 10, wait: Duration::from_secs(wait), lease: LEASE };
                pulls.push(world.spawn(async move { service.pull(&ctx, &of, query).await }));
            }
            let (service, ctx, of, ack) = (world.service.clone(), world.ctx(), id.clone(), pulled.ack.clone());
            acks.push(world.spawn(async move { service.settle_pulled(&ctx, &of, &ack, None, Word::Ack).await }));
        }
        world.quiet();
        world.pass(Duration::from_secs(2));
        for it in pulls {
            world.run(it).unwrap().unwrap();
        }
        for it in acks {
            let said = world.run(it).unwrap().unwrap();
            assert_eq!(said.settled + said.late.len(), 1);
        }
        for it in seeks {
            fresh(world.run(it).unwrap().unwrap());
        }
    }
}

/// What is handed out after a change is written as the change says, also to who waited before it.
#[test]
fn who_waited_before_a_change_is_answered_after_it() {
    let world = World::new();
    let id = world.pull_subscription();
    let (service, ctx, of) = (world.service.clone(), world.ctx(), id.clone());
    let query = PullQuery { limit: 10, wait: Duration::from_secs(60), lease: LEASE };
    let waiting = world.spawn(async move { service.pull(&ctx, &of, query).await });
    world.quiet();
    world.change(&id, SubscriptionPatch { payload: Some(PayloadForm::Data), ..SubscriptionPatch::default() });
    world.publish_n(1);
    world.quiet();
    let pulled = world.run(waiting).unwrap().unwrap();
    assert_eq!(pulled.events.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect::<Vec<_>>(), ["0"]);
}
