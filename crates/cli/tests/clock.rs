//! The shipped binary on a machine whose clock is set back, by libfaketime.
//!
//! Debian's package `faketime` has it; without it the test says `skipped` and
//! why, and passes; with `RINGBACK_NO_SKIPS=1` it fails. The clock that only
//! counts is left alone, as a machine leaves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_client::{Client, Target};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};
use support::{Answer, Receiver, serve_command};

/// Where distributions put it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

struct Machine {
    dir: tempfile::TempDir,
    library: &'static str,
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// SIGTERM; the exit code.
    fn terminate(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Machine {
    /// A machine whose clock can be set; `None` if there is none here.
    fn new() -> Option<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|it| Path::new(it).exists()) else {
            let strict = env::var("RINGBACK_NO_SKIPS").is_ok_and(|it| it == "1");
            assert!(!strict, "libfaketime is missing, and RINGBACK_NO_SKIPS=1 takes no excuse");
            println!("skipped: libfaketime is missing (Debian: faketime)");
            return None;
        };
        let machine = Self { dir: tempfile::tempdir().unwrap(), library };
        machine.set("+0");
        Some(machine)
    }

    fn offset(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// Sets its clock, as seconds from what is true.
    fn set(&self, offset: &str) {
        // A name that is moved is never read half written.
        let new = self.dir.path().join("offset.new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, self.offset()).unwrap();
    }

    fn start(&self) -> Process {
        let words = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", self.library),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.offset().display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = serve_command(&words, &self.dir.path().join("d"), "127.0.0.1:0", &[]);
        Process(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// A client of the process, once it listens.
    fn api(&self, process: &mut Process) -> Client {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let first = lines(process.0.stdout.take().unwrap()).next().expect("it says where it listens");
        let url = format!("http://{}", first.rsplit("http://").next().unwrap().trim());
        drop(lines(process.0.stderr.take().unwrap()));
        let key = fs::read_to_string(self.dir.path().join("d/operator.key")).unwrap().trim().to_owned();
        Client::new(Target::parse(&url).unwrap(), Some(key)).idempotency(|| format!("clock-{}", NEXT.fetch_add(1, Ordering::SeqCst)))
    }
}

/// The lines that come; all are read, whoever listens, so that the pipe never fills.
fn lines(from: impl std::io::Read + Send + 'static) -> impl Iterator<Item = String> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive.into_iter()
}

async fn publish(api: &Client, n: u64) -> Value {
    api.post("/v1/events", Some(&json!({ "type": "app.ticked", "data": { "n": n } }))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_stops_nothing() {
    let Some(machine) = Machine::new() else { return };
    let receiver = Receiver::start(|n| Answer::status(if n < 2 { 503 } else { 204 })).await;
    let mut process = machine.start();
    let api = machine.api(&mut process);
    let body = json!({ "types": ["app.*"], "push": { "url": receiver.url("/"), "retry": { "delays": [1, 1, 1, 1] } } });
    api.post("/v1/subscriptions", Some(&body)).await.unwrap();
    publish(&api, 1).await;
    receiver.wait_for(1).await;

    // Two hours back, with a retry due in a second: it comes, and so do all others.
    machine.set("-7200");
    let calls = receiver.wait_for(3).await;
    let told = |at: usize| calls[at].header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((7_100..=7_260).contains(&(told(0) - told(2))), "{} and {}: signatures carry the machine's time", told(0), told(2));
    publish(&api, 2).await;
    receiver.wait_for(4).await;
    let log = api.get("/v1/events?types=app.*&after=start").await.unwrap();
    let times: Vec<&str> = log["data"].as_array().unwrap().iter().map(|it| it["timestamp"].as_str().unwrap()).collect();
    assert!(times.len() == 2 && times.is_sorted(), "{times:?}");
    assert_eq!(process.terminate(), Some(0));

    // A start waits for a clock that is so far behind, says so, and can be told to stop.
    let mut waiting = machine.start();
    let said = lines(waiting.0.stderr.take().unwrap()).find(|it| it.contains("waiting until the clock is right"));
    assert!(said.is_some(), "it ended instead");
    assert_eq!(waiting.terminate(), Some(0));
    drop(waiting);

    // A clock that is a little behind is believed: sequences go on, and so does everybody.
    machine.set("-30");
    let mut process = machine.start();
    let api = machine.api(&mut process);
    publish(&api, 3).await;
    let calls = receiver.wait_for(5).await;
    let sequence = |call: &support::Call| serde_json::from_slice::<Value>(&call.body).unwrap()["sequence"].as_u64().unwrap();
    assert!(sequence(&calls[4]) > sequence(&calls[3]), "in the log's order");
    let log = api.get("/v1/events?types=app.*&after=start").await.unwrap();
    let told: Vec<u64> = log["data"].as_array().unwrap().iter().map(|it| it["data"]["n"].as_u64().unwrap()).collect();
    assert_eq!(told, [1, 2, 3]);
    assert_eq!(process.terminate(), Some(0));
    println!("clock: set back by two hours under a running process, and by half a minute over a restart");
}
