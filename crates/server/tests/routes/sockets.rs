//! The accept loop, over loopback and a Unix socket.

use crate::world::World;
use ringback_server::{Cors, Limits, Listener, Server, serve};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Asks and reads the whole answer; the connection is given up.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &str) -> String {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn start(world: &World, listener: Listener, limits: Limits) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let service = world.service.clone();
    let served = tokio::spawn(serve(vec![listener], service, limits, Cors::default(), async {
        let _ = stopped.await;
    }));
    (stop, served)
}

#[tokio::test]
async fn tcp_is_for_those_with_a_key() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, served) = start(&world, Listener::Tcp(listener), Limits::default());
    assert!(ask(TcpStream::connect(address).await.expect("it listens"), "/livez").await.ends_with("\r\n\r\nok"));
    assert!(ask(TcpStream::connect(address).await.expect("it listens"), "/v1/tenants").await.starts_with("HTTP/1.1 401 "));
    stop.send(()).expect("it runs");
    served.await.expect("it ended");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_socket_is_for_the_operator() {
    let world = World::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ringback.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (stop, served) = start(&world, Listener::Unix(listener), Limits::default());
    let answer = ask(UnixStream::connect(&path).await.expect("it listens"), "/v1/tenants").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"id\":\"default\""), "{answer}");
    stop.send(()).expect("it runs");
    served.await.expect("it ended");
}

#[tokio::test]
async fn one_connection_more_than_there_may_be_waits_for_another_to_end() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, served) = start(&world, Listener::Tcp(listener), Limits { connections_max: 1, ..Limits::default() });
    let mut first = TcpStream::connect(address).await.expect("it listens");
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is open");
    let mut begin = [0; 15];
    first.read_exact(&mut begin).await.expect("an answer");
    let second = tokio::spawn(async move { ask(TcpStream::connect(address).await.expect("the system takes it"), "/livez").await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!second.is_finished(), "there is no room for it yet");
    drop(first);
    assert!(second.await.expect("it ends").ends_with("\r\n\r\nok"));
    stop.send(()).expect("it runs");
    served.await.expect("it ended");
}

/// What does not end by itself is ended.
#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let world = World::new().await;
    let server = Server::new(world.service.clone(), Limits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, served) = start(&world, Listener::Tcp(listener), server.limits());
    let mut stuck = TcpStream::connect(address).await.expect("it listens");
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\n\r\n", world.key);
    stuck.write_all(head.as_bytes()).await.expect("it is open");
    // Once the body is awaited, its deadline is known to the clock.
    while world.clock.next_wake().is_none_or(|it| it != ringback_model::Timestamp::from_secs(1_795_458_284 + 30)) {
        tokio::task::yield_now().await;
    }
    stop.send(()).expect("it runs");
    while world.clock.next_wake().is_none_or(|it| it != ringback_model::Timestamp::from_secs(1_795_458_284 + 25)) {
        tokio::task::yield_now().await;
    }
    world.clock.advance(server.limits().drain);
    served.await.expect("it ended");
    let mut rest = Vec::new();
    assert!(stuck.read_to_end(&mut rest).await.is_err() || rest.is_empty());
}

/// What can't be read as HTTP is told so, in a form that a program reads.
#[tokio::test]
async fn what_is_no_http_gets_a_problem_document() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, served) = start(&world, Listener::Tcp(listener), Limits::default());
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    for (sent, status, code) in [
        ("hello\r\n\r\n", 400, "bad-parameter"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad-parameter"),
        ("GET /\u{7f} HTTP/1.1\r\nhost: x\r\n\r\n", 400, "bad-parameter"),
        // HTTP/2 with prior knowledge.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad-parameter"),
        ("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "bad-parameter"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}", 400, "bad-parameter"),
        (long.as_str(), 431, "headers-too-large"),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let _ = stream.write_all(sent.as_bytes()).await;
        let mut answer = Vec::new();
        // A client that has sent more than was read is cut off after its answer.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:.40?}: {answer}");
        assert!(
            head.contains("content-type: application/problem+json") && head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(status)));
        assert!(head.contains(&format!("x-request-id: {}", problem["request_id"].as_str().expect("an id"))), "{answer}");
    }
    // One that can be read is left as it is, and what follows it is answered, too.
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is open");
    let mut first = vec![0; 4_096];
    let n = stream.read(&mut first).await.expect("an answer");
    assert!(String::from_utf8_lossy(&first[..n]).starts_with("HTTP/1.1 401 "));
    stream.write_all(b"nonsense\r\n\r\n").await.expect("it is open");
    let mut second = String::new();
    stream.read_to_string(&mut second).await.expect("an answer");
    assert!(second.starts_with("HTTP/1.1 400 ") && second.contains("\"code\":\"bad-parameter\""), "{second}");
    stop.send(()).expect("it runs");
    served.await.expect("it ended");
}
