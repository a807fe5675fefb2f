//! Where a resource can go from its status.

use super::Actor;
use crate::types::CompiledType;
use core::time::Duration;
use ringback_model::{
    EventType, StatusName, Timestamp, TransitionName,
    subscription::Until,
    type_decl::{Transition, TypeDecl},
};
use std::collections::BTreeSet;

/// Every status that transitions lead to from `from`, itself included.
pub(crate) fn reached(decl: &TypeDecl, from: &StatusName) -> BTreeSet<StatusName> {
    if decl.mirror {
        // Its source may do anything.
        return decl.lifecycle.statuses.iter().map(|it| it.name.clone()).collect();
    }
    let mut seen = BTreeSet::from([from.clone()]);
    let mut open = vec![from.clone()];
    while let Some(at) = open.pop() {
        for step in decl.lifecycle.transitions.iter().filter(|it| it.from.contains(&at)) {
            for branch in &step.to {
                if seen.insert(branch.status.clone()) {
                    open.push(branch.status.clone());
                }
            }
        }
    }
    seen
}

fn possible<'a>(decl: &'a TypeDecl, status: &'a StatusName, actor: Actor) -> impl Iterator<Item = &'a Transition> {
    decl.lifecycle.transitions.iter().filter(move |it| actor.covers(it.by) && it.from.contains(status))
}

/// The transitions that `actor` can take from `status`, in the order of the file. Guards are not asked.
#[must_use]
pub fn next(ty: &CompiledType, status: &StatusName, actor: Actor) -> Vec<TransitionName> {
    possible(&ty.decl, status, actor).map(|it| it.name.clone()).collect()
}

/// The events of these transitions, each once; of a mirror, those of its other statuses.
#[must_use]
pub fn next_events(ty: &CompiledType, status: &StatusName, actor: Actor) -> Vec<EventType> {
    if ty.decl.mirror {
        let others = ty.decl.lifecycle.statuses.iter().filter(|it| it.name != *status);
        return others.filter_map(|it| ty.decl.status_event(&it.name)).collect();
    }
    once(possible(&ty.decl, status, actor).map(|it| &it.event))
}

/// Every event type that resources of this type can make, each once: creation
/// first, then the transitions in the order of the file, patch, deletion.
#[must_use]
pub fn event_names(ty: &CompiledType) -> Vec<EventType> {
    ty.decl.event_types()
}

fn once<'a>(all: impl Iterator<Item = &'a EventType>) -> Vec<EventType> {
    let mut out: Vec<EventType> = Vec::new();
    for it in all {
        if !out.contains(it) {
            out.push(it.clone());
        }
    }
    out
}

/// Whether a resource in `from` is in one of `targets`, or transitions (those
/// of timeouts included) can still lead it there.
#[must_use]
pub fn reachable(ty: &CompiledType, from: &StatusName, targets: &[StatusName]) -> bool {
    let reached = reached(&ty.decl, from);
    targets.iter().any(|it| reached.contains(it))
}

/// The statuses that end a wait.
#[must_use]
pub fn until_statuses(ty: &CompiledType, until: &Until) -> Vec<StatusName> {
    match until {
        Until::Done => ty.decl.lifecycle.statuses.iter().filter(|it| it.done).map(|it| it.name.clone()).collect(),
        Until::Statuses(all) => all.clone(),
    }
}

/// How long a poller should wait before it asks again, in the bounds of `poll`:
/// what stays in this status usually last (`stays`), or, as long as that is not
/// known, a tenth of the time that the status has stood, in whole seconds. What
/// has not changed for an hour rarely changes within the next second.
#[must_use]
pub fn retry_after(ty: &CompiledType, since: Timestamp, now: Timestamp, usual: Option<Duration>) -> Duration {
    let poll = ty.decl.poll;
    usual.unwrap_or_else(|| Duration::from_secs(now.since(since).as_secs() / 10)).max(poll.min).min(poll.max)
}
