//! `POST /v1/batch`.

use crate::world::{Ask, World};
use expect_test::expect;
use serde_json::{Value, json};

fn batch(world: &World, operations: Value) -> Ask {
    world.post("/v1/batch", json!({ "operations": operations }))
}

#[tokio::test]
async fn all_is_done_in_one_change_set_and_each_sees_those_before_it() {
    let world = World::new().await;
    let done = batch(
        &world,
        json!([
            { "method": "POST", "path": "/payment", "body": { "id": "123", "amount": 1999, "currency": "eur" } },
            { "method": "PATCH", "path": "/payment/123", "body": { "customer": "ann" }, "if_match": "\"1\"" },
            { "method": "POST", "path": "/payment/123/complete" },
            { "method": "POST", "path": "/payment/123/refund", "body": { "amount": 1999 }, "if_match": "\"3\"" },
            { "method": "PUT", "path": "/invoice/7", "body": { "source_version": 1, "status": "open", "amount": 5 } },
            { "method": "PUT", "path": "/invoice/7", "body": { "source_version": 1, "status": "paid", "amount": 5 } },
            { "method": "DELETE", "path": "/invoice/7?source_version=2" },
            { "method": "POST", "path": "/v1/events", "body": { "type": "order.shipped", "data": {"n":1.50} } },
        ]),
    )
    .await;
    expect![[r#"
        200
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"results":[{"status":201,"etag":"\"1\"","body":{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}},{"status":200,"etag":"\"2\"","body":{"id":"123","type":"payment","tenant":"default","status":"created","version":2,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0,"customer":"ann"}},{"status":200,"etag":"\"3\"","body":{"id":"123","type":"payment","tenant":"default","status":"completed","version":3,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0,"customer":"ann"}},{"status":200,"etag":"\"4\"","body":{"id":"123","type":"payment","tenant":"default","status":"refunded","version":4,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":1999,"customer":"ann"}},{"status":201,"etag":"\"1\"","body":{"id":"7","type":"invoice","tenant":"default","status":"open","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","source_version":1,"amount":5}},{"status":200,"etag":"\"1\"","applied":false,"body":{"id":"7","type":"invoice","tenant":"default","status":"open","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","source_version":1,"amount":5}},{"status":204,"body":null},{"status":201,"body":{"id":"evt_…","type":"order.shipped","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","sequence":7,"data":{"n":1.5}}}]}"#]].assert_eq(&done.show());
    assert_eq!(world.get("/payment/123").await.member("status"), "refunded");
    let feed = world.get("/v1/events?limit=1").await.json();
    let all: Vec<_> = feed["data"].as_array().expect("a feed").iter().map(|it| it["type"].as_str().expect("a type")).collect();
    let want =
        ["payment.created", "payment.updated", "payment.completed", "payment.refunded", "invoice.open", "invoice.deleted", "order.shipped"];
    assert_eq!(all, want, "a page never ends inside a change set");
}

#[tokio::test]
async fn one_refusal_is_nothing_done() {
    let world = World::new().await;
    world.payment("1").await;
    let first = json!({ "method": "POST", "path": "/payment/1/complete" });
    let refused = batch(&world, json!([first, { "method": "POST", "path": "/payment/1/process" }])).await;
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:transition-not-allowed","code":"transition-not-allowed","title":"Transition not allowed","status":409,"detail":"Payment 1 is completed. `process` is possible from created. Possible now: refund.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/operations/1","code":"transition-not-allowed","detail":"Payment 1 is completed. `process` is possible from created. Possible now: refund."}],"current_status":"completed","requested":"process","allowed":["refund"],"operation":1}"#]].assert_eq(&refused.show());
    for (second, code, pointer) in [
        (
            json!({ "method": "POST", "path": "/payment", "body": { "amount": 0, "currency": "eur" } }),
            "422 validation-failed",
            "/operations/1/body/amount",
        ),
        (
            json!({ "method": "POST", "path": "/payment", "body": { "id": "1", "amount": 1, "currency": "eur" } }),
            "409 already-exists",
            "/operations/1",
        ),
        (json!({ "method": "PATCH", "path": "/payment/2", "body": {} }), "404 not-found", "/operations/1"),
        (json!({ "method": "PATCH", "path": "/payment/1", "body": {}, "if_match": "\"1\"" }), "412 precondition-failed", "/operations/1"),
        (
            json!({ "method": "PATCH", "path": "/payment/1", "body": {}, "if_match": "1" }),
            "422 validation-failed",
            "/operations/1/if_match",
        ),
        (json!({ "method": "PATCH", "path": "/payment/1" }), "422 validation-failed", "/operations/1/body"),
        (json!({ "method": "PATCH", "path": "/note/1", "body": {} }), "428 precondition-required", "/operations/1"),
        (json!({ "method": "POST", "path": "/v1/events", "body": { "type": "payment.x", "data": 1 } }), "409 type-owned", "/operations/1"),
        (json!({ "method": "POST", "path": "/v1/events", "body": { "data": 1 } }), "422 validation-failed", "/operations/1/body/type"),
        (json!({ "method": "POST", "path": "/v1/keys", "body": { "role": "operator" } }), "422 validation-failed", "/operations/1/path"),
        (json!({ "method": "PUT", "path": "/payment/1", "body": {} }), "405 method-not-allowed", "/operations/1"),
        (json!({ "method": "POST", "path": "/nowhere", "body": {} }), "404 not-found", "/operations/1"),
        (json!({ "method": "POST", "path": "/payment?dry_run=true", "body": {} }), "400 bad-parameter", "/operations/1"),
        (json!({ "method": "GET", "path": "/payment" }), "422 validation-failed", "/operations/1/method"),
        (json!(5), "422 validation-failed", "/operations/1"),
    ] {
        let reply = batch(&world, json!([first, second])).await;
        assert_eq!((reply.code().as_str(), &reply.json()["errors"][0]["pointer"]), (code, &json!(pointer)), "{second}");
    }
    assert_eq!(world.get("/payment/1").await.member("status"), "created");
    assert_eq!(world.get("/v1/log").await.json()["last"], 1);
}

#[tokio::test]
async fn its_body_has_a_form() {
    let world = World::new().await;
    for (body, code) in [
        (json!([]), "422 validation-failed"),
        (json!({}), "422 validation-failed"),
        (json!({ "operations": {} }), "422 validation-failed"),
        (json!({ "operations": [] }), "422 validation-failed"),
        (json!({ "operation": [] }), "400 unknown-field"),
    ] {
        assert_eq!(world.post("/v1/batch", body.clone()).await.code(), code, "{body}");
    }
    let publish = |data: usize| json!({ "method": "POST", "path": "/v1/events", "body": { "type": "a.b", "data": data } });
    assert_eq!(batch(&world, (0..100).map(publish).collect()).await.status, 200);
    assert_eq!(batch(&world, (0..101).map(publish).collect()).await.code(), "422 validation-failed");
    // Many events of few operations are too many all the same.
    let many = |_| json!({ "method": "POST", "path": "/v1/events", "body": vec![json!({ "type": "a.b", "data": 1 }); 501] });
    assert_eq!(batch(&world, (0..2).map(many).collect()).await.code(), "409 limit-reached");
}

#[tokio::test]
async fn each_operation_needs_its_own_scope_and_authority() {
    let (world, acme, _) = World::of_two().await;
    world.post("/payment", json!({ "id": "1", "amount": 5, "currency": "eur" })).tenant("acme").await;
    let note = json!({ "method": "POST", "path": "/note", "body": {} });
    let complete = json!({ "method": "POST", "path": "/payment/1/complete" });
    assert_eq!(batch(&world, json!([note, complete])).key(&acme).await.code(), "403 forbidden");
    assert_eq!(batch(&world, json!([note])).key(&acme).await.status, 200);
    let dossier = json!({ "method": "POST", "path": "/internal/dossier", "body": {} });
    assert_eq!(batch(&world, json!([dossier])).key(&acme).await.code(), "404 not-found");
    let narrow = world.new_key(json!({ "role": "operator", "scopes": ["resources:write"] })).await;
    let refused = batch(&world, json!([note, complete])).key(&narrow).tenant("acme").await;
    assert_eq!((refused.code().as_str(), refused.member("required_scope").as_str()), ("403 forbidden", "resources:act"));
    assert_eq!(refused.json()["operation"], 1);
}

#[tokio::test]
async fn it_is_answered_once_and_tried_without_a_trace() {
    let world = World::new().await;
    let ask = |target: &str| {
        let create = json!({ "method": "POST", "path": "/payment", "body": { "amount": 5, "currency": "eur" } });
        world.post(target, json!({ "operations": [create] })).header("idempotency-key", "k")
    };
    let tried = ask("/v1/batch?dry_run=true").await.json();
    assert_eq!((&tried["dry_run"], &tried["events"][0]["type"]), (&json!(true), &json!("payment.created")));
    let (first, again) = (ask("/v1/batch").await, ask("/v1/batch").await);
    assert_eq!((first.status, &first.body, again.header("idempotency-replayed")), (200, &again.body, "true"));
    assert_eq!(world.get("/v1/log").await.json()["last"], 1);
}

/// Two batches that change the same resources in another order neither wait for each other nor lose a change.
#[tokio::test]
async fn batches_at_once_take_turns() {
    let world = World::new().await;
    world.payment("1").await;
    world.payment("2").await;
    let touch = |ids: [&str; 2], who: usize| {
        let patch = |id: &str| json!({ "method": "PATCH", "path": format!("/payment/{id}"), "body": { "customer": who.to_string() } });
        batch(&world, json!([patch(ids[0]), patch(ids[1])])).into_future()
    };
    let all = (0..20).map(|who| touch(if who % 2 == 0 { ["1", "2"] } else { ["2", "1"] }, who));
    let replies = futures_util::future::join_all(all).await;
    assert!(replies.iter().all(|it| it.status == 200), "{replies:?}");
    let (one, two) = (world.get("/payment/1").await.json(), world.get("/payment/2").await.json());
    assert_eq!((&one["customer"], &one["version"], &two["version"]), (&two["customer"], &json!(21), &json!(21)));
}
