//! The state of a delivery: the only place that decides it.
//!
//! A delivery is not a row. What is known of it lies in the cursor, the window,
//! the exceptions, the attempts and the skipped ranges; this is the pure
//! function of them that every route and every judge shares.
//!
//! Not here: whether an event matches (`matching`), which tries come next (`window`).

use ringback_model::{
    delivery::{DeliveryState, Exception, ExceptionState, SkippedRange},
    event::Place,
    subscription::Generation,
};

/// Where a delivery stands in its reader's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InWindow {
    /// Read, waiting for its turn.
    Queued,
    /// A try is in flight: a first one or a later one.
    InFlight,
    /// Delivered, with the stored cursor still below it.
    Done,
}

/// What is known of one event and one subscription.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where the event stands.
    pub place: Place,
    /// The reader's low-water mark.
    pub cursor: Place,
    /// The reader's present life.
    pub generation: Generation,
    /// Whether it matches under the revision of its place, and lies above where the subscription began.
    pub matches: bool,
    /// Where it stands in the window.
    pub in_window: Option<InWindow>,
    /// Its exception: the window's where there is a window, for it is newer than the store's.
    pub exception: Option<&'a Exception>,
    /// All skipped ranges of the subscription.
    pub skipped: &'a [SkippedRange],
    /// The last generation in which a try succeeded.
    pub delivered_in: Option<Generation>,
    /// The event is erased: what was not delivered is not owed any more.
    pub erased: bool,
}

/// The state of the delivery; `None` when nothing is owed.
///
/// In this order: in flight → delivering; a success of this generation →
/// delivered; erased → skipped; an exception → what it says (never tried yet → pending); skipped
/// in this generation → skipped; not matching → nothing owed; above the cursor →
/// pending; else delivered, for the cursor passes nothing else.
#[must_use]
pub fn delivery_state(facts: &Facts<'_>) -> Option<DeliveryState> {
    if facts.in_window == Some(InWindow::InFlight) {
        return Some(DeliveryState::Delivering);
    }
    if facts.in_window == Some(InWindow::Done) || facts.delivered_in == Some(facts.generation) {
        return Some(DeliveryState::Delivered);
    }
    if facts.erased {
        return facts.matches.then_some(DeliveryState::Skipped);
    }
    if let Some(exception) = facts.exception {
        return Some(match exception.state {
            // A delivery that was held and has just been released: no try failed yet.
            ExceptionState::Retrying { .. } if exception.tries == 0 => DeliveryState::Pending,
            ExceptionState::Retrying { .. } => DeliveryState::Retrying,
            ExceptionState::Held => DeliveryState::Pending,
            ExceptionState::Parked { .. } => DeliveryState::Parked,
        });
    }
    if facts.in_window == Some(InWindow::Queued) {
        return Some(DeliveryState::Pending);
    }
    if !facts.matches {
        return None;
    }
    let skipped = facts.skipped.iter().any(|it| it.generation == facts.generation && it.from < facts.place && facts.place <= it.to);
    Some(if skipped {
        DeliveryState::Skipped
    } else if facts.place > facts.cursor {
        DeliveryState::Pending
    } else {
        DeliveryState::Delivered
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringback_model::{EventId, Timestamp};

    const GENERATION: Generation = 2;
    const CURSOR: Place = 10;

    fn exception(state: ExceptionState, tries: u32) -> Exception {
        Exception {
            place: 5,
            event: EventId::from_bits(1),
            subject: None,
            revision: 1,
            generation: GENERATION,
            tries,
            state,
            created_at: Timestamp::from_secs(0),
            expires_at: None,
        }
    }

    fn range(generation: Generation, from: Place, to: Place) -> SkippedRange {
        SkippedRange { generation, from, to, why: "resumed-from-now".into(), matched: 0 }
    }

    /// Walks the whole space: every combination of every fact, against a
    /// specification that is written the other way round (by state, not by fact).
    #[test]
    fn every_combination_has_the_state_that_the_rules_give() {
        let due_at = Timestamp::from_secs(9);
        let exceptions = [
            None,
            Some(exception(ExceptionState::Retrying { due_at }, 1)),
            Some(exception(ExceptionState::Retrying { due_at }, 0)),
            Some(exception(ExceptionState::Held, 0)),
            Some(exception(ExceptionState::Parked { reason: "tries-exhausted".into(), at: due_at }, 3)),
        ];
        let skips = [vec![], vec![range(1, 0, 99)], vec![range(1, 0, 99), range(GENERATION, 0, 99)]];
        let mut walked = 0;
        for matches in [false, true] {
            for place in [CURSOR - 1, CURSOR, CURSOR + 1] {
                for in_window in [None, Some(InWindow::Queued), Some(InWindow::InFlight), Some(InWindow::Done)] {
                    for (kind, exception) in exceptions.iter().enumerate() {
                        for (skip, skipped) in skips.iter().enumerate() {
                            for delivered_in in [None, Some(1), Some(GENERATION)] {
                                let facts = Facts {
                                    place,
                                    cursor: CURSOR,
                                    generation: GENERATION,
                                    matches,
                                    in_window,
                                    exception: exception.as_ref(),
                                    skipped,
                                    delivered_in,
                                    erased: false,
                                };
                                let arrived = delivered_in == Some(GENERATION) || in_window == Some(InWindow::Done);
                                let in_flight = in_window == Some(InWindow::InFlight);
                                let nothing_else = !in_flight && !arrived && kind == 0 && in_window.is_none();
                                let is = |it: bool, state| it.then_some(state);
                                let want: Vec<_> = [
                                    is(in_flight, DeliveryState::Delivering),
                                    is(
                                        !in_flight && (arrived || nothing_else && matches && skip != 2 && place <= CURSOR),
                                        DeliveryState::Delivered,
                                    ),
                                    is(!in_flight && !arrived && kind == 1, DeliveryState::Retrying),
                                    is(!in_flight && !arrived && kind == 4, DeliveryState::Parked),
                                    is(nothing_else && matches && skip == 2, DeliveryState::Skipped),
                                    is(
                                        !in_flight
                                            && !arrived
                                            && (kind == 2
                                                || kind == 3
                                                || kind == 0 && in_window == Some(InWindow::Queued)
                                                || nothing_else && matches && skip != 2 && place > CURSOR),
                                        DeliveryState::Pending,
                                    ),
                                ]
                                .into_iter()
                                .flatten()
                                .collect();
                                assert!(want.len() <= 1, "the rules overlap: {want:?} for {facts:?}");
                                assert_eq!(delivery_state(&facts), want.first().copied(), "{facts:?}");
                                walked += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(walked, 2 * 3 * 4 * 5 * 3 * 3);
    }

    #[track_caller]
    fn check(place: Place, skipped: &[SkippedRange], delivered_in: Option<Generation>, want: DeliveryState) {
        let facts = Facts {
            place,
            cursor: CURSOR,
            generation: GENERATION,
            matches: true,
            in_window: None,
            exception: None,
            skipped,
            delivered_in,
            erased: false,
        };
        assert_eq!(delivery_state(&facts), Some(want));
    }

    #[test]
    fn a_range_excludes_its_from_and_includes_its_to() {
        let ranges = [range(GENERATION, 11, 13), range(GENERATION, 20, 21)];
        for (place, want) in [
            (11, DeliveryState::Pending),
            (12, DeliveryState::Skipped),
            (13, DeliveryState::Skipped),
            (14, DeliveryState::Pending),
            (20, DeliveryState::Pending),
            (21, DeliveryState::Skipped),
            (22, DeliveryState::Pending),
        ] {
            check(place, &ranges, None, want);
        }
    }

    #[test]
    fn a_success_of_an_earlier_life_does_not_count_above_the_cursor() {
        check(11, &[], Some(1), DeliveryState::Pending);
        check(11, &[], Some(GENERATION), DeliveryState::Delivered);
    }

    #[test]
    fn what_is_erased_is_owed_no_more_but_what_arrived_has_arrived() {
        let parked = exception(ExceptionState::Parked { reason: "gone".into(), at: Timestamp::from_secs(9) }, 3);
        let check = |matches, in_window, exception: Option<&Exception>, delivered_in, want| {
            let facts = Facts {
                place: 5,
                cursor: CURSOR,
                generation: GENERATION,
                matches,
                in_window,
                exception,
                skipped: &[],
                delivered_in,
                erased: true,
            };
            assert_eq!(delivery_state(&facts), want, "{facts:?}");
        };
        check(true, None, Some(&parked), None, Some(DeliveryState::Skipped));
        check(true, Some(InWindow::Queued), None, None, Some(DeliveryState::Skipped));
        check(true, Some(InWindow::InFlight), None, None, Some(DeliveryState::Delivering));
        check(true, None, None, Some(GENERATION), Some(DeliveryState::Delivered));
        check(true, None, None, None, Some(DeliveryState::Skipped));
        check(false, None, None, None, None);
    }
}
