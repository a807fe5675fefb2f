//! The nouns of Ringback, and the one encoding of an event.
//!
//! Floor 0: pure values. No clock, no randomness, no sockets, no files: time,
//! chance and ids are arguments. Parsing is validation: a value of a type in
//! here is right, and nothing below the edge checks it again.
//!
//! Not here: decisions (`ringback-engine`), the public JSON of anything but
//! events and resources (`ringback-wire`), how things are stored (`store-*`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod auth;
pub mod delivery;
pub mod erasure;
pub mod event;
pub mod ids;
pub mod key;
pub mod limits;
pub mod names;
pub mod odd;
pub mod payload;
pub mod position;
pub mod replay;
pub mod resource;
pub mod signing;
pub mod subscription;
pub mod tenant;
pub mod time;
pub mod type_decl;

pub use ids::{AttemptId, DeliveryId, ErasureId, EventId, KeyId, ReplayId, RequestId};
pub use names::{EventType, ResourceId, StatusName, Subject, SubscriptionId, TenantId, TransitionName, TypeName};
pub use time::Timestamp;
