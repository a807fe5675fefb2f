//! What a receiver answers: any bytes end in a verdict, and little of them is kept.

use bytes::Bytes;
use core::time::Duration;
use ringback_egress::{Egress, EgressConfig};
use ringback_model::{delivery::Outcome, key::Authority};
use ringback_ports::{Sender, fake::ScriptedResolver, sender::PushRequest};
use std::sync::{Arc, LazyLock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static EGRESS: LazyLock<Egress> = LazyLock::new(|| {
    let config = EgressConfig { dev: true, ..EgressConfig::default() };
    Egress::new(&config, Arc::new(ScriptedResolver::new())).expect("a client")
});

/// The receiver reads the request, answers with these bytes, and closes.
pub fn run(bytes: &[u8]) {
    let answer = Bytes::copy_from_slice(bytes);
    RUNTIME.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let receiver = tokio::spawn(async move {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut read = [0; 4_096];
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // Until the other side has read it all: a close with bytes unread would be a reset.
            while matches!(stream.read(&mut read).await, Ok(1..)) {}
        });
        let request = PushRequest {
            url: format!("http://{at}/hook"),
            authority: Authority::Operator,
            headers: vec![("content-type".into(), "application/json".into()), ("webhook-id".into(), "evt_1".into())],
            body: Bytes::from_static(b"{}"),
            timeout: Duration::from_secs(20),
        };
        let answered = EGRESS.send(request).await;
        receiver.abort();
        match &answered.outcome {
            Outcome::Delivered { status_code, .. } => assert!((200..300).contains(status_code), "{answered:?}"),
            Outcome::Unroutable { .. } => panic!("{answered:?}"),
            _ => {}
        }
        if let Some(kept) = &answered.response {
            assert!(kept.body.len() <= 4_096, "{} bytes are kept", kept.body.len());
            assert!(kept.headers.len() <= 20, "{} headers are kept", kept.headers.len());
        }
    });
}
