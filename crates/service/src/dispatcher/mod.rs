//! Reads the log on behalf of subscriptions: pushes, and hands out to those who pull.
//!
//! What is owed is derived from (log, cursor), so there is no queue to lose: a
//! restart and a missed hint follow the path that runs every day. One task owns
//! all windows and decides through them (`engine::window`); tries, page reads
//! and settlements run beside it and report back.
//!
//! A caught-up window takes events from the tail in memory; one that is behind
//! reads its scope's slice of the log in pages.
//!
//! Not here: when to retry (`engine::retry`), which addresses may be called
//! (`egress`), what a subscription may say (`subscriptions`).

pub(crate) mod attempt;
mod erased;
mod figures;
mod found;
mod handle;
mod pull;
mod reader;
mod replays;

pub(crate) use handle::{Handle, ReaderView, Segment, Segments, Standing, Standings, channel};
pub(crate) use pull::{Heard, PullRefused, Said, SayRefused, Verb};

use crate::{Error, Service, own_events::Suspended, replays::pick::Picks, subscriptions::End, tail::Tailed};
use found::{Found, find};
use handle::{Command, Inbox};
use reader::{Reader, Take};
use ringback_engine::{
    delivery_state::InWindow,
    fair::{Fair, Grant, Held},
    health::{Notice, Weather},
    retry::Next,
    window::{EXPIRED, Settling},
};
use ringback_model::{
    ReplayId, TenantId, Timestamp,
    delivery::{Attempt, Outcome},
    event::{Event, Place, Scope},
    subscription::{Generation, State},
};
use ringback_ports::{
    meters::{meters, secs},
    store::{SettleError, Settlement, Slice, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Bytes of events that all windows hold together; beyond it they hold places.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Events that one page of the log brings to a reader that is behind.
const PAGE_EVENTS_MAX: usize = 256;
/// Bytes of such a page.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// How long a store that could not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// A cursor that moved over so many events that do not match is written down.
const CURSOR_LAG_MAX: u64 = 10_000;
/// Commands that are heard in one round.
const COMMANDS_AT_ONCE: usize = 64;
/// Subscriptions that are not read, in one answer about exceptions.
const SEGMENTS_TO_ASK_MAX: usize = 100;

/// What ran beside the dispatcher and is over. Each try, page and settlement
/// sends exactly one, so there are never more than slots + 4 × readers of them.
enum Done {
    Loaded { no: u32, found: Result<Option<Found>, StoreError> },
    Paged { no: u32, generation: Generation, after: Place, events: Result<Vec<Arc<Event>>, StoreError> },
    Tried { no: u32, generation: Generation, place: Place, held: Held, started: Timestamp, came: Option<Box<attempt::Came>> },
    Settled { no: u32, generation: Generation, settling: Settling, replays: Vec<ReplayId>, result: Result<(), SettleError> },
    Picked { no: u32, generation: Generation, id: ReplayId, picks: Result<Picks, Error> },
}

struct Dispatcher {
    service: Service,
    inbox: Inbox,
    done_in: mpsc::UnboundedReceiver<Done>,
    done_out: mpsc::UnboundedSender<Done>,
    readers: BTreeMap<u32, Reader>,
    /// Readers whose state is being read, and what was asked of them meanwhile.
    loading: BTreeMap<u32, Vec<Command>>,
    /// Readers that could not be loaded: when to try again.
    reload: BTreeMap<u32, Timestamp>,
    by_tenant: BTreeMap<TenantId, BTreeSet<u32>>,
    stars: BTreeSet<u32>,
    /// Readers to look at now.
    ready: BTreeSet<u32>,
    timers: BTreeSet<(Timestamp, u32)>,
    /// Slots, and whose turn it is.
    fair: Fair,
    /// Whether it is us.
    weather: Weather,
    held_bytes: usize,
    draining: Option<Draining>,
}

struct Draining {
    deadline: Timestamp,
    over: oneshot::Sender<()>,
}

/// Starts the dispatcher on the present runtime.
pub(crate) fn spawn(service: Service, inbox: Inbox) {
    let (done_out, done_in) = mpsc::unbounded_channel();
    let mut dispatcher = Dispatcher {
        inbox,
        done_in,
        done_out,
        readers: BTreeMap::new(),
        loading: BTreeMap::new(),
        reload: BTreeMap::new(),
        by_tenant: BTreeMap::new(),
        stars: BTreeSet::new(),
        ready: BTreeSet::new(),
        timers: BTreeSet::new(),
        fair: Fair::new(service.inner.config.slots),
        weather: Weather::default(),
        held_bytes: 0,
        draining: None,
        service,
    };
    let live = dispatcher.service.registry().live_subscriptions();
    for no in live {
        dispatcher.load(no);
    }
    tokio::spawn(async move { dispatcher.run().await });
}

impl Dispatcher {
    async fn run(&mut self) {
        loop {
            let now = self.service.now();
            self.work(now);
            if self.drained(now) {
                if let Some(draining) = self.draining.take() {
                    let _ = draining.over.send(());
                }
                return;
            }
            let next = self.next_timeout();
            let clock = Arc::clone(&self.service.inner.clock);
            let timer = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(done) = self.done_in.recv() => self.handle_done(done),
                command = self.inbox.commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => return,
                },
                () = self.inbox.touched.notify.notified() => self.handle_hints(),
                () = timer => {}
            }
            // Whatever else is there already is taken with it, so that a burst costs one round.
            for _ in 0..4_096 {
                match self.done_in.try_recv() {
                    Ok(done) => self.handle_done(done),
                    Err(_) => break,
                }
            }
            // Outcomes come first, but however many there are, nobody else waits for their end.
            self.handle_hints();
            for _ in 0..COMMANDS_AT_ONCE {
                match self.inbox.commands.try_recv() {
                    Ok(command) => self.handle(command),
                    Err(_) => break,
                }
            }
        }
    }

    /// Everything that can be done without waiting.
    fn work(&mut self, now: Timestamp) {
        while let Some((at, no)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, no));
            if let Some(reader) = self.readers.get_mut(&no) {
                reader.timer = None;
            }
            self.ready.insert(no);
        }
        let due: Vec<u32> = self.reload.iter().filter(|(_, at)| **at <= now).map(|(no, _)| *no).collect();
        for no in due {
            self.reload.remove(&no);
            self.load(no);
        }
        for no in std::mem::take(&mut self.ready) {
            self.read_on(no, now);
            self.expire(no, now);
            self.forget_erased(no, now);
            self.serve_pulls(no, now);
            self.replay_on(no, now);
            self.settle_if_due(no, now);
            self.plan(no, now);
            self.tell_parked(no, now);
            self.ask_for_slots(no, now);
        }
        let started = self.start_some(now);
        for no in started {
            // Starting made no room, but what it waits for has changed.
            self.plan(no, now);
        }
    }

    // ---- Reading ----

    /// Offers the reader what it has room for.
    fn read_on(&mut self, no: u32, now: Timestamp) {
        let draining = self.draining.is_some();
        let Some(reader) = self.readers.get_mut(&no) else { return };
        while !draining && reader.wants_events() {
            reader.jump_over_skipped();
            let slice = Slice { events_max: reader.window.room().min(PAGE_EVENTS_MAX), bytes_max: PAGE_BYTES_MAX };
            let scope = reader.subscription.scope.clone();
            match self.service.inner.tail.after(&scope, reader.window.read(), slice) {
                Tailed::Events(events) if events.is_empty() => break,
                Tailed::Events(events) => {
                    if !offer_all(&self.service, reader, &mut self.held_bytes, &events, now) {
                        break;
                    }
                }
                Tailed::Ask if reader.caught_up => break,
                Tailed::Ask => {
                    reader.paging = true;
                    // Until a hint says otherwise: one that comes while the page is read counts.
                    reader.caught_up = true;
                    let (service, out, after, generation) =
                        (self.service.clone(), self.done_out.clone(), reader.window.read(), reader.window.generation());
                    tokio::spawn(async move {
                        let events = service.inner.store.events_after(&scope, after, slice).await;
                        let _ = out.send(Done::Paged { no, generation, after, events });
                    });
                    break;
                }
            }
        }
    }

    /// When to look at this reader again by time alone.
    fn plan(&mut self, no: u32, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no) else { return };
        let deadline = reader.waiting.asks.iter().map(|it| it.deadline).min().filter(|_| !reader.paging && !reader.frozen);
        let next = [reader.window.next_timeout(), reader.next_replay(now), deadline].into_iter().flatten().min().map(|at| at.max(now));
        if reader.timer != next {
            if let Some(old) = reader.timer.take() {
                self.timers.remove(&(old, no));
            }
            if let Some(at) = next {
                // A try that is due but finds no slot is started when one is given back, not by spinning.
                if at > now || reader.window.settle_due().is_some_and(|it| it <= now) {
                    self.timers.insert((at, no));
                    reader.timer = Some(at);
                } else {
                    self.fair.set_wants(no, reader.wants(now));
                    // What goes by the clock alone does not wait for a slot.
                    let later =
                        [reader.window.next_expiry(), reader.window.settle_due()].into_iter().flatten().filter(|it| *it > now).min();
                    if let Some(at) = later {
                        self.timers.insert((at, no));
                        reader.timer = Some(at);
                    }
                }
            }
        }
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        let reload = self.reload.values().min().copied();
        let deadline = self.draining.as_ref().map(|it| it.deadline);
        [self.timers.first().map(|(at, _)| *at), reload, deadline].into_iter().flatten().min()
    }

    /// Parks what is past its deadline. Not while an edit is being committed: it chose its places already.
    fn expire(&mut self, no: u32, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| !it.frozen) else { return };
        let over = reader.window.poll_expired(now);
        if over.is_empty() {
            return;
        }
        for (_, event) in over {
            reader.note_parked(event, EXPIRED);
        }
        self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
    }

    // ---- Trying ----

    /// Says what a reader has to start now.
    fn ask_for_slots(&mut self, no: u32, now: Timestamp) {
        let may = |it: &&Reader| self.draining.is_none() && !it.waits_to_expire(now);
        let wants = self.readers.get(&no).filter(may).and_then(|it| it.wants(now));
        self.fair.set_wants(no, wants);
    }

    /// Starts tries while there are slots, in the order of `engine::fair`.
    fn start_some(&mut self, now: Timestamp) -> BTreeSet<u32> {
        let mut started = BTreeSet::new();
        if self.draining.is_some() || self.service.deliveries_held() {
            // What could be started stays on the list.
            return started;
        }
        while let Some(Grant { no, fresh_only }) = self.fair.poll() {
            if !self.readers.contains_key(&no) {
                self.fair.remove(no);
                continue;
            }
            if !fresh_only && self.start_replay(no, now) {
                started.insert(no);
                self.ask_for_slots(no, now);
                continue;
            }
            let Some(reader) = self.readers.get_mut(&no) else { continue };
            let start = if reader.waits_to_expire(now) {
                None
            } else if fresh_only {
                reader.window.poll_start_fresh(now)
            } else {
                reader.window.poll_start(now)
            };
            if let Some(start) = start {
                started.insert(no);
                let held = self.fair.handle_started(no, start.try_no > 1);
                let event = reader.events.get(&start.place).cloned();
                let job = attempt::Job {
                    subscription: Arc::clone(&reader.subscription),
                    generation: reader.window.generation(),
                    start,
                    held,
                    event,
                };
                attempt::spawn(self.service.clone(), job, self.done_out.clone());
            }
            self.ask_for_slots(no, now);
        }
        started
    }

    /// Announces what was parked, at most once a minute.
    fn tell_parked(&mut self, no: u32, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no) else { return };
        match reader.parked_to_tell(now) {
            Ok(Some(parked)) => self.service.note_parked(no, parked),
            Ok(None) => {}
            Err(later) => {
                self.timers.insert((later, no));
            }
        }
    }

    /// Most of what worked fails, or works again.
    fn weather_changed(&mut self, now: Timestamp) {
        let frozen = self.weather.is_us();
        if frozen {
            tracing::error!(
                "most endpoints that worked fail at once: taking it for our own fault. Nothing is decided against them, and a tenth of the slots keeps trying"
            );
        } else {
            tracing::info!("endpoints take events again");
        }
        self.fair.set_frozen(frozen);
        for (no, reader) in &mut self.readers {
            reader.window.set_frozen(frozen, now);
            self.ready.insert(*no);
        }
    }

    // ---- Settling ----

    fn settle_if_due(&mut self, no: u32, now: Timestamp) {
        let draining = self.draining.is_some();
        let Some(reader) = self.readers.get_mut(&no) else { return };
        if reader.settle_after.is_some_and(|at| now < at) {
            return;
        }
        let window = &mut reader.window;
        // What a replay did is written with what the window has; alone, it is written at once.
        let replayed = reader.replaying.is_dirty() && !window.pending_settlement();
        let due = window.settle_due().is_some_and(|at| at <= now || draining) || replayed;
        if !due && window.cursor_lag() <= CURSOR_LAG_MAX && !(draining && window.cursor_lag() > 0) {
            return;
        }
        let settling = if replayed { window.take_any_settlement() } else { window.take_settlement() };
        let Some(settling) = settling else { return };
        let replays = reader.replaying.take();
        reader.settling = true;
        reader.waiting.writing.append(&mut reader.waiting.next);
        let generation = window.generation();
        let settlement = Settlement {
            subscription: no,
            generation,
            cursor: settling.cursor,
            attempts: settling.attempts.clone(),
            exceptions: settling.exceptions.clone(),
            removed: settling.removed.clone(),
            skipped: settling.skipped.clone(),
            replays,
        };
        let (service, out) = (self.service.clone(), self.done_out.clone());
        tokio::spawn(async move {
            let replays = settlement.replays.iter().map(|it| it.id).collect();
            let result = service.inner.store.settle(settlement).await;
            let _ = out.send(Done::Settled { no, generation, settling, replays, result });
        });
    }

    // ---- What is over ----

    fn handle_done(&mut self, done: Done) {
        let now = self.service.now();
        match done {
            Done::Loaded { no, found } => self.handle_loaded(no, found, now),
            Done::Paged { no, generation, after, events } => {
                let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.generation() == generation) else { return };
                reader.paging = false;
                match events {
                    // It was asked for before what had been read was to be read again, as in a shadow: it would
                    // pass what lies between.
                    Ok(_) if after > reader.window.read() => reader.caught_up = false,
                    Ok(events) if events.is_empty() => {}
                    // An edit took its place in the log meanwhile: what lies above is for the new
                    // revision, and is read again once that is known.
                    Ok(_) if reader.frozen => reader.caught_up = false,
                    Ok(events) => {
                        reader.caught_up = false;
                        offer_all(&self.service, reader, &mut self.held_bytes, &events, now);
                    }
                    Err(why) => {
                        reader.caught_up = false;
                        tracing::warn!(subscription.id = %reader.subscription.id, "a page of the log could not be read, trying again: {why}");
                        self.timers.insert((now + STORE_PAUSE, no));
                        return;
                    }
                }
                self.ready.insert(no);
            }
            Done::Tried { no, generation, place, held, started, came } => {
                self.fair.handle_ended(&held, now.since(started));
                self.handle_tried(no, generation, place, came, now);
            }
            Done::Settled { no, generation, settling, replays, result } => {
                self.handle_settled(no, generation, (settling, replays), result, now);
            }
            Done::Picked { no, generation, id, picks } => self.handle_picked(no, generation, id, picks, now),
        }
    }

    fn handle_tried(&mut self, no: u32, generation: Generation, place: Place, came: Option<Box<attempt::Came>>, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.generation() == generation) else { return };
        if reader.window.is_replaying(place) {
            return self.handle_replayed(no, place, came.map(|it| *it), now);
        }
        match came {
            None => {
                // The event could not be read, or the try broke: not the endpoint's fault.
                reader.window.handle_abort(place, now);
                reader.caught_up &= !reader.window.is_shadow();
                self.ready.insert(no);
                return;
            }
            Some(came) => {
                let attempt::Came { attempt, outcome, own } = *came;
                let jitter = self.service.inner.entropy.fraction();
                let event = attempt.event;
                count_try(&attempt, &outcome);
                if let Some(effect) = reader.window.handle_outcome(place, attempt, &outcome, now, jitter) {
                    if let Next::Park { reason } = effect.next
                        && !own
                    {
                        reader.note_parked(event, reason);
                    }
                    self.heed(no, effect.notice, effect.gone);
                }
                if self.weather.handle_outcome(no, &outcome, now) {
                    self.weather_changed(now);
                }
            }
        }
        let Some(reader) = self.readers.get_mut(&no) else { return };
        if reader.window.state_of(place) != Some(InWindow::Queued)
            && let Some(event) = reader.events.remove(&place)
        {
            self.held_bytes = self.held_bytes.saturating_sub(event.bytes.len());
        }
        if reader.window.exception(place).is_some() {
            // Those behind it may be held now.
            self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
        }
        // In the shadow what was not sent after all is read again.
        reader.caught_up &= !reader.window.is_shadow();
        self.ready.insert(no);
    }

    /// Somebody has to be told, or the reading to be ended.
    fn heed(&self, no: u32, notice: Notice, gone: bool) {
        match notice {
            Notice::Nothing => {}
            Notice::Failing(it) => self.service.note_failing(no, Some(it)),
            Notice::Recovered => self.service.note_failing(no, None),
            Notice::Suspend(it) => self.service.end_reading(no, End::Suspended(Suspended::Silent(it))),
        }
        if gone {
            self.service.end_reading(no, End::Suspended(Suspended::Gone));
        }
    }

    fn handle_settled(
        &mut self,
        no: u32,
        generation: Generation,
        (settling, replays): (Settling, Vec<ReplayId>),
        result: Result<(), SettleError>,
        now: Timestamp,
    ) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.generation() == generation) else { return };
        reader.settling = false;
        match result {
            Ok(()) => {
                reader.settle_after = None;
                reader.window.handle_settled(settling.cursor);
                reader.grow_skipped(settling.skipped);
                reader.replaying.forget_ended();
                reader.waiting.writing.drain(..).for_each(|it| it.tell(Ok(())));
                if !reader.has_pending() {
                    // What they took for pending was being written: no settlement comes after it.
                    reader.waiting.next.drain(..).for_each(|it| it.tell(Ok(())));
                }
            }
            Err(SettleError::Fenced) => {
                // It was deleted or sought elsewhere; a refresh is on its way.
                tracing::debug!(subscription.no = no, "a settlement came too late");
                reader.window.handle_settled(0);
                reader.waiting.writing.drain(..).for_each(|it| it.tell(Err(SayRefused::Fenced)));
            }
            Err(SettleError::Store(why)) => {
                tracing::warn!(subscription.id = %reader.subscription.id, "a settlement was not stored, trying again: {why}");
                // It is tried again; whoever waits is told now, and asks again.
                reader.waiting.writing.drain(..).for_each(|it| it.tell(Err(SayRefused::Store(why.clone()))));
                reader.window.put_back(settling, now + STORE_PAUSE);
                reader.replaying.put_back(&replays);
                // Also for a cursor alone, and while closing: or this would spin.
                reader.settle_after = Some(now + STORE_PAUSE);
                self.timers.insert((now + STORE_PAUSE, no));
            }
        }
        if reader.one_shot_is_over() {
            reader.finishing = true;
            self.service.end_reading(no, End::Done);
        }
        self.ready.insert(no);
    }

    // ---- Readers come and go ----

    fn load(&mut self, no: u32) {
        self.reload.remove(&no);
        if self.loading.contains_key(&no) || self.readers.contains_key(&no) {
            return;
        }
        self.loading.insert(no, Vec::new());
        let (service, out) = (self.service.clone(), self.done_out.clone());
        tokio::spawn(async move {
            let found = find(&service, no).await;
            let _ = out.send(Done::Loaded { no, found });
        });
    }

    fn handle_loaded(&mut self, no: u32, found: Result<Option<Found>, StoreError>, now: Timestamp) {
        let waiting = self.loading.remove(&no).unwrap_or_default();
        let subscription = self.service.registry().subscription_no(no).cloned();
        match (subscription, found) {
            (Some(subscription), Ok(Some(found))) => {
                match &subscription.scope {
                    Scope::All => self.stars.insert(no),
                    Scope::Tenant(tenant) => self.by_tenant.entry(tenant.clone()).or_default().insert(no),
                };
                self.fair.put(no, &subscription.tenant, host_of(subscription.url().unwrap_or_default()));
                let filters = self.service.filters_of(&subscription);
                let mut reader = Reader::new(subscription, filters, found.state, found.one_shot, now);
                reader.replaying.handle_floor(found.floor);
                reader.window.set_frozen(self.weather.is_us(), now);
                if reader.unresolved {
                    let id = &reader.subscription.id;
                    tracing::warn!(subscription.id = %id, "what {id} waits for is not known: no type that is served has it");
                }
                // It was not written down any more that it is over.
                if found.never_again || reader.one_shot_is_over() {
                    reader.finishing = true;
                    self.service.end_reading(no, End::Done);
                }
                self.readers.insert(no, reader);
                self.ready.insert(no);
            }
            (Some(subscription), Err(why)) => {
                tracing::warn!(subscription.id = %subscription.id, "its reader could not be loaded, trying again: {why}");
                self.reload.insert(no, now + STORE_PAUSE);
            }
            (None, _) | (_, Ok(None)) => {}
        }
        for command in waiting {
            self.handle_loaded_for(command);
        }
    }

    fn remove(&mut self, no: u32) {
        self.reload.remove(&no);
        self.fair.remove(no);
        self.weather.remove(no);
        if let Some(reader) = self.readers.remove(&no) {
            if let Some(at) = reader.timer {
                self.timers.remove(&(at, no));
            }
            let held: usize = reader.events.values().map(|it| it.bytes.len()).sum();
            self.held_bytes = self.held_bytes.saturating_sub(held);
            self.stars.remove(&no);
            if let Scope::Tenant(tenant) = &reader.subscription.scope
                && let Some(own) = self.by_tenant.get_mut(tenant)
            {
                own.remove(&no);
            }
        }
    }

    fn refresh(&mut self, no: u32, now: Timestamp) {
        let subscription = self.service.registry().subscription_no(no).cloned();
        match subscription {
            None => self.remove(no),
            Some(subscription) => match self.readers.get_mut(&no) {
                Some(reader) if reader.unresolved && reader.window.in_flight() == 0 && !reader.settling && !reader.paging => {
                    // Its type may be served by now.
                    self.begin_anew(no);
                }
                // It has begun another life: this one is over.
                Some(reader) if reader.subscription.generation != subscription.generation => self.begin_anew(no),
                // All of it is stored: what is asked about it, the store knows.
                Some(reader) if subscription.state == State::Done && reader.is_idle() => self.remove(no),
                Some(reader) => {
                    self.fair.put(no, &subscription.tenant, host_of(subscription.url().unwrap_or_default()));
                    let filters = self.service.filters_of(&subscription);
                    reader.edited(subscription, filters, now);
                    self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
                    if reader.one_shot_is_over() {
                        reader.finishing = true;
                        self.service.end_reading(no, End::Done);
                    }
                    self.ready.insert(no);
                }
                None if subscription.state != State::Done => self.load(no),
                None => {}
            },
        }
    }

    // ---- What is asked ----

    fn handle_hints(&mut self) {
        for tenant in self.inbox.touched.take() {
            let own = self.by_tenant.get(&tenant).into_iter().flatten();
            for no in own.chain(&self.stars) {
                if let Some(reader) = self.readers.get_mut(no) {
                    reader.caught_up = false;
                    self.ready.insert(*no);
                }
            }
        }
    }

    fn handle(&mut self, command: Command) {
        self.load_for(&command);
        self.handle_loaded_for(command);
    }

    fn handle_loaded_for(&mut self, command: Command) {
        if let Some(no) = command.reader()
            && let Some(waiting) = self.loading.get_mut(&no)
        {
            // Its senders are few (they hold the subscription's turn) and each waits for an answer.
            waiting.push(command);
            return;
        }
        let now = self.service.now();
        match command {
            // Hearing it is all: the next round starts what may be started.
            Command::Wake => {}
            Command::Refresh { no } => self.refresh(no, now),
            Command::Freeze { no, reply } => {
                let read = self.readers.get_mut(&no).map(|it| {
                    it.frozen = true;
                    it.window.read()
                });
                let _ = reply.send(read);
            }
            Command::PlanSkip { no, end, why, reply } => {
                let _ = reply.send(self.readers.get_mut(&no).map(|it| it.window.plan_skip(end, why)));
            }
            Command::Skip { no, ranges, end, reply } => {
                if let Some(reader) = self.readers.get_mut(&no) {
                    reader.skip(ranges, end, now);
                    self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
                }
                let _ = reply.send(());
            }
            Command::Below { no, floor, reply } => {
                let _ = reply.send(self.readers.get(&no).map(|it| it.window.below(floor)));
            }
            Command::DropBelow { no, floor, reply } => {
                if let Some(reader) = self.readers.get_mut(&no) {
                    reader.window.drop_below(floor, now);
                    self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
                    self.ready.insert(no);
                }
                let _ = reply.send(());
            }
            Command::RetryNow { no, place, reply } => self.retry_now(no, place, reply, now),
            Command::Replay { no, replay } => self.add_replay(no, *replay, now),
            Command::CancelReplay { no, id, reply } => self.cancel_replay(no, id, reply, now),
            Command::Cancel { no, place, reply } => self.cancel(no, place, reply, now),
            Command::Pull { no, ask } => self.handle_pull(no, ask, now),
            Command::Halt { no, target, why, reply } => self.halt(no, target, why, reply, now),
            Command::Flush { no, reply } => {
                if self.readers.contains_key(&no) {
                    self.when_stored(no, pull::Waiter::Stored(reply));
                }
            }
            Command::EventsOf { no, places, reply } => {
                let _ = reply.send(self.events_of(no, &places));
            }
            Command::Say { no, said, reply } => self.handle_said(no, said, reply, now),
            Command::View { nos, reply } => {
                let views = nos.into_iter().filter_map(|no| Some((no, self.readers.get(&no)?.view()))).collect();
                let _ = reply.send(views);
            }
            Command::Standings { no, places, reply } => {
                let standings = self.readers.get(&no).map(|reader| {
                    let window = &reader.window;
                    let standing = |it| Standing { in_window: window.state_of(it), exception: window.exception(it).cloned() };
                    Standings { cursor: window.cursor(), skipped: reader.all_skipped(), rows: places.into_iter().map(standing).collect() }
                });
                let _ = reply.send(standings);
            }
            Command::Forget { events, reply } => {
                self.forget(&events, now);
                let _ = reply.send(());
            }
            Command::Figures { reply } => {
                let _ = reply.send(self.figures());
            }
            Command::Exceptions { nos, after, limit, reply } => {
                let _ = reply.send(self.exceptions(&nos, after, limit));
            }
            Command::Drain { deadline, over } => {
                self.draining = Some(Draining { deadline, over });
                self.ready.extend(self.readers.keys().copied());
            }
        }
    }

    fn exceptions(&self, nos: &[u32], after: (u32, Place), limit: usize) -> Segments {
        let mut found = Segments::default();
        let (mut rows_left, mut to_ask_left) = (limit, SEGMENTS_TO_ASK_MAX);
        for no in nos.iter().copied() {
            if rows_left == 0 || to_ask_left == 0 {
                found.more = true;
                break;
            }
            let Some(reader) = self.readers.get(&no) else {
                to_ask_left -= 1;
                found.all.push(Segment { no, rows: None, cut: false });
                continue;
            };
            let mut rows = reader.window.exceptions_after(if no == after.0 { after.1 } else { 0 });
            let taken: Vec<_> = rows.by_ref().take(rows_left).cloned().collect();
            rows_left -= taken.len();
            if !taken.is_empty() {
                found.all.push(Segment { no, rows: Some(taken), cut: rows.next().is_some() });
            }
        }
        found.more |= found.all.last().is_some_and(|it| it.cut);
        found
    }

    /// Whether nothing is left to finish, or the time for it is over.
    fn drained(&self, now: Timestamp) -> bool {
        let Some(draining) = &self.draining else { return false };
        let idle = self.fair.used() == 0 && self.readers.values().all(|it| !it.settling && !it.has_pending());
        if !idle && now >= draining.deadline {
            tracing::warn!(in_flight = self.fair.used(), "closing with tries in flight; they are made again after the start");
            return true;
        }
        idle
    }
}

/// Counts a try that ended.
fn count_try(attempt: &Attempt, outcome: &Outcome) {
    meters().tries.with_label_values(&[outcome.as_str()]).inc();
    let took = Duration::from_millis(u64::from(attempt.timings.total));
    meters().try_seconds.with_label_values(&[outcome.as_str()]).observe(secs(took));
}

/// Name and port of an endpoint: what a limit of tries in flight is for.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Offers events until one is not taken; whether all were.
fn offer_all(service: &Service, reader: &mut Reader, held_bytes: &mut usize, events: &[Arc<Event>], now: Timestamp) -> bool {
    for event in events {
        match reader.offer(event, now, |of, event, revision| attempt::try_out(service, of, event, revision, now)) {
            Take::No => return false,
            Take::Passed => {}
            Take::Owed => {
                let place = event.place(&reader.subscription.scope);
                // One that is held behind a failed one of its subject may wait for days.
                let soon = reader.window.state_of(place) == Some(InWindow::Queued);
                if soon && *held_bytes + event.bytes.len() <= HELD_BYTES_MAX {
                    *held_bytes += event.bytes.len();
                    reader.events.insert(place, Arc::clone(event));
                }
            }
            Take::NeverAgain => {
                reader.finishing = true;
                service.end_reading(reader.subscription.no, End::Done);
                return false;
            }
        }
    }
    true
}
