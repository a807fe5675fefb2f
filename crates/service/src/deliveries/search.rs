//! Which deliveries are asked for.

use super::DeliveryView;
use ringback_model::{
    EventId, Subject, SubscriptionId, Timestamp,
    delivery::DeliveryState,
    event::Event,
    subscription::{TypePattern, types_match},
};
use std::time::Duration;

/// An event is committed so long after it was decided at most, unless the disk stands still for longer: then a
/// search by `until` may not show it.
pub(super) const COMMITTED_WITHIN: Duration = Duration::from_secs(60);

/// Which deliveries are asked for. What is not said does not count.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Whose last try was answered with this.
    pub status_code: Option<u16>,
    /// Of events of these types; empty = all.
    pub types: Vec<TypePattern>,
    /// Of events about this.
    pub subject: Option<Subject>,
    /// Of events that were made then or later …
    pub since: Option<Timestamp>,
    /// … and before this.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
    /// The page cursor.
    pub after: Option<String>,
}

impl DeliveryQuery {
    pub(super) fn wants(&self, it: &DeliveryView) -> bool {
        self.state.is_none_or(|want| it.state == want)
            && self.status_code.is_none_or(|want| it.last_attempt.as_ref().is_some_and(|it| it.status_code == Some(want)))
    }

    /// Whether its deliveries can be wanted, as far as the event alone says.
    pub(super) fn is_of(&self, event: &Event) -> bool {
        (self.types.is_empty() || types_match(&self.types, &event.event_type))
            && self.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
            && self.since.is_none_or(|it| event.timestamp >= it)
            && self.until.is_none_or(|it| event.timestamp < it)
    }

    /// All of it but the page: what a page cursor is bound to.
    pub(super) fn binding(&self) -> String {
        let types: Vec<_> = self.types.iter().map(ToString::to_string).collect();
        format!(
            "{} {} {} {} {} {}",
            self.state.map_or("", DeliveryState::as_str),
            self.status_code.map_or_else(String::new, |it| it.to_string()),
            types.join(","),
            self.since.map_or_else(String::new, |it| it.to_string()),
            self.until.map_or_else(String::new, |it| it.to_string()),
            self.subject.as_ref().map_or("", |it| it.as_str()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringback_model::EventType;

    #[test]
    fn a_cursor_of_one_search_is_not_one_of_another() {
        let parse = |it: &str| TypePattern::parse(it).unwrap();
        let at = Timestamp::from_secs;
        let all = [
            DeliveryQuery::default(),
            DeliveryQuery { state: Some(DeliveryState::Parked), ..DeliveryQuery::default() },
            DeliveryQuery { status_code: Some(500), ..DeliveryQuery::default() },
            DeliveryQuery { types: vec![parse("a.b")], ..DeliveryQuery::default() },
            DeliveryQuery { types: vec![parse("a.*")], ..DeliveryQuery::default() },
            DeliveryQuery { subject: Subject::parse("/a").ok(), ..DeliveryQuery::default() },
            DeliveryQuery { since: Some(at(1)), ..DeliveryQuery::default() },
            DeliveryQuery { until: Some(at(1)), ..DeliveryQuery::default() },
        ];
        let bindings: std::collections::BTreeSet<_> = all.iter().map(DeliveryQuery::binding).collect();
        assert_eq!(bindings.len(), all.len());
        let page = DeliveryQuery { limit: 9, after: Some("x".into()), ..DeliveryQuery::default() };
        assert_eq!(page.binding(), DeliveryQuery::default().binding());
        assert!(types_match(&[parse("a.*")], &EventType::parse("a.b").unwrap()));
    }
}
