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
        {"type":"urn:ringback:error:schema-incompatible","code":"schema-incompatible","title":"Schema incompatible","status":422,"detail":"The new declaration of `order` doesn't fit what is stored: resources of it are stored (1). Keep the old meaning, or declare a new type.","request_id":"req_…","retryable":false}"#]].assert_eq(&lost.show());
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
