//! Objects as `import`, `apply` and `export` carry them: one JSON object each, with `kind` and
//! `id`, and else what the body of its PUT says.
//!
//! Secrets may be said by where they are: `{"env":"NAME"}` or `{"file":"PATH"}`, so that
//! files of objects can be kept where others read them.

pub(crate) mod apply;
pub(crate) mod export;
pub(crate) mod import;

use crate::{
    exit::{Exit, Failure},
    session::Session,
};
use ringback_client::{Client, HeaderMap, Method, Response, path::segment};
use ringback_wire::{NewSubscription, tenant::PutTenant};
use serde_json::{Map, Value, value::RawValue};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, fs,
};

/// A secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A customer.
    Tenant,
    /// A subscription.
    Subscription,
    /// An object of a mirrored type.
    Resource,
}

impl Kind {
    const ALL: [(&'static str, Self); 3] = [("tenant", Self::Tenant), ("subscription", Self::Subscription), ("resource", Self::Resource)];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// One object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Whose it is; the one of the command line if `None`.
    pub(crate) tenant: Option<String>,
    /// Of a resource.
    type_name: Option<String>,
    /// The body of its PUT: number literals stay what they are.
    body: BTreeMap<String, Box<RawValue>>,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.type_name.as_deref().unwrap_or_else(|| self.kind.as_str());
        match &self.tenant {
            Some(tenant) => write!(f, "{kind} {} of {tenant}", self.id),
            None => write!(f, "{kind} {}", self.id),
        }
    }
}

fn raw(value: &Value) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(value).map_err(|it| it.to_string())
}

impl Object {
    /// Reads one, and the secrets that it names.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut body: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|it| format!("this is not a JSON object: {it}"))?;
        let mut take = |name: &str| -> Result<Option<String>, String> {
            let Some(value) = body.remove(name) else { return Ok(None) };
            serde_json::from_str(value.get()).map(Some).map_err(|_| format!("`{name}` should be a string"))
        };
        let kinds = || Kind::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
        let kind = take("kind")?.ok_or_else(|| format!("`kind` is missing: one of {}", kinds()))?;
        let kind = Kind::ALL
            .iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, it)| *it)
            .ok_or_else(|| format!("`{kind}` is no kind: it should be one of {}", kinds()))?;
        let id = take("id")?.filter(|it| !it.is_empty()).ok_or("`id` is missing: with it, the same again changes nothing")?;
        let (mut tenant, mut type_name) = (None, None);
        if kind != Kind::Tenant {
            tenant = take("tenant")?;
        }
        if kind == Kind::Resource {
            type_name = Some(take("type")?.ok_or("`type` is missing: the name of a mirrored type")?);
        }
        if kind == Kind::Subscription {
            if tenant.as_deref() == Some("*") {
                body.insert("tenant".into(), raw(&Value::from("*"))?);
            }
            if let Some(push) = body.get("push") {
                let mut push: Value = serde_json::from_str(push.get()).map_err(|it| it.to_string())?;
                fill_secrets(&mut push)?;
                body.insert("push".into(), raw(&push)?);
            }
        }
        Ok(Self { kind, id, tenant, type_name, body })
    }

    /// What a server would say of its body, as far as that can be said without one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let said = match self.kind {
            Kind::Tenant => PutTenant::read(&self.value()).map(drop),
            Kind::Subscription => NewSubscription::read(&self.value()).map(drop),
            Kind::Resource => return Ok(()),
        };
        said.map_err(|it| {
            let places: Vec<_> = it.errors.iter().map(|it| it.detail.as_str()).collect();
            if places.is_empty() { it.detail.clone() } else { places.join(" ") }
        })
    }

    fn value(&self) -> Value {
        serde_json::to_value(&self.body).unwrap_or_default()
    }

    /// Its body, to be sent.
    fn text(&self) -> String {
        serde_json::to_string(&self.body).unwrap_or_default()
    }

    /// Adds an entry to its `metadata`, unless that is no object.
    fn mark(&mut self, name: &str, value: &str) -> Result<(), String> {
        let mut metadata = match self.body.get("metadata") {
            Some(it) => serde_json::from_str::<Option<Map<String, Value>>>(it.get()).map_err(|_| "`metadata` should be an object")?,
            None => None,
        }
        .unwrap_or_default();
        metadata.insert(name.into(), value.into());
        self.body.insert("metadata".into(), raw(&Value::Object(metadata))?);
        Ok(())
    }
}

/// Replaces `{"env":"NAME"}` and `{"file":"PATH"}` where a secret may stand.
fn fill_secrets(push: &mut Value) -> Result<(), String> {
    if let Some(secret) = push.get_mut("secret") {
        fill("push.secret", secret)?;
    }
    for name in ["password", "token", "client_secret"] {
        if let Some(secret) = push.pointer_mut(&format!("/auth/{name}")) {
            fill(&format!("push.auth.{name}"), secret)?;
        }
    }
    if let Some(headers) = push.get_mut("headers").and_then(Value::as_object_mut) {
        for (name, value) in headers {
            fill(&format!("push.headers.{name}"), value)?;
        }
    }
    Ok(())
}

fn fill(what: &str, value: &mut Value) -> Result<(), String> {
    let Some((from, name)) = value.as_object().filter(|it| it.len() == 1).and_then(|it| it.iter().next()) else { return Ok(()) };
    let Some(name) = name.as_str() else { return Ok(()) };
    let found = match from.as_str() {
        "env" => env::var(name).map_err(|_| format!("`{what}` is to be read from the variable {name}, which is not set"))?,
        "file" => {
            let size = fs::metadata(name).map(|it| it.len()).unwrap_or_default();
            if size > SECRET_BYTES_MAX {
                return Err(format!("`{what}` is to be read from {name}, which is larger than {SECRET_BYTES_MAX} bytes"));
            }
            let text = fs::read_to_string(name).map_err(|it| format!("`{what}` is to be read from {name}, which can't be read: {it}"))?;
            // An editor ends the last line; no secret ends so.
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        _ => return Ok(()),
    };
    *value = found.into();
    Ok(())
}

/// What a PUT did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// It is new.
    Made,
    /// It was there and may be another now.
    Put,
    /// It was there like that.
    Nothing,
}

/// Puts objects to a server, and remembers the paths of their types.
#[derive(Debug)]
pub(crate) struct Putter<'a> {
    session: &'a Session,
    paths: BTreeMap<String, String>,
    /// Tenants that are known to be there.
    tenants: BTreeSet<String>,
}

impl<'a> Putter<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { session, paths: BTreeMap::new(), tenants: BTreeSet::new() }
    }

    /// Asks on behalf of the object's tenant.
    fn client(&self, of: &Object) -> Client {
        match &of.tenant {
            Some(tenant) => self.session.client.clone().tenant(Some(tenant.clone())),
            None => self.session.client.clone(),
        }
    }

    async fn path(&mut self, of: &Object) -> Result<String, Failure> {
        let id = segment(&of.id);
        let Some(name) = &of.type_name else {
            let noun = if of.kind == Kind::Tenant { "tenants" } else { "subscriptions" };
            return Ok(format!("/v1/{noun}/{id}"));
        };
        let path = match self.paths.get(name) {
            Some(path) => path.clone(),
            None => {
                let path = path_of_type(self.session, name).await?.1;
                self.paths.insert(name.clone(), path.clone());
                path
            }
        };
        Ok(format!("{path}/{id}"))
    }

    /// Whether there is such a tenant, as far as the key may know.
    pub(crate) async fn is_tenant(&mut self, id: &str) -> Result<bool, Failure> {
        if self.tenants.contains(id) {
            return Ok(true);
        }
        let path = format!("/v1/tenants/{}", segment(id));
        let answer = self.session.client.clone().tenant(None).request(Method::GET, &path, HeaderMap::new(), Vec::new().into()).await?;
        let there = answer.status.as_u16() != 404;
        if there {
            self.tenants.insert(id.to_owned());
        }
        Ok(there)
    }

    /// What is there; `None` if nothing is.
    pub(crate) async fn present(&mut self, of: &Object) -> Result<Option<Value>, Failure> {
        let path = self.path(of).await?;
        let answer = self.client(of).request(Method::GET, &path, HeaderMap::new(), Vec::new().into()).await?;
        if answer.status.as_u16() == 404 { Ok(None) } else { Ok(Some(answer.ok()?.json()?)) }
    }

    /// Asks what its PUT would do; only of a resource.
    pub(crate) async fn ask(&mut self, of: &Object) -> Result<(), Failure> {
        let path = self.path(of).await?;
        let body = of.text().into();
        self.client(of).request(Method::PUT, &format!("{path}?dry_run=true"), HeaderMap::new(), body).await?.ok()?;
        Ok(())
    }

    /// Puts it; what that did, and the answer.
    pub(crate) async fn put(&mut self, of: &Object) -> Result<(Did, Response), Failure> {
        let path = self.path(of).await?;
        let answer = self.client(of).request(Method::PUT, &path, HeaderMap::new(), of.text().into()).await?.ok()?;
        let did = match answer.status.as_u16() {
            201 => Did::Made,
            _ if answer.header("ringback-applied") == Some("false") => Did::Nothing,
            _ => Did::Put,
        };
        Ok((did, answer))
    }

    /// Removes it.
    pub(crate) async fn remove(&mut self, of: &Object) -> Result<(), Failure> {
        let path = self.path(of).await?;
        self.client(of).request(Method::DELETE, &path, HeaderMap::new(), Vec::new().into()).await?.ok()?;
        Ok(())
    }
}

/// The declaration of a type, and its path: `/{type}` where it says none.
async fn path_of_type(session: &Session, name: &str) -> Result<(Value, String), Failure> {
    let found = session.client.get(&format!("/v1/types/{}", segment(name))).await?;
    let path = found.get("path").and_then(Value::as_str).map_or_else(|| format!("/{name}"), str::to_owned);
    Ok((found, path))
}

/// The secret that a server made, as a line to be kept: it is shown this once.
fn secret_line(of: &Object, answer: &Response) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    // One's own needs no showing.
    let given = of.body.get("push").is_some_and(|it| serde_json::from_str::<Value>(it.get()).is_ok_and(|it| it.get("secret").is_some()));
    let secret = body.pointer("/push/secret").filter(|_| !given)?;
    let mut line = Map::new();
    line.insert("kind".into(), of.kind.as_str().into());
    line.insert("id".into(), of.id.as_str().into());
    if let Some(tenant) = &of.tenant {
        line.insert("tenant".into(), tenant.as_str().into());
    }
    line.insert("secret".into(), secret.clone());
    Some(Value::Object(line).to_string())
}

/// The same failure, said of a place.
fn at(place: &str, why: Failure, rest: &str) -> Failure {
    let message = why.message.unwrap_or_else(|| "it failed".into());
    Failure { exit: why.exit, message: Some(format!("{place}: {message}{rest}")) }
}

/// Wrong by itself, without a server.
fn wrong(place: &str, why: &str) -> Failure {
    Failure::new(Exit::Invalid, format!("{place}: {why}"))
}

#[cfg(test)]
mod tests;
