//! Taking away the front of the log, and what hangs on it.
//!
//! Each call is one short transaction of the writer's, among those of everybody
//! else. The room that it leaves in the file is filled by what comes next.

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    sql::{self, Columns},
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::event::Seq;
use ringback_ports::store::{Retention, StoreError};
use rusqlite::{OptionalExtension, params};

/// The row of `floors` that is of the whole log.
pub(crate) const WHOLE: i64 = 0;
/// Bytes of events that one step removes, roughly.
const STEP_BYTES_MAX: i64 = 8 * 1024 * 1024;

/// Subscriptions that one sweep looks at: each is three statements, also where nothing goes.
const SUBSCRIPTIONS_AT_ONCE: usize = 250;

#[async_trait]
impl Retention for SqliteStore {
    async fn truncate(&self, to: Seq, limit: usize) -> Result<Seq, StoreError> {
        Ok(self.writer.submit(Entry::OrWait, 4_096, move |tx| truncate(tx, to, limit)).await?)
    }

    async fn sweep(&self, from: u32, limit: usize) -> Result<Option<u32>, StoreError> {
        Ok(self.writer.submit(Entry::OrWait, 4_096, move |tx| sweep(tx, from, limit)).await?)
    }
}

fn truncate(tx: &Tx<'_>, to: Seq, limit: usize) -> Result<Seq, Fault> {
    let floor: Option<i64> =
        tx.conn.prepare_cached("SELECT floor FROM floors WHERE tenant = ?1")?.query_row([WHOLE], |row| row.get(0)).optional()?;
    let floor = floor.unwrap_or(0);
    if limit == 0 {
        return Ok(floor.cast_unsigned());
    }
    let mut end = None;
    {
        let (mut seen, mut bytes) = (0, 0_i64);
        let mut rows = tx.conn.prepare_cached("SELECT seq, ends, length(bytes) FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
        let mut rows = rows.query(params![floor, sql::place(to)])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            bytes = bytes.saturating_add(row.get(2)?);
            if row.get(1)? {
                end = Some(row.get::<_, i64>(0)?);
                if seen >= limit || bytes >= STEP_BYTES_MAX {
                    break;
                }
            }
        }
    }
    let Some(end) = end else { return Ok(floor.cast_unsigned()) };
    tx.conn
        .prepare_cached(
            "INSERT INTO floors (tenant, floor, committed_at)
             SELECT tenant, max(sequence), max(committed_at) FROM events WHERE seq <= ?1 GROUP BY tenant
             UNION ALL SELECT ?2, seq, committed_at FROM events WHERE seq = ?1
             ON CONFLICT (tenant) DO UPDATE SET floor = excluded.floor, committed_at = excluded.committed_at",
        )?
        .execute(params![end, WHOLE])?;
    tx.conn.prepare_cached("DELETE FROM events WHERE seq <= ?1")?.execute([end])?;
    Ok(end.cast_unsigned())
}

/// Removes at most `?3` rows of subscription `?1` that lie at or below `?2`.
const SWEEPS: [&str; 3] = [
    "DELETE FROM attempts WHERE (subscription, place, n) IN
         (SELECT subscription, place, n FROM attempts WHERE subscription = ?1 AND place <= ?2 LIMIT ?3)",
    "DELETE FROM exceptions WHERE (subscription, place) IN
         (SELECT subscription, place FROM exceptions WHERE subscription = ?1 AND place <= ?2 LIMIT ?3)",
    "DELETE FROM skipped WHERE (subscription, from_place, generation, to_place) IN
         (SELECT subscription, from_place, generation, to_place FROM skipped
          WHERE subscription = ?1 AND to_place <= ?2 AND to_place <= (SELECT cursor FROM readers WHERE subscription = ?1) LIMIT ?3)",
];

fn sweep(tx: &Tx<'_>, from: u32, limit: usize) -> Result<Option<u32>, Fault> {
    let (mut left, mut looked_at) = (limit, 0);
    let mut readers = tx.conn.prepare_cached(
        "SELECT subscription, floor FROM readers
         JOIN floors ON tenant = CASE scope WHEN '*' THEN 0 ELSE (SELECT no FROM tenant_nos WHERE id = scope) END
         WHERE subscription >= ?1 ORDER BY subscription",
    )?;
    let mut readers = readers.query([from])?;
    while let Some(row) = readers.next()? {
        let mut it = Columns::of("readers", row);
        let (no, floor): (u32, i64) = (it.get()?, it.get()?);
        if looked_at >= SUBSCRIPTIONS_AT_ONCE {
            return Ok(Some(no));
        }
        looked_at += 1;
        for sql in SWEEPS {
            if left > 0 {
                let most = i64::try_from(left).unwrap_or(i64::MAX);
                left = left.saturating_sub(tx.conn.prepare_cached(sql)?.execute(params![no, floor, most])?);
            }
        }
        if left == 0 {
            return Ok(Some(no));
        }
    }
    Ok(None)
}
