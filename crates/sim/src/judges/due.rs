//! No try before it is due: not sooner than a second, than `Retry-After`, than what was stored; unless somebody
//! asked, or it was a probe: one that was written down as such, with nothing else of its subscription in flight.

use crate::{evidence::Evidence, history::End};
use core::time::Duration;
use ringback_model::{delivery::ExceptionState, limits};
use std::collections::BTreeMap;

/// What somebody asked for may take so long to be heard, on a slow disk.
const SLOW: Duration = Duration::from_secs(10);

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let tries = it.own_tries_of();
    let mut records = BTreeMap::new();
    for subscription in it.subscriptions.values() {
        // Who pulls may have at once what an endpoint would wait for, and what came back so is due again.
        if let Some(record) = it.record(subscription).filter(|_| !it.was_pulled(subscription)) {
            records.insert(record, subscription);
        }
    }
    for ((record, event), tries) in &tries {
        let Some(subscription) = records.get(record) else { continue };
        for pair in tries.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let Some(ended) = first.ended.filter(|_| first.life == second.life && !matches!(first.end, End::Unroutable | End::Cut)) else {
                continue;
            };
            let asked = first.retry_after.map_or(Duration::ZERO, Duration::from_secs).min(limits::RETRY_AFTER_MAX);
            // A probe that came before its time leaves the time where it was.
            let wait = if it.is_probe(subscription, first) { asked } else { asked.max(Duration::from_secs(1)) };
            if second.started < ended + wait
                && !it.asked_for(subscription, *event, first.started - SLOW, second.started)
                && !it.is_probe(subscription, second)
            {
                wrong.push(format!(
                    "{}: {event} was tried at {} and again at {}, {wait:?} were due",
                    subscription.id, ended, second.started
                ));
            }
        }
    }
    for (at, settlement) in &it.settlements {
        let Some(subscription) = it.subscriptions.get(&settlement.subscription) else { continue };
        let Some(record) = it.record(subscription).filter(|_| !it.was_pulled(subscription)) else { continue };
        for exception in &settlement.exceptions {
            let ExceptionState::Retrying { due_at } = exception.state else { continue };
            let early = tries.get(&(record, exception.event)).into_iter().flatten();
            for early in early.filter(|it| *at < it.started && it.shown < due_at) {
                if !it.asked_for(subscription, exception.event, *at - SLOW, early.started) && !it.is_probe(subscription, early) {
                    wrong.push(format!("{}: {} is due at {due_at} and was tried at {}", subscription.id, exception.event, early.started));
                }
            }
        }
    }
    wrong
}
