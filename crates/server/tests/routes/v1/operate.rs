//! What a sender does when something went wrong: search, cancel, test, pause and resume with counts.

use crate::world::{World, settle};
use ringback_model::{delivery::Outcome, limits};
use ringback_ports::{Clock, fake::sender::answered};
use serde_json::{Value, json};
use std::time::Duration;

const URL: &str = "https://example.com/hook";

fn failed(status_code: u16) -> ringback_ports::sender::Answered {
    answered(Outcome::Failed { status_code: Some(status_code), reason: "status", retry_after: None })
}

/// Lets settlements be written, which gather for a while.
async fn settled(world: &World) {
    settle().await;
    world.clock.advance(Duration::from_secs(1));
    settle().await;
}

/// A subscription whose deliveries are parked when they fail twice, with its id.
async fn subscribed(world: &World) -> String {
    let push = json!({ "url": URL, "retry": { "delays": [5] } });
    world.post("/v1/subscriptions", json!({ "types": ["payment.*", "a.*"], "strict": false, "push": push })).await.member("id")
}

async fn only(world: &World, query: &str) -> Vec<Value> {
    let found = world.get(&format!("/v1/deliveries?{query}")).await;
    assert_eq!(found.status, 200, "{}", found.show());
    found.json()["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn deliveries_are_searched() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    world.sender.script(URL, [failed(503), failed(404)]);
    world.post("/v1/events", json!({ "type": "a.b", "subject": "/x/1", "data": 1 })).await;
    settled(&world).await;
    let between = world.clock.now();
    world.clock.advance(Duration::from_secs(1));
    world.post("/v1/events", json!({ "type": "a.c", "subject": "/x/2", "data": 2 })).await;
    settled(&world).await;
    world.payment("123").await;
    settled(&world).await;
    for (query, want) in [
        (String::new(), vec!["a.b", "a.c"]),
        ("status_code=503".into(), vec!["a.b"]),
        ("status_code=404&state=retrying".into(), vec!["a.c"]),
        ("status_code=200".into(), vec![]),
        ("types=a.b,payment.*".into(), vec!["a.b"]),
        ("types=a.*".into(), vec!["a.b", "a.c"]),
        ("subject=/x/2".into(), vec!["a.c"]),
        (format!("since={between}"), vec!["a.c"]),
        (format!("until={between}"), vec!["a.b"]),
        (format!("subscription={id}"), vec!["payment.created", "a.c", "a.b"]),
        (format!("subscription={id}&status_code=200"), vec!["payment.created"]),
        (format!("subscription={id}&until={between}"), vec!["a.b"]),
        (format!("subscription={id}&since={between}&types=a.*"), vec!["a.c"]),
        (format!("subscription={id}&subject=/payment/123"), vec!["payment.created"]),
    ] {
        let found = only(&world, &query).await;
        let found: Vec<_> = found.iter().map(|it| it["type"].as_str().expect("a type")).collect();
        assert_eq!(found, want, "{query}");
    }
    let event = only(&world, "types=a.b").await[0]["event"].as_str().expect("an event").to_owned();
    assert_eq!(only(&world, &format!("event={event}&status_code=503")).await.len(), 1);
    assert_eq!(only(&world, &format!("event={event}&types=a.c")).await.len(), 0);
    for (query, code) in [
        ("status_code=20", "400 bad-parameter"),
        ("status_code=ok", "400 bad-parameter"),
        ("types=a..b", "400 bad-parameter"),
        ("since=yesterday", "400 bad-parameter"),
        ("until=2026", "400 bad-parameter"),
        ("subject=%0a", "400 bad-parameter"),
    ] {
        assert_eq!(world.get(&format!("/v1/deliveries?{query}")).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn a_page_of_one_search_does_not_go_on_in_another() {
    let world = World::new().await;
    subscribed(&world).await;
    world.sender.script(URL, [failed(503), failed(503)]);
    for no in 0..2 {
        world.post("/v1/events", json!({ "type": "a.b", "data": no })).await;
    }
    settled(&world).await;
    let first = world.get("/v1/deliveries?status_code=503&limit=1").await.json();
    let cursor = first["next_cursor"].as_str().expect("more").to_owned();
    assert_eq!(only(&world, &format!("status_code=503&limit=1&after={cursor}")).await.len(), 1);
    assert_eq!(world.get(&format!("/v1/deliveries?status_code=500&after={cursor}")).await.code(), "400 cursor-mismatch");
}

#[tokio::test]
async fn a_delivery_is_cancelled_whatever_state_it_waits_in() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    world.sender.script(URL, [failed(503)]);
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).await;
    settled(&world).await;
    let retrying = only(&world, "").await[0]["id"].as_str().expect("an id").to_owned();
    let gone = world.step(&format!("/v1/deliveries/{retrying}/cancel")).await;
    assert_eq!(
        (gone.status, gone.member("state").as_str(), gone.member("reason").as_str()),
        (200, "skipped", "cancelled"),
        "{}",
        gone.show()
    );
    world.clock.advance(Duration::from_secs(3_600));
    settle().await;
    assert_eq!(world.sender.count(), 1, "it is not tried any more");
    assert_eq!(only(&world, "").await, Vec::<Value>::new());
    assert_eq!(only(&world, &format!("subscription={id}&state=skipped")).await.len(), 1);
    assert_eq!(world.step(&format!("/v1/deliveries/{retrying}/cancel")).await.status, 200, "twice is once");
    assert_eq!(world.step(&format!("/v1/deliveries/{retrying}/retry")).await.code(), "409 conflict");

    // Pending ones of a paused subscription, too, read or not.
    world.step(&format!("/v1/subscriptions/{id}/pause")).await;
    world.post("/v1/events", json!({ "type": "a.b", "data": 2 })).await;
    world.post("/v1/events", json!({ "type": "a.b", "data": 3 })).await;
    settle().await;
    let pending = only(&world, &format!("subscription={id}&state=pending")).await;
    assert_eq!(pending.len(), 2);
    let first = pending[1]["id"].as_str().expect("an id");
    assert_eq!(world.step(&format!("/v1/deliveries/{first}/cancel")).await.member("state"), "skipped");
    world.step(&format!("/v1/subscriptions/{id}/resume")).await;
    settled(&world).await;
    assert_eq!(world.sender.count(), 2, "only the other one is sent");
    let delivered = pending[0]["id"].as_str().expect("an id");
    assert_eq!(world.step(&format!("/v1/deliveries/{delivered}/cancel")).await.code(), "409 conflict");
    assert_eq!(world.step("/v1/deliveries/nonsense/cancel").await.code(), "404 not-found");
    assert_eq!(world.post(&format!("/v1/deliveries/{delivered}/cancel"), json!({ "why": 1 })).await.code(), "400 unknown-field");
}

#[tokio::test]
async fn the_delivery_of_a_one_shot_is_not_cancelled() {
    let world = World::new().await;
    world.payment("123").await;
    let push = json!({ "url": URL, "retry": { "delays": [5] } });
    world.post("/v1/subscriptions", json!({ "subject": "/payment/123", "until": "completed", "push": push })).await;
    world.sender.script(URL, [failed(503)]);
    world.step("/payment/123/complete").await;
    settled(&world).await;
    let id = only(&world, "").await[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.step(&format!("/v1/deliveries/{id}/cancel")).await.code(), "409 conflict");
}

#[tokio::test]
async fn an_endpoint_is_tested_also_while_paused_and_nothing_is_kept() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    let path = format!("/v1/subscriptions/{id}");
    world.step(&format!("{path}/pause")).await;
    let parcel = json!({ "type": "parcel", "lifecycle": "packed -> sent", "examples": [{ "weight": 5 }] });
    assert_eq!(world.put("/v1/types/parcel", parcel).await.status, 201);
    let before = world.get("/v1/log").await.json();
    let attempt = world.post(&format!("{path}/test"), json!({ "type": "parcel.sent" })).await;
    assert_eq!(attempt.status, 200, "{}", attempt.show());
    let shown = attempt.json();
    assert_eq!((shown["via"].as_str(), shown["outcome"].as_str(), shown.get("delivery")), (Some("test"), Some("delivered"), None));
    let sent = world.sender.wait_for(1).await;
    let event: Value = serde_json::from_slice(&sent[0].body).expect("JSON");
    assert_eq!((event["type"].as_str(), event["sequence"].as_u64()), (Some("parcel.sent"), Some(0)));
    assert_eq!((&event["data"]["weight"], &event["data"]["status"]), (&json!(5), &json!("sent")), "the example of the catalogue: {event}");
    let header = |name: &str| sent[0].headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()).unwrap_or_default();
    assert_eq!(header("webhook-id"), event["id"].as_str().expect("an id"));
    assert!(header("webhook-signature").starts_with("v1,"));
    assert_eq!(world.get("/v1/log").await.json(), before, "it is not in the log");
    assert_eq!(only(&world, &format!("subscription={id}")).await, Vec::<Value>::new());

    // Without a type, one of the subscription's: the first that has an example, else one that it names.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.step(&format!("{path}/test")).await.status, 200);
    let event: Value = serde_json::from_slice(&world.sender.wait_for(2).await[1].body).expect("JSON");
    assert_eq!(event["type"], "ringback.test", "nothing shows an example of what it is for: {event}");

    world.sender.script(URL, [failed(500)]);
    let attempt = world.step(&format!("{path}/test")).await;
    assert_eq!((attempt.status, attempt.member("outcome").as_str(), attempt.json()["status_code"].as_u64()), (200, "failed", Some(500)));
    assert_eq!(world.get(&path).await.json()["health"]["state"], "ok", "its health does not hear of it");
}

#[tokio::test]
async fn what_is_wrong_with_a_test_is_told() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    let path = format!("/v1/subscriptions/{id}/test");
    let unknown = world.post(&path, json!({ "type": "payment.complete" })).await;
    assert_eq!(unknown.code(), "422 unknown-event-type");
    assert!(unknown.text().contains("payment.completed"), "{}", unknown.text());
    assert_eq!(world.post(&path, json!({ "type": 5 })).await.code(), "422 validation-failed");
    assert_eq!(world.post(&path, json!({ "kind": "a" })).await.code(), "400 unknown-field");
    assert_eq!(world.step("/v1/subscriptions/nobody/test").await.code(), "404 not-found");
    let pulled = world.post("/v1/subscriptions", json!({})).await.member("id");
    assert_eq!(world.step(&format!("/v1/subscriptions/{pulled}/test")).await.code(), "409 conflict");
    for _ in 0..limits::TESTS_PER_MINUTE_MAX {
        assert_eq!(world.step(&path).await.status, 200);
    }
    let refused = world.step(&path).await;
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("429 rate-limited", "60"), "{}", refused.show());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.step(&path).await.status, 200);
}

#[tokio::test]
async fn a_tenant_does_not_test_or_cancel_what_an_operator_made() {
    let (world, acme, globex) = World::of_two().await;
    let push = json!({ "url": URL, "retry": { "delays": [5] } });
    let id = world.post("/v1/subscriptions", json!({ "push": push })).tenant("acme").await.member("id");
    assert_eq!(world.step(&format!("/v1/subscriptions/{id}/test")).key(&acme).await.code(), "403 forbidden");
    assert_eq!(world.step(&format!("/v1/subscriptions/{id}/test")).key(&globex).await.code(), "404 not-found");
    world.sender.script(URL, [failed(503)]);
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).key(&acme).await;
    settled(&world).await;
    let delivery = world.get("/v1/deliveries").tenant("acme").await.json()["data"][0]["id"].as_str().expect("one").to_owned();
    assert_eq!(world.step(&format!("/v1/deliveries/{delivery}/cancel")).key(&acme).await.code(), "403 forbidden");
    assert_eq!(world.step(&format!("/v1/deliveries/{delivery}/cancel")).key(&globex).await.code(), "404 not-found");
    assert_eq!(world.step(&format!("/v1/deliveries/{delivery}/cancel")).tenant("acme").await.status, 200);
}

#[tokio::test]
async fn a_pause_says_what_waits_and_a_resume_what_it_skips() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    let path = format!("/v1/subscriptions/{id}");
    world.sender.script(URL, [failed(503)]);
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).await;
    settled(&world).await;
    assert_eq!(world.step(&format!("{path}/pause")).await.json()["waits"], json!({ "events": 0, "retries": 1 }));
    for no in 0..3 {
        world.post("/v1/events", json!({ "type": "a.b", "data": no })).await;
    }
    settle().await;
    assert_eq!(world.step(&format!("{path}/pause")).await.json()["waits"], json!({ "events": 3, "retries": 1 }), "asking again is allowed");
    assert_eq!(world.get(&path).await.json().get("waits"), None, "only a pause says it");
    let resumed = world.post(&format!("{path}/resume"), json!({ "from": "now" })).await.json();
    assert_eq!((&resumed["skipped"], &resumed["lag"]), (&json!(3), &json!(3)), "{resumed}");
    settled(&world).await;
    assert_eq!(world.get(&path).await.json()["lag"], 0);
    world.step(&format!("{path}/pause")).await;
    assert_eq!(world.post(&format!("{path}/resume"), json!({ "from": "cursor" })).await.json()["skipped"], 0);
    world.clock.advance(Duration::from_secs(10));
    settled(&world).await;
    assert_eq!(world.sender.count(), 2, "the retry was kept, what was skipped is not sent");
}
