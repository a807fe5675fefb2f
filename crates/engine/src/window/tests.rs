//! One table for each rule of the window. Whether they hold together is `model`'s.

mod breaker;
mod expiring;
mod health;
mod operating;
mod retaining;
mod settling;
mod shadow;

use super::{model::attempt, *};
use crate::retry::Next;
use core::time::Duration;
use ringback_model::{
    delivery::{Outcome, Via},
    event::PayloadForm,
};

const T0: Timestamp = Timestamp::from_secs(1_000_000);

struct Bench {
    window: Window,
    now: Timestamp,
    started: BTreeMap<Place, Start>,
    attempts: u64,
}

fn revision(no: RevisionNo, order: Order) -> Revision {
    Revision { no, from: 0, types: vec![], filter: None, payload: PayloadForm::Full, order, public_url: String::new() }
}

fn limits() -> Limits {
    Limits { concurrency_max: 10, delays: vec![10, 100], events_max: 100, exceptions_max: 50, rules: None }
}

fn failed(reason: &'static str) -> Outcome {
    Outcome::Failed { status_code: None, reason, retry_after: None }
}

const OK: Outcome = Outcome::Delivered { status_code: 200 };
const NOTHING: [Place; 0] = [];
const UNROUTABLE: Outcome = Outcome::Unroutable { reason: "unresolved" };

impl Bench {
    fn with(order: Order, limits: Limits) -> Self {
        Self::resumed(Resume::default(), order, limits)
    }

    fn new(order: Order) -> Self {
        Self::with(order, limits())
    }

    fn resumed(resume: Resume, order: Order, limits: Limits) -> Self {
        let window = Window::new(resume, 1, limits, &[revision(1, order), revision(2, Order::Subject)], T0);
        Self { window, now: T0, started: BTreeMap::new(), attempts: 0 }
    }

    fn try_offer(&mut self, place: Place, subject: &str) -> bool {
        let subject = Subject::parse(subject).ok();
        self.window.offer(
            place,
            Some(Offer { event: EventId::from_bits(u128::from(place)), subject, revision: 1, expires_at: None }),
            self.now,
        )
    }

    #[track_caller]
    fn offer(&mut self, place: Place, subject: &str) {
        assert!(self.try_offer(place, subject), "{place} was refused");
    }

    /// Everything that may start now, in order.
    fn starts(&mut self) -> Vec<Place> {
        let mut all = vec![];
        while let Some(start) = self.window.poll_start(self.now) {
            all.push(start.place);
            self.started.insert(start.place, start);
        }
        all
    }

    #[track_caller]
    fn answer(&mut self, place: Place, outcome: &Outcome) -> Effect {
        let start = self.started.remove(&place).unwrap_or_else(|| panic!("{place} was not started"));
        self.attempts += 1;
        let attempt = attempt(self.attempts, &start, outcome, self.now);
        self.window.handle_outcome(place, attempt, outcome, self.now, 0.5).unwrap()
    }

    #[track_caller]
    fn fail(&mut self, place: Place) -> Next {
        self.answer(place, &failed("status")).next
    }

    #[track_caller]
    fn ok(&mut self, place: Place) {
        assert_eq!(self.answer(place, &OK).next, Next::Delivered);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn pass_secs(&mut self, secs: u64) {
        self.pass(Duration::from_secs(secs));
    }

    fn settle(&mut self) -> Option<Settling> {
        let it = self.window.take_settlement()?;
        self.window.handle_settled(it.cursor);
        Some(it)
    }

    /// `place:state/tries` of every exception.
    fn exceptions(&self) -> String {
        let state = |it: &Exception| match &it.state {
            ExceptionState::Retrying { due_at } => format!("retrying+{}", due_at.since(T0).as_secs()),
            ExceptionState::Held => "held".into(),
            ExceptionState::Parked { reason, .. } => format!("parked {reason}"),
        };
        self.window.exceptions().map(|it| format!("{}:{}/{}", it.place, state(it), it.tries)).collect::<Vec<_>>().join(" ")
    }
}

fn row(place: Place, subject: &str, tries: u32, state: ExceptionState) -> Exception {
    Exception {
        place,
        event: EventId::from_bits(u128::from(place)),
        subject: Subject::parse(subject).ok(),
        revision: 1,
        generation: 1,
        tries,
        state,
        created_at: T0,
        expires_at: None,
    }
}

fn parked() -> ExceptionState {
    ExceptionState::Parked { reason: "tries-exhausted".into(), at: T0 }
}

fn range(from: Place, to: Place) -> SkippedRange {
    SkippedRange { generation: 1, from, to, why: "resumed-from-now".into(), matched: 0 }
}

// ---- Reading and the cursor ----

#[test]
fn the_cursor_is_the_low_water_mark() {
    let mut b = Bench::new(Order::None);
    for place in 1..=4 {
        b.offer(place, "");
    }
    b.window.advance_read(6);
    b.offer(9, "");
    assert_eq!((b.window.read(), b.window.cursor()), (9, 0));
    assert_eq!(b.starts(), [1, 2, 3, 4, 9]);
    b.ok(2);
    b.ok(3);
    assert_eq!(b.window.cursor(), 0);
    b.ok(1);
    assert_eq!(b.window.cursor(), 3);
    b.fail(4);
    assert_eq!(b.window.cursor(), 8, "an exception does not keep it back, nor does what does not match");
    b.ok(9);
    assert_eq!(b.window.cursor(), 9);
}

#[test]
fn what_is_settled_already_is_not_taken_again() {
    let resume = Resume {
        cursor: 10,
        exceptions: vec![row(5, "", 1, parked()), row(12, "", 1, parked())],
        delivered_above: vec![13, 14],
        skipped: vec![range(15, 17), SkippedRange { generation: 9, ..range(18, 19) }],
    };
    let mut b = Bench::resumed(resume, Order::None, limits());
    for place in 8..=19 {
        b.offer(place, "");
    }
    assert_eq!(b.starts(), [11, 15, 18, 19], "a range of another generation does not count");
    assert_eq!(b.window.read(), 19);
    b.offer(19, "");
    b.window.advance_read(3);
    assert_eq!((b.window.read(), b.starts()), (19, vec![]), "one call too many is harmless");
}

#[test]
fn room_is_bounded_by_the_window_and_by_exceptions() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 2, events_max: 5, exceptions_max: 7, ..limits() });
    assert_eq!(b.window.room(), 5);
    for place in 1..=5 {
        b.offer(place, "");
    }
    assert_eq!(b.window.room(), 0);
    assert!(!b.try_offer(6, ""));
    assert_eq!(b.window.read(), 5, "a refused event is not read");
    assert!(b.window.offer(6, None, b.now), "what does not match needs no room");
    b.starts();
    b.ok(2);
    assert_eq!(b.window.room(), 0, "done out of order still takes room");
    b.fail(1);
    assert_eq!(b.window.room(), 1, "an exception does not");
    b.settle();
    assert_eq!(b.window.room(), 2, "nor does what the stored cursor has passed");
    assert_eq!(b.starts(), [3, 4]);
    b.fail(3);
    b.fail(4);
    // Three exceptions and one queued: each event reserves an exception.
    assert_eq!(b.window.room(), 3);
}

#[test]
fn too_many_exceptions_stop_the_reader() {
    let mut b = Bench::with(Order::None, Limits { exceptions_max: 2, ..limits() });
    b.offer(1, "");
    b.offer(2, "");
    assert!(!b.try_offer(3, ""));
    b.starts();
    b.fail(1);
    assert_eq!(b.window.health().why, Some("status"));
    b.pass_secs(1);
    b.fail(2);
    assert_eq!(b.window.health(), Health { state: HealthState::Failing, why: Some("exceptions-full"), since: Some(b.now) });
    assert_eq!((b.window.room(), b.window.cursor()), (0, 2));
    b.pass_secs(60);
    b.starts();
    b.ok(1);
    assert_eq!((b.window.room(), b.window.health().state), (1, HealthState::Ok));
}

#[test]
fn many_done_before_a_crash_do_not_stop_the_reader() {
    let resume = Resume { delivered_above: (2..=50).collect(), ..Resume::default() };
    let mut b = Bench::resumed(resume, Order::None, Limits { events_max: 3, ..limits() });
    assert_eq!(b.window.room(), 3);
    for place in 1..=51 {
        b.offer(place, "");
    }
    assert_eq!(b.starts(), [1, 51]);
}

// ---- Tries ----

#[test]
fn tries_in_flight_are_bounded_and_in_order() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 3, ..limits() });
    for place in 1..=5 {
        b.offer(place, "/a");
    }
    assert_eq!(b.starts(), [1, 2, 3]);
    assert_eq!((b.window.in_flight(), b.window.queued()), (3, 2));
    b.ok(2);
    assert_eq!(b.starts(), [4]);
}

#[test]
fn a_failure_is_tried_on_schedule_and_then_parked() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    assert_eq!(b.starts(), [1]);
    assert_eq!(b.fail(1), Next::RetryAt(T0 + Duration::from_secs(10)));
    assert_eq!(b.exceptions(), "1:retrying+10/1");
    assert_eq!(b.starts(), NOTHING);
    b.pass(Duration::from_micros(9_999_999));
    assert_eq!(b.starts(), NOTHING);
    b.pass(Duration::from_micros(1));
    assert_eq!(b.window.oldest_due(), Some(b.now));
    assert_eq!(b.starts(), [1]);
    assert_eq!(b.started[&1].try_no, 2);
    b.answer(1, &Outcome::Unknown);
    assert_eq!(b.exceptions(), "1:retrying+110/2");
    b.pass_secs(100);
    assert_eq!(b.starts(), [1]);
    assert_eq!(b.fail(1), Next::Park { reason: "tries-exhausted" });
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/3");
    assert_eq!(b.window.counts(), Counts { parked: 1, ..Counts::default() });
    b.settle();
    b.pass_secs(1_000_000);
    assert_eq!((b.starts(), b.window.next_timeout()), (vec![], None));
}

#[test]
fn retries_start_oldest_due_first() {
    let mut b = Bench::new(Order::None);
    for place in 1..=3 {
        b.offer(place, "");
    }
    b.starts();
    for place in [3, 1, 2] {
        b.fail(place);
        b.pass_secs(1);
    }
    b.pass_secs(60);
    assert_eq!(b.starts(), [3, 1, 2]);
}

#[test]
fn retries_and_fresh_work_take_turns_up_to_the_share() {
    for (concurrency_max, want) in [
        (1, vec![1]),
        (2, vec![1, 11]),
        // 30 % of 10 slots are 3.
        (10, vec![1, 11, 2, 12, 3, 13, 14, 15, 16, 17]),
    ] {
        let mut b = Bench::with(Order::None, Limits { concurrency_max, ..limits() });
        for place in 1..=10 {
            b.offer(place, "");
        }
        for place in 1..=10 {
            while !b.started.contains_key(&place) {
                assert!(!b.starts().is_empty());
            }
            b.fail(place);
        }
        b.pass_secs(10);
        for place in 11..=20 {
            b.offer(place, "");
        }
        assert_eq!(b.starts(), want);
    }
}

#[test]
fn one_slot_serves_both_in_turn() {
    let mut b = Bench::with(Order::None, Limits { concurrency_max: 1, ..limits() });
    for place in 1..=6 {
        b.offer(place, "");
    }
    for place in 1..=3 {
        assert_eq!(b.starts(), [place]);
        b.fail(place);
    }
    b.pass_secs(60);
    let mut order = vec![];
    for _ in 0..6 {
        let place = b.starts()[0];
        order.push(place);
        b.ok(place);
    }
    assert_eq!(order, [1, 4, 2, 5, 3, 6]);
}

#[test]
fn idle_slots_are_lent_to_retries() {
    let mut b = Bench::new(Order::None);
    for place in 1..=10 {
        b.offer(place, "");
    }
    for place in b.starts() {
        b.fail(place);
    }
    b.pass_secs(10);
    assert_eq!(b.starts().len(), 10);
}

#[test]
fn an_aborted_try_was_not_spent() {
    let mut b = Bench::new(Order::Subject);
    b.offer(1, "/a");
    b.offer(2, "/b");
    b.starts();
    b.fail(2);
    b.pass_secs(10);
    assert_eq!(b.starts(), [2]);
    b.window.handle_abort(1, b.now);
    b.window.handle_abort(2, b.now);
    b.window.handle_abort(7, b.now);
    assert_eq!((b.window.in_flight(), b.window.queued()), (0, 1));
    assert_eq!(b.exceptions(), "2:retrying+10/1");
    // Whatever was in its way would be in its way again at once.
    assert_eq!((b.window.wants(b.now), b.starts()), (None, vec![]));
    assert_eq!(b.window.next_start(), Some(b.now + ABORT_PAUSE));
    b.pass_secs(1);
    assert_eq!(b.starts(), [1, 2]);
    assert_eq!((b.started[&1].try_no, b.started[&2].try_no), (1, 2));
}

#[test]
fn an_outcome_of_nothing_in_flight_is_ignored() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "");
    b.starts();
    let attempt = attempt(9, &b.started[&1], &OK, b.now);
    assert_eq!(b.window.handle_outcome(2, attempt.clone(), &OK, b.now, 0.5), None);
    b.ok(1);
    assert_eq!(b.window.handle_outcome(1, attempt, &OK, b.now, 0.5), None);
    assert_eq!(b.settle().unwrap().attempts.len(), 1);
}

#[test]
fn nothing_starts_while_too_many_attempts_are_not_stored() {
    let mut b = Bench::with(Order::None, Limits { events_max: 4, ..limits() });
    for place in 1..=4 {
        b.offer(place, "");
    }
    for place in b.starts() {
        b.fail(place);
    }
    let taken = b.window.take_settlement().unwrap();
    b.pass_secs(60);
    assert_eq!((b.starts(), b.window.next_timeout()), (vec![], None), "those that are being written count");
    b.window.put_back(taken, b.now + Duration::from_secs(5));
    assert_eq!((b.starts(), b.window.next_timeout()), (vec![], Some(b.now + Duration::from_secs(5) + limits::SETTLE_AGE_MAX)));
    b.settle();
    assert_eq!(b.starts(), [1, 2, 3, 4]);
}

// ---- Order ----

#[test]
fn one_delivery_of_a_subject_at_a_time_in_order() {
    let mut b = Bench::new(Order::Subject);
    for (place, subject) in [(1, "/a"), (2, "/b"), (3, "/a"), (4, ""), (5, ""), (6, "/a"), (7, "/b")] {
        b.offer(place, subject);
    }
    assert_eq!(b.starts(), [1, 2, 4, 5], "events without a subject wait for nobody");
    b.ok(1);
    assert_eq!(b.starts(), [3]);
    b.ok(2);
    assert_eq!(b.starts(), [7]);
    b.ok(3);
    assert_eq!(b.starts(), [6]);
}

#[test]
fn behind_a_failure_the_subject_is_held_and_the_cursor_goes_on() {
    let mut b = Bench::new(Order::Subject);
    for (place, subject) in [(1, "/a"), (2, "/a"), (3, "/b"), (4, "/a")] {
        b.offer(place, subject);
    }
    assert_eq!(b.starts(), [1, 3]);
    b.fail(1);
    assert_eq!(b.exceptions(), "1:retrying+10/1 2:held/0 4:held/0");
    b.offer(5, "/a");
    b.offer(6, "/b");
    assert_eq!(b.exceptions(), "1:retrying+10/1 2:held/0 4:held/0 5:held/0");
    b.ok(3);
    assert_eq!(b.starts(), [6]);
    b.ok(6);
    assert_eq!(b.window.cursor(), 6);
    let settled = b.settle().unwrap();
    assert_eq!(settled.exceptions.iter().map(|it| it.place).collect::<Vec<_>>(), [1, 2, 4, 5]);

    b.pass_secs(10);
    assert_eq!(b.starts(), [1], "held ones are not tried");
    b.ok(1);
    assert_eq!(b.exceptions(), "2:retrying+10/0 4:held/0 5:held/0");
    assert_eq!(b.starts(), [2]);
    assert_eq!(b.started[&2].try_no, 1);
    b.fail(2);
    assert_eq!(b.starts(), NOTHING, "the next one waits for its schedule, and the others for it");
    b.pass_secs(10);
    b.starts();
    b.ok(2);
    b.starts();
    b.ok(4);
    b.starts();
    b.ok(5);
    assert_eq!((b.exceptions(), b.window.counts().all()), (String::new(), 0));
    b.offer(7, "/a");
    assert_eq!(b.starts(), [7]);
}

#[test]
fn a_parked_delivery_releases_its_subject() {
    let mut b = Bench::with(Order::Subject, Limits { delays: vec![10], ..limits() });
    b.offer(1, "/a");
    b.offer(2, "/a");
    b.starts();
    b.fail(1);
    b.pass_secs(10);
    assert_eq!(b.starts(), [1]);
    b.fail(1);
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/2 2:retrying+10/0");
    assert_eq!(b.starts(), [2]);
    b.offer(3, "/a");
    b.ok(2);
    assert_eq!(b.starts(), [3], "nobody is held behind a parked one");
}

#[test]
fn without_order_nobody_waits() {
    let mut b = Bench::new(Order::None);
    for place in 1..=3 {
        b.offer(place, "/a");
    }
    assert_eq!(b.starts(), [1, 2, 3]);
    b.fail(1);
    b.offer(4, "/a");
    assert_eq!(b.starts(), [4]);
    assert_eq!(b.exceptions(), "1:retrying+10/1");
}

#[test]
fn an_ordered_revision_waits_for_what_an_unordered_one_matched() {
    let mut b = Bench::new(Order::None);
    b.offer(1, "/a");
    b.offer(2, "/a");
    let subject = Subject::parse("/a").ok();
    assert!(b.window.offer(3, Some(Offer { event: EventId::from_bits(3), subject, revision: 2, expires_at: None }), b.now));
    assert_eq!(b.starts(), [1, 2]);
    b.fail(1);
    b.ok(2);
    assert_eq!((b.starts(), b.exceptions()), (vec![], "1:retrying+10/1 3:held/0".into()));
    b.pass_secs(10);
    b.starts();
    b.ok(1);
    assert_eq!(b.starts(), [3]);
    assert_eq!(b.started[&3].revision, 2);
}

#[test]
fn a_restart_releases_the_first_of_each_subject() {
    let held = || ExceptionState::Held;
    let exceptions = vec![
        row(4, "/b", 0, held()),
        row(3, "/a", 0, held()),
        row(2, "/a", 0, held()),
        row(1, "/a", 3, parked()),
        row(6, "/c", 0, held()),
        row(5, "/c", 1, ExceptionState::Retrying { due_at: T0 + Duration::from_secs(7) }),
    ];
    let mut b = Bench::resumed(Resume { cursor: 9, exceptions, ..Resume::default() }, Order::Subject, limits());
    assert_eq!(b.exceptions(), "1:parked tries-exhausted/3 2:retrying+0/0 3:held/0 4:retrying+0/0 5:retrying+7/1 6:held/0");
    assert_eq!(b.starts(), [2, 4]);
    assert_eq!(b.window.next_timeout(), Some(T0 + Duration::from_secs(7)));
}

#[test]
fn ten_thousand_held_behind_one_drain_in_order() {
    // With a walk over the line at each step this takes minutes, not a moment.
    let limits = Limits { events_max: 20_000, exceptions_max: 20_000, ..limits() };
    let mut b = Bench::with(Order::Subject, limits);
    for place in 1..=10_000 {
        b.offer(place, "/a");
    }
    b.starts();
    b.fail(1);
    assert_eq!(b.window.counts(), Counts { retrying: 1, held: 9_999, parked: 0 });
    b.pass_secs(10);
    for place in 1..=10_000 {
        assert_eq!(b.starts(), [place]);
        b.ok(place);
        if place % 1_000 == 0 {
            b.settle();
        }
    }
    assert_eq!(b.window.counts().all(), 0);
}
