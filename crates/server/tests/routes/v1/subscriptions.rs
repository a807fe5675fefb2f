//! `/v1/subscriptions`.

use crate::world::{World, settle};
use expect_test::expect;
use ringback_ports::sender::{Destination, DestinationRefused};
use serde_json::{Value, json};
use std::time::Duration;

fn hook() -> Value {
    json!({ "types": ["payment.completed"], "push": { "url": "https://example.com/hook" } })
}

#[tokio::test]
async fn a_subscription_is_made_and_its_secret_shown_once() {
    let world = World::new().await;
    let made = world.post("/v1/subscriptions", hook()).await;
    expect![[r#"
        201
        cache-control: no-store
        etag: "1"
        location: /v1/subscriptions/sub_…
        ringback-tenant: default
        {"id":"sub_…","tenant":"default","description":"","metadata":{},"types":["payment.completed"],"strict":true,"subject":null,"until":null,"filter":null,"from":"now","payload":"full","order":"none","state":"active","push":{"url":"https://example.com/hook","headers":{},"timeout_ms":20000,"concurrency_max":32,"rate_max_per_s":null,"retry":{"delays":[5,30,120,600,1800,3600,7200,14400,28800,43200,43200,43200,43200,43200]},"signing":"hmac","profile":"standard","webhook_id":"event","secret":"whsec_…"},"cursor":"…","lag":0,"health":{"state":"ok","why":null,"since":"2026-11-23T18:24:44.000000Z"},"revision":1,"created_at":"2026-11-23T18:24:44.000000Z"}"#]].assert_eq(&made.show());
    let shown = world.get(&format!("/v1/subscriptions/{}", made.member("id"))).await;
    assert!(!shown.text().contains("whsec_"), "{}", shown.text());
    assert_eq!(shown.header("etag"), "\"1\"");
    let list = world.get("/v1/subscriptions").await;
    assert!(!list.text().contains("whsec_"), "{}", list.text());
    assert_eq!(list.json()["data"][0], shown.json());
}

/// The pushed body is byte for byte what the event's route answers.
#[tokio::test]
async fn what_is_pushed_is_what_is_shown() {
    let world = World::new().await;
    world.post("/v1/subscriptions", hook()).await;
    world.payment("123").await;
    let done = world.step("/payment/123/complete").await;
    let sent = world.sender.wait_for(1).await;
    assert_eq!(sent[0].body, world.get(&format!("/v1/events/{}", done.header("ringback-event"))).await.body);
}

#[tokio::test]
async fn bodies_are_strict() {
    let world = World::new().await;
    let check = |body: Value| world.post("/v1/subscriptions", body);
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:unknown-field","code":"unknown-field","title":"Unknown field","status":400,"detail":"`/url`: no such field here; did you mean `push.url`?","request_id":"req_…","retryable":false,"errors":[{"pointer":"/url","code":"unknown-field","detail":"`/url`: no such field here; did you mean `push.url`?"}]}"#]].assert_eq(&check(json!({ "url": "https://example.com", "push": { "url": "https://example.com" } })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:unknown-event-type","code":"unknown-event-type","title":"Unknown event type","status":422,"detail":"Nothing declares or has published `payment.complete`. Did you mean `payment.completed`? To subscribe before the first one is published, send `\"strict\":false`.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/types/0","code":"unknown-event-type","detail":"Nothing declares or has published `payment.complete`. Did you mean `payment.completed`? To subscribe before the first one is published, send `\"strict\":false`."}]}"#]].assert_eq(&check(json!({ "types": ["payment.complete"], "push": { "url": "https://example.com" } })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"`/push/url` is required: the address to call.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/url","code":"required","detail":"`/push/url` is required: the address to call."}]}"#]].assert_eq(&check(json!({ "push": {} })).await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:malformed-json","code":"malformed-json","title":"Malformed JSON","status":400,"detail":"No body was sent. Send JSON such as `{\"types\":[\"payment.*\"],\"push\":{\"url\":\"https://yourapp.com/webhook\"}}`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.ask("POST", "/v1/subscriptions").await.show());
    let unknown = json!({ "types": ["not.there"], "strict": false, "push": { "url": "https://example.com" } });
    assert_eq!(check(unknown).await.status, 201);
    assert_eq!(check(json!({ "from": "nonsense", "push": { "url": "https://example.com" } })).await.code(), "400 bad-parameter");
}

#[tokio::test]
async fn an_operator_is_told_more_of_a_refused_address_than_a_tenant() {
    let (world, acme, _) = World::of_two().await;
    world.sender.vet_with(|url, _| {
        if url.contains("ledger") {
            return Err(DestinationRefused {
                reason: "address",
                for_operator: "`ledger.svc` resolves to 10.2.0.7, a private address.".into(),
                for_tenant: "This address isn't reachable from the public internet.".into(),
            });
        }
        Ok(Destination::Routable)
    });
    let body = json!({ "push": { "url": "https://ledger.svc/hook" } });
    expect![[r#"
        422
        ringback-tenant: acme
        {"type":"urn:ringback:error:destination-not-allowed","code":"destination-not-allowed","title":"Destination not allowed","status":422,"detail":"`ledger.svc` resolves to 10.2.0.7, a private address.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/url","code":"invalid","detail":"`ledger.svc` resolves to 10.2.0.7, a private address."}]}"#]].assert_eq(&world.post("/v1/subscriptions", body.clone()).tenant("acme").await.show());
    let told = world.post("/v1/subscriptions", body).key(&acme).await;
    assert_eq!(told.code(), "422 destination-not-allowed");
    assert!(!told.text().contains("10.2"), "{}", told.text());
}

#[tokio::test]
async fn some_of_it_can_be_changed() {
    let world = World::new().await;
    let id = world
        .post("/v1/subscriptions", json!({ "metadata": { "a": "1", "b": "2" }, "push": { "url": "https://example.com" } }))
        .await
        .member("id");
    let path = format!("/v1/subscriptions/{id}");
    let changed = world.patch(&path, json!({ "types": ["payment.*"], "metadata": { "a": null }, "push": { "timeout_ms": 1000 } })).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    let body = changed.json();
    assert_eq!((&body["revision"], &body["metadata"], &body["push"]["timeout_ms"]), (&json!(2), &json!({ "b": "2" }), &json!(1000)));
    let fixed = world.patch(&path, json!({ "subject": "/payment/1" })).await;
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:read-only-field","code":"read-only-field","title":"Read-only field","status":422,"detail":"`/subject` can't be set here. It is fixed when a subscription is made; make another one.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/subject","code":"read-only-field","detail":"`/subject` can't be set here. It is fixed when a subscription is made; make another one."}]}"#]].assert_eq(&fixed.show());
    let stale = world.patch(&path, json!({ "description": "x" })).header("if-match", "\"1\"").await;
    assert_eq!((stale.code().as_str(), stale.json()["current"]["id"].as_str()), ("412 precondition-failed", Some(id.as_str())));
    assert_eq!(world.delete(&path).header("if-match", "\"1\"").await.code(), "412 precondition-failed");
    assert_eq!(world.delete(&path).await.status, 204);
    assert_eq!(world.get(&path).await.code(), "404 not-found");
}

#[tokio::test]
async fn pausing_keeps_what_is_owed() {
    let world = World::new().await;
    let id = world.post("/v1/subscriptions", hook()).await.member("id");
    let path = format!("/v1/subscriptions/{id}");
    assert_eq!(world.step(&format!("{path}/pause")).await.member("state"), "paused");
    assert_eq!(world.step(&format!("{path}/pause")).await.status, 200, "pausing twice is pausing");
    world.payment("123").await;
    world.step("/payment/123/complete").await;
    settle().await;
    assert_eq!(world.sender.count(), 0);
    let resumed = world.post(&format!("{path}/resume"), json!({ "from": "cursor" })).await;
    assert_eq!(resumed.member("state"), "active");
    assert_eq!(world.sender.wait_for(1).await.len(), 1);
    assert_eq!(world.post(&format!("{path}/resume"), json!({ "from": "then" })).await.code(), "422 validation-failed");
    assert_eq!(world.post(&format!("{path}/pause"), json!({ "why": "x" })).await.code(), "400 unknown-field");
}

#[tokio::test]
async fn operators_subscribe_to_all_tenants() {
    let (world, acme, _) = World::of_two().await;
    let all = json!({ "tenant": "*", "push": { "url": "https://example.com/all" } });
    let made = world.post("/v1/subscriptions", all.clone()).tenant("*").await;
    assert_eq!((made.status, made.member("tenant").as_str()), (201, "*"));
    assert_eq!(world.post("/v1/subscriptions", all).key(&acme).await.code(), "403 forbidden");
    world.payment("123").await;
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).key(&acme).await;
    assert_eq!(world.sender.wait_for(2).await.len(), 2);
    let named = json!({ "tenant": "globex", "push": { "url": "https://example.com" } });
    assert_eq!(world.post("/v1/subscriptions", named.clone()).tenant("*").await.member("tenant"), "globex");
    assert_eq!(world.post("/v1/subscriptions", named).key(&acme).await.code(), "422 validation-failed");
    assert_eq!(world.get("/v1/subscriptions").tenant("*").await.json()["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_body_that_a_status_offers_works() {
    let world = World::new().await;
    world.payment("123").await;
    let mut body = world.get("/payment/123/status").await.json()["subscribe"].clone();
    body["push"]["url"] = "https://example.com/once".into();
    let made = world.post("/v1/subscriptions", body).await;
    assert_eq!(made.status, 201, "{}", made.show());
    world.step("/payment/123/process").await;
    world.step("/payment/123/complete").await;
    let sent = world.sender.wait_for(1).await;
    assert!(core::str::from_utf8(&sent[0].body).expect("text").contains("payment.completed"));
    settle().await;
    // Settlements are written in groups.
    world.clock.advance(Duration::from_secs(1));
    settle().await;
    let id = made.member("id");
    assert_eq!(world.get(&format!("/v1/subscriptions/{id}")).await.member("state"), "done");
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:subscription-not-active","code":"subscription-not-active","title":"Subscription not active","status":409,"detail":"Subscription sub_… is done. Make a new one.","request_id":"req_…","retryable":false,"current_state":"done"}"#]].assert_eq(&world.step(&format!("/v1/subscriptions/{id}/pause")).await.show());
}
