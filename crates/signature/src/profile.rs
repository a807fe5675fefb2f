//! Signature profiles: how a request is signed, in which headers, with what
//! kind of key. Beside Standard Webhooks, the forms of well-known senders, so
//! that a company can change its sender and its customers change nothing.
//!
//! Each form is written down from the provider's public documentation, which
//! its `Profile` names. Not here: verifying (`check`).

use crate::{
    ed25519::{self, PRIVATE_PREFIX, PUBLIC_PREFIX, PrivateKey, PublicKey},
    scheme::{SECRET_PREFIX, Secret, SecretError, hmac},
};
use alloc::{format, string::String, vec::Vec};
use base64::{Engine, prelude::BASE64_STANDARD};
use core::fmt;

/// The form of a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    Standard,
    /// The same under `svix-id`, `svix-timestamp`, `svix-signature`.
    /// <https://docs.svix.com/receiving/verifying-payloads/how-manual>
    Svix,
    /// `stripe-signature: t=<seconds>,v1=<hex>` over `<seconds>.<body>`. The secret's text
    /// itself is the key, its `whsec_` included. <https://docs.stripe.com/webhooks/signature>
    Stripe,
    /// `x-hub-signature-256: sha256=<hex>` over the body; no time is signed.
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    Github,
    /// `x-shopify-hmac-sha256: <base64>` over the body; no time is signed.
    /// <https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook-to-ensure-its-coming-from-shopify>
    Shopify,
}

/// What a key is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A secret that sender and receiver share.
    Hmac,
    /// A private key and a public one. Only Standard Webhooks and Svix have a form for it.
    Ed25519,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Standard, Self::Svix, Self::Stripe, Self::Github, Self::Shopify];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Svix => "svix",
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::Shopify => "shopify",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The header with the signature.
    #[must_use]
    pub const fn signature_header(self) -> &'static str {
        match self {
            Self::Standard => crate::HEADER_SIGNATURE,
            Self::Svix => "svix-signature",
            Self::Stripe => "stripe-signature",
            Self::Github => "x-hub-signature-256",
            Self::Shopify => "x-shopify-hmac-sha256",
        }
    }

    /// Whether one request can carry the signatures of several keys, so that a
    /// receiver may learn the new one while the old one still does.
    #[must_use]
    pub const fn carries_several(self) -> bool {
        matches!(self, Self::Standard | Self::Svix | Self::Stripe)
    }

    /// Whether keys are written as `whsec_`, `whsk_` or `whpk_` and base64. In the others
    /// the text itself is the key.
    #[must_use]
    pub const fn has_encoded_keys(self) -> bool {
        matches!(self, Self::Standard | Self::Svix)
    }
}

/// The least characters of a secret whose text is the key.
pub const RAW_CHARS_MIN: usize = 16;
/// The most characters of a secret whose text is the key.
pub const RAW_CHARS_MAX: usize = 256;
/// The least different bytes of a secret: fewer were typed, not drawn.
pub const DISTINCT_BYTES_MIN: usize = 8;

/// A secret whose text is the key: 16 to 256 printable ASCII characters without
/// spaces. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawSecret(String);

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawSecret(…)")
    }
}

impl RawSecret {
    /// Takes the text.
    ///
    /// # Errors
    /// Unless it is 16 to 256 printable ASCII characters without spaces.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if !text.bytes().all(|it| it.is_ascii_graphic()) {
            Err(SecretError::RawCharacters)
        } else if !(RAW_CHARS_MIN..=RAW_CHARS_MAX).contains(&text.len()) {
            Err(SecretError::RawLength { chars: text.len() })
        } else {
            Ok(Self(text.into()))
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a sender signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignKey {
    /// `whsec_…`.
    Hmac(Secret),
    /// `whsk_…`.
    Ed25519(PrivateKey),
    /// A text.
    Raw(RawSecret),
}

impl SignKey {
    /// Reads a key as `profile` has them.
    ///
    /// # Errors
    /// Unless it is one.
    pub fn parse(profile: Profile, text: &str) -> Result<Self, SecretError> {
        if !profile.has_encoded_keys() {
            RawSecret::parse(text).map(Self::Raw)
        } else if text.starts_with(PRIVATE_PREFIX) {
            PrivateKey::parse(text).map(Self::Ed25519)
        } else {
            Secret::parse(text).map(Self::Hmac)
        }
    }

    /// A new key of these bytes, which must come from chance. `None` for an
    /// algorithm that the profile has no form for.
    #[must_use]
    pub fn generate(profile: Profile, algorithm: Algorithm, chance: [u8; 32]) -> Option<Self> {
        let hex = || chance.iter().map(|it| format!("{it:02x}")).collect::<String>();
        match (profile, algorithm) {
            (Profile::Standard | Profile::Svix, Algorithm::Hmac) => Some(Self::Hmac(Secret::generate(chance))),
            (Profile::Standard | Profile::Svix, Algorithm::Ed25519) => Some(Self::Ed25519(PrivateKey::from_seed(chance))),
            (Profile::Stripe, Algorithm::Hmac) => Some(Self::Raw(RawSecret(format!("{SECRET_PREFIX}{}", hex())))),
            (Profile::Github | Profile::Shopify, Algorithm::Hmac) => Some(Self::Raw(RawSecret(hex()))),
            (Profile::Stripe | Profile::Github | Profile::Shopify, Algorithm::Ed25519) => None,
        }
    }

    /// The text that `parse` reads. Tells the secret.
    #[must_use]
    pub fn format(&self) -> String {
        match self {
            Self::Hmac(it) => it.format(),
            Self::Ed25519(it) => it.format(),
            Self::Raw(it) => it.0.clone(),
        }
    }

    /// What it is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hmac(_) | Self::Raw(_) => Algorithm::Hmac,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public half, if it has one.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Ed25519(it) => Some(it.public_key()),
            Self::Hmac(_) | Self::Raw(_) => None,
        }
    }

    /// Whether a secret has so few different bytes that it can't have come from chance.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let bytes = match self {
            Self::Hmac(it) => it.as_bytes(),
            Self::Raw(it) => it.0.strip_prefix(SECRET_PREFIX).unwrap_or(&it.0).as_bytes(),
            Self::Ed25519(_) => return false,
        };
        let mut seen = [false; 256];
        for it in bytes {
            if let Some(seen) = seen.get_mut(usize::from(*it)) {
                *seen = true;
            }
        }
        seen.iter().filter(|it| **it).count() < DISTINCT_BYTES_MIN
    }
}

/// What a receiver verifies with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyKey {
    /// `whsec_…`.
    Hmac(Secret),
    /// `whpk_…`.
    Ed25519(PublicKey),
    /// A text.
    Raw(RawSecret),
}

impl VerifyKey {
    /// Reads a key as `profile` has them. A private key stands for its public half.
    ///
    /// # Errors
    /// Unless it is one.
    pub fn parse(profile: Profile, text: &str) -> Result<Self, SecretError> {
        if profile.has_encoded_keys() && text.starts_with(PUBLIC_PREFIX) {
            PublicKey::parse(text).map(Self::Ed25519)
        } else {
            Ok(Self::from(SignKey::parse(profile, text)?))
        }
    }
}

impl From<SignKey> for VerifyKey {
    fn from(it: SignKey) -> Self {
        match it {
            SignKey::Hmac(it) => Self::Hmac(it),
            SignKey::Ed25519(it) => Self::Ed25519(it.public_key()),
            SignKey::Raw(it) => Self::Raw(it),
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its id, the same on every try. Should have no full stop in it.
    pub id: &'a str,
    /// The time of this try, in seconds since 1970.
    pub timestamp_secs: i64,
    /// What kind of message it is.
    pub event_type: &'a str,
    /// The bytes that are sent.
    pub body: &'a [u8],
}

/// The headers that sign a message: its signature, and what belongs to it.
///
/// Keys stand newest first. Where a request carries one signature, the first
/// key makes it; keys that a profile has no form for sign nothing. `webhook-id`
/// and `webhook-timestamp` are always there, since every receiver needs an id
/// by which it knows a message again.
#[must_use]
pub fn headers(profile: Profile, keys: &[SignKey], message: &Message<'_>) -> Vec<(&'static str, String)> {
    let time = format!("{}", message.timestamp_secs);
    let mut all = Vec::with_capacity(6);
    all.push((crate::HEADER_ID, String::from(message.id)));
    all.push((crate::HEADER_TIMESTAMP, time.clone()));
    let signature = match profile {
        Profile::Standard => standard(keys, message, &time),
        Profile::Svix => {
            all.push(("svix-id", String::from(message.id)));
            all.push(("svix-timestamp", time.clone()));
            standard(keys, message, &time)
        }
        Profile::Stripe => {
            let mut value = format!("t={time}");
            for mac in macs(keys, &[time.as_bytes(), b".", message.body]) {
                value.push_str(",v1=");
                push_hex(&mut value, &mac);
            }
            value
        }
        Profile::Github => {
            all.push(("x-github-event", String::from(message.event_type)));
            all.push(("x-github-delivery", String::from(message.id)));
            let mut value = String::from("sha256=");
            if let Some(mac) = macs(keys, &[message.body]).next() {
                push_hex(&mut value, &mac);
            }
            value
        }
        Profile::Shopify => {
            all.push(("x-shopify-topic", String::from(message.event_type)));
            all.push(("x-shopify-webhook-id", String::from(message.id)));
            macs(keys, &[message.body]).next().map(|mac| BASE64_STANDARD.encode(mac)).unwrap_or_default()
        }
    };
    all.push((profile.signature_header(), signature));
    all
}

/// Whether a profile writes this header, whose name is in lower case, or signs by one that is named alike.
#[must_use]
pub fn is_reserved_header(name: &str) -> bool {
    ["webhook-", "svix-", "x-hub-signature"].iter().any(|it| name.starts_with(it))
        || ["stripe-signature", "x-github-event", "x-github-delivery", "x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id"]
            .contains(&name)
}

fn standard(keys: &[SignKey], message: &Message<'_>, time: &str) -> String {
    let mut value = String::with_capacity(96 * keys.len());
    for key in keys {
        let (version, signature) = match key {
            SignKey::Hmac(it) => (crate::scheme::VERSION, BASE64_STANDARD.encode(it.mac(message.id, time, message.body))),
            SignKey::Ed25519(it) => (ed25519::VERSION, BASE64_STANDARD.encode(it.sign(&content(message.id, time, message.body)))),
            SignKey::Raw(_) => continue,
        };
        if !value.is_empty() {
            value.push(' ');
        }
        value.push_str(version);
        value.push(',');
        value.push_str(&signature);
    }
    value
}

/// What Standard Webhooks signs.
pub(crate) fn content(id: &str, time: &str, body: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(id.len() + time.len() + body.len() + 2);
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        all.extend_from_slice(part);
    }
    all
}

fn macs<'a>(keys: &'a [SignKey], parts: &'a [&'a [u8]]) -> impl Iterator<Item = [u8; 32]> + 'a {
    keys.iter().filter_map(move |it| match it {
        SignKey::Raw(it) => Some(hmac(it.as_bytes(), parts)),
        SignKey::Hmac(_) | SignKey::Ed25519(_) => None,
    })
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for it in bytes {
        out.push_str(&format!("{it:02x}"));
    }
}
