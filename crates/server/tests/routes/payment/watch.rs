//! `GET /payment?watch=true`, and `/payment` as a stream.

use crate::world::{World, data_of, id_of, settle};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const STREAM: &str = "text/event-stream";
const PAID: &str = "status%20%3D%20completed";

/// `enter 1`, …
fn changes(page: &Value) -> Vec<String> {
    let items = page["data"].as_array().expect("a feed").iter();
    items.map(|it| format!("{} {}", it["change"].as_str().unwrap_or("?"), it["resource"]["id"].as_str().unwrap_or("?"))).collect()
}

#[tokio::test]
async fn a_filtered_watch_says_what_comes_and_goes() {
    let world = World::new().await;
    for id in ["1", "2", "3"] {
        world.payment(id).await;
    }
    world.step("/payment/1/complete").await;
    world.step("/payment/2/complete").await;
    world.patch("/payment/1", json!({ "customer": "ann" })).await;
    world.post("/payment/1/refund", json!({ "amount": 1999 })).await;
    world.patch("/payment/1", json!({ "customer": "bob" })).await;
    world.delete("/payment/2").await;
    world.delete("/payment/3").await;
    let page = world.get(&format!("/payment?watch=true&filter={PAID}")).await.json();
    assert_eq!(changes(&page), ["enter 1", "enter 2", "update 1", "leave 1", "delete 2"]);
    let all = world.get("/payment?watch=true").await.json();
    assert_eq!(
        changes(&all),
        ["enter 1", "enter 2", "enter 3", "update 1", "update 2", "update 1", "update 1", "update 1", "delete 2", "delete 3"]
    );
    let event = page["data"][0]["event"].as_str().expect("an id");
    let stored = world.get(&format!("/v1/events/{event}")).await.json();
    assert_eq!(stored["data"], page["data"][0]["resource"], "the resource is the event's image");
    assert_eq!((page["has_more"].clone(), page["lag"].clone()), (json!(false), json!(0)));
    let sugar = world.get("/payment?watch=true&status=completed").await.json();
    assert_eq!(sugar["data"], page["data"], "conditions as parameters mean the same");
}

/// `previous` does not carry the old `updated_at`: it is asked of the version before.
#[tokio::test]
async fn a_filter_on_the_time_of_change_is_judged_on_the_version_before() {
    let world = World::new().await;
    world.payment("1").await;
    world.clock.advance(std::time::Duration::from_secs(100));
    world.patch("/payment/1", json!({ "customer": "ann" })).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    world.patch("/payment/1", json!({ "customer": "bob" })).await;
    let at = |filter: &str| format!("/payment?watch=true&filter=updated_at%20{filter}%20%222026-11-23T18:26:00Z%22");
    assert_eq!(changes(&world.get(&at("%3C")).await.json()), ["enter 1", "leave 1"]);
    assert_eq!(changes(&world.get(&at("%3E")).await.json()), ["enter 1", "update 1"]);
}

#[tokio::test]
async fn positions_of_a_filter_belong_to_it() {
    let world = World::new().await;
    world.payment("1").await;
    let filtered = world.get(&format!("/payment?watch=true&filter={PAID}")).await.member("cursor");
    let plain = world.get("/payment?watch=true").await.member("cursor");
    assert_eq!(world.get(&format!("/payment?watch=true&filter={PAID}&after={filtered}")).await.status, 200);
    assert_eq!(world.get(&format!("/payment?watch=true&filter={PAID}&after={plain}")).await.status, 200, "a plain one does everywhere");
    assert_eq!(world.get(&format!("/v1/events?after={plain}")).await.status, 200);
    for other in ["/payment?watch=true", "/payment?watch=true&filter=amount%20%3E%201", "/v1/events", "/note?watch=true"] {
        let target = format!("{other}{}after={filtered}", if other.contains('?') { "&" } else { "?" });
        assert_eq!(world.get(&target).await.code(), "400 cursor-mismatch", "{other}");
    }
}

#[tokio::test]
async fn a_watch_waits_for_a_change_that_matters() {
    let world = World::new().await;
    world.payment("1").await;
    let waiting = tokio::spawn(world.get(&format!("/payment?watch=true&after=now&wait=30&filter={PAID}")).into_future());
    settle().await;
    world.patch("/payment/1", json!({ "customer": "ann" })).await;
    settle().await;
    assert!(!waiting.is_finished());
    world.step("/payment/1/complete").await;
    assert_eq!(changes(&waiting.await.expect("it ends").json()), ["enter 1"]);
}

#[tokio::test]
async fn a_stream_without_a_position_begins_with_what_is_there() {
    let world = World::new().await;
    for n in 0..150 {
        world.payment(&format!("p{n:03}")).await;
    }
    world.step("/payment/p007/complete").await;
    let mut stream = world.get("/payment").header("accept", STREAM).open().await;
    assert_eq!(stream.status, 200);
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    let position = loop {
        let frame = stream.next().await.expect("more");
        if frame.contains("event: sync") {
            break id_of(&frame);
        }
        assert!(frame.starts_with("event: snapshot\n") && !frame.contains("id: "), "rows have no position: {}", &frame[..60]);
        rows.extend(data_of(&frame).into_iter().map(|it| (it["id"].as_str().expect("an id").to_owned(), it)));
        // What happens meanwhile comes after.
        world.patch("/payment/p001", json!({ "customer": "meanwhile" })).await;
    };
    assert_eq!(rows.len(), 150);
    assert_eq!(rows["p007"]["status"], "completed");
    world.delete("/payment/p002").await;
    let mut seen = Vec::new();
    while !seen.iter().any(|it| it == "delete p002") {
        let frame = stream.next().await.expect("more");
        seen.extend(changes(&json!({ "data": data_of(&frame) })));
    }
    assert!(seen.contains(&"update p001".to_owned()), "{seen:?}");
    let mut again = world.get("/payment?filter=id%20%3D%20p002").header("accept", STREAM).open().await;
    assert!(again.next().await.expect("nothing is there").contains("event: sync"), "an empty list is a sync at once");
    let mut resumed = world.get("/payment").header("accept", STREAM).header("last-event-id", position).open().await;
    let first = resumed.next().await.expect("where it begins");
    assert!(!first.contains("event:"), "with a position there is no snapshot: {first}");
    let frame = resumed.next().await.expect("what came after");
    assert!(changes(&json!({ "data": data_of(&frame) })).contains(&"delete p002".to_owned()));
}

#[tokio::test]
async fn tenants_watch_their_own_and_not_what_is_the_operators() {
    let (world, acme, _) = World::of_two().await;
    for tenant in ["acme", "globex"] {
        world.post("/payment", json!({ "id": tenant, "amount": 1, "currency": "eur" })).tenant(tenant).await;
    }
    let page = world.get("/payment?watch=true").key(&acme).await.json();
    assert_eq!(changes(&page), ["enter acme"]);
    assert_eq!(world.get("/internal/dossier?watch=true").key(&acme).await.code(), "404 not-found");
    assert_eq!(world.get("/payment?watch=yes").key(&acme).await.code(), "400 bad-parameter");
    assert_eq!(world.get("/payment?watch=true&filter=colour%20%3D%20red").key(&acme).await.code(), "400 filter-invalid");
}
