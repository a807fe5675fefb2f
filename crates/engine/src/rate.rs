//! How many requests a second a key may make: a bucket of tokens.
//!
//! A bucket holds one second's worth and fills evenly, so a key that was quiet
//! may send that many at once, and in the long run never more than its rate.
//! Time is an argument; nothing fills by itself.
//!
//! Not here: which requests are charged, and whose bucket it is (`service::rate`).

use ringback_model::Timestamp;

/// One token, in the unit that a bucket counts in: what a rate of 1 brings in a microsecond is whole.
const TOKEN: u64 = 1_000_000;

/// What one key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    level: u64,
    at: Timestamp,
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests a second.
    pub per_s: u32,
    /// Requests that may be sent now.
    pub left: u32,
    /// Whole seconds, rounded up, until it is full again; 0 when it is.
    pub full_in_secs: u32,
}

/// There is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Requests a second.
    pub per_s: u32,
    /// Whole seconds, rounded up, until there is one: at least 1.
    pub retry_after_secs: u32,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(per_s: u32, now: Timestamp) -> Self {
        Self { level: u64::from(per_s) * TOKEN, at: now }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// `Exhausted`; then nothing is taken.
    pub fn take(&mut self, per_s: u32, now: Timestamp) -> Result<(), Exhausted> {
        self.fill(per_s, now);
        match self.level.checked_sub(TOKEN) {
            Some(rest) => {
                self.level = rest;
                Ok(())
            }
            None => Err(Exhausted { per_s, retry_after_secs: secs(TOKEN - self.level, per_s).max(1) }),
        }
    }

    /// Gives a token back: what it was taken for cost nothing.
    pub fn refund(&mut self, per_s: u32, now: Timestamp) {
        self.fill(per_s, now);
        self.level = self.level.saturating_add(TOKEN).min(u64::from(per_s) * TOKEN);
    }

    /// How it stands.
    #[must_use]
    pub fn standing(mut self, per_s: u32, now: Timestamp) -> Standing {
        self.fill(per_s, now);
        let missing = (u64::from(per_s) * TOKEN).saturating_sub(self.level);
        Standing { per_s, left: u32::try_from(self.level / TOKEN).unwrap_or(u32::MAX), full_in_secs: secs(missing, per_s) }
    }

    /// A clock that goes back fills nothing, and nothing twice.
    fn fill(&mut self, per_s: u32, now: Timestamp) {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.level = self.level.saturating_add(micros.saturating_mul(u64::from(per_s))).min(u64::from(per_s) * TOKEN);
        self.at = self.at.max(now);
    }
}

/// Whole seconds, rounded up, in which a rate brings `missing`.
fn secs(missing: u64, per_s: u32) -> u32 {
    u32::try_from(missing.div_ceil(u64::from(per_s.max(1)) * TOKEN)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::{collection::vec, prelude::*};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    #[track_caller]
    fn check(per_s: u32, asked_at: &[i64], want: &[bool]) {
        let mut bucket = Bucket::full(per_s, at(0));
        let got: Vec<_> = asked_at.iter().map(|it| bucket.take(per_s, at(*it)).is_ok()).collect();
        assert_eq!(got, want, "{per_s} a second, asked at {asked_at:?}");
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_evenly() {
        check(2, &[0, 0, 0, 499, 500, 999, 1_000], &[true, true, false, false, true, false, true]);
        check(1, &[0, 999, 1_000, 10_000, 10_000], &[true, false, true, true, false]);
        check(1, &[10_000, 0, 5_000, 10_999, 11_000], &[true, false, false, false, true]);
    }

    #[test]
    fn what_is_said_is_so() {
        let mut bucket = Bucket::full(2, at(0));
        assert_eq!(bucket.standing(2, at(0)), Standing { per_s: 2, left: 2, full_in_secs: 0 });
        assert_eq!(bucket.take(2, at(0)), Ok(()));
        assert_eq!(bucket.standing(2, at(0)), Standing { per_s: 2, left: 1, full_in_secs: 1 });
        assert_eq!(bucket.take(2, at(0)), Ok(()));
        assert_eq!(bucket.take(2, at(0)), Err(Exhausted { per_s: 2, retry_after_secs: 1 }));
        bucket.refund(2, at(0));
        assert_eq!(bucket.standing(2, at(0)).left, 1);
        for _ in 0..5 {
            bucket.refund(2, at(0));
        }
        assert_eq!(bucket.standing(2, at(0)), Standing { per_s: 2, left: 2, full_in_secs: 0 }, "never more than full");
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_its_burst(per_s in 1_u32..50, steps in vec(0_u64..400, 1..200)) {
            let mut bucket = Bucket::full(per_s, at(0));
            let (mut now, mut taken) = (at(0), 0_u64);
            for step in steps {
                now = now + Duration::from_millis(step);
                match bucket.take(per_s, now) {
                    Ok(()) => taken += 1,
                    Err(it) => {
                        // Whoever waits for so long gets one.
                        let mut later = bucket;
                        prop_assert!(later.take(per_s, now + Duration::from_secs(it.retry_after_secs.into())).is_ok());
                    }
                }
                let allowed = u64::from(per_s) + now.as_micros().cast_unsigned() * u64::from(per_s) / 1_000_000;
                prop_assert!(taken <= allowed);
            }
        }
    }
}
