//! HTTP through our accept loop: any bytes get answers or a closed connection,
//! no answer is a 500, and the next client is served.

use ringback_model::Timestamp;
use ringback_ports::fake::{FakeSeal, ManualClock, MemoryStore, ScriptedSender, SeededEntropy};
use ringback_server::{Cors, Limits, Listener, serve};
use ringback_service::{CompiledType, Config, Deps, Service};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

static WORLD: LazyLock<(Runtime, SocketAddr, String)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let (at, key) = runtime.block_on(async {
        let deps = Deps {
            store: Arc::new(MemoryStore::new()),
            sender: Arc::new(ScriptedSender::new()),
            clock: Arc::new(ManualClock::at(Timestamp::from_secs(1_795_458_284))),
            entropy: Arc::new(SeededEntropy::new(7)),
            seal: Arc::new(FakeSeal::default()),
        };
        let config = Config {
            public_url: "https://api.example.com".into(),
            dev: false,
            user_agent: "Ringback/test".into(),
            slots: 4,
            waiters_max: 100,
            waiters_per_key_max: 100,
            keep_events: std::time::Duration::from_secs(30 * 86_400),
        };
        let payment = json!({ "type": "payment", "lifecycle": "created -> completed" });
        let types = vec![CompiledType::load(&payment).expect("a good type")];
        let service = Service::start(deps, config, types).await.expect("it starts");
        let key = service.first_key(|_| Ok(())).await.expect("a key").expect("the first one");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(serve(vec![Listener::Tcp(listener)], service, Limits::default(), Cors::default(), core::future::pending()));
        (at, key)
    });
    (runtime, at, key)
});

/// `KEY` in the bytes is replaced by a good key.
pub fn run(bytes: &[u8]) {
    let (runtime, at, key) = &*WORLD;
    let bytes = with_key(bytes, key.as_bytes());
    // A wait would be one: the clock stands still.
    if bytes.windows(4).any(|it| it.eq_ignore_ascii_case(b"wait") || it.eq_ignore_ascii_case(b"even") || it.eq_ignore_ascii_case(b"pref")) {
        return;
    }
    let answer = runtime.block_on(async {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    });
    let text = String::from_utf8_lossy(&answer);
    let said = String::from_utf8_lossy(&bytes);
    assert!(answer.is_empty() || text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 "), "{said:?} is answered {text:?}");
    for line in text.lines().filter(|it| it.starts_with("HTTP/1.1 ")) {
        assert!(!line.starts_with("HTTP/1.1 500"), "{said:?} is answered {text:?}");
    }
}

fn with_key(bytes: &[u8], key: &[u8]) -> Vec<u8> {
    match bytes.windows(3).position(|it| it == b"KEY") {
        Some(at) => [&bytes[..at], key, &bytes[at + 3..]].concat(),
        None => bytes.to_vec(),
    }
}
