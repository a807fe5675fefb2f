//! `ringback tenants`: the operator's customers.

use super::pairs;
use crate::{
    cli::Page,
    exit::{Failure, Outcome},
    output::Column,
    session::{Session, page_query},
};
use clap::{Args, Subcommand};
use ringback_client::{Method, path::segment};
use serde_json::{Map, Value};

const COLUMNS: &[Column<'_>] = &[("ID", "id"), ("NAME", "name"), ("CREATED", "created_at"), ("METADATA", "metadata")];

/// Verbs of `ringback tenants`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback tenants create acme --name 'Acme Ltd' --metadata plan=gold
  ringback tenants list
  ringback tenants update acme --name 'Acme plc'")]
pub(crate) enum TenantsVerb {
    /// Make a tenant, or change what is given of it
    #[command(before_help = "Examples:\n  ringback tenants create acme --name 'Acme Ltd' --metadata plan=gold")]
    Create {
        /// Its id: lower-case letters, digits and `-`
        id: String,
        /// What it is called.
        #[command(flatten)]
        fields: Fields,
    },
    /// List tenants
    #[command(before_help = "Examples:\n  ringback tenants list")]
    List {
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one tenant
    #[command(before_help = "Examples:\n  ringback tenants show acme")]
    #[command(alias = "get")]
    Show {
        /// Its id
        id: String,
    },
    /// Change a tenant's name or metadata
    #[command(before_help = "Examples:\n  ringback tenants update acme --metadata plan=silver")]
    Update {
        /// Its id
        id: String,
        /// What changes.
        #[command(flatten)]
        fields: Fields,
    },
}

/// What a tenant is called.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// For people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// For programs, repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
}

impl Fields {
    fn body(self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        if let Some(name) = self.name {
            body.insert("name".into(), name.into());
        }
        if !self.metadata.is_empty() {
            body.insert("metadata".into(), pairs("an entry of metadata", &self.metadata)?.into());
        }
        Ok(body)
    }
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: TenantsVerb) -> Outcome {
    let at = |id: &str| format!("/v1/tenants/{}", segment(id));
    let answer = match verb {
        TenantsVerb::List { page } => {
            let answer = session.get(&format!("/v1/tenants{}", page_query(&page, &[]))).await?;
            return session.list(&answer, COLUMNS);
        }
        TenantsVerb::Create { id, fields } => session.write(Method::PUT, &at(&id), Some(Value::from(fields.body()?).to_string())).await?,
        TenantsVerb::Show { id } => session.get(&at(&id)).await?,
        TenantsVerb::Update { id, fields } => {
            let body = fields.body()?;
            if body.is_empty() {
                return Err(Failure::usage("nothing to change: give --name or --metadata"));
            }
            // PUT would make a tenant that isn't there, and a mistyped id is no wish for a new one.
            session.get(&at(&id)).await?;
            session.write(Method::PUT, &at(&id), Some(Value::from(body).to_string())).await?
        }
    };
    session.record(&answer)
}
