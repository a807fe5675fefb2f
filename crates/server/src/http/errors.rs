//! From a failure to its problem document: one exhaustive match, so that a new
//! refusal of the service has to be given a sentence before it compiles.
//!
//! What a tenant may learn is less than what an operator may: where that
//! differs, the caller's authority decides here.
//!
//! Not here: the sentences themselves (`ringback_wire::sentences`).

use super::{answer::Answer, failure::Failure};
use crate::routes::Op;
use http::{HeaderValue, StatusCode, header};
use ringback_model::{TenantId, key::Authority, limits};
use ringback_service::{
    Error, FilterError, Needs, ServedType, TicketProblem, WhyNot, lifecycle::Refusal, lifecycle::Violation, list::ListProblem,
};
use ringback_wire::{
    ErrorCode, FieldProblem, Problem,
    sentences::{self, fields},
};
use serde_json::Value;
use std::sync::Arc;

/// What is known of a request when it fails.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Who is not known is told least.
    pub(crate) authority: Authority,
    /// What was asked for, as far as that was found out.
    pub(crate) op: Option<Op>,
    /// The type whose path it is.
    pub(crate) ty: Option<Arc<ServedType>>,
    /// The first parameter of the route: an id.
    pub(crate) id: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self { authority: Authority::Tenant, op: None, ty: None, id: String::new() }
    }
}

impl Asked {
    /// What kind of thing it is about, in a sentence.
    fn noun(&self) -> &str {
        match self.op {
            Some(
                Op::SubscriptionGet
                | Op::SubscriptionPut
                | Op::SubscriptionPatch
                | Op::SubscriptionDelete
                | Op::SubscriptionSeek
                | Op::SubscriptionRotateSecret,
            ) => "subscription",
            Some(Op::TypeGet | Op::TypePut | Op::TypeDelete) => "type",
            Some(Op::TenantGet | Op::TenantPut) => "tenant",
            _ => self.type_name(),
        }
    }

    fn type_name(&self) -> &str {
        self.ty.as_ref().map_or("resource", |it| it.compiled.decl.name.as_str())
    }
}

/// The answer of a failure.
pub(crate) fn answer(failure: Failure, asked: &Asked, request_id: &str) -> Answer {
    let allow = match &failure {
        Failure::OtherMethods { allow, .. } => Some(allowed(allow).join(", ")),
        _ => None,
    };
    if let Failure::Service(Error::Internal(why)) = &failure {
        tracing::error!(request_id, why, "request {request_id} failed by a fault of ours: {why}");
    }
    let problem = problem(failure, asked).of_request(request_id);
    let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Answer::empty(status).with(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    answer.body = problem.to_json().into();
    if let Some(allow) = allow {
        answer = answer.with(header::ALLOW, allow);
    }
    if problem.code == ErrorCode::Unauthenticated {
        answer = answer.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ringback\""));
    }
    if let Some(secs) = problem.retry_after_secs {
        answer = answer.with(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    answer
}

/// Why a stream ends: a code, and its sentence.
pub(crate) fn bye(error: Error, asked: &Asked) -> (&'static str, String) {
    if let Error::Internal(why) = &error {
        tracing::error!(why, "a stream failed by a fault of ours: {why}");
    }
    let problem = match error {
        Error::Draining => sentences::stream_draining(),
        Error::Overloaded => sentences::answers_unread(),
        other => service_problem(other, asked),
    };
    (problem.code.as_str(), problem.detail)
}

pub(super) fn problem(failure: Failure, asked: &Asked) -> Problem {
    match failure {
        Failure::Service(error) => service_problem(error, asked),
        Failure::Body(problem) => *problem,
        Failure::NoSuchRoute { path, suggestion } => sentences::no_route(&path, suggestion.as_deref()),
        Failure::NoSuchTransition { ty, name } => {
            let known: Vec<_> = ty.compiled.decl.lifecycle.transitions.iter().map(|it| it.name.as_str()).collect();
            sentences::transition_unknown(ty.compiled.decl.name.as_str(), &name, &known)
        }
        Failure::OtherMethods { method, allow } => sentences::method_not_allowed(&method, &allowed(&allow)),
        Failure::NotAcceptable => sentences::not_acceptable(&["application/json"]),
        Failure::AnswersUnread => sentences::answers_unread(),
        Failure::TicketNeedsStream => sentences::ticket_needs_stream(),
        Failure::UriTooLong => sentences::uri_too_long(),
        Failure::HeadersTooLarge => sentences::headers_too_large(),
        Failure::BodyTooLarge => sentences::payload_too_large(limits::BODY_BYTES_MAX),
        Failure::BodyTooSlow { secs } => sentences::request_timeout(secs),
        Failure::NoHost => sentences::no_host(),
        Failure::BodyBroken => sentences::body_broken(),
        Failure::UnsupportedMediaType { given, patch } => {
            let json = ["application/json", "application/merge-patch+json"];
            let expected = if patch { &json[..] } else { &json[..1] };
            sentences::unsupported_media_type(given.as_deref().unwrap_or("a body without a content type"), expected)
        }
        Failure::Malformed(it) => sentences::malformed_json(it.line, it.column, &it.reason.to_string()),
        Failure::UnknownParameter { name, allowed } => sentences::unknown_parameter(&name, allowed),
        Failure::ParameterTwice { name } => sentences::parameter_twice(&name),
        Failure::Parameter { name, given, expected } => sentences::bad_parameter(&name, &given, &expected),
        Failure::IdempotencyKeyMalformed => sentences::idempotency_key_malformed(),
    }
}

fn filter_refused(error: &FilterError, pointer: Option<&str>) -> Problem {
    let code = match error {
        FilterError::Syntax { .. } => ErrorCode::FilterSyntax,
        FilterError::Ambiguous { .. } => ErrorCode::FilterAmbiguous,
        FilterError::Invalid { .. } => ErrorCode::FilterInvalid,
    };
    sentences::filter_refused(code, pointer, &sentence(&error.to_string()))
}

fn service_problem(error: Error, asked: &Asked) -> Problem {
    // A position is sent as `after`, but for where a subscription begins.
    let after = if asked.op == Some(Op::SubscriptionCreate) { "from" } else { "after" };
    match error {
        Error::Unauthenticated(WhyNot::NoKey) => sentences::no_key(),
        Error::Unauthenticated(WhyNot::Malformed) => sentences::not_a_key(),
        Error::Unauthenticated(WhyNot::Mistyped) => sentences::key_mistyped(),
        Error::Unauthenticated(WhyNot::Unknown) => sentences::key_unknown(),
        Error::Unauthenticated(WhyNot::Expired) => sentences::key_expired(),
        Error::Unauthenticated(WhyNot::Ticket(TicketProblem::Unreadable)) => sentences::ticket_unreadable(),
        Error::Unauthenticated(WhyNot::Ticket(TicketProblem::Late)) => sentences::ticket_late(),
        Error::Unauthenticated(WhyNot::Ticket(TicketProblem::Elsewhere)) => sentences::ticket_elsewhere(),
        Error::Forbidden(Needs::Scope(scope)) => sentences::scope_missing(scope.as_str()),
        Error::Forbidden(Needs::KeyThatWasAnswered) => sentences::answered_for_another_key(),
        Error::Forbidden(Needs::Operator { what }) => sentences::operator_only(&what),
        Error::TenantRequired { .. } => sentences::tenant_required(),
        Error::TenantUnknown { text } if text != "*" && TenantId::parse(&text).is_err() => sentences::tenant_malformed(&text),
        Error::TenantUnknown { text } => sentences::tenant_unknown(&text),
        Error::StarNotPossible => sentences::one_tenant_required(),
        Error::NotFound { noun, id } => not_found(asked, noun, &id),
        Error::PreconditionFailed { current, body } => precondition_failed(asked, current, body.as_deref()),
        Error::PreconditionRequired { type_name } => sentences::precondition_required(type_name.as_str()),
        Error::Exists { id } => sentences::exists(asked.noun(), &id),
        Error::Mirrored { type_name } => {
            let path = asked.ty.as_ref().map_or_else(|| format!("/{type_name}"), |it| it.compiled.decl.path.clone());
            sentences::mirrored(type_name.as_str(), &path)
        }
        Error::Operation { at, error } => service_problem(*error, asked).of_operation(at),
        Error::Lifecycle { id, refusal } => refused(asked, id.as_str(), refusal),
        Error::AlreadyExists { noun, id, deleted: _ } => {
            sentences::already_exists(if noun == "resource" { asked.type_name() } else { noun }, &id)
        }
        Error::EventKeyTaken { key, by } => sentences::event_key_taken(&key, &by.to_string()),
        Error::TypeOwned { event_type, owner } => sentences::type_owned(event_type.as_str(), &owner),
        Error::ManagedByFile { name } => sentences::managed_by_file(name.as_str()),
        Error::TypeProblems(all) => sentences::fields_refused(all.iter().map(|it| type_problem(&it.pointer, &it.reason)).collect()),
        Error::SchemaIncompatible { name, count, why } => sentences::schema_incompatible(name.as_str(), count, &why),
        Error::EventInvalid { index, event_type, violations } => {
            let at = index.map_or_else(|| "/data".to_owned(), |it| format!("/{it}/data"));
            let places = violations.iter().map(|it| violation(&Violation { pointer: format!("{at}{}", it.pointer), ..it.clone() }));
            let mut problem = sentences::fields_refused(places.collect());
            problem.detail.push_str(&format!(" `GET /v1/event-types` shows what a `{event_type}` holds."));
            problem
        }
        Error::TypeInUse { name, count } => sentences::in_use("type", name.as_str(), &format!("resources of it are stored ({count})")),
        Error::List(ListProblem::Parameter { parameter, detail }) => sentences::parameter_refused(&parameter, &sentence(&detail)),
        Error::List(ListProblem::Filter(error)) => filter_refused(&error, None),
        Error::Filter { pointer, error } => filter_refused(&error, pointer),
        Error::QueryTooExpensive { missing_index, scanned: _, filling } => {
            let fields: Vec<_> = missing_index.trim_matches(['[', ']']).split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
            if filling {
                sentences::index_being_filled(asked.type_name(), &fields)
            } else {
                sentences::query_too_expensive(asked.type_name(), &fields)
            }
        }
        Error::Parameter { parameter, detail } => sentences::parameter_refused(parameter, &sentence(&detail)),
        Error::Field { pointer, detail } => sentences::fields_refused(vec![fields::invalid(&pointer, &sentence(&detail))]),
        Error::UnknownEventType { pointer, name, suggestion } => sentences::unknown_event_type(&pointer, &name, suggestion.as_deref()),
        Error::Destination { pointer, refused } => sentences::destination_not_allowed(
            pointer,
            match asked.authority {
                Authority::Operator => &refused.for_operator,
                Authority::Tenant => &refused.for_tenant,
            },
        ),
        Error::CursorMismatch => sentences::cursor_mismatch(after),
        Error::CursorEpoch => sentences::cursor_epoch(after),
        Error::CursorExpired => sentences::cursor_expired(after),
        Error::LogTruncated { oldest } => sentences::log_truncated(&oldest),
        Error::NotActive { id, state } => sentences::subscription_not_active(id.as_str(), state.as_str()),
        Error::NotPulled { id } => sentences::conflict(&format!(
            "Subscription {id} is pushed, so nothing can be pulled from it. `PATCH /v1/subscriptions/{id} {{\"push\":null}}` makes it a pull subscription."
        )),
        Error::LeaseExpired { id } => sentences::lease_expired(id.as_str()),
        Error::Conflict { detail } => sentences::conflict(&detail),
        Error::LimitReached { what, max } => sentences::limit_reached(what, max),
        Error::IdempotencyInProgress => sentences::idempotency_in_progress(),
        Error::IdempotencyKeyReused => sentences::idempotency_key_reused(),
        Error::RateLimited { per_s, retry_after_secs } => sentences::rate_limited(per_s, retry_after_secs),
        Error::TestsLimited { retry_after_secs } => sentences::tests_limited(retry_after_secs),
        Error::TooManyWaiters { max, of_key } => sentences::too_many_waiters(max, of_key),
        Error::TooSlow => sentences::stream_too_slow(limits::STREAM_TAKEN_SECS_MAX),
        Error::Overloaded => sentences::overloaded(),
        Error::Draining => sentences::draining(),
        Error::OutcomeUnknown => sentences::outcome_unknown(),
        Error::StorageFull => sentences::storage_full(),
        Error::Internal(_) => sentences::internal(),
    }
}

/// What the service says is not there: `payment/123`, `123/versions/4`, or a bare id.
fn not_found(asked: &Asked, noun: &str, id: &str) -> Problem {
    match (noun, id.split_once('/')) {
        ("resource", Some((type_name, id))) => sentences::not_found(type_name, id),
        ("version", Some((id, version))) => {
            sentences::version_not_found(asked.type_name(), id, version.strip_prefix("versions/").unwrap_or(version))
        }
        _ => sentences::not_found(noun, id),
    }
}

fn refused(asked: &Asked, id: &str, refusal: Refusal) -> Problem {
    let type_name = asked.type_name();
    match refusal {
        Refusal::Invalid(all) | Refusal::InputInvalid(all) => {
            let mut problem = sentences::fields_refused(all.iter().map(violation).collect());
            problem.detail.push_str(&format!(" `GET /v1/types/{type_name}` shows what a {type_name} may hold."));
            problem
        }
        Refusal::ReadOnly { pointer, detail } => {
            sentences::fields_refused(vec![fields::place(&pointer, "read-only-field", placed(&pointer, &detail))])
        }
        Refusal::NoSuchTransition { requested, .. } => {
            let known = asked.ty.iter().flat_map(|it| &it.compiled.decl.lifecycle.transitions).map(|it| it.name.as_str());
            sentences::transition_unknown(type_name, &requested, &known.collect::<Vec<_>>())
        }
        Refusal::Forbidden { requested, .. } => sentences::transition_forbidden(type_name, requested.as_str()),
        Refusal::NotAllowed { requested, current, from, allowed } => {
            let from: Vec<_> = from.iter().map(|it| it.as_str()).collect();
            let allowed: Vec<_> = allowed.iter().map(|it| it.as_str()).collect();
            sentences::transition_not_allowed(type_name, id, current.as_str(), requested.as_str(), &from, &allowed)
        }
        Refusal::Guard { requested, expression, explanation } => {
            sentences::guard_failed(type_name, id, requested.as_str(), &expression, &explanation)
        }
    }
}

/// In a resource's body the schema decides: even a member too many is its `validation-failed`.
fn violation(it: &Violation) -> FieldProblem {
    let code = if it.code == "required" { "required" } else { "invalid" };
    fields::place(&it.pointer, code, placed(&it.pointer, &it.detail))
}

/// What is wrong, after where.
fn placed(pointer: &str, detail: &str) -> String {
    if pointer.is_empty() { sentence(detail) } else { format!("`{pointer}`: {}", sentence(detail)) }
}

/// Problems of several types beside each other point at a type by its name.
fn type_problem(pointer: &str, reason: &str) -> FieldProblem {
    if pointer.is_empty() || pointer.starts_with('/') {
        fields::invalid(pointer, reason)
    } else {
        fields::invalid("", &format!("{pointer}: {reason}"))
    }
}

fn precondition_failed(asked: &Asked, current: u64, body: Option<&[u8]>) -> Problem {
    if current == 0 {
        return sentences::precondition_on_absence(asked.noun(), &asked.id, false);
    }
    let body = body.and_then(|it| serde_json::from_slice::<Value>(it).ok()).unwrap_or(Value::Null);
    sentences::precondition_failed(asked.noun(), &asked.id, &super::conditional::etag(current), body)
}

/// Ends what another floor said as a sentence.
fn sentence(detail: &str) -> String {
    if detail.ends_with(['.', '?', '!', ')']) { detail.to_owned() } else { format!("{detail}.") }
}

/// As in `Allow`: HEAD is wherever GET is.
fn allowed(methods: &[crate::routes::Method]) -> Vec<&'static str> {
    let mut all = Vec::new();
    for it in methods {
        all.push(it.as_str());
        if *it == crate::routes::Method::Get {
            all.push("HEAD");
        }
    }
    all
}
