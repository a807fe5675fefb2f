//! Replays at rest: what was asked for, and how far it is, as JSON of our own.
//!
//! The first is written once; the second by settlements, together with what the replay did.

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    readers::Reading,
    sql::{self, Columns},
};
use async_trait::async_trait;
use ringback_model::{
    EventId, ReplayId, TenantId, Timestamp,
    delivery::{Exception, ExceptionState},
    event::Place,
    replay::{Only, Progress, Replay, ReplayState},
    subscription::{Generation, TypePattern},
};
use ringback_ports::store::{Replays, StoreError};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

macro_rules! replays {
    ($rest:literal) => {
        concat!("SELECT id, subscription, tenant, state, body, progress FROM replays ", $rest)
    };
}

#[async_trait]
impl Replays for SqliteStore {
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.readers.read(move |it| it.one(replays!("WHERE id = ?1"), [sql::id(id.bits())], decode)).await
    }

    async fn replays(
        &self,
        tenant: Option<&TenantId>,
        subscription: Option<u32>,
        before: Option<ReplayId>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        let tenant = tenant.map(|it| it.as_str().to_owned());
        let before = before.map_or([u8::MAX; 16], |it| sql::id(it.bits()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |it| match (&tenant, subscription) {
                (_, Some(no)) => it.all(
                    replays!("WHERE subscription = ?1 AND id < ?2 AND (?3 IS NULL OR tenant = ?3) ORDER BY id DESC LIMIT ?4"),
                    params![no, before, tenant, limit],
                    decode,
                ),
                (Some(tenant), None) => {
                    it.all(replays!("WHERE tenant = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"), params![tenant, before, limit], decode)
                }
                (None, None) => it.all(replays!("WHERE id < ?1 ORDER BY id DESC LIMIT ?2"), params![before, limit], decode),
            })
            .await
    }
}

impl Reading {
    /// The replays of a subscription that run, oldest first.
    pub(crate) fn running_replays(&self, subscription: u32) -> Result<Vec<Replay>, Fault> {
        self.all(replays!("WHERE subscription = ?1 AND state = 'running' ORDER BY id"), [subscription], decode)
    }
}

/// Whether there is one of this id.
pub(crate) fn exists(tx: &Tx<'_>, id: ReplayId) -> Result<bool, Fault> {
    Ok(tx.conn.prepare_cached("SELECT 1 FROM replays WHERE id = ?1")?.exists([sql::id(id.bits())])?)
}

/// Writes a new replay.
pub(crate) fn write(tx: &Tx<'_>, it: &Replay) -> Result<(), Fault> {
    tx.conn
        .prepare_cached("INSERT INTO replays (id, subscription, tenant, state, body, progress) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            sql::id(it.id.bits()),
            it.subscription,
            it.tenant.as_str(),
            it.progress.state.as_str(),
            sql::json(&Body::from(it))?,
            sql::json(&StoredProgress::from(&it.progress))?,
        ])?;
    Ok(())
}

/// Writes how far a replay is, if it is still there.
pub(crate) fn write_progress(tx: &Tx<'_>, it: &Replay) -> Result<(), Fault> {
    tx.conn.prepare_cached("UPDATE replays SET state = ?2, progress = ?3 WHERE id = ?1")?.execute(params![
        sql::id(it.id.bits()),
        it.progress.state.as_str(),
        sql::json(&StoredProgress::from(&it.progress))?
    ])?;
    Ok(())
}

/// Removes a replay.
pub(crate) fn delete(tx: &Tx<'_>, id: ReplayId) -> Result<(), Fault> {
    tx.conn.prepare_cached("DELETE FROM replays WHERE id = ?1")?.execute([sql::id(id.bits())])?;
    Ok(())
}

fn decode(row: &Row<'_>) -> Result<Replay, Fault> {
    let mut it = Columns::of("replays", row);
    let (id, subscription, tenant) = (ReplayId::from_bits(it.bits()?), it.get()?, it.name()?);
    let state = it.word(ReplayState::parse)?;
    let (body, progress): (Body, StoredProgress) = (it.json()?, it.json()?);
    let broken = |what: &str, text: &str| it.broken(format!("`{text}` is no {what}"));
    let pattern = |text: &String| TypePattern::parse(text).map_err(|_| broken("type", text));
    let again = |it: StoredAgain| -> Result<Exception, Fault> {
        Ok(Exception {
            place: it.place,
            event: it.event.parse::<EventId>().map_err(|_| broken("event", &it.event))?,
            subject: it.subject.map(|text| text.parse().map_err(|_| broken("subject", &text))).transpose()?,
            revision: it.revision,
            generation: body.generation,
            tries: it.tries,
            state: ExceptionState::Retrying { due_at: Timestamp::from_micros(it.due_at) },
            created_at: Timestamp::from_micros(it.created_at),
            expires_at: None,
        })
    };
    Ok(Replay {
        id,
        subscription,
        tenant,
        generation: body.generation,
        only: Only::parse(&body.only).ok_or_else(|| broken("choice", &body.only))?,
        types: body.types.iter().map(pattern).collect::<Result<_, _>>()?,
        filter: body.filter,
        since: body.since,
        until: body.until,
        from: body.from,
        to: body.to,
        rate_max_per_s: body.rate_max_per_s,
        created_at: Timestamp::from_micros(body.created_at),
        progress: Progress {
            state,
            why: progress.why,
            ended_at: progress.ended_at.map(Timestamp::from_micros),
            cursor: progress.cursor,
            above: progress.above,
            again: progress.again.into_iter().map(again).collect::<Result<_, _>>()?,
            matched: progress.matched,
            delivered: progress.delivered,
            parked: progress.parked,
            gone: progress.gone,
        },
    })
}

/// What was asked for, as it is stored.
#[derive(Serialize, Deserialize)]
struct Body {
    generation: Generation,
    only: String,
    types: Vec<String>,
    filter: Option<String>,
    since: Option<String>,
    until: Option<String>,
    from: Place,
    to: Place,
    rate_max_per_s: Option<u32>,
    created_at: i64,
}

impl From<&Replay> for Body {
    fn from(it: &Replay) -> Self {
        Self {
            generation: it.generation,
            only: it.only.as_str().into(),
            types: it.types.iter().map(ToString::to_string).collect(),
            filter: it.filter.clone(),
            since: it.since.clone(),
            until: it.until.clone(),
            from: it.from,
            to: it.to,
            rate_max_per_s: it.rate_max_per_s,
            created_at: it.created_at.as_micros(),
        }
    }
}

/// How far it is, as it is stored; its state has a column.
#[derive(Serialize, Deserialize)]
struct StoredProgress {
    why: Option<String>,
    ended_at: Option<i64>,
    cursor: Place,
    above: Vec<Place>,
    again: Vec<StoredAgain>,
    matched: u64,
    delivered: u64,
    parked: u64,
    gone: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredAgain {
    place: Place,
    event: String,
    subject: Option<String>,
    revision: u32,
    tries: u32,
    due_at: i64,
    created_at: i64,
}

impl From<&Progress> for StoredProgress {
    fn from(it: &Progress) -> Self {
        let again = |it: &Exception| StoredAgain {
            place: it.place,
            event: it.event.to_string(),
            subject: it.subject.as_ref().map(ToString::to_string),
            revision: it.revision,
            tries: it.tries,
            due_at: match &it.state {
                ExceptionState::Retrying { due_at } => *due_at,
                ExceptionState::Held | ExceptionState::Parked { .. } => it.created_at,
            }
            .as_micros(),
            created_at: it.created_at.as_micros(),
        };
        Self {
            why: it.why.clone(),
            ended_at: it.ended_at.map(Timestamp::as_micros),
            cursor: it.cursor,
            above: it.above.clone(),
            again: it.again.iter().map(again).collect(),
            matched: it.matched,
            delivered: it.delivered,
            parked: it.parked,
            gone: it.gone,
        }
    }
}
