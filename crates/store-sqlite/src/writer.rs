//! The one thread that writes: group commit.
//!
//! It takes whatever has gathered in its queue while the last transaction was
//! made durable, runs it in one transaction, and answers everybody after one
//! fsync. There is no timer: under no load a commit starts at once, under load
//! transactions grow by themselves.
//!
//! A job that is refused has written nothing (see `commit`), so its neighbours
//! never notice. A statement that *fails* ends the transaction for everybody in
//! it. An I/O error ends the process: nothing is tried again on files that the
//! kernel has failed to sync (P1).
//!
//! Not here: what is written (`commit` and the files named after nouns).

use crate::{
    Alive, OnFatal,
    fault::{Fate, Fault},
    known::{Known, Staged, Tx},
};
use ringback_ports::{
    meters::{meters, secs},
    store::{Listener, StoreError},
};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Jobs of one transaction: bounds how long the first of them waits for the last.
const TRANSACTION_JOBS_MAX: usize = 2_048;
/// Bytes of one transaction, roughly.
const TRANSACTION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// WAL pages (of 16 KiB) that are not in the data file yet: more are carried over.
const WAL_PAGES_BEHIND_MAX: i64 = 1_000;
/// WAL pages in all: more, and the next transaction starts from the front even if it has to wait for a reader.
const WAL_PAGES_MAX: i64 = 8_000;

/// How long starting from the front may wait for readers: all of ours are done sooner.
const RESTART_WAIT: Duration = Duration::from_millis(250);

/// How a job gets into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Refused at once when there is no room.
    OrRefuse,
    /// Waits for room: our own work, which is bounded elsewhere.
    OrWait,
    /// Waits for room, and has a transaction of its own.
    Alone,
}

/// The way to the thread.
pub(crate) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    queued_bytes: Arc<AtomicUsize>,
    queued_bytes_max: usize,
    cut: Arc<AtomicBool>,
}

struct Job {
    bytes: usize,
    alone: bool,
    work: Box<dyn Work>,
}

/// What a job does, and whom it tells.
trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;
    fn answer(self: Box<Self>, failed: Option<&Fate>);
}

struct Task<T, F> {
    run: Option<F>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, Fate>>,
}

impl<T: Send, F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send> Work for Task<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if let Some(run) = self.run.take() {
            self.done = Some(run(tx)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<&Fate>) {
        let answer = match (failed, self.done) {
            (Some(fate), _) => Err(fate.clone()),
            (None, Some(done)) => Ok(done),
            (None, None) => Err(Fate::Unknown),
        };
        let _ = self.reply.send(answer); // whoever asked may have gone away; it is stored all the same
    }
}

/// What the thread needs.
pub(crate) struct Start {
    pub(crate) conn: Connection,
    pub(crate) known: Known,
    pub(crate) dir: std::path::PathBuf,
    pub(crate) listener: Arc<Mutex<Option<Listener>>>,
    pub(crate) on_fatal: OnFatal,
    pub(crate) queue_jobs_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) alive: Arc<Alive>,
    #[cfg(test)]
    pub(crate) planted: Planted,
}

/// An SQLite code that the next COMMIT shall fail with.
#[cfg(test)]
pub(crate) type Planted = Arc<Mutex<Option<i32>>>;

impl Writer {
    /// One that takes nothing: the store is only read.
    pub(crate) fn none() -> Self {
        Self { queue: Mutex::new(None), queued_bytes: Arc::default(), queued_bytes_max: 0, cut: Arc::default() }
    }

    /// After the next transaction the WAL is cut to nothing, as soon as nobody reads in it.
    pub(crate) fn cut_wal(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Whether that is still to be done.
    pub(crate) fn wal_is_to_be_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Starts the thread.
    pub(crate) fn start(start: Start) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, inbox) = mpsc::channel(start.queue_jobs_max.max(1));
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Self {
            queue: Mutex::new(Some(queue)),
            queued_bytes: Arc::clone(&queued_bytes),
            queued_bytes_max: start.queue_bytes_max,
            cut: Arc::default(),
        };
        let cut = Arc::clone(&writer.cut);
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let (on_fatal, alive) = (Arc::clone(&start.on_fatal), Arc::clone(&start.alive));
            let thread = Thread { start, inbox, held: None, queued_bytes, restart_from: 0, cut };
            if catch_unwind(AssertUnwindSafe(|| thread.run())).is_err() {
                on_fatal("the thread that writes panicked".into());
            }
            drop(alive);
        })?;
        Ok((writer, thread))
    }

    /// Has `run` run in a transaction, and answers when that is durable. A caller that goes away doesn't take it back.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        entry: Entry,
        bytes: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fate> {
        let closed = || Fate::Not(StoreError::Closed);
        let queue = self.queue().clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { bytes, alone: entry == Entry::Alone, work: Box::new(Task { run: Some(run), done: None, reply }) };
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = match entry {
            Entry::OrRefuse if before.saturating_add(bytes) > self.queued_bytes_max => Err(Fate::Overloaded),
            Entry::OrRefuse => queue.try_send(job).map_err(|it| match it {
                mpsc::error::TrySendError::Full(_) => Fate::Overloaded,
                mpsc::error::TrySendError::Closed(_) => closed(),
            }),
            Entry::OrWait | Entry::Alone => queue.send(job).await.map_err(|_| closed()),
        };
        drop(queue);
        if sent.is_err() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent?;
        answer.await.unwrap_or(Err(Fate::Unknown))
    }

    /// Takes no more jobs; those that wait are still done.
    pub(crate) fn close(&self) {
        self.queue().take();
    }

    fn queue(&self) -> MutexGuard<'_, Option<mpsc::Sender<Job>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread {
    start: Start,
    inbox: mpsc::Receiver<Job>,
    /// One that wants to be alone, found while gathering others.
    held: Option<Job>,
    queued_bytes: Arc<AtomicUsize>,
    /// Pages of the WAL before which waiting for readers is not tried again.
    restart_from: i64,
    /// The WAL is to be cut.
    cut: Arc<AtomicBool>,
}

/// Nothing may be written any more.
struct Stop;

impl Thread {
    fn run(mut self) {
        self.weigh();
        while let Some(batch) = self.gather() {
            if self.transact(batch).and_then(|()| self.checkpoint()).is_err() {
                self.refuse_the_rest();
                return;
            }
        }
        if let Err(fault) = self.wal("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!("the last checkpoint failed, the next start does it: {fault}");
        }
    }

    /// Waits for one job, then takes all that have come meanwhile. `None` when there will be no more.
    fn gather(&mut self) -> Option<Vec<Job>> {
        let first = self.held.take().or_else(|| self.inbox.blocking_recv())?;
        let mut bytes = first.bytes;
        let mut full = first.alone;
        let mut batch = vec![first];
        while !full && batch.len() < TRANSACTION_JOBS_MAX && bytes < TRANSACTION_BYTES_MAX {
            match self.inbox.try_recv() {
                Ok(job) if job.alone => {
                    self.held = Some(job);
                    full = true;
                }
                Ok(job) => {
                    bytes = bytes.saturating_add(job.bytes);
                    batch.push(job);
                }
                Err(_) => full = true,
            }
        }
        Some(batch)
    }

    #[expect(clippy::disallowed_methods, reason = "measures how long a transaction takes; nothing is decided by it")]
    fn transact(&mut self, mut batch: Vec<Job>) -> Result<(), Stop> {
        let (started, meters) = (std::time::Instant::now(), meters());
        let done = self.try_transact(&mut batch);
        meters.commit_seconds.observe(secs(started.elapsed()));
        meters.commit_jobs.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        if done.is_err() {
            meters.commits_failed.inc();
        }
        let (failed, stop) = match done {
            Ok(staged) => {
                self.announce(&staged);
                self.start.known.absorb(staged);
                (None, Ok(()))
            }
            Err((fault, stage)) => {
                let fate = self.give_up(&fault, stage);
                let stop = if fate == Fate::Unknown { Err(Stop) } else { Ok(()) };
                (Some(fate), stop)
            }
        };
        for job in batch {
            self.queued_bytes.fetch_sub(job.bytes, Ordering::Relaxed);
            job.work.answer(failed.as_ref());
        }
        stop
    }

    fn try_transact(&self, batch: &mut [Job]) -> Result<Staged, (Fault, Stage)> {
        let before = |it: Fault| (it, Stage::Before);
        self.execute("BEGIN IMMEDIATE").map_err(before)?;
        let mut tx = Tx::new(&self.start.conn, &self.start.known);
        for job in batch {
            job.work.run(&mut tx).map_err(before)?;
        }
        let staged = tx.into_staged();
        self.commit().map_err(|it| (it, Stage::Commit))?;
        Ok(staged)
    }

    fn commit(&self) -> Result<(), Fault> {
        #[cfg(test)]
        if let Some(code) = self.start.planted.lock().unwrap().take() {
            return Err(Fault::Sql(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)));
        }
        self.execute("COMMIT")
    }

    /// Ends a transaction that failed: what is answered to everybody in it.
    fn give_up(&self, fault: &Fault, stage: Stage) -> Fate {
        let undone = if self.start.conn.is_autocommit() { Ok(()) } else { self.execute("ROLLBACK") };
        // Whatever else COMMIT may say, we don't know what reached the disk.
        let lost = fault.is_fatal() || (stage == Stage::Commit && !fault.is_full());
        match undone {
            Ok(()) if !lost => {
                tracing::error!("a transaction was not stored: {fault}");
                Fate::Not(fault.store_error())
            }
            _ => {
                (self.start.on_fatal)(format!("storage failed, nothing more can be written safely: {fault}"));
                Fate::Unknown
            }
        }
    }

    fn announce(&self, staged: &Staged) {
        let listener = self.start.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener
            && !staged.events.is_empty()
            // What is durable stays so; a listener that missed it reads the log from its position.
            && catch_unwind(AssertUnwindSafe(|| listener(&staged.events))).is_err()
        {
            tracing::error!("the listener of the log panicked");
        }
    }

    /// Carries pages from the WAL to the data file. SQLite would do it by itself, but would keep an
    /// fsync error of it for itself, too, and sync again the next time.
    fn checkpoint(&mut self) -> Result<(), Stop> {
        let mut step = || -> Result<(), Fault> {
            if self.cut.load(Ordering::SeqCst) {
                self.start.conn.busy_timeout(RESTART_WAIT)?;
                let busy = self.start.conn.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?.query_row([], |row| row.get::<_, i64>(0));
                self.start.conn.busy_timeout(crate::BUSY_WAIT)?;
                self.cut.store(busy? != 0, Ordering::SeqCst);
                return Ok(());
            }
            let (pages, done) = self.wal("PRAGMA wal_checkpoint(NOOP)")?;
            if pages < self.restart_from {
                // Somebody reads for long (a backup does): carried over is what can be, and nobody waits for the rest.
                if pages - done > WAL_PAGES_BEHIND_MAX {
                    self.wal("PRAGMA wal_checkpoint(PASSIVE)")?;
                }
            } else if pages > WAL_PAGES_MAX {
                self.start.conn.busy_timeout(RESTART_WAIT)?;
                let restarted = self.start.conn.prepare_cached("PRAGMA wal_checkpoint(RESTART)")?.query_row([], |row| row.get::<_, i64>(0));
                self.start.conn.busy_timeout(crate::BUSY_WAIT)?;
                self.restart_from = if restarted? == 0 { 0 } else { pages + WAL_PAGES_MAX };
            } else if pages - done > WAL_PAGES_BEHIND_MAX {
                self.wal("PRAGMA wal_checkpoint(PASSIVE)")?;
            }
            Ok(())
        };
        let stepped = step();
        self.weigh();
        match stepped {
            Err(fault) if fault.is_fatal() => {
                (self.start.on_fatal)(format!("storage failed, nothing more can be written safely: {fault}"));
                Err(Stop)
            }
            Err(fault) => {
                tracing::warn!("a checkpoint was put off: {fault}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says how large the files are.
    fn weigh(&self) {
        for (name, suffix) in [("data", ""), ("wal", "-wal")] {
            let bytes = std::fs::metadata(self.start.dir.join(format!("{}{suffix}", crate::FILE))).map_or(0, |it| it.len());
            meters().database_bytes.with_label_values(&[name]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Pages in the WAL, and how many of them are in the data file.
    fn wal(&self, pragma: &str) -> Result<(i64, i64), Fault> {
        Ok(self.start.conn.prepare_cached(pragma)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
    }

    fn execute(&self, sql: &str) -> Result<(), Fault> {
        self.start.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn refuse_the_rest(&mut self) {
        self.inbox.close();
        let closed = Fate::Not(StoreError::Closed);
        while let Some(job) = self.held.take().or_else(|| self.inbox.blocking_recv()) {
            job.work.answer(Some(&closed));
        }
    }
}

/// How far a transaction got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Commit,
}
