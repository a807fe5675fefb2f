//! `/v1`.

mod deliveries;
mod events;
mod keys;
mod log;
mod subscriptions;
mod tenants;
mod types;
