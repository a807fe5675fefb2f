//! Time as a value: microseconds since 1970 in UTC. Nothing here asks a clock.

use alloc::string::{String, ToString};
use core::{fmt, ops, str::FromStr, time::Duration};

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `secs` seconds after 1970.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long it is from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339, UTC, always six fractional digits: 27 characters for the years
/// 0000 to 9999, so that an encoded event has a fixed-width timestamp.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(-62_167_219_200_000_000, 253_402_300_799_999_999);
        let at = jiff::Timestamp::from_microsecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{at:.6}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an RFC 3339 date-time with an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time such as 2026-11-23T18:24:44Z")]
pub struct TimeError(String);

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|it| Self(it.as_microsecond()))
            .map_err(|_| TimeError(text.chars().take(64).collect::<String>().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_six_digits_and_reads_them_back() {
        let at = Timestamp::from_micros(1_795_458_284_123_456);
        assert_eq!(at.to_string(), "2026-11-23T18:24:44.123456Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn reads_any_offset() {
        let at: Timestamp = "2026-11-23T20:24:44+02:00".parse().unwrap_or_default();
        assert_eq!(at.to_string(), "2026-11-23T18:24:44.000000Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("2026-11-23".parse::<Timestamp>().is_err());
    }

    #[test]
    fn width_is_fixed_at_the_edges() {
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string().len(), 27);
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string().len(), 27);
    }
}
