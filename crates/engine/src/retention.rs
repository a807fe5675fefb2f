//! How far retention goes, and whom it overtakes.
//!
//! The log is one list, ordered by commit time, so what is too old is a front of
//! it; each tenant's floor is where that front ends in its own log. Nothing here
//! removes anything: see `service::retention`.

use core::time::Duration;
use ringback_model::{
    Timestamp,
    delivery::SkippedRange,
    event::{Place, Seq},
};

/// The longest time between two looks at what has become too old.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);
/// The shortest one.
pub const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Events that were committed before this are too old.
#[must_use]
pub fn cutoff(now: Timestamp, keep: Duration) -> Timestamp {
    let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(keep))
}

/// When to look again: often enough that events outlive their time by no more than a hundredth of it.
#[must_use]
pub fn pause(keep: Duration) -> Duration {
    (keep / 100).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Where the floor moves to: to the last place that is too old, never back and never beyond the end.
///
/// `too_old` is the last place that was committed before the cutoff, 0 if none is.
#[must_use]
pub fn target(floor: Seq, last: Seq, too_old: Seq) -> Seq {
    too_old.min(last).max(floor)
}

/// Whether a reader loses something by a floor: it has not come as far, or an exception of it lies below.
#[must_use]
pub fn overtakes(floor: Place, cursor: Place, first_exception: Option<Place>) -> bool {
    cursor < floor || first_exception.is_some_and(|it| it <= floor)
}

/// How many places of the log a reader passes unread by these ranges.
#[must_use]
pub fn unread(ranges: &[SkippedRange]) -> u64 {
    ranges.iter().map(|it| it.to.saturating_sub(it.from)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(floor: Seq, last: Seq, too_old: Seq, want: Seq) {
        assert_eq!(target(floor, last, too_old), want);
    }

    #[test]
    fn nothing_is_too_old() {
        check(0, 9, 0, 0);
    }
    #[test]
    fn what_is_too_old_goes() {
        check(0, 9, 4, 4);
    }
    #[test]
    fn all_of_it_may_go() {
        check(4, 9, 9, 9);
    }
    #[test]
    fn a_longer_retention_brings_nothing_back() {
        check(4, 9, 2, 4);
    }
    #[test]
    fn there_is_nothing_beyond_the_end() {
        check(0, 3, 7, 3);
    }

    #[test]
    fn who_stands_at_the_floor_loses_nothing() {
        for (floor, cursor, exception, want) in [
            (5, 5, None, false),
            (5, 4, None, true),
            (5, 9, Some(6), false),
            (5, 9, Some(5), true),
            (0, 0, Some(1), false),
            (0, 0, None, false),
        ] {
            assert_eq!(overtakes(floor, cursor, exception), want, "{floor} {cursor} {exception:?}");
        }
    }

    #[test]
    fn looks_are_as_apart_as_it_matters() {
        for (keep, want) in [(1, 1), (3_600, 36), (30 * 86_400, 300)] {
            assert_eq!(pause(Duration::from_secs(keep)), Duration::from_secs(want));
        }
    }

    #[test]
    fn a_time_before_all_times_is_no_trouble() {
        assert_eq!(cutoff(Timestamp::from_secs(5), Duration::from_secs(3)), Timestamp::from_secs(2));
        assert!(cutoff(Timestamp::from_secs(5), Duration::MAX) < Timestamp::from_secs(0));
    }

    proptest! {
        #[test]
        fn a_floor_only_rises_and_never_passes_the_end(floor: u32, more: u32, too_old: u64) {
            let (floor, last) = (Seq::from(floor), Seq::from(floor) + Seq::from(more));
            let to = target(floor, last, too_old);
            prop_assert!(floor <= to && to <= last);
            prop_assert!(to == floor || to <= too_old, "what is not too old stays");
            prop_assert_eq!(target(to, last, too_old), to, "twice is once");
        }
    }
}
