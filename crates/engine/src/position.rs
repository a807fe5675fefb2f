//! Positions: the signed tokens for a place in a tenant's log, and what `after` may say.
//!
//! A position says no more than (epoch, place, hash of a filter): the place is
//! the tenant's own `sequence`, or for an operator reading `*` the log's `seq`.
//!
//! Not here: how tokens are signed and page cursors (`engine::tokens`), where
//! an event id or a time lies in the log (the service asks the store).

use crate::tokens::Kind;
pub use crate::tokens::{Binding, PositionKey, TokenError, binding};
use ringback_model::{
    EventId, Timestamp,
    event::Place,
    position::{After, Epoch},
};

/// A place in a scope's log, as a token carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The life of the log.
    pub epoch: Epoch,
    /// Events at or below it were seen.
    pub place: Place,
    /// The type and filter under which it was made, if any.
    pub filter: Option<Binding>,
}

impl Position {
    /// A position that no filter made: usable everywhere.
    #[must_use]
    pub const fn plain(epoch: Epoch, place: Place) -> Self {
        Self { epoch, place, filter: None }
    }
}

impl PositionKey {
    /// The token of `position` in the log of `scope` (a tenant's id, or `*`).
    #[must_use]
    pub fn position(&self, scope: &str, position: Position) -> String {
        let mut content = Vec::with_capacity(20);
        content.extend(position.epoch.to_be_bytes());
        content.extend(position.place.to_be_bytes());
        content.extend(position.filter.into_iter().flatten());
        self.seal(Kind::Position, scope, &content)
    }

    /// Reads what `position` made, without judging epoch and filter.
    ///
    /// # Errors
    /// `Unreadable` or, for a page cursor, `Mismatch`.
    pub fn read_position(&self, text: &str, scope: &str) -> Result<Position, TokenError> {
        // The id of a stream that a ticket opened is a position too.
        let content = self.open(Kind::Position, scope, crate::tickets::position_of(text))?;
        let (epoch, rest) = content.split_first_chunk::<4>().ok_or(TokenError::Unreadable)?;
        let (place, rest) = rest.split_first_chunk::<8>().ok_or(TokenError::Unreadable)?;
        let filter = if rest.is_empty() { None } else { Some(rest.try_into().map_err(|_| TokenError::Unreadable)?) };
        Ok(Position { epoch: Epoch::from_be_bytes(*epoch), place: Place::from_be_bytes(*place), filter })
    }

    /// The place of a token that is sent now, in `epoch` and under `filter`.
    ///
    /// # Errors
    /// `Unreadable`; `Epoch` when the log was restored since; `Mismatch` when it was made under another filter.
    pub fn read_place(&self, text: &str, scope: &str, epoch: Epoch, filter: Option<Binding>) -> Result<Place, TokenError> {
        let position = self.read_position(text, scope)?;
        if position.epoch != epoch {
            return Err(TokenError::Epoch);
        }
        if position.filter.is_some() && position.filter != filter {
            return Err(TokenError::Mismatch);
        }
        Ok(position.place)
    }

    /// Reads `after` of a feed: `start`, `now`, `evt_…`, an RFC 3339 time, or a position.
    ///
    /// # Errors
    /// As `read_place`.
    pub fn read_after(&self, text: &str, scope: &str, epoch: Epoch, filter: Option<Binding>) -> Result<After, TokenError> {
        Ok(match parse_after(text) {
            AfterText::Start => After::Start,
            AfterText::Now => After::Now,
            AfterText::Event(it) => After::Event(it),
            AfterText::Time(it) => After::Time(it),
            AfterText::Token(it) => After::Place(self.read_place(it, scope, epoch, filter)?),
        })
    }
}

/// What `after` says, as far as can be told without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterText<'a> {
    /// Before the first event.
    Start,
    /// After the last event.
    Now,
    /// After this event.
    Event(EventId),
    /// Before the first event committed at or after this time.
    Time(Timestamp),
    /// Anything else: a position, or nothing that we made.
    Token(&'a str),
}

/// Sorts out what `after` says. No position reads as one of the other forms:
/// every position begins with the same character, which none of them does.
#[must_use]
pub fn parse_after(text: &str) -> AfterText<'_> {
    match text {
        "start" => AfterText::Start,
        "now" => AfterText::Now,
        _ => {
            if let Ok(event) = text.parse() {
                AfterText::Event(event)
            } else if let Ok(time) = text.parse() {
                AfterText::Time(time)
            } else {
                AfterText::Token(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::PageKey;
    use proptest::prelude::*;

    const KEY: PositionKey = PositionKey::new([7; 32]);

    proptest! {
        #[test]
        fn positions_read_back(epoch: u32, place: u64, filter: Option<[u8; 8]>) {
            let position = Position { epoch, place, filter };
            let text = KEY.position("acme", position);
            prop_assert_eq!(KEY.read_position(&text, "acme"), Ok(position));
            prop_assert_eq!(KEY.read_after(&text, "acme", epoch, filter), Ok(After::Place(place)));
            prop_assert_eq!(parse_after(&text), AfterText::Token(&text));
            for other in ["", "*", "acm", "acme2"] {
                prop_assert_eq!(KEY.read_position(&text, other), Err(TokenError::Unreadable));
            }
        }

        #[test]
        fn any_text_is_sorted_without_a_panic(text in ".{0,60}") {
            let _ = KEY.read_after(&text, "acme", 1, None);
        }
    }

    #[test]
    fn after_has_five_forms() {
        let event = EventId::from_bits(9);
        assert_eq!(parse_after("start"), AfterText::Start);
        assert_eq!(parse_after("now"), AfterText::Now);
        assert_eq!(parse_after(&event.to_string()), AfterText::Event(event));
        assert_eq!(parse_after("1970-01-01T00:00:01Z"), AfterText::Time(Timestamp::from_secs(1)));
        assert_eq!(parse_after("yesterday"), AfterText::Token("yesterday"));
        assert_eq!(KEY.read_after("yesterday", "acme", 1, None), Err(TokenError::Unreadable));
    }

    #[test]
    fn epoch_and_filter_are_judged() {
        let plain = KEY.position("acme", Position::plain(1, 42));
        let filtered = KEY.position("acme", Position { epoch: 1, place: 42, filter: Some(binding(&["payment", "status"])) });
        assert_eq!(KEY.read_place(&plain, "acme", 2, None), Err(TokenError::Epoch));
        assert_eq!(KEY.read_place(&plain, "acme", 1, Some([1; 8])), Ok(42));
        assert_eq!(KEY.read_place(&filtered, "acme", 1, Some([1; 8])), Err(TokenError::Mismatch));
        assert_eq!(KEY.read_place(&filtered, "acme", 1, None), Err(TokenError::Mismatch));
        assert_eq!(KEY.read_place(&filtered, "acme", 1, Some(binding(&["payment", "status"]))), Ok(42));
    }

    #[test]
    fn a_page_cursor_is_no_position() {
        let page = KEY.page("acme", [0; 8], 1, &PageKey::Place(42));
        assert_eq!(KEY.read_position(&page, "acme"), Err(TokenError::Mismatch));
        let position = KEY.position("acme", Position::plain(1, 42));
        assert_eq!(KEY.read_page(&position, "acme", [0; 8], 1), Err(TokenError::Mismatch));
    }
}
