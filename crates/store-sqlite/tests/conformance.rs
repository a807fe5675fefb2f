//! The SQLite store keeps what `ports::store` says.

use ringback_store_sqlite::{Options, SqliteStore};

async fn open() -> (SqliteStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(dir.path(), Options::default()).unwrap(), dir)
}

ringback_ports::conformance::suite!(open);
