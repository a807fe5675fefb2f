//! Somebody who looks after deliveries: starts replays and ends some of them,
//! cancels deliveries, tests endpoints.

use super::{Life, Player, Stage, Told};
use crate::{chance::Chance, history::Replayed};
use async_trait::async_trait;
use ringback_model::{ReplayId, TenantId, delivery::DeliveryState};
use ringback_ports::Clock;
use ringback_service::{DeliveryQuery, Error, NewReplay, Only, SubscriptionView};

/// See the module.
#[derive(Debug)]
pub struct Operator {
    name: String,
    tenant: TenantId,
    chance: Chance,
    /// Replays that he has begun.
    begun: Vec<ReplayId>,
}

impl Operator {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("operator {tenant}/{no}");
        Self { chance: Chance::new(seed, &name), name, tenant: tenant.clone(), begun: Vec::new() }
    }

    async fn replay(&mut self, life: &Life, of: &SubscriptionView) {
        let subscription = of.subscription.id.clone();
        let new = NewReplay {
            subscription: subscription.clone(),
            since: self.chance.per_mille(300).then(|| "start".to_owned()),
            until: None,
            types: Vec::new(),
            filter: None,
            only: *self.chance.pick(&Only::ALL),
            rate_max_per_s: self.chance.per_mille(400).then(|| *self.chance.pick(&[2, 20, 200])),
        };
        let at = life.shared.clock.now();
        // Written down before it is asked: it may be done although nobody heard.
        life.shared.journal.with(|it| it.replayed.push(Replayed { subscription: subscription.clone(), at }));
        let only = new.only.as_str();
        let ctx = life.operator(&self.tenant);
        let told = life.write(&self.chance, &ctx, None, |_| Vec::new(), |write| life.service.create_replay(&ctx, new, write)).await;
        let known = matches!(told, Told::First(_));
        life.say(format_args!("{}: replay of what is {only} for {subscription}: {known}", self.name));
        if let Told::First(made) = told {
            self.begun.push(made.replay.id);
        }
    }

    async fn end_one(&mut self, life: &Life) {
        if self.begun.is_empty() {
            return;
        }
        let id = *self.chance.pick(&self.begun);
        let ctx = life.operator(&self.tenant);
        let told = life.write(&self.chance, &ctx, None, |_| Vec::new(), |write| life.service.cancel_replay(&ctx, id, write)).await;
        let state = match told {
            Told::First(it) => it.replay.progress.state.as_str(),
            _ => "not known",
        };
        life.say(format_args!("{}: {id} is to end: {state}", self.name));
    }

    async fn cancel(&mut self, life: &Life, of: &SubscriptionView) {
        let state = *self.chance.pick(&[DeliveryState::Parked, DeliveryState::Retrying, DeliveryState::Pending]);
        let query =
            DeliveryQuery { subscription: Some(of.subscription.id.clone()), state: Some(state), limit: 20, ..DeliveryQuery::default() };
        let ctx = life.operator(&self.tenant);
        let page = match life.ask(&self.chance, life.service.deliveries(&ctx, query)).await {
            Some(Ok(page)) => page,
            Some(Err(Error::Internal(why))) => return life.trouble(&why),
            _ => return,
        };
        if page.items.is_empty() {
            return;
        }
        let wanted = self.chance.pick(&page.items);
        let told = life.write(&self.chance, &ctx, None, |_| Vec::new(), |write| life.service.cancel_delivery(&ctx, wanted.id, write)).await;
        let known = matches!(told, Told::First(_));
        life.say(format_args!("{}: {} for {} is cancelled: {known}", self.name, wanted.event, wanted.subscription));
    }
}

#[async_trait]
impl Player for Operator {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        let ctx = life.operator(&self.tenant);
        while life.stage() == Stage::Faulty {
            life.sleep(self.chance.duration(500, 20_000)).await;
            let all = match life.ask(&self.chance, life.service.subscriptions(&ctx, 50, None)).await {
                Some(Ok(page)) => page.items,
                Some(Err(Error::Internal(why))) => {
                    life.trouble(&why);
                    continue;
                }
                _ => continue,
            };
            if all.is_empty() {
                continue;
            }
            let of = self.chance.pick(&all).clone();
            match self.chance.between(0, 9) {
                0..=4 => self.replay(life, &of).await,
                5 | 6 => self.end_one(life).await,
                _ => self.cancel(life, &of).await,
            }
        }
    }
}
