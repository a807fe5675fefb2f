//! Backups: one file that holds everything of a directory but its key file.
//!
//! A backup is one snapshot, made beside whoever writes (`VACUUM INTO`), so it
//! needs no pause and no server; it is an SQLite file like the data file itself,
//! with a note in it about when and of what it was made.
//!
//! A restored log is another life of the log: positions of the old one may name
//! places that hold something else now, so the epoch is a new one; and what the
//! old life has sent since the backup isn't known here, so deliveries are held.
//!
//! Not here: checking what is in a backup (`service::verify`), the key file (the command line).

use crate::{FILE, OpenError, fault::Fault, migrate, reading::Found, tenants::HELD};
use ringback_model::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The value of `meta` by which a file says that it is a backup.
const NOTE: &str = "backup";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was made, in microseconds since 1970.
    at: i64,
    /// The program that made it.
    pub made_by: String,
    /// The fingerprint of the key file that its secrets are sealed with.
    pub key_file: String,
    /// The last place of the log in it.
    pub last: u64,
    /// The life of the log that it was made in.
    pub epoch: u32,
}

impl Note {
    /// When it was made.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }
}

/// Why there is no backup, or no directory made of it. Whatever was begun is removed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is in the way.
    #[error("{} is there already: name another file, or move it away", .0.display())]
    Exists(PathBuf),
    /// A directory that holds something.
    #[error("{} is not empty: restore into a directory that holds nothing, or is not there", .0.display())]
    NotEmpty(PathBuf),
    /// Not one of ours.
    #[error("{} is not a backup of Ringback: name a file that `ringback backup create` made", .0.display())]
    NotABackup(PathBuf),
    /// What is to be copied can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file system.
    #[error("{} can't be written or read: {why}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// SQLite.
    #[error("the copy could not be made: {0}")]
    Storage(String),
}

fn storage(it: impl core::fmt::Display) -> BackupError {
    BackupError::Storage(it.to_string())
}

/// Copies what was found into the file `to` (0600), all of one moment, durable when this returns.
/// It gets its name when it is whole.
///
/// # Errors
/// See `BackupError`.
pub fn create(found: &Found, to: &Path, now: Timestamp, key_file: &str) -> Result<Note, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let part = beside(to, ".part");
    let made = create_part(found, &part, now, key_file);
    let named = made.and_then(|note| {
        // Not `rename`: somebody else's file must not be written over.
        std::fs::hard_link(&part, to).map_err(|why| io_error(to, why))?;
        sync_parent(to)?;
        Ok(note)
    });
    let _ = std::fs::remove_file(&part);
    named
}

fn create_part(found: &Found, part: &Path, now: Timestamp, key_file: &str) -> Result<Note, BackupError> {
    // One that is there is of a process that was killed; `VACUUM INTO` takes an empty file alone.
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(|why| io_error(part, why))?;
    let conn = found.connect()?;
    let text = part.to_str().ok_or_else(|| storage("its path is not UTF-8"))?;
    conn.execute("VACUUM INTO ?1", [text]).map_err(storage)?;
    drop(conn);
    let copy = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(storage)?;
    let last: i64 = copy
        .query_row("SELECT coalesce((SELECT max(seq) FROM events), (SELECT floor FROM floors WHERE tenant = 0), 0)", [], |row| row.get(0))
        .map_err(storage)?;
    let epoch: u32 = copy.query_row("SELECT epoch FROM about", [], |row| row.get(0)).map_err(storage)?;
    let note = Note {
        at: now.as_micros(),
        made_by: env!("CARGO_PKG_VERSION").into(),
        key_file: key_file.into(),
        last: last.cast_unsigned(),
        epoch,
    };
    let body = serde_json::to_vec(&note).map_err(storage)?;
    copy.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![NOTE, body]).map_err(storage)?;
    drop(copy);
    File::open(part).and_then(|it| it.sync_all()).map_err(|why| io_error(part, why))?;
    Ok(note)
}

/// What a backup says of itself.
///
/// # Errors
/// `NotABackup`, and as `Found::open`.
pub fn note(path: &Path) -> Result<Note, BackupError> {
    let conn = Found::backup(path)?.connect()?;
    let body: Option<Vec<u8>> =
        conn.query_row("SELECT value FROM meta WHERE name = ?1", [NOTE], |row| row.get(0)).optional().map_err(storage)?;
    let body = body.ok_or_else(|| BackupError::NotABackup(path.to_owned()))?;
    serde_json::from_slice(&body).map_err(|_| BackupError::NotABackup(path.to_owned()))
}

/// Makes the data directory `dir` of a backup: with a new epoch, and with deliveries held. `finish` gets the
/// directory before it has its name, and may write into it; if it fails there is none.
///
/// # Errors
/// See `BackupError`, and whatever `finish` says.
pub fn restore<E: From<BackupError>>(
    from: &Path,
    dir: &Path,
    now: Timestamp,
    finish: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    note(from)?;
    match std::fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(BackupError::NotEmpty(dir.to_owned()).into());
            }
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(io_error(dir, why).into()),
    }
    let part = beside(dir, ".restoring");
    let done = restore_part(from, &part, now).map_err(E::from).and_then(|()| finish(&part)).and_then(|()| {
        // An empty directory of that name gives way.
        std::fs::rename(&part, dir).map_err(|why| io_error(dir, why))?;
        Ok(sync_parent(dir)?)
    });
    if done.is_err() {
        let _ = std::fs::remove_dir_all(&part);
    }
    done
}

fn restore_part(from: &Path, part: &Path, now: Timestamp) -> Result<(), BackupError> {
    if part.exists() {
        // Of a process that was killed.
        std::fs::remove_dir_all(part).map_err(|why| io_error(part, why))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(part).map_err(|why| io_error(part, why))?;
    let path = part.join(FILE);
    let copied = || -> io::Result<()> {
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        io::copy(&mut File::open(from)?, &mut to)?;
        Ok(())
    };
    copied().map_err(|why| io_error(&path, why))?;
    let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(storage)?;
    migrate::must_be_present(&conn, &path)?;
    let change = || -> Result<(), Fault> {
        let tx = conn.unchecked_transaction()?;
        // Two restores of one backup are two lives: counting up would give both the same number.
        let epoch = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        tx.execute("UPDATE about SET epoch = max(epoch + 1, ?1)", [epoch])?;
        tx.execute("DELETE FROM meta WHERE name = ?1", [NOTE])?;
        tx.execute("INSERT INTO meta (name, value) VALUES (?1, x'01') ON CONFLICT DO NOTHING", [HELD])?;
        tx.commit()?;
        Ok(())
    };
    change().map_err(storage)?;
    drop(conn);
    File::open(&path).and_then(|it| it.sync_all()).map_err(|why| io_error(&path, why))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn io_error(path: &Path, why: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), why }
}

fn sync_parent(path: &Path) -> Result<(), BackupError> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|it| it.sync_all()).map_err(|why| io_error(parent, why))
}
