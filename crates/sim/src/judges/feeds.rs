//! P3, G1, G2, G4, G5: the log is dense, and every reader saw exactly its part of it, in order.

use crate::{evidence::Evidence, history::Feed};
use ringback_model::{
    event::{Event, Scope},
    key::Authority,
};
use std::{collections::BTreeMap, sync::Arc};

/// `seq` is dense, `sequence` is dense for each tenant, and the bytes say so.
pub(super) fn sequence(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<_, u64> = BTreeMap::new();
    let mut open = None;
    for (at, event) in it.log.iter().enumerate() {
        if event.seq != at as u64 + 1 {
            wrong.push(format!("place {} of the log holds seq {}", at + 1, event.seq));
        }
        let sequence = last.entry(&event.tenant).or_default();
        *sequence += 1;
        if event.sequence != *sequence {
            wrong.push(format!("{}: sequence {} follows {}", event.tenant, event.sequence, *sequence - 1));
        }
        let said = format!("\"tenant\":\"{}\",\"sequence\":{}", event.tenant, event.sequence);
        if !String::from_utf8_lossy(&event.bytes).contains(&said) {
            wrong.push(format!("the bytes of {} do not say {said}", event.id));
        }
        if open.is_some_and(|tenant| tenant != &event.tenant) {
            wrong.push(format!("{} lies inside another tenant's change set", event.id));
        }
        open = (!event.ends_change_set).then_some(&event.tenant);
    }
    wrong
}

fn sees(feed: &Feed, event: &Event) -> bool {
    let scope = match &feed.scope {
        Scope::All => true,
        Scope::Tenant(tenant) => *tenant == event.tenant,
    };
    scope
        && (feed.operator || event.audience == Authority::Tenant)
        && feed.prefix.as_ref().is_none_or(|it| event.event_type.as_str().starts_with(&format!("{it}.")))
        && feed.subject.as_ref().is_none_or(|it| event.subject.as_ref().is_some_and(|subject| subject.as_str() == it))
}

/// Pages, put together, are the log; none ends inside a change set.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    // The number of the change set of each event.
    let mut sets = BTreeMap::new();
    let mut set = 0_u64;
    for event in &it.log {
        sets.insert(event.id, set);
        set += u64::from(event.ends_change_set);
    }
    for feed in &it.feeds {
        let mut want: Vec<&Arc<Event>> = it.log.iter().filter(|it| sees(feed, it)).collect();
        let got: Vec<_> = feed.pages.iter().flatten().collect();
        // It began where the log did then: what was gone by that time, it can't have seen.
        let gone = it.floor_of(&feed.scope);
        let begins = got.first().map_or(usize::MAX, |(id, _)| want.iter().position(|it| it.id == *id).unwrap_or(0));
        let missed = want.iter().take_while(|it| it.place(&feed.scope) <= gone).count().min(begins);
        want.drain(..missed);
        for (at, (id, bytes)) in got.iter().enumerate() {
            match want.get(at) {
                Some(event) if event.id == *id && event.bytes == *bytes => {}
                Some(event) => {
                    wrong.push(format!("{}: event {at} is {id} and should be {}", feed.name, event.id));
                    break;
                }
                None => {
                    wrong.push(format!("{}: {id} is more than there is", feed.name));
                    break;
                }
            }
        }
        // Where one was cut off by retention, another went on.
        if !feed.finished && !feed.cut {
            wrong.push(format!("{} never came to the end", feed.name));
        }
        // Retention goes on announcing while the last readers read.
        let due = want.iter().filter(|event| it.durable_at.get(&event.seq).is_some_and(|at| *at < feed.asked_last)).count();
        if got.len() < due {
            wrong.push(format!("{}: {} of {due} events were seen", feed.name, got.len()));
        }
        for pair in feed.pages.windows(2) {
            if let (Some((last, _)), Some((first, _))) = (pair[0].last(), pair[1].first())
                && sets.contains_key(last)
                && sets.get(last) == sets.get(first)
            {
                wrong.push(format!("{}: a page ends with {last}, inside a change set", feed.name));
            }
        }
    }
    wrong
}
