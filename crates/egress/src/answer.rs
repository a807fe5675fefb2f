//! What an answer means, and what is kept of it.

use crate::limits::{HEADER_KEPT_BYTES_MAX, HEADERS_KEPT_MAX};
use core::time::Duration;
use http::{HeaderMap, StatusCode, header};
use ringback_model::{
    delivery::{Excerpt, Outcome},
    limits::{RESPONSE_KEPT_BYTES_MAX, RETRY_AFTER_MAX},
};
use std::time::SystemTime;

/// The verdict on an answer that was read at `now`.
#[must_use]
pub(crate) fn outcome(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Outcome {
    let status_code = status.as_u16();
    let reason = match status_code {
        200..=299 => return Outcome::Delivered { status_code },
        300..=399 => "redirect",
        410 => "gone",
        _ => "status",
    };
    Outcome::Failed { status_code: Some(status_code), reason, retry_after: retry_after(headers, now) }
}

/// `Retry-After` in digits or as an HTTP-date, clamped; anything else is ignored.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        // More digits than fit are a wish for more than we grant anyway.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        at.duration_since(now).unwrap_or_default()
    };
    Some(wish.min(RETRY_AFTER_MAX))
}

/// What is kept: some headers, and the beginning of the body as text.
#[must_use]
pub(crate) fn excerpt(headers: &HeaderMap, body: &[u8], truncated: bool) -> Excerpt {
    let kept = headers
        .iter()
        // Cookies are credentials of somebody's session, and no use to us.
        .filter(|(name, _)| **name != header::SET_COOKIE)
        .take(HEADERS_KEPT_MAX)
        .map(|(name, value)| (clipped(name.as_str().as_bytes(), HEADER_KEPT_BYTES_MAX), clipped(value.as_bytes(), HEADER_KEPT_BYTES_MAX)))
        .collect();
    let text = clipped(body, RESPONSE_KEPT_BYTES_MAX);
    Excerpt { headers: kept, body: text, truncated: truncated || body.len() > RESPONSE_KEPT_BYTES_MAX }
}

/// At most `max` bytes of `bytes` as text; what is not UTF-8 is replaced.
fn clipped(bytes: &[u8], max: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes.get(..max).unwrap_or(bytes)).into_owned();
    // A replacement is longer than what it replaces.
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    /// 2026-11-23T18:24:44Z.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_458_284)
    }

    #[track_caller]
    fn check(status: u16, after: &str, want: (&str, Option<&str>, Option<u64>)) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(after).unwrap());
        let got = outcome(StatusCode::from_u16(status).unwrap(), &headers, now());
        let retry_after = match got {
            Outcome::Failed { retry_after, .. } => retry_after.map(|it| it.as_secs()),
            _ => None,
        };
        assert_eq!((got.as_str(), got.reason(), retry_after), want, "{status} {after}");
    }

    #[test]
    fn statuses() {
        check(200, "5", ("delivered", None, None));
        check(299, "", ("delivered", None, None));
        check(101, "", ("failed", Some("status"), None));
        check(302, "", ("failed", Some("redirect"), None));
        check(404, "", ("failed", Some("status"), None));
        check(410, "", ("failed", Some("gone"), None));
        check(503, "", ("failed", Some("status"), None));
    }

    #[test]
    fn patience() {
        check(429, "120", ("failed", Some("status"), Some(120)));
        check(429, " 7 ", ("failed", Some("status"), Some(7)));
        check(429, "0", ("failed", Some("status"), Some(0)));
        check(429, "99999999999999999999999", ("failed", Some("status"), Some(86_400)));
        check(429, "Mon, 23 Nov 2026 18:25:44 GMT", ("failed", Some("status"), Some(60)));
        check(429, "Mon, 23 Nov 2020 18:25:44 GMT", ("failed", Some("status"), Some(0)));
        check(429, "Tue, 23 Nov 2027 18:25:44 GMT", ("failed", Some("status"), Some(86_400)));
        check(429, "-5", ("failed", Some("status"), None));
        check(429, "+5", ("failed", Some("status"), None));
        check(429, "1.5", ("failed", Some("status"), None));
        check(429, "soon", ("failed", Some("status"), None));
    }

    #[test]
    fn cookies_are_not_kept_and_headers_are_capped() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SET_COOKIE, HeaderValue::from_static("session=canary"));
        headers.insert("x-long", HeaderValue::from_str(&"x".repeat(1_000)).unwrap());
        for at in 0..50 {
            headers.append("x-many", HeaderValue::from(at));
        }
        let kept = excerpt(&headers, b"", false);
        assert_eq!(kept.headers.len(), HEADERS_KEPT_MAX);
        assert!(kept.headers.iter().all(|(name, value)| name != "set-cookie" && value.len() <= HEADER_KEPT_BYTES_MAX));
        assert!(!kept.truncated);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_never_larger_than_it_may_be(body in proptest::collection::vec(any::<u8>(), 0..10_000), truncated: bool) {
            let kept = excerpt(&HeaderMap::new(), &body, truncated);
            prop_assert!(kept.body.len() <= RESPONSE_KEPT_BYTES_MAX);
            prop_assert_eq!(kept.truncated, truncated || body.len() > RESPONSE_KEPT_BYTES_MAX);
        }
    }
}
