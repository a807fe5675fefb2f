//! Chores of this repository, by `cargo xtask`.
//!
//! `cargo xtask proof` runs the suites that look for what nobody thought of, with
//! as many seeds and kills as it is told: the same tests that `cargo test` runs in
//! short, so that there is no second way to prove anything. Nothing is decided
//! here; `docs/testing.md` says what the suites do.
#![forbid(unsafe_code)]

use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask proof [--seeds N] [--kills N] [--fuzz TIMES] [--load EVENTS]    (300 seeds, 200 kills and each corpus once if nothing is said; no load)";

/// One suite: what it is called, how `cargo test` is asked for it, and how its counts are recognised.
struct Suite {
    name: &'static str,
    test: &'static [&'static str],
    /// With which variable it is told how much.
    variable: &'static str,
    count: u32,
    /// Further variables.
    also: &'static [(&'static str, &'static str)],
    tells: &'static [&'static str],
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some([seeds, kills, fuzz, load]) = proof(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let suites = [
        Suite {
            name: "simulation",
            test: &["--package", "ringback-sim"],
            variable: "RINGBACK_SIM_SEEDS",
            count: seeds,
            also: &[],
            tells: &[" seeds: "],
        },
        Suite {
            name: "kill points",
            test: &["--package", "ringback", "--test", "kill_points"],
            variable: "RINGBACK_KILLS",
            count: kills,
            also: &[],
            tells: &["kill points: ", "I/O errors: ", "full disk: ", "power loss: ", "skipped: "],
        },
        Suite {
            name: "fuzz",
            test: &["--package", "ringback-fuzz", "--test", "corpora"],
            variable: "RINGBACK_FUZZ",
            count: fuzz,
            also: &[],
            tells: &["fuzz "],
        },
        Suite {
            name: "load",
            // Times are asserted: of the program that is shipped.
            test: &["--release", "--package", "ringback", "--test", "load"],
            variable: "RINGBACK_LOAD_EVENTS",
            count: load,
            also: &[("RINGBACK_LOAD_SUBSCRIPTIONS", "10000"), ("RINGBACK_LOAD_SECS", "60"), ("RUST_TEST_THREADS", "1")],
            tells: &["load: ", "flood: "],
        },
    ];
    // All of them run, also after one that failed; the load on request alone, as it takes minutes and gigabytes.
    let failed = suites.iter().filter(|it| it.name != "load" || it.count > 0).filter(|it| !run(it)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Seeds, kills, times that each corpus is mutated, and events of the load; `None` when the words can't be understood.
fn proof(words: &[String]) -> Option<[u32; 4]> {
    let mut counts = [300, 200, 1, 0];
    let [verb, options @ ..] = words else { return None };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let at = ["--seeds", "--kills", "--fuzz", "--load"].iter().position(|it| it == option)?;
        *counts.get_mut(at)? = options.next()?.parse().ok()?;
    }
    (verb == "proof").then_some(counts)
}

/// Runs one suite and prints one line, or everything if it fails.
fn run(suite: &Suite) -> bool {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .arg("test")
        .args(suite.test)
        .args(["--", "--nocapture"])
        .env(suite.variable, suite.count.to_string())
        .envs(suite.also.iter().copied());
    let out = match command.output() {
        Ok(it) => it,
        Err(why) => {
            println!("{}: FAILED: cargo can't be run: {why}", suite.name);
            return false;
        }
    };
    let text = [out.stdout, out.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    if !out.status.success() {
        println!("{}\n{}: FAILED with {} asked for", text.join("\n"), suite.name, suite.count);
        return false;
    }
    let told: Vec<&str> = text.iter().flat_map(|it| it.lines()).filter(|line| suite.tells.iter().any(|it| line.contains(it))).collect();
    println!("{}: ok, {} asked for: {}", suite.name, suite.count, told.join("; "));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_counts() {
        let proof = |it: &str| proof(&it.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>());
        assert_eq!(proof("proof"), Some([300, 200, 1, 0]));
        assert_eq!(proof("proof --kills 5000"), Some([300, 5000, 1, 0]));
        assert_eq!(proof("proof --seeds 7 --kills 0"), Some([7, 0, 1, 0]));
        assert_eq!(proof("proof --fuzz 50"), Some([300, 200, 50, 0]));
        assert_eq!(proof("proof --load 10000000"), Some([300, 200, 1, 10_000_000]));
        for bad in ["", "prove", "proof --seeds", "proof --seeds x", "proof --seeds -1", "proof 7", "--seeds 7 proof"] {
            assert_eq!(proof(bad), None, "{bad}");
        }
    }
}
