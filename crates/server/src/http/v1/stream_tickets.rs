//! `/v1/stream-tickets`.

use super::stream_query;
use crate::{
    http::{
        answer::Answer,
        call::Call,
        failure::Failure,
        query::{Query, normal_path, pairs},
    },
    routes::Method,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ringback_service::json;
use ringback_wire::{NewTicket, TicketView, sentences, sentences::fields};

/// `POST /v1/stream-tickets`: everything that could be wrong with the stream is said
/// here, because an `EventSource` cannot read why it was refused.
pub(crate) async fn create(call: Call) -> Result<Answer, Failure> {
    let wanted = NewTicket::read(&json::parse_value(call.json(false, r#"{"url":"/v1/events?types=payment.*"}"#)?)?)?;
    let service = call.service();
    let public_url = service.config().public_url.clone();
    let url = wanted.url.strip_prefix(public_url.as_str()).unwrap_or(&wanted.url);
    let refused = |detail: &str| Failure::from(sentences::fields_refused(vec![fields::invalid("/url", detail)]));
    if !url.starts_with('/') || url.contains(['#', ' ']) || !url.is_ascii() {
        return Err(refused("`url` should be path and query of a stream, such as `/v1/events?types=payment.*`."));
    }
    let (path, raw) = url.split_once('?').map_or((url, None), |(path, raw)| (path, Some(raw)));
    let path = normal_path(path);
    let (route, params, ty) = call.server.route(call.ctx.authority(), &http::Method::GET, Some(Method::Get), &path)?;
    if !route.op.streams() {
        return Err(refused("`url` is no stream: a ticket opens `/v1/events`, the events of one resource, or a list of resources."));
    }
    let ctx = call.server.ctx_of(call.ctx.caller.clone(), route, Some(call.ctx.tenant_text()))?;
    let query = Query::read(raw, route.params)?;
    let headers = HeaderMap::new();
    let target = Call {
        server: call.server.clone(),
        route,
        ctx,
        params,
        ty,
        query,
        headers,
        body: Bytes::new(),
        dry: false,
        tag: String::new(),
        permit: None,
    };
    let feed = stream_query(&target).await?;
    service.check_stream(&target.ctx, &feed).await?;
    let query: Vec<_> = pairs(raw).unwrap_or_default();
    let made = service.make_ticket(&target.ctx, &path, &query)?;
    let raw = raw.unwrap_or_default().split('&').filter(|it| !it.is_empty() && !it.starts_with("ticket="));
    let ticket = format!("ticket={}", made.ticket);
    let query = raw.chain([ticket.as_str()]).collect::<Vec<_>>().join("&");
    let view = TicketView { url: format!("{public_url}{path}?{query}"), ticket: made.ticket, expires_at: made.use_by.to_string() };
    Ok(Answer::view(StatusCode::CREATED, &view).secret())
}
