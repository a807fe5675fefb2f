//! The client: one kept connection, requests with a deadline, JSON conveniences.

use crate::{
    ClientError, EventFilter, Follow, RESPONSE_BYTES_MAX, Response, Target,
    connect::{self, Connection},
    path,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Deadline of one request when none is given: longer than the longest `wait`.
pub const TIMEOUT: Duration = Duration::from_secs(75);

/// `wait` of one request at most, in seconds; a longer wait is several requests.
const WAIT_SECS_MAX: u64 = 60;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TENANT: HeaderName = HeaderName::from_static("ringback-tenant");

/// A source of `Idempotency-Key`s.
type Keys = Arc<dyn Fn() -> String + Send + Sync>;

/// Asks one server. Clones share one kept connection; requests at the same time open further ones,
/// of which one is kept.
#[derive(Clone)]
pub struct Client {
    target: Arc<Target>,
    host: String,
    key: Option<String>,
    tenant: Option<String>,
    timeout: Duration,
    keys: Option<Keys>,
    tls: Option<Arc<rustls::ClientConfig>>,
    kept: Arc<Mutex<Option<Connection>>>,
}

/// Never shows the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("target", &self.target).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `target`, with an API key if one is needed there. Connects at the first request.
    #[must_use]
    pub fn new(target: Target, key: Option<String>) -> Self {
        Self {
            host: target.host_header(),
            target: Arc::new(target),
            key,
            tenant: None,
            timeout: TIMEOUT,
            keys: None,
            tls: None,
            kept: Arc::default(),
        }
    }

    /// Names the tenant (`Ringback-Tenant`) in every request; `*` is all of them, for operators.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.tenant = tenant;
        self
    }

    /// The deadline of each request, connecting included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an `Idempotency-Key` from `keys` with every write that has none. Such a write is sent once more,
    /// under the same key, when its connection breaks. Keys must not repeat: use 128 bits of chance.
    #[must_use]
    pub fn idempotency(mut self, keys: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Uses this TLS configuration (for instance a company's own root) in place of the web's roots.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Who is asked.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends one request and reads the whole answer, whatever its status. A body without a content type is JSON.
    ///
    /// # Errors
    /// Every variant of [`ClientError`] but `Problem`.
    pub async fn request(&self, method: Method, path_and_query: &str, headers: HeaderMap, body: Bytes) -> Result<Response, ClientError> {
        self.request_within(self.timeout, method, path_and_query, headers, body).await
    }

    /// [`Client::request`] with a deadline of its own.
    ///
    /// # Errors
    /// Every variant of [`ClientError`] but `Problem`.
    pub async fn request_within(
        &self,
        timeout: Duration,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let request = self.build(method, path_and_query, headers, body)?;
        tokio::time::timeout(timeout, self.carry(request))
            .await
            .unwrap_or_else(|_| Err(ClientError::TimedOut { target: self.target.to_string(), after: timeout }))
    }

    /// Sends one request with a JSON body (`None` for no body) and further headers; a 4xx or 5xx is an error.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<Response, ClientError> {
        let body = body.map(|it| Bytes::from(it.to_string())).unwrap_or_default();
        self.request(method, path_and_query, headers, body).await?.ok()
    }

    /// `GET`, as JSON.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn get(&self, path_and_query: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path_and_query, HeaderMap::new(), None).await?.json()
    }

    /// `POST`, as JSON.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn post(&self, path_and_query: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        self.send(Method::POST, path_and_query, HeaderMap::new(), body).await?.json()
    }

    /// `PUT`, as JSON.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn put(&self, path_and_query: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(Method::PUT, path_and_query, HeaderMap::new(), Some(body)).await?.json()
    }

    /// `PATCH` (merge-patch), as JSON.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn patch(&self, path_and_query: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(Method::PATCH, path_and_query, HeaderMap::new(), Some(body)).await?.json()
    }

    /// `DELETE`; null when the answer has no body.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn delete(&self, path_and_query: &str) -> Result<Value, ClientError> {
        self.send(Method::DELETE, path_and_query, HeaderMap::new(), None).await?.json()
    }

    /// The status of a resource, waiting up to `wait_secs` seconds until it is one of `until`
    /// (`done`, or status names joined by commas). Longer waits than 60 s are several requests.
    ///
    /// Answers the last status that was seen, reached or not.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn wait_status(&self, path: &str, id: &str, until: &str, wait_secs: u64) -> Result<Value, ClientError> {
        let mut left = wait_secs;
        loop {
            let step = left.min(WAIT_SECS_MAX);
            left -= step;
            let step = step.to_string();
            let query = path::query([("wait", step.as_str()), ("until", until)]);
            let status = self.get(&format!("{path}/{}/status{query}", path::segment(id))).await?;
            if left == 0 || reached(&status, until) || is_final(&status) {
                return Ok(status);
            }
        }
    }

    /// Follows the event feed from `after`, one long-poll of `wait_secs` seconds after the other.
    #[must_use]
    pub fn follow_events(&self, after: &str, filter: EventFilter, wait_secs: u64) -> Follow {
        Follow::events(self.clone(), after, &filter, wait_secs.clamp(1, WAIT_SECS_MAX))
    }

    /// Follows what becomes of the resources at `path` from `after`: items `{"change","event","resource"}`.
    /// `conditions` are the parameters of a list (`filter`, or `amount[gte]`).
    #[must_use]
    pub fn follow_watch(&self, path: &str, conditions: &[(&str, &str)], after: &str, wait_secs: u64) -> Follow {
        let pairs = [("watch", "true")].iter().chain(conditions).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Follow::new(self.clone(), path, pairs.collect(), after, wait_secs.clamp(1, WAIT_SECS_MAX))
    }

    fn build(
        &self,
        method: Method,
        path_and_query: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let value = |what: &str, text: &str| {
            HeaderValue::from_str(text).map_err(|_| ClientError::BadRequest(format!("{what} holds a character that a header can't")))
        };
        headers.insert(HOST, value("the host", &self.host)?);
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("ringback-client/", env!("CARGO_PKG_VERSION"))));
        if let Some(key) = &self.key {
            let mut bearer = value("the key", &format!("Bearer {key}"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        if let Some(tenant) = &self.tenant {
            headers.insert(TENANT, value("the tenant", tenant)?);
        }
        if !body.is_empty() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        if let (false, Some(keys)) = (is_read(&method), &self.keys)
            && !headers.contains_key(&IDEMPOTENCY_KEY)
        {
            headers.insert(IDEMPOTENCY_KEY, value("the idempotency key", &keys())?);
        }
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path_and_query}", self.target.base()))
            .body(Full::new(body))
            .map_err(|it| ClientError::BadRequest(format!("`{}`: {it}", path_and_query.chars().take(200).collect::<String>())))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Sends on the kept connection if it still lives, else on a new one.
    async fn carry(&self, request: Request<Full<Bytes>>) -> Result<Response, ClientError> {
        // A kept connection may have been closed by the server at the moment at which we write. Only then, and only where
        // a second copy does no harm, the request is sent again.
        let spare = (is_read(request.method()) || request.headers().contains_key(&IDEMPOTENCY_KEY)).then(|| request.clone());
        let mut request = request;
        if let Some(mut kept) = self.take()
            && kept.ready().await.is_ok()
        {
            match self.exchange(kept, request).await {
                Ok(response) => return Ok(response),
                Err(Broken::Unsent(unsent)) => request = *unsent,
                Err(Broken::Sent(error @ ClientError::Interrupted { .. })) => request = spare.ok_or(error)?,
                Err(Broken::Sent(error)) => return Err(error),
            }
        }
        let fresh = connect::open(&self.target, self.tls.as_ref()).await?;
        self.exchange(fresh, request).await.map_err(|it| match it {
            Broken::Unsent(_) => {
                ClientError::Unreachable { target: self.target.to_string(), reason: "it closed the connection at once".into() }
            }
            Broken::Sent(error) => error,
        })
    }

    async fn exchange(&self, mut connection: Connection, request: Request<Full<Bytes>>) -> Result<Response, Broken> {
        let interrupted = |it: &dyn std::error::Error| {
            let reason = it.source().map_or_else(|| it.to_string(), ToString::to_string);
            Broken::Sent(ClientError::Interrupted { target: self.target.to_string(), reason })
        };
        let answer = match connection.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(unsent) => Broken::Unsent(Box::new(unsent)),
                    None => interrupted(error.error()),
                });
            }
        };
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await.map_err(|it| {
            if it.downcast_ref::<LengthLimitError>().is_some() {
                Broken::Sent(ClientError::TooLarge { target: self.target.to_string() })
            } else {
                interrupted(it.as_ref())
            }
        })?;
        self.keep(connection);
        Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    fn take(&self) -> Option<Connection> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, connection: Connection) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

/// How an exchange failed.
enum Broken {
    /// Nothing of the request left: here it is again.
    Unsent(Box<Request<Full<Bytes>>>),
    /// Something may have left.
    Sent(ClientError),
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn reached(status: &Value, until: &str) -> bool {
    let done = status.get("done").and_then(Value::as_bool).unwrap_or(false);
    let name = status.get("status").and_then(Value::as_str);
    until.split(',').map(str::trim).any(|it| if it == "done" { done } else { Some(it) == name })
}

/// Whether nothing can happen any more: waiting on would only repeat the question.
fn is_final(status: &Value) -> bool {
    status.get("done").and_then(Value::as_bool) == Some(true) && status.get("next").and_then(Value::as_array).is_some_and(Vec::is_empty)
}
