//! What each verb asks of a server, as request lines and bodies, against a server on loopback that says yes.

use super::*;
use crate::{
    cli::{self, Verb},
    exit::Exit,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// Answers everything with an object that fits most questions, and remembers what was asked.
async fn start() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let app = axum::Router::new().fallback(async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let mut line = format!("{method} {uri}");
        for name in ["ringback-tenant", "if-match"] {
            line.extend(header(name).map(|it| format!(" {name}: {it}")));
        }
        if method != Method::GET && header("idempotency-key").is_none_or(|it| it.len() < 32) {
            line.push_str(" without a key");
        }
        if !body.is_empty() {
            line.push_str(&format!(" {}", String::from_utf8_lossy(&body)));
        }
        log.lock().expect("no panic elsewhere").push(line);
        let (status, text) = match uri.path() {
            "/v1/types/gone" => (404, r#"{"code":"not-found","detail":"There is no type `gone`.","status":404}"#),
            "/v1/types/secret" => (403, r#"{"code":"forbidden","detail":"No.","status":403}"#),
            "/v1/types/order" => (200, r#"{"type":"order","path":"/shop/orders"}"#),
            "/shop/orders/slow/status" => (200, r#"{"id":"slow","status":"created","done":false}"#),
            "/shop/orders/lost/status" => (200, r#"{"id":"lost","status":"failed","done":true,"next":[]}"#),
            _ if method == Method::DELETE => (204, ""),
            _ => (200, r#"{"data":[],"status":"completed","done":true}"#),
        };
        (StatusCode::from_u16(status).expect("a status"), text)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

/// What `ringback <args>` asks, and how it ends.
async fn asked(args: &[&str]) -> (Vec<String>, Exit) {
    let (url, seen) = start().await;
    let (cli, _) = cli::parse(["ringback"].iter().chain(args)).expect("a command line");
    let Verb::Ask(ask) = cli.verb else { panic!("{args:?} asks nobody") };
    let connect = Connect { url: Some(url), key: Some("rbk_x".into()), json: true, ..ask.connect() };
    let session = Session::open(connect, &BTreeMap::new(), Path::new(".")).expect("a session");
    let exit = run(&session, *ask).await.map_or_else(|it| it.exit, |()| Exit::Ok);
    let seen = seen.lock().expect("no panic elsewhere").clone();
    (seen, exit)
}

#[track_caller]
fn check(args: &[&str], want: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (seen, exit) = runtime.block_on(asked(args));
    assert_eq!(seen, want, "{args:?}");
    assert_eq!(exit, Exit::Ok, "{args:?}");
}

#[track_caller]
fn ends(args: &[&str], want: Exit) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(runtime.block_on(asked(args)).1, want, "{args:?}");
}

#[test]
fn types() {
    check(&["types", "list", "--limit", "5"], &["GET /v1/types?limit=5"]);
    check(&["types", "show", "order"], &["GET /v1/types/order"]);
    check(&["types", "delete", "order"], &["DELETE /v1/types/order"]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("order.yaml");
    std::fs::write(&file, "type: order\nlifecycle: created -> paid\n").expect("a file");
    check(&["types", "put", &file.display().to_string()], &[r#"PUT /v1/types/order {"type":"order","lifecycle":"created -> paid"}"#]);
    std::fs::write(&file, "lifecycle: created -> paid\n").expect("a file");
    ends(&["types", "put", &file.display().to_string()], Exit::Invalid);
}

#[test]
fn keys() {
    check(
        &["keys", "create", "--role", "tenant", "--tenant", "acme", "--scope", "events:read", "--description", "theirs"],
        &[r#"POST /v1/keys ringback-tenant: acme {"tenant":"acme","role":"tenant","scopes":["events:read"],"description":"theirs"}"#],
    );
    check(&["keys", "create", "--role", "gateway"], &[r#"POST /v1/keys {"role":"gateway"}"#]);
    check(&["keys", "list", "--after", "c"], &["GET /v1/keys?after=c"]);
    check(&["keys", "delete", "key_1"], &["DELETE /v1/keys/key_1"]);
}

#[test]
fn tenants() {
    check(
        &["tenants", "create", "acme", "--name", "Acme", "--metadata", "plan=gold"],
        &[r#"PUT /v1/tenants/acme {"name":"Acme","metadata":{"plan":"gold"}}"#],
    );
    check(&["tenants", "update", "acme", "--name", "A"], &["GET /v1/tenants/acme", r#"PUT /v1/tenants/acme {"name":"A"}"#]);
    ends(&["tenants", "update", "acme"], Exit::Usage);
    check(&["tenants", "list"], &["GET /v1/tenants"]);
    check(&["tenants", "show", "a/b"], &["GET /v1/tenants/a%2Fb"]);
}

#[test]
fn get_and_show_are_the_same_word() {
    for (noun, path) in [
        ("types", "/v1/types"),
        ("tenants", "/v1/tenants"),
        ("subscriptions", "/v1/subscriptions"),
        ("deliveries", "/v1/deliveries"),
        ("events", "/v1/events"),
    ] {
        for verb in ["get", "show"] {
            check(&[noun, verb, "one"], &[&format!("GET {path}/one")]);
        }
    }
}

#[test]
fn a_name_is_no_endpoint() {
    ends(&["subscriptions", "create", "ledger"], Exit::Usage);
    check(&["subscriptions", "create", "http://a.example"], &[r#"POST /v1/subscriptions {"push":{"url":"http://a.example"}}"#]);
    check(&["subscriptions", "create", "--id", "ledger"], &["PUT /v1/subscriptions/ledger {}"]);
}

#[test]
fn resources_are_where_their_type_says() {
    let order = "GET /v1/types/order";
    check(&["resources", "create", "order", "-d", r#"{"amount":1.50}"#], &[order, r#"POST /shop/orders {"amount":1.50}"#]);
    check(&["resources", "get", "order", "1"], &[order, "GET /shop/orders/1"]);
    check(&["resources", "get", "/shop/orders", "1"], &["GET /shop/orders/1"]);
    check(&["resources", "get", "secret", "1"], &["GET /v1/types/secret", "GET /secret/1"]);
    ends(&["resources", "get", "gone", "1"], Exit::NotFound);
}

#[test]
fn resources() {
    check(
        &["resources", "list", "/p", "--filter", "status=completed", "--filter", "amount[gte]=10", "--limit", "2"],
        &["GET /p?status=completed&amount[gte]=10&limit=2"],
    );
    check(&["resources", "update", "/p", "1", "-d", r#"{"a":null}"#, "--if-match", "3"], &[r#"PATCH /p/1 if-match: "3" {"a":null}"#]);
    check(&["resources", "do", "/p", "1", "complete"], &["POST /p/1/complete"]);
    check(
        &["resources", "do", "/p", "1", "refund", "-d", r#"{"amount":5}"#, "--if-match", "*"],
        &[r#"POST /p/1/refund if-match: * {"amount":5}"#],
    );
    check(&["resources", "delete", "/p", "1"], &["DELETE /p/1"]);
    check(&["resources", "events", "/p", "1", "--tenant", "*"], &["GET /p/1/events ringback-tenant: *"]);
    check(&["resources", "version", "/p", "1", "2"], &["GET /p/1/versions/2"]);
    ends(&["resources", "update", "/p", "1", "-d", "{"], Exit::Invalid);
}

#[test]
fn waiting_for_a_status() {
    let order = "GET /v1/types/order";
    check(&["resources", "status", "/p", "1"], &["GET /p/1/status"]);
    check(&["resources", "status", "order", "1", "--until", "done"], &[order, "GET /shop/orders/1/status?wait=60&until=done"]);
    check(
        &["resources", "status", "order", "1", "--until", "completed,failed", "--wait", "5s"],
        &[order, "GET /shop/orders/1/status?wait=5&until=completed,failed"],
    );
    ends(&["resources", "status", "order", "slow", "--until", "done"], Exit::TimedOut);
    ends(&["resources", "status", "order", "lost", "--until", "completed", "--wait", "2m"], Exit::Failure);
}

#[test]
fn events() {
    check(
        &["events", "publish", "a.b", "-d", r#"{ "n": 1.0 }"#, "--subject", "/s", "--event-key", "k", "--audience", "operator"],
        &[r#"POST /v1/events {"type":"a.b","subject":"/s","data":{ "n": 1.0 },"key":"k","audience":"operator"}"#],
    );
    check(&["events", "publish", "a.b"], &[r#"POST /v1/events {"type":"a.b","data":{}}"#]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.json");
    std::fs::write(&file, r#"[{"type":"a.b","data":{}}]"#).expect("a file");
    check(&["events", "publish", "--from", &file.display().to_string()], &[r#"POST /v1/events [{"type":"a.b","data":{}}]"#]);
    check(
        &["events", "list", "--types", "a.*,b.c", "--subject", "/p/1", "--after", "start", "--limit", "3", "--wait", "9"],
        &["GET /v1/events?after=start&types=a.*,b.c&subject=/p/1&limit=3&wait=9"],
    );
    check(&["events", "get", "evt_1", "--tenant", "*"], &["GET /v1/events/evt_1 ringback-tenant: *"]);
}

#[test]
fn subscriptions() {
    check(
        &["subscriptions", "create", "https://a.example/", "--types", "p.*", "--from", "start"],
        &[r#"POST /v1/subscriptions {"types":["p.*"],"from":"start","push":{"url":"https://a.example/"}}"#],
    );
    check(
        &["webhooks", "create", "https://a.example/", "--tenant", "*", "--secret", "whsec_x"],
        &[r#"POST /v1/subscriptions ringback-tenant: * {"push":{"url":"https://a.example/","secret":"whsec_x"},"tenant":"*"}"#],
    );
    check(&["subscriptions", "list"], &["GET /v1/subscriptions"]);
    check(&["subscriptions", "show", "s"], &["GET /v1/subscriptions/s"]);
    check(
        &["subscriptions", "update", "s", "--endpoint", "https://b.example/", "--order", "subject"],
        &[r#"PATCH /v1/subscriptions/s {"order":"subject","push":{"url":"https://b.example/"}}"#],
    );
    ends(&["subscriptions", "update", "s"], Exit::Usage);
    check(&["subscriptions", "pause", "s"], &["POST /v1/subscriptions/s/pause"]);
    check(&["subscriptions", "resume", "s", "--from", "now"], &[r#"POST /v1/subscriptions/s/resume {"from":"now"}"#]);
    check(&["subscriptions", "delete", "s"], &["DELETE /v1/subscriptions/s"]);
}

#[test]
fn deliveries() {
    check(&["deliveries", "list"], &["GET /v1/deliveries"]);
    check(
        &["deliveries", "list", "--subscription", "s", "--event", "e", "--state", "parked", "--limit", "1"],
        &["GET /v1/deliveries?subscription=s&event=e&state=parked&limit=1"],
    );
    check(&["deliveries", "show", "d"], &["GET /v1/deliveries/d"]);
    check(&["deliveries", "attempts", "d"], &["GET /v1/deliveries/d/attempts"]);
    check(&["deliveries", "retry", "d"], &["POST /v1/deliveries/d/retry"]);
}

#[test]
fn a_tail_ends_when_what_answers_is_no_feed() {
    ends(&["tail", "--types", "a.*"], Exit::Failure);
}

#[test]
fn pairs_are_split_at_the_first_sign() {
    let map = pairs("a pair", &["a=b=c".into(), "d=".into()]).expect("pairs");
    assert_eq!(Value::from(map), serde_json::json!({"a": "b=c", "d": ""}));
    assert_eq!(pairs("a pair", &["=x".into()]).map_err(|it| it.exit.code()), Err(2));
}
