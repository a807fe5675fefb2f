//! The whole configuration of `serve`: flags, then `RINGBACK_*`, then `ringback.toml`, then defaults.
//!
//! Reading never stops at the first mistake: every setting falls back to its
//! default and leaves a [`Problem`], so that `config check` shows all of them at
//! once. Who serves must refuse to start while there is one.
//!
//! Not here: secrets. `RINGBACK_URL` and `RINGBACK_KEY` belong to the client
//! verbs, `RINGBACK_OPERATOR_KEY` to the first start; none of them is configuration.

mod layers;
mod parse;
mod suggest;

use crate::duration;
use figment::value::Value;
use ipnet::IpNet;
pub(crate) use layers::{Origin, Problem};
use layers::{Reader, read_layers};
use ringback_model::{key::Authority, limits};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where data lives when nothing else is said; `serve` and the client verbs agree on it.
pub(crate) const DATA_DEFAULT: &str = "./ringback-data";
/// The port spells R-I-N-G on a telephone.
pub(crate) const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7464);
/// Bytes of a MiB.
pub(crate) const MIB: usize = 1024 * 1024;
/// Seconds of a day.
const DAY_SECS: u64 = 86_400;
/// The file that is read from the working directory when none is named.
pub(crate) const FILE_DEFAULT: &str = "ringback.toml";

/// Every setting there is, with its meaning: the only list of names.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("data", "directory that holds everything"),
    ("listen", "address and port to listen on"),
    ("types", "directory of type files"),
    ("public_url", "URL at which clients reach this server"),
    ("key_file", "file that seals all secrets; outside the data directory"),
    ("dev", "for a laptop: example types, plain http and private addresses"),
    ("lock_wait", "how long to wait while another process holds the directory"),
    ("shutdown_grace", "how long requests and deliveries in flight may take to finish"),
    ("log.format", "auto, text or json"),
    ("log.filter", "what is logged: error, warn, info, debug, trace, or target=level,…"),
    ("egress.ports", "ports that may be called besides 443 and 8443"),
    ("egress.nameservers", "name servers in place of the system's"),
    ("egress.allow", "destinations that may be called although they aren't public"),
    ("delivery.slots", "tries in flight, all subscriptions together"),
    ("delivery.user_agent", "what stands before the version in the user-agent of a push"),
    ("limits.waiters", "requests that may wait at the same time"),
    ("limits.waiters_per_key", "requests of one key that may wait at the same time"),
    ("limits.answers_mib", "memory for answers that are made and not yet written, in MiB"),
    ("retention.events", "how long events are kept, and the attempts to deliver them"),
    ("cors.origins", "web pages that may ask from a browser: their origins, or *"),
];

/// What the command line said.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Flags {
    /// Directory that holds everything [default: ./ringback-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:7464]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Configuration file [default: ringback.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of type files
    #[arg(long, value_name = "DIR")]
    pub(crate) types: Option<String>,
    /// URL at which clients reach this server [default: http://<listen>]
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// File that seals all secrets [default: <DIR>.key]
    #[arg(long, value_name = "PATH")]
    pub(crate) key_file: Option<String>,
    /// For a laptop: example types, plain http and private addresses
    #[arg(long)]
    pub(crate) dev: bool,
    /// How long to wait while another process holds the directory [default: 0s]
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_wait: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What an egress rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowTarget {
    /// Addresses.
    Net(IpNet),
    /// One name, in lower case, whatever it resolves to.
    Name(String),
}

/// One `[[egress.allow]]`: a destination that may be called although it isn't public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowRule {
    /// Which destination.
    pub(crate) target: AllowTarget,
    /// Which ports; empty for those that are allowed everywhere.
    pub(crate) ports: Vec<u16>,
    /// Whether plain http is allowed there.
    pub(crate) http: bool,
    /// Whose subscriptions may use it. `Tenant` includes the operator's.
    pub(crate) authority: Authority,
}

/// What may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EgressConfig {
    /// Besides 443 and 8443.
    pub(crate) ports: Vec<u16>,
    /// In place of the system's; empty for the system's.
    pub(crate) nameservers: Vec<SocketAddr>,
    /// Exceptions, in the order of the file.
    pub(crate) allow: Vec<AllowRule>,
}

/// How `serve` runs. Every value is within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServeConfig {
    /// Directory that holds everything.
    pub(crate) data: PathBuf,
    /// Address and port to listen on; port 0 for any.
    pub(crate) listen: SocketAddr,
    /// Directory of type files.
    pub(crate) types: Option<PathBuf>,
    /// Without a slash at its end; see [`ServeConfig::public_url_for`].
    pub(crate) public_url: Option<String>,
    /// File that seals all secrets.
    pub(crate) key_file: PathBuf,
    /// Whether this is a laptop.
    pub(crate) dev: bool,
    /// How long to wait for the directory's lock.
    pub(crate) lock_wait: Duration,
    /// How long what is in flight may take to finish after SIGTERM.
    pub(crate) shutdown_grace: Duration,
    /// How log lines look.
    pub(crate) log_format: LogFormat,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub(crate) log_filter: String,
    /// What may be called.
    pub(crate) egress: EgressConfig,
    /// Tries in flight, all subscriptions together.
    pub(crate) delivery_slots: u32,
    /// What stands before `/<version>` in the user-agent of a push.
    pub(crate) user_agent: String,
    /// Requests that may wait at the same time.
    pub(crate) waiters: usize,
    /// Requests of one key that may wait at the same time.
    pub(crate) waiters_per_key: usize,
    /// Memory for answers that are made and not yet written, in MiB.
    pub(crate) answers_mib: usize,
    /// How long events are kept, and the attempts to deliver them.
    pub(crate) keep_events: Duration,
    /// Origins whose pages may ask from a browser.
    pub(crate) cors_origins: Vec<String>,
}

impl ServeConfig {
    /// The operator's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(&self.data)
    }

    /// The URL at which clients reach a server that listens on `bound`: the configured one, or the address itself.
    pub(crate) fn public_url_for(&self, bound: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{bound}"))
    }
}

/// The operator's socket in a data directory.
pub(crate) fn socket_in(data: &Path) -> PathBuf {
    data.join("ringback.sock")
}

/// What was read, and where each value came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values; defaults stand in for those with a problem.
    pub(crate) config: ServeConfig,
    /// Everything that is wrong, in the order of [`SETTINGS`].
    pub(crate) problems: Vec<Problem>,
    /// Each setting with its effective value, in the order of [`SETTINGS`].
    pub(crate) shown: Vec<Shown>,
}

/// One setting as `config show` prints it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    /// Its name.
    pub(crate) key: &'static str,
    /// Its effective value.
    pub(crate) value: serde_json::Value,
    /// Who said so.
    pub(crate) from: Origin,
}

/// The `RINGBACK_*` variables of this process. What is not text is no setting of ours.
pub(crate) fn process_env() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Reads the configuration: `flags`, then `env`, then the file that they name (or `ringback.toml` in `dir`), then defaults.
pub(crate) fn load(flags: &Flags, env: &BTreeMap<String, String>, dir: &Path) -> Loaded {
    let mut reader = Reader::new(read_layers(flags, env, dir));
    let it = &mut reader;

    let data = it.read("data", PathBuf::from(DATA_DEFAULT), path_json, parse::path);
    let listen = it.read("listen", LISTEN_DEFAULT, display_json, parse::listen);
    let types = it.read_optional("types", path_json, parse::path);
    let public_url = it.read_optional("public_url", |it| it.as_str().into(), parse::public_url);
    let beside = key_file_beside(&data);
    let key_file = it.read("key_file", beside.clone().unwrap_or_default(), path_json, parse::path);
    let dev = it.read("dev", false, |it| (*it).into(), parse::boolean);
    let lock_wait = it.read("lock_wait", Duration::ZERO, duration_json, |it| parse::duration(it, Duration::ZERO, Duration::from_secs(600)));
    let shutdown_grace = it.read("shutdown_grace", Duration::from_secs(25), duration_json, |it| {
        parse::duration(it, Duration::from_secs(1), Duration::from_secs(25))
    });
    let log_format = it.read("log.format", LogFormat::Auto, |it| log_format_text(*it).into(), log_format);
    let log_filter = it.read("log.filter", "info".to_owned(), |it| it.as_str().into(), parse::log_filter);
    let ports = it.read("egress.ports", vec![], |it| it.clone().into(), parse::ports);
    let nameservers = it.read("egress.nameservers", vec![], |it| it.iter().map(ToString::to_string).collect(), parse::nameservers);
    let allow = it.read("egress.allow", vec![], |it| it.iter().map(rule_json).collect(), parse::allow);
    let delivery_slots = it.read("delivery.slots", 4_096, |it| (*it).into(), |it| parse::bounded(it, 1, 65_536));
    let user_agent = it.read("delivery.user_agent", "Ringback".to_owned(), |it| it.as_str().into(), parse::product);
    let waiters = it.read("limits.waiters", limits::WAITERS_MAX, |it| (*it).into(), |it| parse::bounded(it, 1, 1_000_000));
    let waiters_per_key = it.read("limits.waiters_per_key", limits::WAITERS_MAX, |it| (*it).into(), |it| parse::bounded(it, 1, 1_000_000));
    let answers_mib = it.read("limits.answers_mib", limits::ANSWER_BYTES_MAX / MIB, |it| (*it).into(), |it| parse::bounded(it, 16, 65_536));
    let keep_events = it.read("retention.events", Duration::from_secs(30 * DAY_SECS), duration_json, |it| {
        parse::duration(it, Duration::from_secs(3_600), Duration::from_secs(3_650 * DAY_SECS))
    });
    let cors_origins = it.read("cors.origins", vec![], |it| it.clone().into(), parse::origins);

    if key_file.as_os_str().is_empty() && beside.is_none() {
        it.complain(
            "data",
            format!("`{}` has no name of its own to put a key file beside; write the directory's name, or set key_file", data.display()),
        );
    } else if is_inside(&key_file, &data) {
        it.complain(
            "key_file",
            format!("`{}` lies inside the data directory, so every backup would hold the key to itself; put it beside", key_file.display()),
        );
    }
    if dev && !listen.ip().is_loopback() {
        it.complain("listen", format!("with --dev only this machine may call: listen on 127.0.0.1:{} or leave --dev away", listen.port()));
    }
    let config = ServeConfig {
        data,
        listen,
        types,
        public_url,
        key_file,
        dev,
        lock_wait,
        shutdown_grace,
        log_format,
        log_filter,
        egress: EgressConfig { ports, nameservers, allow },
        delivery_slots,
        user_agent,
        waiters,
        waiters_per_key,
        answers_mib,
        keep_events,
        cors_origins,
    };
    let (problems, shown) = reader.finish();
    Loaded { config, problems, shown }
}

/// Where the client verbs look for a server's data: as [`load`] would, mistakes elsewhere notwithstanding.
pub(crate) fn data_dir(flag: Option<&str>, env: &BTreeMap<String, String>, dir: &Path) -> PathBuf {
    let flags = Flags { data: flag.map(str::to_owned), ..Flags::default() };
    load(&flags, env, dir).config.data
}

/// `<DIR>.key`, beside the directory.
fn key_file_beside(data: &Path) -> Option<PathBuf> {
    let mut name = data.file_name()?.to_os_string();
    name.push(".key");
    Some(data.with_file_name(name))
}

fn is_inside(file: &Path, dir: &Path) -> bool {
    match (std::path::absolute(file), std::path::absolute(dir)) {
        (Ok(file), Ok(dir)) => file.starts_with(dir),
        _ => file.starts_with(dir),
    }
}

fn log_format(value: &Value) -> Result<LogFormat, String> {
    let text = parse::text(value)?;
    [LogFormat::Auto, LogFormat::Text, LogFormat::Json]
        .into_iter()
        .find(|it| log_format_text(*it) == text)
        .ok_or_else(|| format!("`{text}` is none of auto, text, json"))
}

const fn log_format_text(it: LogFormat) -> &'static str {
    match it {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

#[expect(clippy::ptr_arg, reason = "it is called with a reference to the setting's own type")]
fn path_json(it: &PathBuf) -> serde_json::Value {
    it.display().to_string().into()
}

fn display_json(it: &SocketAddr) -> serde_json::Value {
    it.to_string().into()
}

fn duration_json(it: &Duration) -> serde_json::Value {
    duration::show(*it).into()
}

fn rule_json(it: &AllowRule) -> serde_json::Value {
    let (name, target) = match &it.target {
        AllowTarget::Net(net) => ("net", net.to_string()),
        AllowTarget::Name(host) => ("name", host.clone()),
    };
    serde_json::json!({ name: target, "ports": it.ports, "http": it.http, "for": it.authority.as_str() })
}

#[cfg(test)]
mod tests;
