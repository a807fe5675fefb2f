//! Handing events out to whoever pulls.
//!
//! A pull asks for some; its reader reads the log only as far as somebody asks
//! (`engine::window::leasing` decides what is handed out). Who finds nothing waits
//! here until there is something, or its time is over. Acks answer when what they
//! settle is stored.

use super::{Dispatcher, handle::Command, reader::Reader};
use crate::Service;
use ringback_engine::window::{Acked, LeaseId, Leased, Nacked};
use ringback_model::{
    AttemptId, EventId, Timestamp,
    delivery::SkippedRange,
    event::{Event, Place},
    limits,
    subscription::{Generation, State},
};
use ringback_ports::store::StoreError;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;

/// Why a delivery that somebody cancelled is skipped.
const CANCELLED: &str = "cancelled";

/// What somebody who pulls wants.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(super) limit: usize,
    pub(super) lease: Duration,
    /// Until when it waits for a first one.
    pub(super) deadline: Timestamp,
    pub(super) reply: oneshot::Sender<Result<Batch, PullRefused>>,
}

/// What a pull is handed.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) generation: Generation,
    pub(crate) lease: LeaseId,
    pub(crate) until: Timestamp,
    /// With the event, if it is in memory.
    pub(crate) items: Vec<(Leased, Option<Arc<Event>>)>,
}

/// Why a pull is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullRefused {
    /// It is pushed, or not read at all.
    NotPulled,
    /// As many wait already as may.
    TooMany,
}

/// What happened to events that were handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    /// They are done.
    Ack,
    /// Hand them out again, after this.
    Nack(Duration),
    /// Hold them longer.
    Extend(Duration),
    /// They never reached who pulled.
    TakeBack,
}

/// What is said about events that were handed out.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) generation: Generation,
    pub(crate) lease: LeaseId,
    pub(crate) places: Vec<(Place, EventId)>,
    pub(crate) verb: Verb,
}

/// What it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) settled: usize,
    pub(crate) late: Vec<EventId>,
    /// Until when they are held now; of an extension.
    pub(crate) until: Option<Timestamp>,
}

/// Why it did nothing.
#[derive(Clone, Debug)]
pub(crate) enum SayRefused {
    /// It is pushed, or not read at all.
    NotPulled,
    /// The lease is over.
    Expired,
    /// It is not known to be stored.
    Store(StoreError),
    /// The subscription is gone or has begun another life meanwhile.
    Fenced,
}

/// Somebody who is answered when what is pending now is stored.
pub(super) enum Waiter {
    Said(Heard, oneshot::Sender<Result<Heard, SayRefused>>),
    Stored(oneshot::Sender<Result<(), SayRefused>>),
    Halted(Vec<SkippedRange>, oneshot::Sender<Result<Vec<SkippedRange>, SayRefused>>),
}

impl Waiter {
    pub(super) fn tell(self, result: Result<(), SayRefused>) {
        match self {
            Self::Said(heard, reply) => {
                let _ = reply.send(result.map(|()| heard));
            }
            Self::Halted(ranges, reply) => {
                let _ = reply.send(result.map(|()| ranges));
            }
            Self::Stored(reply) => {
                let _ = reply.send(result);
            }
        }
    }
}

/// What a reader keeps of those who pull and wait.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) asks: VecDeque<Ask>,
    /// For the next settlement.
    pub(super) next: Vec<Waiter>,
    /// For the one that is being written.
    pub(super) writing: Vec<Waiter>,
}

impl Dispatcher {
    pub(super) fn handle_pull(&mut self, no: u32, ask: Ask, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.is_pulled()) else {
            let _ = ask.reply.send(Err(PullRefused::NotPulled));
            return;
        };
        reader.waiting.asks.retain(|it| !it.reply.is_closed());
        if reader.waiting.asks.len() >= limits::PULLS_WAITING_MAX {
            let _ = ask.reply.send(Err(PullRefused::TooMany));
            return;
        }
        reader.waiting.asks.push_back(ask);
        reader.ask_for_enough();
        let _ = now;
        self.ready.insert(no);
    }

    /// Ends what is over, then hands out what there is to those who wait, in their order.
    pub(super) fn serve_pulls(&mut self, no: u32, now: Timestamp) {
        let draining = self.draining.is_some();
        let Some(reader) = self.readers.get_mut(&no) else { return };
        if !reader.window.is_pulled() {
            for ask in reader.waiting.asks.drain(..) {
                let _ = ask.reply.send(Err(PullRefused::NotPulled));
            }
            return;
        }
        end_leases(&self.service, reader, now);
        // Who came later may wait less: nobody's answer waits for that of another.
        let mut dry = draining || reader.frozen;
        for ask in core::mem::take(&mut reader.waiting.asks) {
            if ask.reply.is_closed() {
                continue;
            }
            let (lease, until) = (lease_id(&self.service), now + ask.lease);
            let leased = if dry { Vec::new() } else { reader.window.lease(ask.limit, lease, until, now) };
            dry |= leased.is_empty();
            // The log was looked at to its end: there is nothing for this one.
            // A reader that stands still for a seek hands out nothing; who waits is served by its next life.
            let over = draining || !reader.frozen && (now >= ask.deadline && !reader.paging || !reader.window.is_active());
            if leased.is_empty() && !over {
                reader.waiting.asks.push_back(ask);
                continue;
            }
            let items: Vec<_> = leased.into_iter().map(|it| (it, reader.events.get(&it.place).cloned())).collect();
            let batch = Batch { generation: reader.window.generation(), lease, until, items };
            if let Err(Ok(batch)) = ask.reply.send(Ok(batch)) {
                // Whoever asked went away in this moment.
                for (it, _) in batch.items {
                    reader.window.take_back(it.place, lease, now);
                }
            }
        }
        reader.ask_for_enough();
    }

    /// The events of these places, as far as the window knows them.
    pub(super) fn events_of(&self, no: u32, places: &[Place]) -> BTreeMap<Place, EventId> {
        let Some(reader) = self.readers.get(&no) else { return BTreeMap::new() };
        places.iter().filter_map(|place| Some((*place, reader.window.event_of(*place)?))).collect()
    }

    pub(super) fn handle_said(&mut self, no: u32, said: Said, reply: oneshot::Sender<Result<Heard, SayRefused>>, now: Timestamp) {
        let service = self.service.clone();
        let Some(reader) = self.readers.get_mut(&no).filter(|it| it.window.is_pulled()) else {
            let _ = reply.send(Err(SayRefused::NotPulled));
            return;
        };
        end_leases(&service, reader, now);
        let Said { generation, lease, places, verb } = said;
        if generation != reader.window.generation() {
            // Another life: what was handed out before the seek says nothing about this one.
            let late = places.into_iter().map(|(_, event)| event).collect();
            let _ = reply.send(match verb {
                Verb::Ack | Verb::TakeBack => Ok(Heard { late, ..Heard::default() }),
                Verb::Nack(_) | Verb::Extend(_) => Err(SayRefused::Expired),
            });
            return;
        }
        if matches!(verb, Verb::Nack(_) | Verb::Extend(_)) {
            let found: Vec<Nacked> = places.iter().map(|(place, _)| reader.window.lease_of(*place, lease, now)).collect();
            if found.contains(&Nacked::Expired) && !found.contains(&Nacked::Done) {
                let _ = reply.send(Err(SayRefused::Expired));
                return;
            }
        }
        let mut heard = Heard::default();
        for (place, event) in places {
            let window = &mut reader.window;
            let done = match verb {
                Verb::Ack => window.handle_ack(place, event, attempt_id(&service, now), now) == Acked::Settled,
                Verb::Nack(delay) => window.handle_nack(place, lease, delay, attempt_id(&service, now), now) == Nacked::Done,
                Verb::Extend(by) => window.extend(place, lease, now + by, now) == Nacked::Done,
                Verb::TakeBack => {
                    window.take_back(place, lease, now);
                    true
                }
            };
            if done {
                heard.settled += 1;
            } else {
                heard.late.push(event);
            }
        }
        if let Verb::Extend(by) = verb {
            heard.until = Some(now + by);
        }
        self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
        match verb {
            // Also when all of it is late: what made it so may not be stored yet.
            Verb::Ack | Verb::Nack(_) => self.when_stored(no, Waiter::Said(heard, reply)),
            Verb::Extend(_) | Verb::TakeBack => {
                let _ = reply.send(Ok(heard));
            }
        }
        self.ready.insert(no);
    }

    /// Answers `waiter` when everything that the reader knows now is stored.
    pub(super) fn when_stored(&mut self, no: u32, waiter: Waiter) {
        let Some(reader) = self.readers.get_mut(&no) else { return waiter.tell(Err(SayRefused::Fenced)) };
        if reader.has_pending() {
            reader.window.hurry();
            reader.waiting.next.push(waiter);
        } else if reader.settling {
            reader.waiting.writing.push(waiter);
        } else {
            waiter.tell(Ok(()));
        }
        self.ready.insert(no);
    }

    /// Another reader takes the place of this one. Who pulls and waits goes on waiting there; who
    /// said something that is not stored says it once more (`Service::settle_pulled`).
    pub(super) fn begin_anew(&mut self, no: u32) {
        let waiting = self.readers.get_mut(&no).map(|it| core::mem::take(&mut it.waiting)).unwrap_or_default();
        self.remove(no);
        self.load(no);
        for waiter in waiting.writing.into_iter().chain(waiting.next) {
            waiter.tell(Err(SayRefused::Fenced));
        }
        if let Some(loading) = self.loading.get_mut(&no) {
            loading.extend(waiting.asks.into_iter().map(|ask| Command::Pull { no, ask }));
        }
    }

    /// Stops the reader for a seek.
    pub(super) fn halt(
        &mut self,
        no: u32,
        target: Place,
        why: &str,
        reply: oneshot::Sender<Result<Vec<SkippedRange>, SayRefused>>,
        now: Timestamp,
    ) {
        let Some(reader) = self.readers.get_mut(&no) else { return };
        reader.frozen = true;
        reader.window.set_active(false, now);
        let ranges = reader.window.plan_seek(target, why);
        self.when_stored(no, Waiter::Halted(ranges, reply));
    }

    pub(super) fn retry_now(&mut self, no: u32, place: Place, reply: oneshot::Sender<super::handle::Retried>, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no) else {
            let _ = reply.send(None);
            return;
        };
        match reader.window.retry_now(place, now) {
            Err(why) => {
                let _ = reply.send(Some(Err(why)));
            }
            Ok(()) => {
                let (stored, is_stored) = oneshot::channel();
                self.when_stored(no, Waiter::Stored(stored));
                let _ = reply.send(Some(Ok(is_stored)));
            }
        }
        self.ready.insert(no);
    }

    pub(super) fn cancel(&mut self, no: u32, place: Place, reply: oneshot::Sender<super::handle::Cancelled>, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no) else {
            let _ = reply.send(None);
            return;
        };
        // Neighbours are one stretch in the window, and rows of their own at rest.
        let ranges_max = if reader.skipped.len() < limits::SKIPPED_RANGES_MAX { limits::SKIPPED_RANGES_MAX } else { 0 };
        match reader.window.cancel(place, CANCELLED, ranges_max, now) {
            Err(why) => {
                let _ = reply.send(Some(Err(why)));
            }
            Ok(range) => {
                reader.skipped.push(range);
                self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
                let (stored, is_stored) = oneshot::channel();
                self.when_stored(no, Waiter::Stored(stored));
                let _ = reply.send(Some(Ok(is_stored)));
            }
        }
        self.ready.insert(no);
    }

    /// A subscription that is done has no reader until something is asked of it.
    pub(super) fn load_for(&mut self, command: &Command) {
        if let Command::RetryNow { no, .. } = command
            && !self.readers.contains_key(no)
            && self.service.registry().subscription_no(*no).is_some_and(|it| it.state == State::Done)
        {
            self.load(*no);
        }
    }
}

impl Reader {
    /// Reads as far as those who wait ask for, and no further. A one-shot looks for
    /// its event whether or not somebody asks: it may be that it never comes.
    pub(super) fn ask_for_enough(&mut self) {
        let asked = self.waiting.asks.iter().map(|it| it.limit).fold(0_usize, usize::saturating_add);
        self.window.set_demand(asked.max(usize::from(self.subscription.until.is_some())));
    }
}

fn end_leases(service: &Service, reader: &mut Reader, now: Timestamp) {
    while let Some(place) = reader.window.poll_lease_end(now) {
        reader.window.handle_lease_end(place, attempt_id(service, now), now);
    }
}

fn attempt_id(service: &Service, now: Timestamp) -> AttemptId {
    AttemptId::make(now, service.inner.entropy.bits())
}

#[expect(clippy::cast_possible_truncation, reason = "64 of 128 bits of chance")]
fn lease_id(service: &Service) -> LeaseId {
    service.inner.entropy.bits() as u64
}
