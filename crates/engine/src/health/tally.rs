//! What happened in the last minute, and in the last second.

use ringback_model::Timestamp;

const SECONDS: usize = 60;

/// Outcomes of the last 60 seconds by class, in whole seconds.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// (second, counts) at second modulo 60.
    slots: [(i64, [u32; 3]); SECONDS],
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self { slots: [(i64::MIN, [0; 3]); SECONDS] }
    }

    /// Counts one of `class`, 0 to 2.
    pub(super) fn note(&mut self, now: Timestamp, class: usize) {
        let second = now.as_secs();
        let at = usize::try_from(second.rem_euclid(60)).unwrap_or_default();
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.0 != second {
            *slot = (second, [0; 3]);
        }
        if let Some(count) = slot.1.get_mut(class) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts by class.
    pub(super) fn sums(&self, now: Timestamp) -> [u32; 3] {
        let oldest = now.as_secs() - 59;
        let mut sums = [0_u32; 3];
        for (_, counts) in self.slots.iter().filter(|(second, _)| *second >= oldest) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        sums
    }
}

const TENTH: i64 = 100_000;

/// How much happened in the last second, in tenths of it.
#[derive(Clone, Debug)]
pub(super) struct Second {
    slots: [(i64, u32); 10],
}

impl Second {
    pub(super) const fn new() -> Self {
        Self { slots: [(i64::MIN, 0); 10] }
    }

    pub(super) fn note(&mut self, now: Timestamp) {
        let tenth = now.as_micros().div_euclid(TENTH);
        let at = usize::try_from(tenth.rem_euclid(10)).unwrap_or_default();
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.0 != tenth {
            *slot = (tenth, 0);
        }
        slot.1 = slot.1.saturating_add(1);
    }

    pub(super) fn sum(&self, now: Timestamp) -> u32 {
        let oldest = now.as_micros().div_euclid(TENTH) - 9;
        self.slots.iter().filter(|(tenth, _)| *tenth >= oldest).map(|(_, count)| count).fold(0, |sum, it| sum.saturating_add(*it))
    }
}
