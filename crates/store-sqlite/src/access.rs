//! As whom a push comes, at rest: part of a subscription's body. Its secrets are sealed before they come here.

use crate::subscriptions::{from_hex, to_hex};
use ringback_model::auth::{Access, Auth, Sealed};
use serde::{Deserialize, Serialize};

/// See the module. Members may be added with `#[serde(default)]`; none changes its meaning.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct StoredAccess {
    #[serde(default)]
    auth: StoredAuth,
    /// Names, and sealed values in hex.
    #[serde(default)]
    headers: Vec<(String, String)>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAuth {
    #[default]
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    ClientCredentials {
        token_url: String,
        client_id: String,
        client_secret: String,
        scope: Option<String>,
    },
}

fn hex(it: &Sealed) -> String {
    to_hex(&it.0)
}

fn sealed(text: &str) -> Option<Sealed> {
    from_hex(text).map(Sealed)
}

impl StoredAccess {
    pub(crate) fn of(it: &Access) -> Self {
        let auth = match &it.auth {
            Auth::None => StoredAuth::None,
            Auth::Basic { username, password } => StoredAuth::Basic { username: username.clone(), password: hex(password) },
            Auth::Bearer { token } => StoredAuth::Bearer { token: hex(token) },
            Auth::ClientCredentials { token_url, client_id, client_secret, scope } => StoredAuth::ClientCredentials {
                token_url: token_url.clone(),
                client_id: client_id.clone(),
                client_secret: hex(client_secret),
                scope: scope.clone(),
            },
        };
        Self { auth, headers: it.headers.iter().map(|(name, it)| (name.clone(), hex(it))).collect() }
    }

    /// `None` where something is no hex.
    pub(crate) fn read(self) -> Option<Access> {
        let auth = match self.auth {
            StoredAuth::None => Auth::None,
            StoredAuth::Basic { username, password } => Auth::Basic { username, password: sealed(&password)? },
            StoredAuth::Bearer { token } => Auth::Bearer { token: sealed(&token)? },
            StoredAuth::ClientCredentials { token_url, client_id, client_secret, scope } => {
                Auth::ClientCredentials { token_url, client_id, client_secret: sealed(&client_secret)?, scope }
            }
        };
        let headers = self.headers.into_iter().map(|(name, it)| Some((name, sealed(&it)?))).collect::<Option<_>>()?;
        Some(Access { auth, headers })
    }
}
