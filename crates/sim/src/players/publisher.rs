//! Publishes events: alone and in arrays, with and without `key`, with and
//! without an Idempotency-Key; repeats what it got no answer to, where it may.

use super::{Keyed, Life, Player, Stage, Told};
use crate::{
    chance::Chance,
    history::{Publish, Replay},
};
use async_trait::async_trait;
use bytes::Bytes;
use core::{sync::atomic::Ordering, time::Duration};
use ringback_model::{EventId, EventType, Subject, TenantId, key::Authority};
use ringback_service::{NewEvent, Published};

/// A request that has no answer yet.
#[derive(Debug)]
struct Outstanding {
    record: usize,
    events: Vec<NewEvent>,
    keyed: Option<Keyed>,
    /// Whether sending it again does no harm.
    repeatable: bool,
    operator: bool,
    tries: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Publisher {
    name: String,
    tenant: TenantId,
    chance: Chance,
    /// When events expire: by chance of its own, so that the rest is what it was.
    deadlines: Chance,
    no: u64,
    outstanding: Option<Outstanding>,
    /// Answered requests that may be repeated for the sake of it.
    answered: Vec<(Keyed, Vec<NewEvent>, Vec<u8>)>,
}

fn render(it: &Published) -> Vec<u8> {
    let mut out = it.position.clone().into_bytes();
    for event in &it.events {
        out.push(u8::from(event.repeated));
        out.extend_from_slice(&event.event.bytes);
    }
    out
}

impl Publisher {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("publisher {tenant}/{no}");
        let deadlines = Chance::new(seed, &format!("{name}, deadlines"));
        Self { deadlines, chance: Chance::new(seed, &name), name, tenant: tenant.clone(), no: 0, outstanding: None, answered: Vec::new() }
    }

    fn new_request(&mut self, life: &Life) -> Outstanding {
        let chance = &self.chance;
        self.no += 1;
        let count = if chance.per_mille(300) { chance.between(2, 6) } else { 1 };
        let with_key = chance.per_mille(300);
        let keyed = chance.per_mille(500).then(|| Keyed::new(&self.name, self.no));
        let operator = chance.per_mille(60);
        let mut markers = Vec::new();
        let mut events = Vec::new();
        for _ in 0..count {
            let marker = life.shared.marker.fetch_add(1, Ordering::SeqCst);
            markers.push(marker);
            let event_type = *chance.pick(&["a.made", "a.b.changed", "b.gone", "c"]);
            let subject = chance.per_mille(700).then(|| format!("/thing/{}", chance.below(4)));
            let data = format!("{{\"m\":{marker},\"canary\":\"canary-{}-\",\"n\":1.50}}", self.tenant);
            events.push(NewEvent {
                event_type: EventType::parse(event_type).expect("an event type"),
                subject: subject.map(|it| Subject::parse(&it).expect("a subject")),
                data: Bytes::from(data),
                key: with_key.then(|| format!("k{marker}")),
                occurred_at: None,
                expires_at: self.deadlines.per_mille(150).then(|| life.service.clock().now() + self.deadlines.duration(500, 120_000)),
                audience: if operator { Authority::Operator } else { Authority::Tenant },
            });
        }
        let record = life.shared.journal.with(|it| {
            it.publishes.push(Publish { tenant: self.tenant.clone(), markers, maybe: false, acked: None });
            it.publishes.len() - 1
        });
        Outstanding { record, events, repeatable: with_key || keyed.is_some(), keyed, operator, tries: 0 }
    }

    async fn send(&mut self, life: &Life) {
        let Some(it) = &mut self.outstanding else { return };
        if it.tries > 0 && !it.repeatable {
            self.outstanding = None;
            return;
        }
        it.tries += 1;
        let (record, tries) = (it.record, it.tries);
        // Should the server crash meanwhile, nobody knows.
        let before = life.shared.journal.with(|all| std::mem::replace(&mut all.publishes[record].maybe, true));
        let ctx = if it.operator { life.operator(&self.tenant) } else { life.tenant(&self.tenant) };
        let events = it.events.clone();
        let told = life.write(&self.chance, &ctx, it.keyed, render, |write| life.service.publish(&ctx, events, write)).await;
        let done = |acked: Option<Vec<(EventId, Bytes)>>, maybe: bool| {
            life.shared.journal.with(|all| {
                let it = &mut all.publishes[record];
                it.maybe = maybe;
                it.acked = acked.or_else(|| it.acked.take());
            });
        };
        match told {
            Told::First(published) => {
                life.say(format_args!("{}: published {record}, try {tries}", self.name));
                done(Some(published.events.iter().map(|it| (it.event.id, it.event.bytes.clone())).collect()), before);
                if let (Some(keyed), Some(it)) = (it.keyed, self.outstanding.take()) {
                    self.answered.push((keyed, it.events, render(&published)));
                }
            }
            Told::Again(bytes) => {
                life.say(format_args!("{}: {record} had been published, try {tries}", self.name));
                done(Some(parse(&bytes)), true);
                if let (Some(keyed), Some(it)) = (it.keyed, self.outstanding.take()) {
                    self.answered.push((keyed, it.events, bytes));
                }
            }
            Told::Refused => {
                done(None, before);
                self.outstanding = None;
            }
            Told::Later => {
                done(None, before);
                if tries > 12 && life.stage() == Stage::Faulty {
                    self.outstanding = None;
                } else {
                    life.sleep(self.chance.duration(10, 900)).await;
                }
            }
            Told::Unknown => {
                done(None, true);
                life.sleep(self.chance.duration(0, 900)).await;
            }
        }
    }

    /// Repeats an answered request: the answer must be the same.
    async fn again(&mut self, life: &Life) {
        if self.answered.is_empty() {
            return;
        }
        let at = usize::try_from(self.chance.below(self.answered.len() as u64)).unwrap_or(0);
        let (keyed, events, first) = self.answered[at].clone();
        let ctx = life.tenant(&self.tenant);
        let operator = events.iter().any(|it| it.audience == Authority::Operator);
        let ctx = if operator { life.operator(&self.tenant) } else { ctx };
        let told = life.write(&self.chance, &ctx, Some(keyed), render, |write| life.service.publish(&ctx, events, write)).await;
        let again = match told {
            Told::First(_) => None,
            Told::Again(bytes) => Some(bytes),
            _ => return,
        };
        life.shared.journal.with(|it| it.replays.push(Replay { what: self.name.clone(), first, again }));
    }
}

/// The events in a rendered answer.
fn parse(bytes: &[u8]) -> Vec<(EventId, Bytes)> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::new();
    for part in text.split(['\u{0}', '\u{1}']).skip(1) {
        let id = part.get(7..).and_then(|it| it.split('"').next()).and_then(|it| it.parse().ok());
        out.extend(id.map(|it| (it, Bytes::from(part.to_owned()))));
    }
    out
}

#[async_trait]
impl Player for Publisher {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        loop {
            if self.outstanding.is_some() {
                self.send(life).await;
                continue;
            }
            if life.stage() != Stage::Faulty {
                return;
            }
            life.pause(&self.chance).await;
            if self.chance.per_mille(50) {
                self.again(life).await;
            } else if self.chance.per_mille(15) {
                // A quiet while, then a burst: readers fall behind and catch up.
                life.sleep(Duration::from_secs(self.chance.between(1, 10))).await;
                for _ in 0..self.chance.between(5, 30) {
                    self.outstanding = Some(self.new_request(life));
                    self.send(life).await;
                    self.outstanding = None;
                }
            } else {
                self.outstanding = Some(self.new_request(life));
            }
        }
    }
}
