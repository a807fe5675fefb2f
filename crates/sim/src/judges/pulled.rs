//! P5, P8, pulled: what workers are handed is durable, owed and byte-identical; nobody
//! else has it meanwhile; of an ordered subject nobody has another; and what an
//! answered ack has settled is not handed out again.

use crate::{
    evidence::{Evidence, wants},
    history::Handed,
};
use ringback_model::{
    EventId, Timestamp,
    event::payload,
    subscription::{Generation, Order, Subscription},
};
use std::collections::BTreeMap;

/// An answer may take so long after what it tells was stored.
const SLOW: core::time::Duration = core::time::Duration::from_secs(10);

/// The life of its reader at this time.
fn generation(it: &Evidence, subscription: &Subscription, at: Timestamp) -> Option<Generation> {
    it.versions.get(&subscription.no)?.iter().take_while(|(stored, _)| *stored <= at).last().map(|(_, it)| it.generation)
}

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut before: BTreeMap<u32, Vec<&Handed>> = BTreeMap::new();
    for handed in &it.handed {
        let Some(subscription) = it.subscriptions.values().find(|one| one.id == handed.subscription) else {
            wrong.push(format!("{} was handed events of {}, which is nowhere", handed.worker, handed.subscription));
            continue;
        };
        let forms = it.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        let earlier = before.entry(subscription.no).or_default();
        for (id, bytes) in &handed.events {
            let name = format!("{}: {id}, handed to {} at {}", handed.subscription, handed.worker, handed.from);
            let Some(event) = it.event(*id) else {
                wrong.push(format!("{name}: it is not in the log"));
                continue;
            };
            if it.durable_at.get(&event.seq).is_none_or(|at| *at > handed.from) {
                wrong.push(format!("{name}: it was not durable"));
            }
            let owed: Vec<_> = forms.iter().filter(|(at, form)| *at <= handed.from && wants(form, event)).collect();
            if owed.is_empty() {
                wrong.push(format!("{name}: it is not owed"));
                continue;
            }
            let place = event.place(&subscription.scope);
            let mut bodies =
                owed.iter().filter_map(|(_, form)| form.revision_at(place)).map(|rev| payload(event, rev.payload, &rev.public_url));
            if !bodies.any(|body| body == *bytes) {
                wrong.push(format!("{name}: the bytes are not what a revision makes of it"));
            }
            let ordered = forms.iter().all(|(_, it)| it.revisions.iter().all(|it| it.order == Order::Subject));
            let same_subject = |other: &EventId| {
                ordered && other != id && event.subject.is_some() && it.event(*other).is_some_and(|other| other.subject == event.subject)
            };
            // An ack counts whoever holds the event, also whoever is just being handed it: then its subject is free.
            let acked = |held: &EventId, from: Timestamp| {
                let of = |ack: &&crate::history::AckSent| {
                    ack.subscription == handed.subscription && ack.events.contains(held) && !ack.late.contains(held)
                };
                held != id && it.acks.iter().filter(of).any(|ack| ack.answered.is_none_or(|at| from <= at))
            };
            for other in earlier.iter().filter(|other| !it.leases_ended(subscription, other.from, handed.from)) {
                let held = other.until.iter().filter(|(held, until)| **until > handed.shown && (*held == id || same_subject(held)));
                for (held, until) in held.filter(|(held, _)| !acked(held, other.from)) {
                    wrong.push(format!("{name}: {} holds {held} until {until}", other.worker));
                }
            }
            if let Some(other) = handed.until.keys().find(|it| same_subject(it)) {
                wrong.push(format!("{name}: together with {other} of the same subject"));
            }
            for ack in
                it.acks.iter().filter(|ack| ack.subscription == handed.subscription && ack.events.contains(id) && !ack.late.contains(id))
            {
                if let Some(at) = ack.answered.filter(|at| *at < handed.from)
                    // It was stored some time before it was answered: a seek in between begins another life.
                    && generation(it, subscription, at - SLOW) == generation(it, subscription, handed.from)
                {
                    wrong.push(format!("{name}: its ack was answered at {at}"));
                }
            }
        }
        earlier.push(handed);
    }
    wrong
}
