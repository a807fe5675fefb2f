//! The client against a small server on loopback, a Unix socket and TLS: what is sent, what is kept,
//! what is sent again and what is not.
#![expect(
    clippy::expect_used,
    reason = "a test may stop at what it can't do; the lint's own exception covers only functions marked as tests"
)]

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ringback_client::{Client, ClientError, EventFilter, RESPONSE_BYTES_MAX, Target};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};

/// What the server saw: connection number and request line with the headers that matter.
type Seen = Arc<Mutex<Vec<String>>>;

/// Echoes what it was asked; `/problem`, `/pages` and `/close` are special.
async fn answer(connection: usize, seen: Seen, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or("-").to_owned();
    let line = format!("{} {}", head.method, head.uri);
    seen.lock().expect("no panic elsewhere").push(format!("{connection}: {line}"));
    let reply = |status: u16, body: Value| Response::builder().status(status).body(Full::from(body.to_string())).expect("a response");
    Ok(match head.uri.path() {
        "/problem" => reply(409, json!({"code":"conflict","detail":"No.","request_id":"req_1","retryable":false})),
        "/empty" => Response::builder().status(204).body(Full::default()).expect("a response"),
        "/v1/events" => {
            let after: u32 = head.uri.query().and_then(|it| it.split("after=").nth(1)?.split('&').next()?.parse().ok()).unwrap_or(0);
            let data: Vec<_> = if after >= 4 { vec![] } else { (after + 1..=after + 2).map(|n| json!({"sequence": n})).collect() };
            let cursor = after + u32::try_from(data.len()).unwrap_or(0);
            reply(200, json!({"data": data, "cursor": cursor.to_string(), "has_more": false, "lag": 0}))
        }
        "/payment/1/status" => reply(200, json!({"id": "1", "status": "processing", "done": false, "next": ["complete"]})),
        "/payment/2/status" => reply(200, json!({"id": "2", "status": "completed", "done": true, "next": ["refund"]})),
        "/close" => Response::builder().header("connection", "close").body(Full::from("{}")).expect("a response"),
        _ => reply(
            200,
            json!({
                "line": line, "host": header("host"), "authorization": header("authorization"), "tenant": header("ringback-tenant"),
                "content_type": header("content-type"), "key": header("idempotency-key"), "accept": header("accept"),
                "body": String::from_utf8_lossy(&body),
            }),
        ),
    })
}

async fn serve(connection: usize, seen: Seen, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(move |request| answer(connection, seen.clone(), request));
    // How a connection ends is the client's business in these tests.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn start() -> (Target, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::parse(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a target");
    let seen = Seen::default();
    let log = seen.clone();
    tokio::spawn(async move {
        let mut n = 0;
        while let Ok((stream, _)) = listener.accept().await {
            n += 1;
            tokio::spawn(serve(n, log.clone(), stream));
        }
    });
    (target, seen)
}

/// Takes the `n`-th connection, reads one request, then does as told.
async fn scripted(script: &'static [Option<&'static str>]) -> (Target, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::parse(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a target");
    let seen = Seen::default();
    let log = seen.clone();
    tokio::spawn(async move {
        for (n, step) in script.iter().enumerate() {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            for reply in step.iter().copied().chain([""]) {
                let mut bytes = Vec::new();
                while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
                    let mut chunk = [0; 1024];
                    let Ok(read @ 1..) = stream.read(&mut chunk).await else { break };
                    bytes.extend(chunk.iter().take(read));
                }
                let text = String::from_utf8_lossy(&bytes).to_lowercase();
                let key = text.lines().find_map(|it| it.strip_prefix("idempotency-key: ")).unwrap_or("-").to_owned();
                log.lock().expect("no panic elsewhere").push(format!("{n}: {} key {key}", text.lines().next().unwrap_or("nothing")));
                if reply.is_empty() {
                    break; // reads the request and hangs up: sent, never answered
                }
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        }
    });
    (target, seen)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn seen(it: &Seen) -> Vec<String> {
    it.lock().expect("no panic elsewhere").clone()
}

#[tokio::test]
async fn a_request_carries_key_tenant_type_and_idempotency_key() {
    let (target, _) = start().await;
    let host = target.to_string().replace("http://", "");
    let client = Client::new(target, Some("rbk_x".into())).tenant(Some("acme".into())).idempotency(|| "k1".into());
    assert_eq!(
        client.post("/payment?dry=1", Some(&json!({"amount": 1}))).await.expect("an answer"),
        json!({
            "line": "POST /payment?dry=1", "host": host, "authorization": "Bearer rbk_x", "tenant": "acme",
            "content_type": "application/json", "key": "k1", "accept": "application/json", "body": "{\"amount\":1}",
        })
    );
    let read = client.get("/payment").await.expect("an answer");
    assert_eq!((&read["key"], &read["content_type"]), (&json!("-"), &json!("-")), "reads need neither");
    let mut own = HeaderMap::new();
    own.insert("idempotency-key", "mine".parse().expect("a value"));
    let answer = client.send(Method::POST, "/payment", own, None).await.expect("an answer").json().expect("JSON");
    assert_eq!(answer["key"], "mine");
    assert_eq!(client.delete("/empty").await.expect("an answer"), Value::Null);
}

#[tokio::test]
async fn the_key_is_never_shown() {
    let client = Client::new(Target::unix("/nowhere"), Some("rbk_secret".into()));
    assert!(!format!("{client:?}").contains("rbk_secret"));
}

#[tokio::test]
async fn one_connection_is_kept_and_replaced_when_closed() {
    let (target, log) = start().await;
    let client = Client::new(target, None);
    for path in ["/a", "/b", "/close", "/c", "/d"] {
        client.get(path).await.expect("an answer");
    }
    assert_eq!(seen(&log), ["1: GET /a", "1: GET /b", "1: GET /close", "2: GET /c", "2: GET /d"]);
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_its_request_id() {
    let (target, _) = start().await;
    let error = Client::new(target, None).post("/problem", None).await.expect_err("a refusal");
    let problem = error.problem().expect("a problem");
    assert_eq!((problem.status, problem.code.as_str(), problem.request_id.as_deref()), (409, "conflict", Some("req_1")));
    assert!(!error.is_passing());
}

#[tokio::test]
async fn a_read_on_a_dead_kept_connection_is_sent_again() {
    let (target, log) = scripted(&[Some(OK), Some(OK)]).await;
    let client = Client::new(target, None);
    client.get("/1").await.expect("an answer");
    client.get("/2").await.expect("an answer on a second connection");
    assert_eq!(seen(&log).last().map(String::as_str), Some("1: get /2 http/1.1 key -"));
}

#[tokio::test]
async fn a_write_on_a_dead_kept_connection_is_sent_again_only_under_a_key() {
    let (target, log) = scripted(&[Some(OK), Some(OK)]).await;
    let client = Client::new(target, None).idempotency(|| "k".into());
    client.get("/1").await.expect("an answer");
    client.post("/2", None).await.expect("an answer on a second connection");
    assert_eq!(seen(&log).last().map(String::as_str), Some("1: post /2 http/1.1 key k"));

    let (target, log) = scripted(&[Some(OK), Some(OK)]).await;
    let client = Client::new(target, None);
    client.get("/1").await.expect("an answer");
    match client.post("/2", None).await {
        Err(ClientError::Interrupted { .. }) => {}
        other => panic!("without a key nobody may send twice: {other:?}"),
    }
    assert!(seen(&log).iter().all(|it| !it.starts_with("1:")), "{:?}", seen(&log));
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_an_interruption() {
    let (target, _) = scripted(&[None]).await;
    let error = Client::new(target, None).get("/1").await.expect_err("no answer");
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert!(error.is_passing());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let error = Client::new(Target::parse(&address.to_string()).expect("a target"), None).get("/").await.expect_err("nobody");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    let error = Client::new(Target::unix("/nowhere/ringback.sock"), None).get("/").await.expect_err("nobody");
    assert!(error.to_string().contains("unix:/nowhere/ringback.sock can't be reached"), "{error}");
}

#[tokio::test]
async fn silence_times_out() {
    // Accepts by its backlog and never answers: however long the deadline is, it passes.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::parse(&listener.local_addr().expect("an address").to_string()).expect("a target");
    let error = Client::new(target, None).timeout(Duration::from_millis(20)).get("/").await.expect_err("silence");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert!(error.to_string().contains("within 0.02 s"), "{error}");
    drop(listener);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::parse(&listener.local_addr().expect("an address").to_string()).expect("a target");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1);
        let _ = stream.write_all(head.as_bytes()).await;
        let chunk = vec![b' '; 1024 * 1024];
        while stream.write_all(&chunk).await.is_ok() {}
    });
    let error = Client::new(target, None).get("/").await.expect_err("too much");
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_unix_socket_is_a_server_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ringback.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let log = Seen::default();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        serve(1, log, stream).await;
    });
    let answer = Client::new(Target::unix(&path), None).get("/payment/1").await.expect("an answer");
    assert_eq!((&answer["line"], &answer["host"], &answer["authorization"]), (&json!("GET /payment/1"), &json!("localhost"), &json!("-")));
}

#[tokio::test]
async fn tls_checks_the_certificate() {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()))
        .expect("a server configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(1, Seen::default(), stream));
            }
        }
    });
    let target = Target::parse(&format!("https://localhost:{port}/base")).expect("a target");

    let error = Client::new(target.clone(), None).get("/x").await.expect_err("nobody vouches for it");
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.to_string().contains("TLS failed"), "{error}");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let trusting = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let answer = Client::new(target, None).tls(Arc::new(trusting)).get("/x").await.expect("an answer");
    assert_eq!(answer["line"], "GET /base/x");
}

#[tokio::test]
async fn following_reads_every_event_once_and_in_order() {
    let (target, log) = start().await;
    let filter = EventFilter { types: vec!["payment.*".into()], ..EventFilter::default() };
    let mut follow = Client::new(target, None).follow_events("0", filter, 99);
    follow.start().await.expect("a place");
    for n in 1..=4 {
        assert_eq!(follow.next().await.expect("an event")["sequence"], n);
    }
    assert_eq!(follow.cursor(), "4");
    assert_eq!(
        seen(&log),
        ["1: GET /v1/events?after=0&types=payment.*&wait=0", "1: GET /v1/events?after=2&types=payment.*&wait=60"],
        "`wait` is clamped, the cursor carried on"
    );
}

#[tokio::test]
async fn waiting_longer_than_a_minute_is_several_requests() {
    let (target, log) = start().await;
    let client = Client::new(target, None);
    let status = client.wait_status("/payment", "1", "done", 150).await.expect("a status");
    assert_eq!(status["status"], "processing");
    let status = client.wait_status("/payment", "2", "done", 150).await.expect("a status");
    assert_eq!(status["done"], true);
    assert_eq!(
        seen(&log),
        [
            "1: GET /payment/1/status?wait=60&until=done",
            "1: GET /payment/1/status?wait=60&until=done",
            "1: GET /payment/1/status?wait=30&until=done",
            "1: GET /payment/2/status?wait=60&until=done",
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_not() {
    let client = Client::new(Target::unix("/nowhere"), Some("a\nb".into()));
    assert!(matches!(client.get("/").await, Err(ClientError::BadRequest(_))));
    let client = Client::new(Target::unix("/nowhere"), None);
    assert!(matches!(client.get("/a b").await, Err(ClientError::BadRequest(_))));
    let answer = client.request(Method::GET, "/", HeaderMap::new(), Bytes::new()).await.map(|it| it.status);
    assert!(matches!(answer, Err(ClientError::Unreachable { .. })), "{answer:?}");
}
