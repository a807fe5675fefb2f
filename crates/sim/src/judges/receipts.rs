//! P4, P8: what endpoints got is signed, byte-identical, durable and owed; and
//! what counts as delivered was got.

use crate::{
    evidence::{Evidence, may_want, record_of, wants},
    history::End,
};
use ringback_model::{Timestamp, event::payload};
use ringback_signature::{Headers, Secret, verify};
use std::collections::BTreeSet;

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
}

/// Every request that arrived.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in it.tries.iter().filter(|it| it.arrived) {
        let name = format!("{} at {}", one.event, one.url);
        let Some((made, subscription)) = record_of(&one.url).and_then(|no| Some((it.subscribed.get(no)?, it.subscription(no)?))) else {
            wrong.push(format!("{name}: nobody subscribed there"));
            continue;
        };
        let Some(event) = it.event(one.event) else {
            wrong.push(format!("{name}: it is not in the log"));
            continue;
        };
        if it.durable_at.get(&event.seq).is_none_or(|at| *at > one.started) {
            wrong.push(format!("{name}: sent before it was durable"));
        }
        // A crash forgets what was read above the cursor, and an edit after it is for that, too:
        // a try is right under any form of the subscription that was stored when it began.
        let versions = it.versions.get(&subscription.no).map_or(&[][..], Vec::as_slice);
        if it.may_be_replay(subscription, one) {
            // What it sends may never have been owed, and then has the form of that day.
            let forms = versions.iter().filter(|(at, it)| *at <= one.started && may_want(it, event));
            let mut bodies = forms.flat_map(|(_, it)| &it.revisions).map(|it| payload(event, it.payload, &it.public_url));
            if !bodies.any(|it| it == one.body) {
                wrong.push(format!("{name}: a replay sent what no revision makes of it"));
            }
        } else {
            let mut forms = versions.iter().filter(|(at, it)| *at <= one.started && wants(it, event)).peekable();
            if forms.peek().is_none() {
                wrong.push(format!("{name}: it is not owed"));
                continue;
            }
            let place = event.place(&subscription.scope);
            let mut bodies = forms.filter_map(|(_, it)| it.revision_at(place)).map(|it| payload(event, it.payload, &it.public_url));
            if !bodies.any(|it| it == one.body) {
                wrong.push(format!("{name}: the body is not what a revision makes of it"));
            }
        }
        // Without its secret, whoever made it never heard that it was made.
        let secret = made.secret.as_deref().and_then(|it| Secret::parse(it).ok());
        let headers = Headers {
            id: header(&one.headers, "webhook-id"),
            timestamp: header(&one.headers, "webhook-timestamp"),
            signature: header(&one.headers, "webhook-signature"),
        };
        if let Some(secret) = secret
            && let Err(why) = verify(headers, &one.body, &[&secret], one.wall.as_secs(), 5)
        {
            wrong.push(format!("{name}: {why}"));
        }
    }
    wrong
}

/// Every obligation that is over was taken by its endpoint, unless it is parked or skipped.
pub(super) fn obligations(it: &Evidence) -> Vec<String> {
    let taken: BTreeSet<_> = it
        .tries
        .iter()
        .filter(|it| it.taken && matches!(it.end, End::Answered(200..=299)))
        .filter_map(|it| Some((record_of(&it.url)?, it.event)))
        .collect();
    let mut wrong = Vec::new();
    for reader in it.readers() {
        let record = it.record(&reader.subscription);
        let acked: BTreeSet<_> =
            it.acks.iter().filter(|it| it.subscription == reader.subscription.id).flat_map(|it| &it.events).copied().collect();
        let exceptions: BTreeSet<_> = reader.state.exceptions.iter().map(|it| it.place).collect();
        for event in reader.owed(&it.log) {
            let place = event.place(&reader.subscription.scope);
            let gone = || place <= reader.floor && it.truncated(&reader.subscription, place, Timestamp::from_micros(i64::MAX));
            let before = place <= it.sought_to(&reader.subscription) && reader.skipped_before(place);
            let excused = reader.skipped(place) > 0 || exceptions.contains(&place) || before || gone();
            let over = place <= reader.state.cursor.max(reader.floor) || reader.delivered.contains(&place);
            let done = record.is_some_and(|it| taken.contains(&(it, event.id))) || acked.contains(&event.id);
            if over && !excused && !done {
                wrong.push(format!("{} counts as delivered to {} and never was", event.id, reader.subscription.id));
            }
        }
    }
    wrong
}
