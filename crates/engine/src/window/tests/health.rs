//! An address that cannot be called, 410s, how the last tries went, and tries that somebody asks for.

use super::*;
use crate::health::Notice;

// ---- Unroutable, gone, health ----

#[test]
fn an_unroutable_address_stops_the_reader_and_spends_nothing() {
    let mut b = Bench::new(Order::None);
    for place in 1..=3 {
        b.offer(place, "");
    }
    b.starts();
    b.fail(1);
    b.settle();
    assert_eq!(b.answer(2, &UNROUTABLE), Effect { next: Next::Hold { reason: "unresolved" }, gone: false, notice: Notice::Nothing });
    assert_eq!(b.window.health(), Health { state: HealthState::Unroutable, why: Some("unresolved"), since: Some(T0) });
    assert_eq!((b.window.room(), b.window.queued(), b.window.cursor()), (0, 1, 1));
    assert_eq!(b.exceptions(), "1:retrying+10/1", "no exception, no try spent");
    b.answer(3, &UNROUTABLE);
    b.settle();
    assert_eq!(b.window.next_timeout(), Some(T0 + UNROUTABLE_RECHECK));
    b.pass(UNROUTABLE_RECHECK - Duration::from_micros(1));
    assert_eq!(b.starts(), NOTHING);
    b.pass(Duration::from_micros(1));
    let probe = b.starts();
    assert_eq!(probe.len(), 1, "one try asks the address");
    assert_eq!(b.started[&probe[0]].try_no, if probe[0] == 1 { 2 } else { 1 });
    b.answer(probe[0], &UNROUTABLE);
    assert_eq!(b.window.health().since, Some(T0));
    b.settle();
    assert_eq!(b.window.next_timeout(), Some(b.now + UNROUTABLE_RECHECK));
    b.pass(UNROUTABLE_RECHECK);
    let probe = b.starts();
    assert_eq!(probe.len(), 1);
    b.fail(probe[0]);
    assert_eq!(b.window.health().state, HealthState::Failing, "whatever answers can be called");
    assert_eq!(b.starts().len(), 2);
}

#[test]
fn an_exception_keeps_tries_and_due_time_when_unroutable() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    b.fail(1);
    b.pass_secs(10);
    b.starts();
    b.answer(1, &UNROUTABLE);
    assert_eq!(b.exceptions(), "1:retrying+10/1");
    b.settle();
    assert_eq!(b.window.next_timeout(), Some(b.now + UNROUTABLE_RECHECK));
    b.window.recheck(b.now);
    assert_eq!(b.starts(), [1], "asked again at once when the URL was edited");
}

#[test]
fn two_410s_a_minute_apart_suspend() {
    let gone = || failed("gone");
    for (steps, want) in [
        (vec![(0, gone()), (60, gone())], vec![false, true]),
        (vec![(0, gone()), (59, gone()), (1, gone())], vec![false, false, true]),
        (vec![(0, gone()), (30, failed("status")), (30, gone())], vec![false, false, true]),
        (vec![(0, gone()), (30, OK), (30, gone()), (60, gone())], vec![false, false, false, true]),
        (vec![(0, gone()), (30, UNROUTABLE)], vec![false, false]),
    ] {
        let mut b = Bench::new(Order::None);
        let mut said = vec![];
        for (place, (secs, outcome)) in (1..).zip(&steps) {
            b.offer(place, "");
            b.starts();
            b.pass_secs(*secs);
            said.push(b.answer(place, outcome).gone);
        }
        assert_eq!(said, want, "{steps:?}");
    }
}

#[test]
fn a_resume_forgets_the_first_410() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.offer(2, "");
    b.starts();
    b.answer(1, &failed("gone"));
    b.window.set_active(false, b.now);
    b.pass_secs(100);
    b.window.set_active(true, b.now);
    assert!(!b.answer(2, &failed("gone")).gone);
}

#[test]
fn health_says_how_the_last_try_went_and_since_when() {
    let mut b = Bench::new(Order::None);
    assert_eq!(b.window.health(), Health { state: HealthState::Ok, why: None, since: None });
    let at = |secs| Some(T0 + Duration::from_secs(secs));
    for (place, (outcome, want)) in (1..).zip([
        (OK, (HealthState::Ok, None, at(1))),
        (OK, (HealthState::Ok, None, at(1))),
        (failed("connect"), (HealthState::Failing, Some("connect"), at(3))),
        (Outcome::Unknown, (HealthState::Failing, Some("timeout-after-send"), at(3))),
        (OK, (HealthState::Ok, None, at(5))),
    ]) {
        b.offer(place, "");
        assert!(b.starts().contains(&place));
        b.pass_secs(1);
        b.answer(place, &outcome);
        let health = b.window.health();
        assert_eq!((health.state, health.why, health.since), want, "after {place}");
    }
}

// ---- By hand ----

#[test]
fn retry_now_makes_it_due() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    b.fail(1);
    b.settle();
    assert_eq!(b.window.retry_now(1, b.now), Ok(()));
    assert_eq!(b.exceptions(), "1:retrying+0/1");
    assert_eq!(b.starts(), [1]);
    assert_eq!((b.started[&1].via, b.started[&1].try_no), (Via::Manual, 2));
    b.fail(1);
    assert_eq!(b.exceptions(), "1:retrying+100/2", "the schedule goes on");
    b.pass_secs(100);
    assert_eq!(b.starts(), [1]);
    assert_eq!(b.started[&1].via, Via::Schedule);
}

#[test]
fn a_parked_delivery_gets_one_more_try() {
    let resume = Resume { cursor: 5, exceptions: vec![row(1, "/a", 3, parked())], ..Resume::default() };
    let mut b = Bench::resumed(resume, Order::Subject, limits());
    b.offer(6, "/a");
    assert_eq!(b.window.retry_now(1, b.now), Ok(()));
    assert_eq!(b.exceptions(), "1:retrying+0/3 6:held/0", "it stands before its subject's later ones again");
    assert_eq!(b.starts(), [1]);
    assert_eq!((b.started[&1].via, b.started[&1].try_no), (Via::Manual, 4));
    assert_eq!(b.fail(1), Next::Park { reason: "tries-exhausted" });
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/4 6:retrying+0/0");
    b.window.retry_now(1, b.now).unwrap();
    assert_eq!(b.starts(), [1]);
    b.ok(1);
    assert_eq!(b.settle().unwrap().removed, [1]);
}

#[test]
fn a_parked_delivery_waits_for_what_its_subject_has_in_flight() {
    let resume = Resume { cursor: 5, exceptions: vec![row(1, "/a", 3, parked())], ..Resume::default() };
    let mut b = Bench::resumed(resume, Order::Subject, limits());
    b.offer(6, "/a");
    b.offer(7, "/a");
    assert_eq!(b.starts(), [6]);
    b.window.retry_now(1, b.now).unwrap();
    assert_eq!(b.starts(), NOTHING);
    b.ok(6);
    assert_eq!((b.starts(), b.exceptions()), (vec![1], "1:retrying+0/3 7:held/0".into()));
}

#[test]
fn what_cannot_be_tried_now_says_why() {
    let exceptions = vec![
        row(1, "/a", 1, ExceptionState::Retrying { due_at: T0 }),
        row(2, "/a", 0, ExceptionState::Held),
        row(3, "", 1, ExceptionState::Retrying { due_at: T0 + Duration::from_secs(99) }),
    ];
    let mut b = Bench::resumed(Resume { cursor: 5, exceptions, ..Resume::default() }, Order::Subject, limits());
    b.offer(6, "");
    b.offer(7, "");
    assert_eq!(b.starts(), [1, 6, 7]);
    b.ok(7);
    for (place, want) in [
        (1, Err(RetryRefused::InFlight)),
        (2, Err(RetryRefused::Held)),
        (4, Err(RetryRefused::NotFailed)),
        (6, Err(RetryRefused::InFlight)),
        (7, Err(RetryRefused::NotFailed)),
        (3, Ok(())),
    ] {
        assert_eq!(b.window.retry_now(place, b.now), want, "{place}");
    }
    b.window.set_active(false, b.now);
    assert_eq!(b.window.retry_now(3, b.now), Err(RetryRefused::NotActive));
}

#[test]
fn retry_now_asks_an_unroutable_address_again() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    b.fail(1);
    b.pass_secs(10);
    b.starts();
    b.answer(1, &UNROUTABLE);
    assert_eq!(b.starts(), NOTHING);
    b.window.retry_now(1, b.now).unwrap();
    assert_eq!(b.starts(), [1]);
}
