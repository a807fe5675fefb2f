//! The only door out of Ringback: address policy, pinned DNS, limits, the HTTP client.
#![forbid(unsafe_code)]
