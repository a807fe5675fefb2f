//! Another tenant's anything is not found, on every route.

use crate::{
    every_route::target,
    world::{Ask, World, settle},
};
use ringback_server::routes::{About, Op, ROUTES};
use serde_json::json;

/// What `acme` has.
struct Things {
    payment: String,
    event: String,
    subscription: String,
    delivery: String,
    replay: String,
    key: String,
    page: String,
    position: String,
}

async fn things_of_acme(world: &World, acme: &str) -> Things {
    let subscription = world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com" } })).key(acme).await.member("id");
    let made = world.post("/payment", json!({ "amount": 5, "currency": "eur" })).tenant("acme").await;
    world.post("/payment", json!({ "amount": 6, "currency": "eur" })).tenant("acme").await;
    settle().await;
    let event = made.header("ringback-event").to_owned();
    let delivery =
        world.get(&format!("/v1/deliveries?event={event}")).key(acme).await.json()["data"][0]["id"].as_str().expect("one").to_owned();
    let replay = world.post("/v1/replays", json!({ "subscription": subscription })).key(acme).await.member("id");
    let keys = world.get("/v1/keys").key(acme).await.json();
    Things {
        payment: made.member("id"),
        event,
        subscription,
        delivery,
        replay,
        key: keys["data"][0]["id"].as_str().expect("a key").to_owned(),
        page: world.get("/payment?limit=1").key(acme).await.member("next_cursor"),
        position: made.header("ringback-position").to_owned(),
    }
}

#[tokio::test]
async fn ids_of_another_tenant_are_not_found() {
    let (world, acme, globex) = World::of_two().await;
    let things = things_of_acme(&world, &acme).await;
    let mut asked = 0;
    // What a source says is not asked of what is there: under the id of another tenant's resource it makes an own one.
    for route in ROUTES.iter().filter(|it| it.path.contains("{id}") && !matches!(it.op, Op::ResourcePut | Op::SubscriptionPut)) {
        let id = match route.path.split('/').collect::<Vec<_>>().as_slice() {
            ["{path}", ..] => &things.payment,
            [_, "v1", "events", ..] => &things.event,
            [_, "v1", "subscriptions", ..] => &things.subscription,
            [_, "v1", "deliveries", ..] => &things.delivery,
            [_, "v1", "replays", ..] => &things.replay,
            [_, "v1", "keys", ..] => &things.key,
            // Tenants are for operators alone, which says nothing about any of them.
            [_, "v1", "tenants", ..] => continue,
            _ => panic!("a new route needs a thing of another tenant: {}", route.path),
        };
        let mut path = target(route).replace("123", id);
        if route.op == Op::SubscriptionExplain {
            path.push_str(&format!("?event={}", things.event));
        }
        let ask = |ask: Ask| match route.op {
            Op::SubscriptionAck | Op::SubscriptionNack | Op::SubscriptionExtend => ask.json(&json!({ "ack": "x" })),
            Op::SubscriptionSeek => ask.json(&json!({ "to": "start" })),
            _ if route.method.as_str() == "PATCH" => ask.json(&json!({ "description": "x" })),
            _ => ask,
        };
        let asks: [(&str, Ask); 2] = [
            ("globex's key", ask(world.ask(route.method.as_str(), &path)).key(&globex)),
            ("the operator for globex", ask(world.ask(route.method.as_str(), &path)).tenant("globex")),
        ];
        for (who, it) in asks {
            let reply = it.await;
            let forbidden = reply.code() == "403 forbidden" && matches!(route.op, Op::ResourcePatch | Op::ResourceDelete);
            assert!(reply.code() == "404 not-found" || forbidden, "{who}: {} {path}: {}", route.method, reply.show());
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    // All of it is still there.
    for path in [
        format!("/payment/{}", things.payment),
        format!("/v1/events/{}", things.event),
        format!("/v1/subscriptions/{}", things.subscription),
        format!("/v1/deliveries/{}", things.delivery),
        format!("/v1/keys/{}", things.key),
    ] {
        assert_eq!(world.get(&path).key(&acme).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn lists_and_feeds_show_only_ones_own() {
    let (world, acme, globex) = World::of_two().await;
    let things = things_of_acme(&world, &acme).await;
    for route in ROUTES.iter().filter(|it| it.method.as_str() == "GET" && !it.path.contains("{id}") && it.about != About::Nobody) {
        let reply = world.get(&target(route)).key(&globex).await;
        for canary in ["acme", &things.payment, &things.event, &things.subscription, &things.delivery, &things.key] {
            assert!(!reply.text().contains(canary), "{}: {}", route.path, reply.show());
        }
    }
    for query in [format!("event={}", things.event), format!("subscription={}", things.subscription)] {
        assert_eq!(world.get(&format!("/v1/deliveries?{query}")).key(&globex).await.code(), "404 not-found", "{query}");
    }
}

#[tokio::test]
async fn cursors_of_another_tenant_are_no_cursors() {
    let (world, acme, globex) = World::of_two().await;
    let things = things_of_acme(&world, &acme).await;
    for path in [
        format!("/payment?after={}", things.page),
        format!("/v1/events?after={}", things.position),
        format!("/v1/subscriptions?after={}", things.page),
        format!("/v1/keys?after={}", things.page),
    ] {
        let reply = world.get(&path).key(&globex).await;
        assert_eq!(reply.code(), "400 bad-parameter", "{path}");
    }
    assert_eq!(world.get(&format!("/v1/events?after={}", things.event)).key(&globex).await.code(), "404 not-found");
    assert_eq!(world.get(&format!("/v1/events?after={}", things.position)).key(&acme).await.status, 200);
}

#[tokio::test]
async fn another_tenant_cannot_be_named() {
    let (world, _, globex) = World::of_two().await;
    for tenant in ["acme", "default", "none", "*"] {
        assert_eq!(world.get("/payment").key(&globex).tenant(tenant).await.code(), "404 not-found", "{tenant}");
    }
    assert_eq!(world.get("/payment").key(&globex).tenant("globex").await.status, 200);
    let gateway = world.new_key(json!({ "role": "gateway" })).await;
    assert_eq!(world.get("/payment").key(&gateway).tenant("acme").await.status, 200);
    assert_eq!(world.get("/payment/1").key(&gateway).tenant("*").await.code(), "404 not-found");
    let made = world.post("/payment", json!({ "amount": 1, "currency": "eur" })).key(&gateway).tenant("acme").await;
    assert_eq!(made.code(), "403 forbidden", "a gateway has a tenant's authority");
}

/// A type that only operators read does not exist for others.
#[tokio::test]
async fn what_operators_alone_may_read_is_not_there() {
    let (world, acme, _) = World::of_two().await;
    let made = world.post("/internal/dossier", json!({ "id": "1" })).tenant("acme").await;
    assert_eq!(made.status, 201, "{}", made.show());
    for path in ["/internal/dossier/1", "/internal/dossier/1/status", "/internal/dossier/1/events", "/internal/dossier/1/versions"] {
        assert_eq!(world.get(path).key(&acme).await.code(), "404 not-found", "{path}");
        assert_eq!(world.get(path).tenant("acme").await.status, 200, "{path}");
    }
    // Not even that there is such a type.
    let route = world.get("/internal/dossier").key(&acme).await;
    let nothing = world.get("/internal/nothing").key(&acme).await;
    assert_eq!(route.member("detail").replace("dossier", "nothing"), nothing.member("detail"));
    assert_eq!(world.get(&format!("/v1/events/{}", made.header("ringback-event"))).key(&acme).await.code(), "404 not-found");
    assert_eq!(world.get("/v1/events").key(&acme).await.json()["data"], json!([]));
    assert_eq!(world.get("/v1/types/dossier").key(&acme).await.code(), "404 not-found");
    assert!(!world.get("/internal/dosier").key(&acme).await.text().contains("dossier"));
}
