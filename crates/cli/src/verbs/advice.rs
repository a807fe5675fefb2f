//! `ringback advice`: what polling costs and brings, and what to do instead.

use crate::{
    cli::Connect,
    exit::Outcome,
    output::{Column, put, say, table},
    session::Session,
};
use clap::Args;
use ringback_client::path::query;
use serde_json::Value;

const POLLERS: &[Column<'_>] = &[
    ("KEY", "key"),
    ("ROUTE", "route"),
    ("POLLS", "polls"),
    ("USELESS", "useless"),
    ("STALE p50 ms", "staleness_ms.p50"),
    ("p95 ms", "staleness_ms.p95"),
    ("MISSED", "missed"),
    ("LONG-POLLS INSTEAD", "instead.long_poll.requests"),
    ("PUSHES INSTEAD", "instead.push.deliveries"),
];

const ENDPOINTS: &[Column<'_>] = &[("SUBSCRIPTION", "subscription"), ("TENANT", "tenant"), ("WHY IT HAD BETTER PULL", "why")];

/// `ringback advice`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback advice
  ringback advice --window 1h --json")]
pub(crate) struct AdviceArgs {
    /// How far back: whole hours, at most 24h
    #[arg(long, value_name = "TIME", default_value = "24h")]
    window: String,
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
}

/// Prints what the server counted.
pub(crate) async fn run(session: &Session, args: AdviceArgs) -> Outcome {
    let answer = session.get(&format!("/v1/advice{}", query([("window", args.window.as_str())]))).await?;
    if session.json {
        return session.record(&answer);
    }
    let body = answer.json()?;
    let rows = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (pollers, endpoints) = (rows("pollers"), rows("endpoints"));
    if !pollers.is_empty() {
        put(&table(&pollers, POLLERS))?;
    }
    if !endpoints.is_empty() {
        put(&table(&endpoints, ENDPOINTS))?;
    }
    if body.get("too_little_data").and_then(Value::as_bool) == Some(true) {
        say("Too few polls were counted to advise anything: the server counts from its start.");
    }
    Ok(())
}
