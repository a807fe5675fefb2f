//! Keys with a rate: what is charged, what costs nothing, and what is said.

use crate::world::{World, settle};
use expect_test::expect;
use serde_json::json;
use std::time::Duration;

async fn limited(world: &World, rate: u32) -> String {
    world.new_key(json!({ "role": "operator", "rate_max_per_s": rate })).await
}

#[tokio::test]
async fn a_rate_is_shown_and_kept() {
    let world = World::new().await;
    let made = world.post("/v1/keys", json!({ "role": "tenant", "rate_max_per_s": 3 })).await;
    assert_eq!(made.member("rate_max_per_s"), "3");
    assert_eq!(world.get(&format!("/v1/keys/{}", made.member("id"))).await.member("rate_max_per_s"), "3");
    let without = world.post("/v1/keys", json!({ "role": "tenant" })).await;
    assert!(without.json().get("rate_max_per_s").is_none());
    let plain = world.get("/v1/log").key(&without.member("key")).await;
    assert!(!plain.headers.contains_key("ratelimit") && !plain.headers.contains_key("ratelimit-policy"));
}

#[tokio::test]
async fn what_is_too_much_is_refused_until_there_is_room() {
    let world = World::new().await;
    let key = limited(&world, 2).await;
    for left in ["\"key\";r=1;t=1", "\"key\";r=0;t=1"] {
        let reply = world.get("/v1/log").key(&key).await;
        assert_eq!((reply.status, reply.header("ratelimit-policy"), reply.header("ratelimit")), (200, "\"key\";q=2;w=1", left));
    }
    expect![[r#"
        429
        ratelimit-policy: "key";q=2;w=1
        ratelimit: "key";r=0;t=1
        retry-after: 1
        {"type":"urn:ringback:error:rate-limited","code":"rate-limited","title":"Rate limited","status":429,"detail":"This key may make 2 requests a second. Ask again in 1 s; `If-None-Match` and `wait` ask less often, and an unchanged answer (304) costs nothing.","request_id":"req_…","retryable":true}"#]]
    .assert_eq(&world.get("/v1/log").key(&key).await.show());
    assert_eq!(world.get("/no/such/path").key(&key).await.code(), "429 rate-limited", "guessing paths is no way around");
    assert_eq!(world.get("/v1/log").await.status, 200, "another key has its own");
    world.clock.advance(Duration::from_millis(500));
    assert_eq!(world.get("/v1/log").key(&key).await.status, 200);
    assert_eq!(world.get("/v1/log").key(&key).await.status, 429);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.get("/no/such/path").key(&key).await.header("ratelimit"), "\"key\";r=1;t=1", "a 404 is a request");
}

#[tokio::test]
async fn an_unchanged_answer_costs_nothing() {
    let world = World::new().await;
    world.payment("123").await;
    let key = limited(&world, 1).await;
    let ask = |etag: &str| world.get("/payment/123").key(&key).header("if-none-match", etag);
    for _ in 0..50 {
        let reply = ask("\"1\"").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (304, "\"key\";r=1;t=0"));
    }
    assert_eq!(ask("\"7\"").await.status, 200);
    for _ in 0..50 {
        assert_eq!(ask("\"1\"").await.status, 304, "also with nothing left");
        let status = world.get("/payment/123/status").key(&key).header("if-none-match", "\"1\"").await;
        assert_eq!(status.status, 304);
    }
    assert_eq!(ask("\"7\"").await.code(), "429 rate-limited", "what would have been an answer is paid for");
    assert_eq!(ask("???").await.code(), "429 rate-limited", "a mistake as well");
    let nobody = world.get("/payment/123").header("if-none-match", "\"1\"").without("authorization").await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn a_wait_that_ends_unchanged_costs_nothing() {
    let world = World::new().await;
    world.payment("123").await;
    let key = limited(&world, 1).await;
    let ask = || tokio::spawn(world.get("/payment/123?wait=30").key(&key).header("if-none-match", "\"1\"").into_future());
    let (first, second) = (ask(), ask());
    settle().await;
    assert!(!first.is_finished() && !second.is_finished(), "waiting is not asking again");
    world.clock.advance(Duration::from_secs(31));
    for it in [first, second] {
        let reply = it.await.expect("an answer");
        assert_eq!((reply.status, reply.header("ratelimit")), (304, "\"key\";r=1;t=0"));
    }
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_do_more_than_his_own() {
    let world = World::new().await;
    let key = limited(&world, 5).await;
    let make = |body| world.post("/v1/keys", body).key(&key);
    assert_eq!(make(json!({ "role": "operator" })).await.member("rate_max_per_s"), "5");
    assert_eq!(make(json!({ "role": "operator", "rate_max_per_s": 4 })).await.member("rate_max_per_s"), "4");
    let refused = make(json!({ "role": "operator", "rate_max_per_s": 6 })).await;
    assert_eq!(
        (refused.code().as_str(), refused.json()["errors"][0]["pointer"].as_str()),
        ("422 validation-failed", Some("/rate_max_per_s"))
    );
}
