//! The embedded store of Ringback: SQLite, one writer thread with group commit.
#![forbid(unsafe_code)]
