//! In the shadow nothing is sent, and everything is accounted for.

use super::*;

fn shade(from: Place, to: Place, matched: u64) -> SkippedRange {
    SkippedRange { why: "shadow".into(), matched, ..range(from, to) }
}

#[track_caller]
fn skipped(b: &mut Bench) -> Vec<SkippedRange> {
    b.settle().map(|it| it.skipped).unwrap_or_default()
}

#[test]
fn what_matches_is_settled_and_never_starts() {
    let mut b = Bench::new(Order::None);
    b.window.set_shadow(true, b.now);
    b.offer(3, "/a");
    b.offer(5, "/a");
    assert!(b.window.offer(7, None, b.now), "it does not match");
    assert_eq!((b.starts(), b.window.cursor(), b.window.in_flight()), (vec![], 7, 0));
    assert_eq!(b.window.settle_due(), Some(b.now + limits::SETTLE_AGE_MAX));
    assert_eq!(skipped(&mut b), [shade(2, 7, 2)], "one stretch, also over what does not match");
    b.offer(9, "");
    assert_eq!(skipped(&mut b), [shade(2, 9, 3)], "which grows");
    assert_eq!((b.window.shadowed_count(), b.window.is_skipped(5), b.window.pending_settlement()), (3, true, false));
}

#[test]
fn what_was_in_flight_ends_and_the_rest_is_read_again() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 2, ..limits() });
    for place in 1..=5 {
        b.offer(place, "");
    }
    assert_eq!(b.starts(), [1, 2]);
    b.fail(1);
    assert_eq!(b.starts(), [3]);
    b.window.set_shadow(true, b.now);
    assert_eq!((b.window.read(), b.window.queued(), b.window.cursor()), (3, 0, 1));
    b.offer(4, "");
    b.offer(5, "");
    b.ok(2);
    b.fail(3);
    assert_eq!(b.window.cursor(), 5);
    b.pass_secs(1_000);
    assert_eq!(b.starts(), NOTHING, "what failed waits");
    assert_eq!(b.window.retry_now(1, b.now), Err(RetryRefused::NotActive));
    let it = b.settle().unwrap();
    assert_eq!((it.skipped, it.attempts.len(), it.cursor), (vec![shade(3, 5, 2)], 3, 5));
    b.window.set_shadow(false, b.now);
    b.offer(6, "");
    let mut all = b.starts();
    all.extend(b.starts());
    all.sort_unstable();
    assert_eq!(all, [1, 6], "and goes on, with what comes");
    assert_eq!(b.exceptions(), "1:retrying+10/1 3:retrying+10/1");
}

#[test]
fn one_that_was_not_sent_after_all_is_read_again() {
    let mut b = Bench::new(Order::Subject);
    b.offer(1, "/a");
    b.offer(2, "/b");
    assert_eq!(b.starts(), [1, 2]);
    b.window.set_shadow(true, b.now);
    b.offer(3, "/a");
    b.window.handle_abort(1, b.now);
    assert_eq!((b.window.read(), b.window.cursor()), (0, 0));
    for (place, subject) in [(1, "/a"), (2, "/b"), (3, "/a")] {
        b.offer(place, subject);
    }
    assert_eq!(b.window.in_flight(), 1, "the one that is in flight is not taken twice");
    b.ok(2);
    let it = b.settle().unwrap();
    assert_eq!((it.skipped, it.cursor), (vec![shade(2, 3, 1), shade(0, 1, 1)], 3));
    assert_eq!(b.window.shadowed_count(), 2);
}

#[test]
fn each_time_has_its_own_stretch() {
    let mut b = Bench::new(Order::None);
    b.window.set_shadow(true, b.now);
    b.offer(1, "");
    assert_eq!(skipped(&mut b), [shade(0, 1, 1)]);
    b.window.set_shadow(false, b.now);
    b.offer(2, "");
    assert_eq!(b.starts(), [2]);
    b.ok(2);
    b.settle();
    b.window.set_shadow(true, b.now);
    b.offer(3, "");
    assert_eq!(skipped(&mut b), [shade(2, 3, 1)], "2 was delivered");
    assert_eq!(b.window.shadowed_count(), 2);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let skipped_before = vec![shade(0, 1, 1), shade(3, 6, 2), SkippedRange { generation: 9, ..shade(0, 99, 7) }];
    let mut b = Bench::resumed(Resume { cursor: 6, skipped: skipped_before, ..Resume::default() }, Order::None, limits());
    b.window.set_shadow(true, b.now);
    assert_eq!(b.window.shadowed_count(), 3);
    b.offer(7, "");
    assert_eq!(skipped(&mut b), [shade(3, 7, 3)]);
}

#[test]
fn what_was_not_stored_is_written_again_with_what_came_since() {
    let mut b = Bench::new(Order::None);
    b.window.set_shadow(true, b.now);
    b.offer(1, "");
    let taken = b.window.take_settlement().unwrap();
    b.offer(2, "");
    b.window.put_back(taken, b.now);
    assert!(b.window.pending_settlement());
    assert_eq!(skipped(&mut b), [shade(0, 2, 2)]);
}

#[test]
fn it_takes_as_much_as_a_settlement_holds() {
    let mut b = Bench::new(Order::None);
    b.window.set_shadow(true, b.now);
    let most = limits::SETTLE_COMPLETIONS_MAX as Place;
    for place in 1..=most {
        b.offer(place, "");
    }
    assert!(!b.try_offer(most + 1, ""));
    assert_eq!(b.window.settle_due(), Some(b.now));
    b.settle();
    assert!(b.try_offer(most + 1, ""));
}

#[test]
fn stretches_never_overlap() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    assert_eq!(b.starts(), [1]);
    b.window.set_shadow(true, b.now);
    b.offer(3, "");
    b.window.handle_abort(1, b.now);
    for place in [1, 3, 4] {
        b.offer(place, "");
    }
    assert_eq!(skipped(&mut b), [shade(2, 3, 1), shade(0, 1, 1), shade(3, 4, 1)]);
    assert_eq!((b.window.cursor(), b.window.shadowed_count()), (4, 3));
}

#[test]
fn a_stretch_never_grows_over_what_was_delivered_and_is_forgotten() {
    let mut b = Bench::with(Order::Subject, Limits { concurrency_max: 2, ..limits() });
    for (place, subject) in [(1, "/a"), (2, "/a"), (3, "/b")] {
        b.offer(place, subject);
    }
    assert_eq!(b.starts(), [1, 3]);
    b.ok(3);
    b.ok(1);
    b.window.set_shadow(true, b.now);
    assert_eq!(b.window.read(), 1, "2 had not started");
    b.offer(2, "/a");
    b.offer(3, "/b");
    let it = b.settle().unwrap();
    assert_eq!((it.skipped, it.cursor), (vec![shade(1, 2, 1)], 3));
    b.offer(4, "");
    assert_eq!(skipped(&mut b), [shade(3, 4, 1)], "3 was delivered");
}

#[test]
fn nothing_waits_for_an_address_that_nobody_asks() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    assert_eq!(b.starts(), [1]);
    b.window.set_shadow(true, b.now);
    b.answer(1, &UNROUTABLE);
    b.offer(1, "");
    assert_eq!((b.window.cursor(), skipped(&mut b)), (1, vec![shade(0, 1, 1)]));
    b.window.set_shadow(false, b.now);
    b.offer(2, "");
    assert_eq!(b.starts(), [2]);
}
