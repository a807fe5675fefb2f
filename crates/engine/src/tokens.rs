//! Signed tokens that clients hold for us: the frame of positions, page cursors, and delivery ids.
//!
//! A token is base64url of (version, kind, content, MAC). The MAC covers the
//! scope (a tenant's id, or `*`), which the token does not contain: a token of
//! another tenant looks exactly like one that was tampered with. Tokens are
//! places, never authorisations; and what they contain is the tenant's own
//! (its `sequence`, its ids), so that reading one shows nobody else's volume.
//!
//! Not here: what `after` of a feed may say (`engine::position`).

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use core::fmt;
use hmac::{Hmac, Mac};
use ringback_model::{DeliveryId, Timestamp, event::Place, position::Epoch};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
/// The longest token that is looked at; the longest one made is shorter.
const TOKEN_CHARS_MAX: usize = 512;

/// Signs positions and page cursors. One per server, kept sealed: a new one
/// makes every token that is out there unreadable.
#[derive(Clone)]
pub struct PositionKey([u8; 32]);

impl fmt::Debug for PositionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PositionKey(…)")
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours for this tenant: mistyped, cut, forged, or another
    /// tenant's; deliberately not told apart.
    #[error("not a token that this server made for this tenant")]
    Unreadable,
    /// Made before a restore: 410 `cursor-epoch`.
    #[error("the token is from before the log was restored")]
    Epoch,
    /// Made by another kind of request, or under another filter: 400 `cursor-mismatch`.
    #[error("the token was made under another filter or on another route")]
    Mismatch,
}

/// What a token is bound to besides its scope: a hash of route, filter and sort.
pub type Binding = [u8; 8];

/// Hashes what a token is bound to. No two lists of parts have the same bytes hashed.
#[must_use]
pub fn binding(parts: &[&str]) -> Binding {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().first_chunk::<8>().copied().unwrap_or_default()
}

/// The kinds of token. Numbers are in tokens that are out there: append only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Position = 1,
    Page = 2,
    Ack = 5,
    Ticket = 3,
    TicketTag = 4,
}

impl PositionKey {
    /// A key of these bytes, which must come from chance.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    fn mac(&self, scope: &str, body: &[u8]) -> [u8; MAC_BYTES] {
        // HMAC pads its key to a block with zeros anyway; doing it here leaves nothing that could fail.
        let mut block = [0; 64];
        if let Some(begin) = block.first_chunk_mut::<32>() {
            *begin = self.0;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"ringback token\0");
        mac.update(&(scope.len() as u64).to_be_bytes());
        mac.update(scope.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().first_chunk::<MAC_BYTES>().copied().unwrap_or_default()
    }

    pub(crate) fn seal(&self, kind: Kind, scope: &str, content: &[u8]) -> String {
        let mut token = Vec::with_capacity(2 + content.len() + MAC_BYTES);
        token.extend([VERSION, kind as u8]);
        token.extend_from_slice(content);
        token.extend(self.mac(scope, &token));
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    pub(crate) fn open(&self, kind: Kind, scope: &str, text: &str) -> Result<Vec<u8>, TokenError> {
        self.open_up_to(TOKEN_CHARS_MAX, kind, scope, text)
    }

    /// As `open`, for tokens that may be longer than most.
    pub(crate) fn open_up_to(&self, chars_max: usize, kind: Kind, scope: &str, text: &str) -> Result<Vec<u8>, TokenError> {
        if text.len() > chars_max {
            return Err(TokenError::Unreadable);
        }
        let token = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Unreadable)?;
        let (body, mac) = token.split_last_chunk::<MAC_BYTES>().ok_or(TokenError::Unreadable)?;
        if !bool::from(self.mac(scope, body).ct_eq(mac)) {
            return Err(TokenError::Unreadable);
        }
        match body {
            [VERSION, found, content @ ..] if *found == kind as u8 => Ok(content.to_vec()),
            [VERSION, ..] => Err(TokenError::Mismatch),
            _ => Err(TokenError::Unreadable),
        }
    }

    /// A page cursor, sent back as `after` on the same list.
    ///
    /// `binding` says what else must be the same: route, filter, sort.
    #[must_use]
    pub fn page(&self, scope: &str, binding: Binding, epoch: Epoch, key: &PageKey) -> String {
        let mut content = Vec::with_capacity(64);
        content.extend(binding);
        content.extend(epoch.to_be_bytes());
        match key {
            PageKey::Pinned { at, made, created_at, id } => {
                content.push(4);
                content.extend(at.to_be_bytes());
                content.extend(made.as_micros().to_be_bytes());
                content.extend(created_at.as_micros().to_be_bytes());
                content.extend_from_slice(id.as_bytes());
            }
            PageKey::Id(id) => {
                content.push(2);
                content.extend_from_slice(id.as_bytes());
            }
            PageKey::Place(place) => {
                content.push(3);
                content.extend(place.to_be_bytes());
            }
        }
        self.seal(Kind::Page, scope, &content)
    }

    /// Reads what `page` made.
    ///
    /// # Errors
    /// `Unreadable`, `Epoch` or `Mismatch`; see there.
    pub fn read_page(&self, text: &str, scope: &str, binding: Binding, epoch: Epoch) -> Result<PageKey, TokenError> {
        let content = self.open(Kind::Page, scope, text)?;
        let (bound, rest) = content.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
        let (made_in, rest) = rest.split_first_chunk::<4>().ok_or(TokenError::Unreadable)?;
        if *bound != binding {
            return Err(TokenError::Mismatch);
        }
        if Epoch::from_be_bytes(*made_in) != epoch {
            return Err(TokenError::Epoch);
        }
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).map_err(|_| TokenError::Unreadable);
        match rest {
            [4, rest @ ..] => {
                let (at, rest) = rest.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
                let (made, rest) = rest.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
                let (created_at, id) = rest.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
                let time = |it: &[u8; 8]| Timestamp::from_micros(i64::from_be_bytes(*it));
                Ok(PageKey::Pinned { at: Place::from_be_bytes(*at), made: time(made), created_at: time(created_at), id: text(id)? })
            }
            [2, id @ ..] => text(id).map(PageKey::Id),
            [3, place @ ..] => place.try_into().map(|it| PageKey::Place(Place::from_be_bytes(it))).map_err(|_| TokenError::Unreadable),
            _ => Err(TokenError::Unreadable),
        }
    }
}

/// The row after which the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageKey {
    /// In a list whose pages all show one position. (Tag 1 was a list whose pages did not.)
    Pinned {
        /// The position.
        at: Place,
        /// When the list was begun.
        made: Timestamp,
        /// The row's `created_at`.
        created_at: Timestamp,
        /// The row's id.
        id: String,
    },
    /// In a list by id alone.
    Id(String),
    /// In a list by place in the log.
    Place(Place),
}

/// Turns (subscription, place) into delivery ids and back, so that a delivery
/// needs no row to have an id.
///
/// One AES block: without the key, ids look like chance, and neither the number
/// of subscriptions nor a place in the log can be read from one.
#[derive(Clone)]
pub struct DeliveryCipher(aes::Aes128);

/// In every block; a made-up id passes once in 2³².
const DELIVERY_MAGIC: u32 = 0x7262_6b31;

impl fmt::Debug for DeliveryCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryCipher(…)")
    }
}

impl DeliveryCipher {
    /// A cipher with this key, which must come from chance.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(aes::Aes128::new(&key.into()))
    }

    /// The id of the delivery of the event at `place` to the subscription of number `subscription`.
    #[must_use]
    pub fn encode(&self, subscription: u32, place: Place) -> DeliveryId {
        let clear = u128::from(DELIVERY_MAGIC) << 96 | u128::from(subscription) << 64 | u128::from(place);
        let mut block = clear.to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        DeliveryId::from_bits(u128::from_be_bytes(block.into()))
    }

    /// Subscription number and place of an id that `encode` made; `None` for any other.
    #[must_use]
    pub fn decode(&self, id: DeliveryId) -> Option<(u32, Place)> {
        let mut block = id.bits().to_be_bytes().into();
        self.0.decrypt_block(&mut block);
        let clear = u128::from_be_bytes(block.into());
        // Each cast keeps exactly the bits that `encode` put there.
        ((clear >> 96) as u32 == DELIVERY_MAGIC).then_some(((clear >> 64) as u32, clear as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: PositionKey = PositionKey::new([7; 32]);

    fn any_page_key() -> impl Strategy<Value = PageKey> {
        prop_oneof![
            (any::<(u64, i64, i64)>(), ".{0,40}").prop_map(|((at, made, created), id)| PageKey::Pinned {
                at,
                made: Timestamp::from_micros(made),
                created_at: Timestamp::from_micros(created),
                id
            }),
            ".{0,40}".prop_map(PageKey::Id),
            any::<u64>().prop_map(PageKey::Place),
        ]
    }

    proptest! {
        #[test]
        fn page_cursors_read_back(key in any_page_key(), epoch: u32) {
            let bound = binding(&["/payment", "status=completed"]);
            let text = KEY.page("acme", bound, epoch, &key);
            prop_assert_eq!(KEY.read_page(&text, "acme", bound, epoch), Ok(key));
            prop_assert_eq!(KEY.read_page(&text, "other", bound, epoch), Err(TokenError::Unreadable));
            prop_assert_eq!(KEY.read_page(&text, "acme", binding(&["/payment"]), epoch), Err(TokenError::Mismatch));
            prop_assert_eq!(KEY.read_page(&text, "acme", bound, epoch.wrapping_add(1)), Err(TokenError::Epoch));
            prop_assert_eq!(PositionKey::new([8; 32]).read_page(&text, "acme", bound, epoch), Err(TokenError::Unreadable));
        }

        #[test]
        fn a_changed_character_is_noticed(at: prop::sample::Index, by in 1u8..64) {
            const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut text = KEY.page("acme", [0; 8], 1, &PageKey::Place(9)).into_bytes();
            let at = at.index(text.len());
            let digit = ALPHABET.iter().position(|it| *it == text[at]).unwrap();
            text[at] = ALPHABET[(digit + usize::from(by)) % 64];
            prop_assert_eq!(KEY.read_page(&String::from_utf8(text).unwrap(), "acme", [0; 8], 1), Err(TokenError::Unreadable));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            prop_assert_eq!(KEY.read_page(&text, "acme", [0; 8], 1), Err(TokenError::Unreadable));
        }

        #[test]
        fn delivery_ids_read_back(subscription: u32, place: u64) {
            let cipher = DeliveryCipher::new([3; 16]);
            let id = cipher.encode(subscription, place);
            prop_assert_eq!(cipher.decode(id), Some((subscription, place)));
            prop_assert_eq!(DeliveryCipher::new([4; 16]).decode(id), None);
        }
    }

    #[test]
    fn made_up_delivery_ids_are_none() {
        let cipher = DeliveryCipher::new([3; 16]);
        for bits in 0..1_000 {
            assert_eq!(cipher.decode(DeliveryId::from_bits(bits)), None);
        }
    }

    #[test]
    fn parts_of_a_binding_do_not_run_together() {
        assert_ne!(binding(&["ab", "c"]), binding(&["a", "bc"]));
        assert_ne!(binding(&["a"]), binding(&["a", ""]));
    }

    #[test]
    fn keys_do_not_show_themselves() {
        assert_eq!(format!("{KEY:?}{:?}", DeliveryCipher::new([3; 16])), "PositionKey(…)DeliveryCipher(…)");
    }
}
