//! What may go wrong below us, and what each kind asks of us.
//!
//! Not here: refused change sets; those are answers, not faults.

use ringback_ports::store::{CommitError, SettleError, StoreError};
use rusqlite::ErrorCode;

/// Why a statement or a row was not what it should be.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite says so.
    Sql(rusqlite::Error),
    /// A row holds what we never write.
    Row(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(it: rusqlite::Error) -> Self {
        Self::Sql(it)
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Sql(it) => it.fmt(f),
            Self::Row(it) => f.write_str(it),
        }
    }
}

impl Fault {
    /// A row of `table` that cannot be read.
    pub(crate) fn row(table: &str, why: impl core::fmt::Display) -> Self {
        Self::Row(format!("a row of {table} cannot be read: {why}"))
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(it) => it.sqlite_error_code(),
            Self::Row(_) => None,
        }
    }

    /// The disk has no room: nothing is lost, reads go on.
    pub(crate) fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// After this nobody may trust what the kernel says of our files (P1): the process has to stop.
    /// A second fsync after a failed one answers "fine" for pages that were thrown away.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
                    | ErrorCode::FileLockingProtocolFailed
            )
        )
    }

    /// For a caller.
    pub(crate) fn store_error(&self) -> StoreError {
        if self.is_full() { StoreError::Full } else { StoreError::Broken(self.to_string()) }
    }
}

/// What became of a job's transaction when it did not become durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The queue had no room; it was never tried.
    Overloaded,
    /// Nobody knows.
    Unknown,
    /// Nothing of it was stored.
    Not(StoreError),
}

impl From<Fate> for CommitError {
    fn from(it: Fate) -> Self {
        match it {
            Fate::Overloaded => Self::Overloaded,
            Fate::Unknown => Self::Unknown,
            Fate::Not(it) => Self::Store(it),
        }
    }
}

impl From<Fate> for StoreError {
    fn from(it: Fate) -> Self {
        match it {
            Fate::Overloaded => Self::Overloaded,
            Fate::Unknown => Self::Unknown,
            Fate::Not(it) => it,
        }
    }
}

impl From<Fate> for SettleError {
    fn from(it: Fate) -> Self {
        Self::Store(it.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Error, ffi};

    #[track_caller]
    fn check(code: i32, fatal: bool, full: bool) {
        let fault = Fault::from(Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!((fault.is_fatal(), fault.is_full()), (fatal, full), "{fault}");
    }

    #[test]
    fn only_what_cannot_be_trusted_again_is_fatal() {
        check(ffi::SQLITE_IOERR_FSYNC, true, false);
        check(ffi::SQLITE_IOERR_READ, true, false);
        check(ffi::SQLITE_IOERR_WRITE, true, false);
        check(ffi::SQLITE_CORRUPT, true, false);
        check(ffi::SQLITE_FULL, false, true);
        check(ffi::SQLITE_BUSY, false, false);
        check(ffi::SQLITE_CONSTRAINT, false, false);
    }
}
