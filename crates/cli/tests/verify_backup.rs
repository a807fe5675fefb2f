//! `ringback verify` and `ringback backup`, as an operator uses them: beside a
//! server, after a kill, on copies with planted damage, and through a restore.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_client::{Client, Target};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use support::{Answer, BINARY, Receiver, Server, eventually, without_our_variables};

fn ringback(words: &[&str]) -> Output {
    without_our_variables(&mut Command::new(BINARY)).args(words).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `verify` says of a directory, and how it ends.
fn verify(data: &Path) -> (Value, i32) {
    let out = ringback(&["verify", "--dev", "--json", "--data", text(data)]);
    let report = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    (report, out.status.code().unwrap())
}

#[track_caller]
fn clean(data: &Path) -> Value {
    let (report, code) = verify(data);
    assert_eq!((report["ok"].clone(), code), (json!(true), 0), "{report}");
    assert_eq!(report["unchecked"], json!([]), "{report}");
    report
}

async fn payment(api: &Client, id: &str) {
    api.post("/payment", Some(&json!({ "id": id, "amount": 1999, "currency": "eur" }))).await.unwrap();
}

async fn subscribe(api: &Client, url: &str, more: Value) -> String {
    let mut body = json!({ "push": { "url": url } });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    api.post("/v1/subscriptions", Some(&body)).await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// A server that has delivered, parked, skipped and called once, and owes nothing.
async fn busy() -> (Server, Receiver, [String; 2]) {
    let server = Server::start().await;
    let api = server.api();
    let good = Receiver::start(|_| Answer::status(200)).await;
    let bad = Receiver::start(|_| Answer::status(500)).await;
    payment(&api, "0").await;
    let all = subscribe(&api, &good.url("/all"), json!({ "types": ["payment.*"] })).await;
    let dead = subscribe(
        &api,
        &bad.url("/dead"),
        json!({ "types": ["payment.completed"], "push": { "url": bad.url("/dead"), "retry": { "delays": [1] } } }),
    )
    .await;
    let once = subscribe(&api, &good.url("/once"), json!({ "subject": "/payment/0", "until": "done" })).await;
    api.post(&format!("/v1/subscriptions/{all}/pause"), None).await.unwrap();
    payment(&api, "1").await;
    api.post(&format!("/v1/subscriptions/{all}/resume"), Some(&json!({ "from": "now" }))).await.unwrap();
    for id in ["0", "1"] {
        api.post(&format!("/payment/{id}/complete"), None).await.unwrap();
    }
    api.post("/v1/events", Some(&json!({ "type": "app.note", "data": { "n": 1 } }))).await.unwrap();
    api.send(http::Method::DELETE, "/payment/1", http::HeaderMap::new(), None).await.unwrap();
    settled(&api, &all, 4).await;
    settled(&api, &dead, 2).await;
    eventually(async || {
        let it = api.get(&format!("/v1/subscriptions/{once}")).await.unwrap();
        (it["state"] == "done").then_some(())
    })
    .await;
    (server, good, [all, dead])
}

/// Waits until this many deliveries of a subscription are over.
async fn settled(api: &Client, subscription: &str, count: usize) {
    eventually(async || {
        let page = api.get(&format!("/v1/deliveries?subscription={subscription}")).await.unwrap();
        let states: Vec<_> = page["data"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect();
        let over = states.iter().filter(|it| ["delivered", "parked", "skipped"].contains(&it.as_str())).count();
        (over == states.len() && over >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_beside_a_server_after_a_kill_and_after_its_end() {
    let (mut server, ..) = busy().await;
    let beside = clean(&server.data());
    assert_eq!(beside["checked"]["subscriptions"], 3);
    assert!(beside["checked"]["events"].as_u64() >= Some(6) && beside["checked"]["deliveries"].as_u64() >= Some(6), "{beside}");
    // While somebody writes as fast as it goes, too.
    let api = server.api();
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            payment(&api, &format!("w{n}")).await;
        }
    });
    while !writer.is_finished() {
        clean(&server.data());
    }
    writer.await.unwrap();
    server.kill();
    clean(&server.data());
    server.restart().await;
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(clean(&server.data())["checked"]["resources"], 202);
    let people = ringback(&["verify", "--dev", "--data", text(&server.data())]);
    assert!(String::from_utf8_lossy(&people.stdout).ends_with("All is as promised.\n"));
}

#[test]
fn where_there_is_no_data_it_says_so_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    let out = ringback(&["verify", "--data", text(&none)]);
    assert_eq!(out.status.code(), Some(4), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(!none.exists());
    fs::create_dir(&none).unwrap();
    fs::write(none.join("ringback.db"), "not ours at all").unwrap();
    assert_eq!(ringback(&["verify", "--data", text(&none)]).status.code(), Some(1));
}

/// Each damage, planted into a copy of a directory in which all is well, and the check that must see it.
const DAMAGES: &[(&str, &str)] = &[
    ("sequence", "DELETE FROM events WHERE seq = 3"),
    ("sequence", "UPDATE events SET sequence = sequence + 100 WHERE seq = (SELECT max(seq) FROM events)"),
    ("sequence", "UPDATE events SET ends = 0 WHERE seq = (SELECT max(seq) FROM events)"),
    (
        "event",
        "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"tenant\":\"default\"', '\"tenant\":\"other\"') AS BLOB) WHERE seq = 2",
    ),
    ("event", "UPDATE events SET type = 'payment.failed' WHERE seq = 2"),
    ("event", "DELETE FROM event_types"),
    ("version", "UPDATE events SET version = version + 5 WHERE seq = (SELECT max(seq) FROM events WHERE resource_id = '0')"),
    ("version", "UPDATE events SET subject = NULL WHERE seq = 1"),
    ("resource", "UPDATE resources SET fields = '{\"amount\":1}' WHERE id = '0'"),
    ("resource", "UPDATE resources SET status = 'failed' WHERE id = '0'"),
    ("resource", "UPDATE resources SET version = version - 1 WHERE id = '0'"),
    ("resource", "UPDATE resources SET deleted = 0 WHERE id = '1'"),
    ("resource", "DELETE FROM resources WHERE id = '0'"),
    ("resource", "UPDATE resources SET id = 'other' WHERE id = '0'"),
    ("conservation", "DELETE FROM exceptions"),
    ("conservation", "DELETE FROM attempts WHERE outcome = 'delivered'"),
    ("conservation", "DELETE FROM skipped"),
    ("conservation", "UPDATE readers SET cursor = 999"),
    (
        "conservation",
        "INSERT INTO skipped (subscription, from_place, generation, to_place, why) SELECT subscription, 0, generation, 999, 'planted' FROM readers",
    ),
    (
        "conservation",
        "INSERT INTO attempts SELECT subscription, place, n + 10, zeroblob(16), event, generation, at, via, 'delivered', NULL, 200,
                NULL, NULL, NULL, NULL, 0, NULL, NULL FROM attempts WHERE outcome = 'failed'",
    ),
    ("orphan", "DELETE FROM subscriptions"),
    ("orphan", "DELETE FROM readers"),
    ("orphan", "DELETE FROM tenants"),
    ("orphan", "UPDATE exceptions SET place = place + 100"),
    ("orphan", "UPDATE attempts SET event = zeroblob(16)"),
    ("orphan", "UPDATE keys SET tenant = 'nobody', role = 'tenant'"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_damage_is_found() {
    let (mut server, ..) = busy().await;
    assert_eq!(server.terminate(), Some(0));
    let whole = server.data().join("ringback.db");
    clean(&server.data());
    let copy = || {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(&whole, dir.path().join("ringback.db")).unwrap();
        dir
    };
    let mut missed = Vec::new();
    for (check, sql) in DAMAGES {
        let dir = copy();
        let changed = Connection::open(dir.path().join("ringback.db")).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "nothing was damaged by {sql}");
        let (report, code) = verify(dir.path());
        let checks: Vec<_> = report["findings"].as_array().unwrap().iter().map(|it| it["check"].as_str().unwrap()).collect();
        if !checks.contains(check) || code != 5 || report["ok"] != json!(false) {
            missed.push(format!("{sql}\n  should be found by `{check}`: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));

    // A page of the file that is not what it was.
    let dir = copy();
    let path = dir.path().join("ringback.db");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    for page in bytes[16_384..end].chunks_mut(16_384).skip(1).step_by(3) {
        page[..200].fill(0xA5);
    }
    fs::write(&path, bytes).unwrap();
    let out = ringback(&["verify", "--dev", "--json", "--data", text(dir.path())]);
    let told = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(1 | 5)), "{told}");
    assert!(told.contains("\"check\":\"storage\"") || told.contains("malformed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_holds_its_deliveries_until_they_are_released() {
    let (mut server, receiver, [all, _]) = busy().await;
    let api = server.api();
    let position = api.get("/v1/events?limit=1").await.unwrap()["cursor"].as_str().unwrap().to_owned();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("monday.backup");
    // Beside the running server, and twice under one name is once.
    let made = ringback(&["backup", "create", text(&file), "--json", "--data", text(&server.data())]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(made["last"].as_u64() >= Some(6), "{made}");
    assert_eq!(ringback(&["backup", "create", text(&file), "--data", text(&server.data())]).status.code(), Some(5));
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 1, "no half of one is left");
    let checked = ringback(&["backup", "verify", text(&file), "--dev"]);
    assert!(checked.status.success(), "{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert_eq!(ringback(&["backup", "verify", text(&server.data().join("ringback.db"))]).status.code(), Some(5));
    // What comes after it is not in it.
    let before = receiver.count() + 1;
    payment(&api, "late").await;
    receiver.wait_for(before).await;
    assert_eq!(server.terminate(), Some(0));

    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d");
    let restore = |words: &[&str]| ringback(&[&["backup", "restore", text(&file), "--data", text(&data)], words].concat());
    let no_key = restore(&[]);
    assert_eq!(no_key.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&no_key.stderr).contains(made["key_file"].as_str().unwrap()));
    assert!(!data.exists());
    let key_of = |data: &Path| data.with_extension("key");
    let other = Server::start().await;
    assert_eq!(restore(&["--key-file", text(&key_of(&other.data()))]).status.code(), Some(5), "another key file opens nothing");
    assert_eq!(ringback(&["backup", "restore", text(&file), "--data", text(&other.data())]).status.code(), Some(5), "it is in use");
    fs::copy(key_of(&server.data()), key_of(&data)).unwrap();
    let restored = restore(&[]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(restore(&[]).status.code(), Some(5), "it is not empty any more");
    clean(&data);

    fs::copy(server.data().join("operator.key"), data.join("operator.key")).unwrap();
    let mut second = Server::start_in(dir, &[]);
    let api = second.api();
    let log = api.get("/v1/log").await.unwrap();
    assert_eq!(log["deliveries_held"], json!(true));
    assert!(log["epoch"].as_u64() > Some(1_000_000), "{log}");
    let late = api.get("/payment/late").await.unwrap_err();
    assert!(late.to_string().contains("late"), "{late}");
    let old = api.get(&format!("/v1/events?after={position}")).await.unwrap_err().to_string();
    assert!(old.contains("restored"), "{old}");
    let events = api.get("/v1/events?types=ringback.log.restored&limit=1000").await.unwrap();
    assert_eq!(events["data"][0]["type"], "ringback.log.restored", "{events}");
    assert_eq!(events["data"][0]["data"]["epoch"], log["epoch"]);

    // Held through a restart and while writes come; a retry by hand waits, too.
    second.kill_and_restart().await;
    let api = second.api();
    payment(&api, "2").await;
    let pending = eventually(async || {
        let page = api.get(&format!("/v1/deliveries?subscription={all}&state=pending")).await.unwrap();
        page["data"].get(0).cloned()
    })
    .await;
    assert_eq!((pending["type"].as_str(), receiver.count()), (Some("payment.created"), before));
    let client = Client::new(Target::unix(second.data().join("ringback.sock")), None);
    assert_eq!(client.get("/v1/log").await.unwrap()["deliveries_held"], json!(true));
    assert_eq!(receiver.count(), before, "nothing is sent before it is released");
    let released = ringback(&["deliveries", "release", "--json", "--data", text(&second.data())]);
    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
    let calls = receiver.wait_for(before + 1).await;
    assert_eq!(calls.last().unwrap().header("webhook-id"), pending["event"].as_str().unwrap());
    assert_eq!(api.get("/v1/log").await.unwrap()["deliveries_held"], json!(false));
    // Once is for good.
    second.kill_and_restart().await;
    assert_eq!(second.api().get("/v1/log").await.unwrap()["deliveries_held"], json!(false));
    assert_eq!(second.terminate(), Some(0));
    clean(&second.data());
}
