//! Requests that may be sent twice: answers kept under an Idempotency-Key.
//!
//! The answer is stored in the change set that it answers, so the two cannot
//! disagree; it is sealed, because an answer may show a secret once. Only what
//! succeeded is kept: a refusal is decided afresh.

use crate::{Ctx, Service, error::Error};
use ringback_model::{StatusName, TenantId, TypeName, limits};
use ringback_ports::{
    Seal,
    seal::Binding,
    store::{ChangeSet, CommitError, Committed, NewAnswer, Refused, StoreError},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often a decision is made afresh when others were faster.
const DECISIONS_MAX: usize = 16;

/// Keys of requests that are running now.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<BTreeSet<[u8; 32]>>);

/// A running request under an Idempotency-Key. Dropping it frees the key.
#[derive(Debug)]
pub struct Permit {
    running: Arc<Running>,
    scope: [u8; 32],
    fingerprint: [u8; 32],
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.scope);
    }
}

/// What an Idempotency-Key means for a request.
#[derive(Debug)]
pub enum Begin {
    /// It was answered already, so.
    Replay(Vec<u8>),
    /// It is new.
    Go(Permit),
}

/// What a write needs beside its arguments.
pub struct Write<T> {
    record: Option<(Permit, Render<T>)>,
}

type Render<T> = Arc<dyn Fn(&T) -> Vec<u8> + Send + Sync>;

impl<T> core::fmt::Debug for Write<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Write").field("recorded", &self.record.is_some()).finish()
    }
}

impl<T> Write<T> {
    /// Without an Idempotency-Key.
    #[must_use]
    pub const fn plain() -> Self {
        Self { record: None }
    }

    /// With one: `render` makes the bytes that a replay answers.
    pub fn recorded(permit: Permit, render: impl Fn(&T) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { record: Some((permit, Arc::new(render))) }
    }
}

/// What a write answers.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was done now.
    Fresh(T),
    /// It was done before; these are the bytes that `render` made then.
    Replayed(Vec<u8>),
}

/// A decided change, and how to say what it made.
pub(crate) struct Decision<T> {
    pub(crate) set: ChangeSet,
    pub(crate) make: Arc<dyn Fn(&Committed) -> T + Send + Sync>,
    /// The stay that it ends.
    pub(crate) left: Option<Left>,
}

/// A resource has left a status.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) type_name: TypeName,
    pub(crate) status: StatusName,
    pub(crate) stayed: Duration,
}

impl<T> Decision<T> {
    pub(crate) fn new(set: ChangeSet, make: impl Fn(&Committed) -> T + Send + Sync + 'static) -> Self {
        Self { set, make: Arc::new(make), left: None }
    }
}

const ANSWER: (&str, &str) = ("answers", "answer");

impl Service {
    /// Looks an Idempotency-Key up and, if it is new, holds it for this request.
    ///
    /// # Errors
    /// `IdempotencyInProgress`, `IdempotencyKeyReused`.
    pub async fn begin(&self, ctx: &Ctx, scope: [u8; 32], fingerprint: [u8; 32]) -> Result<Begin, Error> {
        let running = Arc::clone(&self.inner.running);
        if !running.0.lock().unwrap_or_else(PoisonError::into_inner).insert(scope) {
            return Err(Error::IdempotencyInProgress);
        }
        let permit = Permit { running, scope, fingerprint };
        Ok(match self.kept(ctx, &permit).await? {
            None => Begin::Go(permit),
            Some(plain) => Begin::Replay(plain),
        })
    }

    /// The answer that is kept under the key of a request.
    async fn kept(&self, ctx: &Ctx, permit: &Permit) -> Result<Option<Vec<u8>>, Error> {
        let Some(stored) = self.inner.store.answer(&permit.scope, self.now()).await? else { return Ok(None) };
        if stored.fingerprint != permit.fingerprint {
            return Err(Error::IdempotencyKeyReused);
        }
        let tenant = self.home(ctx);
        let key = self.data_key(&tenant)?;
        let at = Binding { tenant: tenant.as_str(), table: ANSWER.0, row: &hex(&permit.scope), column: ANSWER.1 };
        let plain = self.inner.seal.open(&key, at, &stored.answer);
        plain.map(Some).map_err(|it| Error::Internal(format!("a kept answer: {it}")))
    }

    /// Decides and commits, and decides again when somebody else was faster.
    pub(crate) async fn write<T, F>(&self, ctx: &Ctx, write: Write<T>, decide: impl Fn() -> F) -> Result<Outcome<T>, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<Decision<T>, Error>> + Send,
    {
        let tenant = self.home(ctx);
        let mut left = DECISIONS_MAX;
        loop {
            let Decision { mut set, make, left: stay } = match decide().await {
                Ok(decision) => decision,
                Err(refusal) => return self.unless_answered(ctx, &write, refusal).await,
            };
            if let Some((permit, render)) = &write.record {
                set.answer = Some(self.new_answer(&tenant, permit, Arc::clone(&make), Arc::clone(render))?);
            }
            if set.changes.is_empty() && set.events.is_empty() && set.answer.is_none() {
                // Nothing to keep: a patch that changes nothing, a repeated publish.
                return Ok(Outcome::Fresh(make(&Committed::default())));
            }
            match self.commit(set).await {
                Ok(committed) => {
                    if let Some(Left { type_name, status, stayed }) = stay {
                        self.inner.stays.lock().unwrap_or_else(PoisonError::into_inner).record(&type_name, &status, stayed);
                    }
                    return Ok(Outcome::Fresh(make(&committed)));
                }
                Err(CommitError::Refused(Refused::AnswerTaken)) => {
                    return self.unless_answered(ctx, &write, Error::IdempotencyInProgress).await;
                }
                Err(CommitError::Refused(_)) if left > 0 => left -= 1,
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Commits; images of what it changes are not answered from until its fate is known.
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError> {
        match self.inner.images.begin(&set) {
            None => self.inner.store.commit(set).await,
            Some(writing) => {
                let store = Arc::clone(&self.inner.store);
                writing.commit(async move { store.commit(set).await }).await
            }
        }
    }

    /// A request whose sender went away may have been on its way to the disk when the same one
    /// came again: then that is what is refused now, and its answer is the answer.
    async fn unless_answered<T>(&self, ctx: &Ctx, write: &Write<T>, refusal: Error) -> Result<Outcome<T>, Error> {
        let Some((permit, _)) = &write.record else { return Err(refusal) };
        match self.kept(ctx, permit).await? {
            Some(plain) => Ok(Outcome::Replayed(plain)),
            None => Err(refusal),
        }
    }

    fn new_answer<T: 'static>(
        &self,
        tenant: &TenantId,
        permit: &Permit,
        make: Arc<dyn Fn(&Committed) -> T + Send + Sync>,
        render: Render<T>,
    ) -> Result<NewAnswer, Error> {
        let seal: Arc<dyn Seal> = Arc::clone(&self.inner.seal);
        let data_key = self.data_key(tenant)?;
        let tenant = tenant.clone();
        let row = hex(&permit.scope);
        Ok(NewAnswer {
            scope: permit.scope,
            fingerprint: permit.fingerprint,
            expires_at: self.now() + limits::IDEMPOTENCY_TTL,
            answer: Box::new(move |committed| {
                let at = Binding { tenant: tenant.as_str(), table: ANSWER.0, row: &row, column: ANSWER.1 };
                // The key was unwrapped a moment ago when it was looked up; should it fail
                // now, a replay says so instead of answering something else.
                seal.seal(&data_key, at, &render(&make(committed))).unwrap_or_default()
            }),
        })
    }

    /// Whose data key seals what a request keeps: its tenant's, or `default`'s for requests about none.
    fn home(&self, ctx: &Ctx) -> TenantId {
        match &ctx.scope {
            ringback_model::event::Scope::Tenant(it) => it.clone(),
            ringback_model::event::Scope::All => TenantId::default_tenant(),
        }
    }

    pub(crate) fn data_key(&self, tenant: &TenantId) -> Result<Vec<u8>, Error> {
        self.registry()
            .tenants
            .get(tenant)
            .map(|it| it.data_key.clone())
            .ok_or_else(|| Error::Internal(format!("tenant {tenant} has no data key")))
    }

    /// Removes answers that expired, a slice at a time; how many.
    pub(crate) async fn prune_answers(&self) -> Result<usize, StoreError> {
        self.inner.store.prune_answers(self.now(), 1_000).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
