//! What must never be, where neither Cargo nor clippy nor cargo-deny says so.
//!
//! `ARCHITECTURE.md` lists the rules with their reasons. Each test here reads the
//! repository as text, collects every violation as `file:line: reason`, and
//! fails with all of them at once. A rule that can be broken by text is also
//! shown a planted violation, so that a rule that sees nothing is noticed.
//!
//! Not here: what the compiler checks (`unsafe`), what clippy checks (clocks,
//! sleeping, chance: `clippy.toml`), licences and banned crates (`deny.toml`).

#![allow(clippy::expect_used, reason = "this file is tests, helpers included: they fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

// ---- the tree

/// One text file of the repository, named from its root.
struct File {
    name: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.name.ends_with(".rs")
    }

    fn is_markdown(&self) -> bool {
        self.name.ends_with(".md")
    }

    /// Whether only tests are built from it.
    fn is_test(&self) -> bool {
        self.name.contains("/tests/") || self.name.ends_with("/tests.rs") || self.name.contains("/conformance/")
    }

    /// The folder of the crate that it belongs to.
    fn krate(&self) -> Option<&str> {
        self.name.strip_prefix("crates/")?.split('/').next()
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/cli lies two below the root").to_owned()
}

/// Every file that people write: what is built, fetched or generated is not looked at.
fn tree() -> Vec<File> {
    const ROOMS: [&str; 4] = ["crates", "docs", "examples", ".ci"];
    let root = root();
    let mut files = Vec::new();
    let mut todo: Vec<PathBuf> = ROOMS.iter().map(|it| root.join(it)).filter(|it| it.is_dir()).collect();
    todo.extend(fs::read_dir(&root).expect("the root").map(|it| it.expect("an entry").path()).filter(|it| it.is_file()));
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).expect("a folder").map(|it| it.expect("an entry").path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
            files.push(File { name, text });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(files.len() > 100, "only {} files were found: is this the repository?", files.len());
    files
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|it| panic!("{name}: {it}"))
}

#[track_caller]
fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations:\n{}\n", violations.len(), violations.join("\n"));
}

fn rust_files() -> Vec<File> {
    tree().into_iter().filter(File::is_rust).collect()
}

// ---- Rust as text

/// The text with comments and the insides of strings blanked, line breaks kept: what is left is code.
fn code_of(text: &str) -> String {
    let from: Vec<char> = text.chars().collect();
    let at = |i: usize| from.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let blank = |it: char| if it == '\n' { '\n' } else { ' ' };
    let mut i = 0;
    while i < from.len() {
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < from.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                while i < from.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        _ => {
                            out.push(blank(at(i)));
                            i += 1;
                            continue;
                        }
                    }
                    i += 2;
                    if depth == 0 {
                        break;
                    }
                }
            }
            'r' if (!word_before || at(i - 1) == 'b') && matches!(at(i + 1), '"' | '#') => {
                let marks = (i + 1..).take_while(|it| at(*it) == '#').count();
                if at(i + 1 + marks) != '"' {
                    out.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + marks;
                out.push('"');
                while i < from.len() && !(at(i) == '"' && (1..=marks).all(|n| at(i + n) == '#')) {
                    out.push(blank(at(i)));
                    i += 1;
                }
                out.push('"');
                i += 1 + marks;
            }
            '"' => {
                out.push('"');
                i += 1;
                while i < from.len() && at(i) != '"' {
                    out.push(blank(at(i)));
                    if at(i) == '\\' {
                        i += 1;
                        out.push(blank(at(i)));
                    }
                    i += 1;
                }
                out.push('"');
                i += 1;
            }
            // A character; a lifetime has no second quote so near.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < from.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                out.push_str("' '");
            }
            other => {
                out.push(other);
                i += 1;
            }
        }
    }
    out
}

/// Line numbers, from 1, at which `needle` stands as code and not as part of a longer word.
fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let word = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let starts_word = word(needle.chars().next());
    let mut found = Vec::new();
    for (line, n) in code.lines().zip(1..) {
        if line.match_indices(needle).any(|(at, _)| !(starts_word && word(line[..at].chars().next_back()))) {
            found.push(n);
        }
    }
    found
}

fn forbid(files: &[File], needle: &str, reason: &str, allowed: impl Fn(&File) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|it| it.is_rust() && !allowed(it)) {
        for line in lines_with(&code_of(&file.text), needle) {
            violations.push(format!("{}:{line}: `{needle}`: {reason}", file.name));
        }
    }
    violations
}

fn planted(text: &str) -> Vec<File> {
    vec![File { name: "crates/engine/src/planted.rs".into(), text: text.into() }]
}

#[test]
fn comments_and_strings_are_no_code() {
    for (text, want) in [
        ("a // todo!()\nb", "a \nb"),
        ("a /* x /* y */ z */ b", "a     b"),
        ("f(\"todo!()\")", "f(\"       \")"),
        ("f(r#\"a\"b\"#) c", "f(\"   \") c"),
        ("f('\"') g(\"x\")", "f(' ') g(\" \")"),
        ("f('\\'') 'a", "f(' ') 'a"),
        ("for<'a> &'a str", "for<'a> &'a str"),
    ] {
        let got: String = code_of(text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(got, want.split_whitespace().collect::<Vec<_>>().join(" "), "{text}");
    }
    assert_eq!(lines_with("x\nmy_dbg!(1)\ndbg!(1)", "dbg!"), [3]);
}

// ---- floors

/// What a crate may be built from, tests apart. Ours are written without `ringback-`; the third list is for tests.
///
/// Floor 0 is pure, so its foreign crates are listed one by one: each of them takes time and chance as arguments.
type Floor = (&'static str, &'static [&'static str], Option<&'static [&'static str]>, &'static [&'static str]);
const FLOORS: &[Floor] = &[
    ("model", &["filter"], Some(&["bytes", "jiff", "serde_json", "thiserror"]), &[]),
    ("filter", &[], Some(&["jiff", "serde_json", "thiserror"]), &[]),
    ("signature", &[], Some(&["base64", "ed25519-dalek", "hmac", "sha2", "subtle", "thiserror"]), &[]),
    (
        "engine",
        &["filter", "model"],
        Some(&["aes", "base64", "bytes", "cel", "hmac", "jiff", "jsonschema", "serde_json", "sha2", "subtle", "thiserror"]),
        &[],
    ),
    ("wire", &["model"], Some(&["serde", "serde_json"]), &[]),
    ("ports", &["filter", "model"], None, &[]),
    ("store-sqlite", &["filter", "model", "ports"], None, &[]),
    ("egress", &["model", "ports"], None, &[]),
    ("service", &["engine", "filter", "model", "ports", "signature"], None, &[]),
    ("server", &["model", "service", "wire"], None, &["ports"]),
    ("client", &["signature", "wire"], None, &[]),
    (
        "cli",
        &["client", "egress", "engine", "filter", "model", "ports", "server", "service", "signature", "store-sqlite", "wire"],
        None,
        &[],
    ),
    // Beside the house: the service on fakes, and judges.
    ("sim", &["engine", "model", "ports", "service", "signature", "wire"], None, &[]),
    // Beside the house: what fuzzers drive, on every floor that reads bytes from outside.
    ("fuzz", &["egress", "engine", "filter", "model", "ports", "server", "service", "signature", "wire"], None, &[]),
    // Beside the house: runs what is there.
    ("xtask", &[], None, &[]),
];

/// Foreign crates that only some of ours may be built from, and why.
const DOORS: &[(&str, &[&str], &str)] = &[
    ("axum", &["cli"], "the receivers of the demo are servers of other people; ours is built on hyper"),
    ("http", &["client", "egress", "server"], "HTTP words stay where HTTP is spoken"),
    ("hyper", &["client", "egress", "server"], "only egress and client open connections, only the server accepts them"),
    ("hyper-util", &["client", "egress", "server"], "only egress and client open connections, only the server accepts them"),
    ("reqwest", &[], "egress decides which addresses we may call, and never sends twice"),
    ("hickory-resolver", &["egress"], "names become addresses where addresses are vetted"),
    ("rustls", &["client", "egress"], "only egress and client open connections"),
    ("tokio-rustls", &["client", "egress"], "only egress and client open connections"),
    ("rusqlite", &["store-sqlite"], "SQL stays in the store"),
    ("clap", &["cli"], "the command line is one crate"),
    ("figment", &["cli"], "configuration is read in one place and passed on as values"),
    ("getrandom", &["cli"], "chance is an argument; only wiring.rs owns the real one"),
    ("tracing-subscriber", &["cli"], "where a log line goes is decided in one place"),
    ("serde-saphyr", &["cli", "fuzz"], "YAML is read once, at the edge (see docs/adr/0006)"),
];

/// Names of a manifest's dependencies with their lines, by section, platform sections included.
fn dependencies(manifest: &str) -> BTreeMap<&'static str, Vec<(String, usize)>> {
    let mut found: BTreeMap<&'static str, Vec<(String, usize)>> = BTreeMap::new();
    let mut section = None;
    for (line, n) in manifest.lines().zip(1..) {
        let line = line.trim();
        if let Some(head) = line.strip_prefix('[') {
            let head = head.trim_end_matches(']');
            section = ["dev-dependencies", "build-dependencies", "dependencies"].into_iter().find(|it| head.ends_with(it));
        } else if let Some(section) = section
            && !line.starts_with('#')
            && let Some(name) = line.split(['.', '=', ' ']).next().filter(|it| !it.is_empty())
        {
            found.entry(section).or_default().push((name.trim_matches('"').to_owned(), n));
        }
    }
    found
}

fn graph_violations(krate: &str, manifest: &str) -> Vec<String> {
    let file = format!("crates/{krate}/Cargo.toml");
    let Some((_, ours, foreign, for_tests)) = FLOORS.iter().find(|it| it.0 == krate) else {
        return vec![format!("{file}:1: a new crate needs its floor: add it to FLOORS here and to ARCHITECTURE.md")];
    };
    let mut violations = Vec::new();
    for (section, all) in dependencies(manifest) {
        let test = section == "dev-dependencies";
        for (name, line) in all {
            if let Some(short) = name.strip_prefix("ringback-") {
                let may = ours.contains(&short) || (test && for_tests.contains(&short));
                if !may {
                    violations.push(format!("{file}:{line}: `{krate}` must not see `{short}`: arrows point downwards (ARCHITECTURE.md)"));
                }
            } else if !test {
                if foreign.is_some_and(|it| !it.contains(&name.as_str())) {
                    violations.push(format!("{file}:{line}: floor 0 is pure, and `{name}` isn't on the list of `{krate}`"));
                }
                for (_, may, reason) in DOORS.iter().filter(|it| it.0 == name && !it.1.contains(&krate)) {
                    violations.push(format!("{file}:{line}: `{name}` is for {may:?} alone: {reason}"));
                }
            }
        }
    }
    violations
}

fn crates() -> Vec<String> {
    let all =
        fs::read_dir(root().join("crates")).expect("crates").map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut all: Vec<String> = all.filter(|it| root().join("crates").join(it).join("Cargo.toml").is_file()).collect();
    all.sort();
    all
}

#[test]
fn arrows_point_downwards() {
    let all = crates();
    none(all.iter().flat_map(|it| graph_violations(it, &read(&format!("crates/{it}/Cargo.toml")))).collect());
    for (name, ..) in FLOORS {
        assert!(all.iter().any(|it| it == name), "FLOORS names `{name}`, and there is no such crate");
    }
}

#[test]
fn a_planted_arrow_upwards_is_seen() {
    for (krate, manifest) in [
        ("engine", "[dependencies]\nringback-ports.workspace = true\n"),
        ("engine", "[dev-dependencies]\nringback-ports.workspace = true\n"),
        ("engine", "[dependencies]\ntokio = { version = \"1\" }\n"),
        ("store-sqlite", "[target.'cfg(unix)'.dependencies]\nringback-store-postgres.workspace = true\n"),
        ("service", "[dependencies]\naxum.workspace = true\n"),
        ("server", "[dependencies]\nreqwest = \"0.12\"\n"),
        ("unheard-of", ""),
    ] {
        assert_eq!(graph_violations(krate, manifest).len(), 1, "{krate}: {manifest}");
    }
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let mut violations = Vec::new();
    for it in crates() {
        if !read(&format!("crates/{it}/Cargo.toml")).contains("[lints]\nworkspace = true") {
            violations.push(format!("crates/{it}/Cargo.toml:1: needs `[lints] workspace = true`, or no lint of ours is on"));
        }
    }
    none(violations);
}

#[test]
fn every_crate_forbids_unsafe_and_the_leaves_need_no_std() {
    let mut violations = Vec::new();
    for it in crates() {
        let file = ["lib.rs", "main.rs"].map(|main| format!("crates/{it}/src/{main}")).into_iter().find(|file| root().join(file).is_file());
        let file = file.unwrap_or_else(|| panic!("crates/{it} has neither lib.rs nor main.rs"));
        let code = code_of(&read(&file));
        if !code.contains("#![forbid(unsafe_code)]") {
            violations.push(format!("{file}:1: needs `#![forbid(unsafe_code)]`"));
        }
        if ["filter", "model", "signature"].contains(&it.as_str()) && !code.contains("#![no_std]") {
            violations.push(format!("{file}:1: needs `#![no_std]`: without std there is no clock, socket or file to reach for"));
        }
    }
    none(violations);
}

#[test]
fn only_the_doors_out_open_connections() {
    let files = rust_files();
    let door = |it: &File| it.is_test() || it.krate() == Some("egress") || it.krate() == Some("client");
    // The demo plays other people's programs, what fuzzers drive their clients, and a bench their endpoints.
    let demo = |it: &File| {
        it.name.starts_with("crates/cli/src/demo/") || it.name == "crates/cli/src/bench/endpoints.rs" || it.krate() == Some("fuzz")
    };
    let reason = "every outbound socket of the product is opened in egress; the command line asks through client";
    let mut violations = Vec::new();
    for needle in ["TcpStream::connect", "UnixStream::connect", "TcpSocket::", "UdpSocket::"] {
        // The demo plays other people's programs, on loopback: what it measures is what they would send.
        violations.extend(forbid(&files, needle, reason, |it| door(it) || demo(it)));
    }
    violations.extend(forbid(&files, "hyper::client", reason, door));
    violations.extend(forbid(&files, "hyper_util::client", reason, door));
    violations
        .extend(forbid(&files, "hyper::server", "only the server accepts requests", |it| it.is_test() || it.krate() == Some("server")));
    violations.extend(forbid(&files, "axum", "only the demo plays servers of other people", |it| it.is_test() || demo(it)));
    none(violations);
    assert_eq!(forbid(&planted("use hyper::client::conn;"), "hyper::client", "", door).len(), 1);
}

#[test]
fn the_command_line_reaches_data_as_everybody_does() {
    // `serve` and the wiring make a server, and `verify` and `backup` read a directory (ADR 0050); everything else asks a server.
    // `openapi` shows what one would serve, and touches no data.
    const MAKES_A_SERVER: [&str; 4] =
        ["crates/cli/src/data.rs", "crates/cli/src/openapi.rs", "crates/cli/src/serve.rs", "crates/cli/src/wiring.rs"];
    let files = rust_files();
    let mut violations = Vec::new();
    for needle in ["ringback_store_sqlite", "ringback_service", "ringback_server", "ringback_egress"] {
        let elsewhere = |it: &File| it.is_test() || it.krate() != Some("cli") || MAKES_A_SERVER.contains(&it.name.as_str());
        violations.extend(forbid(&files, needle, "a verb asks over the public API or the socket", elsewhere));
    }
    none(violations);
}

// ---- every file

#[test]
fn every_file_introduces_itself_and_stays_short() {
    const LINES_MAX: usize = 900;
    let mut violations = Vec::new();
    for file in rust_files() {
        if !file.text.starts_with("//!") {
            violations.push(format!("{}:1: begin with `//!`: what the file is for, and what it isn't", file.name));
        }
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            violations.push(format!("{}:{lines}: longer than {LINES_MAX} lines: two nouns want two files", file.name));
        }
    }
    none(violations);
}

const NEVER: &[(&str, &str)] = &[
    ("#[ignore", "a test that can't run here says why it was skipped; assert today's behaviour instead"),
    ("todo!(", "what isn't built does not exist from outside"),
    ("unimplemented!(", "what isn't built does not exist from outside"),
    ("dbg!(", "say it with tracing, or not at all"),
];

#[test]
fn nothing_is_ignored_or_left_to_do() {
    let files = rust_files();
    none(NEVER.iter().flat_map(|(needle, reason)| forbid(&files, needle, reason, |_| false)).collect());
    for (needle, _) in NEVER {
        assert_eq!(forbid(&planted(&format!("fn f() {{\n    {needle}\n}}")), needle, "", |_| false).len(), 1, "{needle}");
    }
}

fn unbiased(files: &[File]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|it| it.is_rust()) {
        let code = code_of(&file.text);
        for (at, _) in code.match_indices("select!") {
            let inside = code[at..].split_once(['{', '(']).map_or("", |it| it.1);
            if !inside.trim_start().starts_with("biased;") {
                let line = code[..at].lines().count().max(1);
                violations
                    .push(format!("{}:{line}: `select!` without `biased;` polls in random order: the same seed would differ", file.name));
            }
        }
    }
    violations
}

#[test]
fn select_is_biased() {
    none(unbiased(&rust_files()));
    assert_eq!(unbiased(&planted("fn f() {\n    tokio::select! {\n        _ = a => {}\n    }\n}")).len(), 1);
    assert_eq!(unbiased(&planted("tokio::select! {\n        // first come\n        biased;\n        _ = a => {} }")).len(), 0);
}

#[test]
fn no_order_depends_on_a_hash() {
    // A crate of expressions takes this very type; its keys are looked up and never listed.
    const ALLOWED: [&str; 1] = ["crates/engine/src/expr.rs"];
    let files = rust_files();
    let reason = "its order is random; BTreeMap and BTreeSet give the same trace for the same seed";
    let allowed = |it: &File| ALLOWED.contains(&it.name.as_str());
    none(["HashMap", "HashSet"].iter().flat_map(|it| forbid(&files, it, reason, allowed)).collect());
    assert_eq!(forbid(&planted("use std::collections::HashMap;"), "HashMap", reason, allowed).len(), 1);
}

#[test]
fn only_these_files_sleep() {
    const ALLOWED: [(&str, &str); 7] = [
        ("crates/cli/src/wiring.rs", "the real clock"),
        ("crates/cli/src/demo/mod.rs", "redraws its screen in real time"),
        ("crates/cli/src/demo/pace.rs", "the demo plays people, who wait in real time"),
        ("crates/cli/src/verbs/tail.rs", "a pause before asking a server again that did not answer"),
        ("crates/egress/src/pool.rs", "closes idle connections; what is owed doesn't wait for it"),
        ("crates/server/src/http/deadline.rs", "hyper asks its timer for it: deadlines of sockets, not of promises"),
        ("crates/store-sqlite/src/lock.rs", "another process holds the lock, and nobody tells when it lets go"),
    ];
    let files = rust_files();
    let allowed = |it: &File| ALLOWED.iter().any(|(name, _)| it.name == *name);
    let reason = "tests move a clock by hand or wait for the thing itself; the product asks ports::Clock";
    let needles = ["thread::sleep", "time::sleep", "time::interval"];
    none(needles.iter().flat_map(|it| forbid(&files, it, reason, allowed)).collect());
    for (name, why) in ALLOWED {
        assert!(files.iter().any(|it| it.name == name), "the list excuses {name} ({why}), which isn't there");
    }
}

fn unexplained(files: &[File]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|it| it.is_rust()) {
        let code = code_of(&file.text);
        for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in code.match_indices(opening) {
                let inside = code[at..].split(']').next().unwrap_or_default();
                if !inside.contains("reason =") {
                    let line = code[..at].lines().count().max(1);
                    violations
                        .push(format!("{}:{line}: `{opening}…)` says no reason: an exception is fine when it is written down", file.name));
                }
            }
        }
    }
    violations
}

#[test]
fn exceptions_give_their_reason() {
    none(unexplained(&rust_files()));
    assert_eq!(unexplained(&planted("#[allow(dead_code)]\nfn f() {}")).len(), 1);
}

#[test]
fn nothing_names_a_machine() {
    let mut machines = vec![["/ho", "me/"].concat(), ["/Us", "ers/"].concat(), ["/ro", "ot/"].concat()];
    let here = root().display().to_string();
    if here.matches('/').count() > 1 {
        machines.push(format!("{here}/"));
    }
    let mut violations = Vec::new();
    for file in tree() {
        for (line, n) in file.text.lines().zip(1..) {
            for it in machines.iter().filter(|it| line.contains(it.as_str())) {
                violations.push(format!("{}:{n}: `{it}` is a path of one machine", file.name));
            }
        }
    }
    none(violations);
}

// ---- documents

/// Markdown without fenced and inline code, line breaks kept.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if fence {
            fenced = !fenced;
        } else if !fenced {
            out.extend(line.split('`').enumerate().filter(|(n, _)| n % 2 == 0).map(|(_, it)| it));
        }
        out.push('\n');
    }
    out
}

/// Targets of `[text](target)`, with their lines.
fn links(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (line, n) in prose(text).lines().zip(1..) {
        for rest in line.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                found.push((target.trim().to_owned(), n));
            }
        }
    }
    found
}

/// Anchors of a document's headings, as they are made on the common hosts.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut all = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let keep = |it: char| if it == ' ' { Some('-') } else { (it.is_alphanumeric() || it == '-' || it == '_').then_some(it) };
            all.insert(title.chars().filter_map(keep).collect());
        }
    }
    all
}

/// `docs/a.md` and `../b.md` make `b.md`.
fn beside(file: &str, target: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn is_outside(target: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|it| target.starts_with(it))
}

#[test]
fn links_lead_somewhere() {
    let mut violations = Vec::new();
    for file in tree().iter().filter(|it| it.is_markdown()) {
        for (target, line) in links(&file.text).into_iter().filter(|it| !is_outside(&it.0)) {
            let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let name = if path.is_empty() { file.name.clone() } else { beside(&file.name, path) };
            if !root().join(&name).exists() {
                violations.push(format!("{}:{line}: `{target}` leads nowhere", file.name));
            } else if let Some(anchor) = anchor
                && !anchors(&read(&name)).contains(anchor)
            {
                violations.push(format!("{}:{line}: {name} has no heading `#{anchor}`", file.name));
            }
        }
    }
    none(violations);
    assert_eq!(links("[a](b.md) `[no](c.md)`\n```\n[no](d.md)\n```\n[x](y#z)"), [("b.md".into(), 1), ("y#z".into(), 5)]);
    assert_eq!(beside("docs/adr/0001-x.md", "../../README.md"), "README.md");
    assert_eq!(anchors("# What it is, and isn't\n```\n# no\n```"), BTreeSet::from(["what-it-is-and-isnt".to_owned()]));
}

#[test]
fn every_document_is_linked_from_another() {
    let files = tree();
    let documents: Vec<&File> = files.iter().filter(|it| it.is_markdown()).collect();
    let mut linked = BTreeSet::new();
    for file in &documents {
        let targets = links(&file.text).into_iter().map(|it| it.0).filter(|it| !is_outside(it));
        let names = targets.map(|it| beside(&file.name, it.split('#').next().unwrap_or_default()));
        linked.extend(names.filter(|it| *it != file.name));
    }
    let lost = documents.iter().filter(|it| it.name != "README.md" && !linked.contains(&it.name));
    none(lost.map(|it| format!("{}:1: no document links to it", it.name)).collect());
}

#[test]
fn decisions_are_numbered_listed_and_whole() {
    let files = tree();
    let list = read("docs/adr/README.md");
    let all: Vec<&File> = files.iter().filter(|it| it.name.starts_with("docs/adr/") && it.name != "docs/adr/README.md").collect();
    assert!(!all.is_empty());
    let mut violations = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in &all {
        let name = file.name.trim_start_matches("docs/adr/");
        // Those who work at the same time take numbers from ranges of their own, so there may be gaps.
        let (n, _) = name.split_once('-').unwrap_or_default();
        if n.len() != 4 || n.parse::<u32>().is_err() || !name.ends_with(".md") || !numbers.insert(n) {
            violations.push(format!("{}:1: is named NNNN-title.md, with a number of its own", file.name));
        }
        if !file.text.starts_with(&format!("# {n} ")) {
            violations.push(format!("{}:1: the title is `# {n} …`", file.name));
        }
        if !list.contains(&format!("({name})")) {
            violations.push(format!("docs/adr/README.md:1: {name} isn't listed"));
        }
        for part in ["Context", "Decision", "Declined", "What would change our mind"] {
            if !file.text.contains(&format!("\n## {part}\n")) {
                violations.push(format!("{}:1: has no `## {part}`", file.name));
            }
        }
    }
    none(violations);
}

// ---- documents and code say the same

#[test]
fn every_error_is_explained() {
    let text = read("docs/errors.md");
    let explained: BTreeSet<&str> = text.lines().filter_map(|it| it.strip_prefix("### `")?.strip_suffix('`')).collect();
    let codes: BTreeSet<&str> = ringback_wire::ErrorCode::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(explained, codes, "docs/errors.md has one heading ### `code` for every code, and no other");
    for section in text.split("\n### `").skip(1) {
        let code = section.split('`').next().unwrap_or_default();
        for who in ["**Caller**", "**Operator**", "**Maintainer**"] {
            assert!(section.contains(who), "docs/errors.md: `{code}` doesn't say what the {who} does next");
        }
        let code = ringback_wire::ErrorCode::parse(code).expect("it is one of them");
        assert!(section.contains(&format!("\n{} · ", code.status())), "docs/errors.md: `{code}` is answered with {}", code.status());
    }
}

#[test]
fn every_setting_is_explained() {
    let config = read("crates/cli/src/config.rs");
    let list = config.split_once("const SETTINGS").and_then(|it| it.1.split_once("\n];")).expect("SETTINGS in config.rs").0;
    let settings: BTreeSet<&str> = list.lines().filter_map(|it| it.trim().strip_prefix("(\"")?.split('"').next()).collect();
    assert!(settings.len() > 10, "{settings:?}");
    let text = read("docs/configuration.md");
    let explained: BTreeSet<&str> = text.lines().filter_map(|it| it.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert_eq!(explained, settings, "docs/configuration.md has one heading ### `name` for every setting, and no other");
}

#[test]
fn every_promise_names_tests_that_there_are() {
    let mut functions = BTreeSet::new();
    for file in rust_files() {
        let code = code_of(&file.text);
        for (at, _) in code.match_indices("fn ") {
            let name = code[at + 3..].split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default();
            functions.insert(name.to_owned());
        }
        // Tests that a macro makes from its rows: `name: Bug => "judge",`.
        if code.contains("macro_rules! plants") {
            let rows = code.lines().filter(|it| it.contains("=>")).filter_map(|it| it.split_once(':'));
            functions.extend(rows.map(|(name, _)| name.trim().to_owned()));
        }
    }
    let text = read("docs/promises.md");
    let mut violations = Vec::new();
    for (line, n) in text.lines().zip(1..) {
        for word in line.split('`').skip(1).step_by(2) {
            let is_test =
                word.matches('_').count() > 1 && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
            if is_test && !functions.contains(word) {
                violations.push(format!("docs/promises.md:{n}: there is no test `{word}`"));
            }
        }
    }
    for promise in 1..=11 {
        if !text.contains(&format!("\n## P{promise} ")) {
            violations.push(format!("docs/promises.md:1: P{promise} is missing"));
        }
    }
    none(violations);
}
