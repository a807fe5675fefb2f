//! Everybody who takes part, set up on a fresh server: keys, receivers,
//! subscriptions, the merchants and the writer.

use super::{
    http::{Ask, Client},
    ledger::{Feed, Ledger, Verdict, judge},
    merchants::{Merchant, both::Both, called_back, inbox::Inbox, neighbour, poller::Poller, waiter::Waiter},
    pace,
    plan::{DRAIN_MAX, Plan},
    receiver::{self, Light},
    screen::{self, Phase, View},
    table::{Outcome, Row, Table},
    text,
    timeline::Timeline,
    wire::Meter,
    writer::Writer,
};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often the drained state is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Everybody who takes part.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) plan: Plan,
    pub(super) start: Instant,
    pub(super) address: SocketAddr,
    pub(super) operator_key: String,
    pub(super) light: Light,
    pub(super) writer: Arc<Writer>,
    ledger: Arc<Ledger>,
    pollers: Vec<Arc<Poller>>,
    waiter: Arc<Waiter>,
    called_back: Arc<Inbox>,
    both: Arc<Both>,
    neighbour: Arc<Inbox>,
    judge: Client,
    scene: Mutex<Scene>,
}

/// What happened so far, for those who look on.
#[derive(Debug, Default)]
struct Scene {
    dark: Option<(Duration, Option<Duration>)>,
    kill: Option<(Duration, Option<Duration>)>,
    backlog: Timeline,
    /// A handful in all: the script has an end.
    news: Vec<(Duration, String)>,
    draining: bool,
}

impl Stage {
    /// Sets everybody up; payments can begin when it returns.
    pub(super) async fn set(plan: Plan, address: SocketAddr, operator_key: String) -> Result<Arc<Self>, String> {
        let start = pace::now();
        let ledger = Arc::new(Ledger::default());
        let operator = || Client::operator(address, &operator_key, Arc::<Meter>::default());
        let keys = operator();

        let mut pollers = Vec::new();
        for every in [1, 5] {
            let merchant = Merchant::new(format!("asks every {every} s"), start);
            let client = client_for(&keys, address, &merchant).await?;
            pollers.push(Arc::new(Poller::new(merchant, client, Duration::from_secs(every))));
        }
        let merchant = Merchant::new("waits", start);
        let client = client_for(&keys, address, &merchant).await?;
        let waiter = Arc::new(Waiter::new(merchant, client));

        let called_back = Inbox::new(Merchant::new("is called back", start), Arc::clone(&ledger));
        let client = client_for(&keys, address, &called_back.merchant).await?;
        open_and_register(&called_back, called_back::router(Arc::clone(&called_back)), Light::default(), &client, "full").await?;

        let inbox = Inbox::new(Merchant::new("both together", start), Arc::clone(&ledger));
        let client = client_for(&keys, address, &inbox.merchant).await?;
        let both = Arc::new(Both::new(Arc::clone(&inbox), client, Arc::clone(&ledger)));
        open_and_register(&inbox, both.router(), Light::default(), both.client(), "thin").await?;

        let light = Light::default();
        let name = format!("dark for {}", text::round_span(plan.dark_for()));
        let neighbour = Inbox::new(Merchant::new(name, start), Arc::clone(&ledger));
        let client = client_for(&keys, address, &neighbour.merchant).await?;
        open_and_register(&neighbour, neighbour::router(Arc::clone(&neighbour)), light.clone(), &client, "full").await?;

        let followers = (pollers.clone(), Arc::clone(&waiter));
        let announce = Box::new(move |payment: super::merchants::Payment| {
            for poller in &followers.0 {
                poller.follow(payment.clone());
            }
            followers.1.follow(payment);
        });
        let writer = Writer::new(operator(), Arc::clone(&ledger), plan.mean, announce);
        let judge = operator();
        let scene = Mutex::default();
        Ok(Arc::new(Self {
            plan,
            start,
            address,
            operator_key,
            light,
            writer,
            ledger,
            pollers,
            waiter,
            called_back,
            both,
            neighbour,
            judge,
            scene,
        }))
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Something happened that people should read.
    pub(super) fn tell(&self, what: impl Into<String>) {
        let at = self.elapsed();
        self.scene().news.push((at, what.into()));
    }

    /// What was told since `told`, which moves on.
    pub(super) fn news_after(&self, told: &mut usize) -> Vec<(Duration, String)> {
        let scene = self.scene();
        let news = scene.news.get(*told..).unwrap_or(&[]).to_vec();
        *told = scene.news.len();
        news
    }

    /// Something went wrong that must not.
    pub(super) fn complain(&self, what: String) {
        self.ledger.complain(what);
    }

    /// The neighbour's light went off or on.
    pub(super) fn set_dark(&self, dark: bool) {
        let at = self.elapsed();
        if dark {
            self.light.off();
            self.scene().dark = Some((at, None));
            self.tell("the neighbour goes dark; what it misses is owed to it");
        } else {
            self.light.on();
            let mut scene = self.scene();
            if let Some((_, to)) = &mut scene.dark {
                *to = Some(at);
            }
            drop(scene);
            self.tell("the neighbour is back; what it is owed drains");
        }
    }

    /// The server was killed just now.
    pub(super) fn set_killed(&self) {
        self.scene().kill = Some((self.elapsed(), None));
        self.tell("the server is killed with -9");
    }

    /// The server answers again, this long after the signal.
    pub(super) fn set_back(&self, back_in: Duration) {
        if let Some((_, span)) = &mut self.scene().kill {
            *span = Some(back_in);
        }
        self.tell(format!("the server is back after {:.2} s, on the same data", back_in.as_secs_f64()));
    }

    /// No new payments from now on.
    pub(super) fn set_draining(&self) {
        self.writer.close(DRAIN_MAX);
        self.scene().draining = true;
        self.tell("no new payments; what is owed drains");
    }

    /// True while payments are begun.
    pub(super) fn is_writing(&self) -> bool {
        !self.writer.is_closed()
    }

    /// Notes how much the neighbour is owed now.
    pub(super) fn sample(&self) {
        let owed = self.owed();
        let at = self.elapsed();
        self.scene().backlog.add(at, owed as f64);
    }

    fn owed(&self) -> u64 {
        self.ledger.progress().acknowledged.saturating_sub(self.neighbour.accepted_count())
    }

    fn inboxes(&self) -> [&Arc<Inbox>; 3] {
        [&self.called_back, &self.both.inbox, &self.neighbour]
    }

    fn merchants(&self) -> impl Iterator<Item = &Arc<Merchant>> {
        let asking = self.pollers.iter().map(|it| &it.merchant).chain([&self.waiter.merchant]);
        asking.chain(self.inboxes().map(|it| &it.merchant))
    }

    /// What the live view shows now.
    pub(super) fn view(&self) -> View {
        let progress = self.ledger.progress();
        let elapsed = self.elapsed();
        let axis = screen::axis(elapsed, self.plan.write);
        let scene = self.scene();
        View {
            elapsed,
            write: self.plan.write,
            phase: if scene.draining { Phase::Draining } else { Phase::Writing },
            server: self.address.to_string(),
            up: !matches!(scene.kill, Some((_, None))),
            created: progress.created,
            done: progress.done,
            acknowledged: progress.acknowledged,
            delivered: self.inboxes().iter().map(|it| it.accepted_count()).min().unwrap_or(0).min(progress.acknowledged),
            repeated: self.repeated(),
            rows: self.merchants().take(5).map(|it| (it.name.clone(), it.glance(axis))).collect(),
            backlog: scene.backlog.within(axis),
            owed: self.owed(),
            dark: scene.dark,
            kill: scene.kill,
            join: if self.plan.write.is_none() { self.join() } else { Vec::new() },
            news: scene.news.clone(),
        }
    }

    /// Lines for a newcomer to paste.
    pub(super) fn join(&self) -> Vec<String> {
        let address = self.address;
        vec![
            "Join in, in another terminal:".to_owned(),
            format!("  export RINGBACK_URL=http://{address} RINGBACK_KEY={}", self.operator_key),
            r#"  curl -u $RINGBACK_KEY: $RINGBACK_URL/payment -d '{"id":"123","amount":1999,"currency":"eur"}'"#.to_owned(),
            "  curl -u $RINGBACK_KEY: $RINGBACK_URL/payment/123/status".to_owned(),
            "  curl -u $RINGBACK_KEY: -X POST $RINGBACK_URL/payment/123/complete".to_owned(),
            "  ringback tail".to_owned(),
        ]
    }

    /// Waits until nothing is owed any more, or patience ends; then judges.
    pub(super) async fn drain(&self) -> Verdict {
        let until = pace::now() + DRAIN_MAX;
        let mut feed = Feed::default();
        loop {
            let late = pace::now() >= until;
            if late || self.is_quiet() {
                let read = feed.catch_up(&self.judge).await;
                let receivers = self.inboxes().map(|it| (it.merchant.name.as_str(), it.accepted()));
                let verdict = judge(feed.events(), &self.ledger.acknowledged(), &receivers);
                if late || (read.is_ok() && verdict.lost() == 0) {
                    if let Err(why) = read {
                        self.complain(format!("the feed could not be read to its end: {why}"));
                    }
                    if !self.is_quiet() {
                        self.complain(format!("not everybody had finished {} s after the last payment", DRAIN_MAX.as_secs()));
                    }
                    return verdict;
                }
            }
            pace::sleep(LOOK_EVERY).await;
        }
    }

    /// True when nobody has anything left to do, as far as the counters know.
    fn is_quiet(&self) -> bool {
        let acknowledged = self.ledger.progress().acknowledged;
        self.writer.is_finished()
            && self.merchants().all(|it| !it.is_busy())
            && self.inboxes().iter().all(|it| it.accepted_count() >= acknowledged)
    }

    /// The final table.
    pub(super) fn table(&self, verdict: &Verdict, wrote_for: Duration) -> Table {
        let row = |merchant: &Arc<Merchant>, asks_every| Row { name: merchant.name.clone(), sum: merchant.sum(verdict), asks_every };
        let mut rows: Vec<Row> = self.pollers.iter().map(|it| row(&it.merchant, Some(it.every()))).collect();
        rows.extend(self.merchants().skip(rows.len()).map(|it| row(it, None)));
        Table {
            payments: self.ledger.progress().created,
            wrote_for,
            rate: verdict.rate,
            rows,
            outcome: Outcome {
                acknowledged: verdict.acknowledged,
                delivered: verdict.delivered,
                lost: verdict.lost(),
                repeated: self.repeated(),
                back_in: self.scene().kill.and_then(|it| it.1),
                lost_examples: verdict.lost_examples.clone(),
                complaints: self.ledger.complaints(),
            },
        }
    }

    fn repeated(&self) -> u64 {
        self.inboxes().iter().map(|it| it.repeated()).sum()
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A merchant's client, with a tenant's key of its own.
async fn client_for(operator: &Client, address: SocketAddr, merchant: &Merchant) -> Result<Client, String> {
    #[derive(Deserialize)]
    struct Created {
        key: String,
    }
    let body = serde_json::json!({ "role": "tenant", "tenant": "default", "description": format!("demo: {}", merchant.name) });
    let idempotency_key = format!("key-{}", merchant.name.replace(' ', "-"));
    let asked = operator.ask(Ask::post("/v1/keys", &idempotency_key, Some(body.to_string()))).await;
    let answer = asked.map_err(|why| format!("could not make a key: {why}"))?;
    if !answer.good() {
        return Err(format!("could not make a key: {}", answer.complaint()));
    }
    let created: Created = answer.json().ok_or("the answer to a new key showed none")?;
    Ok(Client::tenant(address, &created.key, Arc::clone(&merchant.meter)))
}

async fn open_and_register(inbox: &Arc<Inbox>, app: axum::Router, light: Light, client: &Client, payload: &str) -> Result<(), String> {
    let opened = receiver::open(app, Arc::clone(&inbox.merchant.meter), light).await;
    let url = opened.map_err(|why| format!("could not open a receiver on this machine: {why}"))?;
    inbox.register(client, &url, payload).await
}
