//! When it is our fault: what is told, and what is not.

use crate::world::World;
use expect_test::expect;
use ringback_ports::store::{CommitError, StoreError};
use serde_json::json;

#[tokio::test]
async fn a_commit_that_does_not_happen_is_told_with_what_to_do() {
    let world = World::new().await;
    for (error, code, retry_after) in [
        (CommitError::Overloaded, "503 overloaded", Some("1")),
        (CommitError::Unknown, "503 outcome-unknown", Some("1")),
        (CommitError::Store(StoreError::Full), "507 storage-full", Some("30")),
        (CommitError::Store(StoreError::Closed), "503 draining", Some("2")),
        (CommitError::Store(StoreError::Broken("disk on fire".into())), "500 internal", None),
    ] {
        world.store.fail_next_commit(error.clone());
        let reply = world.post("/payment", json!({ "amount": 1, "currency": "eur" })).await;
        assert_eq!(reply.code(), code);
        assert_eq!(reply.headers.get("retry-after").and_then(|it| it.to_str().ok()), retry_after, "{code}");
        assert_eq!(reply.json()["retryable"], true, "{code}");
        assert!(!reply.text().contains("fire"), "{}", reply.text());
    }
    assert_eq!(world.post("/payment", json!({ "amount": 1, "currency": "eur" })).await.status, 201);
}

/// The key is free again: what is sent once more with it is done.
#[tokio::test]
async fn a_fault_is_not_replayed() {
    let world = World::new().await;
    let ask = || world.post("/payment", json!({ "amount": 1, "currency": "eur" })).header("idempotency-key", "k");
    world.store.fail_next_commit(CommitError::Unknown);
    assert_eq!(ask().await.status, 503);
    assert_eq!(ask().await.status, 201);
    assert_eq!(ask().await.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_panic_is_answered_and_harms_nobody_else() {
    let world = World::new().await;
    world.sender.vet_with(|url, _| panic!("a secret of {url}"));
    let reply = world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com" } })).await;
    expect![[r#"
        500
        ringback-tenant: default
        {"type":"urn:ringback:error:internal","code":"internal","title":"Internal error","status":500,"detail":"Something went wrong on our side. Send it again with the same Idempotency-Key; if it stays, report the `request_id`.","request_id":"req_…","retryable":true}"#]].assert_eq(&reply.show());
    assert_eq!(world.get("/v1/subscriptions").await.status, 200);
}
