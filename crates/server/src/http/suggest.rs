//! "Did you mean …?" for paths.
//!
//! Suggestions name only what the caller may know of.

use crate::routes::ROUTES;
use ringback_model::key::Authority;
use ringback_service::{ServedType, Types};
use ringback_wire::suggest;

/// Segments of the longest path that a type may declare, or that we have.
const SEGMENTS_MAX: usize = 3;

/// What follows a resource's id beside its transitions.
const PARTS: [&str; 3] = ["events", "status", "versions"];

/// The step after a resource's id, if it is one that this type does not have.
pub(crate) fn unknown_step<'a>(ty: &ServedType, rest: &'a str) -> Option<&'a str> {
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["", _, step] if !step.is_empty() && !PARTS.contains(step) && ty.compiled.decl.transition(step).is_none() => Some(step),
        _ => None,
    }
}

/// The part of every resource that may have been meant by a step that its type does not have.
pub(crate) fn part(step: &str) -> Option<&'static str> {
    suggest(step, PARTS)
}

/// What may have been meant by a path that nothing is served at.
pub(crate) fn path(path: &str, types: &Types, authority: Authority) -> Option<String> {
    let path = path.trim_end_matches('/');
    let visible: Vec<_> = types.list().into_iter().filter(|it| authority.covers(it.compiled.decl.access.read)).collect();
    let mut bases: Vec<&str> = visible.iter().map(|it| it.compiled.decl.path.as_str()).collect();
    bases.extend(ROUTES.iter().map(|it| it.path).filter(|it| it.starts_with('/') && !it.contains('{')));
    // A forgotten `/v1`, and a slash too many, are nearer than any spelling.
    for whole in [path.to_owned(), format!("/v1{path}")] {
        if let Some(base) = bases.iter().find(|it| **it == whole || whole.strip_prefix(**it).is_some_and(|rest| rest.starts_with('/'))) {
            let rest = whole.strip_prefix(*base).unwrap_or_default();
            if whole != path || rest.is_empty() {
                return Some(whole);
            }
        }
    }
    bases.sort_unstable();
    bases.dedup();
    // The longest begin that resembles something: `/v1/event/…` rather than `/v1`.
    (1..=SEGMENTS_MAX).rev().find_map(|segments| {
        let (begin, rest) = split_after(path, segments);
        let near = suggest(begin, bases.iter().copied().filter(|it| it.matches('/').count() == segments))?;
        // Nothing is served at this very path: then only its beginning was right.
        Some(format!("{near}{rest}")).filter(|it| it != path)
    })
}

/// The first `segments` segments of a path, and the rest.
fn split_after(path: &str, segments: usize) -> (&str, &str) {
    let at = path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at);
    path.split_at(at)
}
