//! Judges: pure functions over evidence. None knows a player or asks another judge.

mod caps;
mod changes;
mod conservation;
mod deadlines;
mod drained;
mod due;
mod duplicates;
mod durable;
mod feeds;
mod one_shots;
mod order;
mod pulled;
mod receipts;
mod replays;
mod retention;
mod tenants;
mod verified;
mod waits;
mod watches;

use crate::evidence::Evidence;

/// What a judge found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which judge.
    pub judge: &'static str,
    /// What.
    pub why: String,
}

type Judge = fn(&Evidence) -> Vec<String>;

/// All judges, by name.
const JUDGES: [(&str, Judge); 21] = [
    ("durable", durable::judge),
    ("sequence", feeds::sequence),
    ("changes", changes::judge),
    ("feeds", feeds::judge),
    ("conservation", conservation::judge),
    ("receipts", receipts::judge),
    ("obligations", receipts::obligations),
    ("order", order::judge),
    ("caps", caps::judge),
    ("due", due::judge),
    ("deadlines", deadlines::judge),
    ("duplicates", duplicates::judge),
    ("tenants", tenants::judge),
    ("replays", replays::judge),
    ("retention", retention::judge),
    ("drained", drained::judge),
    ("one-shots", one_shots::judge),
    ("verified", verified::judge),
    ("waits", waits::judge),
    ("pulled", pulled::judge),
    ("watches", watches::judge),
];

/// Things that one judge says at most.
const SAID_MAX: usize = 4;

/// What all judges find wrong.
#[must_use]
pub fn all(evidence: &Evidence) -> Vec<Verdict> {
    let say = |(judge, ask): &(&'static str, Judge)| {
        let judge = *judge;
        ask(evidence).into_iter().take(SAID_MAX).map(move |why| Verdict { judge, why }).collect::<Vec<_>>()
    };
    JUDGES.iter().flat_map(say).collect()
}

/// The names of all judges.
#[must_use]
pub fn names() -> Vec<&'static str> {
    JUDGES.iter().map(|it| it.0).collect()
}
