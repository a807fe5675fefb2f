//! What a seed decides before anything happens: how many of whom, how busy they
//! are, which faults there are and when. Each seed leaves some kinds out, so
//! that what hides behind a common fault shows where that fault is missing.

use crate::chance::Chance;
use core::time::Duration;

/// A fault of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No room.
    Full,
    /// Syncs take long.
    Slow,
    /// Reads fail.
    Broken,
}

/// When a crash strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// At once.
    Now,
    /// While a sync runs.
    Syncing,
    /// When a sync is through and nobody has heard.
    Synced,
    /// After an endpoint answered.
    Answered,
    /// When a settlement is through.
    Settled,
}

/// The configuration of one run.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// Tenants beside `default`.
    pub tenants: u64,
    /// Publishers of each tenant.
    pub publishers: u64,
    /// Writers of each tenant.
    pub writers: u64,
    /// Subscribers of each tenant.
    pub subscribers: u64,
    /// Subscriptions that each of them keeps.
    pub subscriptions: u64,
    /// Feed readers of each tenant.
    pub readers: u64,
    /// Status waiters of each tenant.
    pub waiters: u64,
    /// Those who ask for retries, of each tenant.
    pub retriers: u64,
    /// Those who replay and cancel deliveries, of each tenant.
    pub operators: u64,
    /// Mean time between two requests of one player, in milliseconds.
    pub pace_ms: u64,
    /// Resources of each tenant.
    pub orders: u64,
    /// How long faults happen.
    pub faulty: Duration,
    /// From, to, which.
    pub disk_faults: Vec<(Duration, Duration, DiskFault)>,
    /// A sync after which nothing is known.
    pub unknown_at: Option<Duration>,
    /// When to crash.
    pub crashes: Vec<(Duration, Strike)>,
    /// Times in a thousand that a read is slow.
    pub slow_reads: u64,
    /// Times in a thousand that a requester goes away.
    pub cancels: u64,
    /// Times in a thousand that an endpoint's phase is a bad one.
    pub bad_phases: u64,
    /// Which bad behaviours there are, as bits.
    pub behaviours: u64,
    /// Tries in flight in all.
    pub slots: usize,
    /// Longest latency of a sync, in milliseconds.
    pub sync_ms: u64,
    /// How long events are kept.
    pub keep_events: Duration,
    /// Those who pull, of each tenant; without any, nothing is pulled.
    pub workers: u64,
    /// Those who keep a list by a watch, or read a stream, of each tenant.
    pub watchers: u64,
    /// When the clock steps ahead, and by how much.
    pub steps: Vec<(Duration, Duration)>,
    /// When the clock on the machine's wall is set back, and by how much.
    pub backs: Vec<(Duration, Duration)>,
    /// Times in a thousand that a try panics.
    pub panics: u64,
}

impl Swarm {
    /// What `seed` decides.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let chance = Chance::new(seed, "swarm");
        let pace_ms = *chance.pick(&[150, 400, 1_000, 2_500]);
        // About as many requests, however busy everybody is.
        let faulty = Duration::from_millis((pace_ms * chance.between(30, 90)).clamp(20_000, 150_000));
        let at = |chance: &Chance| chance.duration(0, u64::try_from(faulty.as_millis()).unwrap_or(0));
        let mut disk_faults = Vec::new();
        for fault in [DiskFault::Full, DiskFault::Slow, DiskFault::Broken] {
            if chance.per_mille(350) {
                let from = at(&chance);
                disk_faults.push((from, from + chance.duration(50, 8_000), fault));
            }
        }
        let strikes = [Strike::Now, Strike::Syncing, Strike::Synced, Strike::Answered, Strike::Settled];
        let count = if chance.per_mille(150) { 0 } else { chance.between(1, 6) };
        let mut crashes: Vec<_> = (0..count).map(|_| (at(&chance), *chance.pick(&strikes))).collect();
        crashes.sort_by_key(|it| it.0);
        Self {
            tenants: chance.between(1, 3),
            publishers: chance.between(1, 2),
            writers: chance.between(0, 2),
            subscribers: chance.between(1, 2),
            subscriptions: chance.between(1, 3),
            readers: chance.between(1, 3),
            waiters: chance.between(0, 2),
            retriers: chance.between(0, 1),
            operators: 0,
            pace_ms,
            orders: chance.between(2, 8),
            faulty,
            disk_faults,
            unknown_at: chance.per_mille(250).then(|| at(&chance)),
            crashes,
            slow_reads: *chance.pick(&[0, 50, 300]),
            cancels: *chance.pick(&[0, 20, 100]),
            bad_phases: *chance.pick(&[0, 200, 500, 800]),
            behaviours: chance.below(1 << 10) | chance.below(1 << 10),
            slots: usize::try_from(*chance.pick(&[2, 8, 64])).unwrap_or(8),
            sync_ms: *chance.pick(&[1, 5, 40]),
            keep_events: Duration::from_secs(*chance.pick(&[60, 240, 30 * 86_400, 30 * 86_400])),
            workers: 0,
            watchers: 0,
            steps: Vec::new(),
            backs: Vec::new(),
            panics: 0,
        }
    }

    /// Adds what came later than the first seeds, from chance of its own: without it a seed is the world that it once was.
    #[must_use]
    pub fn widened(mut self, seed: u64) -> Self {
        let chance = Chance::new(seed, "swarm, operated");
        self.operators = if chance.per_mille(500) { 0 } else { chance.between(1, 2) };
        let chance = Chance::new(seed, "swarm, widened");
        // Who pulls, who watches and whose clock steps lives in a world that keeps its events: what retention takes is another one's.
        if chance.per_mille(400) {
            return self;
        }
        self.keep_events = Duration::from_secs(30 * 86_400);
        self.workers = if chance.per_mille(300) { 0 } else { chance.between(1, 3) };
        self.watchers = chance.between(0, 3);
        let within = u64::try_from(self.faulty.as_millis()).unwrap_or(0);
        let steps = if chance.per_mille(600) { 0 } else { chance.between(1, 4) };
        let by = [1, 31, 61, 600, 7_200];
        self.steps = (0..steps).map(|_| (chance.duration(0, within), Duration::from_secs(*chance.pick(&by)))).collect();
        self.steps.sort();
        self
    }

    /// Adds a clock that is set back, and tries that panic, later than all else and from chance of its own.
    #[must_use]
    pub fn turned_back(mut self, seed: u64) -> Self {
        let chance = Chance::new(seed, "swarm, turned back");
        let within = u64::try_from(self.faulty.as_millis()).unwrap_or(0);
        let backs = if chance.per_mille(500) { 0 } else { chance.between(1, 3) };
        // Less than a start waits for, about as much, and hours.
        let by = [1, 20, 45, 59, 61, 600, 7_200];
        self.backs = (0..backs).map(|_| (chance.duration(0, within), Duration::from_secs(*chance.pick(&by)))).collect();
        self.backs.sort();
        self.panics = *chance.pick(&[0, 0, 20, 100]);
        self
    }
}
