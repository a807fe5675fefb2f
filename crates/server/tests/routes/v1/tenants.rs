//! `/v1/tenants`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn tenants_are_made_listed_and_changed() {
    let world = World::new().await;
    let made = world.put("/v1/tenants/acme", json!({ "name": "Acme", "metadata": { "plan": "gold" } })).await;
    expect![[r#"
        201
        etag: "1"
        location: /v1/tenants/acme
        ringback-tenant: *
        {"id":"acme","name":"Acme","metadata":{"plan":"gold"},"created_at":"2026-11-23T18:24:44.000000Z"}"#]]
    .assert_eq(&made.show());
    // What is not given stays.
    let changed = world.put("/v1/tenants/acme", json!({ "name": "Acme Ltd" })).await;
    assert_eq!((changed.status, changed.json()["metadata"]["plan"].as_str()), (200, Some("gold")));
    assert_eq!(world.get("/v1/tenants/acme").await.body, changed.body);
    let page = world.get("/v1/tenants?limit=1").await.json();
    assert_eq!(page["data"][0]["id"], "acme");
    let rest = world.get(&format!("/v1/tenants?after={}", page["next_cursor"].as_str().expect("more"))).await.json();
    assert_eq!((rest["data"][0]["id"].as_str(), rest.get("next_cursor")), (Some("default"), None));
    assert_eq!(world.ask("PUT", "/v1/tenants/globex").await.status, 201, "no body is an empty one");
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = World::new().await;
    expect![[r#"
        400
        ringback-tenant: *
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`id` should be 1 to 63 lower-case letters, digits and `-`, and is `No%20Good`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"id","code":"invalid","detail":"`id` should be 1 to 63 lower-case letters, digits and `-`, and is `No%20Good`."}]}"#]].assert_eq(&world.put("/v1/tenants/No%20Good", json!({})).await.show());
    expect![[r#"
        400
        ringback-tenant: *
        {"type":"urn:ringback:error:unknown-field","code":"unknown-field","title":"Unknown field","status":400,"detail":"`/nmae`: no such field here; did you mean `name`?","request_id":"req_…","retryable":false,"errors":[{"pointer":"/nmae","code":"unknown-field","detail":"`/nmae`: no such field here; did you mean `name`?"}]}"#]].assert_eq(&world.put("/v1/tenants/acme", json!({ "nmae": "Acme" })).await.show());
    assert_eq!(world.get("/v1/tenants/none").await.code(), "404 not-found");
}
