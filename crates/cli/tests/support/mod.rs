//! A server process and a receiver, for tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use ringback_client::{Client, Target};
use ringback_signature::{Headers, Secret, VerifyError};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

pub const BINARY: &str = env!("CARGO_BIN_EXE_ringback");

/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(60);

/// A `ringback serve --dev` in a directory of its own. Killed when dropped.
pub struct Server {
    dir: tempfile::TempDir,
    child: Child,
    listen: String,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args)
    }

    /// One whose data directory is `d` in this one.
    pub fn start_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let (child, listen) = spawn(&dir.path().join("d"), "127.0.0.1:0", args);
        Self { dir, child, listen }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn key(&self) -> String {
        fs::read_to_string(self.data().join("operator.key")).unwrap().trim().to_owned()
    }

    /// A client with a connection of its own.
    pub fn api(&self) -> Client {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Client::new(Target::parse(&self.url()).unwrap(), Some(self.key()))
            .idempotency(|| format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst)))
    }

    pub async fn raw(&self, path: &str) -> Bytes {
        self.api().request(http::Method::GET, path, HeaderMap::new(), Bytes::new()).await.unwrap().body
    }

    /// SIGKILL, then a new process on the same directory and port.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.restart().await;
    }

    pub async fn restart(&mut self) {
        let listen = self.listen.clone();
        (self.child, self.listen) = spawn(&self.data(), &listen, &[]);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// The most memory that the process ever had, as the kernel counted it.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ringback serve --dev`, run by the program and words of `through` if there are any.
pub fn serve_command(through: &[&str], data: &std::path::Path, listen: &str, args: &[&str]) -> Command {
    let mut command = match through.split_first() {
        Some((program, words)) => {
            let mut command = Command::new(program);
            command.args(words).arg(BINARY);
            command
        }
        None => Command::new(BINARY),
    };
    without_our_variables(&mut command);
    command.args(["serve", "--dev", "--lock-wait", "10s", "--listen", listen, "--data"]).arg(data).args(args);
    command.env("RINGBACK_LOG__FILTER", "warn");
    command
}

/// A variable of ours that is no setting would stop a server: tests have some.
pub fn without_our_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGBACK_")) {
        command.env_remove(name);
    }
    command
}

/// Starts a server and waits for the line that says where it listens.
fn spawn(data: &std::path::Path, listen: &str, args: &[&str]) -> (Child, String) {
    let mut child = serve_command(&[], data, listen, args).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().expect("the server says where it listens").unwrap();
    // The rest is read and thrown away, so that the pipe never fills.
    std::thread::spawn(move || lines.for_each(drop));
    let listen = first.rsplit("http://").next().unwrap().trim().to_owned();
    (child, listen)
}

/// What a receiver answers.
#[derive(Clone, Copy)]
pub struct Answer(StatusCode);

impl Answer {
    pub fn status(code: u16) -> Self {
        Self(StatusCode::from_u16(code).unwrap())
    }
}

/// One POST that arrived.
#[derive(Clone)]
pub struct Call {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// An endpoint on loopback that keeps what it was sent.
pub struct Receiver {
    address: std::net::SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    /// `answer` is asked with the number of the call, from 0.
    pub async fn start(answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (sender, count) = watch::channel(0);
        let kept = Arc::clone(&calls);
        let sender = Arc::new(sender);
        let handler = move |headers: HeaderMap, body: Bytes| {
            let (kept, sender, answer) = (Arc::clone(&kept), Arc::clone(&sender), answer.clone());
            async move {
                let n = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Call { headers, body });
                    kept.len()
                };
                sender.send_replace(n);
                answer(n - 1).0
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(post(handler));
        tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, calls, count }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often it was called so far.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// All calls, once there are `count`.
    pub async fn wait_for(&self, count: usize) -> Vec<Call> {
        let mut seen = self.count.clone();
        tokio::time::timeout(DEADLINE, seen.wait_for(|it| *it >= count)).await.expect("the receiver is called").unwrap();
        self.calls.lock().unwrap().clone()
    }
}

/// What a receiver does with what it got.
pub fn verify(call: &Call, secret: &str) -> Result<(), VerifyError> {
    let timestamp: i64 = call.header("webhook-timestamp").parse().unwrap();
    let headers = Headers {
        id: Some(call.header("webhook-id")),
        timestamp: Some(call.header("webhook-timestamp")),
        signature: Some(call.header("webhook-signature")),
    };
    ringback_signature::verify(headers, &call.body, &[&Secret::parse(secret).unwrap()], timestamp, 300)
}

/// Asks until there is an answer. Each question is a request, so this does not spin.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(it) = ask().await {
                return it;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it happens")
}
