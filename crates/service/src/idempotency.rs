//! Requests that may be sent twice: answers kept under an Idempotency-Key.
//!
//! The answer is stored in the change set that it answers, so the two cannot
//! disagree; it is sealed, because an answer may show a secret once. Only what
//! succeeded is kept: a refusal is decided afresh.

use crate::{
    Caller, Ctx, Service,
    error::{Error, Needs},
};
use bytes::Bytes;
use ringback_model::{
    StatusName, TenantId, TypeName,
    key::{Authority, Scopes},
    limits,
};
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
    dry: bool,
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
        Self { record: None, dry: false }
    }

    /// With one: `render` makes the bytes that a replay answers.
    pub fn recorded(permit: Permit, render: impl Fn(&T) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { record: Some((permit, Arc::new(render))), dry: false }
    }

    /// Only decided, with all checks, and not done: nothing is stored, also no answer.
    #[must_use]
    pub const fn dry() -> Self {
        Self { record: None, dry: true }
    }
}

/// What a write answers.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was done now.
    Fresh(T),
    /// It was done before; these are the bytes that `render` made then.
    Replayed(Vec<u8>),
    /// It was not done; this is what it would have made.
    Dry(Preview),
}

/// What a write would have made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// The resource afterwards (its last image, when it would be deleted); `None` where the write is about no single one.
    pub resource: Option<Bytes>,
    /// The events, without what only the log gives them: `id` and `sequence`.
    pub events: Vec<Bytes>,
}

/// A decided change, and how to say what it made.
pub(crate) struct Decision<T> {
    pub(crate) set: ChangeSet,
    pub(crate) make: Arc<dyn Fn(&Committed) -> T + Send + Sync>,
    /// The resource afterwards, to be shown when it is not done.
    pub(crate) resource: Option<Bytes>,
    /// The stays that it ends.
    pub(crate) left: Vec<Left>,
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
        Self { set, make: Arc::new(make), resource: None, left: Vec::new() }
    }

    /// Which resource it is about.
    pub(crate) fn about(mut self, resource: Bytes) -> Self {
        self.resource = Some(resource);
        self
    }
}

const ANSWER: (&str, &str) = ("answers", "answer");

impl Service {
    /// Looks an Idempotency-Key up and, if it is new, holds it for this request.
    ///
    /// # Errors
    /// `IdempotencyInProgress`, `IdempotencyKeyReused`; `Forbidden` for a key that may do less than the one that was answered.
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
        let plain = plain.map_err(|it| Error::Internal(format!("a kept answer: {it}")))?;
        let (asked, answer) = Answered::split(&plain);
        // It may show what only such a key may see: a key that it made, what an operator alone may write.
        if asked.is_covered_by(&ctx.caller) { Ok(Some(answer.to_vec())) } else { Err(Error::Forbidden(Needs::KeyThatWasAnswered)) }
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
            let Decision { mut set, make, resource, left: stays } = match decide().await {
                Ok(decision) => decision,
                Err(refusal) => return self.unless_answered(ctx, &write, refusal).await,
            };
            if write.dry {
                let events = set.events.iter().map(|it| it.preview(&set.tenant)).collect();
                return Ok(Outcome::Dry(Preview { resource, events }));
            }
            if let Some((permit, render)) = &write.record {
                set.answer = Some(self.new_answer(&tenant, &ctx.caller, permit, Arc::clone(&make), Arc::clone(render))?);
            }
            if set.changes.is_empty() && set.events.is_empty() && set.answer.is_none() {
                // Nothing to keep: a patch that changes nothing, a repeated publish.
                return Ok(Outcome::Fresh(make(&Committed::default())));
            }
            match self.commit(set).await {
                Ok(committed) => {
                    for Left { type_name, status, stayed } in stays {
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
        caller: &Caller,
        permit: &Permit,
        make: Arc<dyn Fn(&Committed) -> T + Send + Sync>,
        render: Render<T>,
    ) -> Result<NewAnswer, Error> {
        let seal: Arc<dyn Seal> = Arc::clone(&self.inner.seal);
        let data_key = self.data_key(tenant)?;
        let tenant = tenant.clone();
        let row = hex(&permit.scope);
        let asked = Answered { authority: caller.authority(), scopes: caller.scopes };
        Ok(NewAnswer {
            scope: permit.scope,
            fingerprint: permit.fingerprint,
            expires_at: self.now() + limits::IDEMPOTENCY_TTL,
            answer: Box::new(move |committed| {
                let at = Binding { tenant: tenant.as_str(), table: ANSWER.0, row: &row, column: ANSWER.1 };
                // The key was unwrapped a moment ago when it was looked up; should it fail
                // now, a replay says so instead of answering something else.
                seal.seal(&data_key, at, &asked.join(&render(&make(committed)))).unwrap_or_default()
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

/// What the key might do that an answer was made for; kept in front of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answered {
    authority: Authority,
    scopes: Scopes,
}

impl Answered {
    /// The first byte, which no answer begins with: those from before this was kept begin with 1.
    const MARK: u8 = 2;

    fn join(self, answer: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(6 + answer.len());
        out.extend_from_slice(&[Self::MARK, u8::from(self.authority == Authority::Operator)]);
        out.extend_from_slice(&self.scopes.bits().to_be_bytes());
        out.extend_from_slice(answer);
        out
    }

    fn split(plain: &[u8]) -> (Self, &[u8]) {
        match plain {
            [Self::MARK, operator, a, b, c, d, answer @ ..] => {
                let authority = if *operator == 0 { Authority::Tenant } else { Authority::Operator };
                (Self { authority, scopes: Scopes::from_bits(u32::from_be_bytes([*a, *b, *c, *d])) }, answer)
            }
            // Of whom it was is not known: operators alone see it for the rest of its day.
            older => (Self { authority: Authority::Operator, scopes: Scopes::from_bits(0) }, older),
        }
    }

    fn is_covered_by(self, caller: &Caller) -> bool {
        caller.authority().covers(self.authority) && caller.scopes.has_all(self.scopes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
