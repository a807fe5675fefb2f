//! The SQLite store keeps what `ports::store` says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use ringback_store_sqlite::{Options, SqliteStore};

async fn open() -> (SqliteStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(dir.path(), Options::default()).unwrap(), dir)
}

ringback_ports::conformance::suite!(open);
