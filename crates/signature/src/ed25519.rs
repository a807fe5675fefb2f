//! The asymmetric scheme (`v1a`): only the sender can sign, everybody can verify.
//!
//! Keys are written as Standard Webhooks does: `whsk_` and the private key,
//! `whpk_` and the public one, both in base64.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#asymmetric-signatures>

use crate::scheme::{SecretError, decode};
use alloc::{string::String, vec::Vec};
use base64::{Engine, prelude::BASE64_STANDARD};
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use subtle::{Choice, ConstantTimeEq};

/// What the text of a private key begins with.
pub const PRIVATE_PREFIX: &str = "whsk_";
/// What the text of a public key begins with.
pub const PUBLIC_PREFIX: &str = "whpk_";
/// What a signature of this scheme begins with.
pub(crate) const VERSION: &str = "v1a";

/// A private key of Ed25519. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(SigningKey);

/// A public key of Ed25519: no secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.format())
    }
}

impl PrivateKey {
    /// Reads `whsk_` and base64 of 32 bytes (the seed), or of 64: the seed and
    /// the public key that belongs to it, as other senders keep them.
    ///
    /// # Errors
    /// Unless it is one of these.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let bytes = decode(text, PRIVATE_PREFIX, 64)?;
        let wrong = SecretError::KeyLength { bytes: bytes.len() };
        let (seed, public) = bytes.split_first_chunk::<32>().ok_or(wrong)?;
        let key = Self::from_seed(*seed);
        match public {
            [] => Ok(key),
            public if public.len() == 32 && bool::from(public.ct_eq(key.0.verifying_key().as_bytes())) => Ok(key),
            public if public.len() == 32 => Err(SecretError::KeyPair),
            _ => Err(wrong),
        }
    }

    /// The key of a seed, which must come from chance.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The text that `parse` reads: seed and public key. Tells the secret.
    #[must_use]
    pub fn format(&self) -> String {
        let mut text = String::from(PRIVATE_PREFIX);
        BASE64_STANDARD.encode_string(self.0.to_keypair_bytes(), &mut text);
        text
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, content: &[u8]) -> [u8; 64] {
        self.0.sign(content).to_bytes()
    }
}

impl PublicKey {
    /// Reads `whpk_` and base64 of 32 bytes.
    ///
    /// # Errors
    /// Unless it is that, and a point of the curve with which a signature means something.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let bytes = decode(text, PUBLIC_PREFIX, 32)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|it: Vec<u8>| SecretError::KeyLength { bytes: it.len() })?;
        VerifyingKey::from_bytes(&bytes).ok().filter(|it| !it.is_weak()).map(Self).ok_or(SecretError::PublicKey)
    }

    /// The text that `parse` reads.
    #[must_use]
    pub fn format(&self) -> String {
        let mut text = String::from(PUBLIC_PREFIX);
        BASE64_STANDARD.encode_string(self.0.as_bytes(), &mut text);
        text
    }

    /// Whether the bytes of `signature` were made over `content` with the private key.
    pub(crate) fn fits(&self, content: &[u8], signature: &[u8; 64]) -> Choice {
        Choice::from(u8::from(self.0.verify_strict(content, &Signature::from_bytes(signature)).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn keys_read_what_they_write() {
        let key = PrivateKey::from_seed([7; 32]);
        assert_eq!(PrivateKey::parse(&key.format()), Ok(key.clone()));
        let seed = format!("{PRIVATE_PREFIX}{}", BASE64_STANDARD.encode([7; 32]));
        assert_eq!(PrivateKey::parse(&seed), Ok(key.clone()));
        assert_eq!(PublicKey::parse(&key.public_key().format()), Ok(key.public_key()));
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
    }

    #[test]
    fn what_is_no_key_is_told() {
        assert_eq!(PrivateKey::parse("whsec_AAAA"), Err(SecretError::Expected { prefix: PRIVATE_PREFIX }));
        assert_eq!(PrivateKey::parse("whsk_AAAA"), Err(SecretError::KeyLength { bytes: 3 }));
        assert_eq!(PrivateKey::parse("whsk_!"), Err(SecretError::KeyEncoding));
        let mut pair = vec![7; 32];
        pair.extend_from_slice(&[8; 32]);
        assert_eq!(PrivateKey::parse(&format!("{PRIVATE_PREFIX}{}", BASE64_STANDARD.encode(pair))), Err(SecretError::KeyPair));
        assert_eq!(PublicKey::parse(&format!("{PUBLIC_PREFIX}{}", BASE64_STANDARD.encode([0; 32]))), Err(SecretError::PublicKey));
        assert_eq!(PublicKey::parse("whpk_AAAA"), Err(SecretError::KeyLength { bytes: 3 }));
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn signs_as_the_standard_says() {
        let hex =
            |text: &str| -> Vec<u8> { (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect() };
        let seed: [u8; 32] = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").try_into().unwrap();
        let key = PrivateKey::from_seed(seed);
        let want = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(key.sign(&[0x72]).to_vec(), hex(want));
        assert!(bool::from(key.public_key().fits(&[0x72], &key.sign(&[0x72]))));
        assert!(!bool::from(key.public_key().fits(&[0x73], &key.sign(&[0x72]))));
    }
}
