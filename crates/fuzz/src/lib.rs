//! What fuzzers drive: one function for each place where bytes from outside are
//! read, which panics when a promise is broken.
//!
//! The corpora beside it are run by every `cargo test`, with some thousand
//! mutations that are the same each time; `libfuzzer/` drives the same functions
//! with coverage, on nightly. Inputs that broke something are added to the corpus.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a target says that a promise is broken by panicking"
)]

mod mutate;
pub mod targets;

pub use mutate::mutations;

/// A place where bytes from outside are read.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads these bytes, and panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Mutations of each input of the corpus in `cargo test`: fewer where one costs a connection.
    pub mutations: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "answer", run: targets::answer::run, mutations: 20 },
    Target { name: "filter", run: targets::filter::run, mutations: 2_000 },
    Target { name: "http", run: targets::http::run, mutations: 40 },
    Target { name: "json", run: targets::json::run, mutations: 2_000 },
    Target { name: "keys", run: targets::keys::run, mutations: 2_000 },
    Target { name: "retry_after", run: targets::retry_after::run, mutations: 2_000 },
    Target { name: "signature", run: targets::signature::run, mutations: 300 },
    Target { name: "sse", run: targets::sse::run, mutations: 2_000 },
    Target { name: "tokens", run: targets::tokens::run, mutations: 1_000 },
    Target { name: "types", run: targets::types::run, mutations: 60 },
    Target { name: "url", run: targets::url::run, mutations: 2_000 },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|it| it.name == name)
}
