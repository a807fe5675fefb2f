//! Every route, asked with another tenant's ETag and Idempotency-Key: neither tells
//! that there is anything, nor brings another tenant's answer.
//!
//! Not here: ids and cursors (`cross_tenant`).

use crate::{
    every_route::target,
    world::{Ask, Reply, World},
};
use ringback_server::routes::{About, ROUTES, Route};
use serde_json::{Value, json};

/// A body that the route takes, where it needs one.
fn body(route: &Route) -> Option<Value> {
    Some(match (route.method.as_str(), route.path) {
        ("POST", "{path}") => json!({ "id": "canary-acme", "amount": 5, "currency": "eur", "customer": "canary-acme" }),
        ("PUT", "{path}/{id}") => json!({ "source_version": 1, "status": "created", "amount": 5, "currency": "eur" }),
        ("PATCH", "{path}/{id}") => json!({ "customer": "canary-acme" }),
        ("POST", "/v1/events") => json!({ "type": "app.canary", "data": { "text": "canary-acme" } }),
        ("POST", "/v1/subscriptions") => json!({ "description": "canary-acme", "push": { "url": "https://example.com/canary-acme" } }),
        ("PATCH", "/v1/subscriptions/{id}") => json!({ "description": "canary-acme" }),
        ("POST", "/v1/batch") => {
            json!({ "operations": [{ "method": "POST", "path": "/payment", "body": { "amount": 5, "currency": "eur" } }] })
        }
        _ => return None,
    })
}

fn asked(world: &World, route: &Route) -> Ask {
    let ask = world.ask(route.method.as_str(), &target(route));
    match body(route) {
        Some(body) => ask.json(&body),
        None => ask,
    }
}

#[track_caller]
fn says_nothing(route: &Route, what: &str, reply: &Reply, sent: bool) {
    let name = format!("{} {}, {what}: {}", route.method, route.path, reply.show());
    assert!(reply.headers.get("idempotency-replayed").is_none(), "another tenant's answer came back: {name}");
    assert!(!matches!(reply.status, 304 | 412 | 500), "{name}");
    // What one sent oneself may come back.
    assert!(sent || !reply.text().contains("canary-acme"), "{name}");
    assert!(!reply.text().contains("\"acme\""), "{name}");
}

#[tokio::test]
async fn an_idempotency_key_of_another_tenant_is_another_key() {
    let (world, acme, globex) = World::of_two().await;
    let mut walked = 0;
    for route in ROUTES.iter().filter(|it| it.method.writes() && matches!(it.about, About::Tenant | About::TenantOrAll)) {
        let key = format!("key-of-{}", route.path.replace(['{', '}', '/'], "-"));
        for who in [&acme, &globex] {
            let reply = asked(&world, route).key(who).header("idempotency-key", key.clone()).await;
            if who == &globex {
                says_nothing(route, "with its Idempotency-Key", &reply, body(route).is_some());
                walked += 1;
            }
        }
        // The same for an operator who acts for either of them.
        for tenant in ["acme", "globex"] {
            let reply = asked(&world, route).tenant(tenant).header("idempotency-key", format!("{key}-operator")).await;
            if tenant == "globex" {
                says_nothing(route, "with its Idempotency-Key, by an operator", &reply, body(route).is_some());
            }
        }
    }
    assert!(walked > 8, "{walked}");
}

#[tokio::test]
async fn an_etag_of_another_tenant_tells_nothing() {
    let (world, acme, globex) = World::of_two().await;
    let made =
        world.post("/payment", json!({ "id": "123", "amount": 5, "currency": "eur", "customer": "canary-acme" })).tenant("acme").await;
    let etag = made.header("etag").to_owned();
    assert_eq!((made.status, etag.as_str()), (201, "\"1\""));
    let subscription = world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com" } })).key(&acme).await;
    let mut walked = 0;
    for route in ROUTES.iter().filter(|it| it.path.contains("{id}") && matches!(it.about, About::Tenant | About::TenantOrAll)) {
        // A source says what is there; it never asks.
        if (route.method.as_str(), route.path) == ("PUT", "{path}/{id}") {
            continue;
        }
        let id = if route.path.starts_with("/v1/subscriptions") { subscription.member("id") } else { "123".to_owned() };
        for (name, value) in [("if-match", etag.as_str()), ("if-none-match", etag.as_str()), ("if-none-match", "*")] {
            let ask = world.ask(route.method.as_str(), &target(route).replace("123", &id)).key(&globex).header(name, value);
            let reply = match body(route) {
                Some(body) => ask.json(&body),
                None => ask,
            }
            .await;
            says_nothing(route, &format!("{name}: {value}"), &reply, false);
            assert!(reply.status >= 400, "{} {} with {name}: {}", route.method, route.path, reply.show());
            walked += 1;
        }
    }
    assert!(walked > 30, "{walked}");
    let still = world.get("/payment/123").key(&acme).header("if-none-match", etag).await;
    assert_eq!(still.status, 304, "its owner's ETag is good");
}
