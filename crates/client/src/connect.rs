//! Opening one connection: TCP, TLS or a Unix socket, with HTTP/1.1 on it.

use crate::{ClientError, Target};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long opening a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is ready for a request.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// TLS with the roots of the web and nothing else; `None` when the provider offers no protocol version.
pub(crate) fn web_tls() -> Option<Arc<rustls::ClientConfig>> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(Arc::new(config))
}

/// Opens a connection to `target`.
pub(crate) async fn open(target: &Target, tls: Option<&Arc<rustls::ClientConfig>>) -> Result<Connection, ClientError> {
    let refused = |reason: String| ClientError::Unreachable { target: target.to_string(), reason };
    timeout(CONNECT_TIMEOUT, dial(target, tls))
        .await
        .unwrap_or_else(|_| Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())))
        .map_err(refused)
}

async fn dial(target: &Target, tls: Option<&Arc<rustls::ClientConfig>>) -> Result<Connection, String> {
    match target {
        Target::Unix(path) => handshake(UnixStream::connect(path).await.map_err(|it| it.to_string())?).await,
        Target::Tcp { host, port, tls: false, .. } => handshake(tcp(host, *port).await?).await,
        Target::Tcp { host, port, tls: true, .. } => {
            let config = tls.cloned().or_else(web_tls).ok_or("TLS is not available in this build")?;
            let name = ServerName::try_from(host.clone()).map_err(|it| it.to_string())?;
            let stream = TlsConnector::from(config).connect(name, tcp(host, *port).await?).await;
            handshake(stream.map_err(|it| format!("TLS failed: {it}"))?).await
        }
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|it| it.to_string())?;
    // A request is one small write; waiting to fill a packet only adds delay. Failing to say so costs nothing else.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn handshake<T>(stream: T) -> Result<Connection, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|it| it.to_string())?;
    // Ends by itself when the sender is dropped or the server closes; its error also reaches whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}
