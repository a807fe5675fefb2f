//! A deadline under a connection: for a request's head, for doing nothing, and
//! for an answer that nobody reads.
//!
//! A head that trickles in holds a connection, so it must be whole 10 s after
//! its first byte; a connection that only waits for its next request may wait
//! longer. While a request is being answered there is no deadline here. A client
//! that stops reading its answer, though, would hold all of it in memory, so
//! writing must make progress within the time that doing nothing may take, and on
//! a stream sooner: its reader comes back and goes on where it was. A stream is
//! busy for as long as it is open: silence on it is no end.

use core::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use ringback_model::limits::STREAM_STALL_SECS_MAX;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const IDLE: u8 = 2;

/// What a connection is doing. A new one is expected to send a head.
#[derive(Debug, Default)]
pub(super) struct Phase {
    /// `HEAD` or `IDLE`: what it does when it answers nothing.
    between: AtomicU8,
    /// Answers that are being made or written. The next one may be made before the last one is written.
    answers: AtomicUsize,
    /// Whether one of them is a stream.
    stream: AtomicBool,
}

/// A request is being answered until this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    phase: Arc<Phase>,
    stream: bool,
}

impl Phase {
    /// Says that a request is being answered.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.between.store(IDLE, Ordering::Relaxed);
        self.answers.fetch_add(1, Ordering::Relaxed);
        Busy { phase: Arc::clone(self), stream: false }
    }

    fn now(&self) -> u8 {
        if self.answers.load(Ordering::Relaxed) > 0 { BUSY } else { self.between.load(Ordering::Relaxed) }
    }
}

impl Busy {
    /// Says that the answer is a stream.
    pub(super) fn streams(&mut self) {
        self.stream = true;
        self.phase.stream.store(true, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.stream {
            self.phase.stream.store(false, Ordering::Relaxed);
        }
        self.phase.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose reads fail once the deadline of its phase has passed, and its
/// writes once they made no progress for too long.
#[derive(Debug)]
pub(super) struct Deadline<S> {
    stream: S,
    phase: Arc<Phase>,
    head: Duration,
    idle: Duration,
    /// The phase that `sleep` is set for; `BUSY` when it is set for none.
    armed: u8,
    sleep: Pin<Box<Sleep>>,
    /// Who reads, while that has no deadline: asked again once the answer is written.
    reader: Option<Waker>,
    /// Set while the other side takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadline<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, head: Duration, idle: Duration) -> Self {
        #[expect(clippy::disallowed_methods, reason = "bounds a connection; nothing is owed when it passes")]
        let sleep = Box::pin(tokio::time::sleep(head));
        Self { stream, phase, head, idle, armed: HEAD, sleep, reader: None, stalled: None }
    }

    /// Passes on what became of a write, or fails when there was no progress for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            if self.phase.now() != BUSY
                && let Some(reader) = self.reader.take()
            {
                reader.wake();
            }
            return written;
        }
        let stall = Duration::from_secs(STREAM_STALL_SECS_MAX);
        let within = if self.phase.stream.load(Ordering::Relaxed) { self.idle.min(stall) } else { self.idle };
        #[expect(clippy::disallowed_methods, reason = "bounds a connection; nothing is owed when it passes")]
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        if stalled.as_mut().poll(cx).is_ready() { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }

    /// Sets the timer for the present phase, unless it is set for it already.
    fn arm(&mut self, phase: u8) {
        if self.armed != phase {
            self.armed = phase;
            let by = if phase == HEAD { self.head } else { self.idle };
            if phase != BUSY {
                self.sleep.as_mut().reset(Instant::now() + by);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadline<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let phase = this.phase.now();
        if read.is_ready() {
            if phase == IDLE && buf.filled().len() > before {
                // The first bytes of the next head.
                this.phase.between.store(HEAD, Ordering::Relaxed);
                this.arm(HEAD);
            }
            return read;
        }
        this.arm(phase);
        if phase == BUSY {
            this.reader = Some(cx.waker().clone());
        } else if this.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadline<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const HEAD_SECS: u64 = 10;
    const IDLE_SECS: u64 = 75;

    fn stream() -> (DuplexStream, Deadline<DuplexStream>, Arc<Phase>) {
        let (client, server) = tokio::io::duplex(64);
        let phase = Arc::new(Phase::default());
        let secs = Duration::from_secs;
        (client, Deadline::new(server, Arc::clone(&phase), secs(HEAD_SECS), secs(IDLE_SECS)), phase)
    }

    /// After how many seconds reading fails; the clock of these tests jumps when nothing else is to be done.
    async fn fails_after(server: &mut Deadline<DuplexStream>) -> u64 {
        let begin = Instant::now();
        loop {
            let mut byte = [0];
            match server.read(&mut byte).await {
                Ok(_) => {}
                Err(why) => {
                    assert_eq!(why.kind(), io::ErrorKind::TimedOut);
                    return begin.elapsed().as_secs();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends() {
        let (_client, mut server, _) = stream();
        assert_eq!(fails_after(&mut server).await, HEAD_SECS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_ends_no_later() {
        let (mut client, mut server, _) = stream();
        tokio::spawn(async move {
            for _ in 0..100 {
                let mut tick = tokio::time::interval(Duration::from_secs(3));
                tick.tick().await;
                tick.tick().await;
                let _ = client.write_all(b"x").await;
            }
        });
        assert_eq!(fails_after(&mut server).await, HEAD_SECS);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_is_more_time() {
        let (mut client, mut server, phase) = stream();
        client.write_all(b"x").await.expect("it is open");
        server.read_u8().await.expect("a byte");
        drop(phase.busy());
        assert_eq!(fails_after(&mut server).await, IDLE_SECS);
        drop(phase.busy());
        client.write_all(b"x").await.expect("it is open");
        server.read_u8().await.expect("a byte");
        assert_eq!(fails_after(&mut server).await, HEAD_SECS, "the next head has begun");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends() {
        let (mut client, mut server, phase) = stream();
        let _busy = phase.busy();
        server.write_all(&[0; 64]).await.expect("it fits");
        let begin = Instant::now();
        let why = server.write_all(b"x").await.expect_err("nobody reads");
        assert_eq!((why.kind(), begin.elapsed().as_secs()), (io::ErrorKind::TimedOut, IDLE_SECS));
        client.read_exact(&mut [0; 64]).await.expect("they are there");
        server.write_all(&[0; 64]).await.expect("somebody reads again");
        let begin = Instant::now();
        server.write_all(b"x").await.expect_err("and again nobody");
        assert_eq!(begin.elapsed().as_secs(), IDLE_SECS, "progress begins it anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_ends_sooner() {
        let (_client, mut server, phase) = stream();
        let mut busy = phase.busy();
        busy.streams();
        server.write_all(&[0; 64]).await.expect("it fits");
        let begin = Instant::now();
        server.write_all(b"x").await.expect_err("nobody reads");
        assert_eq!(begin.elapsed().as_secs(), STREAM_STALL_SECS_MAX);
        drop(busy);
        assert!(!phase.stream.load(Ordering::Relaxed), "the next answer may be none");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_answered_takes_as_long_as_it_takes() {
        let (_client, mut server, phase) = stream();
        let busy = phase.busy();
        let begin = Instant::now();
        let waited = tokio::time::timeout(Duration::from_secs(1000), server.read_u8()).await;
        assert!(waited.is_err() && begin.elapsed().as_secs() == 1000);
        drop(busy);
        assert_eq!(fails_after(&mut server).await, IDLE_SECS);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_answer_the_connection_is_idle_again() {
        let (mut client, mut server, phase) = stream();
        let busy = phase.busy();
        let begin = Instant::now();
        // As a connection does: it reads, for the other side may go away, while it writes.
        let reading = core::future::poll_fn(|cx| {
            let mut byte = [0];
            let read = Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut byte));
            assert!(read.is_pending() || begin.elapsed().as_secs() > 500, "while it is busy there is no deadline");
            read
        });
        assert!(tokio::time::timeout(Duration::from_secs(400), reading).await.is_err());
        drop(busy);
        server.write_all(b"x").await.expect("it fits");
        client.read_exact(&mut [0; 1]).await.expect("it is there");
        assert_eq!(fails_after(&mut server).await, IDLE_SECS);
    }

    #[test]
    fn an_answer_that_is_still_written_keeps_it_busy() {
        let phase = Arc::new(Phase::default());
        let first = phase.busy();
        let second = phase.busy();
        drop(first);
        assert_eq!(phase.now(), BUSY, "the next one is being made");
        drop(second);
        assert_eq!(phase.now(), IDLE);
    }
}
