//! `/livez`, `/readyz`.

use crate::world::World;
use expect_test::expect;

#[tokio::test]
async fn probes_need_no_key() {
    let world = World::new().await;
    expect![[r#"
        200
        ok"#]]
    .assert_eq(&world.get("/livez").without("authorization").await.show());
    assert_eq!(world.get("/readyz").without("authorization").await.text(), "ok");
    let head = world.ask("HEAD", "/livez").await;
    assert_eq!((head.status, head.text(), head.header("content-length")), (200, "", "2"));
    assert_eq!(world.step("/livez").await.code(), "405 method-not-allowed");
}

#[tokio::test]
async fn a_server_that_closes_is_alive_and_not_ready() {
    let world = World::new().await;
    world.server.drain();
    assert_eq!(world.get("/livez").await.status, 200);
    let ready = world.get("/readyz").await;
    assert_eq!(ready.code(), "503 draining");
    assert_eq!(ready.header("retry-after"), "2");
}
