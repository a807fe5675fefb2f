//! One answer, read to its end.

use crate::{ClientError, Problem};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// The largest answer that is read, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// A header's text; `None` when it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|it| it.to_str().ok())
    }

    /// The body as JSON; null when it is empty (204, 304).
    ///
    /// Published data may hold what stands for no value: a lone surrogate reads as U+FFFD, a
    /// number that no double is near as the text of its literal. `body` has it verbatim.
    ///
    /// # Errors
    /// `BadAnswer` when the body isn't JSON.
    pub fn json(&self) -> Result<Value, ClientError> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .or_else(|it| ringback_wire::shown(&self.body).ok_or(it))
            .map_err(|it| ClientError::BadAnswer { target: "the server".into(), reason: format!("its body is not JSON ({it})") })
    }

    /// The answer itself when its status is below 400.
    ///
    /// # Errors
    /// `Problem` for every 4xx and 5xx.
    pub fn ok(self) -> Result<Self, ClientError> {
        if self.status.as_u16() < 400 { Ok(self) } else { Err(ClientError::Problem(Box::new(Problem::of(&self)))) }
    }
}
