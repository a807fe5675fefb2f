//! `ringback erasures`: data that is taken out for good.

use crate::{
    cli::Page,
    exit::Outcome,
    output::Column,
    session::{Session, page_query},
};
use clap::{Args, Subcommand};
use ringback_client::Method;
use serde_json::json;

const COLUMNS: &[Column<'_>] = &[("ID", "id"), ("TENANT", "tenant"), ("STATE", "state"), ("ERASED", "erased"), ("CREATED", "created_at")];

/// Verbs of `ringback erasures`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback erasures create --subject /payment/123
  ringback erasures create --event evt_…
  ringback erasures create --tenant acme --all-of acme
  ringback erasures list")]
pub(crate) enum ErasuresVerb {
    /// Erase an event, all about a subject, or all of a tenant. There is no way back
    #[command(
        before_help = "Examples:\n  ringback erasures create --subject /payment/123\n  ringback erasures create --tenant acme --all-of acme"
    )]
    Create(What),
    /// List erasures, and how far they are
    #[command(before_help = "Examples:\n  ringback erasures list")]
    List {
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
}

/// What is erased.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// Its events, and the resource, if it is one
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// One event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// The event that was published with this key
    #[arg(long = "event-key", value_name = "TEXT")]
    event_key: Option<String>,
    /// Everything of this tenant, which has to be the one that --tenant names
    #[arg(long, value_name = "TENANT")]
    all_of: Option<String>,
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: ErasuresVerb) -> Outcome {
    match verb {
        ErasuresVerb::Create(What { subject, event, event_key, all_of }) => {
            let body = match (subject, event, event_key, all_of) {
                (Some(it), ..) => json!({ "subject": it }),
                (_, Some(it), ..) => json!({ "event": it }),
                (.., Some(it), _) => json!({ "key": it }),
                (.., it) => json!({ "tenant": it }),
            };
            session.record(&session.write(Method::POST, "/v1/erasures", Some(body.to_string())).await?)
        }
        ErasuresVerb::List { page } => {
            let answer = session.get(&format!("/v1/erasures{}", page_query(&page, &[]))).await?;
            session.list(&answer, COLUMNS)
        }
    }
}
