//! Reading the log. Places of a tenant are found through one index, places of all are row ids.
//!
//! Not here: writing it (`commit`).

use crate::{
    SqliteStore,
    commit::commit,
    fault::Fault,
    readers::Reading,
    retention::WHOLE,
    sql::{self, Columns},
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::{
    EventId, EventType, Subject, TenantId, Timestamp,
    event::{Event, OfResource, Place, Scope},
    key::Authority,
    resource::Version,
};
use ringback_ports::store::{Bounds, Change, ChangeSet, CommitError, Committed, Listener, Log, SeenType, Slice, StoreError};
use rusqlite::{Params, Row, params};
use std::sync::{Arc, PoisonError};

/// The columns that `decode` reads, behind a SELECT.
macro_rules! events {
    ($rest:literal) => {
        concat!(
            "SELECT seq, tenant, sequence, id, type, subject, key, audience, timestamp, ends, ",
            "resource_type, resource_id, version, entered, deleted, bytes, expires_at, erased_at FROM events ",
            $rest
        )
    };
}

pub(crate) use events;

/// In order of type, so that the primary key is walked and nothing is sorted.
pub(crate) const SEEN: &str = "SELECT type, max(last_seen) FROM event_types WHERE type > ?1 AND (?2 IS NULL OR tenant = ?2)
    AND (open OR NOT ?3) GROUP BY type ORDER BY type LIMIT ?4";
pub(crate) const EVENTS_AFTER_ALL: &str = events!("WHERE seq > ?1 AND ?2 IS NULL ORDER BY seq");
pub(crate) const EVENTS_AFTER_TENANT: &str = events!("WHERE sequence > ?1 AND tenant = ?2 ORDER BY sequence");
/// Sorted by row id out of the index alone, then looked up one by one: no row is read only to be sorted.
pub(crate) const SUBJECT_ALL: &str =
    events!("WHERE seq IN (SELECT seq FROM events WHERE subject = ?1 AND seq > ?2 AND ?3 IS NULL) ORDER BY seq");
pub(crate) const SUBJECT_TENANT: &str = events!("WHERE subject = ?1 AND sequence > ?2 AND tenant = ?3 ORDER BY sequence");
pub(crate) const OF_VERSION: &str = events!("WHERE subject = ?1 AND tenant = ?2 AND version = ?3 ORDER BY sequence LIMIT 1");

#[async_trait]
impl Log for SqliteStore {
    async fn commit(&self, set: ChangeSet) -> Result<Committed, CommitError> {
        let bytes = weight(&set);
        self.writer.submit(Entry::OrRefuse, bytes, move |tx| commit(tx, set)).await?
    }

    fn listen(&self, listener: Listener) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    async fn bounds(&self, scope: &Scope) -> Result<Bounds, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |it| it.bounds(&scope)).await
    }

    async fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |it| it.events_after(&scope, after, slice)).await
    }

    async fn events_before(&self, scope: &Scope, before: Place, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let scope = scope.clone();
        let (before, limit) = (sql::place(before), i64::try_from(limit).unwrap_or(i64::MAX));
        self.readers
            .read(move |it| match it.numbered(&scope)? {
                Numbered::All => it.events(events!("WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"), params![before, limit]),
                Numbered::Tenant(no) => {
                    it.events(events!("WHERE tenant = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3"), params![no, before, limit])
                }
                Numbered::Nobody => Ok(Vec::new()),
            })
            .await
    }

    async fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, StoreError> {
        let (scope, subject) = (scope.clone(), subject.clone());
        self.readers.read(move |it| it.events_of_subject(&scope, &subject, after, slice)).await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Arc<Event>>, StoreError> {
        let scope = scope.clone();
        self.readers
            .read(move |it| {
                let found = it.event(events!("WHERE id = ?1"), [sql::id(id.bits())])?;
                Ok(found.filter(|it| scope.holds(&it.tenant)))
            })
            .await
    }

    async fn event_at(&self, scope: &Scope, place: Place) -> Result<Option<Arc<Event>>, StoreError> {
        let scope = scope.clone();
        self.readers
            .read(move |it| match it.numbered(&scope)? {
                Numbered::All => it.event(events!("WHERE seq = ?1"), [sql::place(place)]),
                Numbered::Tenant(no) => it.event(events!("WHERE tenant = ?1 AND sequence = ?2"), params![no, sql::place(place)]),
                Numbered::Nobody => Ok(None),
            })
            .await
    }

    async fn event_by_key(&self, tenant: &TenantId, key: &str) -> Result<Option<Arc<Event>>, StoreError> {
        let (tenant, key) = (tenant.clone(), key.to_owned());
        self.readers
            .read(move |it| match it.tenant_no(&tenant)? {
                Some(no) => it.event(events!("WHERE tenant = ?1 AND key = ?2"), params![no, key]),
                None => Ok(None),
            })
            .await
    }

    async fn event_of_version(&self, tenant: &TenantId, subject: &Subject, version: Version) -> Result<Option<Arc<Event>>, StoreError> {
        let (tenant, subject) = (tenant.clone(), subject.clone());
        self.readers
            .read(move |it| match it.tenant_no(&tenant)? {
                Some(no) => it.event(OF_VERSION, params![subject.as_str(), no, version.cast_signed()]),
                None => Ok(None),
            })
            .await
    }

    async fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |it| it.place_before(&scope, time)).await
    }

    async fn event_type_seen(&self, scope: &Scope, event_type: &EventType) -> Result<bool, StoreError> {
        let (scope, event_type) = (scope.clone(), event_type.clone());
        self.readers
            .read(move |it| {
                let (sql, no) = match it.numbered(&scope)? {
                    Numbered::All => ("SELECT 1 FROM event_types WHERE type = ?1 AND ?2 IS NULL LIMIT 1", None),
                    Numbered::Tenant(no) => ("SELECT 1 FROM event_types WHERE type = ?1 AND tenant = ?2", Some(no)),
                    Numbered::Nobody => return Ok(false),
                };
                Ok(it.conn.prepare_cached(sql)?.exists(params![event_type.as_str(), no])?)
            })
            .await
    }

    async fn event_types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        after: Option<&EventType>,
        limit: usize,
    ) -> Result<Vec<SeenType>, StoreError> {
        let scope = scope.clone();
        let after = after.map_or_else(String::new, ToString::to_string);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let open = authority == Authority::Tenant;
        self.readers
            .read(move |it| {
                let no = match it.numbered(&scope)? {
                    Numbered::All => None,
                    Numbered::Tenant(no) => Some(no),
                    Numbered::Nobody => return Ok(Vec::new()),
                };
                it.all(SEEN, params![after, no, open, limit], |row| {
                    let mut it = Columns::of("event_types", row);
                    Ok(SeenType { event_type: it.name()?, last_seen: it.time()? })
                })
            })
            .await
    }
}

/// About how much memory a change set holds while it waits.
fn weight(set: &ChangeSet) -> usize {
    let events = set.events.iter().map(|it| 512 + it.data.len() + it.previous.as_ref().map_or(0, |it| it.len()));
    // A row is about as large as the image in its event.
    let rows = set.changes.iter().map(|it| match it {
        Change::Resource { .. } => 512,
        Change::Type { .. } => 16 * 1024,
        _ => 2 * 1024,
    });
    512 + 2 * events.sum::<usize>() + rows.sum::<usize>()
}

/// A scope, with the tenant's number.
#[derive(Clone, Copy)]
pub(crate) enum Numbered {
    All,
    Tenant(i64),
    /// A tenant without any row.
    Nobody,
}

impl Reading {
    pub(crate) fn numbered(&self, scope: &Scope) -> Result<Numbered, Fault> {
        Ok(match scope {
            Scope::All => Numbered::All,
            Scope::Tenant(tenant) => self.tenant_no(tenant)?.map_or(Numbered::Nobody, Numbered::Tenant),
        })
    }

    fn ends(&self, scope: &Scope) -> Result<(Option<Place>, Option<Place>), Fault> {
        // min and max in one SELECT would read everything between them.
        let read = |row: &Row<'_>| {
            let mut it = Columns::of("events", row);
            Ok((it.get::<Option<i64>>()?.map(i64::cast_unsigned), it.get::<Option<i64>>()?.map(i64::cast_unsigned)))
        };
        let ends = match self.numbered(scope)? {
            Numbered::All => self.one("SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)", [], read)?,
            Numbered::Tenant(no) => self.one(
                "SELECT (SELECT min(sequence) FROM events WHERE tenant = ?1), (SELECT max(sequence) FROM events WHERE tenant = ?1)",
                [no],
                read,
            )?,
            Numbered::Nobody => None,
        };
        Ok(ends.unwrap_or((None, None)))
    }

    /// What retention took of this scope.
    fn floor(&self, scope: &Scope) -> Result<Place, Fault> {
        let no = match self.numbered(scope)? {
            Numbered::All => WHOLE,
            Numbered::Tenant(no) => no,
            Numbered::Nobody => return Ok(0),
        };
        Ok(self.one("SELECT floor FROM floors WHERE tenant = ?1", [no], |row| Columns::of("floors", row).u64())?.unwrap_or(0))
    }

    fn bounds(&self, scope: &Scope) -> Result<Bounds, Fault> {
        let (_, last) = self.ends(scope)?;
        let floor = self.floor(scope)?;
        let last = last.unwrap_or(floor);
        let epoch = self.one("SELECT epoch FROM about", [], |row| Columns::of("about", row).get())?;
        let epoch = epoch.ok_or_else(|| Fault::row("about", "there is none"))?;
        Ok(Bounds { first: floor + 1, last, floor, epoch })
    }

    pub(crate) fn event(&self, sql: &str, params: impl Params) -> Result<Option<Arc<Event>>, Fault> {
        self.one(sql, params, |row| self.decode(row))
    }

    fn events(&self, sql: &str, params: impl Params) -> Result<Vec<Arc<Event>>, Fault> {
        self.all(sql, params, |row| self.decode(row))
    }

    fn events_after(&self, scope: &Scope, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, Fault> {
        let (sql, no) = match self.numbered(scope)? {
            Numbered::All => (EVENTS_AFTER_ALL, None),
            Numbered::Tenant(no) => (EVENTS_AFTER_TENANT, Some(no)),
            Numbered::Nobody => return Ok(Vec::new()),
        };
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![sql::place(after), no])?;
        let (mut page, mut set, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        while page.len() < slice.events_max
            && let Some(row) = rows.next()?
        {
            let event = self.decode(row)?;
            bytes = bytes.saturating_add(event.bytes.len());
            if bytes > slice.bytes_max && !page.is_empty() {
                break; // this change set does not fit any more
            }
            let ends = event.ends_change_set;
            set.push(event);
            if ends {
                page.append(&mut set);
            }
        }
        Ok(page)
    }

    fn events_of_subject(&self, scope: &Scope, subject: &Subject, after: Place, slice: Slice) -> Result<Vec<Arc<Event>>, Fault> {
        let (sql, no) = match self.numbered(scope)? {
            Numbered::All => (SUBJECT_ALL, None),
            Numbered::Tenant(no) => (SUBJECT_TENANT, Some(no)),
            Numbered::Nobody => return Ok(Vec::new()),
        };
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![subject.as_str(), sql::place(after), no])?;
        let (mut page, mut bytes) = (Vec::new(), 0_usize);
        while page.len() < slice.events_max
            && let Some(row) = rows.next()?
        {
            let event = self.decode(row)?;
            bytes = bytes.saturating_add(event.bytes.len());
            if bytes > slice.bytes_max && !page.is_empty() {
                break;
            }
            page.push(event);
        }
        Ok(page)
    }

    /// Halves the log until the place is found: commit times never fall, so no index is needed.
    fn place_before(&self, scope: &Scope, time: Timestamp) -> Result<Place, Fault> {
        let (Some(first), Some(last)) = self.ends(scope)? else { return Ok(0) };
        let numbered = self.numbered(scope)?;
        let committed_before = |place: Place| -> Result<bool, Fault> {
            let read = |row: &Row<'_>| Columns::of("events", row).time();
            let place = sql::place(place);
            let at = match numbered {
                Numbered::All => self.one("SELECT committed_at FROM events WHERE seq = ?1", [place], read)?,
                Numbered::Tenant(no) => {
                    self.one("SELECT committed_at FROM events WHERE tenant = ?1 AND sequence = ?2", params![no, place], read)?
                }
                Numbered::Nobody => None,
            };
            Ok(at.is_some_and(|it| it < time))
        };
        // Everything below `low` was committed before `time`, nothing at or above `high` was.
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if committed_before(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(if low == first { 0 } else { low - 1 })
    }

    fn decode(&self, row: &Row<'_>) -> Result<Arc<Event>, Fault> {
        let mut it = Columns::of("events", row);
        let seq = it.u64()?;
        let tenant = self.tenant(it.get()?)?;
        let sequence = it.u64()?;
        let id = EventId::from_bits(it.bits()?);
        let event_type = it.name()?;
        let subject = it.name_opt()?;
        let key = it.get()?;
        let audience = it.word(authority)?;
        let timestamp = it.time()?;
        let ends_change_set = it.get()?;
        let of = match it.name_opt()? {
            Some(type_name) => {
                Some(OfResource { type_name, id: it.name()?, version: it.u64()?, entered: it.name_opt()?, deleted: it.get()? })
            }
            None => {
                it.skip(4);
                None
            }
        };
        let bytes = it.get::<Vec<u8>>()?.into();
        let (expires_at, erased_at) = (it.time_opt()?, it.time_opt()?);
        Ok(Arc::new(Event {
            seq,
            sequence,
            tenant,
            id,
            event_type,
            timestamp,
            subject,
            key,
            expires_at,
            audience,
            of,
            erased_at,
            ends_change_set,
            bytes,
        }))
    }
}

pub(crate) fn authority(text: &str) -> Option<Authority> {
    [Authority::Tenant, Authority::Operator].into_iter().find(|it| it.as_str() == text)
}
