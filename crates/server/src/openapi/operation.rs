//! What the route table doesn't say of a route: in words, and in schemas.
//!
//! One exhaustive match over [`Op`], so a new route has to be described before
//! it compiles. What every route or every write has in common (headers, codes,
//! parameters by name) is not repeated here: see `common`.

use crate::routes::Op;
use ringback_model::type_decl::{Transition, TypeDecl};
use ringback_wire::{
    ErrorCode::{self, *},
    schemas::{self, feed_of, list_of, named, object, text, watchable_list_of},
};
use serde_json::Value;

/// What is said of one route.
#[derive(Debug)]
pub(super) struct Operation {
    /// The heading that it stands under.
    pub(super) tag: Tag,
    /// In a few words.
    pub(super) summary: String,
    /// In Markdown; may be empty.
    pub(super) text: String,
    /// What it reads.
    pub(super) body: Body,
    /// Which conditions it takes.
    pub(super) conditions: Conditions,
    /// What it answers when all went well.
    pub(super) answers: Vec<Good>,
    /// The codes that it alone, or it and a few others, can refuse with.
    pub(super) codes: Vec<ErrorCode>,
}

/// Headings, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Resources of the declared type.
    Type,
    Events,
    Subscriptions,
    Deliveries,
    Batches,
    Types,
    Keys,
    Tenants,
    Server,
}

impl Tag {
    pub(super) const OURS: [(Self, &'static str, &'static str); 8] = [
        (
            Self::Events,
            "Events",
            "The log: what happened, in order, without gaps. Publish to it, read it from any position, wait at its end.",
        ),
        (
            Self::Subscriptions,
            "Subscriptions",
            "A filter over the log and a position in it. A push subscription is called back with signed POSTs.",
        ),
        (Self::Deliveries, "Deliveries", "What is owed to subscriptions, what was tried, and what came back."),
        (Self::Batches, "Batches", "Several writes as one change set: all of them, or none."),
        (Self::Types, "Types", "The declared kinds of resources: schema, lifecycle, path."),
        (Self::Keys, "Keys", "Who may ask, for which tenant, and what they may do."),
        (Self::Tenants, "Tenants", "The customers of the operator."),
        (Self::Server, "Server", "Whether it is there, and what it serves."),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::OURS.iter().find(|it| it.0 == self).map_or("", |it| it.1)
    }
}

/// What a route reads as its body.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing: what is sent is not looked at.
    None,
    /// Nothing but `{}`, which is taken for nothing.
    Empty,
    /// JSON that may be left out.
    Optional(Value),
    /// JSON.
    Needed(Value),
    /// A merge patch.
    Patch(Value),
}

/// Which conditional headers a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conditions {
    None,
    /// `If-None-Match`: 304.
    Read,
    /// `If-None-Match: *`: 412 if it is there.
    Create,
    /// Both: 412.
    Put,
    /// `If-Match`: 412.
    Write,
    /// The same, and 428 without it.
    WriteNeeded,
}

/// An answer that is no refusal.
#[derive(Debug)]
pub(super) struct Good {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) content: Content,
    /// Headers beyond those that every answer has.
    pub(super) headers: &'static [&'static str],
}

/// What an answer holds.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    /// JSON, or an event stream for those that accept one.
    JsonOrStream(Value),
    Text,
    Html,
}

fn ok(says: &'static str, schema: Value, headers: &'static [&'static str]) -> Good {
    Good { status: 200, says, content: Content::Json(schema), headers }
}

/// A page, or the same without end.
fn ok_or_stream(says: &'static str, schema: Value, headers: &'static [&'static str]) -> Good {
    Good { status: 200, says, content: Content::JsonOrStream(schema), headers }
}

fn created(schema: Value, headers: &'static [&'static str]) -> Good {
    Good { status: 201, says: "It was made.", content: Content::Json(schema), headers }
}

const fn empty(status: u16, says: &'static str, headers: &'static [&'static str]) -> Good {
    Good { status, says, content: Content::Nothing, headers }
}

/// 304: the caller has it already.
const fn unchanged() -> Good {
    empty(304, "What `If-None-Match` names is still what is there.", &["ETag"])
}

fn plain(says: &'static str) -> Good {
    Good { status: 200, says, content: Content::Text, headers: &[] }
}

/// What a write of a resource tells beside its body.
const WROTE: &[&str] = &["ETag", "Ringback-Position", "Ringback-Event"];
const MADE: &[&str] = &["ETag", "Location", "Ringback-Position", "Ringback-Event"];

/// What a stream tells its proxies.
const STREAM: &[&str] = &["Cache-Control", "X-Accel-Buffering"];
const LISTED: &[&str] = &["Cache-Control", "ETag", "X-Accel-Buffering"];
/// What a subscription's description can be refused with.
const SUBSCRIBING: &[ErrorCode] = &[
    DestinationNotAllowed,
    UnknownEventType,
    FilterSyntax,
    FilterAmbiguous,
    FilterInvalid,
    LimitReached,
    CursorEpoch,
    CursorMismatch,
    LogTruncated,
];
/// What a word about pulled events can be refused with.
const SETTLING: &[ErrorCode] = &[Conflict, CursorEpoch];

struct Begun(Operation);

fn op(tag: Tag, summary: &str, text: &str) -> Begun {
    Begun(Operation {
        tag,
        summary: summary.into(),
        text: text.into(),
        body: Body::None,
        conditions: Conditions::None,
        answers: Vec::new(),
        codes: Vec::new(),
    })
}

impl Begun {
    fn reads(mut self, body: Body) -> Self {
        self.0.body = body;
        self
    }

    fn on(mut self, conditions: Conditions) -> Self {
        self.0.conditions = conditions;
        if conditions == Conditions::Read {
            self.0.answers.push(unchanged());
        }
        self
    }

    fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        self.0.codes.extend_from_slice(codes);
        self
    }

    fn answers(mut self, answers: impl IntoIterator<Item = Good>) -> Operation {
        self.0.answers.extend(answers);
        self.0.answers.sort_by_key(|it| it.status);
        self.0
    }
}

/// What is said of a route of ours.
pub(super) fn of_server(of: Op) -> Option<Operation> {
    use Tag::{Batches, Deliveries, Events, Keys, Server, Subscriptions, Tenants, Types};
    let s = named;
    Some(match of {
        Op::Livez => op(Server, "Is the process alive?", "Answers as long as requests are answered at all. No key is needed.").answers([plain("It is.")]),
        Op::Readyz => op(Server, "Should requests be sent here?", "503 from the moment on at which the end was announced. No key is needed.")
            .refuses(&[Draining])
            .answers([plain("They should.")]),
        Op::OpenApi => op(
            Server,
            "This document",
            "OpenAPI 3.1, made from what is served right now, the routes of declared types included. Without a key it shows what tenants may do; with a key what that key's role may. `serve --dev` shows everything.",
        )
        .on(Conditions::Read)
        .refuses(&[Unauthenticated])
        .answers([ok("The document.", object(serde_json::json!({ "openapi": text("`3.1.0`"), "info": {}, "servers": {}, "tags": {}, "paths": {}, "components": {}, "security": {} }), &[]), &["ETag"])]),
        Op::Docs => op(Server, "This document, to be read", "One page that needs no other: no scripts, nothing from elsewhere. It shows what `/openapi.json` has.")
            .on(Conditions::Read)
            .refuses(&[Unauthenticated])
            .answers([Good { status: 200, says: "The page.", content: Content::Html, headers: &["Content-Security-Policy", "ETag"] }]),

        Op::EventFeed => op(
            Events,
            "Follow the log",
            "A page of the tenant's events in order; with `wait`, the answer comes as soon as something matches. Keep `cursor` and send it back as `after`: nothing is missed, and what you have passed stays passed. With `Accept: text/event-stream` the same as server-sent events, from `now` on, or behind `Last-Event-ID` or `after`.",
        )
        .refuses(&[FilterSyntax, FilterAmbiguous, FilterInvalid])
        .answers([ok_or_stream("A page; empty, with a moved `cursor`, when nothing matched.", feed_of(s("Event")), STREAM)]),
        Op::EventPublish => op(
            Events,
            "Publish events",
            "One event, or an array of up to 1,000, all or nothing. With a `key` a repeat is harmless: 200 and the stored event.",
        )
        .reads(Body::Needed(serde_json::json!({ "oneOf": [s("NewEvent"), { "type": "array", "minItems": 1, "maxItems": 1000, "items": s("NewEvent") }] })))
        .refuses(&[TypeOwned, AlreadyExists])
        .answers([
            ok("All of them were stored before.", published(), &["Ringback-Position"]),
            created(published(), &["Location", "Ringback-Position", "Ringback-Event"]),
        ]),
        Op::EventGet => op(Events, "One event", "Exactly the bytes that a `full` subscription is pushed.")
            .refuses(&[LogTruncated])
            .answers([ok("The event.", s("Event"), &[])]),

        Op::EventTypeList => op(
            Events,
            "The catalogue of events",
            "Every event type that a type or a file declares or somebody has published, in order of name, with its schema and an example where they are known.",
        )
        .answers([ok("A page.", list_of(s("EventType")), &[])]),

        Op::SubscriptionList => op(Subscriptions, "Subscriptions", "In order of id.").answers([ok("A page.", list_of(s("Subscription")), &[])]),
        Op::SubscriptionCreate => op(
            Subscriptions,
            "Be called back",
            "From now on, or from `from` on, each matching event is POSTed to `push.url`, signed by the Standard Webhooks, until it is answered 2xx. The answer shows `push.secret` once. With `subject` and `until` it calls once, when that resource reaches the status, and is done. Without `push` nobody is called: its events are taken with `pull`.",
        )
        .reads(Body::Needed(s("NewSubscription")))
        .refuses(SUBSCRIBING)
        .refuses(&[AlreadyExists])
        .answers([created(s("Subscription"), &["ETag", "Location", "Cache-Control"])]),
        Op::SubscriptionGet => op(Subscriptions, "One subscription", "With its position, how far it lags, and how its endpoint does.")
            .on(Conditions::Read)
            .answers([ok("The subscription.", s("Subscription"), &["ETag"])]),
        Op::SubscriptionPatch => op(
            Subscriptions,
            "Change a subscription",
            "A merge patch. Changes of `types`, `filter`, `payload` and `order` count for later events; those of `push` from the next try. `\"push\":null` makes it one that is pulled, a `push` with its `url` one that is pushed: nothing is lost, and only what is in flight may come twice.",
        )
        .reads(Body::Patch(s("PatchSubscription")))
        .on(Conditions::Write)
        .refuses(SUBSCRIBING)
        .refuses(&[SubscriptionNotActive, Conflict])
        .answers([ok("The subscription as it is now; with `push.secret` if it has become a pushed one.", s("Subscription"), &["ETag", "Cache-Control"])]),
        Op::SubscriptionPut => op(
            Subscriptions,
            "Make or replace a subscription",
            "Under an id of your choice; what is there becomes what the body says. What is left out is as in a new one, except that the position, and a secret that isn't given, stay.",
        )
        .reads(Body::Needed(s("NewSubscription")))
        .on(Conditions::Write)
        .refuses(SUBSCRIBING)
        .refuses(&[SubscriptionNotActive, Conflict, AlreadyExists])
        .answers([
            ok("It was replaced.", s("Subscription"), &["ETag", "Cache-Control"]),
            created(s("Subscription"), &["ETag", "Location", "Cache-Control"]),
        ]),
        Op::SubscriptionDelete => op(Subscriptions, "Delete a subscription", "What it was still owed is owed no more.")
            .on(Conditions::Write)
            .answers([empty(204, "It is gone.", &[])]),
        Op::SubscriptionPause => op(Subscriptions, "Pause", "Nothing new is sent; the position stays, and so does what is owed: `waits` says how much that is.")
            .reads(Body::Empty)
            .refuses(&[SubscriptionNotActive, Conflict])
            .answers([ok("The paused subscription.", s("Subscription"), &["ETag"])]),
        Op::SubscriptionResume => op(Subscriptions, "Resume", "Goes on where it stood, or with `\"from\":\"now\"` skips what came meanwhile; `skipped` says how much that was.")
            .reads(Body::Optional(s("Resume")))
            .refuses(&[SubscriptionNotActive, Conflict])
            .answers([ok("The active subscription.", s("Subscription"), &["ETag"])]),
        Op::SubscriptionTest => op(
            Subscriptions,
            "Test the endpoint",
            "Sends an example of an event type now, signed and formed as a real one, also while it is paused. The example is not in the log (its `sequence` is 0), and nothing of it is kept: the answer is all there is. An `Idempotency-Key` keeps nothing here.",
        )
        .reads(Body::Optional(s("Test")))
        .refuses(&[Conflict, UnknownEventType])
        .answers([ok("The attempt, whatever came of it.", s("Attempt"), &[])]),
        Op::SubscriptionPull => op(
            Subscriptions,
            "Pull",
            "Hands out events to whoever asks, and nobody else gets them for `lease` seconds. Several workers may pull one subscription. What isn't acknowledged in time comes again, alone; after 15 times it is parked. An answer that was lost on its way comes again in the same way: an `Idempotency-Key` keeps nothing here.",
        )
        .reads(Body::Optional(s("Pull")))
        .refuses(&[SubscriptionNotActive, Conflict, TooManyWaiters])
        .answers([ok("Events, and the token that acknowledges them. Empty when there was nothing until the end of `wait`.", s("Pulled"), &["Cache-Control"])]),
        Op::SubscriptionAck => op(
            Subscriptions,
            "Acknowledge",
            "All of what a pull handed out, or the `events` named. It is on disk when it is answered. Never refused for being late: `late` names what was settled already.",
        )
        .reads(Body::Needed(s("Ack")))
        .refuses(SETTLING)
        .answers([ok("What was settled.", s("Settled"), &[])]),
        Op::SubscriptionNack => op(Subscriptions, "Give back", "All of it, or the `events` named: they are handed out again, at once or after `delay`.")
            .reads(Body::Needed(s("Nack")))
            .refuses(SETTLING)
            .refuses(&[LeaseExpired])
            .answers([ok("What was given back.", s("Settled"), &[])]),
        Op::SubscriptionExtend => op(Subscriptions, "Hold longer", "All of it, or the `events` named, for `lease` seconds from now on.")
            .reads(Body::Needed(s("Extend")))
            .refuses(SETTLING)
            .refuses(&[LeaseExpired])
            .answers([ok("Until when they are held now.", s("Settled"), &[])]),
        Op::SubscriptionSeek => op(
            Subscriptions,
            "Go on elsewhere in the log",
            "Backwards: what is there comes again. Forwards: what lies between is skipped. What was parked or waited for another try above the target is forgotten.",
        )
        .reads(Body::Needed(s("Seek")))
        .on(Conditions::Write)
        .refuses(&[SubscriptionNotActive, Conflict, CursorEpoch, CursorMismatch, LogTruncated])
        .answers([ok("The subscription at its new place.", s("Subscription"), &["ETag"])]),

        Op::SubscriptionSecret => op(
            Subscriptions,
            "Its signing keys",
            "Those that sign now, newest first, with the public key of each `ed25519` one. What is secret of a key is shown once, when it is made.",
        )
        .answers([ok("The keys.", s("SigningKeys"), &["ETag"])]),
        Op::SubscriptionRotateSecret => op(
            Subscriptions,
            "Rotate its secret",
            "Makes a new key, or takes the one given, and shows its secret this once. For `overlap` seconds requests carry the signatures of both, newest first; `\"overlap\":0` revokes the old one at once. `github` and `shopify` have room for one signature: there the new key replaces the old one.",
        )
        .reads(Body::Optional(s("Rotate")))
        .on(Conditions::Write)
        .refuses(&[LimitReached])
        .answers([ok("All keys that sign now, and the new `secret`.", s("RotatedKeys"), &["ETag", "Cache-Control"])]),

        Op::SubscriptionExplain => op(
            Subscriptions,
            "Why was this event (not) delivered?",
            "Every question that is asked before a delivery, with what was found: its types, its filter condition by condition, whether it was skipped, when the next try is due.",
        )
        .answers([ok("The answer.", s("Explained"), &[])]),
        Op::DeliveryList => op(
            Deliveries,
            "Deliveries",
            "Of a subscription or of an event. Without either: those that did not succeed at first try. `status_code` is that of the last try; `since` and `until` are about when the event was made. A page may be empty and have a `next_cursor`: it says how far the search has come.",
        )
        .answers([ok("A page.", list_of(s("Delivery")), &[])]),
        Op::DeliveryGet => op(Deliveries, "One delivery", "What became of one event for one subscription.").answers([ok("The delivery.", s("Delivery"), &[])]),
        Op::DeliveryAttempts => op(Deliveries, "Its attempts", "The first one first.").answers([ok("All of them.", list_of(s("Attempt")), &[])]),
        Op::DeliveryRetry => op(Deliveries, "Try again now", "Whatever is due, parked ones included.")
            .reads(Body::Empty)
            .refuses(&[Conflict, SubscriptionNotActive])
            .answers([Good { status: 202, says: "It will be tried at once.", content: Content::Json(s("Delivery")), headers: &[] }]),

        Op::DeliveryCancel => op(
            Deliveries,
            "Cancel",
            "It is skipped: not tried any more, unless a replay sends it. One that is skipped already stays so. Delivered ones, and ones that are in flight, can't be cancelled.",
        )
        .reads(Body::Empty)
        .refuses(&[Conflict, LimitReached])
        .answers([ok("The delivery as it is now.", s("Delivery"), &[])]),

        Op::ReplayList => op(Deliveries, "Replays", "The last one first. At most 100 of a subscription are kept.").answers([ok("A page.", list_of(s("Replay")), &[])]),
        Op::ReplayCreate => op(
            Deliveries,
            "Replay",
            "Sends again what is asked for, by time, type and condition: parked deliveries (`failed`), what matches today and never arrived (`missing`), or all that matches today. It goes through the log in order, has its own rate, and never comes before what is owed anyway. A success changes a delivery from parked or skipped to delivered; what it can't deliver in four tries stays what it was. It survives a restart, and waits while the subscription is paused. With `dry_run`, only a count.",
        )
        .reads(Body::Needed(s("NewReplay")))
        .refuses(&[Conflict, SubscriptionNotActive, LimitReached, FilterSyntax, FilterAmbiguous, FilterInvalid, CursorMismatch, CursorEpoch, LogTruncated])
        .answers([ok("With `dry_run`: what it would pick now.", s("CountedReplay"), &[]), created(s("Replay"), &["Location"])]),
        Op::ReplayGet => op(Deliveries, "One replay", "How far it is, and what came of it; written down at least every 256 tries or 100 ms.").answers([ok("The replay.", s("Replay"), &[])]),
        Op::ReplayCancel => op(Deliveries, "Cancel a replay", "Nothing more is started; what is in flight ends by itself. It stays to be looked at. One that has ended stays what it is.")
            .answers([ok("The replay as it is now.", s("Replay"), &[])]),

        Op::Batch => op(
            Batches,
            "Several writes at once",
            "Each operation is said as the request that it would be alone. One refusal, and nothing is done: its place is the problem's `operation`.",
        )
        .reads(Body::Needed(s("Batch")))
        .refuses(&[TransitionNotAllowed, GuardFailed, AlreadyExists, TypeOwned, Mirrored, Conflict, LimitReached, PreconditionFailed, PreconditionRequired, MethodNotAllowed])
        .answers([ok("What each of them made, in order.", s("BatchResults"), &["Ringback-Position", "Ringback-Event"])]),

        Op::TypeList => op(Types, "Types", "In order of name.").answers([ok("A page.", list_of(s("TypeSummary")), &[])]),
        Op::TypeGet => op(Types, "One type", "As it was declared.")
            .on(Conditions::Read)
            .answers([ok("The declaration.", s("TypeDeclaration"), &["ETag"])]),
        Op::TypePut => op(Types, "Declare a type", "Makes or replaces it. From it come routes, checks and events. Types of files are read-only here.")
            .reads(Body::Needed(s("TypeDeclaration")))
            .on(Conditions::Write)
            .refuses(&[ManagedByFile, SchemaIncompatible, Conflict, LimitReached])
            .answers([ok("It was replaced.", s("TypeDeclaration"), &["ETag"]), created(s("TypeDeclaration"), &["ETag", "Location"])]),
        Op::TypeDelete => op(Types, "Delete a type", "Only while no resources of it are stored.")
            .on(Conditions::Write)
            .refuses(&[ManagedByFile, Conflict])
            .answers([empty(204, "It is gone.", &[])]),

        Op::TenantList => op(Tenants, "Tenants", "In order of id.").answers([ok("A page.", list_of(s("Tenant")), &[])]),
        Op::TenantGet => op(Tenants, "One tenant", "").on(Conditions::Read).answers([ok("The tenant.", s("Tenant"), &["ETag"])]),
        Op::TenantPut => op(Tenants, "Make or change a tenant", "What is left out stays as it is.")
            .reads(Body::Optional(s("PutTenant")))
            .on(Conditions::Write)
            .refuses(&[LimitReached])
            .answers([ok("It was changed.", s("Tenant"), &["ETag"]), created(s("Tenant"), &["ETag", "Location"])]),

        Op::ErasureList => op(Tenants, "Erasures", "The first one first, with how far they are; not what they were of.").answers([ok("A page.", list_of(s("Erasure")), &[])]),
        Op::ErasureCreate => op(Tenants, "Erase data", "An event, all about a subject, or all of a tenant. There is no way back. Written down when it is answered, done soon after; asking twice is harmless.")
            .reads(Body::Needed(s("NewErasure")))
            .refuses(&[Conflict])
            .answers([Good { status: 202, says: "It will be erased.", content: Content::Json(s("Erasure")), headers: &[] }]),

        Op::KeyList => op(Keys, "Keys", "In order of id, without the keys themselves.").answers([ok("A page.", list_of(s("Key")), &[])]),
        Op::KeyCreate => op(Keys, "Make a key", "The answer is the only one that shows the key itself.")
            .reads(Body::Needed(s("NewKey")))
            .refuses(&[LimitReached, TenantRequired])
            .answers([created(s("Key"), &["Location", "Cache-Control"])]),
        Op::KeyGet => op(Keys, "One key", "Without the key itself.").answers([ok("The key.", s("Key"), &[])]),
        Op::KeyDelete => op(Keys, "Delete a key", "It is refused from now on. The last operator key can't be deleted.")
            .refuses(&[Conflict])
            .answers([empty(204, "It is gone.", &[])]),

        Op::AdviceGet => op(
            Server,
            "Advice",
            "What the polls of each key cost and brought, measured, and what waiting or being called would have cost instead; and endpoints that pulling would serve better.",
        )
        .answers([ok("The advice.", s("Advice"), &[])]),
        Op::StreamTicketCreate => op(
            Events,
            "A ticket for a browser",
            "An `EventSource` can send no key. A ticket opens one stream, of the route and query that it was made for, as the key that made it: used first within a minute, then good for reconnects for an hour.",
        )
        .reads(Body::Needed(s("NewTicket")))
        .refuses(&[Conflict, FilterSyntax, FilterAmbiguous, FilterInvalid, CursorMismatch, CursorEpoch, CursorExpired, LogTruncated, MethodNotAllowed])
        .answers([created(s("Ticket"), &["Cache-Control"])]),
        Op::LogRelease => op(Server, "Let deliveries go", "After a restore all deliveries are held until this is sent.")
            .reads(Body::Empty)
            .answers([ok("The ends.", s("Log"), &[])]),
        Op::Metrics => op(Server, "Metrics", "In the text form of Prometheus; for operators. Names and meanings are in `docs/metrics.md`. No label holds an id.")
            .answers([plain("All of them.")]),
        Op::LogGet => op(Server, "The ends of the log", "First and last place, and what retention has removed.").answers([ok("The ends.", s("Log"), &[])]),

        Op::ResourceList
        | Op::ResourceCreate
        | Op::ResourceGet
        | Op::ResourcePut
        | Op::ResourcePatch
        | Op::ResourceDelete
        | Op::ResourceTransition
        | Op::ResourceStatus
        | Op::ResourceEvents
        | Op::ResourceVersions
        | Op::ResourceVersion => return None,
    })
}

/// One event, or a list of them in the order of the request.
fn published() -> Value {
    // Not `oneOf`: an event whose data is a list looks like a list, too.
    serde_json::json!({ "anyOf": [named("Event"), list_of(named("Event"))] })
}

/// What is said of a route of a declared type; `transition` where the route is one.
pub(super) fn of_type(of: Op, ty: &TypeDecl, transition: Option<&Transition>) -> Option<Operation> {
    let name = ty.name.as_str();
    let row = || named(&row_name(ty));
    let op = |summary: String, text: &str| op(Tag::Type, &summary, text);
    let write = if ty.require_if_match { Conditions::WriteNeeded } else { Conditions::Write };
    Some(match of {
        Op::ResourceList => op(
            format!("List: {name}"),
            "Newest first. Fields are conditions: `?status=…`, or with an operator `?field[gte]=…` (`eq ne gt gte lt lte in exists`). With `If-None-Match` and `wait`, the answer comes once the page differs. With `watch=true`: what becomes of the list behind `after`, as a feed of changes; with `Accept: text/event-stream`, first what is there (`event: snapshot`), then `event: sync`, then what changes.",
        )
        .on(Conditions::Read)
        .refuses(&[QueryTooExpensive])
        .answers([ok_or_stream(
            "A page: all pages show one moment, that of the first. Of a watch: changes, in log order.",
            serde_json::json!({ "anyOf": [
                watchable_list_of(serde_json::json!({ "anyOf": [row(), { "type": "object", "description": "With `fields`: those alone." }] })),
                feed_of(schemas::change_of(row())),
            ] }),
            LISTED,
        )]),
        Op::ResourceCreate => op(format!("Make: {name}"), "Its `id` may be chosen; else it is made.")
            .reads(Body::Needed(named(&new_name(ty))))
            .on(Conditions::Create)
            .refuses(&[AlreadyExists])
            .answers([created(row(), MADE)]),
        Op::ResourceGet => op(format!("One: {name}"), "With `If-None-Match` and `wait`, the answer comes once it differs.")
            .on(Conditions::Read)
            .answers([ok("As it is now.", row(), &["ETag"])]),
        Op::ResourcePut => op(
            format!("Mirror: {name}"),
            "What its source says it is now. A `source_version` that isn't above the stored one is old news: 200, `Ringback-Applied: false`, no event.",
        )
        .reads(Body::Needed(named(&new_name(ty))))
        .on(Conditions::Put)
        .answers([ok("It was replaced, or this is old news.", row(), &["ETag", "Ringback-Position", "Ringback-Event", "Ringback-Applied"]), created(row(), MADE)]),
        Op::ResourcePatch => op(
            format!("Change: {name}"),
            "A merge patch: what is `null` is removed, what is left out stays. One that changes nothing makes no event.",
        )
        .reads(Body::Patch(named(&patch_name(ty))))
        .on(write)
        .answers([ok("As it is now.", row(), WROTE)]),
        Op::ResourceDelete => op(format!("Delete: {name}"), "Its id stays taken, and its events stay in the log.")
            .on(write)
            .answers([empty(204, "It is gone.", &["Ringback-Position", "Ringback-Event", "Ringback-Applied"])]),
        Op::ResourceStatus => op(
            format!("Status of one: {name}"),
            "`until` and `wait` answer the moment it is known. Without them, `Retry-After` says when asking again is worth it. `next`: transitions that this key may call from here; `subscribe`: a body for `POST /v1/subscriptions`.",
        )
        .answers([
            empty(304, "What `If-None-Match` names is still what is there.", &["ETag", "Retry-After"]),
            ok("Where it stands.", named("Status"), &["ETag", "Retry-After"]),
        ])
        .conditional(),
        Op::ResourceEvents => op(format!("Events of one: {name}"), "The feed of this resource alone, also once it was deleted. With `Accept: text/event-stream` as server-sent events.")
            .answers([ok_or_stream("A page.", feed_of(named("Event")), STREAM)]),
        Op::ResourceVersions => op(format!("Versions of one: {name}"), "The first one first.")
            .refuses(&[LogTruncated])
            .answers([ok("A page.", list_of(row()), &[])]),
        Op::ResourceVersion => op(format!("One version of one: {name}"), "As the event that made it has it.")
            .refuses(&[LogTruncated])
            .answers([ok("As it was.", row(), &["ETag"])]),
        Op::ResourceTransition => {
            let it = transition?;
            let from: Vec<_> = it.from.iter().map(|it| format!("`{it}`")).collect();
            let to: Vec<_> = it.to.iter().map(|it| format!("`{}`", it.status)).collect();
            let guard = it.guard.as_ref().map_or_else(String::new, |it| format!(" Only if `{it}`."));
            let text = format!("From {} to {}; makes `{}`.{guard}", from.join(" or "), to.join(" or "), it.event);
            op(format!("{}: {name}", it.name), &text)
                .reads(it.input.as_ref().map_or(Body::Empty, |_| Body::Optional(named(&input_name(ty, it)))))
                .on(write)
                .refuses(&[TransitionNotAllowed, GuardFailed, ValidationFailed])
                .answers([ok("As it is now.", row(), WROTE)])
        }
        _ => return None,
    })
}

impl Operation {
    /// The same, with `If-None-Match`.
    fn conditional(mut self) -> Self {
        self.conditions = Conditions::Read;
        self
    }

    /// The same, when it can be tried without doing it.
    pub(super) fn tried(mut self) -> Self {
        let tried = named("DryRun");
        match self.answers.iter_mut().find(|it| it.status == 200) {
            Some(Good { content: Content::Json(schema) | Content::JsonOrStream(schema), .. }) => {
                *schema = serde_json::json!({ "anyOf": [schema.clone(), tried] })
            }
            _ => self.answers.push(ok("With `dry_run=true`: what it would have made.", tried, &[])),
        }
        self
    }
}

/// Names of a type's schemas in the document.
pub(super) fn fields_name(ty: &TypeDecl) -> String {
    format!("resource.{}.fields", ty.name)
}

pub(super) fn row_name(ty: &TypeDecl) -> String {
    format!("resource.{}", ty.name)
}

pub(super) fn new_name(ty: &TypeDecl) -> String {
    format!("resource.{}.new", ty.name)
}

pub(super) fn patch_name(ty: &TypeDecl) -> String {
    format!("resource.{}.patch", ty.name)
}

pub(super) fn input_name(ty: &TypeDecl, transition: &Transition) -> String {
    format!("resource.{}.step.{}", ty.name, transition.name)
}
