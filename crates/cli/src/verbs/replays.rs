//! `ringback replay`: send again what failed, what is missing, or all of it.
//!
//! `start` and `show --follow` show how far a replay is until it ends: as a bar
//! on a terminal, as lines elsewhere. Who stops looking doesn't stop the replay.

use super::tail::rest;
use crate::{
    cli::Page,
    exit::{Exit, Failure, Outcome},
    output::{self, Column, say},
    session::{Session, page_query},
};
use clap::Subcommand;
use ringback_client::{Method, Response, path::segment};
use serde_json::{Map, Value};
use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// How often it is asked how far a replay is.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Of those, every how many write a line where there is no terminal.
const LINE_EVERY: u32 = 5;
/// Characters of the bar.
const BAR: u64 = 30;

const COLUMNS: &[Column<'_>] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("ONLY", "only"),
    ("MATCHED", "matched"),
    ("DELIVERED", "delivered"),
    ("PARKED", "parked"),
    ("GONE", "gone"),
    ("SUBSCRIPTION", "subscription"),
    ("CREATED", "created_at"),
];

/// Verbs of `ringback replay`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback replay start sub_01J…                                     What is parked
  ringback replay start sub_01J… --only missing --since 2026-11-23T00:00:00Z --dry-run
  ringback replay list
  ringback replay cancel rpl_01J…")]
pub(crate) enum ReplaysVerb {
    /// Send deliveries of a subscription again, and show how far that is
    #[command(before_help = "\
Examples:
  ringback replay start sub_01J…                                     What is parked
  ringback replay start sub_01J… --since 2026-11-23T00:00:00Z --until 2026-11-24T00:00:00Z
  ringback replay start sub_01J… --only missing --types 'payment.*' --dry-run
  ringback replay start sub_01J… --only all --rate 20 --detach")]
    Start {
        /// The subscription
        #[arg(value_name = "SUBSCRIPTION")]
        id: String,
        /// What: parked ones, what matches today and was never delivered, or all that matches today
        #[arg(long, value_parser = ["failed", "missing", "all"], default_value = "failed")]
        only: String,
        /// After this time, event's id or position [default: where the subscription began]
        #[arg(long, value_name = "PLACE")]
        since: Option<String>,
        /// Up to this time, event's id or position [default: now]
        #[arg(long, value_name = "PLACE")]
        until: Option<String>,
        /// Only these types or prefixes, joined by commas
        #[arg(long, value_name = "TYPES", value_delimiter = ',')]
        types: Vec<String>,
        /// Only events that meet this: data.amount >= 1000
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// Tries a second, at most
        #[arg(long, value_name = "N")]
        rate: Option<u32>,
        /// Only count
        #[arg(long)]
        dry_run: bool,
        /// Don't wait for its end
        #[arg(long, conflicts_with = "dry_run")]
        detach: bool,
    },
    /// List replays, the last one first
    #[command(before_help = "Examples:\n  ringback replay list --subscription sub_01J…")]
    List {
        /// Only those of this subscription
        #[arg(long, value_name = "ID")]
        subscription: Option<String>,
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one replay
    #[command(before_help = "Examples:\n  ringback replay show rpl_01J… --follow")]
    #[command(alias = "get")]
    Show {
        /// Its id
        id: String,
        /// Until it ends
        #[arg(long)]
        follow: bool,
    },
    /// End a replay: what is in flight ends by itself, and nothing more is started
    #[command(before_help = "Examples:\n  ringback replay cancel rpl_01J…")]
    Cancel {
        /// Its id
        id: String,
    },
}

fn at(id: &str) -> String {
    format!("/v1/replays/{}", segment(id))
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: ReplaysVerb) -> Outcome {
    match verb {
        ReplaysVerb::Start { id, only, since, until, types, filter, rate, dry_run, detach } => {
            let mut body = Map::new();
            body.insert("subscription".into(), id.into());
            body.insert("only".into(), only.into());
            let texts = [("since", since), ("until", until), ("filter", filter)];
            body.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
            if !types.is_empty() {
                body.insert("types".into(), types.into());
            }
            body.extend(rate.map(|it| ("rate_max_per_s".to_owned(), it.into())));
            if dry_run {
                body.insert("dry_run".into(), true.into());
            }
            let answer = session.write(Method::POST, "/v1/replays", Some(Value::from(body).to_string())).await?;
            match answer.json()?.get("id").and_then(Value::as_str) {
                Some(id) if !detach => follow(session, id).await,
                _ => session.record(&answer),
            }
        }
        ReplaysVerb::List { subscription, page } => {
            let query = page_query(&page, &[("subscription", subscription.as_deref())]);
            session.list(&session.get(&format!("/v1/replays{query}")).await?, COLUMNS)
        }
        ReplaysVerb::Show { id, follow: true } => follow(session, &id).await,
        ReplaysVerb::Show { id, follow: false } => session.record(&session.get(&at(&id)).await?),
        ReplaysVerb::Cancel { id } => session.record(&session.write(Method::DELETE, &at(&id), None).await?),
    }
}

/// Shows how far a replay is until it ends; then all of it.
async fn follow(session: &Session, id: &str) -> Outcome {
    let bar = io::stderr().is_terminal();
    let mut asked = 0_u32;
    loop {
        let answer = session.get(&at(id)).await?;
        let now = answer.json()?;
        let ended = now.get("state").and_then(Value::as_str) != Some("running");
        if bar {
            // The line is drawn over; nobody is left to be told when standard error is closed.
            let _ = write!(io::stderr().lock(), "\r\x1b[K{}{}", progress(&now), if ended { "\n" } else { "" });
        } else if asked.is_multiple_of(LINE_EVERY) || ended {
            say(&format!("{id}: {}", progress(&now)));
        }
        if ended {
            return end(session, &answer, &now);
        }
        if asked == 0 && !bar {
            say("It goes on if this verb is stopped; `ringback replay cancel` ends it.");
        }
        asked = asked.wrapping_add(1);
        rest(ASK_EVERY).await;
    }
}

/// A replay that left something undone ends the verb with 1.
fn end(session: &Session, answer: &Response, now: &Value) -> Outcome {
    session.record(answer)?;
    let parked = number(now, "parked");
    match now.get("state").and_then(Value::as_str) {
        Some("done") if parked == 0 => Ok(()),
        Some("done") => Err(Failure::new(Exit::Failure, format!("{parked} deliveries were not taken: they are what they were before"))),
        _ => Err(Failure::new(Exit::Failure, "it was cancelled".to_owned())),
    }
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// `[#######   ] 70% of the log, 12 matched: 9 delivered, 1 parked`.
fn progress(now: &Value) -> String {
    let (done, all) = (number(now, "looked_at"), number(now, "events"));
    let part = |of: u64| done.saturating_mul(of).checked_div(all).unwrap_or(of);
    let (share, filled) = (part(100), part(BAR));
    let bar: String = (0..BAR).map(|it| if it < filled { '#' } else { ' ' }).collect();
    let state = now.get("state").map(output::inline).unwrap_or_default();
    let gone = match number(now, "gone") {
        0 => String::new(),
        gone => format!(", {gone} gone by retention"),
    };
    format!(
        "{state} [{bar}] {share:>3}% of the log, {} matched: {} delivered, {} parked{gone}",
        number(now, "matched"),
        number(now, "delivered"),
        number(now, "parked"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_far_it_is_fits_on_a_line() {
        let now = json!({ "state": "running", "events": 40, "looked_at": 20, "matched": 12, "delivered": 9, "parked": 1, "gone": 0 });
        assert_eq!(progress(&now), "running [###############               ]  50% of the log, 12 matched: 9 delivered, 1 parked");
        let now = json!({ "state": "done", "events": 0, "looked_at": 0, "matched": 0, "delivered": 0, "parked": 0, "gone": 7 });
        assert!(progress(&now).ends_with("100% of the log, 0 matched: 0 delivered, 0 parked, 7 gone by retention"), "{}", progress(&now));
        let huge = json!({ "state": "running", "events": u64::MAX, "looked_at": u64::MAX });
        assert!(progress(&huge).starts_with("running ["));
    }
}
