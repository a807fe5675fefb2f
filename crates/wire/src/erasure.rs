//! Erasures: what is asked for, and how far it is.

use crate::{
    Problem,
    read::{self, Object, Problems, Shape},
    sentences::fields,
};
use ringback_model::{EventId, Subject, erasure::Erasure, limits};
use serde::Serialize;
use serde_json::Value;

/// An erasure, as it is shown. What it was of is not said: it is erased, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureView {
    /// Its id.
    pub id: String,
    /// Whose data.
    pub tenant: String,
    /// `running` or `done`.
    pub state: &'static str,
    /// How many events are erased.
    pub erased: u64,
    /// When it was asked for.
    pub created_at: String,
}

impl ErasureView {
    /// The view of an erasure.
    #[must_use]
    pub fn of(it: &Erasure) -> Self {
        Self {
            id: it.id.to_string(),
            tenant: it.tenant.to_string(),
            state: if it.is_done() { "done" } else { "running" },
            erased: it.erased,
            created_at: it.created_at.to_string(),
        }
    }
}

/// The body of `POST /v1/erasures`: exactly one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewErasure {
    /// All about a subject.
    Subject(Subject),
    /// One event.
    Event(EventId),
    /// The event with this publisher's key.
    Key(String),
    /// All of a tenant.
    Tenant(String),
}

const MEMBERS: [&str; 4] = ["subject", "event", "key", "tenant"];
const SHAPE: Shape = Shape { members: &MEMBERS, read_only: &[], paths: &MEMBERS };

impl NewErasure {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &SHAPE, &mut problems).and_then(|it| {
            let given: Vec<_> = MEMBERS.into_iter().filter(|name| it.get(name).is_some()).collect();
            let [one] = given[..] else {
                problems.note(fields::invalid("", "Say what is to be erased, by exactly one of `subject`, `event`, `key` and `tenant`."));
                return None;
            };
            match one {
                "subject" => it.parsed("subject", read::name(Subject::parse), &mut problems).map(Self::Subject),
                "event" => {
                    let parse = |text: &str| text.parse().map_err(|_| "the id of an event, `evt_…`");
                    it.parsed("event", parse, &mut problems).map(Self::Event)
                }
                "key" => it.text_of("key", 1, limits::EVENT_KEY_BYTES_MAX, &mut problems).map(|it| Self::Key(it.to_owned())),
                _ => it.text_of("tenant", 1, limits::TENANT_ID_BYTES_MAX, &mut problems).map(|it| Self::Tenant(it.to_owned())),
            }
        });
        problems.finish(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn exactly_one_thing_is_erased() {
        let event = EventId::from_bits(1);
        assert_eq!(NewErasure::read(&json!({"event": event.to_string()})), Ok(NewErasure::Event(event)));
        assert_eq!(NewErasure::read(&json!({"key": "k"})), Ok(NewErasure::Key("k".into())));
        assert_eq!(NewErasure::read(&json!({"tenant": "acme"})), Ok(NewErasure::Tenant("acme".into())));
        assert_eq!(NewErasure::read(&json!({"subject": "/a/1"})), Ok(NewErasure::Subject(Subject::parse("/a/1").unwrap())));
        for bad in [
            json!({}),
            json!({"subject": "/a/1", "key": "k"}),
            json!({"event": "evt_1"}),
            json!({"subject": ""}),
            json!({"key": ""}),
            json!({"sub": 1}),
            json!([]),
        ] {
            assert!(NewErasure::read(&bad).is_err(), "{bad}");
        }
    }
}
