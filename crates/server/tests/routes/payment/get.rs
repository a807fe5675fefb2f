//! `GET /payment/{id}`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn a_payment_is_shown() {
    let world = World::new().await;
    world.payment("123").await;
    expect![[r#"
        200
        etag: "1"
        ringback-tenant: default
        {"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}"#]].assert_eq(&world.get("/payment/123").await.show());
    // Another spelling of the same path.
    assert_eq!(world.get("/payment/%31%32%33").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new().await;
    world.payment("123").await;
    for path in ["/payment/124", "/payment/a%2Fb", "/payment/%C3%A4", "/note/123"] {
        assert_eq!(world.get(path).await.code(), "404 not-found", "{path}");
    }
    world.delete("/payment/123").await;
    assert_eq!(world.get("/payment/123").await.code(), "404 not-found");
}

#[tokio::test]
async fn operators_find_it_in_any_tenant() {
    let (world, ..) = World::of_two().await;
    world.payment("123").await;
    let reply = world.get("/payment/123").tenant("*").await;
    assert_eq!((reply.status, reply.member("tenant").as_str()), (200, "default"));
    assert_eq!(world.get("/payment/124").tenant("*").await.code(), "404 not-found");
}
