//! The indexes that type files declare.
//!
//! Each is a table of its own, `listed_<no>`: the tenant, the values of its
//! members, and what lists are sorted by. Triggers keep it from the moment it is
//! declared; the rows that were there before are entered in slices, so that no
//! write waits for more than one of them. Until it is whole no list uses it.
//!
//! It only narrows: what belongs to a list is decided by `ResourceQuery::matches`.

use crate::{
    fault::Fault,
    known::Tx,
    readers::Reading,
    sql::{self, Columns},
};
use ringback_model::TypeName;
use ringback_ports::store::ResourceQuery;
use rusqlite::{OptionalExtension as _, params, types::Value as SqlValue};
use serde_json::Value;

/// Rows that are entered when an index is declared: where there are no more, it is whole at once.
const FIRST_SLICE: i64 = 1_000;
/// A member that is missing is this, which no value equals: the columns of a key are never NULL.
const MISSING: &str = "x''";

/// A whole index that serves a query.
pub(crate) struct Listing {
    pub(crate) no: i64,
    /// The value of each of its members, in their order.
    pub(crate) values: Vec<SqlValue>,
}

impl Reading {
    /// The index whose members are exactly those that the query wants equal to something.
    pub(crate) fn listing_for(&self, query: &ResourceQuery) -> Result<Option<Listing>, Fault> {
        let mut statement = self.conn.prepare_cached("SELECT no, members FROM listings WHERE type = ?1 AND whole ORDER BY no")?;
        let mut rows = statement.query([query.type_name.as_str()])?;
        while let Some(row) = rows.next()? {
            let mut it = Columns::of("listings", row);
            let (no, members): (i64, Vec<String>) = (it.get()?, it.json()?);
            let wanted = |name: &String| query.equal.iter().find(|it| it.0 == *name).and_then(|it| narrowing(&it.1));
            if members.len() == query.equal.len()
                && let Some(values) = members.iter().map(wanted).collect::<Option<Vec<_>>>()
            {
                return Ok(Some(Listing { no, values }));
            }
        }
        Ok(None)
    }

    /// The indexes that are not whole yet: of which type, over which members.
    pub(crate) fn listings_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, Fault> {
        self.all("SELECT type, members FROM listings WHERE NOT whole ORDER BY no", [], |row| {
            let mut it = Columns::of("listings", row);
            Ok((it.name()?, it.json()?))
        })
    }
}

/// What the JSON functions of SQLite make of a value that is equal to this one, if that is one value.
fn narrowing(wanted: &Value) -> Option<SqlValue> {
    match wanted {
        Value::String(it) => Some(SqlValue::Text(it.clone())),
        Value::Bool(it) => Some(SqlValue::Integer(i64::from(*it))),
        // Beyond i64 SQLite reads a double, not always the nearest one.
        Value::Number(it) => it.as_i64().map(SqlValue::Integer),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The column of a member in a row that goes by this name in the statement. `None` for names
/// that a JSON path cannot be trusted with.
fn expression(row: &str, member: &str) -> Option<String> {
    match member {
        "status" | "created_at" | "id" => Some(format!("{row}.{member}")),
        _ if member.is_empty() || member.chars().any(|it| it.is_control() || matches!(it, '"' | '\\')) => None,
        _ => Some(format!("coalesce(json_extract({row}.fields, '$.\"{}\"'), {MISSING})", member.replace('\'', "''"))),
    }
}

/// All columns of one row of the index, `None` when a member cannot be one.
fn columns(row: &str, members: &[String]) -> Option<String> {
    let members: Option<Vec<_>> = members.iter().map(|it| expression(row, it)).collect();
    Some(format!("{row}.tenant, {}, {row}.created_at, {row}.id", members?.join(", ")))
}

/// Makes the indexes of the type be these: removes what is no longer declared, adds what is new.
pub(crate) fn declare(tx: &mut Tx<'_>, type_name: &TypeName, indexes: Vec<Vec<String>>) -> Result<(), Fault> {
    drop_expression_indexes(tx, type_name)?;
    let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
    for mut members in indexes {
        // Every index ends in what a list is sorted by.
        if members.last().is_some_and(|it| it == "created_at") {
            members.pop();
        }
        if columns("new", &members).is_none() {
            tracing::warn!(type_name = %type_name, "an index of {type_name} names a member with a quote, backslash or control character and is left out");
            continue;
        }
        let text = sql::json(&members)?;
        if !members.is_empty() && wanted.iter().all(|(it, _)| *it != text) {
            wanted.push((text, members));
        }
    }
    let mut statement = tx.conn.prepare("SELECT no, members FROM listings WHERE type = ?1")?;
    let found = statement
        .query_map([type_name.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for (no, _) in found.iter().filter(|(_, it)| wanted.iter().all(|(members, _)| members != it)) {
        tx.conn.execute_batch(&format!(
            "DROP TRIGGER IF EXISTS listed_{no}_made; DROP TRIGGER IF EXISTS listed_{no}_changed; DROP TRIGGER IF EXISTS listed_{no}_gone;
             DROP TABLE IF EXISTS listed_{no}; DELETE FROM listings WHERE no = {no}"
        ))?;
    }
    for (text, members) in wanted.iter().filter(|(text, _)| found.iter().all(|(_, it)| it != text)) {
        tx.conn.execute("INSERT INTO listings (type, members, whole) VALUES (?1, ?2, 0)", params![type_name.as_str(), text])?;
        let no = tx.conn.last_insert_rowid();
        create(tx, no, type_name, members)?;
        fill_one(tx, no, type_name, members, FIRST_SLICE)?;
    }
    Ok(())
}

/// The table of an index, and what keeps it.
fn create(tx: &Tx<'_>, no: i64, type_name: &TypeName, members: &[String]) -> Result<(), Fault> {
    let keys: Vec<String> = (0..members.len()).map(|n| format!("k{n}")).collect();
    let keys = keys.join(", ");
    let (Some(old), Some(new)) = (columns("old", members), columns("new", members)) else { return Ok(()) };
    let all = format!("owner, {keys}, made, name");
    tx.conn.execute_batch(&format!(
        "CREATE TABLE listed_{no} (owner NOT NULL, {}, made NOT NULL, name NOT NULL, PRIMARY KEY ({all})) WITHOUT ROWID;
         CREATE TRIGGER listed_{no}_made AFTER INSERT ON resources WHEN new.type = '{type_name}' AND new.deleted = 0 BEGIN
             INSERT OR IGNORE INTO listed_{no} VALUES ({new});
         END;
         CREATE TRIGGER listed_{no}_changed AFTER UPDATE ON resources
             WHEN new.type = '{type_name}' AND (old.deleted, {old}) IS NOT (new.deleted, {new}) BEGIN
             DELETE FROM listed_{no} WHERE ({all}) = ({old});
             INSERT OR IGNORE INTO listed_{no} SELECT {new} WHERE new.deleted = 0;
         END;
         CREATE TRIGGER listed_{no}_gone AFTER DELETE ON resources WHEN old.type = '{type_name}' BEGIN
             DELETE FROM listed_{no} WHERE ({all}) = ({old});
         END",
        keys.replace(',', " NOT NULL,") + " NOT NULL",
    ))?;
    Ok(())
}

/// Enters at most `rows` more rows into the first index that is not whole. Whether there is more to do.
pub(crate) fn fill(tx: &mut Tx<'_>, rows: i64) -> Result<bool, Fault> {
    let next = tx
        .conn
        .query_row("SELECT no, type, members FROM listings WHERE NOT whole ORDER BY no LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let Some((no, type_name, members)) = next else { return Ok(false) };
    let type_name = TypeName::parse(&type_name).map_err(|it| Fault::Row(it.to_string()))?;
    let members: Vec<String> = serde_json::from_str(&members).map_err(|it| Fault::Row(it.to_string()))?;
    fill_one(tx, no, &type_name, &members, rows)?;
    Ok(tx.conn.query_row("SELECT EXISTS (SELECT 1 FROM listings WHERE NOT whole)", [], |row| row.get(0))?)
}

/// Enters at most `rows` of the rows that come next in the order of lists.
fn fill_one(tx: &Tx<'_>, no: i64, type_name: &TypeName, members: &[String], rows: i64) -> Result<(), Fault> {
    let Some(columns) = columns("r", members) else { return Ok(()) };
    let at: (Option<i64>, Option<i64>, Option<String>) =
        tx.conn.query_row("SELECT at_tenant, at_made, at_id FROM listings WHERE no = ?1", [no], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let after = (at.0.unwrap_or(i64::MIN), at.1.unwrap_or(i64::MIN), at.2.unwrap_or_default());
    let next = format!(
        "FROM resources r WHERE r.type = '{type_name}' AND r.deleted = 0 AND (r.tenant, r.created_at, r.id) > (?1, ?2, ?3)
         ORDER BY r.tenant, r.created_at, r.id"
    );
    // What changed since the index was declared is in it already.
    let last = tx
        .conn
        .query_row(
            &format!("SELECT r.tenant, r.created_at, r.id {next} LIMIT 1 OFFSET ?4"),
            params![after.0, after.1, after.2, rows - 1],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)),
        )
        .optional()?;
    tx.conn.execute(
        &format!("INSERT OR IGNORE INTO listed_{no} SELECT {columns} {next} LIMIT ?4"),
        params![after.0, after.1, after.2, rows],
    )?;
    match last {
        Some((tenant, made, id)) => {
            tx.conn.execute("UPDATE listings SET at_tenant = ?2, at_made = ?3, at_id = ?4 WHERE no = ?1", params![no, tenant, made, id])?
        }
        None => tx.conn.execute("UPDATE listings SET whole = 1 WHERE no = ?1", [no])?,
    };
    Ok(())
}

/// Removes the SQL indexes over expressions by which earlier versions served this type.
fn drop_expression_indexes(tx: &Tx<'_>, type_name: &TypeName) -> Result<(), Fault> {
    let mut statement = tx.conn.prepare("SELECT no FROM resource_indexes WHERE type = ?1")?;
    let found = statement.query_map([type_name.as_str()], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for no in found {
        tx.conn.execute_batch(&format!("DROP INDEX IF EXISTS resources_declared_{no}; DELETE FROM resource_indexes WHERE no = {no}"))?;
    }
    Ok(())
}
