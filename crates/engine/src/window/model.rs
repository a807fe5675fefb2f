//! A window in a small world: a log, a store that keeps only what was settled,
//! a receiver, crashes. Judges that know none of the window's insides watch
//! every step; only `audit` looks inside, to compare each index with what it
//! is an index of.

use super::*;
use crate::retry::Next;
use core::time::Duration;
use proptest::{prelude::*, sample::Index};
use ringback_model::{
    AttemptId,
    delivery::{Outcome, Via},
    event::PayloadForm,
};

const T0: Timestamp = Timestamp::from_secs(1_000_000);
const GENERATION: Generation = 3;

impl Window {
    /// Every index says what a walk over everything says.
    pub(super) fn audit(&self) {
        let mut lines: BTreeMap<Arc<Subject>, (BTreeSet<Place>, BTreeSet<Place>, usize)> = BTreeMap::new();
        for (place, it) in &self.fresh {
            assert!(*place > self.settled && *place <= self.read, "fresh {place} is out of {}..={}", self.settled, self.read);
            assert!(!self.exceptions.contains_key(place) && !self.is_done(*place), "{place} is two things");
            assert!(!self.is_skipped(*place), "fresh {place} is skipped");
            if let Some(subject) = &it.subject {
                let line = lines.entry(subject.clone()).or_default();
                line.0.insert(*place);
                line.2 += usize::from(it.in_flight);
            }
        }
        assert!(self.fresh.len() <= self.limits.events_max, "more events than the window may hold");
        assert!(self.exceptions.len() + self.fresh.len() <= self.limits.exceptions_max, "more exceptions than there may be");
        let mut counts = Counts::default();
        for (place, it) in &self.exceptions {
            assert!(!self.is_done(*place), "{place} is two things");
            *counts.slot(&it.row.state) += 1;
            let parked = matches!(it.row.state, ExceptionState::Parked { .. });
            assert!(!(parked && it.in_flight), "parked {place} is in flight");
            if let Some(subject) = it.subject.as_ref().filter(|_| !parked) {
                let line = lines.entry(subject.clone()).or_default();
                line.1.insert(*place);
                line.2 += usize::from(it.in_flight);
            }
        }
        for (place, subject) in &self.replaying {
            assert!(self.parked(*place).is_some() || !self.exceptions.contains_key(place), "{place} is replayed and retried");
            if let Some(subject) = subject {
                lines.entry(subject.clone()).or_default().2 += 1;
            }
        }
        assert_eq!(self.counts, counts);
        let kept: BTreeMap<_, _> =
            self.lines.iter().map(|(subject, it)| (subject.clone(), (it.waiting.clone(), it.failed.clone(), it.in_flight))).collect();
        assert_eq!(kept, lines);
        assert_eq!(self.fresh_in_flight, self.fresh.values().filter(|it| it.in_flight).count());
        assert_eq!(self.retries_in_flight, self.exceptions.values().filter(|it| it.in_flight).count());

        let blocked = |place: Place, revision: RevisionNo, subject: &Option<Arc<Subject>>| {
            self.is_ordered(revision)
                && subject
                    .as_ref()
                    .and_then(|it| lines.get(it))
                    .is_some_and(|(waiting, failed, in_flight)| *in_flight > 0 || waiting.iter().chain(failed).any(|other| *other < place))
        };
        let ready = self.fresh.iter().filter(|(place, it)| !it.in_flight && !blocked(**place, it.revision, &it.subject)).map(|it| *it.0);
        let ready: BTreeSet<_> = ready.filter(|place| !self.is_planned(*place)).collect();
        assert_eq!(self.ready, ready, "ready");
        let mut due = BTreeSet::new();
        for (place, it) in self.exceptions.iter().filter(|(_, it)| !it.in_flight) {
            let free = !blocked(*place, it.row.revision, &it.subject);
            match it.row.state {
                ExceptionState::Retrying { due_at } if free => {
                    due.insert((due_at, *place));
                }
                ExceptionState::Held => assert!(!free, "{place} is held behind nobody"),
                _ => {}
            }
        }
        assert_eq!(self.due, due, "due");
        if let Some(held) = self.held_places() {
            for place in held {
                assert_eq!(self.state_of(place), Some(InWindow::InFlight), "{place} is leased and not in flight");
            }
        }
        let mut end = None;
        for (from, to) in &self.skipped {
            assert!(from < to && end.is_none_or(|end| end < *from), "ranges overlap");
            end = Some(*to);
        }
        for (waiting, failed, _) in lines.values() {
            if let (Some(first), Some(failed)) = (waiting.first(), failed.first()) {
                let it = &self.fresh[first];
                let stays = it.in_flight || !self.is_ordered(it.revision) || first < failed || self.is_planned(*first);
                assert!(stays, "{first} keeps the cursor back behind an exception");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unmatched,
    Loose,
    Of(u8),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Ok,
    Fail,
    FailAfter(u16),
    Unknown,
    Unroutable,
}

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<Kind>),
    Read(u8),
    Start(u8),
    Answer(Index, Answer, f64),
    Abort(Index),
    Advance(u32),
    Take,
    Written,
    NotWritten { but_it_was: bool },
    Crash { written: bool, arrived: bool },
    Pause,
    Resume,
    RetryNow(Index),
    FromNow,
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![1 => Just(Kind::Unmatched), 1 => Just(Kind::Loose), 4 => (0_u8..3).prop_map(Kind::Of)];
    let answer = prop_oneof![
        4 => Just(Answer::Ok),
        4 => Just(Answer::Fail),
        1 => (0_u16..100).prop_map(Answer::FailAfter),
        1 => Just(Answer::Unknown),
        1 => Just(Answer::Unroutable),
    ];
    let time = prop_oneof![3 => 1_u32..200, 3 => 500_u32..5_000, 1 => Just(3_600_000)];
    prop_oneof![
        3 => prop::collection::vec(kind, 1..8).prop_map(Op::Append),
        4 => (1_u8..10).prop_map(Op::Read),
        6 => (1_u8..5).prop_map(Op::Start),
        8 => (any::<Index>(), answer, 0.0_f64..1.0).prop_map(|(it, answer, jitter)| Op::Answer(it, answer, jitter)),
        1 => any::<Index>().prop_map(Op::Abort),
        4 => time.prop_map(Op::Advance),
        3 => Just(Op::Take),
        3 => Just(Op::Written),
        1 => any::<bool>().prop_map(|but_it_was| Op::NotWritten { but_it_was }),
        1 => any::<(bool, bool)>().prop_map(|(written, arrived)| Op::Crash { written, arrived }),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
        1 => any::<Index>().prop_map(Op::RetryNow),
        1 => Just(Op::FromNow),
    ]
}

/// What survives a crash: exactly what was settled, and the skipped ranges.
#[derive(Debug, Default)]
struct Store {
    cursor: Place,
    attempts: BTreeMap<AttemptId, Attempt>,
    exceptions: BTreeMap<Place, Exception>,
    ranges: Vec<SkippedRange>,
}

impl Store {
    fn settle(&mut self, it: &Settling) {
        self.cursor = self.cursor.max(it.cursor);
        self.attempts.extend(it.attempts.iter().map(|it| (it.id, it.clone())));
        self.exceptions.extend(it.exceptions.iter().map(|it| (it.place, it.clone())));
        for place in &it.removed {
            self.exceptions.remove(place);
        }
    }

    fn succeeded(&self) -> BTreeSet<Place> {
        self.attempts.values().filter(|it| it.succeeded() && it.generation == GENERATION).map(|it| it.place).collect()
    }

    fn is_skipped(&self, place: Place) -> bool {
        self.ranges.iter().any(|it| it.from < place && place <= it.to)
    }
}

struct World {
    log: Vec<Kind>,
    orders: [Order; 2],
    /// Events after it belong to the second revision.
    edited_at: Place,
    limits: Limits,
    store: Store,
    window: Window,
    now: Timestamp,
    in_flight: BTreeMap<Place, Start>,
    writing: Option<Settling>,
    attempts_made: u64,
    crashes: usize,
    // What the judges know.
    receipts: BTreeMap<Place, usize>,
    /// Successes that this life of the process heard of or found in the store.
    known: BTreeSet<Place>,
    due: BTreeMap<Place, Timestamp>,
    /// Tries spent, as far as this life of the process can know.
    spent: BTreeMap<Place, u32>,
    unroutable_until: Option<Timestamp>,
    last_cursor: Place,
    /// What is about to be skipped, up to where, and what was in flight then.
    planned: Option<(Vec<SkippedRange>, Place, BTreeSet<Place>)>,
}

fn revision(no: RevisionNo, from: Place, order: Order) -> Revision {
    Revision { no, from, types: vec![], filter: None, payload: PayloadForm::Full, order, public_url: String::new() }
}

impl World {
    fn new(orders: [Order; 2], edited_at: Place, limits: Limits) -> Self {
        let window = Window::new(Resume::default(), GENERATION, limits.clone(), &Self::revisions(orders, edited_at), T0);
        Self {
            log: vec![],
            orders,
            edited_at,
            limits,
            store: Store::default(),
            window,
            now: T0,
            in_flight: BTreeMap::new(),
            writing: None,
            attempts_made: 0,
            crashes: 0,
            receipts: BTreeMap::new(),
            known: BTreeSet::new(),
            due: BTreeMap::new(),
            spent: BTreeMap::new(),
            unroutable_until: None,
            last_cursor: 0,
            planned: None,
        }
    }

    fn revisions(orders: [Order; 2], edited_at: Place) -> [Revision; 2] {
        [revision(1, 0, orders[0]), revision(2, edited_at, orders[1])]
    }

    fn revision_of(&self, place: Place) -> RevisionNo {
        if place > self.edited_at { 2 } else { 1 }
    }

    fn is_ordered(&self, place: Place) -> bool {
        self.orders[self.revision_of(place) as usize - 1] == Order::Subject
    }

    fn kind(&self, place: Place) -> Kind {
        self.log[usize::try_from(place).unwrap() - 1]
    }

    fn subject(&self, place: Place) -> Option<u8> {
        match self.kind(place) {
            Kind::Of(it) => Some(it),
            Kind::Loose | Kind::Unmatched => None,
        }
    }

    fn last(&self) -> Place {
        self.log.len() as Place
    }

    fn matching(&self, to: Place) -> impl Iterator<Item = Place> {
        (1..=to).filter(|it| !matches!(self.kind(*it), Kind::Unmatched))
    }

    fn read(&mut self, most: usize) {
        for _ in 0..most {
            let place = self.window.read() + 1;
            if place > self.last() {
                return;
            }
            let taken = match self.kind(place) {
                Kind::Unmatched => {
                    self.window.advance_read(place);
                    true
                }
                kind => {
                    let subject = if let Kind::Of(it) = kind { Subject::parse(&format!("/s/{it}")).ok() } else { None };
                    let offer = Offer {
                        event: EventId::from_bits(u128::from(place)),
                        subject,
                        revision: self.revision_of(place),
                        expires_at: None,
                    };
                    self.window.offer(place, Some(offer), self.now)
                }
            };
            if !taken {
                assert_eq!(self.window.room(), 0, "an offer was refused though there is room");
                return;
            }
            assert_eq!(self.window.read(), place);
        }
    }

    /// Starts up to `most` tries; true when the window had no more.
    fn start(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(start) = self.window.poll_start(self.now) else {
                if let Some(at) = self.window.next_timeout() {
                    let settles = self.window.settle_due().is_some_and(|it| it <= self.now);
                    assert!(at > self.now || settles, "the timer would spin: {at} is not after {}", self.now);
                }
                return true;
            };
            let place = start.place;
            assert!(self.window.is_active(), "{place} started while paused");
            assert!(self.unroutable_until.is_none_or(|it| it <= self.now), "{place} started though the address cannot be called");
            assert!(self.unroutable_until.is_none() || self.in_flight.is_empty(), "{place} joined the one try that asks the address");
            assert!(self.due.get(&place).is_none_or(|due| *due <= self.now), "{place} started before it was due");
            assert!(!self.known.contains(&place), "{place} started again after its success");
            assert!(!self.store.is_skipped(place), "{place} started though it is skipped");
            assert_eq!(start.try_no, self.spent.get(&place).copied().unwrap_or(0) + 1, "{place} has the wrong number");
            assert_eq!(start.event, EventId::from_bits(u128::from(place)));
            assert_eq!(start.revision, self.revision_of(place), "{place} changed its revision");
            if let Some(subject) = self.subject(place).filter(|_| self.is_ordered(place)) {
                for other in self.in_flight.keys() {
                    assert_ne!(self.subject(*other), Some(subject), "{place} and {other} of one subject are in flight");
                }
                for earlier in self.matching(place - 1).filter(|it| self.subject(*it) == Some(subject)) {
                    let parked = self.window.exception(earlier).is_some_and(|it| matches!(it.state, ExceptionState::Parked { .. }));
                    let over = self.receipts.contains_key(&earlier) || parked || self.store.is_skipped(earlier);
                    assert!(over, "{place} started before {earlier} of its subject was over");
                }
            }
            assert!(self.in_flight.insert(place, start).is_none(), "{place} is in flight twice");
            assert!(self.in_flight.len() <= self.limits.concurrency_max, "too many in flight");
        }
        false
    }

    fn answer(&mut self, place: Place, answer: Answer, jitter: f64) {
        let Some(start) = self.in_flight.remove(&place) else { return };
        let failed = |retry_after| Outcome::Failed { status_code: Some(503), reason: "status", retry_after };
        let outcome = match answer {
            Answer::Ok => Outcome::Delivered { status_code: 200 },
            Answer::Fail => failed(None),
            Answer::FailAfter(secs) => failed(Some(Duration::from_secs(u64::from(secs)))),
            Answer::Unknown => Outcome::Unknown,
            Answer::Unroutable => Outcome::Unroutable { reason: "refused" },
        };
        self.attempts_made += 1;
        let attempt = attempt(self.attempts_made, &start, &outcome, self.now);
        let effect = self.window.handle_outcome(place, attempt.clone(), &outcome, self.now, jitter);
        let effect = effect.expect("it was in flight");
        assert_eq!(self.window.handle_outcome(place, attempt, &outcome, self.now, jitter), None, "an outcome counted twice");
        if !matches!(answer, Answer::Unroutable) {
            *self.spent.entry(place).or_default() += 1;
        }
        let tries_max = u32::try_from(self.limits.delays.len()).unwrap() + 1;
        match (answer, effect.next) {
            (Answer::Ok, Next::Delivered) => {
                *self.receipts.entry(place).or_default() += 1;
                self.known.insert(place);
            }
            (Answer::Fail | Answer::FailAfter(_) | Answer::Unknown, Next::RetryAt(at)) => {
                assert!(start.try_no < tries_max);
                assert!(at >= self.now + Duration::from_secs(1));
                if let Answer::FailAfter(secs) = answer {
                    assert!(at >= self.now + Duration::from_secs(u64::from(secs)), "Retry-After is a floor");
                }
                self.due.insert(place, at);
            }
            (Answer::Fail | Answer::FailAfter(_) | Answer::Unknown, Next::Park { .. }) => {
                assert!(start.try_no >= tries_max, "parked with tries left");
                self.due.remove(&place);
            }
            (Answer::Unroutable, Next::Hold { .. }) => {}
            (answer, next) => panic!("{next:?} does not follow from {answer:?}"),
        }
        self.unroutable_until = matches!(answer, Answer::Unroutable).then(|| self.now + UNROUTABLE_RECHECK);
    }

    fn take(&mut self) {
        if self.writing.is_none() {
            self.writing = self.window.take_settlement();
        }
        if self.writing.is_some() {
            assert_eq!(self.window.take_settlement(), None, "two settlements at once");
        }
    }

    fn apply(&mut self, it: &Settling) {
        let before = self.store.cursor;
        assert!(it.cursor >= before, "the stored cursor moved back");
        self.store.settle(it);
        self.judge_store();
    }

    fn crash(&mut self, written: bool, arrived: bool) {
        if let Some(it) = self.writing.take().filter(|_| written) {
            self.apply(&it);
        }
        for (place, _) in core::mem::take(&mut self.in_flight) {
            if arrived {
                *self.receipts.entry(place).or_default() += 1;
            }
        }
        self.crashes += 1;
        let succeeded = self.store.succeeded();
        let resume = Resume {
            cursor: self.store.cursor,
            exceptions: self.store.exceptions.values().cloned().collect(),
            delivered_above: succeeded.range(self.store.cursor + 1..).copied().collect(),
            skipped: self.store.ranges.clone(),
        };
        let revisions = Self::revisions(self.orders, self.edited_at);
        self.window = Window::new(resume, GENERATION, self.limits.clone(), &revisions, self.now);
        self.known = succeeded;
        self.spent = self.store.exceptions.values().map(|it| (it.place, it.tries)).collect();
        self.unroutable_until = None;
        self.due = self
            .store
            .exceptions
            .values()
            .filter_map(|it| if let ExceptionState::Retrying { due_at } = it.state { Some((it.place, due_at)) } else { None })
            .collect();
        self.last_cursor = self.store.cursor;
        self.planned = None;
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Append(kinds) => self.log.extend(kinds),
            // While something is about to be skipped nothing is read.
            Op::Read(_) if self.planned.is_some() => {}
            Op::Read(most) => self.read(usize::from(most)),
            Op::Start(most) => {
                self.start(usize::from(most));
            }
            Op::Answer(which, answer, jitter) if !self.in_flight.is_empty() => {
                let place = *self.in_flight.keys().nth(which.index(self.in_flight.len())).unwrap();
                self.answer(place, answer, jitter);
            }
            Op::Abort(which) if !self.in_flight.is_empty() => {
                let place = *self.in_flight.keys().nth(which.index(self.in_flight.len())).unwrap();
                self.in_flight.remove(&place);
                self.window.handle_abort(place, self.now);
                self.window.handle_abort(place, self.now);
            }
            Op::Advance(millis) => self.now = self.now + Duration::from_millis(u64::from(millis)),
            Op::Take => self.take(),
            Op::Written => {
                if let Some(it) = self.writing.take() {
                    self.apply(&it);
                    self.window.handle_settled(it.cursor);
                }
            }
            Op::NotWritten { but_it_was } => {
                if let Some(it) = self.writing.take() {
                    if but_it_was {
                        self.apply(&it);
                    }
                    self.window.put_back(it, self.now + Duration::from_secs(1));
                }
            }
            Op::Crash { written, arrived } => self.crash(written, arrived),
            Op::Pause => {
                self.planned = None;
                self.window.set_active(false, self.now);
            }
            Op::Resume => {
                if !self.window.is_active() {
                    self.unroutable_until = self.unroutable_until.map(|it| it.min(self.now));
                }
                // If something was about to be skipped, it was not stored.
                self.planned = None;
                self.window.set_active(true, self.now);
            }
            Op::RetryNow(which) if self.window.counts().all() > 0 => {
                let place = self.window.exceptions().nth(which.index(self.window.counts().all())).unwrap().place;
                self.retry_now(place);
            }
            // Paused for a resume from now; reading on when retention takes what it has not come to.
            Op::FromNow if self.planned.is_none() => {
                let ranges = self.window.plan_skip(self.last(), "resumed-from-now");
                for place in ranges.iter().flat_map(|it| it.from + 1..=it.to) {
                    assert!(!self.store.is_skipped(place), "{place} is skipped twice");
                    assert!(!self.in_flight.contains_key(&place), "{place} is skipped while it is in flight");
                }
                self.planned = Some((ranges, self.last(), self.in_flight.keys().copied().collect()));
            }
            Op::FromNow => {
                let Some((ranges, end, were_in_flight)) = self.planned.take() else { return };
                self.store.ranges.extend(ranges.iter().cloned());
                self.window.skip(&ranges, end, self.now);
                self.unroutable_until = None;
                for place in self.matching(end).collect::<Vec<_>>() {
                    let open = place > self.store.cursor && !self.known.contains(&place) && !self.store.is_skipped(place);
                    let kept = were_in_flight.contains(&place) || self.window.exception(place).is_some();
                    assert!(!open || kept, "{place} is still owed after a resume from now");
                }
            }
            Op::Answer(..) | Op::Abort(_) | Op::RetryNow(_) => {}
        }
        self.judge();
    }

    fn retry_now(&mut self, place: Place) {
        let before = self.window.exception(place).unwrap().clone();
        match self.window.retry_now(place, self.now) {
            Ok(()) => {
                assert!(!matches!(before.state, ExceptionState::Held), "a held delivery overtook");
                assert!(!self.in_flight.contains_key(&place));
                self.due.insert(place, self.now);
                self.unroutable_until = self.unroutable_until.map(|it| it.min(self.now));
            }
            Err(_) => assert_eq!(self.window.exception(place), Some(&before), "a refusal changed something"),
        }
    }

    fn judge(&mut self) {
        self.window.audit();
        assert_eq!(self.window.in_flight(), self.in_flight.len());
        let cursor = self.window.cursor();
        assert!(cursor >= self.last_cursor, "the cursor moved back");
        assert!(cursor <= self.window.read());
        self.last_cursor = cursor;
        // P4: nothing that the cursor has passed is forgotten.
        for place in self.matching(cursor) {
            let settled = self.known.contains(&place) || self.window.exception(place).is_some() || self.store.is_skipped(place);
            assert!(settled, "the cursor {cursor} passed {place}");
        }
        for (place, times) in &self.receipts {
            assert!(*times <= 1 + self.crashes, "{place} arrived {times} times after {} crashes", self.crashes);
        }
    }

    /// P11, of what is stored.
    fn judge_store(&self) {
        let succeeded = self.store.succeeded();
        for place in self.matching(self.last()) {
            let reasons = [succeeded.contains(&place), self.store.exceptions.contains_key(&place), self.store.is_skipped(place)];
            let count = reasons.into_iter().filter(|it| *it).count();
            if place <= self.store.cursor {
                assert_eq!(count, 1, "P11 of {place} at or below {}: {reasons:?}", self.store.cursor);
            } else {
                assert!(count <= 1, "P11 of {place} above {}: {reasons:?}", self.store.cursor);
            }
        }
    }

    /// The receiver answers, the disk works, time goes on, until nothing is left to do.
    fn heal(&mut self) {
        self.step(Op::Resume);
        for _ in 0..10_000 {
            self.read(usize::MAX);
            while !self.start(usize::MAX) {}
            let idle = self.in_flight.is_empty();
            for place in self.in_flight.keys().copied().collect::<Vec<_>>() {
                self.answer(place, Answer::Ok, 0.5);
            }
            self.judge();
            let over = self.window.next_timeout().is_none() && self.window.queued() == 0;
            if self.window.settle_due().is_some_and(|it| it <= self.now) || over {
                self.take();
            }
            let wrote = self.writing.is_some();
            self.step(Op::Written);
            let full = self.limits.exceptions_max <= self.window.counts().all();
            if over && !wrote && (self.window.read() == self.last() || full) {
                return;
            }
            if idle && let Some(at) = self.window.next_timeout() {
                self.now = self.now.max(at);
            }
        }
        panic!("it does not come to rest: {:?}", self.window);
    }

    fn judge_healed(&mut self) {
        self.heal();
        self.judge_store();
        // Parked ones may stop the reader (exceptions-full); asking for them frees it.
        for _ in 0..1_000 {
            let parked = self.window.counts().parked;
            assert_eq!(self.window.counts().all(), parked, "healed, and still an exception that is not parked");
            if parked == 0 {
                break;
            }
            for place in self.window.exceptions().map(|it| it.place).collect::<Vec<_>>() {
                self.retry_now(place);
                self.judge();
            }
            self.heal();
        }
        assert_eq!(self.window.read(), self.last(), "not everything was read");
        assert_eq!(self.store.cursor, self.last(), "not everything was settled");
        assert_eq!(self.store.exceptions, BTreeMap::new());
        for place in self.matching(self.last()) {
            assert!(self.receipts.contains_key(&place) || self.store.is_skipped(place), "{place} never arrived");
        }
        self.judge_store();
    }
}

pub(super) fn attempt(id: u64, start: &Start, outcome: &Outcome, now: Timestamp) -> Attempt {
    Attempt {
        id: AttemptId::from_bits(u128::from(id)),
        event: start.event,
        place: start.place,
        generation: GENERATION,
        n: start.try_no,
        at: now,
        via: if start.via == Via::Manual { Via::Manual } else { Via::Schedule },
        outcome: outcome.as_str().into(),
        reason: outcome.reason().map(Into::into),
        status_code: outcome.status_code(),
        timings: Default::default(),
        peer: None,
        response: None,
    }
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::None), Just(Order::Subject)]
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 1_500, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_happens_every_promise_holds_and_it_heals(
        orders in [order(), order()],
        edited_at in 0_u64..30,
        concurrency_max in 1_usize..5,
        events_max in 4_usize..12,
        exceptions_max in 4_usize..20,
        delays in prop::collection::vec(1_u32..4, 1..3),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(orders, edited_at, Limits { concurrency_max, delays, events_max, exceptions_max, rules: None });
        for op in ops {
            world.step(op);
        }
        world.judge_healed();
    }
}
