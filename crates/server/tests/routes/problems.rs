//! What HTTP gets wrong, each with its sentence.

use crate::world::World;
use expect_test::expect;
use serde_json::json;

#[tokio::test]
async fn keys() {
    let world = World::new().await;
    expect![[r#"
        401
        www-authenticate: Bearer realm="ringback"
        {"type":"urn:ringback:error:unauthenticated","code":"unauthenticated","title":"Not authenticated","status":401,"detail":"No key was sent. Use `Authorization: Bearer rbk_…` or `curl -u rbk_…:`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").without("authorization").await.show());
    expect![[r#"
        401
        www-authenticate: Bearer realm="ringback"
        {"type":"urn:ringback:error:unauthenticated","code":"unauthenticated","title":"Not authenticated","status":401,"detail":"What was sent as a key is none: keys look like `rbk_<id>_<secret>`. Use `Authorization: Bearer rbk_…` or `curl -u rbk_…:`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").key("hunter2").await.show());
    let mut mistyped = world.key.clone();
    mistyped.pop();
    expect![[r#"
        401
        www-authenticate: Bearer realm="ringback"
        {"type":"urn:ringback:error:unauthenticated","code":"unauthenticated","title":"Not authenticated","status":401,"detail":"The key was mistyped or cut: its last characters don't fit the rest. Copy it again.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").key(&mistyped).await.show());
    let id = world.post("/v1/keys", json!({ "role": "operator", "expires_at": "2026-11-24T00:00:00Z" })).await;
    let key = id.member("key");
    assert_eq!(world.get("/payment").key(&key).await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(24 * 3600));
    expect![[r#"
        401
        www-authenticate: Bearer realm="ringback"
        {"type":"urn:ringback:error:unauthenticated","code":"unauthenticated","title":"Not authenticated","status":401,"detail":"This key has expired. Ask whoever made it for a new one.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").key(&key).await.show());
    world.delete(&format!("/v1/keys/{}", id.member("id"))).await;
    expect![[r#"
        401
        www-authenticate: Bearer realm="ringback"
        {"type":"urn:ringback:error:unauthenticated","code":"unauthenticated","title":"Not authenticated","status":401,"detail":"This key isn't known here. It may have been deleted, or belong to another server. Ask whoever runs this one for a new key.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").key(&key).await.show());
}

#[tokio::test]
async fn a_key_as_user_name() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let world = World::new().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:", world.key)));
    assert_eq!(world.get("/payment").header("authorization", basic).await.status, 200);
}

#[tokio::test]
async fn tenants() {
    let (world, ..) = World::of_two().await;
    expect![[r#"
        400
        {"type":"urn:ringback:error:tenant-required","code":"tenant-required","title":"Tenant required","status":400,"detail":"This server has several tenants. Name one: `Ringback-Tenant: acme`; `GET /v1/tenants` lists them to operators.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").await.show());
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no tenant `initech`. Tenants are made by operators: `PUT /v1/tenants/<id>`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").tenant("initech").await.show());
    expect![[r#"
        400
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`Ringback-Tenant` should be 1 to 63 lower-case letters, digits and `-`, or `*` for all, and is `No Such`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"Ringback-Tenant","code":"invalid","detail":"`Ringback-Tenant` should be 1 to 63 lower-case letters, digits and `-`, or `*` for all, and is `No Such`."}]}"#]].assert_eq(&world.get("/payment").tenant("No Such").await.show());
    expect![[r#"
        400
        {"type":"urn:ringback:error:tenant-required","code":"tenant-required","title":"Tenant required","status":400,"detail":"`Ringback-Tenant: *` reads over all tenants; this request is about one. Name it: `Ringback-Tenant: acme`.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payment").tenant("*").await.show());
}

#[tokio::test]
async fn routes() {
    let world = World::new().await;
    for path in
        ["/payments", "/events", "/v1/event", "/v1/subscription/1", "/payment/", "/", "/nothing/like/it", "/v1/openapi", "/payment//"]
    {
        let reply = world.get(path).await;
        assert_eq!(reply.code(), "404 not-found", "{path}");
    }
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no route `/payments/123`. Did you mean `/payment/123`? `GET /v1/types` lists the types with their paths.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/payments/123").await.show());
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no route `/events`. Did you mean `/v1/events`? `GET /v1/types` lists the types with their paths.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/events").await.show());
    expect![[r#"
        404
        {"type":"urn:ringback:error:not-found","code":"not-found","title":"Not found","status":404,"detail":"There is no route `/v1/subscriptons/1/pause`. Did you mean `/v1/subscriptions/1/pause`? `GET /v1/types` lists the types with their paths.","request_id":"req_…","retryable":false}"#]].assert_eq(&world.get("/v1/subscriptons/1/pause").await.show());
    // Nothing is served there: not even what it resembles most.
    for path in ["/v1/subscriptions/1/nothing", "/v1/subscriptions/1/pause/now", "/payment/1/status/2"] {
        let reply = world.get(path).await;
        assert_eq!(reply.code(), "404 not-found", "{path}");
        assert!(!reply.text().contains("Did you mean"), "{}", reply.text());
    }
    expect![[r#"
        405
        allow: GET, HEAD, PATCH, DELETE
        {"type":"urn:ringback:error:method-not-allowed","code":"method-not-allowed","title":"Method not allowed","status":405,"detail":"This route has no PUT. It has: GET, HEAD, PATCH, DELETE.","request_id":"req_…","retryable":false,"allowed":["GET","HEAD","PATCH","DELETE"]}"#]].assert_eq(&world.ask("PUT", "/payment/1").await.show());
}

#[tokio::test]
async fn what_is_not_built_is_not_there() {
    let world = World::new().await;
    world.payment("123").await;
    for path in ["/v1/sources", "/in/token"] {
        assert_eq!(world.get(path).await.code(), "404 not-found", "{path}");
    }
    let stream = world.get("/v1/types").header("accept", "text/event-stream").await;
    expect![[r#"
        406
        ringback-tenant: *
        {"type":"urn:ringback:error:not-acceptable","code":"not-acceptable","title":"Not acceptable","status":406,"detail":"`Accept` leaves nothing that this route writes. It writes: application/json.","request_id":"req_…","retryable":false}"#]].assert_eq(&stream.show());
}

#[tokio::test]
async fn sizes() {
    let world = World::new().await;
    let reply = world.get(&format!("/payment?after={}", "a".repeat(8 * 1024))).await;
    assert_eq!(reply.code(), "414 uri-too-long");
    let reply = world.get("/payment").header("x-much", "a".repeat(16 * 1024)).await;
    assert_eq!(reply.code(), "431 headers-too-large");
    let body = |bytes: usize| {
        let frame = r#"{"type":"a.b","data":""}"#.len();
        format!(r#"{{"type":"a.b","data":"{}"}}"#, "a".repeat(bytes - frame))
    };
    let fits = world.ask("POST", "/v1/events").body(body(1024 * 1024)).await;
    assert_eq!(fits.status, 201);
    let reply = world.ask("POST", "/v1/events").body(body(1024 * 1024 + 1)).await;
    expect![[r#"
        413
        ringback-tenant: default
        {"type":"urn:ringback:error:payload-too-large","code":"payload-too-large","title":"Payload too large","status":413,"detail":"The body is larger than 1048576 bytes. Send less at a time, or keep the rest elsewhere and send a reference.","request_id":"req_…","retryable":false}"#]].assert_eq(&reply.show());
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    let reply = world.ask("POST", "/v1/events").body(format!(r#"{{"type":"a.b","data":{deep}}}"#)).await;
    assert_eq!(reply.code(), "400 malformed-json");
}

#[tokio::test]
async fn media_types() {
    let world = World::new().await;
    let ask = |kind: &str| world.ask("POST", "/payment").body("amount=5&currency=eur").header("content-type", kind);
    expect![[r#"
        415
        ringback-tenant: default
        {"type":"urn:ringback:error:unsupported-media-type","code":"unsupported-media-type","title":"Unsupported media type","status":415,"detail":"This route doesn't read `application/x-www-form-urlencoded`. Send `content-type: application/json`.","request_id":"req_…","retryable":false}"#]].assert_eq(&ask("application/x-www-form-urlencoded").await.show());
    assert_eq!(ask("text/plain").await.code(), "415 unsupported-media-type");
    assert_eq!(world.ask("POST", "/payment").body("amount=5").await.code(), "415 unsupported-media-type");
    assert_eq!(ask("application/json").await.code(), "400 malformed-json");
}

#[tokio::test]
async fn parameters() {
    let world = World::new().await;
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"This route has no parameter `limti`. Did you mean `limit`? It takes: after, filter, limit, min_position, subject, subscription, ticket, types, wait.","request_id":"req_…","retryable":false,"errors":[{"parameter":"limti","code":"unknown-parameter","detail":"This route has no parameter `limti`. Did you mean `limit`? It takes: after, filter, limit, min_position, subject, subscription, ticket, types, wait."}]}"#]].assert_eq(&world.get("/v1/events?limti=5").await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`limit` should be a whole number from 1 to 1000, and is `ten`.","request_id":"req_…","retryable":false,"errors":[{"parameter":"limit","code":"invalid","detail":"`limit` should be a whole number from 1 to 1000, and is `ten`."}]}"#]].assert_eq(&world.get("/v1/events?limit=ten").await.show());
    expect![[r#"
        400
        ringback-tenant: default
        {"type":"urn:ringback:error:bad-parameter","code":"bad-parameter","title":"Bad parameter","status":400,"detail":"`limit` was sent twice. Send it once.","request_id":"req_…","retryable":false,"errors":[{"parameter":"limit","code":"repeated","detail":"`limit` was sent twice. Send it once."}]}"#]].assert_eq(&world.get("/v1/events?limit=1&limit=2").await.show());
    assert_eq!(world.get("/v1/events?limit=100000").await.status, 200);
}
