//! Signing keys: making, sealing, rotating, and signing with them.
//!
//! A key at rest is sealed text, bound to its subscription; its public half and
//! its name lie open beside it. Nothing but a try and this file opens one.

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision, resources::IfMatch};
use ringback_model::{
    SubscriptionId, TenantId, Timestamp,
    event::Event,
    ids, limits,
    signing::{self, SealedSecret, Signing, WebhookId},
    subscription::{Push, Subscription},
};
use ringback_ports::{
    seal::Binding,
    store::{Change, Expected},
};
use ringback_signature::{self as signature, Message, SignKey};
use std::sync::Arc;

/// What is said of how to sign; what is `None` is the default of a new one, and stays in a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `ringback_model::signing::Signing`")]
pub struct SigningPatch {
    pub algorithm: Option<signing::Algorithm>,
    pub profile: Option<signing::Profile>,
    pub webhook_id: Option<WebhookId>,
}

impl SigningPatch {
    /// Exactly this.
    #[must_use]
    pub(super) const fn whole(it: Signing) -> Self {
        Self { algorithm: Some(it.algorithm), profile: Some(it.profile), webhook_id: Some(it.webhook_id) }
    }

    pub(super) const fn says_something(self) -> bool {
        self.algorithm.is_some() || self.profile.is_some() || self.webhook_id.is_some()
    }

    pub(super) fn apply(self, to: Signing) -> Signing {
        Signing {
            algorithm: self.algorithm.unwrap_or(to.algorithm),
            profile: self.profile.unwrap_or(to.profile),
            webhook_id: self.webhook_id.unwrap_or(to.webhook_id),
        }
    }
}

/// The keys of a subscription, and what is shown of a new one this once.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// Newest first; those too that no longer sign.
    pub keys: Vec<SealedSecret>,
    /// The new secret; `None` if there is none to be shown.
    pub secret: Option<String>,
    /// When this was so.
    pub at: Timestamp,
    /// Of the subscription.
    pub version: u64,
}

/// A key that was made or given: sealed, and what its owner is shown once.
pub(super) struct NewKey {
    pub(super) sealed: SealedSecret,
    pub(super) shown: Option<String>,
}

const fn profile(it: signing::Profile) -> signature::Profile {
    match it {
        signing::Profile::Standard => signature::Profile::Standard,
        signing::Profile::Svix => signature::Profile::Svix,
        signing::Profile::Stripe => signature::Profile::Stripe,
        signing::Profile::Github => signature::Profile::Github,
        signing::Profile::Shopify => signature::Profile::Shopify,
    }
}

const fn algorithm(it: signing::Algorithm) -> signature::Algorithm {
    match it {
        signing::Algorithm::Hmac => signature::Algorithm::Hmac,
        signing::Algorithm::Ed25519 => signature::Algorithm::Ed25519,
    }
}

fn refused(pointer: &str, detail: impl Into<String>) -> Error {
    Error::Field { pointer: pointer.into(), detail: detail.into() }
}

/// Refuses an algorithm for which the profile has no form.
pub(super) fn check(it: Signing) -> Result<(), Error> {
    if it.profile.has(it.algorithm) {
        return Ok(());
    }
    Err(refused(
        "/push/signing",
        format!(
            "The profile `{}` has no form for `{}`. Use `hmac`, or the profile `standard` or `svix`.",
            it.profile.as_str(),
            it.algorithm.as_str()
        ),
    ))
}

/// The text of a given secret as a key of this kind.
fn read(given: &str, wanted: Signing, pointer: &str) -> Result<SignKey, Error> {
    let key = SignKey::parse(profile(wanted.profile), given)
        .map_err(|it| refused(pointer, format!("{}. Leave it out to have one made.", capital(&it.to_string()))))?;
    if key.algorithm() != algorithm(wanted.algorithm) {
        let form = match wanted.algorithm {
            signing::Algorithm::Hmac => "`hmac` needs a secret that begins with `whsec_`",
            signing::Algorithm::Ed25519 => "`ed25519` needs a private key that begins with `whsk_`",
        };
        return Err(refused(pointer, format!("With `push.signing` {form}. Leave it out to have one made.")));
    }
    if key.is_weak() {
        let detail = format!(
            "A secret has at least {} different bytes; this one was not drawn by chance, and can be guessed. Leave it out to have one made.",
            signature::DISTINCT_BYTES_MIN
        );
        return Err(refused(pointer, detail));
    }
    Ok(key)
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|it| it.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// What a signing key is bound to.
const fn binding<'a>(tenant: &'a str, row: &'a str) -> Binding<'a> {
    Binding { tenant, table: "subscriptions", row, column: "secret" }
}

impl Service {
    /// A key, as it was given or newly made.
    pub(super) fn new_key(
        &self,
        (tenant, no): (&TenantId, u32),
        given: Option<&str>,
        wanted: Signing,
        pointer: &str,
        now: Timestamp,
    ) -> Result<NewKey, Error> {
        check(wanted)?;
        let key = match given {
            Some(text) => read(text, wanted, pointer)?,
            None => {
                let mut chance = [0; 32];
                self.inner.entropy.fill(&mut chance);
                SignKey::generate(profile(wanted.profile), algorithm(wanted.algorithm), chance)
                    .ok_or_else(|| Error::Internal("a profile without a key".into()))?
            }
        };
        let row = no.to_string();
        let sealed = self.inner.seal.seal(&self.data_key(tenant)?, binding(tenant.as_str(), &row), key.format().as_bytes());
        let sealed = SealedSecret {
            id: ids::prefixed("sec_", now, self.inner.entropy.bits()),
            created_at: now,
            expires_at: None,
            public_key: key.public_key().map(|it| it.format()),
            sealed: sealed.map_err(|it| Error::Internal(it.to_string()))?,
        };
        // A private key stays here: what receivers need is the public one.
        let shown = sealed.public_key.is_none().then(|| key.format());
        Ok(NewKey { sealed, shown })
    }

    /// Whether this is the secret that it signs with: giving it again changes nothing.
    pub(super) fn signs_with(&self, before: &Subscription, push: &Push, text: &str) -> bool {
        let opened = |it: &SealedSecret| self.open_text(before, it).ok();
        let same =
            |it: String| match (SignKey::parse(profile(push.signing.profile), &it), SignKey::parse(profile(push.signing.profile), text)) {
                (Ok(one), Ok(other)) => one == other,
                _ => it == text,
            };
        push.secrets.first().and_then(opened).is_some_and(same)
    }

    /// The signing of a subscription after a patch.
    ///
    /// What its keys are is for good: they would have to be shown anew. Its profile may become
    /// one in which the present keys can sign, or any if a new key comes with it.
    pub(super) fn resigned(&self, before: &Subscription, push: &Push, patch: SigningPatch, new_key: bool) -> Result<Signing, Error> {
        let after = patch.apply(push.signing);
        if after == push.signing {
            return Ok(after);
        }
        check(after)?;
        if after.algorithm != push.signing.algorithm && !new_key {
            let detail = format!(
                "This subscription signs with `{}`, which is fixed when its key is made. Make another subscription, or PUT it with a `push.secret` of the other kind.",
                push.signing.algorithm.as_str()
            );
            return Err(refused("/push/signing", detail));
        }
        if after.profile != push.signing.profile && !new_key {
            for it in push.secrets.iter().filter(|it| it.signs_at(self.now())) {
                let text = self.open_text(before, it).map_err(Error::Internal)?;
                SignKey::parse(profile(after.profile), &text).map_err(|why| {
                    let detail = format!(
                        "The profile `{}` can't sign with the present secret: {why}. PUT the subscription with a `push.secret` that it can sign with, or make another one.",
                        after.profile.as_str()
                    );
                    refused("/push/profile", detail)
                })?;
            }
        }
        Ok(after)
    }

    fn open_text(&self, subscription: &Subscription, it: &SealedSecret) -> Result<String, String> {
        let data_key = self.data_key(&subscription.tenant).map_err(|it| format!("{it:?}"))?;
        let row = subscription.no.to_string();
        let plain = self.inner.seal.open(&data_key, binding(subscription.tenant.as_str(), &row), &it.sealed);
        String::from_utf8(plain.map_err(|it| it.to_string())?).map_err(|_| "a signing secret is not text".to_owned())
    }

    /// The headers that sign `body`, sent at `now`.
    pub(crate) fn signed_headers(
        &self,
        subscription: &Subscription,
        push: &Push,
        event: &Event,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Vec<(&'static str, String)>, String> {
        let form = profile(push.signing.profile);
        let keys: Vec<SignKey> = push
            .secrets
            .iter()
            .filter(|it| it.signs_at(now))
            .map(|it| SignKey::parse(form, &self.open_text(subscription, it)?).map_err(|it| it.to_string()))
            .collect::<Result<_, _>>()?;
        let id = event.id.to_string();
        // A header loses the spaces around it on its way, and what is signed has to be what arrives.
        let key = event.key.as_deref().map(|it| it.trim_matches(' ')).filter(|it| !it.is_empty());
        let id = match (push.signing.webhook_id, key) {
            (WebhookId::Key, Some(key)) => key,
            _ => &id,
        };
        // Receivers compare it with clocks of their own.
        let timestamp_secs = self.inner.clock.wall().as_secs();
        let message = Message { id, timestamp_secs, event_type: event.event_type.as_str(), body };
        Ok(signature::headers(form, &keys, &message))
    }

    /// The keys that a subscription signs with, without their secrets; none if it is pulled.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn signing_keys(&self, ctx: &Ctx, id: &SubscriptionId) -> Result<SigningKeys, Error> {
        let found = self.find(ctx, id)?;
        let keys = found.push.as_ref().map(|it| it.secrets.clone()).unwrap_or_default();
        Ok(SigningKeys { keys, secret: None, at: self.now(), version: found.version })
    }

    /// Gives a subscription a new key. The present ones sign on for `overlap` seconds.
    ///
    /// # Errors
    /// `NotFound`, preconditions, `Field`, `LimitReached`.
    pub async fn rotate_secret(
        &self,
        ctx: &Ctx,
        id: &SubscriptionId,
        secret: Option<String>,
        overlap: Option<u32>,
        if_match: IfMatch,
        write: Write<SigningKeys>,
    ) -> Result<Outcome<SigningKeys>, Error> {
        let (service, ctx, id) = (self.clone(), ctx.clone(), id.clone());
        self.whole(async move {
            let (_turn, before) = service.turn_to_change(&ctx, &id).await?;
            if_match.check(Some(before.version), || None)?;
            let push = before.push.as_ref().ok_or_else(pulled)?;
            let now = service.now();
            let several = push.signing.profile.carries_several();
            let overlap = match overlap {
                Some(secs) if secs > 0 && !several => {
                    let detail = format!(
                        "A request in the form of `{}` carries one signature, so two keys can't overlap. Teach the receiver both secrets first, then rotate with `\"overlap\":0`.",
                        push.signing.profile.as_str()
                    );
                    return Err(refused("/overlap", detail));
                }
                Some(secs) => secs,
                None if several => limits::ROTATION_OVERLAP_SECS_DEFAULT,
                None => 0,
            };
            if secret.as_deref().is_some_and(|it| service.signs_with(&before, push, it)) {
                return Err(refused("/secret", "It is the present one. Give another one, or leave it out to have one made."));
            }
            let new = service.new_key((&before.tenant, before.no), secret.as_deref(), push.signing, "/secret", now)?;
            let secrets = signing::rotated(&push.secrets, new.sealed, overlap, now);
            if secrets.len() > limits::SIGNING_KEYS_MAX {
                return Err(Error::LimitReached { what: "keys of a subscription that sign at the same time", max: limits::SIGNING_KEYS_MAX });
            }
            let after = Arc::new(Subscription {
                push: Some(Push { secrets: secrets.clone(), ..push.clone() }),
                version: before.version + 1,
                updated_at: now,
                ..(*before).clone()
            });
            let rotated = SigningKeys { keys: secrets, secret: new.shown, at: now, version: after.version };
            let outcome = service
                .write(&ctx, write, || async {
                    let mut set = service.control_set(&ctx, &after, "subscription.rotate-secret", now);
                    set.changes.push(Change::Subscription {
                        subscription: Box::new((*after).clone()),
                        expected: Expected::Version(before.version),
                        cursor: None,
                        skipped: Vec::new(),
                    });
                    let rotated = rotated.clone();
                    Ok(Decision::new(set, move |_| rotated.clone()))
                })
                .await?;
            // A repeat was answered from what is kept: nothing of this was stored.
            if matches!(outcome, Outcome::Fresh(_)) {
                service.registry_mut().put_subscription(after);
                service.inner.dispatcher.refresh(before.no).await;
            }
            Ok(outcome)
        })
        .await
    }
}

fn pulled() -> Error {
    refused("", "It is a pull subscription: nothing is sent, and so nothing is signed. Give it a `push` to have it pushed.")
}
