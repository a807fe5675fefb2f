//! The condition of a subscription: read and checked against the types whose events it can match.
//!
//! It is kept as it was written. What it means is found out where it is judged,
//! against the types that are served then.

use crate::{Error, Service, types::Types};
use ringback_engine::event_filter::{EventFields, EventSchema};
use ringback_filter::{Expr, Kind, Schema, parse_expression};
use ringback_model::{
    event::Event,
    key::Authority,
    subscription::{Revision, RevisionNo, Subscription, TypePattern},
};
use std::collections::BTreeMap;

/// Of whose events nothing is known.
struct Open;

impl Schema for Open {
    fn kind(&self, _: &[String]) -> Result<Kind, String> {
        Ok(Kind::Any)
    }
}

impl Service {
    /// Refuses a filter that can't be read, or does not fit what such events hold.
    pub(crate) fn check_filter(&self, types: &[TypePattern], filter: Option<&str>, authority: Authority) -> Result<(), Error> {
        let Some(filter) = filter else { return Ok(()) };
        self.read_filter(types, filter, authority).map(drop).map_err(|error| Error::Filter { pointer: Some("/filter"), error })
    }

    fn read_filter(&self, types: &[TypePattern], filter: &str, authority: Authority) -> Result<Expr, ringback_filter::FilterError> {
        read_filter(&self.types(), types, filter, authority)
    }

    /// The condition of a revision; `None` if it has none.
    pub(crate) fn filter_of(&self, revision: &Revision, authority: Authority) -> Option<Expr> {
        self.condition(&revision.types, revision.filter.as_deref()?, authority)
    }

    /// A condition that was read before.
    pub(crate) fn condition(&self, types: &[TypePattern], text: &str, authority: Authority) -> Option<Expr> {
        condition(&self.types(), types, text, authority)
    }

    /// The conditions of all revisions that have one.
    pub(crate) fn filters_of(&self, subscription: &Subscription) -> BTreeMap<RevisionNo, Expr> {
        let of = |it: &Revision| Some((it.no, self.filter_of(it, subscription.authority)?));
        subscription.revisions.iter().filter_map(of).collect()
    }
}

fn read_filter(served: &Types, types: &[TypePattern], filter: &str, authority: Authority) -> Result<Expr, ringback_filter::FilterError> {
    let served = served.list();
    // Of types that it may not read, it learns nothing.
    let declared = served.iter().filter(|it| authority.covers(it.compiled.decl.access.read)).map(|it| &it.compiled);
    EventSchema::of(types, declared).filter(filter)
}

/// A condition that was read before, as it is meant among these types.
pub(crate) fn condition(served: &Types, types: &[TypePattern], text: &str, authority: Authority) -> Option<Expr> {
    let read = read_filter(served, types, text, authority);
    // Types may have changed since: then what is found in an event decides.
    let read = read.or_else(|_| parse_expression(text)?.check(&Open));
    // It was read when its revision began; should that fail now, nothing is held back.
    read.ok()
}

/// Whether an event meets a condition, if there is one.
pub(crate) fn meets(filter: Option<&Expr>, event: &Event) -> bool {
    filter.is_none_or(|it| it.matches(&EventFields::of(event)))
}
