//! One table for each rule; then a receiver with a limit, an endpoint that is
//! away, and a network that is gone.

use super::*;
use proptest::prelude::*;

const T0: Timestamp = Timestamp::from_secs(1_000_000);
const OK: Outcome = Outcome::Delivered { status_code: 200 };
const RULES: Rules = Rules { concurrency_max: 32, rate_max_per_s: None };

fn status(code: u16) -> Outcome {
    Outcome::Failed { status_code: Some(code), reason: "status", retry_after: None }
}

fn broken(reason: &'static str) -> Outcome {
    Outcome::Failed { status_code: None, reason, retry_after: None }
}

struct Bench {
    it: Endpoint,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self { it: Endpoint::new(RULES, None), now: T0 }
    }

    /// One try, alone, that takes no time.
    fn one(&mut self, outcome: &Outcome) -> Notice {
        let probe = self.it.gate(0, self.now) == Gate::Probe;
        self.it.handle_start(self.now);
        self.it.handle_end(outcome, self.now, 1, probe, self.now, 0.5)
    }

    fn pass(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
    }

    fn show(&self) -> String {
        match self.it.breaker() {
            None => "closed".into(),
            Some((true, why, since)) => format!("open {why} +{}", since.since(T0).as_secs()),
            Some((false, why, since)) => format!("probing {why} +{}", since.since(T0).as_secs()),
        }
    }
}

#[test]
fn outcomes_are_told_apart() {
    let endpoint = |connection, push_back| Class::Endpoint { connection, push_back };
    for (outcome, want) in [
        (OK, Class::Ok),
        (Outcome::Unroutable { reason: "refused" }, Class::Unroutable),
        (Outcome::Unknown, endpoint(false, false)),
        (broken("connect"), endpoint(true, false)),
        (broken("tls"), endpoint(true, false)),
        (broken("timeout"), endpoint(true, false)),
        (broken("reset"), endpoint(false, false)),
        (broken("protocol"), endpoint(false, false)),
        (status(500), endpoint(false, false)),
        (status(503), endpoint(false, false)),
        (status(408), endpoint(false, false)),
        (status(425), endpoint(false, false)),
        (status(429), endpoint(false, true)),
        (Outcome::Failed { status_code: Some(503), reason: "status", retry_after: Some(Duration::from_secs(1)) }, endpoint(false, true)),
        (status(400), Class::Blame),
        (status(404), Class::Blame),
        (status(410), Class::Blame),
        (status(302), Class::Blame),
        (status(101), endpoint(false, false)),
        (status(999), endpoint(false, false)),
    ] {
        assert_eq!(class(&outcome), want, "{outcome:?}");
    }
}

#[test]
fn the_breaker_opens_by_share_and_by_connections_in_a_row() {
    let many = |n: usize, it: Outcome| vec![it; n];
    for (outcomes, want) in [
        (many(4, broken("connect")), "closed"),
        (many(5, broken("connect")), "open connect +0"),
        ([many(4, broken("connect")), many(1, OK), many(4, broken("connect"))].concat(), "closed"),
        ([many(4, broken("connect")), many(1, status(404)), many(4, broken("connect"))].concat(), "closed"),
        (many(9, status(500)), "closed"),
        (many(10, status(500)), "open status +0"),
        ([many(2, OK), many(7, status(500))].concat(), "closed"),
        ([many(2, OK), many(8, status(500))].concat(), "open status +0"),
        ([many(3, OK), many(8, status(500))].concat(), "closed"),
        (many(9, status(404)), "closed"),
        (many(10, status(404)), "open refuses-all +0"),
        ([many(1, OK), many(18, status(404))].concat(), "closed"),
        ([many(1, OK), many(19, status(404))].concat(), "open refuses-all +0"),
        (many(100, Outcome::Unroutable { reason: "unresolved" }), "closed"),
    ] {
        let mut b = Bench::new();
        for it in &outcomes {
            b.one(it);
        }
        assert_eq!(b.show(), want, "{outcomes:?}");
    }
}

#[test]
fn what_is_older_than_a_minute_does_not_count() {
    let mut b = Bench::new();
    for _ in 0..9 {
        b.one(&status(500));
    }
    b.pass(60);
    b.one(&status(500));
    assert_eq!(b.show(), "closed");
}

#[test]
fn open_doubles_from_30_s_to_ten_minutes_and_three_successes_close() {
    let mut b = Bench::new();
    for _ in 0..5 {
        b.one(&broken("connect"));
    }
    let mut waits = vec![];
    for _ in 0..7 {
        let Gate::Wait(Some(until)) = b.it.gate(0, b.now) else { panic!("{}", b.show()) };
        waits.push(until.since(b.now).as_secs());
        b.now = until - Duration::from_micros(1);
        assert!(matches!(b.it.gate(0, b.now), Gate::Wait(_)));
        b.now = until;
        assert_eq!(b.it.gate(0, b.now), Gate::Probe);
        assert_eq!(b.it.gate(1, b.now), Gate::Wait(None), "one at a time");
        b.one(&status(503));
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
    b.pass(600);
    b.one(&OK);
    assert_eq!(b.show(), "probing status +0");
    b.one(&OK);
    b.one(&status(500));
    assert_eq!(b.show(), "open status +0", "one failure and it starts again");
    b.pass(600);
    for _ in 0..3 {
        assert_eq!(b.it.gate(0, b.now), Gate::Probe);
        b.one(&OK);
    }
    assert_eq!((b.show().as_str(), b.it.slots()), ("closed", CONCURRENCY_START));
}

#[test]
fn jitter_is_a_fifth() {
    assert_eq!([0.0, 0.5, 1.0, f64::NAN].map(|it| open_for(0, it).as_secs()), [24, 30, 36, 30]);
    assert_eq!(open_for(u32::MAX, 1.0).as_secs(), 720);
}

#[test]
fn a_probe_that_is_answered_with_blame_works_unless_blame_was_the_reason() {
    for (opened_by, want) in [(broken("connect"), "closed"), (status(404), "open refuses-all +0")] {
        let mut b = Bench::new();
        for _ in 0..10 {
            if b.it.is_closed() {
                b.one(&opened_by);
            }
        }
        b.pass(31);
        for _ in 0..3 {
            b.one(&status(400));
        }
        assert_eq!(b.show(), want, "{opened_by:?}");
    }
}

#[test]
fn a_late_outcome_of_before_neither_closes_nor_prolongs() {
    let mut b = Bench::new();
    for _ in 0..5 {
        b.one(&broken("connect"));
    }
    let gate = b.it.gate(0, b.now);
    b.it.handle_end(&OK, T0, 2, false, b.now, 0.5);
    b.it.handle_end(&broken("connect"), T0, 1, false, b.now, 0.5);
    assert_eq!((b.show().as_str(), b.it.gate(0, b.now)), ("open connect +0", gate));
}

#[test]
fn concurrency_grows_while_it_is_used_and_halves_once_for_each_round() {
    let mut it = Endpoint::new(RULES, None);
    let mut seen = vec![it.slots()];
    for round in 0..5 {
        let now = T0 + Duration::from_secs(round);
        for in_flight in (1..=it.slots()).rev() {
            // All were started together; the first to end finds the slots full.
            it.handle_end(&OK, now, it.slots().max(in_flight), false, now, 0.5);
        }
        seen.push(it.slots());
    }
    assert_eq!(seen, [2, 3, 4, 5, 6, 7]);
    it.handle_end(&OK, T0, 1, false, T0, 0.5);
    assert_eq!(it.slots(), 7, "what is not used is not earned");
    let now = T0 + Duration::from_secs(9);
    for _ in 0..3 {
        it.handle_end(&status(500), now - Duration::from_secs(1), 7, false, now, 0.5);
    }
    assert_eq!(it.slots(), 3, "those that began before it was halved say the same once more");
    it.handle_end(&status(500), now, 7, false, now, 0.5);
    it.handle_end(&status(500), now, 7, false, now + Duration::from_secs(1), 0.5);
    assert_eq!(it.slots(), 1);
    for _ in 0..200 {
        it.handle_end(&OK, now, 99, false, now, 0.5);
    }
    it.set_rules(Rules { concurrency_max: 3, ..RULES });
    assert_eq!(it.slots(), 3);
}

#[test]
fn a_rate_is_kept_and_waiting_for_it_catches_up() {
    for (rate, secs) in [(1, 20), (50, 10), (700, 4)] {
        let mut it = Endpoint::new(Rules { concurrency_max: 1_000, rate_max_per_s: Some(rate) }, None);
        let (mut now, end, mut sent) = (T0, T0 + Duration::from_secs(secs), 0_u64);
        while now < end {
            match it.gate(0, now) {
                Gate::Free => {
                    it.handle_start(now);
                    sent += 1;
                }
                // A timer that is up to 3 ms late.
                Gate::Wait(Some(at)) => now = at + Duration::from_millis(3),
                other => panic!("{other:?}"),
            }
        }
        let most = u64::from(rate) * secs;
        assert!((most * 95 / 100..=most + u64::from(rate) / 20 + 2).contains(&sent), "{sent} at {rate}/s");
    }
}

#[test]
fn silence_is_announced_three_times_then_suspends() {
    let mut b = Bench::new();
    b.one(&OK);
    let mut told = vec![];
    for hour in 0..130_u64 {
        match b.one(&status(500)) {
            Notice::Nothing => {}
            Notice::Failing(it) => told.push(format!("{hour} h: announced {}", it.announced)),
            Notice::Suspend(it) => {
                told.push(format!("{hour} h: suspend after {}", it.tries));
                break;
            }
            Notice::Recovered => panic!(),
        }
        b.pass(3_600);
    }
    assert_eq!(told, ["1 h: announced 1", "24 h: announced 2", "72 h: announced 3", "120 h: suspend after 121"]);
}

#[test]
fn few_tries_do_not_suspend_and_a_success_ends_it() {
    let mut b = Bench::new();
    for _ in 0..19 {
        assert!(!matches!(b.one(&status(400)), Notice::Suspend(_)));
        b.pass(86_400);
    }
    assert!(matches!(b.one(&status(400)), Notice::Suspend(it) if it.tries == SUSPEND_TRIES_MIN));
    let mut b = Bench::new();
    b.one(&status(500));
    assert_eq!(b.one(&OK), Notice::Nothing, "nobody was told");
    b.one(&status(500));
    b.pass(3_600);
    assert!(matches!(b.one(&status(500)), Notice::Failing(_)));
    assert_eq!(b.one(&OK), Notice::Recovered);
    assert_eq!(b.it.failing(), None);
}

#[test]
fn while_it_is_us_nothing_is_decided_and_the_time_is_given_back() {
    let mut b = Bench::new();
    b.one(&status(500));
    b.pass(600);
    b.it.set_frozen(true, b.now);
    for _ in 0..200 {
        b.pass(3_600);
        assert_eq!(b.one(&broken("connect")), Notice::Nothing);
    }
    assert_eq!(b.show(), "closed");
    b.it.set_frozen(false, b.now);
    b.one(&status(500));
    let failing = b.it.failing().unwrap();
    assert_eq!((b.now.since(failing.since).as_secs(), failing.tries), (600, 2));
}

/// A receiver that takes 50 in any second and says 429 above.
#[test]
fn a_receiver_that_says_429_gets_what_it_takes_and_little_more() {
    for latency_ms in [1_u64, 20, 300] {
        let latency = Duration::from_millis(latency_ms);
        let mut it = Endpoint::new(RULES, None);
        let mut now = T0;
        let mut flying: std::collections::BTreeMap<(Timestamp, u64), (Timestamp, bool)> = Default::default();
        let (mut sent, mut taken): (Vec<Timestamp>, Vec<Timestamp>) = (vec![], vec![]);
        while now < T0 + Duration::from_secs(90) {
            while it.gate(flying.len(), now) == Gate::Free {
                it.handle_start(now);
                let second_ago = now - Duration::from_secs(1);
                let ok = taken.iter().rev().take_while(|at| **at > second_ago).count() < 50;
                if ok {
                    taken.push(now);
                }
                flying.insert((now + latency, sent.len() as u64), (now, ok));
                sent.push(now);
            }
            let ends = flying.keys().next().map(|it| it.0);
            let turn = match it.gate(flying.len(), now) {
                Gate::Wait(at) => at,
                other => panic!("{other:?} at {now}"),
            };
            now = [ends, turn].into_iter().flatten().min().unwrap();
            while let Some(key) = flying.keys().next().copied().filter(|it| it.0 <= now) {
                let in_flight = flying.len();
                let (started, ok) = flying.remove(&key).unwrap();
                it.handle_end(if ok { &OK } else { &BUSY }, started, in_flight, false, now, 0.5);
            }
            assert!(it.is_closed(), "{latency_ms} ms: {now}");
        }
        let within = |all: &[Timestamp], from: u64, to: u64| all.iter().filter(|at| (from..to).contains(&at.since(T0).as_secs())).count();
        for second in 10..90 {
            let sent = within(&sent, second, second + 1);
            assert!(sent <= 60, "{latency_ms} ms: {sent} in second {second}");
        }
        let taken = within(&taken, 30, 90);
        assert!(taken >= 40 * 60, "{latency_ms} ms: took {taken} in a minute of 3000");
    }
}

const BUSY: Outcome = Outcome::Failed { status_code: Some(429), reason: "status", retry_after: None };

#[test]
fn most_that_worked_failing_at_once_is_us() {
    let mut it = Weather::default();
    for no in 0..20 {
        assert!(!it.handle_outcome(no, &OK, T0));
    }
    let mut changes = vec![];
    for no in 0..20 {
        if it.handle_outcome(no, &broken("timeout"), T0 + Duration::from_secs(1)) {
            changes.push(no);
        }
    }
    assert_eq!((changes, it.is_us()), (vec![10], true));
    // An hour later few are tried, and still nothing works.
    let later = T0 + Duration::from_secs(3_600);
    assert!(!it.handle_outcome(3, &Outcome::Unroutable { reason: "unresolved" }, later));
    assert!(it.handle_outcome(3, &OK, later), "it works again");
    assert!(!it.is_us());
}

#[test]
fn endpoints_that_never_worked_and_few_that_did_say_nothing_of_us() {
    let mut it = Weather::default();
    for no in 0..1_000 {
        assert!(!it.handle_outcome(no, &broken("connect"), T0));
    }
    for no in 0..9 {
        assert!(!it.handle_outcome(no, &OK, T0));
        assert!(!it.handle_outcome(no, &broken("connect"), T0));
    }
    for no in 2_000..2_020 {
        it.handle_outcome(no, &OK, T0);
        assert!(!it.handle_outcome(no, &status(404), T0), "who answers is reached");
    }
    it.remove(3);
}

proptest! {
    /// However it is treated: one slot at least, no more than asked for, and always a way on.
    #[test]
    fn there_is_always_a_way_on(steps in prop::collection::vec((0_u8..6, 0_u64..700, 0.0_f64..1.0), 1..200), rate in prop::option::of(1_u32..100)) {
        let rules = Rules { concurrency_max: 8, rate_max_per_s: rate };
        let mut it = Endpoint::new(rules, None);
        let mut now = T0;
        for (what, secs, jitter) in steps {
            let gate = it.gate(0, now);
            let outcome = match what {
                0 | 1 => OK,
                2 => status(500),
                3 => BUSY,
                4 => status(404),
                _ => broken("connect"),
            };
            match gate {
                Gate::Free | Gate::Probe => {
                    it.handle_start(now);
                    it.handle_end(&outcome, now, 1, gate == Gate::Probe, now, jitter);
                }
                Gate::Wait(at) => {
                    let at = at.expect("nothing is in flight: only time can be waited for");
                    prop_assert!(at > now && at.since(now) <= Duration::from_secs(720));
                }
            }
            prop_assert!((1..=8).contains(&it.slots()));
            now = now + Duration::from_secs(secs);
        }
    }
}
