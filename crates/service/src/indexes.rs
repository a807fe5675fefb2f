//! Declared indexes that do not hold all rows yet. No list relies on them.

use crate::{Error, Service};
use ringback_model::TypeName;
use ringback_ports::store::StoreError;
use std::{collections::BTreeMap, sync::PoisonError};

/// The members of unfilled indexes, by type.
pub(crate) type Unfilled = BTreeMap<TypeName, Vec<Vec<String>>>;

pub(crate) fn by_type(all: Vec<(TypeName, Vec<String>)>) -> Unfilled {
    let mut out = Unfilled::new();
    for (name, members) in all {
        out.entry(name).or_default().push(members);
    }
    out
}

impl Service {
    /// The members of the indexes of this type that serve nothing yet.
    pub(crate) fn unfilled(&self, type_name: &TypeName) -> Vec<Vec<String>> {
        self.inner.unfilled.read().unwrap_or_else(PoisonError::into_inner).get(type_name).cloned().unwrap_or_default()
    }

    /// Makes the indexes of a type be these; what has to be filled is filled by a task.
    pub(crate) async fn declare_indexes(&self, type_name: &TypeName, indexes: &[Vec<String>]) -> Result<(), StoreError> {
        self.inner.store.declare_indexes(type_name, indexes).await?;
        self.look_for_unfilled().await?;
        self.inner.index_hint.notify_one();
        Ok(())
    }

    /// Enters some rows into an index. Whether there is more to do.
    pub(crate) async fn fill_indexes(&self, rows: usize) -> Result<bool, Error> {
        let waiting = !self.inner.unfilled.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !waiting {
            return Ok(false);
        }
        let more = self.inner.store.fill_indexes(rows).await?;
        self.look_for_unfilled().await?;
        Ok(more)
    }

    async fn look_for_unfilled(&self) -> Result<(), StoreError> {
        let found = by_type(self.inner.store.indexes_to_fill().await?);
        *self.inner.unfilled.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }
}
