//! The log as a whole: its ends, and what follows when it was restored from a backup.
//!
//! Not here: reading it (`events`), making and restoring backups (`store-sqlite`).

use crate::{Ctx, Error, Outcome, Service, Write, idempotency::Decision};
use bytes::Bytes;
use ringback_model::{
    EventId, EventType, TenantId, Timestamp,
    event::{EventDraft, Scope},
    key::Authority,
    position::Epoch,
};
use ringback_ports::{
    Entropy,
    store::{AuditEntry, Change, ChangeSet, CommitError, Store},
};
use std::sync::atomic::Ordering;

/// The ends of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogView {
    /// The first `sequence` that is still there.
    pub first: Option<u64>,
    /// The last one.
    pub last: u64,
    /// What retention has passed.
    pub floor: u64,
    /// The life of the log.
    pub epoch: Epoch,
    /// Whether no delivery is tried until somebody releases them.
    pub deliveries_held: bool,
}

impl Service {
    /// The ends of the log of the caller's scope.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_view(&self, ctx: &Ctx) -> Result<LogView, Error> {
        let bounds = self.inner.store.bounds(&ctx.scope).await?;
        Ok(LogView {
            first: (bounds.first <= bounds.last).then_some(bounds.first),
            last: bounds.last,
            floor: bounds.floor,
            epoch: bounds.epoch,
            deliveries_held: self.deliveries_held(),
        })
    }

    /// Lets deliveries go that were held back since the log was restored. Where none are held, nothing changes.
    ///
    /// # Errors
    /// `Forbidden` for whoever is no operator.
    pub async fn release_deliveries(&self, ctx: &Ctx, write: Write<LogView>) -> Result<Outcome<LogView>, Error> {
        ctx.require(Authority::Operator, || "release deliveries after a restore".into())?;
        let (service, ctx) = (self.clone(), ctx.clone());
        self.whole(async move { service.release_inner(&ctx, write).await }).await
    }

    async fn release_inner(&self, ctx: &Ctx, write: Write<LogView>) -> Result<Outcome<LogView>, Error> {
        let view = LogView { deliveries_held: false, ..self.log_view(ctx).await? };
        let outcome = self
            .write(ctx, write, || async {
                let mut set = ChangeSet::new(TenantId::default_tenant(), self.now());
                if self.deliveries_held() {
                    set.changes.push(Change::Hold { held: false });
                    set.audit = Some(AuditEntry { actor: ctx.caller.key, action: "log.release", object: "deliveries".into() });
                }
                Ok(Decision::new(set, move |_| view))
            })
            .await?;
        if self.inner.held.swap(false, Ordering::SeqCst) {
            tracing::info!("deliveries are released");
            self.inner.dispatcher.wake().await;
        }
        Ok(outcome)
    }

    pub(crate) fn deliveries_held(&self) -> bool {
        self.inner.held.load(Ordering::SeqCst)
    }
}

/// Says in the log of each tenant that it was restored: an event `ringback.log.restored`
/// with the new epoch and the time of the backup. Whoever reads on from an older position learns of it there.
///
/// # Errors
/// The store's.
pub async fn restored(store: &dyn Store, entropy: &dyn Entropy, now: Timestamp, backup_at: Timestamp) -> Result<(), CommitError> {
    let epoch = store.bounds(&Scope::All).await?.epoch;
    let data = Bytes::from(format!("{{\"epoch\":{epoch},\"backup_at\":\"{backup_at}\"}}"));
    let event_type = EventType::parse("ringback.log.restored").map_err(|it| ringback_ports::store::StoreError::Broken(it.to_string()))?;
    for tenant in store.tenants().await? {
        let mut set = ChangeSet::new(tenant.id.clone(), now);
        set.events.push(EventDraft {
            id: EventId::make(now, entropy.bits()),
            event_type: event_type.clone(),
            timestamp: now,
            subject: None,
            data: data.clone(),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        });
        set.audit = Some(AuditEntry { actor: None, action: "log.restore", object: format!("epoch {epoch}") });
        store.commit(set).await?;
    }
    Ok(())
}
