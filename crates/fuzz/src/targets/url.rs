//! URLs of endpoints: what a tenant may register leads to a public address, in
//! whatever spelling. The oracle knows the blocks of the IANA registries as
//! ranges of numbers, and shares no code with the policy.

use ringback_egress::{
    EgressConfig, Policy,
    target::{self, Host},
};
use ringback_model::key::Authority;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 that is not globally reachable, or never called: first and last address.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const V4: &[([u8; 4], [u8; 4])] = &[
    ([0, 0, 0, 0], [0, 255, 255, 255]),
    ([10, 0, 0, 0], [10, 255, 255, 255]),
    ([100, 64, 0, 0], [100, 127, 255, 255]),
    ([127, 0, 0, 0], [127, 255, 255, 255]),
    ([169, 254, 0, 0], [169, 254, 255, 255]),
    ([172, 16, 0, 0], [172, 31, 255, 255]),
    ([192, 0, 0, 0], [192, 0, 0, 255]),
    ([192, 0, 2, 0], [192, 0, 2, 255]),
    ([192, 88, 99, 0], [192, 88, 99, 255]),
    ([192, 168, 0, 0], [192, 168, 255, 255]),
    ([198, 18, 0, 0], [198, 19, 255, 255]),
    ([198, 51, 100, 0], [198, 51, 100, 255]),
    ([203, 0, 113, 0], [203, 0, 113, 255]),
    ([224, 0, 0, 0], [255, 255, 255, 255]),
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            let at = u32::from(it);
            !V4.iter().any(|(from, to)| (u32::from(Ipv4Addr::from(*from))..=u32::from(Ipv4Addr::from(*to))).contains(&at))
        }
        IpAddr::V6(it) => {
            let at = u128::from(it);
            let block = |first: u128, bits: u32| at >> (128 - bits) == first >> (128 - bits);
            let top = |it: &str| u128::from(it.parse::<Ipv6Addr>().expect("an address"));
            // Global unicast, without what is special in it: IETF protocols, documentation, 6to4.
            block(top("2000::"), 3)
                && !block(top("2001::"), 23)
                && !block(top("2001:db8::"), 32)
                && !block(top("2002::"), 16)
                && !block(top("3fff::"), 20)
        }
    }
}

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let policy = Policy::new(&EgressConfig::default(), Vec::new());
    let tenants = policy.target(text, Authority::Tenant);
    if let Ok(it) = &tenants {
        let other = url::Url::parse(text).expect("the reference takes it");
        assert_eq!(other.scheme(), "https", "{text}");
        // A backslash ends the authority, as a slash does: <https://url.spec.whatwg.org/#authority-state>.
        let rest = text.split_once(':').map_or("", |it| it.1).trim_start_matches(['/', '\\']);
        let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        assert!(other.username().is_empty() && other.password().is_none() && !authority.contains('@'), "{text}");
        assert!(matches!(it.port, 443 | 8443), "{text}");
        match (&it.host, other.host()) {
            (Host::Address(it), Some(url::Host::Ipv4(other))) => assert_eq!(*it, IpAddr::V4(other), "{text}"),
            (Host::Address(it), Some(url::Host::Ipv6(other))) => assert_eq!(*it, IpAddr::V6(other), "{text}"),
            (Host::Name(it), Some(url::Host::Domain(other))) => {
                assert_eq!(it.as_str(), other.trim_end_matches('.'), "{text}");
                assert!(it.contains('.') && it.parse::<IpAddr>().is_err(), "{text}");
                for suffix in ["localhost", "local", "internal", "svc", "cluster", "home.arpa", "onion"] {
                    assert!(!(it == suffix || it.ends_with(&format!(".{suffix}"))), "{text}");
                }
            }
            other => panic!("{text}: {other:?}"),
        }
        if let Host::Address(address) = it.host {
            assert!(is_public(address), "{text} leads to {address}");
            assert!(policy.check(it, Authority::Tenant, &[address]).is_ok());
        }
        // A name that leads to a private address by any of its answers is refused when it is dialled.
        if matches!(it.host, Host::Name(_)) {
            let answers = [IpAddr::from([93, 184, 216, 34]), IpAddr::from([10, 0, 0, 7])];
            assert!(policy.check(it, Authority::Tenant, &answers).is_err(), "{text}");
        }
    }
    // What parses is parsed the same again from what it says of itself.
    if let Ok(it) = target::parse(text) {
        let scheme = if matches!(it.scheme, target::Scheme::Https) { "https" } else { "http" };
        let again = format!("{scheme}://{}{}", it.host_header(), it.path_and_query);
        assert_eq!(target::parse(&again).as_ref().map(|it| &it.host), Ok(&it.host), "{text} is {again}");
    }
    // Sixteen bytes are an address of their own.
    if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
        for address in [IpAddr::from(octets), IpAddr::from([octets[0], octets[1], octets[2], octets[3]])] {
            let spelled = if address.is_ipv6() { format!("https://[{address}]/") } else { format!("https://{address}/") };
            let may = policy.target(&spelled, Authority::Tenant).is_ok_and(|it| policy.check(&it, Authority::Tenant, &[address]).is_ok());
            assert!(!may || is_public(address), "{address}");
        }
    }
}
