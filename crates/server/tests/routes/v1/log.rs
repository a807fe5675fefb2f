//! `/v1/log`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn the_ends_of_ones_own_log() {
    let (world, acme, _) = World::of_two().await;
    world.payment("123").await;
    world.step("/payment/123/complete").tenant("default").await;
    expect![[r#"
        200
        ringback-tenant: default
        {"first":1,"last":2,"floor":0,"epoch":1,"deliveries_held":false}"#]]
    .assert_eq(&world.get("/v1/log").tenant("default").await.show());
    assert_eq!(world.get("/v1/log").tenant("*").await.member("last"), "2");
    assert_eq!(world.get("/v1/log").key(&acme).await.member("last"), "0");
}

#[tokio::test]
async fn only_operators_release_deliveries_and_twice_is_once() {
    let (world, acme, _) = World::of_two().await;
    assert_eq!(world.ask("POST", "/v1/log/release").key(&acme).await.code(), "403 forbidden");
    for _ in 0..2 {
        let reply = world.ask("POST", "/v1/log/release").await;
        assert_eq!((reply.status, reply.member("deliveries_held")), (200, "false".into()), "{}", reply.show());
    }
}
