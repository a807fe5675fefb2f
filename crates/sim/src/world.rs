//! One run: a world under one seed, driven through its faults, its crashes and
//! its mending, until nothing is left to do; then judged.
//!
//! One thread, one runtime without timers, one clock that only this file moves.
//! Between two moments everything runs that can; then the clock goes to the next
//! moment that anybody waits for.

use crate::{
    chance::Chance,
    disk::{Disk, at_once},
    evidence::{self, Evidence, Snapshot},
    history::Journal,
    judges::{self, Verdict},
    machine::Machine,
    net::Net,
    plant::Plant,
    players::{FeedReader, Life, Operator, Player, Publisher, Retrier, Shared, Stage, Subscriber, Waiter, Watcher, Worker, Writer},
    swarm::{Strike, Swarm},
};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Poll, Waker},
    time::Duration,
};
use ringback_model::{TenantId, Timestamp, event::Scope};
use ringback_ports::{
    Clock, Entropy, Seal,
    fake::{FakeSeal, ManualClock, SeededEntropy},
    store::{Control, Log},
};
use ringback_service::{Caller, CompiledType, Config, Ctx, Deps, IfMatch, Service, StartError, Write, clock_is_right};
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How long mending and draining may take.
const HEALED_MAX: Duration = Duration::from_secs(40 * 3_600);
/// Moments at one time after which something spins.
const SAME_TIME_MAX: u32 = 50_000;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What is wrong; empty if all is well.
    pub verdicts: Vec<Verdict>,
    /// Everything that happened, with its time.
    pub trace: Vec<String>,
    /// Events in the log, deliveries tried, crashes.
    pub counts: (usize, usize, usize),
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, plant: Option<Plant>) -> Report {
    play(seed, Swarm::draw(seed).widened(seed).turned_back(seed), plant)
}

/// Runs one seed as it was before there were workers, watchers and a clock that steps: what it once found stays found.
#[must_use]
pub fn run_as_before(seed: u64) -> Report {
    play(seed, Swarm::draw(seed), None)
}

/// Runs one seed as it was before there was a clock that is set back, and tries that panic.
#[must_use]
pub fn run_forwards(seed: u64) -> Report {
    play(seed, Swarm::draw(seed).widened(seed), None)
}

fn play(seed: u64, swarm: Swarm, plant: Option<Plant>) -> Report {
    let mut world = World::new(seed, swarm, plant);
    world.play();
    let evidence = world.evidence();
    let verdicts = judges::all(&evidence);
    let trace = world.shared.journal.trace();
    Report { seed, verdicts, trace, counts: (evidence.log.len(), evidence.tries.len(), evidence.crashes.len()) }
}

/// Says when the runtime has nothing left to do.
#[derive(Debug, Default)]
struct Idle {
    parked: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

type Seat = Arc<tokio::sync::Mutex<Box<dyn Player>>>;

struct World {
    seed: u64,
    plant: Option<Plant>,
    shared: Arc<Shared>,
    disk: Arc<Disk>,
    net: Arc<Net>,
    chance: Chance,
    seats: Vec<Seat>,
    readers: Vec<Seat>,
    runtime: Option<(Runtime, Arc<Idle>)>,
    service: Option<Service>,
    playing: Vec<JoinHandle<()>>,
    reading: Vec<JoinHandle<()>>,
    lives: usize,
    /// Whether players play: tenants come first.
    seated: bool,
    begin: Timestamp,
    crashes: Vec<(Timestamp, Strike)>,
    /// Steps of the clock that are to come.
    steps: VecDeque<(Timestamp, Duration)>,
    /// When the machine's is to be set back.
    backs: VecDeque<(Timestamp, Duration)>,
    /// How far it stepped.
    stepped: Duration,
    snapshots: Vec<Snapshot>,
    same_time: (Timestamp, u32),
    stuck: Option<String>,
}

/// Chance that says everything twice: `Plant::IdsRepeat`.
#[derive(Debug)]
struct Stutter {
    inner: SeededEntropy,
    count: AtomicU64,
    last: Mutex<u128>,
}

impl Entropy for Stutter {
    fn fill(&self, out: &mut [u8]) {
        self.inner.fill(out);
    }

    fn bits(&self) -> u128 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.count.fetch_add(1, Ordering::SeqCst).is_multiple_of(8) {
            *last = self.inner.bits();
        }
        *last
    }
}

impl World {
    fn new(seed: u64, swarm: Swarm, plant: Option<Plant>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let journal = Arc::new(Journal::new(Arc::clone(&clock)));
        journal.say(format_args!("seed {seed}: {swarm:?}"));
        let machine = Arc::new(Machine::new(Arc::clone(&clock)));
        let clocks = (Arc::clone(&clock), Arc::clone(&machine));
        let disk = Arc::new(Disk::new(seed, &swarm, clocks.clone(), Arc::clone(&journal), plant));
        let net = Arc::new(Net::new(seed, &swarm, clocks, Arc::clone(&journal), plant));
        let begin = clock.now();
        let crashes = swarm.crashes.iter().map(|(at, strike)| (begin + *at, *strike)).collect();
        let mut tenants = vec![TenantId::default_tenant()];
        tenants.extend((1..=swarm.tenants).map(|it| TenantId::parse(&format!("t{it}")).expect("a tenant")));
        let mut seats: Vec<Box<dyn Player>> = Vec::new();
        let mut readers: Vec<Box<dyn Player>> = Vec::new();
        for tenant in &tenants {
            seats.extend((0..swarm.publishers).map(|no| Box::new(Publisher::new(seed, tenant, no)) as Box<dyn Player>));
            seats.extend((0..swarm.writers).map(|no| Box::new(Writer::new(seed, tenant, no)) as Box<dyn Player>));
            seats.extend((0..swarm.subscribers).map(|no| Box::new(Subscriber::new(seed, tenant, false, no)) as Box<dyn Player>));
            seats.extend((0..swarm.waiters).map(|no| Box::new(Waiter::new(seed, tenant, no)) as Box<dyn Player>));
            seats.extend((0..swarm.retriers).map(|no| Box::new(Retrier::new(seed, tenant, no)) as Box<dyn Player>));
            seats.extend((0..swarm.operators).map(|no| Box::new(Operator::new(seed, tenant, no)) as Box<dyn Player>));
            let scope = Scope::Tenant(tenant.clone());
            readers.extend((0..swarm.readers).map(|no| Box::new(FeedReader::new(seed, scope.clone(), no)) as Box<dyn Player>));
            readers.extend((0..swarm.workers).map(|no| Box::new(Worker::new(seed, tenant, no)) as Box<dyn Player>));
            readers.extend((0..swarm.watchers).map(|no| Box::new(Watcher::new(seed, tenant, no)) as Box<dyn Player>));
        }
        seats.push(Box::new(Subscriber::new(seed, &TenantId::default_tenant(), true, 0)));
        readers.push(Box::new(FeedReader::new(seed, Scope::All, 0)));
        let sit = |all: Vec<Box<dyn Player>>| all.into_iter().map(|it| Arc::new(tokio::sync::Mutex::new(it))).collect();
        let steps = swarm.steps.iter().map(|(at, by)| (begin + *at, *by)).collect();
        let backs = swarm.backs.iter().map(|(at, by)| (begin + *at, *by)).collect();
        let shared = Shared { swarm, clock, machine, journal, stage: Default::default(), marker: Default::default() };
        let mut world = Self {
            seed,
            plant,
            shared: Arc::new(shared),
            disk,
            net,
            chance: Chance::new(seed, "world"),
            seats: sit(seats),
            readers: sit(readers),
            runtime: None,
            service: None,
            playing: Vec::new(),
            reading: Vec::new(),
            lives: 0,
            seated: false,
            begin,
            crashes,
            steps,
            backs,
            stepped: Duration::ZERO,
            snapshots: Vec::new(),
            same_time: (begin, 0),
            stuck: None,
        };
        world.start();
        for tenant in tenants {
            world.make_tenant(tenant);
        }
        world.disk.arm();
        world.seated = true;
        world.seat_players();
        world
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    // ---- Time ----

    /// Lets everything run that needs no time.
    fn quiet(&self) {
        let Some((runtime, idle)) = &self.runtime else { return };
        idle.parked.store(false, Ordering::SeqCst);
        runtime.block_on(core::future::poll_fn(|cx| {
            if idle.parked.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *idle.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
            Poll::Pending
        }));
    }

    /// Goes to the next moment at which anything happens, `limit` at most.
    fn step(&mut self, limit: Timestamp) {
        self.quiet();
        let now = self.now();
        let next = [self.shared.clock.next_wake(), self.disk.next()].into_iter().flatten().min();
        let next = next.map_or(limit, |it| it.min(limit)).max(now);
        if next == self.same_time.0 {
            self.same_time.1 += 1;
            if self.same_time.1 > SAME_TIME_MAX {
                self.stuck = Some(format!("something spins at {next} without letting time pass"));
            }
        } else {
            self.same_time = (next, 0);
        }
        if next > now {
            self.shared.clock.set(next);
        }
        let next = self.step_clock(next);
        self.disk.tick(next);
        self.quiet();
    }

    /// Has the clock step ahead if it is to; the time after that.
    fn step_clock(&mut self, now: Timestamp) -> Timestamp {
        let stepped = self.stepped;
        while let Some((_, by)) = self.backs.pop_front_if(|it| it.0 + stepped <= now && self.shared.stage() == Stage::Faulty) {
            self.shared.journal.say(format_args!("the machine's clock is set back by {}s", by.as_secs()));
            self.shared.machine.set_back(by);
        }
        let due = self.steps.pop_front_if(|it| it.0 + stepped <= now && self.shared.stage() == Stage::Faulty);
        let Some((_, by)) = due else { return now };
        self.shared.journal.say(format_args!("the clock steps {}s ahead", by.as_secs()));
        self.shared.journal.with(|it| it.steps.push((now, by)));
        self.stepped += by;
        self.shared.clock.set(now + by);
        now + by
    }

    /// Steps until `over`, or until the time comes; whether it was over.
    fn drive(&mut self, limit: Timestamp, mut over: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if over(self) {
                return true;
            }
            if self.now() >= limit || self.stuck.is_some() {
                return false;
            }
            self.step(limit);
        }
    }

    // ---- Lives ----

    fn start(&mut self) {
        loop {
            self.lives += 1;
            self.net.life.store(self.lives, Ordering::SeqCst);
            let idle = Arc::<Idle>::default();
            let told = Arc::clone(&idle);
            let runtime = Builder::new_current_thread()
                .on_thread_park(move || {
                    told.parked.store(true, Ordering::SeqCst);
                    if let Some(waker) = told.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        waker.wake();
                    }
                })
                .build()
                .expect("a runtime");
            let (machine, deps, config) = (Arc::clone(&self.shared.machine), self.deps(), self.config());
            machine.restart();
            let behind = machine.behind();
            let starting = runtime.spawn(async move {
                // As the binary does, before anything is stamped.
                if !behind.is_zero() {
                    clock_is_right(&*deps.store, &*machine).await?;
                }
                Service::start(deps, config, types()).await
            });
            self.runtime = Some((runtime, idle));
            let (begun, stepped, limit) = (self.now(), self.stepped, self.now() + behind + Duration::from_secs(60));
            self.drive(limit, |it| starting.is_finished() || it.disk.stopped());
            let waited = self.now().since(begun).saturating_sub(self.stepped.saturating_sub(stepped));
            if waited > Duration::from_secs(60) {
                // What is to happen to a process that runs happens to it later.
                self.stepped += waited;
            }
            if starting.is_finished()
                && let Some(Ok(service)) = self.wait(starting)
            {
                self.shared.journal.say(format_args!("life {} begins", self.lives));
                self.service = Some(service);
                if self.seated {
                    self.seat_players();
                }
                return;
            }
            self.shared.journal.say(format_args!("life {} could not begin", self.lives));
            self.die();
            let later = self.now() + self.chance.duration(100, 3_000);
            self.drive(later, |_| false);
        }
    }

    fn wait(&self, starting: JoinHandle<Result<Service, StartError>>) -> Option<Result<Service, StartError>> {
        let (runtime, _) = self.runtime.as_ref()?;
        runtime.block_on(starting).ok()
    }

    fn deps(&self) -> Deps {
        let chance = Chance::new(self.seed, &format!("life {}", self.lives)).below(u64::MAX);
        let entropy: Arc<dyn Entropy> = if self.plant == Some(Plant::IdsRepeat) {
            Arc::new(Stutter { inner: SeededEntropy::new(chance), count: AtomicU64::new(0), last: Mutex::new(1) })
        } else {
            Arc::new(SeededEntropy::new(chance))
        };
        Deps {
            store: Arc::<Disk>::clone(&self.disk),
            sender: Arc::<Net>::clone(&self.net),
            clock: Arc::<Machine>::clone(&self.shared.machine),
            entropy,
            seal: Arc::new(FakeSeal::default()) as Arc<dyn Seal>,
        }
    }

    fn config(&self) -> Config {
        Config {
            public_url: "https://api.example.com".into(),
            dev: false,
            user_agent: "Ringback/sim".into(),
            slots: self.shared.swarm.slots,
            waiters_max: 1_000,
            waiters_per_key_max: 1_000,
            keep_events: self.shared.swarm.keep_events,
        }
    }

    fn seat_players(&mut self) {
        let (Some(service), Some((runtime, _))) = (&self.service, &self.runtime) else { return };
        let life = Life { shared: Arc::clone(&self.shared), service: service.clone() };
        let seat = |it: &Seat| {
            let (it, life) = (Arc::clone(it), life.clone());
            runtime.spawn(async move { it.lock().await.play(&life).await })
        };
        self.playing = self.seats.iter().map(seat).collect();
        self.reading = self.readers.iter().map(seat).collect();
    }

    fn make_tenant(&mut self, tenant: TenantId) {
        let (Some(service), Some((runtime, _))) = (self.service.clone(), &self.runtime) else { return };
        let made = runtime.spawn(async move {
            let ctx = Ctx { caller: Caller::socket_operator(), scope: Scope::All };
            while service.put_tenant(&ctx, tenant.clone(), None, None, IfMatch::None, Write::plain()).await.is_err() {
                service.clock().sleep(Duration::from_millis(100)).await;
            }
        });
        let limit = self.now() + Duration::from_secs(600);
        self.drive(limit, |_| made.is_finished());
    }

    /// Drops all that is not on the disk.
    fn die(&mut self) {
        self.playing.clear();
        self.reading.clear();
        self.service = None;
        drop(self.runtime.take());
        self.disk.crash();
    }

    fn crash(&mut self, why: &str) {
        self.shared.journal.say(format_args!("crash: {why}"));
        let now = self.now();
        self.shared.journal.with(|it| it.crashes.push(now));
        self.die();
        self.snapshots.push(evidence::snapshot(&self.disk, types(), now));
        let down = if self.chance.per_mille(500) { Duration::ZERO } else { self.chance.duration(1, 20_000) };
        self.shared.clock.set(now + down);
        self.start();
    }

    // ---- Stages ----

    fn play(&mut self) {
        let end = self.begin + self.shared.swarm.faulty;
        for (at, strike) in std::mem::take(&mut self.crashes) {
            self.live_until(at.min(end));
            self.strike(strike);
        }
        self.live_until(end);
        self.shared.journal.say("mending");
        self.disk.mend();
        self.net.mend();
        self.shared.stage.store(1, Ordering::SeqCst);
        if self.disk.stopped() {
            self.crash("the disk stopped it");
        }
        let limit = self.now() + HEALED_MAX;
        let finished = self.drive(limit, |it| it.playing.iter().all(JoinHandle::is_finished));
        if !finished {
            let names: Vec<String> = self
                .playing
                .iter()
                .zip(&self.seats)
                .filter(|(it, _)| !it.is_finished())
                .map(|(_, seat)| seat.try_lock().map_or_else(|_| "somebody".into(), |it| it.name()))
                .collect();
            self.shared.journal.with(|it| it.unfinished.extend(names));
        }
        if self.chance.per_mille(400) && self.stuck.is_none() {
            self.crash("once more, after the faults");
        }
        self.shared.journal.say("draining");
        let begun = self.now();
        let mut look_at = begun;
        let drained = self.drive(limit, |it| {
            if it.now() < look_at {
                return false;
            }
            // Looking costs a walk through everything.
            look_at = it.now() + (it.now().since(begun) / 4).clamp(Duration::from_secs(2), Duration::from_secs(600));
            evidence::left_to_do(&it.disk).is_none() && it.disk.idle()
        });
        if !drained && self.stuck.is_none() {
            self.stuck = evidence::left_to_do(&self.disk).or_else(|| Some("the disk has not written all".into()));
        }
        self.shared.journal.say("closing");
        self.shared.stage.store(2, Ordering::SeqCst);
        let limit = self.now() + Duration::from_secs(7_200);
        self.drive(limit, |it| it.reading.iter().all(JoinHandle::is_finished));
        self.playing.clear();
        self.reading.clear();
    }

    /// Lives on until the time comes, by a clock that does not step, through the crashes that the disk asks for.
    fn live_until(&mut self, at: Timestamp) {
        while !self.drive(at + self.stepped, |it| it.disk.stopped()) {
            if self.now() >= at + self.stepped || self.stuck.is_some() {
                return;
            }
        }
        let soon = self.now() + self.chance.duration(0, 400);
        self.drive(soon, |_| false);
        self.crash("the disk stopped it");
        self.live_until(at);
    }

    fn strike(&mut self, strike: Strike) {
        let limit = self.now() + Duration::from_secs(5);
        let (answers, settled) = (self.net.answers.load(Ordering::SeqCst), self.disk.settled());
        self.drive(limit, |it| match strike {
            Strike::Now => true,
            Strike::Syncing => it.disk.syncing().0,
            Strike::Synced => it.disk.syncing().1,
            Strike::Answered => it.net.answers.load(Ordering::SeqCst) > answers,
            Strike::Settled => it.disk.settled() > settled,
        });
        self.crash(&format!("{strike:?}"));
    }

    fn evidence(&mut self) -> Evidence {
        let memory = self.disk.memory();
        let now = self.now();
        self.snapshots.push(evidence::snapshot(&self.disk, types(), now));
        let mut history = self.shared.journal.with(std::mem::take);
        let mut log = evidence::log(&self.disk);
        if self.plant == Some(Plant::SequenceGap) && log.len() > 10 {
            log.remove(log.len() / 2);
        }
        if self.plant == Some(Plant::LeaseForgotten)
            && let Some(handed) = history.handed.iter().find(|it| it.until.values().all(|until| *until > it.shown)).cloned()
        {
            history.handed.push(handed);
        }
        let rows = evidence::rows(&memory, &log);
        let broken = |at: Timestamp| {
            let mut from = at - Duration::from_secs(5);
            for (step, by) in history.steps.iter().rev() {
                if *step <= at && *step + *by >= from {
                    from = from - *by;
                }
            }
            self.disk.was_broken(from, at)
        };
        let troubles = history.troubles.iter().filter(|it| !broken(it.at)).cloned().collect();
        let mut scopes = vec![Scope::All];
        scopes.extend(at_once(memory.tenants()).unwrap_or_default().into_iter().map(|it| Scope::Tenant(it.id)));
        let floors = scopes.into_iter().filter_map(|it| Some((it.clone(), at_once(memory.bounds(&it)).ok()?.floor))).collect();
        let snapshots = std::mem::take(&mut self.snapshots);
        let mut evidence = Evidence::new(log, rows, snapshots, history, troubles, self.stuck.take(), self.shared.swarm.slots);
        evidence.floors = floors;
        evidence.keep_events = self.shared.swarm.keep_events;
        evidence.removed.clone_from(&self.disk.archive().removed);
        evidence
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.service = None;
        drop(self.runtime.take());
    }
}

/// An order that is paid or expires, and can be sent back and shipped again.
fn types() -> Vec<CompiledType> {
    let order = json!({
        "type": "order",
        "schema": { "type": "object", "properties": {
            "amount": { "type": "integer" }, "note": { "type": "string" }, "canary": { "type": "string" },
        } },
        "lifecycle": {
            "initial": "created",
            "statuses": {
                "created": { "timeout": { "after": "30s", "transition": "expire" } },
                "paid": {},
                "shipped": { "done": true },
                "returned": { "timeout": { "after": "5s", "transition": "ship" } },
                "expired": { "done": true },
            },
            "transitions": {
                "pay": { "from": ["created"], "to": "paid" },
                "ship": { "from": ["paid", "returned"], "to": "shipped" },
                "return": { "from": ["shipped"], "to": "returned" },
                "expire": { "from": ["created"], "to": "expired" },
            },
        },
    });
    vec![CompiledType::load(&order).expect("a type that loads")]
}
