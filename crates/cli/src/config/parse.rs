//! What a configuration value may say. Every function answers the value or a sentence with what to write.
//!
//! A value of the environment or of a flag is text, so each setting can be
//! written as text too: lists with commas, durations with units.

use super::{AllowRule, AllowTarget};
use crate::{config::suggest::nearest, duration};
use figment::value::{Dict, Num, Value};
use ipnet::IpNet;
use ringback_model::{key::Authority, limits};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use url::Url;

/// Rules that `egress.allow` may hold.
const ALLOW_MAX: usize = 1_000;
/// Entries of a list of ports or name servers.
const LIST_MAX: usize = 100;

/// Any scalar as text.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(_, it) => Ok(it.clone()),
        Value::Char(_, it) => Ok(it.to_string()),
        Value::Bool(_, it) => Ok(it.to_string()),
        Value::Num(_, it) => Ok(match it {
            Num::F32(it) => it.to_string(),
            Num::F64(it) => it.to_string(),
            other => other.to_u128().map(|it| it.to_string()).or_else(|| other.to_i128().map(|it| it.to_string())).unwrap_or_default(),
        }),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => Err("this is one value, not a list or a section".into()),
    }
}

/// A path that isn't empty.
pub(crate) fn path(value: &Value) -> Result<PathBuf, String> {
    let text = text(value)?;
    if text.is_empty() { Err("a path can't be empty".into()) } else { Ok(PathBuf::from(text)) }
}

/// An address with a port; `localhost` is 127.0.0.1.
pub(crate) fn listen(value: &Value) -> Result<SocketAddr, String> {
    let text = text(value)?;
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.clone(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| {
        format!("`{text}` is not an address with a port; write for instance 127.0.0.1:7464, 0.0.0.0:7464 for every address, or [::1]:7464")
    })
}

/// An http or https URL without credentials, query and fragment; the slash at its end is dropped.
pub(crate) fn public_url(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let url = Url::parse(&text).map_err(|it| format!("this is not a URL ({it}); write for instance https://api.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("it must begin with https:// or http:// and name a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds credentials, and everybody will see it; leave them away".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` has a query or a fragment, to which no path can be added; leave it away"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// `true` or `false`, `1` or `0`.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    match text(value)?.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

/// A whole number within bounds, both included.
pub(crate) fn bounded<T: TryFrom<u64>>(value: &Value, least: u64, most: u64) -> Result<T, String> {
    let text = text(value)?;
    let number: Option<u64> = text.replace('_', "").parse().ok();
    number
        .filter(|it| (least..=most).contains(it))
        .and_then(|it| T::try_from(it).ok())
        .ok_or_else(|| format!("`{text}` is not a whole number from {least} to {most}"))
}

/// A duration within bounds, both included.
pub(crate) fn duration(value: &Value, least: Duration, most: Duration) -> Result<Duration, String> {
    let it = duration::parse(&text(value)?)?;
    if (least..=most).contains(&it) {
        Ok(it)
    } else {
        Err(format!("{} is not between {} and {}", duration::show(it), duration::show(least), duration::show(most)))
    }
}

/// A product name as a user-agent may begin with.
pub(crate) fn product(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let good = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(good) {
        Ok(text)
    } else {
        Err(format!("`{text}` is not 1 to 64 letters, digits, `-`, `_` or `.`; the version is added by itself"))
    }
}

/// Directives of a log filter: `info`, or `info,ringback_egress=debug`.
pub(crate) fn log_filter(value: &Value) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text(value)?;
    let directive = |it: &str| match it.trim().split_once('=') {
        Some((target, level)) => !target.is_empty() && LEVELS.contains(&level),
        None => LEVELS.contains(&it.trim()),
    };
    if text.split(',').all(directive) {
        Ok(text)
    } else {
        Err(format!("`{text}` is not a log filter; write error, warn, info, debug or trace, or for instance info,ringback_egress=debug"))
    }
}

/// A list, or text with commas.
fn list(value: &Value) -> Result<Vec<String>, String> {
    let items = match value {
        Value::Array(_, items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        other => {
            let text = text(other)?;
            let inner = text.trim().strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(&text);
            // Brackets are the list's only when they aren't those of one IPv6 address.
            let inner = if inner.contains("]:") || inner.parse::<IpAddr>().is_ok() { &text } else { inner };
            inner.split(',').map(|it| it.trim().trim_matches('"').to_owned()).filter(|it| !it.is_empty()).collect()
        }
    };
    if items.len() > LIST_MAX { Err(format!("it has {} entries; at most {LIST_MAX} are possible", items.len())) } else { Ok(items) }
}

/// Port numbers.
pub(crate) fn ports(value: &Value) -> Result<Vec<u16>, String> {
    list(value)?
        .iter()
        .map(|it| it.parse().ok().filter(|it| *it > 0).ok_or_else(|| format!("`{it}` is not a port from 1 to 65535")))
        .collect()
}

/// Origins of web pages, as a browser sends them: scheme, host and port, nothing behind; or `*`.
pub(crate) fn origins(value: &Value) -> Result<Vec<String>, String> {
    let all = list(value)?;
    if all.len() > limits::CORS_ORIGINS_MAX {
        return Err(format!("it has {} origins; at most {} are possible", all.len(), limits::CORS_ORIGINS_MAX));
    }
    all.into_iter()
        .map(|it| {
            if it == "*" {
                return Ok(it);
            }
            let origin =
                Url::parse(&it).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(|url| url.origin().ascii_serialization());
            match origin {
                Some(origin) if origin == it => Ok(it),
                Some(origin) => Err(format!("`{it}` is not an origin as browsers send it; write {origin}")),
                None => Err(format!("`{it}` is not an origin; write for instance https://app.example.com, or * for every page")),
            }
        })
        .collect()
}

/// Name servers; the port is 53 unless it is given.
pub(crate) fn nameservers(value: &Value) -> Result<Vec<SocketAddr>, String> {
    list(value)?
        .iter()
        .map(|it| {
            let address = it.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
            it.parse::<SocketAddr>()
                .or(address)
                .map_err(|_| format!("`{it}` is not the address of a name server; write for instance 10.0.0.2 or 10.0.0.2:5353"))
        })
        .collect()
}

/// `[[egress.allow]]` tables.
pub(crate) fn allow(value: &Value) -> Result<Vec<AllowRule>, String> {
    let shape = "write it as tables in the file: [[egress.allow]] with net = \"10.2.0.0/16\" or name = \"ledger.svc\"";
    let Value::Array(_, items) = value else { return Err(shape.into()) };
    if items.len() > ALLOW_MAX {
        return Err(format!("it has {} rules; at most {ALLOW_MAX} are possible", items.len()));
    }
    items
        .iter()
        .zip(1..)
        .map(|(item, n)| match item {
            Value::Dict(_, rule) => allow_rule(rule).map_err(|it| format!("rule {n}: {it}")),
            _ => Err(shape.to_owned()),
        })
        .collect()
}

fn allow_rule(rule: &Dict) -> Result<AllowRule, String> {
    const MEMBERS: [&str; 5] = ["net", "name", "ports", "http", "for"];
    if let Some(name) = rule.keys().find(|it| !MEMBERS.contains(&it.as_str())) {
        let hint = nearest(name, MEMBERS).map_or_else(|| format!("there are {}", MEMBERS.join(", ")), |it| format!("did you mean `{it}`?"));
        return Err(format!("there is no `{name}` in a rule; {hint}"));
    }
    let target = match (rule.get("net"), rule.get("name")) {
        (Some(net), None) => AllowTarget::Net(net_of(&text(net)?)?),
        (None, Some(name)) => AllowTarget::Name(name_of(&text(name)?)?),
        _ => return Err("exactly one of `net` and `name` says where to".into()),
    };
    let authority = match rule.get("for").map(text).transpose()?.as_deref() {
        None | Some("operator") => Authority::Operator,
        Some("tenant") => Authority::Tenant,
        Some(other) => return Err(format!("`for` is `operator` or `tenant`, not `{other}`")),
    };
    Ok(AllowRule {
        target,
        ports: rule.get("ports").map(ports).transpose()?.unwrap_or_default(),
        http: rule.get("http").map(boolean).transpose()?.unwrap_or(false),
        authority,
    })
}

fn net_of(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("`{text}` is not a network; write for instance 10.2.0.0/16 or 10.2.0.7");
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| wrong())?;
    // 10.2.0.7/16 is more often a slip than a wish, and a slip here opens doors.
    if net == net.trunc() {
        Ok(net)
    } else {
        Err(format!("`{text}` names one address and a whole network; write {} or {}/{}", net.trunc(), net.addr(), net.max_prefix_len()))
    }
}

fn name_of(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |it: &str| (1..=63).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err() {
        Ok(name)
    } else {
        Err(format!("`{text}` is not a host name; a scheme, port or address doesn't belong here"))
    }
}
