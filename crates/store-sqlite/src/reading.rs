//! Opening what is there to read it alone: a directory beside the process that
//! has it, one that nobody has, or a backup.
//!
//! SQLite lets other processes read what one process writes: each read sees one
//! snapshot, and nobody waits. So neither `verify` nor `backup create` needs the
//! server, its lock, or its keys; and nothing here makes, migrates or changes a file
//! of data.
//!
//! Not here: what is read (the files named after nouns), backups (`backup`).

use crate::{Alive, FILE, OpenError, SqliteStore, connect, fault::Fault, lock, migrate, readers::Readers, writer::Writer};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// Threads that read: `verify` asks one question after the other.
const READERS: usize = 2;

/// What there is to read, and whether somebody else has it.
#[derive(Debug)]
pub struct Found {
    path: PathBuf,
    /// Its directory's lock, while nobody else has it.
    lock: Option<File>,
}

impl Found {
    /// What is in the data directory `dir`. Takes its lock if nobody has it, so that nobody
    /// comes in meanwhile; else it is read beside whoever does.
    ///
    /// # Errors
    /// `Missing` when there is no data; `Directory` when the lock can't be looked at.
    pub fn in_directory(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Err(OpenError::Missing { path });
        }
        let lock = match lock::take(dir, Duration::ZERO) {
            Ok(it) => Some(it),
            Err(OpenError::Locked { .. }) => None,
            Err(other) => return Err(other),
        };
        Ok(Self { path, lock })
    }

    /// The backup at `path`.
    ///
    /// # Errors
    /// `Missing` when there is no such file.
    pub fn backup(path: &Path) -> Result<Self, OpenError> {
        if path.is_file() { Ok(Self { path: path.to_owned(), lock: None }) } else { Err(OpenError::Missing { path: path.to_owned() }) }
    }

    /// Whether a running process has the directory.
    #[must_use]
    pub const fn is_held_by_another(&self) -> bool {
        self.lock.is_none()
    }

    pub(crate) fn connect(&self) -> Result<Connection, OpenError> {
        let conn = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY, -16_000).map_err(OpenError::storage)?;
        migrate::must_be_present(&conn, &self.path)?;
        Ok(conn)
    }

    /// What SQLite itself finds wrong with the file, in its words; nothing if all is well. Reads all of it.
    ///
    /// # Errors
    /// As `open`.
    pub fn integrity(&self) -> Result<Vec<String>, OpenError> {
        let conn = self.connect()?;
        let lines = || -> Result<Vec<String>, Fault> {
            let mut statement = conn.prepare("PRAGMA integrity_check(100)")?;
            let rows = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            Ok(rows)
        };
        let lines = lines().map_err(OpenError::storage)?;
        Ok(lines.into_iter().filter(|it| it != "ok").collect())
    }

    /// A store that reads: everything that would write answers `StoreError::Closed`.
    ///
    /// # Errors
    /// `Older` and `Newer` for another schema than this program's, `Foreign`, `Storage`.
    pub fn open(self) -> Result<SqliteStore, OpenError> {
        let first = self.connect()?;
        let more = (1..READERS).map(|_| self.connect()).collect::<Result<Vec<_>, _>>()?;
        let (ended_at, ended) = watch::channel(false);
        let alive = Arc::new(Alive { lock: self.lock, ended: ended_at });
        let dir = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        // A read that fails says so to whoever asked: nothing is written here that could be lost.
        let quiet = Arc::new(|_: String| ());
        let directory = |source| OpenError::Directory { dir: dir.clone(), source };
        let (readers, threads) = Readers::start([first].into_iter().chain(more).collect(), quiet, &alive).map_err(directory)?;
        drop(alive);
        Ok(SqliteStore { writer: Writer::none(), readers, listener: Arc::new(Mutex::new(None)), ended, threads, dir })
    }
}
