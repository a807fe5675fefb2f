//! Where a merchant is called back: an HTTP server on a free port of this
//! machine, whose bytes are counted, and which can go dark.

use super::wire::{Counted, Meter};
use axum::{Router, serve::Listener};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// The switch of a receiver's light.
#[derive(Clone, Debug, Default)]
pub(super) struct Light(Arc<AtomicBool>);

impl Light {
    /// From now on each connection ends without an answer, old ones included.
    pub(super) fn off(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// From now on it answers again.
    pub(super) fn on(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Serves `app` on a free port of 127.0.0.1 until the program ends, and says
/// where: `http://127.0.0.1:<port>/webhook/payment`.
pub(super) async fn open(app: Router, meter: Arc<Meter>, light: Light) -> io::Result<String> {
    let inner = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}/webhook/payment", inner.local_addr()?);
    let door = Door { inner, meter, light };
    tokio::spawn(async move { axum::serve(door, app).await });
    Ok(url)
}

struct Door {
    inner: TcpListener,
    meter: Arc<Meter>,
    light: Light,
}

impl Listener for Door {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        loop {
            match self.inner.accept().await {
                // The port stays ours while dark: somebody else could get it.
                Ok((stream, _)) if self.light.0.load(Ordering::Relaxed) => drop(stream),
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    return (Counted::darkened_by(stream, Arc::clone(&self.meter), Arc::clone(&self.light.0)), peer);
                }
                // Out of descriptors, most likely: let some connections end first.
                Err(_) => super::pace::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::http::{Ask, Client, NoAnswer};
    use axum::routing::get;

    #[tokio::test]
    async fn both_sides_count_the_same_bytes_and_the_light_goes_off_and_on() {
        let (asked, answered, light) = (Arc::<Meter>::default(), Arc::<Meter>::default(), Light::default());
        let app = Router::new().route("/webhook/payment", get(|| async { "here" }));
        let url = open(app, Arc::clone(&answered), light.clone()).await.expect("a free port");
        let address = url.trim_start_matches("http://").split('/').next().and_then(|it| it.parse().ok()).expect("an address");
        let client = Client::anonymous(address, Arc::clone(&asked));

        for _ in 0..3 {
            assert_eq!(client.ask(Ask::get("/webhook/payment")).await.expect("an answer").body, b"here");
        }
        assert_eq!(asked.requests(), 3);
        assert!(asked.bytes() > 300);
        assert_eq!(asked.bytes(), answered.bytes());

        light.off();
        // Neither the connection that it kept nor a fresh one is answered.
        assert!(matches!(client.ask(Ask::get("/webhook/payment")).await, Err(NoAnswer::Closed)));
        light.on();
        assert!(client.ask(Ask::get("/webhook/payment")).await.is_ok_and(|it| it.good()));
    }
}
