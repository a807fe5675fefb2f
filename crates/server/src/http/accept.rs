//! Accepts connections, bounds them, and lets them end in good order.
//!
//! Our own loop, because a plain one has no deadline for a request's head, no
//! cap on connections and no end. Each listener has its own cap, so that a
//! crowd on TCP never locks the operator out of the socket.
//!
//! Not here: what a request means (`http::server`), deadlines of reading
//! (`http::deadline`) and of bodies (`http::extract`).

use super::{
    deadline::{Deadline, Phase},
    server::{Door, Server, announced},
    unread::Unread,
};
use core::{convert::Infallible, time::Duration};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ringback_model::limits::HEADERS_BYTES_MAX;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
};

/// How long the loop pauses when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most of a request's head that is buffered: larger than what we allow, so
/// that what is a little too large still gets a problem document.
const HEAD_BUFFER_BYTES: usize = 2 * HEADERS_BYTES_MAX;

/// Where requests come in.
#[derive(Debug)]
pub enum Listener {
    /// For everybody: requests bring a key.
    Tcp(TcpListener),
    /// For whoever may open the file: requests without a key are the operator's.
    Unix(UnixListener),
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(it) => {
                let (stream, _) = it.accept().await?;
                // Answers are written whole; waiting for more to send with them only delays them.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(it) => Ok(Stream::Unix(it.accept().await?.0)),
        }
    }
}

impl Server {
    /// Serves all listeners until `shutdown`, then ends in good order.
    pub(crate) async fn run(self, listeners: Vec<Listener>, shutdown: impl Future<Output = ()>) {
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept(self.clone(), listener, self.draining()));
        }
        shutdown.await;
        self.drain();
        while loops.join_next().await.is_some() {}
    }
}

/// Accepts until `draining` turns true, then closes the listener and waits for
/// the requests in flight, at most `limits.drain`.
async fn accept(server: Server, listener: Listener, mut draining: watch::Receiver<bool>) {
    let limits = server.limits();
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = announced(&mut draining) => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept(), if open.len() < limits.connections_max => match accepted {
                Ok(Stream::Tcp(stream)) => {
                    open.spawn(server.clone().connection(stream, Door::Network));
                }
                Ok(Stream::Unix(stream)) => {
                    open.spawn(server.clone().connection(stream, Door::Socket));
                }
                // A connection that was gone before we took it is no reason to pause.
                Err(why) if matches!(why.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                Err(why) => {
                    tracing::warn!(error = %why, "could not accept a connection; pausing {} ms", ACCEPT_PAUSE.as_millis());
                    server.service().clock().sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    tokio::select! {
        biased;
        () = ended => {}
        () = server.service().clock().sleep(limits.drain) => {
            tracing::warn!("connections were still open {} s after the end was announced; closing them", limits.drain.as_secs());
        }
    }
    open.abort_all();
}

impl Server {
    /// Serves one connection, of whatever kind of stream, until it ends.
    pub async fn connection<S>(self, stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let draining = self.draining();
        connection(self, stream, door, draining).await;
    }
}

async fn connection<S>(server: Server, stream: S, door: Door, mut draining: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = server.limits();
    let phase = Arc::new(Phase::default());
    let stream =
        TokioIo::new(Unread::new(Deadline::new(stream, Arc::clone(&phase), limits.head_timeout, limits.idle_timeout), server.clone()));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (server, phase) = (server.clone(), Arc::clone(&phase));
        async move {
            let busy = phase.busy();
            let response = server.handle(request, door).await;
            Ok::<_, Infallible>(response.map(|it| it.keep_busy(busy)))
        }
    });
    let mut builder = http1::Builder::new();
    // The deadline below us tells an idle connection from a slow head; hyper's does not.
    builder.header_read_timeout(None).max_buf_size(HEAD_BUFFER_BYTES);
    let mut connection = builder.serve_connection(stream, service);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = announced(&mut draining) => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(why) = ended {
        // Clients go away; that is theirs to know.
        tracing::trace!(error = %why, "a connection broke off");
        connection.into_parts().io.into_inner().tell(&why, limits.head_timeout).await;
    }
}
