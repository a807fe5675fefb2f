//! The demo's dice: a small generator with a fixed seed, so that each run pays
//! the same amounts and fails the same payments. Not fit for secrets.

use std::time::Duration;

/// SplitMix64: one word of state, good enough for a simulation.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// A generator; the same seed throws the same numbers.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0.0 .. 1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `low ..= high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high.saturating_sub(low) + 1)
    }

    /// True with probability `share`.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// An exponential waiting time with this mean, cut at four means so that
    /// the demo ends: one wait in fifty is cut.
    pub(crate) fn wait(&mut self, mean: Duration) -> Duration {
        let factor = -(1.0 - self.unit()).ln();
        mean.mul_f64(factor.clamp(0.0, 4.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_have_about_the_mean_that_was_asked_for() {
        let mut chance = Chance::seeded(7);
        let total: Duration = (0..20_000).map(|_| chance.wait(Duration::from_secs(1))).sum();
        let mean = total.as_secs_f64() / 20_000.0;
        // Cutting at four means takes e⁻⁴ off.
        assert!((mean - 0.98).abs() < 0.02, "{mean}");
    }

    #[test]
    fn a_share_is_kept_and_bounds_hold() {
        let mut chance = Chance::seeded(1);
        let hits = (0..10_000).filter(|_| chance.happens(0.12)).count();
        assert!((1_050..1_350).contains(&hits), "{hits}");
        assert!((0..1_000).map(|_| chance.between(3, 5)).all(|it| (3..=5).contains(&it)));
    }
}
