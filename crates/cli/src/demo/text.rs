//! Numbers as people read them: thousands, bytes, durations, clock times.

use std::time::Duration;

/// `1234567` → `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes with a decimal unit: `812 B`, `4.1 kB`, `12.4 MB`.
pub(super) fn bytes(n: u64) -> String {
    let value = n as f64;
    match n {
        0..=999 => format!("{n} B"),
        1_000..=999_949 => format!("{:.1} kB", value / 1e3),
        999_950..=999_949_999 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// A measured span with two or three digits that mean something: `0.4 ms`,
/// `12 ms`, `512 ms`, `2.51 s`, `31.0 s`.
pub(super) fn span(it: Duration) -> String {
    let ms = it.as_secs_f64() * 1e3;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 9_995.0 {
        format!("{:.2} s", ms / 1e3)
    } else {
        format!("{:.1} s", ms / 1e3)
    }
}

/// A round span without trailing zeros: `30 s`, `2.5 s`.
pub(super) fn round_span(it: Duration) -> String {
    let secs = (it.as_secs_f64() * 10.0).round() / 10.0;
    format!("{secs} s")
}

/// Minutes and seconds: `0:07`, `12:40`.
pub(super) fn clock(it: Duration) -> String {
    format!("{}:{:02}", it.as_secs() / 60, it.as_secs() % 60)
}

/// A share as a whole percentage; `–` when there is nothing to share.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { share(part as f64 / whole as f64) }
}

/// A share as a percentage, with a decimal below one per cent.
pub(super) fn share(it: f64) -> String {
    let percent = it * 100.0;
    if percent > 0.0 && percent < 0.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (n, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (100_000, "100,000")] {
            assert_eq!(count(n), want);
        }
    }

    #[test]
    fn bytes_change_unit_where_rounding_would_show_a_thousand() {
        for (n, want) in
            [(0, "0 B"), (999, "999 B"), (4_120, "4.1 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (12_400_000, "12.4 MB")]
        {
            assert_eq!(bytes(n), want);
        }
    }

    #[test]
    fn spans_keep_the_digits_that_mean_something() {
        for (micros, want) in [
            (0, "0.0 ms"),
            (420, "0.4 ms"),
            (9_949, "9.9 ms"),
            (9_960, "10 ms"),
            (512_300, "512 ms"),
            (999_600, "1.00 s"),
            (2_514_000, "2.51 s"),
            (31_000_000, "31.0 s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), want);
        }
        assert_eq!(round_span(Duration::from_millis(2_500)), "2.5 s");
        assert_eq!(round_span(Duration::from_secs(30)), "30 s");
        assert_eq!(clock(Duration::from_secs(760)), "12:40");
    }

    #[test]
    fn shares_of_nothing_are_a_dash() {
        assert_eq!(percent(0, 0), "–");
        assert_eq!(percent(1, 3), "33 %");
        assert_eq!(percent(1, 300), "0.3 %");
        assert_eq!(percent(0, 300), "0 %");
    }
}
