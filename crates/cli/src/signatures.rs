//! `ringback sign` and `ringback verify-signature`: what a sender and a receiver of
//! webhooks compute, without a server.
//!
//! Not here: the computing (`ringback-signature`).

use crate::{
    cli::Body,
    exit::{Exit, Failure, Outcome},
    output::{put, say},
    wiring::SystemClock,
};
use clap::Args;
use ringback_ports::Clock as _;
use ringback_signature::{Hint, Message, Profile, SignKey, TOLERANCE_SECS, VerifyError, VerifyKey, check, headers, hint};
use serde_json::{Map, Value, json};
use std::io::Read as _;

/// The largest body that is read.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `ringback sign`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback sign --secret whsec_… --id evt_1 -d '{\"amount\":1999}'
  ringback sign --secret @stripe.secret --profile stripe -d @body.json
  ringback sign --secret @new --secret @old -d @body.json      As while they rotate")]
pub(crate) struct SignArgs {
    /// The secret, or the file that holds it; repeatable, newest first
    #[arg(long, required = true, value_name = "SECRET|@FILE")]
    secret: Vec<String>,
    /// In whose form
    #[arg(long, default_value = "standard", value_parser = profile)]
    profile: Profile,
    /// The message's id
    #[arg(long, default_value = "evt_1")]
    id: String,
    /// What kind of message it is, where the form tells it
    #[arg(long = "type", value_name = "TYPE", default_value = "test.event")]
    event_type: String,
    /// When it is sent, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<i64>,
    /// The body, byte for byte as it is sent
    #[arg(short = 'd', long = "body", value_name = "TEXT|@FILE|-")]
    body: Body,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `ringback verify-signature`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ringback verify-signature --secret @secret -d @body.json \\
      -H 'webhook-id: evt_…' -H 'webhook-timestamp: 1795458284' -H 'webhook-signature: v1,…'
  ringback verify-signature --secret whpk_… -d @body.json -H …        By the public key of ed25519
  ringback verify-signature --secret @secret -d @body.json -H 'stripe-signature: t=…,v1=…' --at 1795458284")]
pub(crate) struct VerifyArgs {
    /// The secret or public key, or the file that holds it; repeatable
    #[arg(long, required = true, value_name = "SECRET|@FILE")]
    secret: Vec<String>,
    /// In whose form it is signed [default: what the headers look like]
    #[arg(long, value_parser = profile)]
    profile: Option<Profile>,
    /// A header of the request, repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The body, byte for byte as it arrived
    #[arg(short = 'd', long = "body", value_name = "TEXT|@FILE|-")]
    body: Body,
    /// Judge as of this time, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<i64>,
    /// How far the request's time may be from that, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TOLERANCE_SECS, value_parser = clap::value_parser!(i64).range(0..))]
    tolerance: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn profile(text: &str) -> Result<Profile, String> {
    Profile::parse(text).ok_or_else(|| format!("one of: {}", Profile::ALL.map(Profile::as_str).join(", ")))
}

/// Prints the headers that sign a body.
pub(crate) fn sign(args: &SignArgs) -> Outcome {
    let keys = args.secret.iter().map(|it| {
        let text = secret(it)?;
        SignKey::parse(args.profile, &text).map_err(|why| Failure::invalid(format!("this secret can't sign: {why}")))
    });
    let keys: Vec<SignKey> = keys.collect::<Result<_, _>>()?;
    if !args.profile.carries_several() && keys.len() > 1 {
        return Err(Failure::usage(format!("a request in the form of {} carries one signature: give one --secret", args.profile.as_str())));
    }
    if !args.id.bytes().all(|it| it.is_ascii_graphic()) || args.id.is_empty() {
        return Err(Failure::usage("--id is sent as a header: it takes printable ASCII without spaces"));
    }
    let body = bytes(&args.body)?;
    let at = args.at.unwrap_or_else(now);
    let message = Message { id: &args.id, timestamp_secs: at, event_type: &args.event_type, body: &body };
    let all = headers(args.profile, &keys, &message);
    if args.json {
        let all: Map<String, Value> = all.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return put(&format!("{}\n", json!({ "headers": all })));
    }
    put(&all.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>())
}

/// Says whether a request is to be believed, and if not, why.
pub(crate) fn verify(args: &VerifyArgs) -> Outcome {
    let pairs: Vec<(String, &str)> = args
        .header
        .iter()
        .map(|it| {
            let (name, value) = it.split_once(':').ok_or_else(|| Failure::usage(format!("`{it}` is no header: write `name: value`")))?;
            Ok((name.trim().to_ascii_lowercase(), value.trim()))
        })
        .collect::<Result<_, Failure>>()?;
    let find = |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1);
    let seen = Profile::ALL.into_iter().find(|it| find(it.signature_header()).is_some());
    let profile = args.profile.or(seen).unwrap_or(Profile::Standard);
    let texts: Vec<String> = args.secret.iter().map(|it| secret(it)).collect::<Result<_, _>>()?;
    let body = bytes(&args.body)?;
    let at = args.at.unwrap_or_else(now);
    let (mut keys, mut malformed) = (Vec::new(), None);
    for text in &texts {
        match VerifyKey::parse(profile, text) {
            Ok(key) => keys.push(key),
            Err(why) => malformed = Some(why),
        }
    }
    let judged = check(profile, find, &body, &keys, at, args.tolerance);
    let hint = || texts.iter().map(|it| hint(profile, find, &body, it, at, args.tolerance)).find(|it| *it != Hint::Unknown);
    let (verdict, why) = match (judged, malformed) {
        (Ok(()), _) => {
            return put(&if args.json {
                format!("{}\n", json!({ "verdict": "ok", "profile": profile.as_str() }))
            } else {
                "ok\n".to_owned()
            });
        }
        (Err(VerifyError::HeaderMissing(name)), _) => {
            let other = hint().map(|it| format!(": {it}")).unwrap_or_default();
            let word = if name == profile.signature_header() {
                "signature_missing"
            } else if name.ends_with("timestamp") {
                "timestamp_missing"
            } else {
                "id_missing"
            };
            (word, format!("The header `{name}` is missing{other}."))
        }
        (Err(VerifyError::HeaderMalformed(name)), _) => {
            let word = if name.ends_with("timestamp") { "timestamp_malformed" } else { "signature_malformed" };
            (word, format!("The header `{name}` can't be read as the profile `{}` writes it.", profile.as_str()))
        }
        (Err(why @ (VerifyError::TimestampTooOld { .. } | VerifyError::TimestampTooNew { .. })), _) => {
            // Whatever its age: is it signed?
            let signed = check(profile, find, &body, &keys, at, i64::MAX).is_ok();
            let beside = if signed { "The signature itself fits." } else { "The signature does not fit either." };
            ("timestamp_outside_window", format!("{}. {beside} Judge a kept request as of when it came with --at.", sentence(&why)))
        }
        (Err(VerifyError::NoMatch), malformed) => match (hint(), malformed) {
            (Some(it @ Hint::Body(_)), _) => ("body_modified", format!("{}.", sentence(&it))),
            (Some(it @ Hint::Profile(_)), _) => ("wrong_profile", format!("{}.", sentence(&it))),
            (Some(it), _) => ("wrong_secret", format!("{}.", sentence(&it))),
            (None, Some(why)) => ("secret_malformed", format!("No signature fits, and a secret can't be used at all: {why}.")),
            (None, None) => ("no_match", format!("No signature fits: {}.", Hint::Unknown)),
        },
    };
    if args.json {
        put(&format!("{}\n", json!({ "verdict": verdict, "profile": profile.as_str(), "why": why })))?;
        return Err(Failure { exit: Exit::Invalid, message: None });
    }
    put(&format!("{verdict}\n"))?;
    say(&why);
    Err(Failure { exit: Exit::Invalid, message: None })
}

fn sentence(it: &impl ToString) -> String {
    let text = it.to_string();
    let mut rest = text.chars();
    rest.next().map(|it| it.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn now() -> i64 {
    SystemClock::default().now().as_secs()
}

/// A secret, or what the file holds, without the line end that editors add.
fn secret(text: &str) -> Result<String, Failure> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(file).map_err(|it| Failure::invalid(format!("the secret can't be read from {file}: {it}")))?;
    Ok(read.trim_end_matches(['\n', '\r']).to_owned())
}

fn bytes(body: &Body) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let read = match body {
        Body::Text(text) => return Ok(text.clone().into_bytes()),
        Body::File(file) => std::fs::File::open(file).and_then(|it| it.take(BODY_BYTES_MAX).read_to_end(&mut out)),
        Body::Stdin => std::io::stdin().take(BODY_BYTES_MAX).read_to_end(&mut out),
    };
    read.map_err(|it| Failure::invalid(format!("the body can't be read: {it}")))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_without_the_line_end_of_their_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("secret");
        std::fs::write(&file, "whsec_x\r\n").expect("written");
        assert_eq!(secret(&format!("@{}", file.display())).ok().as_deref(), Some("whsec_x"));
        assert_eq!(secret("whsec_x").ok().as_deref(), Some("whsec_x"));
        assert!(secret("@/nowhere/at/all").is_err());
    }

    #[test]
    fn profiles_are_named() {
        assert_eq!(profile("svix"), Ok(Profile::Svix));
        assert_eq!(profile("Svix"), Err("one of: standard, svix, stripe, github, shopify".into()));
    }
}
