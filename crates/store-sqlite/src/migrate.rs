//! Brings a data directory up to the schema that this program knows.
//!
//! Steps are numbered files, applied one by one, each in its own transaction;
//! `user_version` says how many were. Before an existing directory is changed, a
//! copy of it is laid beside it. A directory from a newer program is refused.

use crate::{OpenError, fault::Fault};
use rusqlite::Connection;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// All steps, oldest first; append-only.
pub(crate) const STEPS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_key_rates.sql"),
    include_str!("../migrations/0003_catalogue.sql"),
    include_str!("../migrations/0004_listings.sql"),
    include_str!("../migrations/0005_floors.sql"),
    include_str!("../migrations/0006_shadow.sql"),
    include_str!("../migrations/0007_replays.sql"),
    include_str!("../migrations/0008_deadlines_and_erasure.sql"),
    include_str!("../migrations/0009_erasures.sql"),
];

/// `RBCK`: says that the file is one of ours.
const APPLICATION_ID: i32 = 0x5242_434B;

/// Applies the steps of `steps` that `conn` has not seen.
///
/// # Errors
/// `Newer` for a directory that has seen more, `Foreign` for a file that is not ours.
pub(crate) fn run(conn: &mut Connection, dir: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let number = |conn: &Connection, pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(Fault::from);
    let found = number(conn, "user_version").map_err(OpenError::storage)?;
    let application = number(conn, "application_id").map_err(OpenError::storage)?;
    let tables =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(|it| OpenError::storage(it.into()))?;
    let known = steps.len() as i64;
    if tables > 0 && application != i64::from(APPLICATION_ID) {
        return Err(OpenError::Foreign { dir: dir.to_owned() });
    }
    if found > known {
        let written_by = conn.query_row("SELECT written_by FROM about", [], |row| row.get(0)).unwrap_or_else(|_| "a newer version".into());
        return Err(OpenError::Newer { dir: dir.to_owned(), written_by, found, known });
    }
    if found == known {
        return Ok(());
    }
    if tables > 0 {
        snapshot(conn, dir, found).map_err(|(path, why)| OpenError::Snapshot { path, why })?;
    }
    for (no, step) in (1_i64..).zip(steps).filter(|(no, _)| *no > found) {
        apply(conn, no, step).map_err(OpenError::storage)?;
    }
    Ok(())
}

/// Whether a file that is only read is one that this program knows.
///
/// # Errors
/// `Older`, `Newer`, `Foreign`.
pub(crate) fn must_be_present(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(Fault::from);
    let found = number("user_version").map_err(OpenError::storage)?;
    let application = number("application_id").map_err(OpenError::storage)?;
    let dir = || path.parent().unwrap_or(path).to_owned();
    if application != i64::from(APPLICATION_ID) {
        return Err(OpenError::Foreign { dir: dir() });
    }
    let known = STEPS.len() as i64;
    if found > known {
        let written_by = conn.query_row("SELECT written_by FROM about", [], |row| row.get(0)).unwrap_or_else(|_| "a newer version".into());
        return Err(OpenError::Newer { dir: dir(), written_by, found, known });
    }
    if found < known { Err(OpenError::Older { path: path.to_owned(), found, known }) } else { Ok(()) }
}

fn apply(conn: &mut Connection, no: i64, step: &str) -> Result<(), Fault> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(step)?;
    tx.execute(
        "INSERT INTO about (one, epoch, written_by) VALUES (1, 1, ?1) ON CONFLICT (one) DO UPDATE SET written_by = excluded.written_by",
        [env!("CARGO_PKG_VERSION")],
    )?;
    tx.pragma_update(None, "user_version", no)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()?;
    Ok(())
}

/// Lays a copy of what is there beside it, durable before anything changes.
fn snapshot(conn: &Connection, dir: &Path, version: i64) -> Result<(), (String, String)> {
    let path = dir.join(format!("{}.schema-{version}", crate::FILE));
    let text = path.to_string_lossy().into_owned();
    let copy = || -> Result<(), Fault> {
        let io = |it: io::Error| Fault::Row(it.to_string());
        // One that is there is of a migration that did not end: the directory still is what it was then.
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(io)?;
        conn.execute("VACUUM INTO ?1", [&text])?;
        File::open(&path).and_then(|it| it.sync_all()).map_err(io)?;
        File::open(dir).and_then(|it| it.sync_all()).map_err(io)
    };
    copy().map_err(|it| (text.clone(), it.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[&str] = &[STEPS[0]];
    const TWO: &[&str] = &[STEPS[0], "CREATE TABLE more (a INTEGER) STRICT"];

    fn open(dir: &Path, steps: &[&str]) -> Result<Connection, OpenError> {
        let mut conn = Connection::open(dir.join(crate::FILE)).unwrap();
        run(&mut conn, dir, steps).map(|()| conn)
    }

    #[test]
    fn a_fresh_directory_needs_no_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), TWO).unwrap();
        assert!(!dir.path().join("ringback.db.schema-1").exists());
    }

    #[test]
    fn an_older_directory_is_copied_before_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), ONE).unwrap().execute("INSERT INTO meta VALUES ('a', x'01')", []).unwrap();
        let now = open(dir.path(), TWO).unwrap();
        let then = Connection::open(dir.path().join("ringback.db.schema-1")).unwrap();
        for (conn, tables) in [(&then, 0), (&now, 1)] {
            let found: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'more'", [], |row| row.get(0)).unwrap();
            assert_eq!(found, tables);
            let kept: Vec<u8> = conn.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, [1]);
        }
        let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join("ringback.db.schema-1").metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_failing_step_leaves_the_directory_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), ONE).unwrap();
        let broken = &[STEPS[0], "CREATE TABLE more (a INTEGER) STRICT; CREATE TABLE more (a INTEGER) STRICT"];
        assert!(matches!(open(dir.path(), broken), Err(OpenError::Storage(_))));
        open(dir.path(), TWO).unwrap(); // the snapshot of the failed one is no obstacle
    }

    #[test]
    fn a_newer_directory_is_refused_with_the_version_to_use() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), TWO).unwrap().execute("UPDATE about SET written_by = '7.8.9'", []).unwrap();
        let text = open(dir.path(), ONE).unwrap_err().to_string();
        assert!(text.contains("7.8.9"), "{text}");
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Connection::open(dir.path().join(crate::FILE)).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        assert!(matches!(open(dir.path(), ONE), Err(OpenError::Foreign { .. })));
    }
}
