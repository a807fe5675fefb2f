//! `Retry-After` of a receiver: seconds or an HTTP date, else nothing, and never beyond a day.

use core::time::Duration;
use ringback_engine::retry;
use ringback_model::Timestamp;

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let now = Timestamp::from_secs(1_795_458_284);
    let found = retry::retry_after(text, now);
    let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if let Some(found) = found {
        assert!(found <= Duration::from_secs(86_400), "{found:?}");
    }
    if digits {
        let most = text.trim_start_matches('0').len() > 6;
        let wanted = if most { 86_400 } else { text.parse::<u64>().unwrap_or(0).min(86_400) };
        assert_eq!(found, Some(Duration::from_secs(wanted)), "{text:?}");
    }
}
