//! Pages of lists, and where a reader of the log starts.

use crate::{Ctx, Error, Service};
use ringback_engine::{
    position::{Binding, Position, TokenError},
    tokens::{PageKey, binding},
};
use ringback_model::{
    event::{Place, Scope},
    key::Authority,
    position::After,
};
use ringback_ports::store::Bounds;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

impl From<TokenError> for Error {
    fn from(it: TokenError) -> Self {
        match it {
            TokenError::Unreadable => Self::Parameter {
                parameter: "after",
                detail: "`after` is not a cursor that this server made for this tenant. Send one back as it was received, or leave it out to start at the beginning.".into(),
            },
            TokenError::Epoch => Self::CursorEpoch,
            TokenError::Mismatch => Self::CursorMismatch,
        }
    }
}

impl Service {
    /// The signed token of a place.
    pub(crate) fn position(&self, scope: &Scope, place: Place) -> String {
        self.position_under(scope, place, None)
    }

    /// The signed token of a place to which a filter was applied.
    pub(crate) fn position_under(&self, scope: &Scope, place: Place, filter: Option<Binding>) -> String {
        self.inner.secrets.position.position(scope.as_str(), Position { epoch: self.inner.epoch, place, filter })
    }

    /// The signed token of a place that was reached under a filter, if there is one.
    pub(crate) fn bound_position(&self, scope: &Scope, place: Place, filter: Option<Binding>) -> String {
        let position = Position { filter, ..Position::plain(self.inner.epoch, place) };
        self.inner.secrets.position.position(scope.as_str(), position)
    }

    /// Returns when what is read is at least as new as `min_position` says. On one node it always is,
    /// since a position is handed out after the commit that it names.
    ///
    /// # Errors
    /// `Parameter` when it is no position of this tenant's log, `CursorEpoch`.
    pub async fn reached(&self, ctx: &Ctx, min_position: &str) -> Result<(), Error> {
        let unreadable = |detail: &str| Error::Parameter { parameter: "min_position", detail: detail.into() };
        let read = self.inner.secrets.position.read_position(min_position, ctx.tenant_text());
        let position = read.map_err(|_| {
            unreadable("`min_position` is not a position that this server made for this tenant. Send a `Ringback-Position` back as it was received.")
        })?;
        if position.epoch != self.inner.epoch {
            return Err(Error::CursorEpoch);
        }
        if position.place > self.inner.store.bounds(&ctx.scope).await?.last {
            return Err(unreadable("`min_position` lies beyond the end of the log: it was not made by this server."));
        }
        Ok(())
    }

    /// Reads a page cursor of `route`, which may carry what else the page depends on.
    pub(crate) fn page_key(&self, ctx: &Ctx, route: &[&str], after: Option<&str>) -> Result<Option<PageKey>, Error> {
        let Some(text) = after else { return Ok(None) };
        Ok(Some(self.inner.secrets.position.read_page(text, ctx.tenant_text(), binding(route), self.inner.epoch)?))
    }

    /// Makes a page cursor of `route`.
    pub(crate) fn page_cursor(&self, ctx: &Ctx, route: &[&str], key: &PageKey) -> String {
        self.inner.secrets.position.page(ctx.tenant_text(), binding(route), self.inner.epoch, key)
    }

    /// Reads a cursor of a list by id.
    pub(crate) fn id_cursor(&self, ctx: &Ctx, route: &str, after: Option<&str>) -> Result<Option<String>, Error> {
        match self.page_key(ctx, &[route], after)? {
            None => Ok(None),
            Some(PageKey::Id(it)) => Ok(Some(it)),
            Some(_) => Err(Error::CursorMismatch),
        }
    }

    /// A page of a list by id, out of the rows after the cursor.
    pub(crate) fn id_page<T>(
        &self,
        ctx: &Ctx,
        route: &str,
        rows: impl Iterator<Item = T>,
        limit: usize,
        id: impl Fn(&T) -> String,
    ) -> Page<T> {
        let mut items: Vec<T> = rows.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| self.page_cursor(ctx, &[route], &PageKey::Id(id(last))));
        Page { items, next_cursor }
    }

    /// The place that `after` of a feed, or `from` of a subscription, means.
    ///
    /// A place below the floor is `LogTruncated`, never a silent skip (G4).
    pub(crate) async fn place_of(&self, scope: &Scope, authority: Authority, after: &str, parameter: &'static str) -> Result<Place, Error> {
        self.place_under(scope, authority, after, parameter, None).await
    }

    /// As `place_of`, on a route with a filter: positions of the same filter are taken too.
    pub(crate) async fn place_under(
        &self,
        scope: &Scope,
        authority: Authority,
        after: &str,
        parameter: &'static str,
        filter: Option<Binding>,
    ) -> Result<Place, Error> {
        let after = self.inner.secrets.position.read_after(after, scope.as_str(), self.inner.epoch, filter).map_err(|it| match it {
            TokenError::Unreadable => Error::Parameter {
                parameter,
                detail: format!(
                    "`{parameter}` is none of: `start`, `now`, an event id, an RFC 3339 time, or a position of this tenant. Send a `cursor` back as it was received."
                ),
            },
            other => other.into(),
        })?;
        let bounds = self.inner.store.bounds(scope).await?;
        match after {
            // What is about to go is not to begin with.
            After::Start => Ok(bounds.floor.max(self.inner.floors.of(scope))),
            After::Now => Ok(bounds.last),
            After::Place(place) => self.above_floor(scope, place, bounds),
            After::Event(id) => match self.inner.store.event(scope, id).await? {
                Some(event) if authority.covers(event.audience) => Ok(event.place(scope)),
                _ => Err(Error::NotFound { noun: "event", id: id.to_string() }),
            },
            After::Time(time) => Ok(self.inner.store.place_before(scope, time).await?.max(bounds.floor)),
        }
    }

    /// A place at which everything that follows is still there.
    ///
    /// # Errors
    /// `LogTruncated` for one below the floor, never a silent skip (G4).
    pub(crate) fn above_floor(&self, scope: &Scope, place: Place, bounds: Bounds) -> Result<Place, Error> {
        if place < bounds.floor { Err(self.truncated(scope, bounds.floor)) } else { Ok(place) }
    }

    /// The refusal of what lies below `floor`; it names the position to begin at.
    pub(crate) fn truncated(&self, scope: &Scope, floor: Place) -> Error {
        Error::LogTruncated { oldest: self.position(scope, floor) }
    }
}
