//! Players: clients of the service that know nothing of its inside. Each keeps
//! what it has to remember over crashes of the server, and writes down what it
//! was answered. They judge nothing.

mod operator;
mod publisher;
mod reader;
mod retrier;
mod subscriber;
mod waiter;
mod watcher;
mod worker;
mod writer;

pub use operator::Operator;
pub use publisher::Publisher;
pub use reader::FeedReader;
pub use retrier::Retrier;
pub use subscriber::Subscriber;
pub use waiter::Waiter;
pub use watcher::Watcher;
pub use worker::Worker;
pub use writer::Writer;

use crate::{
    chance::Chance,
    history::{Journal, Trouble},
    machine::Machine,
    swarm::Swarm,
};
use async_trait::async_trait;
use core::{future::Future, time::Duration};
use ringback_model::{TenantId, event::Scope, key};
use ringback_ports::{Clock, clock::until, fake::ManualClock};
use ringback_service::{Begin, Caller, Ctx, Error, Outcome, Service, Write};
use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Faults happen.
    Faulty,
    /// They are over: finish what you began, undo what blocks.
    Mending,
    /// Nothing more happens: readers read to the end.
    Closing,
}

/// What all lives of the service share.
#[derive(Debug)]
pub struct Shared {
    /// What it decided.
    pub swarm: Swarm,
    /// Time.
    pub clock: Arc<ManualClock>,
    /// What the service takes for it.
    pub machine: Arc<Machine>,
    /// What is seen.
    pub journal: Arc<Journal>,
    /// See `Stage`.
    pub stage: AtomicU8,
    /// The next marker.
    pub marker: AtomicU64,
}

impl Shared {
    /// How far the run is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Faulty,
            1 => Stage::Mending,
            _ => Stage::Closing,
        }
    }
}

/// One life of the service, as a player has it.
#[derive(Clone, Debug)]
pub struct Life {
    /// What stays.
    pub shared: Arc<Shared>,
    /// What will be gone.
    pub service: Service,
}

/// A client.
#[async_trait]
pub trait Player: Send {
    /// For the trace.
    fn name(&self) -> String;

    /// Plays until the run needs it no more. Dropped at any await when the server crashes; called again in its next life.
    async fn play(&mut self, life: &Life);
}

/// A request's name under an Idempotency-Key.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    scope: [u8; 32],
    fingerprint: [u8; 32],
}

impl Keyed {
    /// Of the request number `no` of `who`.
    #[must_use]
    pub fn new(who: &str, no: u64) -> Self {
        Self {
            scope: ringback_service::idempotency_key::scope(who, "POST", "/", &no.to_string()),
            fingerprint: ringback_service::idempotency_key::fingerprint(&no.to_be_bytes(), None, None, None),
        }
    }
}

/// What a request was answered.
#[derive(Debug)]
pub enum Told<T> {
    /// It was done.
    First(T),
    /// It had been done; so it was answered.
    Again(Vec<u8>),
    /// Nothing was done, and never will be.
    Refused,
    /// Nothing was done; it may be asked again.
    Later,
    /// Nobody knows.
    Unknown,
}

impl Life {
    /// The present stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.shared.stage()
    }

    /// Adds to the trace.
    pub fn say(&self, what: impl core::fmt::Display) {
        self.shared.journal.say(what);
    }

    /// Waits between two requests.
    pub async fn pause(&self, chance: &Chance) {
        let mean = self.shared.swarm.pace_ms;
        let by = chance.duration(0, 2 * mean);
        self.shared.clock.sleep(by).await;
    }

    /// Waits for a while.
    pub async fn sleep(&self, by: Duration) {
        self.shared.clock.sleep(by).await;
    }

    /// As the tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> Ctx {
        let caller = Caller { role: key::Role::Tenant, scopes: key::Scopes::of_role(key::Role::Tenant), ..Caller::socket_operator() };
        Ctx { caller, scope: Scope::Tenant(tenant.clone()) }
    }

    /// As the operator, for a tenant.
    #[must_use]
    pub fn operator(&self, tenant: &TenantId) -> Ctx {
        Ctx { caller: Caller::socket_operator(), scope: Scope::Tenant(tenant.clone()) }
    }

    /// As the operator, for all tenants.
    #[must_use]
    pub fn star(&self) -> Ctx {
        Ctx { caller: Caller::socket_operator(), scope: Scope::All }
    }

    /// Asks; now and then the asker goes away before the answer.
    pub async fn ask<T>(&self, chance: &Chance, what: impl Future<Output = T> + Send) -> Option<T> {
        if self.stage() == Stage::Faulty && chance.per_mille(self.shared.swarm.cancels) {
            let at = self.shared.clock.now() + chance.duration(0, 30);
            until(&*self.shared.clock, at, what).await
        } else {
            Some(what.await)
        }
    }

    /// Sends a write, under an Idempotency-Key or not.
    pub async fn write<T, F>(
        &self,
        chance: &Chance,
        ctx: &Ctx,
        keyed: Option<Keyed>,
        render: fn(&T) -> Vec<u8>,
        op: impl FnOnce(Write<T>) -> F + Send,
    ) -> Told<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<Outcome<T>, Error>> + Send,
    {
        let sent = async {
            let write = match keyed {
                None => Write::plain(),
                Some(it) => match self.service.begin(ctx, it.scope, it.fingerprint).await? {
                    Begin::Replay(bytes) => return Ok(Outcome::Replayed(bytes)),
                    Begin::Go(permit) => Write::recorded(permit, render),
                },
            };
            op(write).await
        };
        let told = match self.ask(chance, sent).await {
            None => Told::Unknown,
            Some(Ok(Outcome::Fresh(it))) => Told::First(it),
            Some(Ok(Outcome::Replayed(bytes))) => Told::Again(bytes),
            Some(Ok(Outcome::Dry(_))) => unreachable!("no player tries a write first"),
            Some(Err(why)) => self.refused(&why),
        };
        if !matches!(told, Told::Unknown) {
            self.shared.journal.with(|it| it.answered += 1);
        }
        told
    }

    /// What a refusal means.
    pub fn refused<T>(&self, why: &Error) -> Told<T> {
        match why {
            Error::OutcomeUnknown => Told::Unknown,
            Error::Overloaded | Error::StorageFull | Error::Draining | Error::IdempotencyInProgress | Error::TooManyWaiters { .. } => {
                Told::Later
            }
            Error::Internal(why) => {
                self.trouble(why);
                Told::Unknown
            }
            _ => Told::Refused,
        }
    }

    /// Writes down an internal error.
    pub fn trouble(&self, why: &str) {
        let at = self.shared.clock.now();
        self.say(format_args!("internal error: {why}"));
        self.shared.journal.with(|it| it.troubles.push(Trouble { at, why: why.to_owned() }));
    }
}
