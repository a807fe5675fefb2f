//! `GET /payment/{id}/status`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn it_says_what_is_next() {
    let world = World::new().await;
    world.payment("123").await;
    expect![[r#"
        200
        etag: "1"
        retry-after: 1
        ringback-tenant: default
        {"id":"123","status":"created","done":false,"version":1,"since":"2026-11-23T18:24:44.000000Z","next":["process","complete","fail"],"events":["payment.processing","payment.completed","payment.failed"],"subscribe":{"subject":"/payment/123","until":"done","push":{"url":"https://…"}}}"#]].assert_eq(&world.get("/payment/123/status").await.show());
    world.step("/payment/123/complete").await;
    expect![[r#"
        200
        etag: "2"
        ringback-tenant: default
        {"id":"123","status":"completed","done":true,"version":2,"since":"2026-11-23T18:24:44.000000Z","next":["refund"],"events":["payment.refunded"],"subscribe":{"subject":"/payment/123","until":"done","push":{"url":"https://…"}}}"#]].assert_eq(&world.get("/payment/123/status").await.show());
}

#[tokio::test]
async fn next_is_what_this_key_may() {
    let (world, acme, _) = World::of_two().await;
    let made = world.post("/payment", serde_json::json!({ "amount": 5, "currency": "eur" })).tenant("acme").await;
    let status = format!("/payment/{}/status", made.member("id"));
    assert_eq!(world.get(&status).tenant("acme").await.json()["next"], serde_json::json!(["process", "complete", "fail"]));
    assert_eq!(world.get(&status).key(&acme).await.json()["next"], serde_json::json!([]));
}

#[tokio::test]
async fn until_names_statuses_of_the_type() {
    let world = World::new().await;
    world.payment("123").await;
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`shipped` is no status of `payment`. It has: created, processing, completed, failed, partially_refunded, refunded; or say `done`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"until","code":"invalid","detail":"`shipped` is no status of `payment`. It has: created, processing, completed, failed, partially_refunded, refunded; or say `done`."}]}"#]].assert_eq(&world.get("/payment/123/status?until=shipped").await.show());
    assert_eq!(world.get("/payment/123/status?until=a%20b").await.code(), "400 bad-parameter");
    // Without `wait`, the present status.
    assert_eq!(world.get("/payment/123/status?until=completed,failed").await.member("status"), "created");
}

#[tokio::test]
async fn a_status_that_is_known_is_not_repeated() {
    let world = World::new().await;
    world.payment("123").await;
    let known = world.get("/payment/123/status").header("if-none-match", "\"1\"").await;
    assert_eq!((known.status, known.text(), known.header("etag"), known.header("retry-after")), (304, "", "\"1\"", "1"));
    assert_eq!(world.get("/payment/123/status").header("if-none-match", "\"2\"").await.status, 200);
}
