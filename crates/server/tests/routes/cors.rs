//! Which pages may ask from a browser.

use crate::world::World;
use ringback_server::{Cors, Limits, Server};
use serde_json::json;

const PAGE: &str = "https://app.example.com";

async fn world_for(origins: &[&str]) -> World {
    let mut world = World::new().await;
    let origins: Vec<String> = origins.iter().map(|it| (*it).to_owned()).collect();
    world.server = Server::with_cors(world.service.clone(), Limits::default(), Cors::new(&origins));
    world
}

#[tokio::test]
async fn none_is_allowed_unless_it_is_named() {
    let world = World::new().await;
    let reply = world.get("/payment").header("origin", PAGE).await;
    assert!(reply.headers.keys().all(|it| !it.as_str().starts_with("access-control")), "{}", reply.show());
    let preflight = world.ask("OPTIONS", "/payment").header("origin", PAGE).header("access-control-request-method", "GET").await;
    assert_eq!(preflight.code(), "405 method-not-allowed");
}

#[tokio::test]
async fn a_named_page_may_ask_and_read() {
    let world = world_for(&[PAGE]).await;
    let ask = || world.ask("OPTIONS", "/v1/events").without("authorization").header("access-control-request-method", "POST");
    let preflight = ask().header("origin", PAGE).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, PAGE));
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(ask().header("origin", "https://evil.example").await.code(), "401 unauthenticated", "asked as any other");

    let made = world.post("/payment", json!({ "id": "1", "amount": 1, "currency": "eur" })).header("origin", PAGE).await;
    assert_eq!((made.status, made.header("access-control-allow-origin"), made.header("vary")), (201, PAGE, "origin"));
    assert!(made.header("access-control-expose-headers").contains("ringback-position"));
    let refused = world.get("/payment/none").header("origin", PAGE).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (404, PAGE), "a page may read why, too");
    let other = world.get("/payment").header("origin", "https://evil.example").await;
    assert!(other.headers.get("access-control-allow-origin").is_none());
    assert_eq!(other.header("vary"), "origin");
    let stream = world.get("/v1/events").header("origin", PAGE).header("accept", "text/event-stream").open().await;
    assert_eq!(stream.headers["access-control-allow-origin"], PAGE);
}

#[tokio::test]
async fn a_star_is_every_page() {
    let world = world_for(&["*"]).await;
    let reply = world.get("/payment").header("origin", PAGE).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}
