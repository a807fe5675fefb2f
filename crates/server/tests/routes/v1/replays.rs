//! `/v1/replays`.

use crate::world::{World, settle};
use expect_test::expect;
use ringback_model::delivery::Outcome;
use ringback_ports::fake::sender::answered;
use serde_json::{Value, json};
use std::time::Duration;

const URL: &str = "https://example.com/hook";

/// Lets settlements be written, which gather for a while.
async fn settled(world: &World) {
    settle().await;
    world.clock.advance(Duration::from_secs(1));
    settle().await;
}

/// A subscription with two parked deliveries.
async fn parked(world: &World) -> String {
    let failed = || answered(Outcome::Failed { status_code: Some(400), reason: "status", retry_after: None });
    world.sender.script(URL, [failed(), failed(), failed(), failed()]);
    let push = json!({ "url": URL, "retry": { "delays": [1] } });
    let id = world.post("/v1/subscriptions", json!({ "types": ["a.*"], "strict": false, "push": push })).await.member("id");
    for no in 0..2 {
        world.post("/v1/events", json!({ "type": "a.b", "data": no })).await;
    }
    for _ in 0..5 {
        settled(world).await;
    }
    assert_eq!(world.get("/v1/deliveries?state=parked").await.json()["data"].as_array().map(Vec::len), Some(2));
    id
}

async fn finished(world: &World, id: &str) -> Value {
    for _ in 0..5 {
        settled(world).await;
    }
    world.get(&format!("/v1/replays/{id}")).await.json()
}

#[tokio::test]
async fn what_failed_is_counted_replayed_and_shown() {
    let world = World::new().await;
    let id = parked(&world).await;
    let counted = world.post("/v1/replays", json!({ "subscription": id, "dry_run": true })).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"dry_run":true,"subscription":"sub_…","only":"failed","matched":2,"gone":0,"complete":true}"#]]
    .assert_eq(&counted.show());
    let made = world.post("/v1/replays", json!({ "subscription": id })).await;
    expect![[r#"
        201
        location: /v1/replays/rpl_…
        ringback-tenant: default
        {"id":"rpl_…","subscription":"sub_…","state":"running","only":"failed","types":[],"filter":null,"since":null,"until":null,"rate_max_per_s":null,"matched":0,"delivered":0,"parked":0,"gone":0,"looked_at":0,"events":3,"created_at":"2026-11-23T18:24:49.000000Z"}"#]].assert_eq(&made.show());
    let replay = made.member("id");
    let done = finished(&world, &replay).await;
    assert_eq!((&done["state"], &done["matched"], &done["delivered"], &done["parked"]), (&json!("done"), &json!(2), &json!(2), &json!(0)));
    assert_eq!(done["looked_at"], done["events"]);
    assert_eq!(world.get("/v1/deliveries").await.json()["data"], json!([]));
    let list = world.get(&format!("/v1/deliveries?subscription={id}")).await.json();
    let attempts = world.get(&format!("/v1/deliveries/{}/attempts", list["data"][0]["id"].as_str().expect("one"))).await.json();
    let vias: Vec<_> = attempts["data"].as_array().expect("a list").iter().map(|it| it["via"].clone()).collect();
    assert_eq!(vias, ["schedule", "schedule", "replay"]);
    for path in ["/v1/replays".to_owned(), format!("/v1/replays?subscription={id}")] {
        assert_eq!(world.get(&path).await.json()["data"], json!([done]), "{path}");
    }
    let again = world.delete(&format!("/v1/replays/{replay}")).await;
    assert_eq!((again.status, again.json()), (200, done), "once it has ended it stays what it is");
}

#[tokio::test]
async fn a_replay_is_cancelled_and_repeated_requests_begin_one() {
    let world = World::new().await;
    let id = parked(&world).await;
    let body = json!({ "subscription": id, "rate_max_per_s": 1, "only": "all", "since": "start" });
    let made = world.post("/v1/replays", body.clone()).header("idempotency-key", "k").await;
    let again = world.post("/v1/replays", body).header("idempotency-key", "k").await;
    assert_eq!((made.status, again.member("id")), (201, made.member("id")));
    let cancelled = world.delete(&format!("/v1/replays/{}", made.member("id"))).await;
    assert_eq!((cancelled.status, cancelled.member("state").as_str(), cancelled.member("reason").as_str()), (200, "cancelled", "asked"));
    assert_eq!(world.get("/v1/replays").await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = World::new().await;
    let id = parked(&world).await;
    let check = async |more: Value| {
        let mut body = json!({ "subscription": id });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        world.post("/v1/replays", body).await.code()
    };
    assert_eq!(check(json!({ "since": "yesterday" })).await, "422 validation-failed");
    assert_eq!(check(json!({ "since": "now", "until": "start" })).await, "422 validation-failed");
    assert_eq!(check(json!({ "only": "some" })).await, "422 validation-failed");
    assert_eq!(check(json!({ "rate_max_per_s": 0 })).await, "422 validation-failed");
    assert_eq!(check(json!({ "limit": 5 })).await, "400 unknown-field");
    assert_eq!(check(json!({ "filter": "data.n >" })).await, "400 filter-syntax");
    assert_eq!(check(json!({ "subscription": "nobody" })).await, "404 not-found");
    assert_eq!(world.post("/v1/replays", json!({})).await.code(), "422 validation-failed");
    let pulled = world.post("/v1/subscriptions", json!({})).await.member("id");
    assert_eq!(check(json!({ "subscription": pulled })).await, "409 conflict");
    assert_eq!(world.get("/v1/replays/rpl_00000000000000000000000000").await.code(), "404 not-found");
    assert_eq!(world.get("/v1/replays?subscription=nobody").await.code(), "404 not-found");
    assert_eq!(world.get("/v1/replays?subscription=a%20b").await.code(), "400 bad-parameter");
    assert_eq!(world.delete("/v1/replays/nonsense").await.code(), "404 not-found");
}

#[tokio::test]
async fn another_tenants_replays_are_not_there() {
    let (world, acme, globex) = World::of_two().await;
    let push = json!({ "url": URL });
    let id = world.post("/v1/subscriptions", json!({ "push": push })).key(&acme).await.member("id");
    let made = world.post("/v1/replays", json!({ "subscription": id })).key(&acme).await;
    assert_eq!(made.status, 201, "{}", made.show());
    let path = format!("/v1/replays/{}", made.member("id"));
    assert_eq!(world.get(&path).key(&globex).await.code(), "404 not-found");
    assert_eq!(world.delete(&path).key(&globex).await.code(), "404 not-found");
    assert_eq!(world.get("/v1/replays").key(&globex).await.json()["data"], json!([]));
    assert_eq!(world.post("/v1/replays", json!({ "subscription": id })).key(&globex).await.code(), "404 not-found");
    assert_eq!(world.get("/v1/replays").tenant("*").await.json()["data"].as_array().map(Vec::len), Some(1));
}
