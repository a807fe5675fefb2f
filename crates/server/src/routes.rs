//! The one list of what is served: it feeds the router and the tests.
//!
//! `{path}` stands for the declared path of a type. Where a literal segment and
//! a parameter both fit, the literal one is meant. `HEAD` is wherever `GET` is.
//!
//! Not here: what a route does (`http::v1`).

pub use crate::http::query::Params;
use core::fmt;
use ringback_model::key::Scope;

/// How a route is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the methods of HTTP")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it is written in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it may change something, and so takes an `Idempotency-Key`.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Get)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose things a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nobody's: no key is needed.
    Nobody,
    /// The server's: no tenant has to be named.
    Server,
    /// One tenant's.
    Tenant,
    /// One tenant's, or an operator's `*`.
    TenantOrAll,
}

/// What a route answers when all went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Nothing,
    /// Plain text.
    Text,
    /// One object.
    Object,
    /// `{"data":[…],"next_cursor"?}`.
    List,
    /// `{"data":[…],"cursor","has_more","lag"}`.
    Feed,
}

/// What a route does: the name of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its handler")]
pub enum Op {
    Livez,
    Readyz,
    OpenApi,
    Docs,
    ResourceList,
    ResourceCreate,
    ResourceGet,
    ResourcePatch,
    ResourcePut,
    ResourceDelete,
    ResourceTransition,
    ResourceStatus,
    ResourceEvents,
    ResourceVersions,
    ResourceVersion,
    EventPublish,
    EventFeed,
    EventGet,
    EventTypeList,
    SubscriptionCreate,
    SubscriptionList,
    SubscriptionGet,
    SubscriptionPatch,
    SubscriptionDelete,
    SubscriptionPause,
    SubscriptionResume,
    SubscriptionTest,
    SubscriptionPut,
    SubscriptionPull,
    SubscriptionAck,
    SubscriptionNack,
    SubscriptionExtend,
    SubscriptionSeek,
    SubscriptionSecret,
    SubscriptionRotateSecret,
    SubscriptionExplain,
    DeliveryList,
    DeliveryGet,
    DeliveryAttempts,
    DeliveryRetry,
    DeliveryCancel,
    ReplayCreate,
    ReplayList,
    ReplayGet,
    ReplayCancel,
    TypeList,
    TypeGet,
    TypePut,
    TypeDelete,
    TenantList,
    TenantGet,
    TenantPut,
    KeyList,
    KeyCreate,
    KeyGet,
    KeyDelete,
    ErasureCreate,
    ErasureList,
    LogGet,
    Metrics,
    AdviceGet,
    LogRelease,
    Batch,
    StreamTicketCreate,
}

impl Op {
    /// Whether it also answers with an event stream, when `Accept` asks for one.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::EventFeed | Self::ResourceEvents | Self::ResourceList)
    }
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Where: literal segments and `{parameters}`.
    pub path: &'static str,
    /// What a key must be allowed to; `None` where no key is needed.
    pub needs: Option<Scope>,
    /// Whose things it is about.
    pub about: About,
    /// The query parameters that it takes.
    pub params: Params,
    /// What it answers.
    pub shape: Shape,
    /// What it does.
    pub op: Op,
}

const NONE: Params = Params::Only(&[]);
const PAGE: Params = Params::Only(&["limit", "after"]);
const DRY: Params = Params::Only(&["dry_run"]);

const fn route(method: Method, path: &'static str, needs: Scope, about: About, params: Params, shape: Shape, op: Op) -> Route {
    Route { method, path, needs: Some(needs), about, params, shape, op }
}

const fn probe(path: &'static str, op: Op) -> Route {
    Route { method: Method::Get, path, needs: None, about: About::Nobody, params: NONE, shape: Shape::Text, op }
}

use About::{Server, Tenant, TenantOrAll};
use Method::{Delete, Get, Patch, Post, Put};
use Scope::{
    AuditRead, DeliveriesRead, DeliveriesRetry, EventsPublish, EventsRead, KeysWrite, ResourcesAct, ResourcesRead, ResourcesWrite,
    SubscriptionsRead, SubscriptionsSecret, SubscriptionsWrite, TenantsWrite, TypesWrite,
};
use Shape::{Feed, List, Nothing, Object};

/// All routes.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    probe("/livez", Op::Livez),
    probe("/readyz", Op::Readyz),
    Route { shape: Object, ..probe("/openapi.json", Op::OpenApi) },
    probe("/docs", Op::Docs),
    Route { shape: Shape::Text, ..route(Get, "/metrics", AuditRead, Server, NONE, Object, Op::Metrics) },

    route(Get,    "{path}",                          ResourcesRead,      Tenant,      Params::AndFields(&["after", "fields", "filter", "limit", "min_position", "sort", "ticket", "wait", "watch"]), List, Op::ResourceList),
    route(Post,   "{path}",                          ResourcesWrite,     Tenant,      DRY,  Object,  Op::ResourceCreate),
    route(Get,    "{path}/{id}",                     ResourcesRead,      TenantOrAll, Params::Only(&["min_position", "wait"]), Object, Op::ResourceGet),
    route(Put,    "{path}/{id}",                     ResourcesWrite,     Tenant,      DRY,  Object,  Op::ResourcePut),
    route(Patch,  "{path}/{id}",                     ResourcesWrite,     Tenant,      DRY,  Object,  Op::ResourcePatch),
    route(Delete, "{path}/{id}",                     ResourcesWrite,     Tenant,      Params::Only(&["dry_run", "source_version"]), Nothing, Op::ResourceDelete),
    route(Get,    "{path}/{id}/status",              ResourcesRead,      TenantOrAll, Params::Only(&["min_position", "wait", "until"]), Object, Op::ResourceStatus),
    route(Get,    "{path}/{id}/events",              EventsRead,         TenantOrAll, Params::Only(&["after", "limit", "min_position", "ticket", "types", "wait"]), Feed, Op::ResourceEvents),
    route(Get,    "{path}/{id}/versions",            ResourcesRead,      TenantOrAll, Params::Only(&["after", "limit", "min_position"]), List,    Op::ResourceVersions),
    route(Get,    "{path}/{id}/versions/{n}",        ResourcesRead,      TenantOrAll, NONE, Object,  Op::ResourceVersion),
    route(Post,   "{path}/{id}/{transition}",        ResourcesAct,       Tenant,      DRY,  Object,  Op::ResourceTransition),

    route(Get,    "/v1/events",                      EventsRead,         TenantOrAll, Params::Only(&["after", "filter", "limit", "min_position", "subject", "subscription", "ticket", "types", "wait"]), Feed, Op::EventFeed),
    route(Post,   "/v1/events",                      EventsPublish,      Tenant,      DRY,  Object,  Op::EventPublish),
    route(Get,    "/v1/events/{id}",                 EventsRead,         TenantOrAll, Params::Only(&["min_position"]), Object,  Op::EventGet),

    route(Get,    "/v1/event-types",                 EventsRead,         TenantOrAll, PAGE, List,    Op::EventTypeList),

    route(Get,    "/v1/subscriptions",               SubscriptionsRead,  TenantOrAll, PAGE, List,    Op::SubscriptionList),
    route(Post,   "/v1/subscriptions",               SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionCreate),
    route(Get,    "/v1/subscriptions/{id}",          SubscriptionsRead,  TenantOrAll, NONE, Object,  Op::SubscriptionGet),
    route(Put,    "/v1/subscriptions/{id}",          SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionPut),
    route(Patch,  "/v1/subscriptions/{id}",          SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionPatch),
    route(Delete, "/v1/subscriptions/{id}",          SubscriptionsWrite, TenantOrAll, NONE, Nothing, Op::SubscriptionDelete),
    route(Post,   "/v1/subscriptions/{id}/pause",    SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionPause),
    route(Post,   "/v1/subscriptions/{id}/resume",   SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionResume),
    route(Post,   "/v1/subscriptions/{id}/test",     SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionTest),
    route(Post,   "/v1/subscriptions/{id}/pull",     SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionPull),
    route(Post,   "/v1/subscriptions/{id}/ack",      SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionAck),
    route(Post,   "/v1/subscriptions/{id}/nack",     SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionNack),
    route(Post,   "/v1/subscriptions/{id}/extend",   SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionExtend),
    route(Post,   "/v1/subscriptions/{id}/seek",     SubscriptionsWrite, TenantOrAll, NONE, Object,  Op::SubscriptionSeek),
    route(Get,    "/v1/subscriptions/{id}/secret",   SubscriptionsSecret, TenantOrAll, NONE, Object, Op::SubscriptionSecret),
    route(Post,   "/v1/subscriptions/{id}/rotate-secret", SubscriptionsSecret, TenantOrAll, NONE, Object, Op::SubscriptionRotateSecret),
    route(Get,    "/v1/subscriptions/{id}/explain",  DeliveriesRead,     TenantOrAll, Params::Only(&["event"]), Object, Op::SubscriptionExplain),

    route(Get,    "/v1/deliveries",                  DeliveriesRead,     TenantOrAll, Params::Only(&["after", "event", "limit", "since", "state", "status_code", "subject", "subscription", "types", "until"]), List, Op::DeliveryList),
    route(Get,    "/v1/deliveries/{id}",             DeliveriesRead,     TenantOrAll, NONE, Object,  Op::DeliveryGet),
    route(Get,    "/v1/deliveries/{id}/attempts",    DeliveriesRead,     TenantOrAll, NONE, List,    Op::DeliveryAttempts),
    route(Post,   "/v1/deliveries/{id}/retry",       DeliveriesRetry,    TenantOrAll, NONE, Object,  Op::DeliveryRetry),
    route(Post,   "/v1/deliveries/{id}/cancel",      DeliveriesRetry,    TenantOrAll, NONE, Object,  Op::DeliveryCancel),

    route(Get,    "/v1/replays",                     DeliveriesRead,     TenantOrAll, Params::Only(&["after", "limit", "subscription"]), List, Op::ReplayList),
    route(Post,   "/v1/replays",                     DeliveriesRetry,    TenantOrAll, NONE, Object,  Op::ReplayCreate),
    route(Get,    "/v1/replays/{id}",                DeliveriesRead,     TenantOrAll, NONE, Object,  Op::ReplayGet),
    route(Delete, "/v1/replays/{id}",                DeliveriesRetry,    TenantOrAll, NONE, Object,  Op::ReplayCancel),

    route(Get,    "/v1/types",                       ResourcesRead,      Server,      PAGE, List,    Op::TypeList),
    route(Get,    "/v1/types/{name}",                ResourcesRead,      Server,      NONE, Object,  Op::TypeGet),
    route(Put,    "/v1/types/{name}",                TypesWrite,         Server,      NONE, Object,  Op::TypePut),
    route(Delete, "/v1/types/{name}",                TypesWrite,         Server,      NONE, Nothing, Op::TypeDelete),

    route(Get,    "/v1/tenants",                     TenantsWrite,       Server,      PAGE, List,    Op::TenantList),
    route(Get,    "/v1/tenants/{id}",                TenantsWrite,       Server,      NONE, Object,  Op::TenantGet),
    route(Put,    "/v1/tenants/{id}",                TenantsWrite,       Server,      NONE, Object,  Op::TenantPut),

    route(Get,    "/v1/erasures",                    TenantsWrite,       TenantOrAll, PAGE, List,    Op::ErasureList),
    route(Post,   "/v1/erasures",                    TenantsWrite,       Tenant,      NONE, Object,  Op::ErasureCreate),

    route(Get,    "/v1/keys",                        KeysWrite,          Server,      PAGE, List,    Op::KeyList),
    route(Post,   "/v1/keys",                        KeysWrite,          Server,      NONE, Object,  Op::KeyCreate),
    route(Get,    "/v1/keys/{id}",                   KeysWrite,          Server,      NONE, Object,  Op::KeyGet),
    route(Delete, "/v1/keys/{id}",                   KeysWrite,          Server,      NONE, Nothing, Op::KeyDelete),

    route(Get,    "/v1/advice",                      EventsRead,         TenantOrAll, Params::Only(&["window"]), Object, Op::AdviceGet),
    route(Post,   "/v1/batch",                       ResourcesWrite,     Tenant,      DRY,  Object,  Op::Batch),
    route(Post,   "/v1/stream-tickets",               EventsRead,         TenantOrAll, NONE, Object,  Op::StreamTicketCreate),

    route(Get,    "/v1/log",                         EventsRead,         TenantOrAll, NONE, Object,  Op::LogGet),
    route(Post,   "/v1/log/release",                 DeliveriesRetry,    Server,      NONE, Object,  Op::LogRelease),
];

/// What a path was found to be.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// A route, and the values of its parameters in order.
    Route(&'static Route, Vec<&'a str>),
    /// A path that is asked by other methods.
    OtherMethods(Vec<Method>),
    /// Nothing of ours.
    Nothing,
}

/// Finds what `method` on `path` means.
///
/// `base` is what the templates begin with: `""` for our own paths, `"{path}"`
/// for those of a type, whose declared path has been taken off already.
/// `method` is `None` for one that no route has.
#[must_use]
pub fn find<'a>(base: &str, method: Option<Method>, path: &'a str) -> Found<'a> {
    let mut best: Vec<(&'static Route, Vec<&'a str>)> = Vec::new();
    for route in ROUTES {
        let template = match base {
            "" if route.path.starts_with('/') => route.path,
            "" => continue,
            base => match route.path.strip_prefix(base) {
                Some(rest) => rest,
                None => continue,
            },
        };
        let Some(params) = fit(template, path) else { continue };
        // Fewer parameters are more literal segments, since all that fit are of one length.
        match best.first().map(|(_, it)| it.len()) {
            Some(fewest) if params.len() > fewest => continue,
            Some(fewest) if params.len() < fewest => best.clear(),
            _ => {}
        }
        best.push((route, params));
    }
    if best.is_empty() {
        return Found::Nothing;
    }
    let mut methods: Vec<_> = best.iter().map(|(it, _)| it.method).collect();
    methods.sort_unstable();
    match best.into_iter().find(|(it, _)| Some(it.method) == method) {
        Some((route, params)) => Found::Route(route, params),
        None => Found::OtherMethods(methods),
    }
}

/// The values of the template's parameters, if `path` fits it.
fn fit<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut params = Vec::new();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(name), Some(value)) if name.starts_with('{') => {
                if value.is_empty() {
                    return None;
                }
                params.push(value);
            }
            (Some(literal), Some(value)) if literal == value => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, method: Method, path: &str, want: &str) {
        let got = match find(base, Some(method), path) {
            Found::Route(route, params) => format!("{:?} {params:?}", route.op),
            Found::OtherMethods(all) => format!("{all:?}"),
            Found::Nothing => "nothing".into(),
        };
        assert_eq!(got, want, "{method} {path}");
    }

    #[test]
    fn literal_segments_win() {
        check("{path}", Get, "", "ResourceList []");
        check("{path}", Get, "/1", "ResourceGet [\"1\"]");
        check("{path}", Get, "/1/status", "ResourceStatus [\"1\"]");
        check("{path}", Post, "/1/complete", "ResourceTransition [\"1\", \"complete\"]");
        check("{path}", Post, "/1/status", "[Get]");
        check("{path}", Get, "/1/complete", "[Post]");
        check("{path}", Get, "/1/versions/2", "ResourceVersion [\"1\", \"2\"]");
        check("{path}", Post, "/1/versions/2", "[Get]");
        check("{path}", Put, "/1", "ResourcePut [\"1\"]");
        check("{path}", Put, "/1/status", "[Get]");
        check("", Get, "/v1/events", "EventFeed []");
        check("", Get, "/v1/events/evt_1", "EventGet [\"evt_1\"]");
        check("", Post, "/v1/subscriptions/1/pause", "SubscriptionPause [\"1\"]");
    }

    #[test]
    fn nothing_else_fits() {
        for path in ["", "/", "/v1", "/v1/", "/v1/events/", "/v1//", "/v1/events/1/2", "/livez/", "/V1/events", "/{path}"] {
            check("", Get, path, "nothing");
        }
        for path in ["/", "//", "/1/", "/1//", "/1/versions/", "/1/versions/2/3"] {
            check("{path}", Get, path, "nothing");
        }
    }

    #[test]
    fn no_route_is_there_twice() {
        for (at, it) in ROUTES.iter().enumerate() {
            for other in ROUTES.iter().skip(at + 1) {
                assert!((it.method, it.path) != (other.method, other.path), "{} {} is there twice", it.method, it.path);
                assert!(it.op != other.op, "{:?} is there twice", it.op);
            }
        }
    }

    #[test]
    fn only_what_is_nobodys_needs_no_key() {
        for it in ROUTES {
            assert_eq!(it.needs.is_none(), it.about == About::Nobody, "{} {}", it.method, it.path);
        }
    }
}
