//! A merchant's way of asking: plain HTTP/1.1 to one address on this machine,
//! with kept connections, and every byte counted.
//!
//! Deliberately small, as the table must know what went over the wire, and as
//! only `egress` and `client` may depend on an HTTP client. Not for anything
//! but the demo's own server: no TLS, no redirects, no host names.

use super::wire::{Counted, Meter};
use serde::de::DeserializeOwned;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Idle connections that one client keeps.
const IDLE_MAX: usize = 64;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: u64 = 32 * 1024;
/// Bytes of an answer's body: a page of the feed has at most 8 MiB of events.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long an answer may take that isn't asked to wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nobody listens: nothing was sent.
    #[error("nobody answers at {0}")]
    Refused(SocketAddr),
    /// The connection ended before the first byte of an answer.
    #[error("the connection was closed before an answer came")]
    Closed,
    /// The connection broke inside an answer, or what came isn't HTTP/1.1.
    #[error("the answer broke off or made no sense")]
    Broken,
    /// No whole answer in time.
    #[error("no answer in time")]
    Late,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    idempotency_key: Option<&'a str>,
    body: Option<String>,
    patience: Duration,
}

impl<'a> Ask<'a> {
    /// Reads `path`.
    pub(crate) const fn get(path: &'a str) -> Self {
        Self { method: "GET", path, idempotency_key: None, body: None, patience: PATIENCE }
    }

    /// Writes to `path`; the same `key` again makes it happen once.
    pub(crate) const fn post(path: &'a str, key: &'a str, body: Option<String>) -> Self {
        Self { method: "POST", path, idempotency_key: Some(key), body, patience: PATIENCE }
    }

    /// Writes to `path`. A connection that is closed meanwhile makes it happen twice: for benches only.
    pub(crate) const fn once(path: &'a str, body: Option<String>) -> Self {
        Self { method: "POST", path, idempotency_key: None, body, patience: PATIENCE }
    }

    /// Waits this long for the whole answer.
    pub(crate) const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn encode(&self, host: SocketAddr, who: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n{who}", self.method, self.path);
        if let Some(key) = self.idempotency_key {
            out += &format!("idempotency-key: {key}\r\n");
        }
        if let Some(body) = &self.body {
            out += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        } else if self.method == "GET" {
            out += "\r\n";
        } else {
            out += "content-length: 0\r\n\r\n";
        }
        out.into_bytes()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// True for 2xx.
    pub(crate) const fn good(&self) -> bool {
        self.status / 100 == 2
    }

    /// The body as JSON of this shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A refusal in one line: the status and, of a problem document, its detail.
    pub(crate) fn complaint(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Problem {
            detail: Option<String>,
            title: Option<String>,
        }
        let said = self.json::<Problem>().and_then(|it| it.detail.or(it.title));
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&self.body).chars().take(200).collect());
        format!("{} {said}", self.status)
    }
}

/// One merchant's connections to the server.
#[derive(Debug)]
pub(crate) struct Client {
    server: SocketAddr,
    /// Who asks, as header lines.
    who: String,
    meter: Arc<Meter>,
    idle: Mutex<Vec<BufReader<Counted>>>,
}

impl Client {
    /// Asks `server` without saying who asks, counting on `meter`.
    pub(crate) const fn anonymous(server: SocketAddr, meter: Arc<Meter>) -> Self {
        Self { server, who: String::new(), meter, idle: Mutex::new(Vec::new()) }
    }

    /// Asks with a tenant's key.
    pub(crate) fn tenant(server: SocketAddr, key: &str, meter: Arc<Meter>) -> Self {
        Self { who: format!("authorization: Bearer {key}\r\n"), ..Self::anonymous(server, meter) }
    }

    /// Asks with an operator's key, for the tenant in which the demo plays: a
    /// newcomer who joins in may add others.
    pub(crate) fn operator(server: SocketAddr, key: &str, meter: Arc<Meter>) -> Self {
        Self { who: format!("authorization: Bearer {key}\r\nringback-tenant: default\r\n"), ..Self::anonymous(server, meter) }
    }

    /// Asks once. A kept connection that turns out to be closed is replaced by
    /// a fresh one, once: all that the demo writes carries an Idempotency-Key.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, NoAnswer> {
        let bytes = ask.encode(self.server, &self.who);
        match tokio::time::timeout(ask.patience, self.exchange(&bytes)).await {
            Ok(answered) => answered,
            Err(_) => Err(NoAnswer::Late),
        }
    }

    async fn exchange(&self, bytes: &[u8]) -> Result<Answer, NoAnswer> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(kept) = kept {
            match self.on(kept, bytes).await {
                // All others are as old as this one: a restart closed them too.
                Err(NoAnswer::Closed) => self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear(),
                other => return other,
            }
        }
        let fresh = TcpStream::connect(self.server).await.map_err(|_| NoAnswer::Refused(self.server))?;
        // A small request must not wait for the acknowledgement of the last one.
        let _ = fresh.set_nodelay(true);
        self.on(BufReader::new(Counted::new(fresh, Arc::clone(&self.meter))), bytes).await
    }

    async fn on(&self, mut conn: BufReader<Counted>, bytes: &[u8]) -> Result<Answer, NoAnswer> {
        self.meter.request();
        conn.get_mut().write_all(bytes).await.map_err(|_| NoAnswer::Closed)?;
        let (answer, keep) = read_answer(&mut conn).await?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if keep && idle.len() < IDLE_MAX {
            idle.push(conn);
        }
        Ok(answer)
    }
}

/// Reads one answer; `true` if the connection can carry another request.
async fn read_answer<R: tokio::io::AsyncBufRead + Unpin>(conn: &mut R) -> Result<(Answer, bool), NoAnswer> {
    match conn.fill_buf().await {
        Ok([]) | Err(_) => return Err(NoAnswer::Closed),
        Ok(_) => {}
    }
    let mut head = conn.take(HEAD_BYTES_MAX);
    let first = line(&mut head).await?;
    let status: u16 = first.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or(NoAnswer::Broken)?;
    let (mut length, mut chunked, mut keep) = (None, false, first.starts_with("HTTP/1.1"));
    loop {
        let text = line(&mut head).await?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or(NoAnswer::Broken)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>().map_err(|_| NoAnswer::Broken)?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep &= !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if matches!(status, 100..=199 | 204 | 304) {
        // These have no body, whatever their length says.
    } else if chunked {
        loop {
            let size = line(&mut (&mut *conn).take(HEAD_BYTES_MAX)).await?;
            let size = size.split(';').next().and_then(|it| usize::from_str_radix(it.trim(), 16).ok()).ok_or(NoAnswer::Broken)?;
            if size == 0 {
                while !line(&mut (&mut *conn).take(HEAD_BYTES_MAX)).await?.is_empty() {}
                break;
            }
            extend(conn, &mut body, size).await?;
            line(&mut (&mut *conn).take(2)).await?;
        }
    } else if let Some(length) = length {
        extend(conn, &mut body, length).await?;
    } else {
        keep = false;
        (&mut *conn).take(BODY_BYTES_MAX as u64).read_to_end(&mut body).await.map_err(|_| NoAnswer::Broken)?;
    }
    Ok((Answer { status, body }, keep))
}

/// Reads `size` more bytes of a body.
async fn extend<R: tokio::io::AsyncBufRead + Unpin>(conn: &mut R, body: &mut Vec<u8>, size: usize) -> Result<(), NoAnswer> {
    if body.len().saturating_add(size) > BODY_BYTES_MAX {
        return Err(NoAnswer::Broken);
    }
    let read = (&mut *conn).take(size as u64).read_to_end(body).await.map_err(|_| NoAnswer::Broken)?;
    if read == size { Ok(()) } else { Err(NoAnswer::Broken) }
}

/// Reads a line without its end.
async fn line<R: tokio::io::AsyncBufRead + Unpin>(from: &mut R) -> Result<String, NoAnswer> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).await.map_err(|_| NoAnswer::Broken)?;
    if bytes.pop() != Some(b'\n') {
        return Err(NoAnswer::Broken);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| NoAnswer::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<(u16, String, bool), NoAnswer> {
        let mut bytes = text.as_bytes();
        read_answer(&mut bytes).await.map(|(it, keep)| (it.status, String::from_utf8_lossy(&it.body).into_owned(), keep))
    }

    #[tokio::test]
    async fn bodies_of_all_kinds() {
        for (text, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", true)),
            ("HTTP/1.1 201 Created\r\ncontent-length: 2\r\nConnection: close\r\n\r\nhi", (201, "hi", false)),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", (304, "", true)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", (200, "abcde", true)),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\nuntil the end", (502, "until the end", false)),
        ] {
            let got = read(text).await.expect(text);
            assert_eq!((got.0, got.1.as_str(), got.2), want, "{text:?}");
        }
    }

    #[tokio::test]
    async fn broken_answers_are_told_apart_from_closed_ones() {
        assert!(matches!(read("").await, Err(NoAnswer::Closed)));
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ncontent-le",
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(matches!(read(text).await, Err(NoAnswer::Broken)), "{text:?}");
        }
    }

    #[test]
    fn a_write_carries_its_key_and_length() {
        let host = SocketAddr::from(([127, 0, 0, 1], 7464));
        let text = |ask: Ask<'_>| String::from_utf8(ask.encode(host, "authorization: Bearer rbk_x\r\n")).expect("text");
        assert_eq!(
            text(Ask::post("/payment", "k1", Some("{}".into()))),
            "POST /payment HTTP/1.1\r\nhost: 127.0.0.1:7464\r\naccept: application/json\r\nauthorization: Bearer rbk_x\r\nidempotency-key: k1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
        assert!(text(Ask::post("/p", "k", None)).ends_with("content-length: 0\r\n\r\n"));
        assert!(text(Ask::get("/p")).ends_with("Bearer rbk_x\r\n\r\n"));
    }
}
