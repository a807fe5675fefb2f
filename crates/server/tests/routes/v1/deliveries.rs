//! `/v1/deliveries`.

use crate::world::{World, settle};
use expect_test::expect;
use ringback_model::delivery::Outcome;
use ringback_ports::fake::sender::answered;
use serde_json::json;
use std::time::Duration;

const URL: &str = "https://example.com/hook";

fn failed() -> ringback_ports::sender::Answered {
    answered(Outcome::Failed { status_code: Some(503), reason: "status", retry_after: None })
}

#[tokio::test]
async fn a_failed_delivery_is_retried_and_shown() {
    let world = World::new().await;
    let subscription = json!({ "types": ["payment.created"], "push": { "url": URL, "retry": { "delays": [5] } } });
    let subscription = world.post("/v1/subscriptions", subscription).await.member("id");
    world.sender.script(URL, [failed()]);
    world.payment("123").await;
    world.sender.wait_for(1).await;
    settle().await;
    // Settlements are written in groups.
    world.clock.advance(Duration::from_secs(1));
    settle().await;
    let list = world.get("/v1/deliveries").await;
    let delivery = list.json()["data"][0].clone();
    let id = delivery["id"].as_str().expect("an id").to_owned();
    assert_eq!((delivery["state"].as_str(), delivery["tries"].as_u64()), (Some("retrying"), Some(1)));
    assert!(delivery["due_at"].is_string());
    assert_eq!(world.get(&format!("/v1/deliveries/{id}")).await.json(), delivery);
    for query in
        [format!("subscription={subscription}"), format!("event={}", delivery["event"].as_str().expect("one")), "state=retrying".into()]
    {
        let found = world.get(&format!("/v1/deliveries?{query}")).await.json();
        assert_eq!(found["data"], json!([delivery]), "{query}");
    }
    assert_eq!(world.get("/v1/deliveries?state=parked").await.json()["data"], json!([]));
    let attempts = world.get(&format!("/v1/deliveries/{id}/attempts")).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"data":[{"id":"att_…","delivery":"dlv_…","n":1,"at":"2026-11-23T18:24:44.000000Z","via":"schedule","outcome":"failed","reason":"status","status_code":503,"timings_ms":{"dns":null,"connect":null,"tls":null,"first_byte":null,"total":0}}]}"#]].assert_eq(&attempts.show());

    let retried = world.step(&format!("/v1/deliveries/{id}/retry")).await;
    assert_eq!(retried.status, 202, "{}", retried.show());
    assert_eq!(retried.member("id"), id);
    let sent = world.sender.wait_for(2).await;
    assert_eq!(sent[0].body, sent[1].body);
    settle().await;
    world.clock.advance(Duration::from_secs(1));
    settle().await;
    assert_eq!(world.get(&format!("/v1/deliveries/{id}")).await.member("state"), "delivered");
    assert_eq!(world.get(&format!("/v1/deliveries/{id}/attempts")).await.json()["data"][1]["via"], "manual");
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = World::new().await;
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`state` should be one of: pending, delivering, delivered, retrying, parked, skipped, and is `lost`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"state","code":"invalid","detail":"`state` should be one of: pending, delivering, delivered, retrying, parked, skipped, and is `lost`."}]}"#]].assert_eq(&world.get("/v1/deliveries?state=lost").await.show());
    assert_eq!(world.get("/v1/deliveries?event=1").await.code(), "400 bad-parameter");
    assert_eq!(world.get("/v1/deliveries?subscription=none").await.code(), "404 not-found");
    assert_eq!(world.get("/v1/deliveries/dlv_00000000000000000000000000").await.code(), "404 not-found");
    assert_eq!(world.step("/v1/deliveries/nonsense/retry").await.code(), "404 not-found");
}

#[tokio::test]
async fn it_is_explained_why_an_event_is_or_is_not_delivered() {
    let world = World::new().await;
    let push = json!({ "url": URL, "retry": { "delays": [5] } });
    let make = |filter: &str| json!({ "types": ["payment.created"], "filter": filter, "push": push });
    let met = world.post("/v1/subscriptions", make("data.amount >= 1000")).await.member("id");
    let unmet = world.post("/v1/subscriptions", make("data.amount >= 1000000")).await.member("id");
    world.sender.script(URL, [failed()]);
    world.payment("123").await;
    world.sender.wait_for(1).await;
    settle().await;
    world.clock.advance(Duration::from_secs(1));
    settle().await;
    let delivery = world.get("/v1/deliveries").await.json()["data"][0].clone();
    let event = delivery["event"].as_str().expect("an event").to_owned();

    let told = world.get(&format!("/v1/subscriptions/{met}/explain?event={event}")).await;
    assert_eq!(told.status, 200, "{}", told.show());
    let told = told.json();
    assert_eq!((&told["verdict"], &told["delivery"]), (&json!("retrying"), &delivery));
    let clause = |told: &serde_json::Value, name: &str| {
        told["clauses"].as_array().expect("a list").iter().find(|it| it["clause"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(clause(&told, "types")["matched"], true);
    assert_eq!(clause(&told, "data.amount >= 1000")["why"], "`data.amount` is 1999");
    assert_eq!(clause(&told, "due")["matched"], false);

    let told = world.get(&format!("/v1/subscriptions/{unmet}/explain?event={event}")).await.json();
    assert_eq!((told["verdict"].as_str(), told.get("delivery")), (Some("not-matched"), None));
    assert_eq!(clause(&told, "filter")["matched"], false);

    for (query, status) in [("", 400), ("?event=evt_1", 400), ("?event=evt_00000000000000000000000000", 404), ("?events=1", 400)] {
        let refused = world.get(&format!("/v1/subscriptions/{met}/explain{query}")).await;
        assert_eq!(refused.status, status, "{query}: {}", refused.show());
    }
    assert_eq!(world.get(&format!("/v1/subscriptions/nobody/explain?event={event}")).await.status, 404);
}
