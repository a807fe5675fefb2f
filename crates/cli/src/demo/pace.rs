//! The demo's real clock: the one place in it that asks for the time or waits.
//!
//! Everything that the demo says is measured, so it can't take its time as an
//! argument. Code that only computes with moments gets them from its caller.
#![expect(clippy::disallowed_methods, reason = "the demo measures real time")]

use ringback_model::time::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for comparing with the times that the server writes: both
/// run on this machine, so it is the same clock.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Waits for `span`.
pub(crate) async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Waits until `moment`; returns at once if it has passed.
pub(crate) async fn sleep_until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}
