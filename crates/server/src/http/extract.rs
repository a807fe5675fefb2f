//! Reads what every request may bring: a key, a tenant, a request id, a body.
//!
//! Not here: the query (`query`), conditions (`conditional`), what a body means
//! (`ringback-wire`).

use super::{
    answer::{REQUEST_ID, TENANT},
    failure::Failure,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use core::{pin::pin, time::Duration};
use http::{HeaderMap, HeaderName, Version, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Body;
use ringback_model::{limits, names::excerpt};
use ringback_service::{Error, Service, WhyNot, idempotency_key};
use std::borrow::Cow;

/// The longest `X-Request-Id` that is echoed.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// The request id that the client chose, if it is a sane one: it goes into our logs.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let sane = !text.is_empty()
        && text.len() <= REQUEST_ID_BYTES_MAX
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-'));
    sane.then_some(text)
}

/// Headers that say who asks, for whom and under which key. Of two, a proxy in
/// front of us may have judged the other one, so there must be no choice.
const ONCE: [HeaderName; 4] = [header::HOST, header::AUTHORIZATION, TENANT, HeaderName::from_static("idempotency-key")];

/// Refuses heads that are larger than the contract says, those that say twice
/// what is to be said once, and those without a host (RFC 9112, section 3.2).
pub(crate) fn head_fits(parts: &Parts) -> Result<(), Failure> {
    if parts.uri.path_and_query().map_or(0, |it| it.as_str().len()) > limits::URI_BYTES_MAX {
        return Err(Failure::UriTooLong);
    }
    // As they were sent: `name: value`, CR and LF.
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > limits::HEADERS_BYTES_MAX {
        return Err(Failure::HeadersTooLarge);
    }
    if parts.version == Version::HTTP_11 && !parts.headers.contains_key(header::HOST) {
        return Err(Failure::NoHost);
    }
    match ONCE.iter().find(|it| parts.headers.get_all(*it).iter().nth(1).is_some()) {
        Some(twice) => Err(Failure::ParameterTwice { name: twice.as_str().to_owned() }),
        None => Ok(()),
    }
}

/// The Idempotency-Key that a request brings.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let key = headers.get("idempotency-key").map(|it| idempotency_key::check_key(it.as_bytes()));
    key.transpose().map_err(|_| Failure::IdempotencyKeyMalformed)
}

/// The key that a request brings: a Bearer token, or the user name of Basic.
///
/// # Errors
/// `Unauthenticated` when the header is there and holds neither.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let malformed = || Error::Unauthenticated(WhyNot::Malformed);
    let (scheme, credentials) = value.to_str().ok().and_then(|it| it.trim().split_once(' ')).ok_or_else(malformed)?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(credentials.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let pair = STANDARD.decode(credentials).ok().and_then(|it| String::from_utf8(it).ok()).ok_or_else(malformed)?;
    let user = pair.split_once(':').map_or(pair.as_str(), |(user, _)| user);
    // `curl -u $UNSET:` sends an empty user name: that is no key, not a wrong one.
    if user.is_empty() { Ok(None) } else { Ok(Some(user.to_owned())) }
}

/// The tenant that a request names.
///
/// # Errors
/// When the header is not text.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let Some(value) = headers.get(&TENANT) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(Error::TenantUnknown { text: String::from_utf8_lossy(value.as_bytes()).into_owned() }.into()),
    }
}

/// What a client wants to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// JSON, or whatever there is.
    Json,
    /// An event stream, else JSON.
    Stream,
    /// An event stream and nothing else.
    StreamOnly,
}

/// Reads `Accept`: of what is named, the first of those with the highest `q` (RFC 9110, section 12.5.1).
pub(crate) fn wants(headers: &HeaderMap) -> Wants {
    let (mut stream, mut other): (Option<u16>, Option<u16>) = (None, None);
    let mut stream_first = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or("*/*").split(',') {
            let mut parts = range.split(';');
            let kind = parts.next().unwrap_or_default().trim();
            let q = parts.find_map(|it| quality(it.trim())).unwrap_or(1_000);
            if kind.eq_ignore_ascii_case("text/event-stream") {
                stream_first |= other.is_none();
                stream = stream.max(Some(q));
            } else if !kind.is_empty() {
                other = other.max(Some(q));
            }
        }
    }
    match (stream.filter(|it| *it > 0), other.filter(|it| *it > 0)) {
        (None, _) => Wants::Json,
        (Some(_), None) => Wants::StreamOnly,
        (Some(stream), Some(other)) if stream > other || stream == other && stream_first => Wants::Stream,
        (Some(_), Some(_)) => Wants::Json,
    }
}

/// `q=0.5`, in thousandths.
fn quality(parameter: &str) -> Option<u16> {
    let text = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    let q = whole.parse::<u16>().ok()?.checked_mul(1_000)?.checked_add(digits.parse::<u16>().ok()?)?;
    Some(q.min(1_000))
}

/// The id that a stream's reader saw last. An empty one is none; one that is no text is no
/// position, and refused as any other that isn't.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(headers.get("last-event-id")?.as_bytes());
    let empty = text.trim().is_empty();
    (!empty).then(|| match text {
        Cow::Borrowed(it) => Cow::Borrowed(it.trim()),
        Cow::Owned(it) => it.trim().to_owned().into(),
    })
}

/// The body, at most 1 MiB of it and within `timeout`.
///
/// # Errors
/// `BodyTooLarge` (before reading on), `BodyTooSlow`, `BodyBroken`.
pub(crate) async fn body<B>(service: &Service, headers: &HeaderMap, body: B, timeout: Duration) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Send,
{
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<u64>().ok());
    if announced.is_some_and(|it| it > limits::BODY_BYTES_MAX as u64) {
        return Err(Failure::BodyTooLarge);
    }
    tokio::select! {
        biased;
        read = collect(body) => read,
        () = service.clock().sleep(timeout) => Err(Failure::BodyTooSlow { secs: timeout.as_secs() }),
    }
}

async fn collect<B>(body: B) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Send,
{
    let mut body = pin!(body);
    // Most bodies come in one piece, which is then shared, not copied.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Failure::BodyBroken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limits::BODY_BYTES_MAX {
            return Err(Failure::BodyTooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Refuses a body in another form than JSON. A body that starts with `{` or `[`
/// is JSON also without a content type, or with the one that curl gives by default.
pub(crate) fn is_json(headers: &HeaderMap, body: &[u8], patch: bool) -> Result<(), Failure> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        return Err(Failure::UnsupportedMediaType { given: Some(format!("content-encoding: {}", excerpt(&coding, 40))), patch });
    }
    let given = headers.get(header::CONTENT_TYPE).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    let kind = given.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let looks = body.iter().find(|it| !it.is_ascii_whitespace()).is_none_or(|it| matches!(it, b'{' | b'['));
    let json = match kind.as_str() {
        "application/json" => true,
        "application/merge-patch+json" => patch,
        "" | "application/x-www-form-urlencoded" => looks,
        _ => false,
    };
    if json { Ok(()) } else { Err(Failure::UnsupportedMediaType { given: given.map(|it| it.chars().take(80).collect()), patch }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn keys_come_in_two_ways() {
        let read = |value: &'static str| key(&headers(header::AUTHORIZATION, value)).map_err(|it| format!("{it:?}"));
        assert_eq!(read("Bearer rbk_1"), Ok(Some("rbk_1".into())));
        assert_eq!(read("bearer  rbk_1 "), Ok(Some("rbk_1".into())));
        assert_eq!(read("Basic cmJrXzE6"), Ok(Some("rbk_1".into())), "rbk_1:");
        assert_eq!(read("Basic cmJrXzE6c2VjcmV0"), Ok(Some("rbk_1".into())), "rbk_1:secret");
        assert_eq!(read("Basic cmJrXzE="), Ok(Some("rbk_1".into())), "rbk_1");
        assert_eq!(read("Basic Og=="), Ok(None), "an unset variable of a shell");
        assert_eq!(key(&HeaderMap::new()).map_err(|it| format!("{it:?}")), Ok(None));
        for bad in ["rbk_1", "Digest abc", "Basic ???", "Basic /w=="] {
            assert_eq!(read(bad), Err("Unauthenticated(Malformed)".into()), "{bad}");
        }
    }

    #[test]
    fn only_sane_request_ids_are_echoed() {
        let read = |value: &'static str| request_id(&headers(REQUEST_ID, value)).map(str::to_owned);
        assert_eq!(read("a.B-1_"), Some("a.B-1_".into()));
        assert_eq!(read(""), None);
        assert_eq!(read("a b"), None);
        assert_eq!(read("a\"b"), None);
        assert_eq!(read("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").map(|it| it.len()), Some(64));
        assert_eq!(read("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), None);
    }

    #[test]
    fn streams_are_for_those_who_ask_for_them() {
        let check = |value: &'static str| wants(&headers(header::ACCEPT, value));
        assert_eq!(check("*/*"), Wants::Json);
        assert_eq!(check("application/json"), Wants::Json);
        assert_eq!(check("text/html"), Wants::Json, "a browser's address bar is answered JSON");
        assert_eq!(check("text/event-stream"), Wants::StreamOnly);
        assert_eq!(check("Text/Event-Stream; q=1"), Wants::StreamOnly);
        assert_eq!(check("text/event-stream, application/json"), Wants::Stream);
        assert_eq!(check("application/json, text/event-stream"), Wants::Json);
        assert_eq!(check("application/json;q=0.5, text/event-stream;q=0.75"), Wants::Stream);
        assert_eq!(check("text/event-stream;q=0, */*"), Wants::Json);
        assert_eq!(check("text/event-stream;q=0.001, */*;q=0"), Wants::StreamOnly);
        assert_eq!(check("text/event-stream;q=bad"), Wants::StreamOnly);
        assert_eq!(wants(&HeaderMap::new()), Wants::Json);
    }

    #[test]
    fn an_empty_id_is_none() {
        let read = |value: &'static str| last_event_id(&headers(HeaderName::from_static("last-event-id"), value)).map(Cow::into_owned);
        assert_eq!(read("AQE"), Some("AQE".into()));
        assert_eq!(read(" "), None);
        assert_eq!(last_event_id(&HeaderMap::new()), None);
    }

    #[test]
    fn json_is_known_by_its_type_or_its_face() {
        let check = |kind: &'static str, body: &str, patch| is_json(&headers(header::CONTENT_TYPE, kind), body.as_bytes(), patch).is_ok();
        assert!(check("application/json", "{}", false));
        assert!(check("application/json", "nonsense", false), "that is for the parser to say");
        assert!(check("Application/JSON; charset=utf-8", "{}", false));
        assert!(check("application/x-www-form-urlencoded", " {}", false));
        assert!(check("application/x-www-form-urlencoded", "[]", false));
        assert!(!check("application/x-www-form-urlencoded", "a=1", false));
        assert!(check("application/merge-patch+json", "{}", true));
        assert!(!check("application/merge-patch+json", "{}", false));
        assert!(!check("application/json-patch+json", "[]", true));
        assert!(!check("text/plain", "{}", false));
        assert!(is_json(&HeaderMap::new(), b"{}", false).is_ok());
        assert!(is_json(&HeaderMap::new(), b"a=1", false).is_err());
        assert!(is_json(&headers(header::CONTENT_ENCODING, "Identity"), b"{}", false).is_ok());
        assert!(is_json(&headers(header::CONTENT_ENCODING, "gzip"), b"{}", false).is_err(), "it says that it is something else");
    }

    #[test]
    fn who_asks_for_whom_is_said_once() {
        for name in ONCE {
            let sent = |times: usize| {
                let mut request = http::Request::new(());
                *request.version_mut() = Version::HTTP_10;
                for _ in 0..times {
                    request.headers_mut().append(name.clone(), HeaderValue::from_static("x"));
                }
                head_fits(&request.into_parts().0).is_ok()
            };
            assert!(sent(0) && sent(1) && !sent(2), "{name}");
        }
    }
}
