//! `POST /payment/{id}/{transition}`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn a_step_is_taken_once() {
    let world = World::new().await;
    world.payment("123").await;
    expect![[r#"
        200
        etag: "2"
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"123","type":"payment","tenant":"default","status":"completed","version":2,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}"#]].assert_eq(&world.step("/payment/123/complete").await.show());
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:transition-not-allowed","code":"transition-not-allowed","title":"Transition not allowed","status":409,"detail":"Payment 123 is completed. `complete` is possible from created, processing. Possible now: refund.","request_id":"req_…","retryable":false,"current_status":"completed","requested":"complete","allowed":["refund"]}"#]].assert_eq(&world.step("/payment/123/complete").await.show());
}

#[tokio::test]
async fn a_guard_holds_or_not() {
    let world = World::new().await;
    world.payment("123").await;
    world.step("/payment/123/complete").await;
    let refund = |amount: u64| world.post("/payment/123/refund", json!({ "amount": amount }));
    assert_eq!(refund(1000).await.member("status"), "partially_refunded");
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:guard-failed","code":"guard-failed","title":"Guard failed","status":409,"detail":"Payment 123 can't take `refund` so: `self.refunded + input.amount <= self.amount` doesn't hold (self.amount is 1999, self.refunded is 1000, input.amount is 1000). Send an input that fits.","request_id":"req_…","retryable":false,"requested":"refund"}"#]].assert_eq(&refund(1000).await.show());
    assert_eq!(refund(999).await.member("status"), "refunded");
}

#[tokio::test]
async fn input_is_checked() {
    let world = World::new().await;
    world.payment("123").await;
    let refused = world.post("/payment/123/fail", json!({ "message": "no code" })).await;
    assert_eq!(refused.code(), "422 validation-failed");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/code");
    assert_eq!(world.step("/payment/123/fail").await.code(), "422 validation-failed");
    let failed = world.post("/payment/123/fail", json!({ "code": "declined" })).await;
    assert_eq!(failed.json()["failure"]["code"], "declined");
}

/// A transition's empty body is no input, whatever the content type.
#[tokio::test]
async fn no_body_is_no_input() {
    let world = World::new().await;
    for (id, content_type) in [("1", "application/json"), ("2", "text/plain"), ("3", "application/x-www-form-urlencoded")] {
        world.payment(id).await;
        let reply = world.step(&format!("/payment/{id}/complete")).header("content-type", content_type).body(" \n").await;
        assert_eq!(reply.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn an_unknown_step_meets_a_suggestion() {
    let world = World::new().await;
    world.payment("123").await;
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"A payment has no transition `complet`. Did you mean `complete`? It has: process, complete, fail, refund.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.step("/payment/123/complet").await.show());
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no route `/payment/123/statsu`. Did you mean `/payment/123/status`? `GET /v1/types` lists the types with their paths.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment/123/statsu").await.show());
    let get = world.get("/payment/123/complete").await;
    assert_eq!((get.code().as_str(), get.header("allow")), ("405 method-not-allowed", "POST"));
    assert_eq!(world.step("/payment/124/complete").await.code(), "404 not-found");
}

#[tokio::test]
async fn who_may_is_declared() {
    let (world, acme, _) = World::of_two().await;
    let id = world.post("/payment", json!({ "amount": 5, "currency": "eur" })).tenant("acme").await.member("id");
    let refused = world.step(&format!("/payment/{id}/complete")).key(&acme).await;
    expect![[r#"
        403
        ringback-tenant: acme
        {"type":"urn:ringback:error:forbidden","code":"forbidden","title":"Not allowed","status":403,"detail":"`complete` of a payment needs an operator key. `next` in its status lists what this key may call.","request_id":"req_…","retryable":false}"#]].assert_eq(&refused.show().replace(&id, "pay_…"));
    assert_eq!(world.step(&format!("/payment/{id}/complete")).tenant("acme").await.status, 200);
    assert_eq!(world.post(&format!("/payment/{id}/refund"), json!({ "amount": 5 })).key(&acme).await.status, 200);
}
