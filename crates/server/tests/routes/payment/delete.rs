//! `DELETE /payment/{id}`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn the_last_image_is_in_the_event() {
    let world = World::new().await;
    world.payment("123").await;
    let reply = world.delete("/payment/123").await;
    expect![[r#"
        204
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
    "#]]
    .assert_eq(&reply.show());
    let event = world.get(&format!("/v1/events/{}", reply.header("ringback-event"))).await.json();
    assert_eq!((&event["type"], &event["data"]["version"], event.get("previous")), (&"payment.deleted".into(), &2.into(), None));
    assert_eq!(world.delete("/payment/123").await.code(), "404 not-found");
}
