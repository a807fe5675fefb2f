//! `ringback export`: what `import` reads, page by page.
//!
//! Secrets are not in it: a server never shows them again. Where one is needed, the line
//! says `{"set":true}`, which the same server takes for the one that is there.

use super::path_of_type;
use crate::{
    cli::Connect,
    exit::{Failure, Outcome},
    output::{put, say},
    session::Session,
};
use clap::Args;
use ringback_client::{HeaderMap, Method, path};
use serde_json::{Map, Value};

/// `ringback export`.
#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  ringback export > customers.ndjson               Tenants and their subscriptions
  ringback export --resources invoice              With the resources of a mirrored type
  ringback export --tenant acme                    One tenant's subscriptions",
    after_help = "\
Secrets are not in it, as no server shows them again: on another server give them before importing,
or leave them out to have new ones made. One-shots that are done, and positions, are left out."
)]
pub(crate) struct ExportArgs {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Also the resources of this mirrored type, repeatable
    #[arg(long, value_name = "TYPE")]
    resources: Vec<String>,
}

/// Does it.
pub(crate) async fn run(session: &Session, args: ExportArgs) -> Outcome {
    let mut paths = Vec::new();
    for name in &args.resources {
        let (found, path) = path_of_type(session, name).await?;
        if found.get("mirror") != Some(&Value::Bool(true)) {
            return Err(Failure::usage(format!(
                "`{name}` is no mirrored type: its resources are made by transitions, and can't be put. Leave it out."
            )));
        }
        paths.push((name, path));
    }
    let mut tenants = Vec::new();
    match &session.tenant {
        Some(tenant) if tenant != "*" => tenants.push(tenant.clone()),
        _ => {
            let mut pages = Pages::new("/v1/tenants", None);
            while let Some(page) = pages.next(session).await? {
                for tenant in page {
                    tenants.extend(tenant.get("id").and_then(Value::as_str).map(str::to_owned));
                    put(&Value::Object(tenant_line(&tenant)).to_string())?;
                }
            }
        }
    }
    let (mut left_out, mut count) = (0_u64, 0_u64);
    for tenant in &tenants {
        let mut pages = Pages::new("/v1/subscriptions", Some(tenant));
        while let Some(page) = pages.next(session).await? {
            for subscription in page {
                match subscription_line(&subscription, tenant) {
                    Some(line) => {
                        count += 1;
                        put(&Value::Object(line).to_string())?;
                    }
                    None => left_out += 1,
                }
            }
        }
    }
    for (name, path) in &paths {
        for tenant in &tenants {
            let mut pages = Pages::new(path, Some(tenant));
            while let Some(page) = pages.next(session).await? {
                for resource in page {
                    count += 1;
                    put(&Value::Object(resource_line(&resource, name, tenant)).to_string())?;
                }
            }
        }
    }
    say(&format!("{} tenants and {count} other objects; {left_out} one-shots that are done were left out", tenants.len()));
    Ok(())
}

/// A list, page by page.
pub(super) struct Pages<'a> {
    path: &'a str,
    tenant: Option<&'a str>,
    after: Option<String>,
    over: bool,
}

impl<'a> Pages<'a> {
    /// Of no tenant, as a list of tenants is, if `tenant` is `None`.
    pub(super) fn new(path: &'a str, tenant: Option<&'a str>) -> Self {
        Self { path, tenant, after: None, over: false }
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self, session: &Session) -> Result<Option<Vec<Value>>, Failure> {
        if self.over {
            return Ok(None);
        }
        let query = path::query([("limit", Some("200")), ("after", self.after.as_deref())].into_iter().filter_map(|(a, b)| Some((a, b?))));
        let client = match self.tenant {
            Some(tenant) => session.client.clone().tenant(Some(tenant.to_owned())),
            None => session.client.clone().tenant(None),
        };
        let answer = client.request(Method::GET, &format!("{}{query}", self.path), HeaderMap::new(), Vec::new().into()).await?;
        let mut body: Value = answer.ok()?.json()?;
        self.after = body.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        self.over = self.after.is_none();
        Ok(body.get_mut("data").map(Value::take).and_then(|it| match it {
            Value::Array(all) => Some(all),
            _ => None,
        }))
    }
}

fn line(kind: &str, id: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("kind".into(), kind.into());
    out.insert("id".into(), id.clone());
    out
}

fn tenant_line(it: &Value) -> Map<String, Value> {
    let mut out = line("tenant", it.get("id").unwrap_or(&Value::Null));
    for name in ["name", "metadata"] {
        out.extend(it.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    out
}

/// The line of a subscription; `None` of one that is done.
pub(super) fn subscription_line(it: &Value, tenant: &str) -> Option<Map<String, Value>> {
    let mut out = line("subscription", it.get("id")?);
    let state = it.get("state").and_then(Value::as_str).unwrap_or_default();
    if state == "done" {
        return None;
    }
    let scope = it.get("tenant").and_then(Value::as_str).unwrap_or(tenant);
    out.insert("tenant".into(), scope.into());
    for name in ["description", "metadata", "types", "strict", "subject", "until", "filter", "from", "payload", "order"] {
        out.extend(it.get(name).filter(|it| !it.is_null()).map(|value| (name.to_owned(), value.clone())));
    }
    // A position means nothing in another log.
    if !matches!(it.get("from").and_then(Value::as_str), Some("now" | "start")) {
        out.insert("from".into(), "now".into());
    }
    // What was suspended is to wait for somebody there, too.
    out.insert("state".into(), if state == "suspended" { "paused" } else { state }.into());
    if let Some(push) = it.get("push").and_then(Value::as_object) {
        let mut push = push.clone();
        for name in ["public_key", "secret"] {
            push.remove(name);
        }
        out.insert("push".into(), push.into());
    }
    Some(out)
}

fn resource_line(it: &Value, type_name: &str, tenant: &str) -> Map<String, Value> {
    let mut out = line("resource", it.get("id").unwrap_or(&Value::Null));
    out.insert("type".into(), type_name.into());
    out.insert("tenant".into(), tenant.into());
    for (name, value) in it.as_object().into_iter().flatten() {
        match name.as_str() {
            "id" | "type" | "tenant" | "version" | "created_at" | "updated_at" => {}
            _ => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_subscription_is_what_its_put_takes() {
        let shown = json!({
            "id": "ledger", "tenant": "acme", "description": "", "metadata": {}, "types": ["a.*"], "strict": true, "subject": null,
            "until": null, "filter": null, "from": "AQEB", "payload": "full", "order": "none", "state": "suspended",
            "push": { "url": "https://a.example/", "headers": { "x-api-key": { "set": true } }, "public_key": "whpk_x" },
            "cursor": "AQE", "lag": 3, "shadowed": 2, "health": {}, "revision": 2, "created_at": "…"
        });
        let line = subscription_line(&shown, "acme").map(Value::Object);
        assert_eq!(
            line,
            Some(json!({
                "kind": "subscription", "id": "ledger", "tenant": "acme", "description": "", "metadata": {}, "types": ["a.*"],
                "strict": true, "from": "now", "payload": "full", "order": "none", "state": "paused",
                "push": { "url": "https://a.example/", "headers": { "x-api-key": { "set": true } } }
            }))
        );
        assert_eq!(subscription_line(&json!({ "id": "x", "state": "done" }), "acme"), None);
    }
}
