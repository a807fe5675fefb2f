//! Pausing, skipping, and what has to be written down when.

use super::*;

// ---- Pausing and skipping ----

#[test]
fn paused_means_that_nothing_new_starts() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.offer(2, "");
    b.starts();
    b.fail(2);
    b.offer(3, "");
    b.window.set_active(false, b.now);
    assert_eq!((b.window.room(), b.starts()), (0, vec![]));
    assert!(!b.try_offer(4, ""));
    b.ok(1);
    assert_eq!(b.window.cursor(), 2, "what was in flight settles");
    b.settle();
    b.pass_secs(100);
    assert_eq!((b.starts(), b.window.next_timeout()), (vec![], None));
    assert_eq!(b.exceptions(), "2:retrying+10/1", "due_at stands");
    b.window.set_active(true, b.now);
    assert_eq!(b.starts(), [2, 3]);
}

#[test]
fn skipping_cuts_around_what_is_not_owed_or_not_over() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 4, ..limits() });
    for place in 1..=7 {
        b.offer(place, "");
    }
    assert_eq!(b.starts(), [1, 2, 3, 4]);
    b.ok(3);
    b.fail(2);
    b.window.set_active(false, b.now);
    let plan = b.window.plan_skip(20, "resumed-from-now");
    assert_eq!(plan, [range(4, 20)], "1 and 4 are in flight, 2 is an exception, 3 is done");
    b.window.skip(&plan, 20, b.now);
    assert_eq!((b.window.read(), b.window.cursor(), b.window.queued()), (20, 0, 0));
    assert_eq!(b.window.plan_skip(22, "again"), [SkippedRange { why: "again".into(), ..range(20, 22) }]);
    b.ok(1);
    assert_eq!(b.window.cursor(), 3);
    b.ok(4);
    assert_eq!(b.window.cursor(), 20);
    assert_eq!(b.exceptions(), "2:retrying+10/1");
    assert_eq!(b.window.plan_skip(20, "nothing to skip"), vec![]);
    assert_eq!(b.window.plan_skip(3, "nothing to skip"), vec![]);
    b.window.set_active(true, b.now);
    b.offer(21, "");
    assert_eq!(b.starts(), [21]);
}

#[test]
fn a_plan_has_a_hole_for_each_that_stays() {
    let exceptions = vec![row(3, "", 1, parked()), row(12, "", 1, parked()), row(15, "", 1, parked())];
    let resume = Resume { cursor: 5, exceptions, delivered_above: vec![6, 8, 9], skipped: vec![range(10, 11), range(13, 14)] };
    let mut b = Bench::resumed(resume, Order::None, limits());
    assert_eq!(b.window.plan_skip(20, "resumed-from-now"), [range(6, 7), range(9, 10), range(12, 13), range(15, 20)]);
    assert_eq!(b.window.plan_skip(10, "resumed-from-now"), [range(6, 7), range(9, 10)]);
}

#[test]
fn a_skip_takes_the_rest_of_a_subject_too() {
    let mut b = Bench::new(Order::Subject);
    for place in 1..=4 {
        b.offer(place, "/a");
    }
    assert_eq!(b.starts(), [1]);
    b.window.set_active(false, b.now);
    let plan = b.window.plan_skip(4, "resumed-from-now");
    b.window.skip(&plan, 4, b.now);
    b.window.set_active(true, b.now);
    b.offer(5, "/a");
    assert_eq!(b.starts(), NOTHING, "1 is still in flight");
    b.fail(1);
    assert_eq!(b.exceptions(), "1:retrying+10/1 5:held/0");
}

#[test]
fn a_skip_frees_the_room_of_what_was_done_behind_it() {
    let mut b = Bench::with(Order::None, Limits { events_max: 3, ..limits() });
    for place in 1..=3 {
        b.offer(place, "");
    }
    b.starts();
    b.ok(2);
    b.ok(3);
    b.window.handle_abort(1, b.now);
    b.settle();
    assert_eq!((b.window.room(), b.window.settle_due()), (0, None));
    b.window.set_active(false, b.now);
    let plan = b.window.plan_skip(3, "resumed-from-now");
    assert_eq!(plan, [range(0, 1)]);
    b.window.skip(&plan, 3, b.now);
    b.window.set_active(true, b.now);
    assert_eq!(b.window.room(), 1);
    assert!(b.window.settle_due().is_some_and(|it| it <= b.now), "the cursor alone is worth a settlement here");
    assert_eq!(b.settle().map(|it| (it.cursor, it.attempts.len())), Some((3, 0)));
    assert_eq!((b.window.room(), b.window.settle_due()), (3, None));
}

// ---- Settling ----

#[test]
fn a_settlement_is_due_a_while_after_the_first_completion_or_when_there_are_many() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 300, events_max: 1_000, exceptions_max: 1_000, ..limits() });
    for place in 1..=300 {
        b.offer(place, "");
    }
    b.starts();
    assert_eq!((b.window.pending_settlement(), b.window.settle_due()), (false, None));
    b.ok(1);
    b.pass(Duration::from_millis(30));
    b.ok(2);
    let due = T0 + limits::SETTLE_AGE_MAX;
    assert_eq!((b.window.settle_due(), b.window.next_timeout()), (Some(due), Some(due)));
    for place in 3..=255 {
        b.ok(place);
    }
    assert_eq!(b.window.settle_due(), Some(due));
    b.ok(256);
    assert_eq!(b.window.settle_due(), Some(T0), "256 completions do not wait");
    let taken = b.window.take_settlement().unwrap();
    assert_eq!((taken.cursor, taken.attempts.len()), (256, 256));
    assert_eq!(b.window.state_of(256), Some(InWindow::Done));
    b.ok(257);
    assert_eq!((b.window.settle_due(), b.window.take_settlement()), (None, None), "one at a time");
    b.window.handle_settled(256);
    assert_eq!((b.window.state_of(256), b.window.state_of(257)), (None, Some(InWindow::Done)));
    assert_eq!(b.window.settle_due(), Some(b.now + limits::SETTLE_AGE_MAX));
}

#[test]
fn a_settlement_says_what_is_not_what_was() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    b.fail(1);
    let first = b.settle().unwrap();
    assert_eq!((first.cursor, first.attempts.len(), first.exceptions[0].tries, first.removed.len()), (1, 1, 1, 0));
    assert_eq!((first.exceptions[0].revision, first.exceptions[0].generation), (1, 1));
    b.pass_secs(10);
    b.starts();
    b.fail(1);
    b.pass_secs(100);
    b.starts();
    b.ok(1);
    let second = b.settle().unwrap();
    assert_eq!((second.attempts.len(), second.exceptions, second.removed), (2, vec![], vec![1]));
    assert_eq!(b.settle(), None);
}

#[test]
fn what_is_put_back_is_part_of_the_next() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.offer(2, "");
    b.starts();
    b.fail(1);
    let first = b.window.take_settlement().unwrap();
    b.ok(2);
    b.pass_secs(10);
    b.starts();
    b.fail(1);
    let retry_at = b.now + Duration::from_secs(2);
    b.window.put_back(first.clone(), retry_at);
    assert!(b.window.settle_due().is_some_and(|it| it >= retry_at), "not at once again");
    let second = b.settle().unwrap();
    assert_eq!(second.attempts.iter().map(|it| it.place).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(second.attempts[0], first.attempts[0]);
    assert_eq!((second.cursor, second.exceptions.len(), second.exceptions[0].tries), (2, 1, 2));
    assert_eq!((b.window.pending_settlement(), b.window.settle_due()), (false, None));
}

#[test]
fn the_cursor_alone_is_written_only_when_asked_for() {
    let mut b = Bench::new(Order::None);
    b.window.advance_read(500);
    assert_eq!((b.window.cursor_lag(), b.window.settle_due(), b.window.pending_settlement()), (500, None, false));
    assert_eq!(b.settle(), Some(Settling { cursor: 500, attempts: vec![], exceptions: vec![], removed: vec![], skipped: vec![] }));
    assert_eq!((b.window.cursor_lag(), b.settle()), (0, None));
    b.window.handle_settled(3);
    assert_eq!(b.window.cursor_lag(), 0, "never back");
}

#[test]
fn where_a_place_stands() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 3, ..limits() });
    for place in 1..=4 {
        b.offer(place, "");
    }
    b.starts();
    b.fail(2);
    b.ok(3);
    for (place, want) in [(1, Some(InWindow::InFlight)), (2, None), (3, Some(InWindow::Done)), (4, Some(InWindow::Queued)), (5, None)] {
        assert_eq!(b.window.state_of(place), want, "{place}");
    }
    assert!(b.window.exception(2).is_some());
    b.pass_secs(10);
    b.starts();
    assert_eq!(b.window.state_of(2), Some(InWindow::InFlight));
}
