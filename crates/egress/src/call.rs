//! One request on one connection, with its deadlines and caps.
//!
//! A connection has no task of its own: whoever uses it drives it, so an answer
//! arrives without a hand-over between tasks, and an idle connection costs nothing.
//!
//! Not here: where the connection comes from (`connect`, `pool`), and what the answer
//! means (`answer`).

use crate::{
    connect::Stream,
    limits,
    meter::{Meter, Metered, Outgoing},
};
use bytes::Bytes;
use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use http::{Request, Response, request, response};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use ringback_model::limits::RESPONSE_READ_BYTES_MAX;
use std::{io, net::SocketAddr, sync::Arc};
use tokio::time::{Instant, timeout_at};

/// What reads and writes for a `SendRequest`, when it is polled.
type Driver = Connection<TokioIo<Metered<Stream>>, Outgoing>;

/// A connection that is ours alone.
#[derive(Debug)]
pub(crate) struct Live {
    sender: SendRequest<Outgoing>,
    /// `None` when it has ended.
    connection: Option<Pin<Box<Driver>>>,
    meter: Arc<Meter>,
    /// Whom it leads to.
    pub(crate) peer: SocketAddr,
    /// When it was made.
    pub(crate) born: Instant,
}

/// A request brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The connection ended before the first byte was written: another one may be used.
    NothingWritten,
    /// `reset` or `protocol`.
    Failed(&'static str),
    /// The deadline passed before the whole request was written.
    TimeoutWriting,
    /// The deadline passed after that: the request may have arrived.
    TimeoutAfter,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status and headers.
    pub(crate) head: response::Parts,
    /// At most `RESPONSE_READ_BYTES_MAX` of the body.
    pub(crate) body: Vec<u8>,
    /// Whether there was more, or might have been.
    pub(crate) truncated: bool,
    /// From the first byte sent to the first byte of the answer, in milliseconds.
    pub(crate) first_byte_ms: Option<u32>,
}

impl Live {
    /// Speaks HTTP/1.1 on `stream`.
    ///
    /// # Errors
    /// `Failed("protocol")` if that cannot even be set up.
    pub(crate) async fn new(stream: Stream, peer: SocketAddr) -> Result<Self, CallError> {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits::RESPONSE_HEAD_BYTES_MAX)
            .max_headers(limits::RESPONSE_HEADERS_MAX)
            .handshake(io)
            .await
            .map_err(|it| CallError::Failed(reason(&it)))?;
        Ok(Self { sender, connection: Some(Box::pin(connection)), meter, peer, born: Instant::now() })
    }

    /// Whether it can take another request now; notices that the peer hung up.
    pub(crate) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        self.connection.is_some() && self.sender.is_ready()
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.connection.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready()) {
            // Dropped at once: it holds the other end of what we wait for.
            self.connection = None;
        }
    }

    /// Sends `head` and `body`, and reads the answer until `deadline`. Afterwards the
    /// connection may be used again if `is_usable` says so.
    ///
    /// # Errors
    /// See `CallError`; never after a status was read.
    pub(crate) async fn call(&mut self, head: request::Parts, body: Bytes, deadline: Instant) -> Result<Answer, CallError> {
        self.meter.restart();
        let start = Instant::now();
        let request = Request::from_parts(head, Outgoing::new(body, Arc::clone(&self.meter)));
        let response = self.response(request, start, deadline).await?;
        let progress = self.meter.progress();
        let first_byte_ms =
            progress.first_written.zip(progress.first_read).map(|(from, to)| crate::connect::millis(to.saturating_duration_since(from)));
        let (head, incoming) = response.into_parts();
        let (body, complete) = self.body(incoming, deadline).await;
        if !complete {
            self.connection = None;
        }
        Ok(Answer { head, body, truncated: !complete, first_byte_ms })
    }

    async fn response(&mut self, request: Request<Outgoing>, start: Instant, deadline: Instant) -> Result<Response<Incoming>, CallError> {
        let mut waiting = pin!(self.sender.send_request(request));
        let mut answered = pin!(poll_fn(|cx| {
            // The connection first: it is what makes the other one ready.
            if self.connection.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready()) {
                self.connection = None;
            }
            waiting.as_mut().poll(cx)
        }));
        let mut done = timeout_at(deadline.min(start + limits::FIRST_BYTE_MAX), answered.as_mut()).await;
        if done.is_err() && self.meter.progress().first_read.is_some() {
            // It has begun to answer: from here on only the deadline of the whole counts.
            done = timeout_at(deadline, answered.as_mut()).await;
        }
        let progress = self.meter.progress();
        match done {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) if progress.first_written.is_none() => Err(CallError::NothingWritten),
            Ok(Err(error)) => Err(CallError::Failed(reason(&error))),
            Err(_) if progress.whole_written => Err(CallError::TimeoutAfter),
            Err(_) => Err(CallError::TimeoutWriting),
        }
    }

    /// The body as far as it is read, and whether that is all of it.
    async fn body(&mut self, mut incoming: Incoming, deadline: Instant) -> (Vec<u8>, bool) {
        let mut read = Vec::new();
        while !incoming.is_end_stream() {
            let next = poll_fn(|cx| {
                self.drive(cx);
                Pin::new(&mut incoming).poll_frame(cx)
            });
            let frame = match timeout_at(deadline, next).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return (read, true),
                Ok(Some(Err(_))) | Err(_) => return (read, false),
            };
            // Trailers are read over.
            if let Ok(data) = frame.into_data() {
                let room = RESPONSE_READ_BYTES_MAX - read.len();
                if data.len() > room {
                    read.extend(data.iter().take(room));
                    return (read, false);
                }
                read.extend_from_slice(&data);
            }
        }
        (read, true)
    }
}

/// The stable word for what went wrong on the wire.
fn reason(error: &hyper::Error) -> &'static str {
    let mut source = core::error::Error::source(error);
    let mut io = false;
    while let Some(it) = source {
        io |= it.is::<io::Error>();
        source = it.source();
    }
    if !error.is_parse() && (io || error.is_incomplete_message() || error.is_canceled() || error.is_closed()) {
        "reset"
    } else {
        "protocol"
    }
}
