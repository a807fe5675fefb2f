//! What the writer knows without asking: the ends of every log.
//!
//! Loaded once at the start. A transaction works on a copy of what it changes,
//! which counts only after its COMMIT succeeded.

use crate::fault::Fault;
use ringback_model::{
    EventType, TenantId, Timestamp,
    event::{Event, Seq, Sequence},
};
use rusqlite::Connection;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Pairs of (type, tenant) of which we know what is written; when there are more, we start over.
const TYPES_MAX: usize = 10_000;

/// As of the last transaction.
#[derive(Debug, Default)]
pub(crate) struct Known {
    seq: Seq,
    committed_at: Option<Timestamp>,
    tenants: BTreeMap<TenantId, Numbered>,
    types: BTreeMap<(i64, EventType), Noted>,
}

/// What is written of an event type of one tenant.
#[derive(Clone, Copy, Debug)]
struct Noted {
    last_seen: Timestamp,
    open: bool,
}

/// How far behind `last_seen` may be: each event would write the row else.
const LAST_SEEN_BEHIND: Duration = Duration::from_secs(60);

/// What stores keep of a tenant beside its id.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    no: i64,
    sequence: Sequence,
}

/// What one transaction changes of it.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Its events, in order.
    pub(crate) events: Vec<Arc<Event>>,
    committed_at: Option<Timestamp>,
    tenants: BTreeMap<TenantId, Numbered>,
    types: BTreeMap<(i64, EventType), Noted>,
}

/// A transaction that is being written.
pub(crate) struct Tx<'a> {
    /// Inside of BEGIN IMMEDIATE.
    pub(crate) conn: &'a Connection,
    known: &'a Known,
    staged: Staged,
}

impl Known {
    /// What the tables say.
    pub(crate) fn load(conn: &Connection) -> Result<Self, Fault> {
        let mut known = Self::default();
        // What retention took has been, too: places go on after it.
        let mut last = conn.prepare(
            "SELECT seq, committed_at FROM (SELECT seq, committed_at FROM events ORDER BY seq DESC LIMIT 1)
             UNION ALL SELECT floor, committed_at FROM floors WHERE tenant = 0 ORDER BY 1 DESC LIMIT 1",
        )?;
        if let Some(row) = last.query([])?.next()? {
            known.seq = row.get::<_, i64>(0)?.cast_unsigned();
            known.committed_at = Some(Timestamp::from_micros(row.get(1)?));
        }
        let mut tenants = conn.prepare(
            "SELECT id, no, coalesce((SELECT max(sequence) FROM events WHERE tenant = no), (SELECT floor FROM floors WHERE tenant = no))
             FROM tenant_nos",
        )?;
        let mut rows = tenants.query([])?;
        while let Some(row) = rows.next()? {
            let id = TenantId::parse(&row.get::<_, String>(0)?).map_err(|it| Fault::row("tenant_nos", it))?;
            let sequence = row.get::<_, Option<i64>>(2)?.unwrap_or(0).cast_unsigned();
            known.tenants.insert(id, Numbered { no: row.get(1)?, sequence });
        }
        Ok(known)
    }

    /// Counts a transaction that is durable.
    pub(crate) fn absorb(&mut self, staged: Staged) {
        self.seq += staged.events.len() as u64;
        self.committed_at = staged.committed_at.or(self.committed_at);
        self.tenants.extend(staged.tenants);
        if self.types.len() + staged.types.len() > TYPES_MAX {
            self.types.clear();
        }
        self.types.extend(staged.types);
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(conn: &'a Connection, known: &'a Known) -> Self {
        Self { conn, known, staged: Staged::default() }
    }

    pub(crate) fn into_staged(self) -> Staged {
        self.staged
    }

    /// The last place given out.
    pub(crate) fn last_seq(&self) -> Seq {
        self.known.seq + self.staged.events.len() as u64
    }

    /// The tenant's last place given out.
    pub(crate) fn last_sequence(&self, tenant: &TenantId) -> Sequence {
        self.numbered(tenant).map_or(0, |it| it.sequence)
    }

    /// The commit time of a change set decided at `at`: never before that of the one before it.
    pub(crate) fn commit_time(&self, at: Timestamp) -> Timestamp {
        self.staged.committed_at.or(self.known.committed_at).map_or(at, |it| it.max(at))
    }

    /// The tenant's number, if it has one.
    pub(crate) fn tenant_no(&self, tenant: &TenantId) -> Option<i64> {
        self.numbered(tenant).map(|it| it.no)
    }

    /// The tenant's number; gives it one if it has none.
    pub(crate) fn number_tenant(&mut self, tenant: &TenantId) -> Result<i64, Fault> {
        if let Some(no) = self.tenant_no(tenant) {
            return Ok(no);
        }
        self.conn.prepare_cached("INSERT INTO tenant_nos (id) VALUES (?1)")?.execute([tenant.as_str()])?;
        let no = self.conn.last_insert_rowid();
        self.staged.tenants.insert(tenant.clone(), Numbered { no, sequence: 0 });
        Ok(no)
    }

    /// Whether an event of this type that is stored at `at` says more than what we know to be written;
    /// it may be in the table all the same. `open`: whether tenants may see it.
    pub(crate) fn note_type(&mut self, no: i64, event_type: &EventType, at: Timestamp, open: bool) -> bool {
        let pair = (no, event_type.clone());
        let before = self.staged.types.get(&pair).or_else(|| self.known.types.get(&pair)).copied();
        if before.is_some_and(|it| it.open >= open && at.since(it.last_seen) < LAST_SEEN_BEHIND) {
            return false;
        }
        self.staged.types.insert(pair, Noted { last_seen: at, open: open || before.is_some_and(|it| it.open) });
        true
    }

    /// Counts events that were written: of one tenant, with the places after the last ones.
    pub(crate) fn count(&mut self, tenant: &TenantId, no: i64, committed_at: Timestamp, events: &[Arc<Event>]) {
        let Some(last) = events.last() else { return };
        self.staged.tenants.insert(tenant.clone(), Numbered { no, sequence: last.sequence });
        self.staged.committed_at = Some(committed_at);
        self.staged.events.extend_from_slice(events);
    }

    fn numbered(&self, tenant: &TenantId) -> Option<Numbered> {
        self.staged.tenants.get(tenant).or_else(|| self.known.tenants.get(tenant)).copied()
    }
}
