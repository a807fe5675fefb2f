//! The public JSON of Ringback and its error codes.
#![forbid(unsafe_code)]
