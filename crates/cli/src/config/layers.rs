//! Flags, environment and file as layers of one tree, and who said what.
//!
//! Not here: what a value means (`parse`).

use super::{FILE_DEFAULT, Flags, SETTINGS, Shown, suggest::nearest};
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Tag, Value},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// Variables that begin with `RINGBACK_` and aren't settings.
const NOT_SETTINGS: [&str; 4] = ["RINGBACK_URL", "RINGBACK_KEY", "RINGBACK_OPERATOR_KEY", "RINGBACK_CONFIG"];

/// The largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable.
    Env(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Something that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Which setting; empty when a whole file can't be read.
    pub(crate) key: String,
    /// Who said so.
    pub(crate) from: Origin,
    /// What is wrong and what to write.
    pub(crate) detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.from, self.detail)
        } else {
            write!(f, "{} ({}): {}", self.key, self.from, self.detail)
        }
    }
}

/// One source of values.
struct Layer {
    name: &'static str,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// All layers, merged.
pub(crate) struct Layers {
    figment: Figment,
    file: PathBuf,
    problems: Vec<Problem>,
}

const FLAG: &str = "flag";
const ENV: &str = "env";
const FILE: &str = "file";

/// Reads all layers and refuses names that aren't settings.
pub(crate) fn read_layers(flags: &Flags, env: &BTreeMap<String, String>, dir: &Path) -> Layers {
    let named = flags.config.clone().or_else(|| env.get("RINGBACK_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    let file = named.unwrap_or_else(|| PathBuf::from(FILE_DEFAULT));
    let mut problems = Vec::new();

    let file_values = read_file(&dir.join(&file), must_exist).unwrap_or_else(|detail| {
        problems.push(Problem { key: String::new(), from: Origin::File(file.clone()), detail });
        Dict::new()
    });
    unknown("", &file_values, &mut |key, detail| problems.push(Problem { key, from: Origin::File(file.clone()), detail }));

    let mut env_values = Dict::new();
    for (name, text) in env {
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let Some(rest) = name.strip_prefix("RINGBACK_") else { continue };
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let mut one = Dict::new();
        put(&mut one, &key, text.as_str().into());
        let mut known = true;
        unknown("", &one, &mut |key, detail| {
            known = false;
            problems.push(Problem { key, from: Origin::Env(name.clone()), detail });
        });
        if known {
            put(&mut env_values, &key, text.as_str().into());
        }
    }

    let figment = Figment::new()
        .merge(Layer { name: FILE, values: file_values })
        .merge(Layer { name: ENV, values: env_values })
        .merge(Layer { name: FLAG, values: flag_values(flags) });
    Layers { figment, file, problems }
}

fn read_file(path: &Path, must_exist: bool) -> Result<Dict, String> {
    match std::fs::metadata(path) {
        Ok(it) if it.len() > FILE_BYTES_MAX => {
            return Err(format!("it is larger than {FILE_BYTES_MAX} bytes, so it can't be a configuration file"));
        }
        Err(it) if it.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(Dict::new()),
        Err(it) => return Err(format!("it can't be read: {it}")),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|it| format!("it can't be read: {it}"))?;
    let mut profiles = Toml::string(&text).data().map_err(|it| it.to_string().trim_end().to_owned())?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

fn flag_values(flags: &Flags) -> Dict {
    let Flags { data, listen, config: _, types, public_url, key_file, dev, lock_wait } = flags;
    let texts = [
        ("data", data),
        ("listen", listen),
        ("types", types),
        ("public_url", public_url),
        ("key_file", key_file),
        ("lock_wait", lock_wait),
    ];
    let mut values: Dict = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into()))).collect();
    if *dev {
        values.insert("dev".into(), true.into());
    }
    values
}

/// Puts `value` at a path of dots.
fn put(values: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            values.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = values.entry(section.to_owned()).or_insert_with(|| Value::Dict(Tag::Default, Dict::new()));
            if let Value::Dict(_, inner) = entry {
                put(inner, rest, value);
            }
        }
    }
}

/// Tells `complain` of every name that is no setting, and of every section that is given as a value.
fn unknown(prefix: &str, values: &Dict, complain: &mut dyn FnMut(String, String)) {
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if SETTINGS.iter().any(|(it, _)| *it == key) {
            continue;
        }
        let section = format!("{key}.");
        let inside: Vec<&str> = SETTINGS.iter().map(|(it, _)| *it).filter(|it| it.starts_with(&section)).collect();
        match value {
            Value::Dict(_, inner) if !inside.is_empty() => unknown(&key, inner, complain),
            _ if !inside.is_empty() => complain(key, format!("this is a section, not a setting; it has {}", inside.join(", "))),
            _ => {
                let meant = nearest(&key, SETTINGS.iter().map(|(it, _)| *it));
                let hint =
                    meant.map_or_else(|| "`ringback config show` lists all of them".to_owned(), |it| format!("did you mean `{it}`?"));
                complain(key, format!("there is no such setting; {hint}"));
            }
        }
    }
}

/// Takes settings out of the layers one by one, remembering what was wrong and where each came from.
pub(crate) struct Reader {
    layers: Layers,
    shown: Vec<Shown>,
}

impl Reader {
    pub(crate) const fn new(layers: Layers) -> Self {
        Self { layers, shown: Vec::new() }
    }

    /// A setting with a default.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        show: impl Fn(&T) -> serde_json::Value,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> T {
        let (value, from) = match self.given(key, parse) {
            Some(it) => (it, self.origin(key)),
            None => (default, Origin::Default),
        };
        self.shown.push(Shown { key, value: show(&value), from });
        value
    }

    /// A setting without a default.
    pub(crate) fn read_optional<T>(
        &mut self,
        key: &'static str,
        show: impl Fn(&T) -> serde_json::Value,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.read(key, None, |it| it.as_ref().map_or(serde_json::Value::Null, &show), |it| parse(it).map(Some))
    }

    /// Remembers that the value of `key` does not fit the others.
    pub(crate) fn complain(&mut self, key: &'static str, detail: String) {
        let from = self.origin(key);
        self.layers.problems.push(Problem { key: key.to_owned(), from, detail });
    }

    /// All problems in the order of the settings, and all settings.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Shown>) {
        let mut problems = self.layers.problems;
        let rank = |it: &Problem| SETTINGS.iter().position(|(key, _)| *key == it.key);
        problems.sort_by_key(rank);
        (problems, self.shown)
    }

    fn given<T>(&mut self, key: &'static str, parse: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        let value = self.layers.figment.find_value(key).ok()?;
        match parse(&value) {
            Ok(it) => Some(it),
            Err(detail) => {
                self.complain(key, detail);
                None
            }
        }
    }

    fn origin(&self, key: &str) -> Origin {
        let layer = self.layers.figment.find_metadata(key).map(|it| it.name.as_ref());
        match layer {
            Some(FLAG) => Origin::Flag(format!("--{}", key.replace('_', "-"))),
            Some(ENV) => Origin::Env(format!("RINGBACK_{}", key.to_ascii_uppercase().replace('.', "__"))),
            Some(FILE) => Origin::File(self.layers.file.clone()),
            _ => Origin::Default,
        }
    }
}
