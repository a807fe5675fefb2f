//! Deadlines: when a delivery expires, and when it does not.

use super::*;

fn offer(b: &mut Bench, place: Place, subject: &str, expires_in: u64) {
    let subject = Subject::parse(subject).ok();
    let expires_at = Some(T0 + Duration::from_secs(expires_in));
    let taken =
        b.window.offer(place, Some(Offer { event: EventId::from_bits(u128::from(place)), subject, revision: 1, expires_at }), b.now);
    assert!(taken, "{place} was refused");
}

fn expired(b: &mut Bench) -> Vec<Place> {
    b.window.poll_expired(b.now).into_iter().map(|(place, _)| place).collect()
}

#[test]
fn a_deadline_is_over_from_its_moment_on() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 10);
    b.window.set_active(false, b.now);
    assert_eq!(b.window.next_timeout(), Some(T0 + Duration::from_secs(10)), "it runs while paused");
    b.pass(Duration::from_millis(9_999));
    assert_eq!(expired(&mut b), NOTHING);
    b.pass(Duration::from_millis(1));
    assert_eq!(expired(&mut b), [1]);
    assert_eq!(b.exceptions(), "1:parked expired/0");
    assert_eq!((b.window.cursor(), b.window.next_expiry()), (1, None));
    assert_eq!(expired(&mut b), NOTHING, "once");
    b.window.set_active(true, b.now);
    assert_eq!(b.starts(), NOTHING);
    assert_eq!(b.settle().unwrap().exceptions.len(), 1);
}

#[test]
fn what_is_over_when_it_is_offered_is_never_tried() {
    let mut b = Bench::new(Order::None);
    b.pass_secs(60);
    offer(&mut b, 1, "", 5);
    offer(&mut b, 2, "", 120);
    assert_eq!(expired(&mut b), [1]);
    assert_eq!(b.starts(), [2]);
}

#[test]
fn what_is_in_flight_ends_first() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 10);
    offer(&mut b, 2, "", 10);
    assert_eq!(b.starts(), [1, 2]);
    b.pass_secs(20);
    assert_eq!(expired(&mut b), NOTHING);
    assert_eq!(b.window.next_expiry(), None);
    b.ok(1);
    b.fail(2);
    assert_eq!(expired(&mut b), [2], "it failed, and its time is over");
    assert_eq!(b.exceptions(), "2:parked expired/1");
    assert!(b.window.state_of(1) == Some(InWindow::Done), "it arrived in time enough");
}

#[test]
fn a_retry_that_would_be_later_is_not_waited_for() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 5);
    assert_eq!(b.starts(), [1]);
    b.fail(1);
    assert_eq!(b.exceptions(), "1:retrying+10/1");
    assert_eq!(b.window.oldest_due(), Some(T0 + Duration::from_secs(10)));
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [1]);
    assert_eq!(b.window.oldest_due(), None);
}

#[test]
fn it_releases_its_subject() {
    let mut b = Bench::new(Order::Subject);
    offer(&mut b, 1, "/a", 5);
    b.offer(2, "/a");
    offer(&mut b, 3, "/a", 5);
    assert_eq!(b.starts(), [1]);
    b.fail(1);
    assert_eq!(b.exceptions(), "1:retrying+10/1 2:held/0 3:held/0");
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [1, 3], "one that is held, too");
    assert_eq!(b.starts(), [2]);
}

#[test]
fn an_ordered_one_waits_for_those_before_it_that_were_never_tried() {
    let mut b = Bench::new(Order::Subject);
    b.offer(1, "/a");
    offer(&mut b, 2, "/a", 5);
    offer(&mut b, 3, "/b", 5);
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [3]);
    assert_eq!(b.window.next_expiry(), None);
    assert_eq!(b.starts(), [1]);
    b.ok(1);
    assert_eq!(expired(&mut b), [2], "now nothing is before it");
    let mut b = Bench::new(Order::Subject);
    offer(&mut b, 1, "/a", 5);
    offer(&mut b, 2, "/a", 4);
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [1, 2], "one after the other, at once");
}

#[test]
fn a_restart_keeps_the_deadline_of_an_exception() {
    let mut it = row(1, "", 1, ExceptionState::Retrying { due_at: T0 + Duration::from_secs(100) });
    it.expires_at = Some(T0 + Duration::from_secs(7));
    let parked = Exception { place: 2, expires_at: it.expires_at, ..row(2, "", 1, parked()) };
    let resume = Resume { cursor: 5, exceptions: vec![it, parked], ..Resume::default() };
    let mut b = Bench::resumed(resume, Order::None, limits());
    assert_eq!(b.window.next_expiry(), Some(T0 + Duration::from_secs(7)));
    b.pass_secs(7);
    assert_eq!(expired(&mut b), [1], "what is parked stays what it is");
    assert_eq!(b.exceptions(), "1:parked expired/1 2:parked tries-exhausted/1");
}

#[test]
fn whoever_asks_for_a_try_gets_it_however_late() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 5);
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [1]);
    b.window.retry_now(1, b.now).unwrap();
    assert_eq!(expired(&mut b), NOTHING);
    assert_eq!(b.starts(), [1]);
    b.fail(1);
    b.pass_secs(1_000);
    assert_eq!(expired(&mut b), NOTHING);
    assert_eq!(b.starts(), [1]);
}

#[test]
fn what_is_about_to_be_skipped_does_not_expire() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 5);
    let ranges = b.window.plan_skip(1, "resumed-from-now");
    b.pass_secs(9);
    assert_eq!((expired(&mut b), b.window.next_expiry()), (vec![], None));
    b.window.skip(&ranges, 1, b.now);
    assert_eq!(expired(&mut b), NOTHING);
    assert_eq!(b.exceptions(), "");
}

#[test]
fn an_unroutable_address_does_not_keep_the_reader_from_what_comes() {
    let mut b = Bench::new(Order::None);
    offer(&mut b, 1, "", 5);
    assert_eq!(b.starts(), [1]);
    b.answer(1, &UNROUTABLE);
    assert_eq!(b.window.room(), 0);
    b.pass_secs(5);
    assert_eq!(expired(&mut b), [1]);
    assert!(b.window.room() > 0, "it had nothing left to ask the address with");
}

#[test]
fn pulled_events_expire_too_but_not_in_the_hands_of_a_worker() {
    let mut b = Bench::new(Order::None);
    b.window.set_pulled(true, b.now);
    b.window.set_demand(5);
    offer(&mut b, 1, "", 5);
    offer(&mut b, 2, "", 5);
    let leased = b.window.lease(1, 7, T0 + Duration::from_secs(30), b.now);
    assert_eq!(leased.iter().map(|it| it.place).collect::<Vec<_>>(), [1]);
    b.pass_secs(6);
    assert_eq!(expired(&mut b), [2]);
    assert!(b.window.lease(5, 8, T0 + Duration::from_secs(60), b.now).is_empty());
    b.pass_secs(24);
    let id = ringback_model::AttemptId::from_bits(9);
    b.window.handle_lease_end(1, id, b.now);
    assert_eq!(expired(&mut b), [1]);
    assert_eq!(b.window.handle_ack(1, EventId::from_bits(1), id, b.now), Acked::Late);
}
