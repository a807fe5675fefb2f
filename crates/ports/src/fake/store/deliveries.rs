//! What is known of deliveries, in memory.

use super::{MemoryStore, Reader};
use crate::store::{AttemptSummary, Deliveries, ReaderAccount, ReaderState, SettleError, Settlement, StoreError};
use async_trait::async_trait;
use ringback_model::{
    EventId,
    delivery::{Attempt, Exception, Via},
    event::Place,
    replay::ReplayState,
};
use std::ops::Bound;

#[async_trait]
impl Deliveries for MemoryStore {
    async fn settle(&self, settlement: Settlement) -> Result<(), SettleError> {
        let mut state = self.state();
        let reader = state
            .readers
            .get_mut(&settlement.subscription)
            .filter(|it| it.subscription.generation == settlement.generation)
            .ok_or(SettleError::Fenced)?;
        reader.cursor = reader.cursor.max(settlement.cursor);
        for mut it in settlement.attempts {
            let own = |range: &mut std::collections::btree_map::Range<'_, (Place, u32), Attempt>| {
                range.find(|(_, old)| old.id == it.id).map(|(key, _)| key.1)
            };
            let all = (it.place, 0)..=(it.place, u32::MAX);
            let taken = reader
                .attempts
                .get(&(it.place, it.n))
                .is_some_and(|old| old.generation < it.generation || old.via == Via::Replay || it.via == Via::Replay);
            if let Some(n) = own(&mut reader.attempts.range(all.clone())) {
                it.n = n;
            } else if taken {
                it.n = reader.attempts.range(all).next_back().map_or(it.n, |(key, _)| key.1.saturating_add(1));
            }
            reader.attempts.insert((it.place, it.n), it);
        }
        reader.exceptions.extend(settlement.exceptions.into_iter().map(|it| (it.place, it)));
        for place in settlement.removed {
            reader.exceptions.remove(&place);
        }
        for it in settlement.skipped {
            reader.skipped.retain(|_, old| (old.from, old.generation, &old.why) != (it.from, it.generation, &it.why) || old.to > it.to);
            reader.skipped.insert((it.from, it.generation, it.to), it);
        }
        for it in settlement.replays {
            if let Some(stored) = state.replays.get_mut(&it.id) {
                stored.progress = it.progress;
            }
        }
        Ok(())
    }

    async fn reader(&self, subscription: u32) -> Result<Option<ReaderState>, StoreError> {
        let state = self.state();
        Ok(state.readers.get(&subscription).map(|it| {
            let generation = it.subscription.generation;
            let above = it.attempts.range((Bound::Excluded((it.cursor, u32::MAX)), Bound::Unbounded));
            let mut delivered_above: Vec<Place> =
                above.filter(|(_, it)| it.succeeded() && it.generation == generation).map(|((place, _), _)| *place).collect();
            delivered_above.dedup();
            ReaderState {
                cursor: it.cursor,
                exceptions: it.exceptions.values().cloned().collect(),
                delivered_above,
                skipped: it.skipped.values().cloned().collect(),
                replays: {
                    let running = |it: &&ringback_model::replay::Replay| it.progress.state == ReplayState::Running;
                    state.replays.values().filter(|it| it.subscription == subscription).filter(running).cloned().collect()
                },
            }
        }))
    }

    async fn cursor(&self, subscription: u32) -> Result<Option<Place>, StoreError> {
        Ok(self.state().readers.get(&subscription).map(|it| it.cursor))
    }

    async fn exceptions(&self, subscription: u32, after: Place, limit: usize) -> Result<Vec<Exception>, StoreError> {
        let state = self.state();
        let Some(reader) = state.readers.get(&subscription) else { return Ok(Vec::new()) };
        Ok(reader.exceptions.range((Bound::Excluded(after), Bound::Unbounded)).take(limit).map(|(_, it)| it.clone()).collect())
    }

    async fn exception(&self, subscription: u32, place: Place) -> Result<Option<Exception>, StoreError> {
        Ok(self.state().readers.get(&subscription).and_then(|it| it.exceptions.get(&place)).cloned())
    }

    async fn attempts(&self, subscription: u32, event: EventId) -> Result<Vec<Attempt>, StoreError> {
        let state = self.state();
        let Some(reader) = state.readers.get(&subscription) else { return Ok(Vec::new()) };
        let Some(place) = state.place_of(&reader.subscription.scope, event) else { return Ok(Vec::new()) };
        Ok(reader.attempts.range((place, 0)..=(place, u32::MAX)).map(|(_, it)| it.clone()).collect())
    }

    async fn attempt_summaries(&self, subscription: u32, from: Place, to: Place) -> Result<Vec<AttemptSummary>, StoreError> {
        let state = self.state();
        Ok(state.readers.get(&subscription).map_or_else(Vec::new, |it| summaries(it, from, to)))
    }

    async fn account(&self, subscription: u32, from: Place, to: Place) -> Result<Option<ReaderAccount>, StoreError> {
        let state = self.state();
        Ok(state.readers.get(&subscription).map(|it| ReaderAccount {
            subscription: it.subscription.clone(),
            cursor: it.cursor,
            exceptions: it.exceptions.values().filter(|it| from < it.place && it.place <= to).cloned().collect(),
            attempts: summaries(it, from, to),
            skipped: it.skipped.values().cloned().collect(),
        }))
    }

    async fn accounted(&self) -> Result<Vec<u32>, StoreError> {
        Ok(self.state().readers.keys().copied().collect())
    }
}

fn summaries(reader: &Reader, from: Place, to: Place) -> Vec<AttemptSummary> {
    let mut out: Vec<AttemptSummary> = Vec::new();
    if from >= to {
        return out;
    }
    for attempt in reader.attempts.range((from.saturating_add(1), 0)..=(to, u32::MAX)).map(|it| it.1) {
        AttemptSummary::add(&mut out, attempt.clone());
    }
    out
}
