//! Why an event was, was not, or is not yet delivered to a subscription.
//!
//! The same questions as reading asks, one by one, each with what was found;
//! then, if the event is owed, what its delivery waits for. The state itself is
//! `delivery_state`'s; here it is only told.
//!
//! Not here: gathering the facts (`service::explain`).

use crate::{
    event_filter::EventFields,
    matching,
    window::{Health, HealthState},
};
use ringback_filter::Expr;
use ringback_model::{
    StatusName, Timestamp,
    delivery::{DeliveryState, Exception, ExceptionState, SkippedRange},
    event::{Event, Place},
    subscription::{Revision, State, Subscription, types_match},
};

#[cfg(test)]
mod tests;

/// What is known of one event and one subscription.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Whose delivery.
    pub subscription: &'a Subscription,
    /// Of what.
    pub event: &'a Event,
    /// The condition of the revision of its place.
    pub filter: Option<&'a Expr>,
    /// What a one-shot waits for; `None` when it is none, or its type is not served.
    pub awaited: Option<&'a [StatusName]>,
    /// See `delivery_state`.
    pub state: Option<DeliveryState>,
    /// The reader's low-water mark.
    pub cursor: Place,
    /// Its exception.
    pub exception: Option<&'a Exception>,
    /// All skipped ranges of the subscription.
    pub skipped: &'a [SkippedRange],
    /// How the endpoint does, if it is read.
    pub health: Option<Health>,
    /// Whether no delivery is tried until somebody releases them.
    pub held: bool,
    /// Tries that were made.
    pub tries: u32,
}

/// One question, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What was asked: `types`, or a condition of the filter as it is written.
    pub clause: String,
    /// Whether it lets the delivery pass.
    pub matched: bool,
    /// What was found, for people.
    pub why: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `not-matched`, or the state of the delivery.
    pub verdict: &'static str,
    /// In the order in which they are asked.
    pub clauses: Vec<Clause>,
}

/// Explains a delivery, or why there is none.
#[must_use]
pub fn explain(it: &Facts<'_>) -> Explained {
    let mut clauses = Vec::new();
    let mut say = |clause: &str, matched: bool, why: String| clauses.push(Clause { clause: clause.to_owned(), matched, why });
    let Facts { subscription, event, .. } = *it;
    let place = event.place(&subscription.scope);

    let in_scope = subscription.scope.holds(&event.tenant);
    say("tenant", in_scope, format!("it reads events of `{}`; this one is of `{}`", subscription.scope.as_str(), event.tenant));
    let visible = subscription.authority.covers(event.audience);
    say(
        "audience",
        visible,
        match visible {
            true => "whoever made the subscription may see the event".into(),
            false => "the event is for operators, and the subscription was made by a tenant".into(),
        },
    );
    let begun = subscription.revisions.first().is_some_and(|it| it.from < place);
    let began = subscription.created_at;
    say(
        "from",
        begun,
        match begun {
            true => "the event comes after the place at which the subscription began".into(),
            false => format!("the subscription began (on {began}) after this event; `seek` lets it begin earlier"),
        },
    );
    let revision = subscription.revision_at(place);
    if let Some(revision) = revision {
        match_clauses(it, revision, &mut say);
    }
    if it.state.is_none() {
        return Explained { verdict: "not-matched", clauses };
    }
    state_clauses(it, place, &mut say);
    Explained { verdict: it.state.map_or("not-matched", DeliveryState::as_str), clauses }
}

/// What the revision asks.
fn match_clauses(it: &Facts<'_>, revision: &Revision, say: &mut impl FnMut(&str, bool, String)) {
    let Facts { subscription, event, .. } = *it;
    let of = match subscription.revisions.len() {
        0 | 1 => "it asks for".to_owned(),
        _ => format!("revision {}, which counted then, asks for", revision.no),
    };
    let patterns = || revision.types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wanted = match revision.types.is_empty() {
        true => "all but `ringback.*`".to_owned(),
        false => format!("`{}`", patterns()),
    };
    say("types", types_match(&revision.types, &event.event_type), format!("{of} {wanted}; the event is `{}`", event.event_type));
    if let Some(subject) = &subscription.subject {
        let found = event.subject.as_ref().map_or("about nothing".to_owned(), |it| format!("about `{it}`"));
        say("subject", event.subject.as_ref() == Some(subject), format!("it asks for `{subject}`; the event is {found}"));
    }
    let others = subscription.scope.holds(&event.tenant)
        && subscription.authority.covers(event.audience)
        && types_match(&revision.types, &event.event_type)
        && subscription.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it));
    if others && !matching::matches(subscription, revision, event) {
        say("itself", false, "the event tells of this very subscription, and it is never told of itself".into());
    }
    if let Some(filter) = it.filter {
        let met = filter.matches(&EventFields::of(event));
        say("filter", met, format!("{of} `{}`", revision.filter.as_deref().unwrap_or_default()));
        for one in filter.explain(&EventFields::of(event)) {
            say(&one.clause, one.matched, one.why);
        }
    }
    if let Some(until) = &subscription.until {
        let entered = event.of.as_ref().and_then(|it| it.entered.as_ref());
        let what = entered.map_or("enters no status".to_owned(), |it| format!("enters `{it}`"));
        let met = it.awaited.is_some_and(|all| matching::one_shot(event, all));
        say("until", met, format!("it waits for `{until}`; the event {what}"));
    }
}

/// What an owed delivery is at, or waits for.
fn state_clauses(it: &Facts<'_>, place: Place, say: &mut impl FnMut(&str, bool, String)) {
    let Facts { subscription, state, .. } = *it;
    match state {
        None => {}
        Some(DeliveryState::Delivered) => say("delivered", true, format!("it arrived, after {}", tries(it.tries.max(1)))),
        Some(DeliveryState::Delivering) => say("delivering", true, "a try is in flight, or it was handed out and not acknowledged".into()),
        Some(DeliveryState::Skipped) if it.event.erased_at.is_some() => {
            say("erased", false, "the event was erased before it was delivered: nothing of it is owed any more".into());
        }
        Some(DeliveryState::Skipped) => {
            let generation = subscription.generation;
            let range = it.skipped.iter().find(|it| it.generation == generation && it.from < place && place <= it.to);
            let why = range.map_or("", |it| it.why.as_str());
            say("skipped", false, skipped(why));
        }
        Some(DeliveryState::Parked) => {
            let (reason, at) = match it.exception.map(|it| &it.state) {
                Some(ExceptionState::Parked { reason, at }) => (reason.as_str(), Some(*at)),
                _ => ("", None),
            };
            say("parked", false, parked(reason, at, it.exception.map_or(it.tries, |it| it.tries)));
        }
        Some(DeliveryState::Pending | DeliveryState::Retrying) => waiting_clauses(it, place, say),
    }
}

fn waiting_clauses(it: &Facts<'_>, place: Place, say: &mut impl FnMut(&str, bool, String)) {
    let Facts { subscription, .. } = *it;
    let active = subscription.state == State::Active;
    say(
        "state",
        active,
        match subscription.state {
            State::Active => "the subscription is active".into(),
            State::Paused => "the subscription is paused: nothing is tried until it is resumed".into(),
            State::Shadow => "the subscription is in the shadow: what is left of before waits until it is active".into(),
            State::Suspended => {
                "the subscription is suspended, as its endpoint took nothing any more: resume it once that is mended".into()
            }
            State::Done => "the subscription is done: `retry` tries this delivery once more".into(),
        },
    );
    if it.held {
        say("released", false, "all deliveries are held since a restore: `ringback deliveries release` lets them go".into());
    }
    if let Some(health) = it.health {
        let why = health.why.unwrap_or("nothing failed");
        let passes = matches!(health.state, HealthState::Ok | HealthState::Failing) && health.why != Some("exceptions-full");
        say(
            "endpoint",
            passes,
            match health.state {
                HealthState::Ok => "the last try arrived, or none was made".into(),
                HealthState::Failing if health.why == Some("exceptions-full") => {
                    "too many deliveries have failed: nothing more is read until some are retried and arrive".into()
                }
                HealthState::Failing => format!("the last try failed ({why})"),
                HealthState::Open => format!("most tries failed ({why}): the endpoint is left alone for a while"),
                HealthState::Probing => format!("most tries failed ({why}): it is asked, one try at a time, whether it works again"),
                HealthState::Unroutable => {
                    format!("the address cannot be called ({why}): it is asked again every hour, and no try is spent")
                }
            },
        );
    }
    match it.exception.map(|it| &it.state) {
        Some(ExceptionState::Retrying { due_at }) => {
            say("due", false, format!("{} failed; the next is due at {due_at}", tries(it.exception.map_or(it.tries, |it| it.tries))));
        }
        Some(ExceptionState::Held) => say("order", false, "it waits behind an earlier delivery of its subject that failed".into()),
        Some(ExceptionState::Parked { .. }) => {}
        None => say(
            "turn",
            false,
            match place.saturating_sub(it.cursor) {
                0 | 1 => "it is next".into(),
                ahead => format!("{} events of the log come before it", ahead - 1),
            },
        ),
    }
}

fn tries(n: u32) -> String {
    if n == 1 { "1 try".into() } else { format!("{n} tries") }
}

fn skipped(why: &str) -> String {
    match why {
        "resumed-from-now" => "the subscription was resumed from now, past this event; a seek to before it has it sent".into(),
        "shadow" => {
            "it was rendered and signed, and not sent, as the subscription was in the shadow; a seek to before it has it sent once that is active".into()
        }
        "sought" => "a seek went past this event; a seek to before it has it sent".into(),
        other => format!("it was skipped ({other}); a seek to before it has it sent"),
    }
}

fn parked(reason: &str, at: Option<Timestamp>, spent: u32) -> String {
    let at = at.map_or_else(String::new, |it| format!(" at {it}"));
    format!("given up{at} after {} ({reason}): `retry` tries it once more", tries(spent))
}
