//! `PATCH /payment/{id}`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn members_are_merged() {
    let world = World::new().await;
    world.payment("123").await;
    let patched = world.patch("/payment/123", json!({ "customer": "ann" })).header("content-type", "application/merge-patch+json").await;
    expect![[r#"
        200
        etag: "2"
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"123","type":"payment","tenant":"default","status":"created","version":2,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0,"customer":"ann"}"#]].assert_eq(&patched.show());
    let removed = world.patch("/payment/123", json!({ "customer": null })).await;
    assert_eq!((removed.json()["customer"].is_null(), removed.header("etag")), (true, "\"3\""));
}

#[tokio::test]
async fn a_patch_that_changes_nothing_makes_no_version_and_no_event() {
    let world = World::new().await;
    world.payment("123").await;
    let reply = world.patch("/payment/123", json!({ "amount": 1999 })).await;
    assert_eq!((reply.status, reply.header("etag")), (200, "\"1\""));
    assert!(reply.headers.get("ringback-event").is_none());
    assert!(reply.headers.get("ringback-position").is_some());
}

#[tokio::test]
async fn some_members_are_not_for_patches() {
    let world = World::new().await;
    world.payment("123").await;
    for (body, code) in [
        (json!({ "amount": 5 }), "422 read-only-field"),
        (json!({ "refunded": 5 }), "422 read-only-field"),
        (json!({ "status": "completed" }), "422 read-only-field"),
        (json!({ "colour": "red" }), "422 validation-failed"),
        (json!({ "customer": 5 }), "422 validation-failed"),
        (json!([]), "422 validation-failed"),
    ] {
        assert_eq!(world.patch("/payment/123", body.clone()).await.code(), code, "{body}");
    }
    let json_patch = world.patch("/payment/123", json!([])).header("content-type", "application/json-patch+json").await;
    expect![[r#"
        415
        ringback-tenant: default
        {"type":"urn:ringback:error:unsupported-media-type","code":"unsupported-media-type","title":"Unsupported media type","status":415,"detail":"This route doesn't read `application/json-patch+json`. Send `content-type: application/json` or `application/merge-patch+json`.","request_id":"req_…","retryable":false}"#]].assert_eq(&json_patch.show());
}
