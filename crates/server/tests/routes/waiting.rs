//! `wait`, `until`, and how waiting ends.

use crate::world::{Ask, Reply, World, settle};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Sends it, and lets it come to where it waits.
async fn begin(ask: Ask) -> JoinHandle<Reply> {
    let waiting = tokio::spawn(ask.into_future());
    settle().await;
    assert!(!waiting.is_finished(), "it should wait");
    waiting
}

async fn end(waiting: JoinHandle<Reply>) -> Reply {
    waiting.await.expect("it ends")
}

#[tokio::test]
async fn until_done_is_answered_when_it_is() {
    let world = World::new().await;
    world.payment("123").await;
    let waiting = begin(world.get("/payment/123/status?wait=30&until=done")).await;
    world.step("/payment/123/process").await;
    settle().await;
    assert!(!waiting.is_finished(), "processing is not done");
    world.step("/payment/123/complete").await;
    let reply = end(waiting).await;
    assert_eq!((reply.status, reply.member("status").as_str(), reply.member("done").as_str()), (200, "completed", "true"));
}

#[tokio::test]
async fn until_is_answered_when_it_cannot_come_any_more() {
    let world = World::new().await;
    world.payment("123").await;
    let waiting = begin(world.get("/payment/123/status?wait=30&until=completed")).await;
    world.post("/payment/123/fail", json!({ "code": "declined" })).await;
    assert_eq!(end(waiting).await.member("status"), "failed");
    let waiting = world.get("/payment/123/status?wait=30&until=completed").await;
    assert_eq!(waiting.member("status"), "failed");
}

#[tokio::test]
async fn until_is_answered_when_it_is_gone() {
    let world = World::new().await;
    world.payment("123").await;
    let waiting = begin(world.get("/payment/123/status?wait=30&until=done")).await;
    world.delete("/payment/123").await;
    assert_eq!(end(waiting).await.code(), "404 not-found");
}

#[tokio::test]
async fn at_the_end_of_the_wait_there_is_an_answer() {
    let world = World::new().await;
    world.payment("123").await;
    let cursor = world.get("/v1/events").await.member("cursor");
    let status = begin(world.get("/payment/123/status?wait=30&until=done")).await;
    let known = begin(world.get("/payment/123/status?wait=30").header("if-none-match", "\"1\"")).await;
    let resource = begin(world.get("/payment/123").header("prefer", "wait=30").header("if-none-match", "\"1\"")).await;
    let feed = begin(world.get(&format!("/v1/events?wait=30&after={cursor}"))).await;
    let events = begin(world.get(&format!("/payment/123/events?wait=30&after={cursor}"))).await;
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(end(status).await.member("status"), "created");
    assert_eq!(end(known).await.status, 304);
    assert_eq!(end(resource).await.status, 304);
    let feed = end(feed).await;
    assert_eq!((feed.status, feed.json()["data"].as_array().map(Vec::len)), (200, Some(0)));
    assert_eq!(end(events).await.status, 200);
}

/// Authorisation is judged when an answer is read, not when it was asked for (G9).
#[tokio::test]
async fn who_lost_his_key_meanwhile_learns_nothing() {
    let world = World::new().await;
    world.payment("123").await;
    let made = world.post("/v1/keys", json!({ "role": "tenant" })).await;
    let (id, key) = (made.member("id"), made.member("key"));
    let feed = begin(world.get("/v1/events?after=now&wait=30").key(&key)).await;
    let status = begin(world.get("/payment/123/status?wait=30&until=done").key(&key)).await;
    assert_eq!(world.delete(&format!("/v1/keys/{id}")).await.status, 204);
    world.step("/payment/123/complete").await;
    assert_eq!(end(feed).await.code(), "401 unauthenticated");
    assert_eq!(end(status).await.code(), "401 unauthenticated");
}

#[tokio::test]
async fn a_resource_that_differs_is_answered() {
    let world = World::new().await;
    world.payment("123").await;
    let waiting = begin(world.get("/payment/123?wait=30").header("if-none-match", "\"1\"")).await;
    world.patch("/payment/123", json!({ "customer": "ann" })).await;
    let reply = end(waiting).await;
    assert_eq!((reply.status, reply.header("etag")), (200, "\"2\""));
}

#[tokio::test]
async fn a_list_that_differs_is_answered() {
    let world = World::new().await;
    world.payment("123").await;
    let etag = world.get("/payment?status=completed").await.header("etag").to_owned();
    let ask = |wait: u8| world.get(&format!("/payment?status=completed&wait={wait}")).header("if-none-match", &etag);
    let waiting = begin(ask(30)).await;
    let ending = begin(ask(20)).await;
    world.payment("124").await;
    settle().await;
    assert!(!waiting.is_finished(), "124 is not completed");
    world.clock.advance(Duration::from_secs(21));
    let ended = end(ending).await;
    assert_eq!((ended.status, ended.header("etag"), ended.text()), (304, etag.as_str(), ""));
    world.step("/payment/123/complete").await;
    let reply = end(waiting).await;
    assert_eq!((reply.status, reply.json()["data"][0]["id"].as_str()), (200, Some("123")));
    assert_ne!(reply.header("etag"), etag);
    // Without a condition there is nothing to wait for; and who closes answers.
    assert_eq!(world.get("/payment?wait=30").await.status, 200);
    let waiting = begin(world.get("/payment?wait=30").header("if-none-match", "*")).await;
    world.server.drain();
    assert_eq!(end(waiting).await.status, 304);
}

#[tokio::test]
async fn a_feed_is_answered_when_something_matches() {
    let world = World::new().await;
    let waiting = begin(world.get("/v1/events?wait=30&after=now&types=payment.completed")).await;
    world.payment("123").await;
    settle().await;
    assert!(!waiting.is_finished(), "payment.created does not match");
    world.step("/payment/123/complete").await;
    let reply = end(waiting).await.json();
    assert_eq!(reply["data"][0]["type"], "payment.completed");
    assert_eq!(reply["lag"], 0);
}

#[tokio::test]
async fn without_a_condition_wait_does_nothing() {
    let world = World::new().await;
    world.payment("123").await;
    assert_eq!(world.get("/payment/123?wait=30").await.status, 200);
    assert_eq!(world.get("/payment/123/status?wait=30").await.status, 200);
    assert_eq!(world.get("/payment/123?wait=61").await.code(), "400 bad-parameter");
    assert_eq!(world.get("/v1/events?wait=soon").await.code(), "400 bad-parameter");
}

#[tokio::test]
async fn who_waits_is_answered_when_the_server_ends() {
    let world = World::new().await;
    world.payment("123").await;
    let status = begin(world.get("/payment/123/status?wait=30&until=done")).await;
    let known = begin(world.get("/payment/123?wait=30").header("if-none-match", "\"1\"")).await;
    let feed = begin(world.get("/v1/events?wait=30&after=now")).await;
    world.server.drain();
    assert_eq!(end(status).await.member("status"), "created");
    assert_eq!(end(known).await.status, 304);
    assert_eq!(end(feed).await.json()["data"], json!([]));
}

#[tokio::test]
async fn as_many_wait_as_may_and_who_leaves_makes_room() {
    let world = World::with(1).await;
    world.payment("123").await;
    let first = begin(world.get("/payment/123/status?wait=30&until=done")).await;
    let refused = world.get("/v1/events?wait=30&after=now").await;
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("429 too-many-waiters", "1"));
    // As when its client goes away.
    first.abort();
    settle().await;
    let second = begin(world.get("/v1/events?wait=30&after=now")).await;
    world.step("/payment/123/complete").await;
    assert_eq!(end(second).await.status, 200);
}

#[tokio::test]
async fn a_timeout_of_a_status_wakes_who_waits() {
    let world = World::new().await;
    world.payment("123").await;
    world.step("/payment/123/process").await;
    let waiting = begin(world.get("/payment/123/status?wait=60&until=done")).await;
    world.clock.advance(Duration::from_secs(15 * 60 - 30));
    settle().await;
    world.clock.advance(Duration::from_secs(0));
    assert_eq!(end(waiting).await.status, 200);
}
