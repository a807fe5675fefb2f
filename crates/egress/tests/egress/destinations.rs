//! What may be registered: a table of spellings, for a server and for a laptop.

use super::support::dev;
use ringback_egress::{Egress, EgressConfig, config::Allow};
use ringback_model::key::Authority;
use ringback_ports::{Sender, fake::ScriptedResolver, sender::Destination};
use std::{net::IpAddr, sync::Arc};

const LISTEN: &str = "127.0.0.1:7464";

fn resolver() -> Arc<ScriptedResolver> {
    let resolver = ScriptedResolver::new();
    for (name, addresses) in [
        ("public.example", &["93.184.216.34", "2606:2800:21f::1"][..]),
        ("private.example", &["10.2.0.7"]),
        ("loopback.example", &["127.0.0.1"]),
        ("mixed.example", &["93.184.216.34", "192.168.1.1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("linklocal.example", &["fe80::1"]),
        ("mapped.example", &["::ffff:93.184.216.34"]),
        ("ledger.svc", &["10.2.0.7"]),
        ("redis", &["10.2.0.8"]),
        ("xn--bcher-kva.example", &["93.184.216.34"]),
    ] {
        resolver.set(name, addresses.iter().map(|it| it.parse::<IpAddr>().unwrap()));
    }
    Arc::new(resolver)
}

fn config(dev_mode: bool, allow: &str) -> EgressConfig {
    let base = if dev_mode { dev() } else { EgressConfig::default() };
    let allow: Vec<Allow> = serde_json::from_str(allow).unwrap();
    EgressConfig { listen: vec![LISTEN.parse().unwrap()], allow, ..base }
}

async fn verdict(config: &EgressConfig, url: &str, authority: Authority) -> &'static str {
    match Egress::new(config, resolver()).unwrap().vet(url, authority).await {
        Ok(Destination::Routable) => "ok",
        Ok(Destination::Unresolved) => "unresolved",
        Err(refused) => {
            assert!(!refused.for_tenant.contains("10.2.0"), "a resolved address told to a tenant: {refused:?}");
            assert!(refused.for_tenant.ends_with('.') && refused.for_operator.ends_with(['.']), "{refused:?}");
            refused.reason
        }
    }
}

/// (URL, on a server, under --dev)
const TABLE: &[(&str, &str, &str)] = &[
    // Good ones.
    ("https://public.example/", "ok", "ok"),
    ("https://public.example", "ok", "ok"),
    ("HTTPS://PUBLIC.EXAMPLE/Hook?x=1#y", "ok", "ok"),
    ("https://public.example./", "ok", "ok"),
    ("https://public.example:443/", "ok", "ok"),
    ("https://public.example:8443/", "ok", "ok"),
    ("https://bücher.example/", "ok", "ok"),
    ("https://93.184.216.34/", "ok", "ok"),
    ("https://[2606:2800:21f::1]/", "ok", "ok"),
    ("https://nowhere.example/", "unresolved", "unresolved"),
    // The scheme.
    ("http://public.example/", "scheme", "ok"),
    ("http://93.184.216.34/", "scheme", "ok"),
    ("ftp://public.example/", "scheme", "scheme"),
    ("file:///etc/passwd", "scheme", "scheme"),
    ("gopher://127.0.0.1:6379/_x", "scheme", "scheme"),
    ("javascript:alert(1)", "scheme", "scheme"),
    ("unix:/var/run/docker.sock", "scheme", "scheme"),
    // No URL.
    ("", "url", "url"),
    ("public.example", "url", "url"),
    ("//public.example/", "url", "url"),
    ("/hook", "url", "url"),
    ("https://", "host", "host"),
    ("https:///", "host", "host"),
    ("https://public.example:99999/", "url", "url"),
    ("https://public.example:http/", "url", "url"),
    (" https://public.example/", "url", "url"),
    ("https://public.example/a b", "url", "url"),
    ("https://public.exa\nmple/", "url", "url"),
    ("https://public.example/\u{0}", "url", "url"),
    // The port.
    ("https://public.example:22/", "port", "port"),
    ("https://93.184.216.34:22/", "port", "port"),
    ("https://public.example:80/", "port", "port"),
    ("https://public.example:0/", "port", "port"),
    ("http://public.example:8080/", "scheme", "port"),
    // Who is asked for is plain, or nothing is.
    ("https://user@public.example/", "userinfo", "userinfo"),
    ("https://user:secret@public.example/", "userinfo", "userinfo"),
    ("https://@public.example/", "userinfo", "userinfo"),
    ("https://public.example@127.0.0.1/", "userinfo", "userinfo"),
    ("https://127.0.0.1\\@public.example/", "address", "ok"),
    ("https://[fe80::1%25eth0]/", "zone", "zone"),
    ("https://[fe80::1%eth0]/", "zone", "zone"),
    ("https://a..example/", "host", "host"),
    ("https://.example/", "host", "host"),
    ("https://public.example../", "host", "host"),
    ("https://pub*lic.example/", "host", "host"),
    ("https://exa%2fmple.com/", "host", "host"),
    ("https://1.2.3.4.5/", "host", "host"),
    ("https://256.256.256.256/", "host", "host"),
    ("https://[::1/", "host", "host"),
    // Names that mean something inside only.
    ("https://localhost/", "host", "ok"),
    ("http://localhost:9000/", "scheme", "ok"),
    ("https://LOCALHOST./", "host", "ok"),
    ("https://a.localhost/", "host", "host"),
    ("https://redis/", "host", "host"),
    ("https://printer.local/", "host", "host"),
    ("https://db.internal/", "host", "host"),
    ("https://ledger.svc/", "host", "host"),
    ("https://ledger.svc.cluster/", "host", "host"),
    ("https://router.home.arpa/", "host", "host"),
    ("https://expyuzz4wqqyqhjn.onion/", "host", "host"),
    ("https://internal/", "host", "host"),
    ("https://notlocal.example/", "unresolved", "unresolved"),
    ("https://metadata.google.internal/", "metadata", "metadata"),
    ("https://metadata.goog/", "metadata", "metadata"),
    // Loopback in every spelling.
    ("https://127.0.0.1/", "address", "ok"),
    ("http://127.0.0.1:9000/webhook/payment", "address", "ok"),
    ("https://127.1/", "address", "ok"),
    ("https://0x7f.1/", "address", "ok"),
    ("https://0x7f000001/", "address", "ok"),
    ("https://2130706433/", "address", "ok"),
    ("https://0177.0.0.1/", "address", "ok"),
    ("https://017700000001/", "address", "ok"),
    ("https://127.0.0.1./", "address", "ok"),
    ("https://127.255.255.254/", "address", "ok"),
    ("https://１２７.０.０.１/", "address", "ok"),
    ("https://127。0。0。1/", "address", "ok"),
    ("https://%31%32%37.0.0.1/", "address", "ok"),
    ("https://[::1]/", "address", "ok"),
    ("https://[0:0:0:0:0:0:0:1]/", "address", "ok"),
    ("https://[::ffff:127.0.0.1]/", "address", "address"),
    ("https://[::ffff:7f00:1]/", "address", "address"),
    ("https://[::127.0.0.1]/", "address", "address"),
    ("https://[64:ff9b::7f00:1]/", "address", "address"),
    ("https://[2002:7f00:1::]/", "address", "address"),
    // Private, and what --dev does not open.
    ("https://10.0.0.1/", "address", "ok"),
    ("https://172.16.0.1:9000/", "address", "ok"),
    ("https://192.168.0.1/", "address", "ok"),
    ("https://0/", "address", "address"),
    ("https://0.0.0.0/", "address", "address"),
    ("https://[::]/", "address", "address"),
    ("https://100.64.0.1/", "address", "address"),
    ("https://192.0.2.1/", "address", "address"),
    ("https://198.18.0.1/", "address", "address"),
    ("https://224.0.0.1/", "address", "address"),
    ("https://255.255.255.255/", "address", "address"),
    ("https://[fc00::1]/", "address", "address"),
    ("https://[fe80::1]/", "address", "address"),
    ("https://[ff02::1]/", "address", "address"),
    ("https://[2001:db8::1]/", "address", "address"),
    // Link-local and metadata, never.
    ("http://169.254.169.254/", "metadata", "metadata"),
    ("https://0xa9fea9fe/", "metadata", "metadata"),
    ("https://2852039166/", "metadata", "metadata"),
    ("https://169.254.1.1/", "address", "address"),
    ("https://[fd00:ec2::254]/", "metadata", "metadata"),
    ("https://100.100.100.200/", "metadata", "metadata"),
    ("https://[::ffff:169.254.169.254]/", "address", "address"),
    // Names are judged by every address.
    ("https://private.example/", "address", "ok"),
    ("https://loopback.example/", "address", "ok"),
    ("https://mixed.example/", "address", "ok"),
    ("https://metadata.example/", "metadata", "metadata"),
    ("https://linklocal.example/", "address", "address"),
    ("https://mapped.example/", "address", "address"),
    // Ourselves.
    ("http://127.0.0.1:7464/payment", "own", "own"),
    ("http://localhost:7464/payment", "scheme", "own"),
    ("https://loopback.example:7464/", "port", "own"),
    ("http://127.0.0.1:7465/", "address", "ok"),
];

#[tokio::test]
async fn the_table() {
    let (server, laptop) = (config(false, "[]"), config(true, "[]"));
    let mut wrong = Vec::new();
    for (url, on_server, on_laptop) in TABLE {
        for authority in [Authority::Tenant, Authority::Operator] {
            let got = (verdict(&server, url, authority).await, verdict(&laptop, url, authority).await);
            if got != (*on_server, *on_laptop) {
                wrong.push(format!("{url}: {got:?}, not {:?}", (on_server, on_laptop)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(TABLE.len() >= 60);
    let long = format!("https://public.example/{}", "x".repeat(2_048));
    assert_eq!(verdict(&server, &long, Authority::Operator).await, "url");
}

#[tokio::test]
async fn allow_opens_exactly_what_it_says() {
    let net = r#"[{"net":"10.2.0.0/16"}]"#;
    let ports = r#"[{"net":"127.0.0.0/8","ports":[9000],"http":true}]"#;
    let name = r#"[{"name":"ledger.svc"},{"name":"redis","ports":[6379]}]"#;
    let tenants = r#"[{"net":"10.2.0.0/16","for":"tenant"}]"#;
    let everything = r#"[{"net":"0.0.0.0/0","ports":[80,443,7464],"http":true},{"net":"::/0"},{"name":"metadata.goog"}]"#;
    for (allow, url, operator, tenant) in [
        (net, "https://private.example/", "ok", "address"),
        (net, "https://10.2.255.1/", "ok", "address"),
        (net, "https://10.3.0.1/", "address", "address"),
        (net, "http://10.2.0.7/", "address", "address"),
        (net, "https://10.2.0.7:22/", "address", "address"),
        (net, "https://ledger.svc/", "host", "host"),
        (ports, "http://127.0.0.1:9000/", "ok", "address"),
        (ports, "https://127.0.0.1/", "address", "address"),
        (ports, "http://public.example:9000/", "scheme", "scheme"),
        (ports, "https://public.example:9000/", "port", "port"),
        (ports, "http://loopback.example:9000/", "ok", "scheme"),
        (name, "https://ledger.svc/", "ok", "host"),
        (name, "https://LEDGER.svc./", "ok", "host"),
        (name, "https://redis:6379/", "ok", "port"),
        (name, "https://10.2.0.7/", "address", "address"),
        (name, "https://other.svc/", "host", "host"),
        (tenants, "https://private.example/", "ok", "ok"),
        (everything, "http://169.254.169.254/", "metadata", "metadata"),
        (everything, "https://metadata.goog/", "metadata", "metadata"),
        (everything, "https://169.254.0.1/", "address", "address"),
        (everything, "https://[fe80::1]/", "address", "address"),
        (everything, "https://[::ffff:10.0.0.1]/", "address", "address"),
        (everything, "http://127.0.0.1:7464/", "own", "own"),
    ] {
        let config = config(false, allow);
        let got = (verdict(&config, url, Authority::Operator).await, verdict(&config, url, Authority::Tenant).await);
        assert_eq!(got, (operator, tenant), "{allow} {url}");
    }
}

#[tokio::test]
async fn sentences() {
    let (server, laptop) = (config(false, "[]"), config(true, "[]"));
    let public = "This address isn't reachable from the public internet.";
    for (config, url, operator, tenant) in [
        (
            &server,
            "https://ledger.svc/",
            "`ledger.svc` resolves to 10.2.0.7, a private address. On a laptop start with --dev; on a server add it to egress.allow.",
            public,
        ),
        (
            &server,
            "https://private.example/",
            "`private.example` resolves to 10.2.0.7, a private address. On a laptop start with --dev; on a server add it to egress.allow.",
            public,
        ),
        (
            &server,
            "https://0x7f.1/",
            "127.0.0.1 is a loopback address. On a laptop start with --dev; on a server add it to egress.allow.",
            public,
        ),
        (
            &server,
            "https://queue/",
            "`queue` has no dot, so it is no public name. Use a public name, or add it to egress.allow: name = \"queue\".",
            public,
        ),
        (&server, "https://[fc00::1]/", "[fc00::1] is a private address. Add it to egress.allow.", public),
        (
            &laptop,
            "http://169.254.169.254/",
            "169.254.169.254 is a cloud metadata address. Such addresses are never called: use one that is public.",
            public,
        ),
        (
            &laptop,
            "http://127.0.0.1:7464/",
            "127.0.0.1 is where this server itself listens on port 7464. Use the receiver's address and port.",
            public,
        ),
        (
            &server,
            "http://public.example/",
            "Plain http isn't called: use https. On a laptop start with --dev; on a server add it to egress.allow with http = true.",
            "Plain http isn't called: use https.",
        ),
        (
            &server,
            "https://93.184.216.34:22/",
            "Port 22 isn't called: use one of 443, 8443. To open it, add it to egress.ports.",
            "Port 22 isn't called: use one of 443, 8443.",
        ),
    ] {
        let refused = Egress::new(config, resolver()).unwrap().vet(url, Authority::Operator).await.unwrap_err();
        assert_eq!((refused.for_operator.as_str(), refused.for_tenant.as_str()), (operator, tenant), "{url}");
    }
}

#[tokio::test]
async fn a_tenants_private_names_are_not_even_looked_up() {
    let resolver = resolver();
    let egress = Egress::new(&config(false, "[]"), resolver.clone()).unwrap();
    for url in ["https://ledger.svc/", "https://redis/", "https://localhost/", "https://10.0.0.1/"] {
        assert!(egress.vet(url, Authority::Tenant).await.is_err());
    }
    assert!(resolver.asked().is_empty());
}
