//! Answers kept under Idempotency-Keys. They are written by `commit`.

use crate::{SqliteStore, sql::Columns, writer::Entry};
use async_trait::async_trait;
use ringback_model::Timestamp;
use ringback_ports::store::{Answers, StoreError, StoredAnswer};
use rusqlite::params;

#[async_trait]
impl Answers for SqliteStore {
    async fn answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
        let scope = *scope;
        self.readers
            .read(move |it| {
                it.one(
                    "SELECT fingerprint, answer, expires_at FROM answers WHERE scope = ?1 AND expires_at > ?2",
                    params![scope, now.as_micros()],
                    |row| {
                        let mut it = Columns::of("answers", row);
                        Ok(StoredAnswer { fingerprint: it.get()?, answer: it.get()?, expires_at: it.time()? })
                    },
                )
            })
            .await
    }

    async fn prune_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let done = self
            .writer
            .submit(Entry::OrWait, 64, move |tx| {
                Ok(tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM answers WHERE rowid IN
                             (SELECT rowid FROM answers WHERE expires_at <= ?1 ORDER BY expires_at, scope LIMIT ?2)",
                    )?
                    .execute(params![now.as_micros(), limit])?)
            })
            .await;
        Ok(done?)
    }
}
