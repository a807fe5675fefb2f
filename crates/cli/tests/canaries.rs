//! Canaries: secrets and one tenant's data, let loose in a run of the real binary
//! with its log at `debug`, and searched for everywhere that they must never be.
//!
//! Not here: each route by itself (`server/tests/routes/cross_tenant*.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use http::{HeaderMap, Method};
use ringback_client::{Client, Target};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};
use support::{Answer, Receiver, eventually};

/// A secret of the standard's form whose bytes are text that can be searched for.
const SECRET_BYTES: &str = "canary-signing-secret-0123456789";

struct Found {
    where_: String,
    what: &'static str,
}

/// Everything in `bytes` that is among the canaries.
fn search(bytes: &[u8], where_: &str, canaries: &[(&'static str, String)], found: &mut Vec<Found>) {
    for (what, canary) in canaries {
        assert!(canary.len() >= 12, "{what} is too short to be searched for");
        if bytes.windows(canary.len()).any(|it| it == canary.as_bytes()) {
            found.push(Found { where_: where_.to_owned(), what });
        }
    }
}

fn all_files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_files(&path, out);
        } else if path.is_file() {
            out.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_other_tenants_are_found_nowhere() {
    use base64::Engine as _;
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("d"), dir.path().join("log"));
    let mut command = support::serve_command(&[], &data, "127.0.0.1:0", &[]);
    command.env("RINGBACK_LOG__FILTER", "debug").stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap().rsplit("http://").next().unwrap().trim().to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    let target = || Target::parse(&format!("http://{url}")).unwrap();
    let operator_key = fs::read_to_string(data.join("operator.key")).unwrap().trim().to_owned();
    let operator = Client::new(target(), Some(operator_key.clone()));

    let mut keys = Vec::new();
    for tenant in ["acme", "globex"] {
        operator.clone().send(Method::PUT, &format!("/v1/tenants/{tenant}"), HeaderMap::new(), Some(&json!({}))).await.unwrap();
        let made = operator.post("/v1/keys", Some(&json!({ "role": "tenant", "tenant": tenant, "description": "k" }))).await;
        keys.push(made.unwrap()["key"].as_str().unwrap().to_owned());
    }
    let (acme, globex) = (Client::new(target(), Some(keys[0].clone())), Client::new(target(), Some(keys[1].clone())));
    let for_acme = operator.clone().tenant(Some("acme".into()));

    // One endpoint that takes everything, one whose answers hold a secret of its own.
    let good = Receiver::start(|_| Answer::status(200)).await;
    let bad = Receiver::start(|_| Answer::status(500)).await;
    let secret = format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(SECRET_BYTES));
    for (receiver, path) in [(&good, "/canary-path-acme"), (&bad, "/dead")] {
        let body = json!({
            "description": "canary-description-acme",
            "push": { "url": receiver.url(path), "secret": secret, "headers": { "x-token": "canary-header-secret" },
                      "auth": { "type": "basic", "username": "u", "password": "canary-basic-password" } },
        });
        let made = acme.post("/v1/subscriptions", Some(&body)).await.unwrap();
        assert!(!made.to_string().contains("canary-header-secret") && !made.to_string().contains("canary-basic"), "{made}");
    }
    // One whose tokens come from somebody who gives none.
    let giver = Receiver::start(|_| Answer::status(500)).await;
    let auth = json!({ "type": "oauth2_client_credentials", "token_url": giver.url("/token"), "client_id": "us", "client_secret": "canary-client-secret" });
    acme.post("/v1/subscriptions", Some(&json!({ "push": { "url": bad.url("/behind"), "auth": auth } }))).await.unwrap();
    globex.post("/v1/subscriptions", Some(&json!({ "push": { "url": good.url("/globex") } }))).await.unwrap();
    let payment = json!({ "id": "canary-id-acme", "amount": 5, "currency": "eur", "customer": "canary-customer-acme" });
    for_acme.post("/payment", Some(&payment)).await.unwrap();
    acme.post("/v1/events", Some(&json!({ "type": "app.canary", "data": { "text": "canary-payload-acme" } }))).await.unwrap();
    good.wait_for(2).await;
    bad.wait_for(2).await;
    giver.wait_for(1).await;

    // Everything that globex can ask, and mistakes of every kind.
    let mut told: Vec<(String, Vec<u8>)> = Vec::new();
    let wrong_key = Client::new(target(), Some("rbk_canarywrongkey_canarywrongsecret0000000000".into()));
    let mut ask = async |client: &Client, method: Method, path: &str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", "canary-idempotency".parse().unwrap());
        let got = client.request(method.clone(), path, headers, body.to_owned().into()).await.unwrap();
        told.push((format!("{method} {path}: {}", got.status), got.body.to_vec()));
    };
    for path in [
        "/payment",
        "/payment/canary-id-acme",
        "/payment/canary-id-acme/status",
        "/payment/canary-id-acme/events",
        "/payment/canary-id-acme/versions/1",
        "/v1/events?after=start&limit=1000",
        "/v1/events?subject=/payment/canary-id-acme",
        "/v1/subscriptions",
        "/v1/deliveries",
        "/v1/keys",
        "/v1/tenants",
        "/v1/types",
        "/v1/log",
        "/v1/nothing",
        "/v1/events?colour=red",
        "/v1/events?after=canary-position",
    ] {
        ask(&globex, Method::GET, path, "").await;
        ask(&wrong_key, Method::GET, path, "").await;
    }
    for (method, path, body) in [
        (Method::POST, "/payment", "{\"amount\": canary-not-json"),
        (Method::POST, "/payment", "{\"amount\":-1,\"currency\":\"canary-currency\"}"),
        (Method::POST, "/v1/events", "{\"type\":\"app.canary\",\"data\":{},\"extra\":\"x\"}"),
        (Method::POST, "/v1/subscriptions", "{\"push\":{\"url\":\"http://10.0.0.1:1/canary\",\"secret\":\"whsec_not!base64\"}}"),
        (Method::POST, "/payment/canary-id-acme/complete", ""),
        (Method::PATCH, "/payment/canary-id-acme", "{\"customer\":\"x\"}"),
        (Method::DELETE, "/payment/canary-id-acme", ""),
    ] {
        ask(&globex, method.clone(), path, body).await;
        ask(&wrong_key, method, path, body).await;
    }
    // A retried delivery, and a listing with its attempts, for the log.
    let dead = eventually(async || {
        let page = acme.get("/v1/deliveries?state=retrying").await.unwrap();
        page["data"].get(0).and_then(|it: &Value| it["id"].as_str().map(ToOwned::to_owned))
    })
    .await;
    acme.get(&format!("/v1/deliveries/{dead}/attempts")).await.unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());

    let key_file = fs::read_to_string(data.with_extension("key")).unwrap();
    let secrets = vec![
        ("the signing secret", secret.clone()),
        ("the bytes of the signing secret", SECRET_BYTES.to_owned()),
        ("acme's key", keys[0].clone()),
        ("the secret part of globex's key", keys[1].rsplit('_').next().unwrap().to_owned()),
        ("a secret header", "canary-header-secret".to_owned()),
        ("a password", "canary-basic-password".to_owned()),
        ("a password as it is sent", base64::engine::general_purpose::STANDARD.encode("u:canary-basic-password")),
        ("a client's secret", "canary-client-secret".to_owned()),
        ("the operator's key", operator_key),
        ("the key file", key_file.trim().rsplit(':').next().unwrap().to_owned()),
    ];
    let mut found = Vec::new();
    // What globex and strangers were told.
    let acmes: Vec<(&'static str, String)> = ["canary-customer-acme", "canary-payload-acme", "canary-description-acme", "canary-path-acme"]
        .map(|it| ("acme's data", it.to_owned()))
        .to_vec();
    for (what, body) in &told {
        search(body, what, &secrets, &mut found);
        search(body, what, &acmes, &mut found);
    }
    assert!(told.len() > 40);
    // The log: no secret, no payload, no key that somebody tried, right or wrong.
    let text = fs::read(&log).unwrap();
    assert!(text.len() > 1_000, "it has logged something: {}", text.len());
    search(&text, "the log", &secrets, &mut found);
    search(&text, "the log", &acmes[..2], &mut found);
    search(&text, "the log", &[("a key that was tried", "canarywrongsecret".to_owned())], &mut found);
    // The data: sealed. Its owner's copy of the first key is what it is.
    let mut files = Vec::new();
    all_files(&data, &mut files);
    for file in files.iter().filter(|it| !it.ends_with("operator.key")) {
        search(&fs::read(file).unwrap(), &file.display().to_string(), &secrets, &mut found);
    }
    assert!(files.len() > 2, "{files:?}");
    // The search itself sees what is there.
    let mut there = Vec::new();
    search(&fs::read(data.join("ringback.db")).unwrap(), "the data", &acmes[..2], &mut there);
    assert_eq!(there.len(), 2, "payloads are in the data file, in the clear");
    let found: Vec<_> = found.iter().map(|it| format!("{} in {}", it.what, it.where_)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
