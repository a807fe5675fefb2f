//! What the binary sends in the form of another sender is believed by that sender's own
//! library, with the secret that its receivers have, and nothing else is: `svix` and `stripe`
//! for Python, `stripe` and `@octokit/webhooks` for JavaScript. Signatures of ed25519 are
//! verified by Python's `cryptography` and by Node itself.
//!
//! A machine may lack these; then a test says `skipped` and why, and passes; with
//! `RINGBACK_NO_SKIPS=1` it fails. Where they are found is as in `receivers.rs`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this file is tests, helpers included: they fail by panicking"
)]

mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};
use support::{Answer, Receiver, Server};

/// One request as a receiver sees it, and whether it should believe it.
#[derive(Clone)]
struct Case {
    name: String,
    profile: &'static str,
    secret: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    good: bool,
}

/// What the old sender's customers have, and the name of the header that signs.
const SENDERS: [(&str, &str, &str, &str); 4] = [
    ("svix", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "svix-signature"),
    ("stripe", "whsec_5oX0bJ8Q7kYwz3nRt1", "whsec_another_secret_0123", "stripe-signature"),
    ("github", "It's_a_Secret_to_Everybody", "not_the_secret_0123456", "x-hub-signature-256"),
    ("shopify", "hush-hush-0123456789abcdef", "not_the_secret_0123456", "x-shopify-hmac-sha256"),
];

/// The request, and everything that somebody in between may have done to it.
fn and_forgeries(good: Case, other_secret: &str, signature: &str) -> Vec<Case> {
    let bad = |why: &str, change: &dyn Fn(&mut Case)| {
        let mut it = Case { name: format!("{}, {why}", good.name), good: false, ..good.clone() };
        change(&mut it);
        it
    };
    let mut all = vec![
        bad("body changed", &|it| {
            let at = it.body.iter().position(u8::is_ascii_digit).expect("a digit");
            it.body[at] = if it.body[at] == b'0' { b'1' } else { b'0' };
        }),
        bad("a space added", &|it| it.body.push(b' ')),
        bad("another secret", &|it| other_secret.clone_into(&mut it.secret)),
        bad("another signature", &|it| {
            let value = it.headers.get_mut(signature).expect("signed");
            // A digit of the first signature, whatever its alphabet.
            let at = value.rfind([',', '=', ' ']).filter(|at| at + 4 < value.len()).map_or(0, |at| at + 1);
            let to = if &value[at..=at] == "0" { "1" } else { "0" };
            value.replace_range(at..=at, to);
        }),
    ];
    all.push(good);
    all
}

/// What the binary sends to one subscription of each profile, and to one that signs with ed25519.
async fn cases() -> Vec<Case> {
    let server = Server::start().await;
    let receiver = Receiver::start(|_| Answer::status(200)).await;
    let api = server.api();
    let subscribe = async |path: &str, push: Value| {
        let mut push = push;
        push["url"] = receiver.url(path).into();
        push["headers"] = json!({ "x-path": path });
        api.post("/v1/subscriptions", Some(&json!({ "types": ["payment.created"], "push": push }))).await.expect("a subscription")
    };
    for (profile, secret, _, _) in SENDERS {
        subscribe(&format!("/{profile}"), json!({ "profile": profile, "secret": secret })).await;
    }
    let signs = subscribe("/ed25519", json!({ "signing": "ed25519" })).await;
    let public_key = signs["push"]["public_key"].as_str().expect("a public key").to_owned();
    let other = subscribe("/other", json!({ "signing": "ed25519" })).await["push"]["public_key"].as_str().expect("a public key").to_owned();
    // While keys rotate there are two signatures, and either key does.
    let id = signs["id"].as_str().expect("an id");
    let rotated = api.post(&format!("/v1/subscriptions/{id}/rotate-secret"), None).await.expect("rotated");
    let new_key = rotated["keys"][0]["public_key"].as_str().expect("a public key").to_owned();

    api.post("/payment", Some(&json!({ "id": "123", "amount": 1999, "currency": "eur", "customer": "Zoë 😀" }))).await.expect("a payment");
    let calls = receiver.wait_for(SENDERS.len() + 2).await;
    let call = |path: &str| calls.iter().find(|it| it.header("x-path") == path).expect("it was called");
    let mut all = Vec::new();
    for (profile, secret, other, signature) in SENDERS {
        let it = call(&format!("/{profile}"));
        let names = ["webhook-id", "svix-id", "svix-timestamp", "x-github-event", "x-github-delivery", signature];
        let headers =
            names.into_iter().filter(|name| !it.header(name).is_empty()).map(|name| (name.to_owned(), it.header(name).to_owned()));
        let good =
            Case { name: profile.into(), profile, secret: secret.into(), headers: headers.collect(), body: it.body.to_vec(), good: true };
        all.extend(and_forgeries(good, other, signature));
    }
    let it = call("/ed25519");
    let headers: BTreeMap<_, _> =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name.to_owned(), it.header(name).to_owned())).into();
    for (name, key) in [("ed25519, old key", &public_key), ("ed25519, new key", &new_key)] {
        let good = Case {
            name: name.into(),
            profile: "ed25519",
            secret: key.clone(),
            headers: headers.clone(),
            body: it.body.to_vec(),
            good: true,
        };
        all.extend(and_forgeries(good, &other, "webhook-signature").into_iter().filter(|it| !it.name.ends_with("another signature")));
    }
    all
}

/// Asks a program about all cases. `Err` says why it could not be asked.
fn ask(command: &mut Command, cases: &[&Case]) -> Result<Vec<bool>, String> {
    let input: Vec<Value> = cases
        .iter()
        .map(|it| json!({ "profile": it.profile, "secret": it.secret, "headers": it.headers, "body": BASE64_STANDARD.encode(&it.body) }))
        .collect();
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
        Some(3) => Err(format!("`{name}` lacks a package: {}", said.trim())),
        other => panic!("`{name}` ended with {other:?}: {said}"),
    }
}

fn compare_or_skip(who: &str, command: &mut Command, cases: &[Case], profiles: &[&str]) {
    let cases: Vec<&Case> = cases.iter().filter(|it| profiles.contains(&it.profile)).collect();
    match ask(command, &cases) {
        Ok(found) => {
            assert_eq!(found.len(), cases.len(), "{who} answers each case");
            for (case, found) in cases.iter().zip(found) {
                assert_eq!(found, case.good, "{who}: {}", case.name);
            }
            for profile in profiles {
                let good = |good: bool| cases.iter().any(|it| it.profile == *profile && it.good == good);
                assert!(good(true) && good(false), "{who} sees good and bad of {profile}");
            }
        }
        Err(why) => {
            let strict = env::var("RINGBACK_NO_SKIPS").is_ok_and(|it| it == "1");
            assert!(!strict, "{why}, and RINGBACK_NO_SKIPS=1 takes no excuse");
            // Past the harness, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {who}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_libraries_believe_what_is_sent_in_their_form() {
    let cases = cases().await;
    let script = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(name);
    let python = env::var_os("RINGBACK_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    compare_or_skip("Python", Command::new(python).arg(script("profiles.py")), &cases, &["svix", "stripe", "shopify", "ed25519"]);
    let node = env::var_os("RINGBACK_TEST_NODE").unwrap_or_else(|| "node".into());
    let folder = env::var_os("RINGBACK_TEST_NODE_PATH").unwrap_or_else(|| ".".into());
    compare_or_skip("JavaScript", Command::new(node).arg(script("profiles.mjs")).arg(folder), &cases, &["stripe", "github", "ed25519"]);
}

/// `ringback sign` and `ringback verify-signature` agree, and say what is wrong.
#[test]
fn the_command_line_says_why_a_signature_fails() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringback")).args(args).output().expect("it runs");
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let body = r#"{"amount":1999}"#;
    for (profile, secret) in
        [("standard", SENDERS[0].1), ("svix", SENDERS[0].1), ("stripe", SENDERS[1].1), ("github", SENDERS[2].1), ("shopify", SENDERS[3].1)]
    {
        let (code, headers, said) = run(&["sign", "--secret", secret, "--profile", profile, "-d", body, "--at", "1795458284"]);
        assert_eq!(code, Some(0), "{said}");
        let verify = |secret: &str, body: &str, at: &str| {
            let mut args = vec!["verify-signature", "--secret", secret, "-d", body, "--at", at];
            for line in headers.lines() {
                args.extend(["-H", line]);
            }
            run(&args)
        };
        let (code, verdict, said) = verify(secret, body, "1795458284");
        assert_eq!((code, verdict.as_str()), (Some(0), "ok\n"), "{profile}: {said}");
        let (code, verdict, said) = verify(secret, "{\n  \"amount\": 1999\n}", "1795458284");
        assert_eq!((code, verdict.as_str()), (Some(5), "body_modified\n"), "{profile}");
        assert!(said.contains("white space between its JSON tokens"), "{said}");
        let other = if profile == "standard" { SENDERS[0].2 } else { SENDERS.iter().find(|it| it.0 == profile).expect("it").2 };
        assert_eq!(verify(other, body, "1795458284").1, "no_match\n", "{profile}");
        let late = verify(secret, body, "1795460000").1;
        assert_eq!(late, if ["github", "shopify"].contains(&profile) { "ok\n" } else { "timestamp_outside_window\n" }, "{profile}");
        // The secret is never repeated.
        assert!(!said.contains(secret) && !headers.contains(secret));
    }
    let (code, verdict, _) = run(&["verify-signature", "--secret", SENDERS[0].1, "-d", body]);
    assert_eq!((code, verdict.as_str()), (Some(5), "id_missing\n"));
    let (code, _, said) = run(&["sign", "--secret", "short", "--profile", "github", "-d", body]);
    assert_eq!(code, Some(5));
    assert!(said.contains("16 to 256 characters"), "{said}");
}
