//! As whom a push comes: headers that are secret, Basic, bearer, and tokens that are fetched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod world;

use ringback_model::{
    SubscriptionId,
    auth::{AccessGiven, AuthGiven, GivenSecret, Kind},
    delivery::{Excerpt, Outcome},
    subscription::MapPatch,
};
use ringback_ports::{
    fake::sender::{answered, failed, status},
    sender::{Answered, PushRequest},
};
use ringback_service::{Error, IfMatch, SubscriptionPatch, SubscriptionWritten, Write};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use world::{URL, World, fresh};

const TOKEN_URL: &str = "https://id.example/token";

fn text(it: &str) -> Option<GivenSecret> {
    Some(GivenSecret::Text(it.into()))
}

fn basic() -> AuthGiven {
    AuthGiven { kind: Some(Kind::Basic), username: Some("ann".into()), password: text("pä:ss"), ..AuthGiven::default() }
}

fn oauth() -> AuthGiven {
    AuthGiven {
        kind: Some(Kind::ClientCredentials),
        token_url: Some(TOKEN_URL.into()),
        client_id: Some("ring back".into()),
        client_secret: text("s3cret"),
        scope: Some(Some("hooks:write".into())),
        ..AuthGiven::default()
    }
}

fn with(world: &World, auth: AuthGiven) -> SubscriptionId {
    let made = world.subscribe(|it| {
        let push = it.push.as_mut().unwrap();
        push.access = AccessGiven { auth: Some(auth), whole: true, ..AccessGiven::default() };
    });
    made.view.subscription.id.clone()
}

fn patch(world: &World, id: &SubscriptionId, patch: SubscriptionPatch) -> Result<SubscriptionWritten, Error> {
    world.run(world.service.patch_subscription(&world.ctx(), id, patch, IfMatch::None, Write::plain())).map(fresh)
}

fn patch_auth(world: &World, id: &SubscriptionId, auth: AuthGiven) -> Result<SubscriptionWritten, Error> {
    let access = AccessGiven { auth: Some(auth), ..AccessGiven::default() };
    patch(world, id, SubscriptionPatch { access, ..SubscriptionPatch::default() })
}

fn find<'a>(request: &'a PushRequest, name: &str) -> Option<&'a str> {
    let mut all = request.headers.iter().filter(|it| it.0 == name);
    let found = all.next().map(|it| it.1.as_str());
    assert!(all.next().is_none(), "{name} is there twice");
    found
}

/// What endpoints (not who gives tokens) were sent as `authorization`.
fn shown(world: &World) -> Vec<String> {
    let all = world.sender.requests();
    all.iter().filter(|it| it.url != TOKEN_URL).map(|it| find(it, "authorization").unwrap_or("-").to_owned()).collect()
}

fn fetches(world: &World) -> usize {
    world.sender.requests().iter().filter(|it| it.url == TOKEN_URL).count()
}

fn publish(world: &World) {
    world.publish("a.b", None, "{}");
    world.pass(Duration::from_secs(1));
}

fn body(outcome: Outcome, body: &str) -> Answered {
    Answered { response: Some(Excerpt { body: body.into(), ..Excerpt::default() }), ..answered(outcome) }
}

/// Gives `t1`, `t2` … for so many seconds each.
fn giver(world: &World, expires_in: u64) {
    let given = Arc::new(AtomicUsize::new(0));
    world.sender.answer_with(move |request| {
        if request.url == TOKEN_URL {
            let n = given.fetch_add(1, Ordering::SeqCst) + 1;
            return body(status(200), &format!("{{\"access_token\":\"t{n}\",\"token_type\":\"bearer\",\"expires_in\":{expires_in}}}"));
        }
        answered(status(200))
    });
}

#[track_caller]
fn refused(result: Result<SubscriptionWritten, Error>, at: &str) {
    match result {
        Err(Error::Field { pointer, .. }) if pointer == at => {}
        other => panic!("wanted {at}: {other:?}"),
    }
}

#[test]
fn basic_and_bearer_are_sent_and_kept_over_a_restart() {
    let mut world = World::new();
    let id = with(&world, basic());
    publish(&world);
    world.crash();
    publish(&world);
    patch_auth(&world, &id, AuthGiven { kind: Some(Kind::Bearer), token: text("tok"), ..AuthGiven::default() }).unwrap();
    publish(&world);
    patch_auth(&world, &id, AuthGiven { kind: Some(Kind::None), ..AuthGiven::default() }).unwrap();
    publish(&world);
    assert_eq!(shown(&world), ["Basic YW5uOnDDpDpzcw==", "Basic YW5uOnDDpDpzcw==", "Bearer tok", "-"]);
}

#[test]
fn what_is_not_said_stays_and_what_is_the_same_changes_nothing() {
    let world = World::new();
    let id = with(&world, basic());
    let same = patch_auth(&world, &id, basic()).unwrap();
    assert_eq!(same.view.subscription.version, 1);
    let same = patch_auth(&world, &id, AuthGiven { password: Some(GivenSecret::Keep), ..AuthGiven::default() }).unwrap();
    assert_eq!(same.view.subscription.version, 1);
    patch_auth(&world, &id, AuthGiven { username: Some("bob".into()), ..AuthGiven::default() }).unwrap();
    publish(&world);
    assert_eq!(shown(&world), ["Basic Ym9iOnDDpDpzcw=="]);
}

#[test]
fn what_is_missing_or_out_of_place_is_named() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    let given = AuthGiven::default;
    refused(patch_auth(&world, &id, given()), "/push/auth/type");
    refused(patch_auth(&world, &id, AuthGiven { kind: Some(Kind::Basic), ..given() }), "/push/auth/username");
    refused(patch_auth(&world, &id, AuthGiven { kind: Some(Kind::Bearer), ..given() }), "/push/auth/token");
    let keep = AuthGiven { kind: Some(Kind::Bearer), token: Some(GivenSecret::Keep), ..given() };
    refused(patch_auth(&world, &id, keep), "/push/auth/token");
    let stray = AuthGiven { token: text("x"), ..basic() };
    refused(patch_auth(&world, &id, stray), "/push/auth/token");
    patch_auth(&world, &id, oauth()).unwrap();
    let elsewhere = AuthGiven { token_url: Some("https://other.example/token".into()), ..given() };
    refused(patch_auth(&world, &id, elsewhere), "/push/auth/client_secret");
    let header = MapPatch::Merge([("authorization".to_owned(), Some("x".to_owned()))].into());
    refused(patch(&world, &id, SubscriptionPatch { headers: Some(header), ..SubscriptionPatch::default() }), "/push/headers/authorization");
}

#[test]
fn secrets_do_not_follow_to_another_host() {
    let world = World::new();
    let made = world.subscribe(|it| {
        let push = it.push.as_mut().unwrap();
        push.access = AccessGiven { auth: Some(basic()), whole: true, ..AccessGiven::default() };
        push.headers = vec![("x-api-key".into(), "canary".into())];
    });
    let id = made.view.subscription.id.clone();
    let to = |url: &str, headers: Option<MapPatch>, auth: Option<AuthGiven>| {
        let access = AccessGiven { auth, ..AccessGiven::default() };
        patch(&world, &id, SubscriptionPatch { url: Some(url.into()), headers, access, ..SubscriptionPatch::default() })
    };
    to("https://example.com/other/path", None, None).unwrap();
    refused(to("https://evil.example/", None, None), "/push/auth");
    refused(to("https://example.com:8443/", None, Some(basic())), "/push/headers/x-api-key");
    let key = |value: Option<&str>| Some(MapPatch::Merge([("x-api-key".to_owned(), value.map(str::to_owned))].into()));
    let keep = AuthGiven { password: Some(GivenSecret::Keep), ..basic() };
    refused(to("https://evil.example/", key(None), Some(keep)), "/push/auth/password");
    to("https://new.example/", key(Some("for-new")), Some(basic())).unwrap();
    publish(&world);
    let sent = world.sender.requests().pop().unwrap();
    assert_eq!((sent.url.as_str(), find(&sent, "x-api-key")), ("https://new.example/", Some("for-new")));
}

#[test]
fn secret_headers_are_sealed_sent_and_never_shown() {
    let mut world = World::new();
    let made = world.subscribe(|it| {
        let push = it.push.as_mut().unwrap();
        push.headers = vec![("x-api-key".into(), "canary-key".into()), ("x-env".into(), "prod".into())];
    });
    let id = made.view.subscription.id.clone();
    let kept = &made.view.subscription.push.as_ref().unwrap();
    assert_eq!(kept.headers, [("x-env".to_owned(), "prod".to_owned())]);
    assert!(!format!("{:?}", made.view.subscription).contains("canary"), "{:?}", made.view.subscription);
    // A patch of another header leaves it; one with its old value changes nothing.
    let other =
        MapPatch::Merge([("x-env".to_owned(), Some("test".to_owned())), ("x-api-key".to_owned(), Some("canary-key".to_owned()))].into());
    patch(&world, &id, SubscriptionPatch { headers: Some(other), ..SubscriptionPatch::default() }).unwrap();
    assert_eq!(world.view(&id).subscription.push.as_ref().unwrap().access, kept.access);
    world.crash();
    publish(&world);
    let sent = world.sender.requests().pop().unwrap();
    assert_eq!((find(&sent, "x-api-key"), find(&sent, "x-env")), (Some("canary-key"), Some("test")));
    let gone = MapPatch::Merge([("x-api-key".to_owned(), None)].into());
    patch(&world, &id, SubscriptionPatch { headers: Some(gone), ..SubscriptionPatch::default() }).unwrap();
    publish(&world);
    assert_eq!(find(&world.sender.requests().pop().unwrap(), "x-api-key"), None);
}

#[test]
fn a_token_is_fetched_once_used_and_refreshed_early() {
    let world = World::new();
    giver(&world, 100);
    with(&world, oauth());
    for _ in 0..3 {
        world.publish("a.b", None, "{}");
    }
    world.pass(Duration::from_secs(1));
    assert_eq!((fetches(&world), shown(&world)), (1, vec!["Bearer t1".to_owned(); 3]));
    let asked = world.sender.requests().into_iter().find(|it| it.url == TOKEN_URL).unwrap();
    assert_eq!(&asked.body[..], b"grant_type=client_credentials&scope=hooks%3Awrite");
    // base64 of `ring+back:s3cret`.
    assert_eq!(find(&asked, "authorization"), Some("Basic cmluZytiYWNrOnMzY3JldA=="));
    assert_eq!(find(&asked, "content-type"), Some("application/x-www-form-urlencoded"));
    world.pass(Duration::from_secs(80));
    publish(&world);
    assert_eq!((fetches(&world), shown(&world).last().map(String::as_str)), (2, Some("Bearer t2")));
}

#[test]
fn a_giver_that_fails_spends_no_try_and_is_not_flooded() {
    for (answer, reason) in [
        (body(status(401), "{\"error\":\"invalid_client\"}"), "token-refused"),
        (body(status(200), "<html>canary"), "token-answer"),
        (answered(failed("timeout")), "token-unreachable"),
        (answered(Outcome::Unknown), "token-unreachable"),
    ] {
        let world = World::new();
        world.sender.answer_with(move |request| if request.url == TOKEN_URL { answer.clone() } else { answered(status(200)) });
        let id = with(&world, oauth());
        for _ in 0..4 {
            world.publish("a.b", None, "{}");
        }
        world.quiet();
        assert_eq!((fetches(&world), shown(&world).len()), (1, 0), "{reason}: one asks for all");
        world.pass(Duration::from_secs(86_400));
        let deliveries = world.deliveries(&id);
        let first = &deliveries[0];
        assert_eq!((first.state.as_str(), first.reason.as_deref(), deliveries.len()), ("pending", Some(reason), 4));
        let attempts = world.run(world.service.attempts(&world.ctx(), first.id)).unwrap();
        assert_eq!((attempts.len(), attempts[0].n), (1, 1), "none was spent: each carries the number of the one before");
        assert!(attempts.iter().all(|it| it.outcome == "failed" && it.response.is_none() && it.peer.is_none()), "{reason}");
        assert!((16..1_000).contains(&fetches(&world)), "{reason}: more than the schedule has, and no flood: {}", fetches(&world));
        giver(&world, 100);
        world.pass(Duration::from_secs(3_600));
        assert_eq!(world.states(&id), ["delivered"; 4]);
    }
}

#[test]
fn a_giver_that_may_not_be_called_stops_the_reader() {
    let world = World::new();
    world.sender.answer_with(|request| {
        if request.url == TOKEN_URL { answered(Outcome::Unroutable { reason: "refused" }) } else { answered(status(200)) }
    });
    let id = with(&world, oauth());
    publish(&world);
    let health = world.view(&id).health;
    assert_eq!((health.state, health.why.as_deref(), world.states(&id)), ("unroutable", Some("token-unroutable"), vec!["pending"]));
}

#[test]
fn a_token_that_was_taken_back_is_fetched_anew_once() {
    let world = World::new();
    giver(&world, 3_600);
    let id = with(&world, oauth());
    publish(&world);
    world.pass(Duration::from_secs(60));
    world.sender.script(URL, [answered(status(401))]);
    publish(&world);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.states(&id), ["delivered", "delivered"]);
    assert_eq!((fetches(&world), shown(&world)), (2, ["Bearer t1", "Bearer t1", "Bearer t2"].map(str::to_owned).to_vec()));
}

#[test]
fn an_old_token_does_while_its_giver_fails_and_another_secret_asks_anew() {
    let world = World::new();
    giver(&world, 100);
    let id = with(&world, oauth());
    publish(&world);
    world.pass(Duration::from_secs(85));
    world.sender.script(TOKEN_URL, [answered(status(503))]);
    publish(&world);
    assert_eq!(shown(&world), ["Bearer t1", "Bearer t1"]);
    patch_auth(&world, &id, AuthGiven { client_secret: text("other"), ..AuthGiven::default() }).unwrap();
    publish(&world);
    assert_eq!((fetches(&world), shown(&world).last().map(String::as_str)), (3, Some("Bearer t2")));
}

#[test]
fn where_tokens_come_from_is_vetted_as_endpoints_are() {
    let world = World::new();
    world.sender.vet_with(|url, _| {
        if url != TOKEN_URL {
            return Ok(ringback_ports::sender::Destination::Routable);
        }
        let (for_operator, for_tenant) = ("It is private.".into(), "It isn't reachable.".into());
        Err(ringback_ports::sender::DestinationRefused { reason: "address", for_operator, for_tenant })
    });
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    let result = patch_auth(&world, &id, oauth());
    assert!(matches!(&result, Err(Error::Destination { pointer: "/push/auth/token_url", .. })), "{result:?}");
}
