//! Conditions on events: which members they have, and what is found in them.
//!
//! An event's members are those of its public form: `type`, `subject`, `tenant`,
//! `sequence`, `timestamp`, `occurred_at`, `data.…` and `previous.…`. What `data`
//! holds is known where declared types alone can make such events; anybody may
//! publish the others, so nothing can be said about them.
//!
//! Not here: the language (`ringback-filter`), and which events a reader wants by
//! type and subject (`matching`).

use crate::{
    json::{self, Parts},
    list,
    types::CompiledType,
};
use ringback_filter::{Expr, Fields, FilterError, Found, Kind, Schema, parse_expression, walk};
use ringback_model::{
    event::Event,
    odd,
    subscription::{TypePattern, types_match},
    type_decl::TypeDecl,
};
use serde_json::{Map, Value};
use std::cell::OnceCell;

/// The members of an event, as they can be asked for.
const MEMBERS: [&str; 9] = ["id", "type", "timestamp", "tenant", "sequence", "subject", "occurred_at", "data", "previous"];

/// What the events of some types hold.
#[derive(Debug)]
pub struct EventSchema<'a> {
    makers: Vec<&'a TypeDecl>,
    /// Others may make such events too: of their `data` nothing is known.
    open: bool,
}

impl<'a> EventSchema<'a> {
    /// The schema of events that match `patterns` (none: all of them), when these are the declared types.
    #[must_use]
    pub fn of(patterns: &[TypePattern], declared: impl IntoIterator<Item = &'a CompiledType>) -> Self {
        let declared: Vec<&TypeDecl> = declared.into_iter().map(|it| &it.decl).collect();
        let makes = |decl: &TypeDecl, pattern: &TypePattern| names(decl).any(|it| types_match(core::slice::from_ref(pattern), it));
        let open = patterns.is_empty() || patterns.iter().any(|pattern| !declared.iter().any(|it| makes(it, pattern)));
        let made = |it: &&TypeDecl| patterns.is_empty() || patterns.iter().any(|pattern| makes(it, pattern));
        Self { makers: declared.iter().copied().filter(made).collect(), open }
    }

    /// Reads a filter on such events.
    ///
    /// # Errors
    /// As the language's, and for members that such events can't have.
    pub fn filter(&self, text: &str) -> Result<Expr, FilterError> {
        parse_expression(text)?.check(self)
    }
}

/// The events that a type makes.
fn names(decl: &TypeDecl) -> impl Iterator<Item = &ringback_model::EventType> {
    let of_changes = [&decl.events.created, &decl.events.updated, &decl.events.deleted];
    of_changes.into_iter().chain(decl.lifecycle.transitions.iter().map(|it| &it.event))
}

impl Schema for EventSchema<'_> {
    fn kind(&self, path: &[String]) -> Result<Kind, String> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["id" | "type" | "tenant" | "subject"] => Ok(Kind::Text),
            ["sequence"] => Ok(Kind::Integer),
            ["timestamp" | "occurred_at"] => Ok(Kind::Instant),
            ["data" | "previous"] => Ok(Kind::Composite),
            [image @ ("data" | "previous"), ..] => {
                let (prefix, rest) = (format!("{image}."), path.get(1..).unwrap_or_default());
                let mut kinds = self.makers.iter().map(|it| list::kind_under(it, &prefix, rest, "no field"));
                let first = if self.open { Some(Ok(Kind::Any)) } else { kinds.next() };
                // One type that has it is enough; where they differ, what is found decides.
                kinds
                    .fold(first, |sofar, next| match (sofar, next) {
                        (Some(Ok(a)), Ok(b)) => Some(Ok(if a == b { a } else { Kind::Any })),
                        (Some(Ok(a)), Err(_)) => Some(Ok(a)),
                        (Some(Err(_)) | None, next) => Some(next),
                    })
                    .unwrap_or(Ok(Kind::Any))
            }
            [name] if self.fits_in_data(path) => Err(format!("an event has no `{name}`; did you mean `data.{name}`?")),
            [name, ..] => {
                let all = MEMBERS.join(", ");
                Err(format!("an event has no `{}`; it has {all}", ringback_model::names::excerpt(name, 60)))
            }
            [] => Ok(Kind::Any),
        }
    }
}

impl EventSchema<'_> {
    fn fits_in_data(&self, path: &[String]) -> bool {
        self.open || self.makers.iter().any(|it| list::kind(it, path).is_ok())
    }
}

/// An event, to be asked for its members. Its bytes are parsed at most once, when `data` or `previous` is asked for.
#[derive(Debug)]
pub struct EventFields<'a> {
    event: &'a Event,
    body: OnceCell<Map<String, Value>>,
}

impl<'a> EventFields<'a> {
    /// The members of `event`.
    #[must_use]
    pub const fn of(event: &'a Event) -> Self {
        Self { event, body: OnceCell::new() }
    }

    /// What stands for no value (a lone surrogate, a number beyond the doubles) is there and equals nothing.
    fn body(&self) -> &Map<String, Value> {
        self.body.get_or_init(|| match odd::comparable(&self.event.bytes) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        })
    }
}

impl Fields for EventFields<'_> {
    fn field(&self, path: &[String]) -> Option<Found<'_>> {
        let it = self.event;
        if let [name] = path {
            match name.as_str() {
                "type" => return Some(Found::Text(it.event_type.as_str())),
                "tenant" => return Some(Found::Text(it.tenant.as_str())),
                "sequence" => return Some(Found::Integer(i128::from(it.sequence))),
                "subject" => return it.subject.as_ref().map(|it| Found::Text(it.as_str())),
                "timestamp" => return Some(Found::Instant(i128::from(it.timestamp.as_micros()) * 1_000)),
                _ => {}
            }
        }
        walk(self.body(), path)
    }

    fn verbatim(&self, path: &[String]) -> Option<String> {
        let whole = core::str::from_utf8(&self.event.bytes).ok()?;
        let found = path.iter().try_fold(whole, |it, name| match json::split(it.as_bytes()).ok()? {
            Parts::Object(members) => members.into_iter().find(|(given, _)| given == name).map(|it| it.1),
            Parts::Array(_) | Parts::Other(_) => None,
        })?;
        odd::is_odd(found).then(|| found.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use ringback_model::{EventId, EventType, Subject, TenantId, Timestamp, event::EventDraft, key::Authority};

    const PAYMENT: &str = r#"{"type":"payment","schema":{"type":"object","additionalProperties":false,
        "properties":{"amount":{"type":"integer"},"customer":{"type":"string"}}},"lifecycle":"created -> paid"}"#;
    const ORDER: &str = r#"{"type":"order","schema":{"type":"object","additionalProperties":false,
        "properties":{"amount":{"type":"string"},"at":{"type":"string","format":"date-time"}}},"lifecycle":"created -> paid"}"#;

    fn types() -> Vec<CompiledType> {
        [PAYMENT, ORDER].iter().map(|it| CompiledType::load(&serde_json::from_str(it).unwrap()).unwrap()).collect()
    }

    #[track_caller]
    fn check(patterns: &[&str], filter: &str, want: &str) {
        let types = types();
        let patterns: Vec<_> = patterns.iter().map(|it| TypePattern::parse(it).unwrap()).collect();
        let got = EventSchema::of(&patterns, &types).filter(filter).map_or_else(|it| it.to_string(), |it| it.to_string());
        assert_eq!(got, want, "{patterns:?} {filter}");
    }

    #[test]
    fn what_is_known_depends_on_the_types() {
        check(&["payment.*"], "data.amount >= 1000", "data.amount >= 1000");
        check(&["payment.paid"], "data.amount = x", "at character 1: `data.amount` is an integer: `x` is none");
        check(&["payment.*"], "data.amout = 1", "at character 1: `data.amout` is no field of payment; did you mean `data.amount`?");
        check(&["payment.*"], "previous.status = \"created\"", "previous.status = \"created\"");
        check(&["payment.*"], "data.version > 1", "data.version > 1");
        // Two types that differ: what is found decides.
        check(&["payment.*", "order.paid"], "data.amount = x", "data.amount = \"x\"");
        check(&["payment.*", "order.paid"], "data.at:*", "data.at:*");
        // Anybody may publish these.
        check(&[], "data.whatever = 7", "data.whatever = 7");
        check(&["payment.*", "invoice.sent"], "data.whatever = 7", "data.whatever = 7");
        check(&[], "subject = \"/payment/*\" AND sequence > 10", "subject = \"/payment/*\" AND sequence > 10");
        check(&[], "timestamp > 2026-11-23T18:24:44Z", "timestamp > \"2026-11-23T18:24:44Z\"");
        check(&["payment.*"], "amount = 1", "at character 1: an event has no `amount`; did you mean `data.amount`?");
        check(
            &["payment.*"],
            "topic = 1",
            "at character 1: an event has no `topic`; it has id, type, timestamp, tenant, sequence, subject, occurred_at, data, previous",
        );
        check(&[], "data = 1", "at character 1: `data` is an object or a list: only `data:*` can be asked of it");
    }

    #[test]
    fn what_is_found() {
        let event = EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("payment.paid").unwrap(),
            timestamp: Timestamp::from_secs(1),
            subject: Subject::parse("/payment/1").ok(),
            data: Bytes::from_static(br#"{"amount":1999,"status":"paid"}"#),
            previous: Some(Bytes::from_static(br#"{"status":"created"}"#)),
            occurred_at: Some(Timestamp::from_secs(0)),
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        }
        .place(TenantId::default_tenant(), 9, 3, true);
        let types = types();
        for (filter, want) in [
            ("type = \"payment.*\" AND tenant = default AND sequence = 3", true),
            ("subject = \"/payment/1\" AND timestamp = 1970-01-01T00:00:01Z", true),
            ("occurred_at < timestamp_", false),
            ("occurred_at <= 1970-01-01T00:00:00Z", true),
            ("data.amount >= 1000 AND previous.status = \"created\"", true),
            ("data.status = \"created\"", false),
            ("previous.amount:*", false),
            ("id = \"evt_00000000000000000000000001\"", true),
        ] {
            let read = EventSchema::of(&[], &types).filter(filter);
            assert_eq!(read.is_ok_and(|it| it.matches(&EventFields::of(&event))), want, "{filter}");
        }
    }

    fn published(data: &str) -> Event {
        EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("a.b").unwrap(),
            timestamp: Timestamp::from_secs(1),
            subject: None,
            data: Bytes::from(data.to_owned()),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        }
        .place(TenantId::default_tenant(), 9, 3, true)
    }

    fn met(event: &Event, filter: &str) -> bool {
        EventSchema::of(&[], &types()).filter(filter).unwrap().matches(&EventFields::of(event))
    }

    #[test]
    fn what_stands_for_no_value_is_told_as_it_is_written() {
        let event = published(r#"{"a":{"n":1e999,"ok":1},"b":"\ud800"}"#);
        let path = |it: &str| it.split('.').map(str::to_owned).collect::<Vec<_>>();
        let fields = EventFields::of(&event);
        assert_eq!(fields.verbatim(&path("data.a.n")).as_deref(), Some("1e999"));
        assert_eq!(fields.verbatim(&path("data.b")).as_deref(), Some("\"\\ud800\""));
        assert_eq!(fields.verbatim(&path("data.a")).as_deref(), Some(r#"{"n":1e999,"ok":1}"#));
        assert_eq!((fields.verbatim(&path("data.a.ok")), fields.verbatim(&path("data.none.n"))), (None, None));
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3_i64..3).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[xy*]{0,2}".prop_map(Value::from),
        ]
    }

    proptest! {
        /// Whatever odd stands in an event, conditions on the rest of it are met or not as without it.
        #[test]
        fn odd_leaves_change_nothing_beside_them(
            rest in prop::collection::btree_map("[abc]", leaf(), 0..4),
            odd in prop::sample::select(vec![r#""\ud800""#, "1e999", "-1e999", r#"[1,{"\udc01":"\ud800"}]"#]),
            at: prop::sample::Index,
        ) {
            let parts = |all: &std::collections::BTreeMap<String, Value>| all.iter().map(|(name, it)| format!("\"{name}\":{it}")).collect::<Vec<_>>();
            let without = published(&format!("{{{}}}", parts(&rest).join(",")));
            let mut with = parts(&rest);
            with.insert(at.index(with.len() + 1), format!("\"odd\":{odd}"));
            let with = published(&format!("{{{}}}", with.join(",")));
            for name in ["a", "b", "c"] {
                for condition in [":*", " = 1", " != 1", " > 0", " <= 0", " = x", " = \"x*\"", " IN (1, x)", " = true"] {
                    for not in ["", "NOT "] {
                        let filter = format!("{not}data.{name}{condition}");
                        prop_assert_eq!(met(&with, &filter), met(&without, &filter), "{}", filter);
                    }
                }
            }
            prop_assert!(met(&with, "data.odd:*") && met(&with, "data.odd != 1"));
            for filter in ["data.odd = 1", "data.odd > 1", "data.odd <= 1", "data.odd = x", "data.odd = \"x*\"", "NOT data.odd:*"] {
                prop_assert!(!met(&with, filter), "{}", filter);
            }
        }
    }
}
