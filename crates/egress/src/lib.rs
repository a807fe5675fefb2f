//! The only door out of Ringback: address policy, pinned DNS, limits, the HTTP client.
//!
//! ```text
//! client ─► policy ─► target, address        pure: a URL, its addresses, the rules
//!    ├────► connect ─► resolve               name → vetted address → stream
//!    └────► pool, call ─► meter              one request on one connection
//!               └─► answer                   what came back, what is kept
//! ```
//!
//! Everything that leaves this process to call somebody leaves here, so that no other
//! crate has to know which addresses are dangerous.
//!
//! Not here: signing, retrying, and when to send at all (`signature`, `engine`, `service`).
#![forbid(unsafe_code)]

pub mod address;
mod answer;
mod call;
mod client;
pub mod config;
mod connect;
mod interfaces;
pub mod limits;
mod meter;
pub mod policy;
mod pool;
pub mod resolve;
pub mod target;

pub use client::Egress;
pub use config::EgressConfig;
pub use connect::EgressError;
pub use policy::Policy;
pub use resolve::DnsResolver;
