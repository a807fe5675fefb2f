//! How long resources stay in a status: what `Retry-After` is learned from.
//!
//! Of each status the latest stays are remembered, and their median said. It
//! is not what the next stay will be, but half of them ended by then: asking
//! earlier is mostly for nothing, asking later mostly late.
//!
//! Bounded twice: stays of one status, and statuses in all. Not here: bounds of
//! what a poller is told (`lifecycle::retry_after`, from the type's `poll`).

use core::time::Duration;
use ringback_model::{StatusName, TypeName, limits};
use std::collections::{BTreeMap, VecDeque};

/// The latest stays in each status of each type.
#[derive(Debug, Default)]
pub struct Stays {
    of: BTreeMap<TypeName, BTreeMap<StatusName, Latest>>,
    statuses: usize,
}

/// Milliseconds; a stay of 50 days and more counts as one of 49.7.
#[derive(Debug, Default)]
struct Latest {
    /// In the order in which they ended.
    ended: VecDeque<u32>,
    /// The same in order of length, so that the median is looked up and not looked for.
    sorted: Vec<u32>,
}

impl Stays {
    /// A resource of this type has left this status. Statuses beyond the limit are not remembered.
    pub fn record(&mut self, type_name: &TypeName, status: &StatusName, stayed: Duration) {
        let known = self.of.get(type_name).is_some_and(|it| it.contains_key(status));
        if !known {
            if self.statuses >= limits::STAYS_STATUSES_MAX {
                return;
            }
            self.statuses += 1;
        }
        let latest = self.of.entry(type_name.clone()).or_default().entry(status.clone()).or_default();
        latest.push(u32::try_from(stayed.as_millis()).unwrap_or(u32::MAX));
    }

    /// The median of the latest stays (of an even number, the longer of the two in the middle);
    /// `None` while fewer than [`limits::STAYS_KNOWN_MIN`] are known.
    #[must_use]
    pub fn median(&self, type_name: &TypeName, status: &StatusName) -> Option<Duration> {
        let sorted = &self.of.get(type_name)?.get(status)?.sorted;
        if sorted.len() < limits::STAYS_KNOWN_MIN {
            return None;
        }
        sorted.get(sorted.len() / 2).map(|it| Duration::from_millis(u64::from(*it)))
    }
}

impl Latest {
    fn push(&mut self, stay: u32) {
        if self.ended.len() >= limits::STAYS_MAX
            && let Some(oldest) = self.ended.pop_front()
            && let Ok(at) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(at);
        }
        self.ended.push_back(stay);
        let at = self.sorted.partition_point(|it| *it < stay);
        self.sorted.insert(at, stay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn names(status: &str) -> (TypeName, StatusName) {
        (TypeName::parse("payment").unwrap(), StatusName::parse(status).unwrap())
    }

    fn learned(stays: impl IntoIterator<Item = u64>) -> Option<u128> {
        let (ty, status) = names("created");
        let mut it = Stays::default();
        for secs in stays {
            it.record(&ty, &status, Duration::from_secs(secs));
        }
        it.median(&ty, &status).map(|it| it.as_millis())
    }

    #[test]
    fn a_few_stays_say_nothing() {
        assert_eq!(learned([]), None);
        assert_eq!(learned([5; 19]), None);
        assert_eq!(learned([5; 20]), Some(5_000));
    }

    #[test]
    fn one_that_hung_for_a_day_moves_nothing() {
        assert_eq!(learned((1..=20).chain([86_400])), Some(11_000));
    }

    #[test]
    fn only_the_latest_count() {
        assert_eq!(learned([1; 100].into_iter().chain([9; 99])), Some(1_000), "100 of 199");
        assert_eq!(learned([1; 200].into_iter().chain([9; 100])), Some(9_000), "the last 200 are half and half");
        assert_eq!(learned([1; 500].into_iter().chain([9; 200])), Some(9_000));
    }

    #[test]
    fn statuses_are_apart_and_not_without_end() {
        let mut it = Stays::default();
        let (ty, _) = names("s");
        for n in 0..=limits::STAYS_STATUSES_MAX {
            for _ in 0..limits::STAYS_KNOWN_MIN {
                it.record(&ty, &StatusName::parse(&format!("s{n}")).unwrap(), Duration::from_secs(n as u64));
            }
        }
        let median = |n: usize| it.median(&ty, &StatusName::parse(&format!("s{n}")).unwrap());
        assert_eq!(median(3), Some(Duration::from_secs(3)));
        assert_eq!(median(limits::STAYS_STATUSES_MAX), None);
        assert_eq!(it.median(&names("s1").0, &StatusName::parse("other").unwrap()), None);
    }

    proptest! {
        #[test]
        fn it_is_the_median_of_the_latest(stays in vec(0_u64..50, 0..600)) {
            let mut latest: Vec<u64> = stays.iter().rev().take(limits::STAYS_MAX).copied().collect();
            latest.sort_unstable();
            let want = (latest.len() >= limits::STAYS_KNOWN_MIN).then(|| u128::from(latest[latest.len() / 2]) * 1_000);
            prop_assert_eq!(learned(stays), want);
        }
    }
}
