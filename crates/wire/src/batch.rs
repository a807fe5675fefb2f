//! A batch: several writes of one request, each said as the request that it would be alone.
//!
//! Bodies are passed on as text, since a published `data` stays verbatim: the
//! caller takes the batch apart (`engine::json::split`) and passes the parts.
//!
//! Not here: which routes can be operations (`server`), what they do (`service`).

use crate::{
    Problem,
    read::{self, Problems, Shape},
    sentences::{self, fields},
};
use ringback_model::limits;
use serde_json::{Map, Value};

/// One operation as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOperation<'a> {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path, with its query.
    pub path: String,
    /// The JSON text of the body, if one was given.
    pub body: Option<&'a str>,
    /// What stands in `If-Match` alone.
    pub if_match: Option<String>,
}

/// What one operation made.
#[derive(Clone, Copy, Debug)]
pub struct OperationResult<'a> {
    /// The status that it would have been answered with alone.
    pub status: u16,
    /// The ETag of what it made.
    pub etag: Option<&'a str>,
    /// Whether it was news; `false` only for what a mirror's source had said before.
    pub applied: bool,
    /// The body that it would have been answered with alone; empty for none.
    pub body: &'a [u8],
}

const SHAPE: Shape = Shape {
    members: &["method", "path", "body", "if_match"],
    read_only: &[],
    paths: &["operations", "operations.method", "operations.path", "operations.body", "operations.if_match"],
};

const METHODS: [(&str, &str); 4] = [("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];

impl<'a> RawOperation<'a> {
    /// Reads the members of operation `at`, each with its JSON text.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read<N: AsRef<str>>(members: &[(N, &'a str)], at: usize) -> Result<Self, Problem> {
        let mut body = None;
        let mut values = Map::new();
        for (name, text) in members {
            if name.as_ref() == "body" {
                body = Some(*text).filter(|it| *it != "null");
                values.insert("body".into(), Value::Bool(true));
            } else {
                values.insert(name.as_ref().to_owned(), serde_json::from_str(text).unwrap_or_else(|_| Value::String("\u{fffd}".into())));
            }
        }
        let mut problems = Problems::new();
        let read = Self::of(&Value::Object(values), body, at, &mut problems);
        problems.finish(read)
    }

    fn of(values: &Value, body: Option<&'a str>, at: usize, problems: &mut Problems) -> Option<Self> {
        let it = read::Object::open(values, &format!("/operations/{at}"), &SHAPE, problems)?;
        it.require("method", "`POST`, `PUT`, `PATCH` or `DELETE`", problems);
        it.require("path", "where it would be sent alone, such as `/payment/123/complete`", problems);
        let method = it.one_of("method", &METHODS, problems);
        let path = it.parsed("path", path, problems);
        let if_match = it.parsed("if_match", |text| Ok::<_, String>(text.to_owned()), problems);
        Some(Self { method: method?, path: path?, body, if_match })
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.len() <= limits::URI_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err("a path of this server, such as `/payment/123`".into())
    }
}

/// Checks how many operations a batch has.
///
/// # Errors
/// Unless there are 1 to 100.
pub fn check_count(operations: usize) -> Result<(), Problem> {
    let max = limits::BATCH_OPERATIONS_MAX;
    if (1..=max).contains(&operations) {
        return Ok(());
    }
    Err(sentences::fields_refused(vec![fields::wrong_count("/operations", operations, 1, max)]))
}

/// `{"results":[{"status","etag"?,"applied"?,"body"}]}`.
#[must_use]
pub fn results_bytes<'a>(results: impl IntoIterator<Item = OperationResult<'a>>) -> Vec<u8> {
    let mut out = b"{\"results\":[".to_vec();
    for (no, it) in results.into_iter().enumerate() {
        if no > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("{{\"status\":{}", it.status).as_bytes());
        if let Some(etag) = it.etag {
            out.extend_from_slice(b",\"etag\":");
            out.extend_from_slice(Value::from(etag).to_string().as_bytes());
        }
        if !it.applied {
            out.extend_from_slice(b",\"applied\":false");
        }
        out.extend_from_slice(b",\"body\":");
        out.extend_from_slice(if it.body.is_empty() { b"null" } else { it.body });
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_passed_on_verbatim() {
        let members = [("method", "\"POST\""), ("path", "\"/v1/events\""), ("body", "{\"data\":1.50}"), ("if_match", "\"\\\"3\\\"\"")];
        let it = RawOperation::read(&members, 0).unwrap();
        assert_eq!(
            (it.method, it.path.as_str(), it.body, it.if_match.as_deref()),
            ("POST", "/v1/events", Some("{\"data\":1.50}"), Some("\"3\""))
        );
        assert_eq!(RawOperation::read(&[("method", "\"POST\""), ("path", "\"/a\""), ("body", "null")], 0).unwrap().body, None);
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_where() {
        let pointers = |members: &[(&str, &str)]| {
            let refused = RawOperation::read(members, 3).unwrap_err();
            refused.errors.into_iter().filter_map(|it| it.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(&[]), ["/operations/3/method", "/operations/3/path"]);
        let all = [("method", "\"GET\""), ("path", "\"payment\""), ("if_match", "3"), ("header", "{}")];
        assert_eq!(pointers(&all), ["/operations/3/header", "/operations/3/method", "/operations/3/path", "/operations/3/if_match"]);
    }

    #[test]
    fn a_batch_has_one_to_a_hundred() {
        assert!(check_count(1).is_ok() && check_count(100).is_ok());
        assert!(check_count(0).is_err() && check_count(101).is_err());
    }

    #[test]
    fn results_have_one_shape() {
        let it = [
            OperationResult { status: 201, etag: Some("\"1\""), applied: true, body: b"{}" },
            OperationResult { status: 204, etag: None, applied: false, body: b"" },
        ];
        assert_eq!(
            String::from_utf8(results_bytes(it)).unwrap(),
            r#"{"results":[{"status":201,"etag":"\"1\"","body":{}},{"status":204,"applied":false,"body":null}]}"#
        );
    }
}
