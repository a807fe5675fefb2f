//! `GET /v1/event-types`, and what follows from what is declared.

use crate::world::World;
use serde_json::{Value, json};

async fn types(world: &World, key: Option<&str>, query: &str) -> Vec<Value> {
    let ask = world.get(&format!("/v1/event-types{query}"));
    let page = if let Some(key) = key { ask.key(key) } else { ask.tenant("*") }.await;
    assert_eq!(page.status, 200, "{}", page.text());
    page.json()["data"].as_array().expect("a list").clone()
}

fn names(all: &[Value]) -> Vec<&str> {
    all.iter().map(|it| it["type"].as_str().expect("a type")).collect()
}

#[tokio::test]
async fn what_types_make_is_there_with_schema_and_example() {
    let world = World::new().await;
    let all = types(&world, None, "").await;
    let paid = all.iter().find(|it| it["type"] == "invoice.paid").expect("it is declared");
    assert_eq!(
        (&paid["owner"], &paid["schema"]["properties"]["status"]["enum"]),
        (&json!("type:invoice"), &json!(["open", "paid", "void"]))
    );
    assert!(paid.get("last_seen").is_none());
    world.payment("1").await;
    let all = types(&world, None, "").await;
    let created = all.iter().find(|it| it["type"] == "payment.created").expect("it is declared");
    assert_eq!(created["last_seen"], "2026-11-23T18:24:44.000000Z");
    // An event as it is fits the schema that is shown.
    assert!(created["schema"]["required"].as_array().expect("a list").contains(&json!("amount")));
}

#[tokio::test]
async fn tenants_are_shown_what_they_may_receive() {
    let (world, acme, globex) = World::of_two().await;
    let publish =
        |name: &str, audience: &str| world.post("/v1/events", json!({ "type": name, "data": 1, "audience": audience })).tenant("acme");
    assert_eq!(publish("order.shipped", "tenant").await.status, 201);
    assert_eq!(publish("order.audited", "operator").await.status, 201);
    world.post("/internal/dossier", json!({})).tenant("acme").await;
    let own = types(&world, Some(&acme), "").await;
    let own = names(&own);
    assert!(own.contains(&"order.shipped") && own.contains(&"payment.created"), "{own:?}");
    assert!(!own.contains(&"order.audited") && !own.iter().any(|it| it.starts_with("dossier")), "{own:?}");
    let others = types(&world, Some(&globex), "").await;
    assert!(!names(&others).contains(&"order.shipped"));
    let all = types(&world, None, "").await;
    assert!(["order.shipped", "order.audited", "dossier.created"].iter().all(|it| names(&all).contains(it)));
    let mut sorted = names(&all);
    sorted.sort_unstable();
    assert_eq!(sorted, names(&all));
}

#[tokio::test]
async fn pages_make_up_the_catalogue() {
    let (world, acme, _) = World::of_two().await;
    for name in ["a.b", "z.z", "note.sent.by", "order.shipped"].iter().filter(|it| !it.starts_with("note")) {
        world.post("/v1/events", json!({ "type": name, "data": 1 })).key(&acme).await;
    }
    let whole = types(&world, Some(&acme), "").await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/event-types?limit=3{cursor}")).key(&acme).await.json();
        found.extend(page["data"].as_array().expect("a list").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(found, whole);
}

#[tokio::test]
async fn an_unknown_type_is_told_what_may_have_been_meant_from_all_that_is_known() {
    let (world, acme, _) = World::of_two().await;
    world.post("/v1/events", json!({ "type": "order.shipped", "data": 1 })).key(&acme).await;
    world.post("/v1/events", json!({ "type": "order.audited", "data": 1, "audience": "operator" })).tenant("acme").await;
    let subscribe = |name: &str| world.post("/v1/subscriptions", json!({ "types": [name], "push": { "url": "https://example.com" } }));
    let refused = subscribe("order.shiped").key(&acme).await;
    assert_eq!(refused.code(), "422 unknown-event-type");
    assert!(refused.text().contains("`order.shipped`"), "{}", refused.text());
    assert_eq!(subscribe("order.shipped").key(&acme).await.status, 201);
    assert_eq!(subscribe("invoice.paid").key(&acme).await.status, 201);
    // What only operators were meant to see is unknown to a tenant.
    assert_eq!(subscribe("order.audited").key(&acme).await.code(), "422 unknown-event-type");
    assert_eq!(subscribe("order.audited").tenant("acme").await.status, 201);
}
