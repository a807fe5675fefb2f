//! Time as a seam. Only the wiring of the command line has a real one.

use async_trait::async_trait;
use core::time::Duration;
use ringback_model::Timestamp;
use std::sync::{Mutex, PoisonError};

/// Where the service gets time from.
#[async_trait]
pub trait Clock: Send + Sync + core::fmt::Debug {
    /// The present moment, UTC. It never goes back while a process lives, and never stands still.
    fn now(&self) -> Timestamp;

    /// What the machine says that it is, which may go back: only for what others compare with clocks of
    /// their own, as the time in a signature. Nothing of ours is measured by it.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// Returns when `now() >= at`; at once if that is so already.
    async fn sleep_until(&self, at: Timestamp);

    /// Returns after `by`, measured monotonically.
    async fn sleep(&self, by: Duration) {
        self.sleep_until(self.now() + by).await;
    }
}

/// Makes of a machine's two clocks, the one on the wall that people and programs set and the one that only
/// counts, one that may be relied upon: see [`Steady::read`].
///
/// Pure but for what it remembers: both clocks are arguments, so that the simulation has the same one.
#[derive(Debug, Default)]
pub struct Steady {
    /// A reading in which it showed what the wall showed, or by which it has run since: counted, shown.
    anchor: Mutex<Option<(Duration, Timestamp)>>,
}

impl Steady {
    /// How much slower it runs while the wall is behind: one part in so many.
    pub const SLOWER: i64 = 8;

    /// The present moment, when the wall shows `wall` and `counted` went by since some fixed moment.
    ///
    /// - It shows what the wall shows, wherever that is ahead of what was shown before.
    /// - It never goes back. When the wall is set back, it goes on from where it was: a clock that stood still
    ///   until the wall caught up would hold every retry, timeout and lease for as long.
    /// - Meanwhile it runs slower by one part in [`Steady::SLOWER`], so that an hour is made up for in eight.
    pub fn read(&self, wall: Timestamp, counted: Duration) -> Timestamp {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let run = anchor.map(|(from, shown)| {
            let by = i64::try_from(counted.saturating_sub(from).as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(shown.as_micros().saturating_add(by - by / Self::SLOWER))
        });
        match run {
            Some(run) if run > wall => run,
            _ => {
                *anchor = Some((counted, wall));
                wall
            }
        }
    }
}

/// Runs `what` until `at`; `None` when the time came first.
pub async fn until<T>(clock: &dyn Clock, at: Timestamp, what: impl Future<Output = T> + Send) -> Option<T> {
    tokio::select! {
        biased;
        out = what => Some(out),
        () = clock.sleep_until(at) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: i64 = 1_795_458_284;

    /// What it shows, in seconds after `T`, for readings of (wall, counted) in such seconds.
    fn shown(readings: &[(i64, u64)]) -> Vec<i64> {
        let steady = Steady::default();
        let read = |(wall, counted): &(i64, u64)| steady.read(Timestamp::from_secs(T + wall), Duration::from_secs(*counted));
        readings.iter().map(|it| read(it).as_secs() - T).collect()
    }

    #[test]
    fn it_shows_what_the_wall_shows_and_steps_ahead_with_it() {
        assert_eq!(shown(&[(0, 5), (10, 15), (3_600, 16), (3_610, 26)]), [0, 10, 3_600, 3_610]);
    }

    #[test]
    fn after_a_step_back_it_goes_on_and_lets_the_wall_catch_up() {
        // An hour back at 100; seven parts in eight of what goes by until it is made up for.
        let readings = [(100, 100), (-3_500, 100), (-3_420, 180), (0, 3_600), (25_200, 28_800), (25_300, 28_900)];
        assert_eq!(shown(&readings), [100, 100, 170, 3_162, 25_212, 25_300]);
    }

    #[test]
    fn a_second_step_back_is_borne_as_the_first() {
        assert_eq!(shown(&[(0, 0), (-100, 8), (-1_000, 16), (-900, 116)]), [0, 7, 14, 101]);
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_stands_still(steps in proptest::collection::vec((-10_000_i64..10_000, 0_u64..600), 1..60)) {
            let steady = Steady::default();
            let (mut wall, mut counted) = (0, 0);
            let mut last: Option<(Timestamp, u64)> = None;
            for (step, by) in steps {
                (wall, counted) = (wall + step + i64::try_from(by).unwrap_or(0), counted + by);
                let now = steady.read(Timestamp::from_secs(T + wall), Duration::from_secs(counted));
                prop_assert!(now >= Timestamp::from_secs(T + wall), "it is behind the wall");
                if let Some((before, then)) = last {
                    let least = Duration::from_secs((counted - then) * 7 / 8).saturating_sub(Duration::from_secs(1));
                    prop_assert!(now >= before && now.since(before) >= least, "{before} and then {now}");
                }
                last = Some((now, counted));
            }
        }
    }
}
