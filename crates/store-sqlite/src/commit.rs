//! One change set inside of the writer's transaction.
//!
//! First everything that may refuse it is looked at, and nothing is written;
//! then everything is written, and nothing may refuse it any more. So a refusal
//! leaves no trace without a savepoint of its own, and costs its neighbours
//! nothing. What earlier changes of the same set will have written is kept in
//! an overlay while we look.
//!
//! Not here: reading the log (`log`), rows of each noun (the files named after them).

use crate::{erasures, fault::Fault, known::Tx, replays, resources, sql, subscriptions, tenants};
use ringback_model::{
    EventId, KeyId, ReplayId, ResourceId, SubscriptionId, TenantId, Timestamp, TypeName, event::Event, key::Authority,
    limits::EVENTS_PER_CHANGE_SET_MAX, resource::Version,
};
use ringback_ports::store::{Change, ChangeSet, CommitError, Committed, Expected, NewAnswer, Refused, StoreError};
use rusqlite::{OptionalExtension, params};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Looks, then writes. `Ok(Err(_))` has written nothing.
pub(crate) fn commit(tx: &mut Tx<'_>, set: ChangeSet) -> Result<Result<Committed, CommitError>, Fault> {
    if let Some(refused) = look(tx, &set)? {
        return Ok(Err(refused));
    }
    let ChangeSet { tenant, at, changes, events, answer, audit } = set;
    let committed = place(tx, &tenant, events);
    let answer = match answer.map(|it| make(it, &committed)).transpose() {
        Ok(answer) => answer,
        Err(refused) => return Ok(Err(refused)),
    };

    for change in changes {
        write(tx, change)?;
    }
    write_events(tx, &tenant, at, &committed.events)?;
    if let Some(answer) = answer {
        tx.conn
            .prepare_cached(
                "INSERT INTO answers (scope, fingerprint, expires_at, answer) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (scope) DO UPDATE
                 SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, answer = excluded.answer",
            )?
            .execute(params![answer.scope, answer.fingerprint, answer.expires_at.as_micros(), answer.bytes])?;
    }
    if let Some(entry) = audit {
        tx.conn.prepare_cached("INSERT INTO audit (tenant, at, actor, action, object) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            tenant.as_str(),
            at.as_micros(),
            entry.actor.map(|it| sql::id(it.bits())),
            entry.action,
            entry.object
        ])?;
    }
    Ok(Ok(committed))
}

/// Everything that may refuse the set, in the order in which it is said: answer, changes, events.
fn look(tx: &Tx<'_>, set: &ChangeSet) -> Result<Option<CommitError>, Fault> {
    if set.events.len() > EVENTS_PER_CHANGE_SET_MAX {
        let why = format!("a change set of {} events; {EVENTS_PER_CHANGE_SET_MAX} are the most", set.events.len());
        return Ok(Some(StoreError::Broken(why).into()));
    }
    if let Some(answer) = &set.answer
        && tx
            .conn
            .prepare_cached("SELECT 1 FROM answers WHERE scope = ?1 AND expires_at > ?2")?
            .exists(params![answer.scope, set.at.as_micros()])?
    {
        return Ok(Some(CommitError::Refused(Refused::AnswerTaken)));
    }
    let mut overlay = Overlay::default();
    for (at, change) in set.changes.iter().enumerate() {
        if let Some(refused) = overlay.look(tx, at, change)? {
            return Ok(Some(CommitError::Refused(refused)));
        }
    }
    look_at_events(tx, set)
}

fn look_at_events(tx: &Tx<'_>, set: &ChangeSet) -> Result<Option<CommitError>, Fault> {
    let tenant = tx.tenant_no(&set.tenant);
    let mut keys: BTreeMap<&str, EventId> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (event, draft) in set.events.iter().enumerate() {
        if let Some(key) = draft.key.as_deref() {
            let by = match keys.insert(key, draft.id) {
                Some(by) => Some(by),
                None => tx
                    .conn
                    .prepare_cached("SELECT id FROM events WHERE tenant = ?1 AND key = ?2")?
                    .query_row(params![tenant, key], |row| row.get::<_, [u8; 16]>(0))
                    .optional()?
                    .map(|it| EventId::from_bits(u128::from_be_bytes(it))),
            };
            if let Some(by) = by {
                return Ok(Some(CommitError::Refused(Refused::EventKeyTaken { event, by })));
            }
        }
        let there = tx.conn.prepare_cached("SELECT 1 FROM events WHERE id = ?1")?.exists([sql::id(draft.id.bits())])?;
        if there || !ids.insert(draft.id) {
            return Ok(Some(StoreError::Broken(format!("{} is in the log already", draft.id)).into()));
        }
    }
    Ok(None)
}

/// Gives the events the next places.
fn place(tx: &Tx<'_>, tenant: &TenantId, drafts: Vec<ringback_model::event::EventDraft>) -> Committed {
    let (mut seq, mut sequence) = (tx.last_seq(), tx.last_sequence(tenant));
    let mut left = drafts.len();
    let mut events = Vec::with_capacity(left);
    for draft in drafts {
        seq += 1;
        sequence += 1;
        left -= 1;
        events.push(Arc::new(draft.place(tenant.clone(), seq, sequence, left == 0)));
    }
    Committed { events, sequence }
}

struct Answer {
    scope: [u8; 32],
    fingerprint: [u8; 32],
    expires_at: Timestamp,
    bytes: Vec<u8>,
}

/// Calls code of the service: it may panic, and must not take the writer with it.
fn make(new: NewAnswer, committed: &Committed) -> Result<Answer, CommitError> {
    let NewAnswer { scope, fingerprint, expires_at, answer } = new;
    catch_unwind(AssertUnwindSafe(|| answer(committed)))
        .map(|bytes| Answer { scope, fingerprint, expires_at, bytes })
        .map_err(|_| StoreError::Broken("making the answer to keep panicked".into()).into())
}

fn write(tx: &mut Tx<'_>, change: Change) -> Result<(), Fault> {
    match change {
        Change::Resource { row, .. } => resources::write(tx, &row),
        Change::Tenant { tenant, .. } => tenants::write_tenant(tx, &tenant),
        Change::Key { key } => tenants::write_key(tx, &key),
        Change::KeyDelete { id } => tenants::delete_key(tx, id),
        Change::Subscription { subscription, cursor, skipped, .. } => subscriptions::write(tx, &subscription, cursor, &skipped),
        Change::SubscriptionDelete { no, .. } => subscriptions::delete(tx, no),
        Change::Replay { replay } => replays::write(tx, &replay),
        Change::ReplayDelete { id } => replays::delete(tx, id),
        Change::Hold { held } => tenants::hold(tx, held),
        Change::Erasure { erasure } => erasures::write(tx, &erasure),
        Change::Type { stored, .. } => tenants::write_type(tx, &stored),
        Change::TypeDelete { name, .. } => tenants::delete_type(tx, &name),
    }
}

fn write_events(tx: &mut Tx<'_>, tenant: &TenantId, at: Timestamp, events: &[Arc<Event>]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let no = tx.number_tenant(tenant)?;
    let committed_at = tx.commit_time(at);
    for event in events {
        let of = event.of.as_ref();
        tx.conn
            .prepare_cached(
                "INSERT INTO events (seq, tenant, sequence, id, type, subject, key, audience, timestamp, committed_at, ends,
                                     resource_type, resource_id, version, entered, deleted, bytes, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            )?
            .execute(params![
                event.seq.cast_signed(),
                no,
                event.sequence.cast_signed(),
                sql::id(event.id.bits()),
                event.event_type.as_str(),
                event.subject.as_ref().map(|it| it.as_str()),
                event.key,
                event.audience.as_str(),
                event.timestamp.as_micros(),
                committed_at.as_micros(),
                event.ends_change_set,
                of.map(|it| it.type_name.as_str()),
                of.map(|it| it.id.as_str()),
                of.map(|it| it.version.cast_signed()),
                of.and_then(|it| it.entered.as_ref()).map(|it| it.as_str()),
                of.map(|it| it.deleted),
                &*event.bytes,
                event.expires_at.map(|it| it.as_micros()),
            ])?;
        let open = event.audience == Authority::Tenant;
        if tx.note_type(no, &event.event_type, committed_at, open) {
            tx.conn
                .prepare_cached(
                    "INSERT INTO event_types (type, tenant, last_seen, open) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (type, tenant) DO UPDATE
                     SET last_seen = max(last_seen, excluded.last_seen), open = max(open, excluded.open)",
                )?
                .execute(params![event.event_type.as_str(), no, committed_at.as_micros(), open])?;
        }
    }
    tx.count(tenant, no, committed_at, events);
    Ok(())
}

/// The rows as the changes looked at so far will leave them.
#[derive(Default)]
struct Overlay<'a> {
    rows: BTreeMap<RowKey<'a>, Option<Version>>,
    subscriptions: BTreeMap<u32, Option<Named>>,
    replays: BTreeSet<ReplayId>,
}

/// Who has a subscription's number.
#[derive(Clone, PartialEq, Eq)]
struct Named {
    tenant: TenantId,
    id: SubscriptionId,
    version: Version,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum RowKey<'a> {
    Resource(&'a TenantId, &'a TypeName, &'a ResourceId),
    Tenant(&'a TenantId),
    Key(KeyId),
    Type(&'a TypeName),
}

impl<'a> Overlay<'a> {
    fn look(&mut self, tx: &Tx<'_>, at: usize, change: &'a Change) -> Result<Option<Refused>, Fault> {
        match change {
            Change::Resource { row, expected } => {
                let it = &row.resource;
                let key = RowKey::Resource(&it.tenant, &it.type_name, &it.id);
                self.expect(tx, at, key, *expected, Some(it.version))
            }
            Change::Tenant { tenant, expected } => self.expect(tx, at, RowKey::Tenant(&tenant.id), *expected, Some(tenant.version)),
            Change::Hold { .. } | Change::Erasure { .. } => Ok(None),
            Change::Key { key } => {
                self.rows.insert(RowKey::Key(key.id), Some(0));
                Ok(None)
            }
            Change::KeyDelete { id } => {
                let found = self.found(tx, &RowKey::Key(*id))?;
                self.rows.insert(RowKey::Key(*id), None);
                Ok(found.is_none().then_some(Refused::Version { change: at, found: None }))
            }
            Change::Type { stored, expected } => self.expect(tx, at, RowKey::Type(&stored.name), *expected, Some(stored.version)),
            Change::TypeDelete { name, expected } => self.expect(tx, at, RowKey::Type(name), *expected, None),
            Change::Subscription { subscription: it, expected, .. } => {
                let numbered = self.numbered(tx, it.no)?;
                let is_namesake = |other: &Named| other.tenant == it.tenant && other.id == it.id;
                if numbered.as_ref().is_some_and(|it| !is_namesake(it))
                    || self.namesake(tx, &it.tenant, &it.id)?.is_some_and(|no| no != it.no)
                {
                    return Ok(Some(Refused::Exists { change: at }));
                }
                let after = Named { tenant: it.tenant.clone(), id: it.id.clone(), version: it.version };
                self.subscriptions.insert(it.no, Some(after));
                Ok(check(at, *expected, numbered.map(|it| it.version)))
            }
            Change::Replay { replay } => {
                let taken = !self.replays.insert(replay.id) || replays::exists(tx, replay.id)?;
                Ok(taken.then_some(Refused::Exists { change: at }))
            }
            Change::ReplayDelete { .. } => Ok(None),
            Change::SubscriptionDelete { no, expected } => {
                let numbered = self.numbered(tx, *no)?;
                self.subscriptions.insert(*no, None);
                Ok(check(at, *expected, numbered.map(|it| it.version)))
            }
        }
    }

    fn expect(
        &mut self,
        tx: &Tx<'_>,
        at: usize,
        key: RowKey<'a>,
        expected: Expected,
        after: Option<Version>,
    ) -> Result<Option<Refused>, Fault> {
        let found = self.found(tx, &key)?;
        self.rows.insert(key, after);
        Ok(check(at, expected, found))
    }

    fn found(&self, tx: &Tx<'_>, key: &RowKey<'_>) -> Result<Option<Version>, Fault> {
        if let Some(found) = self.rows.get(key) {
            return Ok(*found);
        }
        let version = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let found = match key {
            RowKey::Resource(tenant, type_name, id) => match tx.tenant_no(tenant) {
                Some(no) => tx
                    .conn
                    .prepare_cached("SELECT version FROM resources WHERE tenant = ?1 AND type = ?2 AND id = ?3")?
                    .query_row(params![no, type_name.as_str(), id.as_str()], version)
                    .optional()?,
                None => None,
            },
            RowKey::Tenant(id) => {
                tx.conn.prepare_cached("SELECT version FROM tenants WHERE id = ?1")?.query_row([id.as_str()], version).optional()?
            }
            RowKey::Key(id) => {
                tx.conn.prepare_cached("SELECT 0 FROM keys WHERE id = ?1")?.query_row([sql::id(id.bits())], version).optional()?
            }
            RowKey::Type(name) => {
                tx.conn.prepare_cached("SELECT version FROM types WHERE name = ?1")?.query_row([name.as_str()], version).optional()?
            }
        };
        Ok(found.map(i64::cast_unsigned))
    }

    fn numbered(&self, tx: &Tx<'_>, no: u32) -> Result<Option<Named>, Fault> {
        if let Some(found) = self.subscriptions.get(&no) {
            return Ok(found.clone());
        }
        let found = tx
            .conn
            .prepare_cached("SELECT tenant, id, version FROM subscriptions WHERE no = ?1")?
            .query_row([no], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))
            .optional()?;
        let Some((tenant, id, version)) = found else { return Ok(None) };
        let broken = |it| Fault::row("subscriptions", it);
        Ok(Some(Named {
            tenant: TenantId::parse(&tenant).map_err(broken)?,
            id: SubscriptionId::parse(&id).map_err(broken)?,
            version: version.cast_unsigned(),
        }))
    }

    fn namesake(&self, tx: &Tx<'_>, tenant: &TenantId, id: &SubscriptionId) -> Result<Option<u32>, Fault> {
        let is_it = |it: &Option<Named>| it.as_ref().is_some_and(|it| it.tenant == *tenant && it.id == *id);
        if let Some((no, _)) = self.subscriptions.iter().find(|(_, it)| is_it(it)) {
            return Ok(Some(*no));
        }
        let stored: Option<u32> = tx
            .conn
            .prepare_cached("SELECT no FROM subscriptions WHERE tenant = ?1 AND id = ?2")?
            .query_row(params![tenant.as_str(), id.as_str()], |row| row.get(0))
            .optional()?;
        Ok(stored.filter(|no| !self.subscriptions.contains_key(no)))
    }
}

/// Whether what was found is what a change expects.
fn check(change: usize, expected: Expected, found: Option<Version>) -> Option<Refused> {
    match (expected, found) {
        (Expected::Absent, None) => None,
        (Expected::Absent, Some(_)) => Some(Refused::Exists { change }),
        (Expected::Version(wanted), Some(found)) if wanted == found => None,
        (Expected::Version(_), found) => Some(Refused::Version { change, found }),
    }
}
