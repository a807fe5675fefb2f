//! `GET {path}?watch=true`, and `{path}` as a stream: what becomes of a list.

use super::events::query_of;
use crate::http::{answer::Answer, call::Call, failure::Failure};
use futures_util::FutureExt;
use http::StatusCode;
use ringback_service::{Error, FeedQuery, WatchQuery};
use ringback_wire::{list, watch};

/// The parameters of a list that a watch does not have: its items come in the order of the log, and whole.
const NOT_OF_A_WATCH: [&str; 2] = ["fields", "sort"];

/// Whether the list is to be watched.
pub(super) fn asked(call: &Call) -> Result<bool, Failure> {
    match call.query.one("watch") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Failure::parameter("watch", other, "`true` or `false`")),
    }
}

/// What a watch asks for. As a stream, `{path}` is one whatever `watch` says.
pub(super) fn query(call: &Call) -> Result<FeedQuery, Failure> {
    asked(call)?;
    if let Some(parameter) = NOT_OF_A_WATCH.into_iter().find(|it| call.query.one(it).is_some()) {
        let detail = format!("A watch has no `{parameter}`: its items come whole, in the order of the log. Leave it out.");
        return Err(Error::Parameter { parameter, detail }.into());
    }
    let of = WatchQuery {
        type_name: call.ty()?.compiled.decl.name.clone(),
        filter: call.query.one("filter").map(Into::into),
        params: call.query.others(call.route.params.names()),
    };
    Ok(FeedQuery { watch: Some(of), ..query_of(call)? })
}

/// A page of changes, or the next ones once there are any.
pub(super) async fn page(call: Call) -> Result<Answer, Failure> {
    let query = query(&call)?;
    let service = call.service();
    let page = call
        .waiting(query.wait, |wait| {
            let (service, ctx, query) = (&service, &call.ctx, FeedQuery { wait, ..query.clone() });
            async move { service.watch(ctx, query).await }.boxed()
        })
        .await?;
    let items: Vec<_> = page.changes.iter().map(|(change, event)| watch::item(change.as_str(), event.id, &event.image())).collect();
    let rows = items.iter().map(Vec::as_slice);
    Ok(Answer::json(StatusCode::OK, list::feed_bytes(rows, &page.cursor, page.has_more, page.lag)))
}
