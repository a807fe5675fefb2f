//! `{path}` and what is below it, but for status and events.

use crate::http::{
    answer::{APPLIED, Answer},
    call::Call,
    conditional,
    failure::Failure,
};
use core::time::Duration;
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, header};
use ringback_model::{ResourceId, limits, names::excerpt};
use ringback_service::{Before, Error, ListQuery, Listing, ResourcePage, ResourceView, Said, Written, json};
use ringback_wire::{list, sentences};
use serde_json::{Map, Value};

/// `GET {path}`: newest first, with conditions on fields; also once it differs from what the caller has.
pub(crate) async fn list(call: Call) -> Result<Answer, Failure> {
    let (service, ty) = (call.service(), call.ty()?);
    let params = call.query.others(call.route.params.names());
    let query = ListQuery {
        filter: call.query.one("filter"),
        params: &params,
        sort: call.query.one("sort"),
        fields: call.query.one("fields"),
        limit: call.query.limit()?,
        after: call.query.one("after"),
    };
    let known = conditional::known_tags(&call.headers)?;
    let wait = call.query.wait(&call.headers)?;
    // Without a condition there is nothing to wait for.
    let wait = if known.is_some() { wait } else { Duration::ZERO };
    let listing = call
        .waiting(wait, |wait| {
            let (service, ctx, ty, known) = (&service, &call.ctx, &ty, known.as_ref());
            async move { service.list_unless_known(ctx, ty, query, known, wait).await }.boxed()
        })
        .await?;
    let (answer, tag) = match listing {
        Listing::Page { page, tag } => {
            let rows = page.rows.iter().map(|it| it.as_ref());
            (Answer::json(StatusCode::OK, list::watchable_bytes(rows, page.next_cursor.as_deref(), &page.watch_cursor)), tag)
        }
        Listing::Known(tag) => (Answer::empty(StatusCode::NOT_MODIFIED), tag),
    };
    Ok(answer.with(header::ETAG, conditional::weak_etag(tag)))
}

/// `POST {path}`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Failure> {
    let ty = call.ty()?;
    let example = ty.compiled.decl.examples.first().map_or_else(|| "{}".to_owned(), Value::to_string);
    let body = members(call.json(false, &example)?)?;
    let absent = conditional::if_absent(&call.headers)?;
    let path = ty.compiled.decl.path.clone();
    let (write, finish) = call.write(move |made: &Written| written(made).location(&format!("{path}/{}", made.id)));
    finish(if absent {
        call.service().create_resource_if_absent(&call.ctx, &ty, body, write).await?
    } else {
        call.service().create_resource(&call.ctx, &ty, body, write).await?
    })
}

/// `PUT {path}/{id}`: what the source of a mirrored resource says.
pub(crate) async fn put(mut call: Call) -> Result<Answer, Failure> {
    let (ty, id) = (call.ty()?, id(&call)?);
    let before = Before { if_match: call.if_match()?, absent: conditional::if_absent(&call.headers)? };
    let example = ty.compiled.decl.examples.first().map_or_else(|| "{\"source_version\":1,\"status\":\"…\"}".to_owned(), Value::to_string);
    let said = Said::Is(members(call.json(false, &example)?)?);
    let at = format!("{}/{id}", ty.compiled.decl.path);
    let (write, finish) = call.write(move |made: &Written| if made.created { written(made).location(&at) } else { written(made) });
    finish(call.service().mirror(&call.ctx, &ty, &id, said, before, write).await?)
}

/// The members of a resource's body.
pub(super) fn members(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    match json::parse_value(body)? {
        Value::Object(members) => Ok(members),
        _ => Err(Error::Field { pointer: String::new(), detail: "A resource is a JSON object.".into() }.into()),
    }
}

/// `GET {path}/{id}`, also once it differs from what the caller has.
pub(crate) async fn get(call: Call) -> Result<Answer, Failure> {
    let (service, ty, id) = (call.service(), call.ty()?, id(&call)?);
    let Some(known) = conditional::if_none_match(&call.headers)? else {
        // Without a condition there is nothing to wait for.
        call.query.wait(&call.headers)?;
        return Ok(shown(&service.resource(&call.ctx, &ty, &id).await?));
    };
    let wait = call.query.wait(&call.headers)?;
    let view = call
        .waiting(wait, |wait| {
            let (service, ctx, ty, id, known) = (&service, &call.ctx, &ty, &id, &known);
            async move { service.resource_wait(ctx, ty, id, known, wait).await }.boxed()
        })
        .await?;
    match view {
        Some(view) => Ok(shown(&view)),
        // Without a version in it, a 304 still names the one that the caller has.
        None => Ok(conditional::not_modified(&known)),
    }
}

/// `PATCH {path}/{id}`: a merge patch.
pub(crate) async fn patch(mut call: Call) -> Result<Answer, Failure> {
    let (ty, id, if_match) = (call.ty()?, id(&call)?, call.if_match()?);
    let patch = json::parse_value(call.json(true, "{\"field\":\"its new value\"}")?)?;
    let (write, finish) = call.write(written);
    finish(call.service().patch_resource(&call.ctx, &ty, &id, patch, if_match, write).await?)
}

/// `DELETE {path}/{id}`.
pub(crate) async fn delete(mut call: Call) -> Result<Answer, Failure> {
    let (ty, id, if_match) = (call.ty()?, id(&call)?, call.if_match()?);
    let gone = gone(ty.compiled.decl.mirror, call.query.one("source_version"))?;
    let (write, finish) = call.write(written);
    if let Some(said) = gone {
        let before = Before { if_match, absent: false };
        return finish(call.service().mirror(&call.ctx, &ty, &id, said, before, write).await?);
    }
    finish(call.service().delete_resource(&call.ctx, &ty, &id, if_match, write).await?)
}

/// What the DELETE of a mirrored resource says: as which change of its source it is gone.
pub(super) fn gone(mirror: bool, source_version: Option<&str>) -> Result<Option<Said>, Failure> {
    const NAME: &str = "source_version";
    let number = |text: &str| text.parse().ok().filter(|it: &u64| *it <= limits::SOURCE_VERSION_MAX && it.to_string() == text);
    match (mirror, source_version) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(sentences::parameter_refused(NAME, "Only mirrored types have a `source_version`. Leave it out.").into()),
        (true, None) => Err(sentences::parameter_refused(
            NAME,
            "The type is mirrored, so its source says as which change the row is gone: add `?source_version=<number>`, above that of the row's last PUT.",
        )
        .into()),
        (true, Some(text)) => {
            let number = number(text).ok_or_else(|| Failure::parameter(NAME, text, format!("a whole number from 0 to {}", limits::SOURCE_VERSION_MAX)))?;
            Ok(Some(Said::Gone(number)))
        }
    }
}

/// `POST {path}/{id}/{transition}`: no body is no input.
pub(crate) async fn transition(mut call: Call) -> Result<Answer, Failure> {
    let (ty, id, if_match) = (call.ty()?, id(&call)?, call.if_match()?);
    let input = call.json_if_any()?;
    let name = call.param(1).to_owned();
    let (write, finish) = call.write(written);
    finish(call.service().transition(&call.ctx, &ty, &id, &name, input, if_match, write).await?)
}

/// `GET {path}/{id}/versions`: the first one first.
pub(crate) async fn versions(call: Call) -> Result<Answer, Failure> {
    let page = call.service().resource_versions(&call.ctx, &*call.ty()?, &id(&call)?, call.query.limit()?, call.query.one("after")).await?;
    Ok(rows(&page))
}

/// `GET {path}/{id}/versions/{n}`.
pub(crate) async fn version(call: Call) -> Result<Answer, Failure> {
    let (ty, id) = (call.ty()?, id(&call)?);
    let text = call.param(1);
    let n = text.parse::<u64>().ok().filter(|it| it.to_string() == text);
    let n = n.ok_or_else(|| Error::NotFound { noun: "version", id: format!("{id}/versions/{}", excerpt(text, 40)) })?;
    let body = call.service().resource_version(&call.ctx, &ty, &id, n).await?;
    Ok(Answer::json(StatusCode::OK, body).etag(n))
}

/// The id of a declared path. What is no id names no resource.
pub(super) fn id(call: &Call) -> Result<ResourceId, Failure> {
    let text = call.param(0);
    let name = call.ty()?.compiled.decl.name.clone();
    ResourceId::parse(text).map_err(|_| Error::NotFound { noun: "resource", id: format!("{name}/{}", excerpt(text, 128)) }.into())
}

fn shown(view: &ResourceView) -> Answer {
    Answer::json(StatusCode::OK, view.body.clone()).etag(view.version)
}

pub(super) fn written(made: &Written) -> Answer {
    let answer = if made.deleted {
        Answer::empty(StatusCode::NO_CONTENT)
    } else {
        let status = if made.created { StatusCode::CREATED } else { StatusCode::OK };
        Answer::json(status, made.body.clone()).etag(made.version)
    };
    let answer = answer.wrote(made.event, &made.position);
    if made.applied { answer } else { answer.with(APPLIED, HeaderValue::from_static("false")) }
}

fn rows(page: &ResourcePage) -> Answer {
    let rows = page.rows.iter().map(|it| it.as_ref());
    Answer::json(StatusCode::OK, list::list_bytes(rows, page.next_cursor.as_deref()))
}
