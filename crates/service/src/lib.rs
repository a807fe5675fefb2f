//! The use cases of Ringback. No HTTP words, no SQL: the edge above turns
//! answers into responses, the store below keeps what was decided.
//!
//! A write goes: authenticate → load → decide (`engine`) → commit (one step of
//! the store) → wake whom it concerns. What is owed to subscriptions is derived
//! from the log and their cursors by `dispatcher`; nothing is queued at commit.
#![forbid(unsafe_code)]

mod advice;
mod batch;
mod caller;
mod catalogue;
mod clock;
mod deliveries;
mod dispatcher;
mod erasures;
mod error;
mod events;
mod explain;
mod feed;
mod idempotency;
mod images;
mod indexes;
mod keyring;
mod keys;
mod list_tags;
mod lists;
mod locks;
mod log;
mod measure;
mod mirror;
mod own_events;
mod page;
mod pull;
mod rate;
mod registry;
mod replays;
mod resources;
mod retention;
mod status;
mod streams;
mod subscriptions;
mod tail;
mod tasks;
mod tenants;
mod tickets;
mod tokens;
mod types;
pub mod verify;
mod waker;

pub use advice::{AdviceView, Endpoint, Shown};
pub use batch::{BatchWritten, Made, Operation};
pub use caller::{Caller, Ctx};
pub use catalogue::EventTypeView;
pub use clock::{CLOCK_BEHIND_MAX, clock_is_right};
pub use deliveries::{DeliveryQuery, DeliveryView};
pub use erasures::Wanted;
pub use error::{Error, Needs, WhyNot};
pub use events::{NewEvent, Published, PublishedEvent};
pub use feed::{FeedPage, FeedQuery, PageTurn, WatchPage, WatchQuery};
pub use idempotency::{Begin, Outcome, Permit, Preview, Write};
pub use keyring::Keyring;
pub use keys::{KeyWritten, NewKey};
pub use list_tags::{KnownTags, ListTag, Listing};
pub use lists::{ListPage, ListQuery};
pub use log::{LogView, restored};
pub use mirror::{Before, Said};
pub use page::Page;
pub use pull::{PullQuery, Pulled, Settled, Word};
pub use replays::{Counted, NewReplay, ReplayView};
pub use resources::{IfMatch, ResourcePage, ResourceView, Written};
pub use ringback_engine::{advice::Figures, rate::Standing};
pub use ringback_engine::{
    catalogue::{CompiledEvent, Entry},
    explain::{Clause, Explained},
    idempotency as idempotency_key, json, lifecycle, list, position,
    tickets::TicketProblem,
    type_check,
    types::CompiledType,
    watch,
};
pub use ringback_filter::FilterError;
pub use ringback_model::replay::{Only, Replay, ReplayState};
pub use ringback_ports::meters;
pub use status::{StatusQuery, StatusView};
pub use streams::{Sent, Stream};
pub use subscriptions::{
    Health, NewPush, NewSubscription, ResumeFrom, SigningKeys, SigningPatch, SubscriptionPatch, SubscriptionView, SubscriptionWritten,
    Waits,
};
pub use tenants::TenantWritten;
pub use tickets::{Redeemed, TicketMade};
pub use types::{Declared, FileType, ServedType, TypeWritten, Types};

use registry::Registry;
use ringback_engine::{advice::Watcher, rate::Bucket, stays::Stays, tokens::DeliveryCipher, trials::Trials};
use ringback_model::{KeyId, RequestId, TenantId, Timestamp, event::Scope, limits, position::Epoch, tenant::Tenant};
use ringback_ports::{
    Clock, Entropy, Seal, Sender, Store,
    seal::Binding,
    store::{AuditEntry, Change, ChangeSet, CommitError, Expected, Refused, StoreError},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What the service is told about its surroundings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What `thin` bodies and `subscribe` point at; no slash at its end.
    pub public_url: String,
    /// Whether this is a laptop.
    pub dev: bool,
    /// `user-agent` of pushes.
    pub user_agent: String,
    /// Tries in flight in all.
    pub slots: usize,
    /// Requests that wait at once.
    pub waiters_max: usize,
    /// Requests of one key that wait at once.
    pub waiters_per_key_max: usize,
    /// How long events are kept, and attempts with them.
    pub keep_events: Duration,
}

/// What the service runs on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub sender: Arc<dyn Sender>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Encryption at rest.
    pub seal: Arc<dyn Seal>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key file is another one than the data was sealed with.
    #[error("the data is sealed with another key file; give the one that belongs to it with --key-file")]
    WrongKeyFile,
    /// Types that do not fit together.
    #[error("the types do not fit together: {0}")]
    Types(String),
    /// A file has taken away what stored resources use: says which file, what, how many, and what to do.
    #[error("{0}")]
    TypesChanged(String),
    /// The store.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// The store refused the first writes.
    #[error("the store refused its first write")]
    Commit(#[from] CommitError),
}

/// Secrets of the server itself, kept sealed in the store.
pub(crate) struct Secrets {
    pub(crate) pepper: [u8; 32],
    pub(crate) position: position::PositionKey,
    pub(crate) delivery: DeliveryCipher,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sender: Arc<dyn Sender>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) seal: Arc<dyn Seal>,
    pub(crate) config: Config,
    pub(crate) epoch: Epoch,
    pub(crate) secrets: Secrets,
    pub(crate) registry: RwLock<Registry>,
    /// Event types that files declare; they change with a restart.
    pub(crate) events_declared: types::DeclaredEvents,
    pub(crate) locks: locks::Locks,
    pub(crate) tokens: tokens::Tokens,
    /// Held for reading while a resource is written, for writing while a type is.
    pub(crate) types_gate: tokio::sync::RwLock<()>,
    pub(crate) running: Arc<idempotency::Running>,
    pub(crate) tail: Arc<tail::Tail>,
    pub(crate) waker: Arc<waker::Waker>,
    pub(crate) images: Arc<images::Images>,
    pub(crate) list_tags: list_tags::ListTags,
    /// Declared indexes that no list may rely on yet, and that there are some to fill.
    pub(crate) unfilled: RwLock<indexes::Unfilled>,
    pub(crate) index_hint: tokio::sync::Notify,
    pub(crate) stays: Mutex<Stays>,
    pub(crate) buckets: Mutex<BTreeMap<KeyId, Bucket>>,
    pub(crate) trials: Mutex<Trials>,
    pub(crate) watcher: Arc<Mutex<Watcher>>,
    /// Turns to put a page of the log together.
    pub(crate) pages: Arc<tokio::sync::Semaphore>,
    /// Hints at all streams that a key is gone.
    pub(crate) keys_gone: tokio::sync::watch::Sender<()>,
    pub(crate) dispatcher: dispatcher::Handle,
    pub(crate) floors: retention::Floors,
    pub(crate) erasure_hint: tokio::sync::Notify,
    pub(crate) timer_hint: Arc<tokio::sync::Notify>,
    pub(crate) draining: AtomicBool,
    /// Whether no try is started: after a restore, until somebody says so.
    pub(crate) held: AtomicBool,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

impl core::fmt::Debug for Service {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Service").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Service {
    /// Loads what is small, and starts what runs by itself on the present runtime.
    ///
    /// # Errors
    /// When the store does not answer, or was sealed with another key file.
    pub async fn start(deps: Deps, config: Config, file_types: Vec<CompiledType>) -> Result<Self, StartError> {
        let named = |compiled: CompiledType| FileType { file: format!("the type `{}`", compiled.decl.name), compiled };
        let types = file_types.into_iter().map(named).collect();
        Self::start_with(deps, config, Declared { types, events: Vec::new() }).await
    }

    /// As `start`, with all that files declare.
    ///
    /// # Errors
    /// As `start`; `TypesChanged` when stored resources use what a file has taken away, or their type's file is gone.
    pub async fn start_with(deps: Deps, config: Config, declared: Declared) -> Result<Self, StartError> {
        let Deps { store, sender, clock, entropy, seal } = deps;
        let now = clock.now();
        let tenants = match store.tenants().await? {
            none if none.is_empty() => vec![first_tenant(&*store, &*seal, now).await?],
            some => some,
        };
        let default = TenantId::default_tenant();
        let data_key = tenants.iter().find(|it| it.id == default).map(|it| it.data_key.clone()).unwrap_or_default();
        let secret = async |name: &'static str, bytes: usize| -> Result<Vec<u8>, StartError> {
            let at = Binding { tenant: "default", table: "meta", row: name, column: "value" };
            let sealed = match store.meta(name).await? {
                Some(kept) => kept,
                None => {
                    let mut fresh = vec![0; bytes];
                    entropy.fill(&mut fresh);
                    let sealed = seal.seal(&data_key, at, &fresh).map_err(|_| StartError::WrongKeyFile)?;
                    store.meta_once(name, sealed).await?
                }
            };
            seal.open(&data_key, at, &sealed).map_err(|_| StartError::WrongKeyFile)
        };
        let secrets = Secrets {
            pepper: array(secret("key-pepper", 32).await?)?,
            position: position::PositionKey::new(array(secret("position-key", 32).await?)?),
            delivery: DeliveryCipher::new(array(secret("delivery-key", 16).await?)?),
        };
        let types = types::at_start(&*store, declared.types, now).await?;
        let events_declared = types.beside(declared.events)?;
        for served in types.list() {
            store.declare_indexes(&served.compiled.decl.name, &served.compiled.decl.indexes).await?;
        }
        let unfilled = indexes::by_type(store.indexes_to_fill().await?);
        let registry = Registry::new(tenants, store.keys().await?, store.subscriptions().await?, types);
        let epoch = store.bounds(&Scope::All).await?.epoch;
        let held = store.deliveries_held().await?;
        if held {
            tracing::warn!("this log was restored, and deliveries are held: let them go with `ringback deliveries release`");
        }
        let tail = Arc::new(tail::Tail::default());
        let waker = waker::Waker::new(config.waiters_max, config.waiters_per_key_max);
        let images = images::Images::new();
        let watcher = Arc::<Mutex<Watcher>>::default();
        let timer_hint = Arc::new(tokio::sync::Notify::new());
        let (dispatcher, inbox) = dispatcher::channel();
        {
            let (tail, images, waker, dispatcher) = (Arc::clone(&tail), Arc::clone(&images), Arc::clone(&waker), dispatcher.clone());
            let (watcher, clock) = (Arc::clone(&watcher), Arc::clone(&clock));
            store.listen(Arc::new(move |events| {
                // Before anybody is woken, who then looks here.
                images.hear(events);
                advice::hear(&watcher, &clock, events);
                tail.push(events);
                waker.wake(events);
                dispatcher.hint(events);
            }));
        }
        let service = Self {
            inner: Arc::new(Inner {
                store,
                sender,
                clock,
                entropy,
                seal,
                config,
                epoch,
                secrets,
                registry: RwLock::new(registry),
                events_declared,
                locks: locks::Locks::default(),
                tokens: tokens::Tokens::default(),
                types_gate: tokio::sync::RwLock::default(),
                running: Arc::default(),
                tail,
                waker,
                images,
                unfilled: RwLock::new(unfilled),
                index_hint: tokio::sync::Notify::new(),
                list_tags: list_tags::ListTags::default(),
                stays: Mutex::default(),
                buckets: Mutex::default(),
                trials: Mutex::default(),
                watcher,
                pages: Arc::new(tokio::sync::Semaphore::new(limits::PAGES_AT_ONCE)),
                keys_gone: tokio::sync::watch::Sender::new(()),
                dispatcher,
                floors: retention::Floors::default(),
                erasure_hint: tokio::sync::Notify::new(),
                timer_hint,
                draining: AtomicBool::new(false),
                held: AtomicBool::new(held),
            }),
        };
        dispatcher::spawn(service.clone(), inbox);
        tasks::spawn(&service);
        Ok(service)
    }

    /// Closes in good order: refuses to be ready, stops starting tries, lets
    /// those in flight finish for at most `at_most`, and settles what they brought.
    pub async fn drain(&self, at_most: Duration) {
        self.inner.draining.store(true, Ordering::SeqCst);
        self.inner.waker.wake_all();
        self.inner.dispatcher.drain(&*self.inner.clock, self.now() + at_most).await;
    }

    /// Whether requests should be sent here.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.inner.draining.load(Ordering::SeqCst)
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// An id for a request that brought none.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId::make(self.now(), self.inner.entropy.bits())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Control objects in memory. Never held across an await.
    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.inner.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.inner.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `what` to its end, also when whoever asked for it goes away: a change
    /// of a control object must reach the registry once it is committed.
    pub(crate) async fn whole<T: Send + 'static>(&self, what: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
        match tokio::spawn(what).await {
            Ok(out) => out,
            Err(broken) => Err(Error::Internal(format!("a change of a control object broke off: {broken}"))),
        }
    }
}

fn array<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], StartError> {
    bytes.try_into().map_err(|_| StartError::WrongKeyFile)
}

async fn first_tenant(store: &dyn Store, seal: &dyn Seal, now: Timestamp) -> Result<Tenant, StartError> {
    let id = TenantId::default_tenant();
    let tenant = Tenant {
        data_key: seal.new_data_key(id.as_str()),
        id: id.clone(),
        name: "Default".into(),
        metadata: Default::default(),
        created_at: now,
        version: 1,
    };
    let mut set = ChangeSet::new(id, now);
    set.changes.push(Change::Tenant { tenant: Box::new(tenant.clone()), expected: Expected::Absent });
    set.audit = Some(AuditEntry { actor: None, action: "tenant.create", object: "default".into() });
    match store.commit(set).await {
        Ok(_) => Ok(tenant),
        // Another node was first.
        Err(CommitError::Refused(Refused::Exists { .. })) => {
            store.tenants().await?.into_iter().next().ok_or(StartError::Store(StoreError::Broken("no tenant".into())))
        }
        Err(other) => Err(other.into()),
    }
}
