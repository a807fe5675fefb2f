//! Certificates that are right, and all the ways in which they are not.

use super::support::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ringback_egress::Egress;
use ringback_model::delivery::Outcome;
use ringback_ports::{Sender, fake::ScriptedResolver};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{net::IpAddr, sync::Arc};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().der().clone();
    Authority { root, issuer: Issuer::new(params, key) }
}

/// A server with a certificate for `name`, on whose port plain text is not understood.
async fn serve(authority: &Authority, name: &str, expired: bool) -> Server {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap().der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while read_request(&mut stream).await.is_some() {
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

fn resolver() -> Arc<ScriptedResolver> {
    let resolver = ScriptedResolver::new();
    resolver.set("hook.example", [IpAddr::from([127, 0, 0, 1])]);
    Arc::new(resolver)
}

async fn outcome(authority: &Authority, url: &str) -> Outcome {
    let egress = Egress::with_roots(&dev(), resolver(), [authority.root.clone()]).unwrap();
    egress.send(request(url, PATIENT)).await.outcome
}

const TLS: Outcome = Outcome::Failed { status_code: None, reason: "tls", retry_after: None };
const OK: Outcome = Outcome::Delivered { status_code: 200 };

#[tokio::test]
async fn a_good_certificate_of_a_name() {
    let authority = authority();
    let server = serve(&authority, "hook.example", false).await;
    let egress = Egress::with_roots(&dev(), resolver(), [authority.root.clone()]).unwrap();
    let url = format!("https://hook.example.:{}/", server.at.port());
    for _ in 0..2 {
        let answered = egress.send(request(&url, PATIENT)).await;
        assert_eq!(answered.outcome, OK);
        assert_eq!(answered.peer, Some(server.at.to_string()));
    }
    assert_eq!(server.connections(), 1, "used again");
}

#[tokio::test]
async fn a_good_certificate_of_an_address() {
    let authority = authority();
    let server = serve(&authority, "127.0.0.1", false).await;
    assert_eq!(outcome(&authority, &format!("https://{}/", server.at)).await, OK);
}

#[tokio::test]
async fn certificates_that_are_refused() {
    let authority = authority();
    let wrong_name = serve(&authority, "other.example", false).await;
    assert_eq!(outcome(&authority, &format!("https://hook.example:{}/", wrong_name.at.port())).await, TLS);
    let expired = serve(&authority, "hook.example", true).await;
    assert_eq!(outcome(&authority, &format!("https://hook.example:{}/", expired.at.port())).await, TLS);
    let untrusted = serve(&self::authority(), "hook.example", false).await;
    assert_eq!(outcome(&authority, &format!("https://hook.example:{}/", untrusted.at.port())).await, TLS);
}

#[tokio::test]
async fn http_and_https_on_each_others_port() {
    let authority = authority();
    let plain = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let garbage = Server::new(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(outcome(&authority, &format!("https://{}/", garbage.at)).await, TLS);
    let egress = Egress::with_roots(&dev(), resolver(), [authority.root.clone()]).unwrap();
    for url in [format!("https://{}/", plain.at), format!("https://{}/", hangs.local_addr().unwrap())] {
        let answered = egress.send(request(&url, IMPATIENT)).await;
        assert_eq!(answered.outcome, Outcome::Failed { status_code: None, reason: "timeout", retry_after: None });
        assert!(answered.timings.tls.is_some());
    }
    let secure = serve(&authority, "127.0.0.1", false).await;
    let answered = egress.send(request(&format!("http://{}/", secure.at), PATIENT)).await;
    assert!(matches!(answered.outcome, Outcome::Failed { status_code: None, reason: "protocol" | "reset", .. }), "{answered:?}");
}
