//! `POST /payment`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn a_payment_is_made() {
    let world = World::new().await;
    let reply = world.post("/payment", json!({ "id": "123", "amount": 1999, "currency": "eur" })).await;
    expect![[r#"
        201
        etag: "1"
        location: /payment/123
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}"#]].assert_eq(&reply.show());
    let event = world.get(&format!("/v1/events/{}", reply.header("ringback-event"))).await;
    expect![[r#"
        200
        ringback-tenant: default
        {"id":"evt_…","type":"payment.created","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","sequence":1,"subject":"/payment/123","data":{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}}"#]].assert_eq(&event.show());
}

#[tokio::test]
async fn an_id_is_made_where_none_is_chosen() {
    let world = World::new().await;
    let reply = world.post("/payment", json!({ "amount": 1, "currency": "eur" })).await;
    let id = reply.member("id");
    assert!(id.starts_with("pay_") && id.len() == 30, "{id}");
    assert_eq!(reply.header("location"), format!("/payment/{id}"));
    assert_eq!(world.get(&format!("/payment/{id}")).await.body, reply.body);
}

/// `curl -d '{…}'` says that it sends a form.
#[tokio::test]
async fn curls_default_is_good_enough() {
    let world = World::new().await;
    let ask = || world.ask("POST", "/payment").body(r#" {"amount":1999,"currency":"eur"}"#);
    assert_eq!(ask().header("content-type", "application/x-www-form-urlencoded").await.status, 201);
    assert_eq!(ask().await.status, 201);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place() {
    let world = World::new().await;
    let ask = |body: &'static str| world.ask("POST", "/payment").header("content-type", "application/json").body(body);
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"`/amount`: \"x\" is not of type \"integer\". `GET /v1/types/payment` shows what a payment may hold.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/amount","code":"invalid","detail":"`/amount`: \"x\" is not of type \"integer\"."}]}"#]].assert_eq(&ask(r#"{"amount":"x","currency":"eur"}"#).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"`/colour`: `colour` is not declared. `GET /v1/types/payment` shows what a payment may hold.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/colour","code":"invalid","detail":"`/colour`: `colour` is not declared."}]}"#]].assert_eq(&ask(r#"{"amount":1,"currency":"eur","colour":"red"}"#).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:read-only-field","code":"read-only-field","title":"Read-only field","status":422,"detail":"`/status`: a new payment is `created`; transitions change its status.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/status","code":"read-only-field","detail":"`/status`: a new payment is `created`; transitions change its status."}]}"#]].assert_eq(&ask(r#"{"amount":1,"currency":"eur","status":"completed"}"#).await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:malformed-json","code":"malformed-json","title":"Malformed JSON","status":400,"detail":"The body is not JSON: line 1, column 24: the text ends in the middle of a value.","request_id":"req_…","retryable":false}"#]].assert_eq(&ask(r#"{"amount":1,"currency":"#).await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:malformed-json","code":"malformed-json","title":"Malformed JSON","status":400,"detail":"The body is not JSON: line 1, column 13: `amount` is in this object twice.","request_id":"req_…","retryable":false}"#]].assert_eq(&ask(r#"{"amount":1,"amount":2,"currency":"eur"}"#).await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:malformed-json","code":"malformed-json","title":"Malformed JSON","status":400,"detail":"No body was sent. Send JSON such as `{}`.","request_id":"req_…","retryable":false}"#]].assert_eq(&ask("").await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"A resource is a JSON object.","request_id":"req_…","retryable":false,"errors":[{"pointer":"","code":"invalid","detail":"A resource is a JSON object."}]}"#]].assert_eq(&ask("[]").await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"`/id`: `a/b` is not a resource id: 1 to 128 of A-Z a-z 0-9 . _ ~ -, and not `.` or `..`. `GET /v1/types/payment` shows what a payment may hold.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/id","code":"invalid","detail":"`/id`: `a/b` is not a resource id: 1 to 128 of A-Z a-z 0-9 . _ ~ -, and not `.` or `..`."}]}"#]].assert_eq(&ask(r#"{"id":"a/b","amount":1,"currency":"eur"}"#).await.show());
}

#[tokio::test]
async fn an_id_is_taken_for_good() {
    let world = World::new().await;
    world.payment("123").await;
    let again = || world.post("/payment", json!({ "id": "123", "amount": 5, "currency": "usd" }));
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:already-exists","code":"already-exists","title":"Already exists","status":409,"detail":"There is a payment `123` already. Choose another id, or leave it out to get one; the ids of deleted ones stay taken.","request_id":"req_…","retryable":false,"conflicting_id":"123"}"#]].assert_eq(&again().await.show());
    assert_eq!(world.delete("/payment/123").await.status, 204);
    assert_eq!(again().await.code(), "409 already-exists");
}

#[tokio::test]
async fn tenants_do_not_make_payments_but_notes() {
    let (world, acme, _) = World::of_two().await;
    let refused = world.post("/payment", json!({ "amount": 1, "currency": "eur" })).key(&acme).await;
    expect![[r#"
        403
        ringback-tenant: acme
        {"type":"urn:ringback:error:forbidden","code":"forbidden","title":"Not allowed","status":403,"detail":"It takes an operator key to create resources of the type `payment`.","request_id":"req_…","retryable":false}"#]].assert_eq(&refused.show());
    assert_eq!(world.post("/note", json!({})).key(&acme).await.status, 201);
}
