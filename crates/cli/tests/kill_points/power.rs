//! Power loss: what the disk may hold when the kernel never got to write.
//!
//! A server that nothing befalls is recorded by `strace`: each write to its two
//! files with all its bytes, each sync, each cut, and each answer that it sent. From
//! the recording come crash images: what was synced, and of what wasn't any part, in
//! any order, also torn inside of a write. Each image is opened as `serve` opens it;
//! then SQLite checks its file, `verify` checks everything, and every event that an
//! answer had named before the power failed must be there.
//!
//! Not here: kills (a kill loses nothing that the kernel has), other files than the
//! two (the key file is written before any data and synced with its directory).

use super::{
    process::{Process, Tracer},
    say,
    script::MINE,
    skipped,
    world::World,
};
use http::{HeaderMap, Method, StatusCode};
use ringback_model::{EventId, event::Scope};
use ringback_ports::store::Log as _;
use ringback_service::{CompiledType, verify::verify};
use ringback_store_sqlite::{Found, Options, SqliteStore};
use rustix::process::Signal;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const FILES: [&str; 2] = ["ringback.db", "ringback.db-wal"];
/// What a disk writes whole.
const SECTOR: usize = 512;
/// Images that `cargo test` makes.
const IMAGES: usize = 80;

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Cut { to: usize },
}

/// What happened, in its order.
#[derive(Clone, Debug)]
enum Happened {
    /// To the file of this number.
    Changed(usize, Change),
    /// The file was synced: what had happened to it before this many things.
    Synced(usize, usize),
    /// An answer named this event.
    Answered(EventId),
}

/// One process: what its files held before, and what happened then.
#[derive(Clone, Debug)]
struct Recording {
    before: [Vec<u8>; 2],
    /// Named by answers of earlier processes.
    known: BTreeSet<EventId>,
    happened: Vec<Happened>,
}

fn files(data: &Path) -> [Vec<u8>; 2] {
    FILES.map(|it| fs::read(data.join(it)).unwrap_or_default())
}

/// The bytes of what strace writes as `\x61\x62`.
fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|it| u8::from_str_radix(it.get(..2)?, 16).ok()).collect()
}

/// The number of the file whose descriptor this begins with: `7<\x2f…>, …`.
fn file_of(arguments: &str) -> Option<usize> {
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    let path = String::from_utf8(unhex(path)).ok()?;
    let name = Path::new(&path).file_name()?.to_str()?.to_owned();
    FILES.iter().position(|it| *it == name)
}

fn parse(log: &Path) -> Vec<Happened> {
    let mut happened = Vec::new();
    let mut syncing: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let text = fs::read_to_string(log).unwrap();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.starts_with("<... fsync resumed>") || call.starts_with("<... fdatasync resumed>") {
            if let Some((file, before)) = syncing.remove(thread).filter(|_| call.ends_with("= 0")) {
                happened.push(Happened::Synced(file, before));
            }
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else { continue };
        match name {
            "pwrite64" | "ftruncate" => {
                let Some(file) = file_of(arguments) else { continue };
                let numbers = arguments.rsplit_once(" <unfinished").map_or(arguments, |it| it.0);
                let numbers = numbers.rsplit_once(") = ").map_or(numbers, |it| it.0);
                let Some(last) = numbers.rsplit(", ").next().and_then(|it| it.trim().trim_end_matches(')').parse::<usize>().ok()) else {
                    continue; // the last line of a log may be cut
                };
                let change = if name == "ftruncate" {
                    Change::Cut { to: last }
                } else {
                    let bytes = unhex(arguments.split('"').nth(1).unwrap_or_default());
                    assert!(!arguments.contains("\"..."), "strace cut a write short: {}", &call[..80]);
                    Change::Write { at: last, bytes: bytes.into() }
                };
                happened.push(Happened::Changed(file, change));
            }
            "fsync" | "fdatasync" => {
                let Some(file) = file_of(arguments) else { continue };
                if call.ends_with("<unfinished ...>") {
                    syncing.insert(thread, (file, happened.len()));
                } else if call.ends_with("= 0") {
                    happened.push(Happened::Synced(file, happened.len()));
                }
            }
            _ => {
                let bytes: Vec<u8> = arguments.split('"').skip(1).step_by(2).flat_map(unhex).collect();
                let head = String::from_utf8_lossy(&bytes);
                if let Some(id) = head.split("ringback-event: ").nth(1).and_then(|it| it.get(..30)).and_then(|it| it.parse().ok()) {
                    happened.push(Happened::Answered(id));
                }
            }
        }
    }
    happened
}

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

fn apply(file: &mut Vec<u8>, change: &Change, torn: Option<usize>) {
    match change {
        Change::Cut { to } => file.resize(*to, 0),
        Change::Write { at, bytes } => {
            let bytes = &bytes[..torn.unwrap_or(bytes.len()).min(bytes.len())];
            if !bytes.is_empty() {
                let end = at + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

/// How the disk betrays us, for a test of the judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    /// Syncs of the write-ahead log do nothing: answers come before their bytes are safe.
    LogNotSynced,
    /// Syncs of the data file do nothing: the log is started over before its pages are safe.
    DataNotSynced,
}

impl Recording {
    /// What the files hold if the power fails after `count` things, and what had been answered by then.
    fn image(&self, count: usize, dice: &mut Dice, plant: Option<Plant>) -> ([Vec<u8>; 2], BTreeSet<EventId>) {
        let mut safe = self.before.clone();
        let mut open: [Vec<(usize, &Change)>; 2] = [Vec::new(), Vec::new()];
        let mut answered = self.known.clone();
        for (at, it) in self.happened.iter().take(count).enumerate() {
            match it {
                Happened::Changed(file, change) => open[*file].push((at, change)),
                Happened::Synced(file, before) => {
                    let ignored = if *file == 0 { Plant::DataNotSynced } else { Plant::LogNotSynced };
                    if plant != Some(ignored) {
                        let (done, left) = std::mem::take(&mut open[*file]).into_iter().partition(|(at, _)| at < before);
                        let done: Vec<(usize, &Change)> = done;
                        done.iter().for_each(|(_, change)| apply(&mut safe[*file], change, None));
                        open[*file] = left;
                    }
                }
                Happened::Answered(id) => drop(answered.insert(*id)),
            }
        }
        // Of what was not synced: nothing, everything, or any part of it.
        let whole = if plant.is_some() { 0 } else { dice.below(6) };
        for file in 0..2 {
            for (_, change) in &open[file] {
                match (whole, dice.below(100)) {
                    (0, _) | (2.., 0..=34) => {}
                    (1, _) | (2.., 35..=79) => apply(&mut safe[file], change, None),
                    (2.., _) => {
                        let sectors = usize::try_from(dice.below(33)).unwrap();
                        apply(&mut safe[file], change, Some(sectors * SECTOR));
                    }
                }
            }
        }
        (safe, answered)
    }
}

fn types() -> Vec<CompiledType> {
    let text = include_str!("../../../../examples/types/payment.yaml");
    let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    vec![CompiledType::load(&value).unwrap()]
}

/// What is wrong with a directory that holds these files.
async fn judge(files: [Vec<u8>; 2], answered: &BTreeSet<EventId>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in FILES.iter().zip(&files) {
        if !bytes.is_empty() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    let options = Options { on_fatal: Arc::new(|_| ()), ..Options::default() };
    let store = match SqliteStore::open(dir.path(), options) {
        Ok(it) => it,
        Err(why) => return vec![format!("it can't be opened: {why}")],
    };
    let mut wrong = Vec::new();
    match verify(&store, types()).await {
        Ok(report) => wrong.extend(report.findings.into_iter().map(|it| format!("{}: {}: {}", it.check.as_str(), it.object, it.what))),
        Err(why) => wrong.push(format!("it can't be read: {why}")),
    }
    for id in answered {
        match store.event(&Scope::All, *id).await {
            Ok(Some(_)) => {}
            Ok(None) => wrong.push(format!("{id} was acknowledged and is lost")),
            Err(why) => wrong.push(format!("{id} can't be read: {why}")),
        }
    }
    store.close().await;
    match Found::in_directory(dir.path()).and_then(|it| it.integrity()) {
        Ok(lines) => wrong.extend(lines.into_iter().map(|it| format!("SQLite: {it}"))),
        Err(why) => wrong.push(why.to_string()),
    }
    wrong.truncate(5);
    wrong
}

/// Records two processes on one directory: the script cut in two, and enough bytes in the second that pages are carried
/// from the log to the data file while it runs.
async fn record() -> Vec<Recording> {
    let mut world = World::new().await;
    let mut recordings = Vec::new();
    let mut known = BTreeSet::new();
    let logs = tempfile::tempdir().unwrap();
    for (no, steps) in [20, usize::MAX].into_iter().enumerate() {
        let before = files(&world.data());
        let log: PathBuf = logs.path().join(no.to_string());
        let mut process = Process::start(&world.data(), &Tracer::Record(log.clone())).await.expect("it starts");
        world.play(&process, steps).await;
        if no == 1 {
            let client = world.client(&process, MINE);
            for n in 0..22 {
                let body = json!({ "type": "app.big", "data": { "n": n, "text": "x".repeat(900_000) } }).to_string();
                let got = client.request(Method::POST, "/v1/events", HeaderMap::new(), body.into()).await.unwrap();
                assert_eq!(got.status, StatusCode::CREATED);
            }
        }
        process.signal(Signal::TERM);
        assert!(process.end().await.success(), "{}", world.talk());
        let happened = parse(&log);
        let recording = Recording { before, known: known.clone(), happened };
        known.extend(recording.happened.iter().filter_map(|it| if let Happened::Answered(id) = it { Some(*id) } else { None }));
        recordings.push(recording);
    }
    recordings
}

#[tokio::test(flavor = "multi_thread")]
async fn power_may_fail_at_any_write() {
    if skipped() {
        return;
    }
    let recordings = record().await;
    let count = env::var("RINGBACK_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(IMAGES);
    let changes: usize = recordings.iter().map(|it| it.happened.iter().filter(|it| matches!(it, Happened::Changed(..))).count()).sum();
    let answers = recordings.iter().flat_map(|it| &it.happened).filter(|it| matches!(it, Happened::Answered(_))).count();
    assert!(changes > 500 && answers > 30, "the recording has {changes} writes and {answers} answers");
    let carried = recordings[1].happened.iter().filter(|it| matches!(it, Happened::Changed(0, _))).count();
    let syncs = recordings[1].happened.iter().filter(|it| matches!(it, Happened::Synced(0, _))).count();
    assert!(carried > 1_000 && syncs > 1, "{carried} pages came to the data file, in {syncs} syncs");
    let mut wrong = Vec::new();
    for no in 0..count {
        let recording = &recordings[no % 2];
        let at = 1 + (no / 2) * recording.happened.len() / (count / 2).max(1);
        let seed = (no as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (files, answered) = recording.image(at, &mut Dice(seed), None);
        let found = judge(files, &answered).await;
        if !found.is_empty() {
            wrong.push(format!("process {}, after {at} of {}, seed {seed}: {found:?}", no % 2, recording.happened.len()));
        }
    }
    say(&format!("power loss: {count} images of {changes} writes, {answers} answers"));
    assert!(wrong.is_empty(), "{} of {count} images break a promise:\n{}", wrong.len(), wrong.join("\n"));

    // The judges see what a disk does that lies about syncs.
    for plant in [Plant::LogNotSynced, Plant::DataNotSynced] {
        let mut caught = false;
        for recording in &recordings {
            for part in [3, 2, 1] {
                let at = recording.happened.len() / part;
                let (files, answered) = recording.image(at, &mut Dice(7), Some(plant));
                caught |= !judge(files, &answered).await.is_empty();
            }
        }
        assert!(caught, "{plant:?} was not noticed");
    }
}
