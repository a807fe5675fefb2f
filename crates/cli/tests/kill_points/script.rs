//! What is asked of a server while it is killed: the same steps in every run.
//!
//! Each step carries its own `Idempotency-Key`, so that one without an answer can
//! be sent again, and says which events it makes, so that an effect that came
//! twice is noticed. Steps of one group are sent at the same time.
//!
//! Not here: whether it went well (`judge`).

use http::Method;
use serde_json::{Value, json};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Names the answer; `{name}` in a later path is its `id`.
    pub(crate) name: String,
    pub(crate) tenant: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// The only right status.
    pub(crate) status: u16,
    /// Type and subject of what it adds to the log.
    pub(crate) events: Vec<(String, String)>,
}

pub(crate) const OTHER: &str = "other";
pub(crate) const MINE: &str = "default";

fn step(name: &str, method: Method, path: &str, body: Option<Value>, status: u16) -> Step {
    Step { name: name.into(), tenant: MINE, method, path: path.into(), body, status, events: Vec::new() }
}

impl Step {
    fn of(mut self, tenant: &'static str) -> Self {
        self.tenant = tenant;
        self
    }

    fn makes(mut self, event_type: &str, subject: &str) -> Self {
        self.events.push((event_type.into(), subject.into()));
        self
    }
}

fn create(id: &str) -> Step {
    let body = json!({ "id": id, "amount": 1999, "currency": "eur", "metadata": { "note": "x".repeat(300) } });
    step(&format!("create {id}"), Method::POST, "/payment", Some(body), 201).makes("payment.created", &format!("/payment/{id}"))
}

fn act(id: &str, action: &str, input: Option<Value>, event: &str) -> Step {
    step(&format!("{action} {id}"), Method::POST, &format!("/payment/{id}/{action}"), input, 200).makes(event, &format!("/payment/{id}"))
}

fn refused(name: &str, path: &str, input: Option<Value>) -> Step {
    step(name, Method::POST, path, input, 409)
}

fn subscribe(name: &str, from: &str, delays: &[u32], more: Value) -> Step {
    let mut body = json!({ "from": from, "push": { "url": format!("{{receiver}}/{name}"), "retry": { "delays": delays } } });
    for (member, value) in more.as_object().into_iter().flatten() {
        body[member] = value.clone();
    }
    step(name, Method::POST, "/v1/subscriptions", Some(body), 201)
}

fn publish(key: &str) -> Step {
    let body = json!({ "type": "app.tick", "key": key, "subject": "/app", "data": { "n": 1.50, "text": key } });
    step(&format!("publish {key}"), Method::POST, "/v1/events", Some(body), 201).makes("app.tick", "/app")
}

fn publish_three(key: &str) -> Step {
    let one = |n: u32| json!({ "type": "app.batch", "key": format!("{key}-{n}"), "data": { "n": n } });
    let name = format!("publish {key}");
    let step = step(&name, Method::POST, "/v1/events", Some(json!([one(1), one(2), one(3)])), 201);
    step.makes("app.batch", "").makes("app.batch", "").makes("app.batch", "")
}

/// Names of subscriptions and what they are owed, by the judge's own rule: (name, tenant, type prefix, from the start, subject).
pub(crate) const READERS: &[(&str, &str, &str, bool, Option<&str>)] = &[
    ("every", MINE, "payment.", true, None),
    ("ticks", MINE, "app.", false, None),
    ("dead", MINE, "payment.completed", false, None),
    ("thin", OTHER, "", false, None),
    ("once", MINE, "payment.completed", false, Some("/payment/p4")),
];

/// The one whose endpoint never takes anything.
pub(crate) const DEAD: &str = "dead";

pub(crate) fn groups() -> Vec<Vec<Step>> {
    let tenant_key = |name: &str| {
        step(name, Method::POST, "/v1/keys", Some(json!({ "role": "tenant", "tenant": OTHER, "description": name })), 201).of(OTHER)
    };
    let often = [1; 12];
    vec![
        vec![step("tenant", Method::PUT, "/v1/tenants/other", Some(json!({ "name": "The other" })), 201)],
        vec![tenant_key("kept key"), tenant_key("lost key")],
        vec![create("p0")],
        vec![subscribe("every", "start", &often, json!({ "types": ["payment.*"], "order": "subject" }))],
        vec![
            subscribe("ticks", "now", &often, json!({ "types": ["app.*"] })),
            subscribe(DEAD, "now", &[1], json!({ "types": ["payment.completed"] })),
            subscribe("thin", "now", &often, json!({ "payload": "thin" })).of(OTHER),
        ],
        vec![create("p1"), create("p2"), create("p3"), create("o1").of(OTHER)],
        vec![act("p0", "process", None, "payment.processing"), act("p1", "process", None, "payment.processing")],
        vec![publish("a")],
        vec![act("p0", "complete", None, "payment.completed")],
        vec![refused("complete p0 again", "/payment/p0/complete", None)],
        vec![act("p1", "fail", Some(json!({ "code": "declined" })), "payment.failed"), publish("b"), publish("c"), publish_three("d")],
        vec![act("p2", "complete", None, "payment.completed"), act("o1", "complete", None, "payment.completed").of(OTHER)],
        vec![act("p2", "refund", Some(json!({ "amount": 500 })), "payment.refunded")],
        vec![refused("refund p2 too much", "/payment/p2/refund", Some(json!({ "amount": 1500 })))],
        vec![{
            let mut again = publish("a");
            (again.name, again.status, again.events) = ("publish a again".into(), 200, Vec::new());
            again
        }],
        vec![step("pause ticks", Method::POST, "/v1/subscriptions/{ticks}/pause", None, 200)],
        vec![publish("e"), publish("f").of(OTHER)],
        vec![
            step("patch p3", Method::PATCH, "/payment/p3", Some(json!({ "metadata": { "note": "y" } })), 200)
                .makes("payment.updated", "/payment/p3"),
        ],
        vec![step("patch p3 to the same", Method::PATCH, "/payment/p3", Some(json!({ "metadata": { "note": "y" } })), 200)],
        vec![step(
            "patch ticks",
            Method::PATCH,
            "/v1/subscriptions/{ticks}",
            Some(json!({ "types": ["app.*", "app2.*"], "description": "wider" })),
            200,
        )],
        vec![step("resume ticks", Method::POST, "/v1/subscriptions/{ticks}/resume", Some(json!({ "from": "cursor" })), 200)],
        vec![publish("g"), publish_three("h")],
        vec![step("delete p3", Method::DELETE, "/payment/p3", None, 204).makes("payment.deleted", "/payment/p3")],
        vec![create("p4")],
        vec![subscribe("once", "now", &often, json!({ "types": [], "subject": "/payment/p4", "until": "done" }))],
        vec![subscribe("gone", "now", &often, json!({ "types": ["app.*"] }))],
        vec![step("delete lost key", Method::DELETE, "/v1/keys/{lost key}", None, 204).of(OTHER)],
        vec![act("p4", "complete", None, "payment.completed"), publish("i")],
        vec![step("delete gone", Method::DELETE, "/v1/subscriptions/{gone}", None, 204)],
        vec![act("p2", "refund", Some(json!({ "amount": 1499 })), "payment.refunded").renamed("refund p2 the rest")],
    ]
}

impl Step {
    fn renamed(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}
