//! Replays: what they pick, what they leave alone, and how they go on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    ReplayId, SubscriptionId,
    delivery::{DeliveryState, Via},
    subscription::Order,
};
use ringback_ports::{
    fake::sender::{self, answered},
    sender::Answered,
};
use ringback_service::{Error, NewReplay, Only, ReplayState, ReplayView, ResumeFrom, Write, verify::verify};
use std::time::Duration;
use world::{URL, World, fresh, types};

fn status(code: u16) -> Answered {
    answered(sender::status(code))
}

fn replay_of(id: &SubscriptionId, only: Only) -> NewReplay {
    NewReplay { subscription: id.clone(), since: None, until: None, types: Vec::new(), filter: None, only, rate_max_per_s: None }
}

impl World {
    fn replay(&self, new: NewReplay) -> ReplayView {
        fresh(self.run(self.service.create_replay(&self.ctx(), new, Write::plain())).unwrap())
    }

    fn shown(&self, id: ReplayId) -> ReplayView {
        self.run(self.service.replay(&self.ctx(), id)).unwrap()
    }

    /// State, matched, delivered, parked, gone.
    fn account(&self, id: ReplayId) -> (ReplayState, u64, u64, u64, u64) {
        let it = self.shown(id).replay.progress;
        (it.state, it.matched, it.delivered, it.parked, it.gone)
    }

    #[track_caller]
    fn verified(&self) {
        let report = self.run(verify(&*self.store, types())).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
    }

    fn vias(&self, id: &SubscriptionId, at: usize) -> Vec<(Via, String)> {
        let delivery = self.deliveries(id)[at].id;
        let attempts = self.run(self.service.attempts(&self.ctx(), delivery)).unwrap();
        attempts.into_iter().map(|it| (it.via, it.outcome)).collect()
    }
}

/// A subscription of `a.*` with events of which the last try was answered so; no retries.
fn with_outcomes(outcomes: &[u16], edit: impl FnOnce(&mut ringback_service::NewSubscription)) -> (World, SubscriptionId) {
    let world = World::new();
    world.sender.script(URL, outcomes.iter().map(|it| status(*it)));
    let made = world.subscribe(|it| {
        it.push.as_mut().unwrap().delays = Vec::new();
        edit(it);
    });
    for no in 0..outcomes.len() {
        world.publish("a.b", Some(&format!("/thing/{no}")), &format!("{{\"n\":{no}}}"));
        world.pass(Duration::from_secs(1));
    }
    (world, made.view.subscription.id.clone())
}

#[test]
fn what_failed_is_sent_again_and_takes_the_place_of_its_parked_exception() {
    let (world, id) = with_outcomes(&[200, 500, 500], |_| {});
    assert_eq!(world.states(&id), ["delivered", "parked", "parked"]);
    let counted = world.run(world.service.count_replay(&world.ctx(), &replay_of(&id, Only::Failed))).unwrap();
    assert_eq!((counted.matched, counted.complete, counted.gone), (2, true, 0));
    let before = world.sender.count();
    let made = world.replay(replay_of(&id, Only::Failed));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 2, 2, 0, 0));
    assert_eq!(world.states(&id), ["delivered"; 3]);
    let sent = world.sender.requests();
    assert_eq!(sent.len(), before + 2);
    assert_eq!(sent[before].body, sent[1].body, "byte by byte");
    assert_eq!(world.vias(&id, 1), [(Via::Schedule, "failed".into()), (Via::Replay, "delivered".into())]);
    let all = ringback_service::DeliveryQuery { limit: 10, ..Default::default() };
    assert_eq!(world.run(world.service.deliveries(&world.ctx(), all)).unwrap().items, [], "no exception is left");
    world.verified();
}

#[test]
fn what_a_replay_can_not_deliver_stays_what_it_was() {
    let (world, id) = with_outcomes(&[500], |_| {});
    let parked = world.deliveries(&id)[0].clone();
    world.sender.script(URL, [500; 9].map(status));
    let made = world.replay(replay_of(&id, Only::Failed));
    world.pass(Duration::from_secs(1_000));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 1, 0, 1, 0));
    assert_eq!(world.sender.count(), 1 + 4, "four tries of its own");
    let now = &world.deliveries(&id)[0];
    assert_eq!((now.state, &now.reason), (DeliveryState::Parked, &parked.reason));
    world.verified();
}

#[test]
fn what_is_retried_by_itself_is_left_alone() {
    let world = World::new();
    world.sender.script(URL, [status(500)]);
    let made = world.subscribe(|it| it.push.as_mut().unwrap().delays = vec![3_600]);
    let id = made.view.subscription.id.clone();
    world.publish("a.b", None, "1");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.states(&id), ["retrying"]);
    for only in Only::ALL {
        let made = world.replay(replay_of(&id, only));
        world.pass(Duration::from_secs(1));
        assert_eq!(world.account(made.replay.id), (ReplayState::Done, 0, 0, 0, 0), "{only:?}");
    }
    assert_eq!(world.sender.count(), 1);
    assert_eq!(world.states(&id), ["retrying"]);
}

#[test]
fn what_is_missing_is_what_never_arrived_also_from_before_the_subscription() {
    let world = World::new();
    world.publish("a.old", None, "1");
    world.pass(Duration::from_secs(1));
    let made = world.subscribe(|_| {});
    let id = made.view.subscription.id.clone();
    world.publish("a.b", None, "2");
    world.pass(Duration::from_secs(1));
    world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap();
    world.publish("a.c", None, "3");
    world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Now, Write::plain())).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.states(&id), ["delivered", "skipped"]);
    let made = world.replay(replay_of(&id, Only::Missing));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 1, 1, 0, 0), "from where it began");
    assert_eq!(world.states(&id), ["delivered", "delivered"]);
    let made = world.replay(NewReplay { since: Some("start".into()), ..replay_of(&id, Only::Missing) });
    world.pass(Duration::from_secs(1));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 1, 1, 0, 0), "and what was there before, if it is asked for");
    assert_eq!(world.sender.count(), 3);
    let made = world.replay(NewReplay { since: Some("start".into()), ..replay_of(&id, Only::All) });
    world.pass(Duration::from_secs(1));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 3, 3, 0, 0));
    world.verified();
}

#[test]
fn types_condition_and_times_narrow_it() {
    let (world, id) = with_outcomes(&[500; 5], |_| {});
    let at = world.deliveries(&id)[2].created_at;
    let with = |new: NewReplay| world.run(world.service.count_replay(&world.ctx(), &new)).unwrap().matched;
    let of = || replay_of(&id, Only::Failed);
    assert_eq!(with(of()), 5);
    assert_eq!(with(NewReplay { filter: Some("data.n >= 3".into()), ..of() }), 2);
    assert_eq!(with(NewReplay { filter: Some("data.n >= 3".into()), only: Only::Missing, ..of() }), 2);
    assert_eq!(with(NewReplay { types: vec![ringback_model::subscription::TypePattern::parse("a.c").unwrap()], ..of() }), 0);
    assert_eq!(with(NewReplay { since: Some(at.to_string()), ..of() }), 3);
    assert_eq!(with(NewReplay { until: Some(at.to_string()), ..of() }), 2);
    let event = world.deliveries(&id)[3].event;
    assert_eq!(with(NewReplay { since: Some(event.to_string()), ..of() }), 1, "after that event");
    let refused = |new: NewReplay| world.run(world.service.create_replay(&world.ctx(), new, Write::plain())).unwrap_err();
    let upside_down = NewReplay { since: Some("now".into()), until: Some("start".into()), ..of() };
    assert!(matches!(refused(upside_down), Error::Field { pointer, .. } if pointer == "/until"));
    assert!(matches!(refused(NewReplay { since: Some("then".into()), ..of() }), Error::Field { pointer, .. } if pointer == "/since"));
    assert!(matches!(refused(NewReplay { filter: Some("data.n >=".into()), ..of() }), Error::Filter { .. }));
}

#[test]
fn it_keeps_its_rate_and_survives_a_crash() {
    let (mut world, id) = with_outcomes(&[500; 6], |_| {});
    let made = world.replay(NewReplay { rate_max_per_s: Some(1), ..replay_of(&id, Only::Failed) });
    world.pass(Duration::from_millis(2_500));
    assert_eq!(world.sender.count(), 6 + 3);
    let before = world.account(made.replay.id);
    assert_eq!((before.0, before.2), (ReplayState::Running, 3));
    world.crash();
    world.pass(Duration::from_secs(10));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 6, 6, 0, 0));
    assert_eq!(world.sender.count(), 6 + 6, "what was written down is not sent again");
    assert_eq!(world.states(&id), ["delivered"; 6]);
    world.verified();
}

#[test]
fn it_waits_while_its_subscription_is_paused() {
    let (world, id) = with_outcomes(&[500], |_| {});
    world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap();
    let made = world.replay(replay_of(&id, Only::Failed));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.account(made.replay.id).0, ReplayState::Running);
    assert_eq!(world.sender.count(), 1);
    world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.account(made.replay.id), (ReplayState::Done, 1, 1, 0, 0));
}

#[test]
fn what_is_cancelled_ends_and_says_so_after_a_crash_too() {
    let (mut world, id) = with_outcomes(&[500; 4], |_| {});
    let made = world.replay(NewReplay { rate_max_per_s: Some(1), ..replay_of(&id, Only::Failed) });
    world.pass(Duration::from_millis(500));
    let cancelled = fresh(world.run(world.service.cancel_replay(&world.ctx(), made.replay.id, Write::plain())).unwrap());
    assert_eq!((cancelled.replay.progress.state, cancelled.replay.progress.delivered), (ReplayState::Cancelled, 1));
    assert_eq!(cancelled.replay.progress.why.as_deref(), Some("asked"));
    world.crash();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.account(made.replay.id), (ReplayState::Cancelled, 1, 1, 0, 0));
    assert_eq!(world.states(&id), ["delivered", "parked", "parked", "parked"]);
    let again = fresh(world.run(world.service.cancel_replay(&world.ctx(), made.replay.id, Write::plain())).unwrap());
    assert_eq!(again.replay, cancelled.replay, "once it has ended it stays what it is");
    world.verified();
}

#[test]
fn a_seek_ends_it() {
    let (world, id) = with_outcomes(&[500; 2], |_| {});
    let made = world.replay(NewReplay { rate_max_per_s: Some(1), ..replay_of(&id, Only::Failed) });
    world.pass(Duration::from_millis(100));
    world.run(world.service.seek(&world.ctx(), &id, "now".into(), ringback_service::IfMatch::None, Write::plain())).unwrap();
    world.pass(Duration::from_secs(60));
    let it = world.shown(made.replay.id).replay.progress;
    assert_eq!((it.state, it.why.as_deref()), (ReplayState::Cancelled, Some("sought")));
    world.verified();
}

#[test]
fn a_change_to_pull_ends_it_and_a_restart_agrees() {
    let (mut world, id) = with_outcomes(&[500; 2], |_| {});
    let made = world.replay(NewReplay { rate_max_per_s: Some(1), ..replay_of(&id, Only::Failed) });
    world.pass(Duration::from_millis(100));
    let patch = ringback_service::SubscriptionPatch { pulled: true, ..Default::default() };
    world.run(world.service.patch_subscription(&world.ctx(), &id, patch, ringback_service::IfMatch::None, Write::plain())).unwrap();
    world.pass(Duration::from_secs(1));
    let ended = world.shown(made.replay.id).replay.progress;
    assert_eq!((ended.state, ended.why.as_deref(), ended.delivered), (ReplayState::Cancelled, Some("pulled"), 1));
    world.crash();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.shown(made.replay.id).replay.progress, ended);
    world.verified();
}

#[test]
fn one_runs_at_a_time_and_there_are_limits() {
    let (world, id) = with_outcomes(&[500; 3], |_| {});
    let first = world.replay(NewReplay { rate_max_per_s: Some(1), ..replay_of(&id, Only::Failed) });
    world.pass(Duration::from_millis(1));
    let second = world.replay(replay_of(&id, Only::All));
    world.pass(Duration::from_millis(500));
    assert_eq!(world.account(second.replay.id), (ReplayState::Running, 0, 0, 0, 0), "it waits for its turn");
    for _ in 2..ringback_model::limits::REPLAYS_RUNNING_MAX {
        world.replay(replay_of(&id, Only::Failed));
    }
    let refused = world.run(world.service.create_replay(&world.ctx(), replay_of(&id, Only::All), Write::plain()));
    assert!(matches!(refused, Err(Error::LimitReached { .. })));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.account(first.replay.id), (ReplayState::Done, 3, 3, 0, 0));
    assert_eq!(world.account(second.replay.id), (ReplayState::Done, 3, 3, 0, 0));
    let page = world.run(world.service.replays(&world.ctx(), Some(&id), 4, None)).unwrap();
    let rest = world.run(world.service.replays(&world.ctx(), Some(&id), 100, page.next_cursor.as_deref())).unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.next_cursor), (4, ringback_model::limits::REPLAYS_RUNNING_MAX - 4, None));
    assert_eq!(rest.items.last().map(|it| it.replay.id), Some(first.replay.id), "the last one first");
}

#[test]
fn a_subject_is_replayed_in_order_beside_what_is_new() {
    let world = World::new();
    world.sender.script(URL, [500; 3].map(status));
    let made = world.subscribe(|it| {
        it.order = Order::Subject;
        it.push.as_mut().unwrap().delays = Vec::new();
    });
    let id = made.view.subscription.id.clone();
    for no in 0..3 {
        world.publish("a.b", Some("/thing/1"), &no.to_string());
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.states(&id), ["parked"; 3]);
    world.replay(replay_of(&id, Only::Failed));
    world.publish("a.b", Some("/thing/1"), "3");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.states(&id), ["delivered"; 4]);
    let sent = world.sent();
    let replayed: Vec<_> = sent[3..].iter().filter(|it| sent[..3].contains(it)).collect();
    assert_eq!(replayed, sent[..3].iter().collect::<Vec<_>>(), "in their order");
    world.verified();
}

#[test]
fn what_can_not_be_replayed_is_refused_with_what_to_do_instead() {
    let world = World::new();
    let pulled = world.subscribe(|it| it.push = None).view.subscription.id.clone();
    let refused = world.run(world.service.create_replay(&world.ctx(), replay_of(&pulled, Only::Failed), Write::plain()));
    assert!(matches!(refused, Err(Error::Conflict { detail }) if detail.contains("seek")));
    let nobody = SubscriptionId::parse("nobody").unwrap();
    let refused = world.run(world.service.create_replay(&world.ctx(), replay_of(&nobody, Only::Failed), Write::plain()));
    assert!(matches!(refused, Err(Error::NotFound { .. })));
}

#[test]
fn what_retention_took_is_gone_and_said_so() {
    let world = World::keeping(Duration::from_secs(1_000));
    world.sender.script(URL, [500; 4].map(status));
    let made = world.subscribe(|it| it.push.as_mut().unwrap().delays = Vec::new());
    let id = made.view.subscription.id.clone();
    for no in 0..2 {
        world.publish("a.b", None, &no.to_string());
    }
    world.pass(Duration::from_secs(600));
    for no in 2..4 {
        world.publish("a.b", None, &no.to_string());
    }
    world.pass(Duration::from_secs(1));
    // It is asked for while all are there, and comes to it when two have gone.
    world.run(world.service.pause(&world.ctx(), &id, Write::plain())).unwrap();
    let early = world.replay(replay_of(&id, Only::Missing));
    world.pass(Duration::from_secs(600));
    let late = world.replay(replay_of(&id, Only::Missing));
    world.run(world.service.resume(&world.ctx(), &id, ResumeFrom::Cursor, Write::plain())).unwrap();
    world.pass(Duration::from_secs(5));
    // Two, and the announcement that they were parked: places of the log are counted.
    assert_eq!(world.account(early.replay.id), (ReplayState::Done, 2, 2, 0, 3));
    assert_eq!(world.account(late.replay.id).0, ReplayState::Done);
    assert_eq!(world.account(late.replay.id).4, 3, "asked for too late");
    world.verified();
}
