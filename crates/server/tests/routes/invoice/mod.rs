//! `/invoice`: a mirrored type, whose truth lives in somebody's database.

use crate::world::{Ask, World};
use expect_test::expect;
use serde_json::{Value, json};

fn put(world: &World, id: &str, version: u64, status: &str, amount: u64) -> Ask {
    world.put(&format!("/invoice/{id}"), json!({ "source_version": version, "status": status, "amount": amount }))
}

fn gone(world: &World, id: &str, version: u64) -> Ask {
    world.delete(&format!("/invoice/{id}?source_version={version}"))
}

async fn events(world: &World) -> Vec<String> {
    let feed = world.get("/v1/events?types=invoice.*").await.json();
    feed["data"].as_array().expect("a feed").iter().map(|it| it["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test]
async fn what_the_source_says_is_what_is_shown() {
    let world = World::new().await;
    let made = put(&world, "7", 3, "open", 5).await;
    expect![[r#"
        201
        etag: "1"
        location: /invoice/7
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"7","type":"invoice","tenant":"default","status":"open","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","source_version":3,"amount":5}"#]].assert_eq(&made.show());
    let paid = put(&world, "7", 4, "paid", 5).await;
    expect![[r#"
        200
        etag: "2"
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"7","type":"invoice","tenant":"default","status":"paid","version":2,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","source_version":4,"amount":5}"#]].assert_eq(&paid.show());
    let event = world.get(&format!("/v1/events/{}", paid.header("ringback-event"))).await.json();
    assert_eq!((&event["type"], &event["previous"]), (&json!("invoice.paid"), &json!({ "status": "open", "source_version": 3 })));
    // Back again: no lifecycle stands in the way of the truth.
    assert_eq!(put(&world, "7", 9, "open", 6).await.member("status"), "open");
    assert_eq!(put(&world, "7", 10, "open", 7).await.status, 200);
    assert_eq!(events(&world).await, ["invoice.open", "invoice.paid", "invoice.open", "invoice.updated"]);
    assert_eq!(world.get("/invoice?source_version=10").await.json()["data"][0]["amount"], 7);
    let versions = world.get("/invoice/7/versions").await.json();
    assert_eq!(versions["data"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn old_news_changes_nothing() {
    let world = World::new().await;
    put(&world, "7", 3, "paid", 5).await;
    let stale = put(&world, "7", 3, "open", 1).await;
    expect![[r#"
        200
        etag: "1"
        ringback-applied: false
        ringback-position: …
        ringback-tenant: default
        {"id":"7","type":"invoice","tenant":"default","status":"paid","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","source_version":3,"amount":5}"#]].assert_eq(&stale.show());
    assert_eq!(put(&world, "7", 2, "void", 1).await.header("ringback-applied"), "false");
    assert_eq!(gone(&world, "7", 3).await.header("ringback-applied"), "false");
    assert_eq!(world.get("/invoice/7").await.header("etag"), "\"1\"");
    assert_eq!(events(&world).await, ["invoice.paid"]);
}

#[tokio::test]
async fn a_row_that_is_gone_stays_gone_until_its_source_has_it_again() {
    let world = World::new().await;
    put(&world, "7", 3, "open", 5).await;
    let deleted = gone(&world, "7", 8).await;
    assert_eq!((deleted.status, world.get("/invoice/7").await.status), (204, 404));
    let late = put(&world, "7", 7, "paid", 5).await;
    assert_eq!((late.status, late.header("ringback-applied")), (200, "false"));
    assert_eq!(world.get("/invoice/7").await.status, 404);
    let again = put(&world, "7", 9, "open", 6).await;
    assert_eq!((again.status, again.header("location"), again.header("etag")), (201, "/invoice/7", "\"3\""));
    // One that was never seen leaves its number behind as well.
    assert_eq!(gone(&world, "8", 5).await.status, 204);
    assert_eq!(put(&world, "8", 4, "open", 5).await.header("ringback-applied"), "false");
    assert_eq!(events(&world).await, ["invoice.open", "invoice.deleted", "invoice.open", "invoice.deleted"]);
}

#[tokio::test]
async fn nobody_else_changes_it() {
    let world = World::new().await;
    put(&world, "7", 1, "open", 5).await;
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:mirrored","code":"mirrored","title":"Mirrored","status":409,"detail":"`invoice` is mirrored: its truth lives in another system. Change it there; its relay writes it here with `PUT /invoice/<id>` and a `source_version`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.patch("/invoice/7", json!({ "amount": 6 })).await.show());
    for ask in [world.post("/invoice", json!({ "amount": 6 })), world.step("/invoice/7/paid"), world.step("/invoice/7/anything")] {
        assert_eq!(ask.await.code(), "409 mirrored");
    }
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"The type is mirrored, so its source says as which change the row is gone: add `?source_version=<number>`, above that of the row's last PUT.","request_id":"req_…","retryable":false,"errors":[{"parameter":"source_version","code":"invalid","detail":"The type is mirrored, so its source says as which change the row is gone: add `?source_version=<number>`, above that of the row's last PUT."}]}"#]].assert_eq(&world.delete("/invoice/7").await.show());
    assert_eq!(world.delete("/invoice/7?source_version=x").await.code(), "400 bad-parameter");
    let (_, acme, _) = World::of_two().await;
    assert_eq!(put(&world, "7", 2, "open", 5).key(&acme).await.status, 401, "a key of another server");
    // The next step is whatever the source says.
    let status = world.get("/invoice/7/status").await.json();
    assert_eq!((&status["next"], &status["events"]), (&json!([]), &json!(["invoice.paid", "invoice.void"])));
}

#[tokio::test]
async fn tenants_may_what_the_type_lets_them() {
    let (world, acme, _) = World::of_two().await;
    assert_eq!(put(&world, "7", 1, "open", 5).key(&acme).await.code(), "403 forbidden");
    assert_eq!(put(&world, "7", 1, "open", 5).tenant("acme").await.status, 201);
    assert_eq!(put(&world, "7", 2, "open", 5).key(&acme).await.code(), "403 forbidden");
    assert_eq!(gone(&world, "7", 2).key(&acme).await.code(), "403 forbidden");
    assert_eq!(world.get("/invoice/7").key(&acme).await.status, 200);
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_place() {
    let world = World::new().await;
    for (body, pointer) in [
        (json!({ "status": "open", "amount": 5 }), "/source_version"),
        (json!({ "source_version": 1, "amount": 5 }), "/status"),
        (json!({ "source_version": 1, "status": "payed", "amount": 5 }), "/status"),
        (json!({ "source_version": 1, "status": "open" }), "/amount"),
        (json!({ "source_version": 1, "status": "open", "amount": 5, "id": "8" }), "/id"),
    ] {
        let refused = world.put("/invoice/7", body.clone()).await;
        assert_eq!(
            (refused.code().as_str(), &refused.json()["errors"][0]["pointer"]),
            ("422 validation-failed", &Value::from(pointer)),
            "{body}"
        );
    }
    let other = world.put("/payment/7", json!({ "amount": 5, "currency": "eur" })).await;
    assert_eq!((other.code().as_str(), other.header("allow")), ("405 method-not-allowed", "GET, HEAD, PATCH, DELETE"));
    for (path, allow) in [("/invoice/7", "GET, HEAD, PUT, DELETE"), ("/invoice", "GET, HEAD")] {
        assert_eq!(world.ask("OPTIONS", path).await.header("allow"), allow, "{path}: what would be refused is not offered");
    }
    assert_eq!(world.delete("/payment/7?source_version=1").await.code(), "400 bad-parameter");
}

/// Relays that overtake each other: whatever the order, the last word wins and none is said twice.
#[tokio::test]
async fn relays_at_once_end_where_the_source_is() {
    let world = World::new().await;
    let said = (1..=40_u64).map(|version| put(&world, "7", version, ["open", "paid", "void"][version as usize % 3], version));
    let replies = futures_util::future::join_all(said.rev().map(IntoFuture::into_future)).await;
    assert!(replies.iter().all(|it| matches!(it.status, 200 | 201)), "{replies:?}");
    let applied = replies.iter().filter(|it| it.headers.get("ringback-applied").is_none()).count();
    let now = world.get("/invoice/7").await.json();
    assert_eq!((&now["source_version"], &now["amount"], &now["status"]), (&json!(40), &json!(40), &json!("paid")));
    assert_eq!((events(&world).await.len(), now["version"].as_u64()), (applied, Some(applied as u64)));
}
