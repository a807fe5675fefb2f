//! What polling costs and brings, as `GET /v1/advice` answers it.

use serde::Serialize;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdviceView {
    /// How far back: `24h`.
    pub window: String,
    /// Each key on each route that it polls.
    pub pollers: Vec<PollerView>,
    /// Endpoints that pulling would serve better.
    pub endpoints: Vec<EndpointView>,
    /// Whether there were too few polls to advise anything.
    pub too_little_data: bool,
}

/// One key on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PollerView {
    /// `key_…`.
    pub key: String,
    /// `/payment/{id}/status`.
    pub route: String,
    /// Answers to questions that did not wait, but for first looks.
    pub polls: u64,
    /// Those that showed nothing new.
    pub useless: u64,
    /// From a change until the answer that showed it.
    pub staleness_ms: StalenessView,
    /// Statuses that were entered and left unseen.
    pub missed: u64,
    /// What the same would have cost otherwise.
    pub instead: InsteadView,
}

/// Percentiles in milliseconds; `null` when no change was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StalenessView {
    /// Half were at most so old.
    pub p50: Option<u64>,
    /// 95 of 100 were.
    pub p95: Option<u64>,
}

/// The other ways to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InsteadView {
    /// Requests with `wait=60`.
    pub long_poll: RequestsView,
    /// A push subscription.
    pub push: DeliveriesView,
}

/// Requests to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestsView {
    /// How many.
    pub requests: u64,
}

/// Requests of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveriesView {
    /// How many.
    pub deliveries: u64,
}

/// An endpoint that fails or lags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    /// The subscription's id.
    pub subscription: String,
    /// Its owner.
    pub tenant: String,
    /// What is wrong.
    pub why: String,
}

/// Reads `window`: whole hours, `1h` to `<most>h`.
///
/// # Errors
/// What it should be.
pub fn parse_window(text: &str, most: u32) -> Result<u32, String> {
    let hours = text.strip_suffix('h').filter(|it| it.bytes().all(|it| it.is_ascii_digit())).and_then(|it| it.parse().ok());
    hours.filter(|it| (1..=most).contains(it)).ok_or_else(|| format!("whole hours from 1h to {most}h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_hours() {
        assert_eq!((parse_window("1h", 24), parse_window("24h", 24)), (Ok(1), Ok(24)));
        for bad in ["", "h", "0h", "25h", "24", "1d", "-1h", "+1h", "1.5h", "99999999999h", " 1h"] {
            assert!(parse_window(bad, 24).is_err(), "{bad}");
        }
    }
}
