//! The binary from outside: a real process, a real directory, real sockets on loopback.
//!
//! Nothing waits for a length of time: each test waits on the thing itself,
//! bounded by a deadline that only a broken program reaches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_client::Client;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, process::Command};
use support::{Answer, Receiver, Server, eventually};

async fn create(api: &Client, id: &str) -> Value {
    api.post("/payment", Some(&json!({ "id": id, "amount": 1999, "currency": "eur" }))).await.unwrap()
}

async fn subscribe(api: &Client, url: &str, more: Value) -> Value {
    let mut body = json!({ "types": ["payment.completed"], "push": { "url": url, "retry": { "delays": [1, 1, 1, 1, 1, 1, 1, 1] } } });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    api.post("/v1/subscriptions", Some(&body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_asked_waited_for_and_called_back() {
    let server = Server::start().await;
    let api = server.api();
    let receiver = Receiver::start(|_| Answer::status(200)).await;

    let made = create(&api, "123").await;
    assert_eq!(made["status"], "created");
    let subscription = subscribe(&api, &receiver.url("/webhook/payment"), json!({})).await;
    let secret = subscription["push"]["secret"].as_str().unwrap().to_owned();

    // Started before: it is answered by the transition.
    let waiting = tokio::spawn({
        let api = server.api();
        async move { api.get("/payment/123/status?wait=30&until=done").await.unwrap() }
    });
    let completed = api.post("/payment/123/complete", None).await.unwrap();
    assert_eq!(completed["version"], 2);
    let waited = waiting.await.unwrap();
    assert_eq!((&waited["status"], &waited["done"]), (&json!("completed"), &json!(true)));

    let calls = receiver.wait_for(1).await;
    let call = &calls[0];
    // Byte for byte what the API answers (P8).
    let event = server.raw(&format!("/v1/events/{}", call.header("webhook-id"))).await;
    assert_eq!(call.body, event);
    assert_eq!(support::verify(call, &secret), Ok(()));

    let id = subscription["id"].as_str().unwrap();
    let list = format!("/v1/deliveries?subscription={id}");
    let delivery = eventually(async || {
        let page = api.get(&list).await.unwrap();
        Some(page["data"][0].clone()).filter(|it| it["last_attempt"]["outcome"] == "delivered")
    })
    .await;
    assert_eq!((&delivery["state"], &delivery["tries"]), (&json!("delivered"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_down_gets_the_same_bytes_with_a_fresh_signature() {
    let server = Server::start().await;
    let api = server.api();
    let receiver = Receiver::start(|n| Answer::status(if n < 2 { 503 } else { 200 })).await;
    create(&api, "1").await;
    let subscription = subscribe(&api, &receiver.url("/"), json!({})).await;
    api.post("/payment/1/complete", None).await.unwrap();
    receiver.wait_for(1).await;
    let id = subscription["id"].as_str().unwrap();
    let retrying = eventually(async || {
        let page = api.get(&format!("/v1/deliveries?subscription={id}&state=retrying")).await.unwrap();
        page["data"].get(0).cloned()
    })
    .await;
    assert!(retrying["due_at"].is_string());
    let calls = receiver.wait_for(3).await;
    assert!(calls.iter().all(|it| it.body == calls[0].body && it.header("webhook-id") == calls[0].header("webhook-id")));
    assert_ne!(calls[2].header("webhook-signature"), calls[0].header("webhook-signature"));
    for call in &calls {
        assert_eq!(support::verify(call, subscription["push"]["secret"].as_str().unwrap()), Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_between_any_two_steps_loses_nothing_that_was_acknowledged() {
    let mut server = Server::start().await;
    let receiver = Receiver::start(|n| Answer::status(if n == 0 { 500 } else { 200 })).await;

    let made = create(&server.api(), "1").await;
    server.kill_and_restart().await;
    assert_eq!(server.api().get("/payment/1").await.unwrap(), made);

    let subscription = subscribe(&server.api(), &receiver.url("/"), json!({})).await;
    server.kill_and_restart().await;
    let id = subscription["id"].as_str().unwrap().to_owned();
    assert_eq!(server.api().get(&format!("/v1/subscriptions/{id}")).await.unwrap()["state"], "active");

    let completed = server.api().post("/payment/1/complete", None).await.unwrap();
    server.kill_and_restart().await;
    assert_eq!(server.api().get("/payment/1").await.unwrap(), completed);

    receiver.wait_for(1).await;
    server.kill_and_restart().await;
    let calls = receiver.wait_for(2).await;
    server.kill_and_restart().await;
    let delivery = eventually(async || {
        let page = server.api().get(&format!("/v1/deliveries?subscription={id}")).await.unwrap();
        Some(page["data"][0].clone()).filter(|it| it["state"] == "delivered")
    })
    .await;
    assert_eq!(delivery["event"].as_str().unwrap(), calls[1].header("webhook-id"));
    assert!(calls.iter().all(|it| it.body == calls[0].body));
    let log = server.api().get("/v1/events").await.unwrap();
    let types: Vec<_> = log["data"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["payment.created", "payment.completed"]);
}

/// The issue's own measure: both readers see each payment exactly once and in order, in little memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_payments_reach_both_readers_once_and_in_order() {
    const PAYMENTS: usize = 1_000;
    let server = Server::start().await;
    let api = server.api();
    let receiver = Receiver::start(|_| Answer::status(200)).await;
    subscribe(&api, &receiver.url("/"), json!({ "types": ["payment.*"], "order": "subject" })).await;

    let reader = tokio::spawn({
        let api = server.api();
        async move {
            let mut follow = api.follow_events("start", Default::default(), 10);
            let mut seen = Vec::new();
            while seen.len() < PAYMENTS * 3 {
                let event = follow.next().await.unwrap();
                seen.push((event["subject"].as_str().unwrap().to_owned(), event["type"].as_str().unwrap().to_owned()));
            }
            seen
        }
    });
    for n in 0..PAYMENTS {
        create(&api, &format!("p{n}")).await;
        api.post(&format!("/payment/p{n}/process"), None).await.unwrap();
        api.post(&format!("/payment/p{n}/complete"), None).await.unwrap();
    }
    let pulled = reader.await.unwrap();
    let calls = receiver.wait_for(PAYMENTS * 3).await;
    assert_eq!(calls.len(), PAYMENTS * 3);
    let pushed: Vec<_> = calls
        .iter()
        .map(|it| {
            let event: Value = serde_json::from_slice(&it.body).unwrap();
            (event["subject"].as_str().unwrap().to_owned(), event["type"].as_str().unwrap().to_owned())
        })
        .collect();
    for seen in [&pulled, &pushed] {
        let mut by_payment: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (subject, event_type) in seen {
            by_payment.entry(subject).or_default().push(event_type);
        }
        assert_eq!(by_payment.len(), PAYMENTS);
        assert!(by_payment.values().all(|it| *it == ["payment.created", "payment.processing", "payment.completed"]));
    }
    let peak_kib = server.peak_memory_kib();
    assert!(peak_kib < 100 * 1024, "peak memory {peak_kib} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_in_good_order_and_the_next_start_finds_everything() {
    let mut server = Server::start().await;
    let made = create(&server.api(), "1").await;
    assert_eq!(server.terminate(), Some(0));
    assert!(!server.data().join("ringback.sock").exists());
    server.restart().await;
    assert_eq!(server.api().get("/payment/1").await.unwrap(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_process_and_one_key_file() {
    let mut server = Server::start().await;
    let serve = |data: &std::path::Path| {
        let mut command = Command::new(support::BINARY);
        support::without_our_variables(&mut command);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(data).output().unwrap()
    };
    let second = serve(&server.data());
    assert_eq!(second.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is using the data directory"));

    server.terminate();
    let key_file = server.data().with_extension("key");
    let kept = fs::read(&key_file).unwrap();
    fs::remove_file(&key_file).unwrap();
    let missing = serve(&server.data());
    assert_eq!(missing.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("its key file"), "{}", String::from_utf8_lossy(&missing.stderr));
    assert!(!key_file.exists(), "no new one is made silently");

    // Another directory's key opens nothing here.
    let other = Server::start().await;
    fs::copy(other.data().with_extension("key"), &key_file).unwrap();
    let wrong = serve(&server.data());
    assert_eq!(wrong.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("another key file"), "{}", String::from_utf8_lossy(&wrong.stderr));

    fs::write(&key_file, kept).unwrap();
    server.restart().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_over_the_socket_and_over_http() {
    let server = Server::start().await;
    let run = |args: &[&str], over_http: bool| {
        let mut command = Command::new(support::BINARY);
        command.args(args).env_remove("RINGBACK_URL").env_remove("RINGBACK_KEY");
        if over_http {
            command.env("RINGBACK_URL", server.url()).env("RINGBACK_KEY", server.key());
        } else {
            command.env("RINGBACK_DATA", server.data());
        }
        let out = command.output().unwrap();
        (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    for over_http in [false, true] {
        let id = format!("cli-{over_http}");
        let body = json!({ "id": id, "amount": 5, "currency": "eur" }).to_string();
        let (code, out, err) = run(&["--json", "resources", "create", "payment", "-d", &body], over_http);
        assert_eq!(code, 0, "{err}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["id"], id.as_str());
        let (code, _, _) = run(&["resources", "do", "payment", &id, "complete"], over_http);
        assert_eq!(code, 0);
        let (code, out, _) = run(&["--json", "resources", "status", "payment", &id, "--until", "done", "--wait", "5"], over_http);
        assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["done"].clone()), (0, json!(true)));
        let (code, _, err) = run(&["resources", "do", "payment", &id, "complete"], over_http);
        assert_eq!(code, 5);
        assert!(err.contains("is completed"), "{err}");
        assert_eq!(run(&["resources", "get", "payment", "nowhere"], over_http).0, 4);
    }
    let mut command = Command::new(support::BINARY);
    let out = command.args(["events", "list"]).env("RINGBACK_URL", server.url()).env("RINGBACK_KEY", "rbk_nokey").output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    let out = Command::new(support::BINARY).args(["events", "list", "--url", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(out.status.code(), Some(6));
}
