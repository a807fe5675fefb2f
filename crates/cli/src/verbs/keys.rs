//! `ringback keys`: who may ask.

use crate::{
    exit::Outcome,
    output::{Column, say},
    session::{Session, page_query},
};
use clap::Subcommand;
use ringback_client::{Method, path::segment};
use serde_json::{Map, Value};

const COLUMNS: &[Column<'_>] = &[
    ("ID", "id"),
    ("ROLE", "role"),
    ("TENANT", "tenant"),
    ("DESCRIPTION", "description"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

/// Verbs of `ringback keys`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback keys create --role tenant --tenant acme --description 'their production'
  ringback keys create --role gateway --scope resources:read --scope events:read
  ringback keys list
  ringback keys delete key_01J…")]
pub(crate) enum KeysVerb {
    /// Make a key; it is shown this once
    #[command(before_help = "Examples:\n  ringback keys create --role tenant --tenant acme --description 'their production'")]
    Create {
        /// What kind of caller it is for; a tenant's key is for the one named by --tenant
        #[arg(long, value_parser = ["operator", "gateway", "tenant"])]
        role: String,
        /// What it may do, repeatable [default: all that its role may]
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// For people
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// From when on it is refused
        #[arg(long, value_name = "RFC3339")]
        expires_at: Option<String>,
        /// Requests a second that it may make [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate_max_per_s: Option<u32>,
    },
    /// List keys, without their secrets
    #[command(before_help = "Examples:\n  ringback keys list --json")]
    List {
        /// Which page.
        #[command(flatten)]
        page: crate::cli::Page,
    },
    /// Delete a key; it stops working at once
    #[command(before_help = "Examples:\n  ringback keys delete key_01J…")]
    Delete {
        /// Its id
        id: String,
    },
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: KeysVerb) -> Outcome {
    match verb {
        KeysVerb::Create { role, scope, description, expires_at, rate_max_per_s } => {
            let mut body = Map::new();
            if let (true, Some(tenant)) = (role == "tenant", &session.tenant) {
                body.insert("tenant".into(), tenant.as_str().into());
            }
            body.insert("role".into(), role.into());
            if !scope.is_empty() {
                body.insert("scopes".into(), scope.into());
            }
            for (name, value) in [("description", description), ("expires_at", expires_at)] {
                if let Some(text) = value {
                    body.insert(name.into(), text.into());
                }
            }
            if let Some(rate) = rate_max_per_s {
                body.insert("rate_max_per_s".into(), rate.into());
            }
            let answer = session.write(Method::POST, "/v1/keys", Some(Value::from(body).to_string())).await?;
            session.record(&answer)?;
            say("Keep the key now: it is shown this once.");
            Ok(())
        }
        KeysVerb::List { page } => {
            let answer = session.get(&format!("/v1/keys{}", page_query(&page, &[]))).await?;
            session.list(&answer, COLUMNS)
        }
        KeysVerb::Delete { id } => {
            session.write(Method::DELETE, &format!("/v1/keys/{}", segment(&id)), None).await?;
            session.done(&format!("Key {id} is deleted."));
            Ok(())
        }
    }
}
