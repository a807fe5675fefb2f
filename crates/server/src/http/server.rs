//! From a request to its answer: routing, authentication, idempotency, and the
//! headers that every answer has.
//!
//! The order of checks is the contract's: who asks, what was answered already
//! (Idempotency-Key), then preconditions and the request itself.
//!
//! Not here: sockets (`http::accept`), what each route does (`http::v1`).

use super::{
    answer::{Answer, REQUEST_ID, TENANT},
    call::{Call, replayed},
    errors::{self, Asked},
    extract,
    failure::Failure,
    query::{Query, normal_path},
    suggest,
    surface::Surface,
    v1,
};
use crate::routes::{self, About, Found, Method, Op, ROUTES, Route};
use bytes::Bytes;
use core::{panic::AssertUnwindSafe, time::Duration};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Body;
use ringback_model::{ResourceId, key::Authority};
use ringback_service::{Begin, Caller, Ctx, Error, ServedType, Service, Shown, WhyNot, idempotency_key};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of one listener; more wait in the system's queue.
    pub connections_max: usize,
    /// For a request's head, from its first byte.
    pub head_timeout: Duration,
    /// For a connection that waits for its next request.
    pub idle_timeout: Duration,
    /// For a request's body.
    pub body_timeout: Duration,
    /// For the requests in flight once the end is announced.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 25_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(25),
        }
    }
}

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Over the network: it brings a key.
    Network,
    /// Over the operator's socket: without a key it is the operator's.
    Socket,
}

/// Answers requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Service,
    limits: Limits,
    draining: watch::Sender<bool>,
    surface: Surface,
}

/// What is known of a request before its handler runs, and stays known when that fails.
#[derive(Debug, Default)]
struct Known {
    tenant: OnceLock<HeaderValue>,
    caller: OnceLock<Caller>,
    authority: OnceLock<Authority>,
    asked: OnceLock<Asked>,
}

impl Server {
    /// Serves `service`.
    #[must_use]
    pub fn new(service: Service, limits: Limits) -> Self {
        Self(Arc::new(Inner { service, limits, draining: watch::Sender::new(false), surface: Surface::default() }))
    }

    /// Announces the end: who waits is answered, and connections close after their request.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.0.draining.subscribe()
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    /// What it allows its clients.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Answers one request.
    ///
    /// A handler that panics is answered 500, and harms no other request.
    pub async fn handle<B>(&self, request: Request<B>, door: Door) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
    {
        let service = self.service();
        let started = service.clock().now();
        let (mut parts, body) = request.into_parts();
        let request_id = extract::request_id(&parts.headers).map_or_else(|| service.request_id().to_string(), str::to_owned);
        let known = Known::default();
        let refuse = |failure| errors::answer(failure, &known.asked(), &request_id);
        let answer = match AssertUnwindSafe(self.answer(&mut parts, body, door, &known)).catch_unwind().await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => refuse(failure),
            Err(panic) => refuse(panicked(&*panic).into()),
        };
        let answer = answer.rate(known.caller.get().and_then(|it| service.rate(it)));
        tracing::debug!(
            request_id,
            method = %parts.method,
            path = parts.uri.path(),
            status = answer.status.as_u16(),
            micros = u64::try_from(service.clock().now().since(started).as_micros()).unwrap_or(u64::MAX),
            "{} {} answered {}", parts.method, parts.uri.path(), answer.status.as_u16()
        );
        respond(answer, parts.method == http::Method::HEAD, &request_id, known.tenant.into_inner())
    }

    async fn answer<B>(&self, parts: &mut Parts, body: B, door: Door, known: &Known) -> Result<Answer, Failure>
    where
        B: Body<Data = Bytes> + Send,
    {
        extract::head_fits(parts)?;
        let path = normal_path(parts.uri.path());
        let method = method(&parts.method);
        if let Some(answer) = self.open(parts, method, &path, door) {
            return answer;
        }
        let service = self.service();
        let caller = match (extract::key(&parts.headers)?, door) {
            (Some(key), _) => service.authenticate(&key)?,
            (None, Door::Socket) => Caller::socket_operator(),
            (None, Door::Network) => return Err(Error::Unauthenticated(WhyNot::NoKey).into()),
        };
        let _ = known.authority.set(caller.authority());
        let _ = known.caller.set(caller.clone());
        let routed = self.route(caller.authority(), &parts.method, method, &path);
        let unpaid = match service.charge(&caller) {
            Ok(()) => false,
            // What is answered from memory may turn out to be a 304, and that costs nothing.
            Err(_) if routed.as_ref().is_ok_and(|(route, ..)| from_memory(route)) && parts.headers.contains_key(header::IF_NONE_MATCH) => {
                true
            }
            Err(limited) => return Err(limited.into()),
        };
        let answered = self.routed(parts, body, known, &path, caller.clone(), routed?).await;
        match (&answered, unpaid) {
            (Ok(Answer { status: StatusCode::NOT_MODIFIED, .. }), true) => {}
            (Ok(Answer { status: StatusCode::NOT_MODIFIED, .. }), false) => service.refund(&caller),
            (_, true) => service.charge(&caller)?,
            (_, false) => {}
        }
        answered
    }

    /// Answers a request of a known caller for a known route.
    async fn routed<B>(
        &self,
        parts: &mut Parts,
        body: B,
        known: &Known,
        path: &str,
        caller: Caller,
        (route, params, ty): Routed,
    ) -> Result<Answer, Failure>
    where
        B: Body<Data = Bytes> + Send,
    {
        let service = self.service();
        let _ = known.asked.set(Asked {
            authority: caller.authority(),
            op: Some(route.op),
            ty: ty.clone(),
            id: params.first().cloned().unwrap_or_default(),
        });
        let ctx = self.ctx(caller, route, &parts.headers)?;
        let _ = HeaderValue::from_str(ctx.tenant_text()).map(|it| known.tenant.set(it));
        extract::accepts(&parts.headers)?;
        let mut permit = None;
        let mut bytes = Bytes::new();
        if route.method.writes() {
            bytes = extract::body(service, &parts.headers, body, self.limits().body_timeout).await?;
            // A dry run stores nothing, so there is nothing that it could repeat.
            let dry = Query::read(parts.uri.query(), route.params).is_ok_and(|it| matches!(it.dry_run(), Ok(true)));
            match if dry { None } else { self.begin(&ctx, route.method, path, parts, &bytes).await? } {
                Some(Begin::Replay(kept)) => return replayed(&kept),
                Some(Begin::Go(it)) => permit = Some(it),
                None => {}
            }
        }
        let query = Query::read(parts.uri.query(), route.params)?;
        if route.params.names().contains(&"min_position")
            && let Some(position) = query.one("min_position")
        {
            service.reached(&ctx, position).await?;
        }
        let looked = ty.clone().filter(|_| from_memory(route)).map(|ty| Looked::of(&ctx, ty, route, &params, &query, &parts.headers));
        let (dry, headers) = (query.dry_run()?, core::mem::take(&mut parts.headers));
        let call = Call { server: self.clone(), route, ctx, params, ty, query, headers, body: bytes, dry, permit };
        let answer = v1::run(call).await?;
        if let Some(looked) = looked {
            looked.note(service, &answer);
        }
        Ok(answer)
    }

    /// What is asked without a key: `None` for everything else.
    fn open(&self, parts: &Parts, method: Option<Method>, path: &str, door: Door) -> Option<Result<Answer, Failure>> {
        if !ROUTES.iter().any(|it| it.about == About::Nobody && it.path == path) {
            return None;
        }
        Some(match routes::find("", method, path) {
            Found::Route(route, _) if route.op == Op::Readyz && (*self.0.draining.borrow() || !self.service().ready()) => {
                Err(Error::Draining.into())
            }
            Found::Route(route, _) if matches!(route.op, Op::OpenApi | Op::Docs) => self.surface(parts, route, door),
            Found::Route(..) => Ok(Answer::text(StatusCode::OK, "ok")),
            Found::OtherMethods(allow) => Err(Failure::OtherMethods { method: parts.method.to_string(), allow }),
            Found::Nothing => return None,
        })
    }

    /// What is served, to be read. Without a key it is what tenants may do; on a laptop, everything.
    fn surface(&self, parts: &Parts, route: &Route, door: Door) -> Result<Answer, Failure> {
        Query::read(parts.uri.query(), route.params)?;
        let authority = match extract::key(&parts.headers)? {
            Some(key) => self.service().authenticate(&key)?.authority(),
            None if door == Door::Socket || self.service().config().dev => Authority::Operator,
            None => Authority::Tenant,
        };
        Ok(self.0.surface.answer(self.service(), route.op, authority))
    }

    /// The route of a path: one of ours, or one of a declared type.
    pub(crate) fn route(&self, authority: Authority, given: &http::Method, method: Option<Method>, path: &str) -> Result<Routed, Failure> {
        let types = self.service().types();
        let (found, ty) = match routes::find("", method, path) {
            Found::Nothing => match types.route(path).filter(|(ty, _)| concerns(ty, authority)) {
                Some((ty, rest)) => match suggest::unknown_step(&ty, rest) {
                    Some(_)
                        if ty.compiled.decl.mirror && method == Some(Method::Post) && authority.covers(ty.compiled.decl.access.read) =>
                    {
                        return Err(Error::Mirrored { type_name: ty.compiled.decl.name.clone() }.into());
                    }
                    Some(step) if authority.covers(ty.compiled.decl.access.read) => {
                        return Err(match suggest::part(step) {
                            Some(part) => Failure::NoSuchRoute {
                                suggestion: path.strip_suffix(step).map(|it| format!("{it}{part}")),
                                path: path.to_owned(),
                            },
                            None => Failure::NoSuchTransition { name: step.to_owned(), ty },
                        });
                    }
                    _ => (routes::find("{path}", method, rest), Some(ty)),
                },
                None => (Found::Nothing, None),
            },
            found => (found, None),
        };
        let puts = ty.as_ref().is_none_or(|it| it.compiled.decl.mirror);
        match found {
            Found::Route(route, _) if route.op == Op::ResourcePut && !puts => {
                Err(Failure::OtherMethods { method: given.to_string(), allow: vec![Method::Get, Method::Patch, Method::Delete] })
            }
            Found::OtherMethods(mut allow) if !puts => {
                allow.retain(|it| *it != Method::Put);
                Err(Failure::OtherMethods { method: given.to_string(), allow })
            }
            Found::Route(route, params) => Ok((route, params.into_iter().map(str::to_owned).collect(), ty)),
            Found::OtherMethods(allow) => Err(Failure::OtherMethods { method: given.to_string(), allow }),
            Found::Nothing => Err(Failure::NoSuchRoute { path: path.to_owned(), suggestion: suggest::path(path, &types, authority) }),
        }
    }

    fn ctx(&self, caller: Caller, route: &Route, headers: &HeaderMap) -> Result<Ctx, Failure> {
        let Some(needs) = route.needs else {
            return Err(Error::Internal(format!("{} needs no key and was asked for a caller", route.path)).into());
        };
        let named = extract::tenant(headers)?;
        Ok(match (route.about, named) {
            (About::Server, None) => self.service().server_ctx(caller, needs)?,
            (about, named) => self.service().ctx(caller, named, needs, about != About::Tenant)?,
        })
    }

    /// What an Idempotency-Key means; `None` without one.
    async fn begin(&self, ctx: &Ctx, method: Method, path: &str, parts: &Parts, body: &[u8]) -> Result<Option<Begin>, Failure> {
        let Some(key) = parts.headers.get("idempotency-key") else { return Ok(None) };
        let key = idempotency_key::check_key(key.as_bytes()).map_err(|_| Failure::IdempotencyKeyMalformed)?;
        let text = |name: header::HeaderName| parts.headers.get(name).and_then(|it| it.to_str().ok());
        let scope = idempotency_key::scope(ctx.tenant_text(), method.as_str(), path, key);
        let print = idempotency_key::fingerprint(body, text(header::CONTENT_TYPE), parts.uri.query(), text(header::IF_MATCH));
        Ok(Some(self.service().begin(ctx, scope, print).await?))
    }
}

/// Whether a route's answers come from memory, and tell a poller about one resource.
fn from_memory(route: &Route) -> bool {
    matches!(route.op, Op::ResourceGet | Op::ResourceStatus)
}

/// Somebody looks at a resource: what advice is made of.
struct Looked {
    ctx: Ctx,
    ty: Arc<ServedType>,
    id: String,
    rest: &'static str,
    waited: bool,
}

impl Looked {
    fn of(ctx: &Ctx, ty: Arc<ServedType>, route: &'static Route, params: &[String], query: &Query, headers: &HeaderMap) -> Self {
        let ready = query.wait(headers).is_ok_and(|it| !it.is_zero());
        Self {
            ctx: ctx.clone(),
            ty,
            id: params.first().cloned().unwrap_or_default(),
            rest: route.path.strip_prefix("{path}").unwrap_or(route.path),
            // Without anything to wait for, `wait` does nothing.
            waited: ready && (query.one("until").is_some() || headers.contains_key(header::IF_NONE_MATCH)),
        }
    }

    fn note(self, service: &Service, answer: &Answer) {
        let Ok(id) = ResourceId::parse(&self.id) else { return };
        let etag = answer.headers.iter().find(|(name, _)| *name == header::ETAG).and_then(|(_, value)| value.to_str().ok());
        let version = etag.and_then(|it| it.trim_matches('"').parse().ok());
        service.shown(&self.ctx, Shown { ty: &self.ty, id: &id, rest: self.rest, version, waited: self.waited });
    }
}

/// Whether callers of this authority can do anything with a type. One that is not
/// for them does not exist for them: not even its name is to be learned.
fn concerns(ty: &ServedType, authority: Authority) -> bool {
    let access = &ty.compiled.decl.access;
    authority.covers(access.read) || authority.covers(access.create)
}

/// Returns once the end was announced.
pub(crate) async fn announced(draining: &mut watch::Receiver<bool>) {
    // The sender lives in the server that hands the receivers out.
    let _ = draining.wait_for(|it| *it).await.is_ok();
}

pub(crate) type Routed = (&'static Route, Vec<String>, Option<Arc<ServedType>>);

impl Known {
    fn asked(&self) -> Asked {
        self.asked.get().cloned().unwrap_or_else(|| Asked {
            // Who is not known is told least.
            authority: self.authority.get().copied().unwrap_or(Authority::Tenant),
            ..Asked::default()
        })
    }
}

/// The method as routes have it: HEAD asks what GET asks.
pub(crate) fn method(given: &http::Method) -> Option<Method> {
    match *given {
        http::Method::GET | http::Method::HEAD => Some(Method::Get),
        http::Method::POST => Some(Method::Post),
        http::Method::PUT => Some(Method::Put),
        http::Method::PATCH => Some(Method::Patch),
        http::Method::DELETE => Some(Method::Delete),
        _ => None,
    }
}

fn panicked(panic: &(dyn core::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Internal(format!("a handler panicked: {}", text.unwrap_or_default()))
}

/// Adds the headers that every answer has.
fn respond(answer: Answer, head: bool, request_id: &str, tenant: Option<HeaderValue>) -> Response<Full<Bytes>> {
    let Answer { status, headers, body } = answer;
    // HEAD is told how long the body would be; so is nobody else by us, since hyper does.
    let length = (head && !body.is_empty()).then(|| HeaderValue::from(body.len()));
    let mut response = Response::new(Full::new(if head { Bytes::new() } else { body }));
    *response.status_mut() = status;
    let to = response.headers_mut();
    for (name, value) in headers {
        to.append(name, value);
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        to.insert(REQUEST_ID, value);
    }
    if let Some(tenant) = tenant {
        to.insert(TENANT, tenant);
    }
    if let Some(length) = length {
        to.insert(header::CONTENT_LENGTH, length);
    }
    response
}
