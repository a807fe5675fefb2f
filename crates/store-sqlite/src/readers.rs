//! A few threads that read, each on its own connection: reads never wait for a commit.
//!
//! Every read sees one snapshot of what is durable. They are plain threads, so
//! that the store works on any runtime.
//!
//! Not here: what is read (the files named after nouns).

use crate::{Alive, OnFatal, fault::Fault};
use ringback_model::TenantId;
use ringback_ports::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};

/// Reads that may wait for a thread; whoever comes later waits for room here.
const QUEUE_MAX: usize = 1_024;

type Work = Box<dyn FnOnce(&Reading) + Send>;

/// The pool.
pub(crate) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Work>>>,
    on_fatal: OnFatal,
}

/// One thread's connection, inside one snapshot while a read runs.
pub(crate) struct Reading {
    pub(crate) conn: Connection,
    /// Numbers of tenants, which never change once given.
    tenants: RefCell<BTreeMap<i64, TenantId>>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(crate) fn start(conns: Vec<Connection>, on_fatal: OnFatal, alive: &Arc<Alive>) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        let threads = conns
            .into_iter()
            .map(|conn| {
                let (inbox, alive) = (Arc::clone(&inbox), Arc::clone(alive));
                std::thread::Builder::new().name("store-reader".into()).spawn(move || {
                    run(&inbox, &Reading { conn, tenants: RefCell::default() });
                    drop(alive);
                })
            })
            .collect::<Result<_, _>>()?;
        Ok((Self { queue: Mutex::new(Some(queue)), on_fatal }, threads))
    }

    /// Runs `work` in a snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let queue = self.queue().clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let on_fatal = Arc::clone(&self.on_fatal);
        let job: Work = Box::new(move |reading| {
            if reply.is_closed() {
                return; // whoever asked went away while this waited
            }
            let done = reading.in_snapshot(work).map_err(|fault| {
                if fault.is_fatal() {
                    on_fatal(format!("reading failed: {fault}"));
                }
                fault.store_error()
            });
            let _ = reply.send(done);
        });
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer.await.unwrap_or_else(|_| Err(StoreError::Broken("a read panicked".into())))
    }

    /// Takes no more reads; those that wait are still answered.
    pub(crate) fn close(&self) {
        self.queue().take();
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Work>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(inbox: &Mutex<mpsc::Receiver<Work>>, reading: &Reading) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(work) = next else { return };
        // A read that panics answers for itself (its reply is dropped); the thread goes on.
        if catch_unwind(AssertUnwindSafe(|| work(reading))).is_err() {
            tracing::error!("a read of the store panicked");
        }
    }
}

impl Reading {
    fn in_snapshot<T>(&self, work: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let snapshot = self.conn.unchecked_transaction()?;
        let done = work(self)?;
        snapshot.finish()?;
        Ok(done)
    }

    /// The number of a tenant, if it has any row yet.
    pub(crate) fn tenant_no(&self, tenant: &TenantId) -> Result<Option<i64>, Fault> {
        self.one("SELECT no FROM tenant_nos WHERE id = ?1", [tenant.as_str()], |row| Ok(row.get(0)?))
    }

    /// The tenant of a number.
    pub(crate) fn tenant(&self, no: i64) -> Result<TenantId, Fault> {
        if let Some(known) = self.tenants.borrow().get(&no) {
            return Ok(known.clone());
        }
        let id = self
            .one("SELECT id FROM tenant_nos WHERE no = ?1", [no], |row| Ok(row.get::<_, String>(0)?))?
            .ok_or_else(|| Fault::row("tenant_nos", format!("no tenant has number {no}")))?;
        let id = TenantId::parse(&id).map_err(|it| Fault::row("tenant_nos", it))?;
        self.tenants.borrow_mut().insert(no, id.clone());
        Ok(id)
    }

    /// The first row, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        decode: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let row = statement.query_row(params, |row| Ok(decode(row))).optional()?;
        row.transpose()
    }

    /// All rows.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut decode: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(decode(row)?);
        }
        Ok(out)
    }
}
