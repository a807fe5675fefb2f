//! Schemas of whether a subscription sends, and as whom.

use super::{body, object, or_null, text};
use ringback_model::{auth::Kind, limits};
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
        "additionalProperties": { "anyOf": [{ "type": ["string", "null"], "pattern": "^([!-~]([ -~]*[!-~])?)?$", "maxLength": limits::PUSH_HEADER_BYTES_MAX }, set()] },
        "description": "Static headers of each attempt. Names are compared without case; those that frame, route or sign a request are refused. Values of `authorization`, `cookie` and names with a word such as `key` or `token` are secret: they are sealed and shown as `{\"set\":true}`, which may be sent back."
    })
}

pub(super) fn push_headers() -> Value {
    json!({ "type": "object", "maxProperties": limits::PUSH_HEADERS_MAX, "additionalProperties": { "anyOf": [{ "type": "string" }, set()] }, "description": "Static headers of each attempt; those that are secret without their values." })
}

/// In place of a secret.
fn set() -> Value {
    json!({ "type": "object", "required": ["set"], "additionalProperties": false, "properties": { "set": { "const": true } }, "description": "A secret that is not shown." })
}

fn kinds() -> Value {
    Kind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().into()
}

pub(super) fn auth() -> Value {
    object(
        json!({
            "type": { "type": "string", "enum": kinds() },
            "username": text("Of `basic`."),
            "password": set(),
            "token": set(),
            "token_url": text("Of `oauth2_client_credentials`: where tokens are fetched."),
            "client_id": text("Of `oauth2_client_credentials`."),
            "client_secret": set(),
            "scope": text("Of `oauth2_client_credentials`: what the tokens are asked for."),
        }),
        &["username", "password", "token", "token_url", "client_id", "client_secret", "scope"],
    )
}

pub(super) fn auth_given() -> Value {
    let secret = |max: usize, says: &str| json!({ "anyOf": [{ "type": ["string", "null"], "minLength": 1, "maxLength": max }, set()], "description": format!("{says} Never shown again; `{{\"set\":true}}` is the one that is there.") });
    let name =
        |says: &str| json!({ "type": ["string", "null"], "minLength": 1, "maxLength": limits::AUTH_NAME_BYTES_MAX, "description": says });
    let mut it = or_null(body(
        json!({
            "type": { "type": ["string", "null"], "enum": [Kind::None.as_str(), Kind::Basic.as_str(), Kind::Bearer.as_str(), Kind::ClientCredentials.as_str(), null] },
            "username": name("Of `basic`: without `:`."),
            "password": secret(limits::AUTH_SECRET_BYTES_MAX, "Of `basic`."),
            "token": secret(limits::TOKEN_BYTES_MAX, "Of `bearer`."),
            "token_url": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::URL_BYTES_MAX, "description": "Of `oauth2_client_credentials`: where tokens are fetched; vetted as endpoints are." },
            "client_id": name("Of `oauth2_client_credentials`."),
            "client_secret": secret(limits::AUTH_SECRET_BYTES_MAX, "Of `oauth2_client_credentials`."),
            "scope": { "type": ["string", "null"], "minLength": 1, "maxLength": limits::AUTH_SECRET_BYTES_MAX, "description": "Of `oauth2_client_credentials`: what the tokens are asked for." },
        }),
        &[],
    ));
    if let Some(it) = it.as_object_mut() {
        it.insert("description".into(), "As whom requests come, in the header `authorization`. Left out in a patch, members stay.".into());
    }
    it
}
