//! One file for each place where bytes from outside are read.

pub mod answer;
pub mod filter;
pub mod http;
pub mod json;
pub mod keys;
pub mod retry_after;
pub mod signature;
pub mod sse;
pub mod tokens;
pub mod types;
pub mod url;
