//! The neighbour: called back like the others, until it goes dark for a while.
//! What it misses is owed to it; what it does is nobody else's trouble.

use super::{
    called_back::note,
    inbox::{Call, Inbox},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use std::sync::Arc;

/// Its route.
pub(in crate::demo) fn router(inbox: Arc<Inbox>) -> Router {
    Router::new().route("/webhook/payment", post(called)).with_state(inbox)
}

async fn called(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inbox.merchant.meter.request();
    let Some(id) = inbox.verify(&headers, &body) else { return StatusCode::UNAUTHORIZED };
    match inbox.take(id, &body) {
        Call::Forged => StatusCode::UNAUTHORIZED,
        Call::Repeated => StatusCode::NO_CONTENT,
        Call::News(event) => {
            note(&inbox.merchant, &event);
            StatusCode::NO_CONTENT
        }
    }
}
