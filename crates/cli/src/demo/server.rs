//! The server that the demo talks to: this same program, as a child process on
//! a directory of its own, killed and started again on the same data and port.
//!
//! Both end with the demo: the child is killed when its handle goes, the
//! directory is removed with it.

use super::{
    http::{Ask, Client},
    pace,
    wire::Meter,
};
use std::{
    fs::{self, DirBuilder, File},
    io,
    net::SocketAddr,
    ops::Range,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(30);
/// How often the server is asked whether it is ready.
const READY_EVERY: Duration = Duration::from_millis(5);

/// Ports that are tried. Not any free one: while the server is dead its port
/// must not be handed to an outgoing connection, so these lie below the ranges
/// from which systems take the ports of those.
const PORTS: Range<u16> = 7464..7564;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("could not prepare a directory for the demo under {path}; set TMPDIR to a directory that can be written")]
    Directory { path: PathBuf, source: io::Error },
    #[error("no port between {} and {} of 127.0.0.1 is free; end another program that listens there", PORTS.start, PORTS.end - 1)]
    NoPort,
    #[error("could not start the server, which is this program itself")]
    Spawn(#[source] io::Error),
    #[error("the server ended while starting. Its last words:\n{0}")]
    Ended(String),
    #[error("the server wasn't ready within {secs} s. Its last words:\n{0}", secs = START_MAX.as_secs())]
    NotReady(String),
    #[error("could not read the operator's key that the server wrote to {path}")]
    Key { path: PathBuf, source: io::Error },
}

/// A directory of the demo's own, removed when this goes.
#[derive(Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// Makes one that only this user can read, as it will hold keys.
    pub(crate) fn make() -> Result<Self, ServerError> {
        let base = std::env::temp_dir();
        let mut tried = 0;
        loop {
            let path = base.join(format!("ringback-demo-{}-{tried}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists && tried < 100 => tried += 1,
                Err(source) => return Err(ServerError::Directory { path: base, source }),
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    home: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// Starts a server on a free port with its data in `home`, and waits until it answers.
    pub(crate) async fn launch(home: &Home) -> Result<Self, ServerError> {
        let mut ports = PORTS;
        loop {
            let Some(address) = first_free(&mut ports).await else { return Err(ServerError::NoPort) };
            let mut server = Self { address, home: home.path().to_owned(), child: None };
            match server.start().await {
                Ok(_) => return Ok(server),
                // Somebody was quicker to take the port; otherwise it ends on the next one too.
                Err(ServerError::Ended(_)) if TcpListener::bind(address).await.is_err() => {}
                Err(other) => return Err(other),
            }
        }
    }

    /// The number of its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it, again or for the first time, and waits until it answers; returns the moment of its first answer.
    pub(crate) async fn start(&mut self) -> Result<Instant, ServerError> {
        let program = std::env::current_exe().map_err(ServerError::Spawn)?;
        let log = File::options().create(true).append(true).open(self.log()).map_err(ServerError::Spawn)?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--dev", "--listen", &self.address.to_string(), "--data"])
            .arg(self.home.join("data"))
            // A configuration file or variable of the user's own must not change what is shown.
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(ServerError::Spawn)?)
            .stderr(log)
            // Ctrl-C in a terminal goes to the whole group; the server must outlive it until all is drained.
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGBACK_")) {
            command.env_remove(name);
        }
        self.child = Some(command.spawn().map_err(ServerError::Spawn)?);

        let since = pace::now();
        let probe = Client::anonymous(self.address, Arc::new(Meter::default()));
        while since.elapsed() < START_MAX {
            if let Ok(answer) = probe.ask(Ask::get("/readyz")).await
                && answer.good()
            {
                return Ok(pace::now());
            }
            if let Some(Ok(Some(_))) = self.child.as_mut().map(Child::try_wait) {
                return Err(ServerError::Ended(self.last_words()));
            }
            pace::sleep(READY_EVERY).await;
        }
        Err(ServerError::NotReady(self.last_words()))
    }

    /// Kills it with signal 9 and waits until it is gone; returns the moment of the signal.
    pub(crate) async fn kill(&mut self) -> Instant {
        let at = pace::now();
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
            let _ = child.wait().await;
        }
        at
    }

    /// The operator's key, as the server wrote it beside its data.
    pub(crate) fn operator_key(&self) -> Result<String, ServerError> {
        let path = self.home.join("data").join("operator.key");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(source) => Err(ServerError::Key { path, source }),
        }
    }

    /// The end of what the server said, for a message about its failure.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(self.log()).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let skip = lines.len().saturating_sub(12);
        lines.iter().skip(skip).map(|it| format!("  {it}\n")).collect()
    }

    fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }
}

async fn first_free(ports: &mut Range<u16>) -> Option<SocketAddr> {
    for port in ports {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).await.is_ok() {
            return Some(address);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let home = Home::make().expect("a directory");
        let path = home.path().to_owned();
        fs::write(path.join("server.log"), "x").expect("writable");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        drop(home);
        assert!(!path.exists());
    }
}
