//! `ringback pull`: take events from a pull subscription, and acknowledge them.
//!
//! Printed events are acknowledged once they are written out. With a command,
//! each event is its standard input: success acknowledges it, failure gives it
//! back. While the command runs its lease is extended, so that a slow one keeps
//! what it works on.

use super::tail::{is_away, rest};
use crate::{
    cli::Connect,
    exit::{Exit, Failure, Outcome},
    output::{put, say},
    session::Session,
};
use clap::Args;
use ringback_client::{ClientError, HeaderMap, Method, path::segment};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::{collections::BTreeMap, process::Stdio, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};

/// How long one request waits for events, in seconds.
const WAIT_SECS: u64 = 25;
/// What a deadline adds to that, for the way there and back.
const GRACE: Duration = Duration::from_secs(15);
/// Pause before the first new try, and the longest one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// `ringback pull`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback pull ledger                                   Print what is there, and acknowledge it
  ringback pull ledger --follow                          Go on with what comes
  ringback pull ledger --follow --exec ./handle-event    The event on its standard input; exit 0 acknowledges
  ringback pull ledger --follow --exec 'jq .data' --lease 300")]
pub(crate) struct PullArgs {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The pull subscription
    #[arg(value_name = "SUBSCRIPTION")]
    id: String,
    /// Go on until stopped (Ctrl-C finishes the event at hand)
    #[arg(long)]
    follow: bool,
    /// Run this for each event, by `sh -c`, one after the other: exit 0 acknowledges, anything else gives it back
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Events at most in one request [default: 100, with --exec 1]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// How long events are held for us, in seconds; extended while a command runs
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    lease: u32,
    /// What a command failed on comes again after this, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "exec")]
    delay: u32,
}

#[derive(Deserialize)]
struct Batch {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    tries: BTreeMap<String, u32>,
    ack: String,
}

/// What is read of an event.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "type")]
    event_type: String,
}

struct Puller<'a> {
    session: &'a Session,
    args: PullArgs,
    at: String,
    stop: Stop,
}

/// Hears Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    stopped: bool,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        let hear = |kind| signal(kind).map_err(|why| Failure::new(Exit::Failure, format!("signals can't be heard: {why}")));
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())?, stopped: false })
    }

    /// Returns when somebody wants an end, also when that was before.
    async fn wanted(&mut self) {
        if !self.stopped {
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            self.stopped = true;
        }
    }
}

/// Pulls until there is nothing more, or with `--follow` until it is stopped.
pub(crate) async fn run(session: &Session, args: PullArgs) -> Outcome {
    let at = format!("/v1/subscriptions/{}", segment(&args.id));
    let mut puller = Puller { session, args, at, stop: Stop::new()? };
    let (mut answered, mut worked, mut away) = (false, false, false);
    let mut pause = PAUSE.0;
    loop {
        let wait = if puller.args.follow && answered { WAIT_SECS } else { 0 };
        let batch = match puller.pull(wait).await {
            Ok(None) => return Ok(()),
            Ok(Some(batch)) => batch,
            // A server that never answered is a mistake to report; one that goes away later is waited for.
            Err(error) if error.is_passing() && puller.args.follow && answered => {
                if !away && !matches!(error, ClientError::TimedOut { .. }) {
                    say(&is_away(&error));
                    away = true;
                }
                if puller.rest(pause).await {
                    return Ok(());
                }
                pause = (pause * 2).min(PAUSE.1);
                continue;
            }
            Err(error) => return Err(unless_new(error, &puller.args.id)),
        };
        if core::mem::take(&mut away) {
            say("The server is back.");
        }
        (answered, pause) = (true, PAUSE.0);
        let empty = batch.data.is_empty();
        if empty && !worked && !puller.args.follow {
            say("Nothing here.");
        }
        worked |= !empty;
        puller.handle(batch).await?;
        // Without a command one answer is what was asked for; with one, all that is there.
        let over = !puller.args.follow && (empty || puller.args.exec.is_none());
        if over || puller.stop.stopped {
            return Ok(());
        }
    }
}

/// What was refused; where nothing of that name is, how to make it.
fn unless_new(error: ClientError, id: &str) -> Failure {
    let failure = Failure::from(error);
    match (&failure.message, failure.exit) {
        (Some(message), Exit::NotFound) => {
            let make = format!("To make it: ringback subscriptions create --id {id} --types 'payment.*'");
            Failure::new(Exit::NotFound, format!("{message}\n{make}"))
        }
        _ => failure,
    }
}

impl Puller<'_> {
    /// The next events; `None` when somebody wants an end.
    async fn pull(&mut self, wait: u64) -> Result<Option<Batch>, ClientError> {
        let limit = self.args.limit.unwrap_or(if self.args.exec.is_some() { 1 } else { 100 });
        let body = json!({ "limit": limit, "wait": wait, "lease": self.args.lease }).to_string();
        let (client, at) = (&self.session.client, format!("{}/pull", self.at));
        let asked = client.request_within(GRACE + Duration::from_secs(wait), Method::POST, &at, HeaderMap::new(), body.into());
        let answer = tokio::select! {
            biased;
            answer = asked => answer?.ok()?,
            () = self.stop.wanted() => return Ok(None),
        };
        let bad = |why: serde_json::Error| ClientError::BadAnswer {
            target: "the server".into(),
            reason: format!("its body is no batch ({why})"),
        };
        serde_json::from_slice(&answer.body).map(Some).map_err(bad)
    }

    /// Waits; whether somebody wants an end meanwhile.
    async fn rest(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.wanted() => true,
            () = rest(pause) => false,
        }
    }

    async fn handle(&mut self, batch: Batch) -> Outcome {
        let Some(command) = self.args.exec.clone() else {
            for event in &batch.data {
                put(event.get())?;
            }
            if !batch.data.is_empty() {
                self.say("ack", json!({ "ack": batch.ack })).await?;
            }
            return Ok(());
        };
        let mut left: Vec<(Head, &RawValue)> = Vec::new();
        for event in batch.data.iter().rev() {
            let head = serde_json::from_str(event.get()).unwrap_or(Head { id: String::new(), event_type: String::new() });
            left.push((head, event));
        }
        while let Some((head, event)) = left.pop() {
            // A form without ids is acknowledged as a whole.
            let mut said = Map::from_iter([("ack".to_owned(), Value::from(batch.ack.clone()))]);
            if !head.id.is_empty() {
                said.insert("events".to_owned(), json!([head.id]));
            }
            let tries = batch.tries.get(&head.id).copied().unwrap_or(1);
            if self.work(&command, &batch.ack, &head, event, tries).await? {
                self.say("ack", said.into()).await?;
            } else {
                said.insert("delay".to_owned(), self.args.delay.into());
                self.say("nack", said.into()).await?;
            }
            if self.stop.stopped && !left.is_empty() {
                let ids: Vec<&str> = left.iter().map(|(head, _)| head.id.as_str()).filter(|it| !it.is_empty()).collect();
                return self.say("nack", json!({ "ack": batch.ack, "events": ids })).await;
            }
        }
        Ok(())
    }

    /// Runs the command on one event; whether it succeeded.
    async fn work(&mut self, command: &str, ack: &str, head: &Head, event: &RawValue, tries: u32) -> Result<bool, Failure> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .env("RINGBACK_EVENT_ID", &head.id)
            .env("RINGBACK_EVENT_TYPE", &head.event_type)
            .env("RINGBACK_EVENT_TRIES", tries.to_string())
            .spawn()
            .map_err(|why| Failure::new(Exit::Failure, format!("`sh` can't be started: {why}")))?;
        let input = child.stdin.take();
        let feed = async move {
            if let Some(mut input) = input {
                // One that does not read its input may still succeed.
                let _ = input.write_all(event.get().as_bytes()).await;
                let _ = input.write_all(b"\n").await;
            }
        };
        let ((), status) = tokio::join!(feed, self.end_of(&mut child, ack));
        let status = status.map_err(|why| Failure::new(Exit::Failure, format!("`{command}` could not be waited for: {why}")))?;
        if !status.success() {
            say(&format!("{}: the command failed ({status}), try {tries}; it comes again.", head.id));
        }
        Ok(status.success())
    }

    /// Waits for the command, and holds its events meanwhile.
    async fn end_of(&mut self, child: &mut Child, ack: &str) -> std::io::Result<std::process::ExitStatus> {
        let half = Duration::from_millis(u64::from(self.args.lease) * 500);
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return status,
                // The command hears Ctrl-C itself; what it is at is finished.
                () = self.stop.wanted(), if !self.stop.stopped => {}
                () = rest(half) => {
                    let body = json!({ "ack": ack, "lease": self.args.lease });
                    if let Err(why) = self.send("extend", &body).await {
                        say(&format!("The lease could not be extended: {why}"));
                    }
                }
            }
        }
    }

    async fn send(&self, verb: &str, body: &Value) -> Result<(), ClientError> {
        self.session.client.send(Method::POST, &format!("{}/{verb}", self.at), HeaderMap::new(), Some(body)).await.map(drop)
    }

    /// Says what became of events. A server that is away for a moment is asked again: the token holds over a restart.
    async fn say(&self, verb: &str, body: Value) -> Outcome {
        let mut pause = PAUSE.0;
        for _ in 0..8 {
            match self.send(verb, &body).await {
                Err(error) if error.is_passing() => {
                    rest(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
                Err(error) if verb == "nack" && error.problem().is_some_and(|it| it.code == "lease-expired") => return Ok(()),
                other => return Ok(other?),
            }
        }
        Ok(self.send(verb, &body).await?)
    }
}
