//! The symmetric scheme: its secrets, and the one computation that signing and verifying share.

use alloc::{string::String, vec::Vec};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

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
    /// Another beginning than a key of Ed25519 has.
    #[error("a key of Ed25519 begins with `{prefix}`")]
    Expected {
        /// What it should begin with.
        prefix: &'static str,
    },
    /// What follows the prefix of a key is not base64.
    #[error("after its prefix a key of Ed25519 is base64 (the alphabet with `+` and `/`)")]
    KeyEncoding,
    /// A key has another length.
    #[error("a private key has 32 bytes, or 64 with its public key, and a public one 32; this one has {bytes}")]
    KeyLength {
        /// How many there are, when they could be counted.
        bytes: usize,
    },
    /// The halves of a private key of 64 bytes are of two keys.
    #[error("the public key in the second half does not belong to the private key in the first")]
    KeyPair,
    /// Bytes that are no public key, or one for which anybody could sign.
    #[error("these 32 bytes are no public key of Ed25519")]
    PublicKey,
    /// A secret whose text is the key has other characters.
    #[error("a secret of this profile is printable ASCII without spaces")]
    RawCharacters,
    /// A secret whose text is the key is too short or too long.
    #[error("a secret of this profile has 16 to 256 characters; this one has {chars}")]
    RawLength {
        /// How many there are.
        chars: usize,
    },
}

/// The bytes of a key: `prefix`, and base64 of at most `bytes_max` bytes.
pub(crate) fn decode(text: &str, prefix: &'static str, bytes_max: usize) -> Result<Vec<u8>, SecretError> {
    let encoded = text.strip_prefix(prefix).ok_or(SecretError::Expected { prefix })?;
    if encoded.len() > bytes_max.div_ceil(3) * 4 {
        return Err(SecretError::KeyLength { bytes: encoded.len() / 4 * 3 });
    }
    let engine = if encoded.ends_with('=') { &BASE64_STANDARD } else { &BASE64_STANDARD_NO_PAD };
    engine.decode(encoded).map_err(|_| SecretError::KeyEncoding)
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104: a key of at most one block is padded with zeros to one, a longer one is hashed first.
    let mut block = [0; SECRET_BYTES_MAX];
    let hashed;
    let short = if key.len() > block.len() {
        hashed = Sha256::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    block.iter_mut().zip(short).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|it| mac.update(it));
    mac.finalize().into_bytes().into()
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
        hmac(&self.0, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
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
