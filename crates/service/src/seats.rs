//! Places for event streams: so many in all, and so many for one key, so that
//! one client's crowd does not lock out the others.

use ringback_model::KeyId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// All places.
#[derive(Debug)]
pub(crate) struct Seats {
    max: usize,
    per_key_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_key: BTreeMap<Option<KeyId>, usize>,
}

/// One place. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat {
    of: Option<KeyId>,
    seats: Arc<Seats>,
}

impl Seats {
    pub(crate) fn new(max: usize, per_key_max: usize) -> Arc<Self> {
        Arc::new(Self { max, per_key_max, taken: Mutex::default() })
    }

    /// A place for a stream of this key (`None` is the operator's socket).
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn take(self: &Arc<Self>, of: Option<KeyId>) -> Result<Seat, usize> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.max {
            return Err(self.max);
        }
        let own = taken.by_key.entry(of).or_insert(0);
        if *own >= self.per_key_max {
            return Err(self.per_key_max);
        }
        *own += 1;
        taken.all += 1;
        Ok(Seat { of, seats: Arc::clone(self) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_key.get_mut(&self.of) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_key.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_share_and_all_have_theirs() {
        let seats = Seats::new(3, 2);
        let key = |bits| Some(KeyId::from_bits(bits));
        let first = seats.take(key(1)).unwrap();
        let _second = seats.take(key(1)).unwrap();
        assert_eq!(seats.take(key(1)).unwrap_err(), 2, "of one key");
        let _other = seats.take(key(2)).unwrap();
        assert_eq!(seats.take(None).unwrap_err(), 3, "in all");
        drop(first);
        let again = seats.take(key(1)).unwrap();
        drop((again, _second, _other));
        assert_eq!((seats.taken.lock().unwrap().all, seats.taken.lock().unwrap().by_key.len()), (0, 0), "nothing is kept of who left");
    }
}
