//! `examples/outbox` against a real PostgreSQL: what is committed there arrives once, whoever dies in between.
//!
//! A private PostgreSQL is started from the programs that are installed, as another
//! user when we are root, since it refuses to be root; or `TEST_PG_URL` names one that
//! runs, in whose default schema the tables are made. Without either, or without `psql`
//! and `curl`, the test says `skipped` and why; with `RINGBACK_NO_SKIPS=1`, it fails.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

mod support;

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use support::Server;

/// A PostgreSQL of our own, or somebody's.
struct Postgres {
    url: String,
    own: Option<(Child, tempfile::TempDir)>,
}

/// `nobody`: whoever it is that PostgreSQL runs as when we are root.
const NOBODY: u32 = 65_534;

/// Where the server's programs are, if they are installed.
fn programs() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|it| it.path().join("bin")));
    }
    places.into_iter().find(|it| it.join("initdb").exists() && it.join("postgres").exists())
}

impl Postgres {
    fn start() -> Result<Self, String> {
        for program in ["psql", "curl"] {
            Command::new(program).arg("--version").output().map_err(|it| format!("no {program}: {it}"))?;
        }
        if let Ok(url) = env::var("TEST_PG_URL") {
            return Ok(Self { url, own: None });
        }
        let bin = programs().ok_or("no PostgreSQL is installed (initdb, postgres), and TEST_PG_URL names none")?;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let root = rustix::process::geteuid().is_root();
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        if root {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let run = |program: &str| {
            if !root {
                return Command::new(bin.join(program));
            }
            let mut command = Command::new("setpriv");
            let nobody = NOBODY.to_string();
            command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(bin.join(program));
            command
        };
        let made = run("initdb")
            .current_dir(&data)
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"])
            .output()
            .map_err(|it| format!("initdb can't be run: {it}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let mut child = run("postgres")
            .current_dir(&data)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|it| it.contains("ready to accept connections"));
        std::thread::spawn(move || lines.for_each(drop));
        if !ready {
            let _ = child.wait();
            return Err("postgres ended before it was ready".into());
        }
        Ok(Self { url: format!("host={} user=postgres dbname=postgres", data.display()), own: Some((child, dir)) })
    }

    fn psql(&self, args: &[&str]) -> String {
        let out = Command::new("psql").arg(&self.url).args(["-XqAt", "-v", "ON_ERROR_STOP=1"]).args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn sql(&self, text: &str) -> String {
        self.psql(&["-c", text])
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            // Fast shutdown: its own children go with it.
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::INT);
            let _ = child.wait();
        }
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/outbox")
}

fn relay(server: &Server, postgres: &Postgres, path: Option<&Path>) -> Command {
    let mut command = Command::new(examples().join("relay.sh"));
    command.env("DATABASE_URL", &postgres.url).env("RINGBACK_URL", server.url()).env("RINGBACK_KEY", server.key());
    if let Some(first) = path {
        let path = env::join_paths([first.to_path_buf()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
        command.env("PATH", path);
    }
    command
}

/// A directory whose `psql` kills the relay, with SIGKILL, when it is about to mark a row as sent.
fn killer() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v psql"]).output().unwrap().stdout).unwrap();
    let file = dir.path().join("psql");
    fs::write(&file, format!("#!/bin/sh\ncase \"$*\" in *UPDATE*) kill -9 $PPID; exit 1;; esac\nexec {} \"$@\"\n", real.trim())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// What the database holds, and what is shown of it.
async fn both(server: &Server, postgres: &Postgres) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let rows = postgres.sql("SELECT to_jsonb(invoice) FROM invoice");
    let truth = rows.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let truth = truth.map(|it| (it["id"].to_string(), json!([it["status"], it["amount"]]))).collect();
    let list: Value = serde_json::from_slice(&server.raw("/invoice?limit=1000").await).unwrap();
    let shown = list["data"].as_array().unwrap().iter();
    let shown = shown.map(|it| (it["id"].as_str().unwrap().to_owned(), json!([it["status"], it["amount"]]))).collect();
    (truth, shown)
}

/// `id source_version type` of every event, in order.
async fn events(server: &Server) -> Vec<(String, u64, String)> {
    let feed: Value = serde_json::from_slice(&server.raw("/v1/events?types=invoice.*&limit=1000").await).unwrap();
    let all = feed["data"].as_array().unwrap().iter();
    all.map(|it| {
        let (data, name) = (&it["data"], it["type"].as_str().unwrap().to_owned());
        (data["id"].as_str().unwrap().to_owned(), data["source_version"].as_u64().unwrap(), name)
    })
    .collect()
}

#[tokio::test]
async fn what_is_committed_in_postgresql_arrives_once_whoever_dies() {
    let postgres = match Postgres::start() {
        Ok(it) => it,
        Err(why) => {
            assert!(env::var_os("RINGBACK_NO_SKIPS").is_none(), "{why}, and RINGBACK_NO_SKIPS=1 takes no excuse");
            let _ = writeln!(std::io::stderr(), "skipped: PostgreSQL: {why}");
            return;
        }
    };
    let types = examples();
    let server = Server::start_with(&["--types", types.to_str().unwrap()]).await;
    postgres.psql(&["-f", types.join("outbox.sql").to_str().unwrap()]);
    postgres.sql("INSERT INTO invoice SELECT n, 'open', n * 100 FROM generate_series(1, 5) n");
    postgres.sql("BEGIN; UPDATE invoice SET status = 'void'; ROLLBACK");
    postgres.sql("UPDATE invoice SET status = 'paid' WHERE id IN (1, 3)");
    postgres.sql("UPDATE invoice SET amount = 7 WHERE id = 3");
    postgres.sql("DELETE FROM invoice WHERE id = 2");

    // Killed between sending and marking, twice at the same row.
    let killer = killer();
    for _ in 0..2 {
        let died = relay(&server, &postgres, Some(killer.path())).output().unwrap();
        assert_eq!(died.status.signal(), Some(9), "{died:?}");
    }
    assert_eq!(postgres.sql("SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL").trim(), "0");
    assert_eq!(events(&server).await.len(), 1, "it was sent twice, and is one event");

    let done = relay(&server, &postgres, None).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let (truth, shown) = both(&server, &postgres).await;
    assert_eq!((truth.len(), &truth), (4, &shown));
    // One event for each committed change, in their order: nothing lost, nothing doubled.
    let sent = postgres.sql("SELECT id, source_version FROM outbox ORDER BY source_version");
    let sent: Vec<String> = sent.lines().map(|it| it.replace('|', " ")).collect();
    let all = events(&server).await;
    assert_eq!(all.iter().map(|(id, version, _)| format!("{id} {version}")).collect::<Vec<_>>(), sent);
    let of = |wanted: &str| all.iter().filter(|it| it.0 == wanted).map(|it| it.2.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!((of("2").as_str(), of("3").as_str()), ("invoice.open invoice.deleted", "invoice.open invoice.paid invoice.updated"));

    // Two relays at once, one of them killed: whatever overtakes what, the copy ends where the database is.
    postgres
        .sql("UPDATE invoice SET amount = amount + 1; UPDATE invoice SET status = 'void' WHERE id = 5; DELETE FROM invoice WHERE id = 4");
    postgres.sql("INSERT INTO invoice VALUES (2, 'open', 9)");
    let spawn = |path: Option<&Path>| relay(&server, &postgres, path).stderr(Stdio::null()).spawn().unwrap();
    let mut relays = [spawn(None), spawn(Some(killer.path())), spawn(None)];
    for it in &mut relays {
        it.wait().unwrap();
    }
    let rest = relay(&server, &postgres, None).output().unwrap();
    assert!(rest.status.success(), "{rest:?}");
    let (truth, shown) = both(&server, &postgres).await;
    assert_eq!(truth, shown);
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (id, version, name) in events(&server).await {
        let before = last.insert(id.clone(), version);
        assert!(before.is_none_or(|it| it < version), "{name} of {id} came twice or late: {before:?}, then {version}");
    }
}
