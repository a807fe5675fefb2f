//! Schemas of deliveries: what became of them, their attempts, tests, and what waits.

use super::{body, chosen_id, count, event_type, made_id, named, object, or_null, subject, text, time};
use serde_json::{Value, json};

pub(super) fn delivery() -> Value {
    object(
        json!({
            "id": made_id("dlv", "One event owed to one subscription."),
            "subscription": chosen_id("To whom."),
            "event": made_id("evt", "What."),
            "type": event_type("The event's."),
            "subject": or_null(subject()),
            "state": { "type": "string", "enum": ["pending", "delivering", "delivered", "retrying", "parked", "skipped"] },
            "reason": text("Why it is in that state, where there is more to say."),
            "tries": { "type": "integer", "minimum": 0, "description": "Tries spent." },
            "due_at": time("Not tried before then."),
            "created_at": time("When the event was made, or the exception."),
            "last_attempt": named("Attempt"),
        }),
        &["reason", "due_at", "last_attempt"],
    )
}

pub(super) fn explained() -> Value {
    let states = ["not-matched", "pending", "delivering", "delivered", "retrying", "parked", "skipped"];
    let clause = json!({ "clause": text("What was asked: `types`, or a condition of the filter."), "matched": { "type": "boolean" }, "why": text("What was found.") });
    let clauses = json!({ "type": "array", "items": object(clause, &[]), "description": "In the order in which they are asked." });
    let verdict = json!({ "type": "string", "enum": states });
    object(json!({ "verdict": verdict, "clauses": clauses, "delivery": named("Delivery") }), &["delivery"])
}

pub(super) fn attempt() -> Value {
    object(
        json!({
            "id": made_id("att", "One try."),
            "delivery": made_id("dlv", "Of which delivery. A test has none."),
            "n": { "type": "integer", "minimum": 1 },
            "at": time("When it began."),
            "via": { "type": "string", "enum": ["schedule", "probe", "manual", "replay", "test", "pull"] },
            "outcome": { "type": "string", "enum": ["delivered", "failed", "unknown", "unroutable"] },
            "reason": text("Why it did not succeed."),
            "status_code": { "type": "integer", "minimum": 100, "maximum": 999, "description": "What the endpoint answered." },
            "timings_ms": named("Timings"),
            "peer": text("The address that was called."),
            "response": object(
                json!({
                    "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                    "body": text("The beginning of it, at most 4 KiB."),
                    "truncated": { "type": "boolean" },
                }),
                &[],
            ),
        }),
        &["delivery", "reason", "status_code", "peer", "response"],
    )
}

pub(super) fn timings() -> Value {
    let phase = json!({ "type": ["integer", "null"], "minimum": 0 });
    object(json!({ "dns": phase, "connect": phase, "tls": phase, "first_byte": phase, "total": { "type": "integer", "minimum": 0 } }), &[])
}

/// What a pause answers beside the subscription.
pub(super) fn waits() -> Value {
    let mut it = object(
        json!({
            "events": count("Events of its log that it has not come to, filter not applied."),
            "retries": count("Deliveries that failed and are tried again, and those that wait behind them."),
        }),
        &[],
    );
    if let Some(it) = it.as_object_mut() {
        it.insert("description".into(), "Only in the answer of a pause: what waits.".into());
    }
    it
}

/// The body of a test.
pub(super) fn test() -> Value {
    body(json!({ "type": or_null(event_type("Of which an example is sent; one that fits the subscription, if it is left out.")) }), &[])
}
