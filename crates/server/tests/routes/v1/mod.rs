//! `/v1`.

mod advice;
mod batch;
mod deliveries;
mod event_types;
mod events;
mod keys;
mod log;
mod subscriptions;
mod tenants;
mod types;
