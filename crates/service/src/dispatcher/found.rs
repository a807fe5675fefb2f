//! What a start finds of a reader: where it stands, and of a one-shot whether
//! it has called, or waits for what cannot come.
//!
//! That a one-shot is over is written down after its call is settled; a crash
//! in between is noticed here.

use super::reader::OneShot;
use crate::{Service, types::ServedType};
use ringback_engine::lifecycle;
use ringback_model::{ResourceId, StatusName, event::Place, subscription::Subscription};
use ringback_ports::store::{ReaderState, Slice, StoreError};

/// See the module.
pub(super) struct Found {
    pub(super) state: ReaderState,
    /// Of a one-shot whose type is served.
    pub(super) one_shot: Option<OneShot>,
    /// What a one-shot waits for cannot come any more.
    pub(super) never_again: bool,
    /// At or below it the log of its scope is gone.
    pub(super) floor: Place,
}

/// Reads what is known of a reader.
pub(super) async fn find(service: &Service, no: u32) -> Result<Option<Found>, StoreError> {
    let Some(state) = service.inner.store.reader(no).await? else { return Ok(None) };
    let subscription = service.registry().subscription_no(no).cloned();
    // Only replays ask for it.
    let floor = match &subscription {
        Some(it) if !state.replays.is_empty() => service.inner.store.bounds(&it.scope).await?.floor,
        _ => 0,
    };
    let Some(subscription) = subscription.filter(|it| it.until.is_some()) else {
        return Ok(Some(Found { state, one_shot: None, never_again: false, floor }));
    };
    let Some((served, statuses)) = service.awaited(&subscription) else {
        return Ok(Some(Found { state, one_shot: None, never_again: false, floor }));
    };
    // All its attempts at or below the cursor are of the one event that it called for.
    let called = !state.exceptions.is_empty()
        || !state.delivered_above.is_empty()
        || !service.inner.store.attempt_summaries(no, 0, state.cursor).await?.is_empty();
    let never_again = !called && never_again(service, &subscription, &served, &statuses, state.cursor).await?;
    Ok(Some(Found { state, one_shot: Some(OneShot { served, statuses, called }), never_again, floor }))
}

/// Whether a one-shot that stands at `cursor` waits for nothing.
async fn never_again(
    service: &Service,
    subscription: &Subscription,
    served: &ServedType,
    statuses: &[StatusName],
    cursor: Place,
) -> Result<bool, StoreError> {
    let Some(subject) = &subscription.subject else { return Ok(false) };
    let decl = &served.compiled.decl;
    let id =
        subject.as_str().strip_prefix(decl.path.as_str()).and_then(|it| it.strip_prefix('/')).and_then(|it| ResourceId::parse(it).ok());
    let Some(id) = id else { return Ok(false) };
    // The row first: the events that led to it are in the log by then.
    let row = service.inner.store.resource(&subscription.tenant, &decl.name, &id).await?.filter(|it| !it.deleted);
    if row.is_some_and(|it| lifecycle::reachable(&served.compiled, &it.resource.status, statuses)) {
        return Ok(false);
    }
    let slice = Slice { events_max: 1, bytes_max: 1 };
    Ok(service.inner.store.events_of_subject(&subscription.scope, subject, cursor, slice).await?.is_empty())
}
