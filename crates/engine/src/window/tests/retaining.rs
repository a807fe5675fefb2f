//! What goes with its event.

use super::*;

#[test]
fn a_retry_in_the_air_is_announced_once_and_is_the_last() {
    let mut b = Bench::new(Order::None);
    for place in [1, 2, 3] {
        b.offer(place, "");
    }
    b.starts();
    for place in [1, 2, 3] {
        b.fail(place);
    }
    b.settle();
    b.pass_secs(10);
    assert_eq!(b.starts(), [1, 2, 3]);
    assert_eq!(b.window.below(2), 2, "a crash from here on would leave nothing that knows of them");
    assert_eq!(b.window.drop_below(2, b.now), 0, "they end first");
    assert_eq!(b.window.below(2), 0, "once is enough");
    b.ok(1);
    b.fail(2);
    b.fail(3);
    assert_eq!(b.exceptions(), "3:retrying+110/2", "what lies above the floor goes on");
    let settling = b.settle().unwrap();
    assert_eq!(settling.attempts.len(), 3);
    b.pass_secs(100);
    assert_eq!(b.starts(), [3]);
}

#[test]
fn one_that_came_back_without_a_verdict_goes_with_the_next_look() {
    let mut b = Bench::new(Order::Subject);
    b.offer(1, "/a");
    b.offer(2, "/a");
    b.starts();
    b.fail(1);
    b.pass_secs(10);
    assert_eq!(b.starts(), [1]);
    b.window.drop_below(1, b.now);
    b.started.clear();
    b.window.handle_abort(1, b.now);
    assert_eq!((b.window.below(1), b.window.drop_below(1, b.now)), (0, 1));
    b.pass(ABORT_PAUSE);
    assert_eq!(b.starts(), [2], "its subject is free");
}
