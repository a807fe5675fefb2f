//! `/payment`: a declared path.

mod create;
mod delete;
mod events;
mod filters;
mod get;
mod list;
mod patch;
mod status;
mod transition;
mod versions;
mod watch;
