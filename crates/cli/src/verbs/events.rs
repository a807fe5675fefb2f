//! `ringback events`: publish, and read the feed by pages or as it happens.

use super::tail;
use crate::{
    cli::Body,
    exit::Outcome,
    output::Column,
    session::{Session, read_body},
};
use clap::{Args, Subcommand};
use ringback_client::{EventFilter, Method, path::segment};
use serde::Serialize;
use serde_json::value::RawValue;

/// How a table shows events.
pub(crate) const COLUMNS: &[Column<'_>] =
    &[("TIMESTAMP", "timestamp"), ("SEQUENCE", "sequence"), ("TYPE", "type"), ("SUBJECT", "subject"), ("ID", "id"), ("TENANT", "tenant")];

/// Verbs of `ringback events`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback events publish invoice.sent -d '{\"number\":7}' --event-key invoice-7
  ringback events list --types 'payment.*' --after start
  ringback events tail --types 'payment.*' --follow
  ringback events get evt_01J…")]
pub(crate) enum EventsVerb {
    /// Publish an event
    #[command(before_help = "\
Examples:
  ringback events publish invoice.sent -d '{\"number\":7}' --subject /invoice/7 --event-key invoice-7
  ringback events publish --from events.json      An event as JSON, or an array of them")]
    Publish(Publish),
    /// List events, oldest first
    #[command(before_help = "\
Examples:
  ringback events list --types 'payment.*,invoice.sent'
  ringback events list --subject /payment/123
  ringback events list --filter 'data.amount >= 1000'
  ringback events list --after 2026-11-23T18:00:00Z --follow")]
    List {
        /// Which events.
        #[command(flatten)]
        wanted: Wanted,
        /// Where to begin: start, now, a cursor, an event's id or a time [default: start]
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
        /// Items at most (1 to 1000) [default: 100]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
        /// Wait for events up to this many seconds when there are none (0 to 60)
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=60))]
        wait: Option<u64>,
        /// Go on with what happens then, one event a line, through restarts of the server
        #[arg(long, conflicts_with_all = ["wait", "limit"])]
        follow: bool,
    },
    /// Show what happens from now on; with --follow until it is stopped
    #[command(before_help = "\
Examples:
  ringback events tail --follow
  ringback events tail --subject /payment/123
  ringback events tail --after start --follow --json | jq .data")]
    Tail {
        /// Which events.
        #[command(flatten)]
        wanted: Wanted,
        /// Where to begin: start, now, a cursor, an event's id or a time
        #[arg(long, value_name = "PLACE", default_value = "now")]
        after: String,
        /// Go on until it is stopped, through restarts of the server; else the first events that come end it
        #[arg(long)]
        follow: bool,
    },
    /// Show one event, exactly as it is pushed with `payload: full`
    #[command(before_help = "Examples:\n  ringback events get evt_01J… --json")]
    #[command(alias = "show")]
    Get {
        /// Its id
        id: String,
    },
}

/// Which events.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Wanted {
    /// Only these types or prefixes, joined by commas: payment.*,invoice.sent
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only events about this subject: /payment/123
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only events that meet this: data.amount >= 1000
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
}

impl Wanted {
    /// As the client asks for them.
    pub(crate) fn filter(self, limit: Option<u32>) -> EventFilter {
        EventFilter { types: self.types, subject: self.subject, filter: self.filter, limit }
    }
}

/// What to publish.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The event's type: invoice.sent
    #[arg(required_unless_present = "from")]
    r#type: Option<String>,
    /// The event's data [default: {}]
    #[arg(short = 'd', long = "body", value_name = "JSON|@FILE|-", conflicts_with = "from")]
    body: Option<Body>,
    /// What it is about
    #[arg(long, value_name = "SUBJECT", conflicts_with = "from")]
    subject: Option<String>,
    /// The same key again is the same event, not a second one
    #[arg(long = "event-key", value_name = "TEXT", conflicts_with = "from")]
    event_key: Option<String>,
    /// When it happened, if not now
    #[arg(long, value_name = "RFC3339", conflicts_with = "from")]
    occurred_at: Option<String>,
    /// From when on it is not delivered any more: what is still owed then is parked
    #[arg(long, value_name = "RFC3339", conflicts_with = "from")]
    expires_at: Option<String>,
    /// `operator` hides it from tenants
    #[arg(long, value_name = "WHO", value_parser = ["tenant", "operator"], conflicts_with = "from")]
    audience: Option<String>,
    /// Publish what is in this file: an event or an array of up to 1000, all or nothing; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "type")]
    from: Option<String>,
}

/// The body of a publish. `data` keeps its text.
#[derive(Serialize)]
struct NewEvent<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<&'a str>,
}

impl Publish {
    fn body(&self) -> Result<String, crate::exit::Failure> {
        if let Some(file) = &self.from {
            let body = if file == "-" { Body::Stdin } else { Body::File(file.into()) };
            return Ok(read_body(&body)?.get().to_owned());
        }
        let data = read_body(self.body.as_ref().unwrap_or(&Body::Text("{}".into())))?;
        let event = NewEvent {
            r#type: self.r#type.as_deref().unwrap_or_default(),
            subject: self.subject.as_deref(),
            data: &data,
            key: self.event_key.as_deref(),
            occurred_at: self.occurred_at.as_deref(),
            audience: self.audience.as_deref(),
            expires_at: self.expires_at.as_deref(),
        };
        serde_json::to_string(&event).map_err(|it| crate::exit::Failure::invalid(format!("the event can't be written as JSON: {it}")))
    }
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: EventsVerb) -> Outcome {
    match verb {
        EventsVerb::Publish(it) => {
            let answer = session.write(Method::POST, "/v1/events", Some(it.body()?)).await?;
            if answer.json()?.get("data").is_some_and(serde_json::Value::is_array) {
                session.list(&answer, COLUMNS)
            } else {
                session.record(&answer)
            }
        }
        EventsVerb::List { wanted, after, follow: true, .. } => {
            let filter = wanted.filter(None);
            tail::follow(
                session,
                session.client.follow_events(after.as_deref().unwrap_or("start"), filter, tail::WAIT_SECS),
                tail::event_line,
                true,
            )
            .await
        }
        EventsVerb::Tail { wanted, after, follow } => {
            let filter = wanted.filter(None);
            tail::follow(session, session.client.follow_events(&after, filter, tail::WAIT_SECS), tail::event_line, follow).await
        }
        EventsVerb::List { wanted, after, limit, wait, follow: false } => {
            let query = wanted.filter(limit).query(after.as_deref(), wait);
            session.list(&session.get(&format!("/v1/events{query}")).await?, COLUMNS)
        }
        EventsVerb::Get { id } => session.record(&session.get(&format!("/v1/events/{}", segment(&id))).await?),
    }
}
