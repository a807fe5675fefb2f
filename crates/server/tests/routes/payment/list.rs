//! `GET /payment`.

use crate::world::{Reply, World};
use expect_test::expect;
use serde_json::json;
use std::time::Duration;

fn ids(reply: &Reply) -> Vec<String> {
    reply.json()["data"].as_array().expect("a list").iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

/// Five payments of 100 to 500, a second apart, the second and fourth completed.
async fn five() -> World {
    let world = World::new().await;
    for n in 1..=5 {
        world.clock.advance(Duration::from_secs(1));
        let customer = if n < 3 { "ann" } else { "bob" };
        world.post("/payment", json!({ "id": n.to_string(), "amount": n * 100, "currency": "eur", "customer": customer })).await;
    }
    world.step("/payment/2/complete").await;
    world.step("/payment/4/complete").await;
    world
}

#[tokio::test]
async fn newest_first_and_nothing_is_a_list_too() {
    let world = World::new().await;
    expect![[r#"
        200
        etag: W/"…"
        ringback-tenant: default
        {"data":[],"watch_cursor":"AQEAAAABAAAAAAAAAADNIJhhmaGK8u7tVLadriQx"}"#]]
    .assert_eq(&world.get("/payment").await.show());
    assert_eq!(ids(&five().await.get("/payment").await), ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn pages_join_and_end() {
    let world = five().await;
    let mut seen = Vec::new();
    let mut target = "/payment?limit=2".to_owned();
    loop {
        let page = world.get(&target).await;
        seen.push(ids(&page));
        match page.json()["next_cursor"].as_str() {
            Some(cursor) => target = format!("/payment?limit=2&after={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [vec!["5", "4"], vec!["3", "2"], vec!["1"]]);
}

#[tokio::test]
async fn conditions_on_fields() {
    let world = five().await;
    for (query, want) in [
        ("status=completed", vec!["4", "2"]),
        ("amount[gte]=300", vec!["5", "4", "3"]),
        ("amount[gt]=100&amount[lt]=400", vec!["3", "2"]),
        ("customer=ann&status=completed", vec!["2"]),
        ("status[ne]=completed", vec!["5", "3", "1"]),
        ("id[in]=1,5", vec!["5", "1"]),
        ("failure[exists]=true", vec![]),
    ] {
        assert_eq!(ids(&world.get(&format!("/payment?{query}")).await), want, "{query}");
    }
}

#[tokio::test]
async fn conditions_that_say_nothing_are_refused() {
    let world = World::new().await;
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`colour` is neither a parameter here nor a field of payment.","request_id":"req_…","retryable":false,"errors":[{"parameter":"colour","code":"invalid","detail":"`colour` is neither a parameter here nor a field of payment."}]}"#]].assert_eq(&world.get("/payment?colour=red").await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`ten` is not an integer between -2^63 and 2^64-1.","request_id":"req_…","retryable":false,"errors":[{"parameter":"amount[gte]","code":"invalid","detail":"`ten` is not an integer between -2^63 and 2^64-1."}]}"#]].assert_eq(&world.get("/payment?amount[gte]=ten").await.show());
    assert_eq!(world.get("/payment?amount[like]=1").await.code(), "400 bad-parameter");
    assert_eq!(world.get("/payment?limit=0").await.code(), "400 bad-parameter");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let world = five().await;
    let cursor = world.get("/payment?limit=2").await.member("next_cursor");
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:cursor-mismatch","code":"cursor-mismatch","title":"Cursor of another request","status":400,"detail":"`after` is a cursor of another request. Repeat the request that gave it, filter and order unchanged, or leave `after` out to begin anew.","request_id":"req_…","retryable":false,"errors":[{"parameter":"after","code":"invalid","detail":"`after` is a cursor of another request. Repeat the request that gave it, filter and order unchanged, or leave `after` out to begin anew."}]}"#]].assert_eq(&world.get(&format!("/payment?status=completed&after={cursor}")).await.show());
    assert_eq!(world.get(&format!("/note?after={cursor}")).await.code(), "400 cursor-mismatch");
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`after` is not a cursor that this server made for this tenant. Send one back as it was received, or leave it out to start at the beginning.","request_id":"req_…","retryable":false,"errors":[{"parameter":"after","code":"invalid","detail":"`after` is not a cursor that this server made for this tenant. Send one back as it was received, or leave it out to start at the beginning."}]}"#]].assert_eq(&world.get("/payment?after=nonsense").await.show());
    world.put("/v1/tenants/acme", json!({})).await;
    assert_eq!(world.get(&format!("/payment?after={cursor}")).tenant("acme").await.code(), "400 bad-parameter");
}

#[tokio::test]
async fn a_list_that_is_known_is_not_sent_again() {
    let world = five().await;
    let page = world.get("/payment?limit=2").await;
    let etag = page.header("etag").to_owned();
    assert!(etag.starts_with("W/\"l") && etag.len() == 21, "{etag}");
    let again = |header: &str| world.get("/payment?limit=2").header("if-none-match", header);
    for header in [etag.as_str(), etag.trim_start_matches("W/"), "*", &format!("\"3\", {etag}")] {
        let reply = again(header).await;
        assert_eq!((reply.status, reply.header("etag"), reply.text()), (304, etag.as_str(), ""), "{header}");
    }
    assert_eq!(again("\"3\"").await.status, 200);
    assert_eq!(again("3").await.code(), "400 bad-parameter");
    // Another list, and this one when something happened to a row of it.
    assert_eq!(world.get("/payment?limit=3").header("if-none-match", &etag).await.status, 200);
    world.step("/payment/1/complete").await;
    assert_eq!(again(&etag).await.status, 304, "it is on another page");
    world.step("/payment/5/complete").await;
    assert_eq!(again(&etag).await.status, 200);
    // What is refused is refused, whatever the caller has.
    assert_eq!(world.get("/payment?colour=red").header("if-none-match", "*").await.code(), "400 bad-parameter");
    assert_eq!(world.ask("HEAD", "/payment?limit=2").await.header("etag"), again("\"3\"").await.header("etag"));
}
