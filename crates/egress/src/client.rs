//! `Egress`: the sender of the product.
//!
//! A try is: parse and judge the URL → an idle connection whose peer is still allowed,
//! or resolve, vet, dial, TLS → one POST → an outcome. Redirects, proxies, cookies and
//! content encodings do not exist here. Nothing is logged of requests or answers.

use crate::{
    address::{Class, classify},
    answer,
    call::{Answer, CallError, Live},
    config::EgressConfig,
    connect::{self, ConnectError, EgressError, addresses, connect, millis},
    interfaces,
    policy::Policy,
    pool::{Key, Pool},
    resolve::DnsResolver,
    target::{Host, Target, parse},
};
use async_trait::async_trait;
use bytes::Bytes;
use core::{fmt, time::Duration};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, request};
use ringback_model::{
    delivery::{Outcome, Timings},
    key::Authority,
    limits,
};
use ringback_ports::{
    Resolve, Sender,
    sender::{Answered, Destination, DestinationRefused, PushRequest, Reply},
};
use rustls::{ClientConfig, pki_types::CertificateDer};
use std::{net::SocketAddr, sync::Arc, time::SystemTime};
use tokio::time::Instant;

/// Headers that belong to the connection or to this file; a subscription's are dropped.
const RESERVED: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The only door out. See the module for what it does and does not do.
pub struct Egress {
    policy: Policy,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
    pool: Arc<Pool>,
}

impl Egress {
    /// With DNS as `config` says, the public certificate roots, and the addresses of
    /// this machine as its own.
    ///
    /// # Errors
    /// When DNS or TLS cannot be set up.
    pub fn open(config: &EgressConfig) -> Result<Self, EgressError> {
        Self::new(config, Arc::new(DnsResolver::new(&config.nameservers)?))
    }

    /// As `open`, with another resolver.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &EgressConfig, resolver: Arc<dyn Resolve>) -> Result<Self, EgressError> {
        Self::with_roots(config, resolver, [])
    }

    /// As `new`, trusting `extra_roots` besides the public ones.
    ///
    /// # Errors
    /// When TLS cannot be set up, or a root is no certificate.
    pub fn with_roots(
        config: &EgressConfig,
        resolver: Arc<dyn Resolve>,
        extra_roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, EgressError> {
        let policy = Policy::new(config, interfaces::addresses());
        Ok(Self { policy, resolver, tls: connect::tls_config(extra_roots)?, pool: Arc::default() })
    }

    /// The rules it goes by.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Idle connections that are kept now.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool.count()
    }

    /// A refusal by name names the address too, if the name has one: an operator who
    /// reads `10.2.0.7` knows which service is meant. A tenant's names are not looked up.
    async fn explained(&self, url: &str, authority: Authority, mut refused: DestinationRefused) -> DestinationRefused {
        if refused.reason == "host"
            && authority == Authority::Operator
            && let Ok(target) = parse(url)
            && let Host::Name(name) = &target.host
            && name != "localhost"
            && let Ok(found) = addresses(&*self.resolver, &target).await
            && let Some(sentence) = self.policy.explain(name, &found)
        {
            refused.for_operator = sentence;
        }
        refused
    }

    async fn attempt(&self, request: PushRequest, start: Instant) -> Reply {
        let mut tried = Tried { authority: request.authority, timings: Timings::default(), peer: None, start };
        let Ok(target) = self.policy.target(&request.url, request.authority) else {
            return tried.failed(Outcome::Unroutable { reason: "refused" }).into_reply();
        };
        let Some(head) = head(&target, &request.headers) else {
            return tried.failed(failed("protocol")).into_reply();
        };
        let most = Duration::from_millis(u64::from(limits::ATTEMPT_TIMEOUT_MS.1));
        let deadline = start + request.timeout.min(most);
        let key = Key::new(&target, request.authority);

        while let Some(mut live) = self.idle(&target, &key, request.authority).await {
            tried.peer = Some(live.peer);
            match live.call(head.clone(), request.body.clone(), deadline).await {
                // The peer closed it while it was idle. No byte left, so this is no second sending.
                Err(CallError::NothingWritten) => tried.peer = None,
                Err(error) => return tried.failed(outcome_of(error)).into_reply(),
                Ok(answer) => return self.answered(tried, key, live, answer).await,
            }
        }

        let connected = connect(&self.policy, &*self.resolver, &self.tls, &target, request.authority, deadline, &mut tried.timings).await;
        let (stream, peer) = match connected {
            Ok(connected) => connected,
            Err(error) => return tried.failed(outcome_of_connect(&error)).into_reply(),
        };
        tried.peer = Some(peer);
        let mut live = match Live::new(stream, peer).await {
            Ok(live) => live,
            Err(error) => return tried.failed(outcome_of(error)).into_reply(),
        };
        match live.call(head, request.body, deadline).await {
            Ok(answer) => self.answered(tried, key, live, answer).await,
            Err(error) => tried.failed(outcome_of(error)).into_reply(),
        }
    }

    /// An idle connection that still works and whose peer may still be called.
    async fn idle(&self, target: &Target, key: &Key, authority: Authority) -> Option<Live> {
        while let Some(mut live) = self.pool.take(key) {
            if self.policy.check(target, authority, &[live.peer.ip()]).is_ok() && live.is_usable().await {
                return Some(live);
            }
        }
        None
    }

    async fn answered(&self, mut tried: Tried, key: Key, mut live: Live, answer: Answer) -> Reply {
        tried.timings.first_byte = answer.first_byte_ms;
        if live.is_usable().await {
            self.pool.put(key, live);
        }
        #[expect(clippy::disallowed_methods, reason = "an HTTP-date in Retry-After is compared with real time")]
        let now = SystemTime::now();
        let outcome = answer::outcome(answer.head.status, &answer.head.headers, now);
        let response = (!tried.is_secret()).then(|| answer::excerpt(&answer.head.headers, &answer.body, answer.truncated));
        Reply { answered: Answered { response, ..tried.failed(outcome) }, body: answer.body.into() }
    }
}

/// Without an answer.
trait IntoReply {
    fn into_reply(self) -> Reply;
}

impl IntoReply for Answered {
    fn into_reply(self) -> Reply {
        Reply { answered: self, body: Bytes::new() }
    }
}

/// What is known of a try so far.
struct Tried {
    authority: Authority,
    timings: Timings,
    peer: Option<SocketAddr>,
    start: Instant,
}

impl Tried {
    /// Whether the receiver is one that a tenant may not look at through us: then
    /// neither its address nor its answers are kept.
    fn is_secret(&self) -> bool {
        self.authority == Authority::Tenant && self.peer.is_some_and(|it| classify(it.ip()) != Class::Public)
    }

    /// Ends without an excerpt.
    fn failed(self, outcome: Outcome) -> Answered {
        let peer = if self.is_secret() { None } else { self.peer.map(|it| it.to_string()) };
        let timings = Timings { total: millis(self.start.elapsed()), ..self.timings };
        Answered { outcome, timings, peer, response: None }
    }
}

const fn failed(reason: &'static str) -> Outcome {
    Outcome::Failed { status_code: None, reason, retry_after: None }
}

const fn outcome_of(error: CallError) -> Outcome {
    match error {
        CallError::NothingWritten => failed("reset"),
        CallError::Failed(reason) => failed(reason),
        CallError::TimeoutWriting => failed("timeout"),
        CallError::TimeoutAfter => Outcome::Unknown,
    }
}

const fn outcome_of_connect(error: &ConnectError) -> Outcome {
    match error {
        ConnectError::Refused => Outcome::Unroutable { reason: "refused" },
        ConnectError::Unresolved => Outcome::Unroutable { reason: "unresolved" },
        ConnectError::Timeout => failed("timeout"),
        ConnectError::Connect => failed("connect"),
        ConnectError::Tls => failed("tls"),
    }
}

/// The head of the request; `None` if a header cannot be written.
fn head(target: &Target, headers: &[(String, String)]) -> Option<request::Parts> {
    let mut all = HeaderMap::with_capacity(headers.len() + 2);
    all.insert(header::HOST, HeaderValue::try_from(target.host_header()).ok()?);
    all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in headers {
        let name = HeaderName::try_from(name).ok()?;
        if !RESERVED.contains(&name.as_str()) {
            all.append(name, HeaderValue::try_from(value).ok()?);
        }
    }
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::POST;
    head.uri = Uri::from(target.path_and_query.clone());
    head.headers = all;
    Some(head)
}

#[async_trait]
impl Sender for Egress {
    async fn vet(&self, url: &str, authority: Authority) -> Result<Destination, DestinationRefused> {
        let target = match self.policy.target(url, authority) {
            Ok(target) => target,
            Err(refused) => return Err(self.explained(url, authority, refused).await),
        };
        match addresses(&*self.resolver, &target).await {
            Ok(found) => self.policy.check(&target, authority, &found).map(|()| Destination::Routable),
            Err(_) => Ok(Destination::Unresolved),
        }
    }

    async fn send(&self, request: PushRequest) -> Answered {
        self.attempt(request, Instant::now()).await.answered
    }

    async fn ask(&self, request: PushRequest) -> Reply {
        self.attempt(request, Instant::now()).await
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("policy", &self.policy).field("idle", &self.idle_connections()).finish_non_exhaustive()
    }
}
