//! The static headers of a push subscription: none of them may change how a
//! request is framed, routed or signed.

use crate::{
    auth::Set,
    read::{self, Object, Problems},
    sentences::fields,
};
use ringback_model::{auth::is_secret_header, limits};
use serde_json::Value;
use std::collections::{BTreeMap, btree_map::Entry};

/// Headers that say how a request is framed or routed, or that we sign and write ourselves.
const HEADERS_RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// `headers`, lower-case names; `null` removes one. `kept` gets those that are to stay what they are.
pub(crate) fn headers(it: &Object<'_>, kept: &mut Vec<String>, problems: &mut Problems) -> Option<BTreeMap<String, Option<String>>> {
    let entries = it.entries("headers", "an object of header names and texts", problems)?;
    // As for metadata: a patch may remove as many as there can be, and set as many.
    if entries.len() > 2 * limits::PUSH_HEADERS_MAX
        || entries.iter().filter(|(_, value, _)| !value.is_null()).count() > limits::PUSH_HEADERS_MAX
    {
        problems.note(fields::wrong_count(&it.pointer("headers"), entries.len(), 0, limits::PUSH_HEADERS_MAX));
        return None;
    }
    let mut out = BTreeMap::new();
    for (name, value, at) in entries {
        let lower = name.to_ascii_lowercase();
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.as_str()),
            value if Set::is(value) && is_secret_header(&lower) => {
                kept.push(lower);
                continue;
            }
            other => {
                problems.note(fields::wrong_type(&at, "a string", read::kind(other)));
                continue;
            }
        };
        if !is_token(name) || !value.is_none_or(is_header_value) {
            problems.note(fields::header_malformed(&at, name));
        } else if HEADERS_RESERVED.contains(&lower.as_str()) || is_written_by_us(&lower) {
            problems.note(fields::header_reserved(&at, name));
        } else if name.len() + value.map_or(0, str::len) > limits::PUSH_HEADER_BYTES_MAX {
            problems.note(fields::wrong_length(&at, name.len() + value.map_or(0, str::len), 1, limits::PUSH_HEADER_BYTES_MAX));
        } else if let Entry::Vacant(free) = out.entry(lower) {
            free.insert(value.map(Into::into));
        } else {
            problems.note(fields::header_twice(&at, name));
        }
    }
    Some(out)
}

/// Whether it signs a request, in any profile, or belongs to a payload form: so that either may be changed later.
fn is_written_by_us(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["stripe-signature", "x-github-delivery", "x-github-event", "x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id"];
    ["webhook-", "svix-", "x-hub-signature", "ce-"].iter().any(|it| name.starts_with(it)) || NAMES.contains(&name)
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it))
}

/// Printable ASCII without spaces around it: what every proxy passes on unchanged.
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|it| matches!(it, b' '..=b'~')) && text.trim_matches(' ').len() == text.len()
}
