//! What answers that nobody reads may cost: whom it is counted for, and what is never refused.

use crate::world::{Streaming, World};
use bytes::Bytes;
use ringback_server::{Limits, Server};
use serde_json::json;

/// With so much memory for answers.
fn tight(world: &mut World, answer_bytes_max: usize) {
    world.server = Server::new(world.service.clone(), Limits { answer_bytes_max, ..Limits::default() });
}

async fn publish(world: &World, tenant: &str, bytes: usize) -> String {
    let made = world.post("/v1/events", json!({ "type": "a.b", "data": "x".repeat(bytes) })).tenant(tenant).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.header("ringback-event").to_owned()
}

async fn open(world: &World, after: &str, key: &str) -> Streaming {
    let mut stream = world.get(&format!("/v1/events?after={after}")).key(key).header("accept", "text/event-stream").open().await;
    assert_eq!(stream.status, 200);
    stream.next().await.expect("where it begins");
    stream
}

/// Takes what is there, as a connection does whose client reads nothing.
async fn take(stream: &mut Streaming) -> Vec<Bytes> {
    let begin = stream.piece().await.expect("what stands before the event");
    let event = stream.piece().await.expect("the event");
    assert!(begin.len() < 1_000 && event.len() > 50_000, "{} {}", begin.len(), event.len());
    vec![begin, event]
}

#[tokio::test]
async fn what_one_tenant_does_not_read_is_not_felt_by_another() {
    let (mut world, acme, globex) = World::of_two().await;
    tight(&mut world, 1_000_000);
    publish(&world, "globex", 100_000).await;
    let mut after = vec!["start".to_owned()];
    for _ in 0..20 {
        after.push(publish(&world, "acme", 100_000).await);
    }
    let (mut streams, mut held) = (Vec::new(), Vec::new());
    for at in &after[..20] {
        if world.get("/v1/events?limit=1").key(&acme).await.status != 200 {
            break;
        }
        let mut stream = open(&world, at, &acme).await;
        held.push(take(&mut stream).await);
        streams.push(stream);
    }
    assert!((4..8).contains(&held.len()), "{} streams hold half of it", held.len());
    let more = world.get("/v1/events?limit=1").key(&acme).await;
    assert_eq!(more.code(), "503 overloaded");
    assert!(!more.header("retry-after").is_empty());
    for _ in 0..3 {
        let page = world.get("/v1/events").key(&globex).await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.body.len() > 100_000);
    }
    // Nor by those who write for the one that reads nothing.
    publish(&world, "acme", 300_000).await;
    drop(held);
    drop(streams);
    assert_eq!(world.get("/v1/events?limit=1").key(&acme).await.status, 200, "what was written is free again");
}

#[tokio::test]
async fn what_was_stored_is_never_answered_as_if_it_was_not() {
    let mut world = World::new().await;
    let subscription = json!({ "types": ["a.*"], "strict": false });
    assert_eq!(world.put("/v1/subscriptions/s", subscription).await.status, 201);
    tight(&mut world, 0);
    publish(&world, "default", 100_000).await;
    let made = world.post("/v1/events", json!([{ "type": "a.b", "data": "y".repeat(100_000) }])).header("idempotency-key", "k");
    assert_eq!(made.await.status, 201);
    let again = world.post("/v1/events", json!([{ "type": "a.b", "data": "y".repeat(100_000) }])).header("idempotency-key", "k");
    assert_eq!(again.await.header("idempotency-replayed"), "true");
    assert_eq!(world.get("/v1/events").await.code(), "503 overloaded");
    // A pull hands out leases, so it is refused before it does.
    assert_eq!(world.post("/v1/subscriptions/s/pull", json!({})).await.code(), "503 overloaded");
    tight(&mut world, 10_000_000);
    let pulled = world.post("/v1/subscriptions/s/pull", json!({})).await.json();
    assert_eq!((pulled["data"].as_array().map(Vec::len), pulled.get("tries")), (Some(2), None), "for the first time");
}

/// A hundred streams that send the same event have it in memory once, and it is counted once.
#[tokio::test]
async fn what_many_streams_send_is_there_once() {
    let mut world = World::new().await;
    tight(&mut world, 2_000_000);
    let event = publish(&world, "default", 300_000).await;
    let whole = world.get(&format!("/v1/events/{event}")).await.body;
    let (mut streams, mut held) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let mut stream = open(&world, "start", &world.key).await;
        held.push(take(&mut stream).await);
        streams.push(stream);
    }
    let first = held[0][1].clone();
    assert_eq!(first, whole);
    assert!(held.iter().all(|it| it[1].as_ptr() == first.as_ptr()), "all of them are the same bytes");
    for mut stream in streams {
        assert_eq!(stream.piece().await.expect("the end of the frame"), "\n\n");
    }
    assert_eq!(world.get("/v1/events").await.status, 200, "there is room for a page beside it");
}

/// Watches send the resource where it is, too.
#[tokio::test]
async fn what_many_watches_send_is_there_once() {
    let world = World::new().await;
    let (mut held, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut stream = world.get("/note?after=now").header("accept", "text/event-stream").open().await;
        stream.next().await.expect("where it begins");
        streams.push(stream);
    }
    let note = world.post("/note", json!({ "text": "x".repeat(100_000) })).await;
    assert_eq!(note.status, 201);
    for stream in &mut streams {
        let [begin, event] = [stream.piece().await.expect("a begin"), stream.piece().await.expect("a resource")];
        let end = stream.piece().await.expect("an end");
        let text = String::from_utf8([begin.clone(), event.clone(), end].concat()).expect("text");
        let data = text.lines().find_map(|it| it.strip_prefix("data: ")).expect("data");
        let item: serde_json::Value = serde_json::from_str(data).expect("JSON on one line");
        assert_eq!((item["change"].as_str(), &item["resource"]), (Some("enter"), &note.json()));
        assert!(text.ends_with("\n\n"));
        held.push(event);
    }
    assert!(held.iter().all(|it| it.as_ptr() == held[0].as_ptr()), "all of them are the same bytes");
}
