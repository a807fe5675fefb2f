//! `docs/migrate.md`, run as it is written: import, shadow, switch over, export, apply.
//!
//! Every command in it runs here, in its order; only the addresses of the customers are replaced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod support;

use ringback_signature::{Message, Profile, SignKey};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use support::{Answer, Call, Receiver, Server, eventually, without_our_variables};

/// The blocks of `language` in the document.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migrate.md")).unwrap();
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            out.push(lines.by_ref().take_while(|it| *it != "```").map(|it| format!("{it}\n")).collect());
        }
    }
    out
}

struct Desk<'a> {
    server: &'a Server,
    dir: &'a Path,
}

impl Desk<'_> {
    /// Runs shell commands with `ringback` on the path.
    fn run(&self, script: &str) -> Output {
        let bin = Path::new(support::BINARY).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        without_our_variables(&mut command).args(["-eu", "-c", script]).current_dir(self.dir).env("PATH", path);
        command.env("RINGBACK_URL", self.server.url()).env("RINGBACK_KEY", self.server.key()).env("HOOK_TOKEN", "canary-token-1");
        command.output().unwrap()
    }

    /// What it says, on both streams; it has to succeed.
    #[track_caller]
    fn says(&self, script: &str) -> (String, String) {
        let out = self.run(script);
        let (data, talk) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(out.status.success(), "{script}: {:?}\n{data}\n{talk}", out.status);
        (data, talk)
    }

    /// It has to fail so; what it says to people.
    #[track_caller]
    fn fails(&self, script: &str, code: i32) -> String {
        let out = self.run(script);
        let talk = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{script}: {talk}");
        talk
    }
}

/// Whether a receiver of the old sender, with its old secret, believes it.
fn believes(call: &Call, profile: Profile, secret: &str) -> bool {
    let keys = [SignKey::parse(profile, secret).unwrap()];
    let id = call.header("webhook-id");
    let timestamp_secs = call.header("webhook-timestamp").parse().unwrap();
    let message = Message { id, timestamp_secs, event_type: "invoice.paid", body: &call.body };
    let header = if profile == Profile::Svix { "svix-signature" } else { "x-hub-signature-256" };
    let want = ringback_signature::headers(profile, &keys, &message);
    want.iter().any(|(name, value)| *name == header && value == call.header(header))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_as_it_is_written() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let desk = Desk { server: &server, dir: dir.path() };
    let (acme, globex) = (Receiver::start(|_| Answer::status(200)).await, Receiver::start(|_| Answer::status(204)).await);
    let lines = blocks("json").remove(0).replace("https://acme.example/hooks", &acme.url("/hooks"));
    fs::write(dir.path().join("customers.ndjson"), lines.replace("https://globex.example/in", &globex.url("/in"))).unwrap();
    let steps = blocks("sh");
    assert_eq!(steps.len(), 5, "each step of the page is run here");

    let (_, talk) = desk.says(&steps[0]);
    assert!(talk.contains("4 objects: 4 would be new, 0 are there. Nothing was changed"), "{talk}");
    assert!(talk.contains("4 objects: 4 are new"), "{talk}");
    assert_eq!(fs::read_to_string(dir.path().join("secrets.ndjson")).unwrap(), "", "all secrets were given");
    let (_, talk) = desk.says("ringback import customers.ndjson");
    assert!(talk.contains("0 are new, 4 were there"), "{talk}");

    desk.says(&steps[1]);
    let shown = eventually(async || {
        let (data, _) = desk.says("ringback subscriptions show acme-hooks --tenant acme --json");
        let shown: Value = serde_json::from_str(&data).unwrap();
        (shown["shadowed"] == 1).then_some(shown)
    })
    .await;
    assert_eq!((shown["state"].as_str(), shown["version"].as_u64()), (Some("shadow"), None));
    let (data, _) = desk.says(&steps[2]);
    assert!(data.contains("shadowed:"), "{data}");
    let (data, _) = desk.says("ringback deliveries list --subscription acme-hooks --tenant acme");
    assert!(data.contains("skipped") && data.contains("shadow"), "{data}");
    assert_eq!((acme.count(), globex.count()), (0, 0), "nothing was sent");

    desk.says(&steps[3]);
    desk.says(&steps[1].replace("msg_2b", "msg_3c"));
    let (to_acme, to_globex) = (acme.wait_for(1).await.remove(0), globex.wait_for(1).await.remove(0));
    assert_eq!((to_acme.header("svix-id"), to_globex.header("x-github-delivery")), ("msg_3c7f", "msg_3c80"));
    assert!(believes(&to_acme, Profile::Svix, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    assert!(believes(&to_globex, Profile::Github, "It's-A-Secret-Of-Globex"));
    assert_eq!(&to_globex.body[..], br#"{"id":"inv_8","total":2999}"#);

    // Files as the truth.
    let hooks = dir.path().join("hooks");
    fs::create_dir(&hooks).unwrap();
    let yaml = format!(
        "- {{ kind: tenant, id: acme, name: Acme Ltd }}\n- kind: subscription\n  id: acme-audit\n  tenant: acme\n  types: [invoice.paid]\n  push:\n    url: {}\n    auth: {{ type: bearer, token: {{ env: HOOK_TOKEN }} }}\n",
        acme.url("/audit")
    );
    fs::write(hooks.join("acme.yaml"), &yaml).unwrap();
    let (data, talk) = desk.says(&steps[4]);
    assert!(talk.contains("1 made, 0 changed, 1 as they were, 0 removed (nothing was done)"), "{talk}");
    assert!(talk.contains("+ subscription acme-audit of acme"), "{talk}");
    let made: Value = serde_json::from_str(data.trim()).unwrap();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    let exported = fs::read_to_string(dir.path().join("now.ndjson")).unwrap();
    assert!(exported.contains("acme-hooks") && !exported.contains("MfKQ9r8GKYqr") && !exported.contains("Secret-Of-Globex"), "{exported}");
    // What was exported is what is there.
    let (_, talk) = desk.says("ringback import now.ndjson");
    assert!(talk.contains("0 are new"), "{talk}");

    // The file is gone, and with it what it had made; what was imported stays.
    fs::write(hooks.join("acme.yaml"), "{ kind: tenant, id: acme, name: Acme Ltd }\n").unwrap();
    let (_, talk) = desk.says("ringback apply -f hooks/ --prune");
    assert!(talk.contains("- subscription acme-audit of acme") && talk.contains("1 removed"), "{talk}");
    let (data, _) = desk.says("ringback subscriptions list --tenant acme --json");
    assert!(data.contains("acme-hooks") && !data.contains("acme-audit"), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_line_and_nothing_is_half_done_in_silence() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let desk = Desk { server: &server, dir: dir.path() };
    let hook = |id: &str, more: Value| {
        let mut line = json!({ "kind": "subscription", "id": id, "push": { "url": "http://127.0.0.1:9/hook" } });
        line.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        line.to_string()
    };
    let lines = [
        hook("one", json!({})),
        String::new(),
        hook("two", json!({ "typs": ["a.*"] })),
        "{\"kind\":\"tenant\"".into(),
        hook("three", json!({ "tenant": "nobody" })),
        "{\"kind\":\"resource\",\"type\":\"payment\",\"id\":\"7\",\"source_version\":1,\"status\":\"created\"}".into(),
    ];
    fs::write(dir.path().join("bad.ndjson"), lines.join("\n")).unwrap();
    let talk = desk.fails("ringback import bad.ndjson --dry-run", 5);
    for want in [
        "line 3, subscription two: `/typs`",
        "did you mean `types`?",
        "line 4: this is not a JSON object",
        "line 5, subscription three of nobody",
        "line 6, payment 7: This route has no PUT",
        "4 lines are wrong; nothing was changed",
    ] {
        assert!(talk.contains(want), "{want}\n{talk}");
    }
    assert!(server.api().get("/v1/subscriptions/one").await.is_err(), "a dry run changes nothing");

    let talk = desk.fails("ringback import bad.ndjson", 5);
    assert!(talk.contains("line 3, subscription two") && talk.contains("1 objects before it are done"), "{talk}");
    assert!(server.api().get("/v1/subscriptions/one").await.is_ok());
    desk.fails("ringback import nothing-here.ndjson", 1);
    desk.fails("ringback import", 2);
    desk.fails("ringback apply -f nowhere", 1);
    desk.fails("RINGBACK_KEY=rbk_wrong ringback import bad.ndjson", 3);
    desk.fails("RINGBACK_URL=http://127.0.0.1:1 ringback import bad.ndjson", 6);
    let talk = desk.fails("printf '%s' '{\"kind\":\"tenant\",\"id\":\"UPPER\"}' | ringback import -", 5).to_lowercase();
    assert!(talk.contains("line 1, tenant upper"), "{talk}");

    // Mirrored resources: again is no change, older ones are left alone.
    let invoice = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/outbox/invoice.yaml")).unwrap();
    fs::write(dir.path().join("invoice.yaml"), invoice).unwrap();
    desk.says("ringback types put invoice.yaml");
    let resource = |version: u64| {
        format!(
            "{{\"kind\":\"resource\",\"type\":\"invoice\",\"id\":\"7\",\"source_version\":{version},\"status\":\"open\",\"amount\":5}}\n"
        )
    };
    fs::write(dir.path().join("r.ndjson"), resource(3) + &resource(3) + &resource(4)).unwrap();
    let (_, talk) = desk.says("ringback import r.ndjson --dry-run");
    assert!(talk.contains("3 would be new"), "{talk}");
    let (_, talk) = desk.says("ringback import r.ndjson");
    assert!(talk.contains("1 are new, 1 were there and are as the file says, 1 were newer"), "{talk}");
    let (data, _) = desk.says("ringback export --resources invoice | grep resource");
    let shown: Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!((shown["amount"].as_u64(), shown["status"].as_str()), (Some(5), Some("open")));
}
