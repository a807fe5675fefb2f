//! Every limit at the limit, one past it, and far past it, each with its code.

use crate::world::{Ask, Reply, World, settle};
use ringback_model::limits;
use serde_json::{Map, Value, json};

/// Asks with a size: `ok` at the limit, `code` one past it and far past it.
async fn check(what: &str, max: usize, ok: &str, code: &str, ask: impl Fn(usize) -> Ask) {
    for (size, want) in [(max, ok), (max + 1, code), (max * 7 + 3, code)] {
        let reply: Reply = ask(size).await;
        assert_eq!(reply.code(), want, "{what} of {size}: {}", reply.text().chars().take(600).collect::<String>());
    }
}

fn letters(n: usize) -> String {
    "a".repeat(n)
}

/// JSON that is nested so deep.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// An object whose encoding has exactly so many bytes.
fn sized(n: usize) -> String {
    let around = r#"{"type":"a.b","data":""}"#.len();
    format!(r#"{{"type":"a.b","data":"{}"}}"#, letters(n - around))
}

fn metadata(entries: usize) -> Map<String, Value> {
    (0..entries).map(|n| (format!("k{n}"), json!("v"))).collect()
}

fn subscription(edit: impl FnOnce(&mut Value)) -> Value {
    let mut it = json!({ "push": { "url": "https://example.com/hook" }, "strict": false });
    edit(&mut it);
    it
}

#[tokio::test]
async fn of_http() {
    let world = World::new().await;
    check("a body", limits::BODY_BYTES_MAX, "201", "413 payload-too-large", |n| {
        world.ask("POST", "/v1/events").header("content-type", "application/json").body(sized(n))
    })
    .await;
    check("a URL", limits::URI_BYTES_MAX, "404 not-found", "414 uri-too-long", |n| world.get(&format!("/{}", letters(n - 1)))).await;
    let bare = world.get("/v1/log");
    // What `Ask` sends by itself, as it is counted: name, value, and four bytes between and after.
    let own = "authorization".len() + format!("Bearer {}", world.key).len() + 4 + "host: x\r\n".len();
    assert_eq!(bare.await.status, 200);
    check("headers", limits::HEADERS_BYTES_MAX, "200", "431 headers-too-large", |n| world.get("/v1/log").header("x", letters(n - own - 5)))
        .await;
    check("an Idempotency-Key", limits::IDEMPOTENCY_KEY_BYTES_MAX, "201", "400 bad-parameter", |n| {
        world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).header("idempotency-key", letters(n))
    })
    .await;
}

#[tokio::test]
async fn of_json() {
    let world = World::new().await;
    // The object around it is one level.
    check("nesting", limits::JSON_DEPTH_MAX, "201", "400 malformed-json", |n| {
        let body = format!(r#"{{"type":"a.b","data":{}}}"#, nested(n - 1));
        world.ask("POST", "/v1/events").header("content-type", "application/json").body(body)
    })
    .await;
}

#[tokio::test]
async fn of_events() {
    let world = World::new().await;
    check("events of a publish", limits::EVENTS_PER_CHANGE_SET_MAX, "201", "422 validation-failed", |n| {
        world.post("/v1/events", (0..n).map(|_| json!({ "type": "a.b", "data": 1 })).collect())
    })
    .await;
    let publish = |name: &'static str| {
        let world = &world;
        move |n: usize| {
            let mut event = json!({ "type": "a.b", "data": 1 });
            event[name] = json!(if name == "subject" { format!("/{}", letters(n - 1)) } else { letters(n) });
            world.post("/v1/events", event)
        }
    };
    check("an event type", limits::EVENT_TYPE_BYTES_MAX, "201", "422 validation-failed", publish("type")).await;
    check("a key", limits::EVENT_KEY_BYTES_MAX, "201", "422 validation-failed", publish("key")).await;
    check("a subject", limits::SUBJECT_BYTES_MAX, "201", "422 validation-failed", publish("subject")).await;
    check("segments of a type", limits::EVENT_TYPE_SEGMENTS_MAX, "201", "422 validation-failed", |n| {
        world.post("/v1/events", json!({ "type": vec!["a"; n].join("."), "data": 1 }))
    })
    .await;
}

#[tokio::test]
async fn of_pages_and_waits() {
    let world = World::new().await;
    world.post("/v1/events", (0..1_000).map(|_| json!({ "type": "a.b", "data": 1 })).collect()).await;
    world.post("/v1/events", json!({ "type": "a.b", "data": 1 })).await;
    for asked in [limits::PAGE_ITEMS_MAX, limits::PAGE_ITEMS_MAX + 1, limits::PAGE_ITEMS_MAX * 1_000] {
        let page = world.get(&format!("/v1/events?limit={asked}")).await.json();
        assert_eq!(page["data"].as_array().map(Vec::len), Some(limits::PAGE_ITEMS_MAX), "a larger one is clamped");
    }
    let most = usize::try_from(limits::WAIT_SECS_MAX).expect("a small number");
    check("a wait", most, "200", "400 bad-parameter", |n| world.get(&format!("/v1/events?wait={n}"))).await;
    let hours = limits::ADVICE_HOURS_MAX as usize;
    check("a window", hours, "200", "400 bad-parameter", |n| world.get(&format!("/v1/advice?window={n}h"))).await;
}

#[tokio::test]
async fn of_filters() {
    let world = World::new().await;
    check("conditions", limits::FILTER_TERMS_MAX, "200", "400 bad-parameter", |n| {
        world.get(&format!("/payment?{}", vec!["amount[gte]=1"; n].join("&")))
    })
    .await;
}

#[tokio::test]
async fn of_names() {
    let world = World::new().await;
    check("a chosen id", limits::CHOSEN_ID_BYTES_MAX, "201", "422 validation-failed", |n| {
        world.post("/payment", json!({ "id": letters(n), "amount": 1, "currency": "eur" }))
    })
    .await;
    check("a tenant's id", limits::TENANT_ID_BYTES_MAX, "201", "400 bad-parameter", |n| {
        world.put(&format!("/v1/tenants/{}", letters(n)), json!({}))
    })
    .await;
}

#[tokio::test]
async fn of_keys_and_tenants() {
    let world = World::new().await;
    check("a description", limits::DESCRIPTION_BYTES_MAX, "201", "422 validation-failed", |n| {
        world.post("/v1/keys", json!({ "role": "operator", "description": letters(n) }))
    })
    .await;
    check("a rate", limits::RATE_PER_S_MAX as usize, "201", "422 validation-failed", |n| {
        world.post("/v1/keys", json!({ "role": "operator", "rate_max_per_s": n }))
    })
    .await;
    check("entries of metadata", limits::METADATA_ENTRIES_MAX, "200", "422 validation-failed", |n| {
        world.put("/v1/tenants/default", json!({ "metadata": metadata(n) }))
    })
    .await;
    check("an entry of metadata", limits::METADATA_ENTRY_BYTES_MAX, "200", "422 validation-failed", |n| {
        world.put("/v1/tenants/default", json!({ "metadata": { "k": letters(n) } }))
    })
    .await;
    check("a name of metadata", limits::METADATA_ENTRY_BYTES_MAX, "200", "422 validation-failed", |n| {
        world.put("/v1/tenants/default", json!({ "metadata": { letters(n): "v" } }))
    })
    .await;
    for n in 0..limits::KEYS_PER_TENANT_MAX {
        let made = world.post("/v1/keys", json!({ "role": "tenant", "tenant": "default" })).await;
        assert_eq!(made.status, 201, "{n}");
    }
    let one_more = world.post("/v1/keys", json!({ "role": "tenant", "tenant": "default" })).await;
    assert_eq!(one_more.code(), "409 limit-reached");
}

#[tokio::test]
async fn of_subscriptions() {
    let world = World::new().await;
    let make = |edit: fn(&mut Value, usize)| {
        let world = &world;
        move |n: usize| world.post("/v1/subscriptions", subscription(|it| edit(it, n)))
    };
    let refused = "422 validation-failed";
    let types = make(|it, n| it["types"] = (0..n).map(|n| json!(format!("a.b{n}"))).collect());
    check("types", limits::SUBSCRIPTION_TYPES_MAX, "201", refused, types).await;
    let url = make(|it, n| it["push"]["url"] = json!(format!("https://example.com/{}", letters(n - "https://example.com/".len()))));
    check("an endpoint's URL", limits::URL_BYTES_MAX, "201", refused, url).await;
    let headers = make(|it, n| it["push"]["headers"] = (0..n).map(|n| (format!("x-{n}"), json!("v"))).collect::<Map<_, _>>().into());
    check("headers of a push", limits::PUSH_HEADERS_MAX, "201", refused, headers).await;
    let header = make(|it, n| it["push"]["headers"] = json!({ "x-a": letters(n - 3) }));
    check("a header of a push", limits::PUSH_HEADER_BYTES_MAX, "201", refused, header).await;
    let delays = make(|it, n| it["push"]["retry"] = json!({ "delays": vec![1; n] }));
    check("delays", limits::RETRY_DELAYS_MAX, "201", refused, delays).await;
    let delay = make(|it, n| it["push"]["retry"] = json!({ "delays": [n] }));
    check("a delay", limits::RETRY_DELAY_SECS_MAX as usize, "201", refused, delay).await;
    let concurrency = make(|it, n| it["push"]["concurrency_max"] = json!(n));
    check("concurrency", limits::CONCURRENCY_MAX as usize, "201", refused, concurrency).await;
    let timeout = make(|it, n| it["push"]["timeout_ms"] = json!(n));
    check("a timeout", limits::ATTEMPT_TIMEOUT_MS.1 as usize, "201", refused, timeout).await;
}

#[tokio::test]
async fn of_those_who_wait() {
    let world = World::with(2).await;
    world.payment("123").await;
    let wait = || world.get("/payment/123/status?until=done&wait=60").into_future();
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(wait())).collect();
    settle().await;
    for _ in 0..20 {
        let refused = wait().await;
        assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("429 too-many-waiters", "1"));
    }
    assert_eq!(world.get("/payment/123/status?until=done").await.status, 200, "who doesn't wait takes no place");
    world.step("/payment/123/complete").await;
    for it in waiting {
        assert_eq!(it.await.expect("an answer").status, 200);
    }
    world.payment("124").await;
    let again = tokio::spawn(world.get("/payment/124/status?until=done&wait=60").into_future());
    settle().await;
    assert!(!again.is_finished(), "there is room again");
    again.abort();
}
