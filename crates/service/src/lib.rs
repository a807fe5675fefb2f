//! The use cases of Ringback; no HTTP words.
#![forbid(unsafe_code)]
