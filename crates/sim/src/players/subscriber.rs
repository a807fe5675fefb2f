//! Keeps a few push subscriptions: makes, edits, pauses, resumes and deletes them.

use super::{Keyed, Life, Player, Stage, Told};
use crate::{chance::Chance, history::Subscribed};
use async_trait::async_trait;
use ringback_model::{
    StatusName, Subject, SubscriptionId, TenantId,
    event::PayloadForm,
    subscription::{Order, State, TypePattern, Until},
};
use ringback_ports::Clock as _;
use ringback_service::{Ctx, IfMatch, NewPush, NewSubscription, ResumeFrom, SubscriptionPatch, SubscriptionWritten};
use ringback_signature::Secret;

#[derive(Debug)]
struct Own {
    record: usize,
    id: SubscriptionId,
    urls: u64,
    /// It was made to be pulled, and never is pushed.
    pull_only: bool,
    /// It is pulled, or may be.
    pulled: bool,
}

#[derive(Debug)]
struct Creation {
    record: usize,
    new: NewSubscription,
    keyed: Option<Keyed>,
    tries: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Subscriber {
    name: String,
    tenant: TenantId,
    all: bool,
    chance: Chance,
    no: u64,
    own: Vec<Own>,
    outstanding: Option<Creation>,
}

fn render(it: &SubscriptionWritten) -> Vec<u8> {
    format!("{} {}", it.view.subscription.id, it.secret.as_deref().unwrap_or_default()).into_bytes()
}

/// The forms that are asked for. A worker knows what it was handed by the id in the body, so where there are
/// any, each form says it.
fn forms(life: &Life) -> &'static [PayloadForm] {
    if life.shared.swarm.workers > 0 { &[PayloadForm::Full, PayloadForm::Thin] } else { PayloadForm::ALL }
}

impl Subscriber {
    /// Number `no` of `tenant`; with `all`, an operator who reads everybody's events.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, all: bool, no: u64) -> Self {
        let name = if all { format!("subscriber */{no}") } else { format!("subscriber {tenant}/{no}") };
        let chance = Chance::new(seed, &name);
        Self { chance, name, tenant: tenant.clone(), all, no: 0, own: Vec::new(), outstanding: None }
    }

    fn ctx(&self, life: &Life) -> Ctx {
        if self.all { life.star() } else { life.tenant(&self.tenant) }
    }

    fn url(&self, record: usize, urls: u64) -> String {
        let host = if self.all { "star" } else { self.tenant.as_str() };
        format!("https://{host}.example/{record}/{urls}")
    }

    fn types(&self) -> Vec<TypePattern> {
        let all = *self.chance.pick(&[&[][..], &["a.*"], &["order.*"], &["a.made", "c"], &["b.*", "order.shipped"]]);
        all.iter().map(|it| TypePattern::parse(it).expect("a pattern")).collect()
    }

    fn new_creation(&mut self, life: &Life) -> Creation {
        self.no += 1;
        let chance = &self.chance;
        let keyed = chance.per_mille(600).then(|| Keyed::new(&self.name, self.no));
        // Without a key to repeat the request with, a secret that was made for us might never be told.
        let secret = (keyed.is_none() || chance.per_mille(500)).then(|| Secret::generate(chance.bytes()).format());
        let one_shot = !self.all && chance.per_mille(200);
        let status = |it: &str| StatusName::parse(it).expect("a status");
        let until = one_shot.then(|| {
            chance
                .pick(&[Until::Done, Until::Statuses(vec![status("shipped")]), Until::Statuses(vec![status("paid"), status("returned")])])
                .clone()
        });
        let subject = if one_shot {
            Some(format!("/order/o{}", chance.below(life.shared.swarm.orders)))
        } else {
            chance.per_mille(100).then(|| "/thing/1".to_owned())
        };
        let concurrency_max = u32::try_from(chance.between(1, 4)).unwrap_or(1);
        let pull_only = !self.all && !one_shot && life.shared.swarm.workers > 0 && chance.per_mille(300);
        let record = life.shared.journal.with(|it| {
            it.subscribed.push(Subscribed {
                tenant: self.tenant.clone(),
                all: self.all,
                secret: secret.clone(),
                id: None,
                concurrency_max: concurrency_max as usize,
                edited_at: None,
                deleted: false,
                pulled: pull_only,
            });
            it.subscribed.len() - 1
        });
        let delays = (0..chance.between(1, 4)).map(|_| *chance.pick(&[1, 2, 5, 20, 70])).collect();
        let new = NewSubscription {
            description: String::new(),
            metadata: Default::default(),
            types: if one_shot { Vec::new() } else { self.types() },
            strict: false,
            subject: subject.map(|it| Subject::parse(&it).expect("a subject")),
            until,
            filter: None,
            from: chance.pick(&["now", "now", "start"]).to_string(),
            payload: *chance.pick(forms(life)),
            order: *chance.pick(&[Order::None, Order::Subject]),
            push: (!pull_only).then(|| NewPush {
                url: self.url(record, 0),
                secret,
                access: Default::default(),
                signing: Default::default(),
                headers: vec![("x-canary".into(), format!("canary-{}-", if self.all { "star" } else { self.tenant.as_str() }))],
                timeout_ms: *chance.pick(&[1_000, 3_000, 20_000]),
                concurrency_max,
                rate_max_per_s: None,
                delays,
            }),
            all_tenants: self.all,
            state: None,
        };
        Creation { record, new, keyed, tries: 0 }
    }

    async fn create(&mut self, life: &Life) {
        let ctx = self.ctx(life);
        let Some(it) = &mut self.outstanding else { return };
        if it.tries > 0 && it.keyed.is_none() {
            self.outstanding = None;
            return;
        }
        it.tries += 1;
        let (record, new, keyed) = (it.record, it.new.clone(), it.keyed);
        let pull_only = new.push.is_none();
        let told = life.write(&self.chance, &ctx, keyed, render, |write| life.service.create_subscription(&ctx, new, write)).await;
        let (id, secret) = match told {
            Told::First(it) => (it.view.subscription.id.to_string(), it.secret),
            Told::Again(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let (id, secret) = text.split_once(' ').unwrap_or((text.as_str(), ""));
                (id.to_owned(), Some(secret.to_owned()))
            }
            Told::Refused => {
                self.outstanding = None;
                return;
            }
            Told::Later | Told::Unknown => {
                life.sleep(self.chance.duration(10, 900)).await;
                return;
            }
        };
        life.say(format_args!("{}: {id} is number {record}", self.name));
        let id = SubscriptionId::parse(&id).expect("an id");
        life.shared.journal.with(|it| {
            let it = &mut it.subscribed[record];
            it.id = Some(id.clone());
            it.secret = secret.or_else(|| it.secret.take());
        });
        self.own.push(Own { record, id, urls: 0, pull_only, pulled: pull_only });
        self.outstanding = None;
    }

    async fn edit(&mut self, life: &Life) {
        let ctx = self.ctx(life);
        let chance = &self.chance;
        let at = usize::try_from(chance.below(self.own.len() as u64)).unwrap_or(0);
        let (id, record) = (self.own[at].id.clone(), self.own[at].record);
        let service = &life.service;
        let render = |_: &SubscriptionWritten| Vec::new();
        if life.shared.swarm.workers > 0 && !self.all && chance.per_mille(250) {
            return self.switch(life, at).await;
        }
        let (what, told) = match chance.below(100) {
            0..=34 => {
                let mut patch = SubscriptionPatch::default();
                match chance.below(6) {
                    0 => patch.types = Some(self.types()),
                    1 => patch.payload = Some(*chance.pick(forms(life))),
                    2 => patch.order = Some(*chance.pick(&[Order::None, Order::Subject])),
                    3 if !self.own[at].pulled => {
                        self.own[at].urls += 1;
                        patch.url = Some(self.url(record, self.own[at].urls));
                    }
                    4 if !self.own[at].pulled => {
                        let most = u32::try_from(chance.between(1, 6)).unwrap_or(1);
                        life.shared.journal.with(|it| {
                            let it = &mut it.subscribed[record];
                            it.concurrency_max = it.concurrency_max.max(most as usize);
                        });
                        patch.concurrency_max = Some(most);
                    }
                    _ => patch.description = Some(format!("edit {}", chance.below(100))),
                }
                let otherwise = patch.types.is_some() || patch.order.is_some();
                let write = |write| service.patch_subscription(&ctx, &id, patch, IfMatch::None, write);
                let told = life.write(chance, &ctx, None, render, write).await;
                if otherwise {
                    let now = life.shared.clock.now();
                    life.shared.journal.with(|it| it.subscribed[record].edited_at = Some(now));
                }
                ("edited", told)
            }
            35..=44 => {
                let state = Some(*chance.pick(&[State::Shadow, State::Shadow, State::Active]));
                let patch = SubscriptionPatch { state, ..SubscriptionPatch::default() };
                let write = |write| service.patch_subscription(&ctx, &id, patch, IfMatch::None, write);
                ("put into the shadow, or out of it", life.write(chance, &ctx, None, render, write).await)
            }
            45..=59 => ("paused", life.write(chance, &ctx, None, render, |write| service.pause(&ctx, &id, write)).await),
            60..=77 => {
                ("resumed", life.write(chance, &ctx, None, render, |write| service.resume(&ctx, &id, ResumeFrom::Cursor, write)).await)
            }
            78..=92 => (
                "resumed from now",
                life.write(chance, &ctx, None, render, |write| service.resume(&ctx, &id, ResumeFrom::Now, write)).await,
            ),
            _ => {
                life.shared.journal.with(|it| it.subscribed[record].deleted = true);
                let told =
                    life.write(chance, &ctx, None, render, |write| service.delete_subscription(&ctx, &id, IfMatch::None, write)).await;
                if matches!(told, Told::First(_)) {
                    self.own.remove(at);
                }
                ("deleted", told)
            }
        };
        if matches!(told, Told::First(_)) {
            life.say(format_args!("{}: {id} {what}", self.name));
        }
    }

    /// Has the subscription number `at` pulled, or pushed again; one that is only pulled goes on elsewhere.
    async fn switch(&mut self, life: &Life, at: usize) {
        let ctx = self.ctx(life);
        let (chance, service) = (&self.chance, &life.service);
        let Own { record, id, pull_only, pulled, .. } = &self.own[at];
        let (record, id, pulled) = (*record, id.clone(), *pulled);
        let render = |_: &SubscriptionWritten| Vec::new();
        if *pull_only {
            let to = chance.pick(&["start", "now"]).to_string();
            let told = life.write(chance, &ctx, None, render, |write| service.seek(&ctx, &id, to.clone(), IfMatch::None, write)).await;
            if matches!(told, Told::First(_)) {
                life.say(format_args!("{}: {id} sought to {to}", self.name));
            }
            return;
        }
        let secret = life.shared.journal.with(|it| it.subscribed[record].secret.clone());
        let (Some(secret), false) = (secret, self.one_shot(life, &id)) else { return };
        let mut patch = SubscriptionPatch::default();
        if pulled && chance.per_mille(600) {
            let most = u32::try_from(chance.between(1, 4)).unwrap_or(1);
            self.own[at].urls += 1;
            patch.url = Some(self.url(record, self.own[at].urls));
            patch.secret = Some(secret);
            patch.concurrency_max = Some(most);
            patch.delays = Some(vec![1, 5]);
            life.shared.journal.with(|it| {
                let it = &mut it.subscribed[record];
                it.concurrency_max = it.concurrency_max.max(most as usize);
            });
        } else {
            patch.pulled = true;
            self.own[at].pulled = true;
            life.shared.journal.with(|it| it.subscribed[record].pulled = true);
        }
        let to_pull = patch.pulled;
        let write = |write| service.patch_subscription(&ctx, &id, patch, IfMatch::None, write);
        let told = life.write(chance, &ctx, None, render, write).await;
        if matches!(told, Told::First(_)) {
            self.own[at].pulled = to_pull;
            life.say(format_args!("{}: {id} is {} from now on", self.name, if to_pull { "pulled" } else { "pushed" }));
        }
    }

    /// Whether it waits for one status.
    fn one_shot(&self, life: &Life, id: &SubscriptionId) -> bool {
        life.shared.journal.with(|it| it.subscriptions.values().any(|it| it.id == *id && it.until.is_some()))
    }

    /// Lets everything go on that waits for somebody; whether all does.
    async fn resume_all(&mut self, life: &Life) -> bool {
        let ctx = self.ctx(life);
        let Ok(page) = life.service.subscriptions(&ctx, 1_000, None).await else { return false };
        // Under `*` all are read and only its own are changed: the others are their tenants'.
        for view in page.items.iter().filter(|it| it.subscription.scope == ctx.scope) {
            let id = &view.subscription.id;
            if matches!(view.subscription.state, State::Paused | State::Suspended) {
                let told = life
                    .write(&self.chance, &ctx, None, |_| Vec::new(), |write| life.service.resume(&ctx, id, ResumeFrom::Cursor, write))
                    .await;
                let resumed = matches!(told, Told::First(_));
                life.say(format_args!("{}: {id} resumed at last: {resumed}", self.name));
                if !resumed {
                    return false;
                }
            }
            if view.subscription.state == State::Shadow {
                let patch = SubscriptionPatch { state: Some(State::Active), ..SubscriptionPatch::default() };
                let write = |write| life.service.patch_subscription(&ctx, id, patch, IfMatch::None, write);
                let told = life.write(&self.chance, &ctx, None, |_| Vec::new(), write).await;
                if !matches!(told, Told::First(_)) {
                    return false;
                }
                life.say(format_args!("{}: {id} is out of the shadow at last", self.name));
            }
        }
        true
    }
}

#[async_trait]
impl Player for Subscriber {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        loop {
            if self.outstanding.is_some() {
                self.create(life).await;
                continue;
            }
            if life.stage() != Stage::Faulty {
                break;
            }
            let wanted = usize::try_from(life.shared.swarm.subscriptions).unwrap_or(1);
            if self.own.len() < wanted || self.chance.per_mille(20) {
                self.outstanding = Some(self.new_creation(life));
                life.sleep(self.chance.duration(0, 3_000)).await;
            } else {
                // Now and then right after something else: readers may still be catching up.
                if self.chance.per_mille(600) {
                    life.pause(&self.chance).await;
                    life.sleep(self.chance.duration(500, 15_000)).await;
                } else {
                    life.sleep(self.chance.duration(0, 20)).await;
                }
                self.edit(life).await;
            }
        }
        while !self.resume_all(life).await {
            life.sleep(self.chance.duration(100, 2_000)).await;
        }
    }
}
