//! `?dry_run=true`: what a write would make, with nothing stored.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn what_would_be_made_is_shown_and_nothing_is_stored() {
    let world = World::new().await;
    let create = world.post("/payment?dry_run=true", json!({ "id": "123", "amount": 1999, "currency": "eur" })).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"dry_run":true,"resource":{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0},"events":[{"type":"payment.created","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","subject":"/payment/123","data":{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}}]}"#]].assert_eq(&create.show());
    assert_eq!(world.get("/payment/123").await.status, 404);
    world.payment("123").await;
    let step = world.step("/payment/123/complete?dry_run=true").await.json();
    assert_eq!((&step["resource"]["status"], &step["events"][0]["type"]), (&json!("completed"), &json!("payment.completed")));
    assert_eq!(step["events"][0]["previous"], json!({ "status": "created" }));
    let nothing = world.patch("/payment/123?dry_run=true", json!({ "amount": 1999 })).await.json();
    assert_eq!((&nothing["resource"]["version"], &nothing["events"]), (&json!(1), &json!([])));
    let delete = world.delete("/payment/123?dry_run=true").await;
    assert_eq!((delete.status, &delete.json()["events"][0]["type"]), (200, &json!("payment.deleted")));
    let put = world.put("/invoice/7?dry_run=true", json!({ "source_version": 1, "status": "open", "amount": 5 })).await.json();
    assert_eq!(put["resource"]["source_version"], 1);
    let publish = world.post("/v1/events?dry_run=true", json!([{ "type": "a.b", "data": 1.50 }, { "type": "a.c", "data": 2 }])).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"dry_run":true,"resource":null,"events":[{"type":"a.b","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","data":1.5},{"type":"a.c","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","data":2}]}"#]].assert_eq(&publish.show());
    assert_eq!(world.get("/v1/log").await.json()["last"], 1, "the one payment that was made");
}

#[tokio::test]
async fn it_is_refused_as_the_write_would_be() {
    let world = World::new().await;
    world.payment("123").await;
    for (ask, code) in [
        (world.post("/payment?dry_run=true", json!({ "id": "123", "amount": 5, "currency": "eur" })), "409 already-exists"),
        (world.post("/payment?dry_run=true", json!({ "amount": 0, "currency": "eur" })), "422 validation-failed"),
        (world.post("/payment/123/refund?dry_run=true", json!({ "amount": 5 })), "409 transition-not-allowed"),
        (world.patch("/payment/123?dry_run=true", json!({ "customer": "x" })).header("if-match", "\"7\""), "412 precondition-failed"),
        (world.post("/v1/events?dry_run=true", json!({ "type": "payment.completed", "data": {} })), "409 type-owned"),
        (
            world.post("/payment?dry_run=true", json!({ "amount": 5, "currency": "eur" })).header("idempotency-key", "\u{fc}"),
            "400 bad-parameter",
        ),
        (world.post("/payment?dry_run=yes", json!({ "amount": 5, "currency": "eur" })), "400 bad-parameter"),
    ] {
        assert_eq!(ask.await.code(), code);
    }
}

#[tokio::test]
async fn it_uses_no_idempotency_key_up() {
    let world = World::new().await;
    let body = json!({ "amount": 5, "currency": "eur" });
    let ask = |target: &str| world.post(target, body.clone()).header("idempotency-key", "k");
    assert_eq!(ask("/payment?dry_run=true").await.status, 200);
    assert_eq!(ask("/payment").await.status, 201, "the key is still free");
    assert_eq!(ask("/payment?dry_run=true").await.status, 200, "and nothing is replayed to a question");
}
