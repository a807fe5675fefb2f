//! Event streams: what is sent when, how a reader goes on, and how it ends.

use crate::world::{World, data_of, id_of, settle};
use expect_test::expect;
use ringback_model::limits;
use serde_json::json;
use std::time::Duration;

const STREAM: &str = "text/event-stream";

impl World {
    fn stream(&self, target: &str) -> crate::world::Ask {
        self.get(target).header("accept", STREAM)
    }
}

fn types(frame: &str) -> Vec<String> {
    data_of(frame).iter().map(|it| it["type"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_stream_begins_with_its_position_and_goes_on_with_events() {
    let world = World::new().await;
    world.payment("before").await;
    let mut stream = world.stream("/v1/events").open().await;
    assert_eq!((stream.status, stream.headers["content-type"].as_bytes()), (200, STREAM.as_bytes()));
    assert_eq!(stream.headers["cache-control"], "no-store");
    let first = stream.next().await.expect("a frame");
    assert_eq!(first, format!("id: {}\n\n", id_of(&first)), "only where it begins, for `now`");
    assert!(stream.is_silent().await);
    world.payment("1").await;
    let frame = stream.next().await.expect("a frame");
    let page = world.get(&format!("/v1/events?after={}", id_of(&first))).await;
    assert_eq!(data_of(&frame), page.json()["data"].as_array().cloned().unwrap_or_default(), "the same bytes as of a page");
    assert_eq!(frame.lines().count(), 3, "one line of data: {frame}");
    assert_eq!(id_of(&frame), page.member("cursor"), "and the same position");
}

#[tokio::test]
async fn the_last_id_beats_after_and_nothing_is_missed_or_doubled() {
    let world = World::new().await;
    for n in 0..5 {
        world.payment(&n.to_string()).await;
    }
    let mut stream = world.stream("/v1/events?after=start").open().await;
    stream.next().await.expect("where it begins");
    let all = stream.next().await.expect("all that is there");
    let subjects = |frame: &str| data_of(frame).iter().map(|it| it["subject"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    assert_eq!(subjects(&all), ["/payment/0", "/payment/1", "/payment/2", "/payment/3", "/payment/4"]);
    let ids: Vec<_> = all.lines().filter_map(|it| it.strip_prefix("id: ")).collect();
    let mut again = world.stream("/v1/events?after=start").header("last-event-id", ids[1]).open().await;
    assert_eq!(id_of(&again.next().await.expect("a frame")), ids[1]);
    assert_eq!(subjects(&again.next().await.expect("a frame")), ["/payment/2", "/payment/3", "/payment/4"]);
    assert!(again.is_silent().await);
    // A long-poll goes on where a stream stopped.
    let page = world.get(&format!("/v1/events?wait=30&after={}", ids[3])).await;
    assert_eq!(page.json()["data"][0]["subject"], "/payment/4");
    let refused = world.stream("/v1/events?after=start").header("last-event-id", "nonsense").open().await;
    assert_eq!(refused.status, 400);
    assert_eq!(world.stream("/v1/events").header("last-event-id", "").open().await.status, 200, "an empty one is none");
}

#[tokio::test]
async fn silence_is_filled() {
    let world = World::new().await;
    let mut stream = world.stream("/v1/events?types=payment.completed").open().await;
    let first = stream.next().await.expect("a frame");
    assert_eq!(stream.after(&world, 15).await.as_deref(), Some(":\n\n"));
    world.payment("1").await;
    let sync = stream.after(&world, 15).await.expect("a frame");
    assert_eq!((sync.contains("event: sync\n"), data_of(&sync)), (true, vec![json!({ "lag": 0 })]));
    assert_ne!(id_of(&sync), id_of(&first), "what did not match is passed");
    assert_eq!(stream.after(&world, 15).await.as_deref(), Some(":\n\n"));
    world.step("/payment/1/complete").await;
    assert_eq!(types(&stream.next().await.expect("a frame")), ["payment.completed"]);
    assert_eq!(stream.after(&world, 15).await.as_deref(), Some(":\n\n"));
}

#[tokio::test]
async fn types_subject_and_resource_narrow_a_stream() {
    let world = World::new().await;
    world.payment("1").await;
    let mut by_type = world.stream("/v1/events?types=payment.completed&after=start").open().await;
    let mut by_subject = world.stream("/v1/events?subject=/payment/1&after=start").open().await;
    let mut of_resource = world.stream("/payment/1/events?after=start").open().await;
    world.payment("2").await;
    world.step("/payment/2/complete").await;
    world.step("/payment/1/complete").await;
    for (stream, want) in [
        (&mut by_type, "payment.completed payment.completed"),
        (&mut by_subject, "payment.created payment.completed"),
        (&mut of_resource, "payment.created payment.completed"),
    ] {
        stream.next().await.expect("where it begins");
        assert_eq!(types(&stream.next().await.expect("events")).join(" "), want);
        assert!(stream.is_silent().await);
    }
    assert_eq!(world.stream("/payment/none/events").open().await.status, 404);
    assert_eq!(world.stream("/payment/1").open().await.status, 406, "a resource is no stream");
}

#[tokio::test]
async fn a_key_that_is_gone_ends_its_streams_with_bye() {
    let world = World::new().await;
    let made = world.post("/v1/keys", json!({ "role": "tenant" })).await;
    let (id, key) = (made.member("id"), made.member("key"));
    let mut stream = world.stream("/v1/events").key(&key).open().await;
    let mut other = world.stream("/v1/events").open().await;
    stream.next().await.expect("where it begins");
    other.next().await.expect("where it begins");
    assert!(stream.is_silent().await);
    assert_eq!(world.delete(&format!("/v1/keys/{id}")).await.status, 204);
    let bye = stream.next().await.expect("bye");
    assert!(bye.starts_with("event: bye\n"), "{bye}");
    assert_eq!(data_of(&bye)[0]["reason"], "unauthenticated");
    assert_eq!(stream.next().await, None);
    assert!(other.is_silent().await, "others go on");
}

#[tokio::test]
async fn a_key_that_expires_ends_its_streams_when_it_does() {
    let world = World::new().await;
    let made = world.post("/v1/keys", json!({ "role": "tenant", "expires_at": "2026-11-23T18:24:50Z" })).await;
    let mut stream = world.stream("/v1/events").key(&made.member("key")).open().await;
    stream.next().await.expect("where it begins");
    world.payment("1").await;
    stream.next().await.expect("an event");
    let bye = stream.after(&world, 6).await.expect("bye");
    assert_eq!(data_of(&bye)[0]["reason"], "unauthenticated");
}

#[tokio::test]
async fn at_the_end_of_the_server_every_stream_is_told() {
    let world = World::new().await;
    let mut waiting = world.stream("/v1/events").open().await;
    waiting.next().await.expect("where it begins");
    assert!(waiting.is_silent().await);
    world.server.drain();
    let bye = waiting.next().await.expect("bye");
    expect![[r#"
        event: bye
        data: {"reason":"draining","detail":"The server is shutting down. Connect again in a few seconds, with the last id that you saw; nothing is lost."}

    "#]]
    .assert_eq(&bye);
    assert_eq!(waiting.next().await, None);
}

#[tokio::test]
async fn streams_count_among_those_who_wait_and_who_leaves_makes_room() {
    let world = World::with(2).await;
    let first = world.stream("/v1/events").open().await;
    let _second = world.stream("/v1/events").open().await;
    assert_eq!(world.stream("/v1/events").await.code(), "429 too-many-waiters");
    assert_eq!(world.get("/v1/events?after=now&wait=5").await.code(), "429 too-many-waiters");
    drop(first);
    assert_eq!(world.stream("/v1/events").open().await.status, 200);
}

#[tokio::test]
async fn a_filter_narrows_a_stream_and_a_page() {
    let world = World::new().await;
    let mut stream = world.stream("/v1/events?types=payment.*&filter=data.amount%20%3E%201000&after=start").open().await;
    stream.next().await.expect("where it begins");
    for (id, amount) in [("small", 5), ("large", 5_000)] {
        world.post("/payment", json!({ "id": id, "amount": amount, "currency": "eur" })).await;
    }
    assert_eq!(data_of(&stream.next().await.expect("one"))[0]["subject"], "/payment/large");
    assert!(stream.is_silent().await);
    let page = world.get("/v1/events?filter=data.amount%20%3E%201000%20AND%20type%20%3D%20payment.created").await.json();
    assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/v1/events?types=payment.created&filter=data.amuont%20%3E%201").await.code(), "400 filter-invalid");
    assert_eq!(world.get("/v1/events?filter=data.a%20%3E").await.code(), "400 filter-syntax");
    assert_eq!(world.stream("/v1/events?filter=a%20%3D%201%20AND%20b%20%3D%201%20OR%20c%20%3D%201").await.code(), "400 filter-ambiguous");
}

#[tokio::test]
async fn who_takes_too_long_is_cut() {
    let world = World::new().await;
    let mut stream = world.stream("/v1/events").open().await;
    stream.next().await.expect("where it begins");
    world.payment("1").await;
    stream.next().await.expect("an event");
    world.clock.advance(Duration::from_secs(limits::STREAM_TAKEN_SECS_MAX + 1));
    let bye = stream.next().await.expect("bye");
    assert_eq!(data_of(&bye)[0]["reason"], "request-timeout");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_tenant_streams_only_what_is_his() {
    let (world, acme, globex) = World::of_two().await;
    let mut stream = world.stream("/v1/events?after=start").key(&acme).open().await;
    stream.next().await.expect("where it begins");
    world.post("/v1/events", json!({ "type": "a.b", "data": {} })).key(&globex).await;
    world.post("/v1/events", json!({ "type": "a.hidden", "data": {}, "audience": "operator" })).tenant("acme").await;
    assert!(stream.is_silent().await);
    world.post("/v1/events", json!({ "type": "a.c", "data": {} })).key(&acme).await;
    assert_eq!(types(&stream.next().await.expect("an event")), ["a.c"]);
}

#[tokio::test]
async fn a_subscription_lends_its_filter_and_its_place() {
    let world = World::new().await;
    let wanted = json!({ "types": ["payment.completed"], "push": { "url": "https://example.com/hook" } });
    let id = world.post("/v1/subscriptions", wanted).await.member("id");
    world.payment("1").await;
    world.step("/payment/1/complete").await;
    settle().await;
    let mine = world.get(&format!("/v1/events?subscription={id}")).await;
    assert_eq!(types_of_page(&mine.json()), ["payment.completed"]);
    let cursor = world.get(&format!("/v1/subscriptions/{id}")).await.member("cursor");
    let settled = world.get(&format!("/v1/events?subscription={id}&after=settled&limit=1")).await;
    let by_cursor = world.get(&format!("/v1/events?subscription={id}&after={cursor}&limit=1")).await;
    assert_eq!(settled.json()["data"], by_cursor.json()["data"]);
    assert_eq!(world.get("/v1/events?after=settled").await.code(), "400 bad-parameter");
    assert_eq!(world.get("/v1/events?subscription=sub_none").await.code(), "404 not-found");
    let narrow = world.new_key(json!({ "role": "tenant", "scopes": ["events:read"] })).await;
    assert_eq!(world.get(&format!("/v1/events?subscription={id}")).key(&narrow).await.code(), "403 forbidden");
    let mut stream = world.stream(&format!("/v1/events?subscription={id}&after=start")).open().await;
    stream.next().await.expect("where it begins");
    assert_eq!(types(&stream.next().await.expect("events")), ["payment.completed"]);
    assert_eq!(world.delete(&format!("/v1/subscriptions/{id}")).await.status, 204);
    world.payment("2").await;
    assert_eq!(data_of(&stream.next().await.expect("bye"))[0]["reason"], "not-found");
}

fn types_of_page(page: &serde_json::Value) -> Vec<&str> {
    page["data"].as_array().into_iter().flatten().filter_map(|it| it["type"].as_str()).collect()
}

#[tokio::test]
async fn head_of_a_stream_opens_none() {
    let world = World::new().await;
    for _ in 0..10 {
        let head = world.ask("HEAD", "/v1/events").header("accept", STREAM).await;
        assert_eq!((head.status, head.body.len(), head.header("content-type")), (200, 0, STREAM));
    }
}

#[tokio::test]
async fn a_long_history_comes_in_pieces() {
    let world = World::new().await;
    let big = "x".repeat(30_000);
    for n in 0..10 {
        world.post("/v1/events", json!({ "type": "a.b", "data": { "n": n, "big": big } })).await;
    }
    let mut stream = world.stream("/v1/events?after=start").open().await;
    stream.next().await.expect("where it begins");
    let (mut seen, mut pieces) = (Vec::new(), 0);
    while seen.len() < 10 {
        let piece = stream.next().await.expect("more");
        assert!(piece.len() < limits::STREAM_CHUNK_BYTES_MAX + 40_000);
        pieces += 1;
        seen.extend(data_of(&piece).iter().map(|it| it["data"]["n"].as_u64().unwrap_or(99)));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert!(pieces > 3);
    assert!(stream.is_silent().await);
}

#[tokio::test]
async fn a_last_event_id_that_is_no_text_is_refused() {
    let world = World::new().await;
    for id in ["\u{e4}", "evt_\u{e4}", "caf\u{e9} 7"] {
        let got = world.stream("/v1/events").header("last-event-id", id).await;
        assert_eq!(got.code(), "400 bad-parameter", "{id}");
        assert!(got.text().contains("Last-Event-ID"), "{}", got.text());
    }
}
