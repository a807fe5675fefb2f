//! Puts the parts together: the one place with a real clock, real chance, a real
//! store and a real way out. Everything below takes them as arguments.

use crate::config::{AllowTarget, ServeConfig};
use async_trait::async_trait;
use ringback_egress::{
    Egress, EgressConfig,
    config::{Allow, AllowWhat},
};
use ringback_model::Timestamp;
use ringback_ports::{Clock, Entropy, Sender, clock::Steady};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The clock of the machine. It never goes back and never stands still, whatever is done to the machine's.
#[derive(Debug)]
pub(crate) struct SystemClock {
    begun: Instant,
    steady: Steady,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn default() -> Self {
        Self { begun: Instant::now(), steady: Steady::default() }
    }
}

/// A sleep is cut into pieces, so that a step of the machine's clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(30);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.steady.read(self.wall(), self.begun.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLEEP_MAX)).await;
        }
    }
}

/// The chance of the machine.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the real chance")]
    fn fill(&self, out: &mut [u8]) {
        if let Err(why) = getrandom::fill(out) {
            // Ids and secrets that can be guessed are worse than no server.
            tracing::error!("the system gives no random bytes: {why}");
            std::process::abort();
        }
    }
}

/// The way out, as the configuration bounds it.
pub(crate) fn sender(config: &ServeConfig, listen: Vec<SocketAddr>) -> Result<Arc<dyn Sender>, String> {
    let allow = config.egress.allow.iter().map(|it| Allow {
        what: match &it.target {
            AllowTarget::Net(net) => AllowWhat::Net(*net),
            AllowTarget::Name(name) => AllowWhat::Name(name.clone()),
        },
        ports: it.ports.clone(),
        http: it.http,
        authority: it.authority,
    });
    let egress = EgressConfig {
        ports: config.egress.ports.clone(),
        allow: allow.collect(),
        nameservers: config.egress.nameservers.clone(),
        dev: config.dev,
        listen,
    };
    Ok(Arc::new(Egress::open(&egress).map_err(|it| it.to_string())?))
}
