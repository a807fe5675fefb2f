//! What is known of deliveries: cursors, exceptions, attempts, skipped ranges.
//!
//! Rows of one subscription lie together in the order of its places. Places say
//! all: the attempts of an event are found through where it stands.

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    readers::Reading,
    replays,
    sql::{self, Columns},
    subscriptions,
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::{
    AttemptId, EventId, TenantId,
    delivery::{Attempt, Exception, ExceptionState, Excerpt, SkippedRange, Timings, Via},
    event::Place,
};
use ringback_ports::store::{AttemptSummary, Deliveries, ReaderAccount, ReaderState, SettleError, Settlement, StoreError};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

macro_rules! attempts {
    ($rest:literal) => {
        concat!(
            "SELECT place, n, id, event, generation, at, via, outcome, reason, status_code, ",
            "dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms, peer, response FROM attempts ",
            $rest
        )
    };
}

macro_rules! exceptions {
    ($rest:literal) => {
        concat!(
            "SELECT place, event, subject, revision, generation, tries, state, at, reason, created_at, expires_at FROM exceptions ",
            $rest
        )
    };
}

#[async_trait]
impl Deliveries for SqliteStore {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        let bytes = 256
            + 1_024 * settlement.attempts.len()
            + 256 * settlement.exceptions.len()
            + 16 * settlement.removed.len()
            + 64 * settlement.skipped.len()
            + settlement.replays.iter().map(|it| 512 + 256 * it.progress.again.len() + 8 * it.progress.above.len()).sum::<usize>();
        self.writer.submit(Entry::OrWait, bytes, move |tx| settle(tx, &settlement)).await?
    }

    async fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, StoreError> {
        self.readers.read(move |it| it.reader(subscription)).await
    }

    async fn cursor(&self, subscription: u32) -> Result<Option<Place>, StoreError> {
        self.readers
            .read(move |it| {
                it.one("SELECT cursor FROM readers WHERE subscription = ?1", [subscription], |row| Columns::of("readers", row).u64())
            })
            .await
    }

    async fn exceptions(&self, subscription: u32, after: Place, limit: usize) -> Result<Vec<Exception>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |it| {
                it.all(
                    exceptions!("WHERE subscription = ?1 AND place > ?2 ORDER BY place LIMIT ?3"),
                    params![subscription, sql::place(after), limit],
                    exception,
                )
            })
            .await
    }

    async fn exception(&self, subscription: u32, place: Place) -> Result<Option<Exception>, StoreError> {
        self.readers
            .read(move |it| {
                it.one(exceptions!("WHERE subscription = ?1 AND place = ?2"), params![subscription, sql::place(place)], exception)
            })
            .await
    }

    async fn attempts(&self, subscription: u32, event: EventId) -> Result<Vec<Attempt>, StoreError> {
        self.readers
            .read(move |it| {
                let Some(place) = it.place_of(subscription, event)? else { return Ok(Vec::new()) };
                it.all(attempts!("WHERE subscription = ?1 AND place = ?2 ORDER BY n"), params![subscription, place], attempt)
            })
            .await
    }

    async fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, StoreError> {
        self.readers.read(move |it| it.attempt_summaries(subscription, from, to)).await
    }

    async fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, StoreError> {
        self.readers.read(move |it| it.account(subscription, from, to)).await
    }

    async fn accounted(&self) -> Result<Vec<u32>, StoreError> {
        self.readers
            .read(|it| {
                it.all(
                    "SELECT subscription FROM readers UNION SELECT subscription FROM skipped
                     UNION SELECT subscription FROM exceptions UNION SELECT subscription FROM attempts
                     UNION SELECT subscription FROM replays ORDER BY 1",
                    [],
                    |row| Columns::of("readers", row).get(),
                )
            })
            .await
    }
}

/// Writes all of it, or says why not and has written nothing.
fn settle(tx: &Tx<'_>, it: &Settlement) -> Result<Result<(), SettleError>, Fault> {
    let generation = tx
        .conn
        .prepare_cached("SELECT generation FROM readers WHERE subscription = ?1")?
        .query_row([it.subscription], |row| row.get::<_, u32>(0))
        .optional()?;
    if generation != Some(it.generation) {
        return Ok(Err(SettleError::Fenced));
    }
    tx.conn
        .prepare_cached("UPDATE readers SET cursor = ?2 WHERE subscription = ?1 AND cursor < ?2")?
        .execute(params![it.subscription, sql::place(it.cursor)])?;
    for attempt in &it.attempts {
        write_attempt(tx, it.subscription, attempt)?;
    }
    for exception in &it.exceptions {
        write_exception(tx, it.subscription, exception)?;
    }
    for place in &it.removed {
        tx.conn
            .prepare_cached("DELETE FROM exceptions WHERE subscription = ?1 AND place = ?2")?
            .execute(params![it.subscription, sql::place(*place)])?;
    }
    for range in &it.skipped {
        tx.conn
            .prepare_cached(
                "DELETE FROM skipped
                 WHERE subscription = ?1 AND from_place = ?2 AND generation = ?3 AND to_place <= ?4 AND why = ?5",
            )?
            .execute(params![it.subscription, sql::place(range.from), range.generation, sql::place(range.to), range.why])?;
        subscriptions::write_skipped(tx, it.subscription, range)?;
    }
    for replay in &it.replays {
        replays::write_progress(tx, replay)?;
    }
    Ok(Ok(()))
}

/// The number under which an attempt is kept whose own is taken: another attempt's, unless it is written over.
fn number(tx: &Tx<'_>, subscription: u32, it: &Attempt) -> Result<u32, Fault> {
    let kept = tx
        .conn
        .prepare_cached("SELECT n FROM attempts WHERE subscription = ?1 AND place = ?2 AND id = ?3")?
        .query_row(params![subscription, sql::place(it.place), sql::id(it.id.bits())], |row| row.get(0))
        .optional()?;
    if let Some(n) = kept {
        return Ok(n);
    }
    let kept_beside = tx
        .conn
        .prepare_cached(
            "SELECT 1 FROM attempts WHERE subscription = ?1 AND place = ?2 AND n = ?3 AND (generation < ?4 OR via = 'replay' OR ?5)",
        )?
        .exists(params![subscription, sql::place(it.place), it.n, it.generation, it.via == Via::Replay])?;
    if !kept_beside {
        return Ok(it.n);
    }
    let last: u32 = tx
        .conn
        .prepare_cached("SELECT max(n) FROM attempts WHERE subscription = ?1 AND place = ?2")?
        .query_row(params![subscription, sql::place(it.place)], |row| row.get(0))?;
    Ok(last.saturating_add(1))
}

macro_rules! write_attempt {
    ($verb:literal) => {
        concat!(
            $verb,
            " INTO attempts (subscription, place, n, id, event, generation, at, via, outcome, reason, status_code,
                             dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms, peer, response)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        )
    };
}

fn write_attempt(tx: &Tx<'_>, subscription: u32, it: &Attempt) -> Result<(), Fault> {
    let response = it.response.as_ref().map(|it| sql::json(&StoredExcerpt::from(it))).transpose()?;
    let write = |sql: &str, n: u32| -> Result<usize, Fault> {
        Ok(tx.conn.prepare_cached(sql)?.execute(params![
            subscription,
            sql::place(it.place),
            n,
            sql::id(it.id.bits()),
            sql::id(it.event.bits()),
            it.generation,
            it.at.as_micros(),
            it.via.as_str(),
            it.outcome,
            it.reason,
            it.status_code,
            it.timings.dns,
            it.timings.connect,
            it.timings.tls,
            it.timings.first_byte,
            it.timings.total,
            it.peer,
            response,
        ])?)
    };
    // Nearly always its number is free, and nothing has to be looked up.
    if write(write_attempt!("INSERT OR IGNORE"), it.n)? == 0 {
        write(write_attempt!("INSERT OR REPLACE"), number(tx, subscription, it)?)?;
    }
    Ok(())
}

fn write_exception(tx: &Tx<'_>, subscription: u32, it: &Exception) -> Result<(), Fault> {
    let (state, at, reason) = match &it.state {
        ExceptionState::Retrying { due_at } => ("retrying", Some(due_at.as_micros()), None),
        ExceptionState::Held => ("held", None, None),
        ExceptionState::Parked { reason, at } => ("parked", Some(at.as_micros()), Some(reason)),
    };
    tx.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO exceptions (subscription, place, event, subject, revision, generation, tries, state, at, reason, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            subscription,
            sql::place(it.place),
            sql::id(it.event.bits()),
            it.subject.as_ref().map(|it| it.as_str()),
            it.revision,
            it.generation,
            it.tries,
            state,
            at,
            reason,
            it.created_at.as_micros(),
            it.expires_at.map(|it| it.as_micros()),
        ])?;
    Ok(())
}

impl Reading {
    fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, Fault> {
        let found = self.one("SELECT cursor, generation FROM readers WHERE subscription = ?1", [subscription], |row| {
            let mut it = Columns::of("readers", row);
            Ok((it.u64()?, it.get::<u32>()?))
        })?;
        let Some((cursor, generation)) = found else { return Ok(None) };
        Ok(Some(ReaderState {
            cursor,
            exceptions: self.all(exceptions!("WHERE subscription = ?1 ORDER BY place"), [subscription], exception)?,
            delivered_above: self.all(
                "SELECT DISTINCT place FROM attempts
                 WHERE subscription = ?1 AND place > ?2 AND generation = ?3 AND outcome = 'delivered' ORDER BY place",
                params![subscription, sql::place(cursor), generation],
                |row| Columns::of("attempts", row).u64(),
            )?,
            skipped: self.skipped(subscription)?,
            replays: self.running_replays(subscription)?,
        }))
    }

    fn skipped(&self, subscription: u32) -> Result<Vec<SkippedRange>, Fault> {
        self.all(
            "SELECT generation, from_place, to_place, why, matched FROM skipped WHERE subscription = ?1
             ORDER BY from_place, generation, to_place",
            [subscription],
            |row| {
                let mut it = Columns::of("skipped", row);
                Ok(SkippedRange { generation: it.get()?, from: it.u64()?, to: it.u64()?, why: it.get()?, matched: it.u64()? })
            },
        )
    }

    fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, Fault> {
        let Some(found) = self.subscription_no(subscription)? else { return Ok(None) };
        let cursor =
            self.one("SELECT cursor FROM readers WHERE subscription = ?1", [subscription], |row| Columns::of("readers", row).u64())?;
        let Some(cursor) = cursor else { return Ok(None) };
        Ok(Some(ReaderAccount {
            subscription: found,
            cursor,
            exceptions: self.all(
                exceptions!("WHERE subscription = ?1 AND place > ?2 AND place <= ?3 ORDER BY place"),
                params![subscription, sql::place(from), sql::place(to)],
                exception,
            )?,
            attempts: self.attempt_summaries(subscription, from, to)?,
            skipped: self.skipped(subscription)?,
        }))
    }

    /// Where an event stands for a subscription, if it is in its scope.
    fn place_of(&self, subscription: u32, event: EventId) -> Result<Option<i64>, Fault> {
        let scope: Option<String> =
            self.one("SELECT scope FROM readers WHERE subscription = ?1", [subscription], |row| Columns::of("readers", row).get())?;
        let Some(scope) = scope else { return Ok(None) };
        let found = self.one("SELECT seq, sequence, tenant FROM events WHERE id = ?1", [sql::id(event.bits())], |row| {
            let mut it = Columns::of("events", row);
            Ok((it.get::<i64>()?, it.get::<i64>()?, it.get::<i64>()?))
        })?;
        let Some((seq, sequence, no)) = found else { return Ok(None) };
        if scope == "*" {
            return Ok(Some(seq));
        }
        let tenant: TenantId = self.tenant(no)?;
        Ok((tenant.as_str() == scope).then_some(sequence))
    }

    fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, Fault> {
        let mut statement =
            self.conn.prepare_cached(attempts!("WHERE subscription = ?1 AND place > ?2 AND place <= ?3 ORDER BY place, n"))?;
        let mut rows = statement.query(params![subscription, sql::place(from), sql::place(to)])?;
        let mut out: Vec<AttemptSummary> = Vec::new();
        while let Some(row) = rows.next()? {
            AttemptSummary::add(&mut out, attempt(row)?);
        }
        Ok(out)
    }
}

fn exception(row: &Row<'_>) -> Result<Exception, Fault> {
    let mut it = Columns::of("exceptions", row);
    let (place, event, subject) = (it.u64()?, EventId::from_bits(it.bits()?), it.name_opt()?);
    let (revision, generation, tries) = (it.get()?, it.get()?, it.get()?);
    let (word, at, reason): (String, _, _) = (it.get()?, it.time_opt()?, it.get::<Option<String>>()?);
    let state = match (word.as_str(), at, reason) {
        ("retrying", Some(due_at), _) => ExceptionState::Retrying { due_at },
        ("held", _, _) => ExceptionState::Held,
        ("parked", Some(at), Some(reason)) => ExceptionState::Parked { reason, at },
        (word, _, _) => return Err(it.broken(format!("`{word}` is no state of ours, or lacks its time"))),
    };
    Ok(Exception { place, event, subject, revision, generation, tries, state, created_at: it.time()?, expires_at: it.time_opt()? })
}

fn attempt(row: &Row<'_>) -> Result<Attempt, Fault> {
    let mut it = Columns::of("attempts", row);
    let (place, n) = (it.u64()?, it.get()?);
    let (id, event) = (AttemptId::from_bits(it.bits()?), EventId::from_bits(it.bits()?));
    Ok(Attempt {
        id,
        event,
        place,
        generation: it.get()?,
        n,
        at: it.time()?,
        via: it.word(Via::parse)?,
        outcome: it.get()?,
        reason: it.get()?,
        status_code: it.get()?,
        timings: Timings { dns: it.get()?, connect: it.get()?, tls: it.get()?, first_byte: it.get()?, total: it.get()? },
        peer: it.get()?,
        response: it
            .get::<Option<String>>()?
            .map(|text| serde_json::from_str::<StoredExcerpt>(&text).map(Excerpt::from).map_err(|why| it.broken(why)))
            .transpose()?,
    })
}

/// An excerpt's stored form.
#[derive(Serialize, Deserialize)]
struct StoredExcerpt {
    headers: Vec<(String, String)>,
    body: String,
    truncated: bool,
}

impl From<&Excerpt> for StoredExcerpt {
    fn from(it: &Excerpt) -> Self {
        Self { headers: it.headers.clone(), body: it.body.clone(), truncated: it.truncated }
    }
}

impl From<StoredExcerpt> for Excerpt {
    fn from(it: StoredExcerpt) -> Self {
        Self { headers: it.headers, body: it.body, truncated: it.truncated }
    }
}
