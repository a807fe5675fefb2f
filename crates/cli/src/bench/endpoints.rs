//! Other people's endpoints, on loopback: some that answer, some that swallow
//! connections, some that answer a byte a second.
//!
//! Not here: what is sent to them, and what it means (`neighbours`).

use crate::demo::pace;
use ringback_model::time::Timestamp;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// Bytes of one request: far more than is ever sent here.
const REQUEST_BYTES_MAX: u64 = 256 * 1024;
/// Connections that fill the queue of a listener that takes none.
const QUEUE_MAX: usize = 4;
/// How long a connection that no queue has room for is waited for: a handshake on loopback takes microseconds.
const NO_ROOM: Duration = Duration::from_millis(200);
/// What a dribbler writes, a byte at a time, is announced to be so long.
const DRIBBLE_BYTES: usize = 100_000;

/// What arrived at endpoints that answer: by the event's number, how long after it was made it had its 2xx.
#[derive(Debug, Default)]
pub(super) struct Receipts(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    first: BTreeMap<u64, Duration>,
    repeats: u64,
}

impl Receipts {
    fn add(&self, n: u64, took: Duration) {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The one that came first is the one that counts.
        if let Entry::Vacant(first) = it.first.entry(n) {
            first.insert(took);
        } else {
            it.repeats += 1;
        }
    }

    /// How many events arrived.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first.len()
    }

    /// Takes what arrived: the times, and how many came twice.
    pub(super) fn take(&self) -> (Vec<Duration>, u64) {
        let it = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (it.first.into_values().collect(), it.repeats)
    }
}

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    timestamp: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    n: u64,
}

fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An endpoint that answers 200 at once.
pub(super) async fn healthy(receipts: Arc<Receipts>) -> io::Result<SocketAddr> {
    listen(move |stream| {
        let receipts = Arc::clone(&receipts);
        async move {
            let _ = stream.set_nodelay(true);
            let mut stream = BufReader::new(stream);
            while let Some(body) = request(&mut stream).await {
                if stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                    return;
                }
                let answered = pace::wall();
                if let Ok(event) = serde_json::from_slice::<Event>(&body)
                    && let Ok(made) = event.timestamp.parse::<Timestamp>()
                {
                    receipts.add(event.data.n, answered.since(made));
                }
            }
        }
    })
    .await
}

/// An endpoint that answers a byte a second, for as long as it is let.
pub(super) async fn dribbler() -> io::Result<SocketAddr> {
    listen(|stream| async {
        let mut stream = BufReader::new(stream);
        if request(&mut stream).await.is_none() {
            return;
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {DRIBBLE_BYTES}\r\n\r\n");
        let mut written = stream.get_mut().write_all(head.as_bytes()).await;
        while written.is_ok() {
            pace::sleep(Duration::from_secs(1)).await;
            written = stream.get_mut().write_all(b".").await;
        }
    })
    .await
}

/// A listener that serves each connection by itself.
async fn listen<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(free_port()).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
                // Out of descriptors, most likely: let some connections end first.
                Err(_) => pace::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    Ok(address)
}

/// A listener that takes no connection, with a full queue: what dials it hears nothing.
#[derive(Debug)]
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    /// Held, never read.
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one and fills its queue.
    pub(super) async fn open() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(free_port())?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while queue.len() < QUEUE_MAX {
            match tokio::time::timeout(NO_ROOM, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => queue.push(stream),
                // It is full, which is what was wanted.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(Self { address, _listener: listener, _queue: queue })
    }
}

/// The body of the next request on a kept connection; `None` when there is none.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut head = stream.take(REQUEST_BYTES_MAX);
    let mut length = 0_usize;
    let mut line = String::new();
    loop {
        line.clear();
        if head.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    if length as u64 > REQUEST_BYTES_MAX {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{
        http::{Ask, Client, NoAnswer},
        wire::Meter,
    };

    fn client(address: SocketAddr) -> Client {
        Client::anonymous(address, Arc::<Meter>::default())
    }

    #[tokio::test]
    async fn a_healthy_one_answers_and_counts_each_event_once() {
        let receipts = Arc::<Receipts>::default();
        let address = healthy(Arc::clone(&receipts)).await.expect("a port");
        let client = client(address);
        let event = |n: u64| format!("{{\"timestamp\":\"2026-11-23T18:24:44.000000Z\",\"data\":{{\"n\":{n}}}}}");
        for n in [1, 2, 2] {
            assert!(client.ask(Ask::once("/hook", Some(event(n)))).await.expect("an answer").good());
        }
        // Counted after the answer: the third request shows that the second was.
        assert!(client.ask(Ask::once("/hook", Some("no event".into()))).await.expect("an answer").good());
        assert_eq!(receipts.count(), 2);
        let (times, repeats) = receipts.take();
        assert_eq!((times.len(), repeats, receipts.count()), (2, 1, 0));
    }

    #[tokio::test]
    async fn neither_a_black_hole_nor_a_dribbler_answers() {
        let hole = BlackHole::open().await.expect("a port");
        let slow = dribbler().await.expect("a port");
        for address in [hole.address, slow] {
            let asked = client(address).ask(Ask::once("/hook", Some("{}".into())).patience(Duration::from_millis(300))).await;
            assert!(matches!(asked, Err(NoAnswer::Late)), "{asked:?}");
        }
    }
}
