//! Tables of subscription bodies that are read, and of those that are refused.

use super::*;
use expect_test::{Expect, expect};
use ringback_model::{
    SubscriptionId, Timestamp,
    key::Authority,
    subscription::{Push, Revision, State},
};
use serde_json::json;

#[track_caller]
fn check_new(body: Value, want: Expect) {
    want.assert_eq(&match NewSubscription::read(&body) {
        Ok(it) => format!("{it:?}"),
        Err(it) => show(&it),
    });
}

#[track_caller]
fn check_patch(body: Value, want: Expect) {
    want.assert_eq(&match PatchSubscription::read(&body) {
        Ok(it) => format!("{it:?}"),
        Err(it) => show(&it),
    });
}

fn show(it: &Problem) -> String {
    let mut lines = vec![it.code.to_string()];
    lines.extend(it.errors.iter().map(|it| it.detail.clone()));
    lines.join("\n")
}

#[test]
fn little_is_enough() {
    check_new(
        json!({"push": {"url": "https://a.example/x"}}),
        expect![[
            r#"NewSubscription { scope: None, description: "", metadata: {}, types: [], strict: true, subject: None, until: None, filter: None, from: Now, payload: Full, order: None, push: Some(NewPush { url: "https://a.example/x", secret: None, signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, headers: [], timeout_ms: 20000, concurrency_max: 32, rate_max_per_s: None, delays: [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 43200, 43200, 43200, 43200], access: AccessGiven { auth: None, headers_kept: [], whole: true } }), state: None }"#
        ]],
    );
}

#[test]
fn everything_can_be_said() {
    check_new(
        json!({
            "tenant": "*", "description": "d", "metadata": {"a": "b"}, "types": ["payment.*", "order.shipped"], "strict": false,
            "subject": "/payment/123", "until": "completed,failed", "from": "start", "payload": "thin", "order": "subject",
            "push": {"url": "https://a.example/x", "secret": "whsec_x", "headers": {"X-Env": "prod", "authorization": "Bearer x"},
                     "timeout_ms": 1000, "concurrency_max": 256, "retry": {"delays": [1, 86400]}}
        }),
        expect![[
            r#"NewSubscription { scope: Some(All), description: "d", metadata: {"a": "b"}, types: [Below("payment"), Exact("order.shipped")], strict: false, subject: Some("/payment/123"), until: Some(Statuses(["completed", "failed"])), filter: None, from: Start, payload: Thin, order: Subject, push: Some(NewPush { url: "https://a.example/x", secret: Some("whsec_x"), signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, headers: [("authorization", "Bearer x"), ("x-env", "prod")], timeout_ms: 1000, concurrency_max: 256, rate_max_per_s: None, delays: [1, 86400], access: AccessGiven { auth: None, headers_kept: [], whole: true } }), state: None }"#
        ]],
    );
}

#[test]
fn null_is_as_if_it_was_left_out() {
    let least = NewSubscription::read(&json!({"push": {"url": "https://a.example/x"}}));
    assert_eq!(
        NewSubscription::read(&json!({
            "tenant": null, "description": null, "metadata": null, "types": null, "strict": null, "subject": null, "until": null, "from": null,
            "payload": null, "order": null,
            "push": {"url": "https://a.example/x", "secret": null, "headers": null, "timeout_ms": null, "concurrency_max": null, "retry": null}
        })),
        least
    );
    assert!(least.is_ok());
}

#[test]
fn unknown_members_alone_are_told_as_such() {
    check_new(
        json!({"url": "https://a.example", "push": {"url": "https://a.example"}}),
        expect![[r#"
        unknown-field
        `/url`: no such field here; did you mean `push.url`?"#]],
    );
    check_new(
        json!({"push": {"url": "https://a.example", "types": [], "timeout": 5, "rate_max_per_s": 1}, "filter": "a = 1"}),
        expect![[r#"
            unknown-field
            `/push/types`: no such field here; did you mean `types`?
            `/push/timeout`: no such field here; did you mean `push.timeout_ms`?"#]],
    );
    check_new(
        json!({"cursor": "AQE", "push": {"url": "https://a.example"}}),
        expect![[r#"
            read-only-field
            `/cursor` can't be set here. It moves by deliveries; `from` says where a new subscription begins."#]],
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    check_new(
        json!({}),
        expect![[
            r#"NewSubscription { scope: None, description: "", metadata: {}, types: [], strict: true, subject: None, until: None, filter: None, from: Now, payload: Full, order: None, push: None, state: None }"#
        ]],
    );
    check_new(
        json!([]),
        expect![[r#"
        validation-failed
        The body should be an object, and is a list."#]],
    );
    check_new(
        json!({"push": "https://a.example"}),
        expect![[r#"
        validation-failed
        `/push` should be an object, and is a string."#]],
    );
    check_new(
        json!({
            "tenant": "No Good", "description": 1, "metadata": {"a": 1}, "types": ["payment.*", "*", 7], "strict": "yes", "subject": "",
            "until": "a b", "from": 3, "payload": "data", "order": "fifo",
            "push": {"secret": 1, "headers": {"Host": "x"}, "timeout_ms": 999, "concurrency_max": 257, "retry": {"delays": [0, 86401, "5"]}}
        }),
        expect![[r#"
            validation-failed
            `/subject` should be 1 to 512 bytes without control characters; `` isn't.
            `/until` should be `done`, or one or more statuses joined by commas, such as `completed,failed`; `a b` isn't.
            `/tenant` should be 1 to 63 lower-case letters, digits and `-`; `No Good` isn't.
            `/from` should be a string, and is a number.
            `/description` should be a string, and is a number.
            `/metadata/a` should be a string, and is a number.
            `/types/1` should be an event type such as `payment.completed`, or a prefix such as `payment.*`; `*` isn't.
            `/types/2` should be a string, and is a number.
            `/strict` should be `true` or `false`, and is a string.
            `/order` should be one of: none, subject; `fifo` is none.
            `/push/url` is required: the address to call.
            `/push/secret` should be a string, and is a number.
            The header `Host` is written by the server and can't be set. Use a name of your own, such as `x-env`.
            `/push/timeout_ms` should be a whole number from 1000 to 60000, and is 999.
            `/push/concurrency_max` should be a whole number from 1 to 256, and is 257.
            `/push/retry/delays/0` should be a whole number from 1 to 86400, and is 0.
            `/push/retry/delays/1` should be a whole number from 1 to 86400, and is 86401.
            `/push/retry/delays/2` should be a whole number from 1 to 86400, and is a string."#]],
    );
    check_new(
        json!({"until": "done", "push": {"url": "x", "retry": {"delays": []}}}),
        expect![[r#"
        validation-failed
        `/until` works only together with `subject`.
        `/push/retry/delays` should have 1 to 49 entries, and has 0."#]],
    );
}

#[test]
fn counts_have_limits() {
    let body = |types: usize, delays: usize, headers: usize| {
        let headers: serde_json::Map<_, _> = (0..headers).map(|it| (format!("x-{it}"), json!("v"))).collect();
        json!({"types": vec!["a"; types], "push": {"url": "x", "headers": headers, "retry": {"delays": vec![5; delays]}}})
    };
    assert!(NewSubscription::read(&body(100, 49, 20)).is_ok());
    for (types, delays, headers) in [(101, 49, 20), (100, 50, 20), (100, 0, 20), (100, 49, 21)] {
        assert!(NewSubscription::read(&body(types, delays, headers)).is_err(), "{types} {delays} {headers}");
    }
}

#[test]
fn headers_cannot_break_a_request() {
    let read = |name: &str, value: Value| {
        NewSubscription::read(&json!({"push": {"url": "x", "headers": {name: value}}}))
            .map(|it| it.push.expect("a push").headers)
            .map_err(|it| it.errors.len())
    };
    for name in ["x-env", "Authorization", "a", "x!#$%&'*+-.^_`|~"] {
        assert_eq!(read(name, json!("v w")), Ok(vec![(name.to_ascii_lowercase(), "v w".into())]), "{name}");
    }
    assert_eq!(read("x", json!("")), Ok(vec![("x".into(), String::new())]));
    for name in
        ["", "a b", "a:b", "ä", "a\r\nb", "a\0", "host", "Host", "CONTENT-LENGTH", "Content-Type", "transfer-encoding", "Connection"]
    {
        assert_eq!(read(name, json!("v")), Err(1), "{name:?}");
    }
    for name in ["webhook-id", "Webhook-Signature", "webhook-anything", "user-agent", "expect", "te", "upgrade"] {
        assert_eq!(read(name, json!("v")), Err(1), "{name:?}");
    }
    for value in ["a\r\nb", "a\nb", "\u{7f}", " a", "a ", "ä", "a\tb"] {
        assert_eq!(read("x", json!(value)), Err(1), "{value:?}");
    }
    assert_eq!(read("x", json!(1)), Err(1));
    assert!(read("x", json!("v".repeat(2_047))).is_ok());
    assert_eq!(read("x", json!("v".repeat(2_048))), Err(1));
    check_new(
        json!({"push": {"url": "x", "headers": {"X-Env": "a", "x-env": "b"}}}),
        expect![[r#"
        validation-failed
        The header `x-env` is here twice: names don't depend on case. Send it once."#]],
    );
}

#[test]
fn a_patch_says_only_what_changes() {
    check_patch(
        json!({}),
        expect![
            "PatchSubscription { description: None, metadata: None, types: None, filter: None, strict: None, payload: None, order: None, url: None, headers: None, timeout_ms: None, concurrency_max: None, rate_max_per_s: None, delays: None, signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, access: AccessGiven { auth: None, headers_kept: [], whole: false }, pulled: false, state: None }"
        ],
    );
    check_patch(
        json!({"description": "new", "push": {"url": "https://b.example", "retry": {"delays": [1]}}}),
        expect![[
            r#"PatchSubscription { description: Some("new"), metadata: None, types: None, filter: None, strict: None, payload: None, order: None, url: Some("https://b.example"), headers: None, timeout_ms: None, concurrency_max: None, rate_max_per_s: None, delays: Some([1]), signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, access: AccessGiven { auth: None, headers_kept: [], whole: false }, pulled: false, state: None }"#
        ]],
    );
    check_patch(
        json!({"metadata": {"a": null, "b": "c"}, "push": {"headers": {"X-Env": null}}}),
        expect![[
            r#"PatchSubscription { description: None, metadata: Some(Merge({"a": None, "b": Some("c")})), types: None, filter: None, strict: None, payload: None, order: None, url: None, headers: Some(Merge({"x-env": None})), timeout_ms: None, concurrency_max: None, rate_max_per_s: None, delays: None, signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, access: AccessGiven { auth: None, headers_kept: [], whole: false }, pulled: false, state: None }"#
        ]],
    );
}

#[test]
fn null_in_a_patch_is_the_default() {
    check_patch(
        json!({
            "description": null, "metadata": null, "types": null, "strict": null, "payload": null, "order": null,
            "push": {"headers": null, "timeout_ms": null, "concurrency_max": null, "retry": {"delays": null}}
        }),
        expect![[
            r#"PatchSubscription { description: Some(""), metadata: Some(Clear), types: Some([]), filter: None, strict: Some(true), payload: Some(Full), order: Some(None), url: None, headers: Some(Clear), timeout_ms: Some(20000), concurrency_max: Some(32), rate_max_per_s: None, delays: Some([5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 43200, 43200, 43200, 43200]), signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, access: AccessGiven { auth: None, headers_kept: [], whole: false }, pulled: false, state: None }"#
        ]],
    );
    check_patch(
        json!({"push": null}),
        expect![
            "PatchSubscription { description: None, metadata: None, types: None, filter: None, strict: None, payload: None, order: None, url: None, headers: None, timeout_ms: None, concurrency_max: None, rate_max_per_s: None, delays: None, signing: SigningPatch { algorithm: None, profile: None, webhook_id: None }, access: AccessGiven { auth: None, headers_kept: [], whole: false }, pulled: true, state: None }"
        ],
    );
    check_patch(
        json!({"push": {"url": null}}),
        expect![[r#"
        validation-failed
        `/push/url` is required: the address to call."#]],
    );
}

#[test]
fn what_is_fixed_cannot_be_patched() {
    check_patch(
        json!({"subject": "/a/1", "until": "done", "from": "now", "tenant": "*", "id": "x", "push": {"secret": "whsec_"}}),
        expect![[r#"
            read-only-field
            `/subject` can't be set here. It is fixed when a subscription is made; make another one.
            `/until` can't be set here. It is fixed when a subscription is made; make another one.
            `/from` can't be set here. It is fixed when a subscription is made; make another one.
            `/tenant` can't be set here. It is fixed when a subscription is made; make another one.
            `/id` can't be set here. It is fixed when a subscription is made; make another one.
            `/push/secret` can't be set here. Use `POST …/rotate-secret`."#]],
    );
}

#[test]
fn map_patches_merge() {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned())).collect::<BTreeMap<_, _>>();
    let patch = MapPatch::Merge([("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))].into());
    assert_eq!(patch.apply(&map(&[("a", "1"), ("b", "1"), ("c", "1")])), map(&[("b", "2"), ("c", "1")]));
    assert_eq!(MapPatch::Clear.apply(&map(&[("a", "1")])), map(&[]));
    let full: BTreeMap<_, _> = (0..50).map(|it| (it.to_string(), String::new())).collect();
    assert_eq!(patch.apply(&full).len(), full.len() + 1);
    assert_eq!(MapPatch::Replace(map(&[("c", "3")])).apply(&full), map(&[("c", "3")]));
}

#[test]
fn resuming_skips_only_when_asked() {
    assert_eq!(Resume::read(None), Ok(Resume::Cursor));
    assert_eq!(Resume::read(Some(&json!({}))), Ok(Resume::Cursor));
    assert_eq!(Resume::read(Some(&json!({"from": "cursor"}))), Ok(Resume::Cursor));
    assert_eq!(Resume::read(Some(&json!({"from": "now"}))), Ok(Resume::Now));
    for bad in [json!({"from": "start"}), json!({"form": "now"}), json!("now"), json!({"from": 1})] {
        assert!(Resume::read(Some(&bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_subscription_has_one_shape() {
    let it = Subscription {
        no: 1,
        id: SubscriptionId::parse("sub_1").unwrap(),
        tenant: TenantId::default_tenant(),
        scope: Scope::Tenant(TenantId::default_tenant()),
        authority: Authority::Tenant,
        description: "d".into(),
        metadata: Metadata::new(),
        strict: true,
        subject: None,
        until: Some(Until::Done),
        from: "now".into(),
        state: State::Active,
        push: Some(Push {
            url: "https://a.example".into(),
            headers: vec![("x-env".into(), "prod".into())],
            timeout_ms: 20_000,
            concurrency_max: 32,
            rate_max_per_s: None,
            delays: vec![5, 30],
            signing: Default::default(),
            access: Default::default(),
            secrets: vec![],
        }),
        revisions: vec![Revision {
            no: 2,
            from: 0,
            types: vec![TypePattern::parse("payment.*").unwrap()],
            filter: None,
            payload: PayloadForm::Full,
            order: Order::None,
            public_url: "https://api.example".into(),
        }],
        generation: 1,
        created_at: Timestamp::from_secs(0),
        updated_at: Timestamp::from_secs(0),
        version: 1,
        failing: None,
    };
    let health = Health { state: "ok", why: None, since: Timestamp::from_secs(0).to_string() };
    let view = SubscriptionView::of(&it, "AQE".into(), 3, health, Some("whsec_x".into()));
    expect![[r#"{"id":"sub_1","tenant":"default","description":"d","metadata":{},"types":["payment.*"],"strict":true,"subject":null,"until":"done","filter":null,"from":"now","payload":"full","order":"none","state":"active","push":{"url":"https://a.example","headers":{"x-env":"prod"},"timeout_ms":20000,"concurrency_max":32,"rate_max_per_s":null,"retry":{"delays":[5,30]},"signing":"hmac","profile":"standard","webhook_id":"event","secret":"whsec_x"},"cursor":"AQE","lag":3,"health":{"state":"ok","why":null,"since":"1970-01-01T00:00:00.000000Z"},"revision":2,"created_at":"1970-01-01T00:00:00.000000Z"}"#]].assert_eq(&serde_json::to_string(&view).unwrap());
}
