//! `push.auth`, secret headers, and the shadow of `/v1/subscriptions`.

use crate::world::{World, settle};
use expect_test::expect;
use serde_json::{Value, json};

fn basic() -> Value {
    json!({ "types": ["payment.completed"], "push": {
        "url": "https://example.com/hook", "headers": { "X-Api-Key": "canary-key", "x-env": "prod" },
        "auth": { "type": "basic", "username": "ann", "password": "canary-password" } } })
}

#[tokio::test]
async fn secrets_are_taken_and_never_shown() {
    let world = World::new().await;
    let made = world.put("/v1/subscriptions/ledger", basic()).await;
    assert_eq!(made.status, 201);
    let push = &made.json()["push"];
    expect![[r#"{"headers":{"x-api-key":{"set":true},"x-env":"prod"},"auth":{"type":"basic","username":"ann","password":{"set":true}}}"#]]
        .assert_eq(&format!("{{\"headers\":{},\"auth\":{}}}", push["headers"], push["auth"]));
    let shown = world.get("/v1/subscriptions/ledger").await;
    for answer in [&made, &shown, &world.get("/v1/subscriptions").await] {
        assert!(!answer.text().contains("canary"), "{}", answer.text());
    }
    // What was read can be sent back, and changes nothing.
    let shown = shown.json();
    let body = json!({ "types": shown["types"], "push": { "url": shown["push"]["url"], "headers": shown["push"]["headers"], "auth": shown["push"]["auth"] } });
    let again = world.put("/v1/subscriptions/ledger", body).await;
    assert_eq!((again.status, again.header("etag")), (200, "\"1\""), "{}", again.text());
    world.payment("1").await;
    world.step("/payment/1/complete").await;
    let sent = world.sender.wait_for(1).await.remove(0);
    let header = |name: &str| sent.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    assert_eq!((header("x-api-key"), header("authorization")), (Some("canary-key"), Some("Basic YW5uOmNhbmFyeS1wYXNzd29yZA==")));
    let none = world.patch("/v1/subscriptions/ledger", json!({ "push": { "auth": null, "headers": { "x-api-key": null } } })).await;
    assert_eq!((none.json()["push"].get("auth"), &none.json()["push"]["headers"]), (None, &json!({ "x-env": "prod" })));
}

#[tokio::test]
async fn what_is_wrong_is_said_without_the_secret() {
    let world = World::new().await;
    let check = async |auth: Value| {
        let refused = world.post("/v1/subscriptions", json!({ "push": { "url": "https://example.com/hook", "auth": auth } })).await;
        assert!(matches!(refused.status, 400 | 422), "{}", refused.text());
        assert!(!refused.text().contains("canary"), "{}", refused.text());
        let first = &refused.json()["errors"][0];
        format!("{}: {}", first["pointer"].as_str().unwrap_or_default(), first["detail"].as_str().unwrap_or_default())
    };
    for (auth, want) in [
        (
            json!({ "type": "digest" }),
            expect![
                "/push/auth/type: `/push/auth/type` should be one of: none, basic, bearer, oauth2_client_credentials; `digest` is none."
            ],
        ),
        (
            json!({ "type": "basic", "username": "a:b", "password": "canary" }),
            expect!["/push/auth/username: `username` should be text without `:` and control characters."],
        ),
        (
            json!({ "type": "bearer", "token": "canary with spaces" }),
            expect!["/push/auth/token: `token` should be printable ASCII without spaces."],
        ),
        (
            json!({ "type": "bearer", "token": { "canary": 1 } }),
            expect![[
                r#"/push/auth/token: `/push/auth/token` should be a string, or `{"set":true}` for the one that is there, and is an object."#
            ]],
        ),
        (
            json!({ "type": "bearer", "token": { "set": true } }),
            expect!["/push/auth/token: There is none yet that could be kept: give the secret itself."],
        ),
        (
            json!({ "type": "bearer", "username": "ann", "token": "x" }),
            expect!["/push/auth/username: `username` belongs to the type `basic`, and `type` is `bearer`. Leave it out, or change `type`."],
        ),
        (
            json!({ "type": "basic", "username": "ann" }),
            expect![[r#"/push/auth/password: It is missing. Give it, or `{"set":true}` for the one that is there."#]],
        ),
        (
            json!({ "token": "x" }),
            expect!["/push/auth/type: `type` is missing: say `basic`, `bearer`, `oauth2_client_credentials` or `none`."],
        ),
        (
            json!({ "type": "bearer", "tokn": "x" }),
            expect!["/push/auth/tokn: `/push/auth/tokn`: no such field here; did you mean `push.auth.token`?"],
        ),
    ] {
        want.assert_eq(&check(auth).await);
    }
    let both = json!({ "push": { "url": "https://example.com/hook", "headers": { "Authorization": "canary" }, "auth": { "type": "bearer", "token": "x" } } });
    let refused = world.post("/v1/subscriptions", both).await;
    assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!("/push/headers/authorization")));
}

#[tokio::test]
async fn the_shadow_counts_and_sends_nothing() {
    let world = World::new().await;
    let mut body = basic();
    body["state"] = "shadow".into();
    world.put("/v1/subscriptions/ledger", body).await;
    world.payment("1").await;
    let done = world.step("/payment/1/complete").await;
    settle().await;
    let shown = world.get("/v1/subscriptions/ledger").await.json();
    assert_eq!((&shown["state"], &shown["shadowed"], &shown["lag"]), (&json!("shadow"), &json!(1), &json!(0)));
    let page = world.get("/v1/deliveries?subscription=ledger").await.json();
    assert_eq!((&page["data"][0]["state"], &page["data"][0]["reason"]), (&json!("skipped"), &json!("shadow")));
    let explained = world.get(&format!("/v1/subscriptions/ledger/explain?event={}", done.header("ringback-event"))).await.json();
    assert_eq!(explained["verdict"], "skipped");
    assert!(explained["clauses"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap().contains("shadow"));
    let paused = world.step("/v1/subscriptions/ledger/pause").await;
    assert_eq!((paused.status, &paused.json()["code"]), (409, &json!("conflict")));
    let active = world.patch("/v1/subscriptions/ledger", json!({ "state": "active" })).await;
    assert_eq!((&active.json()["state"], &active.json()["shadowed"]), (&json!("active"), &json!(1)));
    world.payment("2").await;
    world.step("/payment/2/complete").await;
    world.sender.wait_for(1).await;
    assert_eq!(world.sender.count(), 1);
    for (state, status) in [("done", 422), ("suspended", 422), ("paused", 200)] {
        assert_eq!(world.patch("/v1/subscriptions/ledger", json!({ "state": state })).await.status, status, "{state}");
    }
}
