//! `/v1/types`: a list says what each type has; one of them is answered as it was declared.

use crate::http::{answer::Answer, call::Call, failure::Failure};
use http::StatusCode;
use ringback_model::{TypeName, names::excerpt};
use ringback_service::{Error, ServedType, TypeWritten, json};
use ringback_wire::{TypeView, list::List};
use std::sync::Arc;

/// `GET /v1/types`: in order of name.
pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let page = call.service().types_page(&call.ctx, call.query.limit()?, call.query.one("after"))?;
    let data = page.items.iter().map(|it| TypeView::of(&it.compiled.decl, it.from_file)).collect();
    Ok(Answer::view(StatusCode::OK, &List { data, next_cursor: page.next_cursor }))
}

/// `GET /v1/types/{name}`.
pub(crate) fn get(call: &Call) -> Result<Answer, Failure> {
    let found = visible(call).ok_or_else(|| Error::NotFound { noun: "type", id: excerpt(call.param(0), 80) })?;
    call.unless_known(found.version, || shown(StatusCode::OK, &found))
}

/// `PUT /v1/types/{name}`: makes or replaces it.
pub(crate) async fn put(mut call: Call) -> Result<Answer, Failure> {
    let name = TypeName::parse(call.param(0)).map_err(|it| Failure::parameter("name", &it.text, it.rule))?;
    let if_match = call.if_match()?;
    let source = json::parse_value(call.json(false, r#"{"type":"order","lifecycle":"created -> paid -> shipped"}"#)?)?;
    let (write, finish) = call.write(|made: &TypeWritten| match &made.served {
        None => Answer::empty(StatusCode::NO_CONTENT),
        Some(it) if made.created => {
            shown(StatusCode::CREATED, it).etag(it.version).location(&format!("/v1/types/{}", it.compiled.decl.name))
        }
        Some(it) => shown(StatusCode::OK, it).etag(it.version),
    });
    let result = call.service().put_type(&call.ctx, name, source, if_match, write).await;
    finish(result.map_err(|it| with_current(&call, it))?)
}

/// `DELETE /v1/types/{name}`.
pub(crate) async fn delete(mut call: Call) -> Result<Answer, Failure> {
    let name: TypeName = call.id(0, "type")?;
    let if_match = call.if_match()?;
    let (write, finish) = call.write(|_: &TypeWritten| Answer::empty(StatusCode::NO_CONTENT));
    let result = call.service().delete_type(&call.ctx, &name, if_match, write).await;
    finish(result.map_err(|it| with_current(&call, it))?)
}

/// The type that the path names, if the caller may read its resources.
fn visible(call: &Call) -> Option<Arc<ServedType>> {
    let found = call.service().types().by_name(call.param(0))?;
    call.ctx.authority().covers(found.compiled.decl.access.read).then_some(found)
}

fn with_current(call: &Call, error: Error) -> Error {
    match (error, visible(call)) {
        (Error::PreconditionFailed { current, body: None }, Some(it)) => {
            Error::PreconditionFailed { current, body: Some(shown(StatusCode::OK, &it).body) }
        }
        (other, _) => other,
    }
}

fn shown(status: StatusCode, it: &ServedType) -> Answer {
    Answer::view(status, &it.compiled.decl.source)
}
