//! The seams of Ringback: what the service asks of stores, senders, clocks and chance.
//!
//! A storage method is one atomic step, named after the need; no transaction
//! leaves a backend. The doc comments are the specification, and each sentence
//! has a case in `conformance`. The fakes are complete: the service runs on them.
//!
//! Not here: decisions (`ringback-engine`), anything that opens a socket or a file.
#![forbid(unsafe_code)]

pub mod clock;
pub mod conformance;
pub mod entropy;
pub mod fake;
pub mod meters;
pub mod resolve;
pub mod seal;
pub mod sender;
pub mod store;

pub use clock::Clock;
pub use entropy::Entropy;
pub use resolve::Resolve;
pub use seal::Seal;
pub use sender::Sender;
pub use store::Store;
