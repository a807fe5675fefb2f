//! When a delivery is tried again, and when it is given up.
//!
//! Pure: the time and the chance are arguments. A delay is drawn uniformly
//! between nothing and twice its mean, so that the receivers of one outage do
//! not come back in step; see CONTRACT 5.
//!
//! Not here: which delivery is next (`window`), what came back (`egress`).

use core::time::Duration;
use ringback_model::{Timestamp, delivery::Outcome, limits};

/// The least time between two tries of one delivery.
pub const DELAY_MIN: Duration = Duration::from_secs(1);

/// What follows from the outcome of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It arrived: nothing more to do.
    Delivered,
    /// Try again, not before this time.
    RetryAt(Timestamp),
    /// No more tries: keep it, with this reason, until somebody asks for it.
    Park {
        /// `tries-exhausted`.
        reason: &'static str,
    },
    /// The address cannot be called: no try was spent, the reader stops.
    Hold {
        /// Of the outcome.
        reason: &'static str,
    },
}

/// The delay after `tries_spent` tries: uniform in 0 to twice the mean, at least a second.
///
/// `delays` are the means in seconds before the second, third … try; `jitter` is
/// in 0..1 (anything else is taken as the nearer end). `None` once
/// `delays.len() + 1` tries are spent.
#[must_use]
pub fn delay(delays: &[u32], tries_spent: u32, jitter: f64) -> Option<Duration> {
    let at = usize::try_from(tries_spent.saturating_sub(1)).ok()?;
    let mean = delays.get(at)?;
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    // f64 holds the micros of any u32 of seconds exactly; the cast saturates.
    let micros = 2.0 * f64::from(*mean) * 1_000_000.0 * jitter;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= micros <= 2 * u32::MAX * 1e6")]
    let drawn = Duration::from_micros(micros as u64);
    Some(drawn.max(DELAY_MIN))
}

/// What follows from `outcome`, the result of try number `tries_spent` (this one included).
///
/// `Retry-After` is a floor for the next try, never longer than
/// `limits::RETRY_AFTER_MAX`: a receiver may ask for patience, not for eternity.
#[must_use]
pub fn next(tries_spent: u32, outcome: &Outcome, delays: &[u32], now: Timestamp, jitter: f64) -> Next {
    match outcome {
        Outcome::Delivered { .. } => return Next::Delivered,
        Outcome::Unroutable { reason } => return Next::Hold { reason },
        Outcome::Failed { .. } | Outcome::Unknown => {}
    }
    match delay(delays, tries_spent, jitter) {
        Some(drawn) => Next::RetryAt(now + drawn.max(floor(outcome))),
        None => Next::Park { reason: "tries-exhausted" },
    }
}

/// How long the receiver asked to be left alone, clamped.
#[must_use]
pub fn floor(outcome: &Outcome) -> Duration {
    match outcome {
        Outcome::Failed { retry_after, .. } => retry_after.unwrap_or_default().min(limits::RETRY_AFTER_MAX),
        Outcome::Delivered { .. } | Outcome::Unknown | Outcome::Unroutable { .. } => Duration::ZERO,
    }
}

/// Reads a `Retry-After` header: digits (seconds) or an IMF-fixdate; clamped to
/// `limits::RETRY_AFTER_MAX`. A date that has passed is no wait at all.
///
/// `None` for anything else, the obsolete forms of a date included: such a
/// header is ignored.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let text = header.trim_matches([' ', '\t']);
    let wait = if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        // Only too many digits can fail here: that is "very long".
        text.parse().map_or(limits::RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        imf_fixdate(text)?.since(now)
    };
    Some(wait.min(limits::RETRY_AFTER_MAX))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7) and nothing else: case
/// matters, and the day of the week has to be the right one.
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (number(parts.next()?, 2)?, parts.next()?, number(parts.next()?, 4)?);
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    if parts.next() != Some("GMT") || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let month = i64::try_from(MONTHS.iter().position(|it| *it == month)?).ok()? + 1;
    // 60 is a leap second, which our time does not have.
    if day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let named = i64::try_from(DAYS.iter().position(|it| *it == weekday)?).ok()?;
    // 1970-01-01 was a Thursday, number 3 from Monday.
    if (days + 3).rem_euclid(7) != named {
        return None;
    }
    Some(Timestamp::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    if text.len() == digits && text.bytes().all(|it| it.is_ascii_digit()) { text.parse().ok() } else { None }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let in_year: i64 = (1..month).map(|it| days_in_month(year, it)).sum();
    // 719,162 days lie between 0001-01-01 and 1970-01-01.
    before * 365 + leap_days + in_year + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringback_model::subscription::DELAYS_DEFAULT;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn failed(retry_after: Option<u64>) -> Outcome {
        Outcome::Failed { status_code: Some(503), reason: "status", retry_after: retry_after.map(Duration::from_secs) }
    }

    fn show(next: Next) -> String {
        match next {
            Next::Delivered => "delivered".into(),
            Next::RetryAt(at) => format!("retry +{:?}", at.since(T0)),
            Next::Park { reason } => format!("park {reason}"),
            Next::Hold { reason } => format!("hold {reason}"),
        }
    }

    #[track_caller]
    fn check(tries: u32, outcome: &Outcome, jitter: f64, want: &str) {
        assert_eq!(show(next(tries, outcome, &[5, 30, 120], T0, jitter)), want);
    }

    #[test]
    fn accepted_is_the_end() {
        check(1, &Outcome::Delivered { status_code: 204 }, 0.5, "delivered");
        check(99, &Outcome::Delivered { status_code: 200 }, 0.5, "delivered");
    }

    #[test]
    fn half_way_is_the_mean() {
        check(1, &failed(None), 0.5, "retry +5s");
        check(2, &failed(None), 0.5, "retry +30s");
        check(3, &Outcome::Unknown, 0.5, "retry +120s");
        check(3, &failed(None), 0.25, "retry +60s");
    }

    #[test]
    fn never_sooner_than_a_second() {
        check(1, &failed(None), 0.0, "retry +1s");
        check(1, &failed(None), f64::NAN, "retry +1s");
        check(1, &failed(None), -3.0, "retry +1s");
        check(1, &failed(None), 7.0, "retry +10s");
    }

    #[test]
    fn the_last_try_is_the_last() {
        check(4, &failed(None), 0.5, "park tries-exhausted");
        check(4, &failed(Some(60)), 0.5, "park tries-exhausted");
        check(5, &Outcome::Unknown, 0.5, "park tries-exhausted");
        check(u32::MAX, &Outcome::Unknown, 0.5, "park tries-exhausted");
    }

    #[test]
    fn the_default_schedule_has_fifteen_tries_in_about_75_hours() {
        let all: Vec<_> = (1..).map_while(|spent| delay(&DELAYS_DEFAULT, spent, 0.5)).collect();
        assert_eq!(all.len() + 1, 15);
        let hours = all.iter().sum::<Duration>().as_secs_f64() / 3_600.0;
        assert!((75.0..76.0).contains(&hours), "{hours}");
    }

    #[test]
    fn retry_after_is_a_clamped_floor() {
        check(1, &failed(Some(60)), 0.5, "retry +60s");
        check(2, &failed(Some(3)), 0.5, "retry +30s");
        check(1, &failed(Some(9 * 86_400)), 0.5, "retry +86400s");
    }

    #[test]
    fn an_address_that_cannot_be_called_spends_nothing() {
        check(1, &Outcome::Unroutable { reason: "refused" }, 0.5, "hold refused");
        check(99, &Outcome::Unroutable { reason: "unresolved" }, 0.5, "hold unresolved");
    }

    #[track_caller]
    fn header(text: &str, now: i64, want: Option<u64>) {
        assert_eq!(retry_after(text, Timestamp::from_secs(now)), want.map(Duration::from_secs), "{text:?}");
    }

    #[test]
    fn digits_are_seconds() {
        header("0", 0, Some(0));
        header("120", 0, Some(120));
        header(" 007\t", 0, Some(7));
        header("86401", 0, Some(86_400));
        header("99999999999999999999999999", 0, Some(86_400));
        for bad in ["", " ", "-1", "+1", "1.5", "1s", "1 2", "٣"] {
            header(bad, 0, None);
        }
    }

    #[test]
    fn dates_are_imf_fixdates_only() {
        let at = 784_111_777;
        header("Sun, 06 Nov 1994 08:49:37 GMT", at - 90, Some(90));
        header("Sun, 06 Nov 1994 08:49:37 GMT", at + 90, Some(0));
        header("Sun, 06 Nov 1994 08:49:37 GMT", 0, Some(86_400));
        header("Thu, 01 Jan 1970 00:00:00 GMT", -60, Some(60));
        header("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800 - 5, Some(5));
        header("Fri, 31 Dec 9999 23:59:60 GMT", 0, Some(86_400));
        for bad in [
            "Mon, 06 Nov 1994 08:49:37 GMT",  // it was a Sunday
            "Sunday, 06-Nov-94 08:49:37 GMT", // RFC 850
            "Sun Nov  6 08:49:37 1994",       // asctime
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 GMT ,",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Wed, 00 Mar 2023 00:00:00 GMT",
            "soon",
        ] {
            header(bad, 0, None);
        }
    }

    proptest! {
        #[test]
        fn retries_move_forward_and_end(delays in prop::collection::vec(1_u32..=86_400, 0..50), jitter in 0.0_f64..1.0) {
            for spent in 1..=60_u32 {
                match next(spent, &Outcome::Unknown, &delays, T0, jitter) {
                    Next::RetryAt(at) => {
                        prop_assert!((spent as usize) <= delays.len());
                        prop_assert!(at >= T0 + DELAY_MIN);
                        let mean = u64::from(delays[spent as usize - 1]);
                        prop_assert!(at <= T0 + Duration::from_secs(2 * mean).max(DELAY_MIN));
                    }
                    Next::Park { .. } => prop_assert!((spent as usize) > delays.len()),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }

        #[test]
        fn any_header_is_read_or_ignored(text in "\\PC{0,40}", now in any::<i64>()) {
            if let Some(wait) = retry_after(&text, Timestamp::from_micros(now)) {
                prop_assert!(wait <= limits::RETRY_AFTER_MAX);
            }
        }

        #[test]
        fn a_written_date_is_read_back(secs in 0_i64..253_402_300_799) {
            // An oracle that shares nothing with the parser: RFC 3339 text of the model.
            let at = Timestamp::from_secs(secs);
            let text = at.to_string();
            let month: usize = text[5..7].parse().unwrap();
            let weekday = DAYS[usize::try_from((secs.div_euclid(86_400) + 3).rem_euclid(7)).unwrap()];
            let date = format!("{weekday}, {} {} {} {} GMT", &text[8..10], MONTHS[month - 1], &text[0..4], &text[11..19]);
            prop_assert_eq!(imf_fixdate(&date), Some(at), "{}", date);
        }
    }
}
