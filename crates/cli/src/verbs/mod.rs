//! The verbs, one file per noun. Each asks the public API and prints; none decides anything.

pub(crate) mod advice;
pub(crate) mod config;
pub(crate) mod deliveries;
pub(crate) mod erasures;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod objects;
pub(crate) mod pull;
pub(crate) mod replays;
pub(crate) mod resources;
pub(crate) mod subscriptions;
pub(crate) mod tail;
pub(crate) mod tenants;
pub(crate) mod types;

use crate::{
    cli::{Connect, Noun},
    exit::{Failure, Outcome},
    session::Session,
};
use clap::Subcommand;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Everything that is asked of a server.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// Check, load and show resource types
    Types(Noun<types::TypesVerb>),
    /// Make, list and delete API keys
    Keys(Noun<keys::KeysVerb>),
    /// Make, change and list tenants
    Tenants(Noun<tenants::TenantsVerb>),
    /// Make, ask, change and move resources
    Resources(Noun<resources::ResourcesVerb>),
    /// Publish and read events
    Events(Noun<events::EventsVerb>),
    /// Be called back: make, change, pause and list subscriptions
    #[command(visible_alias = "webhooks")]
    Subscriptions(Box<Noun<subscriptions::SubscriptionsVerb>>),
    /// What was delivered, what wasn't, and why
    Deliveries(Noun<deliveries::DeliveriesVerb>),
    /// Send again what failed, what is missing, or all of it
    Replay(Noun<replays::ReplaysVerb>),
    /// Take data out for good: of an event, a subject, a tenant
    Erasures(Noun<erasures::ErasuresVerb>),
    /// Take events from a pull subscription, and acknowledge them
    Pull(pull::PullArgs),
    /// Follow events as they happen, one a line
    Tail(tail::TailArgs),
    /// Move in: tenants, subscriptions and mirrored resources from a file, one a line
    Import(objects::import::ImportArgs),
    /// Make a server what the files of a directory say
    Apply(objects::apply::ApplyArgs),
    /// Print tenants and subscriptions as `import` reads them
    Export(objects::export::ExportArgs),
    /// What polling costs and brings, and what to do instead
    Advice(advice::AdviceArgs),
}

impl Ask {
    /// Who is asked, as far as it was said after the noun.
    pub(crate) fn connect(&self) -> Connect {
        match self {
            Self::Types(it) => &it.connect,
            Self::Keys(it) => &it.connect,
            Self::Tenants(it) => &it.connect,
            Self::Resources(it) => &it.connect,
            Self::Events(it) => &it.connect,
            Self::Subscriptions(it) => &it.connect,
            Self::Deliveries(it) => &it.connect,
            Self::Replay(it) => &it.connect,
            Self::Erasures(it) => &it.connect,
            Self::Pull(it) => &it.connect,
            Self::Tail(it) => &it.connect,
            Self::Import(it) => &it.connect,
            Self::Apply(it) => &it.connect,
            Self::Export(it) => &it.connect,
            Self::Advice(it) => &it.connect,
        }
        .clone()
    }

    /// The files of `types check`, and those of before, for which no server is needed.
    pub(crate) fn files_to_check(&self) -> Option<(&[PathBuf], Option<&Path>)> {
        match self {
            Self::Types(Noun { verb: types::TypesVerb::Check { files, against }, .. }) => Some((files, against.as_deref())),
            _ => None,
        }
    }
}

/// Asks, and prints the answer.
pub(crate) async fn run(session: &Session, ask: Ask) -> Outcome {
    match ask {
        Ask::Types(it) => types::run(session, it.verb).await,
        Ask::Keys(it) => keys::run(session, it.verb).await,
        Ask::Tenants(it) => tenants::run(session, it.verb).await,
        Ask::Resources(it) => resources::run(session, it.verb).await,
        Ask::Events(it) => events::run(session, it.verb).await,
        Ask::Subscriptions(it) => subscriptions::run(session, it.verb).await,
        Ask::Deliveries(it) => deliveries::run(session, it.verb).await,
        Ask::Replay(it) => replays::run(session, it.verb).await,
        Ask::Erasures(it) => erasures::run(session, it.verb).await,
        Ask::Pull(it) => pull::run(session, it).await,
        Ask::Tail(it) => tail::run(session, it).await,
        Ask::Import(it) => objects::import::run(session, it).await,
        Ask::Apply(it) => objects::apply::run(session, it).await,
        Ask::Export(it) => objects::export::run(session, it).await,
        Ask::Advice(it) => advice::run(session, it).await,
    }
}

/// `name=value` arguments as an object of strings.
pub(crate) fn pairs(what: &str, items: &[String]) -> Result<Map<String, Value>, Failure> {
    items
        .iter()
        .map(|it| {
            it.split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .ok_or_else(|| Failure::usage(format!("`{it}` is not {what}; write name=value")))
        })
        .collect()
}

#[cfg(test)]
mod tests;
