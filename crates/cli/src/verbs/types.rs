//! `ringback types`: declared kinds of resources. `check` works without a server.

use crate::{
    cli::Page,
    exit::{Exit, Failure, Outcome},
    output::{self, Column, put, say},
    session::{Session, page_query},
    types_dir::{check_dir, check_files, load_type_file, narrowings},
};
use clap::Subcommand;
use ringback_client::{Method, path::segment};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const COLUMNS: &[Column<'_>] =
    &[("TYPE", "type"), ("PATH", "path"), ("MANAGED BY", "managed_by"), ("STATUSES", "statuses"), ("TRANSITIONS", "transitions")];

/// Verbs of `ringback types`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback types check types/*.yaml
  ringback types put order.yaml
  ringback types list
  ringback types show payment")]
pub(crate) enum TypesVerb {
    /// List types
    #[command(before_help = "Examples:\n  ringback types list")]
    List {
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one type's declaration
    #[command(before_help = "Examples:\n  ringback types show payment --json")]
    #[command(alias = "get")]
    Show {
        /// Its name
        name: String,
    },
    /// Say what is wrong with type files, without a server; exit code 5 if anything is
    #[command(before_help = "\
Examples:
  ringback types check order.yaml
  ringback types check types/
  ringback types check types/ --against /etc/ringback/types")]
    Check {
        /// Files, or directories of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Say also what they take away from these, a file or a directory: what stored resources may use
        #[arg(long, value_name = "OLD")]
        against: Option<PathBuf>,
    },
    /// Declare a type, or change its declaration
    #[command(before_help = "Examples:\n  ringback types put order.yaml")]
    Put {
        /// A type file, YAML or JSON
        file: PathBuf,
    },
    /// Delete a type's declaration
    #[command(before_help = "Examples:\n  ringback types delete order")]
    Delete {
        /// Its name
        name: String,
    },
}

/// `ringback types check`: reads files, asks nobody.
pub(crate) fn check(files: &[PathBuf], against: Option<&Path>, json: bool) -> Outcome {
    let (dirs, plain): (Vec<PathBuf>, Vec<PathBuf>) = files.iter().cloned().partition(|it| it.is_dir());
    let mut problems = check_files(&plain);
    problems.extend(dirs.iter().flat_map(|it| check_dir(it)));
    if let Some(before) = against {
        match narrowings(files, before) {
            Ok(found) => problems.extend(found),
            // What can't be read of the new ones was said already.
            Err(errors) => problems.extend(errors.iter().filter(|it| it.file.starts_with(before)).map(ToString::to_string)),
        }
    }
    if json {
        put(&json!({ "problems": problems }).to_string())?;
    } else if !problems.is_empty() {
        put(&problems.join("\n"))?;
    }
    if problems.is_empty() {
        say(if files.len() == 1 { "Nothing is wrong with it." } else { "Nothing is wrong with them." });
        Ok(())
    } else {
        Err(Failure::silent(Exit::Invalid))
    }
}

/// Does what needs a server.
pub(crate) async fn run(session: &Session, verb: TypesVerb) -> Outcome {
    let at = |name: &str| format!("/v1/types/{}", segment(name));
    match verb {
        TypesVerb::Check { files, against } => check(&files, against.as_deref(), session.json),
        TypesVerb::List { page } => session.list(&session.get(&format!("/v1/types{}", page_query(&page, &[]))).await?, COLUMNS),
        TypesVerb::Show { name } => {
            let answer = session.get(&at(&name)).await?;
            // A declaration is a tree; as lines it would be a list of long names.
            if session.json { session.record(&answer) } else { put(&pretty(&answer.json()?)) }
        }
        TypesVerb::Put { file } => {
            let declaration = load_type_file(&file).map_err(|it| Failure::invalid(it.to_string()))?;
            let name = declaration.get("type").and_then(Value::as_str).ok_or_else(|| {
                Failure::invalid(format!("{}: /type: the type's name is missing; begin with `type: order`", file.display()))
            })?;
            session.record(&session.write(Method::PUT, &at(name), Some(declaration.to_string())).await?)
        }
        TypesVerb::Delete { name } => {
            session.write(Method::DELETE, &at(&name), None).await?;
            session.done(&format!("Type {name} is deleted."));
            Ok(())
        }
    }
}

/// JSON over several lines, safe to show: escapes keep every control character apart.
fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    text.lines().map(|it| output::clean(it) + "\n").collect()
}
