//! Which web pages may ask us from a browser (`cors.origins`): none, unless the
//! configuration names them.
//!
//! A key is sent in `Authorization` and never as a cookie, so a page can do
//! nothing with a key that it does not have: what is allowed here is to read the
//! answer. See the Fetch standard, section 3.2 ("HTTP cross-origin protocol").

use super::answer::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const SENT: &str =
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer, ringback-tenant, x-request-id";
const READ: &str = "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, ringback-applied, ringback-event, ringback-position, ringback-tenant, x-request-id";
/// How long a browser may remember what it was allowed.
const REMEMBERED_SECS: &str = "7200";

/// The origins whose pages may read our answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// Allows these origins (`https://app.example.com`), or all with `*`. What no header can hold is left out.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self { any: origins.iter().any(|it| it == "*"), origins: origins.iter().filter_map(|it| HeaderValue::from_str(it).ok()).collect() }
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        if self.any { Some(HeaderValue::from_static("*")) } else { self.origins.iter().find(|it| *it == origin).cloned() }
    }

    /// The answer to a browser that asks what it may ask; `None` when this is no such question, or the origin is not allowed.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Answer> {
        if *method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        self.allowed(headers)?;
        let answer = Answer::empty(StatusCode::NO_CONTENT)
            .with(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS))
            .with(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT))
            .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED_SECS));
        Some(answer)
    }

    /// The headers that an answer to this request has in addition.
    pub(super) fn headers(&self, asked: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut all = Vec::new();
        if self.origins.is_empty() {
            return all;
        }
        if !self.any {
            // A cache must not show one page what another was allowed.
            all.push((header::VARY, HeaderValue::from_static("origin")));
        }
        if let Some(origin) = self.allowed(asked) {
            all.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            all.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ)));
        }
        all
    }
}
