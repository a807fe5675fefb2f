//! How an endpoint does, and what follows: how much it is sent at once and per
//! second, when it is left alone, when its subscription is suspended.
//!
//! Pure machines. `Endpoint` belongs to one subscription, so that nobody's
//! health is anybody else's. It is asked by `gate` whether one more try may
//! start, and told by `handle_start` and `handle_end` what happened.
//!
//! - *Concurrency* grows by one for each full round of successes and is halved
//!   by a failure (additive increase, multiplicative decrease), from 2.
//! - The *breaker* opens when most tries fail; probes ask whether to close it.
//! - A *pace* is learned from a receiver that says 429: a little below what it
//!   last took in a second, growing slowly until it says so again.
//! - *Silence* is the time without a success; it is announced, then suspends.
//!
//! `Weather` looks at all endpoints together: when most of those that worked
//! fail at once, it is us. See CONTRACT 5 and DESIGN 6 for the numbers.
//!
//! Not here: when one delivery is tried again (`retry`), whose turn it is (`fair`).

mod tally;
mod weather;

#[cfg(test)]
mod tests;

pub use weather::Weather;

use core::time::Duration;
use ringback_model::{Timestamp, delivery::Outcome, subscription::Failing};
use tally::{Second, Tally};

/// Tries in flight at the beginning, and after the breaker closed.
pub const CONCURRENCY_START: usize = 2;
/// Tries of the last minute below which no share of failures opens the breaker.
pub const BREAKER_TRIES_MIN: u32 = 10;
/// Share of failures of the endpoint that opens the breaker, in percent.
pub const BREAKER_PERCENT: u32 = 80;
/// Share of answers that blame us (4xx, redirects) that opens it, in percent.
pub const BREAKER_BLAME_PERCENT: u32 = 95;
/// Connection failures in a row that open it.
pub const BREAKER_CONNECTIONS: u32 = 5;
/// How long it stays open at first.
pub const OPEN_FIRST: Duration = Duration::from_secs(30);
/// How long it stays open at most (but for jitter).
pub const OPEN_MAX: Duration = Duration::from_secs(600);
/// Successful probes that close it.
pub const PROBES_TO_CLOSE: u32 = 3;
/// Times without a success at which a failing subscription is announced; at the last it is suspended.
pub const SILENCES: [Duration; 4] =
    [Duration::from_secs(3_600), Duration::from_secs(86_400), Duration::from_secs(3 * 86_400), SUSPEND_AFTER];
/// The time without a success that suspends.
pub const SUSPEND_AFTER: Duration = Duration::from_secs(5 * 86_400);
/// Tries without a success that a suspension takes.
pub const SUSPEND_TRIES_MIN: u32 = 20;

/// A receiver's pace after it said 429: this share of what it took in the second before.
const PACE_AFTER_PUSH_BACK: f64 = 0.95;
/// The least pace that is learned, in tries a second.
const PACE_MIN: f64 = 1.0;
/// How a pace grows in a second, and how after half a minute without a 429.
const PACE_GROWTH: (f64, f64) = (1.01, 1.05);
const PACE_GROWTH_SLOW: Duration = Duration::from_secs(30);
/// A pace is forgotten after so long without a 429.
const PACE_FORGOTTEN: Duration = Duration::from_secs(300);
/// A try that waited for its pace may be so late: the next ones catch up.
const PACE_TOLERANCE: Duration = Duration::from_millis(20);

/// What an outcome says of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It took the event.
    Ok,
    /// It failed: 408, 425, 429, 5xx, a timeout, the network.
    Endpoint {
        /// No connection came about.
        connection: bool,
        /// It asked for less: 429, or 503 with a `Retry-After`.
        push_back: bool,
    },
    /// It answered that the request is wrong: other 4xx, and redirects.
    Blame,
    /// It was not asked: its address cannot be called.
    Unroutable,
}

/// What `outcome` says of the endpoint (CONTRACT 5, Outcome).
#[must_use]
pub fn class(outcome: &Outcome) -> Class {
    match outcome {
        Outcome::Delivered { .. } => Class::Ok,
        Outcome::Unroutable { .. } => Class::Unroutable,
        Outcome::Unknown => Class::Endpoint { connection: false, push_back: false },
        Outcome::Failed { status_code: None, reason, .. } => {
            Class::Endpoint { connection: matches!(*reason, "connect" | "tls" | "timeout"), push_back: false }
        }
        Outcome::Failed { status_code: Some(code), retry_after, .. } => match code {
            429 => Class::Endpoint { connection: false, push_back: true },
            503 => Class::Endpoint { connection: false, push_back: retry_after.is_some() },
            408 | 425 => Class::Endpoint { connection: false, push_back: false },
            300..=499 => Class::Blame,
            _ => Class::Endpoint { connection: false, push_back: false },
        },
    }
}

/// What an owner asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Tries in flight at most.
    pub concurrency_max: usize,
    /// Tries a second at most.
    pub rate_max_per_s: Option<u32>,
}

/// Whether one more try may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Free,
    /// One that asks whether the endpoint works again: the oldest that is pending.
    Probe,
    /// Not before this time; `None`: not before a try in flight has ended.
    Wait(Option<Timestamp>),
}

/// What somebody has to be told after an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notice {
    /// Nothing.
    #[default]
    Nothing,
    /// Nothing arrived for one of `SILENCES`.
    Failing(Failing),
    /// Nothing arrived for the last of `SILENCES`, in many tries: suspend it.
    Suspend(Failing),
    /// It was announced as failing, and something arrived.
    Recovered,
}

/// The breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaker {
    Closed,
    /// Until `until` nothing is tried.
    Open {
        since: Timestamp,
        until: Timestamp,
        times: u32,
        why: &'static str,
    },
    /// One probe at a time.
    Probing {
        since: Timestamp,
        times: u32,
        successes: u32,
        why: &'static str,
    },
}

/// What was learned from 429s.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pace {
    per_s: f64,
    learned_at: Timestamp,
}

impl Pace {
    /// Tries a second that are allowed now; `None` when it is forgotten.
    fn at(self, now: Timestamp) -> Option<f64> {
        let age = now.since(self.learned_at);
        if age >= PACE_FORGOTTEN {
            return None;
        }
        let slow = age.min(PACE_GROWTH_SLOW).as_secs_f64();
        let fast = age.saturating_sub(PACE_GROWTH_SLOW).as_secs_f64();
        Some(self.per_s * PACE_GROWTH.0.powf(slow) * PACE_GROWTH.1.powf(fast))
    }
}

/// One subscription's endpoint. See the module.
#[derive(Clone, Debug)]
pub struct Endpoint {
    rules: Rules,
    /// Tries in flight that it may have, in thousandths.
    slots_milli: u64,
    /// Failures of tries that began before it count once.
    halved_at: Option<Timestamp>,
    breaker: Breaker,
    tally: Tally,
    connection_failures: u32,
    pace: Option<Pace>,
    accepted: Second,
    /// When the next try is in its turn, by rate.
    next_at: Timestamp,
    silence: Option<Failing>,
    frozen_at: Option<Timestamp>,
}

impl Endpoint {
    /// An endpoint of which only `failing` is known, by what was announced before a restart.
    #[must_use]
    pub const fn new(rules: Rules, failing: Option<Failing>) -> Self {
        Self {
            rules,
            slots_milli: CONCURRENCY_START as u64 * 1_000,
            halved_at: None,
            breaker: Breaker::Closed,
            tally: Tally::new(),
            connection_failures: 0,
            pace: None,
            accepted: Second::new(),
            next_at: Timestamp::from_secs(0),
            silence: failing,
            frozen_at: None,
        }
    }

    /// What was announced before a restart.
    pub const fn set_failing(&mut self, failing: Failing) {
        self.silence = Some(failing);
    }

    /// Other rules, from the next try on.
    pub fn set_rules(&mut self, rules: Rules) {
        if rules.rate_max_per_s != self.rules.rate_max_per_s {
            self.next_at = Timestamp::from_secs(0);
        }
        self.rules = rules;
    }

    /// Tries in flight that it may have now; at least one.
    #[must_use]
    pub fn slots(&self) -> usize {
        usize::try_from(self.slots_milli / 1_000).unwrap_or(usize::MAX).min(self.rules.concurrency_max).max(1)
    }

    /// Whether the breaker is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.breaker, Breaker::Closed)
    }

    /// Why and since when the breaker is not closed; whether it waits (`open`) or asks (`probing`).
    #[must_use]
    pub const fn breaker(&self) -> Option<(bool, &'static str, Timestamp)> {
        match self.breaker {
            Breaker::Closed => None,
            Breaker::Open { since, why, .. } => Some((true, why, since)),
            Breaker::Probing { since, why, .. } => Some((false, why, since)),
        }
    }

    /// Since when nothing arrives, in how many tries, and how often that was announced.
    #[must_use]
    pub const fn failing(&self) -> Option<Failing> {
        self.silence
    }

    /// Whether one more try may start beside `in_flight` others.
    #[must_use]
    pub fn gate(&self, in_flight: usize, now: Timestamp) -> Gate {
        match self.turn(in_flight) {
            None => Gate::Wait(None),
            Some(at) if now < at => Gate::Wait(Some(at)),
            Some(_) if self.is_closed() => Gate::Free,
            Some(_) => Gate::Probe,
        }
    }

    /// From when on one more try may start, a time that may have passed; `None`: not
    /// before a try in flight has ended.
    #[must_use]
    pub fn turn(&self, in_flight: usize) -> Option<Timestamp> {
        // Not in whole: a timer that comes a little late must not cost rate.
        let by_rate = self.next_at - PACE_TOLERANCE;
        match self.breaker {
            Breaker::Closed => (in_flight < self.slots()).then_some(by_rate),
            Breaker::Probing { .. } => (in_flight == 0).then_some(by_rate),
            Breaker::Open { until, .. } => (in_flight == 0).then_some(by_rate.max(until)),
        }
    }

    /// Tries a second that are allowed now, by the owner or by what was learned.
    fn per_s(&self, now: Timestamp) -> Option<f64> {
        let asked = self.rules.rate_max_per_s.map(f64::from);
        let learned = self.pace.and_then(|it| it.at(now));
        match (asked, learned) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A try starts.
    pub fn handle_start(&mut self, now: Timestamp) {
        if let Breaker::Open { since, until, times, why } = self.breaker
            && now >= until
        {
            self.breaker = Breaker::Probing { since, times, successes: 0, why };
        }
        if let Some(per_s) = self.per_s(now) {
            let apart = Duration::from_secs_f64(1.0 / per_s.max(0.001));
            self.next_at = self.next_at.max(now) + apart;
        }
    }

    /// A try that began at `started` ended. `in_flight` counts it too; `probe` is what
    /// `gate` called it; `jitter` is in 0..1.
    pub fn handle_end(
        &mut self,
        outcome: &Outcome,
        started: Timestamp,
        in_flight: usize,
        probe: bool,
        now: Timestamp,
        jitter: f64,
    ) -> Notice {
        let class = class(outcome);
        self.count(class, started, in_flight, now);
        self.turn_breaker(class, probe, outcome.reason().unwrap_or_default(), now, jitter);
        self.note_silence(class, now)
    }

    /// Whether what fails now is likely our own fault: then nothing is decided against the endpoint.
    pub fn set_frozen(&mut self, frozen: bool, now: Timestamp) {
        match (self.frozen_at, frozen) {
            (None, true) => self.frozen_at = Some(now),
            (Some(since), false) => {
                self.frozen_at = None;
                // The time in which it was us is not the endpoint's silence.
                if let Some(it) = &mut self.silence {
                    it.since = it.since + now.since(since.max(it.since));
                }
                self.recheck(now);
            }
            _ => {}
        }
    }

    /// Whether decisions against the endpoint are frozen.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen_at.is_some()
    }

    /// Asks an endpoint that is left alone again now: somebody wants to know.
    pub fn recheck(&mut self, now: Timestamp) {
        if let Breaker::Open { until, .. } = &mut self.breaker {
            *until = (*until).min(now);
        }
    }

    /// Begins anew: the subscription was resumed by hand, or its address is another one.
    pub fn reset(&mut self) {
        let frozen_at = self.frozen_at;
        *self = Self { frozen_at, ..Self::new(self.rules, None) };
    }

    fn count(&mut self, class: Class, started: Timestamp, in_flight: usize, now: Timestamp) {
        match class {
            Class::Ok => {
                self.tally.note(now, 0);
                self.accepted.note(now);
                self.connection_failures = 0;
                let slots = self.slots();
                // What is not used is not earned.
                if in_flight >= slots {
                    let most = u64::try_from(self.rules.concurrency_max).unwrap_or(u64::MAX).saturating_mul(1_000);
                    self.slots_milli = (self.slots_milli + 1_000_u64.div_ceil(u64::try_from(slots).unwrap_or(1))).min(most.max(1_000));
                }
            }
            Class::Endpoint { connection, push_back } => {
                if push_back {
                    self.slow_down(now);
                } else if self.halved_at.is_none_or(|at| started >= at) {
                    self.slots_milli = (self.slots_milli / 2).max(1_000);
                    self.halved_at = Some(now);
                }
                if !self.is_frozen() {
                    self.tally.note(now, 1);
                    self.connection_failures = if connection { self.connection_failures + 1 } else { 0 };
                }
            }
            Class::Blame => {
                self.connection_failures = 0;
                if !self.is_frozen() {
                    self.tally.note(now, 2);
                }
            }
            Class::Unroutable => {}
        }
    }

    /// The receiver takes less than it was sent.
    fn slow_down(&mut self, now: Timestamp) {
        let took = f64::from(self.accepted.sum(now));
        let before = self.pace.filter(|it| it.at(now).is_some());
        if before.is_some_and(|it| now.since(it.learned_at) < Duration::from_secs(1)) {
            // Those in flight say the same once more.
            return;
        }
        let wish = took * PACE_AFTER_PUSH_BACK;
        let per_s = match before.and_then(|it| it.at(now)) {
            // Little was taken because little was sent: no reason to halve more than once.
            Some(pace) => wish.min(pace * PACE_AFTER_PUSH_BACK).max(pace / 2.0),
            None => wish,
        };
        self.pace = Some(Pace { per_s: per_s.max(PACE_MIN), learned_at: now });
        self.next_at = self.next_at.max(now);
    }

    fn turn_breaker(&mut self, class: Class, probe: bool, reason: &'static str, now: Timestamp, jitter: f64) {
        match self.breaker {
            Breaker::Closed if !self.is_frozen() => {
                if let Some(why) = self.why_open(class, reason, now) {
                    self.breaker = Breaker::Open { since: now, until: now + open_for(0, jitter), times: 0, why };
                    self.tally = Tally::new();
                    self.connection_failures = 0;
                }
            }
            // It answers; whether it likes what it is sent is that delivery's business,
            // unless just that was why it was left alone.
            Breaker::Probing { since, times, successes, why } if probe => {
                let works = match class {
                    Class::Ok => true,
                    Class::Blame => why != "refuses-all",
                    Class::Endpoint { .. } => false,
                    Class::Unroutable => return,
                };
                self.breaker = match (works, successes + 1 >= PROBES_TO_CLOSE) {
                    (true, true) => {
                        self.slots_milli = CONCURRENCY_START as u64 * 1_000;
                        self.tally = Tally::new();
                        self.connection_failures = 0;
                        Breaker::Closed
                    }
                    (true, false) => Breaker::Probing { since, times, successes: successes + 1, why },
                    (false, _) => {
                        // What is our own fault makes no wait longer.
                        let times = if self.is_frozen() { times } else { times.saturating_add(1) };
                        let why = if class == Class::Blame { why } else { reason };
                        Breaker::Open { since, until: now + open_for(times, jitter), times, why }
                    }
                };
            }
            _ => {}
        }
    }

    fn why_open(&self, class: Class, reason: &'static str, now: Timestamp) -> Option<&'static str> {
        if self.connection_failures >= BREAKER_CONNECTIONS {
            return Some(reason);
        }
        if matches!(class, Class::Ok | Class::Unroutable) {
            return None;
        }
        let [ok, endpoint, blame] = self.tally.sums(now);
        let all = ok + endpoint + blame;
        if all < BREAKER_TRIES_MIN {
            None
        } else if endpoint * 100 >= all * BREAKER_PERCENT {
            Some(reason)
        } else if blame * 100 >= all * BREAKER_BLAME_PERCENT {
            Some("refuses-all")
        } else {
            None
        }
    }

    fn note_silence(&mut self, class: Class, now: Timestamp) -> Notice {
        match class {
            Class::Unroutable => Notice::Nothing,
            Class::Ok => match self.silence.take() {
                Some(it) if it.announced > 0 => Notice::Recovered,
                _ => Notice::Nothing,
            },
            Class::Endpoint { .. } | Class::Blame => {
                if self.is_frozen() {
                    return Notice::Nothing;
                }
                let it = self.silence.get_or_insert(Failing { since: now, tries: 0, announced: 0 });
                it.tries = it.tries.saturating_add(1);
                let silent = now.since(it.since);
                let passed = SILENCES.iter().filter(|limit| silent >= **limit).count();
                let last = SILENCES.len();
                if passed == last && it.tries >= SUSPEND_TRIES_MIN {
                    it.announced = u8::try_from(last).unwrap_or(u8::MAX);
                    return Notice::Suspend(*it);
                }
                let to_announce = u8::try_from(passed.min(last - 1)).unwrap_or(u8::MAX);
                if to_announce > it.announced {
                    it.announced = to_announce;
                    return Notice::Failing(*it);
                }
                Notice::Nothing
            }
        }
    }
}

/// 30 s, doubled with each failed probe to ten minutes, give or take a fifth.
fn open_for(times: u32, jitter: f64) -> Duration {
    let base = OPEN_FIRST.saturating_mul(2_u32.saturating_pow(times)).min(OPEN_MAX);
    let jitter = if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) };
    base.mul_f64(0.8 + 0.4 * jitter)
}
