//! Values over the time of the demo, kept in buckets and drawn as one row of
//! blocks. All rows share one axis, so that a column is one moment in each.

use std::time::Duration;

/// Width of a bucket.
const BUCKET: Duration = Duration::from_millis(250);
/// Buckets that are kept: longer than the longest demo.
const BUCKETS_MAX: usize = 40_000;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values that a bucket keeps for its median; the demo measures a few.
const SAMPLES_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
struct Bucket {
    samples: Vec<f64>,
    max: f64,
}

/// A value over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// Which bucket the first one is, counted from the start.
    first: usize,
    buckets: Vec<Bucket>,
}

/// How the values of one column become one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    /// What is usual: one bad value among many doesn't show.
    Median,
    /// The worst.
    Max,
}

impl Timeline {
    /// Adds `value`, measured at `at` after the start.
    pub(super) fn add(&mut self, at: Duration, value: f64) {
        let index = (at.as_millis() / BUCKET.as_millis()) as usize;
        let Some(index) = index.checked_sub(self.first).filter(|it| *it < BUCKETS_MAX) else { return };
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.max = bucket.max.max(value);
            if bucket.samples.len() < SAMPLES_MAX {
                bucket.samples.push(value);
            }
        }
    }

    /// The part of it that `axis` shows.
    pub(super) fn within(&self, axis: Axis) -> Self {
        let (from, to) = axis.all_buckets();
        Self { first: from.max(self.first), buckets: self.slice(from, to).to_vec() }
    }

    /// The stretch `axis` in `columns` columns; `None` where nothing was measured.
    pub(super) fn columns(&self, axis: Axis, columns: usize, fold: Fold) -> Vec<Option<f64>> {
        (0..columns)
            .map(|column| {
                let (from, to) = axis.buckets(column, columns);
                let part = self.slice(from, to);
                let mut samples: Vec<f64> = part.iter().flat_map(|it| it.samples.iter().copied()).collect();
                match fold {
                    _ if samples.is_empty() => None,
                    Fold::Max => Some(part.iter().map(|it| it.max).fold(0.0, f64::max)),
                    Fold::Median => {
                        samples.sort_by(f64::total_cmp);
                        samples.get((samples.len() - 1) / 2).copied()
                    }
                }
            })
            .collect()
    }

    /// The buckets `from..to`, counted from the start, as far as there are any.
    fn slice(&self, from: usize, to: usize) -> &[Bucket] {
        let here = |it: usize| it.saturating_sub(self.first).min(self.buckets.len());
        self.buckets.get(here(from)..here(to)).unwrap_or(&[])
    }
}

/// The stretch of time that a row of columns shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Axis {
    fn all_buckets(self) -> (usize, usize) {
        let edge = |at: Duration, up: u128| (at.as_millis().saturating_add(up) / BUCKET.as_millis()) as usize;
        (edge(self.from, 0), edge(self.to, BUCKET.as_millis()))
    }

    fn buckets(self, column: usize, columns: usize) -> (usize, usize) {
        let first = self.from.as_millis() / BUCKET.as_millis();
        let count = (self.to.saturating_sub(self.from)).as_millis().div_ceil(BUCKET.as_millis()).max(1);
        let edge = |at: usize| (first + count * at as u128 / columns.max(1) as u128) as usize;
        let from = edge(column);
        // With fewer buckets than columns, neighbouring columns show the same bucket.
        (from, edge(column + 1).max(from + 1))
    }

    /// The column in which `at` falls, if the axis shows it.
    pub(super) fn column(self, at: Duration, columns: usize) -> Option<usize> {
        if at < self.from || at >= self.to || columns == 0 {
            return None;
        }
        let share = (at - self.from).as_secs_f64() / (self.to - self.from).as_secs_f64();
        Some(((share * columns as f64) as usize).min(columns - 1))
    }
}

/// How high a delay of `micros` stands, in eighths: each step is a factor of
/// about three, from 1 ms to 3 s, as otherwise only the slowest would show.
pub(super) fn delay_height(micros: f64) -> usize {
    let steps = (micros.max(1.0) / 1_000.0).log10() * 2.0;
    steps.ceil().clamp(0.0, 7.0) as usize
}

/// How high `value` stands when `most` is the top, in eighths.
pub(super) fn share_height(value: f64, most: f64) -> usize {
    if most <= 0.0 || value <= 0.0 { 0 } else { (value / most * 7.0).ceil().clamp(1.0, 7.0) as usize }
}

/// The block of this height.
pub(super) fn block(height: usize) -> char {
    BLOCKS.get(height).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn draw(columns: &[Option<f64>], most: f64) -> String {
        columns.iter().map(|it| it.map_or(' ', |value| block(share_height(value, most)))).collect()
    }

    #[test]
    fn a_column_shows_its_own_stretch() {
        let mut line = Timeline::default();
        for second in 0..10_u32 {
            line.add(SECOND * second, f64::from(second));
        }
        let axis = Axis { from: Duration::ZERO, to: SECOND * 10 };
        assert_eq!(draw(&line.columns(axis, 10, Fold::Max), 9.0), "▁▂▃▄▅▅▆▇██");
        assert_eq!(line.columns(axis, 5, Fold::Max), [1.0, 3.0, 5.0, 7.0, 9.0].map(Some));
        assert_eq!(line.columns(axis, 2, Fold::Median), [2.0, 7.0].map(Some));
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let mut line = Timeline::default();
        line.add(SECOND * 2, 4.0);
        let axis = Axis { from: Duration::ZERO, to: SECOND * 4 };
        assert_eq!(draw(&line.columns(axis, 4, Fold::Median), 4.0), "  █ ");
        assert_eq!(draw(&Timeline::default().columns(axis, 4, Fold::Median), 4.0), "    ");
    }

    #[test]
    fn more_columns_than_buckets_repeat_them() {
        let mut line = Timeline::default();
        line.add(Duration::ZERO, 1.0);
        line.add(Duration::from_millis(250), 2.0);
        let axis = Axis { from: Duration::ZERO, to: Duration::from_millis(500) };
        assert_eq!(line.columns(axis, 4, Fold::Median), [1.0, 1.0, 2.0, 2.0].map(Some));
    }

    #[test]
    fn a_part_is_drawn_like_the_whole() {
        let mut line = Timeline::default();
        for quarter in 0..400_u32 {
            line.add(Duration::from_millis(250) * quarter, f64::from(quarter));
        }
        for (from, to) in [(0, 10), (7, 31), (60, 100), (90, 200), (150, 160)] {
            let axis = Axis { from: SECOND * from, to: SECOND * to };
            assert_eq!(line.within(axis).columns(axis, 20, Fold::Max), line.columns(axis, 20, Fold::Max), "{from}..{to}");
        }
    }

    #[test]
    fn a_moment_has_one_column() {
        let axis = Axis { from: SECOND * 10, to: SECOND * 20 };
        assert_eq!(axis.column(SECOND * 9, 10), None);
        assert_eq!(axis.column(SECOND * 10, 10), Some(0));
        assert_eq!(axis.column(SECOND * 15, 10), Some(5));
        assert_eq!(axis.column(SECOND * 20, 10), None);
    }

    #[test]
    fn delays_stand_in_steps_of_three() {
        let heights = [500.0, 1_000.0, 2_000.0, 9_000.0, 500_000.0, 2_500_000.0, 1e9].map(delay_height);
        assert_eq!(heights, [0, 0, 1, 2, 6, 7, 7]);
    }
}
