//! P2: every event of a resource is a change, every change is an event: the fold of the log is the rows.

use crate::evidence::Evidence;
use ringback_model::event::Event;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

const STEPS: [(&str, &str); 6] =
    [("created", "paid"), ("created", "expired"), ("paid", "shipped"), ("shipped", "returned"), ("returned", "shipped"), ("", "created")];

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut changes: BTreeMap<_, Vec<&Arc<Event>>> = BTreeMap::new();
    for event in &it.log {
        if let Some(of) = &event.of {
            changes.entry((event.tenant.clone(), of.id.clone())).or_default().push(event);
        }
    }
    for ((tenant, id), events) in &changes {
        let name = format!("{tenant}/{id}");
        let mut status = String::new();
        for (at, event) in events.iter().enumerate() {
            let Some(of) = &event.of else { continue };
            let data: Value = serde_json::from_slice(&event.data()).unwrap_or_default();
            let version = at as u64 + 1;
            if of.version != version || data["version"].as_u64() != Some(version) {
                wrong.push(format!("{name}: change {version} says version {}", of.version));
            }
            if of.deleted && at + 1 != events.len() {
                wrong.push(format!("{name} changed after it was deleted"));
            }
            let now = data["status"].as_str().unwrap_or_default().to_owned();
            if now != status && !STEPS.contains(&(status.as_str(), now.as_str())) {
                wrong.push(format!("{name} went from {status:?} to {now:?}"));
            }
            let entered = of.entered.as_ref().map(|it| it.as_str());
            if (now != status) != (entered == Some(now.as_str())) {
                wrong.push(format!("{name}: version {version} is {now} after {status:?} and says that it entered {entered:?}"));
            }
            status = now;
        }
        let (Some(last), Some(row)) = (events.last(), it.rows.iter().find(|it| it.resource.tenant == *tenant && it.resource.id == *id))
        else {
            wrong.push(format!("{name} has events and no row"));
            continue;
        };
        let deleted = last.of.as_ref().is_some_and(|it| it.deleted);
        if row.deleted != deleted || row.resource.version != events.len() as u64 || row.resource.encode() != last.data() {
            wrong.push(format!("the row of {name} is not what its {} events make", events.len()));
        }
    }
    for row in &it.rows {
        if !changes.contains_key(&(row.resource.tenant.clone(), row.resource.id.clone())) {
            wrong.push(format!("{}/{} has a row and no event", row.resource.tenant, row.resource.id));
        }
    }
    wrong
}
