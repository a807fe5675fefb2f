//! What can't be read as HTTP gets a problem document, too.
//!
//! Such a request never reaches us: hyper answers it with a bare status line
//! and closes. Its answer passes here on its way to the client, is known by
//! what it lacks (each answer of ours has an `X-Request-Id`), and is given a body.
//!
//! Some of what it can't read it does not answer at all: the preface of HTTP/2, and a
//! head whose end does not come in time. Those are told, too.
//!
//! Not here: heads that are read but too large (`http::extract`), and how long a
//! head may take (`http::deadline`).

use super::{answer::REQUEST_ID, server::Server};
use core::{
    error::Error as _,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use ringback_wire::{Problem, sentences};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose bare refusals are given a body.
#[derive(Debug)]
pub(super) struct Unread<S> {
    stream: S,
    server: Server,
    /// What stands in the place of a bare refusal, as far as it is not written yet.
    owed: Vec<u8>,
    /// Whether something was read that nothing was written to since: a request that is not answered.
    open: bool,
}

impl<S: AsyncWrite + Unpin> Unread<S> {
    pub(super) const fn new(stream: S, server: Server) -> Self {
        Self { stream, server, owed: Vec::new(), open: false }
    }

    /// Tells a client whose request was begun and not answered why the connection ends, if it
    /// takes that at once.
    pub(super) async fn tell(mut self, why: &hyper::Error, head_timeout: Duration) {
        let timed_out = why.source().and_then(|it| it.downcast_ref::<io::Error>()).is_some_and(|it| it.kind() == io::ErrorKind::TimedOut);
        let (status_line, problem) = match () {
            () if !self.open => return,
            () if timed_out => ("HTTP/1.1 408 Request Timeout", sentences::request_timeout(head_timeout.as_secs())),
            () if why.is_parse() => ("HTTP/1.1 400 Bad Request", sentences::not_http()),
            () => return,
        };
        let answer = with_body(status_line, &["connection: close"], problem, &self.server.service().request_id().to_string());
        let wrote = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_write(cx, &answer).is_ready())).await;
        if wrote {
            let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_shutdown(cx).is_ready())).await;
        }
    }

    /// Takes a bare refusal; whether it was one.
    fn take(&mut self, written: &[u8]) -> bool {
        if !written.starts_with(b"HTTP/1.1 4") && !written.starts_with(b"HTTP/1.0 4") {
            return false;
        }
        let answer = answered(written, &self.server.service().request_id().to_string());
        self.owed = answer.unwrap_or_default();
        !self.owed.is_empty()
    }

    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.owed.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.owed))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.owed.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

/// The refusal with a body; `None` for whatever is none of hyper's own.
fn answered(written: &[u8], request_id: &str) -> Option<Vec<u8>> {
    let (head, rest) = core::str::from_utf8(written).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next()?;
    let headers: Vec<&str> = lines.collect();
    let has = |name: &str| headers.iter().any(|it| it.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case(name)));
    if !rest.is_empty() || has(REQUEST_ID.as_str()) {
        return None;
    }
    let problem = match status_line.split(' ').nth(1)? {
        "400" => sentences::not_http(),
        "414" => sentences::uri_too_long(),
        "431" => sentences::headers_too_large(),
        _ => return None,
    };
    let headers: Vec<&str> =
        headers.into_iter().filter(|it| !it.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case("content-length"))).collect();
    Some(with_body(status_line, &headers, problem, request_id))
}

fn with_body(status_line: &str, headers: &[&str], problem: Problem, request_id: &str) -> Vec<u8> {
    let body = problem.of_request(request_id).to_json();
    let mut out = format!("{status_line}\r\n");
    for header in headers {
        out.push_str(&format!("{header}\r\n"));
    }
    out.push_str(&format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\r\n",
        body.len()
    ));
    let mut out = out.into_bytes();
    out.extend_from_slice(body.as_ref());
    out
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.open |= buf.filled().len() > before;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_owed(cx))?;
        this.open = false;
        if this.take(buf) {
            // Flushed with what follows, as any write is.
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_owed(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_owed(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_owed(cx))?;
        this.open = false;
        if let [only] = bufs
            && this.take(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_given_a_body() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let text = String::from_utf8(answered(bare, "req_1").expect("a body")).expect("text");
        assert!(text.starts_with(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ndate: x\r\ncontent-type: application/problem+json\r\ncontent-length: "
        ));
        assert!(text.contains("\"code\":\"bad-parameter\"") && text.contains("\"request_id\":\"req_1\""), "{text}");
        for (status, code) in [("431 Request Header Fields Too Large", "headers-too-large"), ("414 URI Too Long", "uri-too-long")] {
            let bare = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let text = String::from_utf8(answered(bare.as_bytes(), "req_1").expect("a body")).expect("text");
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
        }
        for ours in [
            &b"HTTP/1.1 400 Bad Request\r\nx-request-id: req_2\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad",
            b"",
        ] {
            assert_eq!(answered(ours, "req_1"), None);
        }
    }
}
