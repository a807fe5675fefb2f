//! The published `standardwebhooks` packages of Python, JavaScript and Rust believe
//! what we send, and nothing else: they are what receivers use.
//!
//! Python and JavaScript are other people's programs, and a machine may lack them.
//! Then a test says `skipped` and why, and passes; with `RINGBACK_NO_SKIPS=1`, as
//! `.ci/run` sets it, it fails. `RINGBACK_TEST_PYTHON` and `RINGBACK_TEST_NODE` name the
//! programs, `RINGBACK_TEST_NODE_PATH` a folder in whose `node_modules` the package lies.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use ringback_signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, sign};
use serde_json::{Value, json};
use std::{
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};
use support::{Answer, Receiver, Server};

/// One request as a receiver sees it, and whether it should believe it.
struct Case {
    name: String,
    secret: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    good: bool,
}

impl Case {
    fn of(name: &str, secret: &str, [id, timestamp, signature]: [&str; 3], body: &[u8]) -> Self {
        let headers = vec![(HEADER_ID, id.to_owned()), (HEADER_TIMESTAMP, timestamp.to_owned()), (HEADER_SIGNATURE, signature.to_owned())];
        Self { name: name.to_owned(), secret: secret.to_owned(), headers, body: body.to_owned(), good: true }
    }

    fn bad(&self, why: &str, change: impl FnOnce(&mut Self)) -> Self {
        let Self { name, secret, headers, body, .. } = self;
        let mut it =
            Self { name: format!("{name}, {why}"), secret: secret.clone(), headers: headers.clone(), body: body.clone(), good: false };
        change(&mut it);
        it
    }

    fn header(&mut self, name: &str, value: &str) {
        for it in self.headers.iter_mut().filter(|it| it.0 == name) {
            value.clone_into(&mut it.1);
        }
    }

    /// This one, and everything that somebody in between may have done to it.
    fn and_forgeries(self) -> Vec<Self> {
        let other = Secret::generate([7; 32]).format();
        let mut all = vec![
            self.bad("body changed", |it| {
                let at = it.body.len() / 2;
                it.body[at] = if it.body[at] == b'0' { b'1' } else { b'0' };
            }),
            self.bad("a space added", |it| it.body.push(b' ')),
            self.bad("another id", |it| it.header(HEADER_ID, "evt_another")),
            self.bad("an hour later", |it| it.header(HEADER_TIMESTAMP, &(now_secs() + 3_600).to_string())),
            self.bad("another signature", |it| it.header(HEADER_SIGNATURE, "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
            self.bad("another secret", |it| it.secret = other),
        ];
        all.push(self);
        all
    }
}

/// The packages ask the real clock whether a timestamp is too old, so we sign for their present.
fn now_secs() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the packages ask the real clock and take no other")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(0))
}

/// What our own signing makes of several bodies.
fn signed_here() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, body) in [r#"{"id":"evt_1","data":{"amount":1999}}"#, r#"{ "n" : 1.50, "name": "Zoë 😀 \u00e4" }"#, "{\"a\":\"1.2.3\"}\n"]
        .into_iter()
        .enumerate()
    {
        let bytes = 24 + 20 * n;
        let secret = Secret::from_bytes(vec![u8::try_from(n).unwrap_or(0) + 1; bytes]).expect("24 to 64 bytes");
        let (id, now) = (format!("evt_0000000000000000000000000{n}"), now_secs());
        let signature = sign(&[&secret], &id, now, body.as_bytes());
        let it = Case::of(&format!("body {n}"), &secret.format(), [&id, &now.to_string(), &signature], body.as_bytes());
        cases.extend(it.and_forgeries());
        // While secrets rotate, there are two signatures, and either secret does.
        let next = Secret::generate([9; 32]);
        let both = sign(&[&next, &secret], &id, now, body.as_bytes());
        for one in [&secret, &next] {
            cases.push(Case::of(&format!("body {n}, rotating"), &one.format(), [&id, &now.to_string(), &both], body.as_bytes()));
        }
    }
    cases
}

/// What the binary sends for a completed payment.
async fn signed_by_the_server() -> Vec<Case> {
    let server = Server::start().await;
    let receiver = Receiver::start(|_| Answer::status(200)).await;
    let api = server.api();
    let wanted = json!({ "types": ["payment.*"], "push": { "url": receiver.url("/webhook/payment") } });
    let made = api.post("/v1/subscriptions", Some(&wanted)).await.expect("a subscription");
    let secret = made["push"]["secret"].as_str().expect("a new subscription tells its secret").to_owned();
    api.post("/payment", Some(&json!({ "id": "123", "amount": 1999, "currency": "eur" }))).await.expect("a payment");
    api.post("/payment/123/complete", None).await.expect("it completes");
    let calls = receiver.wait_for(2).await;
    let case = |it: &support::Call| {
        let headers = [HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE].map(|name| it.header(name));
        Case::of(headers[0], &secret, headers, &it.body).and_forgeries()
    };
    calls.iter().flat_map(case).collect()
}

#[track_caller]
fn compare(who: &str, cases: &[Case], found: &[bool]) {
    assert_eq!(found.len(), cases.len(), "{who} answers each case");
    for (case, found) in cases.iter().zip(found) {
        assert_eq!(*found, case.good, "{who}: {}", case.name);
    }
    assert!(cases.iter().any(|it| it.good) && cases.iter().any(|it| !it.good));
}

fn with_rust(cases: &[Case]) {
    let verdict = |case: &Case| {
        let mut headers = HeaderMap::new();
        for (name, value) in &case.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"));
        }
        standardwebhooks::Webhook::new(&case.secret).expect("a secret").verify(&case.body, &headers).is_ok()
    };
    compare("Rust", cases, &cases.iter().map(verdict).collect::<Vec<_>>());
}

/// Asks a program about all cases. `Err` says why it could not be asked.
fn ask(command: &mut Command, cases: &[Case]) -> Result<Vec<bool>, String> {
    let body = |it: &Case| BASE64_STANDARD.encode(&it.body);
    let headers = |it: &Case| {
        it.headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect::<serde_json::Map<_, _>>()
    };
    let input: Vec<Value> = cases.iter().map(|it| json!({ "secret": it.secret, "headers": headers(it), "body": body(it) })).collect();
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|it| format!("`{name}` can't be started: {it}"))?;
    // One that misses its package ends before it reads; what it says then is better than `broken pipe`.
    let _ = child.stdin.take().expect("its input").write_all(Value::from(input).to_string().as_bytes());
    let output = child.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).lines().map(|it| it == "verified").collect()),
        Some(3) => Err(format!("`{name}` has no package `standardwebhooks`: {}", said.trim())),
        other => panic!("`{name}` ended with {other:?}: {said}"),
    }
}

fn compare_or_skip(who: &str, command: &mut Command, cases: &[Case]) {
    match ask(command, cases) {
        Ok(found) => compare(who, cases, &found),
        Err(why) => {
            let strict = env::var("RINGBACK_NO_SKIPS").is_ok_and(|it| it == "1");
            assert!(!strict, "{why}, and RINGBACK_NO_SKIPS=1 takes no excuse");
            // Past the harness, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {who}: {why}");
        }
    }
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(name)
}

fn with_python(cases: &[Case]) {
    let python = env::var_os("RINGBACK_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    compare_or_skip("Python", Command::new(python).arg(script("verify.py")), cases);
}

fn with_javascript(cases: &[Case]) {
    let node = env::var_os("RINGBACK_TEST_NODE").unwrap_or_else(|| "node".into());
    let folder = env::var_os("RINGBACK_TEST_NODE_PATH").unwrap_or_else(|| ".".into());
    compare_or_skip("JavaScript", Command::new(node).arg(script("verify.mjs")).arg(folder), cases);
}

#[test]
fn rust_believes_what_is_signed_here() {
    with_rust(&signed_here());
}

#[test]
fn python_believes_what_is_signed_here() {
    with_python(&signed_here());
}

#[test]
fn javascript_believes_what_is_signed_here() {
    with_javascript(&signed_here());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_believe_what_the_server_sends() {
    let cases = signed_by_the_server().await;
    with_rust(&cases);
    with_python(&cases);
    with_javascript(&cases);
}
