//! The tree of commands. Each noun's verbs live in `verbs/<noun>.rs`; here is what they share.
//!
//! Help shows examples before anything else: most people read no further.

use crate::{config, data, openapi, signatures, verbs};
use clap::{Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// About, examples, usage, then the rest.
const HELP: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";
/// Lines of help are no longer than this, however wide the terminal is.
const HELP_COLUMNS: usize = 100;

/// Ringback: you ask, I answer. Or: I'll call you.
#[derive(Debug, Parser)]
#[command(
    name = "ringback",
    version,
    before_help = "\
Examples:
  ringback demo --for 30s              Watch pull and push over the same payments
  ringback serve --dev                 Start a server on this laptop
  ringback resources create payment -d '{\"amount\":1999,\"currency\":\"eur\"}'
  ringback resources status payment 123 --until done --wait 30
  ringback subscriptions create https://yourapp.com/webhook/payment --types 'payment.*'
  ringback tail",
    after_help = "\
Exit codes: 0 ok, 1 failure, 2 usage, 3 not authorised, 4 not found, 5 invalid or conflict,
6 unreachable, 7 timed out. Data goes to standard output, talk to standard error."
)]
pub(crate) struct Cli {
    /// Who to ask; the same flags may follow the noun.
    #[command(flatten)]
    pub(crate) connect: TopConnect,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The nouns and the verbs without one.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a server
    Serve(ServeArgs),
    /// Watch pull and push over the same payments, with measured figures
    Demo(DemoArgs),
    /// Measure this program on this machine
    Bench(crate::bench::BenchArgs),
    /// A question to a server.
    #[command(flatten)]
    Ask(Box<verbs::Ask>),
    /// Print the headers that sign a webhook
    Sign(signatures::SignArgs),
    /// Say whether a webhook is to be believed, and if not, why
    VerifySignature(signatures::VerifyArgs),
    /// Check that everything in a data directory is as promised
    Verify(data::VerifyArgs),
    /// Make, check and restore backups of a data directory
    Backup(data::BackupArgs),
    /// Show or check the configuration of `serve`
    Config(ConfigArgs),
    /// Print the OpenAPI document
    Openapi(openapi::OpenApiArgs),
    /// Print a completion script for a shell
    #[command(before_help = "\
Examples:
  ringback completion bash > /etc/bash_completion.d/ringback
  ringback completion zsh > ~/.zfunc/_ringback")]
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(before_help = "Examples:\n  ringback version --json")]
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `ringback serve`.
#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  ringback serve --dev                 On a laptop: example types, lines to paste
  ringback serve --data /var/lib/ringback --types /etc/ringback/types \\
                 --public-url https://api.example.com
  RINGBACK_LISTEN=0.0.0.0:7464 ringback serve",
    after_help = "Every setting can also be a RINGBACK_* variable or a line of ringback.toml; `ringback config show` lists them."
)]
pub(crate) struct ServeArgs {
    /// What the configuration is made of.
    #[command(flatten)]
    pub(crate) flags: config::Flags,
}

/// `ringback demo`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback demo --for 30s              Run, print the table, end
  ringback demo                        Go on until Ctrl-C; prints lines to join in
  ringback demo --for 1m --rate 50 --plain")]
pub(crate) struct DemoArgs {
    /// Write for this long, let what is owed drain, print the table and end
    #[arg(long = "for", value_name = "TIME", value_parser = crate::duration::parse)]
    pub(crate) for_time: Option<Duration>,
    /// Payments a second
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Plain lines, also on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
}

/// `ringback config`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback config show                 Effective values, and where each came from
  ringback config check --config /etc/ringback.toml")]
pub(crate) struct ConfigArgs {
    /// Which.
    #[command(subcommand)]
    pub(crate) verb: verbs::config::ConfigVerb,
}

/// Client verbs of one noun, and who to ask.
#[derive(Debug, Args)]
pub(crate) struct Noun<V: Subcommand> {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: V,
}

/// Who to ask and how to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connect {
    /// Server to ask [default: the data directory's socket]
    #[arg(long, global = true, value_name = "URL", env = "RINGBACK_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// API key
    #[arg(long, global = true, value_name = "KEY", env = "RINGBACK_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Tenant to act for; `*` reads all of them
    #[arg(long, global = true, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Data directory in which to find the socket [default: ./ringback-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Print the API's JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// [`Connect`] before the noun: `ringback --json events list`. Not passed on by clap, so that `serve --url` is refused.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection (before or after the noun)")]
pub(crate) struct TopConnect {
    /// Server to ask [default: the data directory's socket]
    #[arg(id = "top_url", long = "url", value_name = "URL")]
    url: Option<String>,
    /// API key
    #[arg(id = "top_key", long = "key", value_name = "KEY")]
    key: Option<String>,
    /// Tenant to act for; `*` reads all of them
    #[arg(id = "top_tenant", long = "tenant", value_name = "TENANT")]
    tenant: Option<String>,
    /// Data directory in which to find the socket [default: ./ringback-data]
    #[arg(id = "top_data", long = "data", value_name = "DIR")]
    data: Option<String>,
    /// Print the API's JSON
    #[arg(id = "top_json", long = "json")]
    json: bool,
}

impl TopConnect {
    /// Whether nothing was said before the noun.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { url, key, tenant, data, json } = self;
        url.is_none() && key.is_none() && tenant.is_none() && data.is_none() && !json
    }

    /// What follows the noun, completed by what stands before it. A flag beats a variable wherever it stands,
    /// so `from_flag` says which of the later ones are flags.
    pub(crate) fn complete(self, later: Connect, from_flag: impl Fn(&str) -> bool) -> Connect {
        let pick = |name: &str, top: Option<String>, later: Option<String>| match top {
            Some(top) if !from_flag(name) => Some(top),
            _ => later,
        };
        Connect {
            url: pick("url", self.url, later.url),
            key: pick("key", self.key, later.key),
            tenant: pick("tenant", self.tenant, later.tenant),
            data: pick("data", self.data, later.data),
            json: self.json || later.json,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Page {
    /// Items at most (1 to 1000) [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// Go on after this page
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// The whole tree, as help and parsing use it.
pub(crate) fn command() -> Command {
    decorate(Cli::command())
}

/// Reads a command line. The second value names the connection flags that were typed after the noun.
///
/// # Errors
/// clap's, help and version included.
pub(crate) fn parse<I, T>(args: I) -> Result<(Cli, Vec<String>), clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<std::ffi::OsString> + Clone,
{
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|it| it.format(&mut command))?;
    let mut typed = Vec::new();
    let mut at = Some(&matches);
    while let Some(matches) = at {
        for id in matches.ids() {
            let name = id.as_str();
            // clap lists a global flag also above where it is declared, and panics when it is asked for there.
            let here = matches.try_contains_id(name).is_ok();
            if here && matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine) {
                typed.push(name.to_owned());
            }
        }
        at = matches.subcommand().map(|(_, it)| it);
    }
    Ok((cli, typed))
}

fn decorate(command: Command) -> Command {
    command.help_template(HELP).max_term_width(HELP_COLUMNS).disable_help_subcommand(true).mut_subcommands(decorate)
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|it: &f64| it.is_finite() && *it > 0.0).ok_or_else(|| format!("`{text}` is not a number above 0"))
}

/// Where a verb reads its body from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// The argument itself.
    Text(String),
    /// `@FILE`.
    File(PathBuf),
    /// `-` or `@-`.
    Stdin,
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        match text.as_str() {
            "-" | "@-" => Self::Stdin,
            it => it.strip_prefix('@').map_or_else(|| Self::Text(it.to_owned()), |file| Self::File(file.into())),
        }
    }
}

impl std::str::FromStr for Body {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

#[cfg(test)]
mod tests;
