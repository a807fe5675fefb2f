//! P1, P2: what was acknowledged is there, what was refused is not, and nothing is there twice.

use crate::evidence::Evidence;
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    // What we tell of ourselves is published by no player.
    let ours = |it: &ringback_model::event::Event| it.event_type.first_segment() == "ringback";
    for (at, event) in it.log.iter().enumerate().filter(|(_, it)| it.of.is_none() && !ours(it)) {
        let marker = serde_json::from_slice::<Value>(&event.bytes).ok().and_then(|it| it["data"]["m"].as_u64());
        match marker {
            Some(marker) => places.entry(marker).or_default().push(at),
            None => wrong.push(format!("{} was published by nobody", event.id)),
        }
    }
    for publish in &it.publishes {
        let found: Vec<usize> = publish.markers.iter().filter_map(|it| places.get(it)).flatten().copied().collect();
        let all = publish.markers.len();
        for marker in &publish.markers {
            let times = places.get(marker).map_or(0, Vec::len);
            if times > 1 {
                wrong.push(format!("the event with marker {marker} is in the log {times} times"));
            }
        }
        if !found.is_empty() && found.len() != all {
            wrong.push(format!("{} of {all} events of one request are in the log: {:?}", found.len(), publish.markers));
        }
        if found.windows(2).any(|pair| it.log[pair[0]].sequence + 1 != it.log[pair[1]].sequence) {
            wrong.push(format!("the events of one request are not adjacent: {:?}", publish.markers));
        }
        if found.iter().any(|at| it.log[*at].tenant != publish.tenant) {
            wrong.push(format!("an event of {} belongs to another tenant", publish.tenant));
        }
        if publish.acked.is_none() && !publish.maybe && !found.is_empty() {
            wrong.push(format!("a request that was refused is in the log: {:?}", publish.markers));
        }
        for (id, bytes) in publish.acked.iter().flatten() {
            match it.event(*id) {
                None => wrong.push(format!("{id} was acknowledged and is gone")),
                Some(event) if event.bytes != *bytes => wrong.push(format!("{id} is not what was acknowledged")),
                Some(_) => {}
            }
        }
        if publish.acked.as_ref().is_some_and(|acked| acked.len() != all) {
            wrong.push(format!("an answer does not name all {all} events"));
        }
    }
    for written in &it.writes {
        match it.event(written.event) {
            None => wrong.push(format!("version {} of {} was acknowledged and is gone", written.version, written.id)),
            Some(event) => {
                let same = event.tenant == written.tenant
                    && event.of.as_ref().is_some_and(|of| of.version == written.version && of.id == written.id);
                if !same || event.data() != written.body {
                    wrong.push(format!("version {} of {} is not what was acknowledged", written.version, written.id));
                }
            }
        }
    }
    for (no, made) in it.subscribed.iter().enumerate().filter(|(_, it)| !it.deleted) {
        if let Some(id) = &made.id
            && !it.readers().iter().any(|it| it.subscription.id == *id)
        {
            wrong.push(format!("subscription {id} (number {no}) was acknowledged and is gone"));
        }
    }
    wrong
}
