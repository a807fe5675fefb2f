//! Workers pull from a window and ack, nack, die; a small model that knows
//! nothing of the window's insides says of every event what may happen to it.
//! In between the subscription is pushed, the process crashes, and what was not
//! settled is forgotten.

use super::*;
use crate::window::{Limits, Offer, Resume, Settling, Start};
use proptest::{prelude::*, sample::Index};
use ringback_model::{
    Subject,
    delivery::{Exception, Outcome},
    event::PayloadForm,
    subscription::{Order, Revision},
};

const T0: Timestamp = Timestamp::from_secs(1_000_000);
const LEASE: Duration = Duration::from_secs(30);

impl Window {
    pub(in crate::window) fn held_places(&self) -> Option<Vec<Place>> {
        self.leases.as_ref().map(|it| it.held.keys().copied().collect())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(u8),
    /// Reads and hands out at most so many.
    Pull(u8),
    Ack(Index),
    /// Acks one event of a batch.
    AckOne(Index, Index),
    Nack(Index, u16),
    Extend(Index),
    TakeBack(Index),
    Advance(u32),
    Settle,
    /// The process ends; what was being written arrived or not.
    Crash(bool),
    /// Pull becomes push or the other way round.
    Switch,
    /// While it is pushed: one try, and how it ends.
    Push(bool),
    Retry(Index),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1_u8..6).prop_map(Op::Append),
        8 => (1_u8..6).prop_map(Op::Pull),
        4 => any::<Index>().prop_map(Op::Ack),
        3 => any::<(Index, Index)>().prop_map(|(a, b)| Op::AckOne(a, b)),
        3 => (any::<Index>(), 0_u16..100).prop_map(|(it, delay)| Op::Nack(it, delay)),
        1 => any::<Index>().prop_map(Op::Extend),
        1 => any::<Index>().prop_map(Op::TakeBack),
        5 => prop_oneof![1_u32..20, Just(31), Just(500)].prop_map(Op::Advance),
        3 => Just(Op::Settle),
        1 => any::<bool>().prop_map(Op::Crash),
        1 => Just(Op::Switch),
        3 => any::<bool>().prop_map(Op::Push),
        1 => any::<Index>().prop_map(Op::Retry),
    ]
}

/// What the model knows of one event.
#[derive(Clone, Debug, Default)]
struct Known {
    tries: u32,
    /// Under which lease, until when.
    leased: Option<(LeaseId, Timestamp)>,
    /// Not to be handed out before.
    due: Option<Timestamp>,
    /// A lease ended on it, and nobody has said a word about it since.
    killed: bool,
    done: bool,
    parked: bool,
}

struct World {
    order: Order,
    window: Window,
    now: Timestamp,
    last: Place,
    events: BTreeMap<Place, Known>,
    batches: Vec<(LeaseId, Vec<Leased>)>,
    pushing: Vec<Start>,
    next_lease: LeaseId,
    next_attempt: u128,
    /// What is on disk.
    cursor: Place,
    exceptions: BTreeMap<Place, Exception>,
    attempts: BTreeMap<(Place, u32), Attempt>,
}

fn revisions(order: Order) -> [Revision; 1] {
    [Revision { no: 1, from: 0, types: vec![], filter: None, payload: PayloadForm::Full, order, public_url: String::new() }]
}

fn subject(place: Place) -> Option<u64> {
    (!place.is_multiple_of(4)).then_some(place % 4)
}

fn push_limits() -> Limits {
    Limits { concurrency_max: 4, delays: vec![10; 30], ..Limits::pulled() }
}

impl World {
    fn new(order: Order) -> Self {
        let mut window = Window::new(Resume::default(), 1, Limits::pulled(), &revisions(order), T0);
        window.set_pulled(true, T0);
        Self {
            order,
            window,
            now: T0,
            last: 0,
            events: BTreeMap::new(),
            batches: vec![],
            pushing: vec![],
            next_lease: 0,
            next_attempt: 0,
            cursor: 0,
            exceptions: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    fn attempt_id(&mut self) -> AttemptId {
        self.next_attempt += 1;
        AttemptId::from_bits(self.next_attempt)
    }

    fn known(&mut self, place: Place) -> &mut Known {
        self.events.get_mut(&place).expect("an event of the log")
    }

    fn read(&mut self, demand: usize) {
        self.window.set_demand(demand);
        while self.window.read() < self.last && self.window.room() > 0 {
            let place = self.window.read() + 1;
            let subject = subject(place).and_then(|it| Subject::parse(&format!("/s/{it}")).ok());
            let offer = Offer { event: EventId::from_bits(u128::from(place)), subject, revision: 1, expires_at: None };
            assert!(self.window.offer(place, Some(offer), self.now));
        }
    }

    fn failed(&mut self, place: Place, due: Timestamp) {
        let it = self.known(place);
        it.tries += 1;
        it.leased = None;
        it.due = Some(due);
        it.parked = it.tries >= limits::PULL_TRIES_MAX;
    }

    /// Leases that are over by now, in the model and in the window.
    fn end_leases(&mut self) {
        let now = self.now;
        let mut over = Vec::new();
        while let Some(place) = self.window.poll_lease_end(now) {
            let id = self.attempt_id();
            self.window.handle_lease_end(place, id, now);
            over.push(place);
        }
        over.sort_unstable();
        let expected: Vec<Place> =
            self.events.iter().filter(|(_, it)| it.leased.is_some_and(|(_, until)| until <= now)).map(|(at, _)| *at).collect();
        assert_eq!(over, expected, "leases that ended");
        for place in over {
            self.failed(place, now);
            self.known(place).killed = true;
        }
    }

    fn pull(&mut self, limit: usize) {
        self.end_leases();
        self.read(limit);
        self.next_lease += 1;
        let by = self.next_lease;
        let leased = self.window.lease(limit, by, self.now + LEASE, self.now);
        self.window.set_demand(0);
        assert!(leased.len() <= limit);
        if !self.window.is_pulled() {
            assert_eq!(leased, [], "handed out though it is pushed");
            return;
        }
        let now = self.now;
        for it in &leased {
            let known = self.known(it.place).clone();
            assert!(!known.done && !known.parked, "{} was settled", it.place);
            assert_eq!(known.leased, None, "{} is held by somebody", it.place);
            assert!(known.due.is_none_or(|due| due <= now), "{} is not due", it.place);
            assert_eq!(it.try_no, known.tries + 1, "{} has the wrong number", it.place);
            assert_eq!(it.event, EventId::from_bits(u128::from(it.place)));
            assert!(!known.killed || leased.len() == 1, "{} was not handed out alone", it.place);
            if self.order == Order::Subject && subject(it.place).is_some() {
                let earlier = self.events.range(..it.place).filter(|(at, _)| subject(**at) == subject(it.place));
                for (at, before) in earlier {
                    assert!(before.done || before.parked, "{} came before {at} of its subject was over", it.place);
                }
            }
        }
        for it in &leased {
            self.known(it.place).leased = Some((by, now + LEASE));
        }
        self.batches.push((by, leased));
    }

    fn ack(&mut self, events: &[Leased]) {
        self.end_leases();
        for it in events {
            let id = self.attempt_id();
            let acked = self.window.handle_ack(it.place, it.event, id, self.now);
            let in_push = self.pushing.iter().any(|start| start.place == it.place);
            let known = self.known(it.place);
            let want = if known.done || known.parked || in_push { Acked::Late } else { Acked::Settled };
            assert_eq!(acked, want, "ack of {}", it.place);
            if acked == Acked::Settled {
                *known = Known { done: true, tries: known.tries + 1, ..Known::default() };
            }
        }
    }

    fn nack(&mut self, by: LeaseId, events: &[Leased], delay: Duration) {
        self.end_leases();
        let now = self.now;
        for it in events {
            let id = self.attempt_id();
            let found = self.window.handle_nack(it.place, by, delay, id, now);
            let known = self.known(it.place);
            let holds = known.leased.is_some_and(|(held, _)| held == by);
            let want = if known.done || known.parked {
                Nacked::Late
            } else if holds {
                Nacked::Done
            } else {
                Nacked::Expired
            };
            assert_eq!(found, want, "nack of {}", it.place);
            if found == Nacked::Done {
                self.failed(it.place, now + delay);
                self.known(it.place).killed = false;
            }
        }
    }

    fn switch(&mut self) {
        self.end_leases();
        let (pulled, now) = (!self.window.is_pulled(), self.now);
        self.window.set_limits(if pulled { Limits::pulled() } else { push_limits() });
        self.window.set_pulled(pulled, now);
        for it in self.events.values_mut() {
            if pulled {
                it.due = it.due.map(|due| due.min(now));
            } else {
                // Leases are void, and cost nothing.
                it.leased = None;
            }
            it.killed = false;
        }
    }

    fn push(&mut self, succeeds: bool) {
        if !self.window.is_pulled() {
            self.read(usize::MAX);
            if let Some(start) = self.window.poll_start(self.now) {
                let (now, known) = (self.now, self.known(start.place).clone());
                assert!(!known.done && !known.parked && known.due.is_none_or(|due| due <= now), "{} is pushed too early", start.place);
                assert_eq!(start.try_no, known.tries + 1, "tries are kept");
                self.pushing.push(start);
            }
        } else {
            assert_eq!(self.window.poll_start(self.now), None, "pushed though it is pulled");
        }
        if self.pushing.len() > 2 || !succeeds {
            let Some(start) = self.pushing.pop() else { return };
            self.end_push(&start, succeeds);
        }
    }

    fn end_push(&mut self, start: &Start, succeeds: bool) {
        let outcome = if succeeds {
            Outcome::Delivered { status_code: 200 }
        } else {
            Outcome::Failed { status_code: Some(500), reason: "status", retry_after: None }
        };
        let id = self.attempt_id();
        let attempt = Attempt {
            id,
            event: start.event,
            place: start.place,
            generation: 1,
            n: start.try_no,
            at: self.now,
            via: Via::Schedule,
            outcome: outcome.as_str().into(),
            reason: None,
            status_code: None,
            timings: Timings::default(),
            peer: None,
            response: None,
        };
        self.window.handle_outcome(start.place, attempt, &outcome, self.now, 0.5).expect("it was in flight");
        let state = self.window.exception(start.place).map(|it| it.state.clone());
        let known = self.known(start.place);
        match state {
            None => *known = Known { done: true, tries: known.tries + 1, ..Known::default() },
            Some(ExceptionState::Retrying { due_at }) => {
                known.tries += 1;
                known.due = Some(due_at);
            }
            Some(_) => {
                known.tries += 1;
                known.parked = true;
            }
        }
    }

    fn write(&mut self, it: &Settling) {
        assert!(it.cursor >= self.cursor, "the cursor moved back");
        self.cursor = it.cursor;
        for attempt in &it.attempts {
            let twin = self.attempts.insert((attempt.place, attempt.n), attempt.clone());
            assert!(twin.is_none_or(|twin| twin.id == attempt.id), "two attempts of {} are number {}", attempt.place, attempt.n);
        }
        self.exceptions.extend(it.exceptions.iter().map(|it| (it.place, it.clone())));
        for place in &it.removed {
            self.exceptions.remove(place);
        }
        // P11, below the cursor.
        let succeeded: BTreeSet<Place> = self.attempts.values().filter(|it| it.succeeded()).map(|it| it.place).collect();
        for place in 1..=self.cursor {
            let (ok, exception) = (succeeded.contains(&place), self.exceptions.contains_key(&place));
            assert!(ok != exception, "{place} below the cursor: delivered {ok}, an exception {exception}");
        }
    }

    fn settle(&mut self) {
        if let Some(it) = self.window.take_settlement() {
            self.write(&it);
            self.window.handle_settled(it.cursor);
        }
    }

    fn crash(&mut self, written: bool) {
        if let Some(it) = self.window.take_settlement().filter(|_| written) {
            self.write(&it);
        }
        self.pushing.clear();
        let succeeded: BTreeSet<Place> = self.attempts.values().filter(|it| it.succeeded()).map(|it| it.place).collect();
        let resume = Resume {
            cursor: self.cursor,
            exceptions: self.exceptions.values().cloned().collect(),
            delivered_above: succeeded.iter().copied().filter(|it| *it > self.cursor).collect(),
            skipped: vec![],
        };
        let pulled = self.window.is_pulled();
        let limits = if pulled { Limits::pulled() } else { push_limits() };
        self.window = Window::new(resume, 1, limits, &revisions(self.order), self.now);
        if pulled {
            self.window.restore_pulled();
        }
        for (place, it) in &mut self.events {
            let row = self.exceptions.get(place);
            *it = Known { done: succeeded.contains(place) && row.is_none(), ..Known::default() };
            if let Some(row) = row {
                it.tries = row.tries;
                it.killed = pulled && row.tries > 0;
                match row.state {
                    ExceptionState::Retrying { due_at } => it.due = Some(due_at),
                    ExceptionState::Parked { .. } => it.parked = true,
                    ExceptionState::Held => {}
                }
            }
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Append(count) => {
                for _ in 0..count {
                    self.last += 1;
                    self.events.insert(self.last, Known::default());
                }
            }
            Op::Pull(limit) => self.pull(usize::from(limit)),
            Op::Advance(secs) => self.now = self.now + Duration::from_secs(secs.into()),
            Op::Settle => self.settle(),
            Op::Crash(written) => self.crash(written),
            Op::Switch => self.switch(),
            Op::Push(succeeds) => self.push(succeeds),
            Op::Ack(at) if !self.batches.is_empty() => {
                let events = at.get(&self.batches).1.clone();
                self.ack(&events);
            }
            Op::AckOne(batch, at) if !self.batches.is_empty() => {
                let events = batch.get(&self.batches).1.clone();
                if !events.is_empty() {
                    self.ack(&[*at.get(&events)]);
                }
            }
            Op::Nack(at, delay) if !self.batches.is_empty() => {
                let (by, events) = at.get(&self.batches).clone();
                self.nack(by, &events, Duration::from_secs(delay.into()));
            }
            Op::Extend(at) if !self.batches.is_empty() => {
                self.end_leases();
                let (by, events) = at.get(&self.batches).clone();
                let until = self.now + LEASE;
                for it in events {
                    let done = self.window.extend(it.place, by, until, self.now) == Nacked::Done;
                    let known = self.known(it.place);
                    assert_eq!(done, known.leased.is_some_and(|(held, _)| held == by), "extension of {}", it.place);
                    known.leased = known.leased.map(|(held, old)| (held, if done { until } else { old }));
                }
            }
            Op::TakeBack(at) if !self.batches.is_empty() => {
                let (by, events) = at.get(&self.batches).clone();
                for it in events {
                    self.window.take_back(it.place, by, self.now);
                    let known = self.known(it.place);
                    known.leased = known.leased.filter(|(held, _)| *held != by);
                }
            }
            Op::Retry(at) => {
                let parked: Vec<Place> = self.events.iter().filter(|(_, it)| it.parked).map(|(at, _)| *at).collect();
                if !parked.is_empty() {
                    let place = *at.get(&parked);
                    self.window.retry_now(place, self.now).expect("it is parked");
                    let now = self.now;
                    let known = self.known(place);
                    known.parked = false;
                    known.due = Some(now);
                }
            }
            _ => {}
        }
        self.window.audit();
    }

    /// Somebody who acks comes at last: nothing is left then.
    fn drain(&mut self) {
        for start in core::mem::take(&mut self.pushing) {
            self.end_push(&start, true);
        }
        if !self.window.is_pulled() {
            self.switch();
        }
        self.now = self.now + Duration::from_secs(100_000);
        for _ in 0..10_000 {
            self.pull(7);
            let batch = self.batches.last().map(|it| it.1.clone()).unwrap_or_default();
            if batch.is_empty() {
                break;
            }
            self.ack(&batch);
        }
        for (place, it) in &self.events {
            assert!(it.done || it.parked, "{place} was lost: {it:?}");
        }
        self.settle();
        self.settle();
        assert_eq!(self.cursor, self.last, "all of it is settled");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn workers_lose_nothing(ordered: bool, ops in prop::collection::vec(op(), 1..150)) {
        let mut world = World::new(if ordered { Order::Subject } else { Order::None });
        for op in ops {
            world.step(op);
        }
        world.drain();
    }
}

#[test]
fn a_poison_event_parks_only_itself() {
    let mut world = World::new(Order::None);
    world.step(Op::Append(5));
    let mut handed_out = BTreeMap::new();
    for _ in 0..100 {
        world.pull(10);
        let batch = world.batches.last().expect("a batch").1.clone();
        for it in &batch {
            *handed_out.entry(it.place).or_insert(0) += 1;
        }
        // Whoever is given the third one dies.
        if batch.iter().any(|it| it.place == 3) {
            world.now = world.now + LEASE;
        } else {
            world.ack(&batch);
        }
    }
    assert_eq!(handed_out, BTreeMap::from([(1, 2), (2, 2), (3, 15), (4, 2), (5, 2)]));
    let state = &world.window.exception(3).expect("an exception").state;
    assert!(matches!(state, ExceptionState::Parked { reason, .. } if reason == "tries-exhausted"), "{state:?}");
}

#[test]
fn nothing_is_read_that_nobody_asks_for() {
    let mut world = World::new(Order::None);
    world.step(Op::Append(200));
    world.read(0);
    assert_eq!((world.window.read(), world.window.room()), (0, 0));
    world.pull(3);
    assert_eq!(world.window.read(), 3);
}
