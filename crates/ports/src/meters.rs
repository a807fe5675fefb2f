//! What is counted and measured: the one list of metrics.
//!
//! Meters are written by everybody and read by whoever asks `/metrics`; nothing
//! is ever decided by them. That is why they may be global, and why they are no
//! seam with a fake: a simulation counts, too, and nobody looks.
//!
//! No label ever holds an id: there may be a million of them, and they are somebody's.
//! Names and units follow Prometheus: seconds and bytes, `_total` for what only grows.

use core::time::Duration;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};
use std::sync::LazyLock;

/// The content type of what `text` writes.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// From a sync of a fast disk to a request that waits for its whole minute.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Jobs of one transaction.
const JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// All meters. What each means is said where it is made, in the words of `/metrics`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is named after its metric, and described in `make`")]
pub struct Meters {
    registry: Registry,
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub append_seconds: Histogram,
    pub waiters: IntGauge,
    pub streams: IntGauge,
    pub tries: IntCounterVec,
    pub try_seconds: HistogramVec,
    pub slots: IntGauge,
    pub slots_in_use: IntGauge,
    pub subscriptions: IntGaugeVec,
    pub backlog_events: IntGauge,
    pub exceptions: IntGaugeVec,
    pub oldest_due_seconds: IntGauge,
    pub deliveries_held: IntGauge,
    pub commit_seconds: Histogram,
    pub commit_jobs: Histogram,
    pub commits_failed: IntCounter,
    pub database_bytes: IntGaugeVec,
    pub log_events: IntGauge,
    pub events_removed: IntCounter,
    pub events_truncated: IntCounter,
    pub tail_reads: IntCounterVec,
}

static METERS: LazyLock<Meters> = LazyLock::new(Meters::make);

/// The meters of this process.
pub fn meters() -> &'static Meters {
    &METERS
}

/// A duration as histograms take it.
#[must_use]
pub const fn secs(it: Duration) -> f64 {
    it.as_secs_f64()
}

/// Makes a meter that is well-named, as all of ours are: a test asks for every one of them.
fn made<T: Collector + Clone + 'static>(registry: &Registry, it: prometheus::Result<T>) -> T {
    match it {
        Ok(it) => {
            if let Err(why) = registry.register(Box::new(it.clone())) {
                tracing::error!("a metric is there twice: {why}");
            }
            it
        }
        Err(why) => unreachable!("a metric of ours has a bad name: {why}"),
    }
}

impl Meters {
    fn make() -> Self {
        let registry = Registry::new();
        let at = &registry;
        let counter = |name, help| made(at, IntCounter::new(name, help));
        let counters = |name, help, labels: &[&str]| made(at, IntCounterVec::new(Opts::new(name, help), labels));
        let gauge = |name, help| made(at, IntGauge::new(name, help));
        let gauges = |name, help, labels: &[&str]| made(at, IntGaugeVec::new(Opts::new(name, help), labels));
        let histogram =
            |name, help, buckets: &[f64]| made(at, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())));
        let histograms =
            |name, help, labels: &[&str]| made(at, HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels));
        gauges("ringback_build_info", "1, with the version of the program.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            requests: counters(
                "ringback_http_requests_total",
                "Requests answered, by method and route as the reference writes it, and by status.",
                &["method", "route", "status"],
            ),
            request_seconds: histograms(
                "ringback_http_request_seconds",
                "From a request's head to its answer, waiting included.",
                &["route"],
            ),
            append_seconds: histogram("ringback_append_seconds", "From a write's head to its 2xx: what it wrote is on disk.", SECONDS),
            waiters: gauge("ringback_waiters", "Requests that wait, and streams."),
            streams: gauge("ringback_streams", "Streams that are open."),
            tries: counters("ringback_delivery_tries_total", "Tries that ended, by outcome.", &["outcome"]),
            try_seconds: histograms("ringback_delivery_try_seconds", "How long tries took, by outcome.", &["outcome"]),
            slots: gauge("ringback_delivery_slots", "Tries that may be in flight at once."),
            slots_in_use: gauge("ringback_delivery_slots_in_use", "Tries that are in flight."),
            subscriptions: gauges("ringback_subscriptions", "Subscriptions that are read, by health.", &["health"]),
            backlog_events: gauge(
                "ringback_backlog_events",
                "Places of the log between cursors and its end, all subscriptions together, filters not applied.",
            ),
            exceptions: gauges("ringback_exceptions", "Deliveries that did not succeed at first, by state.", &["state"]),
            oldest_due_seconds: gauge("ringback_oldest_due_seconds", "For how long the oldest delivery that is due has been so."),
            deliveries_held: gauge("ringback_deliveries_held", "1 while no delivery is tried since a restore."),
            commit_seconds: histogram("ringback_commit_seconds", "How long transactions took, the sync included.", SECONDS),
            commit_jobs: histogram("ringback_commit_jobs", "Change sets and settlements of one transaction.", JOBS),
            commits_failed: counter("ringback_commits_failed_total", "Transactions that were not stored."),
            database_bytes: gauges("ringback_database_bytes", "Sizes of the files.", &["file"]),
            log_events: gauge("ringback_log_events", "Events that are kept."),
            events_removed: counter("ringback_events_removed_total", "Events that retention removed."),
            events_truncated: counter(
                "ringback_truncated_total",
                "Places and exceptions that subscriptions lost to retention: what `ringback.subscription.truncated` counts.",
            ),
            tail_reads: counters(
                "ringback_tail_reads_total",
                "Reads of the log by where it was read: from memory, or from the store.",
                &["from"],
            ),
            registry,
        }
    }

    /// All of it, as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        if let Err(why) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!("metrics could not be written: {why}");
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// The names of all metrics. Only of those that have a value yet.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.registry.gather().iter().map(|it| it.name().to_owned()).collect()
    }

    /// Gives every metric a value, so that `names` has them all: for tests.
    pub fn touch(&self) {
        self.requests.with_label_values(&["GET", "/livez", "200"]);
        self.request_seconds.with_label_values(&["/livez"]);
        for it in [&self.tries, &self.tail_reads] {
            it.with_label_values(&["x"]);
        }
        self.try_seconds.with_label_values(&["delivered"]);
        for it in [&self.subscriptions, &self.exceptions, &self.database_bytes] {
            it.with_label_values(&["x"]);
        }
    }
}

/// One more, until it is dropped.
#[derive(Debug)]
pub struct Counted(&'static IntGauge);

impl Counted {
    /// Counts one more.
    #[must_use]
    pub fn new(gauge: &'static IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
