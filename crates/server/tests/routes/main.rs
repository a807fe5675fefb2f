//! The routes, asked in memory: no sockets, no sleeping. Files mirror the URLs.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test ends where its expectation does")]

mod budget;
mod conditions;
mod cors;
mod cross_tenant;
mod cross_tenant_matrix;
mod dry_run;
mod every_answer;
mod every_route;
mod faults;
mod idempotency;
mod invoice;
mod judge;
mod limits;
mod livez;
mod metrics;
mod odd_json;
mod payment;
mod problems;
mod rate;
mod sockets;
mod sse;
mod streams;
mod surface;
mod v1;
mod waiting;
mod world;
