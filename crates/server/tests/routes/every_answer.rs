//! What holds for each answer, whatever was asked.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let world = World::new().await;
    let sent = world.get("/payment").header("x-request-id", "mine-1").await;
    assert_eq!(sent.header("x-request-id"), "mine-1");
    for insane in ["a b", "a\"b", &"a".repeat(65)] {
        let made = world.get("/payment").header("x-request-id", insane).await;
        assert!(made.header("x-request-id").starts_with("req_"), "{}", made.header("x-request-id"));
    }
    let refused = world.get("/payment/none").header("x-request-id", "mine-2").await;
    assert_eq!((refused.header("x-request-id"), refused.member("request_id").as_str()), ("mine-2", "mine-2"));
}

#[tokio::test]
async fn the_tenant_is_echoed_once_it_is_known() {
    let (world, acme, _) = World::of_two().await;
    assert_eq!(world.get("/payment").key(&acme).await.header("ringback-tenant"), "acme");
    assert_eq!(world.get("/payment/none").key(&acme).await.header("ringback-tenant"), "acme");
    assert_eq!(world.get("/payment").tenant("globex").await.header("ringback-tenant"), "globex");
    assert_eq!(world.get("/v1/events").tenant("*").await.header("ringback-tenant"), "*");
    assert!(world.get("/payment").key("rbk_no").await.headers.get("ringback-tenant").is_none());
}

#[tokio::test]
async fn problems_have_one_shape() {
    let world = World::new().await;
    let reply = world.get("/payment/none").header("x-request-id", "mine").await;
    assert_eq!(reply.header("content-type"), "application/problem+json");
    expect![[r#"
        404
        ringback-tenant: default
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no payment `none`. Check the id, and the tenant that the request names.","request_id":"mine","retryable":false}"#]].assert_eq(&reply.show());
}

#[tokio::test]
async fn secrets_are_kept_out_of_caches() {
    let world = World::new().await;
    let key = world.post("/v1/keys", json!({ "role": "operator" })).await;
    assert_eq!(key.header("cache-control"), "no-store");
    let subscription = json!({ "types": ["payment.*"], "push": { "url": "https://example.com/hook" } });
    assert_eq!(world.post("/v1/subscriptions", subscription).await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_socket_is_the_operators() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/tenants").over_the_socket().await.status, 200);
    // A key that is sent counts also there.
    let key = world.tenant_key("default").await;
    assert_eq!(world.get("/v1/tenants").over_the_socket().key(&key).await.code(), "403 forbidden");
    assert_eq!(world.get("/v1/tenants").over_the_socket().key("rbk_no").await.code(), "401 unauthenticated");
}
