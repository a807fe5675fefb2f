//! `/openapi.json` and `/docs`: written when first asked for, and kept until a
//! type changes. They need no key, so they must not cost anything.

use super::{answer::Answer, conditional, failure::Failure};
use crate::{openapi, routes::Op};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ringback_model::key::Authority;
use ringback_service::{KnownTags, Service, Types};
use sha2::{Digest as _, Sha256};
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
    written: Vec<(Op, Authority, Written)>,
}

/// A document, and the ETag that its bytes make.
#[derive(Clone, Debug)]
struct Written {
    body: Bytes,
    tag: String,
}

impl Surface {
    /// The answer of `op`, as a caller with this authority sees it; 304 if he has it.
    pub(crate) fn answer(&self, service: &Service, op: Op, authority: Authority, headers: &HeaderMap) -> Result<Answer, Failure> {
        let Written { body, tag } = self.written(service, op, authority);
        let known = match conditional::known_tags(headers)? {
            None => false,
            Some(KnownTags::Any) => true,
            Some(KnownTags::These(all)) => all.contains(&tag),
        };
        let answer = match op {
            _ if known => Answer::empty(StatusCode::NOT_MODIFIED),
            Op::OpenApi => Answer::json(StatusCode::OK, body),
            _ => {
                let mut page = Answer::empty(StatusCode::OK)
                    .with(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
                    .with(header::CONTENT_SECURITY_POLICY, POLICY);
                page.body = body;
                page
            }
        };
        // What is shown depends on the key, and so does what a cache may show.
        Ok(answer.with(header::ETAG, format!("\"{tag}\"")).with(header::VARY, HeaderValue::from_static("authorization")))
    }

    fn written(&self, service: &Service, op: Op, authority: Authority) -> Written {
        let types = service.types();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|it| !it.types.same(&types)) {
            *kept = None;
        }
        let kept = kept.get_or_insert_with(|| Kept { types, written: Vec::new() });
        if let Some((.., it)) = kept.written.iter().find(|it| (it.0, it.1) == (op, authority)) {
            return it.clone();
        }
        let all = kept.types.list();
        let decls: Vec<_> = all.iter().map(|it| &it.compiled.decl).collect();
        let document = openapi::document(&decls, authority, &service.config().public_url);
        let body: Bytes = if op == Op::OpenApi { document.to_string().into() } else { openapi::page::page(&document).into() };
        let digest = Sha256::digest(&body);
        let tag = digest.get(..15).map(|it| URL_SAFE_NO_PAD.encode(it)).unwrap_or_default();
        let written = Written { body, tag };
        kept.written.push((op, authority, written.clone()));
        written
    }
}
