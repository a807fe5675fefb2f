//! `ringback serve`: opens what is needed, listens, and closes in good order.
//!
//! Not here: what the parts are made of (`wiring`), the configuration (`config`).

use crate::{
    config::{LogFormat, MIB, ServeConfig},
    exit::{Exit, Failure},
    key_file, output, types_dir, wiring,
};
use ringback_ports::Seal;
use ringback_server::{Cors, Limits, Listener};
use ringback_service::{
    CompiledEvent, CompiledType, Config, Declared, Deps, FileType, Keyring, Service, StartError, clock_is_right, type_check::TypeProblem,
};
use ringback_store_sqlite::{OpenError, Options, SqliteStore};
use std::{
    io::{IsTerminal as _, Write as _},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
};
use tokio::net::{TcpListener, UnixListener};

/// Runs a server until it is told to stop.
pub(crate) async fn run(config: ServeConfig) -> ExitCode {
    match serve(config).await {
        Ok(()) => Exit::Ok.into(),
        Err(Failure { exit, message }) => {
            if let Some(message) = message {
                output::say(&message);
            }
            exit.into()
        }
    }
}

async fn serve(config: ServeConfig) -> Result<(), Failure> {
    log_to_stderr(config.log_format, &config.log_filter);
    if config.dev && !config.listen.ip().is_loopback() {
        return Err(Failure::invalid(format!(
            "--dev opens private addresses to everybody who can reach the server, so it listens on loopback alone, not on {}. Leave --dev out, or listen on 127.0.0.1.",
            config.listen
        )));
    }
    raise_open_files();
    // Told to stop from here on, also while it starts.
    let mut stop = Stop::new()?;
    let declared = load_declared(&config)?;
    let entropy = Arc::new(wiring::SystemEntropy);
    let clock = Arc::new(wiring::SystemClock::default());
    let store = Arc::new(open_store(&config)?);
    // Asked under the directory's lock, and before anything is written into it.
    let master = key_file::open(&config.key_file, &config.data, &*entropy).map_err(|it| Failure::new(Exit::Invalid, it.to_string()))?;
    let seal: Arc<dyn Seal> = Arc::new(Keyring::new(master, Arc::<wiring::SystemEntropy>::clone(&entropy)));
    let asked = tokio::select! {
        biased;
        name = stop.asked() => Some(name),
        right = clock_is_right(&*store, &*clock) => {
            right.map_err(|it| Failure::new(Exit::Failure, it.to_string()))?;
            None
        }
    };
    if let Some(name) = asked {
        tracing::info!("{name}: nothing was begun yet");
        store.close().await;
        return Ok(());
    }

    let tcp = TcpListener::bind(config.listen).await.map_err(|it| {
        Failure::new(Exit::Failure, format!("{} can't be listened on: {it}. Choose another with --listen.", config.listen))
    })?;
    let bound = tcp.local_addr().map_err(|it| Failure::new(Exit::Failure, it.to_string()))?;
    let sender = wiring::sender(&config, vec![bound]).map_err(|it| Failure::new(Exit::Failure, it))?;
    let deps = Deps { store: Arc::<SqliteStore>::clone(&store), sender, clock: Arc::<wiring::SystemClock>::clone(&clock), entropy, seal };
    let public_url = config.public_url_for(bound);
    let service_config = Config {
        public_url: public_url.clone(),
        dev: config.dev,
        user_agent: format!("{}/{}", config.user_agent, env!("CARGO_PKG_VERSION")),
        slots: usize::try_from(config.delivery_slots).unwrap_or(usize::MAX),
        waiters_max: config.waiters,
        waiters_per_key_max: config.waiters_per_key,
        keep_events: config.keep_events,
    };
    let service = Service::start_with(deps, service_config, declared).await.map_err(|it| {
        let exit = if matches!(it, StartError::WrongKeyFile | StartError::Types(_) | StartError::TypesChanged(_)) {
            Exit::Invalid
        } else {
            Exit::Failure
        };
        Failure::new(exit, chain(&it))
    })?;
    let key = first_key(&service, &config.data).await?;
    let socket = config.socket();
    let unix = listen_unix(&socket)?;

    banner(&config, &public_url, bound, key.as_deref());
    let limits = Limits { drain: config.shutdown_grace, answer_bytes_max: config.answers_mib.saturating_mul(MIB), ..Limits::default() };
    let (closed, drained) = tokio::sync::oneshot::channel();
    let stopped = {
        let service = service.clone();
        let grace = config.shutdown_grace;
        async move {
            let name = stop.asked().await;
            tracing::info!("{name}: finishing what is in flight");
            // At the same time as the server's own end, so that who waits is answered.
            let closing = service.clone();
            tokio::spawn(async move {
                closing.drain(grace).await;
                let _ = closed.send(());
            });
        }
    };
    ringback_server::serve(
        vec![Listener::Tcp(tcp), Listener::Unix(unix)],
        service.clone(),
        limits,
        Cors::new(&config.cors_origins),
        stopped,
    )
    .await;
    // Requests are over; what was in flight is settled before the store is closed. This waits for the one drain: a
    // second one beside it would take its place, and whoever asked first would go on before anything is settled.
    if drained.await.is_err() {
        service.drain(config.shutdown_grace).await;
    }
    store.close().await;
    let _ = std::fs::remove_file(&socket);
    tracing::info!("closed in good order");
    Ok(())
}

/// Lets the process have as many connections as its owner allows: shells start it
/// with 1,024 open files, far fewer than requests that may wait.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(why) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit of open files stays as it is: {why}");
    }
}

/// SIGTERM and Ctrl-C.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |it: std::io::Error| Failure::new(Exit::Failure, format!("signals can't be heard: {it}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn asked(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}

pub(crate) fn load_declared(config: &ServeConfig) -> Result<Declared, Failure> {
    let sources: Vec<(String, serde_json::Value)> = match &config.types {
        Some(dir) => {
            let problems = types_dir::check_dir(dir);
            if !problems.is_empty() {
                return Err(Failure::invalid(problems.join("\n")));
            }
            let loaded = types_dir::load_types_dir(dir)
                .map_err(|it| Failure::invalid(it.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
            loaded.into_iter().map(|(path, value)| (path.display().to_string(), value)).collect()
        }
        None if config.dev => types_dir::shipped_types().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        None => Vec::new(),
    };
    let refused = |file: &str, problems: Vec<TypeProblem>| {
        let first = problems.first().map_or_else(String::new, |it| format!("{}: {}", it.pointer, it.reason));
        Failure::invalid(format!("{file}: {first}"))
    };
    let mut declared = Declared::default();
    for (file, value) in sources {
        let compiled = CompiledType::load(&value).map_err(|it| refused(&file, it))?;
        declared.types.push(FileType { file, compiled });
    }
    if let Some(dir) = &config.types {
        let loaded = types_dir::load_events_dir(dir)
            .map_err(|it| Failure::invalid(it.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        for (file, value) in loaded {
            declared.events.push(CompiledEvent::load(&value).map_err(|it| refused(&file.display().to_string(), it))?);
        }
    }
    Ok(declared)
}

fn open_store(config: &ServeConfig) -> Result<SqliteStore, Failure> {
    // A directory whose key file is gone must not even be opened for writing.
    if config.data.join("ringback.db").exists() && !config.key_file.exists() {
        let why = key_file::KeyFileError::Missing { path: config.key_file.clone(), data: config.data.clone() };
        return Err(Failure::new(Exit::Invalid, why.to_string()));
    }
    if !config.key_file.exists() {
        // The key comes before the data that it seals.
        key_file::open(&config.key_file, &config.data, &wiring::SystemEntropy).map_err(|it| Failure::new(Exit::Invalid, it.to_string()))?;
    }
    let options = Options { lock_wait: config.lock_wait, ..Options::default() };
    SqliteStore::open(&config.data, options).map_err(|it| {
        let exit = match it {
            OpenError::Locked { .. } | OpenError::Newer { .. } | OpenError::Foreign { .. } => Exit::Invalid,
            _ => Exit::Failure,
        };
        Failure::new(exit, chain(&it))
    })
}

/// The text of the first operator key, when it is made now.
async fn first_key(service: &Service, data: &Path) -> Result<Option<String>, Failure> {
    let failed = |it: ringback_service::Error| Failure::new(Exit::Failure, format!("the first key could not be made: {it:?}"));
    if let Ok(given) = std::env::var("RINGBACK_OPERATOR_KEY") {
        service.accept_operator_key(given.trim()).await.map_err(|it| match it {
            ringback_service::Error::Unauthenticated(_) => Failure::invalid(
                "RINGBACK_OPERATOR_KEY is not a key: one looks like rbk_<id>_<secret>, as `ringback keys create` prints it",
            ),
            other => failed(other),
        })?;
        return Ok(None);
    }
    let path = data.join("operator.key");
    service.first_key(|text| write_secret(&path, text).map_err(|it| format!("{}: {it}", path.display()))).await.map_err(failed)
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn listen_unix(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |it: std::io::Error| Failure::new(Exit::Failure, format!("the operator's socket {} can't be made: {it}", path.display()));
    // We hold the directory's lock, so whoever left this file is gone.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
        Err(why) => return Err(failed(why)),
    }
    // The directory is 0700, so that nobody else comes in before the mode is set.
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

pub(crate) fn log_to_stderr(format: LogFormat, filter: &str) {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let people = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call, in a test, finds the first one's logger in place.
    let _ = if people { builder.with_target(false).compact().try_init() } else { builder.json().flatten_event(true).try_init() };
}

fn banner(config: &ServeConfig, public_url: &str, bound: SocketAddr, key: Option<&str>) {
    tracing::info!(listen = %bound, data = %config.data.display(), "listening on http://{bound}");
    let mut out = std::io::stdout().lock();
    let shown = config.dev || std::io::stdout().is_terminal();
    let mut lines = vec![format!("Ringback {} listens on {public_url}", env!("CARGO_PKG_VERSION"))];
    let file = config.data.join("operator.key");
    match key {
        Some(key) if shown => lines.push(format!("operator key  {key}   (kept in {})", file.display())),
        Some(_) => lines.push(format!("operator key  in {}", file.display())),
        None if file.exists() => lines.push(format!("operator key  in {}", file.display())),
        None => {}
    }
    if config.dev {
        let key = match key {
            Some(key) => key.to_owned(),
            None => format!("$(cat {})", file.display()),
        };
        lines.push(String::new());
        lines.push("Paste, line by line:".into());
        lines.push(format!("  export RINGBACK_KEY={key}"));
        let curl = "curl -u $RINGBACK_KEY:";
        let payments = [
            ("create a payment", format!("{curl} -d '{{\"id\":\"123\",\"amount\":1999,\"currency\":\"eur\"}}' {public_url}/payment")),
            ("ask its status", format!("{curl} {public_url}/payment/123/status")),
            (
                "be called back",
                format!(
                    "{curl} -d '{{\"types\":[\"payment.completed\"],\"push\":{{\"url\":\"http://127.0.0.1:9000/webhook/payment\"}}}}' {public_url}/v1/subscriptions"
                ),
            ),
            ("complete it", format!("{curl} -X POST {public_url}/payment/123/complete")),
        ];
        // Types of one's own have other routes: the reference page shows them, with examples.
        let own = [
            ("what is served", format!("{curl} {public_url}/v1/types")),
            (
                "publish an event",
                format!("{curl} -d '{{\"type\":\"greeting.sent\",\"data\":{{\"text\":\"hello\"}}}}' {public_url}/v1/events"),
            ),
        ];
        let first = if config.types.is_none() { payments.as_slice() } else { own.as_slice() };
        let last = [("watch the log", format!("ringback tail --url {public_url}"))];
        for (what, line) in first.iter().chain(&last) {
            lines.push(format!("  {line}   # {what}"));
        }
        lines.push(format!("Every route, with an example of each: {public_url}/docs"));
    }
    let _ = writeln!(out, "{}", lines.join("\n"));
    let _ = out.flush();
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(it) = source {
        out.push_str(": ");
        out.push_str(&it.to_string());
        source = it.source();
    }
    out
}
