//! The decisions of Ringback: values in, values out.
//!
//! Floor 0: pure. Time, chance and ids are arguments; nothing here waits, asks
//! a clock or a disk, or knows HTTP. What is decided here is decided once: the
//! floors above only carry it out.
//!
//! Not here: what the nouns are (`ringback-model`), how they are written in
//! public (`ringback-wire`), when and for whom a decision is asked for
//! (`ringback-service`).
#![forbid(unsafe_code)]

pub mod ack;
pub mod advice;
pub mod catalogue;
pub mod delivery_state;
pub mod event_filter;
pub mod evolve;
pub mod explain;
pub mod expr;
pub mod fair;
pub mod health;
pub mod idempotency;
pub mod json;
pub mod keys;
pub mod lifecycle;
pub mod list;
pub mod matching;
pub mod mirror;
pub mod oauth;
pub mod pace;
mod patch;
pub mod position;
pub mod rate;
pub mod replay;
pub mod retention;
pub mod retry;
mod schema;
mod schema_cost;
pub mod sort;
pub mod stays;
pub mod suggest;
pub mod tickets;
pub mod tokens;
pub mod trials;
pub mod type_check;
pub mod types;
pub mod verify;
pub mod watch;
pub mod window;
