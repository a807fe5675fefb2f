//! A clock that stands still until it is told to move.

use crate::clock::Clock;
use async_trait::async_trait;
use core::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use ringback_model::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Time by hand: `advance` and `set` wake whoever waits for what has come.
///
/// Needs no timer of the runtime, so it works in any of them, paused or not.
/// Those who wait are woken in the order of their times, then in the order in
/// which they came: the same run gives the same order (a `watch` channel does not).
#[derive(Debug)]
pub struct ManualClock {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    came: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { inner: Mutex::new(Inner { now, waiting: BTreeMap::new(), came: 0 }) }
    }

    /// Moves `by` ahead.
    pub fn advance(&self, by: Duration) {
        self.change(|now, _| now + by);
    }

    /// Shows `now` from here on, also when that is earlier.
    pub fn set(&self, now: Timestamp) {
        self.change(|_, _| now);
    }

    /// The earliest time that somebody waits for.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.inner().waiting.keys().next().map(|(at, _)| *at)
    }

    /// Moves to `next_wake` (never backwards); whether somebody was waiting.
    pub fn advance_to_next_wake(&self) -> bool {
        let mut waited = false;
        self.change(|now, next| {
            waited = next.is_some();
            next.map_or(now, |at| at.max(now))
        });
        waited
    }

    /// Shows what `to` makes of the present time and of the next one that somebody waits for.
    fn change(&self, to: impl FnOnce(Timestamp, Option<Timestamp>) -> Timestamp) {
        let due = {
            let inner = &mut *self.inner();
            let next = inner.waiting.keys().next().map(|(at, _)| *at);
            inner.now = to(inner.now, next);
            let later = inner.waiting.split_off(&(inner.now, u64::MAX));
            core::mem::replace(&mut inner.waiting, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// 2026-11-23T18:24:44Z.
    fn default() -> Self {
        Self::at(Timestamp::from_secs(1_795_458_284))
    }
}

/// Somebody who waits. Forgotten when it is dropped.
struct Waiting<'a> {
    clock: &'a ManualClock,
    at: Timestamp,
    key: Option<(Timestamp, u64)>,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.inner();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            inner.came += 1;
            (self.at, inner.came)
        });
        inner.waiting.insert(key, cx.waker().clone());
        drop(inner);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.inner().waiting.remove(&key);
        }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.inner().now
    }

    async fn sleep_until(&self, at: Timestamp) {
        Waiting { clock: self, at, key: None }.await;
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
