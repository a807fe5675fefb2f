//! `ringback bench waiters`: what requests cost that wait, and how soon they know.
//!
//! Memory and processor time are those of the server's process, as Linux counts
//! them; elsewhere they are left out. The clients share the machine with it.

use super::Times;
use crate::{
    demo::{
        http::{Answer, Ask, Client, NoAnswer},
        pace,
        server::{Home, Server},
        wire::Meter,
    },
    exit::{Exit, Failure, Outcome},
    output, serve,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};

/// Requests that fill the server at a time.
const WRITERS: u64 = 64;
/// Changes that are measured, one after the other, with nobody waiting and with all.
const CHANGES: u64 = 100;
/// How long one answer may take before the bench gives up: a wait, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Connections that are opened at once: fewer than a listener's queue holds.
const AT_ONCE: u64 = 200;
/// Pause after these.
const BREATH: Duration = Duration::from_millis(20);
/// How long the server is left alone before its memory is read.
const CALM: Duration = Duration::from_secs(2);

/// `ringback bench waiters`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  ringback bench waiters               10,000 wait for payments of their own, 1,000 for one
  ringback bench waiters --idle 20000 --together 5000 --json")]
pub(super) struct WaitersArgs {
    /// Requests that wait, each for a payment of its own
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=19_000))]
    idle: u64,
    /// Requests that wait for one payment
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=19_000))]
    together: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is read of a status.
#[derive(Debug, Deserialize)]
struct Status {
    done: bool,
}

/// Starts a server, lets many wait, changes a few things, and looks who knows when.
pub(super) async fn run(args: WaitersArgs) -> Outcome {
    serve::raise_open_files();
    let home = Home::make()?;
    let mut server = Server::launch(&home).await?;
    let measured = measure(&args, &server).await;
    server.kill().await;
    let measured = measured?;
    if args.json { output::put(&measured.to_string()) } else { output::put(&output::record(&measured)) }
}

async fn measure(args: &WaitersArgs, server: &Server) -> Result<Value, Failure> {
    let client = Arc::new(Client::operator(server.address(), &server.operator_key()?, Arc::new(Meter::default())));
    let process = Process::of(server);
    output::say(&format!("making {} payments …", args.idle + CHANGES + 1));
    make(&client, args.idle + CHANGES + 1).await?;
    let own = |n: u64| format!("bench-{n}");

    // The same changes with nobody waiting: what one costs anyway.
    let cpu = process.cpu();
    for n in 0..CHANGES {
        complete(&client, &own(args.idle + n)).await?;
    }
    let alone = each(cpu, process.cpu());

    output::say(&format!("{} requests wait, each for its own …", args.idle));
    let before = process.memory_kib();
    let mut waiting = Vec::new();
    for n in 0..args.idle {
        waiting.push(wait(&client, own(n)));
        if n % AT_ONCE == AT_ONCE - 1 {
            pace::sleep(BREATH).await;
        }
    }
    pace::sleep(CALM).await;
    let after = process.memory_kib();
    let memory = before.zip(after).map(|(before, after)| rounded(after.saturating_sub(before) as f64 / args.idle as f64));

    let (mut times, mut woken) = (Times::default(), 0);
    let cpu = process.cpu();
    // Spread over all of them, so that no part of any order is favoured.
    let step = (args.idle / CHANGES).max(1);
    for n in 0..CHANGES {
        let at = n * step;
        let Some(waiter) = usize::try_from(at).ok().and_then(|at| waiting.get_mut(at)) else { continue };
        let since = pace::now();
        complete(&client, &own(at)).await?;
        let knew = told(waiter.await)?;
        times.add(knew.saturating_duration_since(since));
        woken += 1;
    }
    let with_all = each(cpu, process.cpu());
    let idle_still = waiting.iter().filter(|it| !it.is_finished()).count() as u64;
    if idle_still + woken != args.idle {
        return Err(Failure::new(
            Exit::Failure,
            format!("{} requests ended that waited for something else", args.idle - woken - idle_still),
        ));
    }
    for it in &waiting {
        it.abort();
    }

    output::say(&format!("{} requests wait for one payment …", args.together));
    let one = own(args.idle + CHANGES);
    let mut waiting = Vec::new();
    for n in 0..args.together {
        waiting.push(wait(&client, one.clone()));
        if n % AT_ONCE == AT_ONCE - 1 {
            pace::sleep(BREATH).await;
        }
    }
    pace::sleep(CALM).await;
    let since = pace::now();
    complete(&client, &one).await?;
    let mut all = Times::default();
    for it in waiting {
        all.add(told(it.await)?.saturating_duration_since(since));
    }
    Ok(json!({
        "idle": {
            "waiters": args.idle,
            "memory_kib_each": memory,
            "changes": CHANGES,
            "woken": woken,
            "known_ms": known(&times),
            "cpu_us_a_change": { "nobody_waits": alone, "all_wait": with_all },
        },
        "together": { "waiters": args.together, "known_ms": known(&all) },
    }))
}

/// From sending the change until the waiter has its whole answer.
fn known(times: &Times) -> Value {
    let shown = times.show("", 0);
    json!({ "p50": shown.get("p50_ms"), "p99": shown.get("p99_ms"), "max": shown.get("max_ms") })
}

/// Makes payments 0 to `count`.
async fn make(client: &Arc<Client>, count: u64) -> Result<(), Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let mut writers: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..WRITERS {
        let (client, next) = (Arc::clone(client), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok(());
                }
                let body = json!({ "id": format!("bench-{n}"), "amount": 1999, "currency": "eur" }).to_string();
                good(client.ask(Ask::once("/payment", Some(body)).patience(PATIENCE)).await)?;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        told(ended)?;
    }
    Ok(())
}

async fn complete(client: &Client, id: &str) -> Result<(), Failure> {
    good(client.ask(Ask::once(&format!("/payment/{id}/complete"), None).patience(PATIENCE)).await)?;
    Ok(())
}

/// Waits until this payment is done; the moment at which the answer was there.
fn wait(client: &Arc<Client>, id: String) -> JoinHandle<Result<Instant, Failure>> {
    let client = Arc::clone(client);
    tokio::spawn(async move {
        let path = format!("/payment/{id}/status?until=done&wait=60");
        loop {
            let answer = good(client.ask(Ask::get(&path).patience(PATIENCE)).await)?;
            let at = pace::now();
            match answer.json::<Status>() {
                Some(Status { done: true }) => return Ok(at),
                // The minute is over; on with the next one.
                Some(Status { done: false }) => {}
                None => return Err(Failure::new(Exit::Failure, "the server's answer is no status".to_owned())),
            }
        }
    })
}

pub(super) fn good(answer: Result<Answer, NoAnswer>) -> Result<Answer, Failure> {
    match answer {
        Ok(answer) if answer.good() => Ok(answer),
        Ok(answer) => Err(Failure::new(Exit::Failure, format!("the server answered {}", answer.complaint()))),
        Err(why) => Err(Failure::new(Exit::Failure, format!("the server did not answer: {why}"))),
    }
}

pub(super) fn told<T>(ended: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    ended.map_err(|it| Failure::new(Exit::Failure, format!("a client broke off: {it}")))?
}

/// The server's process, as Linux shows it.
pub(super) struct Process(Option<PathBuf>);

impl Process {
    pub(super) fn of(server: &Server) -> Self {
        Self(server.pid().map(|it| PathBuf::from(format!("/proc/{it}"))).filter(|it| it.exists()))
    }

    /// Memory that is really there, in KiB.
    pub(super) fn memory_kib(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.0.as_ref()?.join("status")).ok()?;
        text.lines().find_map(|it| it.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
    }

    /// Processor time of all its threads that are there.
    fn cpu(&self) -> Option<Duration> {
        let mut all = 0;
        for task in std::fs::read_dir(self.0.as_ref()?.join("task")).ok()? {
            // A thread may end between being listed and being read.
            let Ok(text) = std::fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
            all += text.split_whitespace().next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(all))
    }
}

/// Microseconds of one of the changes between two readings.
fn each(before: Option<Duration>, after: Option<Duration>) -> Option<f64> {
    before.zip(after).map(|(before, after)| rounded(after.saturating_sub(before).as_secs_f64() * 1e6 / CHANGES as f64))
}

fn rounded(it: f64) -> f64 {
    (it * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_linux_is_read() {
        let own = Process(Some(PathBuf::from("/proc/self")).filter(|it| it.exists()));
        // Elsewhere there is nothing to read, and nothing is said.
        assert_eq!(own.memory_kib().is_some(), own.0.is_some());
        assert_eq!(own.cpu().is_some(), own.0.is_some());
        assert_eq!(Process(None).memory_kib(), None);
    }

    #[test]
    fn what_one_change_costs_is_a_share() {
        let ms = |it| Some(Duration::from_millis(it));
        assert_eq!(each(ms(100), ms(130)), Some(300.0));
        assert_eq!((each(None, ms(1)), each(ms(1), None)), (None, None));
    }
}
