//! Polls against changes, by hand and against a slow count of the same.

use super::*;
use expect_test::{Expect, expect};
use proptest::{collection::vec, prelude::*};

const ROUTE: &str = "/payment/{id}/status";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros((1_000 * HOUR_SECS * 1_000 + millis) * 1_000)
}

fn of(n: u32) -> Of {
    Of {
        tenant: TenantId::parse("acme").unwrap(),
        type_name: TypeName::parse("payment").unwrap(),
        id: ResourceId::parse(&format!("p{n}")).unwrap(),
    }
}

fn key(n: u128) -> KeyId {
    KeyId::from_bits(n)
}

#[derive(Clone, Copy, Debug)]
enum Fact {
    /// Key 1 asks at this second and is shown this version.
    Poll(i64, Version),
    /// The same, ready to wait.
    Wait(i64, Version),
    /// The version that is made, and whether a status is entered.
    Change(i64, Version, bool),
}
use Fact::{Change as Changed, Poll, Wait};

fn told(facts: &[Fact]) -> Watcher {
    let mut it = Watcher::default();
    for fact in facts {
        let (secs, version) = match fact {
            Poll(secs, version) | Wait(secs, version) | Changed(secs, version, _) => (*secs, *version),
        };
        match fact {
            Changed(_, _, entered) => it.changed(&of(1), version, *entered, at(secs * 1_000)),
            _ => it.asked(
                Asked { key: key(1), route: ROUTE, of: of(1), version: Some(version), waited: matches!(fact, Wait(..)) },
                at(secs * 1_000),
            ),
        }
    }
    it
}

fn show(it: &Figures) -> String {
    let secs = |it: Option<Duration>| it.map_or("-".into(), |it| format!("{:.1}", it.as_secs_f64()));
    format!(
        "polls {} useless {} stale {}/{} missed {} | long-poll {} push {}",
        it.polls,
        it.useless,
        secs(it.staleness_p50),
        secs(it.staleness_p95),
        it.missed,
        it.long_polls,
        it.pushes
    )
}

#[track_caller]
fn check(facts: &[Fact], want: Expect) {
    let advice = told(facts).advice(24, at(0), |_| true);
    want.assert_eq(&advice.pollers.iter().map(show).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_first_look_is_no_poll() {
    check(&[], expect![""]);
    check(&[Poll(0, 1)], expect![""]);
    check(&[Poll(0, 1), Poll(1, 1), Poll(2, 1)], expect!["polls 2 useless 2 stale -/- missed 0 | long-poll 1 push 0"]);
}

#[test]
fn an_answer_is_as_stale_as_its_change_is_old() {
    let facts = [Poll(0, 1), Poll(10, 1), Changed(12, 2, true), Poll(20, 2), Poll(30, 2)];
    check(&facts, expect!["polls 3 useless 2 stale 8.2/8.2 missed 0 | long-poll 1 push 1"]);
}

#[test]
fn what_was_entered_and_left_between_two_answers_was_missed() {
    let facts = [Poll(0, 1), Changed(1, 2, true), Changed(2, 3, false), Changed(3, 4, true), Changed(4, 5, true), Poll(10, 5)];
    check(&facts, expect!["polls 1 useless 0 stale 7.2/9.2 missed 2 | long-poll 4 push 4"]);
}

#[test]
fn who_waits_would_have_asked_once_a_minute() {
    let facts = [Poll(0, 1), Poll(130, 1), Changed(200, 2, true), Poll(250, 2)];
    // 60, 120, 180 without an answer, one answered at 200, and not yet another minute.
    check(&facts, expect!["polls 2 useless 1 stale 51.2/51.2 missed 0 | long-poll 4 push 1"]);
}

#[test]
fn a_look_after_an_hour_begins_anew() {
    let facts = [Poll(0, 1), Changed(10, 2, true), Poll(3_700, 2), Poll(3_701, 2)];
    let advice = told(&facts).advice(24, at(3_701_000), |_| true);
    expect!["polls 1 useless 1 stale -/- missed 0 | long-poll 1 push 0"].assert_eq(&show(&advice.pollers[0]));
}

#[test]
fn those_who_wait_already_are_no_pollers() {
    check(&[Wait(0, 1), Changed(5, 2, true), Wait(5, 2), Wait(65, 2)], expect![""]);
    // A poll after it shows nothing new.
    check(&[Wait(0, 1), Changed(5, 2, true), Wait(5, 2), Poll(9, 2)], expect!["polls 1 useless 1 stale -/- missed 0 | long-poll 1 push 0"]);
}

#[test]
fn hours_pass_and_keys_are_apart() {
    let mut it = Watcher::default();
    let mut ask = |n: u128, hour: i64| {
        let asked = Asked { key: key(n), route: ROUTE, of: of(1), version: Some(1), waited: false };
        it.asked(asked, at(hour * HOUR_SECS * 1_000));
    };
    for hour in 0..3 {
        for n in [1, 1, 1, 2, 2] {
            ask(n, hour);
        }
    }
    let polls = |hours, n| -> Vec<u64> {
        it.advice(hours, at(2 * HOUR_SECS * 1_000), |it| it == key(n)).pollers.iter().map(|it| it.polls).collect()
    };
    assert_eq!((polls(24, 1), polls(2, 1), polls(1, 1)), (vec![8], vec![6], vec![3]));
    assert_eq!((polls(24, 2), polls(24, 3)), (vec![5], vec![]));
    assert!(it.advice(24, at(2 * HOUR_SECS * 1_000), |_| true).too_little_data);
    assert!(it.advice(24, at(40 * HOUR_SECS * 1_000), |_| true).pollers.is_empty());
}

#[test]
fn endpoints_that_fail_or_lag_are_named() {
    assert_eq!(had_better_pull("ok", None, limits::ADVICE_LAG_MIN - 1), None);
    assert_eq!(had_better_pull("ok", None, limits::ADVICE_LAG_MIN).as_deref(), Some("1000 events behind"));
    assert_eq!(had_better_pull("failing", Some("timeout"), 3).as_deref(), Some("failing (timeout), 3 events behind"));
    assert_eq!(had_better_pull("unroutable", None, 0).as_deref(), Some("unroutable, 0 events behind"));
}

#[test]
fn it_is_bounded() {
    let mut it = Watcher::default();
    for n in 0..=u32::try_from(limits::ADVICE_PAIRS_MAX).unwrap() {
        it.asked(Asked { key: key(1), route: ROUTE, of: of(n), version: Some(1), waited: false }, at(0));
    }
    assert_eq!((it.watched.len(), it.by_use.len()), (limits::ADVICE_PAIRS_MAX, limits::ADVICE_PAIRS_MAX));
    assert!(!it.watched.contains_key(&of(0)), "the one not asked for longest");
    for version in 0..1_000 {
        it.changed(&of(5), version, true, at(1));
        it.changed(&of(0), version, true, at(1));
    }
    assert_eq!(it.watched[&of(5)].changes.len(), limits::ADVICE_CHANGES_MAX);
    for n in 0..=limits::ADVICE_ROUTES_MAX {
        let route = format!("/r{n}");
        for _ in 0..2 {
            it.asked(Asked { key: key(2), route: &route, of: of(7), version: Some(1), waited: false }, at(2));
        }
    }
    assert_eq!(it.counts.len(), limits::ADVICE_ROUTES_MAX);
    for hour in 0..100 {
        for _ in 0..2 {
            it.asked(Asked { key: key(2), route: "/r1", of: of(7), version: Some(1), waited: false }, at(hour * HOUR_SECS * 1_000));
        }
    }
    assert_eq!(it.counts[&(key(2), "/r1".to_owned())].len(), limits::ADVICE_HOURS_MAX as usize);
}

proptest! {
    #[test]
    fn steps_say_at_most_a_sixteenth_too_much(millis: u32) {
        let said = Spread::longest(Spread::step(millis));
        prop_assert!(said >= u64::from(millis) && said <= u64::from(millis) + u64::from(millis) / 16 + 1, "{millis}: {said}");
    }

    /// A poller that looks at every moment of its own choosing, and the truth counted afterwards.
    #[test]
    fn figures_are_what_happened(moments in vec((1_i64..40, any::<bool>(), any::<bool>()), 1..60)) {
        let (mut now, mut version, mut seen) = (0, 1, 1);
        let mut facts = vec![Poll(0, 1)];
        let (mut polls, mut useless, mut pushes, mut missed, mut pending) = (0, 0, 0, 0, Vec::new());
        for (after, change, entered) in moments {
            now += after;
            if change {
                version += 1;
                facts.push(Changed(now, version, entered));
                pending.push(entered);
            } else {
                facts.push(Poll(now, version));
                polls += 1;
                useless += u64::from(version == seen);
                pushes += pending.len() as u64;
                missed += (pending.iter().filter(|it| **it).count() as u64).saturating_sub(1);
                pending.clear();
                seen = version;
            }
        }
        let advice = told(&facts).advice(24, at(now * 1_000), |_| true);
        let got = advice.pollers.first().map(|it| (it.polls, it.useless, it.pushes, it.missed));
        prop_assert_eq!(got, (polls > 0).then_some((polls, useless, pushes, missed)));
    }
}
