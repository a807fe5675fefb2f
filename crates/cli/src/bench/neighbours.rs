//! `ringback bench neighbours`: what healthy endpoints feel of hostile ones (P6).
//!
//! First the healthy ones alone, then the same events for them again while as many
//! more are owed to endpoints that swallow connections or answer a byte a second.
//! Times are from the event's `timestamp`, which is before its commit, until its
//! endpoint has written 2xx; both clocks are this machine's.

use super::{
    Times,
    endpoints::{self, BlackHole, Receipts},
    waiters::{Process, good, told},
};
use crate::{
    demo::{
        http::{Ask, Client},
        pace,
        server::{Home, Server},
        wire::Meter,
    },
    duration,
    exit::{Exit, Failure, Outcome},
    output, serve,
};
use serde_json::{Value, json};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Subscriptions that one healthy listener serves: a host may hold a quarter of all slots.
const SUBSCRIPTIONS_A_LISTENER: u64 = 20;
/// Requests that make subscriptions at a time.
const WRITERS: usize = 16;
/// How long one answer may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest baseline.
const BASELINE_MAX: Duration = Duration::from_secs(60);
/// How long what is owed to healthy ones may take after the last event.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// How often the server's memory is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Coprime to every small number of subscriptions: spreads events over all of them.
const STRIDE: u64 = 7_919;
/// The goal: the larger of this many times the baseline's p99, and `MORE_MS` more than it.
const TIMES: f64 = 1.5;
const MORE_MS: f64 = 250.0;
/// Memory counts as flat when the last quarter of the run has at most this many times what the second had, and `MORE_KIB`.
const GROWTH: f64 = 1.1;
const MORE_KIB: f64 = 16.0 * 1024.0;

/// `ringback bench neighbours`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  ringback bench neighbours                          1,000 healthy, 1,000 black holes, 200 dribblers
  ringback bench neighbours --for 10m --json
  ringback bench neighbours --healthy 100 --black-holes 500 --dribblers 0 --rate 50")]
pub(super) struct NeighboursArgs {
    /// Subscriptions whose endpoints answer at once
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    healthy: u64,
    /// Subscriptions whose endpoints take no connection
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=2_500))]
    black_holes: u64,
    /// Subscriptions whose endpoints answer a byte a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=2_500))]
    dribblers: u64,
    /// Events a second, each owed to one subscription
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    rate: u64,
    /// How long the hostile ones are there; the baseline before takes as long, at most a minute
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    span: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl NeighboursArgs {
    const fn all(&self) -> u64 {
        self.healthy + self.black_holes + self.dribblers
    }
}

/// Starts a server, makes endpoints of all kinds, and compares.
///
/// # Errors
/// Also when the goal is missed, after what was measured is printed.
pub(super) async fn run(args: NeighboursArgs) -> Outcome {
    if args.span < Duration::from_secs(1) {
        return Err(Failure::new(Exit::Usage, "`--for` is one second at least".to_owned()));
    }
    serve::raise_open_files();
    let home = Home::make()?;
    let mut server = Server::launch(&home).await?;
    let measured = measure(&args, &server).await;
    server.kill().await;
    let (measured, kept) = measured?;
    if args.json {
        output::put(&measured.to_string())?
    } else {
        output::put(&output::record(&measured))?
    };
    if kept { Ok(()) } else { Err(Failure::new(Exit::Failure, "the goal was missed: see `verdict`".to_owned())) }
}

async fn measure(args: &NeighboursArgs, server: &Server) -> Result<(Value, bool), Failure> {
    let client = Arc::new(Client::operator(server.address(), &server.operator_key()?, Arc::new(Meter::default())));
    let process = Arc::new(Process::of(server));
    let receipts = Arc::<Receipts>::default();

    output::say(&format!("making {} healthy subscriptions …", args.healthy));
    let mut urls = Vec::new();
    for _ in 0..args.healthy.div_ceil(SUBSCRIPTIONS_A_LISTENER) {
        urls.push(endpoints::healthy(Arc::clone(&receipts)).await.map_err(no_port)?);
    }
    let healthy = urls.iter().flat_map(|it| std::iter::repeat_n(*it, SUBSCRIPTIONS_A_LISTENER as usize));
    let healthy = healthy.zip(0..args.healthy).map(|(address, n)| (n, format!("http://{address}/{n}"))).collect();
    subscribe(&client, healthy).await?;

    let baseline = args.span.min(BASELINE_MAX);
    output::say(&format!("healthy ones alone, for {} …", duration::show(baseline)));
    let clean = phase(args, &client, &receipts, baseline, false).await?;

    output::say(&format!("making {} black holes and {} dribblers …", args.black_holes, args.dribblers));
    let mut holes = Vec::new();
    let mut hostile = Vec::new();
    for n in 0..args.black_holes {
        let hole = BlackHole::open().await.map_err(no_port)?;
        hostile.push((args.healthy + n, format!("http://{}/{n}", hole.address)));
        holes.push(hole);
    }
    for n in 0..args.dribblers {
        let address = endpoints::dribbler().await.map_err(no_port)?;
        hostile.push((args.healthy + args.black_holes + n, format!("http://{address}/{n}")));
    }
    subscribe(&client, hostile).await?;

    output::say(&format!("all of them, for {} …", duration::show(args.span)));
    let memory = Arc::<Mutex<Vec<u64>>>::default();
    let watching = {
        let (process, memory) = (Arc::clone(&process), Arc::clone(&memory));
        tokio::spawn(async move {
            loop {
                if let Some(kib) = process.memory_kib() {
                    memory.lock().unwrap_or_else(PoisonError::into_inner).push(kib);
                }
                pace::sleep(LOOK_EVERY).await;
            }
        })
    };
    let hostile = phase(args, &client, &receipts, args.span, true).await?;
    watching.abort();
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
    drop(holes);

    let allowed = clean.p99.map(|it| (it * TIMES).max(it + MORE_MS));
    let isolated = allowed.zip(hostile.p99).is_some_and(|(allowed, p99)| p99 <= allowed);
    let flat = flat(&memory);
    let kept = isolated && flat != Some(false) && hostile.missing == 0;
    let shown = json!({
        "healthy": args.healthy,
        "black_holes": args.black_holes,
        "dribblers": args.dribblers,
        "rate_per_s": args.rate,
        "seconds": args.span.as_secs(),
        "baseline": clean.show(),
        "hostile": hostile.show(),
        "p99_ratio": clean.p99.zip(hostile.p99).map(|(clean, hostile)| (hostile / clean * 100.0).round() / 100.0),
        "p99_allowed_ms": allowed.map(|it| (it * 100.0).round() / 100.0),
        "memory_mib": { "by_quarter": quarters(&memory).map(|all| all.map(mib)), "max": memory.iter().max().map(|it| mib(*it as f64)), "flat": flat },
        "verdict": if kept { "kept" } else { "missed" },
    });
    Ok((shown, kept))
}

fn mib(kib: f64) -> f64 {
    (kib / 102.4).round() / 10.0
}

/// The mean of each quarter of what was read; `None` when there is too little.
fn quarters(memory: &[u64]) -> Option<[f64; 4]> {
    let size = memory.len() / 4;
    let mut chunks = memory.chunks_exact(size.max(1)).map(|it| it.iter().sum::<u64>() as f64 / it.len() as f64);
    if size == 0 {
        return None;
    }
    Some([chunks.next()?, chunks.next()?, chunks.next()?, chunks.next()?])
}

/// Whether memory stopped growing; `None` where it can't be read.
fn flat(memory: &[u64]) -> Option<bool> {
    quarters(memory).map(|[_, second, _, last]| last <= (second * GROWTH).max(second + MORE_KIB))
}

fn no_port(why: io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("an endpoint could not be opened: {why}. Allow more open files (ulimit -n), or ask for fewer"))
}

/// Makes push subscriptions, each for events of its own number.
async fn subscribe(client: &Arc<Client>, all: Vec<(u64, String)>) -> Result<(), Failure> {
    let left = Arc::new(Mutex::new(all));
    let mut writers: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..WRITERS {
        let (client, left) = (Arc::clone(client), Arc::clone(&left));
        writers.spawn(async move {
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some((n, url)) = next else { return Ok(()) };
                let body = json!({ "types": [event_type(n)], "strict": false, "push": { "url": url } }).to_string();
                good(client.ask(Ask::once("/v1/subscriptions", Some(body)).patience(PATIENCE)).await)?;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        told(ended)?;
    }
    Ok(())
}

fn event_type(n: u64) -> String {
    format!("bench.to{n}")
}

/// What a stretch of time brought to healthy endpoints.
struct Phase {
    /// Events that were published, for whomever.
    published: u64,
    times: Times,
    /// Events for healthy ones that did not arrive.
    missing: u64,
    repeats: u64,
    p99: Option<f64>,
}

impl Phase {
    fn show(&self) -> Value {
        let shown = self.times.show("", 0);
        json!({
            "published": self.published,
            "arrived": shown.get("requests"),
            "missing": self.missing,
            "repeats": self.repeats,
            "p50_ms": shown.get("p50_ms"),
            "p99_ms": shown.get("p99_ms"),
            "max_ms": shown.get("max_ms"),
        })
    }
}

/// Publishes for `span` and waits until the healthy ones have theirs. Those that are owed to hostile ones are left
/// out in a clean phase, so that the healthy ones get the same events at the same moments.
async fn phase(args: &NeighboursArgs, client: &Arc<Client>, receipts: &Receipts, span: Duration, hostile: bool) -> Result<Phase, Failure> {
    let begun = pace::now();
    let count = (span.as_secs_f64() * args.rate as f64).round() as u64;
    let (mut publishing, mut owed, mut published): (JoinSet<Result<(), Failure>>, u64, u64) = (JoinSet::new(), 0, 0);
    for n in 0..count {
        let to = n.wrapping_mul(STRIDE) % args.all();
        let is_healthy = to < args.healthy;
        if !is_healthy && !hostile {
            continue;
        }
        pace::sleep_until(begun + Duration::from_secs_f64(n as f64 / args.rate as f64)).await;
        owed += u64::from(is_healthy);
        published += 1;
        let client = Arc::clone(client);
        publishing.spawn(async move {
            let body = json!({ "type": event_type(to), "data": { "n": n, "to": to } }).to_string();
            good(client.ask(Ask::once("/v1/events", Some(body)).patience(PATIENCE)).await).map(drop)
        });
        while let Some(ended) = publishing.try_join_next() {
            told(ended)?;
        }
    }
    while let Some(ended) = publishing.join_next().await {
        told(ended)?;
    }
    let over = pace::now() + DRAIN_MAX;
    while (receipts.count() as u64) < owed && pace::now() < over {
        pace::sleep(Duration::from_millis(50)).await;
    }
    let (all, repeats) = receipts.take();
    let missing = owed.saturating_sub(all.len() as u64);
    let times = Times(all);
    let p99 = times.show("", 0).get("p99_ms").and_then(Value::as_f64);
    Ok(Phase { published, times, missing, repeats, p99 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_flat_when_it_stopped_growing() {
        let mib = |it: &[u64]| it.iter().map(|it| it * 1_024).collect::<Vec<_>>();
        assert_eq!(flat(&mib(&[10, 100, 101, 102])), Some(true), "warming up is not growing");
        assert_eq!(flat(&mib(&[100, 200, 300, 400])), Some(false));
        assert_eq!(flat(&mib(&[10, 20, 30, 36])), Some(true), "a few MiB are noise");
        assert_eq!(flat(&mib(&[1, 2])), None);
        assert_eq!(quarters(&mib(&[1, 1, 2, 2, 3, 3, 4, 4])).map(|all| all.map(super::mib)), Some([1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn every_subscription_gets_its_share() {
        for all in [3_u64, 7, 60, 2_200] {
            let mut seen = vec![0; usize::try_from(all).expect("small")];
            (0..all).for_each(|n| seen[usize::try_from(n.wrapping_mul(STRIDE) % all).expect("small")] += 1);
            assert!(seen.iter().all(|it| *it == 1), "{all}");
        }
    }
}
