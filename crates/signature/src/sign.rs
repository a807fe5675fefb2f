//! Signing: what a sender puts into `webhook-signature`.

use crate::scheme::{Secret, VERSION};
use alloc::{format, string::String};
use base64::{Engine, prelude::BASE64_STANDARD};

/// The value of `webhook-signature` for exactly these bytes: one `v1,<base64>`
/// for each secret, in their order, joined by spaces. Empty without secrets.
///
/// `id` and `timestamp_secs` must be sent as `webhook-id` and, in plain
/// decimal, `webhook-timestamp`. An id should have no full stop in it: the
/// specification joins id, time and body with them.
#[must_use]
pub fn sign(secrets: &[&Secret], id: &str, timestamp_secs: i64, body: &[u8]) -> String {
    let timestamp = format!("{timestamp_secs}");
    let mut value = String::with_capacity(48 * secrets.len());
    for secret in secrets {
        if !value.is_empty() {
            value.push(' ');
        }
        value.push_str(VERSION);
        value.push(',');
        BASE64_STANDARD.encode_string(secret.mac(id, &timestamp, body), &mut value);
    }
    value
}
