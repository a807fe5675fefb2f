//! Memory for answers that are made and not yet written: one budget for all
//! connections.
//!
//! A client that asks for pages and does not read them costs each page until its
//! connection is cut for standing still. So what an answer holds is counted until
//! the last byte is written, and beyond the budget the next one is refused
//! before it is made. Small answers count for nothing: their connections cost more.
//!
//! Not here: when a connection stands still for too long (`http::deadline`).

use bytes::Bytes;
use ringback_model::limits::ANSWER_BYTES_FREE;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: AtomicUsize,
}

/// A part of it, given back when this is dropped.
#[derive(Debug)]
struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes that hold something for as long as anybody has them.
struct Kept<T> {
    bytes: Bytes,
    _kept: T,
}

impl<T> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// These bytes, which keep `kept` until they are written and dropped.
pub(super) fn keeping<T: Send + 'static>(bytes: Bytes, kept: T) -> Bytes {
    Bytes::from_owner(Kept { bytes, _kept: kept })
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicUsize::new(0) })
    }

    /// Whether anything is left: asked before an answer is made.
    pub(crate) fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed) < self.max
    }

    /// Counts `bytes` until they are written; `None` when they do not fit any more.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Bytes) -> Option<Bytes> {
        if bytes.len() <= ANSWER_BYTES_FREE {
            return Some(bytes);
        }
        let fits = |used: usize| used.checked_add(bytes.len()).filter(|it| *it <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        let held = Held { budget: Arc::clone(self), bytes: bytes.len() };
        Some(keeping(bytes, held))
    }

    /// Counts `bytes` until they are written, also beyond the budget.
    pub(crate) fn hold_anyway(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.len() <= ANSWER_BYTES_FREE {
            return bytes;
        }
        self.used.fetch_add(bytes.len(), Ordering::Relaxed);
        let held = Held { budget: Arc::clone(self), bytes: bytes.len() };
        keeping(bytes, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[test]
    fn what_is_held_counts_until_the_last_copy_is_gone() {
        let budget = Budget::new(3 * ANSWER_BYTES_FREE);
        let first = budget.hold(of(2 * ANSWER_BYTES_FREE)).expect("it fits");
        assert!(budget.has_room());
        assert!(budget.hold(of(ANSWER_BYTES_FREE + 1)).is_none(), "it does not fit");
        let part = first.slice(1..2);
        drop(first);
        assert!(budget.hold(of(ANSWER_BYTES_FREE + 1)).is_none(), "a part of it is still to be written");
        drop(part);
        let second = budget.hold(of(3 * ANSWER_BYTES_FREE)).expect("all of it is free again");
        assert!(!budget.has_room());
        assert_eq!(budget.hold(of(ANSWER_BYTES_FREE)).map(|it| it.len()), Some(ANSWER_BYTES_FREE), "small ones count for nothing");
        let third = budget.hold_anyway(of(9 * ANSWER_BYTES_FREE));
        drop(second);
        assert!(!budget.has_room());
        drop(third);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_length_that_overflows_does_not_fit() {
        let budget = Budget::new(usize::MAX);
        budget.used.store(usize::MAX - 1, Ordering::Relaxed);
        assert!(budget.hold(of(ANSWER_BYTES_FREE + 1)).is_none());
    }
}
