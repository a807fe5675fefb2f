//! Looks through deliveries and asks for some of those that failed to be tried now.

use super::{Life, Player, Stage, Told};
use crate::{chance::Chance, history::Manual};
use async_trait::async_trait;
use ringback_model::{TenantId, delivery::DeliveryState};
use ringback_ports::Clock;
use ringback_service::{DeliveryQuery, Error};

/// See the module.
#[derive(Debug)]
pub struct Retrier {
    name: String,
    tenant: TenantId,
    chance: Chance,
}

impl Retrier {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("retrier {tenant}/{no}");
        Self { chance: Chance::new(seed, &name), name, tenant: tenant.clone() }
    }
}

#[async_trait]
impl Player for Retrier {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        let ctx = life.operator(&self.tenant);
        while life.stage() == Stage::Faulty {
            life.sleep(self.chance.duration(200, 15_000)).await;
            let state = *self.chance.pick(&[None, Some(DeliveryState::Parked), Some(DeliveryState::Retrying)]);
            let query = DeliveryQuery { state, limit: 50, ..DeliveryQuery::default() };
            let page = match life.ask(&self.chance, life.service.deliveries(&ctx, query)).await {
                Some(Ok(page)) => page,
                Some(Err(Error::Internal(why))) => {
                    life.trouble(&why);
                    continue;
                }
                _ => continue,
            };
            if page.items.is_empty() {
                continue;
            }
            let wanted = self.chance.pick(&page.items);
            let at = life.shared.clock.now();
            // Written down before it is asked: it counts from here on.
            let manual = Manual { subscription: wanted.subscription.clone(), event: wanted.event, at };
            life.shared.journal.with(|it| it.manual.push(manual));
            let told = life.write(&self.chance, &ctx, None, |_| Vec::new(), |write| life.service.retry_delivery(&ctx, wanted.id, write));
            let told = matches!(told.await, Told::First(_));
            life.say(format_args!("{}: retry of {} for {}: {told}", self.name, wanted.event, wanted.subscription));
        }
    }
}
