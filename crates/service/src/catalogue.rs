//! The event catalogue: what types make, what files declare, and what was seen.
//!
//! A caller is shown what he might receive: nothing of types that he may not
//! read, and of published events only what was published in his own scope for
//! him to see.

use crate::{Ctx, Error, NewEvent, Service, own_events::OWN_EVENTS, page::Page};
use ringback_engine::{catalogue, catalogue::Entry, lifecycle::Violation, suggest::did_you_mean};
use ringback_model::{EventType, Timestamp, event::Scope, key::Authority, limits};
use std::collections::BTreeMap;

/// Event types that a suggestion, or the search for one, looks at.
const SEEN_MAX: usize = 10_000;

/// An event type that the caller might receive.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTypeView {
    /// Which.
    pub event_type: EventType,
    /// `type:payment`, `ringback`, or `publishers`.
    pub owner: String,
    /// What is declared about it.
    pub entry: Option<Entry>,
    /// When the last one was stored, to the minute.
    pub last_seen: Option<Timestamp>,
}

impl Service {
    /// A page of the catalogue, in order of type.
    ///
    /// # Errors
    /// `CursorMismatch`, the store's.
    pub async fn event_types_page(&self, ctx: &Ctx, limit: usize, after: Option<&str>) -> Result<Page<EventTypeView>, Error> {
        let after = self.id_cursor(ctx, "event-types", after)?;
        let from = match &after {
            None => None,
            Some(text) => Some(EventType::parse(text).map_err(|_| Error::CursorMismatch)?),
        };
        let authority = ctx.authority();
        let mut all: BTreeMap<EventType, (Option<Entry>, Option<Timestamp>)> = BTreeMap::new();
        for entry in self.declared_entries(authority) {
            if from.as_ref().is_none_or(|it| entry.event_type.as_str() > it.as_str()) {
                all.insert(entry.event_type.clone(), (Some(entry), None));
            }
        }
        let mut place = from;
        loop {
            // One more than a page, so that whatever is on the page is looked at here.
            let seen = self.inner.store.event_types_seen(&ctx.scope, authority, place.as_ref(), limit + 1).await?;
            let more = seen.len() > limit;
            place = seen.last().map(|it| it.event_type.clone());
            for it in seen.into_iter().filter(|it| !self.hidden(authority, &it.event_type)) {
                all.entry(it.event_type).or_insert((None, None)).1 = Some(it.last_seen);
            }
            // Those that are hidden were counted too: then the page may not be full yet.
            let known = place.as_ref().map_or(all.len(), |last| all.range(..=last.clone()).count());
            if !more || known > limit {
                break;
            }
        }
        let views = all.into_iter().map(|(event_type, (entry, last_seen))| EventTypeView {
            owner: self.owner_of_events(&event_type),
            event_type,
            entry,
            last_seen,
        });
        Ok(self.id_page(ctx, "event-types", views, limit, |it| it.event_type.to_string()))
    }

    fn owner_of_events(&self, event_type: &EventType) -> String {
        match event_type.first_segment() {
            "ringback" => "ringback".into(),
            segment if self.types().by_name(segment).is_some() => format!("type:{segment}"),
            _ => "publishers".into(),
        }
    }

    /// What types and files declare, as far as this authority may see it.
    pub(crate) fn declared_entries(&self, authority: Authority) -> Vec<Entry> {
        let served = self.types().list();
        let visible = served.iter().filter(|it| authority.covers(it.compiled.decl.access.read));
        let mut all: Vec<Entry> = visible.flat_map(|it| catalogue::of_type(&it.compiled)).collect();
        all.extend(self.inner.events_declared.values().map(catalogue::CompiledEvent::entry));
        let own = OWN_EVENTS.iter().filter_map(|(name, says)| Some((EventType::parse(name).ok()?, *says)));
        all.extend(own.map(|(event_type, says)| Entry { event_type, description: Some(says.into()), schema: None, example: None }));
        all
    }

    /// Whether it belongs to a type that this authority may not read: not even its name is to be learned.
    fn hidden(&self, authority: Authority, event_type: &EventType) -> bool {
        self.types().by_name(event_type.first_segment()).is_some_and(|it| !authority.covers(it.compiled.decl.access.read))
    }

    /// Whether anything that this authority may see declares or has published this event type.
    pub(crate) async fn event_type_known(&self, scope: &Scope, authority: Authority, event_type: &EventType) -> Result<bool, Error> {
        if self.hidden(authority, event_type) {
            return Ok(false);
        }
        let own = || OWN_EVENTS.iter().any(|(name, _)| *name == event_type.as_str());
        if self.inner.events_declared.contains_key(event_type) || self.makes(event_type) || own() {
            return Ok(true);
        }
        if authority == Authority::Operator {
            return Ok(self.inner.store.event_type_seen(scope, event_type).await?);
        }
        // One that only operators were meant to see tells a tenant nothing; it is found from the one before it.
        let text = event_type.as_str();
        let before = if text.contains('.') { event_type.first_segment() } else { text.get(..text.len() - 1).unwrap_or_default() };
        let seen = self.types_seen(scope, authority, EventType::parse(before).ok(), Some(event_type)).await?;
        Ok(seen.contains(event_type))
    }

    fn makes(&self, event_type: &EventType) -> bool {
        self.types().by_name(event_type.first_segment()).is_some_and(|it| it.compiled.decl.event_types().contains(event_type))
    }

    /// Event types that were seen, after `after` and until `until` is passed; at most `SEEN_MAX`.
    async fn types_seen(
        &self,
        scope: &Scope,
        authority: Authority,
        mut after: Option<EventType>,
        until: Option<&EventType>,
    ) -> Result<Vec<EventType>, Error> {
        let mut found = Vec::new();
        while found.len() < SEEN_MAX {
            let page = self.inner.store.event_types_seen(scope, authority, after.as_ref(), limits::PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last().map(|it| it.event_type.clone()) else { break };
            let passed = until.is_some_and(|it| last.as_str() >= it.as_str());
            found.extend(page.into_iter().map(|it| it.event_type));
            if passed {
                break;
            }
            after = Some(last);
        }
        Ok(found)
    }

    /// The event type that may have been meant by one that nothing declares or has published.
    pub(crate) async fn event_type_meant(&self, scope: &Scope, authority: Authority, given: &EventType) -> Result<Option<String>, Error> {
        let mut known: Vec<EventType> = self.declared_entries(authority).into_iter().map(|it| it.event_type).collect();
        known.extend(self.types_seen(scope, authority, None, None).await?.into_iter().filter(|it| !self.hidden(authority, it)));
        Ok(did_you_mean(given.as_str(), known.iter().map(EventType::as_str)).map(str::to_owned))
    }

    /// Holds publishers to what is declared about their event types.
    ///
    /// # Errors
    /// `EventInvalid` for the first event that does not fit.
    pub(crate) fn judge_events(&self, events: &[NewEvent]) -> Result<(), Error> {
        for (index, event) in events.iter().enumerate() {
            let Some(declared) = self.inner.events_declared.get(&event.event_type).filter(|it| it.schema.is_some()) else { continue };
            // Compact JSON that was checked; what has no value (a lone surrogate) has no schema either.
            let violations: Vec<Violation> = match serde_json::from_slice(&event.data) {
                Ok(data) => declared.judge(&data),
                Err(why) => vec![Violation { pointer: String::new(), code: "type".into(), detail: format!("it can't be judged: {why}") }],
            };
            if !violations.is_empty() {
                return Err(Error::EventInvalid { index: Some(index), event_type: event.event_type.clone(), violations });
            }
        }
        Ok(())
    }
}
