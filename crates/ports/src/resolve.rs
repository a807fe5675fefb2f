//! Names as a seam: what addresses a host name stands for right now.
//!
//! Not here: which of them may be called. The resolver answers what it was told;
//! `ringback-egress` vets every address before it dials one.

use async_trait::async_trait;
use std::net::IpAddr;

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist, or has no addresses.
    #[error("the name does not resolve: check its spelling and its A and AAAA records")]
    NotFound,
    /// No name server answered in time.
    #[error("no name server answered in time: check that the configured name servers are reachable")]
    Timeout,
    /// A name server answered that it cannot answer, or could not be reached.
    #[error("the name server could not answer: {0}")]
    Unavailable(String),
}

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync + core::fmt::Debug {
    /// All addresses of `host`, of both families, in no particular order.
    /// - `host` is a fully qualified name in its ASCII form, lower case, without a final dot:
    ///   no search domain is ever tried.
    /// - Never an empty list: that is `ResolveError::NotFound`.
    /// - Takes 2 s at most.
    ///
    /// # Errors
    /// See `ResolveError`.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;
}
