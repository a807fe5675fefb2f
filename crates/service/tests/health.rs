//! Endpoints that are away, slow down or never answer; a network that is gone:
//! what the dispatcher makes of the machines of `engine::health`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::subscription::{DELAYS_DEFAULT, Order, State, TypePattern};
use ringback_ports::fake::sender::{answered, failed, status};
use ringback_service::{FeedQuery, NewSubscription, ResumeFrom, Write};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{URL, World, fresh, header};

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3_600)
}

/// `ringback.*` events of the log: type and data.
fn told(world: &World) -> Vec<(String, Value)> {
    let query = FeedQuery { types: vec![TypePattern::parse("ringback.*").unwrap()], limit: 1_000, ..FeedQuery::default() };
    let page = world.run(world.service.feed(&world.ctx(), query)).unwrap();
    page.events
        .iter()
        .map(|it| {
            let whole: Value = serde_json::from_slice(&it.bytes).unwrap();
            (it.event_type.to_string(), whole["data"].clone())
        })
        .collect()
}

fn names(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|it| it.0.strip_prefix("ringback.").unwrap()).collect()
}

#[test]
fn an_endpoint_that_was_away_for_a_day_gets_everything_in_order_at_its_pace() {
    const OWED: usize = 3_600;
    let world = World::new();
    let up = Arc::new(Mutex::new(false));
    let taken: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let start = world.now();
    {
        let (up, taken, seen, clock) = (Arc::clone(&up), Arc::clone(&taken), Arc::clone(&seen), Arc::clone(&world.clock));
        world.sender.answer_with(move |request| {
            use ringback_ports::Clock;
            if !*up.lock().unwrap() {
                return answered(failed("connect"));
            }
            let now = clock.now().since(start).as_millis() as u64;
            seen.lock().unwrap().push(now);
            let mut taken = taken.lock().unwrap();
            if taken.iter().rev().take_while(|it| it.0 + 1_000 > now).count() >= 50 {
                return answered(status(429));
            }
            taken.push((now, header(&request.headers, "webhook-id").to_owned()));
            answered(status(200))
        });
    }
    let made = world.subscribe(|it| {
        it.order = Order::Subject;
        it.push.as_mut().unwrap().delays = DELAYS_DEFAULT.to_vec();
    });
    let id = made.view.subscription.id.clone();
    let mut all = vec![];
    for batch in 0..OWED / 100 {
        let events = (0..100).map(|n| world::event("a.b", Some(&format!("/thing/{}", n % 20)), &format!("{batch}"))).collect();
        let published = fresh(world.run(world.service.publish(&world.ctx(), events, Write::plain())).unwrap());
        all.extend(published.events.iter().map(|it| (it.event.id.to_string(), it.event.subject.clone().unwrap().to_string())));
        world.pass(Duration::from_secs(40 * 60));
    }
    assert!(world.now().since(start) > hours(23));
    let view = world.view(&id);
    assert_eq!((view.health.state, view.health.why.as_deref()), ("open", Some("connect")));
    assert!(world.sender.count() < 400, "{} tries in a day", world.sender.count());
    assert_eq!(view.subscription.state, State::Active);

    *up.lock().unwrap() = true;
    let first = loop {
        world.pass(Duration::from_secs(1));
        if let Some(first) = taken.lock().unwrap().first() {
            break first.0;
        }
    };
    // It was a probe. Nothing that waits is due later than the end of the day.
    world.pass(Duration::from_secs(600));
    let (taken, seen) = (taken.lock().unwrap().clone(), seen.lock().unwrap().clone());
    let within = |from: u64, to: u64| taken.iter().filter(|it| (first + from..first + to).contains(&it.0)).count();
    assert!(within(10_000, 60_000) >= 50 * 50 * 8 / 10, "{} in fifty seconds", within(10_000, 60_000));
    for second in 10..60 {
        let from = first + second * 1_000;
        let sent = seen.iter().filter(|at| (from..from + 1_000).contains(at)).count();
        assert!(sent <= 60, "{sent} in second {second}");
    }
    let mut arrived = BTreeSet::new();
    let mut order: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (_, id) in &taken {
        assert!(arrived.insert(id.clone()), "{id} twice");
        let at = all.iter().position(|it| it.0 == *id).unwrap_or_else(|| panic!("{id} is nobody's"));
        order.entry(all[at].1.as_str()).or_default().push(at);
    }
    assert!(order.values().all(|it| it.is_sorted()), "each subject in its order");
    let ours: Vec<_> = all.iter().filter(|it| !arrived.contains(&it.0)).collect();
    assert!(ours.is_empty(), "{} of {OWED} did not arrive", ours.len());
    assert_eq!(world.view(&id).health.state, "ok");
}

#[test]
fn an_hour_without_a_network_suspends_nobody_and_parks_nothing() {
    let world = World::new();
    let ids: Vec<_> = (0..12)
        .map(|n| {
            let made = world.subscribe(|it| {
                it.push.as_mut().unwrap().url = format!("https://h{n}.example.com/hook");
                // Two tries: by its own schedule it would be parked within a minute.
                it.push.as_mut().unwrap().delays = vec![5];
            });
            made.view.subscription.id.clone()
        })
        .collect();
    world.publish("a.b", None, "1");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.sender.count(), 12, "they work");
    world.sender.answer_with(|_| answered(failed("connect")));
    for _ in 0..12 {
        world.publish("a.b", None, "2");
        world.pass(Duration::from_secs(300));
    }
    world.sender.answer_with(|_| answered(status(200)));
    world.pass(hours(3));
    for id in &ids {
        let view = world.view(id);
        assert_eq!((view.subscription.state, view.health.state), (State::Active, "ok"));
        let states: BTreeSet<_> = world.states(id).into_iter().collect();
        // What failed before it was clear that it is us was tried twice at most.
        assert_eq!(states, BTreeSet::from(["delivered"]));
    }
    assert_eq!(names(&told(&world)), [""; 0]);
}

#[test]
fn a_silent_endpoint_is_announced_then_suspended_and_goes_on_when_resumed() {
    let mut world = World::new();
    world.sender.answer_with(|request| answered(if request.url == URL { status(500) } else { status(200) }));
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![10_800; 49]).view.subscription.id.clone();
    let other = "https://ops.example.com/hook";
    let watcher = NewSubscription { types: vec![TypePattern::parse("ringback.*").unwrap()], ..world::subscription(other) };
    fresh(world.run(world.service.create_subscription(&world.ctx(), watcher, Write::plain())).unwrap());
    let before = world.view(&id).subscription.version;
    world.publish("a.b", None, "1");
    world.pass(hours(30));
    let said = told(&world);
    assert_eq!(names(&said), ["subscription.failing"; 2]);
    assert_eq!(said[0].1["subscription"], id.as_str());
    let version = world.view(&id).subscription.version;
    assert_eq!(version, before, "nothing that its owner wrote has changed");
    // What was announced is not announced again after a restart.
    world.crash();
    world.pass(hours(100));
    let said = told(&world);
    assert_eq!(names(&said), ["subscription.failing", "subscription.failing", "subscription.failing", "subscription.suspended"]);
    assert_eq!(said[3].1["why"], "no-success");
    assert_eq!(world.view(&id).subscription.state, State::Suspended);
    assert_eq!(world.sender.requests().iter().filter(|it| it.url == other).count(), 4, "somebody is told");
    world.sender.answer_with(|_| answered(status(200)));
    fresh(world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap());
    world.pass(hours(2));
    assert_eq!(names(&told(&world)).last(), Some(&"subscription.resumed"));
    assert_eq!((world.states(&id), world.view(&id).subscription.failing), (vec!["delivered"], None));
}

#[test]
fn parked_deliveries_are_announced_once_a_minute_and_never_to_whom_they_are_about() {
    let world = World::new();
    world.sender.answer_with(|_| answered(status(400)));
    let made = world.subscribe(|it| {
        it.types = vec![TypePattern::parse("a.*").unwrap(), TypePattern::parse("ringback.*").unwrap()];
        it.push.as_mut().unwrap().delays = vec![1];
    });
    for _ in 0..5 {
        world.publish("a.b", None, "1");
    }
    world.pass(Duration::from_secs(30));
    world.publish("a.b", None, "1");
    world.pass(Duration::from_secs(20));
    let said = told(&world);
    assert_eq!(names(&said), ["delivery.parked"], "at most one a minute");
    world.pass(Duration::from_secs(120));
    let said = told(&world);
    assert!((2..=3).contains(&said.len()) && names(&said).iter().all(|it| *it == "delivery.parked"), "{said:?}");
    assert_eq!(said.iter().map(|it| it.1["count"].as_u64().unwrap()).sum::<u64>(), 6);
    assert_eq!(world.states(&made.view.subscription.id).len(), 6, "it is not told of itself");
}

#[test]
fn a_410_twice_is_announced_too() {
    let world = World::new();
    world.sender.answer_with(|_| answered(status(410)));
    let id = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![300; 9]).view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.pass(hours(1));
    let said = told(&world);
    assert_eq!(names(&said), ["subscription.suspended"]);
    assert_eq!((said[0].1["why"].as_str(), world.view(&id).subscription.state), (Some("gone"), State::Suspended));
}

#[test]
fn a_rate_is_kept_and_spends_nothing() {
    let world = World::new();
    world.subscribe(|it| it.push.as_mut().unwrap().rate_max_per_s = Some(2));
    for _ in 0..20 {
        world.publish("a.b", None, "1");
    }
    world.pass(Duration::from_secs(3));
    let sent = world.sender.count();
    assert!((6..=8).contains(&sent), "{sent}");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.sender.count(), 20);
}
