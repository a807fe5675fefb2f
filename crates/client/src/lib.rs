//! A client of the Ringback API over TCP, TLS or a Unix socket.
//!
//! Small on purpose: bodies are `serde_json::Value`, so that a client of today
//! reads what a server of tomorrow adds. One [`Client`] keeps one connection and
//! opens the next one by itself. It repeats a request only when that is
//! harmless: nothing was sent, nothing is changed by it, or it carries an
//! `Idempotency-Key`.
//!
//! Not here: chance (who wants `Idempotency-Key` on writes gives
//! [`Client::idempotency`] a source of keys), retries with a pause, and which
//! verb of a command line asks for what.
#![forbid(unsafe_code)]

mod client;
mod connect;
mod error;
mod follow;
pub mod path;
mod problem;
mod response;
mod target;

pub use client::{Client, TIMEOUT};
pub use error::ClientError;
pub use follow::{EventFilter, Follow};
pub use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
pub use problem::{Problem, ProblemItem};
pub use response::{RESPONSE_BYTES_MAX, Response};
pub use target::{Target, TargetError};
