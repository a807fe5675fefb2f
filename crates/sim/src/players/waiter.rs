//! Waits for the status of a resource.

use super::{Life, Player, Stage, writer::order};
use crate::{chance::Chance, history::Waited};
use async_trait::async_trait;
use ringback_model::{StatusName, TenantId, subscription::Until};
use ringback_ports::Clock;
use ringback_service::{Error, StatusQuery};

/// See the module.
#[derive(Debug)]
pub struct Waiter {
    name: String,
    tenant: TenantId,
    chance: Chance,
}

impl Waiter {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("waiter {tenant}/{no}");
        Self { chance: Chance::new(seed, &name), name, tenant: tenant.clone() }
    }
}

#[async_trait]
impl Player for Waiter {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        let ctx = life.tenant(&self.tenant);
        while life.stage() == Stage::Faulty {
            life.sleep(self.chance.duration(50, 2_000)).await;
            let Some(ty) = life.service.types().by_name("order") else { continue };
            let id = order(self.chance.below(life.shared.swarm.orders));
            let status = |it: &str| StatusName::parse(it).expect("a status");
            let until = match self.chance.below(3) {
                0 => vec![status("paid")],
                1 => vec![status("shipped"), status("expired")],
                _ => vec![status("returned")],
            };
            let query =
                StatusQuery { if_none_match: None, until: Some(Until::Statuses(until.clone())), wait: self.chance.duration(0, 30_000) };
            let began = life.shared.clock.now();
            match life.ask(&self.chance, life.service.status(&ctx, &ty, &id, query)).await {
                Some(Ok(Some(view))) => {
                    let ended = life.shared.clock.now();
                    life.say(format_args!("{}: {id} is {}", self.name, view.status));
                    let waited = Waited { tenant: self.tenant.clone(), id, until, began, ended, answer: (view.status, view.version) };
                    life.shared.journal.with(|it| it.waits.push(waited));
                }
                Some(Err(Error::Internal(why))) => life.trouble(&why),
                _ => {}
            }
        }
    }
}
