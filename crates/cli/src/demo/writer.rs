//! The payment company's side: creates payments and carries each to its
//! outcome, insisting through every outage.
//!
//! Each write carries an Idempotency-Key and is sent again under the same one
//! until it is answered, so that what was acknowledged is exact, also across a
//! kill between the commit and its answer.

use super::{
    chance::Chance,
    http::{Ask, Client},
    ledger::{Image, Ledger, Written, payment_path},
    merchants::{Payment, both::again},
    pace,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How long it holds back after a write that failed.
const AGAIN: Duration = Duration::from_millis(50);
/// Payments that may be open at once.
const OPEN_MAX: usize = 1_000;
/// The share of payments that fail.
const FAILURES: f64 = 0.12;
/// Payments that are written at most: a demo that ran for ever would fill the disk.
pub(super) const PAYMENTS_MAX: u64 = 50_000;

/// Who is told of a new payment.
pub(super) type Announce = Box<dyn Fn(Payment) + Send + Sync>;

/// Writes payments.
pub(super) struct Writer {
    client: Client,
    ledger: Arc<Ledger>,
    announce: Announce,
    /// Mean time that a payment stays in one status.
    mean: Duration,
    open: Arc<Semaphore>,
    in_work: AtomicU64,
    closed: AtomicBool,
    /// When it stops insisting.
    until: std::sync::OnceLock<Instant>,
}

impl Writer {
    pub(super) fn new(client: Client, ledger: Arc<Ledger>, mean: Duration, announce: Announce) -> Arc<Self> {
        Arc::new(Self {
            client,
            ledger,
            announce,
            mean,
            open: Arc::new(Semaphore::new(OPEN_MAX)),
            in_work: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            until: std::sync::OnceLock::new(),
        })
    }

    /// Begins `rate` payments a second until `close`, or until there are enough.
    pub(super) async fn run(self: Arc<Self>, rate: f64) {
        let pause = Duration::from_secs_f64(1.0 / rate);
        let mut next = pace::now();
        let mut chance = Chance::seeded(0x5eed);
        for number in 1..=PAYMENTS_MAX {
            pace::sleep_until(next).await;
            let Ok(permit) = Arc::clone(&self.open).acquire_owned().await else { return };
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            // After a pause it goes on at its rate, it doesn't catch up in a burst.
            next = (next + pause).max(pace::now() - pause);
            let own = Chance::seeded(chance.bits());
            let it = Arc::clone(&self);
            self.in_work.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                it.carry(number, own).await;
                it.in_work.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
            });
        }
        self.close(Duration::MAX);
    }

    /// Begins no more payments, and stops insisting on the open ones after `patience`.
    pub(super) fn close(&self, patience: Duration) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(at) = pace::now().checked_add(patience) {
            let _ = self.until.set(at);
        }
    }

    /// True once no payment is begun any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// True once no payment is begun any more and none is open.
    pub(super) fn is_finished(&self) -> bool {
        self.is_closed() && self.in_work.load(Ordering::Relaxed) == 0
    }

    /// One payment, from creation to outcome.
    async fn carry(&self, number: u64, mut chance: Chance) {
        let path = payment_path(number);
        let amount = chance.between(500, 20_000);
        let currency = if chance.happens(0.7) { "eur" } else { "usd" };
        let customer = chance.between(1, 400);
        let body = format!(r#"{{"id":"demo-{number}","amount":{amount},"currency":"{currency}","customer":"cus_{customer}"}}"#);
        if !self.write(number, "/payment", "create", Some(body), Written::Creation).await {
            return;
        }
        (self.announce)(Payment { number, path: path.clone(), created: pace::now() });

        pace::sleep(chance.wait(self.mean)).await;
        if !self.write(number, &format!("{path}/process"), "process", None, Written::Step).await {
            return;
        }
        pace::sleep(chance.wait(self.mean)).await;
        if chance.happens(FAILURES) {
            let body = r#"{"code":"card_declined","message":"The bank said no."}"#.to_owned();
            self.write(number, &format!("{path}/fail"), "fail", Some(body), Written::Outcome).await;
        } else {
            self.write(number, &format!("{path}/complete"), "complete", None, Written::Outcome).await;
        }
    }

    /// Writes once, however often it has to be sent; `false` if it never was acknowledged.
    async fn write(&self, number: u64, path: &str, what: &str, body: Option<String>, written: Written) -> bool {
        let key = format!("{what}-{number}");
        let mut last = String::new();
        while self.until.get().is_none_or(|until| pace::now() < *until) {
            match self.client.ask(Ask::post(path, &key, body.clone())).await {
                Ok(answer) if answer.good() => match answer.json::<Image>() {
                    Some(image) => {
                        self.ledger.acknowledge((number, image.version), written);
                        return true;
                    }
                    None => {
                        last = "an answer without a version".to_owned();
                        break;
                    }
                },
                Ok(answer) => {
                    last = answer.complaint();
                    if !again(answer.status) {
                        break;
                    }
                }
                Err(why) => last = why.to_string(),
            }
            pace::sleep(AGAIN).await;
        }
        self.ledger.complain(format!("POST {path} was not acknowledged: {last}"));
        false
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("mean", &self.mean).finish_non_exhaustive()
    }
}
