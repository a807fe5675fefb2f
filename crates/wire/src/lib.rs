//! The public JSON of Ringback, in and out, and its errors.
//!
//! Out: one file per noun with the structs that are written. In: bodies are read
//! from a `serde_json::Value` by `read`, which lists *everything* that is wrong
//! with a body at once, with a pointer to each place, and hands on values of
//! `ringback-model` that nothing below checks again.
//! Errors: `ErrorCode`, `Problem`, and in `sentences` every text that a caller
//! is ever told, in one table.
//!
//! Not here: the encoding of events and resources (`ringback-model`), HTTP.
#![forbid(unsafe_code)]

pub mod advice;
pub mod auth;
pub mod batch;
mod code;
pub mod delivery;
pub mod dry_run;
pub mod erasure;
pub mod event;
pub mod explain;
pub mod key;
pub mod list;
pub mod log;
mod problem;
pub mod pull;
mod push_headers;
pub mod read;
pub mod replay;
pub mod schemas;
pub mod sentences;
pub mod signing;
pub mod sse;
pub mod status;
pub mod subscription;
mod suggest;
pub mod tenant;
pub mod ticket;
pub mod type_decl;
pub mod verify;
pub mod watch;

pub use code::{ErrorCode, Retry};
pub use delivery::{AttemptView, DeliveryView};
pub use erasure::{ErasureView, NewErasure};
pub use event::NewEvent;
pub use explain::{ClauseView, ExplainedView};
pub use key::{KeyView, NewKey};
pub use list::{Feed, List};
pub use log::LogView;
pub use problem::{FieldProblem, Problem};
pub use pull::{Pull, Settle, SettledView};
pub use replay::{NewReplay, ReplayView};
pub use ringback_model::odd::shown;
pub use status::StatusView;
pub use subscription::{NewSubscription, PatchSubscription, Resume, Seek, SubscriptionView, Test, WaitsView};
pub use suggest::suggest;
pub use tenant::{PutTenant, TenantView};
pub use ticket::{NewTicket, TicketView};
pub use type_decl::TypeView;
pub use verify::{BackupView, CheckedView, FindingView, VerifyView};
