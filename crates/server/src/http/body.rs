//! The body of an answer: bytes that are there, or a stream of them.

use super::{budget::keeping, deadline::Busy};
use bytes::Bytes;
use core::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use futures_util::stream::{BoxStream, StreamExt};
use hyper::body::{Body, Frame, SizeHint};
use ringback_model::limits::ANSWER_BYTES_FREE;

/// The body of an answer.
pub struct AnswerBody(Kind);

enum Kind {
    Whole(Bytes),
    Stream { frames: BoxStream<'static, Bytes>, busy: Option<Busy>, over: bool },
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "AnswerBody({} bytes)", bytes.len()),
            Kind::Stream { .. } => f.write_str("AnswerBody(a stream)"),
        }
    }
}

impl AnswerBody {
    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(super) fn stream(frames: BoxStream<'static, Bytes>) -> Self {
        Self(Kind::Stream { frames, busy: None, over: false })
    }

    /// Says that the connection is busy until this is written. A small body is
    /// written at once, or with the next one.
    pub(super) fn keep_busy(self, mut busy: Busy) -> Self {
        Self(match self.0 {
            Kind::Whole(bytes) if bytes.len() <= ANSWER_BYTES_FREE => Kind::Whole(bytes),
            Kind::Whole(bytes) => Kind::Whole(keeping(bytes, busy)),
            Kind::Stream { frames, over, .. } => {
                busy.streams();
                Kind::Stream { frames, over, busy: Some(busy) }
            }
        })
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(core::mem::take(bytes))))),
            Kind::Stream { over: true, .. } => Poll::Ready(None),
            Kind::Stream { frames, busy, over } => frames.poll_next_unpin(cx).map(|next| {
                *over = next.is_none();
                if *over {
                    *busy = None;
                }
                next.map(|it| Ok(Frame::data(it)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream { over, .. } => *over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}
