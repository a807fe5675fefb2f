//! Reads `lifecycle`: one line, or statuses and transitions.

use super::{
    event_name,
    read::{Members, Reader},
};
use crate::suggest;
use ringback_model::{
    EventType, StatusName, TransitionName, TypeName,
    key::Authority,
    limits,
    type_decl::{Branch, Lifecycle, Status, Timeout, Transition},
};

/// Both forms.
pub(super) fn read(at: &Reader<'_>, name: &TypeName) -> Option<Lifecycle> {
    if at.value().is_string() { line(at, &at.text()?, name) } else { full(at, name) }
}

/// `created -> paid -> shipped | cancelled`: each status of one group leads to
/// each of the next; the last ones are done.
fn line(at: &Reader<'_>, text: &str, name: &TypeName) -> Option<Lifecycle> {
    let mut groups: Vec<Vec<StatusName>> = Vec::new();
    for group in text.split("->") {
        let mut statuses = Vec::new();
        for it in group.split('|').map(str::trim) {
            match StatusName::parse(it) {
                Ok(it) if groups.iter().flatten().chain(&statuses).any(|other| *other == it) => {
                    at.wrong(format!("`{it}` stands here twice; a loop takes the full form with `statuses` and `transitions`"));
                    return None;
                }
                Ok(it) => statuses.push(it),
                Err(_) if it.is_empty() => {
                    at.wrong("a status is missing; write `created -> paid -> shipped | cancelled`");
                    return None;
                }
                Err(why) => {
                    at.wrong(why.to_string());
                    return None;
                }
            }
        }
        groups.push(statuses);
    }
    if groups.iter().map(Vec::len).sum::<usize>() > limits::STATUSES_MAX {
        at.wrong(format!("at most {} statuses are taken", limits::STATUSES_MAX));
        return None;
    }
    let initial = match groups.first().map(Vec::as_slice) {
        Some([it]) => it.clone(),
        _ => {
            at.wrong("it begins with one status: the one of a new resource");
            return None;
        }
    };
    let last = groups.len().saturating_sub(1);
    let mut statuses = Vec::new();
    let mut transitions = Vec::new();
    let mut before: &[StatusName] = &[];
    for (no, group) in groups.iter().enumerate() {
        for it in group {
            statuses.push(Status { name: it.clone(), done: no == last, timeout: None });
            if no > 0 {
                // Named after the status that it leads to; both have the same grammar.
                let (Ok(step), Ok(event)) = (TransitionName::parse(it.as_str()), EventType::parse(&format!("{name}.{it}"))) else {
                    at.wrong(format!("`{name}.{it}` is too long for an event"));
                    return None;
                };
                transitions.push(Transition {
                    name: step,
                    from: before.to_vec(),
                    to: vec![Branch { when: None, status: it.clone() }],
                    event,
                    by: Authority::Operator,
                    input: None,
                    guard: None,
                    set: Vec::new(),
                });
            }
        }
        before = group;
    }
    Some(Lifecycle { initial, statuses, transitions })
}

fn full(at: &Reader<'_>, name: &TypeName) -> Option<Lifecycle> {
    let it = at.members(&["initial", "statuses", "transitions"])?;
    let statuses = it.required("statuses", "a map such as `created: {}`").and_then(|it| statuses(&it));
    let known: Option<Vec<StatusName>> = statuses.as_ref().map(|all| all.iter().map(|it| it.name.clone()).collect());
    let transitions = match (it.optional("transitions"), &known) {
        (Some(it), Some(known)) => transitions(&it, known, name),
        (Some(_), None) => None,
        (None, _) => Some(Vec::new()),
    };
    let initial = match it.optional("initial") {
        Some(it) => known.as_ref().and_then(|known| status(&it, known)),
        None => known.as_ref().and_then(|it| it.first().cloned()),
    };
    Some(Lifecycle { initial: initial?, statuses: statuses?, transitions: transitions? })
}

fn statuses(at: &Reader<'_>) -> Option<Vec<Status>> {
    let mut out = Vec::new();
    let mut whole = true;
    for (name, it) in at.entries(limits::STATUSES_MAX, "statuses")? {
        let name = StatusName::parse(name).map_err(|why| it.wrong(why.to_string())).ok();
        // `created:` with nothing behind it is as good as `created: {}`.
        let members = if it.value().is_null() { None } else { it.members(&["done", "timeout"]) };
        let done = members.as_ref().and_then(|it| it.optional("done")).and_then(|it| it.boolean()).unwrap_or(false);
        let given = members.as_ref().and_then(|it| it.optional("timeout"));
        let timeout = given.as_ref().and_then(timeout);
        whole &= name.is_some() && timeout.is_some() == given.is_some();
        if let Some(name) = name {
            out.push(Status { name, done, timeout });
        }
    }
    if out.is_empty() && whole {
        at.wrong("there is no status; declare at least one");
    }
    (whole && !out.is_empty()).then_some(out)
}

fn timeout(at: &Reader<'_>) -> Option<Timeout> {
    let it = at.members(&["after", "transition", "input"])?;
    let after = it.required("after", "how long, such as `after: 15m`").and_then(|it| it.duration(limits::STATUS_TIMEOUT_SECS_MAX));
    let transition = it.required("transition", "the one that is then taken").and_then(|it| it.name());
    let input = it.optional("input").map(|it| it.value().clone());
    Some(Timeout { after: after?, transition: transition?, input })
}

fn transitions(at: &Reader<'_>, known: &[StatusName], type_name: &TypeName) -> Option<Vec<Transition>> {
    let mut out = Vec::new();
    let mut whole = true;
    for (name, it) in at.entries(limits::TRANSITIONS_MAX, "transitions")? {
        let name = TransitionName::parse(name).map_err(|why| it.wrong(why.to_string())).ok();
        let read = it
            .members(&["from", "to", "event", "by", "input", "guard", "set"])
            .and_then(|members| name.and_then(|name| transition(name, &members, known, type_name)));
        whole &= read.is_some();
        out.extend(read);
    }
    whole.then_some(out)
}

fn transition(name: TransitionName, it: &Members<'_>, known: &[StatusName], type_name: &TypeName) -> Option<Transition> {
    let from = it.required("from", "the statuses that it is possible in, such as `[created]`").and_then(|it| from(&it, known));
    let to = it.required("to", "the status that it leads to").and_then(|it| branches(&it, known));
    let event = match it.optional("event") {
        Some(it) => event_name(&it, type_name),
        None => match to.as_deref() {
            Some([only]) => EventType::parse(&format!("{type_name}.{}", only.status)).ok(),
            _ => EventType::parse(&format!("{type_name}.{name}")).ok(),
        },
    };
    let by = it.optional("by").map_or(Some(Authority::Operator), |it| it.authority());
    let input = it.optional("input").map(|it| it.value().clone());
    let guard = it.optional("guard").map(|it| it.text());
    let set = it.optional("set").map(|it| set(&it));
    Some(Transition {
        name,
        from: from?,
        to: to?,
        event: event?,
        by: by?,
        input,
        guard: if let Some(it) = guard { Some(it?) } else { None },
        set: if let Some(it) = set { it? } else { Vec::new() },
    })
}

fn set(at: &Reader<'_>) -> Option<Vec<(String, String)>> {
    let entries = at.entries(limits::TRANSITIONS_MAX, "fields")?;
    let all: Vec<_> = entries.iter().map(|(name, it)| Some(((*name).to_owned(), it.text()?))).collect();
    all.into_iter().collect()
}

fn from(at: &Reader<'_>, known: &[StatusName]) -> Option<Vec<StatusName>> {
    let items = at.items(limits::STATUSES_MAX, "statuses");
    let mut out: Vec<StatusName> = Vec::new();
    for it in &items {
        let name = status(it, known)?;
        if out.contains(&name) {
            it.wrong(format!("`{name}` stands here twice"));
            return None;
        }
        out.push(name);
    }
    if out.is_empty() && at.value().is_array() {
        at.wrong("name at least one status that it is possible in");
    }
    (!out.is_empty()).then_some(out)
}

fn branches(at: &Reader<'_>, known: &[StatusName]) -> Option<Vec<Branch>> {
    if at.value().is_string() {
        return Some(vec![Branch { when: None, status: status(at, known)? }]);
    }
    let items = at.items(limits::STATUSES_MAX, "branches");
    let mut out = Vec::new();
    for (no, it) in items.iter().enumerate() {
        let members = it.members(&["when", "status"])?;
        let when = members.optional("when").map(|it| it.text());
        let status = members.required("status", "the status that this branch leads to").and_then(|it| status(&it, known));
        if when.is_none() && no + 1 < items.len() {
            it.wrong("a branch without `when` always holds; those behind it are never reached");
            return None;
        }
        out.push(Branch { when: if let Some(it) = when { Some(it?) } else { None }, status: status? });
    }
    if out.is_empty() && at.value().is_array() {
        at.wrong("name at least one status that it leads to");
    }
    (!out.is_empty()).then_some(out)
}

fn status(at: &Reader<'_>, known: &[StatusName]) -> Option<StatusName> {
    let it: StatusName = at.name()?;
    if !known.contains(&it) {
        at.wrong(format!("there is no status `{it}`{}", suggest::clause(it.as_str(), known.iter().map(StatusName::as_str))));
        return None;
    }
    Some(it)
}
