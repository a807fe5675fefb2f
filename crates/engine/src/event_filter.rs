//! Conditions on events: which members they have, and what is found in them.
//!
//! An event's members are those of its public form: `type`, `subject`, `tenant`,
//! `sequence`, `timestamp`, `occurred_at`, `data.…` and `previous.…`. What `data`
//! holds is known where declared types alone can make such events; anybody may
//! publish the others, so nothing can be said about them.
//!
//! Not here: the language (`ringback-filter`), and which events a reader wants by
//! type and subject (`matching`).

use crate::{list, types::CompiledType};
use ringback_filter::{Expr, Fields, FilterError, Found, Kind, Schema, parse_expression, walk};
use ringback_model::{
    event::Event,
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
            ["data" | "previous", ..] => {
                let rest = path.get(1..).unwrap_or_default();
                let mut kinds = self.makers.iter().map(|it| list::kind(it, rest));
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

    /// A number that no double holds makes the whole body unreadable: then all of its members are missing.
    fn body(&self) -> &Map<String, Value> {
        self.body.get_or_init(|| serde_json::from_slice(&self.event.bytes).unwrap_or_default())
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
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
        check(
            &["payment.*"],
            "data.amout = 1",
            "at character 1: `amout` is neither a parameter here nor a field of payment; did you mean `amount`?",
        );
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
}
