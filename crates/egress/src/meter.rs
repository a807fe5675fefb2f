//! A stream that knows how far a request got.
//!
//! What a failed try means depends on it: before the first byte a request may go out
//! on another connection, after it never again; a deadline that passes after the last
//! byte leaves open whether the request arrived.

use bytes::Bytes;
use core::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use hyper::body::{Body, Frame, SizeHint};
use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How far the present request of one connection got.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Progress>);

/// See `Meter`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// When its first byte was written.
    pub(crate) first_written: Option<Instant>,
    /// Whether its body was taken over by the writer.
    body_taken: bool,
    /// Whether all of it was handed to the operating system.
    pub(crate) whole_written: bool,
    /// When the first byte of the answer was read.
    pub(crate) first_read: Option<Instant>,
}

impl Meter {
    /// A new request begins.
    pub(crate) fn restart(&self) {
        *self.progress_mut() = Progress::default();
    }

    /// How far it got.
    #[must_use]
    pub(crate) fn progress(&self) -> Progress {
        *self.progress_mut()
    }

    fn progress_mut(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrote(&self, bytes: usize) {
        if bytes > 0 {
            self.progress_mut().first_written.get_or_insert_with(Instant::now);
        }
    }

    /// The HTTP writer flushes a stream only when nothing is left in its own buffer.
    fn flushed(&self) {
        let mut progress = self.progress_mut();
        progress.whole_written = progress.body_taken && progress.first_written.is_some();
    }
}

/// The body of a request: one frame, which tells the meter when it is taken.
#[derive(Debug)]
pub(crate) struct Outgoing {
    rest: Option<Bytes>,
    meter: Arc<Meter>,
}

impl Outgoing {
    /// The body `bytes` of the request that `meter` watches.
    #[must_use]
    pub(crate) fn new(bytes: Bytes, meter: Arc<Meter>) -> Self {
        let rest = (!bytes.is_empty()).then_some(bytes);
        meter.progress_mut().body_taken = rest.is_none();
        Self { rest, meter }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = self.rest.take();
        self.meter.progress_mut().body_taken = true;
        Poll::Ready(rest.map(|it| Ok(Frame::data(it))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.as_ref().map_or(0, |it| it.len() as u64))
    }
}

/// A stream that a meter watches.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// Watches `stream`.
    pub(crate) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.meter.progress_mut().first_read.get_or_insert_with(Instant::now);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.wrote(bytes);
        }
        polled
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.wrote(bytes);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.meter.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
