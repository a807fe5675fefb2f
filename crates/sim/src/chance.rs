//! Chance of the simulation: one stream for each part of it, all from one seed.
//!
//! Separate streams keep parts apart: another draw in the network changes
//! nothing of what a publisher decides.

use core::time::Duration;
use ringback_ports::fake::SeededEntropy;

/// One stream of chance.
#[derive(Debug)]
pub struct Chance(SeededEntropy);

impl Chance {
    /// The stream of this name.
    #[must_use]
    pub fn new(seed: u64, stream: &str) -> Self {
        let hash = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mixed = SeededEntropy::new(seed ^ hash.rotate_left(17));
        Self(SeededEntropy::new(mixed.next_u64() ^ hash))
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    /// A number from `low` up to and including `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `p` times in a thousand.
    pub fn per_mille(&self, p: u64) -> bool {
        self.below(1_000) < p
    }

    /// One of them.
    pub fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }

    /// A time from `low_ms` to `high_ms` milliseconds, to the microsecond.
    pub fn duration(&self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_micros(self.between(low_ms * 1_000, high_ms * 1_000))
    }

    /// 32 bytes, for a secret.
    pub fn bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (slot, byte) in out.chunks_mut(8).zip(core::iter::repeat_with(|| self.0.next_u64().to_le_bytes())) {
            slot.copy_from_slice(&byte);
        }
        out
    }
}
