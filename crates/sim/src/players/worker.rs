//! Pulls whatever its tenant has to be pulled, works on it, and says what became
//! of it: all of it, a part, late, after the server's death, or never.

use super::{Life, Player, Stage};
use crate::{
    chance::Chance,
    history::{AckSent, Handed},
};
use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use ringback_model::{EventId, SubscriptionId, TenantId, subscription::State};
use ringback_ports::Clock as _;
use ringback_service::{Ctx, Error, PullQuery, Word};

/// Tokens that are kept for later, at most.
const KEPT_MAX: usize = 4;

/// What was handed out and nothing was said of yet.
#[derive(Clone, Debug)]
struct Held {
    /// Its record in the history.
    record: usize,
    subscription: SubscriptionId,
    ack: String,
    events: Vec<EventId>,
}

/// See the module.
#[derive(Debug)]
pub struct Worker {
    name: String,
    tenant: TenantId,
    chance: Chance,
    kept: Vec<Held>,
}

/// The id in an event's bytes.
fn id_of(body: &Bytes) -> Option<EventId> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value["id"].as_str()?.parse().ok()
}

impl Worker {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("worker {tenant}/{no}");
        Self { chance: Chance::new(seed, &name), name, tenant: tenant.clone(), kept: Vec::new() }
    }

    fn note(life: &Life, why: &Error) {
        if let Error::Internal(why) = why {
            life.trouble(why);
        }
    }

    /// Pulls once; what it got.
    async fn pull(&self, life: &Life, ctx: &Ctx) -> Option<Held> {
        let page = match life.service.subscriptions(ctx, 1_000, None).await {
            Ok(page) => page,
            Err(why) => {
                Self::note(life, &why);
                return None;
            }
        };
        let pulled = |it: &&ringback_model::subscription::Subscription| it.push.is_none() && it.state == State::Active;
        let all: Vec<_> = page.items.iter().map(|it| &*it.subscription).filter(pulled).map(|it| it.id.clone()).collect();
        if all.is_empty() {
            return None;
        }
        let id = self.chance.pick(&all).clone();
        let wait =
            if self.chance.per_mille(500) && life.stage() == Stage::Faulty { self.chance.duration(100, 10_000) } else { Duration::ZERO };
        let lease = Duration::from_secs(self.chance.between(1, 30));
        let query = PullQuery { limit: usize::try_from(self.chance.between(1, 12)).unwrap_or(1), wait, lease };
        let pulled = match life.ask(&self.chance, life.service.pull(ctx, &id, query)).await? {
            Ok(pulled) => pulled,
            Err(why) => {
                Self::note(life, &why);
                return None;
            }
        };
        if pulled.events.is_empty() {
            return None;
        }
        let events: Vec<(EventId, Bytes)> = pulled.events.iter().filter_map(|it| Some((id_of(it)?, it.clone()))).collect();
        life.say(format_args!("{}: {} of {id}, from {}", self.name, events.len(), events.first()?.0));
        let ids: Vec<EventId> = events.iter().map(|it| it.0).collect();
        let handed = Handed {
            worker: self.name.clone(),
            subscription: id.clone(),
            from: life.shared.machine.when(pulled.lease_until - lease),
            shown: pulled.lease_until - lease,
            until: ids.iter().map(|it| (*it, pulled.lease_until)).collect(),
            events,
        };
        let record = life.shared.journal.with(|it| {
            it.handed.push(handed);
            it.handed.len() - 1
        });
        Some(Held { record, subscription: id, ack: pulled.ack, events: ids })
    }

    /// Says what became of some of them. From this moment they may be anybody's.
    async fn say(&self, life: &Life, ctx: &Ctx, held: &Held, events: &[EventId], word: Word) {
        let now = life.shared.machine.now();
        let sent = life.shared.journal.with(|it| {
            for (at, handed) in it.handed.iter_mut().enumerate() {
                // An ack settles an event whoever holds it by now; the rest counts for one's own lease.
                if at == held.record || word == Word::Ack && handed.subscription == held.subscription {
                    for (_, until) in handed.until.iter_mut().filter(|(id, _)| events.contains(id)) {
                        *until = now.min(*until);
                    }
                }
            }
            (word == Word::Ack).then(|| {
                it.acks.push(AckSent {
                    subscription: held.subscription.clone(),
                    events: events.to_vec(),
                    late: Vec::new(),
                    answered: None,
                });
                it.acks.len() - 1
            })
        });
        let named = (events.len() < held.events.len() || self.chance.per_mille(200)).then_some(events);
        let told = life.ask(&self.chance, life.service.settle_pulled(ctx, &held.subscription, &held.ack, named, word)).await;
        life.say(format_args!("{}: {word:?} of {}: {told:?}", self.name, events.len()));
        match told {
            Some(Ok(settled)) => {
                let answered = life.shared.clock.now();
                life.shared.journal.with(|it| {
                    if let Some(sent) = sent {
                        it.acks[sent].answered = Some(answered);
                        it.acks[sent].late.clone_from(&settled.late);
                        // Whoever was handed one between the asking and the answer holds it no longer; since when, nobody can say.
                        let done = |id: &EventId| events.contains(id) && !settled.late.contains(id);
                        for handed in it.handed.iter_mut().filter(|it| it.subscription == held.subscription) {
                            handed.until.iter_mut().filter(|(id, _)| done(id)).for_each(|(_, until)| *until = now.min(*until));
                        }
                    }
                    for (id, until) in &mut it.handed[held.record].until {
                        if let Some(at) = settled.lease_until.filter(|_| events.contains(id) && !settled.late.contains(id)) {
                            *until = at;
                        }
                    }
                });
            }
            Some(Err(why)) => Self::note(life, &why),
            None => {}
        }
    }

    async fn work(&mut self, life: &Life, ctx: &Ctx, held: Held) {
        let faulty = life.stage() == Stage::Faulty;
        if faulty {
            // Now and then longer than it may hold them.
            let most = if self.chance.per_mille(100) { 40_000 } else { 800 };
            life.sleep(self.chance.duration(0, most)).await;
        }
        let some: Vec<EventId> = held.events.iter().filter(|_| self.chance.per_mille(500)).copied().collect();
        match self.chance.below(if faulty { 100 } else { 60 }) {
            0..=54 => self.say(life, ctx, &held, &held.events, Word::Ack).await,
            55..=69 if !some.is_empty() => {
                self.say(life, ctx, &held, &some, Word::Ack).await;
                let rest: Vec<EventId> = held.events.iter().filter(|it| !some.contains(it)).copied().collect();
                if !rest.is_empty() && self.chance.per_mille(500) {
                    self.say(life, ctx, &held, &rest, Word::Nack { delay: Duration::ZERO }).await;
                }
            }
            70..=81 => {
                let delay = self.chance.duration(0, 5_000);
                self.say(life, ctx, &held, &held.events, Word::Nack { delay }).await;
            }
            82..=89 => {
                let lease = Duration::from_secs(self.chance.between(1, 20));
                self.say(life, ctx, &held, &held.events, Word::Extend { lease }).await;
                life.sleep(self.chance.duration(0, 8_000)).await;
                self.say(life, ctx, &held, &held.events, Word::Ack).await;
            }
            90..=95 if self.kept.len() < KEPT_MAX => self.kept.push(held),
            // It says nothing, ever.
            _ => {}
        }
    }
}

#[async_trait]
impl Player for Worker {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        let ctx = life.tenant(&self.tenant);
        let mut idle = 0;
        while life.stage() != Stage::Closing {
            if !self.kept.is_empty() && self.chance.per_mille(150) {
                let late = self.kept.swap_remove(usize::try_from(self.chance.below(self.kept.len() as u64)).unwrap_or(0));
                self.say(life, &ctx, &late, &late.events, Word::Ack).await;
            }
            match self.pull(life, &ctx).await {
                Some(held) => {
                    idle = 0;
                    self.work(life, &ctx, held).await;
                }
                None if life.stage() == Stage::Faulty => life.pause(&self.chance).await,
                // Nothing to be missed by being slow, and slower.
                None => {
                    idle += 1;
                    life.sleep(Duration::from_secs(self.chance.between(5, 60) * idle.min(20))).await;
                }
            }
        }
    }
}
