//! As whom a push comes: taking what was given, sealing what of it is secret, and opening it for a try.
//!
//! Nothing but a try opens a secret; giving one again that is there already changes nothing.

use super::{Error, counted};
use crate::Service;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ringback_engine::oauth;
use ringback_model::{
    TenantId,
    auth::{Access, AccessGiven, Auth, AuthGiven, GivenSecret, Kind, Sealed, is_secret_header},
    limits,
    subscription::{MapPatch, Push, Subscription},
};
use ringback_ports::seal::Binding;
use std::collections::BTreeMap;

/// Whose secrets.
type Owner<'a> = (&'a TenantId, u32);

fn refused(pointer: &str, detail: impl Into<String>) -> Error {
    Error::Field { pointer: pointer.into(), detail: detail.into() }
}

/// Scheme, name and port of an endpoint.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|it| it.find(['/', '?', '#'])).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

/// Refuses to send secrets to another host than they were given for: whoever may change the
/// address of a subscription may not see them that way.
fn still_meant(access: &Access, headers: Option<&MapPatch>, given: &AccessGiven) -> Result<(), Error> {
    const WHY: &str = "With another host in `push.url` give the secret again, or remove it with `null`: it was meant for the old one.";
    if access.auth != Auth::None && given.auth.is_none() && !given.whole {
        return Err(refused("/push/auth", WHY));
    }
    for (name, _) in &access.headers {
        let said = match headers {
            None => false,
            Some(MapPatch::Clear) => true,
            Some(MapPatch::Merge(changes)) => changes.contains_key(name),
            Some(MapPatch::Replace(_)) => !given.headers_kept.contains(name),
        };
        if !said {
            return Err(refused(&format!("/push/headers/{name}"), WHY));
        }
    }
    Ok(())
}

/// What a secret is bound to: nothing opens in the place of something else.
fn binding<'a>(tenant: &'a TenantId, row: &'a str, column: &'a str) -> Binding<'a> {
    Binding { tenant: tenant.as_str(), table: "subscriptions", row, column }
}

impl Service {
    fn seal_text(&self, (tenant, no): Owner<'_>, column: &str, plain: &str) -> Result<Sealed, Error> {
        let row = no.to_string();
        let sealed = self.inner.seal.seal(&self.data_key(tenant)?, binding(tenant, &row, column), plain.as_bytes());
        sealed.map(Sealed).map_err(|it| Error::Internal(it.to_string()))
    }

    fn open_sealed(&self, (tenant, no): Owner<'_>, column: &str, it: &Sealed) -> Result<String, String> {
        let data_key = self.data_key(tenant).map_err(|it| format!("{it:?}"))?;
        let row = no.to_string();
        let plain = self.inner.seal.open(&data_key, binding(tenant, &row, column), &it.0).map_err(|it| it.to_string())?;
        String::from_utf8(plain).map_err(|_| "a sealed secret is not text".to_owned())
    }

    /// The secret that is meant: the one that is there, if that is what was given.
    fn secret_given(
        &self,
        owner: Owner<'_>,
        column: &str,
        pointer: &str,
        given: Option<GivenSecret>,
        before: Option<&Sealed>,
        whole: bool,
    ) -> Result<Sealed, Error> {
        match (given, before) {
            (Some(GivenSecret::Text(text)), Some(before)) if self.open_sealed(owner, column, before).is_ok_and(|it| it == text) => {
                Ok(before.clone())
            }
            (Some(GivenSecret::Text(text)), _) => self.seal_text(owner, column, &text),
            (Some(GivenSecret::Keep), Some(before)) => Ok(before.clone()),
            (Some(GivenSecret::Keep), None) => Err(refused(pointer, "There is none yet that could be kept: give the secret itself.")),
            (None, Some(before)) if !whole => Ok(before.clone()),
            (None, _) => Err(refused(pointer, "It is missing. Give it, or `{\"set\":true}` for the one that is there.")),
        }
    }

    /// `push.auth` after what was given.
    fn auth_after(&self, owner: Owner<'_>, before: &Auth, given: AuthGiven, whole: bool) -> Result<Auth, Error> {
        let kind = match given.kind {
            Some(kind) => kind,
            None if whole || before.kind() == Kind::None => {
                return Err(refused("/push/auth/type", "`type` is missing: say `basic`, `bearer`, `oauth2_client_credentials` or `none`."));
            }
            None => before.kind(),
        };
        let whole = whole || kind != before.kind();
        let missing = |name: &str| refused(&format!("/push/auth/{name}"), format!("`{name}` is missing: with this type it is needed."));
        let text = |name: &str, given: Option<String>, before: Option<&String>| {
            given.or_else(|| before.filter(|_| !whole).cloned()).ok_or_else(|| missing(name))
        };
        // The type decides which members there are, also where it was not said.
        let stray = [
            ("username", given.username.is_some()),
            ("password", given.password.is_some()),
            ("token", given.token.is_some()),
            ("token_url", given.token_url.is_some()),
            ("client_id", given.client_id.is_some()),
            ("client_secret", given.client_secret.is_some()),
            ("scope", given.scope.as_ref().is_some_and(Option::is_some)),
        ];
        if let Some((name, _)) = stray.iter().find(|(name, there)| *there && !kind.members().contains(name)) {
            let detail = format!("`{name}` doesn't belong to the type `{}`. Leave it out, or change `type`.", kind.as_str());
            return Err(refused(&format!("/push/auth/{name}"), detail));
        }
        match kind {
            Kind::None => Ok(Auth::None),
            Kind::Basic => {
                let (known, sealed) = match before {
                    Auth::Basic { username, password } => (Some(username), Some(password)),
                    _ => (None, None),
                };
                let username = text("username", given.username, known)?;
                let password = self.secret_given(owner, "auth.password", "/push/auth/password", given.password, sealed, whole)?;
                Ok(Auth::Basic { username, password })
            }
            Kind::Bearer => {
                let sealed = if let Auth::Bearer { token } = before { Some(token) } else { None };
                Ok(Auth::Bearer { token: self.secret_given(owner, "auth.token", "/push/auth/token", given.token, sealed, whole)? })
            }
            Kind::ClientCredentials => {
                let (url, id, sealed, asked) = match before {
                    Auth::ClientCredentials { token_url, client_id, client_secret, scope } => {
                        (Some(token_url), Some(client_id), Some(client_secret), scope.clone())
                    }
                    _ => (None, None, None, None),
                };
                let token_url = text("token_url", given.token_url, url)?;
                // A secret that was given for one address isn't sent to another because somebody else changed that.
                let elsewhere = url.is_some_and(|it| *it != token_url);
                if elsewhere && !matches!(given.client_secret, Some(GivenSecret::Text(_))) {
                    return Err(refused(
                        "/push/auth/client_secret",
                        "With another `token_url` give the secret again: it was meant for the old one.",
                    ));
                }
                Ok(Auth::ClientCredentials {
                    token_url,
                    client_id: text("client_id", given.client_id, id)?,
                    client_secret: self.secret_given(
                        owner,
                        "auth.client_secret",
                        "/push/auth/client_secret",
                        given.client_secret,
                        sealed,
                        whole,
                    )?,
                    scope: given.scope.unwrap_or(if whole { None } else { asked }),
                })
            }
        }
    }

    /// What becomes of headers and auth of a push: the headers that may be shown, and the rest.
    pub(super) fn access_after(
        &self,
        owner: Owner<'_>,
        before: Option<&Push>,
        url: Option<&str>,
        headers: Option<&MapPatch>,
        given: AccessGiven,
    ) -> Result<(Vec<(String, String)>, Access), Error> {
        let none = Access::default();
        let access = before.map_or(&none, |it| &it.access);
        let elsewhere = before.zip(url).is_some_and(|(before, url)| origin(url) != origin(&before.url));
        if elsewhere {
            still_meant(access, headers, &given)?;
        }
        let mut plain: BTreeMap<String, String> = before.map(|it| it.headers.iter().cloned().collect()).unwrap_or_default();
        let mut sealed = access.headers.clone();
        if let Some(patch) = headers {
            let known = self.opened_headers(owner, access).map_err(Error::Internal)?;
            let mut all: BTreeMap<String, String> = plain.into_iter().chain(known.iter().cloned()).collect();
            let kept: Vec<(String, String)> =
                all.iter().filter(|(name, _)| given.headers_kept.contains(name)).map(|(a, b)| (a.clone(), b.clone())).collect();
            if let Some(name) = given.headers_kept.iter().find(|it| !all.contains_key(*it)) {
                return Err(refused(&format!("/push/headers/{name}"), "There is none yet that could be kept: give its value."));
            }
            all = patch.apply(&all);
            all.extend(kept);
            let all = counted(all, "/push/headers", limits::PUSH_HEADERS_MAX)?;
            let before = core::mem::take(&mut sealed);
            plain = BTreeMap::new();
            for (name, value) in all {
                if !is_secret_header(&name) {
                    plain.insert(name, value);
                    continue;
                }
                let same = known.iter().any(|(it, text)| *it == name && *text == value);
                let old = before.iter().find(|(it, _)| same && *it == name).map(|(_, it)| it.clone());
                let it = old.map_or_else(|| self.seal_text(owner, &format!("header.{name}"), &value), Ok)?;
                sealed.push((name, it));
            }
        }
        let auth = match given.auth {
            Some(auth) => self.auth_after(owner, if elsewhere { &Auth::None } else { &access.auth }, auth, given.whole)?,
            None if given.whole => Auth::None,
            None => access.auth.clone(),
        };
        let both = auth != Auth::None && (plain.contains_key("authorization") || sealed.iter().any(|(it, _)| it == "authorization"));
        if both {
            return Err(refused(
                "/push/headers/authorization",
                "`push.auth` writes this header. Leave one of them out (`null` removes it).",
            ));
        }
        Ok((plain.into_iter().collect(), Access { auth, headers: sealed }))
    }

    fn opened_headers(&self, owner: Owner<'_>, access: &Access) -> Result<Vec<(String, String)>, String> {
        let open = |(name, it): &(String, Sealed)| Ok((name.clone(), self.open_sealed(owner, &format!("header.{name}"), it)?));
        access.headers.iter().map(open).collect()
    }

    /// The secret static headers, as they are sent.
    pub(crate) fn secret_headers(&self, of: &Subscription, push: &Push) -> Result<Vec<(String, String)>, String> {
        self.opened_headers((&of.tenant, of.no), &push.access)
    }

    /// The `authorization` of one that needs no token fetched.
    pub(crate) fn fixed_authorization(&self, of: &Subscription, auth: &Auth) -> Result<Option<String>, String> {
        let owner = (&of.tenant, of.no);
        match auth {
            Auth::None | Auth::ClientCredentials { .. } => Ok(None),
            Auth::Basic { username, password } => {
                let password = self.open_sealed(owner, "auth.password", password)?;
                Ok(Some(format!("Basic {}", BASE64.encode(format!("{username}:{password}")))))
            }
            Auth::Bearer { token } => Ok(Some(format!("Bearer {}", self.open_sealed(owner, "auth.token", token)?))),
        }
    }

    /// What identifies us to who gives tokens.
    pub(crate) fn client_authorization(&self, of: &Subscription, client_id: &str, secret: &Sealed) -> Result<String, String> {
        let secret = self.open_sealed((&of.tenant, of.no), "auth.client_secret", secret)?;
        Ok(format!("Basic {}", BASE64.encode(oauth::basic_pair(client_id, &secret))))
    }
}
