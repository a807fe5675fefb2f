//! Subscriptions at rest: one JSON body each, since they are few and always read whole.
//!
//! The stored form is ours alone and may age apart from the public one. What a
//! settlement needs of a subscription is beside it, in `readers`.

use crate::{
    SqliteStore,
    access::StoredAccess,
    fault::Fault,
    known::Tx,
    log::authority,
    readers::Reading,
    sql::{self, Columns},
};
use async_trait::async_trait;
use ringback_model::{
    Timestamp,
    delivery::SkippedRange,
    event::{PayloadForm, Place, Scope},
    ids,
    signing::{Algorithm, Profile, Signing, WebhookId},
    subscription::{Failing, Order, Push, Revision, SealedSecret, State, Subscription, TypePattern, Until},
    tenant::Metadata,
};
use ringback_ports::store::{StoreError, Subscriptions};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let read = self.readers.read(|it| it.all("SELECT no, tenant, id, version, body FROM subscriptions", [], decode));
        let mut all = read.await?;
        all.sort_by(|a, b| (&a.tenant, a.created_at, &a.id).cmp(&(&b.tenant, b.created_at, &b.id)));
        Ok(all)
    }
}

/// Writes the subscription, and its reader's cursor if one is given.
pub(crate) fn write(tx: &Tx<'_>, it: &Subscription, cursor: Option<Place>, skipped: &[SkippedRange]) -> Result<(), Fault> {
    tx.conn
        .prepare_cached(
            "INSERT INTO subscriptions (no, tenant, id, version, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (no) DO UPDATE SET version = excluded.version, body = excluded.body",
        )?
        .execute(params![it.no, it.tenant.as_str(), it.id.as_str(), it.version.cast_signed(), sql::json(&Body::from(it))?])?;
    tx.conn
        .prepare_cached(
            "INSERT INTO readers (subscription, generation, cursor, scope) VALUES (?1, ?2, coalesce(?3, 0), ?4)
             ON CONFLICT (subscription) DO UPDATE
             SET generation = excluded.generation, cursor = coalesce(?3, cursor), scope = excluded.scope",
        )?
        .execute(params![it.no, it.generation, cursor.map(sql::place), it.scope.as_str()])?;
    if let Some(cursor) = cursor {
        tx.conn
            .prepare_cached("DELETE FROM exceptions WHERE subscription = ?1 AND place > ?2")?
            .execute(params![it.no, sql::place(cursor)])?;
        for range in skipped {
            tx.conn.prepare_cached("DELETE FROM exceptions WHERE subscription = ?1 AND place > ?2 AND place <= ?3")?.execute(params![
                it.no,
                sql::place(range.from),
                sql::place(range.to)
            ])?;
        }
    }
    for range in skipped {
        write_skipped(tx, it.no, range)?;
    }
    Ok(())
}

/// Writes a stretch that is skipped.
pub(crate) fn write_skipped(tx: &Tx<'_>, no: u32, range: &SkippedRange) -> Result<(), Fault> {
    tx.conn
        .prepare_cached(
            "INSERT INTO skipped (subscription, from_place, generation, to_place, why, matched) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (subscription, from_place, generation, to_place)
             DO UPDATE SET why = excluded.why, matched = excluded.matched",
        )?
        .execute(params![no, sql::place(range.from), range.generation, sql::place(range.to), range.why, range.matched.cast_signed()])?;
    Ok(())
}

impl Reading {
    /// The subscription of this number.
    pub(crate) fn subscription_no(&self, no: u32) -> Result<Option<Subscription>, Fault> {
        self.one("SELECT no, tenant, id, version, body FROM subscriptions WHERE no = ?1", [no], decode)
    }
}

/// Removes the subscription and all that is known of its deliveries.
pub(crate) fn delete(tx: &Tx<'_>, no: u32) -> Result<(), Fault> {
    for sql in [
        "DELETE FROM subscriptions WHERE no = ?1",
        "DELETE FROM readers WHERE subscription = ?1",
        "DELETE FROM skipped WHERE subscription = ?1",
        "DELETE FROM exceptions WHERE subscription = ?1",
        "DELETE FROM attempts WHERE subscription = ?1",
        "DELETE FROM replays WHERE subscription = ?1",
    ] {
        tx.conn.prepare_cached(sql)?.execute([no])?;
    }
    Ok(())
}

fn decode(row: &Row<'_>) -> Result<Subscription, Fault> {
    let mut it = Columns::of("subscriptions", row);
    let (no, tenant, id, version) = (it.get()?, it.name()?, it.name()?, it.u64()?);
    let body: Body = it.json()?;
    let broken = |what: &str, text: &str| it.broken(format!("`{text}` is no {what}"));
    let scope = match body.scope.as_str() {
        "*" => Scope::All,
        text => Scope::Tenant(text.parse().map_err(|_| broken("tenant", text))?),
    };
    let subject = body.subject.map(|text| text.parse().map_err(|_| broken("subject", &text))).transpose()?;
    let until = match body.until {
        None => None,
        Some(StoredUntil::Done) => Some(Until::Done),
        Some(StoredUntil::Statuses(all)) => {
            let all = all.iter().map(|text| text.parse().map_err(|_| broken("status", text)));
            Some(Until::Statuses(all.collect::<Result<_, _>>()?))
        }
    };
    let revision = |it: StoredRevision| -> Result<Revision, Fault> {
        Ok(Revision {
            no: it.no,
            from: it.from,
            types: it.types.iter().map(|text| TypePattern::parse(text).map_err(|_| broken("type", text))).collect::<Result<_, _>>()?,
            filter: it.filter,
            payload: PayloadForm::parse(&it.payload).ok_or_else(|| broken("payload", &it.payload))?,
            order: Order::parse(&it.order).ok_or_else(|| broken("order", &it.order))?,
            public_url: it.public_url,
        })
    };
    let secret = |it: StoredSecret| -> Result<SealedSecret, Fault> {
        Ok(SealedSecret {
            // Keys of before they had names are told apart by when they were made.
            id: it.id.unwrap_or_else(|| ids::prefixed("sec_", Timestamp::from_micros(it.created_at), 0)),
            created_at: Timestamp::from_micros(it.created_at),
            expires_at: it.expires_at.map(Timestamp::from_micros),
            public_key: it.public_key,
            sealed: from_hex(&it.sealed).ok_or_else(|| broken("hex", "a secret"))?,
        })
    };
    let signing = |it: StoredSigning| -> Result<Signing, Fault> {
        Ok(Signing {
            algorithm: Algorithm::parse(&it.algorithm).ok_or_else(|| broken("algorithm", &it.algorithm))?,
            profile: Profile::parse(&it.profile).ok_or_else(|| broken("profile", &it.profile))?,
            webhook_id: WebhookId::parse(&it.webhook_id).ok_or_else(|| broken("kind of id", &it.webhook_id))?,
        })
    };
    Ok(Subscription {
        no,
        id,
        tenant,
        scope,
        authority: authority(&body.authority).ok_or_else(|| broken("authority", &body.authority))?,
        description: body.description,
        metadata: body.metadata,
        strict: body.strict,
        subject,
        until,
        from: body.from,
        state: State::parse(&body.state).ok_or_else(|| broken("state", &body.state))?,
        push: match body.push {
            None => None,
            Some(push) => Some(Push {
                url: push.url,
                headers: push.headers,
                timeout_ms: push.timeout_ms,
                concurrency_max: push.concurrency_max,
                rate_max_per_s: push.rate_max_per_s,
                delays: push.delays,
                signing: signing(push.signing)?,
                secrets: push.secrets.into_iter().map(secret).collect::<Result<_, _>>()?,
                access: push.access.read().ok_or_else(|| broken("auth", "push"))?,
            }),
        },
        revisions: body.revisions.into_iter().map(revision).collect::<Result<_, _>>()?,
        generation: body.generation,
        created_at: Timestamp::from_micros(body.created_at),
        updated_at: Timestamp::from_micros(body.updated_at),
        version,
        failing: body.failing.map(|it| Failing { since: Timestamp::from_micros(it.since), tries: it.tries, announced: it.announced }),
    })
}

/// A subscription's stored form. Members may be added with `#[serde(default)]`; none changes its meaning.
#[derive(Serialize, Deserialize)]
struct Body {
    scope: String,
    authority: String,
    description: String,
    metadata: Metadata,
    strict: bool,
    subject: Option<String>,
    until: Option<StoredUntil>,
    from: String,
    state: String,
    #[serde(default)]
    push: Option<StoredPush>,
    revisions: Vec<StoredRevision>,
    generation: u32,
    created_at: i64,
    updated_at: i64,
    #[serde(default)]
    failing: Option<StoredFailing>,
}

#[derive(Serialize, Deserialize)]
struct StoredFailing {
    since: i64,
    tries: u32,
    announced: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredUntil {
    Done,
    Statuses(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct StoredPush {
    url: String,
    headers: Vec<(String, String)>,
    timeout_ms: u32,
    concurrency_max: u32,
    #[serde(default)]
    rate_max_per_s: Option<u32>,
    delays: Vec<u32>,
    #[serde(default)]
    signing: StoredSigning,
    secrets: Vec<StoredSecret>,
    #[serde(default)]
    access: StoredAccess,
}

#[derive(Serialize, Deserialize)]
struct StoredSigning {
    algorithm: String,
    profile: String,
    webhook_id: String,
}

impl Default for StoredSigning {
    fn default() -> Self {
        Self::from(Signing::default())
    }
}

impl From<Signing> for StoredSigning {
    fn from(it: Signing) -> Self {
        Self { algorithm: it.algorithm.as_str().into(), profile: it.profile.as_str().into(), webhook_id: it.webhook_id.as_str().into() }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSecret {
    #[serde(default)]
    id: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    #[serde(default)]
    public_key: Option<String>,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
struct StoredRevision {
    no: u32,
    from: Place,
    types: Vec<String>,
    #[serde(default)]
    filter: Option<String>,
    payload: String,
    order: String,
    public_url: String,
}

impl From<&Subscription> for Body {
    fn from(it: &Subscription) -> Self {
        let secret = |it: &SealedSecret| StoredSecret {
            id: Some(it.id.clone()),
            public_key: it.public_key.clone(),
            created_at: it.created_at.as_micros(),
            expires_at: it.expires_at.map(|it| it.as_micros()),
            sealed: to_hex(&it.sealed),
        };
        let revision = |it: &Revision| StoredRevision {
            no: it.no,
            from: it.from,
            types: it.types.iter().map(ToString::to_string).collect(),
            filter: it.filter.clone(),
            payload: it.payload.as_str().into(),
            order: it.order.as_str().into(),
            public_url: it.public_url.clone(),
        };
        Self {
            scope: it.scope.as_str().into(),
            authority: it.authority.as_str().into(),
            description: it.description.clone(),
            metadata: it.metadata.clone(),
            strict: it.strict,
            subject: it.subject.as_ref().map(ToString::to_string),
            until: it.until.as_ref().map(|it| match it {
                Until::Done => StoredUntil::Done,
                Until::Statuses(all) => StoredUntil::Statuses(all.iter().map(ToString::to_string).collect()),
            }),
            from: it.from.clone(),
            state: it.state.as_str().into(),
            push: it.push.as_ref().map(|it| StoredPush {
                url: it.url.clone(),
                headers: it.headers.clone(),
                timeout_ms: it.timeout_ms,
                concurrency_max: it.concurrency_max,
                rate_max_per_s: it.rate_max_per_s,
                delays: it.delays.clone(),
                signing: it.signing.into(),
                secrets: it.secrets.iter().map(secret).collect(),
                access: StoredAccess::of(&it.access),
            }),
            revisions: it.revisions.iter().map(revision).collect(),
            generation: it.generation,
            created_at: it.created_at.as_micros(),
            updated_at: it.updated_at.as_micros(),
            failing: it.failing.map(|it| StoredFailing { since: it.since.as_micros(), tries: it.tries, announced: it.announced }),
        }
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
