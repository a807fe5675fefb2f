//! G3, G4, G7: each list is what the log says at one position, and the changes told
//! after it are all those that follow, in order, so that applied to the list they
//! make the list of the end.

use crate::{
    evidence::Evidence,
    history::{CONDITIONS, Watched},
};
use bytes::Bytes;
use ringback_model::EventId;
use serde_json::Value;
use std::collections::BTreeMap;

/// A list: its rows by id.
type List = BTreeMap<String, Bytes>;

fn id_of(row: &Bytes) -> String {
    serde_json::from_slice::<Value>(row).ok().and_then(|it| Some(it["id"].as_str()?.to_owned())).unwrap_or_default()
}

fn apply(list: &mut List, change: &str, resource: &Bytes) {
    let id = id_of(resource);
    match change {
        "enter" | "update" => drop(list.insert(id, resource.clone())),
        _ => drop(list.remove(&id)),
    }
}

/// All changes that the log holds for a condition.
fn changes(it: &Evidence, watched: &Watched) -> Vec<(&'static str, EventId, Bytes)> {
    let matches = CONDITIONS[watched.condition].1;
    let (mut listed, mut out) = (BTreeMap::new(), Vec::new());
    for event in it.log.iter().filter(|event| event.tenant == watched.tenant) {
        let Some(of) = event.of.as_ref().filter(|of| of.type_name.as_str() == "order") else { continue };
        let data = event.data();
        let is = !of.deleted && serde_json::from_slice::<Value>(&data).is_ok_and(|it| matches(&it));
        let was = listed.insert(of.id.clone(), is).unwrap_or(false);
        let change = match (was, is) {
            (false, false) => continue,
            (false, true) => "enter",
            (true, true) => "update",
            (true, false) if of.deleted => "delete",
            (true, false) => "leave",
        };
        out.push((change, event.id, Bytes::copy_from_slice(&data)));
    }
    out
}

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for watched in &it.watched {
        let all = changes(it, watched);
        // The list before each change, and the one after the last.
        let mut lists = vec![List::new()];
        for (change, _, resource) in &all {
            let mut next = lists.last().cloned().unwrap_or_default();
            apply(&mut next, change, resource);
            lists.push(next);
        }
        let count = watched.lists.len();
        for (no, listed) in watched.lists.iter().enumerate() {
            let name = format!("{}, list {} of {count}", watched.name, no + 1);
            let rows: List = listed.rows.iter().map(|row| (id_of(row), row.clone())).collect();
            if rows.len() != listed.rows.len() {
                wrong.push(format!("{name}: it has a row twice"));
            }
            let from = match listed.changes.first() {
                Some((_, first, _)) => all.iter().position(|(_, id, _)| id == first),
                None if watched.finished && no + 1 == count => Some(all.len()),
                None => lists.iter().rposition(|list| *list == rows),
            };
            let Some(from) = from else {
                wrong.push(match listed.changes.first() {
                    Some((change, id, _)) => format!("{name}: it was told {change} by {id}, which is no change of it"),
                    None => format!("{name}: its {} rows are the list at no position", rows.len()),
                });
                continue;
            };
            if lists[from] != rows {
                wrong.push(format!("{name}: it has {} rows, and {} when its changes begin", rows.len(), lists[from].len()));
            }
            for (told, real) in listed.changes.iter().zip(&all[from..]) {
                if (told.0.as_str(), told.1, &told.2) != (real.0, real.1, &real.2) {
                    wrong.push(format!("{name}: it was told {} by {}, and {} by {} was next", told.0, told.1, real.0, real.1));
                    break;
                }
            }
            if listed.changes.len() > all.len() - from {
                wrong.push(format!("{name}: it was told {} changes of {}", listed.changes.len(), all.len() - from));
            }
            if watched.finished && no + 1 == count && listed.changes.len() < all.len() - from {
                wrong.push(format!("{name}: it was told {} changes of {}", listed.changes.len(), all.len() - from));
            }
        }
        if !watched.finished {
            wrong.push(format!("{} never came to the end", watched.name));
        }
    }
    wrong
}
