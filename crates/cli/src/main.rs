//! The one binary: reads the command line and hands over to a verb.
//!
//! Not here: what a verb does (`verbs`), how a server is put together (`serve`).
#![forbid(unsafe_code)]

mod bench;
mod cli;
mod config;
mod data;
mod demo;
mod duration;
mod exit;
mod key_file;
mod openapi;
mod output;
mod serve;
mod session;
mod signatures;
mod types_dir;
mod verbs;
mod wiring;

use cli::{Cli, Connect, DemoArgs, Verb};
use exit::{Exit, Failure, Outcome};
use session::Session;
use std::{path::Path, process::ExitCode};
use tokio::runtime::{Builder, Runtime};
use verbs::Ask;

fn main() -> ExitCode {
    let (cli, typed) = match cli::parse(std::env::args_os()) {
        Ok(it) => it,
        Err(error) => {
            // Help goes to standard output and is no failure; clap knows which is which.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match run(cli, &typed) {
        Ok(code) => code,
        Err(Failure { exit, message }) => {
            if let Some(message) = message {
                output::say(&message);
            }
            exit.into()
        }
    }
}

fn run(cli: Cli, typed: &[String]) -> Result<ExitCode, Failure> {
    let Cli { connect: top, verb } = cli;
    if !matches!(verb, Verb::Ask(_)) && !top.is_empty() {
        return Err(Failure::usage("flags before the noun say which server is asked, and this one asks none; put its own flags after it"));
    }
    match verb {
        Verb::Serve(args) => {
            let config = verbs::config::for_serve(&args.flags)?;
            Ok(threads()?.block_on(serve::run(config)))
        }
        Verb::Demo(DemoArgs { for_time, rate, plain }) => Ok(threads()?.block_on(demo::run(demo::DemoArgs { for_time, rate, plain }))),
        Verb::Bench(args) => done(threads()?.block_on(bench::run(args))),
        Verb::Ask(ask) => {
            let connect = top.complete(ask.connect(), |name| typed.iter().any(|it| it == name));
            done(ask_server(connect, *ask))
        }
        Verb::Sign(args) => done(signatures::sign(&args)),
        Verb::VerifySignature(args) => done(signatures::verify(&args)),
        Verb::Verify(args) => done(threads()?.block_on(data::run_verify(args))),
        Verb::Backup(args) => done(threads()?.block_on(data::run_backup(args))),
        Verb::Config(args) => done(verbs::config::run(args.verb)),
        Verb::Openapi(args) => done(openapi::run(&args)),
        Verb::Completion { shell } => done(completion(shell)),
        Verb::Version { json } => done(version(json)),
    }
}

fn ask_server(connect: Connect, ask: Ask) -> Outcome {
    // The one client verb that works without a server.
    if let Some((files, against)) = ask.files_to_check() {
        return verbs::types::check(files, against, connect.json);
    }
    let session = Session::open(connect, &config::process_env(), Path::new("."))?;
    // One connection and one question at a time: threads would only cost their start.
    started(Builder::new_current_thread().enable_all().build())?.block_on(verbs::run(&session, ask))
}

fn threads() -> Result<Runtime, Failure> {
    started(Builder::new_multi_thread().enable_all().build())
}

fn started(runtime: std::io::Result<Runtime>) -> Result<Runtime, Failure> {
    runtime.map_err(|it| Failure::new(Exit::Failure, format!("the runtime can't start: {it}")))
}

fn done(outcome: Outcome) -> Result<ExitCode, Failure> {
    outcome.map(|()| Exit::Ok.into())
}

fn completion(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "ringback", &mut script);
    output::put(&String::from_utf8_lossy(&script))
}

fn version(json: bool) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    output::put(&if json { serde_json::json!({ "version": version }).to_string() } else { format!("ringback {version}") })
}
