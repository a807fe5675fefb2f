//! An open stream as the body of an answer: asks the service what is next
//! whenever the connection has room, and writes frames.
//!
//! Not here: what a frame looks like (`ringback_wire::sse`), what is sent when
//! (`ringback_service::Stream`).

use super::{
    answer::{Answer, Reply},
    errors::{self, Asked},
    server::{Server, announced},
};
use bytes::Bytes;
use core::time::Duration;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use ringback_service::{Error, Sent, Stream};
use ringback_wire::{sse, watch};
use tokio::sync::watch::Receiver;

/// How long a stream waits for room in the budget of answers before it ends.
const ROOM_TRIES_MAX: u32 = 30;
const ROOM_PAUSE: Duration = Duration::from_secs(1);

struct Open {
    server: Server,
    stream: Stream,
    draining: Receiver<bool>,
    asked: Asked,
    over: bool,
}

/// The answer whose body is this stream.
pub(super) fn answer(server: Server, stream: Stream, asked: Asked) -> Reply {
    let draining = server.draining();
    let open = Open { server, stream, draining, asked, over: false };
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
        let mut out = Vec::new();
        match sent {
            Sent::Begin { id } => sse::frame(&mut out, None, Some(&id), None),
            Sent::Rows(rows) => {
                for row in rows {
                    sse::frame(&mut out, Some("snapshot"), None, Some(&row));
                }
            }
            Sent::Found(found) => {
                for (event, change, id) in found {
                    match change {
                        None => sse::frame(&mut out, None, Some(&id), Some(&event.bytes)),
                        Some(change) => {
                            let item = watch::item(change.as_str(), event.id, &event.data());
                            sse::frame(&mut out, None, Some(&id), Some(&item));
                        }
                    }
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
        Some(self.server.budget().hold_anyway(out.into()))
    }

    /// Waits until something is left of the budget. Who stands still is cut in the
    /// meantime, and gives back what he holds.
    async fn room(&self) -> bool {
        for _ in 0..ROOM_TRIES_MAX {
            if self.server.budget().has_room() {
                return true;
            }
            self.server.service().clock().sleep(ROOM_PAUSE).await;
        }
        false
    }
}
