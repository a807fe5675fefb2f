//! When what happens: everything scales with how long the demo lasts, so that
//! ten seconds and a minute tell the same story.

use std::time::Duration;

/// The least that `--for` takes: the story needs that long.
pub(super) const FOR_MIN: Duration = Duration::from_secs(5);
/// `--rate` when none is given, in payments a second.
pub(super) const RATE_DEFAULT: f64 = 20.0;
/// The most that `--rate` takes: the waiting merchant holds a connection for
/// each open payment, and a process may have about a thousand.
pub(super) const RATE_MAX: f64 = 200.0;
/// How long what is owed may take to drain.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(30);
/// Where the half time of a demo without an end is: at 30 s.
const ENDLESS: Duration = Duration::from_secs(60);

/// The timings of one demo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// How long payments are begun; `None` until Ctrl-C.
    pub(super) write: Option<Duration>,
    /// Payments a second.
    pub(super) rate: f64,
    /// Mean time that a payment stays in one status. Not much shorter than the
    /// slow merchant's five seconds: the law that the table sets beside him
    /// holds for what lives longer than the pause between two looks.
    pub(super) mean: Duration,
    /// When the neighbour goes dark, and when it is back.
    pub(super) dark: (Duration, Duration),
    /// When the server is killed.
    pub(super) kill: Duration,
}

impl Plan {
    /// The plan for these arguments, or what to change about them.
    pub(super) fn new(write: Option<Duration>, rate: Option<f64>) -> Result<Self, String> {
        if let Some(write) = write
            && write < FOR_MIN
        {
            return Err(format!("--for takes {} s or more: in less time there is nothing to see", FOR_MIN.as_secs()));
        }
        let rate = rate.unwrap_or(RATE_DEFAULT);
        if !(0.5..=RATE_MAX).contains(&rate) {
            return Err(format!("--rate takes 0.5 to {RATE_MAX} payments a second"));
        }
        let whole = write.unwrap_or(ENDLESS);
        let dark_from = whole / 10;
        let dark_for = (whole / 4).min(Duration::from_secs(5));
        Ok(Self {
            write,
            rate,
            mean: (whole / 15).clamp(Duration::from_millis(1_500), Duration::from_millis(2_000)),
            dark: (dark_from, dark_from + dark_for),
            kill: whole / 2,
        })
    }

    /// How long the neighbour is dark.
    pub(super) fn dark_for(&self) -> Duration {
        self.dark.1 - self.dark.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(secs: u64) -> Plan {
        Plan::new(Some(Duration::from_secs(secs)), None).expect("a plan")
    }

    #[test]
    fn thirty_seconds_as_everybody_sees_them() {
        let secs = Duration::from_secs;
        assert_eq!(plan(30), Plan { write: Some(secs(30)), rate: 20.0, mean: secs(2), dark: (secs(3), secs(8)), kill: secs(15) });
    }

    #[test]
    fn the_neighbour_is_back_before_the_kill_however_short_it_is() {
        for secs in [5, 7, 10, 12, 20, 30, 600] {
            let it = plan(secs);
            assert!(it.dark.0 < it.dark.1 && it.dark.1 < it.kill, "{secs}: {it:?}");
            assert!(it.dark_for() <= Duration::from_secs(5));
        }
        assert!(Plan::new(None, None).is_ok_and(|it| it.write.is_none() && it.kill == Duration::from_secs(30)));
    }

    #[test]
    fn what_can_not_be_shown_is_refused() {
        assert!(Plan::new(Some(Duration::from_secs(1)), None).is_err_and(|it| it.contains("--for")));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6] {
            assert!(Plan::new(None, Some(rate)).is_err_and(|it| it.contains("--rate")), "{rate}");
        }
    }
}
