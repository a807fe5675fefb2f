//! `ringback import`: objects, one a line, in the order of the file.
//!
//! The file is read line by line and never held. A refusal ends it, and says how far it
//! came: everything before is done, and importing the same file again changes nothing of that.

use super::{Did, Kind, Object, Putter, at, secret_line, wrong};
use crate::{
    cli::Connect,
    exit::{Exit, Failure, Outcome},
    output::{put, say},
    session::Session,
};
use clap::Args;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read as _, stdin},
};

/// A line, in bytes: more than any request may be.
const LINE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// What a dry run complains of, at most.
const COMPLAINTS_MAX: usize = 100;

/// `ringback import`.
#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  ringback import customers.ndjson --dry-run
  ringback import customers.ndjson > secrets.ndjson
  our-old-sender-dump | ringback import -

One object a line:
  {\"kind\":\"tenant\",\"id\":\"acme\",\"name\":\"Acme Ltd\"}
  {\"kind\":\"subscription\",\"id\":\"acme-hooks\",\"tenant\":\"acme\",\"state\":\"shadow\",
   \"push\":{\"url\":\"https://acme.example/hook\",\"secret\":\"whsec_…\",\"profile\":\"svix\"}}   (on one line)
  {\"kind\":\"resource\",\"type\":\"invoice\",\"id\":\"7\",\"tenant\":\"acme\",\"source_version\":3,\"status\":\"paid\"}",
    after_help = "\
Each line is the body of the object's PUT with its kind and id; importing it again changes nothing.
Secrets that the server makes are printed, a line of JSON each: they are shown this once."
)]
pub(crate) struct ImportArgs {
    /// Who to ask.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// A file of objects, one a line; `-` is standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// Check every line and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// How many lines came to what.
#[derive(Debug, Default)]
struct Counts {
    made: u64,
    put: u64,
    nothing: u64,
}

impl Counts {
    fn all(&self) -> u64 {
        self.made + self.put + self.nothing
    }
}

/// Does it.
pub(crate) async fn run(session: &Session, args: ImportArgs) -> Outcome {
    let name = if args.file == "-" { "standard input" } else { &args.file };
    let mut from: Box<dyn BufRead> = match args.file.as_str() {
        "-" => Box::new(stdin().lock()),
        file => Box::new(BufReader::new(File::open(file).map_err(|it| unreadable(name, &it))?)),
    };
    let mut putter = Putter::new(session);
    let (mut counts, mut tenants, mut complaints, mut no) = (Counts::default(), BTreeSet::new(), 0_usize, 0_u64);
    while let Some(line) = next_line(&mut *from).map_err(|it| unreadable(name, &it))? {
        no += 1;
        let place = format!("line {no}");
        let line = line.map_err(|why| wrong(&place, why)).and_then(|it| parse(&place, &it));
        let object = match line {
            Ok(None) => continue,
            Ok(Some(object)) => Ok(object),
            Err(why) => Err(why),
        };
        if args.dry_run {
            let said = match object {
                Ok(object) => try_out(&mut putter, &object, &place, &mut tenants, &mut counts).await,
                Err(why) => Err(why),
            };
            if let Err(why) = said {
                if !matches!(why.exit, Exit::Invalid | Exit::NotFound) {
                    return Err(why);
                }
                complaints += 1;
                say(&why.message.unwrap_or_default());
                if complaints == COMPLAINTS_MAX {
                    return Err(Failure::invalid(format!("{COMPLAINTS_MAX} lines are wrong up to line {no}; the rest was not looked at")));
                }
            }
            continue;
        }
        let done = counts.all();
        let rest =
            || format!("\n{done} objects before it are done; it and what follows are not. Mend it, and import again: what is done stays.");
        let object = object.map_err(|it| Failure { message: it.message.map(|it| it + &rest()), ..it })?;
        let (did, answer) = putter.put(&object).await.map_err(|it| at(&format!("{place}, {object}"), it, &rest()))?;
        match did {
            Did::Made => counts.made += 1,
            Did::Put => counts.put += 1,
            Did::Nothing => counts.nothing += 1,
        }
        if let Some(line) = secret_line(&object, &answer) {
            put(&line)?;
        }
    }
    let Counts { made, put, nothing } = counts;
    if !args.dry_run {
        say(&format!(
            "{} objects: {made} are new, {put} were there and are as the file says, {nothing} were newer than the file",
            made + put + nothing
        ));
        return Ok(());
    }
    if complaints > 0 {
        return Err(Failure::invalid(format!("{complaints} lines are wrong; nothing was changed")));
    }
    say(&format!("{} objects: {made} would be new, {put} are there. Nothing was changed", made + put));
    Ok(())
}

fn unreadable(name: &str, why: &std::io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("{name} can't be read: {why}"))
}

/// The next line, or what is wrong with it.
fn next_line(from: &mut dyn BufRead) -> std::io::Result<Option<Result<Vec<u8>, &'static str>>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 > LINE_BYTES_MAX {
        // The rest of it is read over, so that what follows is a line again.
        loop {
            let (end, used) = {
                let part = from.fill_buf()?;
                match part.iter().position(|it| *it == b'\n') {
                    Some(at) => (true, at + 1),
                    None => (part.is_empty(), part.len()),
                }
            };
            from.consume(used);
            if end {
                return Ok(Some(Err("it is longer than 2 MiB, more than any request may be")));
            }
        }
    }
    Ok(Some(Ok(line)))
}

fn parse(place: &str, line: &[u8]) -> Result<Option<Object>, Failure> {
    let text = std::str::from_utf8(line).map_err(|_| wrong(place, "it is not UTF-8"))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let object = Object::read(text).map_err(|it| wrong(place, &it))?;
    object.check().map_err(|it| wrong(&format!("{place}, {object}"), &it))?;
    Ok(Some(object))
}

/// Says what a line would do.
async fn try_out(
    putter: &mut Putter<'_>,
    object: &Object,
    place: &str,
    tenants: &mut BTreeSet<String>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let place = format!("{place}, {object}");
    // A tenant that this file makes is not there yet: what is its own is new.
    if let Some(tenant) = object.tenant.as_ref().filter(|it| *it != "*" && !tenants.contains(*it))
        && !putter.is_tenant(tenant).await?
    {
        return Err(wrong(&place, &format!("there is no tenant `{tenant}`; a line above it may make one")));
    }
    let made_here = object.tenant.as_ref().is_some_and(|it| tenants.contains(it));
    let present = if made_here { None } else { putter.present(object).await.map_err(|it| at(&place, it, ""))? };
    if object.kind == Kind::Resource && !made_here {
        putter.ask(object).await.map_err(|it| at(&place, it, ""))?;
    }
    match present {
        Some(_) => counts.put += 1,
        None => {
            counts.made += 1;
            if object.kind == Kind::Tenant {
                tenants.insert(object.id.clone());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_counted() {
        let long = "x".repeat(usize::try_from(LINE_BYTES_MAX).expect("small") + 10);
        let text = format!("one\n{long}\n\nlast");
        let mut from = BufReader::with_capacity(7, text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut from).expect("no file, no error") {
            lines.push(line.map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_else(Into::into));
        }
        assert_eq!(lines, ["one\n", "it is longer than 2 MiB, more than any request may be", "\n", "last"]);
    }
}
