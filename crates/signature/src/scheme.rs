//! The symmetric scheme: its secrets, and the one computation that signing and verifying share.

use alloc::{string::String, vec::Vec};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the text of a secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret, at least.
pub const SECRET_BYTES_MIN: usize = 24;
/// Bytes of a secret, at most.
pub const SECRET_BYTES_MAX: usize = 64;
/// Bytes of a secret that `Secret::generate` makes.
pub const SECRET_BYTES_DEFAULT: usize = 32;
/// The longest text of a secret: prefix, and base64 of the most bytes.
const TEXT_CHARS_MAX: usize = SECRET_PREFIX.len() + SECRET_BYTES_MAX.div_ceil(3) * 4;

/// What a signature of this scheme begins with.
pub(crate) const VERSION: &str = "v1";

/// A signing secret: 24 to 64 bytes that sender and receiver share.
///
/// `Debug` shows nothing of it; `format` tells it, for its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text is not a secret. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Another beginning.
    #[error("a secret begins with `whsec_`")]
    Prefix,
    /// What follows is not base64.
    #[error("after `whsec_` a secret is base64 (the alphabet with `+` and `/`)")]
    Encoding,
    /// Too few or too many bytes.
    #[error("a secret has 24 to 64 bytes; this one has {bytes}")]
    Length {
        /// How many there are, when they could be counted.
        bytes: usize,
    },
}

impl Secret {
    /// Reads `whsec_` and base64, with or without padding.
    ///
    /// # Errors
    /// Unless it is 24 to 64 bytes of that.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(SecretError::Prefix)?;
        if text.len() > TEXT_CHARS_MAX {
            return Err(SecretError::Length { bytes: encoded.len() / 4 * 3 });
        }
        let engine = if encoded.ends_with('=') { &BASE64_STANDARD } else { &BASE64_STANDARD_NO_PAD };
        Self::from_bytes(engine.decode(encoded).map_err(|_| SecretError::Encoding)?)
    }

    /// The secret of these bytes.
    ///
    /// # Errors
    /// Unless there are 24 to 64 of them.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = bytes.into();
        if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretError::Length { bytes: bytes.len() })
        }
    }

    /// A new secret of these bytes, which must come from chance.
    #[must_use]
    pub fn generate(chance: [u8; SECRET_BYTES_DEFAULT]) -> Self {
        Self(chance.into())
    }

    /// The text that `parse` reads, padded as every library expects. Tells the secret.
    #[must_use]
    pub fn format(&self) -> String {
        let mut text = String::from(SECRET_PREFIX);
        BASE64_STANDARD.encode_string(&self.0, &mut text);
        text
    }

    /// The signature's 32 bytes: HMAC-SHA256 over `id.timestamp.body`.
    ///
    /// `timestamp` is the header's text, so that a verifier signs what was
    /// sent and not its own spelling of it.
    pub(crate) fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        // A key of at most one block is padded with zeros to one by HMAC itself.
        let mut block = [0; SECRET_BYTES_MAX];
        block.iter_mut().zip(&self.0).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString, vec};

    #[test]
    fn secrets_are_24_to_64_bytes() {
        for bytes in [24, 25, 26, 32, 64] {
            let secret = Secret::from_bytes(vec![7; bytes]).unwrap();
            assert_eq!(Secret::parse(&secret.format()), Ok(secret.clone()));
            assert_eq!(Secret::parse(secret.format().trim_end_matches('=')), Ok(secret));
        }
        for bytes in [0, 23, 65, 66] {
            assert_eq!(Secret::from_bytes(vec![7; bytes]), Err(SecretError::Length { bytes }));
            assert!(matches!(Secret::parse(&format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]))), Err(SecretError::Length { .. })));
        }
    }

    #[test]
    fn what_is_no_secret_is_told() {
        assert_eq!(Secret::parse("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"), Err(SecretError::Prefix));
        assert_eq!(Secret::parse("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI_"), Err(SecretError::Encoding));
        assert_eq!(Secret::parse("whsec_ä"), Err(SecretError::Encoding));
        assert!(matches!(Secret::parse(&format!("whsec_{}", "A".repeat(1 << 20))), Err(SecretError::Length { .. })));
        assert_eq!(Secret::parse("whsec_AAAA").map_err(|it| it.to_string()), Err("a secret has 24 to 64 bytes; this one has 3".into()));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::generate([1; 32])), "Secret(…)");
    }
}
