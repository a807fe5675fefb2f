//! Requests in, responses out.

pub(crate) mod accept;
mod answer;
mod call;
mod conditional;
mod deadline;
mod errors;
mod extract;
mod failure;
pub(crate) mod query;
pub(crate) mod server;
mod suggest;
mod surface;
mod unread;
mod v1;
