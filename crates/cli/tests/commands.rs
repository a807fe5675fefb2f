//! The binary from outside, where no server is needed: exit codes, which stream says what, and the
//! directory in which things are looked for.
#![expect(
    clippy::expect_used,
    reason = "a test may stop at what it can't do; the lint's own exception covers only functions marked as tests"
)]

use assert_cmd::Command;
use std::path::Path;

/// `ringback <args>` in `dir`, with nothing of ours in its environment.
fn ringback(dir: &Path, args: &str) -> Command {
    let mut command = Command::cargo_bin("ringback").expect("the binary");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGBACK_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).args(args.split_whitespace());
    command
}

/// Runs it, and answers its exit code, standard output and standard error.
fn run(mut command: Command) -> (i32, String, String) {
    let output = command.output().expect("a process");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn check(command: Command, code: i32, stdout: &str, stderr: &str) {
    let (found, out, err) = run(command);
    assert_eq!(found, code, "stdout: {out}\nstderr: {err}");
    assert!(out.contains(stdout) && (out.is_empty() || !stdout.is_empty()), "stdout: {out}");
    assert!(err.contains(stderr) && (err.is_empty() || !stderr.is_empty()), "stderr: {err}");
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn version_and_help_are_data() {
    let dir = dir();
    check(ringback(dir.path(), "version"), 0, concat!("ringback ", env!("CARGO_PKG_VERSION")), "");
    check(ringback(dir.path(), "version --json"), 0, concat!(r#"{"version":""#, env!("CARGO_PKG_VERSION")), "");
    check(ringback(dir.path(), "--help"), 0, "Examples:", "");
    check(ringback(dir.path(), "completion bash"), 0, "_ringback()", "");
}

#[test]
fn the_committed_openapi_document_is_what_is_printed() {
    let dir = dir();
    let committed = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/v1.json")).expect("openapi/v1.json");
    let (code, out, err) = run(ringback(dir.path(), "openapi"));
    assert!(
        code == 0 && err.is_empty() && out == committed,
        "`ringback openapi > openapi/v1.json` and look at the difference; {code} {err}"
    );
    let (_, tenants, _) = run(ringback(dir.path(), "openapi --for tenant --public-url https://api.example.com/"));
    assert!(tenants.contains("\"https://api.example.com\"") && !tenants.contains("/v1/tenants\""));
    std::fs::write(dir.path().join("bad.yaml"), "type: order\nlifecycle: created ->\n").expect("a file");
    check(ringback(dir.path(), "openapi --types ."), 5, "", "bad.yaml");
}

#[test]
fn a_command_line_that_cant_be_understood_is_2() {
    let dir = dir();
    check(ringback(dir.path(), ""), 2, "", "Examples:");
    check(ringback(dir.path(), "frobnicate"), 2, "", "unrecognized subcommand");
    check(ringback(dir.path(), "--json serve"), 2, "", "this one asks none");
    check(ringback(dir.path(), "events list --url ftp://x"), 2, "", "its scheme is neither");
}

#[test]
fn nobody_to_ask_is_6() {
    let dir = dir();
    check(ringback(dir.path(), "events list"), 6, "", "ringback serve --dev");
    check(ringback(dir.path(), "events list --data d"), 6, "", "d/ringback.sock");
    // Nothing listens on port 1 of loopback without privileges.
    check(ringback(dir.path(), "tail --url http://127.0.0.1:1"), 6, "", "can't be reached");
    let mut from_env = ringback(dir.path(), "tenants list");
    from_env.env("RINGBACK_URL", "http://127.0.0.1:1");
    check(from_env, 6, "", "http://127.0.0.1:1");
}

#[test]
fn type_files_are_checked_without_a_server() {
    let dir = dir();
    std::fs::write(dir.path().join("order.yaml"), "type: order\nlifecycle: created -> paid -> shipped | cancelled\n").expect("a file");
    check(ringback(dir.path(), "types check order.yaml"), 0, "", "Nothing is wrong");
    check(ringback(dir.path(), "types check ."), 0, "", "Nothing is wrong");
    std::fs::write(dir.path().join("bad.yaml"), "type: order\nlifecycle: created -> paid\ncolour: red\n").expect("a file");
    check(ringback(dir.path(), "types check bad.yaml"), 5, "bad.yaml: /colour: ", "");
    std::fs::write(dir.path().join("broken.yaml"), "type: [\n").expect("a file");
    check(ringback(dir.path(), "types check broken.yaml"), 5, "broken.yaml:1:7: it is not YAML", "");
    check(ringback(dir.path(), "types check bad.yaml --json"), 5, r#"{"problems":["bad.yaml: /colour: "#, "");
    check(ringback(dir.path(), "types check nowhere.yaml"), 5, "nowhere.yaml: it can't be read", "");
}

#[test]
fn types_that_clash_are_found_together() {
    let dir = dir();
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(dir.path().join(name), "type: order\nlifecycle: created -> paid\n").expect("a file");
    }
    let (code, out, _) = run(ringback(dir.path(), "types check a.yaml b.yaml"));
    assert_eq!(code, 5, "{out}");
    assert!(out.starts_with("b.yaml: /type: "), "the later of two is named: {out}");
}

#[test]
fn the_configuration_is_shown_and_checked() {
    let dir = dir();
    check(ringback(dir.path(), "config check"), 0, "", "The configuration is fine.");
    check(ringback(dir.path(), "config show --dev"), 0, "flag --dev", "");
    std::fs::write(dir.path().join("ringback.toml"), "lisen = 'x'\n").expect("a file");
    check(ringback(dir.path(), "config check"), 5, "", "did you mean `listen`?");
    check(ringback(dir.path(), "config show --json"), 5, r#"{"settings":{"data":"#, "did you mean `listen`?");
    check(ringback(dir.path(), "serve"), 5, "", "did you mean `listen`?");
    check(ringback(dir.path(), "config check --config other.toml"), 5, "", "other.toml");
    std::fs::remove_file(dir.path().join("ringback.toml")).expect("a file");
    check(ringback(dir.path(), "config check --types nowhere"), 5, "", "nowhere");
    let mut from_env = ringback(dir.path(), "config check");
    from_env.env("RINGBACK_LISTEN", "x").env("RINGBACK_KEY", "rbk_secret");
    check(from_env, 5, "", "RINGBACK_LISTEN");
}

#[test]
fn a_key_is_shown_nowhere() {
    let dir = dir();
    for args in ["config show", "events list --help", "events list --url http://127.0.0.1:1"] {
        let mut command = ringback(dir.path(), args);
        command.env("RINGBACK_KEY", "rbk_secret").env("RINGBACK_OPERATOR_KEY", "rbk_secret");
        let (_, out, err) = run(command);
        assert!(!out.contains("rbk_secret") && !err.contains("rbk_secret"), "{args}: {out}{err}");
    }
}
