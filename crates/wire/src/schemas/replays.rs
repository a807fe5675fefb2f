//! Schemas of replays.

use super::{body, chosen_id, count, filter, made_id, object, or_null, text, time, type_patterns};
use ringback_model::{limits, replay::Only};
use serde_json::{Value, json};

fn only() -> Value {
    json!({
        "type": "string",
        "enum": Only::ALL.map(Only::as_str),
        "description": "`failed`: parked ones; `missing`: what matches today and was never delivered; `all`: what matches today.",
    })
}

fn rate(nullable: bool) -> Value {
    let it =
        json!({ "type": "integer", "minimum": 1, "maximum": limits::REPLAY_RATE_MAX_PER_S, "description": "Tries a second, at most." });
    if nullable { or_null(it) } else { it }
}

/// The body that asks for one.
pub(super) fn new_replay() -> Value {
    let place = |description: &str| json!({ "type": ["string", "null"], "minLength": 1, "maxLength": limits::URL_BYTES_MAX, "description": description });
    let mut only = or_null(only());
    if let Some(it) = only.as_object_mut() {
        it.insert("default".into(), "failed".into());
    }
    body(
        json!({
            "subscription": chosen_id("Which subscription is sent to again."),
            "since": place("After where: an RFC 3339 time, an event's id, a position, `start`. Without it, from where the subscription began."),
            "until": place("Up to where; without it, to the end of the log."),
            "types": or_null(type_patterns()),
            "filter": filter(),
            "only": only,
            "rate_max_per_s": rate(true),
            "dry_run": { "type": ["boolean", "null"], "default": false, "description": "Only count what it would pick." },
        }),
        &["subscription"],
    )
}

/// A replay.
pub(super) fn replay() -> Value {
    object(
        json!({
            "id": made_id("rpl", "One replay."),
            "subscription": chosen_id("To whom."),
            "state": { "type": "string", "enum": ["running", "done", "cancelled"] },
            "reason": text("Why it was cancelled: `asked`, `sought` when the subscription went on elsewhere, `pulled` when it is not pushed any more."),
            "only": only(),
            "types": type_patterns(),
            "filter": filter(),
            "since": or_null(text("As it was asked for.")),
            "until": or_null(text("As it was asked for.")),
            "rate_max_per_s": rate(true),
            "matched": count("Picked so far."),
            "delivered": count("Arrived."),
            "parked": count("Given up by it: they are what they were before."),
            "gone": count("Events of its stretch that retention took before it came to them, at most so many."),
            "looked_at": count("Events of its stretch that it has looked at."),
            "events": count("Events of its stretch."),
            "created_at": time("When it was asked for."),
            "ended_at": time("When it ended."),
        }),
        &["reason", "ended_at"],
    )
}

/// The answer of a dry run.
pub(super) fn counted() -> Value {
    object(
        json!({
            "dry_run": { "type": "boolean", "const": true },
            "subscription": chosen_id("To whom."),
            "only": only(),
            "matched": count("What it would pick now."),
            "gone": count("Events of its stretch that retention took, at most so many."),
            "complete": { "type": "boolean", "description": "`false`: only the first 100,000 events of its stretch were looked at." },
        }),
        &[],
    )
}
