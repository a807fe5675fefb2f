//! Streams that stay open: what is sent next, until the reader leaves or is told `bye`.
//!
//! A stream is pulled, never pushed: it looks at the log when its connection has
//! room, from where it stands. So a slow reader costs the writer nothing and
//! the server one chunk; who falls below the floor of the log is told so.
//!
//! A watch that names no position begins with the rows that are there, page by page,
//! and goes on from the position that all those pages show.
//!
//! Not here: frames (`ringback_wire::sse`), bytes and sockets (the server),
//! when silence is filled (`engine::pace`).

use crate::{
    Ctx, Error, ListQuery, Service,
    feed::{FeedQuery, Lens, Room, WatchQuery},
    waker::{Admitted, Ticket},
};
use bytes::Bytes;
use ringback_engine::{
    pace::{Due, Pace},
    watch::Change,
};
use ringback_model::{
    Timestamp,
    event::{Event, Place},
    limits,
};
use ringback_ports::meters::{Counted, meters};
use std::sync::Arc;
use tokio::sync::watch;

/// What a stream sends next.
#[derive(Debug)]
pub enum Sent {
    /// Where it begins.
    Begin {
        /// The position.
        id: String,
    },
    /// Resources that are in the watched list when it begins.
    Rows(Vec<Bytes>),
    /// Events, or changes of resources, each with the position after it.
    Found(Vec<(Arc<Event>, Option<Change>, String)>),
    /// Where it stands, and how many events of the tenant come after that.
    Sync {
        /// The position.
        id: String,
        /// Events of the scope after it, filter not applied.
        lag: u64,
    },
    /// Nothing but that it lives.
    Comment,
    /// The end, and why.
    Bye(Error),
}

/// An open stream.
pub struct Stream {
    service: Service,
    ctx: Ctx,
    lens: Lens,
    place: Place,
    pace: Pace,
    stage: Stage,
    /// Whether there may be something that it has not seen.
    look_again: bool,
    ticket: Ticket,
    keys_gone: watch::Receiver<()>,
    expires_at: Option<Timestamp>,
    tag: String,
    _admitted: Admitted,
    _counted: Counted,
}

#[derive(Debug)]
enum Stage {
    Begin,
    /// The rows of the watched list, from this cursor on.
    Rows {
        of: WatchQuery,
        after: Option<String>,
    },
    /// The rows were sent: says where they stood.
    Stands,
    Live,
    Over,
}

impl core::fmt::Debug for Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stream").field("lens", &self.lens).field("place", &self.place).finish_non_exhaustive()
    }
}

const ROOM: Room = Room { items: limits::PAGE_ITEMS_DEFAULT, bytes: limits::STREAM_CHUNK_BYTES_MAX };

impl Service {
    /// Opens a stream: from `last_event_id`, else from `after`, else from now. Its ids end with `tag`.
    ///
    /// # Errors
    /// As of `feed`; `TooManyWaiters`.
    pub async fn stream(&self, ctx: &Ctx, query: &FeedQuery, tag: String) -> Result<Stream, Error> {
        let lens = self.lens(ctx, query)?;
        let admitted = self.inner.waker.admit(ctx.caller.key)?;
        let keys_gone = self.inner.keys_gone.subscribe();
        let ticket = self.inner.waker.ticket(lens.wakes_on(&ctx.scope));
        let place = self.begins_at(ctx, &lens, query, "now").await?;
        let expires_at = ctx.caller.key.and_then(|id| self.registry().keys.get(&id)?.expires_at);
        Ok(Stream {
            service: self.clone(),
            ctx: ctx.clone(),
            lens,
            place,
            pace: Pace::begin(self.now()),
            stage: match &query.watch {
                Some(of) if query.after.is_none() && query.last_event_id.is_none() => Stage::Rows { of: of.clone(), after: None },
                _ => Stage::Begin,
            },
            look_again: true,
            ticket,
            keys_gone,
            expires_at,
            tag,
            _admitted: admitted,
            _counted: Counted::new(&meters().streams),
        })
    }
}

impl Service {
    /// Whether such a stream could be opened now.
    ///
    /// # Errors
    /// As of `stream`.
    pub async fn check_stream(&self, ctx: &Ctx, query: &FeedQuery) -> Result<(), Error> {
        let lens = self.lens(ctx, query)?;
        self.begins_at(ctx, &lens, query, "now").await.map(drop)
    }
}

impl Stream {
    /// What is to be sent next, as soon as there is something; `None` after `Bye`.
    ///
    /// Asked again means that the connection took what it was given.
    pub async fn next(&mut self) -> Option<Sent> {
        let sent = match core::mem::replace(&mut self.stage, Stage::Live) {
            Stage::Over => {
                self.stage = Stage::Over;
                return None;
            }
            Stage::Begin => Ok(Sent::Begin { id: self.id() }),
            Stage::Rows { of, after } => self.rows(of, after).await,
            Stage::Stands => self.stands().await,
            Stage::Live => self.live().await,
        };
        let sent = sent.unwrap_or_else(Sent::Bye);
        self.pace.handle_given(self.service.now());
        if matches!(sent, Sent::Bye(_)) {
            self.stage = Stage::Over;
        }
        Some(sent)
    }

    /// Who reads too slowly, or would not be let in any more, is told so.
    fn still(&mut self) -> Result<(), Error> {
        if self.pace.handle_taken(self.service.now()) {
            return Err(Error::TooSlow);
        }
        if !self.service.ready() {
            return Err(Error::Draining);
        }
        self.service.still(&self.ctx.caller)
    }

    /// The next rows of the list.
    async fn rows(&mut self, of: WatchQuery, after: Option<String>) -> Result<Sent, Error> {
        self.still()?;
        let ty = self
            .service
            .types()
            .by_name(of.type_name.as_str())
            .ok_or_else(|| Error::NotFound { noun: "type", id: of.type_name.to_string() })?;
        let query = ListQuery {
            filter: of.filter.as_deref(),
            params: &of.params,
            limit: limits::PAGE_ITEMS_DEFAULT,
            after: after.as_deref(),
            ..ListQuery::default()
        };
        let page = self.service.list_resources(&self.ctx, &ty, query).await?;
        self.place =
            self.service.place_under(&self.ctx.scope, self.ctx.authority(), &page.watch_cursor, "after", self.lens.binding()).await?;
        self.stage = match page.next_cursor {
            Some(next) => Stage::Rows { of, after: Some(next) },
            None => Stage::Stands,
        };
        self.pace.handle_told(self.service.now());
        if page.rows.is_empty() {
            self.stage = Stage::Live;
            return self.stands().await;
        }
        Ok(Sent::Rows(page.rows))
    }

    async fn stands(&mut self) -> Result<Sent, Error> {
        self.pace.handle_told(self.service.now());
        Ok(Sent::Sync { id: self.id(), lag: self.service.lag(&self.ctx.scope, self.place).await? })
    }

    async fn live(&mut self) -> Result<Sent, Error> {
        self.still()?;
        loop {
            if !self.service.ready() {
                return Err(Error::Draining);
            }
            self.service.still(&self.ctx.caller)?;
            if self.look_again {
                if let Some(sent) = self.look().await? {
                    return Ok(sent);
                }
                if self.look_again {
                    continue;
                }
            }
            match self.pace.poll(self.service.now()) {
                Some(Due::Comment) => return Ok(Sent::Comment),
                Some(Due::Sync) => return Ok(Sent::Sync { id: self.id(), lag: self.service.lag(&self.ctx.scope, self.place).await? }),
                None => {}
            }
            let at = crate::resources::earliest(Some(self.pace.next_timeout()), self.expires_at).unwrap_or_default();
            let woken = tokio::select! {
                biased;
                // The sender lives in the service that this stream holds.
                _ = self.keys_gone.changed() => false,
                () = self.ticket.woken() => true,
                // A wake-up is a hint, and this makes it true anyway; it also passes what woke nobody here.
                () = self.service.clock().sleep_until(at) => self.pace.sync_is_due(self.service.now()),
            };
            self.look_again |= woken;
        }
    }

    /// Looks at the log from where it stands; afterwards `look_again` says whether there was more.
    async fn look(&mut self) -> Result<Option<Sent>, Error> {
        if !self.service.inner.tail.covers(&self.ctx.scope, self.place) {
            self.service.above_floor(&self.ctx.scope, self.place, self.service.inner.store.bounds(&self.ctx.scope).await?)?;
        }
        let look = self.service.look(&self.ctx, &self.lens, ROOM, self.place).await?;
        self.place = look.scanned;
        self.look_again = !look.to_the_end;
        if look.found.is_empty() {
            // A long stretch without a match must not look like a dead connection.
            return Ok(self.look_again.then(|| self.pace.poll(self.service.now())).flatten().map(|_| Sent::Comment));
        }
        // What was found up to a full chunk may not have been all.
        self.look_again = true;
        self.pace.handle_told(self.service.now());
        let found = look.found.into_iter().map(|it| {
            let id = self.id_at(it.event.place(&self.ctx.scope));
            (it.event, it.change, id)
        });
        Ok(Some(Sent::Found(found.collect())))
    }

    /// Where it stands.
    fn id(&self) -> String {
        self.id_at(self.place)
    }

    fn id_at(&self, place: Place) -> String {
        format!("{}{}", self.service.position_under(&self.ctx.scope, place, self.lens.binding()), self.tag)
    }
}
