//! A server process, alone or under a tracer that lets it die at a system call.
//!
//! The tracer is a grandchild (`-D`), so that our child is the server itself, its
//! process id and exit status included. Signals are injected only where every
//! call is stopped at; for counting and for errors the kernel's filter may
//! pick out the calls, which is faster.
//!
//! Not here: what is asked of the server (`world`).

use super::{
    point::{CALLS, Counts, Hit},
    support,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// A deadline that only a broken program reaches.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) enum Tracer {
    /// As anybody starts it.
    None,
    /// Calls are counted.
    Count(PathBuf),
    /// What it writes and syncs, and what it answers, is written down with all its bytes.
    Record(PathBuf),
    /// Something befalls it.
    Inject(String),
}

impl Tracer {
    pub(crate) fn of(hit: &Hit) -> Self {
        match hit {
            Hit::Step(_) => Self::None,
            Hit::Kill { name, when } => Self::Inject(format!("{name}:signal=KILL:when={when}")),
            Hit::Fail { name, when, error } => Self::Inject(format!("{name}:error={error}:when={when}")),
        }
    }

    fn words(&self) -> Vec<String> {
        let (filter, log, calls, inject) = match self {
            Self::None => return Vec::new(),
            Self::Record(log) => {
                let calls = "pwrite64,ftruncate,fsync,fdatasync,write,writev,sendto";
                (true, log.display().to_string(), calls.to_owned(), None)
            }
            Self::Count(log) => (true, log.display().to_string(), CALLS.join(","), None),
            Self::Inject(what) => {
                let call = what.split(':').next().unwrap_or_default().to_owned();
                (!what.contains("signal="), "/dev/null".to_owned(), call, Some(what))
            }
        };
        let mut words: Vec<String> = ["strace", "-D", "-f", "-qq", "-e", "signal=none", "-o", &log].map(Into::into).to_vec();
        // At the stop that the filter makes, the kernel takes no signal from the tracer.
        if filter {
            words.push("--seccomp-bpf".into());
        }
        if matches!(self, Self::Record(_)) {
            // A page and more, in hex, with the paths of descriptors.
            words.extend(["-y", "-xx", "-s", "17000"].map(Into::into));
        }
        words.extend(["-e".into(), format!("trace={calls}")]);
        words.extend(inject.into_iter().flat_map(|it| ["-e".into(), format!("inject={it}")]));
        words
    }
}

/// Why a tracer can't be used here; `None` when it can.
pub(crate) fn why_not() -> Option<String> {
    let probe = |inject: &str, filter: &[&str]| {
        let mut command = Command::new("strace");
        command
            .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", &format!("inject=write:{inject}:when=1")])
            .args(filter);
        command.args(["sh", "-c", "echo once"]).stdin(Stdio::null()).output()
    };
    let killed = match probe("signal=KILL", &[]) {
        Ok(out) => out.status,
        Err(why) => return Some(format!("strace can't be run ({why})")),
    };
    if killed.success() {
        return Some("strace can't trace here: an injected SIGKILL did nothing".into());
    }
    match probe("error=EIO", &["--seccomp-bpf"]) {
        Ok(out) if !out.status.success() && !out.stdout.starts_with(b"once") => None,
        _ => Some("strace can't inject errors here".into()),
    }
}

/// Per call, how often the thread that made it most often did.
pub(crate) fn counts(log: &Path) -> Counts {
    let mut by_thread: BTreeMap<(String, String), u32> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next()) else { continue };
        if let Some((name, _)) = call.split_once('(') {
            *by_thread.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    let mut counts = Counts::new();
    for ((name, _), n) in by_thread {
        let most = counts.entry(name).or_default();
        *most = n.max(*most);
    }
    counts
}

/// A server that listens. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts one and waits until it listens; its exit status if it ends before.
    pub(crate) async fn start(data: &Path, tracer: &Tracer) -> Result<Self, ExitStatus> {
        let words = tracer.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // `thin` names versions by public URL: the same one in every life.
        let mut command = support::serve_command(&words, data, "127.0.0.1:0", &["--public-url", "http://ringback.test"]);
        let talk = fs::OpenOptions::new().create(true).append(true).open(data.with_extension("stderr")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(talk).env("RINGBACK_LOG__FILTER", "info");
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (said, listens) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = said.send(lines.next());
            // The rest is read and thrown away, so that the pipe never fills.
            lines.for_each(drop);
        });
        let first = tokio::time::timeout(DEADLINE, listens).await.expect("it listens or ends").unwrap();
        let mut process = Self { child, url: String::new() };
        let Some(Ok(_)) = first else { return Err(process.end().await) };
        // What it says is the public URL; where it really listens is in its log.
        let talk = fs::read_to_string(data.with_extension("stderr")).unwrap();
        let at = talk.rfind("listening on http://").expect("the log says where it listens");
        let address: String = talk[at + "listening on ".len()..].chars().take_while(|it| *it != '"').collect();
        process.url = address;
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        // An error means that it is gone, which `end` tells.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal);
    }

    /// Waits until it has ended.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        self.try_end(DEADLINE).await.expect("the process ends")
    }

    /// Waits until it has ended, `None` if it hasn't by then.
    pub(crate) async fn try_end(&mut self, within: Duration) -> Option<ExitStatus> {
        let waited = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                pause().await;
            }
        };
        tokio::time::timeout(within, waited).await.ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Between two questions about something that can't be waited on.
pub(crate) async fn pause() {
    let _ = tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
}
