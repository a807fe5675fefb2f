//! The service on fakes, in one thread, under a clock that is moved by hand.
//!
//! A crash drops the runtime with every task in it; the store stays, and the
//! next life starts from what it holds.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, missing_debug_implementations, reason = "a test fails by panicking")]

pub mod faulty;

use faulty::FaultyStore;
use ringback_model::{
    EventId, EventType, ResourceId, Subject, SubscriptionId, TenantId, Timestamp,
    delivery::DeliveryState,
    event::{PayloadForm, Scope},
    key,
    subscription::{Order, TypePattern, Until},
};
use ringback_ports::{
    Clock, Seal,
    fake::{FakeSeal, ManualClock, ScriptedSender, SeededEntropy, store::MemoryStore},
    store::{Change, ChangeSet, Control as _, Expected, Log as _},
};
use ringback_service::{
    Caller, CompiledType, Config, Ctx, DeliveryQuery, DeliveryView, Deps, Error, IfMatch, NewEvent, NewPush, NewSubscription, Outcome,
    Published, ServedType, Service, SubscriptionView, SubscriptionWritten, Write, Written,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

pub struct World {
    runtime: Option<Runtime>,
    pub store: Arc<MemoryStore>,
    /// What lies between the service and its store.
    pub faulty: Arc<FaultyStore>,
    pub clock: Arc<ManualClock>,
    pub sender: Arc<ScriptedSender>,
    pub service: Service,
    life: u64,
    keep_events: Duration,
}

pub const URL: &str = "https://example.com/hook";

impl World {
    pub fn new() -> Self {
        Self::keeping(Duration::from_secs(30 * 86_400))
    }

    /// One that keeps events for so long.
    pub fn keeping(keep_events: Duration) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::default());
        let sender = Arc::new(ScriptedSender::new());
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&store)));
        let (runtime, service) = start(&faulty, &clock, &sender, 0, types(), keep_events);
        Self { runtime: Some(runtime), store, faulty, clock, sender, service, life: 0, keep_events }
    }

    /// Everything that is not in the store is gone.
    pub fn crash(&mut self) {
        self.crash_and_start_with(types());
    }

    /// A crash, and a start with other type files, as if those that are gone had never been kept: a start
    /// that knows of them is refused while there are resources (see `types_over_time`).
    pub fn crash_and_start_with(&mut self, types: Vec<CompiledType>) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.life += 1;
        Builder::new_current_thread().build().unwrap().block_on(async {
            for kept in self.faulty.types().await.unwrap() {
                if !kept.from_file || types.iter().any(|it| it.decl.name == kept.name) {
                    continue;
                }
                let mut set = ChangeSet::new(TenantId::default_tenant(), self.clock.now());
                set.changes.push(Change::TypeDelete { name: kept.name, expected: Expected::Version(kept.version) });
                self.faulty.commit(set).await.unwrap();
            }
        });
        let (runtime, service) = start(&self.faulty, &self.clock, &self.sender, self.life, types, self.keep_events);
        self.runtime = Some(runtime);
        self.service = service;
    }

    pub fn run<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(what)
    }

    /// Lets everything happen that needs no time.
    pub fn quiet(&self) {
        self.run(async {
            for _ in 0..300 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Lets `by` pass, stopping at everything that somebody waits for.
    pub fn pass(&self, by: Duration) {
        let end = self.clock.now() + by;
        self.quiet();
        while self.clock.next_wake().is_some_and(|at| at <= end) {
            self.clock.advance_to_next_wake();
            self.quiet();
        }
        self.clock.set(end.max(self.clock.now()));
        self.quiet();
    }

    pub fn ctx(&self) -> Ctx {
        self.service.ctx(Caller::socket_operator(), None, key::Scope::EventsRead, true).unwrap()
    }

    pub fn tenant_ctx(&self, tenant: &str) -> Ctx {
        let tenant = TenantId::parse(tenant).unwrap();
        let scopes = key::Scopes::of_role(key::Role::Tenant);
        let caller = Caller { role: key::Role::Tenant, scopes, tenant: Some(tenant.clone()), ..Caller::socket_operator() };
        Ctx { caller, scope: Scope::Tenant(tenant) }
    }

    pub fn ty(&self, name: &str) -> Arc<ServedType> {
        self.service.types().by_name(name).unwrap()
    }

    pub fn publish(&self, event_type: &str, subject: Option<&str>, data: &str) -> Published {
        fresh(self.run(self.service.publish(&self.ctx(), vec![event(event_type, subject, data)], Write::plain())).unwrap())
    }

    pub fn subscribe(&self, edit: impl FnOnce(&mut NewSubscription)) -> SubscriptionWritten {
        let mut new = subscription(URL);
        edit(&mut new);
        fresh(self.run(self.service.create_subscription(&self.ctx(), new, Write::plain())).unwrap())
    }

    pub fn deliveries(&self, subscription: &SubscriptionId) -> Vec<DeliveryView> {
        let query = DeliveryQuery { subscription: Some(subscription.clone()), limit: 1_000, ..DeliveryQuery::default() };
        let mut all = self.run(self.service.deliveries(&self.ctx(), query)).unwrap().items;
        all.reverse();
        all
    }

    pub fn states(&self, subscription: &SubscriptionId) -> Vec<&'static str> {
        self.deliveries(subscription).iter().map(|it| DeliveryState::as_str(it.state)).collect()
    }

    /// Ids of the events that were sent, in order.
    pub fn sent(&self) -> Vec<EventId> {
        self.sender.requests().iter().map(|it| header(&it.headers, "webhook-id").parse().unwrap()).collect()
    }

    /// Starts `what` and goes on; `join` it later.
    pub fn spawn<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().unwrap().spawn(what)
    }

    pub fn create(&self, type_name: &str, body: Value) -> Written {
        let body = body.as_object().cloned().unwrap();
        fresh(self.run(self.service.create_resource(&self.ctx(), &self.ty(type_name), body, Write::plain())).unwrap())
    }

    pub fn step(&self, type_name: &str, id: &str, name: &str) -> Result<Written, Error> {
        let (id, ty) = (ResourceId::parse(id).unwrap(), self.ty(type_name));
        self.run(self.service.transition(&self.ctx(), &ty, &id, name, None, IfMatch::None, Write::plain())).map(fresh)
    }

    pub fn one_shot(&self, subject: &str, until: Until) -> SubscriptionWritten {
        self.subscribe(|it| {
            it.types = Vec::new();
            it.subject = Some(Subject::parse(subject).unwrap());
            it.until = Some(until);
        })
    }

    pub fn publish_in(&self, tenant: &str, event: NewEvent) -> Published {
        fresh(self.run(self.service.publish(&self.operator_ctx(tenant), vec![event], Write::plain())).unwrap())
    }

    /// A tenant's own subscription to everything that it may see, from the start.
    pub fn tenant_subscription(&self, tenant: &str) -> SubscriptionId {
        let new = NewSubscription { types: Vec::new(), from: "start".into(), ..subscription(URL) };
        let made = fresh(self.run(self.service.create_subscription(&self.tenant_ctx(tenant), new, Write::plain())).unwrap());
        made.view.subscription.id.clone()
    }

    pub fn view(&self, id: &SubscriptionId) -> SubscriptionView {
        self.run(self.service.subscription(&self.ctx(), id)).unwrap()
    }

    pub fn put_tenant(&self, id: &str) {
        let server = self.service.server_ctx(Caller::socket_operator(), key::Scope::TenantsWrite).unwrap();
        let id = TenantId::parse(id).unwrap();
        fresh(self.run(self.service.put_tenant(&server, id, None, None, IfMatch::None, Write::plain())).unwrap());
    }

    /// An operator for this tenant, or for all (`*`).
    pub fn operator_ctx(&self, tenant: &str) -> Ctx {
        self.service.ctx(Caller::socket_operator(), Some(tenant), key::Scope::EventsRead, true).unwrap()
    }

    pub fn server_ctx(&self) -> Ctx {
        self.service.server_ctx(Caller::socket_operator(), key::Scope::KeysWrite).unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn start(
    store: &Arc<FaultyStore>,
    clock: &Arc<ManualClock>,
    sender: &Arc<ScriptedSender>,
    life: u64,
    types: Vec<CompiledType>,
    keep_events: Duration,
) -> (Runtime, Service) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let deps = Deps {
        store: Arc::<FaultyStore>::clone(store),
        sender: Arc::<ScriptedSender>::clone(sender),
        clock: Arc::<ManualClock>::clone(clock),
        entropy: Arc::new(SeededEntropy::new(7 + life)),
        seal: Arc::new(FakeSeal::default()) as Arc<dyn Seal>,
    };
    let config = Config {
        public_url: "https://api.example.com".into(),
        dev: false,
        user_agent: "Ringback/test".into(),
        slots: 64,
        waiters_max: 100,
        waiters_per_key_max: 100,
        keep_events,
    };
    let service = runtime.block_on(Service::start(deps, config, types)).unwrap();
    (runtime, service)
}

/// A small shop: an order that is paid or times out.
pub fn types() -> Vec<CompiledType> {
    let order = json!({
        "type": "order",
        "schema": { "type": "object", "properties": { "amount": { "type": "integer" }, "note": { "type": "string" } } },
        "lifecycle": {
            "initial": "created",
            "statuses": {
                "created": { "timeout": { "after": "15m", "transition": "expire" } },
                "paid": {},
                "shipped": { "done": true },
                "expired": { "done": true },
            },
            "transitions": {
                "pay": { "from": ["created"], "to": "paid" },
                "ship": { "from": ["paid"], "to": "shipped" },
                "expire": { "from": ["created"], "to": "expired" },
            },
        },
    });
    // Done is not the end here: what is paid for may be given back.
    let ticket = json!({
        "type": "ticket",
        "schema": { "type": "object", "properties": { "seat": { "type": "integer" }, "zone": { "type": "string" } } },
        "lifecycle": {
            "initial": "open",
            "statuses": { "open": {}, "sold": { "done": true }, "returned": { "done": true }, "void": { "done": true } },
            "transitions": {
                "sell": { "from": ["open"], "to": "sold", "by": "tenant" },
                "return": { "from": ["sold"], "to": "returned" },
                "cancel": { "from": ["open"], "to": "void" },
            },
        },
        "indexes": [["zone", "created_at"]],
        "access": { "read": "tenant", "create": "tenant", "update": "tenant", "delete": "tenant" },
    });
    // Nobody's business but the operator's.
    let audit = json!({ "type": "dossier", "lifecycle": "filed -> closed", "access": { "read": "operator" } });
    [order, ticket, audit].iter().map(|it| CompiledType::load(it).unwrap()).collect()
}

pub fn event(event_type: &str, subject: Option<&str>, data: &str) -> NewEvent {
    NewEvent {
        event_type: EventType::parse(event_type).unwrap(),
        subject: subject.map(|it| Subject::parse(it).unwrap()),
        data: data.to_owned().into(),
        key: None,
        occurred_at: None,
        expires_at: None,
        audience: key::Authority::Tenant,
    }
}

pub fn subscription(url: &str) -> NewSubscription {
    NewSubscription {
        description: String::new(),
        metadata: Default::default(),
        types: vec![TypePattern::parse("a.*").unwrap()],
        strict: true,
        subject: None,
        until: None,
        filter: None,
        from: "now".into(),
        payload: PayloadForm::Full,
        order: Order::None,
        push: Some(NewPush {
            url: url.into(),
            secret: None,
            access: Default::default(),
            signing: Default::default(),
            headers: Vec::new(),
            timeout_ms: 20_000,
            concurrency_max: 4,
            rate_max_per_s: None,
            delays: vec![10, 60, 600],
        }),
        all_tenants: false,
        state: None,
    }
}

pub fn fresh<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Fresh(it) => it,
        Outcome::Replayed(_) => panic!("a replay"),
        Outcome::Dry(_) => panic!("a dry run"),
    }
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}
