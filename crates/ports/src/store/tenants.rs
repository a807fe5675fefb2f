//! Control objects that are read whole at the start: tenants, keys, types; and the store's own secrets.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::{Timestamp, TypeName, key::Key, tenant::Tenant};
use serde_json::Value;

/// A type as it was last served: put over HTTP, or declared by a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredType {
    /// Its name.
    pub name: TypeName,
    /// The declaration.
    pub source: Value,
    /// Raised by every change; the ETag.
    pub version: u64,
    /// When it was last put, or its file last changed.
    pub updated_at: Timestamp,
    /// Whether a file declared it. It is kept so that the next start can see what has changed.
    pub from_file: bool,
}

/// Control objects.
#[async_trait]
pub trait Control {
    /// All tenants, in order of id.
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// All keys, in order of id.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;

    /// All types that were ever served and not deleted, in order of name.
    async fn types(&self) -> Result<Vec<StoredType>, StoreError>;

    /// A value of the store's own (sealed pepper, token keys …).
    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps `value` under `name` unless there is one; answers what is kept afterwards. Durable when it returns.
    async fn meta_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError>;

    /// Whether deliveries are held back: a copy of a log must not send again what the log has sent (`Change::Hold`).
    async fn deliveries_held(&self) -> Result<bool, StoreError>;
}
