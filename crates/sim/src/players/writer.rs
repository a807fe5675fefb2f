//! Makes and changes resources: creations, transitions, patches, deletions.

use super::{Keyed, Life, Player, Stage, Told};
use crate::{
    chance::Chance,
    history::{Replay, Written},
};
use async_trait::async_trait;
use ringback_model::{ResourceId, TenantId};
use ringback_service::{IfMatch, Written as Answer};
use serde_json::json;

#[derive(Clone, Debug)]
enum Op {
    Create { amount: u64 },
    Step(&'static str),
    Patch { note: u64 },
    Delete,
}

#[derive(Clone, Debug)]
struct Outstanding {
    id: ResourceId,
    op: Op,
    keyed: Option<Keyed>,
    if_match: IfMatch,
    tries: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    name: String,
    tenant: TenantId,
    chance: Chance,
    no: u64,
    outstanding: Option<Outstanding>,
    answered: Vec<(Outstanding, Vec<u8>)>,
}

fn render(it: &Answer) -> Vec<u8> {
    let event = it.event.map_or_else(String::new, |it| it.to_string());
    format!("{event} {} {} {}", it.version, it.position, String::from_utf8_lossy(&it.body)).into_bytes()
}

impl Writer {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("writer {tenant}/{no}");
        Self { chance: Chance::new(seed, &name), name, tenant: tenant.clone(), no: 0, outstanding: None, answered: Vec::new() }
    }

    fn new_request(&mut self, life: &Life) -> Outstanding {
        let chance = &self.chance;
        self.no += 1;
        let op = match chance.below(100) {
            0..=29 => Op::Create { amount: chance.below(1_000) },
            30..=49 => Op::Step("pay"),
            50..=69 => Op::Step("ship"),
            70..=79 => Op::Step("return"),
            80..=96 => Op::Patch { note: chance.below(3) },
            _ => Op::Delete,
        };
        let if_match = if chance.per_mille(100) { IfMatch::Versions(vec![chance.between(1, 4)]) } else { IfMatch::None };
        Outstanding {
            id: order(chance.below(life.shared.swarm.orders)),
            op,
            keyed: chance.per_mille(600).then(|| Keyed::new(&self.name, self.no)),
            if_match,
            tries: 0,
        }
    }

    async fn perform(&self, life: &Life, it: &Outstanding) -> Told<Answer> {
        let ctx = life.operator(&self.tenant);
        let Some(ty) = life.service.types().by_name("order") else { return Told::Refused };
        let (service, chance) = (&life.service, &self.chance);
        let (id, if_match) = (&it.id, it.if_match.clone());
        match it.op.clone() {
            Op::Create { amount } => {
                let canary = format!("canary-{}-", self.tenant);
                let body = json!({ "id": id.as_str(), "amount": amount, "canary": canary });
                let body = body.as_object().cloned().unwrap_or_default();
                life.write(chance, &ctx, it.keyed, render, |write| service.create_resource(&ctx, &ty, body, write)).await
            }
            Op::Step(name) => {
                life.write(chance, &ctx, it.keyed, render, |write| service.transition(&ctx, &ty, id, name, None, if_match, write)).await
            }
            Op::Patch { note } => {
                let patch = json!({ "note": format!("note {note}") });
                life.write(chance, &ctx, it.keyed, render, |write| service.patch_resource(&ctx, &ty, id, patch, if_match, write)).await
            }
            Op::Delete => life.write(chance, &ctx, it.keyed, render, |write| service.delete_resource(&ctx, &ty, id, if_match, write)).await,
        }
    }

    async fn send(&mut self, life: &Life) {
        let Some(it) = &mut self.outstanding else { return };
        if it.tries > 0 && it.keyed.is_none() {
            self.outstanding = None;
            return;
        }
        it.tries += 1;
        let it = it.clone();
        match self.perform(life, &it).await {
            Told::First(written) => {
                life.say(format_args!("{}: {:?} of {} made version {}", self.name, it.op, it.id, written.version));
                if let Some(event) = written.event {
                    let (tenant, id) = (self.tenant.clone(), written.id.clone());
                    let record = Written { tenant, id, version: written.version, event, body: written.body.clone() };
                    life.shared.journal.with(|it| it.writes.push(record));
                }
                if it.keyed.is_some() {
                    self.answered.push((it, render(&written)));
                }
                self.outstanding = None;
            }
            Told::Again(bytes) => {
                life.say(format_args!("{}: {:?} of {} had been done", self.name, it.op, it.id));
                self.answered.push((it, bytes));
                self.outstanding = None;
            }
            Told::Refused => {
                life.say(format_args!("{}: {:?} of {} refused", self.name, it.op, it.id));
                self.outstanding = None;
            }
            Told::Later | Told::Unknown => {
                if it.tries > 12 && life.stage() == Stage::Faulty {
                    self.outstanding = None;
                }
                life.sleep(self.chance.duration(10, 900)).await;
            }
        }
    }

    async fn again(&mut self, life: &Life) {
        if self.answered.is_empty() {
            return;
        }
        let (request, first) = self.chance.pick(&self.answered).clone();
        let again = match self.perform(life, &request).await {
            Told::First(_) => None,
            Told::Again(bytes) => Some(bytes),
            // The key must answer before the state of the resource is looked at.
            Told::Refused => Some(b"refused".to_vec()),
            Told::Later | Told::Unknown => return,
        };
        life.shared.journal.with(|it| it.replays.push(Replay { what: self.name.clone(), first, again }));
    }
}

/// The order of this number.
pub(super) fn order(no: u64) -> ResourceId {
    ResourceId::parse(&format!("o{no}")).expect("an id")
}

#[async_trait]
impl Player for Writer {
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
            if self.chance.per_mille(60) {
                self.again(life).await;
            } else {
                self.outstanding = Some(self.new_request(life));
            }
        }
    }
}
