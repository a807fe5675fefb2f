//! Names that change their mind, over real DNS.

use super::support::*;
use ringback_egress::{DnsResolver, Egress, EgressConfig};
use ringback_model::{delivery::Outcome, key::Authority};
use ringback_ports::{Resolve, Sender, fake::ScriptedResolver, resolve::ResolveError, sender::Destination};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::net::{TcpListener, UdpSocket};

const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// A name server that gives every name the same A records, or an error.
struct NameServer {
    at: SocketAddr,
    answer: Arc<Mutex<Result<Vec<Ipv4Addr>, u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    async fn new(first: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Ok(vec![first])));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, names) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((n, from)) = socket.recv_from(&mut query).await {
                let (reply, name) = reply(&query[..n], &answers.lock().unwrap());
                names.lock().unwrap().push(name);
                let _ = socket.send_to(&reply, from).await;
            }
        });
        Self { at, answer, asked }
    }

    fn set(&self, answer: Result<Vec<Ipv4Addr>, u8>) {
        *self.answer.lock().unwrap() = answer;
    }
}

/// RFC 1035, section 4: the query's header and question, then the records.
fn reply(query: &[u8], answer: &Result<Vec<Ipv4Addr>, u8>) -> (Vec<u8>, String) {
    let (mut at, mut name) = (12, String::new());
    while query[at] != 0 {
        let label = &query[at + 1..at + 1 + usize::from(query[at])];
        name.push_str(std::str::from_utf8(label).unwrap());
        name.push('.');
        at += 1 + label.len();
    }
    let question = &query[12..at + 5];
    let is_a = query[at + 1..at + 3] == [0, 1];
    let (records, code) = match answer {
        Ok(records) if is_a => (records.as_slice(), 0),
        Ok(_) => (&[][..], 0),
        Err(code) => (&[][..], *code),
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(question);
    for record in records {
        // A pointer to the question's name, A, IN, an hour, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4]);
        reply.extend(record.octets());
    }
    (reply, name)
}

#[tokio::test]
async fn a_name_that_turns_private_later_is_refused_at_the_dial() {
    let dns = NameServer::new(PUBLIC).await;
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    let config = EgressConfig { nameservers: vec![dns.at], ports: vec![port], ..EgressConfig::default() };
    let egress = Egress::open(&config).unwrap();
    let url = format!("https://shop.example:{port}/");
    assert_eq!(egress.vet(&url, Authority::Tenant).await, Ok(Destination::Routable));

    // The record was good for an hour: it is asked for again all the same.
    dns.set(Ok(vec![Ipv4Addr::LOCALHOST]));
    let answered = egress.send(request(&url, PATIENT)).await;
    assert_eq!(answered.outcome, Outcome::Unroutable { reason: "refused" });
    assert_eq!((answered.peer, answered.response), (None, None));
    let refused = egress.vet(&url, Authority::Operator).await.unwrap_err();
    assert_eq!(
        refused.for_operator,
        "`shop.example` resolves to 127.0.0.1, a loopback address. On a laptop start with --dev; on a server add it to egress.allow."
    );
    assert_eq!(refused.for_tenant, "This address isn't reachable from the public internet.");

    // One bad address among good ones suffices.
    dns.set(Ok(vec![PUBLIC, Ipv4Addr::LOCALHOST]));
    assert_eq!(egress.send(request(&url, PATIENT)).await.outcome, Outcome::Unroutable { reason: "refused" });

    assert!(dns.asked.lock().unwrap().iter().all(|it| it == "shop.example."), "no search domain is tried");
    drop(egress);
    assert_nobody_called(victim).await;
}

#[tokio::test]
async fn errors_of_name_servers() {
    let dns = NameServer::new(PUBLIC).await;
    let resolver = DnsResolver::new(&[dns.at]).unwrap();
    assert_eq!(resolver.resolve("a.example").await, Ok(vec![PUBLIC.into()]));
    dns.set(Ok(vec![]));
    assert_eq!(resolver.resolve("a.example").await, Err(ResolveError::NotFound));
    dns.set(Err(3));
    assert_eq!(resolver.resolve("a.example").await, Err(ResolveError::NotFound));
    let egress = Egress::open(&EgressConfig { nameservers: vec![dns.at], ..EgressConfig::default() }).unwrap();
    assert_eq!(egress.vet("https://a.example/", Authority::Tenant).await, Ok(Destination::Unresolved));
    assert_eq!(egress.send(request("https://a.example/", PATIENT)).await.outcome, Outcome::Unroutable { reason: "unresolved" });
    dns.set(Err(2));
    assert!(matches!(resolver.resolve("a.example").await, Err(ResolveError::Unavailable(_))));
}

#[tokio::test]
async fn rebinding_between_registration_and_dial() {
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    let resolver = Arc::new(ScriptedResolver::new());
    resolver.then("rebind.example", Ok(vec![PUBLIC.into()]));
    resolver.then("rebind.example", Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let egress = Egress::new(&EgressConfig { ports: vec![port], ..EgressConfig::default() }, resolver).unwrap();
    let url = format!("https://rebind.example:{port}/");
    assert_eq!(egress.vet(&url, Authority::Tenant).await, Ok(Destination::Routable));
    assert_eq!(egress.send(request(&url, PATIENT)).await.outcome, Outcome::Unroutable { reason: "refused" });
    assert_nobody_called(victim).await;
}

/// What the victim is for: a client that vets one answer of the resolver and dials the next one reaches it.
#[tokio::test]
async fn who_resolves_again_after_vetting_is_caught() {
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    let resolver = ScriptedResolver::new();
    resolver.then("rebind.example", Ok(vec![PUBLIC.into()]));
    resolver.then("rebind.example", Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let vetted = resolver.resolve("rebind.example").await.unwrap();
    assert_eq!(vetted, [IpAddr::from(PUBLIC)], "this may be called");
    let dialled = resolver.resolve("rebind.example").await.unwrap();
    let _called = tokio::net::TcpStream::connect((dialled[0], port)).await.unwrap();
    assert!(!nobody_called(victim).await, "the judge sees it");
}

async fn assert_nobody_called(listener: TcpListener) {
    assert!(nobody_called(listener).await);
}

/// Whether the first connection that is accepted is our own: nothing was waiting before it.
async fn nobody_called(listener: TcpListener) -> bool {
    let ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, first) = listener.accept().await.unwrap();
    first == ours.local_addr().unwrap()
}
