//! Pulling: the bodies of `pull`, `ack`, `nack` and `extend`, and their answers.

use crate::{
    Problem,
    read::{self, Object, Problems, Shape},
};
use ringback_model::{EventId, limits};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The body of `POST /v1/subscriptions/{id}/pull`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Events at most, 1–1,000; a larger one is clamped.
    pub limit: usize,
    /// How long to wait for a first one, in seconds; 0–60.
    pub wait: u32,
    /// How long they are held, in seconds.
    pub lease: u32,
}

const PULL: Shape = Shape { members: &["limit", "wait", "lease"], read_only: &[], paths: &["limit", "wait", "lease"] };

impl Pull {
    /// Reads the body; without one, or without a member, the defaults.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: Option<&Value>) -> Result<Self, Problem> {
        let defaults = Self { limit: limits::PAGE_ITEMS_DEFAULT, wait: 0, lease: limits::LEASE_SECS.2 };
        let Some(body) = body else { return Ok(defaults) };
        let mut problems = Problems::new();
        let read = Object::open(body, "", &PULL, &mut problems).map(|it| Self {
            limit: it.integer("limit", 1, u32::MAX, &mut problems).map_or(defaults.limit, |it| (it as usize).min(limits::PAGE_ITEMS_MAX)),
            wait: it.integer("wait", 0, wait_secs_max(), &mut problems).unwrap_or(0),
            lease: lease(&it, &mut problems),
        });
        problems.finish(read)
    }
}

fn wait_secs_max() -> u32 {
    u32::try_from(limits::WAIT_SECS_MAX).unwrap_or(u32::MAX)
}

fn lease(it: &Object<'_>, problems: &mut Problems) -> u32 {
    let (min, max, default) = limits::LEASE_SECS;
    it.integer("lease", min, max, problems).unwrap_or(default)
}

/// The body of `ack`, `nack` and `extend`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// As the pull answered it.
    pub ack: String,
    /// Some of its events; `None` means all.
    pub events: Option<Vec<EventId>>,
    /// Of a nack: hand them out again after this. Of an extension: hold them so long from now on.
    pub time: Duration,
}

const PATHS: &[&str] = &["ack", "events", "delay", "lease"];
const ACK: Shape = Shape { members: &["ack", "events"], read_only: &[], paths: PATHS };
const NACK: Shape = Shape { members: &["ack", "events", "delay"], read_only: &[], paths: PATHS };
const EXTEND: Shape = Shape { members: &["ack", "events", "lease"], read_only: &[], paths: PATHS };

impl Settle {
    /// Reads the body of an ack.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn ack(body: &Value) -> Result<Self, Problem> {
        Self::read(body, &ACK, |_, _| 0)
    }

    /// Reads the body of a nack.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn nack(body: &Value) -> Result<Self, Problem> {
        Self::read(body, &NACK, |it, problems| it.integer("delay", 0, limits::NACK_DELAY_SECS_MAX, problems).unwrap_or(0))
    }

    /// Reads the body of an extension.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn extend(body: &Value) -> Result<Self, Problem> {
        Self::read(body, &EXTEND, lease)
    }

    fn read(body: &Value, shape: &Shape, time: impl FnOnce(&Object<'_>, &mut Problems) -> u32) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", shape, &mut problems).and_then(|it| {
            it.require("ack", "the `ack` of the pull that answered these events", &mut problems);
            let ack = it.text_of("ack", 1, limits::ACK_TOKEN_CHARS_MAX, &mut problems).map(Into::into);
            let parse = |text: &str| text.parse::<EventId>().map_err(|_| "an event id such as `evt_…`");
            let events = it.list(
                "events",
                "a list of event ids",
                (1, limits::PAGE_ITEMS_MAX),
                |value, at, problems| read::parsed_at(value, at, parse, problems),
                &mut problems,
            );
            let time = Duration::from_secs(time(&it, &mut problems).into());
            Some(Self { ack: ack?, events, time })
        });
        problems.finish(read)
    }
}

/// What a pull answers, but for the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PulledView {
    /// How often each was handed out or tried, this time included; where that is more than once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tries: BTreeMap<String, u32>,
    /// What acknowledges them.
    pub ack: String,
    /// Until when they are held.
    pub lease_until: String,
    /// Events of the tenant that are not settled, filter not applied.
    pub lag: u64,
}

impl PulledView {
    /// The answer with these events, each JSON already, as the subscription's payload form writes it.
    #[must_use]
    pub fn bytes<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut out = b"{\"data\":[".to_vec();
        for (at, row) in rows.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(row);
        }
        out.extend_from_slice(b"],");
        // An object of ours always has a JSON text that begins with a brace.
        let rest = serde_json::to_vec(self).unwrap_or_default();
        out.extend_from_slice(rest.get(1..).unwrap_or_default());
        out
    }
}

/// What an ack, a nack or an extension answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettledView {
    /// How many events it was done for.
    pub settled: usize,
    /// Those that were settled or parked already.
    pub late: Vec<String>,
    /// Of an extension: until when they are held now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_limits() {
        let default = Pull { limit: 100, wait: 0, lease: 30 };
        assert_eq!(Pull::read(None), Ok(default));
        assert_eq!(Pull::read(Some(&json!({}))), Ok(default));
        assert_eq!(Pull::read(Some(&json!({"limit":5000,"wait":60,"lease":43200}))), Ok(Pull { limit: 1_000, wait: 60, lease: 43_200 }));
        for body in
            [json!({"limit":0}), json!({"wait":61}), json!({"lease":0}), json!({"lease":43201}), json!({"limit":"1"}), json!({"leese":1})]
        {
            assert!(Pull::read(Some(&body)).is_err(), "{body}");
        }
    }

    #[test]
    fn an_answer_is_one_object() {
        let view = PulledView { tries: [("evt_2".to_owned(), 3)].into(), ack: "a".into(), lease_until: "t".into(), lag: 1 };
        let bytes = view.bytes([&b"{\"a\":1}"[..], b"{}"].into_iter());
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, r#"{"data":[{"a":1},{}],"tries":{"evt_2":3},"ack":"a","lease_until":"t","lag":1}"#);
    }

    #[test]
    fn what_is_said_of_a_batch() {
        let id = EventId::from_bits(7);
        let body = json!({"ack":"x","events":[id.to_string()],"delay":86400});
        let want = Settle { ack: "x".into(), events: Some(vec![id]), time: Duration::from_secs(86_400) };
        assert_eq!(Settle::nack(&body), Ok(want));
        assert!(Settle::ack(&body).is_err(), "an ack has no delay");
        for body in [
            json!({}),
            json!({"ack":""}),
            json!({"ack":"x","events":[]}),
            json!({"ack":"x","events":["a"]}),
            json!({"ack":"x","delay":86401}),
        ] {
            assert!(Settle::nack(&body).is_err(), "{body}");
        }
        assert!(Settle::extend(&json!({"ack":"x","lease":0})).is_err());
    }
}
