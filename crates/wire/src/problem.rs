//! The problem document: what every 4xx and 5xx answers (RFC 9457).

use crate::ErrorCode;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// RFC 6901 pointer into the body; `""` is the body itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of a query parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// For programs: `unknown-field`, `required`, `invalid`, `read-only-field` …
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
}

/// A problem document. Made by `sentences`; the server adds the request's id.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What kind it is; decides type, title, status and whether to retry.
    pub code: ErrorCode,
    /// What is wrong *and what to do next*.
    pub detail: String,
    /// The id that `X-Request-Id` answers.
    pub request_id: Option<String>,
    /// The single places, where there are any.
    pub errors: Vec<FieldProblem>,
    /// Further members that the code has, in this order.
    pub extra: Vec<(&'static str, Value)>,
    /// The `Retry-After` to answer, in seconds.
    pub retry_after_secs: Option<u32>,
}

impl Problem {
    /// A problem without further members.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), request_id: None, errors: Vec::new(), extra: Vec::new(), retry_after_secs: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    pub(crate) fn with_error(mut self, error: FieldProblem) -> Self {
        self.errors.push(error);
        self
    }

    /// The same problem, to be retried after so many seconds.
    #[must_use]
    pub const fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The same problem of this request.
    #[must_use]
    pub fn of_request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// The same problem, its pointers below `prefix`: for an element of an array.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        for pointer in self.errors.iter_mut().filter_map(|it| it.pointer.as_mut()) {
            pointer.insert_str(0, prefix);
        }
        self
    }

    /// The same problem, of one operation of a batch: its places are below that operation's
    /// `body`, and when it has none, the operation itself is the place.
    #[must_use]
    pub fn of_operation(mut self, at: usize) -> Self {
        let operation = format!("/operations/{at}");
        self = self.below(&format!("{operation}/body"));
        if self.errors.iter().all(|it| it.pointer.is_none()) {
            let (code, detail) = (self.code.as_str(), self.detail.clone());
            self.errors.insert(0, FieldProblem { pointer: Some(operation), parameter: None, code, detail });
        }
        self.with("operation", at)
    }

    /// As JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // All of its members have a JSON text.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("urn:ringback:error:{}", self.code))?;
        map.serialize_entry("code", self.code.as_str())?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status())?;
        map.serialize_entry("detail", &self.detail)?;
        if let Some(id) = &self.request_id {
            map.serialize_entry("request_id", id)?;
        }
        map.serialize_entry("retryable", &self.code.retryable())?;
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &self.errors)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use crate::sentences;
    use expect_test::expect;

    #[test]
    fn a_problem_has_one_shape() {
        let it = sentences::transition_not_allowed("payment", "123", "completed", "complete", &["created", "processing"], &["refund"])
            .of_request("req_1");
        expect![[r#"{"type":"urn:ringback:error:transition-not-allowed","code":"transition-not-allowed","title":"Transition not allowed","status":409,"detail":"Payment 123 is completed. `complete` is possible from created, processing. Possible now: refund.","request_id":"req_1","retryable":false,"current_status":"completed","requested":"complete","allowed":["refund"]}"#]]
        .assert_eq(&String::from_utf8_lossy(&it.to_json()));
    }

    #[test]
    fn places_are_listed() {
        let it = sentences::bad_parameter("limit", "ten", "a whole number from 1 to 1000").of_request("req_1");
        expect![[r#"{"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`limit` should be a whole number from 1 to 1000, and is `ten`.","request_id":"req_1","retryable":false,"errors":[{"parameter":"limit","code":"invalid","detail":"`limit` should be a whole number from 1 to 1000, and is `ten`."}]}"#]]
        .assert_eq(&String::from_utf8_lossy(&it.to_json()));
    }
}
