//! `/v1/advice`.

use crate::world::{World, settle};
use expect_test::expect;
use ringback_model::delivery::Outcome;
use ringback_ports::fake::sender::answered;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn what_polling_cost_and_missed() {
    let (world, acme, globex) = World::of_two().await;
    let made = world.post("/payment", json!({ "id": "123", "amount": 1999, "currency": "eur" })).tenant("acme").await;
    assert_eq!(made.status, 201);
    for second in 0..=30 {
        let status = world.get("/payment/123/status").key(&acme).await;
        assert_eq!(status.status, 200);
        if second == 10 {
            world.clock.advance(Duration::from_millis(250));
            world.step("/payment/123/process").tenant("acme").await;
            world.clock.advance(Duration::from_millis(250));
            world.step("/payment/123/complete").tenant("acme").await;
            world.clock.advance(Duration::from_millis(500));
        } else {
            world.clock.advance(Duration::from_secs(1));
        }
    }
    // Those who wait, and those who ask over the socket, are not polling.
    assert_eq!(world.get("/payment/123/status?wait=1&until=done").key(&acme).await.status, 200);
    assert_eq!(world.get("/payment/123/status").tenant("acme").over_the_socket().await.status, 200);
    // 30 polls after a first look, one of which showed two changes of which one status had come and gone.
    expect![[r#"
        200
        ringback-tenant: acme
        {"window":"24h","pollers":[{"key":"key_…","route":"/payment/{id}/status","polls":30,"useless":29,"staleness_ms":{"p50":512,"p95":768},"missed":1,"instead":{"long_poll":{"requests":2},"push":{"deliveries":2}}}],"endpoints":[],"too_little_data":false}"#]]
    .assert_eq(&world.get("/v1/advice").key(&acme).await.show());
    let others = world.get("/v1/advice?window=1h").key(&globex).await.json();
    assert_eq!(others, json!({ "window": "1h", "pollers": [], "endpoints": [], "too_little_data": true }));
    let all = world.get("/v1/advice").tenant("*").await.json();
    assert_eq!(all["pollers"][0]["route"], "/payment/{id}/status", "an operator sees all keys");
}

#[tokio::test]
async fn a_304_is_a_poll_that_brought_nothing() {
    let world = World::new().await;
    world.payment("123").await;
    for _ in 0..21 {
        assert_eq!(world.get("/payment/123").header("if-none-match", "\"1\"").await.status, 304);
    }
    let advice = world.get("/v1/advice").await.json();
    let poller = &advice["pollers"][0];
    assert_eq!((&poller["polls"], &poller["useless"], &poller["route"]), (&json!(20), &json!(20), &json!("/payment/{id}")));
    assert_eq!((&poller["staleness_ms"]["p50"], &advice["too_little_data"]), (&json!(null), &json!(false)));
}

#[tokio::test]
async fn endpoints_that_fail_had_better_pull() {
    let world = World::new().await;
    let failed = Outcome::Failed { status_code: Some(503), reason: "status", retry_after: None };
    world.sender.answer_with(move |_| answered(failed.clone()));
    let made = world.post("/v1/subscriptions", json!({ "types": ["payment.*"], "push": { "url": "https://example.com/hook" } })).await;
    assert_eq!(made.status, 201);
    assert_eq!(world.get("/v1/advice").await.json()["endpoints"], json!([]));
    for n in 0..20 {
        world.payment(&format!("p{n}")).await;
        settle().await;
    }
    world.clock.advance(Duration::from_secs(1));
    settle().await;
    let shown = world.get(&format!("/v1/subscriptions/{}", made.member("id"))).await.json();
    assert_ne!(shown["health"]["state"], "ok", "{shown}");
    let advice = world.get("/v1/advice").await.json();
    let endpoint = &advice["endpoints"][0];
    assert_eq!((&endpoint["subscription"], &endpoint["tenant"]), (&shown["id"], &json!("default")));
    assert!(endpoint["why"].as_str().expect("text").starts_with(shown["health"]["state"].as_str().expect("text")), "{endpoint}");
}
