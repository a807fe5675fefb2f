//! Schemas of whether a subscription sends, and as whom.

use ringback_model::limits;
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

pub(super) fn push_headers_given() -> Value {
    json!({
        "type": ["object", "null"], "maxProperties": limits::PUSH_HEADERS_MAX,
        "propertyNames": { "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        "additionalProperties": { "type": ["string", "null"], "pattern": "^([!-~]([ -~]*[!-~])?)?$", "maxLength": limits::PUSH_HEADER_BYTES_MAX },
        "description": "Static headers of each attempt. Names are compared without case; those that frame, route or sign a request are refused."
    })
}

pub(super) fn push_headers() -> Value {
    json!({ "type": "object", "maxProperties": limits::PUSH_HEADERS_MAX, "additionalProperties": { "type": "string" }, "description": "Static headers of each attempt." })
}
