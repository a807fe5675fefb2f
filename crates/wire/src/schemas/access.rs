//! Schemas of whether a subscription sends, and as whom.

use serde_json::{Value, json};

pub(super) fn state() -> Value {
    json!({ "type": "string", "enum": ["active", "paused", "shadow", "suspended", "done"], "description": "Bodies may say `active`, `paused` or `shadow`; the others come by themselves." })
}

pub(super) fn state_given() -> Value {
    json!({ "type": ["string", "null"], "enum": ["active", "paused", "shadow", null], "description": "`shadow`: what matches is rendered, signed and counted, and not sent. Left out, it stays as it is; a new one is active." })
}

pub(super) fn shadowed() -> Value {
    json!({ "type": "integer", "minimum": 0, "description": "Events that were matched, rendered, signed and counted in the shadow, and not sent. Absent if it never was in the shadow." })
}
