//! What is read of control objects and of kept answers, as the disk answers it.

use super::Disk;
use async_trait::async_trait;
use ringback_model::{Timestamp, key::Key, tenant::Tenant};
use ringback_ports::store::{Answers, Control, StoreError, StoredAnswer, StoredType};

#[async_trait]
impl Control for Disk {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.reading().await?.tenants().await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.reading().await?.keys().await
    }

    async fn types(&self) -> Result<Vec<StoredType>, StoreError> {
        self.reading().await?.types().await
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading().await?.meta(name).await
    }

    async fn meta_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.memory().meta_once(name, value).await
    }

    async fn deliveries_held(&self) -> Result<bool, StoreError> {
        self.reading().await?.deliveries_held().await
    }
}

#[async_trait]
impl Answers for Disk {
    async fn answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
        let out = self.reading().await?.answer(scope, now).await;
        self.dawdle().await;
        out
    }

    async fn prune_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.reading().await?.prune_answers(now, limit).await
    }
}
