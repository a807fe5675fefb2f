//! `ringback verify` and `ringback backup`: the two verbs that read a data directory themselves.
//!
//! They need no server, no key and no running process: an operator asks them when
//! something may be wrong with those. Beside a running server they read what is
//! durable, and nobody waits for them (see `store_sqlite::Found`).
//!
//! Not here: what is checked (`service::verify`), how a backup is made (`store_sqlite::backup`).

use crate::{
    config::{Flags, ServeConfig},
    exit::{Exit, Failure, Outcome},
    key_file,
    output::{put, say},
    serve::{chain, load_declared, log_to_stderr},
    verbs, wiring,
};
use clap::{Args, Subcommand};
use ringback_engine::verify::{Check, Finding};
use ringback_ports::{Clock, Seal};
use ringback_service::{
    Keyring, restored,
    verify::{Report, verify},
};
use ringback_store_sqlite::{
    Found, OpenError, Options, SqliteStore,
    backup::{self, BackupError},
};
use ringback_wire::{BackupView, CheckedView, FindingView, VerifyView};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which directory, and what its server is told about it.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// Data directory [default: ./ringback-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file of its server [default: ringback.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of type files of its server
    #[arg(long, value_name = "DIR")]
    types: Option<String>,
    /// Its server runs with --dev: the example types are known
    #[arg(long)]
    dev: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `ringback verify`.
#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  ringback verify                      The directory ./ringback-data, also beside a running server
  ringback verify --data /var/lib/ringback --types /etc/ringback/types
  ringback verify --json",
    after_help = "\
Reads everything and changes nothing. Ends with 0 if all is as promised, with 5 if something isn't,
with 4 if there is no data."
)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    place: Where,
}

/// `ringback backup`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback backup create /backups/ringback-monday.db
  ringback backup verify /backups/ringback-monday.db
  ringback backup restore /backups/ringback-monday.db --data /var/lib/ringback")]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    verb: BackupVerb,
}

/// Verbs of `ringback backup`.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupVerb {
    /// Copy a data directory into one file, also beside a running server
    #[command(
        before_help = "Examples:\n  ringback backup create ringback.backup --data /var/lib/ringback",
        after_help = "The key file isn't in it. Keep a copy of that apart from the backup: neither opens a secret without the other."
    )]
    Create {
        /// The file to make
        file: PathBuf,
        /// File that seals all secrets [default: <DIR>.key]
        #[arg(long, value_name = "PATH")]
        key_file: Option<String>,
        #[command(flatten)]
        place: Where,
    },
    /// Check a backup as `ringback verify` checks a directory
    #[command(before_help = "Examples:\n  ringback backup verify ringback.backup --types /etc/ringback/types")]
    Verify {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        place: Where,
    },
    /// Make a data directory of a backup
    #[command(
        before_help = "Examples:\n  ringback backup restore ringback.backup --data /var/lib/ringback",
        after_help = "\
The directory must be empty or absent, and its key file must be in place. Deliveries are held in the restored
directory until `ringback deliveries release`; positions from before are refused with `cursor-epoch`."
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// File that seals all secrets [default: <DIR>.key]
        #[arg(long, value_name = "PATH")]
        key_file: Option<String>,
        #[command(flatten)]
        place: Where,
    },
}

/// `ringback verify`.
pub(crate) async fn run_verify(args: VerifyArgs) -> Outcome {
    log_to_stderr(crate::config::LogFormat::Auto, "error");
    let config = args.place.config(None)?;
    let found = Found::in_directory(&config.data).map_err(open_failure)?;
    if found.is_held_by_another() && !args.place.json {
        say("A server has this directory: what it writes meanwhile is looked at next time.");
    }
    check(found, &config.data, &config, args.place.json).await
}

/// `ringback backup …`.
pub(crate) async fn run_backup(args: BackupArgs) -> Outcome {
    log_to_stderr(crate::config::LogFormat::Auto, "error");
    match args.verb {
        BackupVerb::Create { file, key_file, place } => create(&file, place.config(key_file)?, place.json).await,
        BackupVerb::Verify { file, place } => {
            let config = place.config(None)?;
            let note = backup::note(&file).map_err(backup_failure)?;
            if !place.json {
                say(&format!("Made at {} by Ringback {}; its key file has the fingerprint {}.", note.at(), note.made_by, note.key_file));
            }
            check(Found::backup(&file).map_err(open_failure)?, &file, &config, place.json).await
        }
        BackupVerb::Restore { file, key_file, place } => restore(&file, place.config(key_file)?, place.json).await,
    }
}

impl Where {
    fn config(&self, key_file: Option<String>) -> Result<ServeConfig, Failure> {
        let flags = Flags {
            data: self.data.clone(),
            config: self.config.clone(),
            types: self.types.clone(),
            dev: self.dev,
            key_file,
            ..Flags::default()
        };
        verbs::config::for_serve(&flags)
    }
}

async fn check(found: Found, path: &Path, config: &ServeConfig, json: bool) -> Outcome {
    let types = load_declared(config)?.types.into_iter().map(|it| it.compiled).collect();
    let damage = found.integrity().map_err(open_failure)?;
    let mut report = if damage.is_empty() {
        let store = found.open().map_err(open_failure)?;
        let report = verify(&store, types).await;
        store.close().await;
        report.map_err(|it| Failure::new(Exit::Invalid, format!("{} can't be read to its end: {it}", path.display())))?
    } else {
        // What is in a damaged file says nothing.
        Report::default()
    };
    for line in damage {
        report.add(Finding::new(Check::Storage, path.display(), line));
    }
    put(&told(&report, path, json))?;
    if report.is_clean() { Ok(()) } else { Err(Failure::silent(Exit::Invalid)) }
}

fn told(report: &Report, path: &Path, json: bool) -> String {
    let view = view(report, path);
    if json {
        return serde_json::to_string(&view).unwrap_or_default();
    }
    let it = view.checked;
    let mut lines = vec![format!(
        "{}: {} events of {} tenants, {} resources, {} subscriptions, {} deliveries",
        view.path, it.events, it.tenants, it.resources, it.subscriptions, it.deliveries
    )];
    lines.extend(view.unchecked.iter().map(|it| format!("not checked    {}", crate::output::clean(it))));
    lines.extend(
        view.findings.iter().map(|it| format!("{:<14} {}: {}", it.check, crate::output::clean(&it.object), crate::output::clean(&it.what))),
    );
    if view.more > 0 {
        lines.push(format!("… and {} more", view.more));
    }
    lines.push(if view.ok { "All is as promised.".into() } else { format!("{} things are not as promised.", report.found) });
    lines.join("\n")
}

fn view(report: &Report, path: &Path) -> VerifyView {
    VerifyView {
        ok: report.is_clean(),
        path: path.display().to_string(),
        checked: CheckedView {
            events: report.events,
            tenants: report.tenants,
            resources: report.resources,
            subscriptions: report.subscriptions,
            deliveries: report.deliveries,
        },
        findings: report
            .findings
            .iter()
            .map(|it| FindingView { check: it.check.as_str(), object: it.object.clone(), what: it.what.clone() })
            .collect(),
        more: report.found - report.findings.len() as u64,
        unchecked: report.unchecked.clone(),
    }
}

async fn create(file: &Path, config: ServeConfig, json: bool) -> Outcome {
    let found = Found::in_directory(&config.data).map_err(open_failure)?;
    let fingerprint = fingerprint(&config)?;
    let now = wiring::SystemClock::default().now();
    let note = backup::create(&found, file, now, &fingerprint).map_err(backup_failure)?;
    let view = backup_view(file, &note);
    if json {
        return put(&serde_json::to_string(&view).unwrap_or_default());
    }
    put(&format!("{}: the log up to {}, at {}", view.path, view.last, view.at))?;
    say(&format!(
        "Keep the key file {} (fingerprint {}) apart from it: one opens nothing without the other.",
        config.key_file.display(),
        view.key_file
    ));
    Ok(())
}

async fn restore(file: &Path, config: ServeConfig, json: bool) -> Outcome {
    let note = backup::note(file).map_err(backup_failure)?;
    if !config.key_file.exists() {
        return Err(Failure::invalid(format!(
            "the key file {} is missing. The secrets of this backup are sealed with the one of fingerprint {}: put it there, or name it with --key-file.",
            config.key_file.display(),
            note.key_file
        )));
    }
    let fingerprint = fingerprint(&config)?;
    if fingerprint != note.key_file {
        return Err(Failure::invalid(format!(
            "the key file {} has the fingerprint {fingerprint}, and the secrets of this backup are sealed with {}: name that one with --key-file.",
            config.key_file.display(),
            note.key_file
        )));
    }
    let now = wiring::SystemClock::default().now();
    let (runtime, told) = (tokio::runtime::Handle::current(), note.clone());
    let dir = config.data.clone();
    let from = file.to_owned();
    // SQLite waits for the disk: not on a thread that others wait on.
    let done = tokio::task::spawn_blocking(move || {
        backup::restore(&from, &dir, now, |part| -> Result<(), RestoreError> {
            let store = SqliteStore::open(part, Options::default())?;
            runtime.block_on(async {
                let said = restored(&store, &wiring::SystemEntropy, now, told.at()).await;
                store.close().await;
                said
            })?;
            Ok(())
        })
    });
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(RestoreError::Backup(it))) => return Err(backup_failure(it)),
        Ok(Err(RestoreError::Open(it))) => return Err(open_failure(it)),
        Ok(Err(RestoreError::Commit(it))) => return Err(Failure::new(Exit::Failure, it.to_string())),
        Err(it) => return Err(Failure::new(Exit::Failure, format!("restoring broke off: {it}"))),
    }
    if json {
        return put(&serde_json::to_string(&backup_view(file, &note)).unwrap_or_default());
    }
    put(&format!("{}: the log of {}, up to {}", config.data.display(), note.at(), note.last))?;
    say(
        "Deliveries are held: what was sent since the backup was made is not known here. Start the server, look, then `ringback deliveries release`.",
    );
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Commit(#[from] ringback_ports::store::CommitError),
}

fn backup_view(path: &Path, note: &backup::Note) -> BackupView {
    BackupView {
        path: path.display().to_string(),
        at: note.at().to_string(),
        made_by: note.made_by.clone(),
        key_file: note.key_file.clone(),
        last: note.last,
        epoch: note.epoch,
    }
}

fn fingerprint(config: &ServeConfig) -> Result<String, Failure> {
    let entropy = Arc::new(wiring::SystemEntropy);
    // The directory of data that is there: a key file is read, never made.
    let master = key_file::existing(&config.key_file, &config.data).map_err(|it| Failure::invalid(it.to_string()))?;
    Ok(Keyring::new(master, entropy).fingerprint())
}

fn open_failure(it: OpenError) -> Failure {
    let exit = match it {
        OpenError::Missing { .. } => Exit::NotFound,
        OpenError::Locked { .. } | OpenError::Newer { .. } | OpenError::Older { .. } | OpenError::Foreign { .. } => Exit::Invalid,
        _ => Exit::Failure,
    };
    Failure::new(exit, chain(&it))
}

fn backup_failure(it: BackupError) -> Failure {
    match it {
        BackupError::Open(it) => open_failure(it),
        BackupError::Exists(_) | BackupError::NotEmpty(_) | BackupError::NotABackup(_) => Failure::invalid(it.to_string()),
        other => Failure::new(Exit::Failure, other.to_string()),
    }
}
