//! `ringback resources`: the pull side by hand.

use super::tail;
use crate::{
    cli::{Body, Page},
    exit::{Exit, Failure, Outcome},
    output::{Column, inline, put},
    session::{Session, page_query, read_body},
};
use clap::{Args, Subcommand};
use ringback_client::{Method, path::segment};
use serde_json::Value;

/// Columns of every resource; a type's own fields follow.
const COLUMNS: &[Column<'_>] = &[("ID", "id"), ("STATUS", "status"), ("VERSION", "version"), ("CREATED", "created_at")];
const EVENT_COLUMNS: &[Column<'_>] = super::events::COLUMNS;
/// Members that aren't a type's own.
const IMPLICIT: [&str; 7] = ["id", "type", "tenant", "status", "version", "created_at", "updated_at"];
/// A type's own fields that a table shows at most.
const OWN_COLUMNS_MAX: usize = 5;

/// Verbs of `ringback resources`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback resources create payment -d '{\"id\":\"123\",\"amount\":1999,\"currency\":\"eur\"}'
  ringback resources status payment 123 --until done --wait 30
  ringback resources do payment 123 complete
  ringback resources do payment 123 refund -d '{\"amount\":500}'
  ringback resources list payment --filter 'status = \"completed\" AND amount >= 1000'
  ringback resources watch payment --filter status=completed")]
pub(crate) enum ResourcesVerb {
    /// Make a resource
    #[command(before_help = "\
Examples:
  ringback resources create payment -d '{\"amount\":1999,\"currency\":\"eur\"}'
  ringback resources create payment -d @payment.json")]
    Create {
        /// The type's name, or its path: payment, /payment
        r#type: String,
        /// Its fields
        #[command(flatten)]
        body: Given,
    },
    /// List resources of a type, newest first
    #[command(before_help = "\
Examples:
  ringback resources list payment
  ringback resources list payment --filter 'status = \"completed\" AND amount >= 1000'
  ringback resources list payment --filter status=completed --filter 'amount[gte]=1000' --sort amount
  ringback resources list payment --fields id,amount")]
    List {
        /// The type's name, or its path
        r#type: String,
        /// Only those of which this holds, repeatable: an expression such as `amount >= 1000`, or field=value, or field[op]=value with ne gt gte lt lte in exists
        #[arg(long = "filter", value_name = "EXPRESSION|FIELD=VALUE")]
        filters: Vec<String>,
        /// In this order: up to four fields joined by commas, `-` before one for descending [default: -created_at]
        #[arg(long, value_name = "FIELD,…", allow_hyphen_values = true)]
        sort: Option<String>,
        /// Only these members, joined by commas
        #[arg(long, value_name = "FIELD,…")]
        fields: Option<String>,
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one resource
    #[command(before_help = "Examples:\n  ringback resources get payment 123")]
    #[command(alias = "show")]
    Get(Which),
    /// Show a resource's status, or wait for it
    #[command(before_help = "\
Examples:
  ringback resources status payment 123
  ringback resources status payment 123 --until done --wait 5m
  ringback resources status payment 123 --until completed,failed")]
    Status {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Wait until the status is one of these, or `done`
        #[arg(long, value_name = "STATUS,…")]
        until: Option<String>,
        /// Wait at most this long [default: 60s with --until]
        #[arg(long, value_name = "TIME", value_parser = crate::duration::parse, requires = "until")]
        wait: Option<std::time::Duration>,
    },
    /// Change fields (merge-patch: null removes one)
    #[command(before_help = "Examples:\n  ringback resources update payment 123 -d '{\"customer\":\"ann\"}' --if-match 3")]
    Update {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// The fields that change
        #[command(flatten)]
        body: Given,
        /// Which version.
        #[command(flatten)]
        guard: Guard,
    },
    /// Take a transition
    #[command(before_help = "\
Examples:
  ringback resources do payment 123 complete
  ringback resources do payment 123 refund -d '{\"amount\":500}'")]
    Do {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// The transition's name
        transition: String,
        /// Its input: JSON, @FILE or - for standard input
        #[arg(short = 'd', long = "body", value_name = "JSON|@FILE|-")]
        body: Option<Body>,
        /// Which version.
        #[command(flatten)]
        guard: Guard,
    },
    /// Delete a resource; its id stays taken
    #[command(before_help = "Examples:\n  ringback resources delete payment 123")]
    Delete {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Which version.
        #[command(flatten)]
        guard: Guard,
    },
    /// List a resource's events, oldest first
    #[command(before_help = "Examples:\n  ringback resources events payment 123")]
    Events {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show what is in a list and what becomes of it, one change a line, until it is stopped
    #[command(before_help = "\
Examples:
  ringback resources watch payment
  ringback resources watch payment --filter status=completed
  ringback resources watch payment --after now --json")]
    Watch {
        /// The type's name, or its path
        r#type: String,
        /// Only those of which this holds, repeatable: as of `list`
        #[arg(long = "filter", value_name = "EXPRESSION|FIELD=VALUE")]
        filters: Vec<String>,
        /// Begin at this place instead of with what is there: start, now, a cursor, an event's id or a time
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
    },
    /// Show one version of a resource
    #[command(before_help = "Examples:\n  ringback resources version payment 123 1")]
    Version {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// The version's number
        n: u64,
    },
}

/// One resource.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The type's name, or its path
    r#type: String,
    /// The resource's id
    id: String,
}

/// A body that must be given.
#[derive(Debug, Args)]
pub(crate) struct Given {
    /// The fields: JSON, @FILE or - for standard input
    #[arg(short = 'd', long = "body", value_name = "JSON|@FILE|-")]
    body: Body,
}

/// Lost updates are refused on request.
#[derive(Debug, Args)]
pub(crate) struct Guard {
    /// Refuse unless this is the present version
    #[arg(long, value_name = "VERSION")]
    if_match: Option<String>,
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: ResourcesVerb) -> Outcome {
    match verb {
        ResourcesVerb::Create { r#type, body } => {
            let body = read_body(&body.body)?;
            let path = path_of(session, &r#type).await?;
            session.record(&session.write(Method::POST, &path, Some(body.get().to_owned())).await?)
        }
        ResourcesVerb::List { r#type, filters, sort, fields, page } => {
            let conditions = conditions(&filters)?;
            let path = path_of(session, &r#type).await?;
            let mut query = as_query(&conditions);
            query.extend([("sort", sort.as_deref()), ("fields", fields.as_deref())]);
            let answer = session.get(&format!("{path}{}", page_query(&page, &query))).await?;
            if let Some(fields) = &fields {
                let names: Vec<&str> = fields.split(',').collect();
                let headings: Vec<String> = names.iter().map(|it| it.to_uppercase()).collect();
                return session.list(&answer, &headings.iter().map(String::as_str).zip(names).collect::<Vec<_>>());
            }
            let body = answer.json()?;
            let own = own_columns(&body);
            let headings: Vec<String> = own.iter().map(|it| it.to_uppercase()).collect();
            let columns: Vec<Column<'_>> =
                COLUMNS.iter().copied().chain(headings.iter().map(String::as_str).zip(own.iter().map(String::as_str))).collect();
            session.list(&answer, &columns)
        }
        ResourcesVerb::Get(which) => session.record(&session.get(&which.path(session).await?).await?),
        ResourcesVerb::Status { which, until, wait } => status(session, &which, until.as_deref(), wait).await,
        ResourcesVerb::Update { which, body, guard } => {
            let body = read_body(&body.body)?;
            let path = which.path(session).await?;
            session.record(&session.write_if(Method::PATCH, &path, guard.if_match.as_deref(), Some(body.get().to_owned())).await?)
        }
        ResourcesVerb::Do { which, transition, body, guard } => {
            let body = body.as_ref().map(read_body).transpose()?.map(|it| it.get().to_owned());
            let path = format!("{}/{}", which.path(session).await?, segment(&transition));
            session.record(&session.write_if(Method::POST, &path, guard.if_match.as_deref(), body).await?)
        }
        ResourcesVerb::Delete { which, guard } => {
            let path = which.path(session).await?;
            session.write_if(Method::DELETE, &path, guard.if_match.as_deref(), None).await?;
            session.done(&format!("{path} is deleted."));
            Ok(())
        }
        ResourcesVerb::Events { which, page } => {
            let path = which.path(session).await?;
            session.list(&session.get(&format!("{path}/events{}", page_query(&page, &[]))).await?, EVENT_COLUMNS)
        }
        ResourcesVerb::Watch { r#type, filters, after } => watch(session, &r#type, &filters, after.as_deref()).await,
        ResourcesVerb::Version { which, n } => {
            let path = which.path(session).await?;
            session.record(&session.get(&format!("{path}/versions/{n}")).await?)
        }
    }
}

impl Which {
    async fn path(&self, session: &Session) -> Result<String, Failure> {
        Ok(format!("{}/{}", path_of(session, &self.r#type).await?, segment(&self.id)))
    }
}

/// What is there, then what becomes of it. The place is fixed before the list is read: what happens in between
/// is shown again rather than missed.
async fn watch(session: &Session, name: &str, filters: &[String], after: Option<&str>) -> Outcome {
    let conditions = conditions(filters)?;
    let path = path_of(session, name).await?;
    let given: Vec<(&str, &str)> = conditions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut follow = session.client.follow_watch(&path, &given, after.unwrap_or("now"), tail::WAIT_SECS);
    follow.start().await?;
    let mut page = Page { limit: Some(1_000), after: None };
    while after.is_none() {
        let answer = session.get(&format!("{path}{}", page_query(&page, &as_query(&conditions)))).await?.json()?;
        for row in answer.get("data").and_then(Value::as_array).into_iter().flatten() {
            let item = serde_json::json!({ "change": "snapshot", "resource": row }).to_string();
            if session.json { put(&item)? } else { put(&change_line(&item))? }
        }
        page.after = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if page.after.is_none() {
            break;
        }
    }
    tail::follow(session, follow, change_line, true).await
}

/// A change on one line: what it means, which resource, its status and version, and the event.
fn change_line(item: &str) -> String {
    let item: Value = serde_json::from_str(item).unwrap_or(Value::Null);
    let text = |pointer: &str| item.pointer(pointer).filter(|it| !it.is_null()).map(inline).unwrap_or_default();
    let line = format!(
        "{:<8}  {:<28}  {:<18}  {:>4}  {}",
        text("/change"),
        text("/resource/id"),
        text("/resource/status"),
        text("/resource/version"),
        text("/event")
    );
    line.trim_end().to_owned()
}

/// The path at which resources of a type are: what was given when it is a path, else what the server says of the type.
async fn path_of(session: &Session, name: &str) -> Result<String, Failure> {
    if let Some(path) = name.strip_prefix('/') {
        let segments: Vec<String> = path.trim_end_matches('/').split('/').map(segment).collect();
        return Ok(format!("/{}", segments.join("/")));
    }
    let declared = match session.get(&format!("/v1/types/{}", segment(name))).await {
        Ok(answer) => answer.json()?.get("path").and_then(Value::as_str).map(str::to_owned),
        // A key that may not read types may still read resources; most types are where their name says.
        Err(it) if it.exit == Exit::NotAuthorised => None,
        Err(it) if it.exit == Exit::NotFound => return Err(no_such_type(session, name, it).await),
        Err(it) => return Err(it),
    };
    Ok(declared.unwrap_or_else(|| format!("/{}", segment(name))))
}

/// A name that is no type's is often nearly one: so those that are there are listed.
async fn no_such_type(session: &Session, name: &str, otherwise: Failure) -> Failure {
    let known = match session.get("/v1/types").await.map(|it| it.json()) {
        Ok(Ok(body)) => body,
        _ => return otherwise,
    };
    let names: Vec<_> =
        known.get("data").and_then(Value::as_array).into_iter().flatten().filter_map(|it| it.get("type")?.as_str()).collect();
    if names.is_empty() {
        return otherwise;
    }
    Failure::new(Exit::NotFound, format!("There is no type `{name}`. There are: {}.", names.join(", ")))
}

async fn status(session: &Session, which: &Which, until: Option<&str>, wait: Option<std::time::Duration>) -> Outcome {
    let Some(until) = until else {
        let path = which.path(session).await?;
        return session.record(&session.get(&format!("{path}/status")).await?);
    };
    let path = path_of(session, &which.r#type).await?;
    let wait_secs = wait.map_or(60, |it| it.as_secs());
    let found = session.client.wait_status(&path, &which.id, until, wait_secs).await?;
    session.value(&found)?;
    match verdict(&found, until) {
        Verdict::Reached => Ok(()),
        Verdict::Elsewhere(name) => {
            Err(Failure::new(Exit::Failure, format!("{path}/{} is {name}, and that is how it ended: not {until}.", which.id)))
        }
        Verdict::NotYet(name) => Err(Failure::new(Exit::TimedOut, format!("{path}/{} is still {name} after {wait_secs} s.", which.id))),
    }
}

/// What became of a wait.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    Elsewhere(String),
    NotYet(String),
}

fn verdict(status: &Value, until: &str) -> Verdict {
    let name = status.get("status").and_then(Value::as_str).unwrap_or_default();
    let done = status.get("done").and_then(Value::as_bool).unwrap_or(false);
    if until.split(',').map(str::trim).any(|it| if it == "done" { done } else { it == name }) {
        Verdict::Reached
    } else if done {
        Verdict::Elsewhere(crate::output::clean(name))
    } else {
        Verdict::NotYet(crate::output::clean(name))
    }
}

/// Filters as parameters: `amount[gte]=1000` is one of its own; expressions are one together.
fn conditions(filters: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let (mut all, mut expressions): (Vec<(String, String)>, Vec<&str>) = (Vec::new(), Vec::new());
    for text in filters {
        match sugar(text) {
            Some((name, value)) => all.push((name.to_owned(), value.to_owned())),
            None if text.trim().is_empty() => return Err(Failure::usage("a filter is empty; write status=completed, or 'amount >= 1000'")),
            None => expressions.push(text),
        }
    }
    match expressions.as_slice() {
        [] => {}
        [one] => all.push(("filter".into(), (*one).to_owned())),
        several => all.push(("filter".into(), several.iter().map(|it| format!("({it})")).collect::<Vec<_>>().join(" AND "))),
    }
    Ok(all)
}

/// `field=value` or `field[op]=value`; `None` for what is an expression: one that has spaces around its
/// operator, another operator than `=`, a string in quotes, or several conditions.
fn sugar(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let field = name.strip_suffix(']').map_or(Some(name), |it| Some(it.split_once('[')?.0))?;
    let plain = !field.is_empty() && field.chars().all(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '.'));
    let several = [" AND ", " OR "].iter().any(|it| value.contains(it));
    (plain && !several && !value.starts_with([' ', '"', '='])).then_some((name, value))
}

fn as_query(conditions: &[(String, String)]) -> Vec<(&str, Option<&str>)> {
    conditions.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect()
}

/// The first of a type's own fields that hold plain values, in the order in which they appear.
fn own_columns(body: &Value) -> Vec<String> {
    let rows = body.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for (name, value) in rows.iter().filter_map(Value::as_object).flatten() {
        let plain = !value.is_object() && !value.is_array() && !value.is_null();
        // A dot would be read as a path.
        if plain && !name.contains('.') && !IMPLICIT.contains(&name.as_str()) && !names.contains(name) && names.len() < OWN_COLUMNS_MAX {
            names.push(name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_are_told_apart() {
        let read = |all: &[&str]| conditions(&all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).map_err(|it| it.exit);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for text in ["status=completed", "amount[gte]=10", "metadata.a-b=", "name=Ada = Lovelace", "note=a>b"] {
            let (name, value) = text.split_once('=').expect("one");
            assert_eq!(read(&[text]), Ok(vec![pair(name, value)]), "{text}");
        }
        for text in
            ["amount >= 10", "amount>=10", "status = done", "status=\"a b\"", "NOT a=1", "a=1 AND b=2", "a:*", "a==1", "(a=1)", "amount!=1"]
        {
            assert_eq!(read(&[text]), Ok(vec![pair("filter", text)]), "{text}");
        }
        let several = ["a=1", "b > 2", "c > 3 OR d > 4"];
        assert_eq!(read(&several), Ok(vec![pair("a", "1"), pair("filter", "(b > 2) AND (c > 3 OR d > 4)")]));
        assert_eq!(read(&[" "]), Err(Exit::Usage));
    }

    #[test]
    fn a_wait_ends_in_one_of_three_ways() {
        let failed = json!({"status": "failed", "done": true});
        let created = json!({"status": "created", "done": false});
        for (status, until, want) in [
            (&failed, "done", Verdict::Reached),
            (&failed, "completed, failed", Verdict::Reached),
            (&failed, "completed", Verdict::Elsewhere("failed".into())),
            (&created, "created", Verdict::Reached),
            (&created, "done", Verdict::NotYet("created".into())),
        ] {
            assert_eq!(verdict(status, until), want, "{until}");
        }
    }

    #[test]
    fn a_change_is_one_line() {
        let item = r#"{"change":"enter","event":"evt_1","resource":{"id":"a\nb","status":"completed","version":3}}"#;
        let line = change_line(item);
        assert!(line.starts_with("enter     a") && line.ends_with("completed              3  evt_1"), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert_eq!(change_line(r#"{"change":"snapshot","resource":{"id":"1"}}"#), "snapshot  1");
    }

    #[test]
    fn a_table_shows_a_types_plain_fields() {
        let body = json!({"data": [{"id": "1", "status": "x", "amount": 1, "metadata": {}}, {"id": "2", "customer": "ann", "a.b": 1}]});
        assert_eq!(own_columns(&body), ["amount", "customer"]);
    }
}
