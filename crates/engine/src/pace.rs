//! When a stream says something although nothing happens.
//!
//! A comment every 15 s keeps whoever carries the connection from closing it; a
//! `sync` after 30 s without an event tells the reader where it stands. A reader
//! that takes too long for what it was given is cut.
//!
//! Not here: what the frames look like (`ringback_wire::sse`).

use core::time::Duration;
use ringback_model::{Timestamp, limits};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A comment.
    Comment,
    /// Where the reader stands.
    Sync,
}

/// The pace of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When anything was last sent.
    sent: Timestamp,
    /// When the reader last learned where it stands.
    told: Timestamp,
    /// When the reader was last given something that it has not asked on from.
    given: Option<Timestamp>,
}

impl Pace {
    /// A stream that begins now.
    #[must_use]
    pub const fn begin(now: Timestamp) -> Self {
        Self { sent: now, told: now, given: None }
    }

    /// Events were sent, or anything else that tells the reader where it stands.
    pub fn handle_told(&mut self, now: Timestamp) {
        (self.sent, self.told) = (now, now);
    }

    /// Something was given to the connection.
    pub fn handle_given(&mut self, now: Timestamp) {
        self.given = Some(now);
    }

    /// The connection has room for more; whether it took too long to come so far.
    #[must_use]
    pub fn handle_taken(&mut self, now: Timestamp) -> bool {
        self.given.take().is_some_and(|at| now.since(at) > Duration::from_secs(limits::STREAM_TAKEN_SECS_MAX))
    }

    /// What is to be sent now, if anything. Counts as sent.
    pub fn poll(&mut self, now: Timestamp) -> Option<Due> {
        if self.sync_is_due(now) {
            self.handle_told(now);
            return Some(Due::Sync);
        }
        if now >= self.sent + Duration::from_secs(limits::STREAM_COMMENT_SECS) {
            self.sent = now;
            return Some(Due::Comment);
        }
        None
    }

    /// Whether the reader is to be told where it stands, once that is known for now.
    #[must_use]
    pub fn sync_is_due(&self, now: Timestamp) -> bool {
        now >= self.told + Duration::from_secs(limits::STREAM_SYNC_SECS)
    }

    /// When to ask again.
    #[must_use]
    pub fn next_timeout(&self) -> Timestamp {
        (self.sent + Duration::from_secs(limits::STREAM_COMMENT_SECS)).min(self.told + Duration::from_secs(limits::STREAM_SYNC_SECS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: i64 = 1_795_458_284;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(T0) + Duration::from_secs(secs)
    }

    /// What is said in so many seconds, when it is asked whenever it wants to be.
    fn said(events_at: &[u64], secs: u64) -> String {
        let mut pace = Pace::begin(at(0));
        let mut out = Vec::new();
        let mut events = events_at.iter().copied().peekable();
        loop {
            let next = pace.next_timeout();
            if let Some(event) = events.next_if(|it| at(*it) < next) {
                pace.handle_told(at(event));
                out.push(format!("{event} event"));
                continue;
            }
            if next > at(secs) {
                return out.join(", ");
            }
            let now = next.since(at(0)).as_secs();
            match pace.poll(next) {
                Some(due) => out.push(format!("{now} {due:?}").to_lowercase()),
                None => panic!("it wanted to be asked at {now} and had nothing to say"),
            }
            assert_eq!(pace.poll(next), None, "one call too many");
        }
    }

    #[test]
    fn silence_is_filled() {
        assert_eq!(said(&[], 75), "15 comment, 30 sync, 45 comment, 60 sync, 75 comment");
        assert_eq!(said(&[10, 20], 60), "10 event, 20 event, 35 comment, 50 sync");
        assert_eq!(said(&[29], 60), "15 comment, 29 event, 44 comment, 59 sync");
    }

    #[test]
    fn who_takes_long_is_cut() {
        let mut pace = Pace::begin(at(0));
        assert!(!pace.handle_taken(at(1_000)), "nothing was given");
        pace.handle_given(at(1_000));
        assert!(!pace.handle_taken(at(1_000 + limits::STREAM_TAKEN_SECS_MAX)));
        pace.handle_given(at(2_000));
        assert!(pace.handle_taken(at(2_001 + limits::STREAM_TAKEN_SECS_MAX)));
        assert!(!pace.handle_taken(at(9_000)), "one call too many");
    }

    proptest! {
        #[test]
        fn no_stream_is_silent_for_longer(events in prop::collection::btree_set(0u64..200, 0..20)) {
            let events: Vec<_> = events.into_iter().collect();
            let said = said(&events, 300);
            let times = said.split(", ").filter_map(|it| it.split(' ').next()?.parse::<u64>().ok());
            let mut last = 0;
            for time in times {
                prop_assert!(time - last <= limits::STREAM_COMMENT_SECS);
                last = time;
            }
        }
    }
}
