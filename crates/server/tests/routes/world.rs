//! A whole service on fakes, and a client for it that speaks no HTTP/1.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use ringback_model::{Timestamp, limits};
use ringback_ports::fake::{FakeSeal, ManualClock, MemoryStore, ScriptedSender, SeededEntropy};
use ringback_server::{Door, Limits, Server};
use ringback_service::{CompiledType, Config, Deps, Service};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) service: Service,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sender: Arc<ScriptedSender>,
    /// An operator's key.
    pub(crate) key: String,
}

/// The shipped payment type, in JSON.
pub(crate) fn payment() -> Value {
    json!({
        "type": "payment",
        "path": "/payment",
        "id": { "prefix": "pay_" },
        "schema": {
            "type": "object",
            "required": ["amount", "currency"],
            "additionalProperties": false,
            "properties": {
                "amount": { "type": "integer", "minimum": 1 },
                "currency": { "type": "string", "pattern": "^[a-z]{3}$" },
                "customer": { "type": "string" },
                "refunded": { "type": "integer", "minimum": 0, "default": 0, "readOnly": true },
                "failure": { "type": "object", "readOnly": true },
            },
            "x-immutable": ["amount", "currency"],
        },
        "lifecycle": {
            "initial": "created",
            "statuses": {
                "created": {},
                "processing": { "timeout": { "after": "15m", "transition": "fail", "input": { "code": "timeout" } } },
                "completed": { "done": true },
                "failed": { "done": true },
                "partially_refunded": { "done": true },
                "refunded": { "done": true },
            },
            "transitions": {
                "process": { "from": ["created"], "to": "processing", "event": "payment.processing", "by": "operator" },
                "complete": { "from": ["created", "processing"], "to": "completed", "event": "payment.completed", "by": "operator" },
                "fail": {
                    "from": ["created", "processing"], "to": "failed", "event": "payment.failed", "by": "operator",
                    "input": { "type": "object", "required": ["code"], "properties": { "code": { "type": "string" } } },
                    "set": { "failure": "input" },
                },
                "refund": {
                    "from": ["completed", "partially_refunded"], "event": "payment.refunded", "by": "tenant",
                    "input": { "type": "object", "required": ["amount"], "properties": { "amount": { "type": "integer", "minimum": 1 } } },
                    "guard": "self.refunded + input.amount <= self.amount",
                    "set": { "refunded": "self.refunded + input.amount" },
                    "to": [
                        { "when": "self.refunded + input.amount == self.amount", "status": "refunded" },
                        { "status": "partially_refunded" },
                    ],
                },
            },
        },
        "events": { "created": "payment.created", "updated": "payment.updated", "deleted": "payment.deleted" },
        "indexes": [["status", "created_at"], ["customer", "created_at"]],
        "access": { "read": "tenant", "create": "operator", "update": "operator", "delete": "operator" },
    })
}

/// Tenants make these themselves, and nobody changes one that he has not read.
fn note() -> Value {
    json!({
        "type": "note",
        "lifecycle": "written -> filed",
        "require_if_match": true,
        "access": { "read": "tenant", "create": "tenant", "update": "tenant", "delete": "tenant" },
    })
}

/// These live in somebody's database.
fn invoice() -> Value {
    json!({
        "type": "invoice",
        "mirror": true,
        "lifecycle": "open -> paid | void",
        "schema": {
            "type": "object",
            "required": ["amount"],
            "additionalProperties": false,
            "properties": { "amount": { "type": "integer" } },
        },
        "indexes": [["source_version"]],
    })
}

/// Only operators see these.
fn dossier() -> Value {
    json!({
        "type": "dossier",
        "path": "/internal/dossier",
        "lifecycle": "open -> closed",
        "access": { "read": "operator", "create": "operator", "update": "operator", "delete": "operator" },
    })
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(limits::WAITERS_MAX).await
    }

    /// With room for so many who wait.
    pub(crate) async fn with(waiters_max: usize) -> Self {
        Self::of_types(waiters_max, &[payment(), note(), dossier(), invoice()]).await
    }

    /// With these types alone.
    pub(crate) async fn of_types(waiters_max: usize, types: &[Value]) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_458_284)));
        let store = Arc::new(MemoryStore::new());
        let sender = Arc::new(ScriptedSender::new());
        let deps = Deps {
            store: store.clone(),
            sender: sender.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            seal: Arc::new(FakeSeal::default()),
        };
        let config = Config {
            public_url: "https://api.example.com".into(),
            dev: false,
            user_agent: "Ringback/test".into(),
            slots: 64,
            waiters_max,
            waiters_per_key_max: waiters_max,
            keep_events: std::time::Duration::from_secs(30 * 86_400),
        };
        let types = types.iter().map(|it| CompiledType::load(it).expect("a good type")).collect();
        let service = Service::start(deps, config, types).await.expect("it starts");
        let key = service.first_key(|_| Ok(())).await.expect("a key").expect("the first one");
        Self { server: Server::new(service.clone(), Limits::default()), service, store, clock, sender, key }
    }

    /// The same with a second tenant, and a key of each: of `acme` and of `globex`.
    pub(crate) async fn of_two() -> (Self, String, String) {
        let world = Self::new().await;
        let mut keys = Vec::new();
        for tenant in ["acme", "globex"] {
            assert_eq!(world.put(&format!("/v1/tenants/{tenant}"), json!({})).await.status, 201);
            keys.push(world.tenant_key(tenant).await);
        }
        let globex = keys.pop().expect("two keys");
        (world, keys.pop().expect("two keys"), globex)
    }

    /// A new key of a tenant.
    pub(crate) async fn tenant_key(&self, tenant: &str) -> String {
        self.new_key(json!({ "role": "tenant", "tenant": tenant })).await
    }

    pub(crate) async fn new_key(&self, body: Value) -> String {
        let made = self.post("/v1/keys", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["key"].as_str().expect("a key").to_owned()
    }

    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask {
            server: self.server.clone(),
            service: self.service.clone(),
            door: Door::Network,
            method: method.into(),
            target: target.into(),
            headers: vec![("authorization".into(), format!("Bearer {}", self.key))],
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(&self, target: &str) -> Ask {
        self.ask("GET", target)
    }

    pub(crate) fn post(&self, target: &str, body: Value) -> Ask {
        self.ask("POST", target).json(&body)
    }

    pub(crate) fn patch(&self, target: &str, body: Value) -> Ask {
        self.ask("PATCH", target).json(&body)
    }

    pub(crate) fn put(&self, target: &str, body: Value) -> Ask {
        self.ask("PUT", target).json(&body)
    }

    /// Takes a step without input.
    pub(crate) fn step(&self, target: &str) -> Ask {
        self.ask("POST", target)
    }

    pub(crate) fn delete(&self, target: &str) -> Ask {
        self.ask("DELETE", target)
    }

    /// A payment of 1,999 with this id.
    pub(crate) async fn payment(&self, id: &str) {
        let made = self.post("/payment", json!({ "id": id, "amount": 1999, "currency": "eur" })).tenant("default").await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
}

/// Lets everything that can go on go on.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A request that is being put together; awaiting it sends it.
pub(crate) struct Ask {
    server: Server,
    service: Service,
    door: Door,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self
    }

    /// With another key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    pub(crate) fn tenant(self, tenant: &str) -> Self {
        self.header("ringback-tenant", tenant)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Over the operator's socket, without a key.
    pub(crate) fn over_the_socket(mut self) -> Self {
        self.door = Door::Socket;
        self.without("authorization")
    }
}

impl Ask {
    /// Sends it, and gives back what comes bit by bit.
    pub(crate) async fn open(self) -> Streaming {
        let (service, method, target) = (self.service.clone(), self.method.clone(), self.target.clone());
        let (parts, body) = self.response().await.into_parts();
        crate::judge::check_head(&service, &method, &target, parts.status.as_u16(), &parts.headers);
        Streaming { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn response(self) -> http::Response<ringback_server::AnswerBody> {
        let mut request = Request::builder().method(self.method.as_str()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", "x");
        }
        let request = request.body(Full::new(self.body)).expect("a request");
        self.server.handle(request, self.door).await
    }
}

/// An answer that comes bit by bit.
pub(crate) struct Streaming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: ringback_server::AnswerBody,
}

impl Streaming {
    /// What comes next, if it comes by itself: whole frames. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let mut all = Vec::new();
        while !all.ends_with(b"\n\n") {
            let frame = self.body.frame().await?.expect("it never fails");
            all.extend_from_slice(&frame.into_data().expect("data"));
        }
        Some(String::from_utf8(all).expect("text"))
    }

    /// The next bytes as they come, held as a connection holds them until it has written them.
    pub(crate) async fn piece(&mut self) -> Option<Bytes> {
        Some(self.body.frame().await?.expect("it never fails").into_data().expect("data"))
    }

    /// Whether nothing comes although everything that can go on went on.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::select! {
            biased;
            it = self.next() => panic!("it should be silent, and says {it:?}"),
            () = settle() => true,
        }
    }

    /// What is next when this much time has passed; it waits before that.
    pub(crate) async fn after(&mut self, world: &World, secs: u64) -> Option<String> {
        assert!(self.is_silent().await);
        world.clock.advance(std::time::Duration::from_secs(secs));
        self.next().await
    }
}

/// The `id:` of a stream's frame.
#[track_caller]
pub(crate) fn id_of(frame: &str) -> String {
    let last = frame.lines().filter_map(|it| it.strip_prefix("id: ")).next_back();
    last.unwrap_or_else(|| panic!("no id in {frame}")).to_owned()
}

/// The JSON of the `data:` lines.
pub(crate) fn data_of(frame: &str) -> Vec<Value> {
    frame.lines().filter_map(|it| it.strip_prefix("data: ")).map(|it| serde_json::from_str(it).expect("JSON on one line")).collect()
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = BoxFuture<'static, Reply>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (service, method, target, sent) = (self.service.clone(), self.method.clone(), self.target.clone(), self.body.clone());
            let (parts, body) = self.response().await.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
            crate::judge::check(&service, &method, &target, &sent, &reply);
            reply
        })
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.body).expect("text")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} is not JSON", self.text()))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {}", self.show())).to_str().expect("text")
    }

    /// A member of the body as text.
    #[track_caller]
    pub(crate) fn member(&self, name: &str) -> String {
        match &self.json()[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// `409 guard-failed`, or the status alone.
    pub(crate) fn code(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body).ok().and_then(|it| Some(it.get("code")?.as_str()?.to_owned())) {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }

    /// Status, headers and body, with what chance decides taken out.
    pub(crate) fn show(&self) -> String {
        let mut out = format!("{}\n", self.status);
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "content-type"].contains(&name.as_str()))
            .map(|(name, value)| match name.as_str() {
                "ringback-position" => "ringback-position: …".to_owned(),
                // A list's depends on all that its type says.
                "etag" if value.as_bytes().starts_with(b"W/") => "etag: W/\"…\"".to_owned(),
                name => format!("{name}: {}", value.to_str().unwrap_or("?")),
            })
            .collect();
        headers.sort();
        for line in headers {
            out.push_str(&line);
            out.push('\n');
        }
        out.push_str(self.text());
        redact(&out)
    }
}

/// Takes out what chance decides: made ids, secrets, keys and cursors.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    'next: while !rest.is_empty() {
        for prefix in ["evt_", "sub_", "dlv_", "rpl_", "att_", "key_", "req_", "pay_", "sec_", "whsec_", "rbk_"] {
            if let Some(after) = rest.strip_prefix(prefix) {
                let made = after.bytes().take_while(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'+' | b'/' | b'=')).count();
                if made >= 20 {
                    out.push_str(prefix);
                    out.push('…');
                    rest = &after[made..];
                    continue 'next;
                }
            }
        }
        for member in ["\"cursor\":\"", "\"next_cursor\":\""] {
            if let Some(after) = rest.strip_prefix(member) {
                out.push_str(member);
                out.push('…');
                rest = &after[after.find('"').unwrap_or(0)..];
                continue 'next;
            }
        }
        let first = rest.chars().next().expect("there is more");
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}
