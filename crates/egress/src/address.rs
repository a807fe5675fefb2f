//! What kind of address an address is. Pure, and total: every address has one class.
//!
//! IPv4 is everything but a list of special blocks. IPv6 is the other way round: only
//! what the regional registries have been given, minus the special blocks in it, since
//! most of that space is not in use and may become anything.
//!
//! The lists follow the special-purpose address registries of IANA (RFC 6890 and its
//! successors). Blocks that are reachable but never hold an endpoint (anycast of AS112,
//! AMT, 6to4 relays) are refused with the rest of their kind.
//!
//! Not here: which classes may be called (`policy`).

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Globally routable unicast.
    Public,
    /// This machine.
    Loopback,
    /// RFC 1918.
    Private,
    /// IPv6 unique local.
    UniqueLocal,
    /// Carrier-grade NAT, RFC 6598.
    Shared,
    /// Benchmarking, RFC 2544 and RFC 5180.
    Benchmarking,
    /// For documents only.
    Documentation,
    /// This link only.
    LinkLocal,
    /// The metadata service of a cloud: hands out credentials.
    Metadata,
    /// No address at all: 0.0.0.0/8 and `::`.
    Unspecified,
    /// Many receivers.
    Multicast,
    /// An IPv4 address written as, or reached through, IPv6.
    Embedded,
    /// Protocol assignments, anycast relays, and space that nobody was given.
    Reserved,
}

impl Class {
    /// Completes the sentence "10.2.0.7, …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private | Self::UniqueLocal => "a private address",
            Self::Shared => "a carrier-NAT address",
            Self::Benchmarking => "a benchmarking address",
            Self::Documentation => "a documentation address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Embedded => "an IPv4 address inside IPv6",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether `egress.allow` may open it.
    #[must_use]
    pub const fn may_be_allowed(self) -> bool {
        match self {
            Self::Public | Self::Loopback | Self::Private | Self::UniqueLocal | Self::Shared | Self::Benchmarking | Self::Documentation => {
                true
            }
            Self::LinkLocal | Self::Metadata | Self::Unspecified | Self::Multicast | Self::Embedded | Self::Reserved => false,
        }
    }

    /// Whether `--dev` opens it.
    #[must_use]
    pub const fn opened_by_dev(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }
}

/// The class of `address`.
#[must_use]
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => first(V4, |net: &Ipv4Net| net.contains(&v4)).unwrap_or(Class::Public),
        IpAddr::V6(v6) => first(V6, |net: &Ipv6Net| net.contains(&v6)).unwrap_or(Class::Reserved),
    }
}

/// The table's first row that fits: narrower blocks stand above wider ones.
fn first<N>(table: &[(N, Class)], fits: impl Fn(&N) -> bool) -> Option<Class> {
    table.iter().find(|(net, _)| fits(net)).map(|(_, class)| *class)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

/// The first three groups of an IPv6 block; the rest is zero.
const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

const V4: &[(Ipv4Net, Class)] = &[
    (v4(169, 254, 169, 254, 32), Class::Metadata),
    (v4(100, 100, 100, 200, 32), Class::Metadata), // Alibaba Cloud
    (v4(168, 63, 129, 16, 32), Class::Metadata),   // Azure: looks public, is the host
    (v4(192, 0, 0, 192, 32), Class::Metadata),     // Oracle Cloud
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::Shared),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 0, 0, 0, 24), Class::Reserved), // IETF protocol assignments
    (v4(192, 0, 2, 0, 24), Class::Documentation),
    (v4(192, 31, 196, 0, 24), Class::Reserved), // AS112
    (v4(192, 52, 193, 0, 24), Class::Reserved), // AMT
    (v4(192, 88, 99, 0, 24), Class::Reserved),  // 6to4 relays
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(192, 175, 48, 0, 24), Class::Reserved), // AS112
    (v4(198, 18, 0, 0, 15), Class::Benchmarking),
    (v4(198, 51, 100, 0, 24), Class::Documentation),
    (v4(203, 0, 113, 0, 24), Class::Documentation),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(240, 0, 0, 0, 4), Class::Reserved), // the limited broadcast address included
];

const V6: &[(Ipv6Net, Class)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), Class::Unspecified),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), Class::Loopback),
    (Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128), Class::Metadata), // Amazon
    (Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128), Class::Metadata),  // Google
    (v6(0xfc00, 0, 0, 7), Class::UniqueLocal),
    (v6(0xfe80, 0, 0, 10), Class::LinkLocal),
    (v6(0xfec0, 0, 0, 10), Class::Reserved), // site-local, deprecated
    (v6(0xff00, 0, 0, 8), Class::Multicast),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), Class::Embedded), // mapped
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), Class::Embedded),                      // compatible, deprecated
    (v6(0x64, 0xff9b, 0, 96), Class::Embedded),                                             // NAT64
    (v6(0x64, 0xff9b, 1, 48), Class::Embedded),                                             // NAT64, local use
    (v6(0x2001, 0, 0, 32), Class::Embedded),                                                // Teredo
    (v6(0x2002, 0, 0, 16), Class::Embedded),                                                // 6to4
    (v6(0x2001, 2, 0, 48), Class::Benchmarking),
    (v6(0x2001, 0, 0, 23), Class::Reserved), // IETF protocol assignments
    (v6(0x2001, 0xdb8, 0, 32), Class::Documentation),
    (v6(0x3fff, 0, 0, 20), Class::Documentation),
    (v6(0x2620, 0x4f, 0x8000, 48), Class::Reserved), // AS112
    // What the regional registries have been given, rounded up a little. Everything
    // that is in no row is reserved.
    (v6(0x2001, 0, 0, 16), Class::Public),
    (v6(0x2003, 0, 0, 18), Class::Public),
    (v6(0x2400, 0, 0, 11), Class::Public),
    (v6(0x2600, 0, 0, 10), Class::Public),
    (v6(0x2800, 0, 0, 12), Class::Public),
    (v6(0x2a00, 0, 0, 11), Class::Public),
    (v6(0x2c00, 0, 0, 12), Class::Public),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(address: &str, want: Class) {
        assert_eq!(classify(address.parse().unwrap()), want, "{address}");
    }

    #[test]
    fn edges_of_the_ipv4_blocks() {
        check("0.255.255.255", Class::Unspecified);
        check("1.0.0.0", Class::Public);
        check("9.255.255.255", Class::Public);
        check("10.0.0.0", Class::Private);
        check("11.0.0.0", Class::Public);
        check("100.63.255.255", Class::Public);
        check("100.64.0.0", Class::Shared);
        check("100.100.100.200", Class::Metadata);
        check("100.127.255.255", Class::Shared);
        check("100.128.0.0", Class::Public);
        check("126.255.255.255", Class::Public);
        check("127.255.255.255", Class::Loopback);
        check("168.63.129.16", Class::Metadata);
        check("169.253.255.255", Class::Public);
        check("169.254.0.0", Class::LinkLocal);
        check("169.254.169.254", Class::Metadata);
        check("172.15.255.255", Class::Public);
        check("172.16.0.0", Class::Private);
        check("172.31.255.255", Class::Private);
        check("172.32.0.0", Class::Public);
        check("192.0.0.9", Class::Reserved);
        check("192.0.1.0", Class::Public);
        check("192.0.2.1", Class::Documentation);
        check("192.88.99.1", Class::Reserved);
        check("192.167.255.255", Class::Public);
        check("192.168.0.0", Class::Private);
        check("198.17.255.255", Class::Public);
        check("198.19.255.255", Class::Benchmarking);
        check("223.255.255.255", Class::Public);
        check("224.0.0.1", Class::Multicast);
        check("255.255.255.255", Class::Reserved);
    }

    #[test]
    fn edges_of_the_ipv6_blocks() {
        check("::", Class::Unspecified);
        check("::1", Class::Loopback);
        check("::2", Class::Embedded);
        check("::ffff:8.8.8.8", Class::Embedded);
        check("::ffff:0:8.8.8.8", Class::Reserved);
        check("64:ff9b::8.8.8.8", Class::Embedded);
        check("64:ff9b:1::1", Class::Embedded);
        check("100::1", Class::Reserved);
        check("2001::1", Class::Embedded);
        check("2001:2::1", Class::Benchmarking);
        check("2001:20::1", Class::Reserved);
        check("2001:1ff:ffff::1", Class::Reserved);
        check("2001:200::1", Class::Public);
        check("2001:4860:4860::8888", Class::Public);
        check("2001:db8::1", Class::Documentation);
        check("2002:7f00:1::1", Class::Embedded);
        check("2003::1", Class::Public);
        check("2003:4000::1", Class::Reserved);
        check("2606:4700:4700::1111", Class::Public);
        check("2620:4f:8000::1", Class::Reserved);
        check("2a01:4f8::1", Class::Public);
        check("2c0f:f248::1", Class::Public);
        check("2d00::1", Class::Reserved);
        check("3000::1", Class::Reserved);
        check("3fff:fff::1", Class::Documentation);
        check("4000::1", Class::Reserved);
        check("5f00::1", Class::Reserved);
        check("fc00::1", Class::UniqueLocal);
        check("fd00:ec2::254", Class::Metadata);
        check("fd00:ec2::253", Class::UniqueLocal);
        check("fe80::1", Class::LinkLocal);
        check("fec0::1", Class::Reserved);
        check("ff02::1", Class::Multicast);
    }

    /// An oracle of its own: no table, no prefix type, only comparisons of numbers.
    fn special_v4(address: Ipv4Addr) -> bool {
        let number = u32::from(address);
        let [a, b, c, _] = address.octets();
        let in_range = |from: u32, to: u32| (from..=to).contains(&number);
        a == 0
            || a == 10
            || a == 127
            || a >= 224
            || in_range(0x6440_0000, 0x647f_ffff)
            || (a == 169 && b == 254)
            || in_range(0xac10_0000, 0xac1f_ffff)
            || (a == 192 && b == 168)
            || in_range(0xc612_0000, 0xc613_ffff)
            || matches!(
                (a, b, c),
                (192, 0, 0)
                    | (192, 0, 2)
                    | (192, 31, 196)
                    | (192, 52, 193)
                    | (192, 88, 99)
                    | (192, 175, 48)
                    | (198, 51, 100)
                    | (203, 0, 113)
            )
            || number == 0xa83f_8110
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn ipv4_agrees_with_the_oracle(number: u32) {
            let address = Ipv4Addr::from(number);
            prop_assert_eq!(classify(address.into()) == Class::Public, !special_v4(address));
        }

        #[test]
        fn ipv4_agrees_with_the_oracle_near_the_blocks(at in 0..V4.len(), off in -300_i64..300, last: bool) {
            let edge = if last { V4[at].0.broadcast() } else { V4[at].0.network() };
            let address = Ipv4Addr::from(u32::try_from((i64::from(u32::from(edge)) + off).clamp(0, i64::from(u32::MAX))).unwrap());
            prop_assert_eq!(classify(address.into()) == Class::Public, !special_v4(address));
        }

        #[test]
        fn public_ipv6_is_allocated_global_unicast(number: u128) {
            let address = Ipv6Addr::from(number);
            if classify(address.into()) == Class::Public {
                prop_assert_eq!(number >> 125, 0b001);
                prop_assert!(address.to_ipv4_mapped().is_none());
                prop_assert_ne!(number >> 112, 0x2002);
                prop_assert_ne!(number >> 96, 0x2001_0000);
                prop_assert_ne!(number >> 96, 0x2001_0db8);
            }
        }

        #[test]
        fn no_spelling_of_an_ipv4_address_inside_ipv6_is_public(number: u32) {
            for prefix in [0, 0xffff_u128 << 32, 0x0064_ff9b << 96] {
                let class = classify(Ipv6Addr::from(prefix | u128::from(number)).into());
                prop_assert!(class != Class::Public);
            }
            let six_to_four = (0x2002_u128 << 112) | (u128::from(number) << 80);
            prop_assert!(classify(Ipv6Addr::from(six_to_four).into()) != Class::Public);
        }
    }
}
