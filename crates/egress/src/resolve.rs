//! DNS. Asks for both families, tries no search domain and keeps no cache: the
//! answer that is vetted is the one that is dialled, and nothing older.
//!
//! Not here: which answers may be called (`policy`).

use crate::limits;
use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::Name,
};
use ringback_ports::resolve::{Resolve, ResolveError};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Asks name servers over UDP, and over TCP where an answer does not fit.
#[derive(Debug)]
pub struct DnsResolver(TokioResolver);

/// A resolver that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the resolver could not be set up: check egress.nameservers")]
pub struct ResolverError(#[source] NetError);

impl DnsResolver {
    /// Asks `nameservers`, or the system's when there are none (and then its hosts file first).
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn new(nameservers: &[SocketAddr]) -> Result<Self, ResolverError> {
        let configured = !nameservers.is_empty();
        let mut builder = if configured {
            TokioResolver::builder_with_config(config_of(nameservers), TokioRuntimeProvider::default())
        } else {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                // What the C library does: without a configuration, the server of this machine.
                tracing::warn!(%error, "the system's resolver configuration cannot be read, asking 127.0.0.1:53");
                let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
                TokioResolver::builder_with_config(config_of(&[local]), TokioRuntimeProvider::default())
            })
        };
        tune(builder.options_mut(), configured);
        builder.build().map(Self).map_err(ResolverError)
    }
}

fn tune(options: &mut ResolverOpts, configured: bool) {
    options.timeout = Duration::from_millis(800); // twice within the deadline
    options.attempts = 1;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 0;
    options.positive_min_ttl = None;
    options.negative_min_ttl = None;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.use_hosts_file = if configured { ResolveHosts::Never } else { ResolveHosts::Always };
    options.max_active_requests = 1_024;
}

fn config_of(nameservers: &[SocketAddr]) -> ResolverConfig {
    let server = |at: &SocketAddr| {
        let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = at.port();
        }
        let mut server = NameServerConfig::udp_and_tcp(at.ip());
        server.connections = connections.into();
        server
    };
    ResolverConfig::from_name_servers(nameservers.iter().map(server).collect())
}

#[async_trait]
impl Resolve for DnsResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut name = Name::from_ascii(host).map_err(|_| ResolveError::NotFound)?;
        // Fully qualified: neither search domains nor `ndots` apply.
        name.set_fqdn(true);
        let answer = tokio::time::timeout(limits::DNS_MAX, self.0.lookup_ip(name)).await.map_err(|_| ResolveError::Timeout)?;
        match answer {
            Ok(found) => {
                let addresses: Vec<IpAddr> = found.iter().collect();
                if addresses.is_empty() { Err(ResolveError::NotFound) } else { Ok(addresses) }
            }
            Err(error) if error.is_no_records_found() => Err(ResolveError::NotFound),
            Err(NetError::Timeout) => Err(ResolveError::Timeout),
            Err(error) => Err(ResolveError::Unavailable(error.to_string())),
        }
    }
}
