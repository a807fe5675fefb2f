//! A window whose endpoint is looked after: left alone, asked, paced.

use super::*;
use crate::{
    fair::Wants,
    health::{Notice, OPEN_FIRST, Rules},
};

fn looked_after() -> Limits {
    Limits { rules: Some(Rules { concurrency_max: 10, rate_max_per_s: None }), ..limits() }
}

/// An endpoint of which five connections failed: events 1 to 5 are exceptions.
fn left_alone(order: Order) -> Bench {
    let mut b = Bench::with(order, looked_after());
    for place in 1..=5 {
        b.offer(place, "");
        assert_eq!(b.starts(), [place]);
        b.answer(place, &failed("connect"));
    }
    assert_eq!((b.window.health().state, b.window.health().why), (HealthState::Open, Some("connect")));
    b
}

#[test]
fn two_start_then_more_as_they_arrive() {
    let mut b = Bench::with(Order::None, looked_after());
    for place in 1..=20 {
        b.offer(place, "");
    }
    assert_eq!(b.starts(), [1, 2]);
    b.ok(1);
    assert_eq!(b.starts(), [3]);
    b.ok(2);
    b.ok(3);
    assert_eq!(b.starts(), [4, 5, 6]);
}

#[test]
fn while_it_is_left_alone_nothing_is_read_and_no_try_is_spent() {
    let mut b = left_alone(Order::None);
    b.settle();
    assert_eq!(b.window.room(), 0, "the reader stops");
    assert!(!b.try_offer(6, ""));
    // All five are due after ten seconds; their time passes.
    b.pass_secs(20);
    assert_eq!((b.starts(), b.window.wants(b.now)), (NOTHING.to_vec(), None));
    let next = b.window.next_timeout().unwrap();
    assert_eq!(next, T0 + OPEN_FIRST);
    b.now = next;
    assert_eq!(b.window.wants(b.now), Some(Wants::Fresh));
    assert_eq!(b.starts(), [1], "one, the oldest");
    assert_eq!((b.started[&1].via, b.started[&1].try_no), (Via::Probe, 2));
    assert_eq!(b.window.health().state, HealthState::Probing);
    b.answer(1, &failed("connect"));
    assert_eq!(
        b.exceptions(),
        "1:retrying+130/2 2:retrying+10/1 3:retrying+10/1 4:retrying+10/1 5:retrying+10/1",
        "it was due, so it spent one"
    );
    // The next probe asks with the oldest again, which is not due: that is no try.
    b.now = b.window.next_timeout().unwrap().max(T0 + Duration::from_secs(90));
    assert_eq!(b.starts(), [1]);
    assert_eq!(b.started[&1].try_no, 3);
    b.answer(1, &failed("connect"));
    assert_eq!(b.exceptions(), "1:retrying+130/2 2:retrying+10/1 3:retrying+10/1 4:retrying+10/1 5:retrying+10/1");
    // It works: three one after the other, then all together.
    b.settle();
    b.now = b.window.next_timeout().unwrap();
    for place in [1, 2, 3] {
        assert_eq!(b.starts(), [place]);
        b.ok(place);
    }
    assert_eq!(b.starts(), [4, 5]);
    b.ok(4);
    assert_eq!((b.window.health().state, b.window.room() > 0), (HealthState::Ok, true));
}

#[test]
fn with_nothing_pending_one_event_is_read_to_ask_with() {
    let mut b = left_alone(Order::None);
    b.pass_secs(40);
    for place in 1..=2 {
        assert_eq!(b.starts(), [place]);
        b.ok(place);
    }
    for place in 3..=5 {
        b.window.retry_now(place, b.now).ok();
    }
    assert_eq!(b.starts(), [5], "what was asked for last is asked with first");
    b.answer(5, &failed("connect"));
    for place in [3, 4, 5] {
        b.pass_secs(1_000);
        if b.starts().contains(&place) {
            b.answer(place, &failed("connect"));
        }
    }
    let mut b = Bench::with(Order::None, Limits { delays: vec![], ..looked_after() });
    for place in 1..=5 {
        b.offer(place, "");
        b.starts();
        b.answer(place, &failed("connect"));
    }
    assert_eq!((b.window.counts().parked, b.window.room()), (5, 1));
    b.offer(6, "");
    assert_eq!((b.window.room(), b.starts()), (0, vec![]));
    b.settle();
    b.now = b.window.next_timeout().unwrap();
    assert_eq!(b.starts(), [6]);
}

#[test]
fn a_retry_by_hand_asks_at_once() {
    let mut b = left_alone(Order::None);
    b.window.retry_now(4, b.now).unwrap();
    assert_eq!(b.starts(), [4]);
    assert_eq!(b.started[&4].via, Via::Manual);
    b.answer(4, &failed("connect"));
    assert!(b.exceptions().contains("4:retrying+100/2"), "it was asked for: it spent one. {}", b.exceptions());
}

#[test]
fn a_subject_stays_in_order_through_a_breaker() {
    let mut b = Bench::with(Order::Subject, Limits { delays: vec![10; 9], ..looked_after() });
    for place in 1..=8 {
        b.offer(place, "/a");
    }
    for _ in 0..5 {
        assert_eq!(b.starts(), [1]);
        b.answer(1, &failed("connect"));
        b.pass_secs(300);
    }
    b.pass_secs(3_600);
    let mut order = vec![];
    for _ in 0..20 {
        for place in b.starts() {
            order.push(place);
            b.ok(place);
        }
        b.pass_secs(1);
    }
    assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn while_it_is_us_no_try_is_spent_and_nothing_parked() {
    let mut b = Bench::with(Order::None, Limits { delays: vec![10], ..looked_after() });
    b.window.set_frozen(true, b.now);
    b.offer(1, "");
    for _ in 0..20 {
        assert_eq!(b.starts(), [1]);
        assert_eq!(b.started[&1].try_no, 1);
        let effect = b.answer(1, &failed("connect"));
        assert!(matches!(effect, Effect { next: Next::RetryAt(_), gone: false, notice: Notice::Nothing }));
        b.pass_secs(3_600);
    }
    b.window.set_frozen(false, b.now);
    assert_eq!(b.starts(), [1]);
    b.answer(1, &failed("status"));
    b.pass_secs(20);
    b.starts();
    assert_eq!(b.answer(1, &failed("status")).next, Next::Park { reason: "tries-exhausted" });
}

#[test]
fn a_rate_makes_them_wait_and_spends_nothing() {
    let rules = Some(Rules { concurrency_max: 10, rate_max_per_s: Some(1) });
    let mut b = Bench::with(Order::None, Limits { rules, ..limits() });
    b.offer(1, "");
    b.offer(2, "");
    assert_eq!(b.starts(), [1]);
    let next = b.window.next_timeout().unwrap();
    assert!(next > b.now && next <= b.now + Duration::from_secs(1));
    b.ok(1);
    b.settle();
    assert_eq!((b.starts(), b.window.next_timeout()), (vec![], Some(next)));
    b.now = next;
    assert_eq!(b.starts(), [2]);
    assert_eq!(b.started[&2].try_no, 1);
}

#[test]
fn a_probe_that_is_asked_for_patience_moves_what_is_due() {
    let mut b = left_alone(Order::None);
    b.pass_secs(31);
    assert_eq!(b.starts(), [1]);
    b.answer(1, &failed("connect"));
    // 1 is due at +131 now; the next probe asks before that.
    b.pass_secs(61);
    assert_eq!(b.starts(), [1]);
    let patience = Some(Duration::from_secs(600));
    b.answer(1, &Outcome::Failed { status_code: Some(503), reason: "status", retry_after: patience });
    assert!(b.exceptions().starts_with("1:retrying+692/2"), "{}", b.exceptions());
}
