//! How a push subscription signs: with which keys, in whose form.
//!
//! Not here: the computing of signatures (`signature`), which every receiver may use alone.

use crate::time::Timestamp;
use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// A word of JSON for each variant.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Reads what `as_str` writes.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text)
            }
        }
    };
}

words! {
    /// What a subscription's keys are: `push.signing`.
    Algorithm {
        /// A secret that both sides have.
        #[default]
        Hmac = "hmac",
        /// A private key of ours, a public one for the receiver.
        Ed25519 = "ed25519",
    }
}

words! {
    /// In whose form requests are signed: `push.profile`.
    Profile {
        /// Standard Webhooks.
        #[default]
        Standard = "standard",
        /// `svix-id`, `svix-timestamp`, `svix-signature`.
        Svix = "svix",
        /// `stripe-signature: t=…,v1=…`.
        Stripe = "stripe",
        /// `x-hub-signature-256: sha256=…`.
        Github = "github",
        /// `x-shopify-hmac-sha256`.
        Shopify = "shopify",
    }
}

impl Profile {
    /// Whether one request carries the signatures of several keys.
    #[must_use]
    pub const fn carries_several(self) -> bool {
        matches!(self, Self::Standard | Self::Svix | Self::Stripe)
    }

    /// Whether there is a form for the algorithm.
    #[must_use]
    pub const fn has(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Hmac => true,
            Algorithm::Ed25519 => matches!(self, Self::Standard | Self::Svix),
        }
    }
}

words! {
    /// What is sent as the message's id: `push.webhook_id`.
    WebhookId {
        /// The event's.
        #[default]
        Event = "event",
        /// The publisher's key, where there is one; else the event's id.
        Key = "key",
    }
}

/// How requests are signed. Changes count from the next try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// What new keys are.
    pub algorithm: Algorithm,
    /// In whose form.
    pub profile: Profile,
    /// Which id is sent.
    pub webhook_id: WebhookId,
}

/// A signing key at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// How it is called: no secret.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it no longer signs.
    pub expires_at: Option<Timestamp>,
    /// `whpk_…`: what receivers verify with, if it is a private key.
    pub public_key: Option<String>,
    /// The sealed text: `whsec_…`, `whsk_…`, or the secret as another sender had it.
    pub sealed: Vec<u8>,
}

impl SealedSecret {
    /// What it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        if self.public_key.is_some() { Algorithm::Ed25519 } else { Algorithm::Hmac }
    }

    /// Whether it signs at `now`.
    #[must_use]
    pub fn signs_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// Which keys there are after another one has come, newest first. Those that sign now do so for
/// `overlap_secs` more, unless they end earlier; what signs no longer is left out.
#[must_use]
pub fn rotated(keys: &[SealedSecret], new: SealedSecret, overlap_secs: u32, now: Timestamp) -> Vec<SealedSecret> {
    let end = now + Duration::from_secs(overlap_secs.into());
    let mut all = alloc::vec![new];
    if overlap_secs > 0 {
        all.extend(
            keys.iter()
                .filter(|it| it.signs_at(now))
                .map(|it| SealedSecret { expires_at: Some(it.expires_at.map_or(end, |at| at.min(end))), ..it.clone() }),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn key(id: &str, expires_at: Option<i64>) -> SealedSecret {
        SealedSecret {
            id: id.into(),
            created_at: Timestamp::from_secs(0),
            expires_at: expires_at.map(Timestamp::from_secs),
            public_key: None,
            sealed: Vec::new(),
        }
    }

    #[track_caller]
    fn check(keys: &[SealedSecret], overlap_secs: u32, want: &[(&str, Option<i64>)]) {
        let found = rotated(keys, key("new", None), overlap_secs, Timestamp::from_secs(100));
        let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.expires_at.map(|it| it.as_secs()))).collect();
        assert_eq!(format!("{found:?}"), format!("{want:?}"));
    }

    #[test]
    fn the_old_keys_sign_on_for_the_overlap_and_no_longer() {
        check(&[key("a", None)], 60, &[("new", None), ("a", Some(160))]);
        check(&[key("a", None)], 0, &[("new", None)]);
        check(&[key("b", None), key("a", Some(130))], 60, &[("new", None), ("b", Some(160)), ("a", Some(130))]);
        check(&[key("b", None), key("a", Some(300))], 60, &[("new", None), ("b", Some(160)), ("a", Some(160))]);
        check(&[key("b", None), key("a", Some(100))], 60, &[("new", None), ("b", Some(160))]);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for it in Profile::ALL {
            assert_eq!(Profile::parse(it.as_str()), Some(*it));
            assert!(it.has(Algorithm::Hmac));
        }
        assert_eq!(Algorithm::parse("rsa"), None);
        assert_eq!(WebhookId::parse("key"), Some(WebhookId::Key));
    }
}
