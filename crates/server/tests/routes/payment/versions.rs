//! `GET /payment/{id}/versions` and `/versions/{n}`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn each_version_is_the_event_that_made_it() {
    let world = World::new().await;
    world.payment("123").await;
    let created = world.get("/payment/123").await;
    let completed = world.step("/payment/123/complete").await;
    assert_eq!(world.get("/payment/123/versions/1").await.body, created.body);
    assert_eq!(world.get("/payment/123/versions/2").await.body, completed.body);
    let all = world.get("/payment/123/versions").await.json();
    assert_eq!(all["data"], serde_json::json!([created.json(), completed.json()]));
    assert_eq!(all.get("next_cursor"), None);
    for n in ["3", "0", "01", "-1", "x", "99999999999999999999"] {
        assert_eq!(world.get(&format!("/payment/123/versions/{n}")).await.code(), "404 not-found", "{n}");
    }
    expect![[r#"
        404
        ringback-tenant: default
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"Payment 123 has no version 3. Versions count from 1.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment/123/versions/3").await.show());
}

#[tokio::test]
async fn pages_join() {
    let world = World::new().await;
    world.payment("123").await;
    world.step("/payment/123/process").await;
    world.step("/payment/123/complete").await;
    let first = world.get("/payment/123/versions?limit=2").await.json();
    let next = world.get(&format!("/payment/123/versions?limit=2&after={}", first["next_cursor"].as_str().expect("more"))).await.json();
    assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
    assert_eq!((next["data"][0]["version"].as_u64(), next.get("next_cursor")), (Some(3), None));
}

/// So that a `thin` delivery can be followed.
#[tokio::test]
async fn a_version_outlives_its_resource() {
    let world = World::new().await;
    world.payment("123").await;
    world.delete("/payment/123").await;
    assert_eq!(world.get("/payment/123/versions/1").await.status, 200);
    assert_eq!(world.get("/payment/123/versions/2").await.status, 200);
}
