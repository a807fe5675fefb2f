//! A refusal: RFC 9457 `application/problem+json`, as every 4xx and 5xx of the API.

use crate::Response;
use serde_json::Value;
use std::fmt;

/// What a server said when it refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// `not-found`, `validation-failed` …; `unknown` when the answer was no problem document.
    pub code: String,
    /// What is wrong and what to do next.
    pub detail: String,
    /// Names the request in the server's log.
    pub request_id: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The places in the request that are wrong.
    pub errors: Vec<ProblemItem>,
    /// The whole document, for members that only some codes have. Null when there was none.
    pub document: Value,
}

/// One place in a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemItem {
    /// A JSON pointer into the body, or the name of a query parameter.
    pub place: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// Reads the problem document in an answer; makes one up from the status when there is none
    /// (a bare 408, 414 or 431, or a proxy in between).
    #[must_use]
    pub fn of(response: &Response) -> Self {
        let status = response.status.as_u16();
        let header_id = response.header("x-request-id").map(str::to_owned);
        let document: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(code) = text("code") else {
            let reason = response.status.canonical_reason().unwrap_or("no reason given");
            return Self {
                status,
                code: "unknown".into(),
                detail: format!("The server answered {status} ({reason}) without saying more."),
                request_id: header_id,
                retryable: matches!(status, 408 | 429 | 502 | 503 | 504),
                errors: Vec::new(),
                document: Value::Null,
            };
        };
        let errors = document.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self {
            status,
            detail: text("detail").or_else(|| text("title")).unwrap_or_else(|| format!("The server answered {status} `{code}`.")),
            request_id: text("request_id").or(header_id),
            retryable: document.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            errors: errors.iter().map(ProblemItem::of).collect(),
            code,
            document,
        }
    }
}

impl ProblemItem {
    fn of(item: &Value) -> Self {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let place = text("pointer").or_else(|| text("parameter")).unwrap_or_default();
        Self { place: place.to_owned(), detail: text("detail").or_else(|| text("code")).unwrap_or_default().to_owned() }
    }
}

/// The detail, then one line for each place, then the request's id.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        for it in &self.errors {
            // Sentences that name their place, or that are the whole detail already, need no second naming.
            let told = !it.place.is_empty() && it.detail.contains(&it.place);
            match (it.detail.as_str(), it.place.as_str()) {
                ("", "") => {}
                (detail, _) if !detail.is_empty() && self.detail.contains(detail) => {}
                ("", place) => write!(f, "\n  at {place}")?,
                (detail, "") => write!(f, "\n  {detail}")?,
                (detail, _) if told => write!(f, "\n  {detail}")?,
                (detail, place) => write!(f, "\n  {place}: {detail}")?,
            }
        }
        write!(f, "\n  ({} {}", self.status, self.code)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, StatusCode};

    fn problem(status: u16, body: &str) -> Problem {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        Problem::of(&Response {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn a_document_is_shown_with_its_places() {
        let it = problem(
            422,
            r#"{"code":"validation-failed","detail":"The body doesn't fit the type's schema.","request_id":"req_2","retryable":false,
               "errors":[{"pointer":"/amount","code":"type","detail":"must be an integer"},{"pointer":"/currency","detail":"is required"}]}"#,
        );
        assert_eq!(
            it.to_string(),
            "The body doesn't fit the type's schema.\n  /amount: must be an integer\n  /currency: is required\n  (422 validation-failed, request req_2)"
        );
    }

    #[test]
    fn nothing_is_said_twice() {
        let it = problem(
            422,
            r#"{"code":"validation-failed","detail":"`/a`: is required. (3 problems in all.)",
               "errors":[{"pointer":"/a","detail":"`/a`: is required."},{"pointer":"/b","detail":"`/b`: too small."},{"parameter":"limit","code":""}]}"#,
        );
        assert_eq!(
            it.to_string(),
            "`/a`: is required. (3 problems in all.)\n  `/b`: too small.\n  at limit\n  (422 validation-failed, request req_1)"
        );
    }

    #[test]
    fn an_answer_without_a_document_still_says_something() {
        let it = problem(431, "");
        assert_eq!((it.code.as_str(), it.retryable), ("unknown", false));
        assert_eq!(
            it.to_string(),
            "The server answered 431 (Request Header Fields Too Large) without saying more.\n  (431 unknown, request req_1)"
        );
        assert!(problem(502, "<html>").retryable);
    }
}
