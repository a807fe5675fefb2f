//! Retention in memory: whole change sets, one after the other.

use super::{MemoryStore, State, Stored};
use crate::store::{Retention, StoreError};
use async_trait::async_trait;
use ringback_model::{event::Seq, key::Authority};

impl State {
    fn forget(&mut self, seq: Seq, it: &Stored) {
        let event = &it.event;
        self.by_sequence.remove(&(event.tenant.clone(), event.sequence));
        self.by_id.remove(&event.id);
        if let Some(key) = &event.key {
            self.by_key.remove(&(event.tenant.clone(), key.clone()));
        }
        let seen = self.forgotten.entry((event.tenant.clone(), event.event_type.clone())).or_insert((it.committed_at, false));
        seen.0 = seen.0.max(it.committed_at);
        seen.1 |= event.audience == Authority::Tenant;
        self.floor = seq;
        self.floors.insert(event.tenant.clone(), event.sequence);
    }
}

#[async_trait]
impl Retention for MemoryStore {
    async fn truncate(&self, to: Seq, limit: usize) -> Result<Seq, StoreError> {
        let mut state = self.state();
        let mut gone = 0;
        while gone < limit {
            let Some(end) = state.events.iter().find(|(_, it)| it.event.ends_change_set).map(|(seq, _)| *seq).filter(|it| *it <= to) else {
                break;
            };
            let rest = state.events.split_off(&(end + 1));
            let set = core::mem::replace(&mut state.events, rest);
            gone += set.len();
            for (seq, it) in &set {
                state.forget(*seq, it);
            }
        }
        Ok(state.floor)
    }

    async fn sweep(&self, from: u32, limit: usize) -> Result<Option<u32>, StoreError> {
        let mut state = self.state();
        let mut left = limit;
        let nos: Vec<u32> = state.readers.range(from..).map(|(no, _)| *no).collect();
        for no in nos {
            let Some(scope) = state.readers.get(&no).map(|it| it.subscription.scope.clone()) else { continue };
            let floor = state.floor_of(&scope);
            let Some(reader) = state.readers.get_mut(&no) else { continue };
            let cursor = reader.cursor;
            let mut room = |goes: bool| {
                let goes = goes && left > 0;
                left -= usize::from(goes);
                !goes
            };
            reader.attempts.retain(|(place, _), _| room(*place <= floor));
            reader.exceptions.retain(|place, _| room(*place <= floor));
            reader.skipped.retain(|_, it| room(it.to <= floor && it.to <= cursor));
            if left == 0 {
                return Ok(Some(no));
            }
        }
        Ok(None)
    }
}
