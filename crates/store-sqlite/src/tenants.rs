//! Control objects: tenants, keys, types; and the store's own secrets.

use crate::{
    SqliteStore,
    fault::Fault,
    known::Tx,
    sql::{self, Columns},
    writer::Entry,
};
use async_trait::async_trait;
use ringback_model::{
    KeyId, TypeName,
    key::{Key, Role, Scope, Scopes},
    tenant::Tenant,
};
use ringback_ports::store::{Control, StoreError, StoredType};
use rusqlite::{OptionalExtension, params};

#[async_trait]
impl Control for SqliteStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.readers
            .read(|it| {
                it.all("SELECT id, name, metadata, created_at, version, data_key FROM tenants ORDER BY id", [], |row| {
                    let mut it = Columns::of("tenants", row);
                    Ok(Tenant {
                        id: it.name()?,
                        name: it.get()?,
                        metadata: it.json()?,
                        created_at: it.time()?,
                        version: it.u64()?,
                        data_key: it.get()?,
                    })
                })
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.readers
            .read(|it| {
                it.all(
                    "SELECT id, role, tenant, scopes, description, expires_at, created_at, digest, rate_max_per_s FROM keys ORDER BY id",
                    [],
                    |row| {
                        let mut it = Columns::of("keys", row);
                        Ok(Key {
                            id: KeyId::from_bits(it.bits()?),
                            role: it.word(Role::parse)?,
                            tenant: it.name_opt()?,
                            scopes: it.word(scopes)?,
                            description: it.get()?,
                            expires_at: it.time_opt()?,
                            created_at: it.time()?,
                            digest: it.get()?,
                            rate_max_per_s: it.get()?,
                        })
                    },
                )
            })
            .await
    }

    async fn types(&self) -> Result<Vec<StoredType>, StoreError> {
        self.readers
            .read(|it| {
                it.all("SELECT name, source, version, updated_at, from_file FROM types ORDER BY name", [], |row| {
                    let mut it = Columns::of("types", row);
                    Ok(StoredType {
                        name: it.name()?,
                        source: it.json()?,
                        version: it.u64()?,
                        updated_at: it.time()?,
                        from_file: it.get()?,
                    })
                })
            })
            .await
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |it| it.one("SELECT value FROM meta WHERE name = ?1", [name], |row| Columns::of("meta", row).get())).await
    }

    async fn meta_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let name = name.to_owned();
        let done = self
            .writer
            .submit(Entry::OrWait, value.len(), move |tx| {
                let mut read = tx.conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
                if let Some(there) = read.query_row([&name], |row| row.get(0)).optional()? {
                    return Ok(there);
                }
                tx.conn.prepare_cached("INSERT INTO meta (name, value) VALUES (?1, ?2)")?.execute(params![name, value])?;
                Ok(value)
            })
            .await;
        Ok(done?)
    }

    async fn deliveries_held(&self) -> Result<bool, StoreError> {
        Ok(self.meta(HELD).await?.is_some())
    }
}

/// The value of `meta` that is there while deliveries are held back.
pub(crate) const HELD: &str = "deliveries-held";

pub(crate) fn hold(tx: &Tx<'_>, held: bool) -> Result<(), Fault> {
    let sql =
        if held { "INSERT INTO meta (name, value) VALUES (?1, x'01') ON CONFLICT DO NOTHING" } else { "DELETE FROM meta WHERE name = ?1" };
    tx.conn.prepare_cached(sql)?.execute([HELD])?;
    Ok(())
}

/// Scopes are kept as their words, so that the order of the list in `model` may change.
fn scopes(text: &str) -> Option<Scopes> {
    text.split_ascii_whitespace().map(Scope::parse).collect::<Option<Vec<_>>>().map(Scopes::collect)
}

pub(crate) fn write_tenant(tx: &Tx<'_>, it: &Tenant) -> Result<(), Fault> {
    tx.conn
        .prepare_cached(
            "INSERT INTO tenants (id, name, metadata, created_at, version, data_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, metadata = excluded.metadata,
                 created_at = excluded.created_at, version = excluded.version, data_key = excluded.data_key",
        )?
        .execute(params![
            it.id.as_str(),
            it.name,
            sql::json(&it.metadata)?,
            it.created_at.as_micros(),
            it.version.cast_signed(),
            it.data_key
        ])?;
    Ok(())
}

pub(crate) fn write_key(tx: &Tx<'_>, it: &Key) -> Result<(), Fault> {
    let scopes = it.scopes.list().into_iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    tx.conn
        .prepare_cached(
            "INSERT INTO keys (id, role, tenant, scopes, description, expires_at, created_at, digest, rate_max_per_s)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET role = excluded.role, tenant = excluded.tenant, scopes = excluded.scopes,
                 description = excluded.description, expires_at = excluded.expires_at, created_at = excluded.created_at,
                 digest = excluded.digest, rate_max_per_s = excluded.rate_max_per_s",
        )?
        .execute(params![
            sql::id(it.id.bits()),
            it.role.as_str(),
            it.tenant.as_ref().map(|it| it.as_str()),
            scopes,
            it.description,
            it.expires_at.map(|it| it.as_micros()),
            it.created_at.as_micros(),
            it.digest,
            it.rate_max_per_s
        ])?;
    Ok(())
}

pub(crate) fn delete_key(tx: &Tx<'_>, id: KeyId) -> Result<(), Fault> {
    tx.conn.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([sql::id(id.bits())])?;
    Ok(())
}

pub(crate) fn write_type(tx: &Tx<'_>, it: &StoredType) -> Result<(), Fault> {
    tx.conn
        .prepare_cached(
            "INSERT INTO types (name, source, version, updated_at, from_file) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET source = excluded.source, version = excluded.version,
                 updated_at = excluded.updated_at, from_file = excluded.from_file",
        )?
        .execute(params![it.name.as_str(), sql::json(&it.source)?, it.version.cast_signed(), it.updated_at.as_micros(), it.from_file])?;
    Ok(())
}

pub(crate) fn delete_type(tx: &Tx<'_>, name: &TypeName) -> Result<(), Fault> {
    tx.conn.prepare_cached("DELETE FROM types WHERE name = ?1")?.execute([name.as_str()])?;
    Ok(())
}
