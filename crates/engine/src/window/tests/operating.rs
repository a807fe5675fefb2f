//! Cancelling one delivery, and the tries of replays beside those of the window.

use super::*;
use crate::retry::Next;

const SOME: usize = 9;

impl Bench {
    fn cancel(&mut self, place: Place) -> Result<(), CancelRefused> {
        self.window.cancel(place, "cancelled", SOME, self.now).map(drop)
    }

    /// Starts a replay's try if the window lets it.
    fn replay(&mut self, place: Place, subject: &str) -> bool {
        let subject = Subject::parse(subject).ok();
        let may = self.window.may_replay(self.now) && !self.window.is_busy(place, subject.as_ref(), 1);
        if may {
            self.window.start_replay(place, subject, self.now);
        }
        may
    }

    #[track_caller]
    fn replayed(&mut self, place: Place, tries: u32, outcome: &Outcome) -> Replayed {
        self.attempts += 1;
        let start = Start { place, event: EventId::from_bits(u128::from(place)), revision: 1, try_no: tries, via: Via::Replay };
        let attempt = attempt(self.attempts, &start, outcome, self.now);
        self.window.handle_replayed(place, tries, attempt, outcome, self.now, 0.5).expect("a try of a replay was in flight")
    }
}

/// Two parked ones, at 1 and 2, with the cursor behind both.
fn with_parked(limits: Limits) -> Bench {
    let exceptions = vec![row(1, "/a", 3, parked()), row(2, "/b", 3, parked())];
    Bench::resumed(Resume { cursor: 5, exceptions, ..Resume::default() }, Order::Subject, limits)
}

#[test]
fn what_is_cancelled_is_skipped_in_the_settlement_that_passes_it() {
    let mut b = Bench::new(Order::None);
    for place in 1..=3 {
        b.offer(place, "");
    }
    assert_eq!(b.cancel(1), Ok(()));
    assert_eq!(b.starts(), [2, 3]);
    b.ok(2);
    let stored = b.settle().expect("something to store");
    assert_eq!((stored.cursor, stored.skipped), (2, vec![SkippedRange { why: "cancelled".into(), ..range(0, 1) }]));
    assert!(b.window.is_skipped(1) && b.window.exception(1).is_none());
}

#[test]
fn an_exception_goes_in_the_same_step_and_frees_its_place() {
    let mut b = with_parked(Limits { exceptions_max: 2, ..limits() });
    assert_eq!(b.window.room(), 0);
    assert_eq!(b.cancel(2), Ok(()));
    assert_eq!(b.window.room(), 1);
    let stored = b.settle().expect("something to store");
    assert_eq!((stored.removed, stored.skipped.len(), stored.exceptions.len()), (vec![2], 1, 0));
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/3");
}

#[test]
fn the_next_of_a_subject_does_not_wait_for_one_that_was_cancelled() {
    let mut b = Bench::new(Order::Subject);
    b.offer(1, "/a");
    b.starts();
    b.fail(1);
    b.offer(2, "/a");
    assert_eq!(b.exceptions(), "1:retrying+10/1 2:held/0");
    assert_eq!(b.cancel(1), Ok(()));
    assert_eq!(b.starts(), [2]);
}

#[test]
fn what_is_under_way_or_over_is_not_cancelled() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    assert_eq!(b.cancel(1), Err(CancelRefused::InFlight));
    b.ok(1);
    assert_eq!(b.cancel(1), Err(CancelRefused::NotPending));
    // Whoever asks about what was not read yet has seen that it is owed.
    assert_eq!(b.cancel(7), Ok(()));
    assert_eq!(b.cancel(7), Err(CancelRefused::NotPending), "twice is once");
    b.offer(7, "");
    assert_eq!((b.starts(), b.window.read()), (vec![], 7));
    let mut b = with_parked(limits());
    assert!(b.replay(1, "/a"));
    assert_eq!(b.cancel(1), Err(CancelRefused::InFlight));
    assert_eq!(b.window.retry_now(1, T0), Err(RetryRefused::InFlight));
}

#[test]
fn stretches_are_bounded() {
    let mut b = Bench::new(Order::None);
    for no in 0..SOME as u64 {
        assert_eq!(b.cancel(10 + 2 * no), Ok(()));
    }
    assert_eq!(b.cancel(99), Err(CancelRefused::TooMany));
}

#[test]
fn a_cancellation_that_was_not_stored_is_in_the_next_settlement() {
    let mut b = with_parked(limits());
    assert_eq!(b.cancel(1), Ok(()));
    let first = b.window.take_settlement().expect("something to store");
    b.window.put_back(first.clone(), T0);
    assert_eq!(b.settle(), Some(first));
    assert_eq!(b.settle(), None);
}

#[test]
fn a_replay_that_arrives_removes_the_parked_one_and_one_that_fails_leaves_it() {
    let mut b = with_parked(limits());
    assert!(b.replay(1, "/a") && b.replay(2, "/b"));
    assert!(!b.replay(1, "/a"), "it is busy");
    let failed = b.replayed(1, 1, &failed("status"));
    assert!(matches!(failed.next, Next::RetryAt(_)) && failed.spent);
    assert_eq!(b.replayed(2, 1, &OK).next, Next::Delivered);
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/3", "as it was, tries included");
    let stored = b.settle().expect("something to store");
    assert_eq!((stored.attempts.len(), stored.removed, stored.exceptions.len()), (2, vec![2], 0));
}

#[test]
fn a_replay_gives_up_after_its_own_tries() {
    let mut b = with_parked(limits());
    for tries in 1..=4 {
        assert!(b.replay(1, "/a"));
        let next = b.replayed(1, tries, &failed("status")).next;
        assert_eq!(matches!(next, Next::Park { .. }), tries == 4, "{tries}: {next:?}");
    }
}

#[test]
fn a_replay_pays_nothing_for_want_of_a_token() {
    let mut b = with_parked(limits());
    for _ in 0..10 {
        assert!(b.replay(1, "/a"));
        let replayed = b.replayed(1, 4, &failed("token-refused"));
        assert!(matches!(replayed.next, Next::RetryAt(_)) && !replayed.spent, "{replayed:?}");
    }
}

#[test]
fn what_is_owed_comes_first_and_replays_hold_the_share_of_retries_at_most() {
    let mut b = with_parked(Limits { concurrency_max: 10, ..limits() });
    for place in 6..=40 {
        b.offer(place, &format!("/s/{place}"));
    }
    let mut replays = 0;
    for place in 100..200 {
        if b.replay(place, "") {
            replays += 1;
        }
        if let Some(start) = b.window.poll_start(b.now) {
            b.started.insert(start.place, start);
        }
    }
    assert_eq!((replays, b.window.in_flight()), (3, 10));
}

#[test]
fn a_replay_waits_for_its_subject_and_its_subject_for_it() {
    let mut b = with_parked(limits());
    b.offer(6, "/a");
    assert_eq!(b.starts(), [6]);
    assert!(!b.replay(1, "/a"), "one of its subject is in flight");
    b.ok(6);
    assert!(b.replay(1, "/a"));
    b.offer(7, "/a");
    assert_eq!(b.starts(), NOTHING);
    b.replayed(1, 1, &OK);
    assert_eq!(b.starts(), [7]);
}

#[test]
fn nothing_is_replayed_while_paused_in_the_shadow_or_unroutable() {
    let mut b = with_parked(limits());
    b.window.set_active(false, T0);
    assert!(!b.replay(1, "/a"));
    b.window.set_active(true, T0);
    b.window.set_shadow(true, T0);
    assert!(!b.replay(1, "/a"), "nothing is sent from the shadow");
    b.window.set_shadow(false, T0);
    assert!(b.replay(1, "/a"));
    let held = b.replayed(1, 1, &UNROUTABLE);
    assert!(matches!(held.next, Next::Hold { .. }) && !held.spent);
    assert!(!b.replay(1, "/a"));
    assert_eq!(b.window.next_replay(), Some(T0 + UNROUTABLE_RECHECK));
    b.pass(UNROUTABLE_RECHECK);
    assert!(b.replay(1, "/a"));
}
