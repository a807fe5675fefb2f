//! Resource rows: the present image of each resource.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::{
    ResourceId, Subject, TenantId, Timestamp, TransitionName, TypeName,
    event::{Event, Place},
    resource::Resource,
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// A resource as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRow {
    /// Its present image (the last one, when it is deleted).
    pub resource: Resource,
    /// Whether it was deleted; its id stays taken.
    pub deleted: bool,
    /// The timeout of its status.
    pub timer: Option<Timer>,
}

/// A transition that is to be taken by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Fixed when the status was entered.
    pub due_at: Timestamp,
    /// Which one.
    pub transition: TransitionName,
}

/// A timer that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTimer {
    /// Whose resource.
    pub tenant: TenantId,
    /// Its type.
    pub type_name: TypeName,
    /// Its id.
    pub id: ResourceId,
    /// The timer.
    pub timer: Timer,
}

/// A page of a list: by `created_at`, then `id` (by bytes), both descending or both ascending. Deleted ones are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Of this type.
    pub type_name: TypeName,
    /// Only rows in which each of these members equals this string, integer or boolean.
    /// The service gives what a declared index serves; `status` may be among them.
    pub equal: Vec<(String, Value)>,
    /// Only rows that were created in this span, its ends included.
    pub created: (Option<Timestamp>, Option<Timestamp>),
    /// Ascending, rather than descending.
    pub oldest_first: bool,
    /// Only rows after this one in the order of the list.
    pub after: Option<(Timestamp, ResourceId)>,
    /// At most so many.
    pub limit: usize,
}

impl ResourceQuery {
    /// Whether `row` belongs to the list. Stores may narrow by an index first, but this decides:
    /// strings are equal by code point, numbers by their value (1 and 1.0 are equal), a missing member equals nothing.
    #[must_use]
    pub fn matches(&self, row: &ResourceRow) -> bool {
        let it = &row.resource;
        !row.deleted
            && it.tenant == self.tenant
            && it.type_name == self.type_name
            && self.equal.iter().all(|(name, wanted)| match name.as_str() {
                "status" => wanted.as_str() == Some(it.status.as_str()),
                name => it.fields.get(name).is_some_and(|found| same(found, wanted)),
            })
            && self.created.0.is_none_or(|from| it.created_at >= from)
            && self.created.1.is_none_or(|to| it.created_at <= to)
            && self.after.as_ref().is_none_or(|(at, id)| {
                let (here, after) = ((it.created_at, &it.id), (*at, id));
                if self.oldest_first { here > after } else { here < after }
            })
    }
}

fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => match (found.as_i128(), wanted.as_i128()) {
            (Some(found), Some(wanted)) => found == wanted,
            (None, None) => found.as_f64() == wanted.as_f64(),
            // An integer and a double: exactly, as SQL does it. The cast saturates far beyond any integer of ours.
            (Some(integer), None) => wanted.as_f64().is_some_and(|it| it.fract() == 0.0 && it as i128 == integer),
            (None, Some(integer)) => found.as_f64().is_some_and(|it| it.fract() == 0.0 && it as i128 == integer),
        },
        _ => found == wanted,
    }
}

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceKey {
    /// Whose.
    pub tenant: TenantId,
    /// Its type.
    pub type_name: TypeName,
    /// Its id.
    pub id: ResourceId,
}

/// Resource rows.
#[async_trait]
pub trait Resources {
    /// The row of this resource, also when it is deleted.
    async fn resource(&self, tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Result<Option<ResourceRow>, StoreError>;

    /// One page of rows.
    async fn resources(&self, query: ResourceQuery) -> Result<Vec<ResourceRow>, StoreError>;

    /// The ids of resources of this type that events of the tenant after `after` are about, at
    /// most `limit`; `None` when there are more.
    async fn resources_changed_after(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        after: Place,
        limit: usize,
    ) -> Result<Option<BTreeSet<ResourceId>>, StoreError>;

    /// The events that made these resources what they were at `at`: of each, the last one at or
    /// below it. Those that were not there yet, or were deleted by then, are left out. In any order.
    async fn resources_at(&self, tenant: &TenantId, subjects: &[Subject], at: Place) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Rows of all tenants and types, deleted ones included, at most `limit`: those after `after` in an order
    /// that is the store's own and never changes, so that pages make up all that was there all along.
    async fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, StoreError>;

    /// How many resources of this type there are, of all tenants, deleted ones left out.
    async fn resource_count(&self, type_name: &TypeName) -> Result<u64, StoreError>;

    /// Rows of this type of all tenants, deleted ones left out, after the one with this tenant, `created_at` and id,
    /// at most `limit`: tenant by tenant in an order of the store's own, oldest first, then by the bytes of the id.
    async fn resources_of_type(
        &self,
        type_name: &TypeName,
        after: Option<(TenantId, Timestamp, ResourceId)>,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError>;

    /// Makes the indexes of this type be exactly these lists of members, each ending in `created_at` implicitly.
    /// One for which there are many rows may have to be filled afterwards.
    async fn declare_indexes(&self, type_name: &TypeName, indexes: &[Vec<String>]) -> Result<(), StoreError>;

    /// The indexes that do not hold all rows yet, with their members, `created_at` at the end left out:
    /// they serve no list.
    async fn indexes_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, StoreError>;

    /// Enters at most so many rows (at least one) into one of these, durably. Whether there is more to do.
    async fn fill_indexes(&self, rows: usize) -> Result<bool, StoreError>;

    /// Timers with `due_at <= now`, earliest first, at most `limit`.
    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError>;

    /// When the earliest timer is due.
    async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError>;
}
