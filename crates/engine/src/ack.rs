//! Ack tokens: what a pull hands out so that it can be acknowledged.
//!
//! A token says which reader in which of its lives handed out which events, and
//! under which lease. It is signed, so it needs no memory of ours: it can be
//! acknowledged after a restart, when all leases are forgotten.
//!
//! Not here: how tokens are signed (`tokens`), what an ack means (`window`).

use crate::{
    tokens::{Kind, PositionKey, TokenError},
    window::LeaseId,
};
use ringback_model::{event::Place, limits, position::Epoch, subscription::Generation};

/// What an ack token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckToken {
    /// `Subscription::no`.
    pub subscription: u32,
    /// The reader's life in which it was made.
    pub generation: Generation,
    /// The lease.
    pub lease: LeaseId,
    /// Where the events stand that were handed out, in ascending order.
    pub places: Vec<Place>,
}

impl PositionKey {
    /// The text of an ack token in the log of `scope` (a tenant's id, or `*`). `places` ascend.
    #[must_use]
    pub fn ack(&self, scope: &str, epoch: Epoch, token: &AckToken) -> String {
        let mut content = Vec::with_capacity(24 + 2 * token.places.len());
        content.extend(epoch.to_be_bytes());
        content.extend(token.subscription.to_be_bytes());
        content.extend(token.generation.to_be_bytes());
        content.extend(token.lease.to_be_bytes());
        let mut before = 0;
        for place in &token.places {
            // Neighbours lie close together: most steps are one byte.
            push_number(&mut content, place.saturating_sub(before));
            before = *place;
        }
        self.seal(Kind::Ack, scope, &content)
    }

    /// Reads what `ack` made.
    ///
    /// # Errors
    /// `Unreadable`; `Mismatch` for another kind of token; `Epoch` when the log was restored since.
    pub fn read_ack(&self, text: &str, scope: &str, epoch: Epoch) -> Result<AckToken, TokenError> {
        let content = self.open_up_to(limits::ACK_TOKEN_CHARS_MAX, Kind::Ack, scope, text)?;
        let (made_in, rest) = content.split_first_chunk::<4>().ok_or(TokenError::Unreadable)?;
        let (subscription, rest) = rest.split_first_chunk::<4>().ok_or(TokenError::Unreadable)?;
        let (generation, rest) = rest.split_first_chunk::<4>().ok_or(TokenError::Unreadable)?;
        let (lease, mut rest) = rest.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
        if Epoch::from_be_bytes(*made_in) != epoch {
            return Err(TokenError::Epoch);
        }
        let mut places = Vec::new();
        let mut at: Place = 0;
        while !rest.is_empty() {
            at = at.checked_add(take_number(&mut rest)?).ok_or(TokenError::Unreadable)?;
            places.push(at);
        }
        Ok(AckToken {
            subscription: u32::from_be_bytes(*subscription),
            generation: Generation::from_be_bytes(*generation),
            lease: LeaseId::from_be_bytes(*lease),
            places,
        })
    }
}

/// Seven bits a byte, the low ones first; the highest bit says that more follow.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, TokenError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(TokenError::Unreadable)?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(TokenError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: PositionKey = PositionKey::new([7; 32]);

    proptest! {
        #[test]
        fn tokens_read_back(subscription: u32, generation: u32, lease: u64, places in prop::collection::btree_set(0..u64::MAX >> 1, 0..40)) {
            let token = AckToken { subscription, generation, lease, places: places.into_iter().collect() };
            let text = KEY.ack("acme", 3, &token);
            prop_assert_eq!(KEY.read_ack(&text, "acme", 3), Ok(token));
            prop_assert_eq!(KEY.read_ack(&text, "acme", 4), Err(TokenError::Epoch));
            prop_assert_eq!(KEY.read_ack(&text, "other", 3), Err(TokenError::Unreadable));
            prop_assert_eq!(KEY.read_position(&text, "acme"), Err(if text.len() > 512 { TokenError::Unreadable } else { TokenError::Mismatch }));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,200}") {
            prop_assert_eq!(KEY.read_ack(&text, "acme", 1), Err(TokenError::Unreadable));
        }
    }

    #[test]
    fn the_longest_token_is_read() {
        // A thousand events that lie as far apart as they can.
        let step = u64::MAX / 2 / limits::PAGE_ITEMS_MAX as u64;
        let places = (1..=limits::PAGE_ITEMS_MAX as u64).map(|it| it * step).collect();
        let token = AckToken { subscription: u32::MAX, generation: u32::MAX, lease: u64::MAX, places };
        let text = KEY.ack("acme", 1, &token);
        assert!(text.len() <= limits::ACK_TOKEN_CHARS_MAX, "{}", text.len());
        assert_eq!(KEY.read_ack(&text, "acme", 1), Ok(token));
    }
}
