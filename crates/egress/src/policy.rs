//! Which destinations may be called. Pure: the addresses that a name resolves to
//! are arguments.
//!
//! It is asked twice for every call: about the URL, and then about each address
//! that its name resolves to (or that it is). The URL alone never suffices, and a
//! name with one address that is refused is refused.

use crate::{
    address::{Class, classify},
    config::{Allow, AllowWhat, EgressConfig},
    target::{Host, Malformed, Scheme, Target, parse},
};
use ringback_model::{key::Authority, limits};
use ringback_ports::sender::DestinationRefused;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

/// What a tenant learns of a destination that is refused for where it leads.
pub const NOT_REACHABLE: &str = "This address isn't reachable from the public internet.";

/// Ports that may be called without being configured.
const PORTS: [u16; 2] = [443, 8443];

/// Last labels (and whole names) that mean something inside a network only.
const SUFFIXES: [&str; 7] = ["localhost", "local", "internal", "svc", "cluster", "home.arpa", "onion"];

/// Names under which clouds hand out credentials. Their addresses are refused too;
/// this catches the ones that are routed by name.
const METADATA_NAMES: [&str; 6] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
];

/// The rules of one server.
#[derive(Clone, Debug)]
pub struct Policy {
    ports: BTreeSet<u16>,
    allow: Vec<Allow>,
    dev: bool,
    listen: Vec<SocketAddr>,
    interfaces: Vec<IpAddr>,
}

/// Why an address may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Class(Class),
    Listener,
    Own,
    Scheme,
    Port,
}

impl Policy {
    /// The rules of `config` on a machine with these addresses of its own.
    #[must_use]
    pub fn new(config: &EgressConfig, interfaces: Vec<IpAddr>) -> Self {
        Self {
            ports: PORTS.into_iter().chain(config.ports.iter().copied()).collect(),
            allow: config.allow.clone(),
            dev: config.dev,
            listen: config.listen.clone(),
            interfaces,
        }
    }

    /// Parses `url` and judges what can be judged without resolving its name. An
    /// address is judged completely.
    ///
    /// # Errors
    /// With what is wrong and what to do next.
    pub fn target(&self, url: &str, authority: Authority) -> Result<Target, DestinationRefused> {
        let target = parse(url).map_err(|it| malformed(&it))?;
        match &target.host {
            Host::Address(address) => self.check(&target, authority, core::slice::from_ref(address))?,
            Host::Name(name) => {
                // What is plain in the URL first: it is told to everybody.
                if !self.scheme_is_possible(&target, authority) {
                    return Err(self.refuse(Why::Scheme, &target, None));
                }
                if !self.port_is_possible(&target, authority) {
                    return Err(self.refuse(Why::Port, &target, None));
                }
                self.check_name(name, authority)?;
            }
        }
        Ok(target)
    }

    /// Judges all addresses that `target` resolves to: one refused, all refused.
    ///
    /// # Errors
    /// With what is wrong and what to do next.
    pub fn check(&self, target: &Target, authority: Authority, addresses: &[IpAddr]) -> Result<(), DestinationRefused> {
        addresses.iter().try_for_each(|it| self.judge(target, authority, *it).map_err(|why| self.refuse(why, target, Some(*it))))
    }

    /// What to say of a name that is refused and resolves to `addresses`: the first of
    /// them that explains it, if any does. For operators only.
    #[must_use]
    pub fn explain(&self, name: &str, addresses: &[IpAddr]) -> Option<String> {
        let address = addresses.iter().find(|it| classify(**it) != Class::Public)?;
        Some(format!("`{name}` resolves to {address}, {}. {}", classify(*address).describe(), self.advice(classify(*address))))
    }

    fn judge(&self, target: &Target, authority: Authority, address: IpAddr) -> Result<(), Why> {
        let class = classify(address);
        if self.is_listener(address, target.port) {
            return Err(Why::Listener);
        }
        if !class.may_be_allowed() {
            return Err(Why::Class(class));
        }
        if self.allow.iter().any(|it| self.covers(it, target, authority, address)) {
            return Ok(());
        }
        if self.dev && class.opened_by_dev() {
            return Ok(());
        }
        if class != Class::Public {
            return Err(Why::Class(class));
        }
        if !self.dev && self.interfaces.contains(&address) {
            return Err(Why::Own);
        }
        if target.scheme == Scheme::Http && !self.dev {
            return Err(Why::Scheme);
        }
        if !self.is_usual(target) {
            return Err(Why::Port);
        }
        Ok(())
    }

    /// Whether `entry` opens exactly this.
    fn covers(&self, entry: &Allow, target: &Target, authority: Authority, address: IpAddr) -> bool {
        let what = match &entry.what {
            AllowWhat::Net(net) => net.contains(&address),
            AllowWhat::Name(name) => matches!(&target.host, Host::Name(it) if it == name),
        };
        what && self.entry_fits(entry, target, authority)
    }

    /// Whether `entry` is for this authority, scheme and port.
    fn entry_fits(&self, entry: &Allow, target: &Target, authority: Authority) -> bool {
        authority.covers(entry.authority)
            && (entry.http || target.scheme == Scheme::Https)
            && if entry.ports.is_empty() { self.is_usual(target) } else { entry.ports.contains(&target.port) }
    }

    /// Whether `entry` could open this name, now that its addresses are unknown.
    fn might_cover(&self, entry: &Allow, target: &Target, authority: Authority) -> bool {
        let what = match &entry.what {
            AllowWhat::Net(_) => true,
            AllowWhat::Name(name) => matches!(&target.host, Host::Name(it) if it == name),
        };
        what && self.entry_fits(entry, target, authority)
    }

    /// The configured ports, and port 80 where plain http is allowed at all.
    fn is_usual(&self, target: &Target) -> bool {
        self.ports.contains(&target.port) || (target.scheme == Scheme::Http && target.port == 80)
    }

    fn scheme_is_possible(&self, target: &Target, authority: Authority) -> bool {
        target.scheme == Scheme::Https || self.dev || self.allow.iter().any(|it| self.might_cover(it, target, authority))
    }

    fn port_is_possible(&self, target: &Target, authority: Authority) -> bool {
        self.dev || self.is_usual(target) || self.allow.iter().any(|it| self.might_cover(it, target, authority))
    }

    fn check_name(&self, name: &str, authority: Authority) -> Result<(), DestinationRefused> {
        if METADATA_NAMES.contains(&name) {
            return Err(refused("metadata", format!("`{name}` is a cloud metadata service, which is never called."), NOT_REACHABLE));
        }
        let allowed = |it: &Allow| authority.covers(it.authority) && matches!(&it.what, AllowWhat::Name(allowed) if allowed == name);
        if self.allow.iter().any(allowed) || (self.dev && name == "localhost") {
            return Ok(());
        }
        let ends_in = |suffix: &&str| name == *suffix || name.strip_suffix(*suffix).is_some_and(|it| it.ends_with('.'));
        let what = if let Some(suffix) = SUFFIXES.iter().find(|it| ends_in(it)) {
            format!("ends in `{suffix}`, which means nothing outside of a private network")
        } else if name.contains('.') {
            return Ok(());
        } else {
            "has no dot, so it is no public name".to_owned()
        };
        let advice = if name == "localhost" {
            "On a laptop start with --dev; on a server add it to egress.allow.".to_owned()
        } else {
            format!("Use a public name, or add it to egress.allow: name = \"{name}\".")
        };
        Err(refused("host", format!("`{name}` {what}. {advice}"), NOT_REACHABLE))
    }

    /// Whether something is listening there that is this very server.
    fn is_listener(&self, address: IpAddr, port: u16) -> bool {
        let ours = |it: &SocketAddr| {
            it.port() == port
                && (it.ip() == address
                    || (it.ip().is_unspecified()
                        && (address.is_loopback() || address.is_unspecified() || self.interfaces.contains(&address))))
        };
        self.listen.iter().any(ours)
    }

    fn advice(&self, class: Class) -> &'static str {
        if !class.may_be_allowed() {
            "Such addresses are never called: use one that is public."
        } else if class.opened_by_dev() && !self.dev {
            "On a laptop start with --dev; on a server add it to egress.allow."
        } else {
            "Add it to egress.allow."
        }
    }

    fn refuse(&self, why: Why, target: &Target, address: Option<IpAddr>) -> DestinationRefused {
        let port = target.port;
        match why {
            Why::Scheme => refused(
                "scheme",
                "Plain http isn't called: use https. On a laptop start with --dev; on a server add it to egress.allow with http = true.",
                "Plain http isn't called: use https.",
            ),
            Why::Port => {
                let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                let plain = format!("Port {port} isn't called: use one of {ports}.");
                refused("port", format!("{plain} To open it, add it to egress.ports."), plain)
            }
            Why::Class(class) => {
                let reason = if class == Class::Metadata { "metadata" } else { "address" };
                refused(reason, format!("{} {}", leads_to(target, address, class.describe()), self.advice(class)), NOT_REACHABLE)
            }
            Why::Listener => {
                let is = leads_to(target, address, &format!("where this server itself listens on port {port}"));
                refused("own", format!("{is} Use the receiver's address and port."), NOT_REACHABLE)
            }
            Why::Own => {
                let is = leads_to(target, address, "an address of this host");
                refused("own", format!("{is} If a receiver runs here, add it to egress.allow."), NOT_REACHABLE)
            }
        }
    }
}

/// "`name` resolves to 10.2.0.7, a private address.", or "10.2.0.7 is a private address."
fn leads_to(target: &Target, address: Option<IpAddr>, what: &str) -> String {
    match (&target.host, address) {
        (Host::Name(name), Some(address)) => format!("`{name}` resolves to {address}, {what}."),
        (host, _) => format!("{host} is {what}."),
    }
}

fn malformed(it: &Malformed) -> DestinationRefused {
    let both = |reason, sentence: String| refused(reason, sentence.clone(), sentence);
    match it {
        Malformed::TooLong => both("url", format!("The URL is longer than {} bytes: shorten it.", limits::URL_BYTES_MAX)),
        Malformed::Whitespace => {
            both("url", "The URL contains white space or control characters: remove or percent-encode them.".to_owned())
        }
        Malformed::NotAUrl => both("url", "This isn't an absolute URL such as https://yourapp.com/webhook.".to_owned()),
        Malformed::Scheme(scheme) => both("scheme", format!("`{scheme}` isn't called: use https.")),
        Malformed::Userinfo => {
            both("userinfo", "The URL holds a user name or password before `@`: remove it. Verify the signature instead.".to_owned())
        }
        Malformed::Zone => both("zone", "The URL holds an IPv6 zone (`%`): use an address that is reachable without one.".to_owned()),
        Malformed::Host => both("host", "The URL's host is neither a name nor an address: use one such as yourapp.com.".to_owned()),
        Malformed::PortZero => both("port", "Port 0 isn't called: use 443 or 8443.".to_owned()),
    }
}

fn refused(reason: &'static str, for_operator: impl Into<String>, for_tenant: impl Into<String>) -> DestinationRefused {
    DestinationRefused { reason, for_operator: for_operator.into(), for_tenant: for_tenant.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(policy: &Policy, url: &str) -> &'static str {
        policy.target(url, Authority::Operator).map_or_else(|it| it.reason, |_| "ok")
    }

    #[test]
    fn the_addresses_of_this_host() {
        let own: IpAddr = "93.184.216.34".parse().unwrap();
        let server = Policy::new(&EgressConfig::default(), vec![own]);
        assert_eq!(reason(&server, "https://93.184.216.34/"), "own");
        assert_eq!(reason(&server, "https://93.184.216.35/"), "ok");
        let laptop = Policy::new(&EgressConfig { dev: true, ..EgressConfig::default() }, vec![own]);
        assert_eq!(reason(&laptop, "https://93.184.216.34/"), "ok");
        let allow = vec![Allow { what: AllowWhat::Net(own.into()), ports: vec![], http: false, authority: Authority::Operator }];
        let allowed = Policy::new(&EgressConfig { allow, ..EgressConfig::default() }, vec![own]);
        assert_eq!(reason(&allowed, "https://93.184.216.34/"), "ok");
    }

    #[test]
    fn listening_everywhere_is_listening_on_each() {
        let interfaces = vec!["127.0.0.1".parse().unwrap(), "10.0.0.5".parse().unwrap()];
        for listen in ["0.0.0.0:7464", "[::]:7464"] {
            let config = EgressConfig { dev: true, listen: vec![listen.parse().unwrap()], ..EgressConfig::default() };
            let policy = Policy::new(&config, interfaces.clone());
            for (url, want) in [
                ("http://127.0.0.1:7464/", "own"),
                ("http://127.8.8.8:7464/", "own"),
                ("http://[::1]:7464/", "own"),
                ("http://10.0.0.5:7464/", "own"),
                ("http://10.0.0.6:7464/", "ok"),
                ("http://127.0.0.1:7465/", "ok"),
            ] {
                assert_eq!(reason(&policy, url), want, "{listen} {url}");
            }
        }
    }
}
