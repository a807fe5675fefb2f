//! `/v1/events`.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn data_stays_verbatim() {
    let world = World::new().await;
    let body = r#"{ "type" : "order.shipped", "data" : { "b" : 1.50, "a" : "\u00e4", "n" : 12345678901234567890123 } }"#;
    let made = world.ask("POST", "/v1/events").body(body).await;
    expect![[r#"
        201
        location: /v1/events/evt_…
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"id":"evt_…","type":"order.shipped","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","sequence":1,"data":{"b":1.50,"a":"\u00e4","n":12345678901234567890123}}"#]].assert_eq(&made.show());
    let shown = world.get(&format!("/v1/events/{}", made.member("id"))).await;
    assert_eq!(shown.body, made.body);
    // The same bytes in the feed.
    let feed = world.get("/v1/events").await;
    assert!(feed.text().contains(made.text()), "{}", feed.text());
}

#[tokio::test]
async fn an_array_is_published_whole_or_not_at_all() {
    let world = World::new().await;
    let made = world.post("/v1/events", json!([{ "type": "a.b", "data": 1 }, { "type": "a.c", "data": null, "subject": "s" }])).await;
    expect![[r#"
        201
        ringback-event: evt_…
        ringback-position: …
        ringback-tenant: default
        {"data":[{"id":"evt_…","type":"a.b","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","sequence":1,"data":1},{"id":"evt_…","type":"a.c","timestamp":"2026-11-23T18:24:44.000000Z","tenant":"default","sequence":2,"subject":"s","data":null}]}"#]].assert_eq(&made.show());
    let refused = world.post("/v1/events", json!([{ "type": "a.b", "data": 1 }, { "type": "a b" }])).await;
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"`/1/data` is required: any JSON value, `{}` if there is nothing to tell. (2 problems in all; `errors` lists them.)","request_id":"req_…","retryable":false,"errors":[{"pointer":"/1/data","code":"required","detail":"`/1/data` is required: any JSON value, `{}` if there is nothing to tell."},{"pointer":"/1/type","code":"invalid","detail":"`/1/type` should be 1 to 8 segments of letters, digits, `_` and `-`, joined by dots, at most 128 bytes; `a b` isn't."}]}"#]].assert_eq(&refused.show());
    assert_eq!(world.post("/v1/events", json!([])).await.code(), "422 validation-failed");
    assert_eq!(world.post("/v1/events", json!([1])).await.code(), "422 validation-failed");
    assert_eq!(world.get("/v1/log").await.member("last"), "2");
}

#[tokio::test]
async fn a_key_makes_a_repeat_harmless() {
    let world = World::new().await;
    let publish = |data: u32| world.post("/v1/events", json!({ "type": "a.b", "data": data, "key": "k" }));
    let first = publish(1).await;
    let again = publish(1).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(again.text(), first.text().replace("\"data\":1}", "\"data\":1,\"repeated\":true}"));
    assert!(again.headers.get("ringback-event").is_none());
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:already-exists","code":"already-exists","title":"Already exists","status":409,"detail":"The key `k` belongs to event evt_…, whose content is another. Use a new key for a new event.","request_id":"req_…","retryable":false,"conflicting_id":"evt_…"}"#]].assert_eq(&publish(2).await.show());
    let both = world.post("/v1/events", json!([{ "type": "a.b", "data": 1, "key": "k" }, { "type": "a.b", "data": 3 }])).await;
    assert_eq!(both.status, 201);
    assert_eq!((&both.json()["data"][0]["repeated"], both.json()["data"][1].get("repeated")), (&json!(true), None));
}

#[tokio::test]
async fn names_have_owners() {
    let world = World::new().await;
    let publish = |name: &str| world.post("/v1/events", json!({ "type": name, "data": {} }));
    expect![[r#"
        409
        ringback-tenant: default
        {"type":"urn:ringback:error:type-owned","code":"type-owned","title":"Event type is owned","status":409,"detail":"`payment.completed` can't be published: its first segment belongs to the type `payment`, which makes such events by itself. Publish under another name.","request_id":"req_…","retryable":false}"#]].assert_eq(&publish("payment.completed").await.show());
    assert_eq!(publish("ringback.anything").await.code(), "409 type-owned");
    assert_eq!(publish("payments.completed").await.status, 201);
}

#[tokio::test]
async fn our_own_bodies_are_strict() {
    let world = World::new().await;
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:unknown-field","code":"unknown-field","title":"Unknown field","status":400,"detail":"`/subjct`: no such field here; did you mean `subject`?","request_id":"req_…","retryable":false,"errors":[{"pointer":"/subjct","code":"unknown-field","detail":"`/subjct`: no such field here; did you mean `subject`?"}]}"#]].assert_eq(&world.post("/v1/events", json!({ "type": "a.b", "data": 1, "subjct": "s" })).await.show());
    assert_eq!(world.ask("POST", "/v1/events").body(r#"{"type":"a.b","data":{"a":1,"a":2}}"#).await.code(), "400 malformed-json");
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:malformed-json","code":"malformed-json","title":"Malformed JSON","status":400,"detail":"No body was sent. Send JSON such as `{\"type\":\"order.shipped\",\"data\":{\"id\":\"1\"}}`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.ask("POST", "/v1/events").await.show());
}

#[tokio::test]
async fn a_feed_starts_where_it_is_told() {
    let world = World::new().await;
    for n in 1..=5 {
        world.post("/v1/events", json!({ "type": format!("a.e{n}"), "data": n, "subject": format!("s{}", n % 2) })).await;
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let all = world.get("/v1/events").await.json();
    let numbers = |reply: &serde_json::Value| -> Vec<u64> {
        reply["data"].as_array().expect("a list").iter().map(|it| it["sequence"].as_u64().expect("a number")).collect()
    };
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5]);
    let third = all["data"][2]["id"].as_str().expect("an id");
    for (query, want) in [
        ("after=start".to_owned(), vec![1, 2, 3, 4, 5]),
        ("after=now".to_owned(), vec![]),
        (format!("after={third}"), vec![4, 5]),
        ("after=2026-11-23T18:24:47Z".to_owned(), vec![4, 5]),
        ("types=a.e1,a.e4".to_owned(), vec![1, 4]),
        ("types=a.*&subject=s1".to_owned(), vec![1, 3, 5]),
        ("types=b.*".to_owned(), vec![]),
    ] {
        assert_eq!(numbers(&world.get(&format!("/v1/events?{query}")).await.json()), want, "{query}");
    }
    let mut seen = Vec::new();
    let mut after = "start".to_owned();
    loop {
        let page = world.get(&format!("/v1/events?limit=2&after={after}")).await.json();
        seen.extend(numbers(&page));
        after = page["cursor"].as_str().expect("always there").to_owned();
        if page["has_more"] == false {
            assert_eq!(page["lag"], 0);
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`after` is none of: `start`, `now`, an event id, an RFC 3339 time, or a position of this tenant. Send a `cursor` back as it was received.","request_id":"req_…","retryable":false,"errors":[{"parameter":"after","code":"invalid","detail":"`after` is none of: `start`, `now`, an event id, an RFC 3339 time, or a position of this tenant. Send a `cursor` back as it was received."}]}"#]].assert_eq(&world.get("/v1/events?after=nonsense").await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`types` should be 1 to 100 event types or prefixes joined by commas, such as `payment.*,order.shipped`, and is `a..b`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"types","code":"invalid","detail":"`types` should be 1 to 100 event types or prefixes joined by commas, such as `payment.*,order.shipped`, and is `a..b`."}]}"#]].assert_eq(&world.get("/v1/events?types=a..b").await.show());
}

#[tokio::test]
async fn an_operator_reads_all_tenants() {
    let (world, acme, _) = World::of_two().await;
    world.payment("123").await;
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).key(&acme).await;
    let all = world.get("/v1/events").tenant("*").await.json();
    let tenants: Vec<_> = all["data"].as_array().expect("a list").iter().map(|it| it["tenant"].as_str().expect("one")).collect();
    assert_eq!(tenants, ["default", "acme"]);
    let id = all["data"][1]["id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/v1/events/{id}")).tenant("*").await.status, 200);
    // A position of `*` is none of a tenant's.
    let cursor = all["cursor"].as_str().expect("a cursor");
    assert_eq!(world.get(&format!("/v1/events?after={cursor}")).tenant("acme").await.code(), "400 bad-parameter");
}

#[tokio::test]
async fn what_is_for_operators_is_not_shown_to_tenants() {
    let (world, acme, _) = World::of_two().await;
    let made = world.post("/v1/events", json!({ "type": "a.b", "data": 1, "audience": "operator" })).tenant("acme").await;
    let path = format!("/v1/events/{}", made.member("id"));
    assert_eq!(world.get(&path).key(&acme).await.code(), "404 not-found");
    assert_eq!(world.get("/v1/events").key(&acme).await.json()["data"], json!([]));
    assert_eq!(world.get(&path).tenant("acme").await.status, 200);
    let refused = world.post("/v1/events", json!({ "type": "a.b", "data": 1, "audience": "operator" })).key(&acme).await;
    assert_eq!(refused.code(), "403 forbidden");
}
