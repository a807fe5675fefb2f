//! `ringback bench`: figures of this program on this machine, measured and never estimated.
//!
//! Each bench starts a server of its own (this same program, as a child process, on a
//! directory that goes with it), fills it over the API, and asks it as clients do. What is
//! measured is from the first byte sent to the last one received, on kept connections.

mod endpoints;
mod list;
mod neighbours;
mod waiters;

use crate::{
    demo::server::ServerError,
    exit::{Exit, Failure, Outcome},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{error::Error, time::Duration};

/// `ringback bench`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback bench list                  Pages of a list of 100,000 payments
  ringback bench list --rows 1000000 --json
  ringback bench waiters               10,000 requests that wait, and how soon they know
  ringback bench neighbours            What healthy endpoints feel of 1,200 hostile ones")]
pub(crate) struct BenchArgs {
    /// Which.
    #[command(subcommand)]
    verb: BenchVerb,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum BenchVerb {
    /// How long pages of a filtered list take, from the first one to the last
    List(list::ListArgs),
    /// What requests cost that wait, and how soon they know
    Waiters(waiters::WaitersArgs),
    /// What healthy endpoints feel of black holes and of those that dribble
    Neighbours(neighbours::NeighboursArgs),
}

/// Measures, and prints what was measured.
///
/// # Errors
/// When there is no server, or it answers something else than what is measured.
pub(crate) async fn run(args: BenchArgs) -> Outcome {
    match args.verb {
        BenchVerb::List(args) => list::run(args).await,
        BenchVerb::Waiters(args) => waiters::run(args).await,
        BenchVerb::Neighbours(args) => neighbours::run(args).await,
    }
}

/// What some requests took.
#[derive(Clone, Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Percentiles are nearest-rank: each is a time that really occurred.
    fn show(&self, what: &str, rows: usize) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = |share: f64| {
            let at = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(at.saturating_sub(1)).map(|it| (it.as_secs_f64() * 100_000.0).round() / 100.0)
        };
        json!({ "page": what, "requests": sorted.len(), "rows": rows, "p50_ms": rank(0.5), "p99_ms": rank(0.99), "max_ms": rank(1.0) })
    }
}

impl From<ServerError> for Failure {
    fn from(it: ServerError) -> Self {
        let mut message = it.to_string();
        let mut source = it.source();
        while let Some(because) = source {
            message += &format!(": {because}");
            source = because.source();
        }
        Self::new(Exit::Failure, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let mut times = Times::default();
        assert_eq!(times.show("none", 0)["p50_ms"], Value::Null);
        (1..=200).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        let shown = times.show("all", 5);
        assert_eq!(shown, json!({ "page": "all", "requests": 200, "rows": 5, "p50_ms": 100.0, "p99_ms": 198.0, "max_ms": 200.0 }));
    }
}
