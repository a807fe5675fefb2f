//! Signs and verifies webhooks as the Standard Webhooks specification says, with its
//! symmetric scheme (`v1`: HMAC-SHA256) and its asymmetric one (`v1a`: Ed25519), and
//! in the forms of other well-known senders: see [`Profile`].
//!
//! Usable alone by whoever receives webhooks, from Ringback or from anybody
//! else who follows the specification:
//!
//! ```
//! use ringback_signature::{Headers, Secret, verify, TOLERANCE_SECS};
//! # let (id, timestamp, body) = ("msg_1", "1795458284", b"{}");
//! # let sent = ringback_signature::sign(&[&Secret::parse("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")?], id, 1795458284, body);
//! # let (signature, now) = (sent.as_str(), 1795458290);
//! let secret = Secret::parse("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")?;
//! let headers = Headers { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) };
//! // `body`: the bytes exactly as they arrived, before any parsing.
//! verify(headers, body, &[&secret], now, TOLERANCE_SECS)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Pure: the time is an argument, and so is chance.
//!
//! Not here: remembering ids to drop repeats, HTTP.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod check;
mod ed25519;
mod profile;
mod scheme;
mod sign;
mod verify;

pub use check::{Hint, check, hint};
pub use ed25519::{PRIVATE_PREFIX, PUBLIC_PREFIX, PrivateKey, PublicKey};
pub use profile::{
    Algorithm, DISTINCT_BYTES_MIN, Message, Profile, RAW_CHARS_MAX, RAW_CHARS_MIN, RawSecret, SignKey, VerifyKey, headers,
    is_reserved_header,
};
pub use scheme::{SECRET_BYTES_DEFAULT, SECRET_BYTES_MAX, SECRET_BYTES_MIN, SECRET_PREFIX, Secret, SecretError};
pub use sign::sign;
pub use verify::{Headers, TOLERANCE_SECS, VerifyError, verify};

/// Name of the header with the message's id: the same on every try.
pub const HEADER_ID: &str = "webhook-id";
/// Name of the header with the time of this try, in seconds since 1970.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Name of the header with one or more signatures, space separated.
pub const HEADER_SIGNATURE: &str = "webhook-signature";
