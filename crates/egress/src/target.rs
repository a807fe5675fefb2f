//! A URL, parsed once (WHATWG), and what the rest of this crate needs of it.
//!
//! The one parser decides what host is meant, so every spelling of an address
//! (`0x7f.1`, `2130706433`, full-width digits, percent escapes, a final dot) has
//! become the same typed host before anybody judges it.
//!
//! Not here: whether it may be called (`policy`).

use core::fmt;
use http::uri::PathAndQuery;
use ringback_model::limits;
use std::net::IpAddr;
use url::Url;

/// How the receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port when the URL names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whom the URL means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A name: ASCII, lower case, without a final dot.
    Name(String),
    /// An address, whatever its spelling was.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A URL that is well formed. Nothing is said about whether it may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub scheme: Scheme,
    /// Whom.
    pub host: Host,
    /// Where.
    pub port: u16,
    /// The request target: path and query, without the fragment.
    pub path_and_query: PathAndQuery,
}

impl Target {
    /// The `host` header: without the port where that is the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What is wrong with a URL, apart from where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than `limits::URL_BYTES_MAX`.
    TooLong,
    /// White space or control characters.
    Whitespace,
    /// No parser understands it.
    NotAUrl,
    /// Neither https nor http.
    Scheme(String),
    /// A user name or password.
    Userinfo,
    /// An IPv6 zone.
    Zone,
    /// A host that can neither be a name nor an address.
    Host,
    /// Port 0.
    PortZero,
}

/// Parses `text`.
///
/// # Errors
/// See `Malformed`.
pub fn parse(text: &str) -> Result<Target, Malformed> {
    if text.len() > limits::URL_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    // The parser would drop them silently; what is stored should be what is called.
    if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
        return Err(Malformed::Whitespace);
    }
    let authority = written_authority(text);
    // The parser forgets an empty user name; a reader of the URL does not.
    if authority.contains('@') {
        return Err(Malformed::Userinfo);
    }
    if authority.starts_with('[') && authority.contains('%') {
        return Err(Malformed::Zone);
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase | url::ParseError::InvalidPort => Malformed::NotAUrl,
        _ => Malformed::Host,
    })?;
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => return Err(Malformed::Scheme(other.chars().take(32).collect())),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Malformed::Userinfo);
    }
    let host = match url.host() {
        Some(url::Host::Ipv4(v4)) => Host::Address(v4.into()),
        Some(url::Host::Ipv6(v6)) => Host::Address(v6.into()),
        Some(url::Host::Domain(name)) => Host::Name(checked_name(name).ok_or(Malformed::Host)?),
        None => return Err(Malformed::Host),
    };
    let port = url.port_or_known_default().unwrap_or(scheme.default_port());
    if port == 0 {
        return Err(Malformed::PortZero);
    }
    let mut path_and_query = url.path().to_owned();
    if let Some(query) = url.query() {
        path_and_query.push('?');
        path_and_query.push_str(query);
    }
    let path_and_query = path_and_query.parse().map_err(|_| Malformed::NotAUrl)?;
    Ok(Target { scheme, host, port, path_and_query })
}

/// The part between the slashes and the path, as it was written: only looked at to
/// refuse more than the parser would.
fn written_authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or("")
}

/// Letters, digits, `-` and `_` in labels of 1 to 63, 253 in all, one final dot
/// dropped. The parser lets much more through, down to `a..b`.
fn checked_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'_')
    };
    // A last label of digits only is an address to some resolvers.
    let numeric = name.rsplit('.').next().is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    (name.len() <= 253 && name.split('.').all(label_ok) && !numeric).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn every_spelling_of_an_address_is_that_address(number: u32) {
            let [a, b, c, d] = number.to_be_bytes();
            let tail = number & 0x00ff_ffff;
            let wide: String = format!("{a}.{b}.{c}.{d}").chars().map(|it| match it {
                '.' => '.',
                digit => char::from_u32(u32::from(digit) - u32::from('0') + 0xff10).unwrap(),
            }).collect();
            for spelling in [
                format!("{a}.{b}.{c}.{d}"),
                format!("{a}.{b}.{c}.{d}."),
                format!("{number}"),
                format!("0x{number:x}"),
                format!("0X{number:X}"),
                format!("0{number:o}"),
                format!("{a}.{tail}"),
                format!("0x{a:x}.0{b:o}.{}", u32::from(c) << 8 | u32::from(d)),
                wide,
            ] {
                let target = parse(&format!("https://{spelling}/")).unwrap();
                prop_assert_eq!(target.host, Host::Address(Ipv4Addr::from(number).into()), "{}", spelling);
            }
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in "\\PC{0,60}", host in "[a-z0-9.%:@\\[\\]\\\\-]{0,40}") {
            let _ = parse(&text);
            if let Ok(Target { host: Host::Name(name), .. }) = parse(&format!("https://{host}")) {
                prop_assert!(!name.is_empty() && !name.ends_with('.') && name.parse::<IpAddr>().is_err());
            }
        }
    }

    #[test]
    fn the_request_target_and_host_header() {
        for (url, path, host) in [
            ("https://a.example", "/", "a.example"),
            ("https://A.example./x y".replace(' ', "%20").as_str(), "/x%20y", "a.example"),
            ("https://a.example:8443/a/../b?c=d&e#f", "/b?c=d&e", "a.example:8443"),
            ("http://a.example:80/", "/", "a.example"),
            ("https://a.example:80/?", "/?", "a.example:80"),
            ("https://[2600::1]:8443/", "/", "[2600::1]:8443"),
        ] {
            let target = parse(url).unwrap();
            assert_eq!((target.path_and_query.as_str(), target.host_header().as_str()), (path, host), "{url}");
        }
    }
}
