//! Counting what goes over the wire: a stream that adds up its bytes, both
//! ways, as the network carries them (HTTP heads included, TCP's own not).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What one merchant costs.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// One more request, asked or received.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes so far, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A connection whose bytes are counted, and which breaks while `dark` is set.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: TcpStream,
    meter: Arc<Meter>,
    dark: Option<Arc<AtomicBool>>,
}

impl Counted {
    /// Counts `inner` on `meter`.
    pub(crate) fn new(inner: TcpStream, meter: Arc<Meter>) -> Self {
        Self { inner, meter, dark: None }
    }

    /// The same, breaking at the next byte while `dark` is set.
    pub(crate) fn darkened_by(inner: TcpStream, meter: Arc<Meter>, dark: Arc<AtomicBool>) -> Self {
        Self { inner, meter, dark: Some(dark) }
    }

    fn lit(&self) -> io::Result<()> {
        match &self.dark {
            Some(dark) if dark.load(Ordering::Relaxed) => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.lit()?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.meter.add(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.lit()?;
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.meter.add(written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
