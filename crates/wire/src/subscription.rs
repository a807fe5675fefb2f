//! Subscriptions: what is shown of them, and the bodies that make and change them.

use crate::{
    Problem,
    auth::{self, AuthView, HeaderView, Set},
    push_headers::headers,
    read::{self, Given, Object, Problems, Shape},
    sentences::fields,
    signing::SigningPatch,
    status::parse_until,
};
use ringback_model::{
    EventType, Subject, TenantId,
    auth::{AccessGiven, is_secret_header},
    event::{PayloadForm, Scope},
    limits,
    subscription::{DELAYS_DEFAULT, MapPatch, Order, Push, State, Subscription, TypePattern, Until},
    tenant::Metadata,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A subscription, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    /// `sub_…`, or chosen.
    pub id: String,
    /// Whose events it reads; `*` for an operator's over all tenants.
    pub tenant: String,
    /// For people.
    pub description: String,
    /// For programs.
    pub metadata: Metadata,
    /// Exact names or prefixes; empty is all.
    pub types: Vec<String>,
    /// Whether unknown exact types are refused.
    pub strict: bool,
    /// Only events of this subject.
    pub subject: Option<String>,
    /// The statuses that end a one-shot.
    pub until: Option<String>,
    /// A condition on the event.
    pub filter: Option<String>,
    /// Where it was asked to begin.
    pub from: String,
    /// `full`, `data`, `thin`, `cloudevents` or `cloudevents-binary`.
    pub payload: &'static str,
    /// `none` or `subject`.
    pub order: &'static str,
    /// `active paused shadow suspended done`.
    pub state: &'static str,
    /// Events that were matched, rendered and signed in the shadow, and not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadowed: Option<u64>,
    /// How it is pushed; not there when it is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<PushView>,
    /// Everything at or below this position is settled.
    pub cursor: String,
    /// Events of the tenant after `cursor`, filter not applied.
    pub lag: u64,
    /// When the first of these was made; not there when there is none, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<String>,
    /// How its endpoint does.
    pub health: Health,
    /// Raised by each change of what is matched and how it is written.
    pub revision: u32,
    /// When it was made.
    pub created_at: String,
    /// Only in the answer of a resume: events that it passes over, filter not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Only in the answer of a pause: what waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<WaitsView>,
}

/// What waits while a subscription is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WaitsView {
    /// Events of its log that it has not come to, filter not applied.
    pub events: u64,
    /// Deliveries that failed and are tried again, and those that wait behind them.
    pub retries: u64,
}

/// The `push` of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushView {
    /// Where events are POSTed.
    pub url: String,
    /// Static headers; secret ones without their values.
    pub headers: BTreeMap<String, HeaderView>,
    /// As whom it comes; not there when its signature says all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthView>,
    /// Deadline of one attempt.
    pub timeout_ms: u32,
    /// Tries in flight at once, at most.
    pub concurrency_max: u32,
    /// Tries a second, at most.
    pub rate_max_per_s: Option<u32>,
    /// The schedule.
    pub retry: RetryView,
    /// `hmac` or `ed25519`.
    pub signing: &'static str,
    /// In whose form requests are signed.
    pub profile: &'static str,
    /// What is sent as `webhook-id`: `event` or `key`.
    pub webhook_id: &'static str,
    /// `whpk_…`, with `ed25519`: what receivers verify with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The secret: only in the answer to its making, or to its becoming pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// When a failed try is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetryView {
    /// Mean delays in seconds.
    pub delays: Vec<u32>,
}

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `ok`, `failing`, `unroutable` …
    pub state: &'static str,
    /// A reason, where there is one: `exceptions-full` …
    pub why: Option<String>,
    /// Since when.
    pub since: String,
}

impl SubscriptionView {
    /// The view of a subscription. `secret` only in the answer to its making.
    #[must_use]
    pub fn of(it: &Subscription, cursor: String, lag: u64, health: Health, secret: Option<String>) -> Self {
        let revision = it.revision();
        Self {
            id: it.id.to_string(),
            tenant: it.scope.as_str().to_owned(),
            description: it.description.clone(),
            metadata: it.metadata.clone(),
            types: revision.map(|it| it.types.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            strict: it.strict,
            subject: it.subject.as_ref().map(ToString::to_string),
            until: it.until.as_ref().map(ToString::to_string),
            filter: revision.and_then(|it| it.filter.clone()),
            from: it.from.clone(),
            payload: revision.map_or(PayloadForm::Full, |it| it.payload).as_str(),
            order: revision.map_or(Order::None, |it| it.order).as_str(),
            state: it.state.as_str(),
            shadowed: None,
            push: it.push.as_ref().map(|it| PushView {
                url: it.url.clone(),
                headers: shown_headers(it),
                auth: AuthView::of(&it.access.auth),
                timeout_ms: it.timeout_ms,
                concurrency_max: it.concurrency_max,
                rate_max_per_s: it.rate_max_per_s,
                retry: RetryView { delays: it.delays.clone() },
                signing: it.signing.algorithm.as_str(),
                profile: it.signing.profile.as_str(),
                webhook_id: it.signing.webhook_id.as_str(),
                public_key: it.secrets.first().and_then(|it| it.public_key.clone()),
                secret,
            }),
            cursor,
            lag,
            oldest_at: None,
            health,
            revision: revision.map_or(0, |it| it.no),
            created_at: it.created_at.to_string(),
            skipped: None,
            waits: None,
        }
    }
}

fn shown_headers(it: &Push) -> BTreeMap<String, HeaderView> {
    let open = it.headers.iter().map(|(name, value)| {
        // One that was stored before secret ones were told apart is not shown either.
        let value = if is_secret_header(name) { HeaderView::Set(Set::SET) } else { HeaderView::Text(value.clone()) };
        (name.clone(), value)
    });
    open.chain(it.access.headers.iter().map(|(name, _)| (name.clone(), HeaderView::Set(Set::SET)))).collect()
}

/// Where a new subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// After the last event.
    Now,
    /// Before the first one.
    Start,
    /// After this position, not read yet.
    Position(String),
}

/// The body of `POST /v1/subscriptions` and `PUT /v1/subscriptions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Whose events; the request's tenant if it is left out.
    pub scope: Option<Scope>,
    /// For people.
    pub description: String,
    /// For programs.
    pub metadata: Metadata,
    /// Empty is all but `ringback.*`.
    pub types: Vec<TypePattern>,
    /// Whether unknown exact types are refused.
    pub strict: bool,
    /// Only events of this subject.
    pub subject: Option<Subject>,
    /// Only together with `subject`.
    pub until: Option<Until>,
    /// A condition on the event, not checked yet.
    pub filter: Option<String>,
    /// Where to begin.
    pub from: From,
    /// How the body is written.
    pub payload: PayloadForm,
    /// Which deliveries wait for each other.
    pub order: Order,
    /// How it is pushed; without it, it is pulled.
    pub push: Option<NewPush>,
    /// Whether it is read; `None`: as it is, and active for a new one.
    pub state: Option<State>,
}

/// The `push` of a new subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPush {
    /// Not vetted yet.
    pub url: String,
    /// One's own secret, not read yet.
    pub secret: Option<String>,
    /// How to sign.
    pub signing: SigningPatch,
    /// Static headers, lower-case names, in order of name.
    pub headers: Vec<(String, String)>,
    /// Deadline of one attempt.
    pub timeout_ms: u32,
    /// Tries in flight at once, at most.
    pub concurrency_max: u32,
    /// Tries a second, at most.
    pub rate_max_per_s: Option<u32>,
    /// Mean delays in seconds.
    pub delays: Vec<u32>,
    /// As whom it comes.
    pub access: AccessGiven,
}

/// The body of `PATCH /v1/subscriptions/{id}`: a merge-patch. What is `None`
/// stays; `null` in the body sets the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchSubscription {
    /// For people.
    pub description: Option<String>,
    /// Changed entries.
    pub metadata: Option<MapPatch>,
    /// All of them anew.
    pub types: Option<Vec<TypePattern>>,
    /// A condition on the event, not checked yet; `Some(None)`: none any more.
    pub filter: Option<Option<String>>,
    /// Whether unknown exact types are refused.
    pub strict: Option<bool>,
    /// How the body is written.
    pub payload: Option<PayloadForm>,
    /// Which deliveries wait for each other.
    pub order: Option<Order>,
    /// Not vetted yet.
    pub url: Option<String>,
    /// Changed headers.
    pub headers: Option<MapPatch>,
    /// Deadline of one attempt.
    pub timeout_ms: Option<u32>,
    /// Tries in flight at once, at most.
    pub concurrency_max: Option<u32>,
    /// Tries a second, at most; `Some(None)` for as many as it takes.
    pub rate_max_per_s: Option<Option<u32>>,
    /// Mean delays in seconds.
    pub delays: Option<Vec<u32>>,
    /// How to sign.
    pub signing: SigningPatch,
    /// As whom it comes.
    pub access: AccessGiven,
    /// `"push": null`: it is pulled from now on.
    pub pulled: bool,
    /// Whether it is read.
    pub state: Option<State>,
}

const PATHS: &[&str] = &[
    "tenant",
    "description",
    "metadata",
    "types",
    "strict",
    "subject",
    "until",
    "filter",
    "from",
    "payload",
    "order",
    "state",
    "push",
    "push.url",
    "push.secret",
    "push.headers",
    "push.timeout_ms",
    "push.concurrency_max",
    "push.rate_max_per_s",
    "push.retry",
    "push.retry.delays",
    "push.signing",
    "push.profile",
    "push.webhook_id",
    "push.auth",
];

const OURS: [(&str, &str); 8] = [
    ("id", "It is made by the server."),
    ("shadowed", "It is the server's."),
    ("cursor", "It moves by deliveries; `from` says where a new subscription begins."),
    ("lag", "It is the server's."),
    ("oldest_at", "It is the server's."),
    ("health", "It is the server's."),
    ("revision", "It is the server's."),
    ("created_at", "It is the server's."),
];

const NEW: Shape = Shape {
    members: &[
        "tenant",
        "description",
        "metadata",
        "types",
        "strict",
        "subject",
        "until",
        "filter",
        "from",
        "payload",
        "order",
        "push",
        "state",
    ],
    read_only: &OURS,
    paths: PATHS,
};

const FIXED: &str = "It is fixed when a subscription is made; make another one.";

const PATCH: Shape = Shape {
    members: &["description", "metadata", "types", "filter", "strict", "payload", "order", "push", "state"],
    read_only: &{
        let [id, shadowed, cursor, lag, oldest_at, health, revision, created_at] = OURS;
        [
            (id.0, FIXED),
            shadowed,
            cursor,
            lag,
            oldest_at,
            health,
            revision,
            created_at,
            ("tenant", FIXED),
            ("subject", FIXED),
            ("until", FIXED),
            ("from", FIXED),
        ]
    },
    paths: PATHS,
};

const PUSH: Shape = Shape {
    members: &[
        "url",
        "secret",
        "headers",
        "timeout_ms",
        "concurrency_max",
        "rate_max_per_s",
        "retry",
        "signing",
        "profile",
        "webhook_id",
        "auth",
    ],
    read_only: &[("public_key", "It belongs to the private key; give that as `secret`, `whsk_…`.")],
    paths: PATHS,
};

const PATCH_PUSH: Shape = Shape {
    members: &["url", "headers", "timeout_ms", "concurrency_max", "rate_max_per_s", "retry", "signing", "profile", "webhook_id", "auth"],
    read_only: &[("secret", "Use `POST …/rotate-secret`."), ("public_key", "Use `POST …/rotate-secret`.")],
    paths: PATHS,
};

const RETRY: Shape = Shape { members: &["delays"], read_only: &[], paths: PATHS };

const PAYLOADS: [(&str, PayloadForm); 5] = [
    (PayloadForm::Full.as_str(), PayloadForm::Full),
    (PayloadForm::Data.as_str(), PayloadForm::Data),
    (PayloadForm::Thin.as_str(), PayloadForm::Thin),
    (PayloadForm::Cloudevents.as_str(), PayloadForm::Cloudevents),
    (PayloadForm::CloudeventsBinary.as_str(), PayloadForm::CloudeventsBinary),
];
/// What may be asked for; the others come by themselves.
const STATES: [(&str, State); 3] = [("active", State::Active), ("paused", State::Paused), ("shadow", State::Shadow)];
const ORDERS: [(&str, Order); 2] = [("none", Order::None), ("subject", Order::Subject)];

impl NewSubscription {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &NEW, &mut problems).and_then(|it| Self::of(&it, &mut problems));
        problems.finish(read)
    }

    fn of(it: &Object<'_>, problems: &mut Problems) -> Option<Self> {
        let subject = it.parsed("subject", read::name(Subject::parse), problems);
        let until = it.parsed("until", parse_until, problems);
        if it.get("until").is_some() && it.get("subject").is_none() {
            problems.note(fields::needs(&it.pointer("until"), "subject"));
        }
        let scope = it.parsed("tenant", parse_scope, problems);
        let from = it.text_of("from", 1, limits::URL_BYTES_MAX, problems);
        let description = description(it, problems);
        let metadata = it.metadata("metadata", problems).unwrap_or_default();
        let types = types(it, problems);
        let filter = filter(it, problems);
        let strict = it.flag("strict", problems).unwrap_or(true);
        let payload = it.one_of("payload", &PAYLOADS, problems).unwrap_or(PayloadForm::Full);
        let order = it.one_of("order", &ORDERS, problems).unwrap_or(Order::None);
        let state = it.one_of("state", &STATES, problems);
        let push = match it.object("push", &PUSH, problems) {
            Some(it) => Some(NewPush::of(&it, problems)?),
            None => None,
        };
        Some(Self {
            scope,
            description,
            metadata,
            types,
            strict,
            subject,
            until,
            filter,
            from: match from {
                None | Some("now") => From::Now,
                Some("start") => From::Start,
                Some(position) => From::Position(position.to_owned()),
            },
            payload,
            order,
            push,
            state,
        })
    }
}

impl NewPush {
    fn of(it: &Object<'_>, problems: &mut Problems) -> Option<Self> {
        it.require("url", "the address to call", problems);
        let url = it.text_of("url", 1, limits::URL_BYTES_MAX, problems);
        let secret = it.text_of("secret", 1, limits::URL_BYTES_MAX, problems).map(Into::into);
        let mut headers_kept = Vec::new();
        let headers = match headers(it, &mut headers_kept, problems).map(MapPatch::Merge) {
            Some(merge) => merge.apply(&BTreeMap::new()).into_iter().collect(),
            None => Vec::new(),
        };
        let timeout_ms = timeout_ms(it, problems);
        let concurrency_max = concurrency_max(it, problems);
        let rate_max_per_s = rate_max_per_s(it, problems);
        let delays = it.object("retry", &RETRY, problems).map_or_else(|| DELAYS_DEFAULT.to_vec(), |it| delays(&it, problems));
        let signing = SigningPatch::read(it, problems);
        let access = AccessGiven { auth: auth::read(it, problems), headers_kept, whole: true };
        Some(Self { url: url?.to_owned(), secret, signing, headers, timeout_ms, concurrency_max, rate_max_per_s, delays, access })
    }
}

impl PatchSubscription {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &PATCH, &mut problems).map(|it| Self::of(&it, &mut problems));
        problems.finish(read)
    }

    fn of(it: &Object<'_>, problems: &mut Problems) -> Self {
        let mut out = Self {
            description: there(it, "description").then(|| description(it, problems)),
            metadata: match it.given("metadata") {
                Given::Absent => None,
                Given::Null => Some(MapPatch::Clear),
                Given::Value(_) => it.metadata_patch("metadata", problems).map(MapPatch::Merge),
            },
            types: there(it, "types").then(|| types(it, problems)),
            filter: there(it, "filter").then(|| filter(it, problems)),
            strict: there(it, "strict").then(|| it.flag("strict", problems).unwrap_or(true)),
            payload: there(it, "payload").then(|| it.one_of("payload", &PAYLOADS, problems).unwrap_or(PayloadForm::Full)),
            order: there(it, "order").then(|| it.one_of("order", &ORDERS, problems).unwrap_or(Order::None)),
            ..Self::default()
        };
        out.state = it.one_of("state", &STATES, problems);
        out.pulled = it.given("push") == Given::Null;
        if let Some(push) = it.object("push", &PATCH_PUSH, problems) {
            out.patch_push(&push, problems);
        }
        out
    }

    fn patch_push(&mut self, it: &Object<'_>, problems: &mut Problems) {
        if it.given("url") == Given::Null {
            it.require("url", "the address to call", problems);
        }
        self.url = it.text_of("url", 1, limits::URL_BYTES_MAX, problems).map(Into::into);
        self.headers = match it.given("headers") {
            Given::Absent => None,
            Given::Null => Some(MapPatch::Clear),
            // What is to stay as it is needs no word in a patch.
            Given::Value(_) => headers(it, &mut Vec::new(), problems).map(MapPatch::Merge),
        };
        self.access.auth = auth::read(it, problems);
        self.signing = SigningPatch::read(it, problems);
        self.timeout_ms = there(it, "timeout_ms").then(|| timeout_ms(it, problems));
        self.concurrency_max = there(it, "concurrency_max").then(|| concurrency_max(it, problems));
        self.rate_max_per_s = there(it, "rate_max_per_s").then(|| rate_max_per_s(it, problems));
        self.delays = match it.given("retry") {
            Given::Absent => None,
            Given::Null => Some(DELAYS_DEFAULT.to_vec()),
            Given::Value(_) => it.object("retry", &RETRY, problems).filter(|it| there(it, "delays")).map(|it| delays(&it, problems)),
        };
    }
}

fn there(it: &Object<'_>, name: &str) -> bool {
    it.given(name) != Given::Absent
}

fn parse_scope(text: &str) -> Result<Scope, &'static str> {
    if text == "*" { Ok(Scope::All) } else { TenantId::parse(text).map(Scope::Tenant).map_err(|it| it.rule) }
}

fn description(it: &Object<'_>, problems: &mut Problems) -> String {
    it.text_of("description", 0, limits::DESCRIPTION_BYTES_MAX, problems).unwrap_or_default().to_owned()
}

fn filter(it: &Object<'_>, problems: &mut Problems) -> Option<String> {
    it.text_of("filter", 1, limits::FILTER_BYTES_MAX, problems).map(Into::into)
}

pub(crate) fn types(it: &Object<'_>, problems: &mut Problems) -> Vec<TypePattern> {
    let parse =
        |text: &str| TypePattern::parse(text).map_err(|_| "an event type such as `payment.completed`, or a prefix such as `payment.*`");
    it.list(
        "types",
        "a list of event types",
        (0, limits::SUBSCRIPTION_TYPES_MAX),
        |value, at, problems| read::parsed_at(value, at, parse, problems),
        problems,
    )
    .unwrap_or_default()
}

fn timeout_ms(it: &Object<'_>, problems: &mut Problems) -> u32 {
    let (min, max, default) = limits::ATTEMPT_TIMEOUT_MS;
    it.integer("timeout_ms", min, max, problems).unwrap_or(default)
}

fn concurrency_max(it: &Object<'_>, problems: &mut Problems) -> u32 {
    it.integer("concurrency_max", 1, limits::CONCURRENCY_MAX, problems).unwrap_or(limits::CONCURRENCY_DEFAULT)
}

fn rate_max_per_s(it: &Object<'_>, problems: &mut Problems) -> Option<u32> {
    it.integer("rate_max_per_s", 1, limits::PUSH_RATE_MAX_PER_S, problems)
}

fn delays(it: &Object<'_>, problems: &mut Problems) -> Vec<u32> {
    it.list(
        "delays",
        "a list of seconds",
        (1, limits::RETRY_DELAYS_MAX),
        |value, at, problems| read::integer_at(value, at, 1, limits::RETRY_DELAY_SECS_MAX, problems),
        problems,
    )
    .unwrap_or_else(|| DELAYS_DEFAULT.to_vec())
}

/// The body of `POST /v1/subscriptions/{id}/resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Go on where it stopped.
    Cursor,
    /// Skip what came meanwhile.
    Now,
}

const RESUME: Shape = Shape { members: &["from"], read_only: &[], paths: &["from"] };

impl Resume {
    /// Reads the body. Without one, or without `from`, nothing is skipped.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: Option<&Value>) -> Result<Self, Problem> {
        let Some(body) = body else { return Ok(Self::Cursor) };
        let mut problems = Problems::new();
        let read = Object::open(body, "", &RESUME, &mut problems)
            .map(|it| it.one_of("from", &[("cursor", Self::Cursor), ("now", Self::Now)], &mut problems).unwrap_or(Self::Cursor));
        problems.finish(read)
    }
}

/// The body of `POST /v1/subscriptions/{id}/test`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Of which event type an example is sent; one that fits the subscription if absent.
    pub event_type: Option<EventType>,
}

const TEST: Shape = Shape { members: &["type"], read_only: &[], paths: &["type"] };

impl Test {
    /// Reads the body; there may be none.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: Option<&Value>) -> Result<Self, Problem> {
        let Some(body) = body else { return Ok(Self::default()) };
        let mut problems = Problems::new();
        let read = Object::open(body, "", &TEST, &mut problems)
            .map(|it| Self { event_type: it.parsed("type", read::name(EventType::parse), &mut problems) });
        problems.finish(read)
    }
}

/// The body of `POST /v1/subscriptions/{id}/seek`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seek {
    /// `start`, `now`, a position, an event id, a time: not read yet.
    pub to: String,
}

const SEEK: Shape = Shape { members: &["to"], read_only: &[], paths: &["to"] };

impl Seek {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &SEEK, &mut problems).and_then(|it| {
            it.require("to", "where to go on: `start`, `now`, a position, an event id or a time", &mut problems);
            Some(Self { to: it.text_of("to", 1, limits::URL_BYTES_MAX, &mut problems)?.to_owned() })
        });
        problems.finish(read)
    }
}

#[cfg(test)]
mod tests;
