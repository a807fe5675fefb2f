//! Stream tickets.

use crate::{
    Problem,
    read::{Object, Problems, Shape},
};
use ringback_model::limits;
use serde::Serialize;
use serde_json::Value;

/// A stream ticket, as it is shown: once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TicketView {
    /// Sent as `?ticket=`.
    pub ticket: String,
    /// The whole URL of the stream, ticket included.
    pub url: String,
    /// Until when it has to be used for the first time.
    pub expires_at: String,
}

/// The body of `POST /v1/stream-tickets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// Path and query of the stream.
    pub url: String,
}

const SHAPE: Shape = Shape { members: &["url"], read_only: &[], paths: &["url"] };

impl NewTicket {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &SHAPE, &mut problems).and_then(|it| {
            it.require("url", "path and query of a stream, such as `/v1/events?types=payment.*`", &mut problems);
            it.text_of("url", 1, limits::URI_BYTES_MAX, &mut problems).map(|url| Self { url: url.into() })
        });
        problems.finish(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_read_or_refused_whole() {
        assert_eq!(NewTicket::read(&json!({"url": "/v1/events"})).unwrap().url, "/v1/events");
        for bad in [json!({}), json!({"url": 7}), json!({"url": ""}), json!({"uri": "/v1/events"}), json!([])] {
            assert!(NewTicket::read(&bad).is_err(), "{bad}");
        }
    }
}
