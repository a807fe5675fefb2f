//! The network and its endpoints: scripted misbehaviour, and a record of what
//! every endpoint saw.
//!
//! Each endpoint lives in phases of its own chance, good or bad; in a bad phase
//! it has one habit that it follows most of the time. Nothing is ever sent
//! twice here: whatever arrives twice was sent twice.

use crate::{
    chance::Chance,
    history::{End, Journal, Try},
    machine::Machine,
    plant::Plant,
    swarm::Swarm,
};
use async_trait::async_trait;
use bytes::Bytes;
use core::{fmt, time::Duration};
use ringback_model::{
    EventId, Timestamp,
    delivery::{Outcome, Timings},
    key::Authority,
};
use ringback_ports::{
    Clock, Sender,
    fake::ManualClock,
    sender::{Answered, Destination, DestinationRefused, PushRequest},
};
use ringback_signature::HEADER_ID;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Fine,
    Refuse,
    BlackHole,
    Swallow,
    Slow,
    ResetBefore,
    ResetAfter,
    Status,
    Gone,
    Unroutable,
    Patience,
}

const BAD: [Habit; 10] = [
    Habit::Refuse,
    Habit::BlackHole,
    Habit::Swallow,
    Habit::Slow,
    Habit::ResetBefore,
    Habit::ResetAfter,
    Habit::Status,
    Habit::Gone,
    Habit::Unroutable,
    Habit::Patience,
];

#[derive(Debug)]
struct Endpoint {
    chance: Chance,
    habit: Habit,
    until: Timestamp,
}

/// See the module.
pub struct Net {
    seed: u64,
    clock: Arc<ManualClock>,
    machine: Arc<Machine>,
    journal: Arc<Journal>,
    plant: Option<Plant>,
    bad_phases: u64,
    behaviours: u64,
    panics: (u64, Chance),
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    mended: AtomicBool,
    /// The life of the service that is running.
    pub life: AtomicUsize,
    /// Answers that endpoints gave.
    pub answers: AtomicU64,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

impl Net {
    /// A network without traffic.
    #[must_use]
    pub fn new(
        seed: u64,
        swarm: &Swarm,
        (clock, machine): (Arc<ManualClock>, Arc<Machine>),
        journal: Arc<Journal>,
        plant: Option<Plant>,
    ) -> Self {
        Self {
            seed,
            clock,
            machine,
            journal,
            plant,
            bad_phases: swarm.bad_phases,
            behaviours: swarm.behaviours,
            panics: (swarm.panics, Chance::new(seed, "panics")),
            endpoints: Mutex::default(),
            mended: AtomicBool::new(false),
            life: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
        }
    }

    /// From here on every endpoint is fine.
    pub fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }

    /// What the endpoint does with this request: its habit, a latency, two numbers of chance.
    fn decide(&self, url: &str) -> (Habit, Duration, u64, u64) {
        let now = self.clock.now();
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let it = endpoints.entry(url.to_owned()).or_insert_with(|| Endpoint {
            chance: Chance::new(self.seed, url),
            habit: Habit::Fine,
            until: Timestamp::default(),
        });
        if now >= it.until {
            it.until = now + it.chance.duration(2_000, 45_000);
            let allowed: Vec<Habit> = BAD.iter().enumerate().filter(|(at, _)| self.behaviours >> at & 1 == 1).map(|(_, it)| *it).collect();
            it.habit = if it.chance.per_mille(self.bad_phases) && !allowed.is_empty() { *it.chance.pick(&allowed) } else { Habit::Fine };
        }
        let latency = if it.chance.per_mille(100) { it.chance.duration(50, 2_000) } else { it.chance.duration(0, 40) };
        let (a, b) = (it.chance.below(1_000), it.chance.below(1_000));
        let habit = if self.mended.load(Ordering::SeqCst) || it.chance.per_mille(150) { Habit::Fine } else { it.habit };
        (habit, latency, a, b)
    }

    /// Now and then something on the way out panics, while faults happen.
    async fn panic_perhaps(&self, no: usize) {
        let (panics, chance) = &self.panics;
        if self.mended.load(Ordering::SeqCst) || *panics == 0 || !chance.per_mille(*panics) {
            return;
        }
        self.journal.say(format_args!("net: try {no} panics"));
        if self.plant == Some(Plant::SlotLeaked) {
            core::future::pending::<()>().await;
        }
        // As `panic!`, without a word on the terminal.
        std::panic::resume_unwind(Box::new("a planned panic"));
    }

    fn edit(&self, no: usize, what: impl FnOnce(&mut Try)) {
        self.journal.with(|it| what(&mut it.tries[no]));
    }
}

/// Writes down how a try ended, also when it is cut off.
struct Running<'a> {
    net: &'a Net,
    no: usize,
    over: bool,
}

impl Running<'_> {
    fn ends(&mut self, end: End) {
        self.over = true;
        let now = self.net.clock.now();
        self.net.journal.say(format_args!("net: try {} ends: {end:?}", self.no));
        self.net.answers.fetch_add(1, Ordering::SeqCst);
        self.net.edit(self.no, |it| {
            it.ended = Some(now);
            it.end = end;
        });
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.over {
            let now = self.net.clock.now();
            self.net.edit(self.no, |it| {
                it.ended = Some(now);
                it.end = End::Cut;
            });
        }
    }
}

/// The same path at the host of another tenant.
fn other_tenants(url: &str) -> String {
    match url.strip_prefix("https://default.") {
        Some(rest) => format!("https://t1.{rest}"),
        None => url.split_once('.').map_or_else(String::new, |(_, rest)| format!("https://default.{rest}")),
    }
}

#[async_trait]
impl Sender for Net {
    async fn vet(&self, url: &str, _authority: Authority) -> Result<Destination, DestinationRefused> {
        let pause = Chance::new(self.seed, url).duration(0, 30);
        self.clock.sleep(pause).await;
        Ok(Destination::Routable)
    }

    async fn send(&self, request: PushRequest) -> Answered {
        let PushRequest { mut url, headers, mut body, timeout, .. } = request;
        let (habit, latency, a, b) = self.decide(&url);
        if self.plant == Some(Plant::BytesAltered) && a < 50 {
            let mut bytes = body.to_vec();
            bytes.push(b' ');
            body = Bytes::from(bytes);
        }
        if self.plant == Some(Plant::WrongEndpoint) && a < 50 {
            url = other_tenants(&url);
        }
        let event: EventId = headers
            .iter()
            .find(|(name, _)| name == HEADER_ID)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_else(|| EventId::from_bits(0));
        let (started, shown, wall) = (self.clock.now(), self.machine.now(), self.machine.wall());
        let life = self.life.load(Ordering::SeqCst);
        let no = self.journal.with(|it| {
            it.tries.push(Try {
                life,
                url: url.clone(),
                event,
                started,
                shown,
                wall,
                ended: None,
                headers,
                body,
                taken: false,
                arrived: false,
                retry_after: None,
                end: End::Running,
            });
            it.tries.len() - 1
        });
        self.journal.say(format_args!("net: try {no} of {event} to {url}: {habit:?}"));
        let mut running = Running { net: self, no, over: false };
        self.panic_perhaps(no).await;
        let left = |by: Duration| started + by.min(timeout);
        let failed = |reason, status_code, retry_after| Outcome::Failed { status_code, reason, retry_after };
        let late = latency >= timeout;
        let outcome = match habit {
            Habit::Unroutable => {
                running.ends(End::Unroutable);
                Outcome::Unroutable { reason: "unresolved" }
            }
            Habit::Refuse => {
                self.clock.sleep_until(left(latency / 4)).await;
                running.ends(End::Failed("connect"));
                failed("connect", None, None)
            }
            Habit::BlackHole => {
                self.clock.sleep_until(started + timeout).await;
                running.ends(End::Failed("timeout"));
                failed("timeout", None, None)
            }
            Habit::ResetBefore => {
                self.clock.sleep_until(left(latency)).await;
                running.ends(End::Failed("reset"));
                failed("reset", None, None)
            }
            Habit::Swallow => {
                self.clock.sleep_until(left(latency / 2)).await;
                self.edit(no, |it| (it.arrived, it.taken) = (true, true));
                self.clock.sleep_until(started + timeout).await;
                running.ends(End::Lost);
                Outcome::Unknown
            }
            Habit::ResetAfter => {
                self.clock.sleep_until(left(latency / 2)).await;
                self.edit(no, |it| (it.arrived, it.taken) = (true, a < 500));
                self.clock.sleep_until(left(latency)).await;
                if a < 500 {
                    running.ends(End::Lost);
                } else {
                    running.ends(End::Failed("reset"));
                }
                failed("reset", None, None)
            }
            Habit::Status | Habit::Gone | Habit::Patience => {
                self.clock.sleep_until(left(latency / 2)).await;
                self.edit(no, |it| it.arrived = true);
                self.clock.sleep_until(left(latency)).await;
                let code = match habit {
                    Habit::Gone => 410,
                    Habit::Patience => *[429, 503, 503, 500].get((a % 4) as usize).unwrap_or(&503),
                    _ => *[500, 502, 404, 400, 302, 301, 408, 425, 429, 199].get((a % 10) as usize).unwrap_or(&500),
                };
                // Seconds, and what cannot be read as such: the sender above clamps and ignores.
                let wait = match (habit, b % 8) {
                    (Habit::Patience, 0..=3) => Some(b % 90),
                    (Habit::Patience, 4) => Some(0),
                    (Habit::Patience, 5) if b < 300 => Some(10_000_000),
                    _ => None,
                };
                self.edit(no, |it| it.retry_after = wait);
                running.ends(End::Answered(code));
                let reason = match code {
                    410 => "gone",
                    300..=399 => "redirect",
                    _ => "status",
                };
                failed(reason, Some(code), wait.map(Duration::from_secs))
            }
            Habit::Fine | Habit::Slow => {
                let latency = if habit == Habit::Slow { latency + timeout.mul_f64(0.9) } else { latency };
                self.clock.sleep_until(left(latency / 2)).await;
                self.edit(no, |it| (it.arrived, it.taken) = (true, true));
                self.clock.sleep_until(left(latency)).await;
                if late || latency >= timeout {
                    running.ends(End::Lost);
                    Outcome::Unknown
                } else {
                    let code = *[200, 200, 201, 202, 204, 299].get((a % 6) as usize).unwrap_or(&200);
                    running.ends(End::Answered(code));
                    Outcome::Delivered { status_code: code }
                }
            }
        };
        let outcome = match outcome {
            Outcome::Failed { status_code: Some(_), .. } if self.plant == Some(Plant::RefusalTakenAsSuccess) => {
                Outcome::Delivered { status_code: 200 }
            }
            other => other,
        };
        Answered { outcome, timings: Timings::default(), peer: None, response: None }
    }
}
