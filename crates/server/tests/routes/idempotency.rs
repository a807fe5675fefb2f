//! `Idempotency-Key`.

use crate::world::{Ask, World, settle};
use expect_test::expect;
use serde_json::json;
use std::time::Duration;

fn pay(world: &World, amount: u64) -> Ask {
    world.post("/payment", json!({ "amount": amount, "currency": "eur" })).header("idempotency-key", "k1")
}

#[tokio::test]
async fn the_same_request_has_the_same_answer() {
    let world = World::new().await;
    let first = pay(&world, 5).await;
    let again = pay(&world, 5).await;
    assert_eq!(first.status, 201);
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(first.headers.get("idempotency-replayed").is_none());
    for name in ["etag", "location", "ringback-event", "ringback-position", "content-type", "ringback-tenant"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(world.get("/payment").await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn another_request_under_the_key_is_refused() {
    let world = World::new().await;
    pay(&world, 5).await;
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:idempotency-key-reused","code":"idempotency-key-reused","title":"Idempotency-Key reused","status":422,"detail":"This Idempotency-Key was used for another request: body, content type, query or If-Match differ. Use a new key for a new request.","request_id":"req_…","retryable":false}"#]].assert_eq(&pay(&world, 6).await.show());
    let others = [
        pay(&world, 5).header("content-type", "application/x-www-form-urlencoded"),
        pay(&world, 5).header("if-match", "\"1\""),
        pay(&world, 5).body("{\"amount\":5, \"currency\":\"eur\"}"),
    ];
    for other in others {
        assert_eq!(other.await.code(), "422 idempotency-key-reused");
    }
    // The same key elsewhere is another key.
    let id = pay(&world, 5).await.member("id");
    assert_eq!(world.step(&format!("/payment/{id}/complete")).header("idempotency-key", "k1").await.status, 200);
    world.put("/v1/tenants/acme", json!({})).await;
    assert!(pay(&world, 5).tenant("acme").await.headers.get("idempotency-replayed").is_none());
}

#[tokio::test]
async fn a_refusal_is_decided_afresh() {
    let world = World::new().await;
    world.payment("123").await;
    let refund = || world.post("/payment/123/refund", json!({ "amount": 5 })).header("idempotency-key", "k1");
    assert_eq!(refund().await.code(), "409 transition-not-allowed");
    world.step("/payment/123/complete").await;
    assert_eq!(refund().await.status, 200);
    assert_eq!(refund().await.header("idempotency-replayed"), "true");
    assert_eq!(world.get("/payment/123").await.member("refunded"), "5");
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_shown_again_to_a_repeat() {
    let world = World::new().await;
    let ask = || world.post("/v1/keys", json!({ "role": "gateway" })).header("idempotency-key", "k1");
    let (first, again) = (ask().await, ask().await);
    assert_eq!(first.member("key"), again.member("key"));
    assert_eq!(again.header("cache-control"), "no-store");
    let ask = || world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com" } })).header("idempotency-key", "k2");
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.status, &first.body), (201, &again.body));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let world = World::new().await;
    let first = pay(&world, 5).await;
    world.clock.advance(Duration::from_secs(24 * 3600 + 1));
    settle().await;
    let later = pay(&world, 5).await;
    assert_eq!(later.status, 201);
    assert_ne!(later.member("id"), first.member("id"));
}

#[tokio::test]
async fn a_key_has_a_form() {
    let world = World::new().await;
    for bad in ["", &"a".repeat(256)] {
        assert_eq!(pay(&world, 5).header("idempotency-key", bad).await.code(), "400 bad-parameter", "{} bytes", bad.len());
    }
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`Idempotency-Key` should be 1 to 255 printable ASCII characters. A new UUID for each new request is a good one.","request_id":"req_…","retryable":false,"errors":[{"parameter":"Idempotency-Key","code":"invalid","detail":"`Idempotency-Key` should be 1 to 255 printable ASCII characters. A new UUID for each new request is a good one."}]}"#]].assert_eq(&pay(&world, 5).header("idempotency-key", "").await.show());
}

/// Every route that writes replays what it answered.
#[tokio::test]
async fn deletions_patches_and_retries_replay() {
    let world = World::new().await;
    world.payment("123").await;
    let patch = || world.patch("/payment/123", json!({ "customer": "ann" })).header("idempotency-key", "k");
    assert_eq!(patch().await.body, patch().await.body);
    let nothing = || world.patch("/payment/123", json!({ "customer": "ann" })).header("idempotency-key", "n");
    assert_eq!((nothing().await.status, nothing().await.header("idempotency-replayed")), (200, "true"));
    let delete = || world.delete("/payment/123").header("idempotency-key", "k");
    assert_eq!(delete().await.status, 204);
    assert_eq!((delete().await.status, delete().await.header("idempotency-replayed")), (204, "true"));
    let id = world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com" } })).await.member("id");
    let pause = || world.step(&format!("/v1/subscriptions/{id}/pause")).header("idempotency-key", "k");
    assert_eq!((pause().await.status, pause().await.header("idempotency-replayed")), (200, "true"));
}

/// What an operator was answered, a tenant's key must not read by guessing a key and a body.
#[tokio::test]
async fn a_weaker_key_is_not_shown_what_a_stronger_one_was_answered() {
    let (world, acme, globex) = World::of_two().await;
    let pay = || pay(&world, 5).tenant("acme");
    assert_eq!(pay().await.status, 201);
    let weak = pay().key(&acme).await;
    expect![[r#"
        403
        ringback-tenant: acme
        {"type":"urn:ringback:error:forbidden","code":"forbidden","title":"Not allowed","status":403,"detail":"This Idempotency-Key was first used with an API key that may do more than this one, so its answer isn't shown. Send it with that API key, or use a new Idempotency-Key.","request_id":"req_…","retryable":false}"#]].assert_eq(&weak.show());
    assert_eq!(pay().await.header("idempotency-replayed"), "true");
    assert_eq!(pay().key(&globex).await.code(), "404 not-found");
    // The same authority, but not all of the scopes; then all of them.
    let narrow = world.new_key(json!({ "role": "operator", "scopes": ["resources:write"] })).await;
    assert_eq!(pay().key(&narrow).await.code(), "403 forbidden");
    let other = world.new_key(json!({ "role": "operator" })).await;
    assert_eq!(pay().key(&other).await.header("idempotency-replayed"), "true");
    // What the weak one was answered, the strong one may see.
    let note = || world.post("/note", json!({ "text": "a" })).header("idempotency-key", "n").tenant("acme");
    assert_eq!(note().key(&acme).await.status, 201);
    assert_eq!(note().await.header("idempotency-replayed"), "true");
}
