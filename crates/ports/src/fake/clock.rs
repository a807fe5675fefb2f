//! A clock that stands still until it is told to move.

use crate::clock::Clock;
use async_trait::async_trait;
use core::time::Duration;
use ringback_model::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Time by hand: `advance` and `set` wake whoever waits for what has come.
///
/// Needs no timer of the runtime, so it works in any of them, paused or not.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    waiting: Mutex<BTreeMap<Timestamp, usize>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now), waiting: Mutex::default() }
    }

    /// Moves `by` ahead.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = *now + by);
    }

    /// Shows `now` from here on, also when that is earlier.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// The earliest time that somebody waits for.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.waiting().keys().next().copied()
    }

    /// Moves to `next_wake` (never backwards); whether somebody was waiting.
    pub fn advance_to_next_wake(&self) -> bool {
        let Some(at) = self.next_wake() else { return false };
        self.now.send_modify(|now| *now = at.max(*now));
        true
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Timestamp, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// 2026-11-23T18:24:44Z.
    fn default() -> Self {
        Self::at(Timestamp::from_secs(1_795_458_284))
    }
}

/// Takes the waiter off the list also when its future is dropped.
struct Waiting<'a> {
    clock: &'a ManualClock,
    at: Timestamp,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.clock.waiting();
        if let Some(count) = waiting.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.at);
            }
        }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let mut now = self.now.subscribe();
        if *now.borrow_and_update() >= at {
            return;
        }
        *self.waiting().entry(at).or_insert(0) += 1;
        let _waiting = Waiting { clock: self, at };
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = now.wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn wakes_when_the_time_has_come_and_not_before() {
        let clock = Arc::new(ManualClock::default());
        let start = clock.now();
        clock.sleep_until(start).await;
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        });
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.next_wake(), Some(start + Duration::from_secs(10)));
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        assert!(clock.advance_to_next_wake());
        assert_eq!(sleeper.await.unwrap(), start + Duration::from_secs(10));
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test]
    async fn a_dropped_sleeper_is_forgotten() {
        let clock = ManualClock::default();
        let at = clock.now() + Duration::from_secs(1);
        {
            let sleeper = clock.sleep_until(at);
            tokio::pin!(sleeper);
            tokio::select! {
                biased;
                () = &mut sleeper => unreachable!("time stands still"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(clock.next_wake(), Some(at));
        }
        assert_eq!(clock.next_wake(), None);
        assert!(!clock.advance_to_next_wake());
    }

    #[test]
    fn set_may_go_back() {
        let clock = ManualClock::default();
        clock.set(Timestamp::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(5));
    }
}
