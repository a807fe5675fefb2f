//! `/v1/types`.

use crate::world::{World, payment};
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn types_are_listed_in_short_and_shown_as_declared() {
    let world = World::new().await;
    let page = world.get("/v1/types?limit=1").await.json();
    assert_eq!(page["data"][0]["type"], "dossier");
    let rest = world.get(&format!("/v1/types?after={}", page["next_cursor"].as_str().expect("more"))).await.json();
    expect![[r#"{"data":[{"type":"invoice","path":"/invoice","managed_by":"file","statuses":["open","paid","void"],"done":["paid","void"],"transitions":[],"events":["invoice.open","invoice.paid","invoice.void","invoice.updated","invoice.deleted"],"mirror":true,"examples":[]},{"type":"note","path":"/note","managed_by":"file","statuses":["written","filed"],"done":["filed"],"transitions":["filed"],"events":["note.created","note.filed","note.updated","note.deleted"],"examples":[]},{"type":"payment","path":"/payment","managed_by":"file","statuses":["created","processing","completed","failed","partially_refunded","refunded"],"done":["completed","failed","partially_refunded","refunded"],"transitions":["process","complete","fail","refund"],"events":["payment.created","payment.processing","payment.completed","payment.failed","payment.refunded","payment.updated","payment.deleted"],"examples":[]}]}"#]].assert_eq(&rest.to_string());
    assert_eq!(world.get("/v1/types/payment").await.json(), payment());
    assert_eq!(world.get("/v1/types/none").await.code(), "404 not-found");
}

#[tokio::test]
async fn a_type_is_put_served_changed_and_deleted() {
    let world = World::new().await;
    let order = json!({ "type": "order", "lifecycle": "created -> paid -> shipped | cancelled" });
    assert_eq!(world.get("/order").await.code(), "404 not-found");
    let made = world.put("/v1/types/order", order.clone()).await;
    assert_eq!((made.status, made.header("location"), made.json()), (201, "/v1/types/order", order.clone()));
    let id = world.post("/order", json!({ "anything": 1 })).await.member("id");
    assert_eq!(world.step(&format!("/order/{id}/paid")).await.member("status"), "paid");
    let used = world.delete("/v1/types/order").await;
    expect![[r#"
        409
        ringback-tenant: *
        {"type":"urn:ringback:error:conflict","code":"conflict","title":"Conflict","status":409,"detail":"Type `order` can't be removed or changed so, because resources of it are stored (1).","request_id":"req_…","retryable":true}"#]].assert_eq(&used.show());
    let lost = world.put("/v1/types/order", json!({ "type": "order", "lifecycle": "created -> gone" })).await;
    expect![[r#"
        422
        ringback-tenant: *
        {"type":"urn:ringback:error:schema-incompatible","code":"schema-incompatible","title":"Schema incompatible","status":422,"detail":"The new declaration of `order` doesn't fit what is stored: 1 resource would break it: the status `paid` is gone (1). Keep the old meaning, change those resources first, or declare a new type.","request_id":"req_…","retryable":false,"count":1}"#]].assert_eq(&lost.show());
    world.delete(&format!("/order/{id}")).await;
    assert_eq!(world.put("/v1/types/order", order).header("if-match", "\"7\"").await.code(), "412 precondition-failed");
    assert_eq!(world.delete("/v1/types/order").header("if-match", "\"1\"").await.status, 204);
    assert_eq!(world.get("/order").await.code(), "404 not-found");
}

#[tokio::test]
async fn a_type_of_a_file_is_read_only() {
    let world = World::new().await;
    expect![[r#"
        409
        ringback-tenant: *
        {"type":"urn:ringback:error:managed-by-file","code":"managed-by-file","title":"Managed by a file","status":409,"detail":"The type `payment` comes from a file of `--types`. Change the file and restart the server.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.put("/v1/types/payment", payment()).await.show());
    assert_eq!(world.delete("/v1/types/payment").await.code(), "409 managed-by-file");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place() {
    let world = World::new().await;
    let bad =
        world.put("/v1/types/order", json!({ "type": "order", "path": "/v1", "lifecycle": { "initial": "none", "statuses": {} } })).await;
    assert_eq!(bad.code(), "422 validation-failed");
    assert!(bad.json()["errors"][0]["pointer"].is_string(), "{}", bad.show());
    let other = world.put("/v1/types/order", json!({ "type": "parcel", "lifecycle": "a -> b" })).await;
    assert_eq!((other.code().as_str(), other.json()["errors"][0]["pointer"].as_str()), ("422 validation-failed", Some("/type")));
    let taken = world.put("/v1/types/order", json!({ "type": "order", "path": "/payment", "lifecycle": "a -> b" })).await;
    assert_eq!(taken.code(), "422 validation-failed");
}

#[tokio::test]
async fn types_need_no_tenant() {
    let (world, acme, _) = World::of_two().await;
    assert_eq!(world.get("/v1/types").await.status, 200);
    let names = world.get("/v1/types").key(&acme).await.text().to_owned();
    assert!(names.contains("payment") && !names.contains("dossier"), "{names}");
}

#[tokio::test]
async fn additions_pass_and_what_is_used_stays() {
    let world = World::new().await;
    let order = |more: &str, statuses: &str, closed: bool| {
        let schema =
            format!(r#"{{"type":"object","additionalProperties":{},"properties":{{"amount":{{"type":"integer"}}{more}}}}}"#, !closed);
        json!({ "type": "order", "lifecycle": statuses, "schema": serde_json::from_str::<serde_json::Value>(&schema).expect("JSON") })
    };
    let put = |it| world.put("/v1/types/order", it);
    assert_eq!(put(order("", "created -> paid -> shipped", true)).await.status, 201);
    for amount in [1, 50] {
        world.post("/order", json!({ "id": amount.to_string(), "amount": amount })).await;
    }
    world.step("/order/1/paid").await;
    // A field and a status more.
    assert_eq!(put(order(r#","note":{"type":"string"}"#, "created -> paid -> shipped | lost", true)).await.status, 200);
    world.patch("/order/1", json!({ "note": "fragile" })).await;
    let refused = put(order("", "created -> shipped", true)).await;
    expect![[r#"
        422
        ringback-tenant: *
        {"type":"urn:ringback:error:schema-incompatible","code":"schema-incompatible","title":"Schema incompatible","status":422,"detail":"The new declaration of `order` doesn't fit what is stored: 1 resource would break it: the status `paid` is gone (1), `/note` breaks `additionalProperties` (1). Keep the old meaning, change those resources first, or declare a new type.","request_id":"req_…","retryable":false,"count":1}"#]].assert_eq(&refused.show());
    assert_eq!(refused.json()["count"], 1);
    assert_eq!(
        put(order(r#","note":{"type":"string","maxLength":3}"#, "created -> paid -> shipped", true)).await.code(),
        "422 schema-incompatible"
    );
    // What no stored resource uses may go: the status `lost`, and longer notes than there are.
    assert_eq!(put(order(r#","note":{"type":"string","maxLength":7}"#, "created -> paid -> shipped", true)).await.status, 200);
    world.delete("/order/1").await;
    assert_eq!(put(order("", "created -> shipped", true)).await.status, 200);
    let moved = json!({ "type": "order", "path": "/orders", "lifecycle": "created -> shipped" });
    assert_eq!(put(moved.clone()).await.code(), "422 schema-incompatible");
    world.delete("/order/50").await;
    assert_eq!(put(moved).await.status, 200);
}
