//! A one-shot calls about one event, and is done when it has called or never can.

use crate::evidence::{Evidence, awaited, record_of};
use ringback_model::{StatusName, event::Event, subscription::State};
use std::{collections::BTreeSet, sync::Arc};

/// Whether an order in `from` can still get to one of `targets`.
fn reachable(from: &str, targets: &[StatusName]) -> bool {
    let all: &[&str] = match from {
        "created" => &["created", "paid", "shipped", "returned", "expired"],
        "paid" => &["paid", "shipped", "returned"],
        "shipped" | "returned" => &["shipped", "returned"],
        _ => &["expired"],
    };
    targets.iter().any(|it| all.contains(&it.as_str()))
}

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for subscription in it.subscriptions.values() {
        let (Some(until), Some(record)) = (&subscription.until, it.record(subscription)) else { continue };
        let Some(reader) = it.readers().iter().find(|it| it.subscription.no == subscription.no) else { continue };
        // One that was skipped after it had been tried is not called about any more: another may come.
        let skipped = |id| it.log.iter().any(|event| event.id == id && reader.skipped(event.place(&subscription.scope)) > 0);
        let called: BTreeSet<_> =
            it.tries.iter().filter(|it| record_of(&it.url) == Some(record)).map(|it| it.event).filter(|it| !skipped(*it)).collect();
        if called.len() > 1 {
            wrong.push(format!("{} called about {} events: {called:?}", subscription.id, called.len()));
        }
        let from = subscription.revisions.first().map_or(0, |it| it.from);
        let owed = reader.owed(&it.log).into_iter().any(|event| reader.skipped(event.place(&subscription.scope)) == 0);
        let wanted = awaited(until);
        let ours = |event: &Event| event.tenant == subscription.tenant && event.subject == subscription.subject;
        let ends = |event: &&Arc<Event>| {
            let Some(of) = event.of.as_ref().filter(|_| ours(event) && event.sequence > from) else { return false };
            of.deleted || of.entered.as_ref().is_some_and(|it| !reachable(it.as_str(), &wanted))
        };
        // Where the order stood when it was subscribed to; nobody knows once retention has taken that.
        let stood = it
            .log
            .iter()
            .filter(|event| ours(event) && event.sequence <= from)
            .filter_map(|it| it.of.as_ref()?.entered.as_ref())
            .next_back();
        let hopeless = stood.is_some_and(|it| !reachable(it.as_str(), &wanted));
        // What was skipped need not be heard of; but one may be done with it, since it came, or can't come any more.
        let can_not_come = hopeless || stood.is_none() || it.log.iter().any(|event| ends(&event));
        let never = hopeless || it.log.iter().filter(ends).any(|event| reader.skipped(event.sequence) == 0);
        let state = reader.subscription.state;
        if (owed || never) && state != State::Done {
            wrong.push(format!(
                "{} is {state:?} although {}",
                subscription.id,
                if owed { "its status came" } else { "its status can't come" }
            ));
        }
        let came = !reader.owed(&it.log).is_empty();
        if !came && !can_not_come && state == State::Done {
            wrong.push(format!("{} is done and its status may still come", subscription.id));
        }
    }
    wrong
}
