//! Every text that a caller is told when something is refused or fails: one table.
//!
//! Each function is one sentence with its parameters, and makes the whole
//! problem of it, code and further members included. A sentence says what is
//! wrong *and what to do next*. `sentences.txt` shows all of them, rendered; a
//! test keeps it true and complete. Programs match on codes: sentences may be
//! improved at any time.
//!
//! `fields` has the sentences about single places of a body.
//!
//! What a tenant may learn is less than what an operator may: where it differs,
//! the caller chooses what to pass (see `destination_not_allowed`).

pub mod fields;

use crate::{ErrorCode, FieldProblem, Problem, suggest::suggest};
use ringback_model::{limits, names::excerpt};
use serde_json::Value;

/// Characters of what was sent that a sentence repeats at most.
const EXCERPT_CHARS_MAX: usize = 80;

fn shown(text: &str) -> String {
    excerpt(text, EXCERPT_CHARS_MAX).chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |it| format!(" Did you mean `{it}`?"))
}

// ---- 400

/// The body is not JSON that we take.
#[must_use]
pub fn malformed_json(line: usize, column: usize, reason: &str) -> Problem {
    Problem::new(ErrorCode::MalformedJson, format!("The body is not JSON: line {line}, column {column}: {reason}."))
}

/// A body that ended before its announced end.
#[must_use]
pub fn body_broken() -> Problem {
    Problem::new(ErrorCode::MalformedJson, "The body broke off before its end. Send it again.")
}

/// A body where one is needed, and nothing was sent.
#[must_use]
pub fn body_missing(example: &str) -> Problem {
    Problem::new(ErrorCode::MalformedJson, format!("No body was sent. Send JSON such as `{example}`."))
}

/// A query parameter or header that cannot be read; `expected` completes "should be …".
#[must_use]
pub fn bad_parameter(name: &str, given: &str, expected: &str) -> Problem {
    parameter(name, "invalid", format!("`{name}` should be {expected}, and is `{}`.", shown(given)))
}

/// A query parameter or header that breaks a rule which `sentence` states whole.
#[must_use]
pub fn parameter_refused(name: &str, sentence: &str) -> Problem {
    parameter(name, "invalid", sentence.to_owned())
}

/// A filter that is refused at a place of its own; `pointer` when it stands in a body, not in the query.
#[must_use]
pub fn filter_refused(code: ErrorCode, pointer: Option<&str>, sentence: &str) -> Problem {
    let error = match pointer {
        Some(pointer) => fields::invalid(pointer, sentence),
        None => fields::parameter("filter", "invalid", sentence.to_owned()),
    };
    Problem::new(code, format!("The filter is refused {sentence}")).with_error(error)
}

/// A query parameter that the route does not have.
#[must_use]
pub fn unknown_parameter(name: &str, known: &[&str]) -> Problem {
    let have = if known.is_empty() { " It takes none.".into() } else { format!(" It takes: {}.", listed(known)) };
    let name = shown(name);
    parameter(
        &name,
        "unknown-parameter",
        format!("This route has no parameter `{name}`.{}{have}", did_you_mean(suggest(&name, known.iter().copied()))),
    )
}

/// A query parameter or header that may be given once.
#[must_use]
pub fn parameter_twice(name: &str) -> Problem {
    parameter(name, "repeated", format!("`{name}` was sent twice. Send it once."))
}

/// Two parameters that exclude each other.
#[must_use]
pub fn parameters_exclude(one: &str, other: &str) -> Problem {
    parameter(one, "invalid", format!("`{one}` and `{other}` can't be used together. Leave one out."))
}

/// An `Idempotency-Key` that is no key.
#[must_use]
pub fn idempotency_key_malformed() -> Problem {
    parameter(
        "Idempotency-Key",
        "invalid",
        format!(
            "`Idempotency-Key` should be 1 to {} printable ASCII characters. A new UUID for each new request is a good one.",
            limits::IDEMPOTENCY_KEY_BYTES_MAX
        ),
    )
}

/// A cursor or position that is none of ours, or another tenant's: deliberately the same sentence.
#[must_use]
pub fn cursor_unreadable(name: &str) -> Problem {
    parameter(
        name,
        "invalid",
        format!(
            "`{name}` is not a cursor of this tenant. Send one exactly as an answer gave it; feeds also take `start`, `now`, an event id or an RFC 3339 time."
        ),
    )
}

/// A cursor that was made under another filter, sort or route.
#[must_use]
pub fn cursor_mismatch(name: &str) -> Problem {
    let detail = format!(
        "`{name}` is a cursor of another request. Repeat the request that gave it, filter and order unchanged, or leave `{name}` out to begin anew."
    );
    let error = fields::parameter(name, "invalid", detail.clone());
    Problem::new(ErrorCode::CursorMismatch, detail).with_error(error)
}

/// The request must say whose it is.
#[must_use]
pub fn tenant_required() -> Problem {
    Problem::new(
        ErrorCode::TenantRequired,
        "This server has several tenants. Name one: `Ringback-Tenant: acme`; `GET /v1/tenants` lists them to operators.",
    )
}

/// `*` where one tenant is needed.
#[must_use]
pub fn one_tenant_required() -> Problem {
    Problem::new(
        ErrorCode::TenantRequired,
        "`Ringback-Tenant: *` reads over all tenants; this request is about one. Name it: `Ringback-Tenant: acme`.",
    )
}

/// A tenant's name that cannot be one.
#[must_use]
pub fn tenant_malformed(given: &str) -> Problem {
    bad_parameter("Ringback-Tenant", given, "1 to 63 lower-case letters, digits and `-`, or `*` for all")
}

fn parameter(name: &str, code: &'static str, detail: String) -> Problem {
    Problem::new(ErrorCode::BadParameter, detail.clone()).with_error(fields::parameter(name, code, detail))
}

// ---- 401, 403

/// No key at all.
#[must_use]
pub fn no_key() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "No key was sent. Use `Authorization: Bearer rbk_…` or `curl -u rbk_…:`.")
}

/// `ticket` is nothing that this server made.
#[must_use]
pub fn ticket_unreadable() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        "`ticket` is no ticket of this server. Make one with `POST /v1/stream-tickets`, and use its `url` as it is.",
    )
}

/// The ticket was not used in time, its hour is over, or its key is gone.
#[must_use]
pub fn ticket_late() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        format!(
            "This ticket is over: it has to be used within {} s, and then lets its stream reconnect for {} minutes while its key lives. Make a new one.",
            limits::TICKET_FIRST_USE_SECS,
            limits::TICKET_SECS / 60
        ),
    )
}

/// The ticket opens another stream.
#[must_use]
pub fn ticket_elsewhere() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        "This ticket was made for another stream: path and query have to be those of its `url`. Make one for this.",
    )
}

/// A ticket was sent where no stream was asked for.
#[must_use]
pub fn ticket_needs_stream() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "A ticket opens an event stream and nothing else: send `Accept: text/event-stream`, or a key.")
}

/// Something was sent that does not look like a key.
#[must_use]
pub fn not_a_key() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        "What was sent as a key is none: keys look like `rbk_<id>_<secret>`. Use `Authorization: Bearer rbk_…` or `curl -u rbk_…:`.",
    )
}

/// The check characters of the key do not fit.
#[must_use]
pub fn key_mistyped() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "The key was mistyped or cut: its last characters don't fit the rest. Copy it again.")
}

/// A key that looks right and is not known: never told whether it was deleted or its secret is wrong.
#[must_use]
pub fn key_unknown() -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        "This key isn't known here. It may have been deleted, or belong to another server. Ask whoever runs this one for a new key.",
    )
}

/// A key whose time is over.
#[must_use]
pub fn key_expired() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "This key has expired. Ask whoever made it for a new one.")
}

/// A key without the scope that the route wants.
#[must_use]
pub fn scope_missing(scope: &str) -> Problem {
    Problem::new(ErrorCode::Forbidden, format!("This key doesn't have the scope `{scope}`. Use one that has, or ask for it."))
        .with("required_scope", scope)
}

/// Something for operators; `what` completes "to …": "make tenants".
#[must_use]
pub fn operator_only(what: &str) -> Problem {
    Problem::new(ErrorCode::Forbidden, format!("It takes an operator key to {what}."))
}

/// A transition that is `by: operator`.
#[must_use]
pub fn transition_forbidden(type_name: &str, transition: &str) -> Problem {
    Problem::new(
        ErrorCode::Forbidden,
        format!("`{transition}` of a {type_name} needs an operator key. `next` in its status lists what this key may call."),
    )
}

/// A key that would make a key stronger than itself.
#[must_use]
pub fn key_beyond_own(what: &str) -> Problem {
    Problem::new(ErrorCode::Forbidden, format!("A key can't give what it doesn't have: {what}. Use a key that has it."))
}

/// An Idempotency-Key under which a stronger key was answered.
#[must_use]
pub fn answered_for_another_key() -> Problem {
    Problem::new(
        ErrorCode::Forbidden,
        "This Idempotency-Key was first used with an API key that may do more than this one, so its answer isn't shown. Send it with that API key, or use a new Idempotency-Key.",
    )
}

// ---- 404 to 431

/// No such route.
#[must_use]
pub fn no_route(path: &str, suggestion: Option<&str>) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("There is no route `{}`.{} `GET /v1/types` lists the types with their paths.", shown(path), did_you_mean(suggestion)),
    )
}

/// Nothing of this id for this caller; also said of what belongs to another tenant.
#[must_use]
pub fn not_found(noun: &str, id: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("There is no {noun} `{}`. Check the id, and the tenant that the request names.", shown(id)))
}

/// A resource that was there and is deleted.
#[must_use]
pub fn resource_deleted(type_name: &str, id: &str) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("{} {id} was deleted, and its id stays taken. Its events are still in `/v1/events`.", capital(type_name)),
    )
}

/// A version that the resource never had.
#[must_use]
pub fn version_not_found(type_name: &str, id: &str, version: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("{} {id} has no version {}. Versions count from 1.", capital(type_name), shown(version)))
}

/// A transition that the type does not have.
#[must_use]
pub fn transition_unknown(type_name: &str, transition: &str, known: &[&str]) -> Problem {
    let transition = shown(transition);
    let have = if known.is_empty() { "It has none.".into() } else { format!("It has: {}.", listed(known)) };
    Problem::new(
        ErrorCode::NotFound,
        format!("A {type_name} has no transition `{transition}`.{} {have}", did_you_mean(suggest(&transition, known.iter().copied()))),
    )
}

/// A tenant that there is not; they are never made implicitly.
#[must_use]
pub fn tenant_unknown(id: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("There is no tenant `{}`. Tenants are made by operators: `PUT /v1/tenants/<id>`.", shown(id)))
}

/// A method that the route does not have.
#[must_use]
pub fn method_not_allowed(method: &str, allowed: &[&str]) -> Problem {
    Problem::new(ErrorCode::MethodNotAllowed, format!("This route has no {}. It has: {}.", shown(method), listed(allowed)))
        .with("allowed", allowed.to_vec())
}

/// `Accept` asks for what the route does not write.
#[must_use]
pub fn not_acceptable(offered: &[&str]) -> Problem {
    Problem::new(ErrorCode::NotAcceptable, format!("`Accept` leaves nothing that this route writes. It writes: {}.", listed(offered)))
}

/// An event stream's reader takes too long for what it is sent.
#[must_use]
pub fn stream_too_slow(secs: u64) -> Problem {
    Problem::new(
        ErrorCode::RequestTimeout,
        format!(
            "What was sent was not read within {secs} s. Connect again with the last id that you saw, and read faster or ask for less."
        ),
    )
}

/// A request of HTTP/1.1 without a host.
#[must_use]
pub fn no_host() -> Problem {
    Problem::new(
        ErrorCode::BadParameter,
        "A request of HTTP/1.1 needs a `Host` header. Send the name and port that you connect to, such as `Host: localhost:7464`.",
    )
}

/// The body did not arrive in time.
#[must_use]
pub fn request_timeout(secs: u64) -> Problem {
    Problem::new(ErrorCode::RequestTimeout, format!("The request didn't arrive within {secs} s. Send it again."))
}

/// A body above the limit.
#[must_use]
pub fn payload_too_large(bytes_max: usize) -> Problem {
    Problem::new(
        ErrorCode::PayloadTooLarge,
        format!("The body is larger than {bytes_max} bytes. Send less at a time, or keep the rest elsewhere and send a reference."),
    )
}

/// A URL above the limit.
#[must_use]
pub fn uri_too_long() -> Problem {
    Problem::new(ErrorCode::UriTooLong, format!("The URL is longer than {} bytes. Ask for less at a time.", limits::URI_BYTES_MAX))
}

/// A body of another media type.
#[must_use]
pub fn unsupported_media_type(given: &str, expected: &[&str]) -> Problem {
    Problem::new(
        ErrorCode::UnsupportedMediaType,
        format!("This route doesn't read `{}`. Send `content-type: {}`.", shown(given), expected.join("` or `")),
    )
}

/// Headers above the limit.
#[must_use]
pub fn headers_too_large() -> Problem {
    Problem::new(
        ErrorCode::HeadersTooLarge,
        format!("The headers are larger than {} bytes together. Send fewer or shorter ones.", limits::HEADERS_BYTES_MAX),
    )
}

// ---- 409

/// The lifecycle has no such step from here; `from` are statuses, `possible_now` transitions that the key may call.
#[must_use]
pub fn transition_not_allowed(type_name: &str, id: &str, status: &str, requested: &str, from: &[&str], possible_now: &[&str]) -> Problem {
    let now = if possible_now.is_empty() { "Nothing is possible now".into() } else { format!("Possible now: {}", listed(possible_now)) };
    Problem::new(
        ErrorCode::TransitionNotAllowed,
        format!("{} {id} is {status}. `{requested}` is possible from {}. {now}.", capital(type_name), listed(from)),
    )
    .with("current_status", status)
    .with("requested", requested)
    .with("allowed", possible_now.to_vec())
}

/// A guard that does not hold; `why` is a clause such as "self.amount is 1999", or empty.
#[must_use]
pub fn guard_failed(type_name: &str, id: &str, requested: &str, guard: &str, why: &str) -> Problem {
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    Problem::new(
        ErrorCode::GuardFailed,
        format!("{} {id} can't take `{requested}` so: `{guard}` doesn't hold{why}. Send an input that fits.", capital(type_name)),
    )
    .with("requested", requested)
}

/// An id that is taken.
#[must_use]
pub fn already_exists(noun: &str, id: &str) -> Problem {
    Problem::new(
        ErrorCode::AlreadyExists,
        format!("There is a {noun} `{id}` already. Choose another id, or leave it out to get one; the ids of deleted ones stay taken."),
    )
    .with("conflicting_id", id)
}

/// A publisher's key that stands for other content.
#[must_use]
pub fn event_key_taken(key: &str, event: &str) -> Problem {
    Problem::new(
        ErrorCode::AlreadyExists,
        format!("The key `{}` belongs to event {event}, whose content is another. Use a new key for a new event.", shown(key)),
    )
    .with("conflicting_id", event)
}

/// The same publisher's key twice in one request.
#[must_use]
pub fn event_key_repeated(key: &str) -> Problem {
    Problem::new(ErrorCode::AlreadyExists, format!("The key `{}` is in this request twice. Give each event its own.", shown(key)))
}

/// Something else stands in the way; `sentence` is whole and says what to do.
#[must_use]
pub fn conflict(sentence: &str) -> Problem {
    Problem::new(ErrorCode::Conflict, sentence)
}

/// Something that others depend on; `why` completes "because …".
#[must_use]
pub fn in_use(noun: &str, id: &str, why: &str) -> Problem {
    Problem::new(ErrorCode::Conflict, format!("{} `{id}` can't be removed or changed so, because {why}.", capital(noun)))
}

/// A first segment that belongs to somebody; `owner` is such as "the type `payment`".
#[must_use]
pub fn type_owned(event_type: &str, owner: &str) -> Problem {
    Problem::new(
        ErrorCode::TypeOwned,
        format!(
            "`{}` can't be published: its first segment belongs to {owner}, which makes such events by itself. Publish under another name.",
            shown(event_type)
        ),
    )
}

/// A type that comes from a file.
#[must_use]
pub fn managed_by_file(type_name: &str) -> Problem {
    Problem::new(
        ErrorCode::ManagedByFile,
        format!("The type `{type_name}` comes from a file of `--types`. Change the file and restart the server."),
    )
}

/// A change of a mirrored resource that isn't its source's.
#[must_use]
pub fn mirrored(type_name: &str, path: &str) -> Problem {
    Problem::new(
        ErrorCode::Mirrored,
        format!(
            "`{type_name}` is mirrored: its truth lives in another system. Change it there; its relay writes it here with `PUT {path}/<id>` and a `source_version`."
        ),
    )
}

/// A subscription whose state does not allow what was asked.
#[must_use]
pub fn subscription_not_active(id: &str, state: &str) -> Problem {
    let next = match state {
        "paused" | "suspended" => format!("`POST /v1/subscriptions/{id}/resume` makes it active."),
        _ => "Make a new one.".into(),
    };
    Problem::new(ErrorCode::SubscriptionNotActive, format!("Subscription {id} is {state}. {next}")).with("current_state", state)
}

/// As many as there may be; `what` is a plural such as "subscriptions of a tenant".
#[must_use]
pub fn limit_reached(what: &str, max: usize) -> Problem {
    Problem::new(
        ErrorCode::LimitReached,
        format!("There are {max} {what} already, and there may not be more. Delete some that aren't needed."),
    )
    .with("limit", max)
}

/// The first request under the key has not been answered.
#[must_use]
pub fn idempotency_in_progress() -> Problem {
    Problem::new(
        ErrorCode::IdempotencyInProgress,
        "The first request with this Idempotency-Key is still running. Send it again in a moment, with the same key.",
    )
    .retry_after(1)
}

// ---- 410

/// The pages of a list have aged out.
#[must_use]
pub fn cursor_expired(name: &str) -> Problem {
    Problem::new(ErrorCode::CursorExpired, format!("The list behind `{name}` is too old to be continued. Ask for its first page again."))
}

/// A position from before a restore.
#[must_use]
pub fn cursor_epoch(name: &str) -> Problem {
    Problem::new(
        ErrorCode::CursorEpoch,
        format!(
            "`{name}` is from before this server was restored from a backup; what came after the backup is gone. Begin at a time that you know: `{name}=<RFC 3339>`, or at `start`."
        ),
    )
}

/// A nack or an extension that came after the lease.
#[must_use]
pub fn lease_expired(id: &str) -> Problem {
    Problem::new(
        ErrorCode::LeaseExpired,
        format!(
            "The lease is over, so these events are handed out again, or were already. Pull again; an `ack` of them would still count. Ask for a longer `lease`, or `POST /v1/subscriptions/{id}/extend` in time."
        ),
    )
}

/// Retention has passed that place; `oldest` is the position to send as `after`, or the first version that is still there.
#[must_use]
pub fn log_truncated(oldest: &str) -> Problem {
    Problem::new(
        ErrorCode::LogTruncated,
        "What lies there has been removed by retention. Begin at `oldest` (a position for `after`; of versions, the number of the first one), and read the present state of what was missed.",
    )
    .with("oldest", oldest)
}

// ---- 412, 428

/// `If-Match` does not hold; `current` is the thing as it is now.
#[must_use]
pub fn precondition_failed(noun: &str, id: &str, etag: &str, current: Value) -> Problem {
    Problem::new(
        ErrorCode::PreconditionFailed,
        format!(
            "{} {id} has been changed: its ETag is {etag} now. Look at `current` and repeat the request with that ETag.",
            capital(noun)
        ),
    )
    .with("current", current)
    .with("etag", etag)
}

/// `If-None-Match: *` on something that is there, or `If-Match` on something that is not.
#[must_use]
pub fn precondition_on_absence(noun: &str, id: &str, exists: bool) -> Problem {
    let detail = if exists {
        format!("{} {id} is there already, and `If-None-Match: *` asks that it isn't. Leave the header out to replace it.", capital(noun))
    } else {
        format!("There is no {noun} {id}, and `If-Match` asks for one. Leave the header out to make it.")
    };
    Problem::new(ErrorCode::PreconditionFailed, detail)
}

/// `If-None-Match: *` on the creation of something that is there.
#[must_use]
pub fn exists(noun: &str, id: &str) -> Problem {
    Problem::new(
        ErrorCode::PreconditionFailed,
        format!(
            "{} {id} is there already, and `If-None-Match: *` asks that it isn't. Look at it with GET, or choose another id.",
            capital(noun)
        ),
    )
}

/// A type that wants `If-Match`.
#[must_use]
pub fn precondition_required(type_name: &str) -> Problem {
    Problem::new(
        ErrorCode::PreconditionRequired,
        format!("Changing a {type_name} needs `If-Match` with the ETag of what was read, so that nobody's change is lost."),
    )
}

// ---- 422

/// What is wrong with single places of a body. The code follows from theirs: all
/// unknown members is 400 `unknown-field`, all read-only ones is `read-only-field`, anything else `validation-failed`.
#[must_use]
pub fn fields_refused(errors: Vec<FieldProblem>) -> Problem {
    let all = |code: &str| errors.iter().all(|it| it.code == code);
    let code = if errors.is_empty() {
        ErrorCode::ValidationFailed
    } else if all("unknown-field") {
        ErrorCode::UnknownField
    } else if all("read-only-field") {
        ErrorCode::ReadOnlyField
    } else {
        ErrorCode::ValidationFailed
    };
    let first = errors.first().map_or("The body breaks its rules.", |it| it.detail.as_str());
    let detail = match errors.len() {
        0 | 1 => first.to_owned(),
        count => format!("{first} ({count} problems in all; `errors` lists them.)"),
    };
    let mut problem = Problem::new(code, detail);
    problem.errors = errors;
    problem
}

/// Another request was made under the key.
#[must_use]
pub fn idempotency_key_reused() -> Problem {
    Problem::new(
        ErrorCode::IdempotencyKeyReused,
        "This Idempotency-Key was used for another request: body, content type, query or If-Match differ. Use a new key for a new request.",
    )
}

/// No index serves the filter.
#[must_use]
pub fn query_too_expensive(type_name: &str, missing_index: &[&str]) -> Problem {
    Problem::new(
        ErrorCode::QueryTooExpensive,
        format!(
            "No index serves this filter, and there are more than {} of `{type_name}` to look at. Narrow it with an indexed field, or declare an index [{}] in the type.",
            limits::ROWS_SCANNED_MAX,
            listed(missing_index)
        ),
    )
    .with("missing_index", missing_index.to_vec())
}

/// An index serves the filter once it holds all rows.
#[must_use]
pub fn index_being_filled(type_name: &str, index: &[&str]) -> Problem {
    Problem::new(
        ErrorCode::QueryTooExpensive,
        format!(
            "The index [{}] that serves this filter is still being filled, and there are more than {} of `{type_name}` to look at without it. Ask again in a minute.",
            listed(index),
            limits::ROWS_SCANNED_MAX
        ),
    )
    .with("missing_index", index.to_vec())
}

/// A new declaration that stored resources do not fit; `why` names one.
#[must_use]
pub fn schema_incompatible(type_name: &str, count: u64, why: &str) -> Problem {
    Problem::new(
        ErrorCode::SchemaIncompatible,
        format!("The new declaration of `{type_name}` doesn't fit what is stored: {why}. Keep the old meaning, change those resources first, or declare a new type."),
    )
    .with("count", count)
}

/// An address that must not be called; `sentence` is the policy's, for this kind of caller.
#[must_use]
pub fn destination_not_allowed(pointer: &str, sentence: &str) -> Problem {
    let error = fields::invalid(pointer, sentence);
    Problem::new(ErrorCode::DestinationNotAllowed, sentence).with_error(error)
}

/// An exact event type that nothing makes.
#[must_use]
pub fn unknown_event_type(pointer: &str, event_type: &str, suggestion: Option<&str>) -> Problem {
    let detail = format!(
        "Nothing declares or has published `{}`.{} To subscribe before the first one is published, send `\"strict\":false`.",
        shown(event_type),
        did_you_mean(suggestion)
    );
    let error = fields::place(pointer, "unknown-event-type", detail.clone());
    Problem::new(ErrorCode::UnknownEventType, detail).with_error(error)
}

// ---- 429, 5xx

/// A key has made as many requests as it may in this second.
#[must_use]
pub fn rate_limited(per_s: u32, retry_after_secs: u32) -> Problem {
    Problem::new(
        ErrorCode::RateLimited,
        format!(
            "This key may make {per_s} {} a second. Ask again in {retry_after_secs} s; `If-None-Match` and `wait` ask less often, and an unchanged answer (304) costs nothing.",
            if per_s == 1 { "request" } else { "requests" }
        ),
    )
    .retry_after(retry_after_secs)
}

/// An endpoint was tested as often as may be.
#[must_use]
pub fn tests_limited(retry_after_secs: u32) -> Problem {
    Problem::new(
        ErrorCode::RateLimited,
        format!(
            "An endpoint is tested at most {} times a minute, and few at the same time. Test it again in {retry_after_secs} s.",
            ringback_model::limits::TESTS_PER_MINUTE_MAX
        ),
    )
    .retry_after(retry_after_secs)
}

/// HTTP that can't be read: the connection is closed after it.
#[must_use]
pub fn not_http() -> Problem {
    Problem::new(
        ErrorCode::BadParameter,
        "This is no HTTP/1.1 request that can be read: its first line or a header is broken. Send `GET /path HTTP/1.1`, a `Host` header, and headers as `name: value`; a TLS connection belongs to the proxy in front.",
    )
}

/// As many requests wait as may: of all keys together, or of this one (`of_key`).
#[must_use]
pub fn too_many_waiters(max: usize, of_key: bool) -> Problem {
    Problem::new(
        ErrorCode::TooManyWaiters,
        format!(
            "{max} requests {}are waiting or streaming already. Ask again in a moment, or without `wait`; a subscription waits for nothing.",
            if of_key { "of this key " } else { "" }
        ),
    )
    .retry_after(1)
}

/// A fault of ours: the caller is told nothing of it.
#[must_use]
pub fn internal() -> Problem {
    Problem::new(
        ErrorCode::Internal,
        "Something went wrong on our side. Send it again with the same Idempotency-Key; if it stays, report the `request_id`.",
    )
}

/// More to do than can be done.
#[must_use]
pub fn overloaded() -> Problem {
    Problem::new(ErrorCode::Overloaded, "The server has more to write than it can; nothing was stored. Send it again in a moment.")
        .retry_after(1)
}

/// Answers that nobody reads take all the memory that answers may take.
#[must_use]
pub fn answers_unread() -> Problem {
    Problem::new(
        ErrorCode::Overloaded,
        "Too much is on its way to clients that read slowly. Ask again in a moment, or for less at once (`limit`).",
    )
    .retry_after(2)
}

/// The server is going away, and with it an event stream.
#[must_use]
pub fn stream_draining() -> Problem {
    Problem::new(
        ErrorCode::Draining,
        "The server is shutting down. Connect again in a few seconds, with the last id that you saw; nothing is lost.",
    )
    .retry_after(2)
}

/// The server is going away.
#[must_use]
pub fn draining() -> Problem {
    Problem::new(ErrorCode::Draining, "The server is shutting down; nothing was stored. Send it again in a few seconds.").retry_after(2)
}

/// It is not known whether the write was stored.
#[must_use]
pub fn outcome_unknown() -> Problem {
    Problem::new(
        ErrorCode::OutcomeUnknown,
        "It isn't known whether this was stored. Send it again with the same Idempotency-Key; without one, read first.",
    )
    .retry_after(1)
}

/// The disk is full.
#[must_use]
pub fn storage_full() -> Problem {
    Problem::new(
        ErrorCode::StorageFull,
        "The server's disk is full: nothing can be written until its operator makes room. Reading and deliveries go on.",
    )
    .retry_after(30)
}

#[cfg(test)]
mod tests;
