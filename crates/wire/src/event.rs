//! Publishing events, and the parameters of their feed.
//!
//! A published `data` stays verbatim, so a body is not read from a `Value`: the
//! caller takes its text apart (`engine::json::split`) and passes the members.
//!
//! Not here: how an event is written; its bytes are made once, in `model::event`.

use crate::{
    Problem,
    read::{self, Problems, Shape},
    sentences::fields,
};
use ringback_model::{EventType, Subject, Timestamp, key::Authority, limits, subscription::TypePattern};
use serde::Serialize;
use serde_json::{Map, Value};

/// One event of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent<'a> {
    /// What happened.
    pub event_type: EventType,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The JSON text, as it was passed.
    pub data: &'a str,
    /// Unique per tenant while the event is kept.
    pub key: Option<String>,
    /// When the publisher says it happened.
    pub occurred_at: Option<Timestamp>,
    /// Whose authority it takes to see it.
    pub audience: Authority,
    /// From when on it is not delivered any more.
    pub expires_at: Option<Timestamp>,
}

/// An event type, as `GET /v1/event-types` lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventTypeView {
    /// Its name.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Who makes such events: `type:payment`, `ringback`, or `publishers`.
    pub owner: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A `data` as it might be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// When the last one was stored, to the minute; left out when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
}

const SHAPE: Shape = Shape {
    members: &["type", "subject", "data", "key", "occurred_at", "audience", "expires_at"],
    read_only: &[
        ("id", "The server gives it; `key` makes repeats harmless."),
        ("timestamp", "The server sets it; `occurred_at` is the publisher's."),
        ("tenant", "It is the request's."),
        ("sequence", "The server gives it."),
        ("previous", "Only changes of resources have it."),
    ],
    paths: &["type", "subject", "data", "key", "occurred_at", "audience", "expires_at"],
};

const AUDIENCES: [(&str, Authority); 2] = [("tenant", Authority::Tenant), ("operator", Authority::Operator)];

impl<'a> NewEvent<'a> {
    /// Reads the members of one event, each with its JSON text; `at` is the
    /// pointer to it: `""`, or `/3` in an array.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read<N: AsRef<str>>(members: &[(N, &'a str)], at: &str) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Self::of(members, at, &mut problems);
        problems.finish(read)
    }

    fn of<N: AsRef<str>>(members: &[(N, &'a str)], at: &str, problems: &mut Problems) -> Option<Self> {
        let mut data = None;
        let mut values = Map::new();
        for (name, text) in members {
            if name.as_ref() == "data" {
                data = Some(*text);
                // The reader only has to know that it is there.
                values.insert("data".into(), Value::Bool(true));
            } else {
                // Text that stands for no value (a lone surrogate) is as good as a string that fits nowhere.
                values.insert(name.as_ref().to_owned(), serde_json::from_str(text).unwrap_or_else(|_| Value::String("\u{fffd}".into())));
            }
        }
        let body = Value::Object(values);
        let it = read::Object::open(&body, at, &SHAPE, problems)?;
        it.require("type", "what happened, such as `order.shipped`", problems);
        it.require("data", "any JSON value, `{}` if there is nothing to tell", problems);
        let event_type = it.parsed("type", read::name(EventType::parse), problems);
        let subject = it.parsed("subject", read::name(Subject::parse), problems);
        let key = it.parsed("key", parse_key, problems);
        let occurred_at = it.time("occurred_at", problems);
        let audience = it.one_of("audience", &AUDIENCES, problems).unwrap_or(Authority::Tenant);
        let expires_at = it.time("expires_at", problems);
        Some(Self { event_type: event_type?, subject, data: data?, key, occurred_at, audience, expires_at })
    }
}

fn parse_key(text: &str) -> Result<String, String> {
    let max = limits::EVENT_KEY_BYTES_MAX;
    if (1..=max).contains(&text.len()) && text.bytes().all(|it| matches!(it, b' '..=b'~')) {
        Ok(text.to_owned())
    } else {
        Err(format!("1 to {max} printable ASCII characters"))
    }
}

/// Checks how many events a publish has.
///
/// # Errors
/// Unless there are 1 to 1,000.
pub fn check_count(events: usize) -> Result<(), Problem> {
    let max = limits::EVENTS_PER_CHANGE_SET_MAX;
    if (1..=max).contains(&events) {
        return Ok(());
    }
    Err(crate::sentences::fields_refused(vec![fields::wrong_count("", events, 1, max)]))
}

/// Reads `types` of a feed: exact names or prefixes `a.*`, joined by commas; the
/// error completes "should be …".
///
/// # Errors
/// When it is something else, or there are more than 100.
pub fn parse_types(text: &str) -> Result<Vec<TypePattern>, &'static str> {
    const RULE: &str = "1 to 100 event types or prefixes joined by commas, such as `payment.*,order.shipped`";
    if text.split(',').count() > limits::SUBSCRIPTION_TYPES_MAX {
        return Err(RULE);
    }
    text.split(',').map(TypePattern::parse).collect::<Result<_, _>>().map_err(|_| RULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(refused: Result<NewEvent<'_>, Problem>) -> Vec<String> {
        refused.unwrap_err().errors.into_iter().filter_map(|it| it.pointer).collect()
    }

    #[test]
    fn data_is_passed_on_verbatim() {
        let members = [("type", "\"order.shipped\""), ("data", "{\"a\":1.50,\"b\":\"\\ud800\"}"), ("key", "\"k 1\"")];
        let it = NewEvent::read(&members, "").unwrap();
        assert_eq!((it.event_type.as_str(), it.data, it.key.as_deref()), ("order.shipped", "{\"a\":1.50,\"b\":\"\\ud800\"}", Some("k 1")));
        assert_eq!((it.subject, it.occurred_at, it.audience), (None, None, Authority::Tenant));
    }

    #[test]
    fn null_is_data_and_no_subject() {
        let it = NewEvent::read(&[("data", "null"), ("type", "\"a\""), ("subject", "null"), ("audience", "\"operator\"")], "").unwrap();
        assert_eq!((it.data, it.subject, it.audience), ("null", None, Authority::Operator));
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_where() {
        assert_eq!(pointers(NewEvent::read::<&str>(&[], "/3")), ["/3/type", "/3/data"]);
        let all = [
            ("typ", "1"),
            ("type", "\"a..b\""),
            ("subject", "\"\\u0000\""),
            ("data", "1"),
            ("key", "\"\""),
            ("occurred_at", "\"soon\""),
            ("audience", "\"all\""),
            ("expires_at", "\"tomorrow\""),
        ];
        assert_eq!(pointers(NewEvent::read(&all, "")), ["/typ", "/type", "/subject", "/key", "/occurred_at", "/audience", "/expires_at"]);
        let surrogate = [("type", "\"a\""), ("data", "1"), ("key", "\"\\ud800\"")];
        assert_eq!(pointers(NewEvent::read(&surrogate, "")), ["/key"]);
    }

    #[test]
    fn counts_and_types_have_limits() {
        assert!(check_count(1).is_ok() && check_count(1_000).is_ok());
        assert!(check_count(0).is_err() && check_count(1_001).is_err());
        assert_eq!(parse_types("payment.*,a.b").map(|it| it.len()), Ok(2));
        for bad in ["", "a,", "*", "a b"] {
            assert!(parse_types(bad).is_err(), "{bad}");
        }
        assert!(parse_types(&vec!["a"; 101].join(",")).is_err());
    }
}
