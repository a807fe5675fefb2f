//! The help of every command as a snapshot, and which flags are accepted where.

use super::*;
use expect_test::expect_file;

/// The names of every command, with those of its parents before it.
fn names(command: &Command, prefix: &str, out: &mut Vec<String>) {
    let name = format!("{prefix}{}", command.get_name());
    for sub in command.get_subcommands() {
        names(sub, &format!("{name} "), out);
    }
    out.push(name);
}

/// What every command prints when it is asked for help.
fn helps() -> Vec<(String, String)> {
    let mut all = Vec::new();
    names(&super::command(), "", &mut all);
    all.sort();
    let help = |name: &String| match parse(name.split(' ').chain(["--help"])) {
        Err(it) => it.to_string(),
        Ok(it) => panic!("`{name} --help` was taken for {it:?}"),
    };
    all.iter().map(|it| (it.clone(), help(it))).collect()
}

#[test]
fn help_is_what_it_was() {
    let text: String = helps().into_iter().map(|(name, help)| format!("$ {name} --help\n{help}\n")).collect();
    let lines: String = text.lines().map(|it| format!("{}\n", it.trim_end())).collect();
    expect_file!["help.txt"].assert_eq(&lines);
}

#[test]
fn every_help_shows_examples_before_usage() {
    for (name, help) in helps() {
        let (examples, usage) = (help.find("Examples:"), help.find("Usage:"));
        assert!(examples.is_some() && examples < usage, "`{name} --help` shows no examples first:\n{help}");
    }
}

#[test]
fn the_tree_holds_together() {
    super::command().debug_assert();
}

#[test]
fn no_argument_is_taken_for_a_connection_flag() {
    fn check(command: &Command, name: &str) {
        for arg in command.get_arguments() {
            let connection = ["url", "key", "tenant", "data", "json"].contains(&arg.get_id().as_str());
            let whole = arg.get_long() == Some(arg.get_id().as_str());
            assert!(!connection || whole, "`{name}` has an argument that clap would mix up with --{}", arg.get_id());
        }
        for sub in command.get_subcommands() {
            check(sub, &format!("{name} {}", sub.get_name()));
        }
    }
    check(&super::command(), "ringback");
    let create = connect("ringback subscriptions create https://a.example/ --url http://x").expect("a connection");
    assert_eq!(create.url.as_deref(), Some("http://x"));
}

/// Who is asked, as the command line says it; `None` when it is refused.
fn connect(line: &str) -> Option<Connect> {
    let (cli, typed) = parse(line.split_whitespace()).ok()?;
    let Verb::Ask(ask) = cli.verb else { return None };
    let later = ask.connect();
    // The test's own environment is nobody's business here.
    let env = |name: &str, value: Option<String>| value.filter(|_| typed.iter().any(|it| it == name));
    let later = Connect { url: env("url", later.url), key: env("key", later.key), ..later };
    Some(cli.connect.complete(later, |name| typed.iter().any(|it| it == name)))
}

#[test]
fn connection_flags_stand_before_or_after_the_noun() {
    let want = Connect { url: Some("http://x".into()), tenant: Some("acme".into()), json: true, ..Connect::default() };
    for line in [
        "ringback --url http://x --tenant acme --json events list",
        "ringback events --url http://x --tenant acme --json list",
        "ringback events list --url http://x --tenant acme --json",
        "ringback --url http://y --json events list --url http://x --tenant acme",
        "ringback --json webhooks list --url http://x --tenant acme",
        "ringback --tenant acme tail --url http://x --json",
    ] {
        assert_eq!(connect(line).as_ref(), Some(&want), "{line}");
    }
}

#[test]
fn what_isnt_there_is_refused() {
    for line in [
        "ringback serve --url http://x",
        "ringback demo --tenant acme",
        "ringback demo --rate 0",
        "ringback demo --for soon",
        "ringback pull",
        "ringback tenants delete acme",
        "ringback subscriptions resume sub_1",
        "ringback subscriptions create https://x --payload xml",
        "ringback sign -d x",
        "ringback resources status payment 1 --wait 5",
        "ringback events publish",
        "ringback events publish a.b --from x.json",
        "ringback events list --limit 0",
        "ringback keys create",
        "ringback types check",
    ] {
        assert!(parse(line.split_whitespace()).is_err(), "`{line}` should be refused");
    }
}

#[test]
fn the_contracts_lines_are_accepted() {
    for line in [
        "ringback serve --data d --listen 127.0.0.1:7464 --config f --types t --public-url http://x --key-file k --dev --lock-wait 5s",
        "ringback demo --for 30s --rate 5 --plain",
        "ringback config show --json",
        "ringback config check --types t",
        "ringback completion zsh",
        "ringback version --json",
        "ringback types check a.yaml b.yaml",
        "ringback deliveries retry dlv_1",
        "ringback resources do payment 123 complete",
        "ringback resources status payment 123 --until done --wait 30",
    ] {
        assert!(parse(line.split_whitespace()).is_ok(), "`{line}` should be accepted");
    }
}

#[test]
fn a_body_is_text_a_file_or_standard_input() {
    for (text, want) in [
        ("{}", Body::Text("{}".into())),
        ("@a.json", Body::File("a.json".into())),
        ("-", Body::Stdin),
        ("@-", Body::Stdin),
        ("", Body::Text(String::new())),
    ] {
        assert_eq!(Body::from(text.to_owned()), want);
    }
}
