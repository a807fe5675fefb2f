//! P5: where order is asked for, an event of a subject starts only when all earlier ones are over.

use crate::{
    evidence::{Evidence, wants},
    history::End,
};
use ringback_model::subscription::Order;
use std::collections::BTreeMap;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let tries = it.tries_of();
    for subscription in it.subscriptions.values().filter(|it| it.revisions.iter().all(|it| it.order == Order::Subject)) {
        let Some(record) = it.record(subscription) else { continue };
        // What was handed out meanwhile is judged by `pulled`.
        let pulled = it.was_pulled(subscription);
        // What was tried before may not have been what is wanted now: an earlier event that came to be owed
        // by an edit is tried after it.
        let since = it.subscribed.get(record).and_then(|it| it.edited_at);
        // How many tries there are may change with an edit: what was parked by the fewest stays parked.
        let forms = it.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        let tries_max = |at| forms.iter().filter(|(stored, _)| *stored <= at).map(|(_, it)| it.tries_max()).min();
        let skips = it.skipped.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in it.log.iter().filter(|it| wants(subscription, it)) {
            if let Some(subject) = &event.subject {
                lines.entry(subject).or_default().push(event);
            }
        }
        let it_is_replay = |one: &crate::history::Try| it.may_be_replay(subscription, one);
        for line in lines.values() {
            for (at, later) in line.iter().enumerate() {
                let starts = tries.get(&(record, later.id)).map_or(&[][..], Vec::as_slice);
                let own = |it: &&&crate::history::Try| !it_is_replay(it) && since.is_none_or(|since| it.started > since);
                let starts: Vec<_> = starts.iter().filter(own).collect();
                for earlier in &line[..at] {
                    let before = tries.get(&(record, earlier.id)).map_or(&[][..], Vec::as_slice);
                    let place = earlier.place(&subscription.scope);
                    let skipped = skips.iter().any(|it| it.from < place && place <= it.to);
                    for start in &starts {
                        let over = |end: &&&crate::history::Try| end.ended.is_some_and(|at| at <= start.started);
                        let delivered = before.iter().filter(over).any(|it| matches!(it.end, End::Answered(200..=299)));
                        let spent = before.iter().filter(over).filter(|it| !matches!(it.end, End::Unroutable | End::Cut)).count();
                        let expired = earlier.expires_at.is_some_and(|at| at <= start.started);
                        let parked = tries_max(start.started).is_some_and(|it| spent >= it as usize) || expired;
                        let gone = || it.truncated(subscription, place, start.started);
                        if !delivered && !parked && !skipped && !pulled && !gone() {
                            wrong.push(format!(
                                "{}: {} started at {} before {} was over",
                                subscription.id, later.id, start.started, earlier.id
                            ));
                        }
                        let beside = |it: &&&crate::history::Try| {
                            it.life == start.life && it.started <= start.started && it.ended.is_none_or(|at| at > start.started)
                        };
                        if before.iter().any(|it| beside(&it)) {
                            wrong.push(format!("{}: {} and {} were in flight together", subscription.id, earlier.id, later.id));
                        }
                    }
                }
            }
        }
    }
    wrong
}
