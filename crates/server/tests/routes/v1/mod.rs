//! `/v1`.

mod advice;
mod batch;
mod deliveries;
mod event_types;
mod events;
mod keys;
mod log;
mod operate;
mod pull;
mod replays;
mod stream_tickets;
mod subscription_auth;
mod subscription_secret;
mod subscriptions;
mod tenants;
mod types;
