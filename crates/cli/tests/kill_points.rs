//! The shipped binary, killed at enumerated system calls, and given errors by them.
//!
//! A scripted client works with a real process under `strace`, which kills it at
//! one call, or lets one call fail. Then a process that nothing befalls starts on
//! what is left, and judges who know only promises look at it from outside: what
//! was acknowledged is there, what wasn't has happened once or not at all, what is
//! owed arrives. `docs/testing.md` says how to run more and how to replay one.
//!
//! Where `strace` can't trace, the tests that need it say `skipped` and why, and
//! pass; with `RINGBACK_NO_SKIPS=1` they fail.
//!
//! `kill_points/power.rs` takes the kernel's memory away as well: power loss, from a
//! recording of the same calls.
//!
//! Not here: the whole space of schedules, which the simulation is for.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

#[path = "kill_points/judge.rs"]
mod judge;
#[path = "kill_points/point.rs"]
mod point;
#[path = "kill_points/power.rs"]
mod power;
#[path = "kill_points/process.rs"]
mod process;
#[path = "kill_points/script.rs"]
mod script;
mod support;
#[path = "kill_points/world.rs"]
mod world;

use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, StatusCode};
use judge::Seen;
use point::{Counts, Hit, Point};
use process::{Process, Tracer};
use rustix::process::Signal;
use serde_json::json;
use std::{collections::BTreeMap, env, fs, io::Write as _, time::Duration};
use world::{Report, World};

/// Runs at the same time: they wait for each other's disk and for retries more than for a processor.
const AT_ONCE: usize = 4;

/// Says why tracing can't be done here; fails if no skipping is allowed.
fn skipped() -> bool {
    let Some(why) = process::why_not() else { return false };
    let strict = env::var("RINGBACK_NO_SKIPS").is_ok_and(|it| it == "1");
    assert!(!strict, "{why}, and RINGBACK_NO_SKIPS=1 takes no excuse");
    say(&format!("skipped: kill points: {why}"));
    true
}

/// Past the harness, which keeps what a passing test prints to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

async fn run_all(what: &str, points: Vec<Point>) -> Vec<(Point, Report)> {
    let mut results = stream::iter(points)
        .map(|point| async move {
            let report = tokio::spawn({
                let point = point.clone();
                async move { World::run(&point).await }
            });
            let report = report.await.unwrap_or_else(|it| Report { violations: vec![it.to_string()], ..Report::default() });
            (point, report)
        })
        .buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(it) = results.next().await {
        all.push(it);
    }
    let mut tried: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (point, report) in &all {
        let (reached, planned) = tried.entry(point.0.last().map_or("", |it| it.name()).to_owned()).or_default();
        *planned += 1;
        *reached += usize::from(report.reached == point.0.len());
    }
    let by_call: Vec<_> = tried.iter().map(|(name, (reached, planned))| format!("{name} {reached}/{planned}")).collect();
    let reached: usize = tried.values().map(|it| it.0).sum();
    say(&format!("{what}: {} tried, {reached} reached ({})", all.len(), by_call.join(", ")));
    all
}

fn check(all: &[(Point, Report)]) {
    let mut failures = Vec::new();
    for (point, report) in all.iter().filter(|it| !it.1.violations.is_empty()) {
        failures.push(format!(
            "RINGBACK_KILL_POINT={point} cargo test --test kill_points\n  processes ended: {:?}\n  {}\n  last words:\n{}",
            report.ends,
            report.violations.join("\n  "),
            report.talk
        ));
    }
    assert!(failures.is_empty(), "{} of {} runs broke a promise:\n{}", failures.len(), all.len(), failures.join("\n\n"));
}

/// What a run that nothing befalls does: the script from an empty directory to its end, and from the middle on
/// after a kill. Both must satisfy the judges, else kills prove nothing.
async fn count_calls() -> (Counts, Counts) {
    let mut counts = Vec::new();
    for before in [None, Some(Hit::Step(20))] {
        let mut world = World::new().await;
        if let Some(hit) = before {
            world.until(&hit).await;
        }
        let log = world.data().with_extension("calls");
        let mut process = Process::start(&world.data(), &Tracer::Count(log.clone())).await.expect("it starts");
        world.play(&process, usize::MAX).await;
        process.signal(Signal::TERM);
        assert!(process.end().await.success(), "{}", world.talk());
        let violations = world.recover_and_judge().await;
        assert!(violations.is_empty(), "nothing befell it:\n{}\n{}", violations.join("\n"), world.talk());
        counts.push(process::counts(&log));
    }
    let again = counts.pop().unwrap();
    (counts.pop().unwrap(), again)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_system_call_it_keeps_every_promise() {
    if skipped() {
        return;
    }
    let points = match env::var("RINGBACK_KILL_POINT") {
        Ok(one) => vec![one.parse().unwrap()],
        Err(_) => {
            let count = env::var("RINGBACK_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(50);
            let (first, again) = count_calls().await;
            say(&format!("calls of a run that nothing befalls, by their busiest thread: {first:?}; after a kill: {again:?}"));
            point::enumerate(&first, &again, script::groups().iter().flatten().count(), count)
        }
    };
    let all = run_all("kill points", points).await;
    check(&all);
    // Calls are counted per thread, and which thread does what is chance: some runs are over before. Not many.
    let reached = all.iter().filter(|it| it.1.reached == it.0.0.len()).count();
    assert!(all.len() < 10 || reached * 2 > all.len(), "only {reached} of {} kills happened", all.len());
}

/// P1: what the kernel failed to sync is never synced again; the process ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_io_error_ends_the_process_and_nothing_acknowledged_is_lost() {
    if skipped() {
        return;
    }
    let fail = |name: &str, when: u32| Point(vec![Hit::Step(9), Hit::Fail { name: name.into(), when, error: "EIO".into() }]);
    // SQLite syncs with one of the two; the other is never called. The writer's second one is of the directory, and SQLite
    // doesn't heed it: the store has synced the directory itself before.
    let mut points: Vec<Point> = [1, 3, 4, 7, 11, 16].into_iter().flat_map(|it| [fail("fsync", it), fail("fdatasync", it)]).collect();
    points.extend([1, 9, 40, 90].map(|it| fail("pwrite64", it)));
    let all = run_all("I/O errors", points).await;
    check(&all);
    let syncs = all.iter().filter(|it| matches!(&it.0.0[1], Hit::Fail { name, .. } if name.ends_with("sync")));
    let ended = syncs.filter(|it| it.1.reached == 2).count();
    assert_eq!(
        ended,
        6,
        "each sync that fails ends the process: {:?}",
        all.iter().map(|it| (it.0.to_string(), &it.1.ends)).collect::<Vec<_>>()
    );
}

/// P1: a full disk is refused with 507, reads go on, and once there is room so do writes and deliveries.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_and_life_goes_on_without_a_restart() {
    if skipped() {
        return;
    }
    let mut world = World::new().await;
    // What is there before, so that the process that runs full writes with one thread alone.
    world.until(&Hit::Step(12)).await;
    let full = Tracer::Inject("pwrite64:error=ENOSPC:when=60..90".into());
    let mut process = Process::start(&world.data(), &full).await.expect("it starts");
    let client = world.client(&process, script::MINE);
    let mut refused = 0;
    let mut made = Vec::new();
    for n in 0..200 {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", format!("full-{n}").parse().unwrap());
        let body = json!({ "type": "app.full", "key": format!("full-{n}"), "data": { "text": "x".repeat(20_000) } }).to_string();
        let mut before = refused;
        loop {
            let got = client.request(Method::POST, "/v1/events", headers.clone(), body.clone().into()).await.unwrap();
            if got.status == StatusCode::CREATED {
                made.push(got.header("ringback-event").unwrap().to_owned());
                break;
            }
            assert_eq!(got.status, StatusCode::INSUFFICIENT_STORAGE, "{}", String::from_utf8_lossy(&got.body));
            assert_eq!(got.json().unwrap()["code"], "storage-full");
            assert_eq!(client.get("/payment/p0").await.unwrap()["id"], "p0", "reads go on");
            refused += 1;
            assert!(refused - before < 100, "it is full for ever");
        }
        before = refused;
        if before > 0 && made.len() > 20 {
            break;
        }
    }
    assert!(refused > 0, "it never ran full");
    for id in &made {
        client.get(&format!("/v1/events/{id}")).await.unwrap();
    }
    // The script goes on in the same process, which ends in good order.
    world.play(&process, usize::MAX).await;
    assert_eq!(world.drain(&process).await, None);
    process.signal(Signal::TERM);
    assert!(process.end().await.success(), "{}", world.talk());
    say(&format!("full disk: {refused} writes refused with 507, then {} made", made.len()));

    // Everything is there for the next one; these events are none of the script's.
    let process = Process::start(&world.data(), &Tracer::None).await.expect("it starts");
    assert_eq!(world.acknowledged(&process).await, Vec::<String>::new());
    let mut seen = world.look(&process).await.unwrap();
    let extra = made.iter().map(|_| ("app.full".to_owned(), String::new()));
    seen.expected.get_mut(script::MINE).unwrap().extend(extra);
    assert_eq!(judge::all(&seen), Vec::<String>::new());
}

/// SIGSTOP: as if the machine slept. Nobody else may take the directory meanwhile, and afterwards everybody is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_goes_on_where_it_was() {
    let mut world = World::new().await;
    world.until(&Hit::Step(12)).await;
    let process = Process::start(&world.data(), &Tracer::None).await.expect("it starts");
    let client = world.client(&process, script::MINE);
    let waiter = tokio::spawn({
        let client = world.client(&process, script::MINE);
        async move { client.get("/payment/p2/status?wait=40&until=done").await }
    });
    let ends_meanwhile = tokio::spawn({
        let client = world.client(&process, script::MINE);
        async move { client.get("/payment/p3/status?wait=1&until=done").await }
    });
    for _ in 0..2 {
        client.get("/payment/p1").await.unwrap();
    }
    process.signal(Signal::STOP);
    while !fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap().contains(") T ") {
        process::pause().await;
    }
    let mut second = support::serve_command(&[], &world.data(), "127.0.0.1:0", &["--lock-wait", "1ms"]);
    // The later one of two flags would be refused; this test waits for nobody.
    let second = second.output().unwrap();
    assert_eq!(second.status.code(), Some(if String::from_utf8_lossy(&second.stderr).contains("cannot be used multiple") { 2 } else { 5 }));

    let mut write = tokio::spawn({
        let client = world.client(&process, script::MINE);
        async move { client.post("/payment/p2/complete", None).await }
    });
    // Longer than one of those who wait was ready to.
    assert!(tokio::time::timeout(Duration::from_millis(1_500), &mut write).await.is_err(), "a stopped process answers nothing");
    process.signal(Signal::CONT);
    assert_eq!(write.await.unwrap().unwrap()["status"], "completed");
    assert_eq!(waiter.await.unwrap().unwrap()["status"], "completed");
    assert_eq!(ends_meanwhile.await.unwrap().unwrap()["done"], json!(false));
    assert_eq!(world.acknowledged(&process).await, Vec::<String>::new());
}

/// A log whose newest bytes were acknowledged and never reached the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_short_turns_the_judge_red() {
    let mut world = World::new().await;
    world.until(&Hit::Step(25)).await;
    let log = fs::OpenOptions::new().write(true).open(world.data().join("ringback.db-wal")).unwrap();
    let length = log.metadata().unwrap().len();
    log.set_len(length - length / 4).unwrap();
    let violations = world.recover_and_judge().await;
    let lost = violations.iter().filter(|it| it.starts_with("acknowledged and lost: ")).count();
    assert!(lost > 3, "the judge saw {violations:?}");
}

/// Each fault that a judge is for, planted into what was seen of a run in which all is well.
#[tokio::test(flavor = "multi_thread")]
async fn each_judge_sees_its_planted_fault() {
    let mut world = World::new().await;
    assert_eq!(world.recover_and_judge().await, Vec::<String>::new());
    let seen = world.seen.take().unwrap();
    let check = |expected: &str, plant: &dyn Fn(&mut Seen)| {
        let mut seen = seen.clone();
        plant(&mut seen);
        let found = judge::all(&seen);
        assert!(found.iter().any(|it| it.contains(expected)), "planted for `{expected}`, found {found:?}");
    };
    let mine = |seen: &mut Seen, n: usize| seen.feeds.get_mut(script::MINE).unwrap().get_mut(n).unwrap().take();
    check("has sequence", &|it| drop(it.feeds.get_mut(script::MINE).unwrap().remove(3)));
    check("is missing", &|it| {
        let feed = it.feeds.get_mut(script::MINE).unwrap();
        let asked_for = feed.iter().rposition(|it| !it["type"].as_str().unwrap().starts_with("ringback.")).unwrap();
        feed.remove(asked_for);
    });
    check("has sequence", &|it| it.feeds.get_mut(script::MINE).unwrap().swap(1, 2));
    check("is there twice", &|it| {
        let again = it.feeds[script::MINE][0].clone();
        it.feeds.get_mut(script::MINE).unwrap().push(again);
    });
    check("nobody asked for", &|it| {
        let again = it.feeds[script::MINE][0].clone();
        it.feeds.get_mut(script::MINE).unwrap().push(again);
    });
    check("the event itself differ", &|it| drop(mine(it, 2)));
    check("the event itself differ", &|it| drop(it.bytes.pop_first()));
    check("is older than", &|it| it.feeds.get_mut(script::MINE).unwrap()[0]["timestamp"] = json!("9999"));
    check("subscriptions and keys", &|it| it.counts.0 += 1);
    check("makes version", &|it| it.feeds.get_mut(script::MINE).unwrap()[0]["data"]["version"] = json!(2));
    check("`previous` of", &|it| {
        let changed = it.feeds.get_mut(script::MINE).unwrap().iter_mut().find(|it| it["type"] == "payment.completed");
        changed.unwrap()["previous"]["status"] = json!("failed");
    });
    check("its events make", &|it| it.resources.values_mut().next().unwrap()["amount"] = json!(1));
    check("its events make", &|it| drop(it.resources.pop_first()));
    for reader in script::READERS.iter().map(|it| it.0) {
        let owed = seen.deliveries.iter().position(|it| it.reader == reader).unwrap();
        let receipt = seen.receipts.iter().position(|it| it.reader == reader).unwrap();
        check("is None, not", &|it| drop(it.deliveries.remove(owed)));
        check("is Some(\"pending\")", &|it| it.deliveries[owed].state = "pending".into());
        check("and isn't owed", &|it| it.deliveries[owed].event = "evt_of_nobody".into());
        check("has two deliveries", &|it| it.deliveries.push(it.deliveries[owed].clone()));
        check(if reader == script::DEAD { "was never tried" } else { "nobody got it" }, &|it| it.receipts.retain(|it| it.reader != reader));
        check("the signature is not", &|it| it.receipts[receipt].signed = false);
        check("the body is", &|it| it.receipts[receipt].body.truncate(20));
        check("different bytes", &|it| {
            let mut other = it.receipts[receipt].clone();
            other.body.push(b' ');
            it.receipts.push(other);
        });
    }
    check("was taken 2 times", &|it| {
        let taken = it.receipts.iter().find(|it| it.status == 200).unwrap().clone();
        it.receipts.push(taken);
    });

    // And what the client was told, had it been told something else.
    let process = Process::start(&world.data(), &Tracer::None).await.expect("it starts");
    assert_eq!(world.acknowledged(&process).await, Vec::<String>::new());
    let mut told = async |name: &str, expected: &str, forge: &dyn Fn(&mut judge::Answer)| {
        let answer = world.answers[name].clone();
        forge(world.answers.get_mut(name).unwrap());
        let found = world.acknowledged(&process).await;
        assert!(found.iter().any(|it| it.contains(expected)), "planted for `{expected}`, found {found:?}");
        world.answers.insert(name.to_owned(), answer);
    };
    let version = |body: &[u8]| String::from_utf8_lossy(body).replacen("\"version\":", "\"version\":9", 1).into();
    told("complete p0", "has other bytes", &|it| it.event_bytes = Some("{}".into())).await;
    told("complete p0", "another body", &|it| it.body = version(&it.body)).await;
    told("complete p4", "it is at version", &|it| it.body = version(&it.body)).await;
    told("complete p0", "answers 404", &|it| it.event = Some("evt_00000000000000000000000001".into())).await;
    told("pause ticks", "answers 200", &|it| it.status = 204).await;
    told("kept key", "does not open", &|it| it.body = String::from_utf8_lossy(&it.body).replace("rbk_", "rbk_x").into()).await;
}
