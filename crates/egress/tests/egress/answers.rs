//! What comes back, and what it means.

use super::support::*;
use bytes::Bytes;
use ringback_egress::{Egress, EgressConfig};
use ringback_model::{delivery::Outcome, key::Authority};
use ringback_ports::{
    Sender,
    fake::ScriptedResolver,
    resolve::ResolveError,
    sender::{Answered, PushRequest},
};
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc};

fn show(answered: &Answered) -> String {
    match &answered.outcome {
        Outcome::Delivered { status_code } => format!("delivered {status_code}"),
        Outcome::Failed { status_code, reason, retry_after } => {
            let status = status_code.map_or(String::new(), |it| format!(" {it}"));
            let after = retry_after.map_or(String::new(), |it| format!(" after {}", it.as_secs()));
            format!("failed {reason}{status}{after}")
        }
        Outcome::Unknown => "unknown".to_owned(),
        Outcome::Unroutable { reason } => format!("unroutable {reason}"),
    }
}

async fn check(answer: &'static str, want: &str) -> Answered {
    let server = Server::answering(answer).await;
    let answered = egress().send(request(&server.url(), PATIENT)).await;
    assert_eq!(show(&answered), want, "{answer}");
    assert_eq!(answered.peer, Some(server.at.to_string()));
    assert_eq!(server.connections(), 1, "never sent twice");
    answered
}

#[tokio::test]
async fn statuses() {
    let ok = check("HTTP/1.1 200 OK\r\nx-a: b\r\nset-cookie: s=canary\r\ncontent-length: 5\r\n\r\nhello", "delivered 200").await;
    let excerpt = ok.response.unwrap();
    assert_eq!((excerpt.body.as_str(), excerpt.truncated), ("hello", false));
    assert!(excerpt.headers.contains(&("x-a".to_owned(), "b".to_owned())));
    assert!(!format!("{:?}", excerpt.headers).contains("canary"));
    check("HTTP/1.1 204 No Content\r\n\r\n", "delivered 204").await;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", "delivered 202").await;
    check("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", "failed gone 410").await;
    check("HTTP/1.1 429 Slow\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n", "failed status 429 after 90").await;
    check("HTTP/1.1 429 Slow\r\nretry-after: Thu, 01 Jan 2099 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n", "failed status 429 after 86400")
        .await;
    check("HTTP/1.1 503 Busy\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n", "failed status 503").await;
    let error = check("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 4\r\n\r\nwhy?", "failed status 500").await;
    assert_eq!(error.response.unwrap().body, "why?");
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n", "delivered 200").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let server = Server::answering(answer).await;
    let answered = egress().send(request(&server.url(), PATIENT)).await;
    assert_eq!(show(&answered), "failed redirect 302");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let (sent, mut received) = mpsc::unbounded_channel();
    let server = Server::new(move |mut stream, _| {
        let sent = sent.clone();
        async move {
            sent.send(read_request(&mut stream).await.unwrap()).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    egress().send(request(&server.url(), PATIENT)).await;
    let received = received.recv().await.unwrap();
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hook?a=1 HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.at);
    assert_eq!(lines, ["accept-encoding: identity", "content-length: 7", "content-type: application/json", &host, "webhook-id: evt_1"]);
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn nonsense_is_a_protocol_error() {
    check("SSH-2.0-OpenSSH_9.9\r\n", "failed protocol").await;
    check("HTTP/2.0 200 OK\r\n\r\n", "failed protocol").await;
    check("HTTP/1.1 abc\r\n\r\n", "failed protocol").await;
    let many: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101)).into_boxed_str());
    check(many, "failed protocol").await;
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let server = Server::new(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'y'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(show(&egress().send(request(&server.url(), PATIENT)).await), "failed protocol");
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_the_status_counts() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let server = Server::new(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
            while stream.write_all(&[b'y'; 4096]).await.is_ok() {}
            closed.send(()).unwrap();
        }
    })
    .await;
    let egress = egress();
    let answered = egress.send(request(&server.url(), PATIENT)).await;
    assert_eq!(show(&answered), "delivered 200");
    let excerpt = answered.response.unwrap();
    assert_eq!((excerpt.body.len(), excerpt.truncated), (4096, true));
    assert_eq!(egress.idle_connections(), 0);
    was_closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_body_that_stalls_or_breaks_off_leaves_the_status() {
    for then_close in [true, false] {
        let server = Server::new(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart").await;
            if !then_close {
                read_request(&mut stream).await;
            }
        })
        .await;
        let answered = egress().send(request(&server.url(), if then_close { PATIENT } else { IMPATIENT })).await;
        assert_eq!(show(&answered), "delivered 200");
        let excerpt = answered.response.unwrap();
        assert_eq!((excerpt.body.as_str(), excerpt.truncated), ("part", true));
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_a_reset() {
    for reset in [true, false] {
        let server = Server::new(move |mut stream, _| async move {
            read_request(&mut stream).await;
            if reset {
                stream.set_zero_linger().unwrap();
            }
        })
        .await;
        assert_eq!(show(&egress().send(request(&server.url(), PATIENT)).await), "failed reset");
        assert_eq!(server.connections(), 1, "never sent twice");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(show(&egress().send(request(&url, PATIENT)).await), "failed connect");
}

#[tokio::test]
async fn silence_after_the_request_leaves_it_unknown() {
    // The kernel accepts for a listener that never does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answered = egress().send(request(&url, IMPATIENT)).await;
    assert_eq!(show(&answered), "unknown");
    assert!(answered.timings.connect.is_some() && answered.timings.first_byte.is_none());

    // So does a head that is begun and never ended.
    let server = Server::new(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-a: ").await;
        read_request(&mut stream).await;
    })
    .await;
    assert_eq!(show(&egress().send(request(&server.url(), IMPATIENT)).await), "unknown");
}

#[tokio::test]
async fn a_request_that_is_never_read_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // More than both kernel buffers hold.
    let body = Bytes::from(vec![b'x'; 64 * 1024 * 1024]);
    let answered = egress().send(PushRequest { body, ..request(&url, IMPATIENT) }).await;
    assert_eq!(show(&answered), "failed timeout");
}

#[tokio::test]
async fn names_that_bring_no_address() {
    #[derive(Debug)]
    struct Never;
    #[async_trait::async_trait]
    impl ringback_ports::Resolve for Never {
        async fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
            std::future::pending().await
        }
    }
    let never = Egress::new(&EgressConfig::default(), Arc::new(Never)).unwrap();
    assert_eq!(show(&never.send(request("https://a.example/", IMPATIENT)).await), "failed timeout");

    let resolver = Arc::new(ScriptedResolver::new());
    resolver.then("broken.example", Err(ResolveError::Unavailable("refused".to_owned())));
    let egress = Egress::new(&EgressConfig::default(), resolver).unwrap();
    assert_eq!(show(&egress.send(request("https://gone.example/", PATIENT)).await), "unroutable unresolved");
    assert_eq!(show(&egress.send(request("https://broken.example/", PATIENT)).await), "failed connect");
    assert_eq!(show(&egress.send(request("https://10.0.0.1/", PATIENT)).await), "unroutable refused");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let egress = egress();
    for _ in 0..3 {
        let answered = egress.send(request(&server.url(), PATIENT)).await;
        assert_eq!(show(&answered), "delivered 200");
        assert_eq!(egress.idle_connections(), 1);
    }
    assert_eq!(server.connections(), 1);

    // Another authority has its own: what it may call differs.
    egress.send(PushRequest { authority: Authority::Tenant, ..request(&server.url(), PATIENT) }).await;
    assert_eq!((server.connections(), egress.idle_connections()), (2, 2));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let server = Server::new(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    })
    .await;
    let egress = egress();
    for count in 1..4 {
        assert_eq!(show(&egress.send(request(&server.url(), PATIENT)).await), "delivered 200");
        was_closed.recv().await.unwrap();
        look_at_sockets().await;
        assert_eq!(server.connections(), count);
    }
}

#[tokio::test]
async fn a_tenant_learns_nothing_of_a_receiver_that_is_not_public() {
    let server = Server::answering("HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\ncanary").await;
    let answered = egress().send(PushRequest { authority: Authority::Tenant, ..request(&server.url(), PATIENT) }).await;
    assert_eq!(show(&answered), "failed status 500");
    assert_eq!((answered.response, answered.peer), (None, None));
}

#[tokio::test]
async fn headers_that_cannot_be_written_are_not() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut request = request(&server.url(), Duration::from_secs(5));
    request.headers.push(("x-a".to_owned(), "b\r\nx-injected: c".to_owned()));
    assert_eq!(show(&egress().send(request).await), "failed protocol");
    assert_eq!(server.connections(), 0);
}
