//! `/v1/events`, and the events of one resource.

use super::resources::id;
use crate::http::{answer::Answer, call::Call, failure::Failure};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use ringback_model::{EventId, Subject, SubscriptionId, key::Scope, names::excerpt, subscription::TypePattern};
use ringback_service::{
    Entry, Error, FeedQuery, Needs, NewEvent, Published, PublishedEvent,
    json::{self, Parts},
};
use ringback_wire::{self as wire, event::check_count, event::parse_types, list, sentences};

/// `GET /v1/events`: a page of the log, or the next events once there are any.
pub(crate) async fn feed(call: Call) -> Result<Answer, Failure> {
    let query = query(&call)?;
    read(&call, query).await
}

/// `GET {path}/{id}/events`: those of one resource, also of a deleted one.
pub(crate) async fn of_resource(call: Call) -> Result<Answer, Failure> {
    let query = query_of_resource(&call).await?;
    read(&call, query).await
}

/// What `GET /v1/events` asks for.
pub(super) fn query(call: &Call) -> Result<FeedQuery, Failure> {
    let subject = match call.query.one("subject") {
        None => None,
        Some(text) => Some(Subject::parse(text).map_err(|it| Failure::parameter("subject", text, it.rule))?),
    };
    let subscription = match call.query.one("subscription") {
        None => None,
        Some(text) => {
            // Where a subscription stands is what its readers may know.
            if !call.ctx.caller.scopes.has(Scope::SubscriptionsRead) {
                return Err(Error::Forbidden(Needs::Scope(Scope::SubscriptionsRead)).into());
            }
            Some(SubscriptionId::parse(text).map_err(|_| Error::NotFound { noun: "subscription", id: excerpt(text, 80) })?)
        }
    };
    let filter = call.query.one("filter").map(Into::into);
    Ok(FeedQuery { subject, subscription, filter, ..query_of(call)? })
}

/// What `GET {path}/{id}/events` asks for.
pub(super) async fn query_of_resource(call: &Call) -> Result<FeedQuery, Failure> {
    let (service, ty, id) = (call.service(), call.ty()?, id(call)?);
    let subject = Subject::of_resource(&ty.compiled.decl.path, &id);
    if let Err(gone) = service.resource(&call.ctx, &ty, &id).await {
        if !matches!(gone, Error::NotFound { .. }) {
            return Err(gone.into());
        }
        // It was deleted, or never was: only then has it no events.
        let first = FeedQuery { subject: Some(subject.clone()), limit: 1, ..FeedQuery::default() };
        if !call.ctx.authority().covers(ty.compiled.decl.access.read) || service.feed(&call.ctx, first).await?.events.is_empty() {
            return Err(gone.into());
        }
    }
    Ok(FeedQuery { subject: Some(subject), ..query_of(call)? })
}

/// What every feed may be asked.
pub(super) fn query_of(call: &Call) -> Result<FeedQuery, Failure> {
    Ok(FeedQuery {
        after: call.query.one("after").map(Into::into),
        types: types(call)?,
        limit: call.query.limit()?,
        wait: call.query.wait(&call.headers)?,
        ..FeedQuery::default()
    })
}

async fn read(call: &Call, query: FeedQuery) -> Result<Answer, Failure> {
    let service = call.service();
    let page = call
        .waiting(query.wait, |wait| {
            let (service, ctx, query) = (&service, &call.ctx, FeedQuery { wait, ..query.clone() });
            async move { service.feed(ctx, query).await }.boxed()
        })
        .await?;
    let rows = page.events.iter().map(|it| it.bytes.as_ref());
    Ok(Answer::json(StatusCode::OK, list::feed_bytes(rows, &page.cursor, page.has_more, page.lag)))
}

/// The query parameter `types`; none given means all.
pub(super) fn types(call: &Call) -> Result<Vec<TypePattern>, Failure> {
    match call.query.one("types") {
        None => Ok(Vec::new()),
        Some(text) => parse_types(text).map_err(|rule| Failure::parameter("types", text, rule)),
    }
}

/// `GET /v1/events/{id}`: exactly the bytes that a `full` subscription is pushed.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let event = call.service().event(&call.ctx, call.id::<EventId>(0, "event")?).await?;
    Ok(Answer::json(StatusCode::OK, event.bytes.clone()))
}

/// `POST /v1/events`: one event, or an array of them, all or nothing.
pub(crate) async fn publish(mut call: Call) -> Result<Answer, Failure> {
    let (events, many) = new_events(call.json(false, r#"{"type":"order.shipped","data":{"id":"1"}}"#)?)?;
    let (write, finish) = call.write(move |made: &Published| published(made, many));
    finish(call.service().publish(&call.ctx, events, write).await.map_err(|it| alone(it, many))?)
}

/// Of an event that was sent alone, the place is not one of an array.
pub(super) fn alone(error: Error, many: bool) -> Error {
    match error {
        Error::EventInvalid { event_type, violations, .. } if !many => Error::EventInvalid { index: None, event_type, violations },
        other => other,
    }
}

/// `GET /v1/event-types`: in order of type.
pub(crate) async fn catalogue(call: Call) -> Result<Answer, Failure> {
    let page = call.service().event_types_page(&call.ctx, call.query.limit()?, call.query.one("after")).await?;
    let data = page.items.into_iter().map(|it| {
        let entry = it.entry.unwrap_or(Entry { event_type: it.event_type.clone(), description: None, schema: None, example: None });
        wire::event::EventTypeView {
            event_type: it.event_type.to_string(),
            owner: it.owner,
            description: entry.description,
            schema: entry.schema,
            example: entry.example,
            last_seen: it.last_seen.map(|it| it.to_string()),
        }
    });
    Ok(Answer::view(StatusCode::OK, &list::List { data: data.collect(), next_cursor: page.next_cursor }))
}

/// The events of a body, and whether it is an array of them.
pub(super) fn new_events(body: &[u8]) -> Result<(Vec<NewEvent>, bool), Failure> {
    Ok(match json::split(body)? {
        Parts::Array(all) => {
            check_count(all.len())?;
            let events = all.iter().enumerate().map(|(at, it)| one(it, &format!("/{at}")));
            (events.collect::<Result<Vec<_>, _>>()?, true)
        }
        Parts::Object(members) => (vec![of_members(&members, "")?], false),
        Parts::Other(text) => (vec![one(text, "")?], false),
    })
}

fn one(text: &str, at: &str) -> Result<NewEvent, Failure> {
    match json::split(text.as_bytes())? {
        Parts::Object(members) => of_members(&members, at),
        Parts::Array(_) => Err(not_an_event(at, "a list")),
        Parts::Other(_) => Err(not_an_event(at, "none")),
    }
}

fn not_an_event(at: &str, found: &str) -> Failure {
    sentences::fields_refused(vec![sentences::fields::wrong_type(at, "an event, which is an object", found)]).into()
}

fn of_members(members: &[(String, &str)], at: &str) -> Result<NewEvent, Failure> {
    let it = wire::NewEvent::read(members, at)?;
    Ok(NewEvent {
        event_type: it.event_type,
        subject: it.subject,
        data: json::compact(it.data.as_bytes())?,
        key: it.key,
        occurred_at: it.occurred_at,
        expires_at: it.expires_at,
        audience: it.audience,
    })
}

pub(super) fn published(made: &Published, many: bool) -> Answer {
    let status = if made.last_new.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let rows: Vec<Bytes> = made.events.iter().map(shown).collect();
    let answer = match rows.first() {
        Some(row) if !many => Answer::json(status, row.clone()),
        _ => Answer::json(status, list::list_bytes(rows.iter().map(Bytes::as_ref), None)),
    };
    let answer = match (made.last_new, many) {
        (Some(id), false) => answer.location(&format!("/v1/events/{id}")),
        _ => answer,
    };
    answer.wrote(made.last_new, &made.position)
}

/// The event's bytes, with a mark if it was there already.
fn shown(it: &PublishedEvent) -> Bytes {
    match it.event.bytes.strip_suffix(b"}") {
        Some(begin) if it.repeated => [begin, b",\"repeated\":true}"].concat().into(),
        _ => it.event.bytes.clone(),
    }
}
