//! Schemas of how a subscription signs, and of its keys.

use super::{body, named, object, or_null, text, time};
use ringback_model::{
    event::PayloadForm,
    limits,
    signing::{Algorithm, Profile, WebhookId},
};
use serde_json::{Value, json};

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Value {
    all.iter().map(|it| word(*it)).collect::<Vec<_>>().into()
}

pub(super) fn payload_forms() -> Value {
    words(PayloadForm::ALL, PayloadForm::as_str)
}

pub(super) fn algorithm() -> Value {
    json!({ "type": "string", "enum": words(Algorithm::ALL, Algorithm::as_str), "default": "hmac", "description": "`hmac`: with a secret that both sides have. `ed25519`: with a private key of the server; receivers verify with `public_key`." })
}

pub(super) fn profile() -> Value {
    json!({ "type": "string", "enum": words(Profile::ALL, Profile::as_str), "default": "standard", "description": "In whose form requests are signed: Standard Webhooks, or the headers of another sender, for customers who have written their receivers for it." })
}

pub(super) fn webhook_id() -> Value {
    json!({ "type": "string", "enum": words(WebhookId::ALL, WebhookId::as_str), "default": "event", "description": "What is sent as `webhook-id`: the event's id, or the publisher's key where there is one." })
}

pub(super) fn public_key() -> Value {
    json!({ "type": "string", "pattern": "^whpk_", "description": "Of `ed25519`: what receivers verify with." })
}

pub(super) fn secret(says: &str) -> Value {
    json!({ "type": "string", "minLength": 16, "description": says })
}

pub(super) fn secret_given() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": limits::URL_BYTES_MAX,
        "description": "One's own; made by the server if it is left out. Of the profiles `standard` and `svix`: 24 to 64 bytes in base64 after `whsec_`, with `ed25519` the private key after `whsk_`. Of the others: the text that receivers have, 16 to 256 characters."
    })
}

pub(super) fn signing_key() -> Value {
    object(
        json!({
            "id": text("How it is called: no secret."),
            "alg": { "type": "string", "enum": words(Algorithm::ALL, Algorithm::as_str) },
            "created_at": time("When it was made."),
            "expires_at": time("From when on it no longer signs. Absent of the one that stays."),
            "public_key": public_key(),
        }),
        &["expires_at", "public_key"],
    )
}

fn keys() -> Value {
    json!({ "type": "array", "maxItems": limits::SIGNING_KEYS_MAX, "items": named("SigningKey"), "description": "Those that sign now, newest first; none of a subscription that is pulled." })
}

pub(super) fn signing_keys() -> Value {
    object(json!({ "keys": keys() }), &[])
}

pub(super) fn rotated_keys() -> Value {
    object(json!({ "secret": secret("The new one: shown this once. Absent with `ed25519`."), "keys": keys() }), &["secret"])
}

pub(super) fn rotate() -> Value {
    body(
        json!({
            "secret": or_null(secret_given()),
            "overlap": { "type": ["integer", "null"], "minimum": 0, "maximum": limits::ROTATION_OVERLAP_SECS_MAX, "description": "Seconds for which the old keys sign on; a day if it is left out, and 0 of the profiles `github` and `shopify`, whose requests carry one signature." },
        }),
        &[],
    )
}
