//! What is asked of the machine's clock before anything is stamped by it.
//!
//! Not here: a clock that is set back while the process lives; see `ports::clock::Steady`.

use core::time::Duration;
use ringback_model::event::Scope;
use ringback_ports::{Clock, Store, store::StoreError};

/// How far the clock may be behind the last event when a process starts. Less than that is the ordinary inexactness
/// of clocks that are set over a network: later events may then carry earlier times, and `sequence` is the order.
pub const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(60);

/// Waits until the clock shows what the last event says, if it is behind that by more than [`CLOCK_BEHIND_MAX`], and
/// says so in the log: a machine that starts with its clock far behind would stamp new events before old ones,
/// and hold what is due for as long as its clock is wrong.
///
/// # Errors
/// As the store does.
pub async fn clock_is_right(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    let last = store.bounds(&Scope::All).await?.last;
    let Some(event) = store.event_at(&Scope::All, last).await? else { return Ok(()) };
    let at = event.timestamp;
    if at.since(clock.now()) > CLOCK_BEHIND_MAX {
        tracing::warn!("the clock says {}, and the last event is from {at}: waiting until the clock is right", clock.now());
        clock.sleep_until(at).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringback_model::{EventId, EventType, TenantId, Timestamp, event::EventDraft, key::Authority};
    use ringback_ports::{
        fake::{ManualClock, MemoryStore},
        store::{ChangeSet, Log as _},
    };

    /// Whether a start waits when the clock is `behind` the last event.
    async fn waits(behind: Duration) -> bool {
        let (store, clock) = (MemoryStore::default(), ManualClock::default());
        let event = clock.now() + behind;
        let mut set = ChangeSet::new(TenantId::default_tenant(), event);
        set.events.push(EventDraft {
            id: EventId::make(event, 1),
            event_type: EventType::parse("a.b").unwrap(),
            timestamp: event,
            subject: None,
            data: bytes::Bytes::from_static(b"{}"),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        });
        store.commit(set).await.unwrap();
        let started = clock_is_right(&store, &clock);
        tokio::pin!(started);
        let waits = futures_util::poll!(&mut started).is_pending();
        if waits {
            assert_eq!(clock.next_wake(), Some(event));
            clock.set(event);
            started.await.unwrap();
        }
        waits
    }

    #[tokio::test]
    async fn a_start_waits_for_a_clock_that_is_far_behind() {
        assert!(!waits(Duration::ZERO).await);
        assert!(!waits(Duration::from_secs(60)).await);
        assert!(waits(Duration::from_secs(61)).await);
        assert!(waits(Duration::from_secs(7_200)).await);
    }

    #[tokio::test]
    async fn an_empty_log_waits_for_nothing() {
        let clock = ManualClock::at(Timestamp::from_secs(0));
        clock_is_right(&MemoryStore::default(), &clock).await.unwrap();
    }
}
