//! Query parameters, read strictly: an unknown one is refused with a suggestion,
//! because a filter that is silently ignored answers too much.
//!
//! Not here: which parameters a route has (`routes`), and what the conditions of
//! a list mean (`engine::list`).

use super::failure::Failure;
use core::time::Duration;
use http::HeaderMap;
use ringback_model::{limits, names::excerpt};

/// The parameters of one request, in order, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// What a route does with its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Params {
    /// It takes these.
    Only(&'static [&'static str]),
    /// It takes these, and conditions on fields of the type.
    AndFields(&'static [&'static str]),
}

impl Params {
    /// The names that have a meaning of their own.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Only(names) | Self::AndFields(names) => names,
        }
    }
}

/// All parameters of a query, decoded and unchecked; `None` when one does not decode.
pub(crate) fn pairs(raw: Option<&str>) -> Option<Vec<(String, String)>> {
    let pairs = raw.unwrap_or_default().split('&').filter(|it| !it.is_empty());
    pairs.map(|it| it.split_once('=').unwrap_or((it, ""))).map(|(name, value)| Some((decode(name)?, decode(value)?))).collect()
}

impl Query {
    /// Reads `a=1&b=two+words`, and checks the names against what the route takes.
    pub(crate) fn read(raw: Option<&str>, params: Params) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Failure::parameter(&excerpt(name, 40), value, "UTF-8, percent-encoded (`%26` for `&`)"));
            };
            let known = params.names().contains(&name.as_str());
            if !known && matches!(params, Params::Only(_)) {
                return Err(Failure::UnknownParameter { name, allowed: params.names() });
            }
            if known && pairs.iter().any(|(it, _)| *it == name) {
                return Err(Failure::ParameterTwice { name });
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of one parameter.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Everything but the parameters with these names.
    pub(crate) fn others(&self, names: &[&str]) -> Vec<(String, String)> {
        self.0.iter().filter(|(it, _)| !names.contains(&it.as_str())).cloned().collect()
    }

    /// `dry_run`: whether the write is only to be tried.
    pub(crate) fn dry_run(&self) -> Result<bool, Failure> {
        match self.one("dry_run") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Failure::parameter("dry_run", other, "`true` or `false`")),
        }
    }

    /// `limit`: 1 to 1000, 100 when absent; larger is clamped.
    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.one("limit") else { return Ok(limits::PAGE_ITEMS_DEFAULT) };
        match digits(text) {
            Some(0) | None => Err(Failure::parameter("limit", text, format!("a whole number from 1 to {}", limits::PAGE_ITEMS_MAX))),
            Some(it) => Ok(usize::try_from(it).unwrap_or(usize::MAX).min(limits::PAGE_ITEMS_MAX)),
        }
    }

    /// `wait`, or else `Prefer: wait=n`; zero when neither is there.
    pub(crate) fn wait(&self, headers: &HeaderMap) -> Result<Duration, Failure> {
        let secs = match self.one("wait") {
            Some(text) => digits(text).filter(|it| *it <= limits::WAIT_SECS_MAX).ok_or_else(|| {
                Failure::parameter("wait", text, format!("a whole number of seconds from 0 to {}", limits::WAIT_SECS_MAX))
            })?,
            // A preference is not a demand: what can't be honoured is bent or ignored (RFC 7240).
            None => preferred_wait(headers).unwrap_or(0).min(limits::WAIT_SECS_MAX),
        };
        Ok(Duration::from_secs(secs))
    }
}

fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split([',', ';']))
        .find_map(|it| it.trim().strip_prefix("wait").and_then(|it| it.trim_start().strip_prefix('=')).and_then(|it| digits(it.trim())))
}

/// A whole number without sign or space. More digits than fit mean a very large one.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Decodes `+` and `%XX`; `None` when the result is not UTF-8 or an escape is broken.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

/// The path with escapes of unreserved characters undone (RFC 3986, section 6.2.2.2).
/// Others stay as they are: no name of ours holds such characters, so they match nothing.
pub(crate) fn normal_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let escaped = match after.as_bytes() {
            [high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match escaped {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: Params = Params::Only(&["limit", "wait", "after"]);

    fn read(raw: &str) -> Result<Query, String> {
        Query::read(Some(raw), TAKES).map_err(|it| format!("{it:?}"))
    }

    #[test]
    fn values_are_decoded() {
        let query = read("after=a%20b+c%C3%A4&limit=5").expect("it reads");
        assert_eq!(query.one("after"), Some("a b cä"));
        assert_eq!(query.one("wait"), None);
        assert_eq!(query.others(&["limit"]), [("after".to_owned(), "a b cä".to_owned())]);
        assert_eq!(read(""), Ok(Query::default()));
        assert_eq!(read("&&"), Ok(Query::default()));
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for bad in ["limti=5", "limit=5&limit=6", "after=%", "after=%4", "after=%zz", "after=%ff", "Limit=5"] {
            assert!(read(bad).is_err(), "{bad} should be refused");
        }
        // A list's own conditions may repeat a field: `amount[gte]=1&amount[lt]=9`.
        assert!(Query::read(Some("a=1&a=2"), Params::AndFields(&["limit"])).is_ok());
    }

    #[track_caller]
    fn limit(raw: &str, want: Option<usize>) {
        assert_eq!(read(raw).expect("it reads").limit().ok(), want, "{raw}");
    }

    #[test]
    fn limits_are_clamped_or_refused() {
        limit("", Some(100));
        limit("limit=1", Some(1));
        limit("limit=1000", Some(1000));
        limit("limit=1001", Some(1000));
        limit("limit=99999999999999999999999", Some(1000));
        for bad in ["limit=0", "limit=", "limit=-1", "limit=ten", "limit=1.5", "limit=%201"] {
            limit(bad, None);
        }
    }

    #[track_caller]
    fn wait(raw: &str, prefer: Option<&'static str>, want: Option<u64>) {
        let mut headers = HeaderMap::new();
        if let Some(prefer) = prefer {
            headers.insert("prefer", http::HeaderValue::from_static(prefer));
        }
        assert_eq!(read(raw).expect("it reads").wait(&headers).ok().map(|it| it.as_secs()), want, "{raw} {prefer:?}");
    }

    #[test]
    fn waits_end() {
        wait("", None, Some(0));
        wait("wait=0", None, Some(0));
        wait("wait=60", None, Some(60));
        wait("wait=61", None, None);
        wait("wait=1s", None, None);
        wait("", Some("wait=30"), Some(30));
        wait("", Some("respond-async, wait=30"), Some(30));
        wait("", Some("wait=600"), Some(60));
        wait("", Some("wait=soon"), Some(0));
        wait("wait=5", Some("wait=30"), Some(5));
    }

    #[test]
    fn paths_have_one_spelling() {
        for (given, want) in [
            ("/payment/a%2Db", "/payment/a-b"),
            ("/payment/a%7eb", "/payment/a~b"),
            ("/payment/a%2Fb", "/payment/a%2Fb"),
            ("/payment/%", "/payment/%"),
            ("/payment/%4", "/payment/%4"),
            ("/payment/%2541", "/payment/%2541"),
            ("/payment/%C3%A4", "/payment/%C3%A4"),
        ] {
            assert_eq!(normal_path(given), want);
        }
    }
}
