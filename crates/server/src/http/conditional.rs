//! `ETag`, `If-Match`, `If-None-Match` (RFC 9110, section 13).
//!
//! An ETag is a version in quotes, `"3"`; that of a list is weak, since its cursors may
//! differ where its rows do not. One that isn't ours never matches,
//! which is what the header asks for; it is not an error.

use super::{answer::Answer, failure::Failure};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ringback_service::{IfMatch, KnownTags, ListTag};

/// The ETag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` asks for. Weak tags never match: the comparison is a strong one.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Failure> {
    Ok(read(headers, &header::IF_MATCH, "If-Match", false)?.unwrap_or(IfMatch::None))
}

/// What `If-None-Match` has seen already; `None` without the header. Weak tags count.
pub(crate) fn if_none_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Failure> {
    read(headers, &header::IF_NONE_MATCH, "If-None-Match", true)
}

/// Whether `If-None-Match: *` asks that nothing is there yet. On a write it takes no ETags:
/// what a client has seen is guarded by `If-Match`.
pub(crate) fn if_absent(headers: &HeaderMap) -> Result<bool, Failure> {
    match if_none_match(headers)? {
        None => Ok(false),
        Some(IfMatch::Any) => Ok(true),
        Some(_) => {
            Err(Failure::parameter("If-None-Match", "a list of ETags", "`*` on a write; `If-Match` takes the ETag of what was read"))
        }
    }
}

/// What `If-Match` would ask for with this text; `None` when that is not what it can be.
pub(crate) fn if_match_text(text: &str) -> Option<IfMatch> {
    if text.trim() == "*" {
        return Some(IfMatch::Any);
    }
    let mut versions = Vec::new();
    tags(text, false, &mut versions)?;
    Some(IfMatch::Versions(versions.into_iter().filter_map(version).collect()))
}

/// 304. It names the version that the caller has, where that is one.
pub(crate) fn not_modified(known: &IfMatch) -> Answer {
    let answer = Answer::empty(StatusCode::NOT_MODIFIED);
    match known {
        IfMatch::Versions(all) => match all.as_slice() {
            [one] => answer.etag(*one),
            _ => answer,
        },
        IfMatch::None | IfMatch::Any => answer,
    }
}

/// The ETag of a page of a list.
pub(crate) fn weak_etag(tag: ListTag) -> String {
    format!("W/\"{tag}\"")
}

/// The pages of a list that `If-None-Match` says the caller has; `None` without the header.
pub(crate) fn known_tags(headers: &HeaderMap) -> Result<Option<KnownTags>, Failure> {
    Ok(tags_of(headers, &header::IF_NONE_MATCH, "If-None-Match", true)?.map(|it| match it {
        Tags::Any => KnownTags::Any,
        Tags::These(all) => KnownTags::These(all.into_iter().map(str::to_owned).collect()),
    }))
}

fn read(headers: &HeaderMap, name: &HeaderName, shown: &'static str, weak: bool) -> Result<Option<IfMatch>, Failure> {
    Ok(tags_of(headers, name, shown, weak)?.map(|it| match it {
        Tags::Any => IfMatch::Any,
        Tags::These(all) => IfMatch::Versions(all.into_iter().filter_map(version).collect()),
    }))
}

/// Entity tags as a header lists them, without quotes.
enum Tags<'a> {
    Any,
    These(Vec<&'a str>),
}

fn tags_of<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &'static str, weak: bool) -> Result<Option<Tags<'a>>, Failure> {
    let mut all = Vec::new();
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        let text = value.to_str().map_err(|_| malformed(shown, value))?;
        if text.trim() == "*" {
            return Ok(Some(Tags::Any));
        }
        tags(text, weak, &mut all).ok_or_else(|| malformed(shown, value))?;
    }
    Ok(present.then_some(Tags::These(all)))
}

/// Reads `"3", W/"4"`; `None` when that is not what it is.
fn tags<'a>(text: &'a str, weak: bool, all: &mut Vec<&'a str>) -> Option<()> {
    let mut rest = text.trim();
    loop {
        let is_weak = rest.starts_with("W/");
        let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
        let (tag, after) = quoted.split_once('"')?;
        if weak || !is_weak {
            all.push(tag);
        }
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// Only the spelling that `etag` writes is ours.
fn version(tag: &str) -> Option<u64> {
    tag.parse().ok().filter(|it: &u64| it.to_string() == tag)
}

fn malformed(header: &str, given: &HeaderValue) -> Failure {
    Failure::parameter(header, &String::from_utf8_lossy(given.as_bytes()), "ETags in quotes, such as `\"3\"`, or `*`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(it: Result<Option<IfMatch>, Failure>) -> String {
        match it {
            Err(_) => "malformed".into(),
            Ok(None) => "absent".into(),
            Ok(Some(IfMatch::None)) => "none".into(),
            Ok(Some(IfMatch::Any)) => "any".into(),
            Ok(Some(IfMatch::Versions(all))) => format!("{all:?}"),
        }
    }

    #[track_caller]
    fn check(value: &str, strong: &str, weak: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(value).expect("a header value"));
        assert_eq!(show(read(&headers, &header::IF_MATCH, "If-Match", false)), strong, "{value} strongly");
        assert_eq!(show(read(&headers, &header::IF_MATCH, "If-Match", true)), weak, "{value} weakly");
    }

    #[test]
    fn tags_are_read_as_the_standard_says() {
        check("\"3\"", "[3]", "[3]");
        check("\"3\", \"4\"", "[3, 4]", "[3, 4]");
        check("\"3\",\"4\"", "[3, 4]", "[3, 4]");
        check("W/\"3\"", "[]", "[3]");
        check("W/\"3\", \"4\"", "[4]", "[3, 4]");
        check("*", "any", "any");
        check("\"abc\"", "[]", "[]");
        check("\"03\"", "[]", "[]");
        check("\"+3\"", "[]", "[]");
        check("\"99999999999999999999\"", "[]", "[]");
        check("3", "malformed", "malformed");
        check("\"3", "malformed", "malformed");
        check("\"3\" \"4\"", "malformed", "malformed");
        check("\"3\",", "malformed", "malformed");
        check("", "malformed", "malformed");
        assert_eq!(show(if_none_match(&HeaderMap::new())), "absent");
    }
}
