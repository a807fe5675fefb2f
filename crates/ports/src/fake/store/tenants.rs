//! Control objects in memory.

use super::MemoryStore;
use crate::store::{Control, StoreError, StoredType};
use async_trait::async_trait;
use ringback_model::{key::Key, tenant::Tenant};

#[async_trait]
impl Control for MemoryStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.state().tenants.values().cloned().collect())
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        Ok(self.state().keys.values().cloned().collect())
    }

    async fn types(&self) -> Result<Vec<StoredType>, StoreError> {
        Ok(self.state().types.values().cloned().collect())
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().meta.get(name).cloned())
    }

    async fn meta_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(self.state().meta.entry(name.to_owned()).or_insert(value).clone())
    }

    async fn deliveries_held(&self) -> Result<bool, StoreError> {
        Ok(self.state().held)
    }
}
