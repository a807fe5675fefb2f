//! What is computed from what was measured: percentiles, and the law of asking.
//!
//! The law: whoever asks every `T` learns of a change `T/2` late on average, as
//! changes don't wait for the question; and where changes come at random, `λ` a
//! second, nothing happens within `T` with probability `e^(−λT)`, so that share
//! of all asking is useless. No choice of `T` makes both small.

use std::time::Duration;

/// A distribution of delays in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) p50: Duration,
    pub(super) p95: Duration,
    pub(super) max: Duration,
}

/// The spread of `samples` (microseconds), `None` when there are none.
/// Percentiles are nearest-rank: each is a delay that really occurred.
pub(super) fn spread(samples: &[u32]) -> Option<Spread> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = |share: f64| {
        let at = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().map(|it| Duration::from_micros(u64::from(it)))
    };
    Some(Spread { p50: rank(0.50)?, p95: rank(0.95)?, max: rank(1.0)? })
}

/// What the law says of someone who asks every `every`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    /// `T/2`.
    pub(super) late: Duration,
    /// `e^(−λT)`.
    pub(super) useless: f64,
}

/// The law for asking every `every` about things that change `per_s` times a
/// second each.
pub(super) fn law(every: Duration, per_s: f64) -> Law {
    Law { late: every / 2, useless: (-per_s * every.as_secs_f64()).exp() }
}

/// `λ`: changes a second of one open payment, from how many changes there were
/// while payments were open, and how long all of them together were open.
pub(super) fn rate(changes: u64, open: Duration) -> f64 {
    if open.is_zero() { 0.0 } else { changes as f64 / open.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_delays_that_occurred() {
        let samples: Vec<u32> = (1..=100).rev().map(|it| it * 1_000).collect();
        let ms = Duration::from_millis;
        assert_eq!(spread(&samples), Some(Spread { p50: ms(50), p95: ms(95), max: ms(100) }));
        assert_eq!(spread(&[7_000]), Some(Spread { p50: ms(7), p95: ms(7), max: ms(7) }));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn the_law_in_three_points() {
        let law_1s = law(Duration::from_secs(1), 0.5);
        assert_eq!(law_1s.late, Duration::from_millis(500));
        assert!((law_1s.useless - 0.6065).abs() < 1e-3);
        assert!((law(Duration::from_secs(5), 0.5).useless - 0.0821).abs() < 1e-3);
        // Nothing ever changes: all asking is useless.
        assert!((law(Duration::from_secs(5), 0.0).useless - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_needs_time() {
        assert!((rate(30, Duration::from_secs(60)) - 0.5).abs() < 1e-9);
        assert!(rate(30, Duration::ZERO).abs() < 1e-9);
    }
}
