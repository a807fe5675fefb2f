//! An open stream as the body of an answer: asks the service what is next
//! whenever the connection has room, and writes frames.
//!
//! What was found is held as the log has it, and frames are made piece by piece as the
//! connection takes them. Large events are written from where they are: a thousand
//! streams that send the same one have it in memory once.
//!
//! Not here: what a frame looks like (`ringback_wire::sse`), what is sent when
//! (`ringback_service::Stream`), what all of it may cost (`http::budget`).

use super::{
    answer::{Answer, Reply},
    budget::{Lent, keeping},
    errors::{self, Asked},
    server::{Server, announced},
};
use bytes::Bytes;
use core::time::Duration;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use ringback_model::limits::{STREAM_COPIED_BYTES_MAX, STREAM_PIECE_BYTES};
use ringback_service::{Error, Sent, Stream};
use ringback_wire::{sse, watch};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch::Receiver;

/// How long a stream waits for room in the budget of answers before it ends.
const ROOM_TRIES_MAX: u32 = 30;
const ROOM_PAUSE: Duration = Duration::from_secs(1);

struct Open {
    server: Server,
    stream: Stream,
    draining: Receiver<bool>,
    asked: Asked,
    /// Whose answers these are.
    who: Arc<str>,
    frames: Frames,
    over: bool,
}

/// Frames that are still to be written.
#[derive(Default)]
struct Frames(VecDeque<Frame>);

/// A frame: what stands before its body, the body where it is, and what stands after it.
struct Frame {
    begin: Vec<u8>,
    body: Bytes,
    end: Vec<u8>,
    lent: Option<Lent>,
}

/// A piece of frames.
enum Piece {
    Copy(Bytes),
    /// A large body, where it is.
    InPlace(Bytes),
}

impl Frame {
    fn of(text: Vec<u8>) -> Self {
        Self { begin: text, body: Bytes::new(), end: Vec::new(), lent: None }
    }
}

impl Frames {
    /// The next piece: several small frames, or a large body alone. `None` when all is written.
    fn piece(&mut self) -> Option<Piece> {
        let (mut out, mut lent) = (Vec::new(), Vec::new());
        while out.len() < STREAM_PIECE_BYTES {
            let Some(mut frame) = self.0.pop_front() else { break };
            if frame.body.len() <= STREAM_COPIED_BYTES_MAX {
                out.append(&mut frame.begin);
                out.extend_from_slice(&frame.body);
                out.append(&mut frame.end);
                lent.extend(frame.lent);
                continue;
            }
            if out.is_empty() && frame.begin.is_empty() {
                self.0.push_front(Frame::of(frame.end));
                return Some(Piece::InPlace(keeping(frame.body, frame.lent)));
            }
            out.append(&mut frame.begin);
            self.0.push_front(frame);
            break;
        }
        (!out.is_empty()).then(|| Piece::Copy(keeping(out.into(), lent)))
    }
}

/// The answer whose body is this stream.
pub(super) fn answer(server: Server, stream: Stream, asked: Asked, who: Arc<str>) -> Reply {
    let draining = server.draining();
    let open = Open { server, stream, draining, asked, who, frames: Frames::default(), over: false };
    let frames = stream::unfold(open, |mut open| async move {
        let frames = open.next().await?;
        Some((frames, open))
    });
    Reply {
        answer: Answer {
            status: StatusCode::OK,
            headers: vec![
                (header::CONTENT_TYPE, HeaderValue::from_static(sse::MEDIA_TYPE)),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                // Known to several proxies: pass on what comes when it comes.
                (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
            ],
            body: Bytes::new(),
        },
        stream: Some(frames.boxed()),
    }
}

impl Open {
    /// The next frames; `None` after the last one.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.piece() {
            return Some(piece);
        }
        if self.over {
            return None;
        }
        let sent = if self.room().await {
            tokio::select! {
                biased;
                () = announced(&mut self.draining) => Sent::Bye(Error::Draining),
                sent = self.stream.next() => sent?,
            }
        } else {
            Sent::Bye(Error::Overloaded)
        };
        self.take(sent);
        self.piece()
    }

    /// What is to be written next. A copy is counted for this stream alone.
    fn piece(&mut self) -> Option<Bytes> {
        Some(match self.frames.piece()? {
            Piece::Copy(bytes) => self.server.budget().hold_anyway(&self.who, bytes),
            Piece::InPlace(bytes) => bytes,
        })
    }

    /// Makes frames of what is to be sent.
    fn take(&mut self, sent: Sent) {
        let mut out = Vec::new();
        match sent {
            Sent::Begin { id } => sse::frame(&mut out, None, Some(&id), None),
            Sent::Rows(rows) => {
                for row in rows {
                    let body = self.server.budget().hold_anyway(&self.who, row);
                    self.frames.0.push_back(Frame { begin: sse::SNAPSHOT.to_vec(), body, end: sse::END.to_vec(), lent: None });
                }
            }
            Sent::Found(found) => {
                for (event, change, id) in found {
                    let (mut begin, mut end) = (sse::begin(&id), Vec::new());
                    let body = match change {
                        None => event.bytes.clone(),
                        Some(change) => {
                            begin.extend_from_slice(watch::begin(change.as_str(), event.id).as_bytes());
                            end.extend_from_slice(watch::END);
                            event.image()
                        }
                    };
                    end.extend_from_slice(sse::END);
                    let lent = Some(self.server.budget().lend(&self.who, event));
                    self.frames.0.push_back(Frame { begin, body, end, lent });
                }
            }
            Sent::Sync { id, lag } => sse::sync(&mut out, &id, lag),
            Sent::Comment => sse::comment(&mut out),
            Sent::Bye(why) => {
                self.over = true;
                let (reason, detail) = errors::bye(why, &self.asked);
                sse::bye(&mut out, reason, &detail);
            }
        }
        if !out.is_empty() {
            self.frames.0.push_back(Frame::of(out));
        }
    }

    /// Waits until something is left of the budget. Who stands still is cut in the
    /// meantime, and gives back what he holds.
    async fn room(&self) -> bool {
        for _ in 0..ROOM_TRIES_MAX {
            if self.server.budget().has_room(&self.who) {
                return true;
            }
            self.server.service().clock().sleep(ROOM_PAUSE).await;
        }
        false
    }
}
