//! What polling brought and what it missed: the log knows when each change
//! could first be seen, so what a poller's answers showed, and when, can be
//! counted.
//!
//! Fed with three kinds of facts: a key asked for a resource and was shown a
//! version; a resource changed; the time. Answers figures of the last hours, by
//! key and route. Every figure is counted, none is estimated: a percentile is
//! that of all answers in the window, rounded up to the next of the steps of
//! [`Spread`] (at most 1/16 too much).
//!
//! - A *poll* is an answer to a question that did not wait. The first look of a
//!   key at a resource is none: it brings something whatever comes. Nor is a
//!   look more than an hour after the last one.
//! - It is *useless* when it shows what this key was shown before.
//! - *Staleness* is the time from a change until the answer that first showed
//!   it, or something newer, to this key.
//! - A status is *missed* when it was entered and left between two answers.
//!
//! Bounded: pairs of key and resource (those not asked for longest are
//! forgotten), routes of keys, hours, and changes remembered of one resource.
//! Lives in memory: a restart begins anew.
//!
//! Not here: how endpoints do, which the subscriptions know; only what is said of them.

use core::time::Duration;
use ringback_model::{KeyId, ResourceId, TenantId, Timestamp, TypeName, limits, resource::Version};
use std::collections::{BTreeMap, VecDeque};

/// How long a `wait` the comparison assumes: the longest there is.
const WAIT: Duration = Duration::from_secs(limits::WAIT_SECS_MAX);
/// After so long without a question, the next one is a first look again.
const SESSION: Duration = Duration::from_secs(3_600);
const HOUR_SECS: i64 = 3_600;

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// Whose.
    pub tenant: TenantId,
    /// Its type.
    pub type_name: TypeName,
    /// Its id.
    pub id: ResourceId,
}

/// A question that was answered.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Whose key asked.
    pub key: KeyId,
    /// The route's template, its type's path put in: `/payment/{id}/status`.
    pub route: &'a str,
    /// For which resource.
    pub of: Of,
    /// The version that the answer showed or confirmed; `None` when it showed none.
    pub version: Option<Version>,
    /// Whether it was ready to wait: then it shows something, and is no poll.
    pub waited: bool,
}

/// Figures of one key on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whose.
    pub key: KeyId,
    /// Where.
    pub route: String,
    /// Answers to questions that did not wait.
    pub polls: u64,
    /// Those that showed nothing new.
    pub useless: u64,
    /// Half of the changes were shown within this time; `None` when none was shown.
    pub staleness_p50: Option<Duration>,
    /// 95 of 100 changes were shown within this time.
    pub staleness_p95: Option<Duration>,
    /// Statuses that were entered and left unseen.
    pub missed: u64,
    /// Questions with `wait=60` that would have shown every change, over the same times.
    pub long_polls: u64,
    /// Changes that a push subscription would have been sent.
    pub pushes: u64,
}

/// The figures of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// In order of key and route.
    pub pollers: Vec<Figures>,
    /// Whether they rest on fewer than [`limits::ADVICE_POLLS_MIN`] polls.
    pub too_little_data: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Watcher {
    watched: BTreeMap<Of, Watched>,
    /// Pairs by when they were last asked for.
    by_use: BTreeMap<u64, (Of, KeyId)>,
    uses: u64,
    counts: BTreeMap<(KeyId, String), BTreeMap<i64, Counts>>,
}

/// A resource that is polled.
#[derive(Debug, Default)]
struct Watched {
    /// The latest changes, oldest first.
    changes: VecDeque<Change>,
    pairs: BTreeMap<KeyId, Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    version: Version,
    at: Timestamp,
    entered: bool,
}

/// What one key knows of one resource.
#[derive(Debug)]
struct Pair {
    seen: Version,
    asked_at: Timestamp,
    /// When the long-poll that would have been in its place began.
    waiting_since: Timestamp,
    used: u64,
}

/// One key on one route in one hour.
#[derive(Debug, Default)]
struct Counts {
    polls: u64,
    useless: u64,
    missed: u64,
    long_polls: u64,
    pushes: u64,
    staleness: Spread,
}

/// Durations, counted in steps: 16 for each doubling of milliseconds.
#[derive(Debug, Default)]
struct Spread(BTreeMap<u32, u64>);

impl Spread {
    /// Steps below 16 ms are exact; above, four bits after the first one count.
    fn step(millis: u32) -> u32 {
        if millis < 16 {
            return millis;
        }
        let doublings = millis.ilog2() - 4;
        // Rounded up: what was measured is never more than what is said.
        let head = millis.div_ceil(1 << doublings);
        (doublings + 1) * 16 + (head - 16)
    }

    /// The longest duration of a step.
    fn longest(step: u32) -> u64 {
        if step < 16 {
            return u64::from(step);
        }
        u64::from(16 + step % 16) << (step / 16 - 1)
    }

    fn add(&mut self, it: Duration) {
        *self.0.entry(Self::step(u32::try_from(it.as_millis()).unwrap_or(u32::MAX))).or_default() += 1;
    }

    fn absorb(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// The duration within which `percent` of 100 are.
    fn within(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.0.values().sum();
        let mut wanted = (all * percent).div_ceil(100);
        for (step, count) in &self.0 {
            if *count >= wanted {
                return Some(Duration::from_millis(Self::longest(*step)));
            }
            wanted -= count;
        }
        None
    }
}

impl Watcher {
    /// Whether anybody polls anything: else there is no change to be told.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.watched.is_empty()
    }

    /// A resource changed; `entered`: its status, too. Told in order, when it could be seen.
    pub fn changed(&mut self, of: &Of, version: Version, entered: bool, now: Timestamp) {
        let Some(watched) = self.watched.get_mut(of) else { return };
        if watched.changes.len() >= limits::ADVICE_CHANGES_MAX {
            watched.changes.pop_front();
        }
        watched.changes.push_back(Change { version, at: now, entered });
    }

    /// A question was answered at `now`.
    pub fn asked(&mut self, it: Asked<'_>, now: Timestamp) {
        let Asked { key, route, of, version, waited } = it;
        self.uses += 1;
        let used = self.uses;
        self.by_use.insert(used, (of.clone(), key));
        let watched = self.watched.entry(of.clone()).or_default();
        let Some(pair) = watched.pairs.get_mut(&key) else {
            let seen = version.unwrap_or(0);
            watched.pairs.insert(key, Pair { seen, asked_at: now, waiting_since: now, used });
            self.evict();
            return;
        };
        self.by_use.remove(&core::mem::replace(&mut pair.used, used));
        let shown = version.unwrap_or(pair.seen).max(pair.seen);
        let first = now.since(pair.asked_at) > SESSION;
        pair.asked_at = now;
        if first {
            (pair.seen, pair.waiting_since) = (shown, now);
            return;
        }
        let before = core::mem::replace(&mut pair.seen, shown);
        let mut gained = Counts { polls: u64::from(!waited), useless: u64::from(!waited && shown == before), ..Counts::default() };
        let mut entered = 0_u64;
        for change in watched.changes.iter().filter(|it| it.version > before && it.version <= shown) {
            gained.staleness.add(now.since(change.at));
            gained.pushes += 1;
            entered += u64::from(change.entered);
            // Each wait that ended without it, and the one that it ended.
            gained.long_polls += waits(pair.waiting_since, change.at) + 1;
            pair.waiting_since = pair.waiting_since.max(change.at);
        }
        gained.missed = entered.saturating_sub(1);
        let over = waits(pair.waiting_since, now);
        gained.long_polls += over;
        pair.waiting_since = pair.waiting_since + Duration::from_secs(over * WAIT.as_secs());
        if waited {
            // What a waiter was shown is no poller's news: only polls are compared.
            return;
        }
        self.count(key, route, gained, now);
    }

    /// Figures of the last `hours`, the present one included, of the keys that `sees` lets through.
    #[must_use]
    pub fn advice(&self, hours: u32, now: Timestamp, sees: impl Fn(KeyId) -> bool) -> Advice {
        let since = hour(now) - i64::from(hours) + 1;
        let mut pollers = Vec::new();
        for ((key, route), by_hour) in self.counts.iter().filter(|((key, _), _)| sees(*key)) {
            let mut sum = Counts::default();
            for (_, it) in by_hour.range(since..) {
                sum.absorb(it);
            }
            if sum.polls > 0 {
                pollers.push(Figures {
                    key: *key,
                    route: route.clone(),
                    polls: sum.polls,
                    useless: sum.useless,
                    staleness_p50: sum.staleness.within(50),
                    staleness_p95: sum.staleness.within(95),
                    missed: sum.missed,
                    // One would be open now, if none has ended yet.
                    long_polls: sum.long_polls.max(1),
                    pushes: sum.pushes,
                });
            }
        }
        let too_little_data = pollers.iter().map(|it| it.polls).sum::<u64>() < limits::ADVICE_POLLS_MIN;
        Advice { pollers, too_little_data }
    }

    fn count(&mut self, key: KeyId, route: &str, gained: Counts, now: Timestamp) {
        let at = (key, route.to_owned());
        if self.counts.len() >= limits::ADVICE_ROUTES_MAX && !self.counts.contains_key(&at) {
            // Those of whom nothing was heard for as long as is looked back make room.
            let oldest = hour(now) - i64::from(limits::ADVICE_HOURS_MAX);
            self.counts.retain(|_, by_hour| by_hour.last_key_value().is_some_and(|(it, _)| *it > oldest));
            if self.counts.len() >= limits::ADVICE_ROUTES_MAX {
                return;
            }
        }
        let by_hour = self.counts.entry(at).or_default();
        by_hour.entry(hour(now)).or_default().absorb(&gained);
        while by_hour.len() > limits::ADVICE_HOURS_MAX as usize {
            by_hour.pop_first();
        }
    }

    fn evict(&mut self) {
        while self.by_use.len() > limits::ADVICE_PAIRS_MAX {
            let Some((_, (of, key))) = self.by_use.pop_first() else { return };
            if let Some(watched) = self.watched.get_mut(&of) {
                watched.pairs.remove(&key);
                if watched.pairs.is_empty() {
                    self.watched.remove(&of);
                }
            }
        }
    }
}

impl Counts {
    fn absorb(&mut self, it: &Self) {
        self.polls += it.polls;
        self.useless += it.useless;
        self.missed += it.missed;
        self.long_polls += it.long_polls;
        self.pushes += it.pushes;
        self.staleness.absorb(&it.staleness);
    }
}

/// Why an endpoint had better be served by pulling; `None` when it does well.
///
/// `lag` counts events of the log that it has not settled, its filter not applied.
#[must_use]
pub fn had_better_pull(health: &str, why: Option<&str>, lag: u64) -> Option<String> {
    let behind = format!("{lag} events behind");
    match (health, why) {
        ("ok", _) if lag < limits::ADVICE_LAG_MIN => None,
        ("ok", _) => Some(behind),
        (state, None) => Some(format!("{state}, {behind}")),
        (state, Some(why)) => Some(format!("{state} ({why}), {behind}")),
    }
}

/// Whole waits from one moment to another.
fn waits(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).as_secs() / WAIT.as_secs()
}

fn hour(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(HOUR_SECS)
}

#[cfg(test)]
mod tests;
