//! Raw servers and short requests.

use bytes::Bytes;
use ringback_egress::{Egress, EgressConfig};
use ringback_model::key::Authority;
use ringback_ports::{fake::ScriptedResolver, sender::PushRequest};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A listener on loopback that hands each connection, with its number, to `handler`.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn new<F, T>(handler: F) -> Self
    where
        F: Fn(TcpStream, usize) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(handler(stream, counted.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { at, connections }
    }

    /// Answers every request on every connection with these bytes.
    pub(crate) async fn answering(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?a=1#fragment", self.at)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One request with its body; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok()?;
        if n == 0 {
            return None;
        }
        read.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize = head.lines().find_map(|it| it.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}

pub(crate) fn dev() -> EgressConfig {
    EgressConfig { dev: true, ..EgressConfig::default() }
}

/// Under `--dev`, with names that do not resolve.
pub(crate) fn egress() -> Egress {
    Egress::new(&dev(), Arc::new(ScriptedResolver::new())).unwrap()
}

/// Long enough for anything that answers, on the slowest machine.
pub(crate) const PATIENT: Duration = Duration::from_secs(20);
/// For what never answers: the least that a subscription may ask for.
pub(crate) const IMPATIENT: Duration = Duration::from_secs(1);

pub(crate) fn request(url: &str, timeout: Duration) -> PushRequest {
    PushRequest {
        url: url.to_owned(),
        authority: Authority::Operator,
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), "evt_1".to_owned()),
            ("host".to_owned(), "elsewhere.example".to_owned()),
            ("accept-encoding".to_owned(), "br".to_owned()),
        ],
        body: Bytes::from_static(b"{\"a\":1}"),
        timeout,
    }
}

/// Makes the runtime look at its sockets, so that what the kernel knows is known here.
pub(crate) async fn look_at_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
}
