//! A plain `EventSource` follows the log through a `kill -9` of the server: nothing is
//! lost, nothing comes twice, and every event is JSON.
//!
//! The package `eventsource` and Node are other people's programs; without them the
//! test says `skipped` and why, or fails with `RINGBACK_NO_SKIPS=1`. As in
//! `receivers.rs`, `RINGBACK_TEST_NODE` and `RINGBACK_TEST_NODE_PATH` name them.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use serde_json::{Value, json};
use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use support::Server;

const EACH: usize = 40;
/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(60);

struct Reader {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    fn start(url: &str, count: usize) -> Result<Self, String> {
        let node = env::var_os("RINGBACK_TEST_NODE").unwrap_or_else(|| "node".into());
        let folder = env::var_os("RINGBACK_TEST_NODE_PATH").unwrap_or_else(|| ".".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/eventsource.mjs");
        let mut child = Command::new(&node)
            .arg(script)
            .arg(folder)
            .args([url, &count.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|it| format!("`{}` can't be started: {it}", node.to_string_lossy()))?;
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|it| sender.send(it)));
        let mut reader = Self { child, lines };
        match reader.line() {
            Some(first) => assert_eq!(first, "open"),
            None if reader.child.wait().unwrap().code() == Some(3) => return Err("Node has no package `eventsource`".into()),
            None => panic!("it ended before it was open"),
        }
        Ok(reader)
    }

    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came within {} s", DEADLINE.as_secs()),
        }
    }

    /// The next event's id, and how often it connected before that.
    fn event(&mut self) -> (String, usize) {
        let mut opened = 0;
        loop {
            let line = self.line().expect("an event");
            match line.strip_prefix("event ") {
                Some(id) => return (id.to_owned(), opened),
                None => opened += 1,
            }
        }
    }
}

async fn publish(server: &Server, from: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in from..from + EACH {
        // Characters that a careless encoder would break a line at.
        let body = json!({ "type": "note.written", "data": { "n": n, "text": "a\nb\r\n\u{2028}: ä" } });
        let made = server.api().post("/v1/events", Some(&body)).await.unwrap();
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_event_source_misses_nothing_over_a_kill() {
    let mut server = Server::start().await;
    // A ticket, because an `EventSource` sends no key.
    let made: Value = server.api().post("/v1/stream-tickets", Some(&json!({ "url": "/v1/events?types=note.*" }))).await.unwrap();
    let mut reader = match Reader::start(made["url"].as_str().unwrap(), 3 * EACH) {
        Ok(reader) => reader,
        Err(why) => {
            let strict = env::var("RINGBACK_NO_SKIPS").is_ok_and(|it| it == "1");
            assert!(!strict, "{why}, and RINGBACK_NO_SKIPS=1 takes no excuse");
            // Past the harness, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "skipped: EventSource: {why}");
            return;
        }
    };
    let mut published = publish(&server, 0).await;
    let mut seen: Vec<String> = (0..EACH).map(|_| reader.event().0).collect();
    published.extend(publish(&server, EACH).await);
    server.kill_and_restart().await;
    // Before it is back: these it has to fetch.
    published.extend(publish(&server, 2 * EACH).await);
    let mut opened = 0;
    while seen.len() < 3 * EACH {
        let (id, again) = reader.event();
        opened += again;
        seen.push(id);
    }
    assert!(opened >= 1, "it connected again");
    assert_eq!(seen, published, "each once, in order");
    assert_eq!(reader.line(), None);
    assert!(reader.child.wait().unwrap().success());
}
