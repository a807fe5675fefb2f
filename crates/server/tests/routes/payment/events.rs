//! `GET /payment/{id}/events`.

use crate::world::World;

#[tokio::test]
async fn only_its_own() {
    let world = World::new().await;
    world.payment("123").await;
    world.payment("124").await;
    world.step("/payment/123/complete").await;
    let reply = world.get("/payment/123/events").await.json();
    let types: Vec<_> = reply["data"].as_array().expect("a list").iter().map(|it| it["type"].as_str().expect("a type")).collect();
    assert_eq!(types, ["payment.created", "payment.completed"]);
    let completed = world.get("/payment/123/events?types=payment.completed").await.json();
    assert_eq!(completed["data"].as_array().map(Vec::len), Some(1));
    let rest = world.get(&format!("/payment/123/events?after={}", reply["cursor"].as_str().expect("a cursor"))).await.json();
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn also_of_a_deleted_one_but_not_of_none() {
    let world = World::new().await;
    world.payment("123").await;
    world.delete("/payment/123").await;
    assert_eq!(world.get("/payment/123/events").await.json()["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.get("/payment/124/events").await.code(), "404 not-found");
}
