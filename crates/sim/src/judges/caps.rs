//! P6, P10: never more tries in flight than a subscription, or the server, allows; never two of one delivery.

use crate::evidence::{Evidence, record_of};
use std::collections::BTreeMap;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut flying: Vec<&crate::history::Try> = Vec::new();
    for start in &it.tries {
        flying.retain(|it| it.life == start.life && it.ended.is_none_or(|at| at > start.started));
        flying.push(start);
        if flying.len() > it.slots {
            wrong.push(format!("at {}: {} tries in flight, {} are allowed", start.started, flying.len(), it.slots));
        }
        let mut each: BTreeMap<_, usize> = BTreeMap::new();
        for one in &flying {
            *each.entry(record_of(&one.url)).or_default() += 1;
        }
        let record = record_of(&start.url);
        let most = record.and_then(|no| it.subscribed.get(no)).map_or(0, |it| it.concurrency_max);
        let count = each.get(&record).copied().unwrap_or(0);
        if count > most {
            wrong.push(format!("at {}: {count} tries in flight to {}, {most} are allowed", start.started, start.url));
        }
        if flying.iter().filter(|it| it.event == start.event && record_of(&it.url) == record).count() > 1 {
            wrong.push(format!("at {}: two tries of {} in flight to {}", start.started, start.event, start.url));
        }
    }
    wrong
}
