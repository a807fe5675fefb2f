//! `schemathesis`, which knows nothing of us but `/openapi.json`, makes requests of
//! what it reads there, good and bad ones, and compares the answers with it: a
//! status, header or member that isn't listed fails this test, and so does any 5xx.
//!
//! It is a Python program, and a machine may lack it. Then the test says `skipped`
//! and why, and passes; with `RINGBACK_NO_SKIPS=1` it fails. `RINGBACK_TEST_PYTHON`
//! names a Python that has it, `RINGBACK_FUZZ_SECS` how long to go on (docs/testing.md).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

mod support;

use http::{HeaderMap, Method};
use serde_json::json;
use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};
use support::{Server, without_our_variables};

/// Test cases that even the shortest run makes; fewer means that it didn't run.
const CASES_MIN: u64 = 1_000;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,allow_header_conformance,ignored_auth";

/// No name resolves: what is registered here is made up, and must not be called.
const CONFIG: &str = "[egress]\nnameservers = [\"127.0.0.1:9\"]\n";

fn python() -> String {
    env::var("RINGBACK_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn schemathesis(program: &str) -> Command {
    let mut command = Command::new(program);
    without_our_variables(&mut command).args(["-m", "schemathesis.cli"]).env("NO_COLOR", "1");
    command
}

#[tokio::test]
async fn what_is_served_is_what_the_document_says() {
    let python = python();
    let there = schemathesis(&python).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|it| it.success()) {
        let skips = env::var_os("RINGBACK_NO_SKIPS").is_none_or(|it| it.is_empty() || it == "0");
        assert!(skips, "the fuzzing of /openapi.json would be skipped: {python} has no schemathesis");
        return println!("skipped: the fuzzing of /openapi.json: {python} has no schemathesis");
    }
    let secs: u64 = env::var("RINGBACK_FUZZ_SECS").map_or(60, |it| it.parse().expect("RINGBACK_FUZZ_SECS: seconds"));
    let seed = env::var("RINGBACK_FUZZ_SEED").unwrap_or_else(|_| "7464".into());
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("ringback.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let server = Server::start_with(&["--config", config.to_str().expect("a path")]).await;
    let api = server.api();
    api.post("/payment", Some(&json!({ "id": "123", "amount": 1999, "currency": "eur" }))).await.expect("a payment");
    // None of the shipped types is mirrored, and one that is has other routes.
    let fields = json!({ "type": "object", "required": ["total"], "properties": { "total": { "type": "integer" } } });
    let mirror = json!({ "type": "invoice", "mirror": true, "lifecycle": "open -> paid | void", "schema": fields });
    api.send(Method::PUT, "/v1/types/invoice", HeaderMap::new(), Some(&mirror)).await.expect("a mirrored type");
    let keys = api.get("/v1/keys").await.expect("keys");
    let mut command = schemathesis(&python);
    command.args(["run", &format!("{}/openapi.json", server.url()), "--seed", &seed, "--max-time", &secs.to_string()]);
    command.args(["-H", &format!("Authorization: Bearer {}", server.key()), "-H", "Ringback-Tenant: default"]);
    command.args(["--checks", CHECKS, "--continue-on-failure", "--generation-database", "none", "--request-timeout", "30"]);
    command.args(["--suppress-health-check", "all", "--warnings", "off", "--no-color"]);
    command.env("SCHEMATHESIS_HOOKS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/hooks.py"));
    command.env("RINGBACK_TEST_KEY_ID", keys["data"][0]["id"].as_str().expect("an id"));
    // A file for the cases, and whatever else it leaves.
    let ended = command.current_dir(dir.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{}: {said}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    let count = said.lines().find_map(|it| it.trim().split_once(" generated")?.0.replace(',', "").parse::<u64>().ok());
    let count = count.unwrap_or_else(|| panic!("how many cases there were is not told: {said}"));
    println!("schemathesis: {count} requests, seed {seed}");
    assert!(count >= CASES_MIN, "only {count} cases: {said}");
}
