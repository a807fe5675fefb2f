//! Tickets: what they open, for how long, and for whom.

use crate::world::{World, id_of};
use serde_json::json;
use std::time::Duration;

const STREAM: &str = "text/event-stream";

impl World {
    /// Path and query of a ticket's URL.
    async fn ticket(&self, url: &str) -> String {
        let made = self.post("/v1/stream-tickets", json!({ "url": url })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.header("cache-control"), "no-store");
        let whole = made.member("url");
        assert!(whole.ends_with(&format!("ticket={}", made.member("ticket"))), "{whole}");
        whole.strip_prefix("https://api.example.com").expect("it is of our public URL").to_owned()
    }

    /// As a browser asks: without a key.
    fn with_ticket(&self, target: &str) -> crate::world::Ask {
        self.get(target).without("authorization").header("accept", STREAM)
    }
}

#[tokio::test]
async fn a_ticket_opens_its_stream_and_lets_it_reconnect() {
    let world = World::new().await;
    let url = world.ticket("/v1/events?types=payment.*").await;
    let mut stream = world.with_ticket(&url).open().await;
    assert_eq!(stream.status, 200);
    let first = id_of(&stream.next().await.expect("where it begins"));
    world.payment("1").await;
    let id = id_of(&stream.next().await.expect("an event"));
    drop(stream);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.with_ticket(&url).await.code(), "401 unauthenticated", "the minute is over");
    let plain = world.get("/v1/events").await.member("cursor");
    assert_eq!(world.with_ticket(&url).header("last-event-id", &plain).await.code(), "401 unauthenticated", "not of this stream");
    for id in [&first, &id] {
        assert_eq!(world.with_ticket(&url).header("last-event-id", id).open().await.status, 200, "it reconnects");
    }
    assert_eq!(world.get(&format!("/v1/events?after={id}")).await.json()["data"], json!([]), "its ids are positions everywhere");
    world.clock.advance(Duration::from_secs(3_600 - 61));
    assert_eq!(world.with_ticket(&url).header("last-event-id", &id).open().await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.with_ticket(&url).header("last-event-id", &id).await.code(), "401 unauthenticated", "the hour is over");
}

#[tokio::test]
async fn a_ticket_opens_nothing_else() {
    let world = World::new().await;
    world.payment("1").await;
    let url = world.ticket("/v1/events?types=payment.*&after=start").await;
    let ticket = url.rsplit_once("ticket=").expect("a ticket").1.to_owned();
    let refused = |target: String| {
        let ask = world.with_ticket(&target);
        async move { ask.await.code() }
    };
    for other in [
        "/v1/events?types=*",
        "/v1/events?after=start",
        "/payment/1/events?types=payment.*&after=start",
        "/v1/events?types=payment.*&after=start&limit=5",
    ] {
        assert_eq!(refused(format!("{other}&ticket={ticket}")).await, "401 unauthenticated", "{other}");
    }
    let same = format!("/v1/events?after=start&types=payment.%2A&ticket={ticket}");
    assert_eq!(world.with_ticket(&same).open().await.status, 200, "order and escapes do not matter");
    assert_eq!(refused("/v1/events?ticket=nonsense".into()).await, "401 unauthenticated");
    let json = world.get(&url).without("authorization").await;
    assert_eq!(json.code(), "401 unauthenticated", "no page, only a stream: {}", json.text());
    for method in ["POST", "DELETE"] {
        let reply = world.ask(method, &url).without("authorization").header("accept", STREAM).await;
        assert_eq!(reply.code(), "401 unauthenticated", "{method}");
    }
}

#[tokio::test]
async fn a_ticket_dies_with_its_key_and_keeps_its_tenant() {
    let (world, acme, _) = World::of_two().await;
    let made = world.post("/v1/stream-tickets", json!({ "url": "/v1/events?after=start" })).key(&acme).await;
    let url = made.member("url").replace("https://api.example.com", "");
    world.post("/v1/events", json!({ "type": "a.b", "data": {} })).tenant("globex").await;
    world.post("/v1/events", json!({ "type": "a.c", "data": {} })).tenant("acme").await;
    let mut stream = world.with_ticket(&url).open().await;
    assert_eq!(stream.headers["ringback-tenant"], "acme");
    stream.next().await.expect("where it begins");
    let frame = stream.next().await.expect("an event");
    assert!(frame.contains("a.c") && !frame.contains("a.b"), "{frame}");
    let keys = world.get("/v1/keys").tenant("acme").await.json();
    let keys = keys["data"].as_array().expect("a list");
    let id = keys.iter().find(|it| it["tenant"] == "acme").expect("its key")["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.delete(&format!("/v1/keys/{id}")).await.status, 204);
    assert!(stream.next().await.expect("bye").contains("event: bye"));
    assert_eq!(world.with_ticket(&url).await.code(), "401 unauthenticated");
}

#[tokio::test]
async fn what_is_no_stream_gets_no_ticket() {
    let world = World::new().await;
    for (url, want) in [
        ("/payment/1", "422 validation-failed"),
        ("v1/events", "422 validation-failed"),
        ("https://elsewhere.example/v1/events", "422 validation-failed"),
        ("/v1/events#x", "422 validation-failed"),
        ("/v1/nothing", "404 not-found"),
        ("/payment/none/events", "404 not-found"),
        ("/v1/events?colour=red", "400 bad-parameter"),
        ("/v1/events?after=nonsense", "400 bad-parameter"),
    ] {
        assert_eq!(world.post("/v1/stream-tickets", json!({ "url": url })).await.code(), want, "{url}");
    }
    let whole = world.post("/v1/stream-tickets", json!({ "url": "https://api.example.com/v1/events" })).await;
    assert_eq!(whole.status, 201);
    let socket = world.post("/v1/stream-tickets", json!({ "url": "/v1/events" })).over_the_socket().await;
    assert_eq!(socket.code(), "409 conflict");
}
