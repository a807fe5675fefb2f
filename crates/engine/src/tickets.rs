//! Stream tickets: a key for one stream, for a browser that can send no header.
//!
//! A ticket is written into a URL, and URLs end up in logs. So it opens one
//! route with one query, and nothing else; it has to be used within a minute; and
//! after that it only lets *that* stream reconnect, for an hour.
//!
//! How is *that* known without remembering tickets? The ids of a stream that a
//! ticket opened carry a tag: a MAC of the ticket, behind the position. A
//! reconnect sends the last one back (`Last-Event-ID`), and so shows that the
//! stream was opened in time. A restart forgets nothing, since nothing is kept.
//!
//! Not here: whether the key is still there and may do it (the service asks
//! each time).

use crate::tokens::{Binding, Kind, PositionKey, TokenError};
use core::time::Duration;
use ringback_model::{KeyId, Timestamp, limits};

/// What stands between a position and the tag in the id of a stream.
const TAG: char = '~';
/// Tokens of tickets belong to no tenant: whose they are is in them.
const SCOPE: &str = "stream ticket";
const TAG_SCOPE: &str = "stream ticket's tag";

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// When it was made.
    pub made_at: Timestamp,
    /// The key that it stands for.
    pub key: KeyId,
    /// The tenant that was named, or `*`.
    pub tenant: String,
    /// Route and query that it opens.
    pub opens: Binding,
}

/// Why a ticket opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketProblem {
    /// Nothing that this server made.
    Unreadable,
    /// It was not used in time, or its hour is over.
    Late,
    /// It was made for another route or query.
    Elsewhere,
}

impl Ticket {
    /// Until when it may be used for the first time.
    #[must_use]
    pub fn use_by(&self) -> Timestamp {
        self.made_at + Duration::from_secs(limits::TICKET_FIRST_USE_SECS)
    }

    /// Whether it opens `opens` at `now`; `reconnects` when the request showed an id of the stream that it opened.
    ///
    /// # Errors
    /// `Elsewhere`, `Late`.
    pub fn judge(&self, opens: Binding, reconnects: bool, now: Timestamp) -> Result<(), TicketProblem> {
        if self.opens != opens {
            return Err(TicketProblem::Elsewhere);
        }
        let until = if reconnects { self.made_at + Duration::from_secs(limits::TICKET_SECS) } else { self.use_by() };
        if now <= until { Ok(()) } else { Err(TicketProblem::Late) }
    }
}

impl PositionKey {
    /// The text of a ticket.
    #[must_use]
    pub fn ticket(&self, ticket: &Ticket) -> String {
        let mut content = Vec::with_capacity(96);
        content.extend(ticket.made_at.as_micros().to_be_bytes());
        content.extend(ticket.key.bits().to_be_bytes());
        content.extend(ticket.opens);
        content.extend_from_slice(ticket.tenant.as_bytes());
        self.seal(Kind::Ticket, SCOPE, &content)
    }

    /// Reads what `ticket` made.
    ///
    /// # Errors
    /// `Unreadable`.
    pub fn read_ticket(&self, text: &str) -> Result<Ticket, TicketProblem> {
        let content = self.open(Kind::Ticket, SCOPE, text).map_err(|_: TokenError| TicketProblem::Unreadable)?;
        let read = || {
            let (made_at, rest) = content.split_first_chunk::<8>()?;
            let (key, rest) = rest.split_first_chunk::<16>()?;
            let (opens, tenant) = rest.split_first_chunk::<8>()?;
            Some(Ticket {
                made_at: Timestamp::from_micros(i64::from_be_bytes(*made_at)),
                key: KeyId::from_bits(u128::from_be_bytes(*key)),
                tenant: String::from_utf8(tenant.to_vec()).ok()?,
                opens: *opens,
            })
        };
        read().ok_or(TicketProblem::Unreadable)
    }

    /// What the ids of a stream that `ticket` opened end with.
    #[must_use]
    pub fn ticket_tag(&self, ticket: &str) -> String {
        format!("{TAG}{}", self.seal(Kind::TicketTag, TAG_SCOPE, &self.digest(ticket)))
    }

    /// Whether `id` is of a stream that `ticket` opened.
    #[must_use]
    pub fn tagged(&self, id: &str, ticket: &str) -> bool {
        let Some((_, tag)) = id.split_once(TAG) else { return false };
        self.open(Kind::TicketTag, TAG_SCOPE, tag).is_ok_and(|it| it == self.digest(ticket))
    }

    fn digest(&self, ticket: &str) -> Binding {
        crate::tokens::binding(&["stream ticket", ticket])
    }
}

/// The position in the id of a stream.
#[must_use]
pub fn position_of(id: &str) -> &str {
    id.split_once(TAG).map_or(id, |(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;
    use proptest::prelude::*;

    const KEY: PositionKey = PositionKey::new([7; 32]);

    fn ticket(made_at: i64) -> Ticket {
        Ticket { made_at: Timestamp::from_secs(made_at), key: KeyId::from_bits(5), tenant: "acme".into(), opens: [1; 8] }
    }

    #[track_caller]
    fn check(opens: Binding, reconnects: bool, secs: i64, want: Result<(), TicketProblem>) {
        assert_eq!(ticket(1_000).judge(opens, reconnects, Timestamp::from_secs(1_000 + secs)), want, "{reconnects} after {secs} s");
    }

    #[test]
    fn a_minute_to_begin_and_an_hour_to_go_on() {
        check([1; 8], false, 0, Ok(()));
        check([1; 8], false, 60, Ok(()));
        check([1; 8], false, 61, Err(TicketProblem::Late));
        check([1; 8], true, 61, Ok(()));
        check([1; 8], true, 3_600, Ok(()));
        check([1; 8], true, 3_601, Err(TicketProblem::Late));
        check([2; 8], false, 0, Err(TicketProblem::Elsewhere));
        check([2; 8], true, 0, Err(TicketProblem::Elsewhere));
    }

    #[test]
    fn only_ids_of_its_own_stream_are_tagged() {
        let (mine, other) = (KEY.ticket(&ticket(1)), KEY.ticket(&ticket(2)));
        let position = KEY.position("acme", Position::plain(1, 42));
        let id = format!("{position}{}", KEY.ticket_tag(&mine));
        assert!(KEY.tagged(&id, &mine));
        assert!(!KEY.tagged(&id, &other));
        assert!(!KEY.tagged(&position, &mine));
        assert!(!KEY.tagged(&format!("{position}~"), &mine));
        assert_eq!(position_of(&id), position);
        assert_eq!(KEY.read_position(&id, "acme"), Ok(Position::plain(1, 42)), "it is a position everywhere");
    }

    #[test]
    fn tokens_of_other_kinds_are_no_tickets() {
        assert_eq!(KEY.read_ticket(&KEY.position("stream ticket", Position::plain(1, 42))), Err(TicketProblem::Unreadable));
        assert_eq!(KEY.read_position(&KEY.ticket(&ticket(1)), SCOPE), Err(TokenError::Mismatch));
        assert_eq!(PositionKey::new([8; 32]).read_ticket(&KEY.ticket(&ticket(1))), Err(TicketProblem::Unreadable));
    }

    proptest! {
        #[test]
        fn tickets_read_back(made_at: i64, key: u128, tenant in "[a-z0-9-]{1,63}|\\*", opens: [u8; 8]) {
            let it = Ticket { made_at: Timestamp::from_micros(made_at), key: KeyId::from_bits(key), tenant, opens };
            prop_assert_eq!(KEY.read_ticket(&KEY.ticket(&it)), Ok(it));
        }

        #[test]
        fn any_text_is_no_ticket(text in ".{0,200}") {
            prop_assert_eq!(KEY.read_ticket(&text), Err(TicketProblem::Unreadable));
            prop_assert!(!KEY.tagged(&text, &text));
        }
    }
}
