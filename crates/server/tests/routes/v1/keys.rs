//! `/v1/keys`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn a_key_is_shown_once() {
    let (world, ..) = World::of_two().await;
    let made =
        world.post("/v1/keys", json!({ "role": "tenant", "tenant": "acme", "scopes": ["events:read"], "description": "feed" })).await;
    expect![[r#"
        201
        cache-control: no-store
        location: /v1/keys/key_…
        ringback-tenant: *
        {"id":"key_…","role":"tenant","tenant":"acme","scopes":["events:read"],"description":"feed","key":"rbk_…"}"#]]
    .assert_eq(&made.show());
    let shown = world.get(&format!("/v1/keys/{}", made.member("id"))).await;
    expect![[r#"
        200
        ringback-tenant: *
        {"id":"key_…","role":"tenant","tenant":"acme","scopes":["events:read"],"description":"feed"}"#]]
    .assert_eq(&shown.show());
    let key = made.member("key");
    assert_eq!(world.get("/v1/events").key(&key).await.status, 200);
    assert_eq!(world.delete(&format!("/v1/keys/{}", made.member("id"))).await.status, 204);
    assert_eq!(world.get("/v1/events").key(&key).await.code(), "401 unauthenticated");
    assert_eq!(world.delete(&format!("/v1/keys/{}", made.member("id"))).await.code(), "404 not-found");
}

/// As everywhere: leaving the tenant out means `default`, while that is the only one.
#[tokio::test]
async fn the_sole_tenant_need_not_be_named() {
    let world = World::new().await;
    let made = world.post("/v1/keys", json!({ "role": "tenant" })).await;
    assert_eq!((made.status, made.member("tenant").as_str()), (201, "default"));
    let (world, ..) = World::of_two().await;
    assert_eq!(world.post("/v1/keys", json!({ "role": "tenant" })).await.code(), "400 tenant-required");
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_more_than_his_own() {
    let (world, acme, _) = World::of_two().await;
    for body in [json!({ "role": "operator" }), json!({ "role": "gateway" })] {
        assert_eq!(world.post("/v1/keys", body.clone()).key(&acme).await.code(), "403 forbidden", "{body}");
    }
    assert_eq!(world.post("/v1/keys", json!({ "tenant": "globex" })).key(&acme).await.code(), "404 not-found");
    assert_eq!(world.post("/v1/keys", json!({ "scopes": ["types:write"] })).key(&acme).await.code(), "422 validation-failed");
    let narrow = world.post("/v1/keys", json!({ "scopes": ["keys:write"] })).key(&acme).await.member("key");
    let child = world.post("/v1/keys", json!({})).key(&narrow).await;
    assert_eq!((child.status, child.json()["scopes"].clone()), (201, json!(["keys:write"])));
    assert_eq!(world.post("/v1/keys", json!({ "scopes": ["events:read"] })).key(&narrow).await.code(), "422 validation-failed");
}

#[tokio::test]
async fn the_last_operator_key_stays() {
    let world = World::new().await;
    let all = world.get("/v1/keys").await.json();
    let id = all["data"][0]["id"].as_str().expect("a key");
    expect![[r#"
        409
        ringback-tenant: *
        {"type":"urn:ringback:error:conflict","code":"conflict","title":"Conflict","status":409,"detail":"This is the last operator key: without it only the socket could make a new one. Make another operator key first.","request_id":"req_…","retryable":true}"#]].assert_eq(&world.delete(&format!("/v1/keys/{id}")).await.show());
}

#[tokio::test]
async fn tenants_see_their_own() {
    let (world, acme, _) = World::of_two().await;
    let all = world.get("/v1/keys").key(&acme).await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(all["data"][0]["tenant"], "acme");
    assert_eq!(world.get("/v1/keys").await.json()["data"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_key_that_has_expired_is_not_made() {
    let world = World::new().await;
    for past in ["2020-01-01T00:00:00Z", "2026-11-23T18:24:44Z"] {
        let refused = world.post("/v1/keys", json!({ "role": "gateway", "expires_at": past })).await;
        assert_eq!(
            (refused.code().as_str(), &refused.json()["errors"][0]["pointer"]),
            ("422 validation-failed", &json!("/expires_at")),
            "{past}"
        );
    }
    assert_eq!(world.post("/v1/keys", json!({ "role": "gateway", "expires_at": "2026-11-23T18:24:45Z" })).await.status, 201);
}
