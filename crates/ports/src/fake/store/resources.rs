//! Resource rows in memory. Every list is a scan: declared indexes are for stores that have many rows.

use super::MemoryStore;
use crate::store::{DueTimer, ResourceKey, ResourceQuery, ResourceRow, Resources, StoreError};
use async_trait::async_trait;
use core::{cmp::Reverse, ops::Bound};
use ringback_model::{
    ResourceId, Subject, TenantId, Timestamp, TypeName,
    event::{Event, Place, Scope},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

#[async_trait]
impl Resources for MemoryStore {
    async fn resource(&self, tenant: &TenantId, type_name: &TypeName, id: &ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        Ok(self.state().resources.get(&(tenant.clone(), type_name.clone(), id.clone())).cloned())
    }

    async fn resources(&self, query: ResourceQuery) -> Result<Vec<ResourceRow>, StoreError> {
        let state = self.state();
        let mut rows: Vec<&ResourceRow> = state.resources.values().filter(|it| query.matches(it)).collect();
        rows.sort_by_key(|it| Reverse((it.resource.created_at, &it.resource.id)));
        if query.oldest_first {
            rows.reverse();
        }
        Ok(rows.into_iter().take(query.limit).cloned().collect())
    }

    async fn resources_changed_after(
        &self,
        tenant: &TenantId,
        type_name: &TypeName,
        after: Place,
        limit: usize,
    ) -> Result<Option<BTreeSet<ResourceId>>, StoreError> {
        let state = self.state();
        let of = |it: &Event| it.of.as_ref().filter(|of| of.type_name == *type_name).map(|of| of.id.clone());
        let ids: BTreeSet<_> =
            state.places(&Scope::Tenant(tenant.clone()), after, Place::MAX).filter_map(|(_, it)| of(&it.event)).collect();
        Ok((ids.len() <= limit).then_some(ids))
    }

    async fn resources_at(&self, tenant: &TenantId, subjects: &[Subject], at: Place) -> Result<Vec<Arc<Event>>, StoreError> {
        let state = self.state();
        let mut last: BTreeMap<&Subject, &Arc<Event>> = BTreeMap::new();
        for (_, it) in state.places(&Scope::Tenant(tenant.clone()), 0, at.saturating_add(1)) {
            if let (Some(subject), Some(_)) = (&it.event.subject, &it.event.of)
                && subjects.contains(subject)
            {
                last.insert(subject, &it.event);
            }
        }
        Ok(last.into_values().filter(|it| it.of.as_ref().is_some_and(|of| !of.deleted)).cloned().collect())
    }

    async fn resource_rows(&self, after: Option<ResourceKey>, limit: usize) -> Result<Vec<ResourceRow>, StoreError> {
        let from = match after {
            Some(ResourceKey { tenant, type_name, id }) => Bound::Excluded((tenant, type_name, id)),
            None => Bound::Unbounded,
        };
        Ok(self.state().resources.range((from, Bound::Unbounded)).take(limit).map(|(_, it)| it.clone()).collect())
    }

    async fn resource_count(&self, type_name: &TypeName) -> Result<u64, StoreError> {
        let count = self.state().resources.values().filter(|it| it.resource.type_name == *type_name && !it.deleted).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    async fn resources_of_type(
        &self,
        type_name: &TypeName,
        after: Option<(TenantId, Timestamp, ResourceId)>,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let state = self.state();
        let place = |it: &ResourceRow| (it.resource.tenant.clone(), it.resource.created_at, it.resource.id.clone());
        let mut rows: Vec<&ResourceRow> = state
            .resources
            .values()
            .filter(|it| it.resource.type_name == *type_name && !it.deleted && after.as_ref().is_none_or(|after| place(it) > *after))
            .collect();
        rows.sort_by_key(|it| place(it));
        Ok(rows.into_iter().take(limit).cloned().collect())
    }

    async fn declare_indexes(&self, _type_name: &TypeName, _indexes: &[Vec<String>]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn indexes_to_fill(&self) -> Result<Vec<(TypeName, Vec<String>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn fill_indexes(&self, _rows: usize) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        let state = self.state();
        let mut due: Vec<DueTimer> = state
            .resources
            .iter()
            .filter_map(|((tenant, type_name, id), row)| {
                let timer = row.timer.clone().filter(|it| it.due_at <= now)?;
                Some(DueTimer { tenant: tenant.clone(), type_name: type_name.clone(), id: id.clone(), timer })
            })
            .collect();
        due.sort_by_key(|it| it.timer.due_at); // stable: equal times stay in order of (tenant, type, id)
        due.truncate(limit);
        Ok(due)
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().resources.values().filter_map(|it| it.timer.as_ref().map(|it| it.due_at)).min())
    }
}
