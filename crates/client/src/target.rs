//! Where a server is: `http://…`, `https://…` or `unix:/path/to/ringback.sock`.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};
use url::Url;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and port, with or without TLS.
    Tcp {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
        /// What stands before every path, without a slash at its end: empty, or `/ringback`.
        base: String,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Text that names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the address of a server: {why}. Write http://127.0.0.1:7464, https://ringback.example.com or unix:/path/to/ringback.sock."
)]
pub struct TargetError {
    text: String,
    why: &'static str,
}

impl Target {
    /// The socket at `path`.
    #[must_use]
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().to_path_buf())
    }

    /// Reads an address. A bare `host:port` means plain HTTP.
    ///
    /// # Errors
    /// When `text` has another scheme, no host, credentials, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        // The text itself may hold a password, so a refusal for that reason doesn't repeat it.
        let refuse = |why| TargetError { text: text.chars().take(120).collect(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/x` and `unix:/run/x` are both common.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(refuse("no path follows `unix:`")) } else { Ok(Self::unix(path)) };
        }
        let with_scheme;
        let full = if text.contains("://") {
            text
        } else {
            with_scheme = format!("http://{text}");
            &with_scheme
        };
        let url = Url::parse(full).map_err(|_| refuse("it can't be read as a URL"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(refuse("its scheme is neither http, https nor unix")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError { text: "…@…".into(), why: "it holds credentials; give the key by itself" });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query or a fragment"));
        }
        let host = match url.host() {
            Some(url::Host::Domain(it)) if !it.is_empty() => it.to_owned(),
            Some(url::Host::Ipv4(it)) => it.to_string(),
            Some(url::Host::Ipv6(it)) => it.to_string(),
            _ => return Err(refuse("it has no host")),
        };
        let port = url.port().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self::Tcp { host, port, tls, base: url.path().trim_end_matches('/').to_owned() })
    }

    /// What goes into `Host`.
    pub(crate) fn host_header(&self) -> String {
        match self {
            Self::Tcp { host, port, tls, .. } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                if *port == if *tls { 443 } else { 80 } { host } else { format!("{host}:{port}") }
            }
            Self::Unix(_) => "localhost".into(),
        }
    }

    /// What stands before every path.
    pub(crate) fn base(&self) -> &str {
        match self {
            Self::Tcp { base, .. } => base,
            Self::Unix(_) => "",
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls, base, .. } => write!(f, "{}://{}{base}", if *tls { "https" } else { "http" }, self.host_header()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str, shown: &str) {
        assert_eq!(Target::parse(text).map(|it| it.to_string()), Ok(shown.to_owned()));
    }

    #[track_caller]
    fn bad(text: &str, why: &str) {
        let message = Target::parse(text).expect_err(text).to_string();
        assert!(message.contains(why), "{message}");
        assert!(!message.contains("hunter2"), "a password was repeated: {message}");
    }

    #[test]
    fn addresses_are_read() {
        good("http://127.0.0.1:7464", "http://127.0.0.1:7464");
        good("http://127.0.0.1:7464/", "http://127.0.0.1:7464");
        good("localhost:7464", "http://localhost:7464");
        good("https://api.example.com/ringback/", "https://api.example.com/ringback");
        good("https://api.example.com:443", "https://api.example.com");
        good("http://[::1]:7464", "http://[::1]:7464");
        good("unix:/run/ringback.sock", "unix:/run/ringback.sock");
        good("unix:///run/ringback.sock", "unix:/run/ringback.sock");
        good("unix:d/ringback.sock", "unix:d/ringback.sock");
    }

    #[test]
    fn other_text_is_refused_with_a_reason() {
        bad("", "can't be read");
        bad("ftp://example.com", "scheme");
        bad("http://", "can't be read");
        bad("http://rbk:hunter2@example.com", "credentials");
        bad("http://example.com/?key=1", "query");
        bad("unix:", "no path");
    }
}
