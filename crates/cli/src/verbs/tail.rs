//! `ringback tail`: events as they happen, one a line, through restarts of the server;
//! and the loop that all verbs share that follow something.

use super::events::Wanted;
use crate::{
    cli::Connect,
    exit::{Failure, Outcome},
    output::{clean, inline, put, say},
    session::Session,
};
use clap::Args;
use ringback_client::{ClientError, Follow};
use serde_json::Value;
use std::time::Duration;

/// How long one request waits for events, in seconds.
pub(crate) const WAIT_SECS: u64 = 25;
/// Pause before the first new try, and the longest one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// `ringback tail`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback tail
  ringback tail --types 'payment.*' --after start
  ringback tail --subject /payment/123 --json | jq .data")]
pub(crate) struct TailArgs {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Which events.
    #[command(flatten)]
    wanted: Wanted,
    /// Where to begin: start, now, a cursor, an event's id or a time
    #[arg(long, value_name = "PLACE", default_value = "now")]
    after: String,
}

/// Follows events.
pub(crate) async fn run(session: &Session, args: TailArgs) -> Outcome {
    follow(session, session.client.follow_events(&args.after, args.wanted.filter(None), WAIT_SECS), event_line, true).await
}

/// Prints what comes, one a line, until it is stopped, standard output is closed, or the server refuses for
/// good; unless `on`, only what comes first.
pub(crate) async fn follow(session: &Session, mut follow: Follow, line: fn(&str) -> String, on: bool) -> Outcome {
    // A server that never answered is a mistake to report; one that goes away later is waited for.
    follow.start().await?;
    let mut away = false;
    let mut pause = PAUSE.0;
    loop {
        match follow.next_raw().await {
            Ok(event) => {
                if away {
                    say("The server is back; nothing was missed.");
                }
                (away, pause) = (false, PAUSE.0);
                if session.json {
                    put(event.get())?
                } else {
                    put(&line(event.get()))?
                }
                if !on && follow.is_between_pages() {
                    return Ok(());
                }
            }
            Err(error) if error.is_passing() => {
                if !away && !is_quiet(&error) {
                    say(&is_away(&error));
                    away = true;
                }
                rest(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
            Err(error) => return Err(gone(error, &follow)),
        }
    }
}

/// What is said when a server goes away while it is read from: nothing was written, so nothing has to be looked after.
pub(super) fn is_away(error: &ClientError) -> String {
    let why = match error {
        ClientError::Unreachable { reason, .. } | ClientError::Interrupted { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    format!("The server is away, trying again: {why}")
}

/// A long-poll that a proxy cut short is no outage.
const fn is_quiet(error: &ClientError) -> bool {
    matches!(error, ClientError::TimedOut { .. })
}

fn gone(error: ClientError, follow: &Follow) -> Failure {
    let failure = Failure::from(error);
    let place = clean(follow.cursor());
    Failure { message: failure.message.map(|it| format!("{it}\nStopped after {place}.")), ..failure }
}

#[expect(clippy::disallowed_methods, reason = "paces readers at a terminal and their leases; nothing is owed")]
pub(super) async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// An event on one line: when, where in the log, what, about what, its id, and the status of a resource.
pub(crate) fn event_line(event: &str) -> String {
    let event = ringback_wire::shown(event.as_bytes()).unwrap_or_default();
    let text = |name: &str| event.get(name).filter(|it| !it.is_null()).map(inline).unwrap_or_default();
    let mut out = format!("{}  {:>6}  {:<24}  {:<24}  {}", text("timestamp"), text("sequence"), text("type"), text("subject"), text("id"));
    let change = event.get("previous").and_then(|it| it.get("status")).and_then(Value::as_str);
    if let (Some(from), Some(to)) = (change, event.pointer("/data/status").and_then(Value::as_str)) {
        out.push_str(&format!("  {} → {}", clean(from), clean(to)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_event_is_one_line() {
        expect!["2026-11-23T18:24:44.123456Z      42  payment.completed         /payment/123              evt_1  processing → completed"].assert_eq(&event_line(
            r#"{"id":"evt_1","type":"payment.completed","timestamp":"2026-11-23T18:24:44.123456Z","sequence":42,"subject":"/payment/123",
                "data":{"status":"completed"},"previous":{"status":"processing"}}"#,
        ));
        assert_eq!(event_line(r#"{"id":"a\nb"}"#).lines().count(), 1);
        let odd = event_line(r#"{"id":"evt_2","type":"a.b","timestamp":"t","sequence":7,"data":{"status":"\ud800","n":1e999}}"#);
        assert!(odd.contains("evt_2") && odd.contains("a.b"), "what stands for no value hides nothing: {odd}");
    }
}
