//! The request rates of keys. Only keys with a `rate_max_per_s` have one, so
//! only these have a bucket; buckets are in memory, and full after a restart.
//!
//! Not here: how a bucket counts (`engine::rate`), which requests cost nothing
//! (the edge, which knows what it answered).

use crate::{Caller, Error, Service};
use ringback_engine::rate::{Bucket, Exhausted, Standing};
use ringback_model::KeyId;
use std::sync::PoisonError;

impl Service {
    /// Charges one request to the caller's key.
    ///
    /// # Errors
    /// `RateLimited`, when its rate is used up.
    pub fn charge(&self, caller: &Caller) -> Result<(), Error> {
        let charged = self.bucket(caller, |bucket, per_s| bucket.take(per_s, self.now()));
        match charged {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Exhausted { per_s, retry_after_secs })) => Err(Error::RateLimited { per_s, retry_after_secs }),
        }
    }

    /// Takes a charge back: the request cost nothing.
    pub fn refund(&self, caller: &Caller) {
        self.bucket(caller, |bucket, per_s| bucket.refund(per_s, self.now()));
    }

    /// How the rate of the caller's key stands; `None` when it has none.
    #[must_use]
    pub fn rate(&self, caller: &Caller) -> Option<Standing> {
        self.bucket(caller, |bucket, per_s| bucket.standing(per_s, self.now()))
    }

    fn bucket<T>(&self, caller: &Caller, what: impl FnOnce(&mut Bucket, u32) -> T) -> Option<T> {
        let id = caller.key?;
        let per_s = self.registry().keys.get(&id)?.rate_max_per_s?;
        let mut buckets = self.inner.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        Some(what(buckets.entry(id).or_insert_with(|| Bucket::full(per_s, self.now())), per_s))
    }

    /// A key that is gone needs no bucket.
    pub(crate) fn drop_bucket(&self, id: KeyId) {
        self.inner.buckets.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
