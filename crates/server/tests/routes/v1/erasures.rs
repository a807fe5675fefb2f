//! `/v1/erasures`.

use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn operators_erase_and_nobody_else_does() {
    let (world, acme, _) = World::of_two().await;
    let made = world
        .post("/v1/events", json!({ "type": "app.canary", "subject": "/person/anna", "data": { "who": "anna" } }))
        .tenant("acme")
        .await;
    let id = made.member("id");
    let ask = |body| world.post("/v1/erasures", body).tenant("acme");
    assert_eq!(world.post("/v1/erasures", json!({ "event": id })).key(&acme).await.code(), "403 forbidden");
    let gateway = world.new_key(json!({ "role": "gateway" })).await;
    assert_eq!(ask(json!({ "event": id })).key(&gateway).await.code(), "403 forbidden");
    let reply = ask(json!({ "event": id })).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!((reply.member("state"), reply.member("tenant")), ("running".to_owned(), "acme".to_owned()));
    let erasure = reply.member("id");
    assert!(erasure.starts_with("era_"));
    loop {
        let all = world.get("/v1/erasures").tenant("acme").await;
        assert_eq!(all.status, 200);
        let it = all.json()["data"][0].clone();
        assert_eq!(it["id"], erasure.as_str());
        if it["state"] == "done" {
            assert_eq!(it["erased"], 1);
            break;
        }
        tokio::task::yield_now().await;
    }
    let left = world.get(&format!("/v1/events/{id}")).key(&acme).await;
    assert_eq!((left.json()["data"].clone(), left.json().get("subject")), (json!(null), None));
    assert!(left.json()["erased_at"].is_string() && !left.text().contains("anna"));
    assert_eq!(world.get("/v1/erasures").tenant("globex").await.json()["data"], json!([]));
    assert_eq!(world.get("/v1/erasures").tenant("*").await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_is_to_be_erased_is_said_by_one_word() {
    let world = World::new().await;
    for bad in [json!({}), json!({ "event": "evt_1" }), json!({ "subject": "/a/1", "key": "k" }), json!({ "tenant": "nobody" })] {
        assert_eq!(world.post("/v1/erasures", bad.clone()).await.code(), "422 validation-failed", "{bad}");
    }
    assert_eq!(world.post("/v1/erasures", json!({ "subject": "/a/1", "colour": "red" })).await.code(), "400 unknown-field");
    assert_eq!(world.post("/v1/erasures", json!({ "key": "nobody's" })).await.code(), "404 not-found");
    world.payment("123").await;
    let event = world.get("/payment/123/events").await.json()["data"][0]["id"].clone();
    let refused = world.post("/v1/erasures", json!({ "event": event })).await;
    assert_eq!(refused.code(), "409 conflict");
    assert!(refused.text().contains("/payment/123"), "{}", refused.text());
}

#[tokio::test]
async fn a_watch_is_told_that_an_erased_one_is_gone_whatever_its_filter() {
    let world = World::new().await;
    world.payment("123").await;
    let asked = world.post("/v1/erasures", json!({ "subject": "/payment/123" })).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    while world.get("/v1/erasures").await.json()["data"][0]["state"] != "done" {
        tokio::task::yield_now().await;
    }
    for query in ["watch=true", "watch=true&currency=usd"] {
        let changes = world.get(&format!("/payment?{query}")).await;
        let data = changes.json()["data"].clone();
        assert_eq!(data.as_array().map(Vec::len), Some(1), "{query}: {data}");
        assert_eq!(data[0]["change"], "delete", "{query}");
        assert_eq!(data[0]["resource"], json!({ "id": "123", "type": "payment", "tenant": "default", "version": 2 }), "{query}");
    }
}
