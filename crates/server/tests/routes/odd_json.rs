//! Published data that is well-formed and stands for no value: kept byte for byte,
//! and found by everything else that is in it.

use crate::world::{World, settle};
use serde_json::json;

const ODD: &str = r#"{"a":"\ud800","big":1e999,"\udc00":1,"amount":1500,"price":1.50,"to":{"bad":-1e400,"city":"Bonn"}}"#;

async fn publish(world: &World, data: &str) -> String {
    let body = format!(r#"{{"type":"order.placed","subject":"/order/1","data":{data}}}"#);
    let made = world.ask("POST", "/v1/events").header("content-type", "application/json").body(body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.text().contains(&format!("\"data\":{data}")), "{}", made.text());
    made.header("ringback-event").to_owned()
}

async fn found(world: &World, filter: &str) -> usize {
    let filter: String = filter.bytes().map(|it| format!("%{it:02x}")).collect();
    let page = world.get(&format!("/v1/events?filter={filter}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page.text().matches("\"id\":\"evt_").count()
}

#[tokio::test]
async fn a_filter_finds_what_is_beside_it() {
    let world = World::new().await;
    publish(&world, ODD).await;
    for (filter, want) in [
        ("data.amount >= 1000", 1),
        ("data.amount = 1", 0),
        ("data.to.city = \"Bonn\" AND data.price = 1.5", 1),
        ("id = \"evt_*\"", 1),
        // It is there, and equals nothing.
        ("data.a:*", 1),
        ("data.big:*", 1),
        ("data.to.bad:*", 1),
        ("NOT data.big:*", 0),
        ("data.big > 5", 0),
        ("data.big <= 5", 0),
        ("data.big = 5", 0),
        ("data.a = \"\"", 0),
        ("data.a = \"*\"", 0),
        ("data.a IN (\"x\", \"y\")", 0),
        // There, and not equal: as of any value of another kind.
        ("data.big != 5", 1),
        ("data.a != \"x\"", 1),
        ("data.nothing:*", 0),
    ] {
        assert_eq!(found(&world, filter).await, want, "{filter}");
    }
    assert_eq!(found(&world, "data.amount = 1500 AND NOT data.big > 5").await, 1);
}

#[tokio::test]
async fn whoever_reads_gets_it_byte_for_byte() {
    let world = World::new().await;
    let made = |payload: &str| json!({ "types": ["order.*"], "filter": "data.amount = 1500", "payload": payload, "strict": false });
    for payload in ["full", "data", "cloudevents", "thin"] {
        assert_eq!(world.put(&format!("/v1/subscriptions/{payload}"), made(payload)).await.status, 201);
    }
    let event = publish(&world, ODD).await;
    settle().await;
    for payload in ["full", "data", "cloudevents", "thin"] {
        let pulled = world.post(&format!("/v1/subscriptions/{payload}/pull"), json!({})).await;
        assert_eq!(pulled.status, 200, "{payload}: {}", pulled.text());
        let want = if payload == "thin" { event.as_str() } else { ODD };
        assert!(pulled.text().contains(want), "{payload}: {}", pulled.text());
    }
    let explained = world.get(&format!("/v1/subscriptions/full/explain?event={event}")).await;
    assert_eq!(explained.member("verdict"), "delivering", "{}", explained.text());
    let one = world.get(&format!("/v1/events/{event}")).await;
    assert!(one.text().contains(ODD));
    let mut stream = world.get("/v1/events?after=start&filter=data.amount%3D1500").header("accept", "text/event-stream").open().await;
    stream.next().await;
    let frame = stream.next().await.expect("the event");
    assert!(frame.contains(ODD), "{frame}");
}

#[tokio::test]
async fn why_it_is_not_delivered_is_told() {
    let world = World::new().await;
    let made = json!({ "types": ["order.*"], "filter": "data.to.bad > 5", "strict": false });
    assert_eq!(world.put("/v1/subscriptions/s", made).await.status, 201);
    let event = publish(&world, ODD).await;
    let explained = world.get(&format!("/v1/subscriptions/s/explain?event={event}")).await;
    assert_eq!(explained.member("verdict"), "not-matched", "{}", explained.text());
    assert!(explained.text().contains("`data.to.bad` is -1e400 (which stands for no value, and equals nothing)"), "{}", explained.text());
}

/// Resource fields are values: there such text is refused, and told where.
#[tokio::test]
async fn resources_do_not_take_it() {
    let world = World::new().await;
    for (body, want) in [(r#"{"text":"\ud800"}"#, "surrogate"), (r#"{"n":1e999}"#, "out of range"), (r#"{"\ud800":1}"#, "surrogate")] {
        for method in ["POST", "PATCH"] {
            let target = if method == "POST" { "/note" } else { "/note/1" };
            let got = world.ask(method, target).header("content-type", "application/json").body(body).await;
            assert_eq!(got.code(), "400 malformed-json", "{method} {body}");
            assert!(got.text().contains(want), "{}", got.text());
        }
    }
}
