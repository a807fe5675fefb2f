//! `POST /v1/batch`: several writes as one change set.
//!
//! Each operation is routed, and its scope asked for, as if it were sent alone;
//! what is refused is told as it would be alone, at its place in the batch.

use super::{events, resources};
use crate::{
    http::{
        answer::Answer,
        call::Call,
        conditional,
        errors::{self, Asked},
        failure::Failure,
        query::{Params, Query, normal_path},
    },
    routes::{Op, Route},
};
use http::{StatusCode, header};
use ringback_model::{ResourceId, names::excerpt};
use ringback_service::{
    BatchWritten, Error, IfMatch, Made, Needs, Operation,
    json::{self, Parts},
};
use ringback_wire::{
    batch::{OperationResult, RawOperation, check_count, results_bytes},
    sentences::{self, fields},
};

const EXAMPLE: &str = r#"{"operations":[{"method":"POST","path":"/payment/123/complete"}]}"#;

/// `POST /v1/batch`.
pub(crate) async fn run(mut call: Call) -> Result<Answer, Failure> {
    let body = call.json(false, EXAMPLE)?.clone();
    let mut asked = Vec::new();
    let mut operations = Vec::new();
    let mut many = Vec::new();
    for (at, raw) in read(&body)?.iter().enumerate() {
        let mut known = Asked { authority: call.ctx.authority(), ..Asked::default() };
        let operation = one(&call, raw, at, &mut known).map_err(|it| refused(it, &known, at))?;
        many.push(matches!(raw.body.map(|it| json::split(it.as_bytes())), Some(Ok(Parts::Array(_)))));
        asked.push(known);
        operations.push(operation);
    }
    let flags = many.clone();
    let (write, finish) = call.write(move |made: &BatchWritten| answer(made, &many));
    let outcome = call.service().batch(&call.ctx, operations, write).await;
    finish(outcome.map_err(|it| match it {
        Error::Operation { at, error } => match asked.get(at) {
            Some(known) => refused(events::alone(*error, many_events(&flags, at)).into(), known, at),
            None => (*error).into(),
        },
        other => other.into(),
    })?)
}

fn many_events(many: &[bool], at: usize) -> bool {
    many.get(at).copied().unwrap_or(false)
}

/// Takes the body apart.
fn read(body: &[u8]) -> Result<Vec<RawOperation<'_>>, Failure> {
    let wrong = |pointer: &str, expected: &str, found: &str| -> Failure {
        sentences::fields_refused(vec![fields::wrong_type(pointer, expected, found)]).into()
    };
    let Parts::Object(members) = json::split(body)? else { return Err(wrong("", "an object with `operations`", "something else")) };
    let mut all = None;
    for (name, text) in members {
        if name != "operations" {
            let pointer = format!("/{}", excerpt(&name, 60).replace('~', "~0").replace('/', "~1"));
            return Err(sentences::fields_refused(vec![fields::unknown_field(&pointer, Some("operations"))]).into());
        }
        all = Some(text);
    }
    let text =
        all.ok_or_else(|| sentences::fields_refused(vec![fields::required("/operations", "the writes, each with `method` and `path`")]))?;
    let Parts::Array(items) = json::split(text.as_bytes())? else { return Err(wrong("/operations", "a list", "something else")) };
    check_count(items.len())?;
    let one = |(at, text): (usize, &&'_ str)| match json::split(text.as_bytes())? {
        Parts::Object(_) => Ok(at),
        _ => Err(wrong(&format!("/operations/{at}"), "an object with `method` and `path`", "something else")),
    };
    items.iter().enumerate().try_for_each(|it| one(it).map(drop))?;
    let mut out = Vec::with_capacity(items.len());
    for (at, text) in items.into_iter().enumerate() {
        if let Parts::Object(members) = json::split(text.as_bytes())? {
            out.push(RawOperation::read(&members, at)?);
        }
    }
    Ok(out)
}

/// What one operation asks for, if it can be one and the key has its scope.
fn one(call: &Call, raw: &RawOperation<'_>, at: usize, known: &mut Asked) -> Result<Operation, Failure> {
    let (path, query) = match raw.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw.path.as_str(), None),
    };
    let path = normal_path(path);
    let given = http::Method::from_bytes(raw.method.as_bytes()).map_err(|_| Error::Internal("a method that is none".into()))?;
    let (route, params, ty) = call.server.route(call.ctx.authority(), &given, crate::http::server::method(&given), &path)?;
    *known = Asked { authority: call.ctx.authority(), op: Some(route.op), ty: ty.clone(), id: params.first().cloned().unwrap_or_default() };
    possible(route, at)?;
    if let Some(needs) = route.needs.filter(|it| !call.ctx.caller.scopes.has(*it)) {
        return Err(Error::Forbidden(Needs::Scope(needs)).into());
    }
    let takes: &[&str] = if route.op == Op::ResourceDelete { &["source_version"] } else { &[] };
    let query = Query::read(query, if takes.is_empty() { Params::Only(&[]) } else { Params::Only(&["source_version"]) })?;
    let if_match = match &raw.if_match {
        None => IfMatch::None,
        Some(text) => conditional::if_match_text(text).ok_or_else(|| {
            let pointer = format!("/operations/{at}/if_match");
            Failure::from(sentences::fields_refused(vec![fields::malformed(&pointer, text, "ETags in quotes, such as `\"3\"`, or `*`")]))
        })?,
    };
    if raw.if_match.is_some() && matches!(route.op, Op::EventPublish | Op::ResourceCreate) {
        let detail = "Nothing is there yet that `if_match` could be about. Leave it out.";
        return Err(sentences::fields_refused(vec![fields::invalid(&format!("/operations/{at}/if_match"), detail)]).into());
    }
    let body = || {
        let missing =
            || sentences::fields_refused(vec![fields::required(&format!("/operations/{at}/body"), "what it would be sent with alone")]);
        raw.body.map(str::as_bytes).ok_or_else(|| Failure::from(missing()))
    };
    if route.op == Op::EventPublish {
        return Ok(Operation::Publish(events::new_events(body()?)?.0));
    }
    let ty = ty.ok_or_else(|| Error::Internal(format!("{} was routed without a type", route.path)))?;
    if route.op == Op::ResourceCreate {
        return Ok(Operation::Create { ty, body: resources::members(body()?)? });
    }
    let text = params.first().map_or("", String::as_str);
    let id = ResourceId::parse(text)
        .map_err(|_| Error::NotFound { noun: "resource", id: format!("{}/{}", ty.compiled.decl.name, excerpt(text, 128)) })?;
    Ok(match route.op {
        Op::ResourcePut => Operation::Mirror { ty, id, said: ringback_service::Said::Is(resources::members(body()?)?), if_match },
        Op::ResourcePatch => Operation::Patch { ty, id, patch: json::parse_value(body()?)?, if_match },
        Op::ResourceDelete => match resources::gone(ty.compiled.decl.mirror, query.one("source_version"))? {
            Some(said) => Operation::Mirror { ty, id, said, if_match },
            None => Operation::Delete { ty, id, if_match },
        },
        _ => {
            let input = raw.body.map(|it| json::parse_value(it.as_bytes())).transpose()?;
            Operation::Transition { ty, id, name: params.get(1).cloned().unwrap_or_default(), input, if_match }
        }
    })
}

fn possible(route: &Route, at: usize) -> Result<(), Failure> {
    match route.op {
        Op::ResourceCreate | Op::ResourcePut | Op::ResourcePatch | Op::ResourceDelete | Op::ResourceTransition | Op::EventPublish => Ok(()),
        _ => {
            let detail = format!(
                "`{} {}` can't be an operation of a batch. It takes writes of resources, transitions, and `POST /v1/events`; send this one alone.",
                route.method, route.path
            );
            Err(sentences::fields_refused(vec![fields::invalid(&format!("/operations/{at}/path"), &detail)]).into())
        }
    }
}

/// What it would be told alone, at its place.
fn refused(failure: Failure, known: &Asked, at: usize) -> Failure {
    let problem = errors::problem(failure, known);
    let own = format!("/operations/{at}/");
    if problem.errors.iter().any(|it| it.pointer.as_ref().is_some_and(|it| it.starts_with(&own))) {
        // It is about the operation itself, and says where.
        return problem.into();
    }
    problem.of_operation(at).into()
}

fn answer(made: &BatchWritten, many: &[bool]) -> Answer {
    let answers: Vec<(Answer, bool)> = made
        .results
        .iter()
        .zip(many)
        .map(|(it, many)| match it {
            Made::Resource(written) => (resources::written(written), written.applied),
            Made::Events(published) => (events::published(published, *many), true),
        })
        .collect();
    let results = answers.iter().map(|(it, applied)| OperationResult {
        status: it.status.as_u16(),
        etag: it.headers.iter().find(|(name, _)| *name == header::ETAG).and_then(|(_, value)| value.to_str().ok()),
        applied: *applied,
        body: &it.body,
    });
    Answer::json(StatusCode::OK, results_bytes(results)).wrote(made.event, &made.position)
}
