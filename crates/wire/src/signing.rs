//! How a push subscription signs, as it is said and shown: `push.signing`,
//! `push.profile`, `push.webhook_id`, and the keys of `GET …/secret`.

use crate::{
    Problem,
    read::{Object, Problems, Shape},
};
use ringback_model::{
    Timestamp, limits,
    signing::{Algorithm, Profile, SealedSecret, Signing, WebhookId},
};
use serde::Serialize;
use serde_json::Value;

/// What is said of how to sign; what is `None` is the default in a new `push`, and stays in a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigningPatch {
    /// `hmac` or `ed25519`.
    pub algorithm: Option<Algorithm>,
    /// `standard`, `svix`, `stripe`, `github` or `shopify`.
    pub profile: Option<Profile>,
    /// `event` or `key`.
    pub webhook_id: Option<WebhookId>,
}

impl SigningPatch {
    /// Reads the members of a `push`; `null` sets the default.
    pub(crate) fn read(it: &Object<'_>, problems: &mut Problems) -> Self {
        let algorithms: Vec<_> = Algorithm::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let profiles: Vec<_> = Profile::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let ids: Vec<_> = WebhookId::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        Self {
            algorithm: said(it, "signing", &algorithms, problems),
            profile: said(it, "profile", &profiles, problems),
            webhook_id: said(it, "webhook_id", &ids, problems),
        }
    }

    /// What it makes of what there is.
    #[must_use]
    pub fn apply(self, to: Signing) -> Signing {
        Signing {
            algorithm: self.algorithm.unwrap_or(to.algorithm),
            profile: self.profile.unwrap_or(to.profile),
            webhook_id: self.webhook_id.unwrap_or(to.webhook_id),
        }
    }
}

fn said<T: Copy + Default>(it: &Object<'_>, name: &str, known: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    match it.given(name) {
        crate::read::Given::Absent => None,
        crate::read::Given::Null => Some(T::default()),
        crate::read::Given::Value(_) => it.one_of(name, known, problems),
    }
}

/// A signing key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SigningKeyView {
    /// How it is called.
    pub id: String,
    /// `hmac` or `ed25519`.
    pub alg: &'static str,
    /// When it was made.
    pub created_at: String,
    /// From when on it no longer signs; not there for the one that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// `whpk_…`, of an `ed25519` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// The keys that a subscription signs with, newest first: `GET /v1/subscriptions/{id}/secret`,
/// and after a rotation together with what is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SigningKeysView {
    /// The new secret, only in the answer to a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// All that sign now.
    pub keys: Vec<SigningKeyView>,
}

impl SigningKeysView {
    /// The view of those keys that sign at `now`.
    #[must_use]
    pub fn of(keys: &[SealedSecret], secret: Option<String>, now: Timestamp) -> Self {
        let keys = keys.iter().filter(|it| it.signs_at(now)).map(|it| SigningKeyView {
            id: it.id.clone(),
            alg: it.algorithm().as_str(),
            created_at: it.created_at.to_string(),
            expires_at: it.expires_at.map(|it| it.to_string()),
            public_key: it.public_key.clone(),
        });
        Self { secret, keys: keys.collect() }
    }
}

/// The body of `POST /v1/subscriptions/{id}/rotate-secret`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// One's own secret, not read yet; made if absent.
    pub secret: Option<String>,
    /// How long the old keys sign on, in seconds; the default depends on the profile.
    pub overlap: Option<u32>,
}

const ROTATE: Shape = Shape { members: &["secret", "overlap"], read_only: &[], paths: &["secret", "overlap"] };

impl Rotate {
    /// Reads the body; none says nothing.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: Option<&Value>) -> Result<Self, Problem> {
        let Some(body) = body else { return Ok(Self::default()) };
        let mut problems = Problems::new();
        let read = Object::open(body, "", &ROTATE, &mut problems).map(|it| Self {
            secret: it.text_of("secret", 1, limits::URL_BYTES_MAX, &mut problems).map(Into::into),
            overlap: it.integer("overlap", 0, limits::ROTATION_OVERLAP_SECS_MAX, &mut problems),
        });
        problems.finish(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn key(id: &str, expires: Option<i64>, public_key: Option<&str>) -> SealedSecret {
        SealedSecret {
            id: id.into(),
            created_at: Timestamp::from_secs(0),
            expires_at: expires.map(Timestamp::from_secs),
            public_key: public_key.map(Into::into),
            sealed: b"whsec_sealed".to_vec(),
        }
    }

    #[test]
    fn keys_are_shown_without_their_secrets_and_only_while_they_sign() {
        let all = [key("sec_2", None, Some("whpk_x")), key("sec_1", Some(60), None), key("sec_0", Some(5), None)];
        let view = SigningKeysView::of(&all, None, Timestamp::from_secs(5));
        expect![[r#"{"keys":[{"id":"sec_2","alg":"ed25519","created_at":"1970-01-01T00:00:00.000000Z","public_key":"whpk_x"},{"id":"sec_1","alg":"hmac","created_at":"1970-01-01T00:00:00.000000Z","expires_at":"1970-01-01T00:01:00.000000Z"}]}"#]]
            .assert_eq(&serde_json::to_string(&view).unwrap());
    }

    #[test]
    fn a_rotation_says_what_it_wants_or_nothing() {
        assert_eq!(Rotate::read(None).unwrap(), Rotate::default());
        assert_eq!(Rotate::read(Some(&json!({}))).unwrap(), Rotate::default());
        assert_eq!(
            Rotate::read(Some(&json!({ "secret": "whsec_x", "overlap": 0 }))).unwrap(),
            Rotate { secret: Some("whsec_x".into()), overlap: Some(0) }
        );
        for bad in
            [json!({ "overlap": -1 }), json!({ "overlap": limits::ROTATION_OVERLAP_SECS_MAX + 1 }), json!({ "secrets": [] }), json!([])]
        {
            assert!(Rotate::read(Some(&bad)).is_err(), "{bad}");
        }
    }
}
