//! `/openapi.json` and `/docs`: written when first asked for, and kept until a
//! type changes. They need no key, so they must not cost anything.

use super::answer::Answer;
use crate::{openapi, routes::Op};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use ringback_model::key::Authority;
use ringback_service::{Service, Types};
use std::sync::{Mutex, PoisonError};

/// Nothing is loaded, nothing runs, nobody frames it; its own style sheet is inside.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

/// What was written for one set of types.
#[derive(Debug, Default)]
pub(crate) struct Surface(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    types: Types,
    written: Vec<(Op, Authority, Bytes)>,
}

impl Surface {
    /// The answer of `op`, as a caller with this authority sees it.
    pub(crate) fn answer(&self, service: &Service, op: Op, authority: Authority) -> Answer {
        let body = self.body(service, op, authority);
        if op == Op::OpenApi {
            return Answer::json(StatusCode::OK, body);
        }
        let mut answer = Answer::empty(StatusCode::OK)
            .with(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with(header::CONTENT_SECURITY_POLICY, POLICY);
        answer.body = body;
        answer
    }

    fn body(&self, service: &Service, op: Op, authority: Authority) -> Bytes {
        let types = service.types();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|it| !it.types.same(&types)) {
            *kept = None;
        }
        let kept = kept.get_or_insert_with(|| Kept { types, written: Vec::new() });
        if let Some((.., body)) = kept.written.iter().find(|it| (it.0, it.1) == (op, authority)) {
            return body.clone();
        }
        let all = kept.types.list();
        let decls: Vec<_> = all.iter().map(|it| &it.compiled.decl).collect();
        let document = openapi::document(&decls, authority, &service.config().public_url);
        let body: Bytes = if op == Op::OpenApi { document.to_string().into() } else { openapi::page::page(&document).into() };
        kept.written.push((op, authority, body.clone()));
        body
    }
}
