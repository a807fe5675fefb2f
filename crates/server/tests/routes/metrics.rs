//! `/metrics`.

use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn operators_read_what_is_counted_and_nobody_else_does() {
    let (world, acme, _) = World::of_two().await;
    assert_eq!(world.get("/metrics").without("authorization").await.code(), "401 unauthenticated");
    assert_eq!(world.get("/metrics").key(&acme).await.code(), "403 forbidden");
    let gateway = world.new_key(json!({ "role": "gateway" })).await;
    assert_eq!(world.get("/metrics").key(&gateway).await.code(), "403 forbidden");
    let narrow = world.new_key(json!({ "role": "operator", "scopes": ["audit:read"] })).await;
    let reply = world.get("/metrics").key(&narrow).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4");
    for name in ["ringback_build_info{version=", "ringback_delivery_slots 64", "ringback_subscriptions{health=\"ok\"}"] {
        assert!(reply.text().contains(name), "{name} is missing in {}", reply.text());
    }
}

#[tokio::test]
async fn no_label_holds_an_id() {
    let (world, acme, _) = World::of_two().await;
    world.payment("canary-4711").await;
    let made = world
        .post("/v1/subscriptions", json!({ "types": ["payment.*"], "push": { "url": "https://canary.example.com/hook" } }))
        .tenant("acme")
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    world.get("/payment/canary-4711/status").key(&acme).await;
    world.get("/no/such/canary").await;
    let text = world.get("/metrics").await;
    assert!(text.text().contains("route=\"{path}/{id}/status\""), "routes are written as the table has them: {}", text.text());
    for secret in ["canary", "acme", "globex", "sub_", "evt_", "4711"] {
        assert!(!text.text().contains(secret), "{secret} is in a label: {}", text.text());
    }
}
