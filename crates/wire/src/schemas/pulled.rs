//! What a pull is handed: events in each of the payload forms.

use super::{count, event_type, made_id, named, object, subject, tenant_id, text, time};
use serde_json::{Value, json};

pub(super) fn pulled() -> Value {
    object(
        json!({
            "data": {
                "type": "array",
                "items": {
                    "anyOf": [
                        named("Event"),
                        named("ThinEvent"),
                        named("CloudEvent"),
                        { "description": "The data of an event alone: the resource after the change, or what was published, which may be any JSON." },
                    ],
                },
                "description": "As the subscription's `payload` writes them: `full` an Event, `thin` a ThinEvent, `cloudevents` a CloudEvent, `data` and `cloudevents-binary` the data alone (a pull has no headers for each).",
            },
            "tries": { "type": "object", "additionalProperties": { "type": "integer", "minimum": 2 }, "description": "How often each was handed out or tried, by id, where that is more than once." },
            "ack": text("What acknowledges them."),
            "lease_until": time("Until when nobody else gets them."),
            "lag": count("Events of the tenant that are not settled, filter not applied."),
        }),
        &["tries"],
    )
}

/// An event in the form `thin`.
pub(super) fn thin_event() -> Value {
    object(
        json!({
            "id": made_id("evt", "The same on every delivery and in every feed."),
            "type": event_type("What happened."),
            "timestamp": time("When it was decided."),
            "tenant": tenant_id("Whose it is."),
            "sequence": { "type": "integer", "minimum": 1, "description": "Dense within the tenant." },
            "subject": subject(),
            "occurred_at": time("When the publisher says it happened; only if he did."),
            "data": object(
                json!({
                    "id": text("Of the resource."),
                    "type": text("Of the resource."),
                    "version": { "type": "integer", "minimum": 1, "description": "The version that the event made." },
                    "url": { "type": "string", "format": "uri", "description": "Where that version is, or an event that is about no resource." },
                }),
                &["id", "type", "version"],
            ),
        }),
        &["subject", "occurred_at"],
    )
}

/// An event in the form `cloudevents`.
pub(super) fn cloud_event() -> Value {
    object(
        json!({
            "specversion": { "type": "string", "const": "1.0" },
            "id": made_id("evt", "The same on every delivery and in every feed."),
            "source": { "type": "string", "format": "uri", "description": "With `/` and the `id` behind it, where the event is." },
            "type": event_type("What happened."),
            "time": time("When it happened, says the publisher; else when it was decided."),
            "subject": subject(),
            "recordedtime": time("When it was decided, if `time` is the publisher's."),
            "sequence": { "type": "string", "pattern": "^[0-9]{20}$", "description": "Sorts as the numbers do." },
            "tenant": tenant_id("Whose it is."),
            "datacontenttype": { "type": "string", "const": "application/json" },
            "data": { "description": "The resource after the change, or what was published, verbatim." },
        }),
        &["subject", "recordedtime"],
    )
}
