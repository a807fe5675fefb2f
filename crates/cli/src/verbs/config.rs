//! `ringback config`: what `serve` would run with, and where each value came from.

use crate::{
    config::{self, Flags, Loaded},
    exit::{Exit, Failure, Outcome},
    output::{put, say, table},
    types_dir,
};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Verbs of `ringback config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print every setting, its effective value and where it came from
    #[command(before_help = "\
Examples:
  ringback config show
  ringback config show --config /etc/ringback.toml --json")]
    Show {
        /// What the configuration is made of.
        #[command(flatten)]
        flags: Flags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong, type files included; exit code 5 if anything is
    #[command(before_help = "\
Examples:
  ringback config check
  ringback config check --config /etc/ringback.toml --types /etc/ringback/types")]
    Check {
        /// What the configuration is made of.
        #[command(flatten)]
        flags: Flags,
    },
}

/// Does it.
pub(crate) fn run(verb: ConfigVerb) -> Outcome {
    match verb {
        ConfigVerb::Show { flags, json } => {
            let loaded = config::load(&flags, &config::process_env(), Path::new("."));
            put(&show(&loaded, json))?;
            refuse(&problems(&loaded))
        }
        ConfigVerb::Check { flags } => {
            let loaded = config::load(&flags, &config::process_env(), Path::new("."));
            let mut problems = problems(&loaded);
            if let Some(dir) = &loaded.config.types {
                problems.extend(types_dir::check_dir(dir));
            }
            refuse(&problems)?;
            say("The configuration is fine.");
            Ok(())
        }
    }
}

/// The configuration of `serve`.
///
/// # Errors
/// Exit code 5 with every problem, one a line.
pub(crate) fn for_serve(flags: &Flags) -> Result<config::ServeConfig, Failure> {
    let loaded = config::load(flags, &config::process_env(), Path::new("."));
    refuse(&problems(&loaded))?;
    Ok(loaded.config)
}

fn problems(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(ToString::to_string).collect()
}

fn refuse(problems: &[String]) -> Outcome {
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Invalid, problems.join("\n"))) }
}

fn show(loaded: &Loaded, json: bool) -> String {
    if json {
        let settings: Map<String, Value> =
            loaded.shown.iter().map(|it| (it.key.to_owned(), json!({ "value": it.value, "from": it.from.to_string() }))).collect();
        return json!({ "settings": settings }).to_string();
    }
    let meaning = |key: &str| config::SETTINGS.iter().find(|(it, _)| *it == key).map_or("", |(_, it)| *it);
    let rows: Vec<Value> = loaded
        .shown
        .iter()
        .map(|it| {
            let value = if it.value.is_null() { Value::from("-") } else { it.value.clone() };
            json!({ "setting": it.key, "value": value, "from": it.from.to_string(), "meaning": meaning(it.key) })
        })
        .collect();
    table(&rows, &[("SETTING", "setting"), ("VALUE", "value"), ("FROM", "from"), ("MEANING", "meaning")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::collections::BTreeMap;

    #[test]
    fn every_value_says_where_it_came_from() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ringback.toml"), "[egress]\nports = [8444]\n").expect("a file");
        let env = BTreeMap::from([("RINGBACK_LOG__FORMAT".to_owned(), "json".to_owned())]);
        let flags = Flags { dev: true, ..Flags::default() };
        expect![[r#"
            SETTING                 VALUE                FROM                      MEANING
            data                    ./ringback-data      default                   directory that holds everything
            listen                  127.0.0.1:7464       default                   address and port to listen on
            types                   -                    default                   directory of type files
            public_url              -                    default                   URL at which clients reach this server
            key_file                ./ringback-data.key  default                   file that seals all secrets; outside the data directory
            dev                     true                 flag --dev                for a laptop: example types, plain http and private addresses
            lock_wait               0s                   default                   how long to wait while another process holds the directory
            shutdown_grace          25s                  default                   how long requests and deliveries in flight may take to finish
            log.format              json                 env RINGBACK_LOG__FORMAT  auto, text or json
            log.filter              info                 default                   what is logged: error, warn, info, debug, trace, or target=level,…
            egress.ports            [8444]               file ringback.toml        ports that may be called besides 443 and 8443
            egress.nameservers      []                   default                   name servers in place of the system's
            egress.allow            []                   default                   destinations that may be called although they aren't public
            delivery.slots          4096                 default                   tries in flight, all subscriptions together
            delivery.user_agent     Ringback             default                   what stands before the version in the user-agent of a push
            limits.waiters          20000                default                   requests that may wait at the same time
            limits.waiters_per_key  20000                default                   requests of one key that may wait at the same time
            limits.answers_mib      128                  default                   memory for answers that are made and not yet written, in MiB
            retention.events        30d                  default                   how long events are kept, and the attempts to deliver them
            cors.origins            []                   default                   web pages that may ask from a browser: their origins, or *
        "#]].assert_eq(&show(&config::load(&flags, &env, dir.path()), false));
        let json: Value = serde_json::from_str(&show(&config::load(&flags, &env, dir.path()), true)).expect("JSON");
        assert_eq!(json["settings"]["egress.ports"], json!({"value": [8444], "from": "file ringback.toml"}));
        assert_eq!(json["settings"]["types"], json!({"value": null, "from": "default"}));
    }
}
