//! `ringback apply`: makes a server what the files of a directory say.
//!
//! All files are read and checked before the first write. `--prune` removes subscriptions
//! that an earlier apply made, and only those: each carries the entry `managed-by` in its metadata.

use super::{
    Did, Kind, Object, Putter, at,
    export::{Pages, subscription_line},
    secret_line, wrong,
};
use crate::{
    cli::Connect,
    exit::{Exit, Failure, Outcome},
    output::{put, say},
    session::Session,
};
use clap::Args;
use ringback_model::{
    auth::{GivenSecret, is_secret_header},
    subscription::State,
};
use ringback_wire::{NewSubscription, subscription::From};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A file, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Objects of a directory.
const OBJECTS_MAX: usize = 20_000;
/// The entry in `metadata`, and what it says.
const MARK: (&str, &str) = ("managed-by", "ringback-apply");

/// `ringback apply`.
#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  ringback apply -f hooks/ --dry-run               What would be made, changed and removed
  ringback apply -f hooks/
  ringback apply -f hooks/ --prune                 Remove subscriptions whose file is gone",
    after_help = "\
A file (.json, .yaml, .yml) holds one object or a list of them, as a line of `import` says it.
Secrets are best said by where they are: {env: NAME} or {file: PATH}."
)]
pub(crate) struct ApplyArgs {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Directory of files, or one file
    #[arg(short = 'f', long = "file", value_name = "DIR")]
    from: PathBuf,
    /// Remove subscriptions that an earlier apply made and no file names any more
    #[arg(long)]
    prune: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
pub(crate) async fn run(session: &Session, args: ApplyArgs) -> Outcome {
    let mut objects = Vec::new();
    for file in files(&args.from)? {
        read_file(&file, &mut objects)?;
    }
    if objects.is_empty() {
        return Err(Failure::invalid(format!("{} holds no objects: files end in .json, .yaml or .yml", args.from.display())));
    }
    // Tenants first: what is theirs needs them.
    objects.sort_by_key(|(_, it)| it.kind);
    let mut seen = BTreeSet::new();
    for (place, object) in &objects {
        if !seen.insert((object.kind, object.tenant.clone(), object.id.clone(), object.type_name.clone())) {
            return Err(wrong(place, &format!("{object} is in these files twice")));
        }
    }
    let mut putter = Putter::new(session);
    let (mut made, mut changed, mut same) = (0_usize, 0_usize, 0_usize);
    let new_tenants: BTreeSet<String> = new_tenants(&mut putter, &objects).await?;
    for (place, object) in &objects {
        let done = made + changed + same;
        let rest = || match args.dry_run {
            true => String::new(),
            false => format!("\n{done} objects are as the files say; it and what follows are not. Mend it, and apply again."),
        };
        let fail = |why| at(&format!("{place}, {object}"), why, &rest());
        let unborn = args.dry_run && object.tenant.as_ref().is_some_and(|it| new_tenants.contains(it));
        let present = if unborn { None } else { putter.present(object).await.map_err(fail)? };
        let word = match &present {
            None => "+",
            Some(it) if differs(object, it) => "~",
            Some(_) => "=",
        };
        if !args.dry_run && word != "=" {
            let (did, answer) = putter.put(object).await.map_err(fail)?;
            if let Some(line) = secret_line(object, &answer) {
                put(&line)?;
            }
            debug_assert!(did != Did::Made || word == "+");
        }
        match word {
            "+" => made += 1,
            "~" => changed += 1,
            _ => same += 1,
        }
        if word != "=" {
            say(&format!("{word} {object}"));
        }
    }
    let removed = if args.prune { prune(session, &mut putter, &objects, args.dry_run).await? } else { 0 };
    let tense = if args.dry_run { " (nothing was done)" } else { "" };
    say(&format!("{made} made, {changed} changed, {same} as they were, {removed} removed{tense}"));
    Ok(())
}

/// The files, in order of name.
fn files(from: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |why: std::io::Error| Failure::new(Exit::Failure, format!("{} can't be read: {why}", from.display()));
    if fs::metadata(from).map_err(unreadable)?.is_file() {
        return Ok(vec![from.to_owned()]);
    }
    let mut out = Vec::new();
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let wanted = path.extension().is_some_and(|it| it == "json" || it == "yaml" || it == "yml");
        if wanted && path.is_file() {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// The objects of a file, each with where it stands.
fn read_file(file: &Path, objects: &mut Vec<(String, Object)>) -> Outcome {
    let name = file.display().to_string();
    let unreadable = |why: std::io::Error| Failure::new(Exit::Failure, format!("{name} can't be read: {why}"));
    if fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(wrong(&name, "it is larger than 8 MiB; `ringback import` reads files of any size"));
    }
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let value: Value = if file.extension().is_some_and(|it| it == "json") {
        serde_json::from_str(&text).map_err(|it| wrong(&name, &format!("it is not JSON: {it}")))?
    } else {
        serde_saphyr::from_str(&text).map_err(|it| wrong(&name, &format!("it is not YAML: {it}")))?
    };
    let all = match value {
        Value::Array(all) => all,
        one => vec![one],
    };
    for (no, value) in all.iter().enumerate() {
        let place = if all.len() == 1 { name.clone() } else { format!("{name}, object {}", no + 1) };
        let mut object = Object::read(&value.to_string()).map_err(|it| wrong(&place, &it))?;
        if object.kind == Kind::Subscription {
            object.mark(MARK.0, MARK.1).map_err(|it| wrong(&place, &it))?;
        }
        object.check().map_err(|it| wrong(&format!("{place}, {object}"), &it))?;
        objects.push((place, object));
        if objects.len() > OBJECTS_MAX {
            return Err(wrong(&name, &format!("there are more than {OBJECTS_MAX} objects; `ringback import` takes any number")));
        }
    }
    Ok(())
}

/// Tenants that the files make: what is theirs isn't there yet.
async fn new_tenants(putter: &mut Putter<'_>, objects: &[(String, Object)]) -> Result<BTreeSet<String>, Failure> {
    let mut out = BTreeSet::new();
    for (_, object) in objects.iter().filter(|(_, it)| it.kind == Kind::Tenant) {
        if putter.present(object).await?.is_none() {
            out.insert(object.id.clone());
        }
    }
    Ok(out)
}

/// Whether a PUT would change what is there, as far as it shows: what is secret doesn't, and is put anyway.
fn differs(object: &Object, present: &Value) -> bool {
    match object.kind {
        // Its `source_version` decides.
        Kind::Resource => true,
        Kind::Tenant => {
            let wanted = object.value();
            let name = wanted.get("name").cloned().unwrap_or_else(|| object.id.as_str().into());
            let none = Value::Object(serde_json::Map::new());
            Some(&name) != present.get("name") || wanted.get("metadata").unwrap_or(&none) != present.get("metadata").unwrap_or(&none)
        }
        Kind::Subscription => {
            let wanted = object.value();
            let own_secrets = wanted.pointer("/push/secret").is_some() || has_secret_text(&wanted);
            let Some(mut there) = subscription_line(present, "") else { return true };
            for name in ["kind", "id", "tenant"] {
                there.remove(name);
            }
            own_secrets || comparable(&wanted) != comparable(&Value::Object(there))
        }
    }
}

/// Whether it gives a secret: nobody can tell whether that is the one that is there.
fn has_secret_text(wanted: &Value) -> bool {
    let auth =
        ["password", "token", "client_secret"].iter().any(|it| wanted.pointer(&format!("/push/auth/{it}")).is_some_and(Value::is_string));
    let headers = wanted.pointer("/push/headers").and_then(Value::as_object);
    auth || headers.is_some_and(|all| all.iter().any(|(name, it)| it.is_string() && is_secret_header(&name.to_ascii_lowercase())))
}

/// What a PUT would make of it, but for what is secret and where it began.
fn comparable(body: &Value) -> Option<NewSubscription> {
    let mut it = NewSubscription::read(body).ok()?;
    it.from = From::Now;
    it.scope = None;
    it.state = it.state.or(Some(State::Active));
    if let Some(push) = &mut it.push {
        push.secret = None;
        push.signing = Default::default();
        push.headers.retain(|(name, _)| !is_secret_header(name));
        push.access.headers_kept.clear();
        if let Some(auth) = &mut push.access.auth {
            for secret in [&mut auth.password, &mut auth.token, &mut auth.client_secret].into_iter().flatten() {
                *secret = GivenSecret::Keep;
            }
        }
    }
    Some(it)
}

/// Removes what an earlier apply made, of the tenants that these files name; how many.
async fn prune(session: &Session, putter: &mut Putter<'_>, objects: &[(String, Object)], dry_run: bool) -> Result<usize, Failure> {
    let mut kept: BTreeMap<Option<String>, BTreeSet<&str>> = BTreeMap::new();
    for (_, object) in objects {
        match object.kind {
            Kind::Subscription => {
                kept.entry(object.tenant.clone()).or_default().insert(&object.id);
            }
            Kind::Tenant => {
                kept.entry(Some(object.id.clone())).or_default();
            }
            Kind::Resource => {}
        }
    }
    let mut gone = Vec::new();
    for (tenant, ids) in &kept {
        // What names no tenant is the command line's.
        let mut pages = Pages::new("/v1/subscriptions", tenant.as_deref().or(session.tenant.as_deref()));
        loop {
            let page = match pages.next(session).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                // In a dry run a new tenant isn't there yet.
                Err(why) if dry_run && why.exit == Exit::NotFound => break,
                Err(why) => return Err(why),
            };
            for it in &page {
                let id = it.get("id").and_then(Value::as_str).unwrap_or_default();
                let ours = it.pointer(&format!("/metadata/{}", MARK.0)).and_then(Value::as_str) == Some(MARK.1);
                if ours && !ids.contains(id) {
                    let whose = tenant.clone();
                    gone.push(Object {
                        kind: Kind::Subscription,
                        id: id.to_owned(),
                        tenant: whose,
                        type_name: None,
                        body: BTreeMap::new(),
                    });
                }
            }
        }
    }
    for object in &gone {
        if !dry_run {
            putter.remove(object).await.map_err(|it| at(&object.to_string(), it, ""))?;
        }
        say(&format!("- {object}"));
    }
    Ok(gone.len())
}
