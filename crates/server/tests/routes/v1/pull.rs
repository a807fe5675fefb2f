//! `/v1/subscriptions/{id}/pull`, `/ack`, `/nack`, `/extend`, `/seek`, and `PUT`.

use crate::world::World;
use expect_test::expect;
use serde_json::{Value, json};

const LEDGER: &str = "/v1/subscriptions/ledger";

async fn furnish() -> World {
    let world = World::new().await;
    let made = world.put(LEDGER, json!({ "types": ["payment.*"] })).await;
    assert_eq!((made.status, made.header("etag"), made.header("location")), (201, "\"1\"", LEDGER));
    assert_eq!(made.json().get("push"), None, "it is pulled");
    for id in ["1", "2"] {
        world.payment(id).await;
    }
    world
}

fn ids(data: &Value) -> Vec<Value> {
    data.as_array().expect("a list").iter().map(|it| it["id"].clone()).collect()
}

#[tokio::test]
async fn events_are_pulled_and_acknowledged() {
    let world = furnish().await;
    let pulled = world.post(&format!("{LEDGER}/pull"), json!({ "limit": 1 })).await;
    assert_eq!((pulled.status, pulled.header("cache-control")), (200, "no-store"));
    let body = pulled.json();
    let id = body["data"][0]["id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/v1/events/{id}")).await.json(), body["data"][0]);
    assert_eq!((&body["lag"], body.get("tries")), (&json!(2), None));
    let acked = world.post(&format!("{LEDGER}/ack"), json!({ "ack": body["ack"] })).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"settled":1,"late":[]}"#]]
    .assert_eq(&acked.show());
    let again = world.post(&format!("{LEDGER}/ack"), json!({ "ack": body["ack"] })).await;
    assert_eq!(again.json(), json!({ "settled": 0, "late": [id] }));
    // Without a body: the defaults.
    let rest = world.step(&format!("{LEDGER}/pull")).await.json();
    let held = world.post(&format!("{LEDGER}/extend"), json!({ "ack": rest["ack"], "lease": 600 })).await.json();
    assert_eq!(held["lease_until"], "2026-11-23T18:34:44.000000Z");
    let nacked = world.post(&format!("{LEDGER}/nack"), json!({ "ack": rest["ack"], "events": ids(&rest["data"]) })).await;
    assert_eq!(nacked.json(), json!({ "settled": 1, "late": [] }));
    let third = world.step(&format!("{LEDGER}/pull")).await.json();
    assert_eq!(third["tries"][third["data"][0]["id"].as_str().expect("an id")], 2);
    assert_eq!(world.get(LEDGER).await.json()["lag"], 0, "put off, and so settled as an exception");
}

#[tokio::test]
async fn what_is_refused_says_what_to_do() {
    let world = furnish().await;
    let pulled = world.step(&format!("{LEDGER}/pull")).await.json();
    let nack = json!({ "ack": pulled["ack"], "delay": 0 });
    assert_eq!(world.post(&format!("{LEDGER}/nack"), nack.clone()).await.status, 200);
    expect![[r#"
        410
        ringback-tenant: default
        {"type":"urn:ringback:error:lease-expired","code":"lease-expired","title":"Lease expired","status":410,"detail":"The lease is over, so these events are handed out again, or were already. Pull again; an `ack` of them would still count. Ask for a longer `lease`, or `POST /v1/subscriptions/ledger/extend` in time.","request_id":"req_…","retryable":false}"#]]
    .assert_eq(&world.post(&format!("{LEDGER}/nack"), nack).await.show());
    let other = world.put("/v1/subscriptions/other", json!({})).await;
    assert_eq!(other.status, 201);
    let elsewhere = world.post("/v1/subscriptions/other/ack", json!({ "ack": pulled["ack"] })).await;
    assert_eq!(elsewhere.code(), "422 validation-failed", "a token of another subscription");
    assert_eq!(world.post(&format!("{LEDGER}/pull"), json!({ "wait": 61 })).await.code(), "422 validation-failed");
    assert_eq!(world.post(&format!("{LEDGER}/pull"), json!({ "max": 1 })).await.code(), "400 unknown-field");
    assert_eq!(world.post("/v1/subscriptions/nobody/pull", json!({})).await.code(), "404 not-found");
    let pushed = json!({ "push": { "url": "https://example.com/hook" } });
    let shown = world.patch(LEDGER, pushed.clone()).await;
    assert!(shown.json()["push"]["secret"].as_str().is_some_and(|it| it.starts_with("whsec_")), "shown once");
    assert!(!world.patch(LEDGER, pushed).await.text().contains("whsec_"));
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:conflict","code":"conflict","title":"Conflict","status":409,"detail":"Subscription ledger is pushed, so nothing can be pulled from it. `PATCH /v1/subscriptions/ledger {\"push\":null}` makes it a pull subscription.","request_id":"req_…","retryable":true}"#]].assert_eq(&world.step(&format!("{LEDGER}/pull")).await.show());
    assert_eq!(world.patch(LEDGER, json!({ "push": null })).await.json().get("push"), None);
    assert_eq!(world.patch(LEDGER, json!({ "push": { "timeout_ms": 1000 } })).await.code(), "422 validation-failed", "no url");
}

#[tokio::test]
async fn put_is_an_upsert() {
    let world = furnish().await;
    let same = world.put(LEDGER, json!({ "types": ["payment.*"] })).await;
    assert_eq!((same.status, same.header("etag")), (200, "\"1\""));
    let changed = world.put(LEDGER, json!({ "types": ["payment.*"], "metadata": { "a": "1" } })).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    let stale = world.put(LEDGER, json!({})).header("if-match", "\"1\"").await;
    assert_eq!(stale.code(), "412 precondition-failed");
    let none = world.put("/v1/subscriptions/new", json!({})).header("if-match", "\"1\"").await;
    assert_eq!(none.code(), "412 precondition-failed");
    let fixed = world.put(LEDGER, json!({ "subject": "/payment/1" })).await;
    assert_eq!(fixed.code(), "422 validation-failed");
}

#[tokio::test]
async fn a_filter_is_checked_and_judged() {
    let world = World::new().await;
    let put = |body: Value| world.put(LEDGER, body);
    let filter = |text: &str| json!({ "types": ["payment.*"], "filter": text });
    assert_eq!(put(filter("data.amount >")).await.code(), "400 filter-syntax");
    assert_eq!(put(filter("data.amount > 1 AND type = a OR type = b")).await.code(), "400 filter-ambiguous");
    let unknown = put(filter("data.amout > 1")).await;
    assert_eq!((unknown.code().as_str(), &unknown.json()["errors"][0]["pointer"]), ("400 filter-invalid", &json!("/filter")));
    let made = put(filter("data.id = \"2\"")).await;
    assert_eq!((made.status, made.member("filter").as_str()), (201, "data.id = \"2\""));
    for id in ["1", "2", "3"] {
        world.payment(id).await;
    }
    let pulled = world.step(&format!("{LEDGER}/pull")).await.json();
    assert_eq!(pulled["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(pulled["data"][0]["subject"], "/payment/2");
    // A new filter is a revision: what is read from now on.
    let changed = world.patch(LEDGER, json!({ "filter": null })).await.json();
    assert_eq!((&changed["revision"], &changed["filter"]), (&json!(2), &Value::Null));
    assert_eq!(world.patch(LEDGER, json!({ "filter": "data.amount > 0" })).await.status, 200);
    assert_eq!(world.patch(LEDGER, json!({ "filter": "data.nothing > 0" })).await.code(), "400 filter-invalid");
}

#[tokio::test]
async fn seek_goes_anywhere() {
    let world = furnish().await;
    let first = world.step(&format!("{LEDGER}/pull")).await.json();
    world.post(&format!("{LEDGER}/ack"), json!({ "ack": first["ack"] })).await;
    let sought = world.post(&format!("{LEDGER}/seek"), json!({ "to": "start" })).await;
    assert_eq!((sought.status, &sought.json()["lag"]), (200, &json!(2)));
    assert_eq!(ids(&world.step(&format!("{LEDGER}/pull")).await.json()["data"]), ids(&first["data"]));
    assert_eq!(world.post(&format!("{LEDGER}/seek"), json!({ "to": first["data"][0]["id"] })).await.json()["lag"], 1);
    assert_eq!(world.post(&format!("{LEDGER}/seek"), json!({ "to": "then" })).await.code(), "400 bad-parameter");
    assert_eq!(world.post(&format!("{LEDGER}/seek"), json!({})).await.code(), "422 validation-failed");
    assert_eq!(
        world.post(&format!("{LEDGER}/seek"), json!({ "to": "now" })).header("if-match", "\"1\"").await.code(),
        "412 precondition-failed"
    );
}
