//! Ids that we make: a typed prefix and 26 Crockford base32 characters.
//!
//! The 128 bits begin with 48 bits of milliseconds (so that ids made later sort
//! later, roughly) and end with 80 bits of chance. Both are arguments.
//! Ids that people choose are in `names`.

use crate::time::Timestamp;
use alloc::string::String;
use core::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 characters of Crockford base32 (lower case), most significant first.
pub const ID_CHARS: usize = 26;

/// Writes `bits` as 26 Crockford base32 characters.
#[must_use]
pub fn crockford(bits: u128) -> [u8; ID_CHARS] {
    let mut out = [b'0'; ID_CHARS];
    let mut rest = bits;
    for slot in out.iter_mut().rev() {
        let digit = (rest & 31) as usize;
        *slot = ALPHABET.get(digit).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    out
}

/// Reads 26 Crockford base32 characters, either case; `None` for anything else,
/// the ambiguous letters i, l, o and u included.
#[must_use]
pub fn from_crockford(text: &str) -> Option<u128> {
    if text.len() != ID_CHARS {
        return None;
    }
    let mut bits: u128 = 0;
    for (at, byte) in text.bytes().enumerate() {
        let lower = byte.to_ascii_lowercase();
        let digit = ALPHABET.iter().position(|it| *it == lower)? as u128;
        if at == 0 && digit > 7 {
            return None; // 26 × 5 = 130 bits: the first character holds only three
        }
        bits = (bits << 5) | digit;
    }
    Some(bits)
}

/// The 128 bits of an id made at `now` with `chance` (80 bits of it are used).
#[must_use]
pub fn time_ordered(now: Timestamp, chance: u128) -> u128 {
    let millis = u128::try_from(now.as_micros() / 1_000).unwrap_or(0) & ((1 << 48) - 1);
    (millis << 80) | (chance & ((1 << 80) - 1))
}

/// Text that is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `{prefix}_` and 26 characters of Crockford base32")]
pub struct IdError {
    /// The prefix that the id should have had.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The text before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// An id made at `now` with `chance`.
            #[must_use]
            pub fn make(now: Timestamp, chance: u128) -> Self {
                Self(time_ordered(now, chance))
            }

            /// The id of these bits, as a store keeps them.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits, for a store to keep.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str("_")?;
                let text = crockford(self.0);
                f.write_str(core::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|it| it.strip_prefix('_'))
                    .and_then(from_crockford)
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }
    )*};
}

ids! {                      // alphabetical, append-only: prefixes are stored and public
    /// One try of a delivery.
    AttemptId = "att",
    /// One event owed to one subscription.
    DeliveryId = "dlv",
    /// Something that was asked to be erased.
    ErasureId = "era",
    /// A fact in the log.
    EventId = "evt",
    /// An API key (its public part).
    KeyId = "key",
    /// One replay.
    ReplayId = "rpl",
    /// One request to us, for the logs.
    RequestId = "req",
}

/// The generated part of a resource or subscription id: `prefix` (with its own
/// underscore) and 26 characters.
#[must_use]
pub fn prefixed(prefix: &str, now: Timestamp, chance: u128) -> String {
    let mut out = String::with_capacity(prefix.len() + ID_CHARS);
    out.push_str(prefix);
    let text = crockford(time_ordered(now, chance));
    out.push_str(core::str::from_utf8(&text).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_read_back_what_they_wrote(bits: u128) {
            let id = EventId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in ".{0,40}") {
            let _ = text.parse::<EventId>();
        }
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        let id = KeyId::from_bits(7).to_string();
        assert_eq!(id.parse::<EventId>(), Err(IdError { prefix: "evt" }));
    }

    #[test]
    fn too_many_bits_are_refused() {
        assert_eq!(from_crockford("zzzzzzzzzzzzzzzzzzzzzzzzzz"), None);
        assert_eq!(from_crockford("7zzzzzzzzzzzzzzzzzzzzzzzzz"), Some(u128::MAX));
    }
}
