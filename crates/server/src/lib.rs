//! HTTP over the service of Ringback.
#![forbid(unsafe_code)]
