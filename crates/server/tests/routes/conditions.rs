//! `If-None-Match`, `If-Match`, and types that want it.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let world = World::new().await;
    world.payment("123").await;
    for (header, status) in
        [("\"1\"", 304), ("W/\"1\"", 304), ("\"7\", \"1\"", 304), ("*", 304), ("\"2\"", 200), ("\"abc\"", 200), ("1", 400)]
    {
        let reply = world.get("/payment/123").header("if-none-match", header).await;
        assert_eq!(reply.status, status, "{header}");
        assert_eq!(reply.body.is_empty(), status == 304, "{header}");
    }
    assert_eq!(world.get("/payment/124").header("if-none-match", "*").await.status, 404);
}

#[tokio::test]
async fn a_write_that_expects_another_version_is_refused() {
    let world = World::new().await;
    world.payment("123").await;
    let stale = world.patch("/payment/123", json!({ "customer": "ann" })).header("if-match", "\"7\"").await;
    expect![[r#"
        412
        ringback-tenant: default
        {"type":"urn:ringback:error:precondition-failed","code":"precondition-failed","title":"Precondition failed","status":412,"detail":"Payment 123 has been changed: its ETag is \"1\" now. Look at `current` and repeat the request with that ETag.","request_id":"req_…","retryable":false,"current":{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0},"etag":"\"1\""}"#]].assert_eq(&stale.show());
    for (header, status) in [("\"7\", \"1\"", 200), ("\"2\"", 200), ("*", 200), ("W/\"4\"", 412), ("\"abc\"", 412), ("4", 400)] {
        let reply = world.patch("/payment/123", json!({ "customer": header })).header("if-match", header).await;
        assert_eq!(reply.status, status, "{header}");
    }
    assert_eq!(world.step("/payment/123/complete").header("if-match", "\"1\"").await.code(), "412 precondition-failed");
    assert_eq!(world.delete("/payment/123").header("if-match", "\"1\"").await.code(), "412 precondition-failed");
}

#[tokio::test]
async fn some_types_want_it() {
    let world = World::new().await;
    let id = world.post("/note", json!({ "text": "a" })).await.member("id");
    let path = format!("/note/{id}");
    let refused = world.patch(&path, json!({ "text": "b" })).await;
    expect![[r#"
        428
        ringback-tenant: default
        {"type":"urn:ringback:error:precondition-required","code":"precondition-required","title":"Precondition required","status":428,"detail":"Changing a note needs `If-Match` with the ETag of what was read, so that nobody's change is lost.","request_id":"req_…","retryable":false}"#]].assert_eq(&refused.show());
    assert_eq!(world.step(&format!("{path}/filed")).await.code(), "428 precondition-required");
    assert_eq!(world.delete(&path).await.code(), "428 precondition-required");
    assert_eq!(world.patch(&path, json!({ "text": "b" })).header("if-match", "\"1\"").await.status, 200);
    assert_eq!(world.step(&format!("{path}/filed")).header("if-match", "\"2\"").await.status, 200);
    assert_eq!(world.delete(&path).header("if-match", "*").await.status, 204);
}

#[tokio::test]
async fn what_must_not_be_there_yet_is_refused_when_it_is() {
    let world = World::new().await;
    let make = || world.post("/payment", json!({ "id": "123", "amount": 5, "currency": "eur" })).header("if-none-match", "*");
    assert_eq!(make().await.status, 201);
    expect![[r#"
        412
        ringback-tenant: default
        {"type":"urn:ringback:error:precondition-failed","code":"precondition-failed","title":"Precondition failed","status":412,"detail":"Payment 123 is there already, and `If-None-Match: *` asks that it isn't. Look at it with GET, or choose another id.","request_id":"req_…","retryable":false}"#]].assert_eq(&make().await.show());
    assert_eq!(make().header("if-none-match", "\"1\"").await.code(), "400 bad-parameter");
    let put = || world.put("/invoice/7", json!({ "source_version": 1, "status": "open", "amount": 5 })).header("if-none-match", "*");
    assert_eq!((put().await.status, put().await.code().as_str()), (201, "412 precondition-failed"));
    // Deleted, its id is still taken: that is no precondition's.
    world.delete("/payment/123").await;
    assert_eq!(make().await.code(), "409 already-exists");
}

#[tokio::test]
async fn control_objects_have_versions_too() {
    let world = World::new().await;
    let made = world.put("/v1/tenants/acme", json!({})).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    assert_eq!(world.get("/v1/tenants/acme").header("if-none-match", "\"1\"").await.status, 304);
    let stale = world.put("/v1/tenants/acme", json!({ "name": "Acme" })).header("if-match", "\"7\"").await;
    assert_eq!((stale.code().as_str(), stale.json()["current"]["id"].as_str()), ("412 precondition-failed", Some("acme")));
    assert_eq!(stale.member("etag"), "\"1\"");
    let absent = world.put("/v1/tenants/globex", json!({})).header("if-match", "\"1\"").await;
    assert_eq!(absent.code(), "412 precondition-failed");
    assert_eq!(world.put("/v1/tenants/acme", json!({ "name": "Acme" })).header("if-match", "\"1\"").await.header("etag"), "\"2\"");
}
