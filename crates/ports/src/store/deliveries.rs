//! What is known of deliveries: cursors, exceptions, attempts, skipped ranges.

use super::StoreError;
use async_trait::async_trait;
use ringback_model::{
    EventId,
    delivery::{Attempt, Exception, SkippedRange, Via},
    event::Place,
    replay::Replay,
    subscription::{Generation, Subscription},
};

/// What a reader has finished: written in one step, never half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Whose (`Subscription::no`).
    pub subscription: u32,
    /// The reader's life in which it happened.
    pub generation: Generation,
    /// The low-water mark afterwards.
    pub cursor: Place,
    /// Tries that ended.
    pub attempts: Vec<Attempt>,
    /// Exceptions that are new or changed (one row per place).
    pub exceptions: Vec<Exception>,
    /// Places whose exception is over.
    pub removed: Vec<Place>,
    /// Stretches that are skipped. One that begins where a stored one of the same generation and `why` does is that one, grown.
    pub skipped: Vec<SkippedRange>,
    /// Replays of this subscription that are further than before.
    pub replays: Vec<Replay>,
}

/// Why a settlement was not stored. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The subscription is gone or has another generation.
    #[error("the subscription is gone or was sought elsewhere meanwhile")]
    Fenced,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a reader stands, as a restart finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderState {
    /// The low-water mark.
    pub cursor: Place,
    /// All exceptions of the subscription, in order of place.
    pub exceptions: Vec<Exception>,
    /// Places above the cursor with a successful attempt of the current generation, in order.
    pub delivered_above: Vec<Place>,
    /// All skipped ranges, in order of `from`.
    pub skipped: Vec<SkippedRange>,
    /// Its replays that run, oldest first.
    pub replays: Vec<Replay>,
}

/// The attempts of one delivery, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptSummary {
    /// Where the event stands.
    pub place: Place,
    /// How many there were.
    pub count: u32,
    /// The last one.
    pub last: Attempt,
    /// The latest generation in which one succeeded, if any did; those of replays apart.
    pub succeeded_in: Option<Generation>,
    /// The latest generation in which one of a replay succeeded, if any did.
    pub replayed_in: Option<Generation>,
}

impl AttemptSummary {
    /// Adds the next attempt, in order of place and number, to the sums of those before it.
    pub fn add(sums: &mut Vec<Self>, attempt: Attempt) {
        let arrived = attempt.succeeded().then_some(attempt.generation);
        let (succeeded_in, replayed_in) = if attempt.via == Via::Replay { (None, arrived) } else { (arrived, None) };
        match sums.last_mut().filter(|it| it.place == attempt.place) {
            Some(sum) => {
                sum.count += 1;
                sum.succeeded_in = sum.succeeded_in.max(succeeded_in);
                sum.replayed_in = sum.replayed_in.max(replayed_in);
                sum.last = attempt;
            }
            None => sums.push(Self { place: attempt.place, count: 1, last: attempt, succeeded_in, replayed_in }),
        }
    }

    /// The latest generation in which the event arrived, by whatever try.
    #[must_use]
    pub fn delivered_in(&self) -> Option<Generation> {
        self.succeeded_in.max(self.replayed_in)
    }
}

/// What is kept of a subscription and of some of its deliveries, all at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderAccount {
    /// The subscription then.
    pub subscription: Subscription,
    /// Its low-water mark then.
    pub cursor: Place,
    /// The exceptions of the places asked for, in order.
    pub exceptions: Vec<Exception>,
    /// The attempts of the places asked for, in order.
    pub attempts: Vec<AttemptSummary>,
    /// All skipped ranges, in order of `from`.
    pub skipped: Vec<SkippedRange>,
}

/// Deliveries.
#[async_trait]
pub trait Deliveries {
    /// Stores a settlement, durable when this returns.
    ///
    /// - Refused as `Fenced` unless the subscription exists with this generation; nothing is stored then.
    /// - The cursor never moves backwards: a lower one is ignored, the rest is stored.
    /// - An attempt or exception that is there already is written over: settling twice equals settling once.
    /// - A skipped range takes the place of those of its generation and `why` that begin where it does and end no later.
    /// - An attempt whose number one of an earlier generation has is kept under the next free number; so is one
    ///   of a replay whose number another has, and another whose number one of a replay has.
    /// - Of a replay, its progress is written over the stored one; one that is not stored is left out.
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError>;

    /// Where the reader of this subscription stands; `None` if there is no such subscription.
    async fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, StoreError>;

    /// The cursor alone.
    async fn cursor(&self, subscription: u32) -> Result<Option<Place>, StoreError>;

    /// Exceptions of this subscription after `after`, in order of place, at most `limit`.
    async fn exceptions(&self, subscription: u32, after: Place, limit: usize) -> Result<Vec<Exception>, StoreError>;

    /// The exception at this place.
    async fn exception(&self, subscription: u32, place: Place) -> Result<Option<Exception>, StoreError>;

    /// The attempts of one delivery, in order of `n`.
    async fn attempts(&self, subscription: u32, event: EventId) -> Result<Vec<Attempt>, StoreError>;

    /// The attempts of the deliveries with `from < place <= to`, summed up, in order of place.
    async fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, StoreError>;

    /// What is kept of the deliveries with `from < place <= to`, and of their subscription, at one moment.
    /// `None` if there is no such subscription, or it has no cursor.
    async fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, StoreError>;

    /// The numbers under which a cursor, a skipped range, an exception or an attempt is kept, in order.
    async fn accounted(&self) -> Result<Vec<u32>, StoreError>;
}
