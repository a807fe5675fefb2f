//! Too much, from outside, against the real binary: writes beyond what it can hold,
//! hundreds who read nothing, hundreds who never end what they say. It sheds with
//! `Retry-After`, keeps its memory, loses nothing that it acknowledged, and answers
//! its other clients meanwhile and afterwards.
//!
//! `RINGBACK_CROWD=N` is how many there are of each; counts and statuses are
//! asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use ringback_client::Client;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use support::Server;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Of each kind, unless `RINGBACK_CROWD` says otherwise.
const CROWD: usize = 300;
/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(120);
/// Resident memory at its highest: the budgets for what waits to be written and to be read, each with its copies.
const PEAK_KIB_MAX: u64 = 700 * 1024;

fn crowd() -> usize {
    std::env::var("RINGBACK_CROWD").ok().and_then(|it| it.parse().ok()).unwrap_or(CROWD)
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap()
}

async fn publish(api: &Client, key: &str, bytes: usize) -> (StatusCode, HeaderMap) {
    let body = json!({ "type": "app.flood", "key": key, "data": { "text": "x".repeat(bytes) } }).to_string();
    let answer = api.request_within(DEADLINE, Method::POST, "/v1/events", HeaderMap::new(), Bytes::from(body)).await.unwrap();
    (answer.status, answer.headers)
}

/// Everything that was acknowledged is there, by its key, and nothing that was refused.
async fn count(api: &Client) -> usize {
    let (mut found, mut after) = (0, "start".to_owned());
    loop {
        let page = api.get(&format!("/v1/events?types=app.flood&limit=20&after={after}")).await.unwrap();
        found += page["data"].as_array().unwrap().len();
        after = page["cursor"].as_str().unwrap().to_owned();
        if page["has_more"] == false {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_shed_with_retry_after_and_nothing_acknowledged_is_lost() {
    let server = Server::start().await;
    let mut all = JoinSet::new();
    for n in 0..crowd() {
        let api = server.api().timeout(DEADLINE);
        all.spawn(async move { publish(&api, &format!("flood-{n}"), 900_000).await });
    }
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    while let Some(done) = all.join_next().await {
        let (status, headers) = done.unwrap();
        *statuses.entry(status.as_u16()).or_default() += 1;
        match status {
            StatusCode::CREATED => {}
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                assert!(headers.contains_key("retry-after"), "{status} says when to come back");
            }
            other => panic!("{other} is no answer to too much"),
        }
    }
    let made = statuses.get(&201).copied().unwrap_or(0);
    let api = server.api();
    assert_eq!(publish(&api, "after", 10).await.0, StatusCode::CREATED, "it goes on at once");
    assert_eq!(count(&api).await, made + 1);
    println!("overload: {statuses:?}, at most {} MiB", server.peak_memory_kib() / 1024);
    assert!(made > 0 && made < crowd(), "some, and not all: {statuses:?}");
    assert!(server.peak_memory_kib() < PEAK_KIB_MAX, "{} KiB", server.peak_memory_kib());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_and_who_never_ends_harm_nobody() {
    let server = Server::start().await;
    let key = server.key();
    let mut idle = Vec::new();
    for _ in 0..crowd() {
        // One has begun a head, one a body, one reads no frame of its stream, one no answer of many.
        let mut head = connect(&server).await;
        head.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nauthor").await.unwrap();
        let mut body = connect(&server).await;
        let begun =
            format!("POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 900000\r\n\r\n{{\"type\"");
        body.write_all(begun.as_bytes()).await.unwrap();
        let mut stream = connect(&server).await;
        let ask =
            format!("GET /v1/events?after=start HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\naccept: text/event-stream\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        // It is open when its head has come; from then on nothing is read.
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        idle.push((head, body, stream));
    }
    // Others are served: every write is made and read, through all that the streams leave unread.
    let api = server.api().timeout(DEADLINE);
    for n in 0..40 {
        let (status, _) = publish(&api, &format!("flood-{n}"), 200_000).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    assert_eq!(count(&api).await, 40);
    let (peak, all) = (server.peak_memory_kib(), 3 * idle.len());
    println!("idle: {all} connections, at most {} MiB", peak / 1024);
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    drop(idle);
    assert_eq!(publish(&api, "after", 10).await.0, StatusCode::CREATED);
}
