//! As whom a push comes, as it is said and shown: `push.auth`. Secrets are taken and never shown.

use crate::{
    read::{Given, Object, Problems, Shape, kind},
    sentences::fields,
};
use ringback_model::{
    auth::{Auth, AuthGiven, GivenSecret, Kind},
    limits,
};
use serde::Serialize;
use serde_json::Value;

/// What is shown in place of a secret: `{"set":true}`. Sent back, it means the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Set {
    /// Always true.
    pub set: bool,
}

impl Set {
    /// The one that there is.
    pub const SET: Self = Self { set: true };

    /// Whether `value` is exactly that.
    #[must_use]
    pub fn is(value: &Value) -> bool {
        value.as_object().is_some_and(|it| it.len() == 1) && value.get("set") == Some(&Value::Bool(true))
    }
}

/// The value of a static header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HeaderView {
    /// As it is sent.
    Text(String),
    /// It is secret.
    Set(Set),
}

/// `push.auth`, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthView {
    /// `basic`, `bearer` or `oauth2_client_credentials`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of `basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Of `basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Set>,
    /// Of `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Set>,
    /// Of `oauth2_client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Of `oauth2_client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of `oauth2_client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Set>,
    /// Of `oauth2_client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl AuthView {
    /// The view; `None` when it comes by its signature alone.
    #[must_use]
    pub fn of(it: &Auth) -> Option<Self> {
        let mut out = Self {
            kind: it.kind().as_str(),
            username: None,
            password: None,
            token: None,
            token_url: None,
            client_id: None,
            client_secret: None,
            scope: None,
        };
        match it {
            Auth::None => return None,
            Auth::Basic { username, .. } => {
                out.username = Some(username.clone());
                out.password = Some(Set::SET);
            }
            Auth::Bearer { .. } => out.token = Some(Set::SET),
            Auth::ClientCredentials { token_url, client_id, scope, .. } => {
                out.token_url = Some(token_url.clone());
                out.client_id = Some(client_id.clone());
                out.client_secret = Some(Set::SET);
                out.scope.clone_from(scope);
            }
        }
        Some(out)
    }
}

const PATHS: &[&str] = &[
    "push.auth.type",
    "push.auth.username",
    "push.auth.password",
    "push.auth.token",
    "push.auth.token_url",
    "push.auth.client_id",
    "push.auth.client_secret",
    "push.auth.scope",
];

const SHAPE: Shape = Shape {
    members: &["type", "username", "password", "token", "token_url", "client_id", "client_secret", "scope"],
    read_only: &[],
    paths: PATHS,
};

/// Reads `auth` of a `push`; `null` is none.
pub(crate) fn read(it: &Object<'_>, problems: &mut Problems) -> Option<AuthGiven> {
    match it.given("auth") {
        Given::Absent => return None,
        Given::Null => return Some(AuthGiven { kind: Some(Kind::None), ..AuthGiven::default() }),
        Given::Value(_) => {}
    }
    let it = it.object("auth", &SHAPE, problems)?;
    let kinds: Vec<_> = Kind::ALL.iter().map(|it| (it.as_str(), *it)).collect();
    let kind = it.one_of("type", &kinds, problems);
    let of_user = |text: &str| !text.contains(':') && is_printable(text);
    let given = AuthGiven {
        kind,
        username: text(&it, "username", limits::AUTH_NAME_BYTES_MAX, of_user, "text without `:` and control characters", problems),
        password: secret(&it, "password", limits::AUTH_SECRET_BYTES_MAX, is_printable, "text without control characters", problems),
        token: secret(&it, "token", limits::TOKEN_BYTES_MAX, is_token, "printable ASCII without spaces", problems),
        token_url: it.text_of("token_url", 1, limits::URL_BYTES_MAX, problems).map(Into::into),
        client_id: text(&it, "client_id", limits::AUTH_NAME_BYTES_MAX, is_printable, "text without control characters", problems),
        client_secret: secret(
            &it,
            "client_secret",
            limits::AUTH_SECRET_BYTES_MAX,
            is_printable,
            "text without control characters",
            problems,
        ),
        scope: match it.given("scope") {
            Given::Absent => None,
            Given::Null => Some(None),
            Given::Value(_) => {
                let is_scope = |text: &str| text.bytes().all(|it| matches!(it, b' '..=b'~'));
                text(&it, "scope", limits::AUTH_SECRET_BYTES_MAX, is_scope, "printable ASCII", problems).map(Some)
            }
        },
    };
    if let Some(kind) = kind {
        for name in SHAPE.members.iter().filter(|it| **it != "type" && !kind.members().contains(it)) {
            if it.get(name).is_some() {
                let belongs = Kind::ALL.iter().find(|it| it.members().contains(name)).map_or("none", |it| it.as_str());
                problems.note(fields::invalid(
                    &it.pointer(name),
                    &format!(
                        "`{name}` belongs to the type `{belongs}`, and `type` is `{}`. Leave it out, or change `type`.",
                        kind.as_str()
                    ),
                ));
            }
        }
    }
    Some(given)
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|it| matches!(it, b'!'..=b'~'))
}

fn text(it: &Object<'_>, name: &str, max: usize, fits: impl Fn(&str) -> bool, rule: &str, problems: &mut Problems) -> Option<String> {
    let text = it.text_of(name, 1, max, problems)?;
    if !fits(text) {
        problems.note(fields::invalid(&it.pointer(name), &format!("`{name}` should be {rule}.")));
        return None;
    }
    Some(text.to_owned())
}

/// As `text`, of what is never repeated: not in sentences either.
fn secret(
    it: &Object<'_>,
    name: &str,
    max: usize,
    fits: impl Fn(&str) -> bool,
    rule: &str,
    problems: &mut Problems,
) -> Option<GivenSecret> {
    match it.get(name)? {
        value if Set::is(value) => Some(GivenSecret::Keep),
        Value::String(_) => text(it, name, max, fits, rule, problems).map(GivenSecret::Text),
        other => {
            problems.note(fields::wrong_type(&it.pointer(name), "a string, or `{\"set\":true}` for the one that is there", kind(other)));
            None
        }
    }
}
