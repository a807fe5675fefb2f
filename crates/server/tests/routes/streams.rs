//! HTTP/1 as it comes over a stream, here one in memory.

use crate::world::{World, settle};
use ringback_server::Door;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};

/// A connection to the world's server.
struct Line {
    stream: DuplexStream,
    served: JoinHandle<()>,
}

impl World {
    fn connect(&self) -> Line {
        let (stream, server) = tokio::io::duplex(256 * 1024);
        Line { stream, served: tokio::spawn(self.server.clone().connection(server, Door::Network)) }
    }

    fn head(&self, request_line: &str, more: &str) -> String {
        format!("{request_line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{more}\r\n", self.key)
    }
}

impl Line {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("it is open");
    }

    /// One answer: its status line and body.
    async fn answer(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).expect("text");
        let length = head.lines().find_map(|it| it.to_ascii_lowercase().strip_prefix("content-length: ").map(|it| it.parse::<usize>()));
        let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
        self.stream.read_exact(&mut body).await.expect("a body");
        (head.lines().next().unwrap_or_default().to_owned(), String::from_utf8(body).expect("text"))
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.expect("a clean end");
        String::from_utf8(rest).expect("text")
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let world = World::new().await;
    world.payment("123").await;
    let mut line = world.connect();
    for _ in 0..2 {
        line.send(&world.head("GET /payment/123/status", "")).await;
        let (status, body) = line.answer().await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(body.contains("\"status\":\"created\""), "{body}");
    }
    // Also when they are sent at once.
    line.send(&format!("{}{}", world.head("POST /payment/123/complete", "content-length: 0\r\n"), world.head("GET /payment/123", "")))
        .await;
    assert!(line.answer().await.1.contains("\"status\":\"completed\""));
    assert!(line.answer().await.1.contains("\"status\":\"completed\""));
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_ends() {
    let world = World::new().await;
    for (sent, want) in [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000)), "HTTP/1.1 431 "),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)), "HTTP/1.1 431 "),
    ] {
        let mut line = world.connect();
        line.send(&sent).await;
        let rest = line.rest().await;
        assert!(rest.starts_with(want), "{rest}");
        line.served.await.expect("it ended");
    }
}

/// A head that is a little too large gets its problem document.
#[tokio::test]
async fn limits_of_heads_are_told() {
    let world = World::new().await;
    for (sent, want) in [
        (world.head("GET /payment", &format!("x: {}\r\n", "a".repeat(16 * 1024))), "headers-too-large"),
        (world.head(&format!("GET /payment?after={}", "a".repeat(8 * 1024)), ""), "uri-too-long"),
    ] {
        let mut line = world.connect();
        line.send(&sent).await;
        let (_, body) = line.answer().await;
        assert!(body.contains(want), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read_on() {
    let world = World::new().await;
    let mut line = world.connect();
    line.send(&world.head("POST /v1/events", "content-length: 104857600\r\nexpect: 100-continue\r\n")).await;
    assert_eq!(line.answer().await.0, "HTTP/1.1 413 Payload Too Large");
    line.served.await.expect("it ended");
    // One that does not say how large it is.
    let mut line = world.connect();
    line.send(&world.head("POST /v1/events", "transfer-encoding: chunked\r\n")).await;
    for _ in 0..17 {
        let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "a".repeat(64 * 1024));
        if line.stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(line.answer().await.0, "HTTP/1.1 413 Payload Too Large");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let world = World::new().await;
    let mut line = world.connect();
    line.send(&world.head("POST /v1/events", "content-length: 100\r\n")).await;
    line.send("{\"type\":").await;
    settle().await;
    world.clock.advance(Duration::from_secs(31));
    let (status, body) = line.answer().await;
    assert_eq!(status, "HTTP/1.1 408 Request Timeout");
    assert!(body.contains("within 30 s"), "{body}");
}

#[tokio::test]
async fn who_goes_away_while_waiting_makes_room() {
    let world = World::with(1).await;
    let mut line = world.connect();
    line.send(&world.head("GET /v1/events?after=now&wait=60", "")).await;
    settle().await;
    assert_eq!(world.get("/v1/events?after=now&wait=60").await.code(), "429 too-many-waiters");
    drop(line.stream);
    line.served.await.expect("it ended");
    let waiting = tokio::spawn(world.get("/v1/events?after=now&wait=60").into_future());
    settle().await;
    assert!(!waiting.is_finished(), "it waits now");
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(waiting.await.expect("it ends").status, 200);
}

#[tokio::test]
async fn at_the_end_idle_connections_close_and_waiting_ones_are_answered() {
    let world = World::new().await;
    let mut idle = world.connect();
    idle.send(&world.head("GET /livez", "")).await;
    idle.answer().await;
    let mut waiting = world.connect();
    waiting.send(&world.head("GET /v1/events?after=now&wait=60", "")).await;
    settle().await;
    world.server.drain();
    assert_eq!(idle.rest().await, "");
    let rest = waiting.rest().await;
    assert!(rest.starts_with("HTTP/1.1 200 OK") && rest.contains("\"data\":[]"), "{rest}");
    idle.served.await.expect("it ended");
    waiting.served.await.expect("it ended");
}

/// A head that stops half-way is told so; who never began one is not.
#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_told_so() {
    let world = World::new().await;
    for begun in ["GET /payme", "GET /payment HTTP/1.1\r\nhost: x\r\nauthor", "PRI"] {
        let mut line = world.connect();
        line.send(begun).await;
        let rest = line.rest().await;
        assert!(rest.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{begun}: {rest}");
        assert!(rest.contains("\"code\":\"request-timeout\"") && rest.contains("within 10 s"), "{rest}");
        assert!(rest.contains("connection: close\r\n") && rest.contains("x-request-id: req_"), "{rest}");
        line.served.await.expect("it ended");
    }
    let mut silent = world.connect();
    assert_eq!(silent.rest().await, "");
    // One that was answered and goes on with half a head.
    let mut line = world.connect();
    line.send(&world.head("GET /livez", "")).await;
    assert_eq!(line.answer().await.0, "HTTP/1.1 200 OK");
    line.send("GET /livez HTTP/1.1\r\n").await;
    assert!(line.rest().await.starts_with("HTTP/1.1 408 "));
    let mut idle = world.connect();
    idle.send(&world.head("GET /livez", "")).await;
    idle.answer().await;
    assert_eq!(idle.rest().await, "", "who waits for nothing is told nothing");
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let world = World::new().await;
    let mut line = world.connect();
    line.send("GET /livez HTTP/1.1\r\n\r\n").await;
    let (status, body) = line.answer().await;
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert!(body.contains("`Host` header"), "{body}");
    // HTTP/1.0 had none.
    let mut line = world.connect();
    line.send("GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(line.answer().await.0, "HTTP/1.0 200 OK");
}
