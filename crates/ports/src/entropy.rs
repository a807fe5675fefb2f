//! Chance as a seam.

/// Where ids, secrets and jitter come from.
pub trait Entropy: Send + Sync + core::fmt::Debug {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);

    /// 128 unpredictable bits.
    fn bits(&self) -> u128 {
        let mut out = [0; 16];
        self.fill(&mut out);
        u128::from_le_bytes(out)
    }

    /// A number in 0..1, for jitter.
    fn fraction(&self) -> f64 {
        let mut out = [0; 4];
        self.fill(&mut out);
        f64::from(u32::from_le_bytes(out)) / (f64::from(u32::MAX) + 1.0)
    }
}
