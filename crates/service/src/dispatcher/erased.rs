//! Events that are erased: what is owed of them is owed no more.

use super::Dispatcher;
use ringback_engine::window::InWindow;
use ringback_model::{
    Timestamp,
    event::{Event, Scope},
};
use std::sync::Arc;

impl Dispatcher {
    /// Has every reader of these events let go of them.
    pub(super) fn forget(&mut self, events: &[Arc<Event>], now: Timestamp) {
        let nos: Vec<u32> = self.readers.keys().copied().collect();
        for no in nos {
            let Some(reader) = self.readers.get_mut(&no) else { continue };
            let scope: Scope = reader.subscription.scope.clone();
            reader.erased.extend(events.iter().filter(|it| scope.holds(&it.tenant)).map(|it| it.place(&scope)));
            self.forget_erased(no, now);
            self.ready.insert(no);
        }
    }

    /// Lets go of what is not in flight any more. Not while an edit is being committed: it chose its places already.
    pub(super) fn forget_erased(&mut self, no: u32, now: Timestamp) {
        let Some(reader) = self.readers.get_mut(&no).filter(|it| !it.erased.is_empty() && !it.frozen) else { return };
        for place in core::mem::take(&mut reader.erased) {
            // The bytes go at once, and are not read again for a try that is under way.
            if let Some(event) = reader.events.remove(&place) {
                self.held_bytes = self.held_bytes.saturating_sub(event.bytes.len());
            }
            if reader.replaying.flying.contains_key(&place) {
                reader.erased.insert(place);
                continue;
            }
            reader.replaying.runs.iter_mut().for_each(|it| it.drop_item(place));
            if reader.window.state_of(place) == Some(InWindow::InFlight) || !reader.window.forget(place, now) {
                reader.erased.insert(place);
            }
        }
        self.held_bytes = self.held_bytes.saturating_sub(reader.forget_finished());
    }
}
