//! Durations as people write them: `30s`, `5m`, `1h30m`, `250ms`, or a bare number of seconds.

use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// A sentence about what is wrong with `text`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write for instance 30s, 5m, 1h30m, 250ms, or a number of seconds");
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Duration::from_secs(secs));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|it: char| it.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        total = number.checked_mul(millis).and_then(|it| total.checked_add(Duration::from_millis(it))).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration so that [`parse`] reads it back.
pub(crate) fn show(it: Duration) -> String {
    let millis = it.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 { "0s".into() } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, millis) in
            [("30", 30_000), ("0", 0), ("30s", 30_000), ("250ms", 250), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse(&show(Duration::from_millis(millis))), Ok(Duration::from_millis(millis)), "{text} shown");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "-1", "1.5s", "30 s", "1y", "5mm", "s30", "ä", "1ä", "99999999999999999999", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text:?} should be refused");
        }
    }
}
