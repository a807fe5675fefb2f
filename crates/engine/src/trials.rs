//! How often an endpoint may be tested: one test of a subscription at a time, a
//! few in a minute, and some of all subscriptions together. Whoever may send tests may
//! aim them at an endpoint of his own choice; that must not become a way to flood it.
//!
//! Kept in memory: a restart forgets it, and a restart takes longer than a test.

use core::time::Duration;
use ringback_model::{Timestamp, limits};
use std::collections::{BTreeMap, VecDeque};

const MINUTE: Duration = Duration::from_secs(60);

/// Why no test is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialRefused {
    /// One of this subscription is under way.
    Running,
    /// As many of all subscriptions are under way as may be.
    TooMany,
    /// This subscription had its share; there is room for one more in so many seconds, at least one.
    Later(u32),
}

/// Tests that run, and those of the last minute.
#[derive(Debug, Default)]
pub struct Trials {
    of: BTreeMap<u32, Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    running: bool,
    started: VecDeque<Timestamp>,
}

impl Trials {
    /// A test of this subscription starts; `end` says when it is over.
    ///
    /// # Errors
    /// See `TrialRefused`; nothing starts then.
    pub fn start(&mut self, subscription: u32, now: Timestamp) -> Result<(), TrialRefused> {
        for it in self.of.values_mut() {
            it.started.retain(|at| now.since(*at) < MINUTE);
        }
        // What nobody asked for within a minute takes no room.
        self.of.retain(|_, it| it.running || !it.started.is_empty());
        let running = self.of.values().filter(|it| it.running).count();
        if let Some(it) = self.of.get(&subscription) {
            if it.running {
                return Err(TrialRefused::Running);
            }
            if let Some(first) = it.started.front().filter(|_| it.started.len() >= limits::TESTS_PER_MINUTE_MAX) {
                let left = (*first + MINUTE).since(now);
                return Err(TrialRefused::Later(u32::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)));
            }
        }
        if running >= limits::TESTS_AT_ONCE {
            return Err(TrialRefused::TooMany);
        }
        let it = self.of.entry(subscription).or_default();
        it.running = true;
        it.started.push_back(now);
        Ok(())
    }

    /// The test of this subscription is over.
    pub fn end(&mut self, subscription: u32) {
        if let Some(it) = self.of.get_mut(&subscription) {
            it.running = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);

    #[test]
    fn one_at_a_time_and_a_few_in_a_minute() {
        let mut it = Trials::default();
        for no in 0..limits::TESTS_PER_MINUTE_MAX as u64 {
            let now = T0 + Duration::from_secs(no);
            assert_eq!(it.start(7, now), Ok(()));
            assert_eq!(it.start(7, now), Err(TrialRefused::Running));
            it.end(7);
        }
        let last = T0 + Duration::from_millis(59_500);
        assert_eq!(it.start(7, last), Err(TrialRefused::Later(1)));
        assert_eq!(it.start(8, last), Ok(()), "another one has a share of its own");
        assert_eq!(it.start(7, T0 + MINUTE), Ok(()));
    }

    #[test]
    fn all_together_are_bounded_and_nothing_is_kept_for_ever() {
        let mut it = Trials::default();
        let most = u32::try_from(limits::TESTS_AT_ONCE).unwrap();
        for no in 0..most {
            assert_eq!(it.start(no, T0), Ok(()));
        }
        assert_eq!(it.start(most, T0), Err(TrialRefused::TooMany));
        it.end(3);
        assert_eq!(it.start(most, T0), Ok(()));
        for no in 0..=most {
            it.end(no);
        }
        assert_eq!(it.start(99, T0 + MINUTE), Ok(()));
        assert_eq!(it.of.len(), 1);
    }
}
