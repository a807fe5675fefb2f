//! The embedded store of Ringback: SQLite, one writer thread with group commit.
//!
//! One data directory belongs to one process. All writes go through one thread
//! that makes everything durable that has gathered while it last did so
//! (`writer`); reads have their own connections and never wait for it
//! (`readers`). Files named after nouns hold the same noun's tables, like the
//! files of `ringback_ports::store`.
//!
//! Not here: decisions, clocks, sealing. What is stored is bytes to us.
#![forbid(unsafe_code)]

mod access;
pub mod backup;
mod commit;
mod deliveries;
mod erasures;
mod fault;
mod idempotency;
mod known;
mod listings;
mod lock;
mod log;
mod migrate;
mod readers;
mod reading;
mod replays;
mod resources;
mod retention;
mod sql;
mod subscriptions;
mod tenants;
#[cfg(test)]
mod tests;
mod writer;

use crate::{
    fault::Fault,
    known::Known,
    readers::Readers,
    writer::{Start, Writer},
};
pub use reading::Found;
use ringback_ports::store::Listener;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::watch;

/// The data file's name in its directory; SQLite lays `-wal` and `-shm` beside it.
pub(crate) const FILE: &str = "ringback.db";

/// The oldest SQLite whose WAL is known to be sound.
const SQLITE_MIN: (i32, &str) = (3_051_003, "3.51.3");

/// How long a statement waits for somebody else's lock.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Is told why nothing can be written safely any more. It should end the process (P1).
pub type OnFatal = Arc<dyn Fn(String) + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// How long to wait for a process that still has the directory.
    pub lock_wait: Duration,
    /// Called once with a sentence for the log, on a thread of the store. The default prints it and aborts.
    pub on_fatal: OnFatal,
    /// Threads that read.
    pub readers: usize,
    /// Jobs that may wait for the writer: one more is `Overloaded`.
    pub queue_jobs_max: usize,
    /// Bytes of jobs that may wait for the writer, roughly.
    pub queue_bytes_max: usize,
    /// 16-KiB pages that the data file may have; at the limit, writes answer `Full`. SQLite's own limit if `None`.
    pub pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_wait: Duration::ZERO,
            on_fatal: Arc::new(|why| {
                tracing::error!("{why}");
                std::process::abort();
            }),
            readers: 4,
            queue_jobs_max: 8_192,
            queue_bytes_max: 64 * 1024 * 1024,
            pages_max: None,
        }
    }
}

impl core::fmt::Debug for Options {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Options")
            .field("lock_wait", &self.lock_wait)
            .field("readers", &self.readers)
            .field("queue_jobs_max", &self.queue_jobs_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .field("pages_max", &self.pages_max)
            .finish_non_exhaustive()
    }
}

/// Why a data directory was not opened. Nothing in it was changed, unless a step of a migration says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{holder} is using the data directory {}: stop it, or wait for it with --lock-wait", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// `process 123`, when it says so.
        holder: String,
    },
    /// It cannot be made or written.
    #[error("the data directory {} cannot be used: make it writable for this user, or name another one with --data", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A newer program wrote it.
    #[error(
        "the data directory {} was written by Ringback {written_by} (schema {found}; this program knows {known}): \
         use Ringback {written_by} or newer",
        dir.display()
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The program's version.
        written_by: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// There is nothing to read.
    #[error("there is no data at {}: name the directory with --data", path.display())]
    Missing {
        /// Where the data file should be.
        path: PathBuf,
    },
    /// An older program wrote it, and it is only to be read.
    #[error(
        "{} was written by an older Ringback (schema {found}; this program knows {known}): \
         start `ringback serve` on it once, which brings it up to date, or use the older program",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The data file is an SQLite file of some other program.
    #[error("{FILE} in {} is not a file of Ringback: name another directory with --data", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
    },
    /// The copy before a migration could not be made.
    #[error("no copy of the data could be made before migrating it, so nothing was changed: make room for {path} ({why})")]
    Snapshot {
        /// Where it should have gone.
        path: String,
        /// What went wrong.
        why: String,
    },
    /// The program was built with an SQLite that may lose data.
    #[error("this program contains SQLite {found}; Ringback needs {} or newer: build it with the bundled one", SQLITE_MIN.1)]
    Sqlite {
        /// Its version.
        found: &'static str,
    },
    /// SQLite could not.
    #[error("the data directory could not be opened: {0}")]
    Storage(String),
}

impl OpenError {
    pub(crate) fn storage(it: Fault) -> Self {
        Self::Storage(it.to_string())
    }
}

/// A store in one data directory.
///
/// Dropping it waits until what is queued is stored; `close` does so without
/// blocking the runtime.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    listener: Arc<Mutex<Option<Listener>>>,
    ended: watch::Receiver<bool>,
    threads: Vec<JoinHandle<()>>,
    dir: PathBuf,
}

/// Held by every thread that has files of the directory open: the last one unlocks it and says so.
pub(crate) struct Alive {
    lock: Option<File>,
    ended: watch::Sender<bool>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        drop(self.lock.take());
        self.ended.send_replace(true);
    }
}

impl SqliteStore {
    /// Opens the directory `dir`, makes it if there is none, and migrates it if an older program wrote it.
    ///
    /// # Errors
    /// See `OpenError`; each says what to do.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir, options, |_| ())
    }

    fn open_with(dir: &Path, options: Options, prepare: impl FnOnce(&mut Start)) -> Result<Self, OpenError> {
        if rusqlite::version_number() < SQLITE_MIN.0 {
            return Err(OpenError::Sqlite { found: rusqlite::version() });
        }
        let lock = lock::take(dir, options.lock_wait)?;
        let path = dir.join(FILE);
        let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
        // SQLite gives its other files the mode of this one.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(directory)?;
        File::open(dir).and_then(|it| it.sync_all()).map_err(directory)?;

        let mut conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, -16_000).map_err(OpenError::storage)?;
        prepare_for_writing(&conn, &options).map_err(OpenError::storage)?;
        migrate::run(&mut conn, dir, migrate::STEPS)?;
        let known = Known::load(&conn).map_err(OpenError::storage)?;
        // By now the WAL has a name, too. SQLite syncs that by itself at its first commit, and ignores an error of it.
        File::open(dir).and_then(|it| it.sync_all()).map_err(directory)?;
        let reading = (0..options.readers.max(1))
            .map(|_| connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, -4_000))
            .collect::<Result<Vec<_>, _>>()
            .map_err(OpenError::storage)?;

        let (ended_at, ended) = watch::channel(false);
        let alive = Arc::new(Alive { lock: Some(lock), ended: ended_at });
        let listener = Arc::new(Mutex::new(None));
        let mut start = Start {
            conn,
            known,
            dir: dir.to_owned(),
            listener: Arc::clone(&listener),
            on_fatal: Arc::clone(&options.on_fatal),
            queue_jobs_max: options.queue_jobs_max,
            queue_bytes_max: options.queue_bytes_max,
            alive: Arc::clone(&alive),
            #[cfg(test)]
            planted: writer::Planted::default(),
        };
        prepare(&mut start);
        let (readers, mut threads) = Readers::start(reading, options.on_fatal, &alive).map_err(directory)?;
        let (writer, thread) = Writer::start(start).map_err(directory)?;
        threads.push(thread);
        Ok(Self { writer, readers, listener, ended, threads, dir: dir.to_owned() })
    }

    /// Takes no more work, does what is queued, leaves the data file whole and gives the directory free.
    /// From here on everything answers `StoreError::Closed`. Closing twice is the same as closing once.
    pub async fn close(&self) {
        self.writer.close();
        self.readers.close();
        // An error means that the sender is gone, and with it every thread.
        let _ = self.ended.clone().wait_for(|it| *it).await;
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.writer.close();
        self.readers.close();
        for thread in self.threads.drain(..) {
            // A listener may hold the last handle of the store: then one of the threads is us.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl core::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SqliteStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn connect(path: &Path, flags: OpenFlags, cache_kib: i64) -> Result<Connection, Fault> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.set_prepared_statement_cache_capacity(256);
    // Nothing can be waited for but a checkpoint that restarts the WAL.
    conn.busy_timeout(BUSY_WAIT)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    // The writer does it, and looks at what comes of it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.pragma_update(None, "cache_size", cache_kib)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    Ok(conn)
}

fn prepare_for_writing(conn: &Connection, options: &Options) -> Result<(), Fault> {
    // Counts only before the first table, in this order.
    conn.pragma_update(None, "page_size", 16_384)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Row(format!("its file system does not allow a write-ahead log (it said `{mode}`): use a local disk")));
    }
    conn.pragma_update(None, "synchronous", "full")?;
    // On a Mac a plain fsync does not reach the disk; elsewhere these do nothing.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Room that becomes free in a page that is written anyway is zeroed; see `erasures`.
    conn.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    if let Some(pages) = options.pages_max {
        conn.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}
