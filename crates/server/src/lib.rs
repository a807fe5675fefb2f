//! HTTP over the service of Ringback.
//!
//! `routes` is the one list of what is served; `http` turns requests into calls
//! of the service and what it answers into responses. Nothing is decided here
//! that is not HTTP's: who may do what, what a change means and what is owed to
//! whom is the service's.
//!
//! Not here: JSON shapes and sentences (`ringback-wire`), making listeners,
//! clocks and stores (the command line's wiring).
#![forbid(unsafe_code)]

mod http;
pub mod openapi;
pub mod routes;

pub use crate::http::{
    accept::Listener,
    body::AnswerBody,
    cors::Cors,
    server::{Door, Limits, Server},
};

use ringback_service::Service;

/// Serves until `shutdown`, then stops accepting, answers who waits, and lets
/// what is in flight finish for at most `limits.drain`.
///
/// The service is not closed: see `Service::drain`.
pub async fn serve(listeners: Vec<Listener>, service: Service, limits: Limits, cors: Cors, shutdown: impl Future<Output = ()>) {
    Server::with_cors(service, limits, cors).run(listeners, shutdown).await;
}
