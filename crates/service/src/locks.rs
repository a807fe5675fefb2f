//! One change of a hot object at a time.
//!
//! Two requests that change one resource would both decide on the same version
//! and one of them would be refused and decide again. Taking turns costs less.
//! The store's version check stays: it is what makes it right.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<BTreeMap<String, Arc<AsyncMutex<()>>>>,
}

/// A turn. Dropping it lets the next one go.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    locks: &'a Locks,
    name: String,
    lock: Option<Arc<AsyncMutex<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits for a turn with the object of this name.
    pub(crate) async fn turn(&self, name: String) -> Turn<'_> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(held.entry(name.clone()).or_default())
        };
        // Made before waiting: a request that is given up while it waits cleans up too.
        let mut turn = Turn { locks: self, name, lock: Some(Arc::clone(&lock)), guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        self.lock = None;
        // One count is the map's own: nobody else holds or awaits this lock.
        if held.get(&self.name).is_some_and(|it| Arc::strong_count(it) == 1) {
            held.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_taken_and_forgotten() {
        let locks = Locks::default();
        let first = locks.turn("a".into()).await;
        let second = locks.turn("b".into()).await;
        assert_eq!(locks.held.lock().unwrap().len(), 2);
        drop(first);
        drop(second);
        assert!(locks.held.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_is_given_up_while_waiting_leaves_nothing_behind() {
        let locks = Locks::default();
        let first = locks.turn("a".into()).await;
        tokio::select! {
            biased;
            _ = locks.turn("a".into()) => unreachable!("it is somebody else's turn"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert!(locks.held.lock().unwrap().is_empty());
        let _again = locks.turn("a".into()).await;
    }
}
