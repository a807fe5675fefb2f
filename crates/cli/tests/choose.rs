//! The loops of `docs/choose.md`, run as they stand there against the real binary.
//!
//! A machine may lack Python, Node or curl. Then what needs it says `skipped` and
//! why, and passes; with `RINGBACK_NO_SKIPS=1` it fails. `RINGBACK_TEST_PYTHON` and
//! `RINGBACK_TEST_NODE` name the programs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

mod support;

use serde_json::json;
use std::{env, path::Path, process::Stdio, time::Duration};
use support::{Server, eventually, without_our_variables};
use tokio::process::Command;

/// A deadline that only a broken program reaches.
const DEADLINE: Duration = Duration::from_secs(120);

/// The block of `docs/choose.md` in this language for this way.
fn block(language: &str, way: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/choose.md");
    let text = std::fs::read_to_string(file).expect("docs/choose.md");
    let opening = format!("\n```{language} {way}\n");
    let (_, rest) = text.split_once(&opening).unwrap_or_else(|| panic!("docs/choose.md has no block `{language} {way}`"));
    rest.split_once("\n```").expect("an end").0.to_owned() + "\n"
}

/// The program of a language, or why it can't be run here.
fn program(language: &str) -> Result<(String, &'static str), String> {
    let (program, file) = match language {
        "sh" => ("sh".to_owned(), "loop.sh"),
        "python" => (env::var("RINGBACK_TEST_PYTHON").unwrap_or_else(|_| "python3".into()), "loop.py"),
        _ => (env::var("RINGBACK_TEST_NODE").unwrap_or_else(|_| "node".into()), "loop.mjs"),
    };
    for it in [Some(program.as_str()), (language == "sh").then_some("curl")].into_iter().flatten() {
        let mut asked = std::process::Command::new(it);
        if it != "sh" {
            asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        } else {
            asked.args(["-c", ":"]);
        }
        if !asked.status().is_ok_and(|it| it.success()) {
            return Err(format!("{it} can't be run here"));
        }
    }
    Ok((program, file))
}

fn skipped(what: &str, why: &str) {
    assert!(env::var_os("RINGBACK_NO_SKIPS").is_none_or(|it| it.is_empty() || it == "0"), "{what} would be skipped: {why}");
    println!("skipped: {what}: {why}");
}

/// Runs one block; `completed` or what it says has to be in what it prints.
async fn check(language: &str, way: &str) {
    let (program, file) = match program(language) {
        Ok(it) => it,
        Err(why) => return skipped(&format!("{language} {way}"), &why),
    };
    let mut server = Server::start().await;
    let api = server.api();
    api.post("/payment", Some(&json!({ "id": "123", "amount": 1999, "currency": "eur" }))).await.expect("a payment");
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(file), block(language, way)).expect("a file");
    let mut command = std::process::Command::new(program);
    without_our_variables(&mut command).arg(file).current_dir(dir.path());
    command.env("RINGBACK_URL", server.url()).env("RINGBACK_KEY", server.key()).env("PORT", "0");
    // Into files, so that it can be seen how far it is; Python would else keep lines to itself.
    command.env("PYTHONUNBUFFERED", "1");
    let said = [dir.path().join("out"), dir.path().join("err")];
    let [out, err] = said.each_ref().map(|it| std::fs::File::create(it).expect("a file"));
    let mut child = Command::from(command).stdout(out).stderr(err).kill_on_drop(true).spawn().expect("it starts");
    let heard = || said.each_ref().map(|it| std::fs::read_to_string(it).expect("text"));
    if way == "called" {
        // So that it is seen to be called by what happens later, not by what had happened.
        eventually(async || {
            let all = api.get("/v1/subscriptions").await.ok()?;
            (!all["data"].as_array()?.is_empty()).then_some(())
        })
        .await;
    }
    if way == "stream" {
        // It goes on behind what it has, over the end of the server.
        eventually(async || heard()[0].contains("payment.created").then_some(())).await;
        server.kill_and_restart().await;
    }
    api.post("/payment/123/process", None).await.expect("it is processed");
    api.post("/payment/123/complete", None).await.expect("it completes");
    let status = tokio::time::timeout(DEADLINE, child.wait()).await.unwrap_or_else(|_| panic!("{language} {way} goes on: {:?}", heard()));
    let status = status.expect("an end");
    let [out, err] = heard();
    assert!(
        status.success() && out.contains(if way == "called" && language == "sh" { "whsec_" } else { "completed" }),
        "{language} {way}: {status}\n{out}\n{err}"
    );
    if way == "stream" {
        assert_eq!(out.matches("payment.created").count(), 1, "{language} {way}: it was told again what it had\n{out}\n{err}");
    }
}

#[tokio::test]
async fn who_asks_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "ask").await;
    }
}

#[tokio::test]
async fn who_waits_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "wait").await;
    }
}

#[tokio::test]
async fn who_follows_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "follow").await;
    }
}

#[tokio::test]
async fn who_streams_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "stream").await;
    }
}

#[tokio::test]
async fn who_pulls_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "pull").await;
    }
}

#[tokio::test]
async fn who_is_called_learns_it() {
    for language in ["sh", "python", "js"] {
        check(language, "called").await;
    }
}

#[test]
fn every_block_is_run() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/choose.md")).expect("docs/choose.md");
    let blocks: Vec<_> = text.lines().filter_map(|it| it.strip_prefix("```")).filter(|it| !it.is_empty()).collect();
    assert_eq!(blocks.len(), 18, "a new block needs its test above: {blocks:?}");
    let known = |it: &&&str| {
        it.split_once(' ').is_some_and(|(language, way)| {
            ["sh", "python", "js"].contains(&language) && ["ask", "wait", "follow", "stream", "pull", "called"].contains(&way)
        })
    };
    assert_eq!(blocks.iter().filter(known).count(), blocks.len(), "{blocks:?}");
}
