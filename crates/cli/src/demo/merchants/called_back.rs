//! The merchant that is called back: registered once, told everything. It
//! verifies every signature, and fails now and then on purpose.

use super::{
    Merchant,
    inbox::{Call, Inbox},
};
use crate::demo::{chance::Chance, ledger::Event};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The share of calls that it answers with 500 though nothing is wrong.
const MOODS: f64 = 0.03;

#[derive(Debug)]
struct CalledBack {
    inbox: Arc<Inbox>,
    mood: Mutex<Chance>,
}

/// Its route.
pub(in crate::demo) fn router(inbox: Arc<Inbox>) -> Router {
    let state = Arc::new(CalledBack { inbox, mood: Mutex::new(Chance::seeded(0xca11)) });
    Router::new().route("/webhook/payment", post(called)).with_state(state)
}

async fn called(State(it): State<Arc<CalledBack>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    it.inbox.merchant.meter.request();
    let Some(id) = it.inbox.verify(&headers, &body) else { return StatusCode::UNAUTHORIZED };
    if it.mood.lock().unwrap_or_else(PoisonError::into_inner).happens(MOODS) {
        it.inbox.merchant.learned_nothing();
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    match it.inbox.take(id, &body) {
        Call::Forged => StatusCode::UNAUTHORIZED,
        Call::Repeated => StatusCode::NO_CONTENT,
        Call::News(event) => {
            note(&it.inbox.merchant, &event);
            StatusCode::NO_CONTENT
        }
    }
}

/// Notes what a full event says.
pub(super) fn note(merchant: &Merchant, event: &Event) {
    let Some((payment, version)) = event.change() else { return };
    merchant.saw(payment, version);
    if event.is_outcome() {
        merchant.knows_outcome(payment, event.at());
    }
}
