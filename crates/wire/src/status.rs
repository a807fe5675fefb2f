//! The status of a resource, and `until`.

use ringback_model::{StatusName, limits, subscription::Until};
use serde::Serialize;

/// What `GET {path}/{id}/status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusView {
    /// The resource's id.
    pub id: String,
    /// Where it stands.
    pub status: String,
    /// Whether the outcome that people wait for is known.
    pub done: bool,
    /// The resource's version.
    pub version: u64,
    /// When the status was entered.
    pub since: String,
    /// Transitions from here that this key may call.
    pub next: Vec<String>,
    /// Names of their events.
    pub events: Vec<String>,
    /// A ready body for `POST /v1/subscriptions`, its URL to be replaced.
    pub subscribe: Subscribe,
}

/// A ready body that subscribes to the outcome of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscribe {
    /// The resource.
    pub subject: String,
    /// `done`.
    pub until: &'static str,
    /// Where to call.
    pub push: SubscribePush,
}

/// The `push` of a ready body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscribePush {
    /// To be replaced.
    pub url: &'static str,
}

impl Subscribe {
    /// The body for the resource of this subject.
    #[must_use]
    pub fn to(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), until: "done", push: SubscribePush { url: "https://…" } }
    }
}

/// Reads `done`, or statuses joined by commas; the error completes "should be …".
///
/// # Errors
/// When it is neither.
pub fn parse_until(text: &str) -> Result<Until, &'static str> {
    const RULE: &str = "`done`, or one or more statuses joined by commas, such as `completed,failed`";
    if text == "done" {
        return Ok(Until::Done);
    }
    if text.split(',').count() > limits::STATUSES_MAX {
        return Err(RULE);
    }
    text.split(',').map(StatusName::parse).collect::<Result<Vec<_>, _>>().map(Until::Statuses).map_err(|_| RULE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_status_has_one_shape() {
        let view = StatusView {
            id: "123".into(),
            status: "processing".into(),
            done: false,
            version: 2,
            since: "2026-11-23T18:24:44.123456Z".into(),
            next: vec!["complete".into()],
            events: vec!["payment.completed".into()],
            subscribe: Subscribe::to("/payment/123"),
        };
        expect![[r#"{"id":"123","status":"processing","done":false,"version":2,"since":"2026-11-23T18:24:44.123456Z","next":["complete"],"events":["payment.completed"],"subscribe":{"subject":"/payment/123","until":"done","push":{"url":"https://…"}}}"#]]
        .assert_eq(&serde_json::to_string(&view).unwrap());
    }

    #[test]
    fn until_is_done_or_statuses() {
        for good in ["done", "completed", "completed,failed"] {
            assert_eq!(parse_until(good).map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", ",", "completed,", "a b", "completed, failed"] {
            assert!(parse_until(bad).is_err(), "{bad}");
        }
        assert!(parse_until(&vec!["a"; 101].join(",")).is_err());
    }
}
