//! Requests to look at, and to run: a test sends every one of them and compares
//! what is answered with what is shown.
//!
//! For our own routes the answers are those of a recorded run (`answers.json`),
//! with everything that chance and time decide replaced by values that look the
//! part. For declared types both are made from the declaration.

use super::fields;
use crate::routes::{Op, Route};
use ringback_model::{
    key::Authority,
    type_decl::{Transition, TypeDecl},
};
use ringback_wire::status::Subscribe;
use serde_json::{Map, Value, json};

/// What stands for every id's 26 characters.
pub const ID: &str = "06c9dkbqwr4m2v8t5n1hxj3yza";
/// What stands for every time.
pub const TIME: &str = "2026-11-23T18:24:44.123456Z";
/// What stands for every cursor, position, ticket and `ack`.
pub const CURSOR: &str = "AQAAAAAAAAAqT2uMXf3kGJ5nQw8Rz1bC";
/// What stands for every secret of an endpoint.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What stands for every key.
pub const KEY: &str = "rbk_…";
/// What things are called that are found under a name of their own.
pub const RESOURCE: &str = "123";

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// Unique among those of its route.
    pub(super) name: String,
    /// Values of parameters in path and query.
    pub(super) parameters: Vec<(&'static str, String)>,
    /// What is sent.
    pub(super) body: Option<Value>,
    /// What is answered.
    pub(super) status: u16,
    /// The body of the answer, where one is known.
    pub(super) answer: Option<Value>,
}

struct Own {
    op: Op,
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    body: &'static str,
    status: u16,
}

const fn get(op: Op, name: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Own {
    Own { op, name, parameters, body: "", status: 200 }
}

const fn send(op: Op, name: &'static str, parameters: &'static [(&'static str, &'static str)], body: &'static str, status: u16) -> Own {
    Own { op, name, parameters, body, status }
}

/// `{}` in a value stands for [`ID`].
const OWN: &[Own] = &[
    get(Op::Livez, "alive", &[]),
    get(Op::Readyz, "ready", &[]),
    get(Op::OpenApi, "document", &[]),
    get(Op::Docs, "page", &[]),
    get(Op::EventFeed, "from-the-start", &[("after", "start"), ("types", "payment.*"), ("limit", "10")]),
    get(Op::EventFeed, "wait-for-the-next", &[("after", "now"), ("wait", "30")]),
    get(Op::EventFeed, "of-one-resource", &[("subject", "/payment/123"), ("limit", "1")]),
    send(
        Op::EventPublish,
        "one",
        &[],
        r#"{"type":"order.shipped","subject":"/order/7","data":{"id":"7","carrier":"dhl"},"key":"order-7-shipped"}"#,
        201,
    ),
    send(
        Op::EventPublish,
        "several",
        &[],
        r#"[{"type":"order.packed","data":{"id":"7"}},{"type":"order.shipped","data":{"id":"7"}}]"#,
        201,
    ),
    get(Op::EventTypeList, "first", &[("limit", "1")]),
    get(Op::EventGet, "one", &[("id", "evt_{}")]),
    get(Op::SubscriptionList, "all", &[]),
    send(
        Op::SubscriptionCreate,
        "each-payment",
        &[],
        r#"{"types":["payment.*"],"push":{"url":"https://yourapp.com/webhook/payment"}}"#,
        201,
    ),
    send(
        Op::SubscriptionCreate,
        "once-when-done",
        &[],
        r#"{"subject":"/payment/123","until":"done","push":{"url":"https://yourapp.com/webhook/payment"}}"#,
        201,
    ),
    get(Op::SubscriptionGet, "one", &[("id", "sub_{}")]),
    send(Op::SubscriptionPatch, "patience", &[("id", "sub_{}")], r#"{"push":{"timeout_ms":30000}}"#, 200),
    send(Op::SubscriptionDelete, "one", &[("id", "sub_{}")], "", 204),
    send(Op::SubscriptionPause, "pause", &[("id", "sub_{}")], "", 200),
    send(Op::SubscriptionResume, "go-on", &[("id", "sub_{}")], r#"{"from":"cursor"}"#, 200),
    send(Op::SubscriptionTest, "a-completed-payment", &[("id", "sub_{}")], r#"{"type":"payment.completed"}"#, 200),
    send(
        Op::SubscriptionPut,
        "to-pull",
        &[("id", "ledger")],
        r#"{"types":["payment.*"],"filter":"data.amount >= 1000","from":"start","order":"subject"}"#,
        201,
    ),
    send(Op::SubscriptionPull, "wait-for-some", &[("id", "ledger")], r#"{"limit":10,"wait":30,"lease":60}"#, 200),
    send(Op::SubscriptionAck, "all", &[("id", "ledger")], r#"{"ack":"AQAAAAAAAAAqT2uMXf3kGJ5nQw8Rz1bC"}"#, 200),
    send(Op::SubscriptionNack, "later", &[("id", "ledger")], r#"{"ack":"AQAAAAAAAAAqT2uMXf3kGJ5nQw8Rz1bC","delay":60}"#, 200),
    send(Op::SubscriptionExtend, "longer", &[("id", "ledger")], r#"{"ack":"AQAAAAAAAAAqT2uMXf3kGJ5nQw8Rz1bC","lease":120}"#, 200),
    send(Op::SubscriptionSeek, "once-more", &[("id", "ledger")], r#"{"to":"start"}"#, 200),
    get(Op::SubscriptionSecret, "keys", &[("id", "sub_{}")]),
    send(Op::SubscriptionRotateSecret, "within-a-day", &[("id", "sub_{}")], r#"{"overlap":86400}"#, 200),
    send(Op::StreamTicketCreate, "of-payments", &[], r#"{"url":"/v1/events?types=payment.*"}"#, 201),
    get(Op::SubscriptionExplain, "one", &[("id", "sub_{}"), ("event", "evt_{}")]),
    get(Op::DeliveryList, "of-an-event", &[("event", "evt_{}")]),
    get(Op::DeliveryList, "what-went-wrong", &[("state", "retrying")]),
    get(Op::DeliveryList, "refused-on-tuesday", &[("status_code", "503"), ("since", "2026-11-23T00:00:00Z"), ("types", "payment.*")]),
    get(Op::DeliveryGet, "one", &[("id", "dlv_{}")]),
    get(Op::DeliveryAttempts, "all", &[("id", "dlv_{}")]),
    get(Op::ReplayList, "all", &[]),
    send(
        Op::ReplayCreate,
        "what-failed",
        &[],
        r#"{"subscription":"sub_{}","since":"2026-11-23T00:00:00Z","only":"failed","rate_max_per_s":20}"#,
        201,
    ),
    send(Op::ReplayCreate, "count-what-is-missing", &[], r#"{"subscription":"sub_{}","only":"missing","dry_run":true}"#, 200),
    get(Op::ReplayGet, "one", &[("id", "rpl_{}")]),
    send(Op::ReplayCancel, "stop", &[("id", "rpl_{}")], "", 200),
    send(Op::DeliveryCancel, "give-up", &[("id", "dlv_{}")], "", 200),
    send(Op::DeliveryRetry, "now", &[("id", "dlv_{}")], "", 202),
    send(
        Op::Batch,
        "two",
        &[],
        r#"{"operations":[{"method":"POST","path":"/payment/123/complete"},{"method":"POST","path":"/v1/events","body":{"type":"order.paid","data":{"id":"7"}}}]}"#,
        200,
    ),
    get(Op::TypeList, "first", &[("limit", "1")]),
    get(Op::TypeGet, "one", &[("name", "parcel")]),
    send(Op::TypePut, "two-lines", &[("name", "order")], r#"{"type":"order","lifecycle":"created -> paid -> shipped | cancelled"}"#, 201),
    send(Op::TypeDelete, "unused", &[("name", "parcel")], "", 204),
    get(Op::TenantList, "all", &[]),
    get(Op::TenantGet, "one", &[("id", "default")]),
    send(Op::TenantPut, "new", &[("id", "acme")], r#"{"name":"Acme","metadata":{"plan":"gold"}}"#, 201),
    get(Op::ErasureList, "all", &[]),
    send(Op::ErasureCreate, "a-customer", &[], r#"{"subject":"/customer/4711"}"#, 202),
    get(Op::KeyList, "all", &[("limit", "1")]),
    send(
        Op::KeyCreate,
        "for-a-reader",
        &[],
        r#"{"role":"tenant","tenant":"default","scopes":["resources:read","events:read"],"description":"reports"}"#,
        201,
    ),
    get(Op::KeyGet, "one", &[("id", "key_{}")]),
    send(Op::KeyDelete, "one", &[("id", "key_{}")], "", 204),
    get(Op::AdviceGet, "of-a-day", &[("window", "24h")]),
    get(Op::LogGet, "ends", &[]),
    send(Op::LogRelease, "release", &[], "", 200),
];

/// What a recorded run answered, by `METHOD path name`.
const ANSWERS: &str = include_str!("answers.json");

/// The recorded answers, by `METHOD path name`.
pub(super) fn recorded() -> Map<String, Value> {
    serde_json::from_str(ANSWERS).unwrap_or_default()
}

/// Names of the examples of a route of ours; of one without parameters and body nothing else tells.
#[must_use]
pub fn names(op: Op) -> Vec<&'static str> {
    OWN.iter().filter(|it| it.op == op).map(|it| it.name).collect()
}

/// The examples of a route of ours.
pub(super) fn of_server(route: &Route, recorded: &Map<String, Value>) -> Vec<Example> {
    let example = |it: &Own| Example {
        name: it.name.to_owned(),
        parameters: it.parameters.iter().map(|(name, value)| (*name, value.replace("{}", ID))).collect(),
        body: (!it.body.is_empty()).then(|| serde_json::from_str(&it.body.replace("_{}", &format!("_{ID}"))).unwrap_or_default()),
        status: it.status,
        answer: recorded.get(&format!("{} {} {}", route.method, route.path, it.name)).cloned(),
    };
    OWN.iter().filter(|it| it.op == route.op).map(example).collect()
}

/// The examples of a route of a type, as `authority` sees it.
pub(super) fn of_type(route: &Route, ty: &TypeDecl, transition: Option<&Transition>, authority: Authority) -> Vec<Example> {
    let one = |parameters: Vec<(&'static str, String)>, body: Option<Value>, status: u16, answer: Option<Value>| {
        vec![Example { name: "one".into(), parameters, body, status, answer }]
    };
    let id = || vec![("id", RESOURCE.to_owned())];
    let row = || row(ty, 1);
    let list = |row: Option<Value>| row.map(|it| json!({ "data": [it] }));
    match route.op {
        Op::ResourceList => {
            let initial = &ty.lifecycle.initial;
            let list = || row().map(|it| json!({ "data": [it], "watch_cursor": CURSOR }));
            let mut all = one(vec![("status", initial.to_string()), ("limit", "10".into())], None, 200, list());
            let filter = format!("status = \"{initial}\" AND version >= 1");
            all.push(Example {
                name: "filtered".into(),
                parameters: vec![("filter", filter), ("sort", "-updated_at".into()), ("limit", "10".into())],
                body: None,
                status: 200,
                answer: list(),
            });
            let entered = |it: Value| json!({ "change": "enter", "event": format!("evt_{ID}"), "resource": it });
            all.push(Example {
                name: "watched".into(),
                parameters: vec![("watch", "true".into()), ("after", "start".into()), ("wait", "30".into())],
                body: None,
                status: 200,
                answer: row().map(|it| json!({ "data": [entered(it)], "cursor": CURSOR, "has_more": false, "lag": 0 })),
            });
            all
        }
        Op::ResourceCreate => {
            let each = |(at, it): (usize, &Value)| {
                let name = format!("example-{}", at + 1);
                Example { name, parameters: Vec::new(), body: Some(it.clone()), status: 201, answer: (at == 0).then(|| made(ty)).flatten() }
            };
            ty.examples.iter().enumerate().map(each).collect()
        }
        // What its source says is not known here.
        Op::ResourcePut => Vec::new(),
        _ if ty.mirror => Vec::new(),
        Op::ResourceGet => one(id(), None, 200, row()),
        Op::ResourcePatch => match fields::patch_example(ty) {
            Some(body) => one(id(), Some(body), 200, None),
            None => Vec::new(),
        },
        Op::ResourceDelete => one(id(), None, 204, None),
        Op::ResourceStatus => {
            let mut all = one(id(), None, 200, Some(status(ty, authority)));
            let parameters = vec![("id", RESOURCE.to_owned()), ("until", "done".to_owned()), ("wait", "30".to_owned())];
            all.push(Example { name: "wait-until-done".into(), parameters, body: None, status: 200, answer: None });
            all
        }
        Op::ResourceEvents => one(id(), None, 200, None),
        Op::ResourceVersions => one(id(), None, 200, list(row())),
        Op::ResourceVersion => one(vec![("id", RESOURCE.to_owned()), ("n", "1".to_owned())], None, 200, row()),
        Op::ResourceTransition => {
            let Some(it) = transition else { return Vec::new() };
            match (&it.input, fields::input_example(ty, it)) {
                (None, _) => one(id(), None, 200, None),
                (Some(_), Some(input)) => one(id(), Some(input), 200, None),
                (Some(_), None) => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// The first example as a resource of version `version`, as it is right after it was made.
fn row(ty: &TypeDecl, version: u64) -> Option<Value> {
    let Value::Object(given) = ty.examples.first()? else { return None };
    let mut out = json!({
        "id": RESOURCE, "type": ty.name.as_str(), "tenant": "default", "status": ty.lifecycle.initial.as_str(),
        "version": version, "created_at": TIME, "updated_at": TIME,
    });
    let members = out.as_object_mut()?;
    for (name, value) in given.iter().filter(|it| it.0 != "id") {
        members.insert(name.clone(), value.clone());
    }
    for (name, value) in ty.defaults.iter().filter(|it| !given.contains_key(&it.0)) {
        members.insert(name.clone(), value.clone());
    }
    Some(out)
}

/// The same under an id that was made.
fn made(ty: &TypeDecl) -> Option<Value> {
    let mut out = row(ty, 1)?;
    if ty.examples.first().is_none_or(|it| it.get("id").is_none()) {
        out.as_object_mut()?.insert("id".into(), format!("{}{ID}", ty.id_prefix).into());
    }
    Some(out)
}

fn status(ty: &TypeDecl, authority: Authority) -> Value {
    let initial = &ty.lifecycle.initial;
    let open: Vec<_> = ty.lifecycle.transitions.iter().filter(|it| it.from.contains(initial) && authority.covers(it.by)).collect();
    let subscribe = Subscribe::to(format!("{}/{RESOURCE}", ty.path));
    json!({
        "id": RESOURCE, "status": initial.as_str(), "done": ty.is_done(initial), "version": 1, "since": TIME,
        "next": open.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        "events": open.iter().map(|it| it.event.as_str()).collect::<Vec<_>>(),
        "subscribe": subscribe,
    })
}
