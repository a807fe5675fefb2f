//! The addresses of this machine, which tenants may not have called.

use std::net::IpAddr;

/// The addresses of all interfaces now; none if the system does not tell. Addresses
/// that a router translates to ours are not among them: nobody here knows those.
#[must_use]
pub(crate) fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        tracing::warn!("the addresses of this machine's interfaces cannot be read, so only its listening address is protected");
        return Vec::new();
    };
    let address = |it: nix::ifaddrs::InterfaceAddress| {
        let address = it.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::from(it.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::from(it.ip())))
    };
    let mut found: Vec<IpAddr> = interfaces.filter_map(address).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_a_loopback() {
        assert!(super::addresses().iter().any(std::net::IpAddr::is_loopback));
    }
}
