//! Who lists with a filter and then watches has the list, whatever happens: eight
//! writers, a server that is killed with `kill -9` and started again, and readers
//! that end with exactly the final list.
//!
//! `RINGBACK_PROOF_KILLS` makes it longer: so many kills instead of five.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_client::{Client, ClientError};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use support::Server;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::watch,
};

const WRITERS: usize = 8;
/// Writes between two kills.
const WRITES: usize = 250;
const FILTER: &str = "filter=status%20%3D%20%22completed%22%20AND%20amount%20%3E%20100";
/// The payment that is made when everything is over.
const MARK: &str = "zz-mark";

type List = BTreeMap<String, Value>;

/// Applies one change of a watch; what forgets that resources leave shows that the test can fail.
fn apply(list: &mut List, item: &Value, forgetful: bool) {
    let resource = &item["resource"];
    let id = resource["id"].as_str().unwrap().to_owned();
    match item["change"].as_str().unwrap() {
        "enter" | "update" => drop(list.insert(id, resource.clone())),
        "leave" | "delete" if !forgetful => drop(list.remove(&id)),
        "leave" | "delete" => {}
        other => panic!("what is {other}?"),
    }
}

/// What is shared: whether the server is up, and how many writes it acknowledged.
#[derive(Clone)]
struct World {
    url: String,
    key: String,
    up: watch::Receiver<bool>,
    over: watch::Receiver<bool>,
    writes: Arc<AtomicUsize>,
    wrote: watch::Sender<()>,
}

impl World {
    async fn until_up(&self) {
        let _ = self.up.clone().wait_for(|it| *it).await;
    }
}

/// Makes payments and drives each through some of its life, in and out of the filter.
async fn write(world: World, api: Client, writer: usize) {
    let mut n = 0_usize;
    while !*world.over.borrow() {
        // A deleted id stays taken, so after seven steps of each of sixty come sixty others.
        let id = format!("w{writer}-{}-{:02}", n / 420, n % 60);
        // A walk that depends on nothing but the count: each payment sees every kind of step.
        let done = match (n / 60 + n) % 7 {
            0 | 1 => api.post("/payment", Some(&json!({ "id": id, "amount": 50 + (n * 37) % 200, "currency": "eur" }))).await,
            2 | 3 => api.post(&format!("/payment/{id}/complete"), None).await,
            4 => api.patch(&format!("/payment/{id}"), &json!({ "customer": format!("c{n}") })).await,
            5 => api.post(&format!("/payment/{id}/refund"), Some(&json!({ "amount": 10 }))).await,
            _ => api.delete(&format!("/payment/{id}")).await,
        };
        n += 1;
        match done {
            Ok(_) => {
                world.writes.fetch_add(1, Ordering::SeqCst);
                world.wrote.send_replace(());
            }
            Err(error) if error.is_passing() => world.until_up().await,
            // A step that is not possible now.
            Err(ClientError::Problem(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Asks until the server is there.
async fn get(world: &World, api: &Client, path: &str) -> Value {
    loop {
        match api.get(path).await {
            Ok(value) => return value,
            Err(error) if error.is_passing() => world.until_up().await,
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

/// All pages of the list, and the position at which they stand.
async fn list(world: &World, api: &Client, filter: &str) -> (List, String) {
    'anew: loop {
        let (mut rows, mut after, mut position) = (List::new(), None::<String>, None::<String>);
        loop {
            let cursor = after.as_ref().map_or_else(String::new, |it| format!("&after={it}"));
            let page = match api.get(&format!("/payment?{filter}&limit=7{cursor}")).await {
                Ok(page) => page,
                Err(error) if error.is_passing() => {
                    world.until_up().await;
                    continue;
                }
                // The pages are too old by now: 410 says to begin anew.
                Err(ClientError::Problem(problem)) if problem.status == 410 => continue 'anew,
                Err(error) => panic!("{error}"),
            };
            rows.extend(page["data"].as_array().unwrap().iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it.clone())));
            let at = page["watch_cursor"].as_str().unwrap().to_owned();
            assert_eq!(*position.get_or_insert(at.clone()), at, "all pages show the same position (G3)");
            match page["next_cursor"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => return (rows, at),
            }
        }
    }
}

/// Lists, then long-polls. Returns what it has, and what a forgetful reader has.
async fn long_poll(world: World, api: Client) -> (List, List, usize) {
    let (mut has, mut cursor) = list(&world, &api, FILTER).await;
    let (mut forgets, mut seen) = (has.clone(), BTreeSet::new());
    loop {
        let page = get(&world, &api, &format!("/payment?watch=true&{FILTER}&wait=5&after={cursor}")).await;
        for item in page["data"].as_array().unwrap() {
            // The position moves only with an answer that came, so nothing may come again.
            assert!(seen.insert(item["event"].as_str().unwrap().to_owned()), "twice: {item}");
            apply(&mut has, item, false);
            apply(&mut forgets, item, true);
        }
        cursor = page["cursor"].as_str().unwrap().to_owned();
        if has.contains_key(MARK) {
            return (has, forgets, seen.len());
        }
    }
}

/// One connection of a stream: calls `each` with (event, id, data) until it breaks off or `each` says that it is enough.
async fn connect(
    world: &World,
    last: Option<&str>,
    mut each: impl FnMut(&str, Option<&str>, Option<&Value>) -> bool,
) -> std::io::Result<()> {
    let address = world.url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await?;
    let (read, mut write) = stream.into_split();
    let last = last.map_or_else(String::new, |it| format!("last-event-id: {it}\r\n"));
    let head = format!(
        "GET /payment?{FILTER} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n{last}\r\n",
        world.key
    );
    write.write_all(head.as_bytes()).await?;
    let mut lines = BufReader::new(read).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    if !first.contains(" 200 ") {
        assert!(first.is_empty() || first.contains(" 503 "), "{first}");
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    let (mut event, mut id, mut data) = (String::from("message"), None::<String>, None::<Value>);
    // Sizes of chunks stand on lines of their own, and are no field of a frame.
    while let Some(line) = lines.next_line().await? {
        if let Some(it) = line.strip_prefix("event: ") {
            it.clone_into(&mut event);
        } else if let Some(it) = line.strip_prefix("id: ") {
            id = Some(it.to_owned());
        } else if let Some(it) = line.strip_prefix("data: ") {
            data = Some(serde_json::from_str(it).expect("JSON on one line"));
        } else if line.is_empty() && (id.is_some() || data.is_some()) {
            if each(&event, id.as_deref(), data.as_ref()) {
                return Ok(());
            }
            "message".clone_into(&mut event);
            (id, data) = (None, None);
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// Streams: rows first, then changes, through every break. Returns what it has, and how often it connected.
async fn stream(world: World) -> (List, usize) {
    let (mut has, mut last, mut connections) = (List::new(), None::<String>, 0);
    loop {
        world.until_up().await;
        connections += 1;
        let (mut seen, from) = (BTreeSet::new(), last.clone());
        if from.is_none() {
            // A break before the first position starts the rows again.
            has.clear();
        }
        let ended = connect(&world, from.as_deref(), |event, id, data| {
            match (event, data) {
                ("snapshot", Some(row)) => drop(has.insert(row["id"].as_str().unwrap().to_owned(), row.clone())),
                ("message", Some(item)) => {
                    assert!(seen.insert(item["event"].as_str().unwrap().to_owned()), "twice within a connection: {item}");
                    apply(&mut has, item, false);
                }
                _ => {}
            }
            if let Some(id) = id {
                last = Some(id.to_owned());
            }
            last.is_some() && has.contains_key(MARK)
        })
        .await;
        if ended.is_ok() {
            return (has, connections);
        }
    }
}

/// Whether the filter lets this payment in.
fn is_in(payment: &Value) -> bool {
    payment["status"] == "completed" && payment["amount"].as_u64().is_some_and(|it| it > 100)
}

/// Lists, then pulls what came after from a subscription. Returns what it has, and how many events came again.
async fn pull(world: World, api: Client) -> (List, usize) {
    // The position of a filtered list is bound to its filter; a subscription has one of its own.
    let (mut has, at) = list(&world, &api, "sort=created_at").await;
    has.retain(|_, it| is_in(it));
    let wanted = json!({ "types": ["payment.*"], "order": "subject", "from": at });
    let path = "/v1/subscriptions/follower";
    while let Err(error) = api.put(path, &wanted).await {
        assert!(error.is_passing(), "{error}");
        world.until_up().await;
    }
    let (mut seen, mut again) = (BTreeSet::new(), 0);
    loop {
        let page = match api.post(&format!("{path}/pull"), Some(&json!({ "limit": 50, "wait": 5, "lease": 30 }))).await {
            Ok(page) => page,
            Err(error) if error.is_passing() => {
                world.until_up().await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for event in page["data"].as_array().unwrap() {
            // A kill between the answer and its ack hands events out again: the same ones, known by their id.
            if !seen.insert(event["id"].as_str().unwrap().to_owned()) {
                again += 1;
                continue;
            }
            let resource = &event["data"];
            let id = resource["id"].as_str().unwrap().to_owned();
            if event["type"] != "payment.deleted" && is_in(resource) {
                has.insert(id, resource.clone());
            } else {
                has.remove(&id);
            }
        }
        if let Some(token) = page["ack"].as_str() {
            // An ack that is not answered is one that may have been lost: the events come again.
            let _ = api.post(&format!("{path}/ack"), Some(&json!({ "ack": token }))).await;
        }
        if has.contains_key(MARK) {
            return (has, again);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lists_and_then_watches_has_the_list() {
    let kills: usize = std::env::var("RINGBACK_PROOF_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let mut server = Server::start().await;
    let (up, is_up) = watch::channel(true);
    let (over, is_over) = watch::channel(false);
    let wrote = watch::Sender::new(());
    let world = World { url: server.url(), key: server.key(), up: is_up, over: is_over, writes: Arc::default(), wrote: wrote.clone() };
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(world.clone(), server.api(), n))).collect();
    let mut progress = wrote.subscribe();
    let mut reached = async |count: usize| {
        while world.writes.load(Ordering::SeqCst) < count {
            let _ = progress.changed().await;
        }
    };
    // Something is there when they begin: several pages of it.
    reached(WRITES).await;
    let polls = tokio::spawn(long_poll(world.clone(), server.api()));
    let streams = tokio::spawn(stream(world.clone()));
    let pulls = tokio::spawn(pull(world.clone(), server.api()));
    for n in 0..kills {
        reached(WRITES * (n + 2)).await;
        up.send_replace(false);
        server.kill_and_restart().await;
        up.send_replace(true);
    }
    reached(world.writes.load(Ordering::SeqCst) + WRITES).await;
    over.send_replace(true);
    for it in writers {
        it.await.unwrap();
    }
    let api = server.api();
    api.post("/payment", Some(&json!({ "id": MARK, "amount": 1_000, "currency": "eur" }))).await.unwrap();
    api.post(&format!("/payment/{MARK}/complete"), None).await.unwrap();
    let (last, _) = list(&world, &api, FILTER).await;
    assert!(last.len() > 20, "there is a list: {}", last.len());

    let (polled, forgot, changes) = polls.await.unwrap();
    assert_eq!(polled, last, "long-poll");
    assert_ne!(forgot, last, "a reader that forgets who left has another list, so this test can fail");
    assert!(changes > 100, "it saw {changes} changes");
    let (streamed, connections) = streams.await.unwrap();
    assert_eq!(streamed, last, "stream");
    assert!(connections > kills / 2, "it connected {connections} times");
    let (pulled, again) = pulls.await.unwrap();
    assert_eq!(pulled, last, "pull");
    println!("list then watch: {kills} kills, {changes} changes polled, {connections} streams, {again} events pulled again");
}
