//! Erasing: rows are written over, and the pages that they leave are zeroed.
//!
//! SQLite keeps what was deleted in the free room of its pages. The writer's
//! connection zeroes that room in every page that it touches anyway
//! (`secure_delete=fast`); while something is erased, also in pages that become free.
//! Old images of pages lie in the WAL until it is cut (`scrub`).

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    sql::{self, Columns},
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::{
    ErasureId, EventId, Subject, TenantId,
    erasure::{Erasure, Target},
    event::Event,
};
use ringback_ports::store::{Erasures, StoreError};
use rusqlite::{Row, params};
use std::sync::Arc;

#[async_trait]
impl Erasures for SqliteStore {
    async fn erasures(
        &self,
        tenant: Option<&TenantId>,
        after: Option<ErasureId>,
        running: bool,
        limit: usize,
    ) -> Result<Vec<Erasure>, StoreError> {
        let tenant = tenant.map(|it| it.as_str().to_owned());
        let after = after.map(|it| sql::id(it.bits()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |it| {
                it.all(
                    "SELECT id, tenant, kind, target, created_at, erased FROM erasures
                     WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR id > ?2) AND (NOT ?3 OR kind IS NOT NULL) ORDER BY id LIMIT ?4",
                    params![tenant, after, running, limit],
                    erasure,
                )
            })
            .await
    }

    async fn erase(&self, by: ErasureId, left: Vec<Arc<Event>>) -> Result<u64, StoreError> {
        let bytes = 512 * left.len();
        Ok(self.writer.submit(Entry::OrWait, bytes, move |tx| erase(tx, by, &left)).await?)
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        self.writer.cut_wal();
        // The first of these is followed by the cut, the second comes after it.
        for _ in 0..2 {
            self.writer.submit(Entry::OrWait, 0, |_| Ok(())).await?;
        }
        Ok(!self.writer.wal_is_to_be_cut())
    }
}

fn erasure(row: &Row<'_>) -> Result<Erasure, Fault> {
    let mut it = Columns::of("erasures", row);
    let (id, tenant) = (ErasureId::from_bits(it.bits()?), it.name()?);
    let (kind, target): (Option<String>, Option<String>) = (it.get()?, it.get()?);
    let target = match (kind.as_deref(), target) {
        (None, _) => None,
        (Some("tenant"), _) => Some(Target::Tenant),
        (Some("subject"), Some(text)) => Some(Target::Subject(Subject::parse(&text).map_err(|why| it.broken(why))?)),
        (Some("event"), Some(text)) => Some(Target::Event(text.parse::<EventId>().map_err(|why| it.broken(why))?)),
        (Some(kind), _) => return Err(it.broken(format!("`{kind}` is no target of ours, or says not which"))),
    };
    Ok(Erasure { id, tenant, target, created_at: it.time()?, erased: it.u64()? })
}

pub(crate) fn write(tx: &Tx<'_>, it: &Erasure) -> Result<(), Fault> {
    let target = match &it.target {
        Some(Target::Event(id)) => Some(id.to_string()),
        Some(Target::Subject(it)) => Some(it.to_string()),
        Some(Target::Tenant) | None => None,
    };
    tx.conn
        .prepare_cached(
            "INSERT INTO erasures (id, tenant, kind, target, created_at, erased) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, target = excluded.target, erased = excluded.erased",
        )?
        .execute(params![
            sql::id(it.id.bits()),
            it.tenant.as_str(),
            it.target.as_ref().map(Target::as_str),
            target,
            it.created_at.as_micros(),
            it.erased.cast_signed(),
        ])?;
    Ok(())
}

fn erase(tx: &Tx<'_>, by: ErasureId, left: &[Arc<Event>]) -> Result<u64, Fault> {
    secure(tx, "on")?;
    let done = overwrite(tx, left);
    secure(tx, "fast")?;
    let erased = done?;
    tx.conn
        .prepare_cached("UPDATE erasures SET erased = erased + ?2 WHERE id = ?1")?
        .execute(params![sql::id(by.bits()), erased.cast_signed()])?;
    Ok(erased)
}

fn secure(tx: &Tx<'_>, how: &str) -> Result<(), Fault> {
    Ok(tx.conn.pragma_update_and_check(None, "secure_delete", how, |_| Ok(()))?)
}

fn overwrite(tx: &Tx<'_>, left: &[Arc<Event>]) -> Result<u64, Fault> {
    let mut erased = 0;
    for event in left {
        let changed = tx
            .conn
            .prepare_cached(
                "UPDATE events SET bytes = ?2, subject = NULL, key = NULL, expires_at = NULL, erased_at = ?3
                 WHERE id = ?1 AND erased_at IS NULL",
            )?
            .execute(params![sql::id(event.id.bits()), &*event.bytes, event.erased_at.map(|it| it.as_micros())])?;
        if changed == 0 {
            continue;
        }
        erased += 1;
        for (scope, place) in [(event.tenant.as_str(), event.sequence), ("*", event.seq)] {
            tx.conn
                .prepare_cached(
                    "UPDATE attempts SET response = NULL WHERE place = ?2 AND response IS NOT NULL
                     AND subscription IN (SELECT subscription FROM readers WHERE scope = ?1)",
                )?
                .execute(params![scope, sql::place(place)])?;
            tx.conn
                .prepare_cached(
                    "DELETE FROM exceptions WHERE place = ?2 AND subscription IN (SELECT subscription FROM readers WHERE scope = ?1)",
                )?
                .execute(params![scope, sql::place(place)])?;
        }
    }
    Ok(erased)
}
