//! A world of tenants whose endpoints hold slots for as long as they like.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Runs everybody, each always wanting more, for so many milliseconds.
struct World {
    fair: Fair,
    now: u64,
    /// Milliseconds that a try takes, tries at once at most, whether retries.
    who: BTreeMap<u32, (u64, usize, bool)>,
    flying: BTreeMap<(u64, u64), (u32, Held, u64)>,
    now_in_flight: BTreeMap<u32, usize>,
    made: u64,
    done: BTreeMap<u32, u64>,
    most: BTreeMap<u32, usize>,
}

impl World {
    fn new(slots: usize) -> Self {
        Self {
            fair: Fair::new(slots),
            now: 0,
            who: BTreeMap::new(),
            flying: BTreeMap::new(),
            now_in_flight: BTreeMap::new(),
            made: 0,
            done: BTreeMap::new(),
            most: BTreeMap::new(),
        }
    }

    fn add(&mut self, no: u32, of: &str, host: &str, takes: u64, at_once: usize, retry: bool) {
        self.fair.put(no, &tenant(of), host);
        self.who.insert(no, (takes, at_once, retry));
        self.ask(no);
    }

    fn in_flight(&self, no: u32) -> usize {
        self.now_in_flight.get(&no).copied().unwrap_or_default()
    }

    fn ask(&mut self, no: u32) {
        let (_, at_once, retry) = self.who[&no];
        let wants = if self.in_flight(no) >= at_once {
            None
        } else if retry {
            Some(Wants::Retries)
        } else {
            Some(Wants::Fresh)
        };
        self.fair.set_wants(no, wants);
    }

    fn run(&mut self, until: u64) {
        self.start();
        while self.now < until {
            let Some(key) = self.flying.keys().next().copied() else { return };
            self.now = key.0;
            let (no, held, since) = self.flying.remove(&key).unwrap();
            self.fair.handle_ended(&held, Duration::from_millis(self.now - since));
            *self.done.entry(no).or_default() += 1;
            *self.now_in_flight.entry(no).or_default() -= 1;
            self.ask(no);
            self.start();
        }
    }

    fn start(&mut self) {
        while let Some(grant) = self.fair.poll() {
            let (takes, at_once, retry) = self.who[&grant.no];
            assert!(self.in_flight(grant.no) < at_once, "{} did not want more", grant.no);
            assert!(!(grant.fresh_only && retry), "{} has retries alone", grant.no);
            let held = self.fair.handle_started(grant.no, retry);
            self.made += 1;
            self.flying.insert((self.now + takes, self.made), (grant.no, held, self.now));
            *self.now_in_flight.entry(grant.no).or_default() += 1;
            self.ask(grant.no);
            let now = self.in_flight(grant.no);
            let most = self.most.entry(grant.no).or_default();
            *most = now.max(*most);
        }
        assert_eq!(self.fair.used(), self.flying.len());
    }
}

#[test]
fn slot_time_is_shared_not_tries() {
    let mut w = World::new(10);
    w.add(1, "a", "a.example", 10, 100, false);
    w.add(2, "b", "b.example", 1_000, 100, false);
    w.run(60_000);
    let time = |no: u32| w.done[&no] * w.who[&no].0;
    let (a, b) = (time(1), time(2));
    assert!(a * 10 >= b * 8 && b * 10 >= a * 7, "a held {a} ms, b {b} ms");
}

#[test]
fn a_thousand_black_holes_do_not_slow_a_neighbour() {
    let mut w = World::new(256);
    for no in 100..1_100 {
        w.add(no, "dead", &format!("h{no}.example"), 20_000, 2, false);
    }
    w.run(25_000);
    w.add(1, "well", "well.example", 5, 4, false);
    let from = w.now;
    w.run(from + 10_000);
    // Alone it would make 4 × 200 a second.
    assert!(w.done[&1] >= 7_500, "{}", w.done[&1]);
}

#[test]
fn what_is_idle_is_lent_but_for_a_reserve() {
    let mut w = World::new(80);
    w.add(1, "a", "a.example", 1_000, 1_000, false);
    w.run(500);
    assert_eq!(w.in_flight(1), 64, "as much as its host may have");
    let mut w = World::new(80);
    for no in 0..40 {
        w.add(no, "a", &format!("h{no}.example"), 1_000, 1_000, false);
    }
    w.run(500);
    assert_eq!(w.fair.used(), 70, "an eighth is kept");
    w.add(99, "b", "b.example", 1_000, 1_000, false);
    w.run(501);
    assert!(w.in_flight(99) >= 4, "its share is there at once: {}", w.in_flight(99));
}

#[test]
fn under_contention_nobody_starts_above_his_share() {
    let mut w = World::new(400);
    for no in 0..100 {
        w.add(no, "big", &format!("h{no}.example"), 100, 400, false);
    }
    for (at, of) in ["b", "c", "d", "e"].iter().enumerate() {
        for n in 0..10 {
            w.add(1_000 + at as u32 * 10 + n, of, &format!("{of}{n}.example"), 100, 400, false);
        }
    }
    w.run(20_000);
    let of = |from: u32, to: u32| w.flying.values().filter(|it| (from..to).contains(&it.0)).count();
    assert!(of(0, 100) <= 100 + 4, "the big one holds {}", of(0, 100));
    let most = w.most.range(..1_000).map(|it| *it.1).max().unwrap();
    assert!(most <= 20 + 1, "a subscription held {most}");
}

#[test]
fn retries_leave_room_for_fresh_events() {
    let mut w = World::new(100);
    for no in 0..50 {
        w.add(no, "a", &format!("h{no}.example"), 1_000, 50, true);
    }
    w.run(1);
    assert_eq!(w.fair.used(), 88, "nobody else is there");
    for no in 100..150 {
        w.add(no, "a", &format!("g{no}.example"), 1_000, 50, false);
    }
    w.run(30_000);
    let retries = w.flying.values().filter(|it| w.who[&it.0].2).count();
    assert!(retries <= 30, "{retries} retries are in flight");
}

#[test]
fn a_tenant_of_one_slot_starts_both() {
    let mut w = World::new(4);
    w.add(0, "x", "h", 300, 1, false);
    w.add(1, "y", "h", 300, 1, false);
    w.add(2, "z", "h", 314, 8, false);
    w.add(3, "a", "g", 1_242, 14, false);
    w.add(4, "a", "g", 1_580, 11, true);
    w.run(250_000);
    assert!(w.done[&3] > 20 && w.done[&4] > 20, "{:?}", w.done);
}

#[test]
fn a_host_has_a_limit_whoever_asks() {
    let mut w = World::new(400);
    for no in 0..50 {
        w.add(no, &format!("t{no}"), "one.example", 1_000, 50, false);
    }
    w.add(99, "other", "two.example", 10, 5, false);
    w.run(10_000);
    let one = w.flying.values().filter(|it| it.0 != 99).count();
    assert_eq!(one, 100);
    assert!(w.done[&99] > 2_000);
    assert!((0..50).all(|no| w.done.get(&no).is_some_and(|it| *it >= 5)), "each of them comes");
}

#[test]
fn while_it_is_us_a_tenth_keeps_trying() {
    let mut w = World::new(100);
    w.fair.set_frozen(true);
    for no in 0..50 {
        w.add(no, "a", &format!("h{no}.example"), 1_000, 5, false);
    }
    w.run(5_000);
    assert!(w.fair.used() <= 10);
}

#[test]
fn the_gone_give_back_what_they_hold() {
    let mut f = Fair::new(10);
    f.put(1, &tenant("a"), "h");
    f.set_wants(1, Some(Wants::Fresh));
    let held = f.handle_started(1, false);
    f.remove(1);
    assert_eq!(f.poll(), None);
    f.put(1, &tenant("a"), "g");
    f.handle_ended(&held, Duration::from_secs(1));
    f.handle_ended(&held, Duration::from_secs(1));
    assert_eq!(f.used(), 0);
    f.set_wants(1, Some(Wants::Retries));
    assert_eq!(f.poll(), Some(Grant { no: 1, fresh_only: false }));
    f.remove(1);
    f.remove(1);
    assert!(f.subscriptions.is_empty() && f.tenants.is_empty() && f.hosts.is_empty() && f.fresh.is_empty() && f.retries.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    /// Whoever wants gets, however the others behave, and the orders hold no ghosts.
    #[test]
    fn nobody_starves(slots in 1_usize..40, all in prop::collection::vec((0_u8..4, 0_u8..3, 300_u64..3_000, 1_usize..20, any::<bool>()), 1..25)) {
        let mut w = World::new(slots);
        for (no, (of, host, takes, at_once, retry)) in all.iter().enumerate() {
            w.add(u32::try_from(no).unwrap(), &format!("t{of}"), &format!("h{host}"), *takes, *at_once, *retry);
        }
        w.run(250_000);
        for (no, (of, _, _, _, retry)) in all.iter().enumerate() {
            // Retries of a tenant that holds more than his share by fresh events wait until he holds less.
            let borrows = *retry && all.iter().any(|it| it.0 == *of && !it.4);
            let no = u32::try_from(no).unwrap();
            prop_assert!(borrows || w.done.get(&no).is_some_and(|it| *it > 0), "{no} of {all:?} never came");
        }
        let all: Vec<u32> = w.who.keys().copied().collect();
        for no in all {
            w.fair.remove(no);
        }
        let flying: Vec<Held> = w.flying.values().map(|it| it.1.clone()).collect();
        for held in flying {
            w.fair.handle_ended(&held, Duration::from_secs(1));
        }
        let f = &w.fair;
        prop_assert!(f.used == 0 && f.retries_used == 0);
        prop_assert!(f.subscriptions.is_empty() && f.tenants.is_empty() && f.hosts.is_empty() && f.fresh.is_empty() && f.retries.is_empty());
    }
}
