//! `/v1/subscriptions/{id}/secret` and `/rotate-secret`.

use crate::world::World;
use expect_test::expect;
use serde_json::{Value, json};

async fn hook(world: &World, push: Value) -> String {
    let mut push = push;
    push["url"] = json!("https://example.com/hook");
    let made = world.post("/v1/subscriptions", json!({ "types": ["payment.completed"], "push": push })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    format!("/v1/subscriptions/{}", made.member("id"))
}

#[tokio::test]
async fn a_secret_is_rotated_and_shown_once() {
    let world = World::new().await;
    let path = hook(&world, json!({})).await;
    let rotated = world.post(&format!("{path}/rotate-secret"), json!({ "overlap": 60 })).await;
    expect![[r#"
        200
        cache-control: no-store
        etag: "2"
        ringback-tenant: default
        {"secret":"whsec_…","keys":[{"id":"sec_…","alg":"hmac","created_at":"2026-11-23T18:24:44.000000Z"},{"id":"sec_…","alg":"hmac","created_at":"2026-11-23T18:24:44.000000Z","expires_at":"2026-11-23T18:25:44.000000Z"}]}"#]].assert_eq(&rotated.show());
    let shown = world.get(&format!("{path}/secret")).await;
    expect![[r#"
        200
        etag: "2"
        ringback-tenant: default
        {"keys":[{"id":"sec_…","alg":"hmac","created_at":"2026-11-23T18:24:44.000000Z"},{"id":"sec_…","alg":"hmac","created_at":"2026-11-23T18:24:44.000000Z","expires_at":"2026-11-23T18:25:44.000000Z"}]}"#]].assert_eq(&shown.show());
    assert!(!shown.text().contains("whsec_"));
    // Without a body: a day, and what signs still signs on.
    assert_eq!(world.step(&format!("{path}/rotate-secret")).await.json()["keys"].as_array().map(Vec::len), Some(3));
    let revoked = world.post(&format!("{path}/rotate-secret"), json!({ "overlap": 0 })).await;
    assert_eq!(revoked.json()["keys"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_public_key_is_shown_whenever_it_is_asked_for() {
    let world = World::new().await;
    let path = hook(&world, json!({ "signing": "ed25519" })).await;
    let shown = world.get(&path).await.json();
    let public = shown["push"]["public_key"].as_str().expect("a public key").to_owned();
    assert!(public.starts_with("whpk_"));
    assert_eq!(shown["push"].get("secret"), None);
    assert_eq!(world.get(&format!("{path}/secret")).await.json()["keys"][0]["public_key"], public);
    let rotated = world.step(&format!("{path}/rotate-secret")).await;
    assert!(!rotated.text().contains("whsk_") && rotated.json().get("secret").is_none(), "{}", rotated.text());
}

#[tokio::test]
async fn what_cannot_sign_is_refused_with_what_to_do() {
    let world = World::new().await;
    let make = |push: Value| {
        let mut push = push;
        push["url"] = json!("https://example.com/hook");
        world.post("/v1/subscriptions", json!({ "types": ["payment.completed"], "push": push }))
    };
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"The profile `stripe` has no form for `ed25519`. Use `hmac`, or the profile `standard` or `svix`.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/signing","code":"invalid","detail":"The profile `stripe` has no form for `ed25519`. Use `hmac`, or the profile `standard` or `svix`."}]}"#]].assert_eq(&make(json!({ "profile": "stripe", "signing": "ed25519" })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"A secret of this profile has 16 to 256 characters; this one has 5. Leave it out to have one made.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/secret","code":"invalid","detail":"A secret of this profile has 16 to 256 characters; this one has 5. Leave it out to have one made."}]}"#]].assert_eq(&make(json!({ "profile": "github", "secret": "short" })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"A secret has at least 8 different bytes; this one was not drawn by chance, and can be guessed. Leave it out to have one made.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/secret","code":"invalid","detail":"A secret has at least 8 different bytes; this one was not drawn by chance, and can be guessed. Leave it out to have one made."}]}"#]].assert_eq(&make(json!({ "secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"With `push.signing` `ed25519` needs a private key that begins with `whsk_`. Leave it out to have one made.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/secret","code":"invalid","detail":"With `push.signing` `ed25519` needs a private key that begins with `whsk_`. Leave it out to have one made."}]}"#]].assert_eq(&make(json!({ "signing": "ed25519", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"The header `svix-id` is written by the server and can't be set. Use a name of your own, such as `x-env`.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/headers/svix-id","code":"invalid","detail":"The header `svix-id` is written by the server and can't be set. Use a name of your own, such as `x-env`."}]}"#]].assert_eq(&make(json!({ "headers": { "svix-id": "x" } })).await.show());
    let path = hook(&world, json!({ "profile": "github" })).await;
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:validation-failed","code":"validation-failed","title":"Validation failed","status":422,"detail":"A request in the form of `github` carries one signature, so two keys can't overlap. Teach the receiver both secrets first, then rotate with `\"overlap\":0`.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/overlap","code":"invalid","detail":"A request in the form of `github` carries one signature, so two keys can't overlap. Teach the receiver both secrets first, then rotate with `\"overlap\":0`."}]}"#]].assert_eq(&world.post(&format!("{path}/rotate-secret"), json!({ "overlap": 60 })).await.show());
    expect![[r#"
        422
        ringback-tenant: default
        {"type":"urn:ringback:error:read-only-field","code":"read-only-field","title":"Read-only field","status":422,"detail":"`/push/secret` can't be set here. Use `POST …/rotate-secret`.","request_id":"req_…","retryable":false,"errors":[{"pointer":"/push/secret","code":"read-only-field","detail":"`/push/secret` can't be set here. Use `POST …/rotate-secret`."}]}"#]].assert_eq(&world.patch(&path, json!({ "push": { "secret": "whsec_x" } })).await.show());
    let stale = world.ask("POST", &format!("{path}/rotate-secret")).header("if-match", "\"7\"").await;
    assert_eq!(stale.code(), "412 precondition-failed");
    world.put("/v1/subscriptions/ledger", json!({ "types": ["payment.*"] })).await;
    assert_eq!(world.get("/v1/subscriptions/ledger/secret").await.json(), json!({ "keys": [] }));
    let nothing = world.step("/v1/subscriptions/ledger/rotate-secret").await;
    assert!(nothing.code() == "422 validation-failed" && nothing.text().contains("nothing is signed"), "{}", nothing.text());
}

#[tokio::test]
async fn it_takes_a_scope_of_its_own() {
    let world = World::new().await;
    let path = hook(&world, json!({})).await;
    let key = world.post("/v1/keys", json!({ "role": "operator", "scopes": ["subscriptions:read", "subscriptions:write"] })).await;
    let key = key.member("key");
    assert_eq!(world.ask("GET", &path).key(&key).await.status, 200);
    assert_eq!(world.ask("GET", &format!("{path}/secret")).key(&key).await.code(), "403 forbidden");
    assert_eq!(world.ask("POST", &format!("{path}/rotate-secret")).key(&key).await.code(), "403 forbidden");
}

/// A repeat under an Idempotency-Key shows the same secret again, and rotates nothing.
#[tokio::test]
async fn a_repeated_rotation_is_one() {
    let world = World::new().await;
    let path = hook(&world, json!({})).await;
    let rotate = || world.ask("POST", &format!("{path}/rotate-secret")).header("idempotency-key", "r1");
    let (first, again) = (rotate().await, rotate().await);
    assert_eq!(first.text(), again.text());
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(world.get(&format!("{path}/secret")).await.json()["keys"].as_array().map(Vec::len), Some(2));
}
