//! From a name to a stream: resolve, vet every address, dial the vetted ones, compare
//! the peer, speak TLS. The only place of the product that opens a socket to call
//! somebody.

use crate::{
    limits,
    policy::Policy,
    target::{Host, Scheme, Target},
};
use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use ringback_model::{delivery::Timings, key::Authority};
use ringback_ports::resolve::{Resolve, ResolveError};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName};
use std::{
    io::{self, IoSlice},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The policy refuses an address.
    Refused,
    /// The name has no addresses.
    Unresolved,
    /// A phase, or the whole attempt, took too long.
    Timeout,
    /// No address could be reached, or no name server.
    Connect,
    /// TLS did not come about: certificate, name, version, or no TLS at all.
    Tls,
}

/// What could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// TLS.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// DNS.
    #[error(transparent)]
    Resolver(#[from] crate::resolve::ResolverError),
}

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The TLS settings of every call: 1.2 or newer, HTTP/1.1, the public roots and `extra_roots`.
///
/// # Errors
/// When a root is not a certificate.
pub(crate) fn tls_config(extra_roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Arc<ClientConfig>, EgressError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root)?;
    }
    // Named, not the process default: another crate in this binary may enable another provider.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The addresses of `target`, not vetted.
///
/// # Errors
/// See `ResolveError`.
pub(crate) async fn addresses(resolver: &dyn Resolve, target: &Target) -> Result<Vec<IpAddr>, ResolveError> {
    match &target.host {
        Host::Address(address) => Ok(vec![*address]),
        // RFC 6761: never a matter of DNS.
        Host::Name(name) if name == "localhost" => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        Host::Name(name) => {
            let found = tokio::time::timeout(limits::DNS_MAX, resolver.resolve(name)).await.map_err(|_| ResolveError::Timeout)??;
            if found.is_empty() { Err(ResolveError::NotFound) } else { Ok(found) }
        }
    }
}

/// Connects to `target`; `timings` gets the phases that were reached.
///
/// # Errors
/// See `ConnectError`.
pub(crate) async fn connect(
    policy: &Policy,
    resolver: &dyn Resolve,
    tls: &Arc<ClientConfig>,
    target: &Target,
    authority: Authority,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<(Stream, SocketAddr), ConnectError> {
    let start = Instant::now();
    let found = timeout_at(deadline, addresses(resolver, target)).await;
    if matches!(target.host, Host::Name(_)) {
        timings.dns = Some(millis(start.elapsed()));
    }
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(ResolveError::NotFound)) => return Err(ConnectError::Unresolved),
        Ok(Err(ResolveError::Unavailable(_))) => return Err(ConnectError::Connect),
        Ok(Err(ResolveError::Timeout)) | Err(_) => return Err(ConnectError::Timeout),
    };
    policy.check(target, authority, &found).map_err(|_| ConnectError::Refused)?;

    let start = Instant::now();
    let dialled = dial(&found, target.port, deadline.min(start + limits::CONNECT_MAX)).await;
    timings.connect = Some(millis(start.elapsed()));
    let (stream, peer) = dialled?;
    if target.scheme == Scheme::Http {
        return Ok((Stream::Plain(stream), peer));
    }

    let start = Instant::now();
    let name = match &target.host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| ConnectError::Tls)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let handshake = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let done = timeout_at(deadline.min(start + limits::TLS_MAX), handshake).await;
    timings.tls = Some(millis(start.elapsed()));
    match done {
        Ok(Ok(stream)) => Ok((Stream::Tls(Box::new(stream)), peer)),
        Ok(Err(_)) => Err(ConnectError::Tls),
        Err(_) => Err(ConnectError::Timeout),
    }
}

/// Dials vetted addresses, one after the other; each gets an equal share of what is
/// left of the time, so that a dead first one leaves some for the next.
async fn dial(found: &[IpAddr], port: u16, deadline: Instant) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let order = interleave(found);
    let mut error = ConnectError::Connect;
    for (at, address) in order.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(order.len() - at).unwrap_or(1);
        let share = now + deadline.saturating_duration_since(now) / left;
        let peer = SocketAddr::new(*address, port);
        match timeout_at(share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => {
                // Whoever answered is whom we vetted, or there is nothing to say to them.
                if stream.peer_addr().ok() != Some(peer) {
                    return Err(ConnectError::Refused);
                }
                // A request is one write; waiting for more would only delay it.
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer));
            }
            Ok(Err(_)) => {}
            Err(_) => error = ConnectError::Timeout,
        }
    }
    Err(error)
}

/// At most four, both families in turn beginning with IPv4: a host without a route for
/// one of them still gets two tries of the other.
fn interleave(found: &[IpAddr]) -> Vec<IpAddr> {
    let mut v4 = found.iter().filter(|it| it.is_ipv4());
    let mut v6 = found.iter().filter(|it| it.is_ipv6());
    let mut order = Vec::with_capacity(limits::ADDRESSES_DIALLED_MAX);
    loop {
        let pair = [v4.next(), v6.next()];
        if pair == [None, None] {
            break;
        }
        order.extend(pair.into_iter().flatten().copied());
    }
    order.truncate(limits::ADDRESSES_DIALLED_MAX);
    order
}

/// As a phase is kept.
pub(crate) fn millis(it: Duration) -> u32 {
    u32::try_from(it.as_millis()).unwrap_or(u32::MAX)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_both_families_in_turn_and_at_most_four() {
        let parse = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<IpAddr>>();
        let found = parse(&["2600::1", "2600::2", "2600::3", "2600::4", "1.1.1.1"]);
        assert_eq!(interleave(&found), parse(&["1.1.1.1", "2600::1", "2600::2", "2600::3"]));
        assert_eq!(interleave(&parse(&["1.1.1.1", "1.1.1.2"])), parse(&["1.1.1.1", "1.1.1.2"]));
        assert!(interleave(&[]).is_empty());
    }
}
