//! The text of an API key: making it, reading it, and what is kept of it.
//!
//! `rbk_<id>_<secret><check>`: the id is the public part of the key (26
//! characters), the secret 160 bits of chance (32 characters), the check a
//! CRC-32 of all before it (6 characters), so that a mistyped or cut key is told
//! from an unknown one without a look at any store.
//!
//! Not here: roles and scopes (`model::key`), keeping keys (`service::keys`).

use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use ringback_model::{KeyId, ids};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What every key begins with.
pub const PREFIX: &str = "rbk_";
/// Bytes of chance in a secret.
pub const SECRET_BYTES: usize = 20;
const SECRET_CHARS: usize = 32;
const CHECK_CHARS: usize = 6;
const SECRET_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const CHECK_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that was just made. Shown once; only its digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The whole text, for its owner.
    pub text: String,
    /// The secret part, for `digest`.
    pub secret: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey(…)")
    }
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// It does not look like one.
    #[error("keys look like rbk_<id>_<secret>")]
    NotAKey,
    /// It looks like one, but its check characters do not fit: mistyped or cut.
    #[error("the key was mistyped or cut: its last characters do not fit the rest")]
    Mistyped,
}

/// Makes the text of the key `id` with a secret of these bytes.
#[must_use]
pub fn make(id: KeyId, secret: [u8; SECRET_BYTES]) -> NewKey {
    let secret: String = secret
        .as_chunks::<5>()
        .0
        .iter()
        .flat_map(|five| {
            let bits = five.iter().fold(0u64, |bits, it| bits << 8 | u64::from(*it));
            (0..8).rev().map(move |at| digit(SECRET_ALPHABET, bits >> (5 * at) & 31))
        })
        .collect();
    let name = ids::crockford(id.bits());
    let mut text = format!("{PREFIX}{}_{secret}", name.map(char::from).iter().collect::<String>());
    text.extend(check_of(&text));
    NewKey { text, secret }
}

/// Reads a key: its id, and its secret for `matches`.
///
/// # Errors
/// When it is not a key, or was mistyped.
pub fn parse(text: &str) -> Result<(KeyId, &str), KeyProblem> {
    let rest = text.strip_prefix(PREFIX).ok_or(KeyProblem::NotAKey)?;
    let (id, tail) = rest.split_once('_').ok_or(KeyProblem::NotAKey)?;
    if !tail.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return Err(KeyProblem::NotAKey);
    }
    if tail.len() != SECRET_CHARS + CHECK_CHARS {
        return Err(KeyProblem::Mistyped);
    }
    let (Some(secret), Some((checked, check))) = (tail.get(..SECRET_CHARS), text.split_at_checked(text.len() - CHECK_CHARS)) else {
        return Err(KeyProblem::NotAKey);
    };
    if !check_of(checked).into_iter().eq(check.chars()) {
        return Err(KeyProblem::Mistyped);
    }
    // Only one spelling of an id is made, and the check has seen it.
    let id = ids::from_crockford(id).map(KeyId::from_bits).ok_or(KeyProblem::NotAKey)?;
    Ok((id, secret))
}

/// What is kept of a key: HMAC-SHA256 under the server's pepper, bound to the id.
#[must_use]
pub fn digest(pepper: &[u8; 32], id: KeyId, secret: &str) -> [u8; 32] {
    let mut block = [0; 64];
    if let Some(begin) = block.first_chunk_mut::<32>() {
        *begin = *pepper;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(b"ringback key\0");
    mac.update(&id.bits().to_be_bytes());
    mac.update(secret.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Whether `secret` is the one that `kept` was made from; takes the same time either way.
#[must_use]
pub fn matches(pepper: &[u8; 32], id: KeyId, secret: &str, kept: &[u8; 32]) -> bool {
    digest(pepper, id, secret).ct_eq(kept).into()
}

fn digit<const N: usize>(alphabet: &[u8; N], value: u64) -> char {
    usize::try_from(value).ok().and_then(|it| alphabet.get(it)).copied().map_or('0', char::from)
}

fn check_of(text: &str) -> [char; CHECK_CHARS] {
    let mut out = ['0'; CHECK_CHARS];
    let mut rest = u64::from(crc32(text.as_bytes()));
    for slot in out.iter_mut().rev() {
        *slot = digit(CHECK_ALPHABET, rest % 62);
        rest /= 62;
    }
    out
}

/// CRC-32 as in IEEE 802.3, bit by bit: keys are short and few.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |crc, it| (0..8).fold(crc ^ u32::from(*it), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_is_the_common_crc() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn keys_have_one_shape() {
        let key = make(KeyId::from_bits(1), [0xff; 20]);
        assert_eq!(key.text, "rbk_00000000000000000000000001_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz2lU2SC");
        assert!(key.text.strip_prefix("rbk_").is_some_and(|it| it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')));
        assert_eq!(format!("{key:?}"), "NewKey(…)");
    }

    #[test]
    fn what_is_no_key_is_told_from_what_was_mistyped() {
        let good = make(KeyId::from_bits(77), [5; 20]).text;
        for it in ["", "rbk_", "rbk_a_b_c", "Bearer x", "sk_live_123", "rbk__", &good.replace("rbk", "RBK"), &format!("{good} ")] {
            assert!(parse(it).is_err(), "{it:?}");
        }
        assert_eq!(parse("secret"), Err(KeyProblem::NotAKey));
        assert_eq!(parse(&good[..good.len() - 1]), Err(KeyProblem::Mistyped));
        assert_eq!(parse(&good.to_uppercase().replace("RBK", "rbk")), Err(KeyProblem::Mistyped));
    }

    proptest! {
        #[test]
        fn keys_read_back(id: u128, secret: [u8; 20], pepper: [u8; 32], other: [u8; 20]) {
            let id = KeyId::from_bits(id);
            let key = make(id, secret);
            prop_assert_eq!(parse(&key.text), Ok((id, key.secret.as_str())));
            let kept = digest(&pepper, id, &key.secret);
            prop_assert!(matches(&pepper, id, &key.secret, &kept));
            prop_assert!(!matches(&pepper, KeyId::from_bits(id.bits() ^ 1), &key.secret, &kept));
            prop_assert_eq!(matches(&pepper, id, &make(id, other).secret, &kept), secret == other);
        }

        #[test]
        fn a_changed_character_is_noticed(at in 4usize..69, to in "[0-9a-zA-Z]") {
            let good = make(KeyId::from_bits(0x1234), [9; 20]).text;
            let mut bad = good.clone();
            bad.replace_range(at..=at, &to);
            prop_assert_eq!(parse(&bad).is_ok(), bad == good);
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "(rbk_)?.{0,70}") {
            prop_assert!(parse(&text).is_err());
        }
    }
}
