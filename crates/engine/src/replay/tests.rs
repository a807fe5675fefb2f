//! What a replay picks as a table over its whole space; how it goes, with crashes, against a plain account.

use super::*;
use proptest::{prelude::*, sample::Index};
use ringback_model::{ReplayId, TenantId, replay::Progress};

const T0: Timestamp = Timestamp::from_secs(1_000);

/// Revision 1 asks for order, revision 2 does not.
fn ordered(no: RevisionNo) -> bool {
    no == 1
}

fn row(to: Place) -> Replay {
    Replay {
        id: ReplayId::from_bits(1),
        subscription: 1,
        tenant: TenantId::default_tenant(),
        generation: 1,
        only: Only::All,
        types: Vec::new(),
        filter: None,
        since: None,
        until: None,
        from: 0,
        to,
        rate_max_per_s: None,
        created_at: T0,
        progress: Progress::beginning(0),
    }
}

fn picked(place: Place, subject: Option<u8>) -> Picked {
    let subject = subject.map(|it| Subject::parse(&format!("/thing/{it}")).unwrap());
    Picked { place, event: EventId::from_bits(u128::from(place)), subject, revision: 1 }
}

#[test]
fn what_comes_by_itself_is_left_alone_and_the_rest_is_picked_by_what_is_asked() {
    use DeliveryState::{Delivered, Delivering, Parked, Pending, Retrying, Skipped};
    let states = [None, Some(Pending), Some(Delivering), Some(Retrying), Some(Delivered), Some(Parked), Some(Skipped)];
    for state in states {
        for arrived in [false, true] {
            for matches in [false, true] {
                let facts = Facts { state, arrived, matches };
                let by_itself = matches!(state, Some(Pending | Delivering | Retrying));
                assert_eq!(wants(Only::Failed, facts), state == Some(Parked), "{facts:?}");
                assert_eq!(wants(Only::All, facts), !by_itself && matches, "{facts:?}");
                let missing = matches && !arrived && matches!(state, None | Some(Parked | Skipped));
                assert_eq!(wants(Only::Missing, facts), missing, "{facts:?}");
            }
        }
    }
}

#[test]
fn a_subject_is_tried_in_order_and_others_go_past_it() {
    let mut it = Run::new(row(9));
    it.handle_page(9, vec![picked(2, Some(1)), picked(3, Some(1)), picked(4, Some(2)), picked(6, None)]);
    let start = |it: &mut Run| it.poll_start(T0, ordered, |_| false).map(|it| it.picked.place);
    assert_eq!([start(&mut it), start(&mut it), start(&mut it), start(&mut it)], [Some(2), Some(4), Some(6), None]);
    it.handle_outcome(2, Next::RetryAt(T0 + Duration::from_secs(5)), true, T0);
    assert_eq!(start(&mut it), None, "the one that failed is first of its subject");
    let later = T0 + Duration::from_secs(5);
    assert_eq!(it.next_timeout(T0, ordered), Some(later));
    assert_eq!(it.poll_start(later, ordered, |_| false), Some(Start { picked: picked(2, Some(1)), try_no: 2 }));
    it.handle_outcome(2, Next::Park { reason: "tries-exhausted" }, true, later);
    assert_eq!(start(&mut it), Some(3));
}

#[test]
fn without_order_nobody_waits_for_another() {
    let mut it = Run::new(row(9));
    it.handle_page(9, [2, 3].map(|place| Picked { revision: 2, ..picked(place, Some(1)) }).to_vec());
    let start = |it: &mut Run| it.poll_start(T0, ordered, |_| false).map(|it| it.picked.place);
    assert_eq!([start(&mut it), start(&mut it), start(&mut it)], [Some(2), Some(3), None]);
}

#[test]
fn whoever_is_busy_waits_and_the_rate_is_kept() {
    let mut it = Run::new(Replay { rate_max_per_s: Some(2), ..row(9) });
    it.handle_page(9, vec![picked(2, None), picked(3, None), picked(4, None)]);
    assert_eq!(it.poll_start(T0, ordered, |it| it.place == 2).map(|it| it.picked.place), Some(3));
    assert!(it.peek(T0, ordered, |_| false).is_none());
    let half = T0 + Duration::from_millis(500);
    assert_eq!(it.next_timeout(T0, ordered), Some(half));
    assert_eq!(it.poll_start(half, ordered, |_| false).map(|it| it.picked.place), Some(2));
}

#[test]
fn what_was_cancelled_starts_nothing_and_keeps_what_came() {
    let mut it = Run::new(row(9));
    it.handle_page(5, vec![picked(2, None), picked(3, None), picked(4, None)]);
    for _ in 0..2 {
        it.poll_start(T0, ordered, |_| false).unwrap();
    }
    it.handle_outcome(2, Next::Delivered, true, T0);
    it.cancel("asked", T0);
    assert!(!it.wants_more() && it.peek(T0, ordered, |_| false).is_none() && it.next_timeout(T0, ordered).is_none());
    let row = it.take().progress;
    assert_eq!((row.state, row.matched, row.delivered, row.cursor), (ReplayState::Cancelled, 1, 1, 2));
    it.handle_outcome(3, Next::Delivered, true, T0);
    assert!(it.is_dirty());
    assert_eq!((it.take().progress.delivered, it.row().progress.matched), (2, 2));
}

#[test]
fn what_retention_took_is_counted_and_the_rest_goes_on() {
    let mut it = Run::new(row(9));
    it.handle_page(4, vec![picked(2, None), picked(3, None), picked(4, None)]);
    it.poll_start(T0, ordered, |_| false).unwrap();
    it.handle_floor(6);
    assert_eq!((it.read(), it.row().progress.gone), (6, 2 + 2), "3 and 4 were picked, 5 and 6 were not read, 2 is in flight");
    it.handle_floor(6);
    assert_eq!(it.row().progress.gone, 4);
    it.handle_abort(2);
    it.handle_floor(6);
    assert_eq!(it.row().progress.gone, 5);
    it.handle_floor(99);
    it.end_if_through(T0);
    let row = it.take();
    assert_eq!((row.progress.state, row.progress.gone, row.progress.cursor), (ReplayState::Done, 8, 9), "not beyond its end");
}

#[derive(Clone, Debug)]
enum Op {
    Page(u8),
    Start,
    End(Index, u8),
    Advance(u8),
    Save,
    Crash,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1..6_u8).prop_map(Op::Page),
        6 => Just(Op::Start),
        6 => (any::<Index>(), 0..5_u8).prop_map(|(which, how)| Op::End(which, how)),
        2 => (0..20_u8).prop_map(Op::Advance),
        3 => Just(Op::Save),
        1 => Just(Op::Crash),
    ];
    proptest::collection::vec(op, 0..120)
}

/// A replay and what it is to send, with a store that has only what was saved. An outcome and its effect on
/// the replay are saved in one step, so `sure` is what any crash leaves.
struct World {
    run: Run,
    now: Timestamp,
    wanted: BTreeMap<Place, Option<u8>>,
    in_flight: BTreeSet<Place>,
    over: BTreeMap<Place, bool>,
    saved: (Replay, BTreeMap<Place, bool>),
}

impl World {
    fn check(&mut self) {
        let row = self.run.take();
        let delivered = self.over.values().filter(|it| **it).count() as u64;
        let progress = &row.progress;
        assert_eq!((progress.delivered, progress.parked), (delivered, self.over.len() as u64 - delivered));
        // Everything up to where it looked is done with, waits to be tried again, or lies above the mark.
        for place in self.wanted.keys().filter(|it| **it <= progress.cursor) {
            let again = progress.again.iter().any(|it| it.place == *place);
            assert_ne!(again, self.over.contains_key(place), "{place} has one account at or below {}", progress.cursor);
        }
        for place in &progress.above {
            assert!(*place > progress.cursor && self.over.contains_key(place));
        }
        assert!(progress.above.len() <= limits::REPLAY_EVENTS_MAX + limits::REPLAY_RETRIES_MAX);
        self.saved = (row, self.over.clone());
    }

    fn page(&mut self, size: u8) {
        if self.run.wants_more() {
            let (from, to) = (self.run.read(), (self.run.read() + u64::from(size)).min(40));
            let found = self.wanted.range(from + 1..=to).map(|(place, of)| picked(*place, *of)).collect();
            self.run.handle_page(to, found);
        }
    }

    fn start(&mut self) {
        let Some(start) = self.run.poll_start(self.now, ordered, |_| false) else { return };
        let place = start.picked.place;
        assert!(!self.over.contains_key(&place), "{place} is sent again after it was over");
        let of = self.wanted[&place];
        let beside = self.in_flight.iter().any(|it| of.is_some() && self.wanted[it] == of);
        assert!(!beside, "two of one subject are in flight");
        let earlier = self.wanted.range(..place).any(|(it, other)| of.is_some() && *other == of && !self.over.contains_key(it));
        assert!(!earlier, "{place} goes past an earlier one of its subject");
        assert!(self.in_flight.insert(place));
    }

    fn end_some(&mut self, which: Index, how: u8) {
        if !self.in_flight.is_empty() {
            let all: Vec<_> = self.in_flight.iter().copied().collect();
            self.end(*which.get(&all), how);
        }
    }

    fn end(&mut self, place: Place, how: u8) {
        self.in_flight.remove(&place);
        match how {
            0 => self.run.handle_outcome(place, Next::RetryAt(self.now + Duration::from_secs(7)), true, self.now),
            1 => self.run.handle_outcome(place, Next::Hold { reason: "refused" }, false, self.now),
            2 => {
                self.run.handle_outcome(place, Next::Park { reason: "tries-exhausted" }, true, self.now);
                self.over.insert(place, false);
            }
            3 => self.run.handle_abort(place),
            _ => {
                self.run.handle_outcome(place, Next::Delivered, true, self.now);
                self.over.insert(place, true);
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_sent_twice_or_counted_twice(wanted in proptest::collection::btree_map(1..40_u64, proptest::option::of(0..3_u8), 0..30), ops in ops()) {
        let saved = (row(40), BTreeMap::new());
        let mut it = World { run: Run::new(row(40)), now: T0, wanted, in_flight: BTreeSet::new(), over: BTreeMap::new(), saved };
        for op in ops {
            match op {
                Op::Page(size) => it.page(size),
                Op::Start => it.start(),
                Op::End(which, how) => it.end_some(which, how),
                Op::Advance(secs) => it.now = it.now + Duration::from_secs(u64::from(secs)),
                Op::Save => it.check(),
                Op::Crash => {
                    it.in_flight.clear();
                    it.over = it.saved.1.clone();
                    it.run = Run::new(it.saved.0.clone());
                }
            }
        }
        // Left alone with a receiver that takes everything, it comes to its end.
        for _ in 0..500 {
            it.now = it.now + Duration::from_secs(10);
            it.page(9);
            it.start();
            if let Some(first) = it.in_flight.first().copied() {
                it.end(first, 4);
            }
        }
        it.run.end_if_through(it.now);
        it.check();
        let progress = &it.saved.0.progress;
        prop_assert_eq!(progress.state, ReplayState::Done);
        prop_assert_eq!(progress.matched, it.wanted.len() as u64);
        prop_assert_eq!((progress.cursor, progress.above.len(), progress.again.len()), (40, 0, 0));
    }
}
