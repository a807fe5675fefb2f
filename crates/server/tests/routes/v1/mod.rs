//! `/v1`.

mod deliveries;
mod events;
mod keys;
mod log;
mod stream_tickets;
mod subscriptions;
mod tenants;
mod types;
