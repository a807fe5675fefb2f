//! What a sender does when something failed, with the binary and its verbs: search, test, replay; and a
//! replay whose server is killed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    process::{Command, Output},
};
use support::{Answer, BINARY, Receiver, Server, eventually, without_our_variables};

/// So few that the endpoint is not left alone for refusing all of them.
const EVENTS: usize = 4;
/// Each is tried twice before it is parked.
const REFUSED: usize = 2 * EVENTS;

/// Runs a verb against the server.
fn verb(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    without_our_variables(&mut command);
    command.args(args).args(["--data"]).arg(server.data()).output().unwrap()
}

/// A subscription whose deliveries are parked: the endpoint refuses what comes first.
async fn parked(server: &Server, receiver: &Receiver) -> String {
    let api = server.api();
    let push = json!({ "url": receiver.url("/"), "retry": { "delays": [1] } });
    let made = api.post("/v1/subscriptions", Some(&json!({ "types": ["a.*"], "strict": false, "push": push }))).await.unwrap();
    let events: Vec<Value> = (0..EVENTS).map(|no| json!({ "type": "a.b", "subject": format!("/x/{no}"), "data": no })).collect();
    api.post("/v1/events", Some(&json!(events))).await.unwrap();
    receiver.wait_for(REFUSED).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let list = format!("/v1/deliveries?subscription={id}&state=parked");
    // Attempts are shown once they are on disk: from then on a kill can't undo the parking.
    let settled = |page: &Value| page["data"].as_array().unwrap().iter().filter(|it| it["last_attempt"]["n"] == 2).count() == EVENTS;
    eventually(async || api.get(&list).await.ok().filter(settled)).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_over_kills_and_ends_with_everything_delivered() {
    let mut server = Server::start().await;
    let receiver = Receiver::start(|n| Answer::status(if n < REFUSED { 400 } else { 200 })).await;
    let id = parked(&server, &receiver).await;
    let replay = json!({ "subscription": id, "only": "failed", "rate_max_per_s": 2 });
    let made = server.api().post("/v1/replays", Some(&replay)).await.unwrap();
    let path = format!("/v1/replays/{}", made["id"].as_str().unwrap());
    let kills = 2;
    for kill in 1..=kills {
        receiver.wait_for(REFUSED + kill).await;
        server.kill_and_restart().await;
    }
    let done = eventually(async || server.api().get(&path).await.ok().filter(|it| it["state"] == "done")).await;
    assert_eq!((&done["matched"], &done["delivered"], &done["parked"]), (&json!(EVENTS), &json!(EVENTS), &json!(0)));
    let calls = receiver.wait_for(REFUSED + EVENTS).await;
    let (first, again) = calls.split_at(REFUSED);
    let ids: BTreeSet<_> = again.iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), EVENTS, "each arrived");
    // What was in flight, or was not written down yet, may come twice: at most 100 ms of it for each kill.
    assert!(again.len() <= EVENTS + 2 * kills, "{} calls", again.len());
    for call in again {
        let original = first.iter().find(|it| it.header("webhook-id") == call.header("webhook-id")).unwrap();
        assert_eq!(call.body, original.body);
    }
    let page = server.api().get(&format!("/v1/deliveries?subscription={id}")).await.unwrap();
    assert!(page["data"].as_array().unwrap().iter().all(|it| it["state"] == "delivered"), "{page}");
    let verified = verb(&server, &["verify", "--json"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_find_what_failed_and_send_it_again() {
    let server = Server::start().await;
    let receiver = Receiver::start(|n| Answer::status(if n < REFUSED { 400 } else { 200 })).await;
    let id = parked(&server, &receiver).await;
    let text = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();

    let found = verb(&server, &["deliveries", "list", "--status-code", "400", "--subject", "/x/3", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let delivery = found["data"][0]["id"].as_str().unwrap();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    let cancelled = verb(&server, &["deliveries", "cancel", delivery]);
    assert!(cancelled.status.success() && text(&cancelled).contains("skipped"), "{}", text(&cancelled));

    let tested = verb(&server, &["subscriptions", "test", &id, "--type", "payment.completed"]);
    assert!(tested.status.success() && text(&tested).contains("test"), "{}", text(&tested));

    let counted = verb(&server, &["replay", "start", &id, "--dry-run", "--json"]);
    let counted: Value = serde_json::from_slice(&counted.stdout).unwrap();
    assert_eq!((&counted["dry_run"], &counted["matched"]), (&json!(true), &json!(EVENTS - 1)));
    let replayed = verb(&server, &["replay", "start", &id]);
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(text(&replayed).contains("delivered:"), "{}", text(&replayed));
    assert!(String::from_utf8_lossy(&replayed.stderr).contains("3 delivered, 0 parked"), "{}", String::from_utf8_lossy(&replayed.stderr));
    // What was cancelled is missing.
    let missing = verb(&server, &["replay", "start", &id, "--only", "missing", "--json"]);
    let missing: Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert_eq!((&missing["state"], &missing["delivered"]), (&json!("done"), &json!(1)));
    let list = verb(&server, &["replay", "list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);

    let paused = verb(&server, &["subscriptions", "pause", &id]);
    assert!(String::from_utf8_lossy(&paused.stderr).contains("Waiting: 0 events of its log, 0 retries"), "{paused:?}");
    let waiting = verb(&server, &["replay", "start", &id, "--only", "all", "--detach", "--json"]);
    let waiting: Value = serde_json::from_slice(&waiting.stdout).unwrap();
    let ended = verb(&server, &["replay", "cancel", waiting["id"].as_str().unwrap(), "--json"]);
    let ended: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("cancelled"), &json!("asked")));
    let resumed = verb(&server, &["subscriptions", "resume", &id, "--from", "now"]);
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("Skipped: 0 events"), "{resumed:?}");
    assert_eq!(verb(&server, &["replay", "show", "rpl_00000000000000000000000000"]).status.code(), Some(4));
    assert_eq!(verb(&server, &["replay", "start", &id, "--only", "some"]).status.code(), Some(2));
}
