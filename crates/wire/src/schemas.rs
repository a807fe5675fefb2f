//! JSON Schemas (2020-12) of the public JSON, as the OpenAPI document shows them.
//!
//! Written by hand beside the structs and readers that they describe, because
//! what is read is stricter than what any derive could say. They can't drift:
//! the tests of the routes judge every answer, and every body that was taken,
//! by them, and a member that is missing here is a failing test.
//!
//! Not here: resources, whose schema their type declares, and which route
//! answers what (`ringback_server::openapi`).

mod access;
mod deliveries;
mod pulled;
mod replays;
mod signing;

use crate::ErrorCode;
use ringback_model::{key::Scope, limits};
use serde_json::{Map, Value, json};

/// Every named schema, in order of name.
#[must_use]
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Ack", ack()),
        ("Advice", advice()),
        ("Attempt", deliveries::attempt()),
        ("Batch", batch()),
        ("BatchResults", batch_results()),
        ("CloudEvent", pulled::cloud_event()),
        ("CountedReplay", replays::counted()),
        ("Delivery", deliveries::delivery()),
        ("DryRun", dry_run()),
        ("Erasure", erasure()),
        ("Event", event()),
        ("EventType", known_event_type()),
        ("Explained", deliveries::explained()),
        ("Extend", extend()),
        ("FieldProblem", field_problem()),
        ("Health", health()),
        ("Key", key()),
        ("Log", log()),
        ("Metadata", metadata()),
        ("Nack", nack()),
        ("NewErasure", new_erasure()),
        ("NewEvent", new_event()),
        ("NewKey", new_key()),
        ("NewPush", new_push()),
        ("NewReplay", replays::new_replay()),
        ("NewSubscription", new_subscription()),
        ("NewTicket", new_ticket()),
        ("PatchPush", patch_push()),
        ("PatchSubscription", patch_subscription()),
        ("Problem", problem()),
        ("Pull", pull()),
        ("Pulled", pulled::pulled()),
        ("Push", push()),
        ("PutTenant", put_tenant()),
        ("Replay", replays::replay()),
        ("Resume", resume()),
        ("Rotate", signing::rotate()),
        ("RotatedKeys", signing::rotated_keys()),
        ("Seek", seek()),
        ("Settled", settled()),
        ("SigningKey", signing::signing_key()),
        ("SigningKeys", signing::signing_keys()),
        ("Status", status()),
        ("Subscription", subscription()),
        ("Tenant", tenant()),
        ("Test", deliveries::test()),
        ("ThinEvent", pulled::thin_event()),
        ("Ticket", ticket()),
        ("Timings", deliveries::timings()),
        ("TypeDeclaration", type_declaration()),
        ("TypeSummary", type_summary()),
    ]
}

/// A reference to one of [`all`], or to a schema that the document adds.
#[must_use]
pub fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A page of a list of these.
#[must_use]
pub fn list_of(item: Value) -> Value {
    object(
        json!({
            "data": { "type": "array", "items": item },
            "next_cursor": { "type": "string", "description": "Send it back as `after` for the next page. Absent on the last one." },
        }),
        &["next_cursor"],
    )
}

/// A page of a list of these, from whose moment the log can be followed.
#[must_use]
pub fn watchable_list_of(item: Value) -> Value {
    object(
        json!({
            "data": { "type": "array", "items": item },
            "next_cursor": { "type": "string", "description": "Send it back as `after`, filter and sort unchanged, for the next page. Absent on the last one." },
            "watch_cursor": { "type": "string", "description": "The moment that all pages show, as a position: follow the log from there, and you have missed nothing." },
        }),
        &["next_cursor"],
    )
}

/// A page of a feed of these.
#[must_use]
pub fn feed_of(item: Value) -> Value {
    object(
        json!({
            "data": { "type": "array", "items": item, "description": "In log order; a page never ends inside a change set." },
            "cursor": { "type": "string", "description": "The scanned-to position: send it back as `after`. It moves also when nothing matched." },
            "has_more": { "type": "boolean", "description": "Whether there was more when it was read." },
            "lag": { "type": "integer", "minimum": 0, "description": "Events of the tenant after `cursor`, filter not applied." },
        }),
        &[],
    )
}

/// What became of one row of a list that is watched.
#[must_use]
pub fn change_of(row: Value) -> Value {
    let mut erased = body(
        json!({
            "id": { "type": "string" },
            "type": { "type": "string" },
            "tenant": { "type": "string" },
            "version": { "type": "integer", "minimum": 1 },
        }),
        &["id", "type", "tenant", "version"],
    );
    if let Some(members) = erased.as_object_mut() {
        members.insert("description".into(), "Of a `delete` whose image was erased: what is left of it.".into());
    }
    object(
        json!({
            "change": { "type": "string", "enum": ["enter", "update", "leave", "delete"], "description": "What it did to the list, filter applied." },
            "event": made_id("evt", "The event that did it."),
            "resource": { "anyOf": [row, erased] },
        }),
        &[],
    )
}

/// An object that has all of these members, but for the optional ones.
#[must_use]
pub fn object(properties: Value, optional: &[&str]) -> Value {
    let required: Vec<_> =
        properties.as_object().map(Map::keys).into_iter().flatten().filter(|it| !optional.contains(&it.as_str())).collect();
    let mut out = json!({ "type": "object", "required": required, "properties": properties });
    if let (true, Some(members)) = (required.is_empty(), out.as_object_mut()) {
        members.shift_remove("required");
    }
    out
}

/// A body that is read: members that aren't listed are refused.
#[must_use]
pub fn body(properties: Value, required: &[&str]) -> Value {
    let mut out = json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    if let (true, Some(members)) = (required.is_empty(), out.as_object_mut()) {
        members.shift_remove("required");
    }
    out
}

/// RFC 3339, UTC, microseconds.
#[must_use]
pub fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

/// Text for people or programs.
#[must_use]
pub fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.clone(), "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    schema
}

fn made_id(prefix: &str, description: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$"), "description": description })
}

fn chosen_id(description: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^[A-Za-z0-9._~-]{{1,{}}}$", limits::CHOSEN_ID_BYTES_MAX), "description": description })
}

fn tenant_id(description: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^[a-z0-9-]{{1,{}}}$", limits::TENANT_ID_BYTES_MAX), "description": description })
}

fn event_type(description: &str) -> Value {
    json!({
        "type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,7}$", "maxLength": limits::EVENT_TYPE_BYTES_MAX,
        "description": description
    })
}

fn type_patterns() -> Value {
    json!({
        "type": "array", "maxItems": limits::SUBSCRIPTION_TYPES_MAX,
        "items": { "type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,7}(\\.\\*)?$", "maxLength": limits::EVENT_TYPE_BYTES_MAX },
        "description": "Exact names or prefixes `a.*`. Empty: all but `ringback.*`."
    })
}

fn subject() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": limits::SUBJECT_BYTES_MAX, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "description": "What it is about: `/payment/123`, or any text that a publisher chose. At most 512 bytes." })
}

fn description() -> Value {
    json!({ "type": "string", "maxLength": limits::DESCRIPTION_BYTES_MAX, "description": "For people. At most 1,000 bytes." })
}

fn metadata() -> Value {
    json!({
        "type": "object", "maxProperties": limits::METADATA_ENTRIES_MAX,
        "propertyNames": { "minLength": 1, "maxLength": limits::METADATA_ENTRY_BYTES_MAX },
        "additionalProperties": { "type": "string", "maxLength": limits::METADATA_ENTRY_BYTES_MAX },
        "description": "For programs: up to 50 entries of at most 500 bytes."
    })
}

/// Entries that are `null` aren't there: so that what was read can be sent back, and a patch can remove one.
fn metadata_given() -> Value {
    json!({
        "type": ["object", "null"], "maxProperties": limits::METADATA_ENTRIES_MAX,
        "propertyNames": { "minLength": 1, "maxLength": limits::METADATA_ENTRY_BYTES_MAX },
        "additionalProperties": { "type": ["string", "null"], "maxLength": limits::METADATA_ENTRY_BYTES_MAX },
        "description": "For programs: up to 50 entries of at most 500 bytes."
    })
}

fn field_problem() -> Value {
    object(
        json!({
            "pointer": text("RFC 6901 pointer into the body; empty for the body itself."),
            "parameter": text("Name of a query parameter or header."),
            "code": text("For programs: `unknown-field`, `required`, `invalid`, `read-only-field` …"),
            "detail": text("What is wrong and what to do."),
        }),
        &["pointer", "parameter"],
    )
}

fn problem() -> Value {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|it| it.as_str()).collect();
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let mut out = object(
        json!({
            "type": { "type": "string", "pattern": "^urn:ringback:error:[a-z-]+$" },
            "code": { "type": "string", "enum": codes, "description": "What programs match on. Stable." },
            "title": text("The kind of problem in a few words."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text("What is wrong and what to do next. For people; may change."),
            "request_id": text("As in `X-Request-Id`: name it when you ask about this."),
            "retryable": { "type": "boolean", "description": "Whether the same request may succeed later." },
            "errors": { "type": "array", "items": named("FieldProblem"), "description": "The single places that are wrong." },
            "allowed": strings,
            "conflicting_id": text("Of `already-exists`: what has the id or key."),
            "count": { "type": "integer", "minimum": 0, "description": "Of `schema-incompatible`: how many resources would break it." },
            "current": { "description": "Of `precondition-failed`: what is there now." },
            "current_state": text("Of `subscription-not-active`."),
            "current_status": text("Of `transition-not-allowed`."),
            "etag": text("Of `precondition-failed`: the ETag of `current`."),
            "limit": { "type": "integer", "description": "Of `limit-reached`." },
            "missing_index": strings,
            "operation": { "type": "integer", "minimum": 0, "description": "Of a batch: which operation was refused." },
            "oldest": { "description": "Of `log-truncated`: where to begin. A position for `after`, or of versions the number of the first one that is there." },
            "requested": text("The transition that was asked for."),
            "required_scope": text("Of `forbidden`: what the key lacks."),
        }),
        &[
            "request_id",
            "errors",
            "allowed",
            "conflicting_id",
            "count",
            "current",
            "current_state",
            "current_status",
            "etag",
            "limit",
            "missing_index",
            "operation",
            "oldest",
            "requested",
            "required_scope",
        ],
    );
    if let Some(members) = out.as_object_mut() {
        members.insert("description".into(), "RFC 9457. Every 4xx and 5xx answers it; some codes have further members.".into());
    }
    out
}

fn event() -> Value {
    object(
        json!({
            "id": made_id("evt", "The same on every delivery and in every feed."),
            "type": event_type("What happened."),
            "timestamp": time("When it was decided."),
            "tenant": tenant_id("Whose it is."),
            "sequence": { "type": "integer", "minimum": 1, "description": "Dense within the tenant." },
            "subject": subject(),
            "occurred_at": time("When the publisher says it happened; only if he did."),
            "erased_at": time("When its data was erased; only then. `data` is `null`, and there is no subject."),
            "data": { "description": "The resource after the change, or what was published, verbatim." },
            "previous": { "type": "object", "description": "Each top-level member whose value changed, with its old value, `null` if it was absent. Only of changes of resources." },
            "repeated": { "type": "boolean", "const": true, "description": "Only in the answer to publishing a key again: it was stored before." },
        }),
        &["subject", "occurred_at", "erased_at", "previous", "repeated"],
    )
}

fn new_event() -> Value {
    body(
        json!({
            "type": event_type("What happened. Its first segment must not belong to a type, a source or `ringback`."),
            "subject": or_null(subject()),
            "data": { "description": "Any JSON. Kept verbatim but for white space outside strings." },
            "key": { "type": ["string", "null"], "pattern": format!("^[ -~]{{1,{}}}$", limits::EVENT_KEY_BYTES_MAX), "description": "Your own, unique per tenant while the event is kept: the same content again is answered 200 with the stored event." },
            "occurred_at": or_null(time("When it happened, if that isn't now.")),
            "audience": { "type": ["string", "null"], "enum": ["tenant", "operator", null], "default": "tenant", "description": "`operator`: never shown or pushed to tenants." },
            "expires_at": or_null(time("From when on it is not delivered any more: what is still owed then is parked as `expired`. It is not part of the event, and feeds go on showing it.")),
        }),
        &["type", "data"],
    )
}

fn delays() -> Value {
    json!({
        "type": "array", "minItems": 1, "maxItems": limits::RETRY_DELAYS_MAX,
        "items": { "type": "integer", "minimum": 1, "maximum": limits::RETRY_DELAY_SECS_MAX },
        "description": "Mean seconds before the second, third … try; the actual delay is up to twice that."
    })
}

fn timeout_ms() -> Value {
    let (min, max, default) = limits::ATTEMPT_TIMEOUT_MS;
    json!({ "type": "integer", "minimum": min, "maximum": max, "default": default, "description": "Deadline of one attempt, all of it." })
}

fn concurrency_max() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": limits::CONCURRENCY_MAX, "default": limits::CONCURRENCY_DEFAULT, "description": "Tries in flight at once, at most." })
}

fn rate_max_per_s() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 1, "maximum": limits::PUSH_RATE_MAX_PER_S, "description": "Tries a second, at most; `null`: as many as the endpoint takes." })
}

fn filter() -> Value {
    json!({ "type": ["string", "null"], "minLength": 1, "maxLength": limits::FILTER_BYTES_MAX, "description": "A condition on the event in the syntax of AIP-160: `data.amount >= 1000`." })
}

fn url() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": limits::URL_BYTES_MAX, "description": "Where events are POSTed: https, publicly reachable, port 443 or 8443 unless the operator allows more." })
}

fn push() -> Value {
    object(
        json!({
            "url": url(),
            "headers": access::push_headers(),
            "timeout_ms": timeout_ms(),
            "concurrency_max": concurrency_max(),
            "rate_max_per_s": rate_max_per_s(),
            "retry": object(json!({ "delays": delays() }), &[]),
            "signing": signing::algorithm(),
            "profile": signing::profile(),
            "webhook_id": signing::webhook_id(),
            "auth": access::auth(),
            "public_key": signing::public_key(),
            "secret": signing::secret("Only in the answer to its making, or to its becoming a pushed one: keep it."),
        }),
        &["auth", "public_key", "secret"],
    )
}

fn retry_given() -> Value {
    or_null(body(json!({ "delays": or_null(delays()) }), &[]))
}

fn new_push() -> Value {
    body(
        json!({
            "url": url(),
            "secret": or_null(signing::secret_given()),
            "headers": access::push_headers_given(),
            "auth": access::auth_given(),
            "timeout_ms": or_null(timeout_ms()),
            "concurrency_max": or_null(concurrency_max()),
            "rate_max_per_s": rate_max_per_s(),
            "retry": retry_given(),
            "signing": or_null(signing::algorithm()),
            "profile": or_null(signing::profile()),
            "webhook_id": or_null(signing::webhook_id()),
        }),
        &["url"],
    )
}

fn patch_push() -> Value {
    body(
        json!({
            "url": url(),
            "headers": access::push_headers_given(),
            "auth": access::auth_given(),
            "timeout_ms": or_null(timeout_ms()),
            "concurrency_max": or_null(concurrency_max()),
            "rate_max_per_s": rate_max_per_s(),
            "retry": retry_given(),
            "signing": or_null(signing::algorithm()),
            "profile": or_null(signing::profile()),
            "webhook_id": or_null(signing::webhook_id()),
        }),
        &[],
    )
}

const ORDERS: [&str; 2] = ["none", "subject"];

fn payload() -> Value {
    json!({ "type": "string", "enum": signing::payload_forms(), "default": "full", "description": "`full`: exactly the bytes of `GET /v1/events/{id}`. `data`: its data alone. `thin`: with a URL in the place of `data`. `cloudevents`: one of CloudEvents 1.0, all in the body; `cloudevents-binary`: its attributes as headers." })
}

fn order() -> Value {
    json!({ "type": "string", "enum": ORDERS, "default": "none", "description": "`subject`: one delivery of each subject at a time, in log order." })
}

fn until() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}(,[A-Za-z][A-Za-z0-9_-]{0,62}){0,99}$", "description": "`done`, or statuses joined by commas: with `subject`, calls once when the resource reaches one of them." })
}

fn health() -> Value {
    object(
        json!({
            "state": { "type": "string", "enum": ["ok", "failing", "open", "probing", "unroutable"] },
            "why": or_null(text("A reason, where there is one: `exceptions-full` …")),
            "since": time("Since when."),
        }),
        &[],
    )
}

fn subscription() -> Value {
    object(
        json!({
            "id": chosen_id("`sub_…`, or chosen."),
            "tenant": { "type": "string", "pattern": "^([a-z0-9-]{1,63}|\\*)$", "description": "Whose events it reads; `*` for an operator's over all tenants." },
            "description": description(),
            "metadata": named("Metadata"),
            "types": type_patterns(),
            "strict": { "type": "boolean", "description": "Whether exact types that nothing declares or has published are refused." },
            "subject": or_null(subject()),
            "until": or_null(until()),
            "filter": filter(),
            "from": text("Where it was asked to begin."),
            "payload": payload(),
            "order": order(),
            "state": access::state(),
            "push": named("Push"),
            "cursor": text("Everything at or below this position is settled."),
            "lag": { "type": "integer", "minimum": 0, "description": "Events of the tenant after `cursor`, filter not applied." },
            "shadowed": access::shadowed(),
            "oldest_at": time("When the first of these was made. Absent when there is none, and in lists."),
            "health": named("Health"),
            "revision": { "type": "integer", "minimum": 0, "description": "Raised by each change of what is matched and how it is written." },
            "created_at": time("When it was made."),
            "skipped": count("Only in the answer of a resume: events that it passes over, filter not applied."),
            "waits": deliveries::waits(),
        }),
        &["push", "oldest_at", "shadowed", "skipped", "waits"],
    )
}

fn new_subscription() -> Value {
    body(
        json!({
            "tenant": { "type": ["string", "null"], "pattern": "^([a-z0-9-]{1,63}|\\*)$", "description": "The request's, if it is left out." },
            "description": or_null(description()),
            "metadata": metadata_given(),
            "types": or_null(type_patterns()),
            "strict": { "type": ["boolean", "null"], "default": true },
            "subject": or_null(subject()),
            "until": or_null(until()),
            "filter": filter(),
            "from": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::URL_BYTES_MAX, "default": "now", "description": "`now`, `start`, or a position." },
            "payload": or_null(payload()),
            "order": or_null(order()),
            "state": access::state_given(),
            "push": { "anyOf": [named("NewPush"), { "type": "null" }], "description": "Without it, events are pulled." },
        }),
        &[],
    )
}

fn patch_subscription() -> Value {
    body(
        json!({
            "description": or_null(description()),
            "metadata": metadata_given(),
            "types": or_null(type_patterns()),
            "filter": filter(),
            "strict": { "type": ["boolean", "null"] },
            "payload": or_null(payload()),
            "order": or_null(order()),
            "state": access::state_given(),
            "push": { "anyOf": [named("PatchPush"), { "type": "null" }], "description": "`null`: events are pulled from now on." },
        }),
        &[],
    )
}

fn resume() -> Value {
    body(
        json!({ "from": { "type": ["string", "null"], "enum": ["cursor", "now", null], "default": "cursor", "description": "`now` skips what came meanwhile." } }),
        &[],
    )
}

fn lease() -> Value {
    let (min, max, default) = limits::LEASE_SECS;
    json!({ "type": ["integer", "null"], "minimum": min, "maximum": max, "default": default, "description": "Seconds for which nobody else gets them." })
}

fn pull() -> Value {
    body(
        json!({
            "limit": { "type": ["integer", "null"], "minimum": 1, "default": limits::PAGE_ITEMS_DEFAULT, "description": "Events at most; more than 1,000 is clamped." },
            "wait": { "type": ["integer", "null"], "minimum": 0, "maximum": limits::WAIT_SECS_MAX, "default": 0, "description": "Seconds to wait for a first one." },
            "lease": lease(),
        }),
        &[],
    )
}

/// The members of a word about pulled events, and one more that only that word has.
fn about_pulled(more: Option<(&str, Value)>) -> Value {
    let mut members = Map::new();
    members.insert(
        "ack".into(),
        json!({ "type": "string", "minLength": 1, "maxLength": limits::ACK_TOKEN_CHARS_MAX, "description": "As the pull answered it." }),
    );
    members.insert(
        "events".into(),
        json!({ "type": ["array", "null"], "minItems": 1, "maxItems": limits::PAGE_ITEMS_MAX, "items": made_id("evt", "One of that answer."), "description": "Some of them; all of them, if it is left out." }),
    );
    members.extend(more.map(|(name, schema)| (name.to_owned(), schema)));
    body(members.into(), &["ack"])
}

fn ack() -> Value {
    about_pulled(None)
}

fn nack() -> Value {
    let delay = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": limits::NACK_DELAY_SECS_MAX, "default": 0, "description": "Seconds after which they are handed out again." });
    about_pulled(Some(("delay", delay)))
}

fn extend() -> Value {
    about_pulled(Some(("lease", lease())))
}

fn settled() -> Value {
    object(
        json!({
            "settled": count("Events that it was done for."),
            "late": { "type": "array", "items": made_id("evt", "One that was settled or parked already.") },
            "lease_until": time("Of an extension: until when they are held now."),
        }),
        &["lease_until"],
    )
}

fn seek() -> Value {
    body(
        json!({ "to": { "type": "string", "minLength": 1, "maxLength": limits::URL_BYTES_MAX, "description": "`start`, `now`, a position, an event's id, or an RFC 3339 time." } }),
        &["to"],
    )
}

fn new_ticket() -> Value {
    body(
        json!({ "url": { "type": "string", "minLength": 1, "maxLength": limits::URI_BYTES_MAX, "description": "Path and query of the stream: `/v1/events?types=payment.*`." } }),
        &["url"],
    )
}

fn ticket() -> Value {
    object(
        json!({
            "ticket": text("Sent as `?ticket=`."),
            "url": text("The whole URL of the stream, ticket included."),
            "expires_at": time("Until when it has to be used for the first time."),
        }),
        &[],
    )
}

fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn advice() -> Value {
    let age = |description: &str| json!({ "type": ["integer", "null"], "minimum": 0, "description": description });
    let poller = object(
        json!({
            "key": text("`key_…`."),
            "route": text("`/payment/{id}/status`."),
            "polls": count("Answers to questions that did not wait, but for first looks."),
            "useless": count("Those that showed nothing new."),
            "staleness_ms": object(json!({ "p50": age("Half were at most so old."), "p95": age("95 of 100 were.") }), &[]),
            "missed": count("Statuses that were entered and left unseen."),
            "instead": object(
                json!({
                    "long_poll": object(json!({ "requests": count("With `wait=60`.") }), &[]),
                    "push": object(json!({ "deliveries": count("Of a push subscription.") }), &[]),
                }),
                &[],
            ),
        }),
        &[],
    );
    let endpoint = object(json!({ "subscription": text("Its id."), "tenant": text("Its owner."), "why": text("What is wrong.") }), &[]);
    object(
        json!({
            "window": text("How far back: `24h`."),
            "pollers": { "type": "array", "items": poller },
            "endpoints": { "type": "array", "items": endpoint },
            "too_little_data": { "type": "boolean", "description": "Whether there were too few polls to advise anything." },
        }),
        &[],
    )
}

fn known_event_type() -> Value {
    object(
        json!({
            "type": event_type("Its name."),
            "owner": text("Who makes such events: `type:payment`, `ringback`, or `publishers`."),
            "description": text("For people."),
            "schema": { "description": "JSON Schema of `data`." },
            "example": { "description": "A `data` as it might be." },
            "last_seen": time("When the last one was stored, to the minute."),
        }),
        &["description", "schema", "example", "last_seen"],
    )
}

fn batch() -> Value {
    let operation = body(
        json!({
            "method": { "type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE"] },
            "path": { "type": "string", "minLength": 1, "pattern": "^/", "description": "Where it would be sent alone, with its query." },
            "body": { "description": "What it would be sent with alone." },
            "if_match": { "type": ["string", "null"], "description": "What would stand in `If-Match`." },
        }),
        &["method", "path"],
    );
    body(
        json!({ "operations": { "type": "array", "minItems": 1, "maxItems": limits::BATCH_OPERATIONS_MAX, "items": operation } }),
        &["operations"],
    )
}

fn batch_results() -> Value {
    let result = object(
        json!({
            "status": { "type": "integer", "minimum": 200, "maximum": 299, "description": "What it would have been answered with alone." },
            "etag": text("Of what it made."),
            "applied": { "type": "boolean", "const": false, "description": "Only of a mirrored resource whose source said old news." },
            "body": { "description": "What it would have been answered with alone." },
        }),
        &["etag", "applied", "body"],
    );
    object(json!({ "results": { "type": "array", "items": result } }), &[])
}

fn dry_run() -> Value {
    object(
        json!({
            "dry_run": { "type": "boolean", "const": true },
            "resource": { "type": ["object", "null"], "description": "As it would be; `null` where the write is about no single one." },
            "events": { "type": "array", "items": { "type": "object" }, "description": "Those that would be made." },
        }),
        &[],
    )
}

fn type_summary() -> Value {
    let names = json!({ "type": "array", "items": { "type": "string" } });
    object(
        json!({
            "type": text("Its name."),
            "path": text("Where its resources are."),
            "managed_by": { "type": "string", "enum": ["file", "api"], "description": "`file`: read-only over HTTP." },
            "statuses": names,
            "done": names,
            "transitions": names,
            "events": names,
            "mirror": { "type": "boolean", "const": true, "description": "Only of types whose truth lives elsewhere." },
            "examples": { "type": "array", "description": "Bodies that create one." },
        }),
        &["mirror"],
    )
}

fn type_declaration() -> Value {
    json!({
        "type": "object", "required": ["type", "lifecycle"], "additionalProperties": true,
        "properties": {
            "type": { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}$" },
            "path": { "type": "string", "maxLength": limits::TYPE_PATH_BYTES_MAX },
            "schema": { "type": "object", "description": "JSON Schema 2020-12 of the fields." },
            "lifecycle": {
                "oneOf": [
                    { "type": "string", "description": "`created -> paid -> shipped | cancelled`" },
                    { "type": "object", "description": "`initial`, `statuses`, `transitions`." },
                ]
            },
            "examples": { "type": "array", "maxItems": limits::EXAMPLES_MAX },
        },
        "description": "A type as it was declared; the guide to types lists all members."
    })
}

fn tenant() -> Value {
    object(
        json!({ "id": tenant_id("Chosen by the operator."), "name": text("For people."), "metadata": named("Metadata"), "created_at": time("When it was made.") }),
        &[],
    )
}

fn erasure() -> Value {
    object(
        json!({
            "id": made_id("era", "Its id."),
            "tenant": tenant_id("Whose data."),
            "state": { "type": "string", "enum": ["running", "done"], "description": "`done` when nothing is left in the data directory." },
            "erased": { "type": "integer", "minimum": 0, "description": "How many events are erased." },
            "created_at": time("When it was asked for."),
        }),
        &[],
    )
}

fn new_erasure() -> Value {
    let mut schema = body(
        json!({
            "subject": or_null(subject()),
            "event": { "type": ["string", "null"], "pattern": "^evt_[0-9a-hjkmnp-tv-z]{26}$", "description": "One event." },
            "key": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::EVENT_KEY_BYTES_MAX, "description": "The event that was published with this key." },
            "tenant": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::TENANT_ID_BYTES_MAX, "description": "All of this tenant, which `Ringback-Tenant` names, too." },
        }),
        &[],
    );
    if let Some(it) = schema.as_object_mut() {
        it.insert("description".into(), "Exactly one of them.".into());
    }
    schema
}

fn put_tenant() -> Value {
    body(
        json!({
            "name": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::DESCRIPTION_BYTES_MAX, "description": "For people; the id if it is left out." },
            "metadata": metadata_given(),
        }),
        &[],
    )
}

fn scopes(role_note: &str) -> Value {
    let all: Vec<_> = Scope::ALL.iter().map(|it| it.as_str()).collect();
    json!({ "type": "array", "items": { "type": "string", "enum": all }, "description": role_note })
}

fn key() -> Value {
    object(
        json!({
            "id": made_id("key", "Its id; not the key itself."),
            "role": { "type": "string", "enum": ["operator", "gateway", "tenant"] },
            "tenant": tenant_id("The one tenant of a tenant key."),
            "scopes": scopes("What it may do."),
            "description": description(),
            "expires_at": time("From when on it is refused."),
            "rate_max_per_s": { "type": "integer", "minimum": 1, "description": "Requests a second that it may make; any number if it is absent." },
            "last_used_at": time("When it was last used, where that is known."),
            "key": { "type": "string", "pattern": "^rbk_", "description": "The key itself: only in the answer to its making." },
        }),
        &["tenant", "expires_at", "rate_max_per_s", "last_used_at", "key"],
    )
}

fn new_key() -> Value {
    let mut scopes = scopes("All of the role's if they are left out; never more than those, or than the maker's.");
    if let Some(members) = scopes.as_object_mut() {
        members.insert("minItems".into(), 1.into());
    }
    body(
        json!({
            "role": { "type": ["string", "null"], "enum": ["tenant", "gateway", "operator", null], "default": "tenant" },
            "tenant": or_null(tenant_id("Whose, for a tenant key; the request's if it is left out.")),
            "scopes": or_null(scopes),
            "description": or_null(description()),
            "expires_at": or_null(time("From when on it is refused.")),
            "rate_max_per_s": { "type": ["integer", "null"], "minimum": 1, "maximum": limits::RATE_PER_S_MAX, "description": "Requests a second; any number if it is left out." },
        }),
        &[],
    )
}

fn log() -> Value {
    object(
        json!({
            "first": { "type": "integer", "minimum": 1, "description": "The first place that is still there." },
            "last": { "type": "integer", "minimum": 0, "description": "The last place; 0 before the first event." },
            "floor": { "type": "integer", "minimum": 0, "description": "Events at or below it are gone by retention." },
            "epoch": { "type": "integer", "minimum": 0, "description": "The life of the log: raised by a restore." },
            "deliveries_held": { "type": "boolean", "description": "Whether deliveries wait for a release after a restore." },
        }),
        &[],
    )
}

fn status() -> Value {
    let names = json!({ "type": "array", "items": { "type": "string" } });
    object(
        json!({
            "id": text("The resource's."),
            "status": text("Where it stands."),
            "done": { "type": "boolean", "description": "Whether the outcome that people wait for is known." },
            "version": { "type": "integer", "minimum": 1 },
            "since": time("When the status was entered."),
            "next": names,
            "events": names,
            "subscribe": object(
                json!({ "subject": text("The resource."), "until": text("`done`."), "push": object(json!({ "url": text("To be replaced.") }), &[]) }),
                &[],
            ),
        }),
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_references_lead_somewhere() {
        let all = all();
        assert!(all.windows(2).all(|it| it[0].0 < it[1].0));
        for (name, schema) in &all {
            for target in schema.to_string().split("#/components/schemas/").skip(1) {
                let target = target.split('"').next().unwrap_or_default();
                assert!(all.iter().any(|it| it.0 == target), "{name} refers to {target}");
            }
        }
    }
}
