//! Tables: what each layer may say, who wins, and what is refused with which sentence.

use super::*;
use expect_test::{Expect, expect};

/// Loads from a file's text, variables and flags, in an empty directory.
fn loaded(file: &str, env: &[(&str, &str)], flags: Flags) -> Loaded {
    let dir = tempfile::tempdir().expect("a directory");
    if !file.is_empty() {
        std::fs::write(dir.path().join("ringback.toml"), file).expect("a file");
    }
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&flags, &env, dir.path())
}

#[track_caller]
fn good(file: &str, env: &[(&str, &str)]) -> ServeConfig {
    let it = loaded(file, env, Flags::default());
    assert_eq!(it.problems, [], "{file} {env:?}");
    it.config
}

#[track_caller]
fn bad(file: &str, env: &[(&str, &str)], want: Expect) {
    let it = loaded(file, env, Flags::default());
    let lines: Vec<_> = it.problems.iter().map(ToString::to_string).collect();
    want.assert_eq(&lines.join("\n"));
}

#[test]
fn without_anything_said_the_defaults_hold() {
    let it =
        loaded("", &[("PATH", "/bin"), ("RINGBACK_URL", "x"), ("RINGBACK_KEY", "y"), ("RINGBACK_OPERATOR_KEY", "z")], Flags::default());
    assert_eq!(it.problems, []);
    let shown: Vec<_> = it.shown.iter().map(|it| format!("{} = {} ({})", it.key, it.value, it.from)).collect();
    expect![[r#"
        data = "./ringback-data" (default)
        listen = "127.0.0.1:7464" (default)
        types = null (default)
        public_url = null (default)
        key_file = "./ringback-data.key" (default)
        dev = false (default)
        lock_wait = "0s" (default)
        shutdown_grace = "25s" (default)
        log.format = "auto" (default)
        log.filter = "info" (default)
        egress.ports = [] (default)
        egress.nameservers = [] (default)
        egress.allow = [] (default)
        delivery.slots = 4096 (default)
        delivery.user_agent = "Ringback" (default)
        limits.waiters = 20000 (default)
        limits.waiters_per_key = 20000 (default)
        limits.answers_mib = 128 (default)
        retention.events = "30d" (default)
        cors.origins = [] (default)"#]]
    .assert_eq(&shown.join("\n"));
    let names: Vec<_> = it.shown.iter().map(|it| it.key).collect();
    assert_eq!(names, SETTINGS.iter().map(|(it, _)| *it).collect::<Vec<_>>(), "one list of settings, one order");
}

#[test]
fn flags_beat_environment_beats_file_beats_default() {
    let file = "data = 'file'\nlisten = '127.0.0.1:1'\ntypes = 'file-types'\n[delivery]\nslots = 7\n";
    let env = [("RINGBACK_DATA", "env"), ("RINGBACK_LISTEN", "127.0.0.1:2"), ("RINGBACK_EGRESS__PORTS", "8444, 9000")];
    let it = loaded(file, &env, Flags { data: Some("flag".into()), dev: true, ..Flags::default() });
    assert_eq!(it.problems, []);
    let from = |key: &str| it.shown.iter().find(|it| it.key == key).map(|it| format!("{} {}", it.value, it.from)).unwrap_or_default();
    assert_eq!(from("data"), r#""flag" flag --data"#);
    assert_eq!(from("dev"), "true flag --dev");
    assert_eq!(from("listen"), r#""127.0.0.1:2" env RINGBACK_LISTEN"#);
    assert_eq!(from("egress.ports"), "[8444,9000] env RINGBACK_EGRESS__PORTS");
    assert_eq!(from("types"), r#""file-types" file ringback.toml"#);
    assert_eq!(from("delivery.slots"), "7 file ringback.toml");
    assert_eq!(it.config.key_file, PathBuf::from("flag.key"), "beside the directory, wherever it is");
}

#[test]
fn the_file_may_say_everything() {
    let it = good(
        r#"
        data = "/var/lib/ringback/"
        listen = "[::1]:7464"
        types = "types"
        public_url = "https://api.example.com/ringback/"
        key_file = "/etc/ringback.key"
        lock_wait = "1m"
        shutdown_grace = 10
        log.format = "json"
        [egress]
        ports = [8444]
        nameservers = ["10.0.0.2", "10.0.0.3:5353", "::1", "[::1]:5353"]
        [[egress.allow]]
        net = "10.2.0.0/16"
        ports = [80, 8080]
        http = true
        [[egress.allow]]
        name = "Ledger.svc."
        for = "tenant"
        [delivery]
        slots = 10
        user_agent = "Acme-Hooks"
        [limits]
        waiters = 1_000
        "#,
        &[],
    );
    assert_eq!(it.socket(), PathBuf::from("/var/lib/ringback/ringback.sock"));
    assert_eq!(it.public_url_for(it.listen), "https://api.example.com/ringback");
    assert_eq!((it.lock_wait, it.shutdown_grace), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((it.log_format, it.delivery_slots, it.user_agent.as_str(), it.waiters), (LogFormat::Json, 10, "Acme-Hooks", 1_000));
    let servers: Vec<_> = it.egress.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.2:53", "10.0.0.3:5353", "[::1]:53", "[::1]:5353"]);
    assert_eq!(
        it.egress.allow,
        [
            AllowRule {
                target: AllowTarget::Net("10.2.0.0/16".parse().expect("a net")),
                ports: vec![80, 8080],
                http: true,
                authority: Authority::Operator
            },
            AllowRule { target: AllowTarget::Name("ledger.svc".into()), ports: vec![], http: false, authority: Authority::Tenant },
        ]
    );
}

#[test]
fn the_environment_writes_lists_and_numbers_as_text() {
    let it = good(
        "",
        &[
            ("RINGBACK_EGRESS__NAMESERVERS", "[::1]:5353"),
            ("RINGBACK_EGRESS__PORTS", "[8444,9000]"),
            ("RINGBACK_DATA", "123"),
            ("RINGBACK_DEV", "1"),
            ("RINGBACK_LISTEN", "localhost:0"),
        ],
    );
    assert_eq!(it.egress.nameservers, ["[::1]:5353".parse().expect("an address")]);
    assert_eq!((it.egress.ports, it.data, it.dev), (vec![8444, 9000], PathBuf::from("123"), true));
    assert_eq!(it.listen.to_string(), "127.0.0.1:0");
    let bound: SocketAddr = "127.0.0.1:4711".parse().expect("an address");
    assert_eq!(good("", &[]).public_url_for(bound), "http://127.0.0.1:4711");
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    bad(
        "lisen = '127.0.0.1:1'\ncolour = 'red'\nwaiters = 5\nlog = 'json'\n[egress]\nport = [1]\n",
        &[],
        expect![[r#"
            colour (file ringback.toml): there is no such setting; `ringback config show` lists all of them
            egress.port (file ringback.toml): there is no such setting; did you mean `egress.ports`?
            lisen (file ringback.toml): there is no such setting; did you mean `listen`?
            log (file ringback.toml): this is a section, not a setting; it has log.format, log.filter
            waiters (file ringback.toml): there is no such setting; did you mean `limits.waiters`?"#]],
    );
    bad(
        "",
        &[("RINGBACK_LISTN", "x"), ("RINGBACK_DELIVERY__SLOT", "1"), ("RINGBACK_LOG", "json"), ("RINGBACK_DATA__DIR", "x")],
        expect![[r#"
            delivery.slot (env RINGBACK_DELIVERY__SLOT): there is no such setting; did you mean `delivery.slots`?
            listn (env RINGBACK_LISTN): there is no such setting; did you mean `listen`?
            log (env RINGBACK_LOG): this is a section, not a setting; it has log.format, log.filter
            data (env RINGBACK_DATA): this is one value, not a list or a section"#]],
    );
}

#[test]
fn values_out_of_bounds_are_refused_all_at_once() {
    bad(
        r#"
        data = ""
        listen = ":7464"
        public_url = "ftp://example.com"
        dev = "maybe"
        lock_wait = "2h"
        shutdown_grace = "26s"
        log.format = "xml"
        log.filter = "loud"
        egress.ports = [0]
        egress.nameservers = ["dns.example.com"]
        delivery.slots = 0
        delivery.user_agent = "a b"
        limits.waiters = 1.5
        "#,
        &[],
        expect![[r#"
            data (file ringback.toml): a path can't be empty
            listen (file ringback.toml): `:7464` is not an address with a port; write for instance 127.0.0.1:7464, 0.0.0.0:7464 for every address, or [::1]:7464
            public_url (file ringback.toml): it must begin with https:// or http:// and name a host
            dev (file ringback.toml): `maybe` is neither true nor false
            lock_wait (file ringback.toml): 2h is not between 0s and 10m
            shutdown_grace (file ringback.toml): 26s is not between 1s and 25s
            log.format (file ringback.toml): `xml` is none of auto, text, json
            log.filter (file ringback.toml): `loud` is not a log filter; write error, warn, info, debug or trace, or for instance info,ringback_egress=debug
            egress.ports (file ringback.toml): `0` is not a port from 1 to 65535
            egress.nameservers (file ringback.toml): `dns.example.com` is not the address of a name server; write for instance 10.0.0.2 or 10.0.0.2:5353
            delivery.slots (file ringback.toml): `0` is not a whole number from 1 to 65536
            delivery.user_agent (file ringback.toml): `a b` is not 1 to 64 letters, digits, `-`, `_` or `.`; the version is added by itself
            limits.waiters (file ringback.toml): `1.5` is not a whole number from 1 to 1000000"#]],
    );
}

#[test]
fn credentials_in_a_public_url_are_not_repeated() {
    let it = loaded("public_url = 'https://a:hunter2@example.com'", &[], Flags::default());
    assert_eq!(it.problems.len(), 1);
    assert!(!format!("{it:?}").contains("hunter2"), "{it:?}");
}

#[test]
fn rules_of_the_way_out_are_checked_one_by_one() {
    let rule = |text: &str, want: Expect| bad(&format!("[[egress.allow]]\nname = 'ok'\n[[egress.allow]]\n{text}\n"), &[], want);
    rule(
        "net = '10.2.0.7/16'",
        expect![
            "egress.allow (file ringback.toml): rule 2: `10.2.0.7/16` names one address and a whole network; write 10.2.0.0/16 or 10.2.0.7/32"
        ],
    );
    rule(
        "net = 'x'",
        expect!["egress.allow (file ringback.toml): rule 2: `x` is not a network; write for instance 10.2.0.0/16 or 10.2.0.7"],
    );
    rule("http = true", expect!["egress.allow (file ringback.toml): rule 2: exactly one of `net` and `name` says where to"]);
    rule(
        "name = 'http://x'",
        expect!["egress.allow (file ringback.toml): rule 2: `http://x` is not a host name; a scheme, port or address doesn't belong here"],
    );
    rule(
        "name = 'x'\nport = [1]",
        expect!["egress.allow (file ringback.toml): rule 2: there is no `port` in a rule; did you mean `ports`?"],
    );
    rule("name = 'x'\nfor = 'all'", expect!["egress.allow (file ringback.toml): rule 2: `for` is `operator` or `tenant`, not `all`"]);
    bad(
        "",
        &[("RINGBACK_EGRESS__ALLOW", "10.0.0.0/8")],
        expect![[
            r#"egress.allow (env RINGBACK_EGRESS__ALLOW): write it as tables in the file: [[egress.allow]] with net = "10.2.0.0/16" or name = "ledger.svc""#
        ]],
    );
}

#[test]
fn settings_must_fit_together() {
    bad(
        "data = '/var/lib/rb'\nkey_file = '/var/lib/rb/key'",
        &[],
        expect![
            "key_file (file ringback.toml): `/var/lib/rb/key` lies inside the data directory, so every backup would hold the key to itself; put it beside"
        ],
    );
    bad(
        "data = '/'",
        &[],
        expect![
            "data (file ringback.toml): `/` has no name of its own to put a key file beside; write the directory's name, or set key_file"
        ],
    );
    bad(
        "dev = true\nlisten = '0.0.0.0:7464'",
        &[],
        expect!["listen (file ringback.toml): with --dev only this machine may call: listen on 127.0.0.1:7464 or leave --dev away"],
    );
}

#[test]
fn a_file_that_was_named_must_be_there_and_readable() {
    bad("", &[("RINGBACK_CONFIG", "other.toml")], expect!["file other.toml: it can't be read: No such file or directory (os error 2)"]);
    let it = loaded("data = \n", &[], Flags::default());
    let text = it.problems.iter().map(ToString::to_string).collect::<String>();
    assert!(text.starts_with("file ringback.toml: ") && text.contains("line 1"), "{text}");
}

#[test]
fn client_verbs_find_the_directory_of_serve() {
    let dir = tempfile::tempdir().expect("a directory");
    let env =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
    assert_eq!(data_dir(None, &env(&[]), dir.path()), PathBuf::from(DATA_DEFAULT));
    std::fs::write(dir.path().join("ringback.toml"), "data = 'from-file'\ntypo = 1\n").expect("a file");
    assert_eq!(data_dir(None, &env(&[]), dir.path()), PathBuf::from("from-file"));
    assert_eq!(data_dir(None, &env(&[("RINGBACK_DATA", "from-env")]), dir.path()), PathBuf::from("from-env"));
    assert_eq!(data_dir(Some("from-flag"), &env(&[("RINGBACK_DATA", "from-env")]), dir.path()), PathBuf::from("from-flag"));
}

/// Whatever stands in the file or a variable: settings, or problems that say something.
#[test]
fn no_file_is_read_with_a_panic() {
    use proptest::prelude::*;
    let words = prop::sample::select(vec![
        "listen",
        "egress",
        "[egress]",
        "[[egress.allow]]",
        "net",
        "name",
        "ports",
        "=",
        "[",
        "]",
        "\"",
        "'",
        "\n",
        ".",
        ",",
        "{",
        "}",
        "0",
        "-1",
        "99999999999999999999",
        "true",
        "\"10.0.0.0/8\"",
        "\"0.0.0.0:7464\"",
        "1e9",
        "2026-11-25",
        "[limits]",
        "waiters",
        "\\u0000",
        "delivery.slots",
        "\"\"",
        "[cors]",
        "origins",
        "\"https://*\"",
        "#",
        "log.format",
        "nan",
        "é",
        "\u{202e}",
    ]);
    let text = prop::collection::vec(prop_oneof![4 => words.prop_map(str::to_owned), 1 => ".{0,8}"], 0..20).prop_map(|it| it.join(" "));
    let names = SETTINGS.iter().map(|(it, _)| format!("RINGBACK_{}", it.replace('.', "_").to_uppercase())).collect::<Vec<_>>();
    let variable = (prop::sample::select(names), ".{0,20}");
    proptest!(ProptestConfig::with_cases(256), |(file in text, (name, value) in variable)| {
        let it = loaded(&file, &[(&name, &value)], Flags::default());
        for problem in &it.problems {
            prop_assert!(problem.to_string().len() > 10, "{problem:?}");
        }
    });
}
