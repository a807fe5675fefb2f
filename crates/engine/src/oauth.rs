//! Tokens of OAuth2 client credentials (RFC 6749, 4.4): what to ask, what an answer means, how long it is good.
//!
//! Not here: fetching (`service::tokens`).

use core::time::Duration;
use ringback_model::{Timestamp, delivery::Outcome, limits};
use serde_json::Value;

/// How long a token is taken to be good whose giver doesn't say.
pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(600);
/// The longest that one is taken to be good, whatever its giver says.
pub const LIFETIME_MAX: Duration = Duration::from_secs(86_400);
/// A token is refreshed when this part of its time is left, in percent.
pub const EARLY_PERCENT: u32 = 20;
/// The least time between two fetches: also after a failure, and after a 401 with a token that is younger.
pub const FETCHES_APART: Duration = Duration::from_secs(10);

/// A token that was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What follows `Bearer `.
    pub text: String,
    /// When it was given.
    pub fetched_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What is known of the tokens of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The last one, unless it was taken back.
    pub token: Option<Token>,
    /// The last fetch that failed, and how.
    pub failed: Option<(Timestamp, Outcome)>,
}

/// What a try does about its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Uses this one.
    Use(String),
    /// Fetches one; if that fails, and there is one still, uses that.
    Fetch {
        /// Still good for a while.
        fallback: Option<String>,
    },
    /// Ends without having asked: the last fetch failed a moment ago.
    Fail(Outcome),
}

impl Known {
    /// What a try at `now` does.
    #[must_use]
    pub fn step(&self, now: Timestamp) -> Step {
        let good = self.token.as_ref().filter(|it| now < it.expires_at);
        let failed = self.failed.as_ref().filter(|(at, _)| now < *at + FETCHES_APART);
        match (good, failed) {
            (Some(it), _) if now < refresh_at(it) => Step::Use(it.text.clone()),
            // Its giver fails: the one that there is will do.
            (Some(it), Some(_)) => Step::Use(it.text.clone()),
            (None, Some((_, outcome))) => Step::Fail(outcome.clone()),
            (good, None) => Step::Fetch { fallback: good.map(|it| it.text.clone()) },
        }
    }

    /// The endpoint refused this token (401): it is not used any more, unless it was only just fetched.
    /// A new one would fare no better then, and its giver is not to be flooded.
    pub fn handle_refused(&mut self, text: &str, now: Timestamp) {
        self.token.take_if(|it| it.text == text && it.fetched_at + FETCHES_APART <= now);
    }
}

fn refresh_at(it: &Token) -> Timestamp {
    let lifetime = it.expires_at.since(it.fetched_at);
    it.fetched_at + lifetime * (100 - EARLY_PERCENT) / 100
}

/// The body of a request for a token.
#[must_use]
pub fn body(scope: Option<&str>) -> String {
    match scope {
        None => "grant_type=client_credentials".into(),
        Some(scope) => format!("grant_type=client_credentials&scope={}", form(scope)),
    }
}

/// `user:password` of a client, as RFC 6749 (2.3.1) wants them in Basic: each encoded for a form first.
#[must_use]
pub fn basic_pair(client_id: &str, client_secret: &str) -> String {
    format!("{}:{}", form(client_id), form(client_secret))
}

/// `application/x-www-form-urlencoded`.
fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The token of an answer that began with 2xx; `None` if it holds none that can be used.
#[must_use]
pub fn read(body: &[u8], now: Timestamp) -> Option<Token> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = value.get("access_token")?.as_str()?;
    let usable = !text.is_empty() && text.len() <= limits::TOKEN_BYTES_MAX && text.bytes().all(|it| matches!(it, b'!'..=b'~'));
    let is_bearer = value.get("token_type").is_none_or(|it| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("bearer")));
    if !usable || !is_bearer {
        return None;
    }
    let secs = match value.get("expires_in") {
        None | Some(Value::Null) => None,
        // Some givers write the number as a text.
        Some(Value::String(text)) => Some(text.parse().ok()?),
        Some(it) => Some(it.as_u64().or_else(|| whole(it.as_f64()?))?),
    };
    let lifetime = secs.map_or(LIFETIME_DEFAULT, Duration::from_secs).min(LIFETIME_MAX);
    Some(Token { text: text.to_owned(), fetched_at: now, expires_at: now + lifetime })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to what a day has many times over")]
fn whole(it: f64) -> Option<u64> {
    (it >= 0.0).then(|| it.min(1e9) as u64)
}

/// What a try that got no token came to, given what came of asking for one.
///
/// It is never the endpoint's fault, so no try is spent; an address that may not be
/// called, or has none, stops the reader as an endpoint's own does.
#[must_use]
pub fn outcome(asked: &Outcome) -> Outcome {
    let failed = |reason, retry_after| Outcome::Failed { status_code: None, reason, retry_after };
    match asked {
        Outcome::Delivered { .. } => failed("token-answer", None),
        Outcome::Failed { status_code: Some(_), retry_after, .. } => failed("token-refused", *retry_after),
        Outcome::Failed { status_code: None, .. } | Outcome::Unknown => failed("token-unreachable", None),
        Outcome::Unroutable { .. } => Outcome::Unroutable { reason: "token-unroutable" },
    }
}

/// Whether a try came to this before its endpoint was called, for want of a token: then it is not spent.
#[must_use]
pub fn is_of_token(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { status_code: None, reason, .. } if reason.starts_with("token-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        T0 + Duration::from_secs(secs)
    }

    #[track_caller]
    fn check(body: &str, want: Option<(&str, u64)>) {
        let got = read(body.as_bytes(), T0);
        assert_eq!(got.as_ref().map(|it| (it.text.as_str(), it.expires_at.since(T0).as_secs())), want, "{body}");
    }

    #[test]
    fn answers() {
        check(r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#, Some(("abc", 3_600)));
        check(r#"{"access_token":"abc"}"#, Some(("abc", 600)));
        check(r#"{"access_token":"abc","expires_in":"90"}"#, Some(("abc", 90)));
        check(r#"{"access_token":"abc","expires_in":90.5}"#, Some(("abc", 90)));
        check(r#"{"access_token":"abc","expires_in":99999999999}"#, Some(("abc", 86_400)));
        check(r#"{"access_token":"abc","expires_in":-1}"#, None);
        check(r#"{"access_token":"abc","token_type":"mac"}"#, None);
        check(r#"{"access_token":"a\r\nb"}"#, None);
        check(r#"{"access_token":"a b"}"#, None);
        check(r#"{"access_token":""}"#, None);
        check(r#"{"access_token":7}"#, None);
        check(r#"{"error":"invalid_client"}"#, None);
        check("<html>", None);
        check(&format!(r#"{{"access_token":"{}"}}"#, "x".repeat(limits::TOKEN_BYTES_MAX + 1)), None);
    }

    #[test]
    fn requests() {
        assert_eq!(body(None), "grant_type=client_credentials");
        assert_eq!(body(Some("a:read b")), "grant_type=client_credentials&scope=a%3Aread+b");
        assert_eq!(basic_pair("id:1", "pä%"), "id%3A1:p%C3%A4%25");
    }

    fn known(lifetime: u64) -> Known {
        Known { token: Some(Token { text: "t".into(), fetched_at: T0, expires_at: at(lifetime) }), failed: None }
    }

    #[test]
    fn it_is_refreshed_early_and_used_to_the_end() {
        let mut it = known(100);
        let using = || Step::Use("t".into());
        assert_eq!(it.step(at(79)), using());
        assert_eq!(it.step(at(80)), Step::Fetch { fallback: Some("t".into()) });
        assert_eq!(it.step(at(100)), Step::Fetch { fallback: None });
        let why = Outcome::Failed { status_code: None, reason: "token-refused", retry_after: None };
        it.failed = Some((at(85), why.clone()));
        assert_eq!(it.step(at(90)), using(), "its giver failed a moment ago");
        assert_eq!(it.step(at(95)), Step::Fetch { fallback: Some("t".into()) });
        it.failed = Some((at(98), why.clone()));
        assert_eq!(it.step(at(100)), Step::Fail(why));
        assert_eq!(it.step(at(108)), Step::Fetch { fallback: None });
    }

    #[test]
    fn a_refused_one_is_fetched_anew_once() {
        let mut it = known(1_000);
        it.handle_refused("t", at(9));
        assert!(it.token.is_some(), "it was only just fetched: another would fare no better");
        it.handle_refused("older", at(20));
        assert!(it.token.is_some(), "that was another one");
        it.handle_refused("t", at(20));
        assert_eq!(it.step(at(20)), Step::Fetch { fallback: None });
    }

    #[test]
    fn what_a_try_without_a_token_comes_to() {
        let failed = |status_code, reason| Outcome::Failed { status_code, reason, retry_after: None };
        for (asked, want) in [
            (Outcome::Delivered { status_code: 200 }, failed(None, "token-answer")),
            (failed(Some(401), "status"), failed(None, "token-refused")),
            (failed(None, "tls"), failed(None, "token-unreachable")),
            (Outcome::Unknown, failed(None, "token-unreachable")),
            (Outcome::Unroutable { reason: "refused" }, Outcome::Unroutable { reason: "token-unroutable" }),
        ] {
            assert_eq!(outcome(&asked), want);
            assert_eq!(is_of_token(&want), want != Outcome::Unroutable { reason: "token-unroutable" });
        }
    }
}
