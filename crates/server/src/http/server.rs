//! From a request to its answer: routing, authentication, idempotency, and the
//! headers that every answer has.
//!
//! The order of checks is the contract's: who asks, what was answered already
//! (Idempotency-Key), then preconditions and the request itself.
//!
//! Not here: sockets (`http::accept`), what each route does (`http::v1`).

use super::{
    answer::{Answer, REQUEST_ID, Reply, TENANT},
    body::AnswerBody,
    budget::Budget,
    call::{Call, replayed},
    cors::Cors,
    errors::{self, Asked},
    extract::{self, Wants},
    failure::Failure,
    query::{Query, normal_path, pairs},
    suggest,
    surface::Surface,
    v1,
};
use crate::routes::{self, About, Found, Method, Op, ROUTES, Route, Shape};
use bytes::Bytes;
use core::{panic::AssertUnwindSafe, time::Duration};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Body;
use ringback_model::{ResourceId, key::Authority, limits};
use ringback_service::{Begin, Caller, Ctx, Error, Redeemed, ServedType, Service, Shown, WhyNot, idempotency_key, meters};
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
    /// Bytes of answers that are made and not yet written, all connections together.
    pub answer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 25_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(25),
            answer_bytes_max: limits::ANSWER_BYTES_MAX,
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
    cors: Cors,
    budget: Arc<Budget>,
    draining: watch::Sender<bool>,
    surface: Surface,
}

/// What is known of a request before its handler runs, and stays known when that fails.
#[derive(Debug, Default)]
struct Known {
    tenant: OnceLock<HeaderValue>,
    /// Whose share of the budget the answer is counted for.
    who: OnceLock<Arc<str>>,
    caller: OnceLock<Caller>,
    authority: OnceLock<Authority>,
    asked: OnceLock<Asked>,
    route: OnceLock<&'static Route>,
}

impl Server {
    /// Serves `service`.
    #[must_use]
    pub fn new(service: Service, limits: Limits) -> Self {
        Self::with_cors(service, limits, Cors::default())
    }

    /// Serves `service`, also to pages of these origins.
    #[must_use]
    pub fn with_cors(service: Service, limits: Limits, cors: Cors) -> Self {
        let budget = Budget::new(limits.answer_bytes_max);
        Self(Arc::new(Inner { service, limits, cors, budget, draining: watch::Sender::new(false), surface: Surface::default() }))
    }

    /// Announces the end: who waits is answered, and connections close after their request.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.0.draining.subscribe()
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
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
    pub async fn handle<B>(&self, request: Request<B>, door: Door) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Send,
    {
        let service = self.service();
        let started = service.clock().now();
        let (mut parts, body) = request.into_parts();
        let request_id = extract::request_id(&parts.headers).map_or_else(|| service.request_id().to_string(), str::to_owned);
        let known = Known::default();
        let refuse = |failure| errors::answer(failure, &known.asked(), &request_id);
        let cors = self.0.cors.headers(&parts.headers);
        let mut reply = match self.0.cors.preflight(&parts.method, &parts.headers) {
            Some(preflight) => preflight.into(),
            None => match AssertUnwindSafe(self.answer(&mut parts, body, door, &known)).catch_unwind().await {
                Ok(Ok(reply)) => reply,
                Ok(Err(failure)) => refuse(failure).into(),
                Err(panic) => refuse(panicked(&*panic).into()).into(),
            },
        };
        // What is written holds memory until it is. The operator's socket is never locked out by a
        // crowd, and what was stored is never answered as if it had not been.
        let who = known.who.get().cloned().unwrap_or_default();
        let anyway = door == Door::Socket || method(&parts.method).is_some_and(Method::writes);
        reply.answer.body = match self.budget().hold(&who, reply.answer.body.clone()) {
            Some(held) => held,
            None if anyway => self.budget().hold_anyway(&who, reply.answer.body),
            None => {
                reply = refuse(Failure::AnswersUnread).into();
                reply.answer.body
            }
        };
        reply.answer = reply.answer.rate(known.caller.get().and_then(|it| service.rate(it)));
        let answer = &mut reply.answer;
        answer.headers.extend(cors);
        measure(&parts.method, known.route.get().copied(), answer.status, service.clock().now().since(started));
        tracing::debug!(
            request_id,
            method = %parts.method,
            path = parts.uri.path(),
            status = answer.status.as_u16(),
            micros = u64::try_from(service.clock().now().since(started).as_micros()).unwrap_or(u64::MAX),
            "{} {} answered {}", parts.method, parts.uri.path(), answer.status.as_u16()
        );
        respond(reply, parts.method == http::Method::HEAD, &request_id, known.tenant.into_inner())
    }

    async fn answer<B>(&self, parts: &mut Parts, body: B, door: Door, known: &Known) -> Result<Reply, Failure>
    where
        B: Body<Data = Bytes> + Send,
    {
        extract::head_fits(parts)?;
        let path = normal_path(parts.uri.path());
        let method = method(&parts.method);
        if let Some(answer) = self.open(parts, method, &path, door) {
            if let Found::Route(route, _) = routes::find("", method, &path) {
                let _ = known.route.set(route);
            }
            return answer.map(Into::into);
        }
        let service = self.service();
        let mut redeemed = None;
        let caller = match (extract::key(&parts.headers)?, door) {
            (Some(key), _) => service.authenticate(&key)?,
            (None, Door::Socket) => Caller::socket_operator(),
            (None, Door::Network) => match self.redeem(parts, method, &path)? {
                Some(ticket) => redeemed.insert(ticket).caller.clone(),
                None => return Err(Error::Unauthenticated(WhyNot::NoKey).into()),
            },
        };
        let _ = known.authority.set(caller.authority());
        let _ = known.caller.set(caller.clone());
        let routed = self.route(caller.authority(), &parts.method, method, &path);
        if let Ok((route, ..)) = &routed {
            let _ = known.route.set(route);
        }
        let unpaid = match service.charge(&caller) {
            Ok(()) => false,
            // What is answered from memory may turn out to be a 304, and that costs nothing.
            Err(_) if routed.as_ref().is_ok_and(|(route, ..)| from_memory(route)) && parts.headers.contains_key(header::IF_NONE_MATCH) => {
                true
            }
            Err(limited) => return Err(limited.into()),
        };
        let who = Who { caller: caller.clone(), redeemed, door };
        let answered = self.routed(parts, body, known, &path, who, routed?).await;
        match (answered.as_ref().map(|it| it.answer.status), unpaid) {
            (Ok(StatusCode::NOT_MODIFIED), true) => {}
            (Ok(StatusCode::NOT_MODIFIED), false) => service.refund(&caller),
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
        Who { caller, redeemed, door }: Who,
        (route, params, ty): Routed,
    ) -> Result<Reply, Failure>
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
        let ctx = match &redeemed {
            // A ticket's holder can send no header: the tenant was named when it was made.
            Some(ticket) => self.ctx_of(caller, route, Some(&ticket.tenant))?,
            None => self.ctx_of(caller, route, extract::tenant(&parts.headers)?)?,
        };
        let _ = HeaderValue::from_str(ctx.tenant_text()).map(|it| known.tenant.set(it));
        let _ = known.who.set(Arc::from(ctx.tenant_text()));
        let stream = match extract::wants(&parts.headers) {
            Wants::Json => false,
            Wants::Stream => route.op.streams(),
            Wants::StreamOnly if route.op.streams() => true,
            Wants::StreamOnly => return Err(Failure::NotAcceptable),
        };
        if redeemed.is_some() && !stream {
            return Err(Failure::TicketNeedsStream);
        }
        // What a pull hands out is leased: it is refused before that.
        let large = matches!(route.shape, Shape::Feed | Shape::List) || route.op == Op::SubscriptionPull;
        if door == Door::Network && large && !self.budget().has_room(ctx.tenant_text()) {
            return Err(Failure::AnswersUnread);
        }
        let mut permit = None;
        let mut bytes = Bytes::new();
        if route.method.writes() {
            bytes = extract::body(service, &parts.headers, body, self.limits().body_timeout).await?;
            // A dry run stores nothing, so there is nothing that it could repeat.
            let dry = Query::read(parts.uri.query(), route.params).is_ok_and(|it| matches!(it.dry_run(), Ok(true)));
            let begun = match extract::idempotency_key(&parts.headers)? {
                Some(key) if !dry => Some(self.begin(&ctx, route.method, path, parts, &bytes, key).await?),
                _ => None,
            };
            match begun {
                Some(Begin::Replay(kept)) => return replayed(&kept).map(Into::into),
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
        let tag = redeemed.map(|it| it.tag).unwrap_or_default();
        let (dry, headers) = (query.dry_run()?, core::mem::take(&mut parts.headers));
        let call = Call { server: self.clone(), route, ctx, params, ty, query, headers, body: bytes, dry, tag, permit };
        if stream {
            return v1::stream(call, known.asked()).await;
        }
        let answer = v1::run(call).await?;
        if let Some(looked) = looked {
            looked.note(service, &answer);
        }
        Ok(answer.into())
    }

    /// Who asks with a ticket in the query: it can open streams, and nothing else.
    fn redeem(&self, parts: &Parts, method: Option<Method>, path: &str) -> Result<Option<Redeemed>, Failure> {
        let Some(query) = pairs(parts.uri.query()) else { return Ok(None) };
        let Some((_, ticket)) = query.iter().find(|(name, _)| name == "ticket") else { return Ok(None) };
        if method != Some(Method::Get) {
            return Err(Failure::TicketNeedsStream);
        }
        Ok(Some(self.service().redeem_ticket(ticket, path, &query, extract::last_event_id(&parts.headers).as_deref())?))
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
        self.0.surface.answer(self.service(), route.op, authority, &parts.headers)
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
        let mirror = ty.as_ref().map(|it| it.compiled.decl.mirror);
        match found {
            Found::Route(route, _) if route.op == Op::ResourcePut && mirror == Some(false) => {
                Err(Failure::OtherMethods { method: given.to_string(), allow: vec![Method::Get, Method::Patch, Method::Delete] })
            }
            Found::OtherMethods(allow) if mirror.is_some() => {
                Err(Failure::OtherMethods { method: given.to_string(), allow: offered(allow, mirror == Some(true)) })
            }
            Found::Route(route, params) => Ok((route, params.into_iter().map(str::to_owned).collect(), ty)),
            Found::OtherMethods(allow) => Err(Failure::OtherMethods { method: given.to_string(), allow }),
            Found::Nothing => Err(Failure::NoSuchRoute { path: path.to_owned(), suggestion: suggest::path(path, &types, authority) }),
        }
    }

    pub(crate) fn ctx_of(&self, caller: Caller, route: &Route, named: Option<&str>) -> Result<Ctx, Failure> {
        let Some(needs) = route.needs else {
            return Err(Error::Internal(format!("{} needs no key and was asked for a caller", route.path)).into());
        };
        Ok(match (route.about, named) {
            (About::Server, None) => self.service().server_ctx(caller, needs)?,
            (about, named) => self.service().ctx(caller, named, needs, about != About::Tenant)?,
        })
    }

    /// What an Idempotency-Key means.
    async fn begin(&self, ctx: &Ctx, method: Method, path: &str, parts: &Parts, body: &[u8], key: &str) -> Result<Begin, Failure> {
        let text = |name: header::HeaderName| parts.headers.get(name).and_then(|it| it.to_str().ok());
        let scope = idempotency_key::scope(ctx.tenant_text(), method.as_str(), path, key);
        let print = idempotency_key::fingerprint(body, text(header::CONTENT_TYPE), parts.uri.query(), text(header::IF_MATCH));
        Ok(self.service().begin(ctx, scope, print).await?)
    }
}

/// Counts a request. Its route is written as the table has it, never as it was asked for.
fn measure(method: &http::Method, route: Option<&Route>, status: StatusCode, took: Duration) {
    let (meters, took) = (meters::meters(), meters::secs(took));
    // A method that anybody makes up is not to be a label.
    let verb = route.map_or("other", |it| if *method == http::Method::HEAD { "HEAD" } else { it.method.as_str() });
    let path = route.map_or("none", |it| it.path);
    meters.requests.with_label_values(&[verb, path, status.as_str()]).inc();
    meters.request_seconds.with_label_values(&[path]).observe(took);
    if status.is_success() && route.is_some_and(|it| it.method.writes()) {
        meters.append_seconds.observe(took);
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

/// Which of the methods of a type's route are worth trying: only a mirrored type is PUT, and
/// it refuses all that would change it otherwise.
fn offered(methods: Vec<Method>, mirror: bool) -> Vec<Method> {
    let takes = |it: &Method| if mirror { !matches!(it, Method::Post | Method::Patch) } else { *it != Method::Put };
    let some: Vec<_> = methods.iter().copied().filter(takes).collect();
    // A transition has one method, which says that the type is mirrored.
    if some.is_empty() { methods } else { some }
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

/// Who asks, and how he came in.
struct Who {
    caller: Caller,
    /// The ticket, if that was all he brought.
    redeemed: Option<Redeemed>,
    door: Door,
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
fn respond(reply: Reply, head: bool, request_id: &str, tenant: Option<HeaderValue>) -> Response<AnswerBody> {
    let Reply { answer: Answer { status, headers, body }, stream } = reply;
    // HEAD is told how long the body would be; so is nobody else by us, since hyper does.
    let length = (head && !body.is_empty()).then(|| HeaderValue::from(body.len()));
    let body = match stream {
        Some(frames) if !head => AnswerBody::stream(frames),
        _ => AnswerBody::whole(if head { Bytes::new() } else { body }),
    };
    let mut response = Response::new(body);
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
