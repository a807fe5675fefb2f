//! Where a run is broken off: one or more hits, one for each process in a row.
//!
//! Written as `fsync:12` (killed when some thread begins its twelfth `fsync`),
//! `fsync:12:EIO` (that call fails instead), `step:7` (killed from outside once
//! seven steps were answered), joined by `+` for one process after the other.
//! That text is what a failure prints and what `RINGBACK_KILL_POINT` takes.
//!
//! Not here: how a process is made to die (`process`), what it does (`script`).

use std::{collections::BTreeMap, fmt, str::FromStr};

/// The system calls at which something leaves the process, for the disk or for a socket.
pub(crate) const CALLS: &[&str] =
    &["write", "writev", "pwrite64", "fdatasync", "fsync", "rename", "renameat2", "sendto", "sendmsg", "linkat", "unlink", "ftruncate"];

/// How often each call was made, by the thread that made it most often: injected counts are per thread.
pub(crate) type Counts = BTreeMap<String, u32>;

/// What befalls one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// SIGKILL on entering a thread's `when`th `name`, which is not carried out.
    Kill { name: String, when: u32 },
    /// The call fails with `error`; the process goes on, or ends by itself.
    Fail { name: String, when: u32, error: String },
    /// SIGKILL after so many steps were answered.
    Step(usize),
}

/// Hits of processes in a row; after the last one comes a process that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) Vec<Hit>);

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { name, when } => write!(f, "{name}:{when}"),
            Self::Fail { name, when, error } => write!(f, "{name}:{when}:{error}"),
            Self::Step(n) => write!(f, "step:{n}"),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hits: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&hits.join("+"))
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no kill point: one looks like fsync:12, fsync:12:EIO, or step:7+pwrite64:3");
        let hit = |it: &str| {
            let mut parts = it.split(':');
            let (name, when) = (parts.next()?.to_owned(), parts.next()?.parse::<u32>().ok()?);
            let hit = match (name.as_str(), parts.next()) {
                ("step", None) => Hit::Step(when as usize),
                (_, None) => Hit::Kill { name, when },
                (_, Some(error)) => Hit::Fail { name, when, error: error.to_owned() },
            };
            parts.next().is_none().then_some(hit)
        };
        text.split('+').map(|it| hit(it).ok_or_else(bad)).collect::<Result<_, _>>().map(Self)
    }
}

impl Hit {
    /// The call, or `step`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Kill { name, .. } | Self::Fail { name, .. } => name,
            Self::Step(_) => "step",
        }
    }
}

/// About `count` points: three in five break off the first process, from an empty directory to its end; two in
/// five break off the process that recovers from a kill between two steps.
pub(crate) fn enumerate(first: &Counts, recovering: &Counts, steps: usize, count: usize) -> Vec<Point> {
    let again = count * 2 / 5;
    let mut points: Vec<Point> = spread(first, count - again).into_iter().map(|it| Point(vec![it])).collect();
    for (n, hit) in spread(recovering, again).into_iter().enumerate() {
        // Every step is somebody's turn, neighbours are far apart.
        points.push(Point(vec![Hit::Step(1 + (n * 7) % (steps - 1)), hit]));
    }
    points
}

/// `count` hits: as many of each call, as far as there are so many, at even distances. What is left over goes to
/// the calls that are made most often; once all are taken, they are taken again.
fn spread(counts: &Counts, count: usize) -> Vec<Hit> {
    let mut shares: Vec<(&String, u32, u32)> = counts.iter().filter(|it| *it.1 > 0).map(|(name, max)| (name, *max, 0)).collect();
    if shares.is_empty() {
        return Vec::new();
    }
    let mut left = count;
    while left > 0 {
        let some_free = shares.iter().any(|it| it.2 < it.1);
        for share in shares.iter_mut().filter(|it| !some_free || it.2 < it.1) {
            if left > 0 {
                share.2 += 1;
                left -= 1;
            }
        }
    }
    let mut hits = Vec::new();
    for (name, max, taken) in shares {
        for n in 0..taken {
            // From the first one on: what happens once happens early.
            let at = if taken <= max { n * max / taken } else { n % max };
            hits.push(Hit::Kill { name: name.clone(), when: 1 + at });
        }
    }
    hits
}
