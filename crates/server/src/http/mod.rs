//! Requests in, responses out.

pub(crate) mod accept;
mod answer;
pub(crate) mod body;
mod budget;
mod call;
mod conditional;
pub(crate) mod cors;
mod deadline;
mod errors;
mod extract;
mod failure;
pub(crate) mod query;
pub(crate) mod server;
mod stream;
mod suggest;
mod surface;
mod unread;
mod v1;
