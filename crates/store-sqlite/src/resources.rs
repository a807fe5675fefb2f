//! Resource rows. What belongs to a list is decided by `ResourceQuery::matches`,
//! on every store alike; the indexes that type files declare (`listings`) narrow.

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    listings::{self, Listing},
    log::events,
    readers::Reading,
    sql::{self, Columns},
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::{
    ResourceId, Subject, TenantId, Timestamp, TypeName,
    event::{Event, Place},
    resource::Resource,
};
use ringback_ports::store::{DueTimer, ResourceKey, ResourceQuery, ResourceRow, Resources, StoreError, Timer};
use rusqlite::{Row, ToSql, params, types::Value as SqlValue};
use std::{collections::BTreeSet, sync::Arc};

const COLUMNS: &str = "id, status, version, created_at, updated_at, since, deleted, timer_due_at, timer_transition, fields";
/// The tenant's place in the log is the index; of which type an event is, its row says.
pub(crate) const CHANGED_AFTER: &str = "SELECT resource_id FROM events WHERE tenant = ?1 AND sequence > ?2 AND resource_type = ?3";
pub(crate) const RESOURCE_AT: &str =
    events!("WHERE subject = ?1 AND tenant = ?2 AND sequence <= ?3 AND version IS NOT NULL ORDER BY sequence DESC LIMIT 1");
/// How many these are.
const COLUMN_COUNT: usize = 10;
pub(crate) const COUNT: &str = "SELECT count(*) FROM resources WHERE type = ?1 AND deleted = 0";
pub(crate) const OF_TYPE: &str = "SELECT t.id, r.id, r.status, r.version, r.created_at, r.updated_at, r.since, r.deleted, r.timer_due_at,
        r.timer_transition, r.fields
    FROM resources r JOIN tenant_nos t ON t.no = r.tenant
    WHERE r.type = ?1 AND r.deleted = 0 AND (r.tenant, r.created_at, r.id) > (?2, ?3, ?4)
    ORDER BY r.tenant, r.created_at, r.id LIMIT ?5";
pub(crate) const DUE: &str = "SELECT t.id, r.type, r.id, r.timer_due_at, r.timer_transition
    FROM resources r JOIN tenant_nos t ON t.no = r.tenant WHERE r.timer_due_at <= ?1
    ORDER BY r.timer_due_at, t.id, r.type, r.id LIMIT ?2";
pub(crate) const NEXT: &str = "SELECT min(timer_due_at) FROM resources WHERE timer_due_at IS NOT NULL";

#[async_trait]
impl Resources for SqliteStore {
    async fn resource(&self, tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        let (tenant, type_name, id) = (tenant.clone(), type_name.clone(), id.clone());
        self.readers
            .read(move |it| {
                let Some(no) = it.tenant_no(&tenant)? else { return Ok(None) };
                it.one(
                    &format!("SELECT {COLUMNS} FROM resources WHERE tenant = ?1 AND type = ?2 AND id = ?3"),
                    params![no, type_name.as_str(), id.as_str()],
                    |row| decode(row, &tenant, &type_name),
                )
            })
            .await
    }

    async fn resources(&self, query: ResourceQuery) -> Result<Vec<ResourceRow>, StoreError> {
        self.readers.read(move |it| it.resources(&query)).await
    }

    async fn resources_changed_after(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        after: Place,
        limit: usize,
    ) -> Result<Option<BTreeSet<ResourceId>>, StoreError> {
        let (tenant, type_name) = (tenant.clone(), type_name.clone());
        self.readers
            .read(move |it| {
                let Some(no) = it.tenant_no(&tenant)? else { return Ok(Some(BTreeSet::new())) };
                let values = params![no, sql::place(after), type_name.as_str()];
                let mut statement = it.conn.prepare_cached(CHANGED_AFTER)?;
                let mut rows = statement.query(values)?;
                let mut ids = BTreeSet::new();
                while let Some(row) = rows.next()? {
                    ids.insert(Columns::of("events", row).name()?);
                    if ids.len() > limit {
                        return Ok(None);
                    }
                }
                Ok(Some(ids))
            })
            .await
    }

    async fn resources_at(&self, tenant: &TenantId, subjects: &[Subject], at: Place) -> Result<Vec<Arc<Event>>, StoreError> {
        let (tenant, subjects) = (tenant.clone(), subjects.to_vec());
        self.readers
            .read(move |it| {
                let Some(no) = it.tenant_no(&tenant)? else { return Ok(Vec::new()) };
                let mut out = Vec::new();
                for subject in &subjects {
                    let event = it.event(RESOURCE_AT, params![subject.as_str(), no, sql::place(at)])?;
                    out.extend(event.filter(|it| it.of.as_ref().is_some_and(|of| !of.deleted)));
                }
                Ok(out)
            })
            .await
    }

    async fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, StoreError> {
        self.readers.read(move |it| it.resource_rows(after, limit)).await
    }

    async fn resource_count(&self, type_name: &TypeName) -> Result<u64, StoreError> {
        let type_name = type_name.clone();
        self.readers
            .read(move |it| {
                let count = it.one(COUNT, [type_name.as_str()], |row| Columns::of("resources", row).u64())?;
                Ok(count.unwrap_or(0))
            })
            .await
    }

    async fn resources_of_type(
        &self,
        type_name: &TypeName,
        after: Option<(TenantId, Timestamp, ResourceId)>,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let type_name = type_name.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |it| {
                let (no, at, id) = match &after {
                    None => (-1, 0, ""),
                    Some((tenant, at, id)) => (it.tenant_no(tenant)?.unwrap_or(i64::MAX), at.as_micros(), id.as_str()),
                };
                it.all(OF_TYPE, params![type_name.as_str(), no, at, id, limit], |row| {
                    let tenant = Columns::of("resources", row).name()?;
                    decode_from(row, 1, &tenant, &type_name)
                })
            })
            .await
    }

    async fn declare_indexes(&self, type_name: &TypeName, indexes: &[Vec<String>]) -> Result<(), StoreError> {
        let (type_name, indexes) = (type_name.clone(), indexes.to_vec());
        let done = self.writer.submit(Entry::Alone, 4_096, move |tx| listings::declare(tx, &type_name, indexes)).await;
        Ok(done?)
    }

    async fn indexes_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, StoreError> {
        self.readers.read(|it| it.listings_to_fill()).await
    }

    async fn fill_indexes(&self, rows: usize) -> Result<bool, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let more = self.writer.submit(Entry::Alone, 4_096, move |tx| listings::fill(tx, rows)).await;
        Ok(more?)
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |it| {
                it.all(DUE, params![now.as_micros(), limit], |row| {
                    let mut it = Columns::of("resources", row);
                    Ok(DueTimer {
                        tenant: it.name()?,
                        type_name: it.name()?,
                        id: it.name()?,
                        timer: Timer { due_at: it.time()?, transition: it.name()? },
                    })
                })
            })
            .await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers
            .read(|it| {
                let found = it.one(NEXT, [], |row| Columns::of("resources", row).time_opt())?;
                Ok(found.flatten())
            })
            .await
    }
}

/// Writes the row over whatever is there.
pub(crate) fn write(tx: &mut Tx<'_>, row: &ResourceRow) -> Result<(), Fault> {
    let it = &row.resource;
    let tenant = tx.number_tenant(&it.tenant)?;
    let timer = row.timer.as_ref();
    let values: [(&str, &dyn ToSql); 12] = [
        (":tenant", &tenant),
        (":type", &it.type_name.as_str()),
        (":id", &it.id.as_str()),
        (":status", &it.status.as_str()),
        (":version", &it.version.cast_signed()),
        (":created_at", &it.created_at.as_micros()),
        (":updated_at", &it.updated_at.as_micros()),
        (":since", &it.since.as_micros()),
        (":deleted", &row.deleted),
        (":timer_due_at", &timer.map(|it| it.due_at.as_micros())),
        (":timer_transition", &timer.map(|it| it.transition.as_str())),
        (":fields", &sql::json(&it.fields)?),
    ];
    // Naming a column of an index in SET writes the index, changed or not: most changes leave the list's alone.
    let changed = tx
        .conn
        .prepare_cached(
            "UPDATE resources SET status = :status, version = :version, updated_at = :updated_at, since = :since,
                    timer_due_at = :timer_due_at, timer_transition = :timer_transition, fields = :fields
             WHERE tenant = :tenant AND type = :type AND id = :id AND created_at = :created_at AND deleted = :deleted",
        )?
        .execute(&values[..])?;
    if changed == 0 {
        tx.conn
            .prepare_cached(
                "INSERT INTO resources (tenant, type, id, status, version, created_at, updated_at, since, deleted,
                                        timer_due_at, timer_transition, fields)
                 VALUES (:tenant, :type, :id, :status, :version, :created_at, :updated_at, :since, :deleted,
                         :timer_due_at, :timer_transition, :fields)
                 ON CONFLICT (tenant, type, id) DO UPDATE SET
                     status = excluded.status, version = excluded.version, created_at = excluded.created_at,
                     updated_at = excluded.updated_at, since = excluded.since, deleted = excluded.deleted,
                     timer_due_at = excluded.timer_due_at, timer_transition = excluded.timer_transition, fields = excluded.fields",
            )?
            .execute(&values[..])?;
    }
    Ok(())
}

impl Reading {
    /// In the order of the index that finds one resource: (number of the tenant, type, id).
    fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, Fault> {
        let (no, type_name, id) = match after {
            None => (i64::MIN, String::new(), String::new()),
            Some(it) => match self.tenant_no(&it.tenant)? {
                Some(no) => (no, it.type_name.as_str().to_owned(), it.id.as_str().to_owned()),
                None => return Ok(Vec::new()),
            },
        };
        self.all(
            &format!(
                "SELECT {COLUMNS}, tenant, type FROM resources WHERE (tenant, type, id) > (?1, ?2, ?3) ORDER BY tenant, type, id LIMIT ?4"
            ),
            params![no, type_name, id, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                let mut it = Columns::of("resources", row);
                it.skip(COLUMN_COUNT);
                let (no, type_name) = (it.get::<i64>()?, it.name()?);
                decode(row, &self.tenant(no)?, &type_name)
            },
        )
    }

    fn resources(&self, query: &ResourceQuery) -> Result<Vec<ResourceRow>, Fault> {
        let Some(tenant) = self.tenant_no(&query.tenant)? else { return Ok(Vec::new()) };
        let listing = if query.equal.is_empty() { None } else { self.listing_for(query)? };
        let (sql, values) = list_sql(query, tenant, listing.as_ref());
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut out = Vec::new();
        while out.len() < query.limit
            && let Some(row) = rows.next()?
        {
            let row = decode(row, &query.tenant, &query.type_name)?;
            if query.matches(&row) {
                out.push(row);
            }
        }
        Ok(out)
    }
}

/// The SELECT of a list without its LIMIT, and its values. It may find more than belongs to the list, never less.
pub(crate) fn list_sql(query: &ResourceQuery, tenant: i64, listing: Option<&Listing>) -> (String, Vec<SqlValue>) {
    let mut values = vec![SqlValue::Integer(tenant)];
    // The type and `deleted = 0` are literals: that's how SQLite sees that the partial index serves.
    let rows = format!("type = '{}' AND deleted = 0", query.type_name);
    let (mut sql, made, id) = match listing {
        None => (format!("SELECT {COLUMNS} FROM resources WHERE {rows} AND tenant = ?1"), "created_at", "id"),
        Some(listing) => {
            let no = listing.no;
            let mut sql = format!(
                "SELECT {COLUMNS} FROM listed_{no} CROSS JOIN resources ON tenant = owner AND id = name AND {rows} WHERE owner = ?1"
            );
            for (n, value) in listing.values.iter().enumerate() {
                values.push(value.clone());
                sql.push_str(&format!(" AND k{n} = ?{}", values.len()));
            }
            (sql, "made", "name")
        }
    };
    for (bound, sign) in [(query.created.0, ">="), (query.created.1, "<=")] {
        if let Some(at) = bound {
            values.push(SqlValue::Integer(at.as_micros()));
            sql.push_str(&format!(" AND {made} {sign} ?{}", values.len()));
        }
    }
    let (sign, word) = if query.oldest_first { (">", "") } else { ("<", " DESC") };
    if let Some((at, after)) = &query.after {
        values.push(SqlValue::Integer(at.as_micros()));
        values.push(SqlValue::Text(after.as_str().to_owned()));
        sql.push_str(&format!(" AND ({made}, {id}) {sign} (?{}, ?{})", values.len() - 1, values.len()));
    }
    sql.push_str(&format!(" ORDER BY {made}{word}, {id}{word}"));
    (sql, values)
}

fn decode(row: &Row<'_>, tenant: &TenantId, type_name: &TypeName) -> Result<ResourceRow, Fault> {
    decode_from(row, 0, tenant, type_name)
}

/// As `decode`, of a row whose columns of `COLUMNS` begin at `first`.
fn decode_from(row: &Row<'_>, first: usize, tenant: &TenantId, type_name: &TypeName) -> Result<ResourceRow, Fault> {
    let mut it = Columns::from("resources", row, first);
    let id = it.name()?;
    let status = it.name()?;
    let version = it.u64()?;
    let (created_at, updated_at, since) = (it.time()?, it.time()?, it.time()?);
    let deleted = it.get()?;
    let timer = match (it.time_opt()?, it.name_opt()?) {
        (Some(due_at), Some(transition)) => Some(Timer { due_at, transition }),
        _ => None,
    };
    let fields = it.json()?;
    let (tenant, type_name) = (tenant.clone(), type_name.clone());
    Ok(ResourceRow { resource: Resource { id, type_name, tenant, status, version, created_at, updated_at, since, fields }, deleted, timer })
}
