//! What an operator decides about the way out.

use ipnet::IpNet;
use ringback_model::key::Authority;
use serde::{Deserialize, Deserializer, de};
use std::net::SocketAddr;

/// The `[egress]` part of the configuration, and what the command line adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Ports that may be called besides 443 and 8443.
    pub ports: Vec<u16>,
    /// Destinations that would be refused otherwise.
    pub allow: Vec<Allow>,
    /// Name servers to ask instead of the system's.
    #[serde(deserialize_with = "socket_addresses")]
    pub nameservers: Vec<SocketAddr>,
    /// `--dev`: plain http, the name `localhost`, loopback and RFC 1918 with any port.
    #[serde(skip)]
    pub dev: bool,
    /// Where this server listens: never called, whatever else is allowed.
    #[serde(skip)]
    pub listen: Vec<SocketAddr>,
}

/// One `[[egress.allow]]`: opens loopback, private, unique local, carrier-NAT,
/// benchmarking and documentation addresses, and other ports of public ones.
/// Link-local, metadata, multicast and reserved addresses are never opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "AllowFields")]
pub struct Allow {
    /// What is opened.
    pub what: AllowWhat,
    /// The only ports that are opened; empty: those that may be called anyway (and 80 with `http`).
    pub ports: Vec<u16>,
    /// Whether plain http may be used.
    pub http: bool,
    /// Whose subscriptions may use it: `Operator` is for operators alone, `Tenant` for both.
    pub authority: Authority,
}

/// What an `[[egress.allow]]` opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowWhat {
    /// Every address of this block, by whatever name.
    Net(IpNet),
    /// This name, to whatever address it resolves.
    Name(String),
}

/// As it is written in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowFields {
    net: Option<String>,
    name: Option<String>,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    http: bool,
    r#for: Option<String>,
}

impl TryFrom<AllowFields> for Allow {
    type Error = String;

    fn try_from(it: AllowFields) -> Result<Self, String> {
        let what = match (it.net, it.name) {
            (Some(net), None) => AllowWhat::Net(parse_net(&net)?),
            (None, Some(name)) => AllowWhat::Name(name.trim_end_matches('.').to_ascii_lowercase()),
            _ => return Err("an entry of egress.allow has either `net` or `name`".to_owned()),
        };
        let authority = match it.r#for.as_deref() {
            None | Some("operator") => Authority::Operator,
            Some("tenant") => Authority::Tenant,
            Some(other) => return Err(format!("`for` of egress.allow is `operator` or `tenant`, not `{other}`")),
        };
        Ok(Self { what, ports: it.ports, http: it.http, authority })
    }
}

/// A block, or one address.
fn parse_net(text: &str) -> Result<IpNet, String> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)));
    net.map(|it| it.trunc()).map_err(|_| format!("`{text}` is not a network such as 10.2.0.0/16"))
}

/// `ip:port`, or an address alone, which means port 53.
fn socket_addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|it| parse_nameserver(it).map_err(de::Error::custom)).collect()
}

fn parse_nameserver(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| SocketAddr::new(address, 53)))
        .map_err(|_| format!("`{text}` of egress.nameservers is not an address such as 10.0.0.2 or 127.0.0.1:5353"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<EgressConfig, String> {
        serde_json::from_str(json).map_err(|it| it.to_string())
    }

    #[test]
    fn reads_every_field() {
        let config = read(
            r#"{"ports":[8080],"nameservers":["127.0.0.1:5353","10.0.0.2","::1"],
                "allow":[{"net":"10.2.0.9/16","ports":[80],"http":true,"for":"tenant"},{"name":"Ledger.svc."}]}"#,
        )
        .unwrap();
        assert_eq!(config.ports, [8080]);
        assert_eq!(config.nameservers, ["127.0.0.1:5353", "10.0.0.2:53", "[::1]:53"].map(|it| it.parse().unwrap()));
        assert_eq!(
            config.allow,
            [
                Allow { what: AllowWhat::Net("10.2.0.0/16".parse().unwrap()), ports: vec![80], http: true, authority: Authority::Tenant },
                Allow { what: AllowWhat::Name("ledger.svc".to_owned()), ports: vec![], http: false, authority: Authority::Operator },
            ]
        );
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (json, want) in [
            (r#"{"allow":[{"ports":[80]}]}"#, "either `net` or `name`"),
            (r#"{"allow":[{"net":"10.0.0.0/8","name":"x"}]}"#, "either `net` or `name`"),
            (r#"{"allow":[{"net":"ten"}]}"#, "not a network"),
            (r#"{"allow":[{"name":"x","for":"gateway"}]}"#, "`operator` or `tenant`"),
            (r#"{"allow":[{"name":"x","port":80}]}"#, "unknown field"),
            (r#"{"nameservers":["dns.example"]}"#, "egress.nameservers"),
            (r#"{"dev":true}"#, "unknown field"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(want), "{json}: {error}");
        }
    }
}
