//! What a request is answered, and how an idempotent answer is kept.
//!
//! The bytes that a replay is answered from are written by the same code that
//! answers the first time, so the two cannot differ.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use ringback_model::EventId;
use ringback_service::Standing;
use serde::Serialize;

/// `Ringback-Position`: the place after a write.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("ringback-position");
/// `Ringback-Event`: the event that a write made.
pub(crate) const EVENT: HeaderName = HeaderName::from_static("ringback-event");
/// `Ringback-Applied: false`: what a mirror's source said was no news.
pub(crate) const APPLIED: HeaderName = HeaderName::from_static("ringback-applied");
/// `Ringback-Tenant`: whose things a request is about.
pub(crate) const TENANT: HeaderName = HeaderName::from_static("ringback-tenant");
/// `RateLimit-Policy`: the rate of the key (draft-ietf-httpapi-ratelimit-headers-10).
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit`: what is left of it.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// `X-Request-Id`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `Idempotency-Replayed`: this was answered before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer, without the headers that every answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// An answer, or the beginning of one whose body comes bit by bit.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) stream: Option<BoxStream<'static, Bytes>>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, stream: None }
    }
}

impl Answer {
    /// Without a body.
    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// With JSON.
    pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![(header::CONTENT_TYPE, JSON)], body: body.into() }
    }

    /// With the JSON of a view.
    pub(crate) fn view(status: StatusCode, view: &impl Serialize) -> Self {
        // Views hold strings, numbers and lists: all of them have a JSON text.
        Self::json(status, serde_json::to_vec(view).unwrap_or_default())
    }

    /// With plain text.
    pub(crate) fn text(status: StatusCode, body: &'static str) -> Self {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
        Self { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    /// Adds a header. A value that no header can hold is left out: ours are all ASCII.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds the ETag of a version.
    #[must_use]
    pub(crate) fn etag(self, version: u64) -> Self {
        self.with(header::ETAG, super::conditional::etag(version))
    }

    /// Adds where a new thing is.
    #[must_use]
    pub(crate) fn location(self, path: &str) -> Self {
        self.with(header::LOCATION, path)
    }

    /// Adds what a write brought about.
    #[must_use]
    pub(crate) fn wrote(self, event: Option<EventId>, position: &str) -> Self {
        let it = self.with(POSITION, position);
        match event {
            Some(event) => it.with(EVENT, event.to_string()),
            None => it,
        }
    }

    /// Says how the rate of the key stands; `None` for one without.
    #[must_use]
    pub(crate) fn rate(self, standing: Option<Standing>) -> Self {
        let Some(Standing { per_s, left, full_in_secs }) = standing else { return self };
        self.with(RATE_LIMIT_POLICY, format!("\"key\";q={per_s};w=1")).with(RATE_LIMIT, format!("\"key\";r={left};t={full_in_secs}"))
    }

    /// Keeps caches away from a secret.
    #[must_use]
    pub(crate) fn secret(self) -> Self {
        self.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// The bytes that `decode` reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.body.len());
        out.push(FORM);
        out.extend_from_slice(&self.status.as_u16().to_be_bytes());
        out.push(u8::try_from(self.headers.len()).unwrap_or(u8::MAX));
        for (name, value) in self.headers.iter().take(usize::from(u8::MAX)) {
            push_part(&mut out, name.as_str().as_bytes());
            push_part(&mut out, value.as_bytes());
        }
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads what `encode` wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&form, rest) = bytes.split_first()?;
        let (status, rest) = rest.split_first_chunk::<2>()?;
        let (&count, mut rest) = rest.split_first()?;
        if form != FORM {
            return None;
        }
        let mut headers = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let name = HeaderName::from_bytes(take_part(&mut rest)?).ok()?;
            let value = HeaderValue::from_bytes(take_part(&mut rest)?).ok()?;
            headers.push((name, value));
        }
        Some(Self { status: StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?, headers, body: Bytes::copy_from_slice(rest) })
    }
}

/// The first byte of a kept answer: how the rest is written.
const FORM: u8 = 1;

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    // Header names and values of ours are far below 64 KiB.
    out.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(part.get(..usize::from(u16::MAX)).unwrap_or(part));
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<2>()?;
    let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_reads_back() {
        let answer = Answer::json(StatusCode::CREATED, "{\"id\":\"1\"}").etag(7).location("/payment/1").secret();
        assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        let empty = Answer::empty(StatusCode::NO_CONTENT);
        assert_eq!(Answer::decode(&empty.encode()), Some(empty));
    }

    #[test]
    fn anything_cut_short_is_refused() {
        let bytes = Answer::json(StatusCode::OK, "").etag(1).encode();
        for end in 0..bytes.len() {
            assert_eq!(Answer::decode(&bytes[..end]), None, "{end} bytes");
        }
        assert_eq!(Answer::decode(b"\x02\x00\xc8\x00"), None);
    }
}
