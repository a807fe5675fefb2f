//! `ringback openapi`: the OpenAPI document, without a server.
//!
//! What a running server serves is at its `/openapi.json`; this is the same
//! function over type files, or over the types that are shipped.

use crate::{
    exit::{Failure, Outcome},
    output, types_dir,
};
use clap::{Args, ValueEnum};
use ringback_engine::types::CompiledType;
use ringback_model::key::Authority;
use std::path::PathBuf;

/// `ringback openapi`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback openapi > openapi.json
  ringback openapi --types /etc/ringback/types --for tenant --public-url https://api.example.com")]
pub(crate) struct OpenApiArgs {
    /// Directory of type files [default: the shipped example types]
    #[arg(long, value_name = "DIR")]
    types: Option<PathBuf>,
    /// Whose surface
    #[arg(long = "for", value_name = "WHO", value_enum, default_value_t = Who::Operator)]
    who: Who,
    /// Where it will be served
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7464")]
    public_url: String,
}

/// Whose surface it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// Everything
    Operator,
    /// What a tenant's key can do
    Tenant,
}

/// Prints the document.
pub(crate) fn run(args: &OpenApiArgs) -> Outcome {
    let sources: Vec<_> = match &args.types {
        Some(dir) => {
            let loaded = types_dir::load_types_dir(dir)
                .map_err(|it| Failure::invalid(it.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
            let problems = types_dir::check_dir(dir);
            if !problems.is_empty() {
                return Err(Failure::invalid(problems.join("\n")));
            }
            loaded.into_iter().map(|it| it.1).collect()
        }
        None => types_dir::shipped_types().into_iter().map(|it| it.1).collect(),
    };
    // What was checked loads.
    let mut types: Vec<_> = sources.iter().filter_map(|it| Some(CompiledType::load(it).ok()?.decl)).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    let authority = match args.who {
        Who::Operator => Authority::Operator,
        Who::Tenant => Authority::Tenant,
    };
    let document = ringback_server::openapi::document(&types.iter().collect::<Vec<_>>(), authority, args.public_url.trim_end_matches('/'));
    output::put(&ringback_server::openapi::text(&document))
}
