//! Several writes as one change set: all of them, adjacent in the log, or none.
//!
//! The operations are decided one after the other, each on what those before it
//! will have written, and by the same code that decides them alone. The store
//! checks the whole set in one step, so whoever is slower than somebody else
//! decides all of it again.

use crate::{
    Ctx, Error, Outcome, Service, Write, Written,
    events::{NewEvent, Published},
    idempotency::{Decision, Left},
    mirror::{Before, Said},
    resources::{IfMatch, Step, turn_name},
    types::ServedType,
};
use ringback_engine::lifecycle::Actor;
use ringback_model::{EventId, ResourceId, TypeName, limits};
use ringback_ports::store::{Change, ChangeSet, Committed, ResourceRow};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One write of a batch.
#[derive(Debug)]
pub enum Operation {
    /// `POST {path}`.
    Create {
        /// Of this type.
        ty: Arc<ServedType>,
        /// Its fields.
        body: Map<String, Value>,
    },
    /// `PATCH {path}/{id}`.
    Patch {
        /// Of this type.
        ty: Arc<ServedType>,
        /// Which.
        id: ResourceId,
        /// A merge patch.
        patch: Value,
        /// What is to hold.
        if_match: IfMatch,
    },
    /// `DELETE {path}/{id}` of a type that isn't mirrored.
    Delete {
        /// Of this type.
        ty: Arc<ServedType>,
        /// Which.
        id: ResourceId,
        /// What is to hold.
        if_match: IfMatch,
    },
    /// `POST {path}/{id}/{transition}`.
    Transition {
        /// Of this type.
        ty: Arc<ServedType>,
        /// Which.
        id: ResourceId,
        /// Its name.
        name: String,
        /// Its input.
        input: Option<Value>,
        /// What is to hold.
        if_match: IfMatch,
    },
    /// `PUT` or `DELETE {path}/{id}` of a mirrored type.
    Mirror {
        /// Of this type.
        ty: Arc<ServedType>,
        /// Which.
        id: ResourceId,
        /// What its source says.
        said: Said,
        /// What is to hold.
        if_match: IfMatch,
    },
    /// `POST /v1/events`.
    Publish(Vec<NewEvent>),
}

/// What one operation made.
#[derive(Clone, Debug)]
pub enum Made {
    /// A resource, made or changed.
    Resource(Written),
    /// Events.
    Events(Published),
}

/// What a batch made.
#[derive(Clone, Debug)]
pub struct BatchWritten {
    /// One for each operation, in order.
    pub results: Vec<Made>,
    /// The last event; `None` when nothing changed.
    pub event: Option<EventId>,
    /// The position after it.
    pub position: String,
}

/// What earlier operations of the same change set will have written.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    rows: BTreeMap<(TypeName, ResourceId), ResourceRow>,
    keys: BTreeMap<String, EventId>,
}

/// What a write alone has before it.
pub(crate) static ALONE: Ahead = Ahead { rows: BTreeMap::new(), keys: BTreeMap::new() };

impl Ahead {
    pub(crate) fn row(&self, type_name: &TypeName, id: &ResourceId) -> Option<&ResourceRow> {
        // Nearly always there is nothing; then the key needn't be made.
        if self.rows.is_empty() { None } else { self.rows.get(&(type_name.clone(), id.clone())) }
    }

    pub(crate) fn event_of_key(&self, key: &str) -> Option<EventId> {
        self.keys.get(key).copied()
    }

    fn add(&mut self, set: &ChangeSet) {
        for change in &set.changes {
            if let Change::Resource { row, .. } = change {
                self.rows.insert((row.resource.type_name.clone(), row.resource.id.clone()), (**row).clone());
            }
        }
        for event in &set.events {
            if let Some(key) = &event.key {
                self.keys.insert(key.clone(), event.id);
            }
        }
    }
}

type MakeOne = Box<dyn Fn(&Committed) -> Made + Send + Sync>;

/// One operation, decided: what it changes, the stays that it ends, and its answer.
type Part = (ChangeSet, Vec<Left>, MakeOne);

impl Service {
    /// Does all of these, in this order, in one change set; or nothing.
    ///
    /// # Errors
    /// `Operation` with what the first refused one is refused with; `LimitReached`.
    pub async fn batch(&self, ctx: &Ctx, operations: Vec<Operation>, write: Write<BatchWritten>) -> Result<Outcome<BatchWritten>, Error> {
        let tenant = ctx.tenant()?;
        // In one order everywhere, so that two batches never wait for each other.
        let names: BTreeSet<String> = operations.iter().filter_map(|it| it.resource().map(|(ty, id)| turn_name(tenant, ty, id))).collect();
        let mut turns = Vec::with_capacity(names.len());
        for name in names {
            turns.push(self.inner.locks.turn(name).await);
        }
        // Taken once: types stay as they are until all is over.
        let _gate = self.inner.types_gate.read().await;
        let mut operations = operations;
        let mut ids = Vec::with_capacity(operations.len());
        for (at, it) in operations.iter_mut().enumerate() {
            let fits = self.allow(ctx, it);
            ids.push(fits.map_err(|error| Error::Operation { at, error: Box::new(error) })?);
        }
        self.write(ctx, write, || self.decide_batch(ctx, &operations, &ids)).await.inspect(|_| self.inner.timer_hint.notify_one())
    }

    /// Looks whether the caller may do this at all, and gives a creation its id.
    fn allow(&self, ctx: &Ctx, operation: &mut Operation) -> Result<Option<ResourceId>, Error> {
        if let Some(ty) = operation.ty_mut() {
            let decl = &ty.compiled.decl;
            let now = self.types().by_name(decl.name.as_str()).filter(|it| it.compiled.decl.path == decl.path);
            *ty = now.ok_or_else(|| Error::NotFound { noun: "type", id: decl.name.to_string() })?;
        }
        match operation {
            Operation::Create { ty, body } => {
                self.may_create(ctx, ty)?;
                return self.take_id(ty, body).map(Some);
            }
            Operation::Patch { ty, id, .. } => self.may_change(ctx, ty, id, &Step::Patch(Value::Null))?,
            Operation::Delete { ty, id, .. } => self.may_change(ctx, ty, id, &Step::Delete)?,
            Operation::Transition { ty, id, .. } => self.require_seen(ctx, ty, id)?,
            // What it takes depends on what is there.
            Operation::Mirror { .. } => {}
            Operation::Publish(events) => self.may_publish(ctx, events)?,
        }
        Ok(None)
    }

    async fn decide_batch(&self, ctx: &Ctx, operations: &[Operation], ids: &[Option<ResourceId>]) -> Result<Decision<BatchWritten>, Error> {
        let tenant = ctx.tenant()?;
        let mut set = ChangeSet::new(tenant.clone(), self.now());
        let mut ahead = Ahead::default();
        let mut stays = Vec::new();
        let mut parts: Vec<(usize, usize, MakeOne)> = Vec::with_capacity(operations.len());
        for (at, (operation, made)) in operations.iter().zip(ids).enumerate() {
            let decided = self.decide_one(ctx, operation, made.as_ref(), &ahead).await;
            let (part, left, make) = decided.map_err(|error| Error::Operation { at, error: Box::new(error) })?;
            ahead.add(&part);
            stays.extend(left);
            parts.push((set.events.len(), part.events.len(), make));
            set.changes.extend(part.changes);
            set.events.extend(part.events);
            if set.events.len() > limits::EVENTS_PER_CHANGE_SET_MAX {
                let error = Error::LimitReached { what: "events of one batch", max: limits::EVENTS_PER_CHANGE_SET_MAX };
                return Err(Error::Operation { at, error: Box::new(error) });
            }
        }
        let last = if set.events.is_empty() { self.inner.store.bounds(&ctx.scope).await?.last } else { 0 };
        let (service, scope) = (self.clone(), ctx.scope.clone());
        let mut decision = Decision::new(set, move |committed: &Committed| {
            let results = parts.iter().map(|(from, count, make)| {
                let events = committed.events.iter().skip(*from).take(*count).cloned().collect();
                make(&Committed { events, sequence: committed.sequence })
            });
            BatchWritten {
                results: results.collect(),
                event: committed.events.last().map(|it| it.id),
                position: service.position(&scope, committed.sequence.max(last)),
            }
        });
        decision.left = stays;
        Ok(decision)
    }

    async fn decide_one(&self, ctx: &Ctx, operation: &Operation, made: Option<&ResourceId>, ahead: &Ahead) -> Result<Part, Error> {
        let tenant = ctx.tenant()?;
        let decision = match operation {
            Operation::Create { ty, body } => {
                let made = made.ok_or_else(|| Error::Internal("a creation of a batch has no id".into()))?;
                self.decide_creation(tenant, ty, made, body, ahead).await?
            }
            Operation::Patch { ty, id, patch, if_match } => {
                self.decide_change(tenant, ty, id, &Step::Patch(patch.clone()), if_match, ahead).await?
            }
            Operation::Delete { ty, id, if_match } => self.decide_change(tenant, ty, id, &Step::Delete, if_match, ahead).await?,
            Operation::Transition { ty, id, name, input, if_match } => {
                let step = Step::Transition { name: name.clone(), input: input.clone(), actor: Actor::from(ctx.authority()) };
                self.decide_change(tenant, ty, id, &step, if_match, ahead).await?
            }
            Operation::Mirror { ty, id, said, if_match } => {
                let before = Before { if_match: if_match.clone(), absent: false };
                self.decide_mirror(ctx, ty, id, said, &before, ahead).await?
            }
            Operation::Publish(events) => {
                let Decision { set, make, .. } = self.decide_publish(ctx, events, ahead).await?;
                return Ok((set, Vec::new(), Box::new(move |committed| Made::Events(make(committed)))));
            }
        };
        let Decision { set, make, left, .. } = decision;
        Ok((set, left, Box::new(move |committed| Made::Resource(make(committed)))))
    }
}

impl Operation {
    /// The resource that it changes, if it is one that may be there.
    fn resource(&self) -> Option<(&ServedType, &ResourceId)> {
        match self {
            Self::Create { .. } | Self::Publish(_) => None,
            Self::Patch { ty, id, .. } | Self::Delete { ty, id, .. } | Self::Transition { ty, id, .. } | Self::Mirror { ty, id, .. } => {
                Some((ty, id))
            }
        }
    }

    fn ty_mut(&mut self) -> Option<&mut Arc<ServedType>> {
        match self {
            Self::Publish(_) => None,
            Self::Create { ty, .. }
            | Self::Patch { ty, .. }
            | Self::Delete { ty, .. }
            | Self::Transition { ty, .. }
            | Self::Mirror { ty, .. } => Some(ty),
        }
    }
}
