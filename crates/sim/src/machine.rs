//! The machine's clock, as the process has it.
//!
//! The run has a clock of its own, which only goes on: players, judges, disk and
//! network live by it. The machine's clock on the wall is set back against it now
//! and then, and stays so over restarts; the process makes of it what the shipped
//! one does (`ports::clock::Steady`). Steps ahead are steps of the run's own clock.

use async_trait::async_trait;
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use ringback_model::Timestamp;
use ringback_ports::{Clock, clock::Steady, fake::ManualClock};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// See the module.
#[derive(Debug)]
pub struct Machine {
    clock: Arc<ManualClock>,
    begun: Timestamp,
    behind_micros: AtomicU64,
    life: Mutex<Life>,
}

/// What a process remembers.
#[derive(Debug, Default)]
struct Life {
    steady: Steady,
    /// When it first showed what.
    shown: BTreeMap<Timestamp, Timestamp>,
}

impl Machine {
    /// A machine whose clock is right.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        let begun = clock.now();
        Self { clock, begun, behind_micros: AtomicU64::new(0), life: Mutex::default() }
    }

    /// How far the clock on the wall is behind.
    #[must_use]
    pub fn behind(&self) -> Duration {
        Duration::from_micros(self.behind_micros.load(Ordering::SeqCst))
    }

    /// Sets the clock on the wall back.
    pub fn set_back(&self, by: Duration) {
        // What it was right before is what the process goes on from.
        let _ = self.now();
        self.behind_micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(0), Ordering::SeqCst);
    }

    /// Another process begins.
    pub fn restart(&self) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Life::default();
    }

    /// When, by the run's clock, this process's clock showed `shown`.
    #[must_use]
    pub fn when(&self, shown: Timestamp) -> Timestamp {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        life.shown.get(&shown).copied().unwrap_or(shown)
    }
}

#[async_trait]
impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let at = self.clock.now();
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = life.steady.read(self.wall(), at.since(self.begun));
        if !self.behind().is_zero() {
            life.shown.entry(shown).or_insert(at);
        }
        shown
    }

    fn wall(&self) -> Timestamp {
        self.clock.now() - self.behind()
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_process_goes_on_and_the_next_one_believes_the_wall() {
        let clock = Arc::new(ManualClock::default());
        let machine = Machine::new(Arc::clone(&clock));
        let start = machine.now();
        machine.set_back(Duration::from_secs(600));
        assert_eq!(machine.now(), start);
        clock.advance(Duration::from_secs(80));
        assert_eq!((machine.now(), machine.wall()), (start + Duration::from_secs(70), start - Duration::from_secs(520)));
        assert_eq!(machine.when(machine.now()), clock.now());
        machine.restart();
        assert_eq!(machine.now(), machine.wall());
    }

    #[test]
    fn who_sleeps_wakes_by_the_process_s_clock() {
        let clock = Arc::new(ManualClock::default());
        let machine = Machine::new(Arc::clone(&clock));
        let at = machine.now() + Duration::from_secs(70);
        machine.set_back(Duration::from_secs(600));
        let mut asleep = Box::pin(machine.sleep_until(at));
        while asleep.as_mut().now_or_never().is_none() {
            assert!(clock.advance_to_next_wake());
        }
        assert!(machine.now() >= at && machine.when(machine.now()).since(at) <= Duration::from_secs(11));
    }
}
