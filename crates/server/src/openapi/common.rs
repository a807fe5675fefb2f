//! What many routes have in common: parameters by name, headers, and the codes
//! that follow from a route's line in the table.

use super::operation::{Body, Conditions, Operation};
use crate::routes::{About, Op, Route};
use ringback_model::{delivery::DeliveryState, limits};
use ringback_wire::ErrorCode::{self, *};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CHOSEN_ID: &str = "^[A-Za-z0-9._~-]{1,128}$";

/// A parameter in a path: its description and schema.
pub(super) fn path_parameter(path: &str, name: &str) -> Option<(String, Value)> {
    let noun = path.split('/').nth(2).unwrap_or_default();
    let made = |prefix: &str| json!({ "type": "string", "pattern": format!("^{prefix}_[0-9A-Za-z]{{26}}$") });
    Some(match (name, noun) {
        ("id", "events") => ("The event's id.".into(), made("evt")),
        ("id", "deliveries") => ("The delivery's id.".into(), made("dlv")),
        ("id", "replays") => ("The replay's id.".into(), made("rpl")),
        ("id", "keys") => ("The key's id.".into(), made("key")),
        ("id", "tenants") => ("The tenant's id.".into(), json!({ "type": "string", "pattern": "^[a-z0-9-]{1,63}$" })),
        ("id", "subscriptions") => ("The subscription's id.".into(), json!({ "type": "string", "pattern": CHOSEN_ID })),
        ("id", _) => ("The resource's id.".into(), json!({ "type": "string", "pattern": CHOSEN_ID })),
        ("n", _) => ("A version, from 1.".into(), json!({ "type": "integer", "minimum": 1 })),
        ("name", _) => ("The type's name.".into(), json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}$" })),
        _ => return None,
    })
}

/// A parameter in a query: its description and schema. What a name means is the same on almost every route.
pub(super) fn query_parameter(op: Op, name: &str) -> Option<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    Some(match name {
        "subscription" if op == Op::EventFeed => (
            "As this subscription would be told: its types and its filter. `after=settled` then begins behind what it has settled.",
            json!({ "type": "string", "pattern": CHOSEN_ID }),
        ),
        "ticket" => (
            "Of a stream that a browser opens: what `POST /v1/stream-tickets` answered, in the place of a key.",
            json!({ "type": "string", "minLength": 1 }),
        ),
        "watch" => ("`true`: not the list, but what becomes of it.", json!({ "type": "boolean", "default": false })),
        "limit" => (
            "How many at most; more than 1,000 is clamped. A page of a feed may exceed it by the rest of a change set.",
            json!({ "type": "integer", "minimum": 1, "default": limits::PAGE_ITEMS_DEFAULT }),
        ),
        "after" => (
            "Go on behind this: a cursor as an answer gave it. Feeds and watches also take `start`, `now`, an event's id, or an RFC 3339 time.",
            text(),
        ),
        "wait" => (
            "Seconds to wait for something to answer. `Prefer: wait=n` says the same.",
            json!({ "type": "integer", "minimum": 0, "maximum": limits::WAIT_SECS_MAX, "default": 0 }),
        ),
        "until" if op == Op::DeliveryList => {
            ("Only those of events that were made before this.", json!({ "type": "string", "format": "date-time" }))
        }
        "since" => ("Only those of events that were made then or later.", json!({ "type": "string", "format": "date-time" })),
        "status_code" => {
            ("Only those whose last try was answered with this.", json!({ "type": "integer", "minimum": 100, "maximum": 999 }))
        }
        "until" => (
            "With `wait`: answer when the status is one of these (`done`, or statuses joined by commas), or none of them can be reached any more.",
            json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}(,[A-Za-z][A-Za-z0-9_-]{0,62}){0,99}$" }),
        ),
        "types" => (
            "Event types or prefixes, joined by commas: `payment.*,order.shipped`.",
            json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,6}(\\.\\*)?(,[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,6}(\\.\\*)?){0,99}$", "maxLength": limits::EVENT_TYPE_BYTES_MAX }),
        ),
        "subject" => {
            ("Only events about this: `/payment/123`.", json!({ "type": "string", "minLength": 1, "maxLength": limits::SUBJECT_BYTES_MAX }))
        }
        "filter" if op == Op::EventFeed => (
            "A condition in the syntax of AIP-160 on the members of an event: `type = \"payment.*\" AND data.amount >= 1000`.",
            json!({ "type": "string", "minLength": 1, "maxLength": limits::FILTER_BYTES_MAX }),
        ),
        "filter" => (
            "A condition in the syntax of AIP-160: `status = \"completed\" AND amount >= 1000`.",
            json!({ "type": "string", "minLength": 1, "maxLength": limits::FILTER_BYTES_MAX }),
        ),
        "sort" => (
            "Up to four fields joined by commas, `-` before one for descending; the id breaks ties. `-created_at` without it.",
            json!({ "type": "string", "pattern": "^-?[A-Za-z0-9_.-]+(,-?[A-Za-z0-9_.-]+){0,3}$" }),
        ),
        "fields" => ("Only these members of each, joined by commas.", json!({ "type": "string", "minLength": 1 })),
        "min_position" => ("Not older than this `Ringback-Position` of a write.", json!({ "type": "string", "minLength": 1 })),
        "window" => ("How far back, in whole hours: `24h`.", json!({ "type": "string", "pattern": "^([1-9]|1[0-9]|2[0-4])h$" })),
        "dry_run" => ("`true`: answer what the write would make, and store nothing.", json!({ "type": "boolean", "default": false })),
        "source_version" => {
            ("As which change of its source it is gone.", json!({ "type": "integer", "minimum": 0, "maximum": limits::SOURCE_VERSION_MAX }))
        }
        "event" if op == Op::SubscriptionExplain => {
            ("Which event; it has to be given.", json!({ "type": "string", "pattern": "^evt_[0-9A-Za-z]{26}$" }))
        }
        "event" => ("Only those of this event.", json!({ "type": "string", "pattern": "^evt_[0-9A-Za-z]{26}$" })),
        "subscription" => ("Only those of this subscription.", json!({ "type": "string", "pattern": CHOSEN_ID })),
        "state" => ("Only those in this state.", json!({ "type": "string", "enum": DeliveryState::ALL.map(DeliveryState::as_str) })),
        _ => return None,
    })
}

/// A header of an answer.
pub(super) fn header(name: &str) -> Option<Value> {
    let (description, schema) = match name {
        "Allow" => ("The methods that there are.", json!({ "type": "string" })),
        "Cache-Control" => ("`no-store`: the answer is for you alone, and for once.", json!({ "type": "string" })),
        "Content-Security-Policy" => ("Nothing is loaded, nothing runs.", json!({ "type": "string" })),
        "ETag" => (
            "The version, opaque: send it back as `If-None-Match` or `If-Match`. That of a list is weak.",
            json!({ "type": "string", "pattern": "^(W/)?\".*\"$" }),
        ),
        "Idempotency-Replayed" => {
            ("`true`: this was answered before under the same Idempotency-Key.", json!({ "type": "string", "const": "true" }))
        }
        "Location" => ("Where the new thing is.", json!({ "type": "string" })),
        "RateLimit" => ("What is left of the key's rate; only if it has one.", json!({ "type": "string" })),
        "RateLimit-Policy" => ("The rate of the key; only if it has one.", json!({ "type": "string" })),
        "Retry-After" => ("Seconds after which asking again is worth it.", json!({ "type": "integer", "minimum": 0 })),
        "Ringback-Applied" => ("`false`: what the source said is old news.", json!({ "type": "string", "const": "false" })),
        "Ringback-Event" => ("The event that the write made; absent when it made none.", json!({ "type": "string", "pattern": "^evt_" })),
        "Ringback-Position" => ("The place in the log after the write.", json!({ "type": "string" })),
        "Ringback-Tenant" => ("Whose things the request was about.", json!({ "type": "string" })),
        "WWW-Authenticate" => ("How to say who you are.", json!({ "type": "string" })),
        "X-Accel-Buffering" => ("`no`, of a stream: proxies should pass on what comes.", json!({ "type": "string", "const": "no" })),
        "X-Request-Id" => ("Names this request; yours, if you sent a sane one.", json!({ "type": "string" })),
        _ => return None,
    };
    Some(json!({ "description": description, "schema": schema }))
}

/// All of [`header`], for the document's components.
pub(super) const HEADERS: [&str; 16] = [
    "Allow",
    "Cache-Control",
    "Content-Security-Policy",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Ringback-Applied",
    "Ringback-Event",
    "Ringback-Position",
    "Ringback-Tenant",
    "WWW-Authenticate",
    "X-Accel-Buffering",
    "X-Request-Id",
];

/// Whether a write's answer is kept for its Idempotency-Key. Who was handed something twice
/// would do it twice; and what is said of it a second time changes nothing.
pub(super) const fn keeps_answers(op: Op) -> bool {
    !matches!(
        op,
        Op::SubscriptionTest
            | Op::SubscriptionPull
            | Op::SubscriptionAck
            | Op::SubscriptionNack
            | Op::SubscriptionExtend
            | Op::StreamTicketCreate
    )
}

/// The headers that a request may bring, as references to the document's parameters.
pub(super) fn request_headers(route: &Route, it: &Operation) -> Vec<&'static str> {
    let mut out = Vec::new();
    if route.about != About::Nobody {
        out.push("Ringback-Tenant");
    }
    match it.conditions {
        Conditions::None => {}
        Conditions::Read => out.push("If-None-Match"),
        Conditions::Create => out.push("If-None-Match-Any"),
        Conditions::Put => out.extend(["If-None-Match-Any", "If-Match"]),
        Conditions::Write | Conditions::WriteNeeded => out.push("If-Match"),
    }
    if route.method.writes() && keeps_answers(route.op) {
        out.push("Idempotency-Key");
    }
    if route.params.names().contains(&"wait") {
        out.push("Prefer");
    }
    if route.op.streams() {
        out.push("Last-Event-ID");
    }
    out
}

/// The headers of requests, by name.
pub(super) fn header_parameters() -> Value {
    let it = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    json!({
        "Ringback-Tenant": it(
            "Ringback-Tenant",
            "Whose things the request is about. A tenant's key has its tenant; operators and gateways name one as soon as there are several, operators also `*` where reading all is possible.",
            json!({ "type": "string", "pattern": "^([a-z0-9-]{1,63}|\\*)$" }),
        ),
        "If-None-Match": it("If-None-Match", "An ETag that you have: 304 while it is still right.", json!({ "type": "string", "pattern": "^(W/)?\"[A-Za-z0-9_-]{1,60}\"$" })),
        "Last-Event-ID": it("Last-Event-ID", "Of a stream: the last `id` that was received; it goes on behind it, whatever `after` says.", json!({ "type": "string", "minLength": 1, "pattern": "^[!-~]+$" })),
        "If-None-Match-Any": it("If-None-Match", "`*`: only if it isn't there yet, else 412.", json!({ "type": "string", "const": "*" })),
        "If-Match": it("If-Match", "The ETag of what you have read: 412 if somebody has changed it.", json!({ "type": "string", "pattern": "^\"[0-9]{1,18}\"$" })),
        "Idempotency-Key": it(
            "Idempotency-Key",
            "A new UUID for each new request: the same request under it is answered once more instead of done once more, for 24 hours.",
            json!({ "type": "string", "minLength": 1, "maxLength": limits::IDEMPOTENCY_KEY_BYTES_MAX, "pattern": "^[ -~]+$" }),
        ),
        "Prefer": it("Prefer", "`wait=30`: the same as the parameter, which comes first.", json!({ "type": "string", "pattern": "^wait=[0-9]{1,2}$" })),
    })
}

/// Every code that a route can be refused with.
pub(super) fn codes(route: &Route, it: &Operation) -> BTreeSet<ErrorCode> {
    let mut all: BTreeSet<_> = it.codes.iter().copied().collect();
    all.extend([BadParameter, UriTooLong, HeadersTooLarge, Internal, Overloaded]);
    if route.about != About::Nobody {
        all.extend([Unauthenticated, Forbidden, NotFound, NotAcceptable, RateLimited, Draining]);
    }
    if matches!(route.about, About::Tenant | About::TenantOrAll) {
        all.insert(TenantRequired);
    }
    if route.method.writes() {
        all.extend([RequestTimeout, PayloadTooLarge, MalformedJson]);
        all.extend([IdempotencyInProgress, IdempotencyKeyReused, Overloaded, OutcomeUnknown, StorageFull]);
    }
    match it.body {
        Body::None => {}
        Body::Empty | Body::Optional(_) | Body::Needed(_) | Body::Patch(_) => {
            all.extend([UnsupportedMediaType, UnknownField, ValidationFailed, ReadOnlyField]);
        }
    }
    match it.conditions {
        Conditions::None | Conditions::Read => {}
        Conditions::Create | Conditions::Put | Conditions::Write => all.extend([PreconditionFailed]),
        Conditions::WriteNeeded => all.extend([PreconditionFailed, PreconditionRequired]),
    }
    let takes = |name| route.params.names().contains(&name);
    if takes("wait") {
        all.insert(TooManyWaiters);
    }
    if takes("filter") {
        all.extend([FilterSyntax, FilterAmbiguous, FilterInvalid]);
    }
    if takes("min_position") {
        all.insert(CursorEpoch);
    }
    if takes("after") {
        all.extend([CursorMismatch, CursorEpoch, CursorExpired, LogTruncated]);
    }
    all
}
