//! Pull subscriptions from outside: the real binary, killed while workers pull, and the command that is a worker.
//!
//! Nothing waits for a length of time: each test waits on the thing itself,
//! bounded by a deadline that only a broken program reaches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_client::Client;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{BINARY, Server, eventually, without_our_variables};

const WRITERS: usize = 8;
const PAYMENTS_EACH: usize = 30;
const KILLS: usize = 5;
/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(60);

/// Asks until it is answered; a server that was killed in between may have done it already, and says so with `done`.
/// The whole test has a deadline.
async fn surely(api: &Client, path: &str, body: Option<&Value>, done: &str) -> Value {
    loop {
        match api.post(path, body).await {
            Ok(answer) => return answer,
            Err(error) if error.problem().is_some_and(|it| it.code == done) => return Value::Null,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn write(api: Client, writer: usize, written: Arc<AtomicUsize>) {
    for n in 0..PAYMENTS_EACH {
        let id = format!("w{writer}-{n}");
        surely(&api, "/payment", Some(&json!({ "id": id, "amount": 1999, "currency": "eur" })), "already-exists").await;
        surely(&api, &format!("/payment/{id}/complete"), None, "transition-not-allowed").await;
        written.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a worker has seen: versions and last status of each payment.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, BTreeSet<u64>>,
    status: BTreeMap<String, (u64, String)>,
    acked: BTreeSet<String>,
    batches: usize,
}

impl Seen {
    fn take(&mut self, event: &Value) {
        let id = event["id"].as_str().unwrap();
        assert!(!self.acked.contains(id), "{id} came again after its ack was answered");
        let (payment, version) = (event["data"]["id"].as_str().unwrap().to_owned(), event["data"]["version"].as_u64().unwrap());
        self.versions.entry(payment.clone()).or_default().insert(version);
        let status = (version, event["data"]["status"].as_str().unwrap().to_owned());
        let known = self.status.entry(payment).or_default();
        if status.0 > known.0 {
            *known = status;
        }
    }
}

/// Pulls and acknowledges until all is written and nothing is left.
async fn work(api: Client, written: Arc<AtomicUsize>) -> Seen {
    let mut seen = Seen::default();
    let pull = json!({ "limit": 25, "wait": 1, "lease": 60 });
    loop {
        // Before the pull: what is written after it may be missing from the answer.
        let all = written.load(Ordering::SeqCst) == WRITERS * PAYMENTS_EACH;
        let Ok(batch) = api.post("/v1/subscriptions/worker/pull", Some(&pull)).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let events = batch["data"].as_array().unwrap();
        if events.is_empty() && all && batch["lag"] == 0 {
            return seen;
        }
        if events.is_empty() {
            continue;
        }
        events.iter().for_each(|it| seen.take(it));
        seen.batches += 1;
        // The token holds over a kill: the ack is tried until it is answered.
        let ack = json!({ "ack": batch["ack"] });
        let said = surely(&api, "/v1/subscriptions/worker/ack", Some(&ack), "").await;
        let late = said["late"].as_array().unwrap().len() as u64;
        assert_eq!(said["settled"].as_u64().unwrap() + late, events.len() as u64, "{said}");
        seen.acked.extend(events.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ends_with_exactly_the_final_list_through_five_kills() {
    let mut server = Server::start().await;
    server.api().put("/v1/subscriptions/worker", &json!({ "types": ["payment.*"], "from": "start" })).await.unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS).map(|it| tokio::spawn(write(server.api(), it, Arc::clone(&written)))).collect();
    let worker = tokio::spawn(work(server.api(), Arc::clone(&written)));
    for kill in 1..=KILLS {
        let some = kill * WRITERS * PAYMENTS_EACH / (KILLS + 1);
        eventually(async || (written.load(Ordering::SeqCst) >= some).then_some(())).await;
        server.kill_and_restart().await;
    }
    let all = async {
        for it in writers {
            it.await.unwrap();
        }
        worker.await.unwrap()
    };
    let seen = tokio::time::timeout(DEADLINE, all).await.expect("the worker ends");
    assert!(seen.batches > 1);
    let list = server.api().get("/payment?limit=1000").await.unwrap();
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), WRITERS * PAYMENTS_EACH);
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let last: BTreeMap<String, (u64, String)> =
        rows.iter().map(|it| (text(&it["id"]), (it["version"].as_u64().unwrap(), text(&it["status"])))).collect();
    assert_eq!(seen.status, last, "exactly the final list");
    for (id, versions) in &seen.versions {
        assert_eq!(*versions, BTreeSet::from([1, 2]), "a gap in {id}");
    }
    let parked = server.api().get("/v1/deliveries?subscription=worker&state=parked").await.unwrap();
    assert_eq!(parked["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_a_worker() {
    let server = Server::start().await;
    let api = server.api();
    let run = |args: &[&str]| {
        let mut command = Command::new(BINARY);
        without_our_variables(&mut command).env("RINGBACK_URL", server.url()).env("RINGBACK_KEY", server.key());
        let out = command.args(args).output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let made = run(&["subscriptions", "create", "--id", "ledger", "--types", "payment.*", "--json"]);
    assert_eq!(made.0, Some(0), "{}", made.2);
    for id in ["1", "2", "3"] {
        api.post("/payment", Some(&json!({ "id": id, "amount": 1, "currency": "eur" }))).await.unwrap();
    }
    // It fails on the second one, which is put off for a day.
    let script = r#"read event; case "$event" in *'"id":"2"'*) exit 7;; esac; echo "$RINGBACK_EVENT_TYPE $RINGBACK_EVENT_TRIES""#;
    let worked = run(&["pull", "ledger", "--exec", script, "--delay", "86400"]);
    assert_eq!((worked.0, worked.1.as_str()), (Some(0), "payment.created 1\npayment.created 1\n"), "{}", worked.2);
    assert!(worked.2.contains("the command failed"), "{}", worked.2);
    let retrying = api.get("/v1/deliveries?subscription=ledger&state=retrying").await.unwrap();
    assert_eq!(retrying["data"].as_array().unwrap().len(), 1, "{retrying}");
    assert_eq!(retrying["data"][0]["subject"], "/payment/2");
    assert_eq!(api.get("/v1/subscriptions/ledger").await.unwrap()["lag"], 0);
    // All of it again, printed.
    assert_eq!(run(&["subscriptions", "seek", "ledger", "start"]).0, Some(0));
    let printed = run(&["pull", "ledger"]);
    let subjects: Vec<Value> = printed.1.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["subject"].clone()).collect();
    assert_eq!(subjects, ["/payment/1", "/payment/2", "/payment/3"]);
    assert_eq!(run(&["pull", "ledger"]).1, "", "it was acknowledged");
    assert_eq!(run(&["pull", "nobody"]).0, Some(4));
}
