//! As whom a push subscription comes to its endpoint: `push.auth`, and static headers that are secret.
//!
//! Secrets are here as they are kept: sealed. Who opens them is `service::subscriptions::access`.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// A sealed secret. It tells nothing of itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

/// How a request says who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// By its signature alone.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// Without a colon.
        username: String,
        /// Sealed.
        password: Sealed,
    },
    /// RFC 6750, with a token that stays.
    Bearer {
        /// Sealed.
        token: Sealed,
    },
    /// RFC 6749, section 4.4: a token that is fetched and expires.
    ClientCredentials {
        /// Who gives tokens; as it was given, and vetted as endpoints are.
        token_url: String,
        /// Who we are there.
        client_id: String,
        /// Sealed.
        client_secret: Sealed,
        /// What the token is to be good for; nothing is asked for if `None`.
        scope: Option<String>,
    },
}

impl Auth {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::None => Kind::None,
            Self::Basic { .. } => Kind::Basic,
            Self::Bearer { .. } => Kind::Bearer,
            Self::ClientCredentials { .. } => Kind::ClientCredentials,
        }
    }

    /// Where its tokens are fetched.
    #[must_use]
    pub fn token_url(&self) -> Option<&str> {
        match self {
            Self::ClientCredentials { token_url, .. } => Some(token_url),
            Self::None | Self::Basic { .. } | Self::Bearer { .. } => None,
        }
    }
}

/// A kind of `Auth`: the `type` of `push.auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Auth`")]
pub enum Kind {
    None,
    Basic,
    Bearer,
    ClientCredentials,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Basic, Self::Bearer, Self::ClientCredentials];

    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::ClientCredentials => "oauth2_client_credentials",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The members that belong to it.
    #[must_use]
    pub const fn members(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Basic => &["username", "password"],
            Self::Bearer => &["token"],
            Self::ClientCredentials => &["token_url", "client_id", "client_secret", "scope"],
        }
    }
}

/// What of a push has to do with secrets that are not signing keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// As whom it comes.
    pub auth: Auth,
    /// Static headers whose values are secret, lower-case names, in order of name.
    pub headers: Vec<(String, Sealed)>,
}

/// A secret, as somebody gives it. It tells nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub enum GivenSecret {
    /// `{"set":true}`: the one that is there.
    Keep,
    /// This one.
    Text(String),
}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Text(_) => "Text",
        })
    }
}

/// What is said of `push.auth`; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Auth`")]
pub struct AuthGiven {
    pub kind: Option<Kind>,
    pub username: Option<String>,
    pub password: Option<GivenSecret>,
    pub token: Option<GivenSecret>,
    pub token_url: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<GivenSecret>,
    /// `Some(None)`: none any more.
    pub scope: Option<Option<String>>,
}

/// What is said of an `Access`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessGiven {
    /// Of `push.auth`.
    pub auth: Option<AuthGiven>,
    /// Headers that are to stay what they are: `{"set":true}`.
    pub headers_kept: Vec<String>,
    /// Whether all is said: what is not said is not there, instead of staying.
    pub whole: bool,
}

/// Whether the value of a static header of this (lower-case) name is a secret: `authorization`, `cookie`, and
/// names with one of the words key, apikey, token, secret, password, auth, credential, credentials in them.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    const WORDS: [&str; 9] = ["key", "apikey", "token", "secret", "password", "auth", "credential", "credentials", "authorization"];
    name == "cookie" || name.split(['-', '_', '.']).any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_are_told_by_their_words() {
        for name in ["authorization", "x-api-key", "api_key", "cookie", "x-auth-token", "x-shared-secret", "apikey"] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["x-env", "x-tokenizer", "x-author", "x-keyboard", "x-request-source"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn nothing_tells_what_is_secret() {
        let given = AuthGiven { password: Some(GivenSecret::Text("hush".into())), ..AuthGiven::default() };
        let auth = Auth::Bearer { token: Sealed(b"hush".to_vec()) };
        assert!(!alloc::format!("{given:?} {auth:?}").contains("hush"));
    }
}
