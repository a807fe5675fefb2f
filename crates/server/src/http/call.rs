//! One request whose route, caller and tenant are known: what handlers are given.

use super::{
    answer::{Answer, REPLAYED},
    conditional, extract,
    failure::Failure,
    query::Query,
    server::{Server, announced},
};
use crate::routes::Route;
use bytes::Bytes;
use core::{str::FromStr, time::Duration};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use ringback_service::{Ctx, Error, IfMatch, Outcome, Permit, ServedType, Service, Write, json};
use ringback_wire::{
    dry_run::dry_run_bytes,
    read::{Object, Problems, Shape},
    sentences,
};
use serde_json::Value;
use std::sync::Arc;

/// One request, ready to be handled.
pub(crate) struct Call {
    pub(crate) server: Server,
    pub(crate) route: &'static Route,
    pub(crate) ctx: Ctx,
    /// The values of the route's parameters, in order.
    pub(crate) params: Vec<String>,
    /// The type whose declared path this is.
    pub(crate) ty: Option<Arc<ServedType>>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it is only to be tried: then nothing is stored.
    pub(crate) dry: bool,
    /// What the ids of a stream end with, if a ticket opened it.
    pub(crate) tag: String,
    /// Held while a request with an Idempotency-Key runs.
    pub(crate) permit: Option<Permit>,
}

impl Call {
    pub(crate) fn service(&self) -> Service {
        self.server.service().clone()
    }

    /// The type of a declared path.
    pub(crate) fn ty(&self) -> Result<Arc<ServedType>, Failure> {
        self.ty.clone().ok_or_else(|| Error::Internal(format!("{} was routed without a type", self.route.path)).into())
    }

    /// A parameter of the route as text.
    pub(crate) fn param(&self, at: usize) -> &str {
        self.params.get(at).map_or("", String::as_str)
    }

    /// A parameter of the route as an id. What is no id of this kind names nothing.
    pub(crate) fn id<T: FromStr>(&self, at: usize, noun: &'static str) -> Result<T, Failure> {
        let text = self.param(at);
        text.parse().map_err(|_| Error::NotFound { noun, id: ringback_model::names::excerpt(text, 80) }.into())
    }

    pub(crate) fn if_match(&self) -> Result<IfMatch, Failure> {
        conditional::if_match(&self.headers)
    }

    /// 304 if the caller has this version already, else the answer with its ETag.
    pub(crate) fn unless_known(&self, version: u64, answer: impl FnOnce() -> Answer) -> Result<Answer, Failure> {
        let known = conditional::if_none_match(&self.headers)?;
        Ok(if known.is_some_and(|it| it.matches(version)) { Answer::empty(StatusCode::NOT_MODIFIED) } else { answer() }.etag(version))
    }

    /// The body of a route that needs JSON; a merge patch may say that it is one.
    /// Who sends none is shown the example.
    pub(crate) fn json(&self, patch: bool, example: &str) -> Result<&Bytes, Failure> {
        if self.bodiless() {
            return Err(sentences::body_missing(example).into());
        }
        extract::is_json(&self.headers, &self.body, patch)?;
        Ok(&self.body)
    }

    /// The body of a route that can do without one.
    pub(crate) fn json_if_any(&self) -> Result<Option<Value>, Failure> {
        if self.bodiless() {
            return Ok(None);
        }
        extract::is_json(&self.headers, &self.body, false)?;
        Ok(Some(json::parse_value(&self.body)?))
    }

    /// Whether there is no body: white space is none.
    pub(crate) fn bodiless(&self) -> bool {
        self.body.iter().all(u8::is_ascii_whitespace)
    }

    /// Refuses a body with anything in it, on a route that reads none.
    pub(crate) fn no_body(&self) -> Result<(), Failure> {
        const EMPTY: Shape = Shape { members: &[], read_only: &[], paths: &[] };
        let Some(body) = self.json_if_any()? else { return Ok(()) };
        let mut problems = Problems::new();
        let read = Object::open(&body, "", &EMPTY, &mut problems);
        problems.finish(read)?;
        Ok(())
    }

    /// What a write is given, and what makes the answer of its outcome: the same
    /// function answers now and makes the bytes that a replay is answered from.
    pub(crate) fn write<T: 'static, A>(&mut self, answer: A) -> (Write<T>, impl FnOnce(Outcome<T>) -> Result<Answer, Failure> + use<T, A>)
    where
        A: Fn(&T) -> Answer + Clone + Send + Sync + 'static,
    {
        let write = match self.permit.take() {
            _ if self.dry => Write::dry(),
            None => Write::plain(),
            Some(permit) => {
                let answer = answer.clone();
                Write::recorded(permit, move |made| answer(made).encode())
            }
        };
        let finish = move |outcome| match outcome {
            Outcome::Fresh(made) => Ok(answer(&made)),
            Outcome::Replayed(bytes) => replayed(&bytes),
            Outcome::Dry(it) => {
                let events = it.events.iter().map(|it| it.as_ref());
                Ok(Answer::json(StatusCode::OK, dry_run_bytes(it.resource.as_deref(), events)))
            }
        };
        (write, finish)
    }

    /// Asks with a wait that also ends when the server does: then once more, without waiting.
    pub(crate) async fn waiting<'a, T>(
        &self,
        wait: Duration,
        ask: impl Fn(Duration) -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Failure> {
        if wait.is_zero() {
            return Ok(ask(wait).await?);
        }
        let mut draining = self.server.draining();
        let answer = tokio::select! {
            biased;
            answer = ask(wait) => answer,
            () = announced(&mut draining) => ask(Duration::ZERO).await,
        }?;
        self.server.service().still(&self.ctx.caller)?;
        Ok(answer)
    }
}

/// The answer that was kept under an Idempotency-Key.
pub(crate) fn replayed(bytes: &[u8]) -> Result<Answer, Failure> {
    match Answer::decode(bytes) {
        Some(answer) => Ok(answer.with(REPLAYED, HeaderValue::from_static("true"))),
        None => Err(Error::Internal("a kept answer does not read".into()).into()),
    }
}
